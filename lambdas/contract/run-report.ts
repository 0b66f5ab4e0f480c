// What a caller says of ended runs, in the domain's words: the same whether it came over HTTP or through the bus.
import { compact } from '#contract/compact';
import type { ReconcileFields, RunFields } from '#contract/requests';
import { invalid } from '#domain/errors';

/** All that one reconcile says: the hold or job it names, and its run. */
export const toSettling = (fields: ReconcileFields, defaultCluster: string | null) => ({
  ...compact({ holdId: fields.hold_id ?? fields.transaction_id }),
  ...wherefrom([fields], defaultCluster),
  runs: [toReport(fields)],
});

/** Cluster, job and account of the runs. They are of one hold, so they must agree. @throws BudgetError validation_failed */
export const wherefrom = (runs: readonly RunFields[], defaultCluster: string | null) => {
  const same = <K extends 'cluster' | 'account'>(name: K): RunFields[K] => {
    const values = new Set(runs.map((run) => run[name]).filter((value) => value !== undefined));
    if (values.size > 1) throw invalid(`runs.${name}`, 'differs between the runs of one hold');
    return [...values][0];
  };
  const [first] = runs;
  const cluster = same('cluster');
  const jobCluster = cluster ?? defaultCluster;
  const job =
    jobCluster === null || first?.job_id === undefined
      ? undefined
      : { cluster: jobCluster, jobId: first.job_id, ...compact({ submittedAt: first.submitted_at }) };
  return compact({ cluster, account: same('account'), job });
};

const nodesOf = ({ instances }: RunFields): number | undefined => instances?.reduce((sum, { count }) => sum + count, 0);

export const toReport = (run: RunFields) => {
  const { elapsed_seconds: elapsedSeconds } = run;
  const usage =
    elapsedSeconds === undefined
      ? undefined
      : compact({
          elapsedSeconds,
          started: run.started_at !== undefined,
          instances: run.instances,
          nodes: run.nodes,
          cpus: run.cpus,
          memoryMib: run.memory,
          gpus: run.gpus,
        });
  return compact({
    runId: run.run_id,
    actualCost: run.actual_cost,
    usage,
    nodes: elapsedSeconds === undefined ? (run.nodes ?? nodesOf(run)) : undefined,
    partition: run.partition,
    state: run.state,
    final: run.final,
    tasks: run.tasks,
    startedAt: run.started_at,
    endedAt: run.ended_at,
    jobId: run.job_id,
    user: run.user ?? run.user_id,
  });
};
