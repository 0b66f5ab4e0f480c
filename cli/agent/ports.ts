// What the agent knows of Slurm, and what it asks of it. Nothing here runs a command: tests bring a simulated cluster.

/** Enough of a line to know it again. */
const MAX_SHOWN_CHARS = 80;

/** Seconds since 1970, as Slurm counts. */
export type EpochSeconds = number;

/** A line of squeue. */
export interface QueuedJob {
  /** Slurm's own number of this job or array task. */
  readonly jobId: string;
  /** What its hold is bound to: an array's first number for all of its tasks, else `jobId`. */
  readonly submissionId: string;
  /** Which tasks of an array this line stands for; undefined for a job that is no array. */
  readonly tasks?: TaskSet;
  readonly account: string;
  readonly user: string;
  /** May be a list while the job waits. */
  readonly partition: string;
  /** Slurm's long name, like PENDING. */
  readonly state: string;
  /** Of a running job: allocated. */
  readonly nodes: number;
  /** The most it may get; 0 if Slurm does not say. */
  readonly maxNodes: number;
  readonly cpus: number;
  /** Null: no limit. */
  readonly timeLimitSeconds: number | null;
  readonly submittedAt: EpochSeconds;
  /** Of a waiting job this is Slurm's guess. */
  readonly startedAt: EpochSeconds | null;
  readonly endedAt: EpochSeconds | null;
  readonly restarts: number;
  /** Slurm's list of what the job has, or waits for. */
  readonly tres: string;
  /** Where it runs or ran; empty if it has not been given nodes. */
  readonly nodeList: string;
  /** Named in its admin_comment. */
  readonly holdId?: string;
}

/** Task indices of an array. `unknown`: Slurm cut the list off, so any of them may be meant. */
export type TaskSet = 'unknown' | readonly { readonly first: number; readonly last: number; readonly step: number }[];

/** A row of sacct: one run of a job or array task. */
export interface AccountedRun {
  /** slurmdbd's key of the row, unique in a cluster. */
  readonly dbIndex: string;
  readonly jobId: string;
  readonly submissionId: string;
  readonly tasks?: TaskSet;
  readonly cluster: string;
  readonly user: string;
  readonly account: string;
  /** Empty if Slurm does not say; a list for a job that never started. */
  readonly partition: string;
  /** Slurm's long name, like COMPLETED; without the "by 1001" of CANCELLED. */
  readonly state: string;
  readonly submittedAt: EpochSeconds;
  readonly startedAt: EpochSeconds | null;
  readonly endedAt: EpochSeconds | null;
  readonly nodes: number;
  readonly tres: string;
  readonly holdId?: string;
}

export interface ClusterFacts {
  readonly clusterName: string;
  /** False: there is no slurmdbd, so only squeue tells what became of a job. */
  readonly hasAccounting: boolean;
  /** How long squeue remembers an ended job. */
  readonly minJobAgeSeconds: number;
  readonly bootedAt: EpochSeconds;
  /** False: Slurm's PrivateData hides the jobs of others from this user, so that they seem to be gone. */
  readonly showsAllJobs: boolean;
}

/**
 * Slurm's commands. Each throws `SlurmSilent` if it failed or was cut off: then nothing may be concluded from what it did not
 * say.
 */
export interface Slurm {
  /** `scontrol show config`. */
  facts(): Promise<ClusterFacts>;
  /** `squeue`: all jobs that slurmctld remembers, ended ones too. A line that cannot be read is given to `onBadLine`. */
  queue(onJob: (job: QueuedJob) => void, onBadLine: OnBadLine): Promise<void>;
  /** `sacct`: runs that ended in a window of time. */
  endedRuns(window: { readonly from: EpochSeconds; readonly to: EpochSeconds }, onRun: OnRun, onBadLine: OnBadLine): Promise<void>;
  /** `sacct -j`: all runs of these submissions, ended or not. */
  runsOf(submissionIds: readonly string[], onRun: OnRun, onBadLine: OnBadLine): Promise<void>;
  /** `sdiag`: how many records slurmctld has not yet handed to slurmdbd. */
  accountingBacklog(): Promise<number>;
}

export type OnRun = (run: AccountedRun) => void;
export type OnBadLine = (bad: UnreadLine) => void;

/** A line that cannot be taken as it stands. */
export interface UnreadLine {
  readonly source: 'squeue' | 'sacct';
  readonly line: string;
  readonly problem: string;
  /** Whose it is, if at least that can be read. */
  readonly submissionId?: string;
}

export const sentenceOfUnread = ({ source, line, problem, submissionId }: UnreadLine): string =>
  submissionId === undefined
    ? `${source}: the line '${line.slice(0, MAX_SHOWN_CHARS)}' ${problem}`
    : `${source}: a line of job ${submissionId} ${problem}`;

/** A command of Slurm failed, so its silence says nothing. */
export class SlurmSilent extends Error {
  override readonly name = 'SlurmSilent';
}
