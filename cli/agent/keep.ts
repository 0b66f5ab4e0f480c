// Jobs in the queue: each guarded one has an open hold that is bound to it, large enough, and not about to expire.
import { type Adjustment, makeFollow } from '#cli/agent/adjust';
import { answerOf, attempt, type Desk, inParallel } from '#cli/agent/desk';
import { forcedIdOf, MAX_FORCED_PER_JOB } from '#cli/agent/forced-id';
import { type Holds, holdIdOf, type RunOver, sight, submittedAtOf, type TrackedHold } from '#cli/agent/holds';
import type { QueuedJob } from '#cli/agent/ports';
import { isoOf } from '#cli/agent/runs';
import { hasNodes, type Snapshot, type Submission } from '#cli/agent/snapshot';
import type { HoldAnswer } from '#cli/api-client';
import { given } from '#cli/commands/values';
import { formatArraySpec } from '#domain/array-spec';
import { BudgetError } from '#domain/errors';
import { ceilDiv } from '#domain/money';
import { formatWallTime } from '#domain/slurm-time';
import { parseTres } from '#domain/tres';

const JOBS_AT_ONCE = 8;
/** A job whose hold cannot be made is asked about again after so long, and not in every pass. */
const RETRY_AFTER_MS = 10 * 60_000;
/** Further than any service grants: what it grants is in its answer. */
const FAR_AHEAD_MS = 365 * 24 * 3600 * 1000;

export interface KeepParts {
  readonly holds: Holds;
  readonly snapshot: Snapshot;
  /** Open holds that no job is bound to, by id. */
  readonly unbound: ReadonlyMap<string, HoldAnswer>;
  /** What could not be done, by submission. */
  readonly postponed: Map<string, Postponed>;
  /** Runs that ended unseen, since their jobs were requeued between two looks. */
  readonly onRunOver: (tracked: TrackedHold, over: RunOver) => void;
}

export interface Postponed {
  /** When to try it again. */
  readonly untilMs: number;
  /** What it waits for: every pass tells of it, whether it asks again or not. */
  readonly unknownAccount?: string;
}

/** Look after every job that squeue shows. */
export const keepJobs = async (desk: Desk, parts: KeepParts): Promise<void> => {
  const work: (() => Promise<void>)[] = [];
  for (const submission of parts.snapshot.submissions.values()) {
    const tracked = parts.holds.of(submission);
    if (tracked === undefined) {
      if (isDue(desk, parts, submission)) work.push(() => adopt(desk, parts, submission));
      continue;
    }
    delete tracked.absentSinceMs;
    tracked.nextLookMs = 0;
    tracked.looks = 0;
    work.push(() => keep(desk, parts, tracked, submission));
  }
  await inParallel(work, JOBS_AT_ONCE, (each) => each());
};

/** Note what the job does, and make its hold follow. */
const keep = async (desk: Desk, parts: KeepParts, tracked: TrackedHold, submission: Submission): Promise<void> => {
  for (const over of sight(tracked, submission.jobs)) parts.onRunOver(tracked, over);
  if (!parts.snapshot.shows(submission.id)) return; // Other lines of it may say something else.
  for (const change of changesOf(desk, parts, tracked, submission)) await change();
};

const isDue = (desk: Desk, { postponed, unbound }: KeepParts, { id, jobs }: Submission): boolean => {
  const holdId = holdIdOf(jobs);
  if (holdId === undefined && !jobs.some(({ partition }) => desk.guard.guards(partition))) return false;
  if (holdId !== undefined && unbound.has(holdId)) return true;
  const { untilMs, unknownAccount } = postponed.get(id) ?? {};
  if (untilMs !== undefined && untilMs > desk.now()) {
    if (unknownAccount !== undefined) desk.unknownAccount(unknownAccount);
    return false;
  }
  postponed.delete(id);
  return true;
};

/** A job without a hold that we know: find the one that it names, or hold the money now. */
const adopt = async (desk: Desk, parts: KeepParts, submission: Submission): Promise<void> => {
  const named = holdIdOf(submission.jobs);
  const hold = named === undefined ? undefined : (parts.unbound.get(named) ?? (await showOpen(desk, named)));
  if (hold !== undefined && (await bind(desk, parts, hold.hold_id, submission))) return;
  // The plugin let it in and could not ask, or its hold has ended although the job lives.
  const ids = [...(named === undefined || hold !== undefined ? [] : [named]), ...forcedIdsOf(desk, submission)];
  for (const holdId of ids) if (await force(desk, parts, { holdId, submission })) return;
  desk.keepAside({ reason: `job ${submission.id} had ${MAX_FORCED_PER_JOB} forced holds, and all have ended`, entry: submission.jobs[0] });
  postpone(desk, parts, submission);
};

/** Undefined: there is no such hold, or it is closed. */
const showOpen = async (desk: Desk, holdId: string): Promise<HoldAnswer | undefined> => {
  const hold = await attempt(
    desk,
    () => desk.api.request('showHold', { path: { hold_id: holdId }, query: { limit: '1' } }),
    () => undefined,
  );
  return hold?.state === 'open' ? hold : undefined;
};

const jobOf = (desk: Desk, { id, jobs }: Submission) => ({
  cluster: desk.settings.cluster,
  job_id: id,
  submitted_at: isoOf(submittedAtOf(jobs)),
});

/** False: the hold is not for this job. */
const bind = async (desk: Desk, parts: KeepParts, holdId: string, submission: Submission): Promise<boolean> => {
  const body = jobOf(desk, submission);
  const hold = await answerOf(desk, () => desk.api.request('bindHold', { path: { hold_id: holdId }, body }));
  if (typeof hold === 'string') return hold === 'later';
  desk.counts.bound += 1;
  const tracked = parts.holds.track(hold);
  if (tracked !== undefined) await keep(desk, parts, tracked, submission);
  return true;
};

const forcedIdsOf = (desk: Desk, { id, jobs }: Submission): string[] => {
  const job = { submissionId: id, submittedAt: submittedAtOf(jobs) };
  return Array.from({ length: MAX_FORCED_PER_JOB }, (_, n) => forcedIdOf(desk, job, n));
};

/** True: held, or not to be tried under another id either. */
const force = async (
  desk: Desk,
  parts: KeepParts,
  { holdId, submission }: { holdId: string; submission: Submission },
): Promise<boolean> => {
  let isClosed = false;
  const send = (sizes: 'whole' | 'nodes only'): Promise<HoldAnswer | undefined> =>
    attempt(
      desk,
      () =>
        desk.api.request('forceHold', {
          body: {
            ...jobBodyOf(submission, sizes),
            ...jobOf(desk, submission),
            hold_id: holdId,
            reason: 'a job in a guarded partition without a hold',
          },
        }),
      async (code, error) => {
        // Slurm has placed the job already, so its nodes count, whatever the partition's model says of their size.
        if (code === 'does_not_fit' && sizes === 'whole') return send('nodes only');
        if (code === 'hold_closed' || code === 'hold_conflict') isClosed = true;
        else refuseForce(desk, parts, { submission, code, message: error.message });
        return undefined;
      },
    );
  const hold = await send('whole');
  if (hold === undefined) return !isClosed;
  desk.counts.forced += 1;
  const tracked = parts.holds.track(hold);
  if (tracked !== undefined) sight(tracked, submission.jobs);
  return true;
};

const refuseForce = (
  desk: Desk,
  parts: KeepParts,
  { submission, code, message }: { submission: Submission; code: string; message: string },
): void => {
  const account = submission.jobs[0]?.account ?? '';
  if (code === 'account_not_found') desk.unknownAccount(account);
  else desk.complain(`job ${submission.id} has no hold, and none can be forced: ${message}`);
  postpone(desk, parts, submission, code === 'account_not_found' ? { unknownAccount: account } : {});
};

const postpone = (desk: Desk, { postponed }: KeepParts, { id }: Submission, why: Pick<Postponed, 'unknownAccount'> = {}): void => {
  postponed.set(id, { untilMs: desk.now() + RETRY_AFTER_MS, ...why });
};

/** What squeue says of a job, as sbatch would have said it. */
const jobBodyOf = ({ jobs }: Submission, sizes: 'whole' | 'nodes only') => {
  const largest = jobs.reduce((a, b) => (nodesOf(b) > nodesOf(a) ? b : a));
  const nodes = nodesOf(largest);
  const { cpus, memoryMib, gpus } = parseTresOrNot(largest.tres);
  return {
    account: largest.account,
    partition: largest.partition,
    ...given({
      user: largest.user === '' ? undefined : largest.user,
      nodes: nodes === 0 ? undefined : nodes,
      wall_time: largest.timeLimitSeconds === null ? undefined : formatWallTime(largest.timeLimitSeconds),
      array: arrayOf(jobs),
    }),
    ...(sizes === 'nodes only' || nodes === 0
      ? {}
      : given({
          cpus: cpus === 0 ? undefined : cpus,
          gpus,
          memory: memoryMib === undefined || memoryMib === 0 ? undefined : Number(ceilDiv(BigInt(memoryMib), BigInt(nodes))),
        })),
  };
};

const nodesOf = (job: QueuedJob): number => (hasNodes(job) ? job.nodes : Math.max(job.maxNodes, job.nodes));

const parseTresOrNot = (text: string): ReturnType<typeof parseTres> => {
  try {
    return parseTres(text);
  } catch (error) {
    if (error instanceof BudgetError) return {};
    throw error;
  }
};

/** The tasks that are alive: others cannot be held for any more. */
const arrayOf = (jobs: readonly QueuedJob[]): string | undefined => {
  const ranges = jobs.flatMap(({ tasks }) => (tasks === undefined || tasks === 'unknown' ? [] : [...tasks]));
  return ranges.length === 0 ? undefined : formatArraySpec({ ranges });
};

// --- a job whose hold is known ------------------------------------------------------------------------------------------

type Change = () => Promise<void>;

const changesOf = (desk: Desk, { holds }: KeepParts, tracked: TrackedHold, submission: Submission): Change[] => {
  const changes: Change[] = [];
  if (submittedAtOf(submission.jobs) > Math.max(...tracked.submittedAts)) changes.push(() => rebind(desk, holds, { tracked, submission }));
  const adjustment = adjustmentOf(tracked, submission);
  if (adjustment !== undefined) changes.push(() => adjust(desk, holds, { tracked, adjustment }));
  const needed = neededUntilMs(desk, tracked, submission);
  if (tracked.expiresAtMs - needed < tracked.marginMs / 2) changes.push(() => extend(desk, holds, { tracked, needed }));
  return changes;
};

/** The hold ended by somebody else's hand: the next look at the job holds for it anew. */
const ended = (holds: Holds, { holdId }: TrackedHold, code: string): boolean => {
  if (code !== 'hold_closed' && code !== 'hold_not_found') return false;
  holds.forget(holdId);
  return true;
};

/** A requeued job has a later submission time, and may have lost its mark: it must be found by the new time as well. */
const rebind = async (
  desk: Desk,
  holds: Holds,
  { tracked, submission }: { tracked: TrackedHold; submission: Submission },
): Promise<void> => {
  const hold = await attempt(
    desk,
    () => desk.api.request('bindHold', { path: { hold_id: tracked.holdId }, body: jobOf(desk, submission) }),
    (code, error) => {
      if (!ended(holds, tracked, code)) desk.complain(`hold ${tracked.holdId} cannot be bound to the requeued job: ${error.message}`);
      return undefined;
    },
  );
  if (hold !== undefined) holds.track(hold);
};

/** What Slurm has on record and the hold has not. */
const adjustmentOf = (tracked: TrackedHold, { jobs }: Submission): Adjustment | undefined => {
  const [first] = jobs;
  if (first === undefined) return undefined;
  const longest = longestLimit(jobs);
  const running = tracked.tasks === 1 ? jobs.find(hasNodes) : undefined;
  const priced = new Set(tracked.partition.split(','));
  const adjustment = given({
    wall_time: longest === null || longest === tracked.wallTimeSeconds ? undefined : formatWallTime(longest),
    nodes: running === undefined || running.nodes === 0 || running.nodes === tracked.nodes ? undefined : running.nodes,
    account: first.account === '' || first.account === tracked.account ? undefined : first.account,
    partition: first.partition.split(',').some((name) => priced.has(name)) ? undefined : first.partition,
  });
  const isNothing = Object.keys(adjustment).length === 0;
  return isNothing || JSON.stringify(adjustment) === tracked.refusedAdjustment ? undefined : adjustment;
};

/** Null: one of them has none. */
const longestLimit = (jobs: readonly QueuedJob[]): number | null =>
  jobs.reduce<number | null>(
    (longest, { timeLimitSeconds: limit }) => (longest === null || limit === null ? null : Math.max(longest, limit)),
    0,
  );

const adjust = async (
  desk: Desk,
  holds: Holds,
  { tracked, adjustment }: { tracked: TrackedHold; adjustment: Adjustment },
): Promise<void> => {
  const { holdId } = tracked;
  switch (await makeFollow(desk, tracked, adjustment)) {
    case 'done': {
      const hold = await showOpen(desk, holdId);
      if (hold !== undefined) holds.track(hold);
      return;
    }
    case 'ended':
      holds.forget(holdId);
      return;
    case 'refused':
      tracked.refusedAdjustment = JSON.stringify(adjustment);
      return;
    case 'later':
  }
};

/** When the job's last run ends at the latest. */
const neededUntilMs = (desk: Desk, tracked: TrackedHold, { jobs }: Submission): number => {
  const now = desk.now();
  // An array may have more tasks than a call takes arguments.
  return jobs.reduce((latest, job) => {
    const limitMs = (job.timeLimitSeconds ?? tracked.wallTimeSeconds) * 1000;
    const begunMs = hasNodes(job) && job.startedAt !== null ? job.startedAt * 1000 : now;
    return Math.max(latest, begunMs + limitMs);
  }, now);
};

/** Rarely: only when less than half of the margin is left, and then as far as the service grants. */
const extend = async (desk: Desk, holds: Holds, { tracked, needed }: { tracked: TrackedHold; needed: number }): Promise<void> => {
  const hold = await attempt(
    desk,
    () =>
      desk.api.request('extendHold', {
        path: { hold_id: tracked.holdId },
        body: { expires_at: new Date(needed + FAR_AHEAD_MS).toISOString() },
      }),
    (code, error) => {
      if (!ended(holds, tracked, code)) desk.complain(`hold ${tracked.holdId} cannot be extended: ${error.message}`);
      return undefined;
    },
  );
  if (hold === undefined) return;
  desk.counts.extended += 1;
  holds.track(hold);
  tracked.marginMs = Math.max(0, tracked.expiresAtMs - needed);
};
