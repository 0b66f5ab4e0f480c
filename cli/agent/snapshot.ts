// One look at squeue: which submissions are still alive. Only a whole look may say that something is not there.
import type { OnBadLine, QueuedJob, Slurm, TaskSet } from '#cli/agent/ports';
import { SlurmSilent, sentenceOfUnread } from '#cli/agent/ports';

/** Slurm, "Job State Codes": nothing follows in this run or any other, unless somebody requeues the job. Any other state is alive. */
const OVER: ReadonlySet<string> = new Set([
  'BOOT_FAIL',
  'CANCELLED',
  'COMPLETED',
  'DEADLINE',
  'FAILED',
  'LAUNCH_FAILED',
  'NODE_FAIL',
  'OUT_OF_MEMORY',
  'PREEMPTED',
  'REVOKED',
  'TIMEOUT',
]);
/** The run is over, and whether the job starts again is not to be seen yet. */
const ENDING: ReadonlySet<string> = new Set(['COMPLETING', 'STAGE_OUT']);
const WITH_NODES: ReadonlySet<string> = new Set(['RUNNING', 'SUSPENDED', 'STOPPED', 'CONFIGURING', 'RESIZING', 'SIGNALING']);

export const hasNodes = (job: QueuedJob): boolean => WITH_NODES.has(job.state) && job.startedAt !== null;

export const isEnding = ({ state }: QueuedJob): boolean => ENDING.has(state);

export type Liveness = 'alive' | 'ending' | 'gone';

/** All that squeue shows of one job, one array or one component of a het job, as far as it is not over. */
export interface Submission {
  readonly id: string;
  readonly jobs: readonly QueuedJob[];
}

export interface Snapshot {
  /** False: squeue failed or printed something unreadable, so what is missing here may be there all the same. */
  readonly isWhole: boolean;
  /** Whether all that this look should show of a submission is here, nothing being all, too. */
  shows(submissionId: string): boolean;
  /** Why it is not. */
  readonly problem?: string;
  readonly submissions: ReadonlyMap<string, Submission>;
  /** What squeue still remembers of jobs that are over. */
  readonly over: readonly QueuedJob[];
  readonly jobCount: number;
  /** Of a job, or of a task of an array. Without tasks: of the submission as a whole. */
  livenessOf(submissionId: string, tasks?: TaskSet): Liveness;
}

/** Look once. A failing squeue gives what it said before it failed, marked as not whole. */
export const takeSnapshot = async (slurm: Slurm, onBadLine: OnBadLine): Promise<Snapshot> => {
  const submissions = new Map<string, { id: string; jobs: QueuedJob[] }>();
  const over: QueuedJob[] = [];
  const unread = new Set<string>();
  let problem: string | undefined;
  let isAnybodyMissing = false;
  let jobCount = 0;
  try {
    await slurm.queue(
      (job) => {
        jobCount += 1;
        if (OVER.has(job.state)) {
          over.push(job);
          return;
        }
        const submission = submissions.get(job.submissionId);
        if (submission === undefined) submissions.set(job.submissionId, { id: job.submissionId, jobs: [job] });
        else submission.jobs.push(job);
      },
      (bad) => {
        problem ??= sentenceOfUnread(bad);
        if (bad.submissionId === undefined) isAnybodyMissing = true;
        else unread.add(bad.submissionId);
        onBadLine(bad);
      },
    );
  } catch (error) {
    if (!(error instanceof SlurmSilent)) throw error;
    problem ??= error.message;
    isAnybodyMissing = true;
  }
  const tasksAlive = new Map<string, (index: number) => Liveness>();
  return {
    isWhole: problem === undefined,
    shows: (submissionId) => !isAnybodyMissing && !unread.has(submissionId),
    ...(problem === undefined ? {} : { problem }),
    submissions,
    over,
    jobCount,
    livenessOf: (submissionId, tasks) => {
      const submission = submissions.get(submissionId);
      if (submission === undefined) return 'gone';
      const [only] = tasks === 'unknown' || tasks === undefined ? [] : tasks;
      // A record of many tasks is of those that never started: no other record of them can be alive.
      if (tasks === undefined) return livenessOfAll(submission);
      if (only === undefined || countOfTasks(tasks) > 1) return 'gone';
      const livenessOfTask = tasksAlive.get(submissionId) ?? indexTasks(submission);
      tasksAlive.set(submissionId, livenessOfTask);
      return livenessOfTask(only.first);
    },
  };
};

const livenessOfAll = ({ jobs }: Submission): Liveness => (jobs.some(({ state }) => !ENDING.has(state)) ? 'alive' : 'ending');

/** Thousands of tasks may be asked about, so lines of one task are looked up and not searched. */
const indexTasks = ({ jobs }: Submission): ((index: number) => Liveness) => {
  const single = new Map<number, Liveness>();
  const lists: Exclude<TaskSet, 'unknown'>[number][] = [];
  let mayBeAny = false;
  for (const { state, tasks } of jobs) {
    if (tasks === undefined || tasks === 'unknown') mayBeAny = true;
    else if (tasks.length === 1 && tasks[0] !== undefined && tasks[0].first === tasks[0].last)
      single.set(tasks[0].first, ENDING.has(state) ? 'ending' : 'alive');
    else lists.push(...tasks);
  }
  return (index) => {
    const found = single.get(index);
    if (found !== undefined) return found;
    const isListed = lists.some(({ first, last, step }) => index >= first && index <= last && (index - first) % step === 0);
    return isListed || mayBeAny ? 'alive' : 'gone';
  };
};

/** How many tasks a set has. */
export const countOfTasks = (tasks: TaskSet | undefined): number => {
  if (tasks === undefined || tasks === 'unknown') return 1;
  return tasks.reduce((sum, { first, last, step }) => sum + Math.floor((last - first) / step) + 1, 0);
};
