// The open holds of this cluster, as far as the agent knows them, and the jobs that they are for.
import type { EpochSeconds, QueuedJob } from '#cli/agent/ports';
import { hasNodes, isEnding, type Submission } from '#cli/agent/snapshot';
import type { HoldAnswer } from '#cli/api-client';
import { parseWallTime } from '#domain/slurm-time';

/** A run that was seen in squeue, in case nobody accounts for it. */
export interface Sighting {
  readonly jobId: string;
  readonly startedAt: EpochSeconds;
  readonly nodes: number;
  readonly partition: string;
  readonly tres: string;
  /** How often its job had been requeued: Slurm moves a start when a node was slow to boot, and that is no other run. */
  readonly restarts: number;
}

export interface TrackedHold {
  readonly holdId: string;
  readonly submissionId: string;
  /** Each time that its job was submitted: a requeue counts as one. */
  readonly submittedAts: EpochSeconds[];
  account: string;
  partition: string;
  tasks: number;
  wallTimeSeconds: number;
  nodes: number;
  expiresAtMs: number;
  /** How long after its job's latest end the hold lives when it was last extended. */
  marginMs: number;
  /** Since when squeue has not shown its job, in whole looks without a break. */
  absentSinceMs?: number;
  /** When to ask sacct for a job that is gone, and how often that was done. */
  nextLookMs: number;
  looks: number;
  /** Runs that squeue showed and that are not booked, by job id. */
  readonly sightings: Map<string, Sighting>;
  /** The last adjustment that was refused for good: it is not asked again until Slurm says something else. */
  refusedAdjustment?: string;
  /** This agent saw the job, so it knows that it did not run unseen before. */
  wasSeen: boolean;
}

interface RunOfJob {
  readonly submissionId: string;
  readonly submittedAt: EpochSeconds;
  readonly holdId?: string;
}

export interface Holds {
  readonly size: number;
  all(): Iterable<TrackedHold>;
  get(holdId: string): TrackedHold | undefined;
  /** The hold of a submission in the queue. */
  of(submission: Submission): TrackedHold | undefined;
  /** The hold of a run, by the mark that its row has, or by its job and the time when that was submitted. */
  ofRun(run: RunOfJob): TrackedHold | undefined;
  /** The same for a run without a mark whose time nobody knows: it may be a requeue of the last job of that number, or another job. */
  maybeOfRun(run: RunOfJob): TrackedHold | undefined;
  /** Undefined if the hold is not bound. */
  track(hold: HoldAnswer): TrackedHold | undefined;
  forget(holdId: string): void;
}

export const createHolds = (): Holds => {
  const byId = new Map<string, TrackedHold>();
  const bySubmission = new Map<string, TrackedHold[]>();
  const held = (submissionId: string): readonly TrackedHold[] => bySubmission.get(submissionId) ?? [];
  /** Job ids begin again one day, so the time decides; a requeue has a later one than any that is known. */
  const submittedBy = (submissionId: string, at: EpochSeconds): TrackedHold | undefined => {
    const exact = held(submissionId).find(({ submittedAts }) => submittedAts.includes(at));
    if (exact !== undefined) return exact;
    const earlier = held(submissionId).filter(({ submittedAts }) => Math.max(...submittedAts) < at);
    return earlier.toSorted((a, b) => Math.max(...b.submittedAts) - Math.max(...a.submittedAts))[0];
  };
  return {
    get size() {
      return byId.size;
    },
    all: () => byId.values(),
    get: (holdId) => byId.get(holdId),
    of: ({ id, jobs }) => {
      const named = holdIdOf(jobs);
      const known = named === undefined ? undefined : byId.get(named);
      if (known !== undefined && known.submissionId === id) return known;
      const at = submittedAtOf(jobs);
      const exact = held(id).find(({ submittedAts }) => submittedAts.includes(at));
      // Without its mark, only a job that was requeued is an older one.
      return exact ?? (named === undefined && jobs.some(({ restarts }) => restarts > 0) ? submittedBy(id, at) : undefined);
    },
    ofRun: ({ submissionId, submittedAt, holdId }) => {
      const named = holdId === undefined ? undefined : byId.get(holdId);
      if (named?.submissionId === submissionId) return named;
      return held(submissionId).find(({ submittedAts }) => submittedAts.includes(submittedAt));
    },
    maybeOfRun: ({ submissionId, submittedAt, holdId }) => (holdId === undefined ? submittedBy(submissionId, submittedAt) : undefined),
    track: (hold) => {
      if (hold.job_id === null || hold.submitted_at === null || hold.state !== 'open') return undefined;
      const before = byId.get(hold.hold_id);
      const submittedAt = Math.floor(Date.parse(hold.submitted_at) / 1000);
      if (before !== undefined) {
        update(before, hold);
        if (!before.submittedAts.includes(submittedAt)) before.submittedAts.push(submittedAt);
        return before;
      }
      const tracked: TrackedHold = { ...firstSight(hold), submissionId: hold.job_id, submittedAts: [submittedAt] };
      byId.set(tracked.holdId, tracked);
      bySubmission.set(tracked.submissionId, [...held(tracked.submissionId), tracked]);
      return tracked;
    },
    forget: (holdId) => {
      const tracked = byId.get(holdId);
      if (tracked === undefined) return;
      byId.delete(holdId);
      const left = held(tracked.submissionId).filter((each) => each !== tracked);
      if (left.length === 0) bySubmission.delete(tracked.submissionId);
      else bySubmission.set(tracked.submissionId, left);
    },
  };
};

/** The mark of the first line that has one: Slurm copies it to every task. */
export const holdIdOf = (jobs: readonly QueuedJob[]): string | undefined => jobs.find(({ holdId }) => holdId !== undefined)?.holdId;

/** Tasks that were requeued have a later time than their array. */
export const submittedAtOf = (jobs: readonly QueuedJob[]): EpochSeconds =>
  jobs.reduce((earliest, { submittedAt }) => Math.min(earliest, submittedAt), Number.POSITIVE_INFINITY);

/** A run that squeue showed, and that is over because its job has been requeued. */
export interface RunOver {
  readonly sighting: Sighting;
  /** Slurm submits a job anew when the run before is over. */
  readonly requeuedAt: EpochSeconds;
}

/**
 * Note what squeue shows of a job.
 * @returns runs that are over, because their jobs have been requeued since
 */
export const sight = (tracked: TrackedHold, jobs: readonly QueuedJob[]): RunOver[] => {
  tracked.wasSeen = true;
  const over: RunOver[] = [];
  for (const job of jobs) {
    if (isEnding(job)) continue; // Its times are still those of the run before.
    const { jobId, startedAt, nodes, partition, tres, restarts } = job;
    const before = tracked.sightings.get(jobId);
    if (before !== undefined && before.restarts !== restarts) {
      tracked.sightings.delete(jobId);
      over.push({ sighting: before, requeuedAt: job.submittedAt });
    }
    if (hasNodes(job) && startedAt !== null && tracked.sightings.get(jobId)?.startedAt !== startedAt)
      tracked.sightings.set(jobId, { jobId, startedAt, nodes, partition, tres, restarts });
  }
  return over;
};

/** A hold that was never extended lives its wall time and the service's margin; the answers do not say the margin itself. */
const firstSight = (hold: HoldAnswer) => {
  const wallTimeSeconds = wallTimeOf(hold);
  return {
    holdId: hold.hold_id,
    account: hold.account,
    partition: hold.partition,
    tasks: hold.tasks,
    wallTimeSeconds,
    nodes: hold.nodes,
    expiresAtMs: Date.parse(hold.expires_at),
    marginMs: Math.max(0, Date.parse(hold.expires_at) - Date.parse(hold.created_at) - wallTimeSeconds * 1000),
    nextLookMs: 0,
    looks: 0,
    sightings: new Map<string, Sighting>(),
    wasSeen: false,
  };
};

const update = (tracked: TrackedHold, hold: HoldAnswer): void => {
  tracked.account = hold.account;
  tracked.partition = hold.partition;
  tracked.tasks = hold.tasks;
  tracked.wallTimeSeconds = wallTimeOf(hold);
  tracked.nodes = hold.nodes;
  tracked.expiresAtMs = Date.parse(hold.expires_at);
};

const wallTimeOf = (hold: HoldAnswer): number => parseWallTime(hold.wall_time) ?? 0;
