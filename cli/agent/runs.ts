// From what Slurm says of a run to what the API is told of it.

import type { Sighting } from '#cli/agent/holds';
import type { AccountedRun, EpochSeconds, QueuedJob } from '#cli/agent/ports';
import { given } from '#cli/commands/values';
import { ceilDiv } from '#domain/money';
import { parseTres } from '#domain/tres';

/** A run that is over. */
export interface EndedRun extends Omit<AccountedRun, 'dbIndex' | 'endedAt' | 'state'> {
  readonly runId: string;
  readonly endedAt: EpochSeconds;
  /** Undefined where nobody saw how it ended. */
  readonly state?: string;
}

/** A run of a cluster with slurmdbd: its row's number is unique there. */
export const runIdOf = (cluster: string, { dbIndex }: Pick<AccountedRun, 'dbIndex'>): string => `${cluster}-${dbIndex}`;

/** A run that only squeue told of. A job starts at most once in a second. */
export const sightedRunIdOf = (cluster: string, run: { readonly jobId: string; readonly startedAt: EpochSeconds | null }): string =>
  `${cluster}-${run.jobId}.${run.startedAt ?? 0}`;

/** What is left of a hold whose job is gone: tasks that were cancelled before they ran leave no row. */
const restRunIdOf = (cluster: string, holdId: string): string => `${cluster}-rest.${holdId}`;

/** Undefined: it has not ended. */
export const endedRunOf = (cluster: string, run: AccountedRun): EndedRun | undefined => {
  const { dbIndex: _, endedAt, ...rest } = run;
  return endedAt === null ? undefined : { ...rest, endedAt, runId: runIdOf(cluster, run) };
};

/** What squeue says of a job that is over. */
export const runOfOver = (cluster: string, job: QueuedJob): EndedRun | undefined => {
  const { jobId, submissionId, tasks, user, account, partition, state, submittedAt, startedAt, endedAt, tres, holdId } = job;
  if (endedAt === null) return undefined;
  // squeue gives a job that was cancelled while it waited its end as its start, and one that ran for less than a second as well.
  const hadNodes = startedAt !== null && startedAt <= endedAt && job.nodeList !== '';
  return {
    runId: sightedRunIdOf(cluster, { jobId, startedAt: hadNodes ? startedAt : null }),
    jobId,
    submissionId,
    cluster: '', // squeue shows its own only.
    user,
    account,
    partition,
    state,
    submittedAt,
    startedAt: hadNodes ? startedAt : null,
    endedAt,
    nodes: hadNodes ? job.nodes : 0,
    tres: hadNodes ? tres : '',
    ...given({ tasks, holdId }),
  };
};

/** A run that was seen, and whose end nobody saw: it is charged until it was missed. */
export const runOfSighting = (
  cluster: string,
  {
    sighting,
    endedAt,
    ...job
  }: { sighting: Sighting; endedAt: EpochSeconds; submissionId: string; account: string; submittedAt: EpochSeconds },
): EndedRun => ({
  ...job,
  ...sighting,
  runId: sightedRunIdOf(cluster, sighting),
  cluster: '', // squeue shows its own only.
  user: '',
  endedAt: Math.max(endedAt, sighting.startedAt),
});

/** The body of a Run, as CONTRACT names its fields. Nothing here changes when it is sent again, so a repetition is one. */
export const wireRunOf = (cluster: string, run: EndedRun, how: { readonly final: boolean; readonly tasks: number }) => {
  const { runId, jobId, partition, nodes, state, submittedAt, startedAt, endedAt, account, user } = run;
  const isSinglePartition = partition !== '' && !partition.includes(',');
  return {
    run_id: runId,
    // The instance bills from start to end, suspension included.
    elapsed_seconds: startedAt === null ? 0 : Math.max(0, endedAt - startedAt),
    ...how,
    job_id: jobId,
    cluster,
    submitted_at: isoOf(submittedAt),
    ended_at: isoOf(endedAt),
    ...given({
      started_at: startedAt === null ? undefined : isoOf(startedAt),
      partition: isSinglePartition ? partition : undefined,
      state,
      account: account === '' ? undefined : account,
      user: user === '' ? undefined : user,
    }),
    ...(nodes > 0 ? { nodes, ...sizesOf(run) } : {}),
  };
};
export type WireRun = ReturnType<typeof wireRunOf> | ReturnType<typeof wireRestOf>;

/** The tasks that are left of a hold, which cost nothing any more. */
export const wireRestOf = (cluster: string, rest: { readonly holdId: string; readonly jobId: string; readonly tasks: number }) => ({
  run_id: restRunIdOf(cluster, rest.holdId),
  actual_cost: 0,
  final: true,
  tasks: rest.tasks,
  job_id: rest.jobId,
  cluster,
});

export const isoOf = (at: EpochSeconds): string => new Date(at * 1000).toISOString();

/** Memory is per node on the wire, and of the whole job in Slurm. */
const sizesOf = ({ tres, nodes }: EndedRun) => {
  const { cpus, memoryMib, gpus } = parseTres(tres);
  return given({
    cpus: cpus === 0 ? undefined : cpus,
    memory: memoryMib === undefined || memoryMib === 0 ? undefined : Number(ceilDiv(BigInt(memoryMib), BigInt(nodes))),
    gpus,
  });
};
