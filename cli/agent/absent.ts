// Holds whose jobs are not in the queue: orphans, which never had one, and holds whose job is gone. Money goes back only on
// Slurm's positive word, never because a command failed or a row is late.
import { answerOf, attempt, type Desk, inParallel } from '#cli/agent/desk';
import type { Sighting, TrackedHold } from '#cli/agent/holds';
import type { AccountedRun, EpochSeconds, OnBadLine, Slurm } from '#cli/agent/ports';
import { type EndedRun, endedRunOf, runOfSighting, wireRestOf } from '#cli/agent/runs';
import { type BookedRuns, type SendRuns, type SettleParts, settleRuns } from '#cli/agent/settle';
import type { HoldAnswer, HoldDetailAnswer } from '#cli/api-client';

const HOLDS_AT_ONCE = 8;
/** A job that is gone is asked for again after this, twice this, and so on, up to the longest. */
const FIRST_LOOK_AFTER_MS = 15_000;
const LONGEST_LOOK_AFTER_MS = 10 * 60_000;

export interface AbsentParts extends SettleParts {
  /** To the API itself, also where ended runs go to a bus. */
  readonly direct: SendRuns;
  readonly slurm: Slurm;
  readonly hasAccounting: boolean;
  /** Since when a hold without a job was looked for in vain, in whole looks without a break. */
  readonly orphans: Map<string, number>;
  readonly booked: BookedRuns;
  readonly onBadLine: OnBadLine;
  /** Whether Slurm's silence means something now; asked only if there is a silence to judge. */
  readonly positiveWord: () => Promise<boolean>;
  /** When squeue was asked. */
  readonly lookedAtMs: number;
  /** Without accounting: since when each look followed the one before within squeue's memory. */
  readonly watchedSinceMs: number;
}

// --- orphans --------------------------------------------------------------------------------------------------------------

/** Release what Slurm has refused after the plugin said yes, or what was only a test: in the second look that misses it. */
export const releaseOrphans = async (desk: Desk, parts: AbsentParts): Promise<void> => {
  const missing = missingOf(parts);
  for (const holdId of parts.orphans.keys()) if (!missing.has(holdId)) parts.orphans.delete(holdId);
  const due: HoldAnswer[] = [];
  for (const [holdId, hold] of missing) {
    const isSecondLook = parts.orphans.has(holdId);
    if (!isSecondLook) parts.orphans.set(holdId, desk.now());
    if (isSecondLook && isOldEnough(desk, parts, hold)) due.push(hold);
  }
  if (due.length === 0 || !(await parts.positiveWord())) return;
  await inParallel(due, HOLDS_AT_ONCE, (hold) => release(desk, parts, hold));
};

const missingOf = ({ snapshot, unbound, holds }: AbsentParts): Map<string, HoldAnswer> => {
  if (!snapshot.isWhole) return new Map();
  const carried = new Set([...snapshot.submissions.values()].flatMap(({ jobs }) => jobs.map(({ holdId }) => holdId)));
  return new Map([...unbound].filter(([holdId]) => !carried.has(holdId) && holds.get(holdId) === undefined));
};

const isOldEnough = (desk: Desk, { hasAccounting, watchedSinceMs }: AbsentParts, hold: HoldAnswer): boolean => {
  const createdAtMs = Date.parse(hold.created_at);
  if (desk.now() - createdAtMs < desk.settings.orphanAfterMs) return false;
  // Without slurmdbd, a job that ran and ended between two looks would have left nothing.
  return hasAccounting || createdAtMs >= watchedSinceMs;
};

const release = async (desk: Desk, { orphans }: AbsentParts, { hold_id }: HoldAnswer): Promise<void> => {
  const body = { reason: 'no job of Slurm carries this hold' };
  await attempt(
    desk,
    async () => {
      await desk.api.request('releaseHold', { path: { hold_id }, body });
      desk.counts.released += 1;
      orphans.delete(hold_id);
    },
    (code, error) => {
      orphans.delete(hold_id);
      if (code !== 'hold_closed' && code !== 'hold_not_found') desk.complain(`orphan ${hold_id} cannot be released: ${error.message}`);
    },
  );
};

// --- holds whose job is gone ----------------------------------------------------------------------------------------------

/**
 * Book what is accounted of jobs that are gone, and in the end close their holds.
 *
 * The row of a run may be hours late. When Slurm's word is positive and there still is none, what was seen of the job is what
 * is booked: slurmctld forgets jobs if it is killed before it has saved them, and nobody will ever account for those.
 */
export const settleGone = async (desk: Desk, parts: AbsentParts): Promise<void> => {
  const gone: TrackedHold[] = [];
  for (const tracked of parts.holds.all()) {
    if (isShown(parts, tracked) || !parts.snapshot.shows(tracked.submissionId)) continue;
    tracked.absentSinceMs = Math.min(tracked.absentSinceMs ?? parts.lookedAtMs, parts.lookedAtMs);
    if (tracked.nextLookMs <= desk.now() || tracked.nextLookMs > desk.now() + LONGEST_LOOK_AFTER_MS) gone.push(tracked);
  }
  if (gone.length === 0) return;
  const found = parts.hasAccounting ? await rowsOf(desk, parts, gone) : { rows: [], unread: new Set<string>() };
  if (found === undefined) return;
  const { rows, unread } = found;
  const cluster = desk.settings.cluster;
  await settleRuns(
    desk,
    parts,
    rows.flatMap((row) => endedRunOf(cluster, row) ?? []),
  );
  // Of a row that cannot be read only a person can say what it cost, so its hold waits for one.
  const open = gone.filter(({ holdId, submissionId }) => parts.holds.get(holdId) !== undefined && !unread.has(submissionId));
  await inParallel(open, HOLDS_AT_ONCE, (tracked) => closeOrWait(desk, parts, { tracked, rows }));
};

/** By its own number, unless that is another job's by now. */
const isShown = ({ snapshot, holds }: AbsentParts, tracked: TrackedHold): boolean => {
  const submission = snapshot.submissions.get(tracked.submissionId);
  return submission !== undefined && holds.of(submission) === tracked;
};

/** Undefined: sacct failed, and so said nothing. */
const rowsOf = async (
  desk: Desk,
  { slurm, holds, onBadLine }: AbsentParts,
  gone: readonly TrackedHold[],
): Promise<{ rows: AccountedRun[]; unread: ReadonlySet<string> } | undefined> => {
  const rows: AccountedRun[] = [];
  const unread = new Set<string>();
  const wanted = new Set(gone);
  try {
    await slurm.runsOf(
      [...new Set(gone.map(({ submissionId }) => submissionId))],
      (row) => {
        const tracked = holds.ofRun(row);
        if (tracked !== undefined && wanted.has(tracked)) rows.push(row);
      },
      (bad) => {
        if (bad.submissionId !== undefined) unread.add(bad.submissionId);
        onBadLine(bad);
      },
    );
    return { rows, unread };
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'SlurmSilent') throw error;
    desk.complain(`nothing is known of ${gone.length} jobs that are gone: ${error.message}`);
    return undefined;
  }
};

const closeOrWait = async (
  desk: Desk,
  parts: AbsentParts,
  { tracked, rows }: { tracked: TrackedHold; rows: readonly AccountedRun[] },
): Promise<void> => {
  const absentMs = desk.now() - (tracked.absentSinceMs ?? desk.now());
  if (absentMs >= desk.settings.orphanAfterMs) {
    // Slurm has just started, or has not told slurmdbd all: that is over soon, and then nothing is to wait for any more.
    if (!(await parts.positiveWord())) return;
    // So is what the API could not do just now.
    if ((await close(desk, parts, { tracked, rows })) === 'later') return;
  }
  tracked.looks += 1;
  const wait = Math.min(LONGEST_LOOK_AFTER_MS, FIRST_LOOK_AFTER_MS * 2 ** (tracked.looks - 1));
  // Not past the moment from which on it may be closed.
  const closable = (tracked.absentSinceMs ?? desk.now()) + desk.settings.orphanAfterMs;
  tracked.nextLookMs = desk.now() < closable ? Math.min(desk.now() + wait, closable) : desk.now() + wait;
};

/**
 * Book runs that were seen and never accounted for, and give the rest back. What was put on a bus may have been lost there, so
 * all that is known of the job is told to the API itself: what it has booked is not booked again.
 * @returns `later` if the API could not do it now
 */
const close = async (
  desk: Desk,
  parts: AbsentParts,
  { tracked, rows }: { tracked: TrackedHold; rows: readonly AccountedRun[] },
): Promise<'done' | 'later'> => {
  const { holdId } = tracked;
  const mine = rows.filter((row) => parts.holds.ofRun(row) === tracked);
  const lost = [...sightingsOf(tracked, mine).values()];
  if (lost.length === 0 && mine.length === 0 && mayHaveRunUnseen(parts, tracked)) return 'done'; // Nobody knows what it cost: its hold expires.
  const again = { ...parts, send: parts.direct, booked: parts.booked.untold() };
  const accounted = mine.flatMap((row) => endedRunOf(desk.settings.cluster, row) ?? []);
  const runs = [...accounted, ...lost.map((sighting) => runOfLost(desk, tracked, sighting))];
  // A run that could not be booked now has nobody to ask for it once its hold is closed and forgotten.
  if ((await settleRuns(desk, again, runs)) > 0) return 'later';
  const hold = await answerOf(desk, () => desk.api.request('showHold', { path: { hold_id: holdId }, query: { limit: '1' } }));
  if (hold === 'later') return 'later';
  if (hold !== 'refused' && hold.state === 'open') return settleRest(desk, parts, { hold, tracked });
  parts.holds.forget(holdId);
  return 'done';
};

/** Without slurmdbd, a job that waited when it was last seen may have run and ended before the look that missed it. */
const mayHaveRunUnseen = ({ hasAccounting, watchedSinceMs }: AbsentParts, { wasSeen, absentSinceMs = 0 }: TrackedHold): boolean =>
  !wasSeen || (!hasAccounting && absentSinceMs <= watchedSinceMs);

/** What was seen or begun, and has no row with an end. */
const sightingsOf = (tracked: TrackedHold, rows: readonly AccountedRun[]): Map<string, Sighting> => {
  const sightings = new Map(tracked.sightings);
  for (const { jobId, startedAt, endedAt, nodes, partition, tres } of rows) {
    if (startedAt !== null && endedAt === null && !sightings.has(jobId))
      sightings.set(jobId, { jobId, startedAt, nodes, partition, tres, restarts: 0 });
  }
  for (const { jobId, endedAt } of rows) {
    const seen = sightings.get(jobId);
    // Not by their starts: Slurm moves the start of a run whose node was slow to boot.
    if (seen !== undefined && endedAt !== null && endedAt >= seen.startedAt) sightings.delete(jobId);
  }
  return sightings;
};

/** Charged until it was first missed, but nobody's absence makes it longer than Slurm would have let it run. */
const runOfLost = (desk: Desk, tracked: TrackedHold, sighting: Sighting): EndedRun => {
  const missedAt = Math.floor((tracked.absentSinceMs ?? desk.now()) / 1000) satisfies EpochSeconds;
  const limitAt = tracked.wallTimeSeconds === 0 ? missedAt : sighting.startedAt + tracked.wallTimeSeconds;
  return runOfSighting(desk.settings.cluster, {
    sighting,
    endedAt: Math.min(missedAt, limitAt),
    submissionId: tracked.submissionId,
    account: tracked.account,
    submittedAt: Math.max(...tracked.submittedAts),
  });
};

const settleRest = async (
  desk: Desk,
  { holds, direct }: AbsentParts,
  { hold, tracked }: { hold: HoldDetailAnswer; tracked: TrackedHold },
): Promise<'done' | 'later'> => {
  const tasks = Math.max(1, hold.tasks - hold.tasks_ended);
  const rest = wireRestOf(desk.settings.cluster, { holdId: tracked.holdId, jobId: tracked.submissionId, tasks });
  let outcome: 'done' | 'later' = 'later';
  await attempt(
    desk,
    async () => {
      const [answer] = await direct(tracked.holdId, [rest]);
      outcome = 'done';
      desk.counts.closed += 1;
      if (answer === undefined || answer.hold_state !== 'open') holds.forget(tracked.holdId);
    },
    (code, error) => {
      outcome = 'done';
      if (code === 'hold_closed' || code === 'hold_not_found') holds.forget(tracked.holdId);
      else
        desk.keepAside({ reason: `hold ${tracked.holdId} of job ${tracked.submissionId} cannot be closed: ${error.message}`, entry: rest });
    },
  );
  return outcome;
};
