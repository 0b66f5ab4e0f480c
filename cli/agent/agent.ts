// One pass of the agent: what Slurm says, compared with what the API holds, and made to agree. Each step may be repeated, and
// the agent may die between any two of them: the next pass does what is left.
import { releaseOrphans, settleGone } from '#cli/agent/absent';
import type { KeepAside } from '#cli/agent/aside';
import { attempt, type Counts, type Desk, endsThePass, noCounts, type Settings } from '#cli/agent/desk';
import type { GuardConf } from '#cli/agent/guard-conf';
import { createHolds, type Holds, type RunOver, sight, type TrackedHold } from '#cli/agent/holds';
import { keepJobs, type Postponed } from '#cli/agent/keep';
import { type ClusterFacts, type EpochSeconds, type OnBadLine, type Slurm, SlurmSilent, sentenceOfUnread } from '#cli/agent/ports';
import { type EndedRun, endedRunOf, runOfOver, runOfSighting } from '#cli/agent/runs';
import { createBookedRuns, type SendRuns, settleRuns } from '#cli/agent/settle';
import { type Snapshot, takeSnapshot } from '#cli/agent/snapshot';
import { type AgentState, remember, type StateFile, seenOf } from '#cli/agent/state';
import type { ApiClient, HoldAnswer } from '#cli/api-client';
import { failure } from '#cli/exit';
import { MAX_PAGE_SIZE } from '#contract/limits';

/** slurmdbd may commit a row a little later than its end says. */
const OVERLAP_SECONDS = 120;
/** So long a watermark may stay behind, before sdiag is asked whether it may move. */
const WATERMARK_AGE_SECONDS = 300;
/** A long absence is caught up window by window, each before a look at the queue, so that memory does not grow with it. */
const WINDOW_SECONDS = 6 * 3600;
/** So long before its last heartbeat an agent looks back that has lost its state. What was booked then is not booked again. */
const LOOK_BACK_SECONDS = 24 * 3600;
/** Somebody else may have closed a hold, so all are listed again now and then. */
const LIST_ALL_AFTER_MS = 15 * 60_000;
const MAX_PAGES = 10_000;

/** Takes what others have left in files, and books it. */
export interface Drains {
  /** Holds that the plugin has promised while the API was away. Before the queue is looked at, as their jobs are in it. */
  spool?(desk: Desk): Promise<void>;
  /** Actual costs from elsewhere. After the runs are booked, as they correct them. */
  costFiles?(desk: Desk, holdOfJob: (job: { readonly jobId: string }) => Promise<string | undefined>): Promise<void>;
}

export interface AgentParts {
  readonly slurm: Slurm;
  readonly api: ApiClient;
  readonly guard: Pick<GuardConf, 'guards'>;
  readonly settings: Omit<Settings, 'cluster'> & { readonly cluster?: string };
  readonly state: StateFile;
  readonly drains: Drains;
  /** @default to the API */
  readonly send?: SendRuns;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly sha256: (text: string) => string;
  readonly complain: (sentence: string) => void;
  readonly keepAside: KeepAside;
}

export interface PassReport {
  readonly cluster: string;
  readonly counts: Counts;
  /** Jobs that squeue showed, ended ones too. */
  readonly jobs: number;
  /** Open holds that are bound to a job. */
  readonly holds: number;
  readonly unbound: number;
  /** Jobs by account that has no cloud budget. */
  readonly unknownAccounts: Readonly<Record<string, number>>;
  /** Seconds since 1970: all runs that ended before were seen. */
  readonly watermark: EpochSeconds;
  /** What kept the pass from being whole. */
  readonly problems: readonly string[];
}

export interface Agent {
  /** @throws CommandError if the API is away, does not let us in, or serves another cluster of this name */
  pass(): Promise<PassReport>;
}

/** An agent that has not looked yet. */
export const createAgent = (parts: AgentParts): Agent => {
  const { slurm, api, now } = parts;
  const holds = createHolds();
  const booked = createBookedRuns();
  const orphans = new Map<string, number>();
  const postponed = new Map<string, Postponed>();
  /** Without accounting: runs of requeued jobs that are not booked yet; squeue shows them no more. */
  const requeued = new Map<string, EndedRun>();
  const send = parts.send ?? sendTo(api);
  let known: { facts: ClusterFacts; settings: Settings; state: AgentState } | undefined;
  let listedAllMs = Number.NEGATIVE_INFINITY;

  const start = async (): Promise<NonNullable<typeof known>> => {
    const facts = await slurm.facts();
    const cluster = parts.settings.cluster ?? facts.clusterName;
    const state = parts.state.read(cluster) ?? (await firstState(parts, cluster));
    for (const [holdId, since] of state.orphans) orphans.set(holdId, since);
    booked.remember(state.unmarked ?? []);
    // Before the first heartbeat: if the state is lost, the last heartbeat tells up to when everything was booked.
    parts.state.write(state);
    return { facts, settings: { ...parts.settings, cluster }, state };
  };

  const listAll = async (cluster: string, seen: AgentState['seen']): Promise<void> => {
    // The list may lag behind a bind, so what is missing in it is only asked about when its job is gone.
    await eachHold(api, { cluster, bound: 'true' }, (hold) => holds.track(hold));
    for (const each of seen) {
      const tracked = holds.get(each[0]);
      if (tracked !== undefined && !tracked.wasSeen) remember(tracked, each);
    }
    listedAllMs = now();
  };

  const agent: Agent = {
    pass: async () => {
      const isFirst = known === undefined;
      known ??= await start();
      const { settings, state } = known;
      const { cluster } = settings;
      const began = Math.floor(now() / 1000);
      const problems: string[] = [];
      const unknownAccounts: Record<string, number> = {};
      const desk: Desk = {
        ...parts,
        settings,
        counts: noCounts(),
        keepAside: (what) => {
          if (parts.keepAside(what)) desk.counts.keptAside += 1;
        },
        unknownAccount: (account) => {
          unknownAccounts[account] = (unknownAccounts[account] ?? 0) + 1;
        },
      };
      const onBadLine: OnBadLine = (bad) => desk.keepAside({ reason: sentenceOfUnread(bad), entry: bad.line });

      // The first one claims the cluster's name; the others say, at the end, that a pass was whole.
      if (isFirst) await beat(desk);
      if (now() - listedAllMs > LIST_ALL_AFTER_MS || now() < listedAllMs) await listAll(cluster, state.seen);
      await parts.drains.spool?.(desk);

      const settleParts = { holds, booked, send, adoptedAt: state.adoptedAt, slurmCluster: known.facts.clusterName };
      const read = (from: EpochSeconds, to: EpochSeconds) => endedIn(desk, { slurm, from, to, onBadLine, problems });
      // A clock that was ahead has left a watermark in the future.
      let from = Math.min(state.watermark, began - OVERLAP_SECONDS);
      for (; known.facts.hasAccounting && from + WINDOW_SECONDS < began; from += WINDOW_SECONDS) {
        const window = await read(from, from + WINDOW_SECONDS);
        const snapshot = await takeSnapshot(slurm, onBadLine);
        if (
          window === undefined ||
          (await settleRuns(desk, { ...settleParts, snapshot, unbound: await listUnbound(api, cluster) }, window)) > 0
        )
          break;
        booked.forgetBefore(from);
      }

      const ended = known.facts.hasAccounting ? await read(from, began + 1) : undefined;
      const lookedAtMs = now();
      const snapshot = await takeSnapshot(slurm, onBadLine);
      if (snapshot.problem !== undefined) problems.push(snapshot.problem);
      const unbound = await listUnbound(api, cluster);
      noteLook(state, { known: known.facts, snapshot, nowMs: lookedAtMs });

      const onRunOver = (tracked: TrackedHold, over: RunOver): void => {
        if (known?.facts.hasAccounting !== false) return; // Its row will come.
        const run = runOfRequeued(cluster, { tracked, over, noticedAt: began });
        requeued.set(run.runId, run);
      };
      await keepJobs(desk, { holds, snapshot, unbound, postponed, onRunOver });

      const left = await settleRuns(desk, { ...settleParts, snapshot, unbound }, [
        ...(ended ?? []),
        ...(known.facts.hasAccounting ? [] : overIn(cluster, { holds, snapshot, onRunOver })),
        ...requeued.values(),
      ]);
      for (const [runId, run] of requeued) if (booked.has(run)) requeued.delete(runId);

      const positiveWord = once(async () => {
        if (known === undefined || !snapshot.isWhole || (known.facts.hasAccounting && ended === undefined)) return false;
        return isPositive(desk, { slurm, known, problems });
      });
      const absent = {
        ...settleParts,
        direct: sendTo(api),
        snapshot,
        slurm,
        hasAccounting: known.facts.hasAccounting,
        lookedAtMs,
        unbound,
        orphans,
        onBadLine,
        positiveWord,
        watchedSinceMs: state.watchedSinceMs,
      };
      await settleGone(desk, absent);
      if (!known.facts.hasAccounting || ended !== undefined) await releaseOrphans(desk, absent);
      await parts.drains.costFiles?.(desk, ({ jobId }) => holdOfJob(parts, { cluster, jobId, holds }));

      if (left === 0 && ended !== undefined) await moveWatermark({ slurm, state, until: began, problems });
      if (known.facts.hasAccounting) booked.forgetBefore(state.watermark - OVERLAP_SECONDS);
      else if (snapshot.isWhole) booked.forgetBefore(oldestEndIn(snapshot, began));
      for (const id of postponed.keys()) if (!snapshot.submissions.has(id)) postponed.delete(id);
      // While a requeued run waits to be booked, only the state before still has it.
      if (requeued.size === 0) parts.state.write({ ...state, orphans: [...orphans], seen: seenOf(holds), unmarked: booked.unmarked() });
      if (!isFirst) await beat(desk);
      return {
        cluster,
        counts: desk.counts,
        jobs: snapshot.jobCount,
        holds: holds.size,
        unbound: unbound.size,
        unknownAccounts,
        watermark: state.watermark,
        problems,
      };
    },
  };
  return {
    pass: async () => {
      try {
        return await agent.pass();
      } catch (error) {
        // It may come back without its last words: a store that was restored, or one that answers before it writes.
        if (endsThePass(error)) {
          booked.doubtAll();
          listedAllMs = Number.NEGATIVE_INFINITY;
        }
        throw error;
      }
    },
  };
};

/** Runs of a hold in one request. */
export const sendTo =
  (api: ApiClient): SendRuns =>
  async (holdId, runs) =>
    (await api.request('settleRuns', { path: { hold_id: holdId }, body: { runs } })).results;

// --- the beginning ------------------------------------------------------------------------------------------------------

/** Without a state file, the API knows when this agent was last there, and which holds wait since when. */
const firstState = async ({ api, now }: AgentParts, cluster: string): Promise<AgentState> => {
  const nowSeconds = Math.floor(now() / 1000);
  const lastBeat = await lastHeartbeatOf(api, cluster);
  let oldest = Number.POSITIVE_INFINITY;
  for (const bound of ['true', 'false'] as const)
    await eachHold(api, { cluster, bound }, ({ created_at }) => {
      oldest = Math.min(oldest, Math.floor(Date.parse(created_at) / 1000));
    });
  // A row may have been on its way when the agent was last heard, so a known cluster is looked back at for longer than that.
  const adoptedAt = lastBeat === undefined ? nowSeconds : Math.min(lastBeat, nowSeconds) - LOOK_BACK_SECONDS;
  const watermark = Math.min(oldest, adoptedAt) - OVERLAP_SECONDS;
  return { v: 1, cluster, adoptedAt, watermark, watchedSinceMs: now(), lastLookMs: now(), orphans: [], seen: [] };
};

const lastHeartbeatOf = async (api: ApiClient, cluster: string): Promise<EpochSeconds | undefined> => {
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await api.request('listClusters', { query: { limit: String(MAX_PAGE_SIZE), cursor } });
    const found = answer.clusters.find((each) => each.cluster === cluster);
    if (found !== undefined) return Math.floor(Date.parse(found.last_heartbeat) / 1000);
    if (answer.cursor === undefined) return undefined;
    cursor = answer.cursor;
  }
  throw failure('the list of clusters does not come to an end: ask the administrator of the API');
};

const listUnbound = async (api: ApiClient, cluster: string): Promise<Map<string, HoldAnswer>> => {
  const unbound = new Map<string, HoldAnswer>();
  await eachHold(api, { cluster, bound: 'false' }, (hold) => unbound.set(hold.hold_id, hold));
  return unbound;
};

/** Page by page: there may be a hundred thousand. */
const eachHold = async (
  api: ApiClient,
  query: { cluster: string; bound: 'true' | 'false' },
  take: (hold: HoldAnswer) => void,
): Promise<void> => {
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await api.request('listHoldsOfCluster', { query: { ...query, state: 'open', limit: String(MAX_PAGE_SIZE), cursor } });
    answer.holds.forEach(take);
    if (answer.cursor === undefined) return;
    cursor = answer.cursor;
  }
  throw failure('the list of holds does not come to an end: ask the administrator of the API');
};

/** Nothing else is done for a name that another cluster has: its job ids would be taken for ours. */
const beat = async (desk: Desk): Promise<void> => {
  const { cluster, clusterUid, agentVersion } = desk.settings;
  await attempt(
    desk,
    () => desk.api.request('beatCluster', { path: { cluster }, body: { cluster_uid: clusterUid, agent_version: agentVersion } }),
    (_, error) => {
      throw error;
    },
  );
};

// --- what Slurm says ------------------------------------------------------------------------------------------------------

/** Undefined: sacct failed, and so said nothing. */
const endedIn = async (
  desk: Desk,
  {
    slurm,
    from,
    to,
    onBadLine,
    problems,
  }: { slurm: Slurm; from: EpochSeconds; to: EpochSeconds; onBadLine: OnBadLine; problems: string[] },
): Promise<EndedRun[] | undefined> => {
  const runs: EndedRun[] = [];
  try {
    await slurm.endedRuns(
      { from, to },
      (row) => {
        const run = endedRunOf(desk.settings.cluster, row);
        if (run !== undefined) runs.push(run);
      },
      onBadLine,
    );
    return runs;
  } catch (error) {
    if (!(error instanceof SlurmSilent)) throw error;
    problems.push(error.message);
    return undefined;
  }
};

/** slurmctld holds records back while slurmdbd is away, so the watermark moves only when it has none, and not in every pass. */
const moveWatermark = async ({
  slurm,
  state,
  until,
  problems,
}: {
  slurm: Slurm;
  state: AgentState;
  until: EpochSeconds;
  problems: string[];
}): Promise<void> => {
  const next = until - OVERLAP_SECONDS;
  if (Math.abs(next - state.watermark) < WATERMARK_AGE_SECONDS) return;
  try {
    if ((await slurm.accountingBacklog()) === 0) state.watermark = next;
  } catch (error) {
    if (!(error instanceof SlurmSilent)) throw error;
    problems.push(error.message);
  }
};

/** Whether what Slurm does not show is not there: it shows all, it has not just started, and owes slurmdbd nothing. */
const isPositive = async (
  desk: Desk,
  { slurm, known, problems }: { slurm: Slurm; known: { facts: ClusterFacts }; problems: string[] },
): Promise<boolean> => {
  try {
    known.facts = await slurm.facts();
    const isUpForLong = desk.now() - known.facts.bootedAt * 1000 >= desk.settings.orphanAfterMs;
    if (!known.facts.showsAllJobs) problems.push('PrivateData hides jobs from this user: run the agent as root or as SlurmUser');
    if (!isUpForLong || !known.facts.showsAllJobs) return false;
    return !known.facts.hasAccounting || (await slurm.accountingBacklog()) === 0;
  } catch (error) {
    if (!(error instanceof SlurmSilent)) throw error;
    problems.push(error.message);
    return false;
  }
};

/** Without accounting, squeue shows an ended job again and again until it forgets it; no other run can come twice. */
const oldestEndIn = ({ over }: Snapshot, began: EpochSeconds): EpochSeconds =>
  over.reduce((oldest, { endedAt }) => Math.min(oldest, endedAt ?? began), began);

/** Looks that follow each other within squeue's memory have missed nothing. With accounting, nobody asks. */
const noteLook = (state: AgentState, { known, snapshot, nowMs }: { known: ClusterFacts; snapshot: Snapshot; nowMs: number }): void => {
  if (!snapshot.isWhole || known.hasAccounting) return;
  const gapMs = nowMs - state.lastLookMs;
  if (gapMs < 0 || gapMs > known.minJobAgeSeconds * 1000) state.watchedSinceMs = nowMs;
  state.lastLookMs = nowMs;
};

/** What squeue still remembers of jobs that are over, each run for itself. */
const overIn = (
  cluster: string,
  { holds, snapshot, onRunOver }: { holds: Holds; snapshot: Snapshot; onRunOver: (tracked: TrackedHold, over: RunOver) => void },
): EndedRun[] => {
  for (const job of snapshot.over) {
    const tracked = holds.ofRun(job);
    if (tracked !== undefined) for (const over of sight(tracked, [job])) onRunOver(tracked, over);
  }
  return snapshot.over.flatMap((job) => runOfOver(cluster, job) ?? []);
};

/** The run was over when its job was submitted anew; charged until it was noticed if Slurm does not say when that was. */
const runOfRequeued = (
  cluster: string,
  { tracked, over: { sighting, requeuedAt }, noticedAt }: { tracked: TrackedHold; over: RunOver; noticedAt: EpochSeconds },
): EndedRun => ({
  ...runOfSighting(cluster, {
    sighting,
    endedAt: requeuedAt > sighting.startedAt ? requeuedAt : noticedAt,
    submissionId: tracked.submissionId,
    account: tracked.account,
    submittedAt: Math.max(...tracked.submittedAts),
  }),
  state: 'REQUEUED',
  holdId: tracked.holdId,
});

/** The hold of a job: open, or by the mark that sacct kept. */
const holdOfJob = async (
  { slurm }: AgentParts,
  { jobId, holds }: { cluster: string; jobId: string; holds: ReturnType<typeof createHolds> },
): Promise<string | undefined> => {
  let found: string | undefined;
  for (const tracked of holds.all()) if (tracked.submissionId === jobId) found = tracked.holdId;
  if (found !== undefined) return found;
  try {
    await slurm.runsOf(
      [jobId],
      (run) => {
        if (run.jobId === jobId) found = run.holdId ?? found;
      },
      () => undefined,
    );
  } catch (error) {
    if (!(error instanceof SlurmSilent)) throw error;
  }
  return found;
};

const once = <T>(ask: () => Promise<T>): (() => Promise<T>) => {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= ask();
    return answer;
  };
};
