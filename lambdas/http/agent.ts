// The verbs of a hold, and what the agent on a head node asks.
import { beatCluster } from '#app/beat-cluster';
import { bindHold } from '#app/bind-hold';
import { correctRun } from '#app/correct-run';
import { extendHold } from '#app/extend-hold';
import { forceHold } from '#app/force-hold';
import { HEARTBEAT_STALE_MS } from '#app/own-cluster';
import { readHoldOrThrow, readJobLinkOrThrow, readSpecOf } from '#app/read';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import { compact } from '#contract/compact';
import { HoldPath, JobPath } from '#contract/job-requests';
import {
  BindRequest,
  ClusterHoldsQuery,
  ClusterPath,
  ClusterRequest,
  CorrectRequest,
  ExtendRequest,
  ForceRequest,
  JobQuery,
  PageQuery,
  ReconcileRequest,
  ReleaseRequest,
  RunPath,
  RunsRequest,
} from '#contract/requests';
import { toReport, toSettling, wherefrom } from '#contract/run-report';
import { BudgetError } from '#domain/errors';
import { clusterAnswer, holdAnswer, holdDetailAnswer, jobLinkAnswer, runRecord, settlementAnswer } from '#http/answers';
import { ok, pageOf, type RoutesOf, route } from '#http/route';
import { toJob } from '#http/to-domain';

const reconcile = route({ body: ReconcileRequest }, async ({ body }, world) => {
  const [run] = await settleRuns(world, toSettling(body, world.settings.defaultCluster));
  if (run === undefined) throw new Error('one report has one answer');
  return ok(settlementAnswer(run, transactionIdOf(run.owner)));
});

const settleRunsRoute = route({ path: HoldPath, body: RunsRequest }, async ({ path, body }, world) => {
  const from = wherefrom(body.runs, world.settings.defaultCluster);
  const runs = await settleRuns(world, { holdId: path.hold_id, ...from, runs: body.runs.map(toReport) });
  return ok({ results: runs.map((run) => settlementAnswer(run, run.owner)) });
});

// Under the hold's id also where no hold was known: a run that was booked late is found by the name that it was booked under.
const showRun = route({ path: RunPath }, async ({ path }, { store }) => {
  const [run] = await Promise.all([
    store.readRun({ owner: path.hold_id, runId: path.run_id }),
    store.readHold(path.hold_id), // Refuses a caller that acts for another cluster.
  ]);
  if (run === undefined)
    throw new BudgetError('run_not_found', `hold ${path.hold_id} has no run ${path.run_id}`, {
      hold_id: path.hold_id,
      run_id: path.run_id,
    });
  return ok(runRecord(run));
});

const correctRunRoute = route({ path: RunPath, body: CorrectRequest }, async ({ path, body }, world) => {
  const run = await correctRun(world, {
    holdId: path.hold_id,
    runId: path.run_id,
    ...(body.actual_cost === undefined ? { report: toReport({ ...body, tasks: 1 }) } : { actualCost: body.actual_cost }),
    correctionId: body.correction_id,
    note: body.note,
  });
  return ok(settlementAnswer(run, run.owner));
});

const forceHoldRoute = route({ body: ForceRequest }, async ({ body }, world) =>
  ok(
    holdAnswer(
      await forceHold(world, {
        holdId: body.hold_id,
        job: toJob(body, world.settings),
        reason: body.reason,
        ...compact({ jobId: body.job_id, submittedAt: body.submitted_at, jobScript: body.job_script }),
      }),
    ),
  ),
);

const bindHoldRoute = route({ path: HoldPath, body: BindRequest }, async ({ path, body }, world) =>
  ok(
    holdAnswer(
      await bindHold(world, {
        holdId: path.hold_id,
        cluster: body.cluster,
        jobId: body.job_id,
        submittedAt: body.submitted_at,
        ...compact({ instances: body.instances }),
      }),
    ),
  ),
);

const extendHoldRoute = route({ path: HoldPath, body: ExtendRequest }, async ({ path, body }, world) =>
  ok(holdAnswer(await extendHold(world, { holdId: path.hold_id, expiresAt: body.expires_at }))),
);

const releaseHoldRoute = route({ path: HoldPath, body: ReleaseRequest }, async ({ path, body }, world) =>
  ok(holdAnswer(await releaseHold(world, { holdId: path.hold_id, ...compact({ reason: body.reason }) }))),
);

const showHold = route({ path: HoldPath, query: PageQuery }, async ({ path, query }, { store }) => {
  const hold = await readHoldOrThrow(store, path.hold_id);
  const [spec, runs] = await Promise.all([readSpecOf(store, hold), store.listRuns(hold.holdId, pageOf(query))]);
  return ok(holdDetailAnswer({ hold, spec, runs: runs.items, ...compact({ cursor: runs.cursor }) }));
});

// Which hold a job was bound to, also after that hold has ended. Numbers come again, so the time says which job is meant.
const showJob = route({ path: JobPath, query: JobQuery }, async ({ path, query }, { store }) => {
  const link = await readJobLinkOrThrow(store, {
    cluster: path.cluster,
    jobId: path.job_id,
    ...compact({ submittedAt: query.submitted_at }),
  });
  return ok(jobLinkAnswer(link));
});

const listHoldsOfCluster = route({ query: ClusterHoldsQuery }, async ({ query }, { store }) => {
  const wanted = { cluster: query.cluster, ...compact({ bound: query.bound, createdBefore: query.created_before }) };
  const page = await store.listOpenHoldsOfCluster(wanted, pageOf(query));
  return ok({ holds: page.items.map(holdAnswer), ...compact({ cursor: page.cursor }) });
});

// Whose name it is, the use case says: a cluster may be called otherwise once its former name is not heard any more.
const beatClusterRoute = route({ path: ClusterPath, body: ClusterRequest, claims: true }, async ({ path, body }, world) => {
  const { cluster } = path;
  const { lastHeartbeat } = await beatCluster(world, {
    cluster,
    clusterUid: body.cluster_uid,
    agentVersion: body.agent_version ?? null,
  });
  return ok({ cluster, stale_at: new Date(lastHeartbeat + HEARTBEAT_STALE_MS).toISOString() });
});

const listClusters = route({ query: PageQuery }, async ({ query }, { store }) => {
  const page = await store.listClusters(pageOf(query));
  return ok({ clusters: page.items.map(clusterAnswer), ...compact({ cursor: page.cursor }) });
});

const HOLD_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** A run without a hold is booked under its job's name. */
const transactionIdOf = (owner: string): string | null => (HOLD_ID.test(owner) ? owner : null);

export const agentRoutes: RoutesOf<'agent'> = {
  reconcile,
  forceHold: forceHoldRoute,
  bindHold: bindHoldRoute,
  extendHold: extendHoldRoute,
  releaseHold: releaseHoldRoute,
  settleRuns: settleRunsRoute,
  showRun,
  correctRun: correctRunRoute,
  showHold,
  showJob,
  listHoldsOfCluster,
  beatCluster: beatClusterRoute,
  listClusters,
};
