// Whose a run is: the hold that its job was bound to. A run is booked once for each hold, so the answer must be the same each
// time that its row is read, by another agent too, and after a site's script has overwritten its admin_comment.
import { answerOf, type Desk } from '#cli/agent/desk';
import { forcedIdOf, isForcedId, MAX_FORCED_PER_JOB } from '#cli/agent/forced-id';
import type { Holds, TrackedHold } from '#cli/agent/holds';
import type { EpochSeconds } from '#cli/agent/ports';
import { type EndedRun, isoOf } from '#cli/agent/runs';
import type { HoldAnswer } from '#cli/api-client';

export interface WhoseParts {
  readonly holds: Holds;
  /** Open holds that no job is bound to, by id. */
  readonly unbound: ReadonlyMap<string, HoldAnswer>;
  /** Runs of unmarked jobs that ended before this are not ours: asbb was not there yet. */
  readonly adoptedAt: EpochSeconds;
  /** What this agent remembers of where it booked runs. */
  readonly booked: { holdOf(run: EndedRun): string | undefined };
}

export interface Owner {
  readonly holdId: string;
  /** Undefined: it is closed, or nobody has ever held for this job. */
  readonly tracked: TrackedHold | undefined;
}

/** `nobody`: not guarded, or from before asbb was there. `later`: the API could not say now. */
export type Whose = Owner | 'nobody' | 'later';

/** Finds owners, and asks once for each job. */
export const createWhose = (desk: Desk, parts: WhoseParts): ((run: EndedRun) => Promise<Whose>) => {
  const asked = new Map<string, Promise<string | undefined | 'later'>>();
  const first = async (run: EndedRun): Promise<Whose> => {
    const known = parts.holds.ofRun(run);
    if (known?.submittedAts.includes(run.submittedAt) === true) return { holdId: known.holdId, tracked: known };
    const maybe = known ?? parts.holds.maybeOfRun(run);
    if (maybe === undefined && run.holdId === undefined && !isOwed(desk, parts, run)) return 'nobody';
    const key = `${run.submissionId}@${run.submittedAt}`;
    const linked = asked.get(key) ?? linkOf(desk, run);
    asked.set(key, linked);
    const holdId = await linked;
    if (holdId === 'later') return 'later';
    if (holdId !== undefined) return ownerOf(parts, holdId);
    // A requeue between two looks: bound by its new time, the job is found even when its hold has ended.
    if (maybe !== undefined) return (await bound(desk, parts, { holdId: maybe.holdId, run })) ? ownerOf(parts, maybe.holdId) : 'later';
    if (run.holdId === undefined) return ownerOf(parts, forcedIdOf(desk, run, 0));
    if (parts.unbound.has(run.holdId) && !(await bound(desk, parts, { holdId: run.holdId, run }))) return 'later';
    return ownerOf(parts, run.holdId);
  };
  return async (run) => {
    const owner = await first(run);
    return typeof owner === 'string' ? owner : bookedBefore(desk, parts, { run, owner });
  };
};

/**
 * A job may have had several holds: one that it names, and forced ones after each other. What was booked against one stays
 * there, whichever is open now.
 */
const bookedBefore = async (desk: Desk, parts: WhoseParts, { run, owner }: { run: EndedRun; owner: Owner }): Promise<Whose> => {
  for (const holdId of othersOf(desk, parts, { run, owner })) {
    const booked = await isBooked(desk, { holdId, runId: run.runId });
    if (booked === 'later') return 'later';
    if (booked) return ownerOf(parts, holdId);
  }
  return owner;
};

/** In almost every case there are none: the job names its hold, and that is the one. */
const othersOf = (desk: Desk, { booked }: WhoseParts, { run, owner: { holdId } }: { run: EndedRun; owner: Owner }): Set<string> => {
  const others = new Set([booked.holdOf(run), run.holdId].flatMap((other) => other ?? []));
  // A run without a mark may have been booked late, before its hold was known.
  if (!isForcedId(holdId) && run.holdId === undefined) others.add(forcedIdOf(desk, run, 0));
  for (let n = 0; isForcedId(holdId) && n < MAX_FORCED_PER_JOB; n += 1) {
    const forced = forcedIdOf(desk, run, n);
    if (forced === holdId) break;
    others.add(forced);
  }
  others.delete(holdId);
  return others;
};

const isBooked = async (desk: Desk, { holdId, runId }: { holdId: string; runId: string }): Promise<boolean | 'later'> => {
  const run = await answerOf(desk, () => desk.api.request('showRun', { path: { hold_id: holdId, run_id: runId } }));
  return run === 'later' ? 'later' : run !== 'refused';
};

const ownerOf = ({ holds }: WhoseParts, holdId: string): Owner => ({ holdId, tracked: holds.get(holdId) });

/** Whether a run that no hold is known for costs money that nobody has asked about. */
const isOwed = (desk: Desk, { adoptedAt }: WhoseParts, run: EndedRun): boolean =>
  run.startedAt !== null && run.endedAt >= adoptedAt && desk.guard.guards(run.partition);

/** Of this very submission: an earlier job of the same number is another job. */
const linkOf = async (desk: Desk, { submissionId, submittedAt }: EndedRun): Promise<string | undefined | 'later'> => {
  const path = { cluster: desk.settings.cluster, job_id: submissionId };
  const link = await answerOf(desk, () => desk.api.request('showJob', { path, query: { submitted_at: isoOf(submittedAt) } }));
  if (link === 'later') return 'later';
  return link !== 'refused' && Date.parse(link.submitted_at) === submittedAt * 1000 ? link.hold_id : undefined;
};

/** False: the API could not do it now. A hold that cannot be bound has ended, and is booked against as it is. */
const bound = async (desk: Desk, { holds }: WhoseParts, { holdId, run }: { holdId: string; run: EndedRun }): Promise<boolean> => {
  const body = { cluster: desk.settings.cluster, job_id: run.submissionId, submitted_at: isoOf(run.submittedAt) };
  const hold = await answerOf(desk, () => desk.api.request('bindHold', { path: { hold_id: holdId }, body }));
  if (hold === 'later') return false;
  if (hold === 'refused') return true;
  desk.counts.bound += 1;
  holds.track(hold);
  return true;
};
