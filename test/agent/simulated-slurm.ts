// A Slurm cluster that exists only in a test: what slurmctld remembers, what slurmdbd has been told, and what gets lost when
// slurmctld is killed before it has saved its state. Time passes on the test's word.
import type { AccountedRun, ClusterFacts, QueuedJob, Slurm, TaskSet } from '#cli/agent/ports';
import { SlurmSilent } from '#cli/agent/ports';

export const CLUSTER = 'sim';
export const MIN_JOB_AGE_SECONDS = 300;

export interface JobSpec {
  readonly account: string;
  readonly partition: string;
  readonly nodes: number;
  readonly limitSeconds: number | null;
  /** Number of tasks, if it is an array. */
  readonly tasks?: number;
  readonly holdId?: string;
}

interface Job {
  readonly jobId: string;
  readonly submissionId: string;
  readonly spec: JobSpec;
  /** Of an array: the task, or for what still waits the tasks. */
  task?: number;
  waiting?: number[];
  state: string;
  account: string;
  partition: string;
  limitSeconds: number | null;
  holdId: string | undefined;
  submittedAt: number;
  startedAt: number | null;
  endedAt: number | null;
  restarts: number;
  dbIndex: string;
  saved: boolean;
}

/** A run as it really was. */
export interface TrueRun {
  readonly jobId: string;
  readonly submissionId: string;
  readonly account: string;
  readonly partition: string;
  readonly nodes: number;
  readonly state: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface SimulatedSlurm {
  readonly slurm: Slurm;
  /** Commands so far, by name. */
  readonly commands: string[];
  /** Every run that had nodes and ended while slurmctld knew of it. */
  readonly trueRuns: readonly TrueRun[];
  /** Jobs that slurmctld forgot while they ran. */
  readonly forgottenRuns: readonly { readonly submissionId: string; readonly account: string; readonly startedAt: number }[];
  submit(spec: JobSpec): string;
  /** A waiting job gets its nodes; of an array, its next task. False: nothing waits. */
  start(submissionId: string): boolean;
  /** A running job, or any running task, ends in this state. */
  end(submissionId: string, state: string): boolean;
  /** Back to the queue. */
  requeue(submissionId: string, state?: string): boolean;
  cancelWaiting(submissionId: string): boolean;
  /** One waiting task of an array: it leaves no row anywhere. */
  cancelWaitingTask(submissionId: string): boolean;
  change(submissionId: string, to: { limitSeconds?: number; account?: string; partition?: string }): void;
  /** What slurmdbd says of a job's partition from now on. */
  rewritePartition(submissionId: string, partition: string): void;
  /** A site script, or root. */
  overwriteComment(submissionId: string): void;
  save(): void;
  /** It was killed before it had saved a job's end, and takes the job up again: in the same row, as there is no other run. */
  revive(submissionId: string): void;
  /** slurmdbd says something else of a run that has ended. */
  accountAnew(submissionId: string, row: Partial<AccountedRun>): void;
  /** kill -9: what was submitted since the last save never was. */
  crash(): void;
  readonly accounting: { isUp: boolean };
  /** Commands that fail from now on. */
  readonly failing: Set<'squeue' | 'sacct' | 'scontrol' | 'sdiag'>;
  /** Submissions that are not over. */
  live(): string[];
  isLive(submissionId: string): boolean;
}

export const createSimulatedSlurm = (nowSeconds: () => number, options: { readonly hasAccounting: boolean }): SimulatedSlurm => {
  const jobs = new Map<string, Job>();
  const rows = new Map<string, AccountedRun>();
  const backlog: AccountedRun[] = [];
  const commands: string[] = [];
  const trueRuns: TrueRun[] = [];
  const forgottenRuns: { submissionId: string; account: string; startedAt: number }[] = [];
  const failing = new Set<'squeue' | 'sacct' | 'scontrol' | 'sdiag'>();
  const accounting = { isUp: true };
  let nextJob = 1;
  let savedNextJob = 1;
  let nextDb = 1;
  let bootedAt = nowSeconds() - 86_400;

  const run = (name: 'squeue' | 'sacct' | 'scontrol' | 'sdiag'): void => {
    commands.push(name);
    if (failing.has(name)) throw new SlurmSilent(`${name} failed`);
    if (name === 'sacct' && !accounting.isUp) throw new SlurmSilent('slurmdbd is away');
  };
  const deliver = (): void => {
    if (!accounting.isUp) return;
    for (const row of backlog.splice(0)) rows.set(row.dbIndex, row);
  };
  const record = (job: Job): void => {
    backlog.push({
      dbIndex: job.dbIndex,
      jobId: job.jobId,
      submissionId: job.submissionId,
      ...tasksOf(job),
      cluster: CLUSTER,
      user: 'alice',
      account: job.account,
      partition: job.partition,
      state: job.state,
      submittedAt: job.submittedAt,
      startedAt: job.startedAt,
      endedAt: job.endedAt,
      nodes: job.startedAt === null ? 0 : job.spec.nodes,
      tres: job.startedAt === null ? '' : `cpu=${job.spec.nodes},node=${job.spec.nodes}`,
      ...(job.endedAt === null || job.holdId === undefined ? {} : { holdId: job.holdId }),
    });
    deliver();
  };
  const isOver = ({ endedAt }: Job): boolean => endedAt !== null;
  const of = (submissionId: string, match: (job: Job) => boolean): Job | undefined =>
    [...jobs.values()].find((job) => job.submissionId === submissionId && !isOver(job) && match(job));
  const isRunning = ({ state }: Job): boolean => state === 'RUNNING';
  const isWaiting = ({ state }: Job): boolean => state === 'PENDING';
  const finish = (job: Job, state: string): void => {
    job.state = state;
    job.endedAt = nowSeconds();
    if (job.startedAt !== null) {
      const { jobId, submissionId, account, partition, startedAt, endedAt } = job;
      trueRuns.push({ jobId, submissionId, account, partition, state, nodes: job.spec.nodes, startedAt, endedAt });
    }
    record(job);
  };
  const newDb = (): string => String(nextDb++);
  const forgetOld = (): void => {
    for (const [jobId, job] of jobs) if (job.endedAt !== null && nowSeconds() - job.endedAt > MIN_JOB_AGE_SECONDS) jobs.delete(jobId);
  };

  return {
    commands,
    trueRuns,
    forgottenRuns,
    accounting: {
      get isUp() {
        return accounting.isUp;
      },
      set isUp(isUp: boolean) {
        accounting.isUp = isUp;
        deliver();
      },
    },
    failing,
    submit: (spec) => {
      const jobId = String(nextJob++);
      const job: Job = {
        jobId,
        submissionId: jobId,
        spec,
        ...(spec.tasks === undefined ? {} : { waiting: Array.from({ length: spec.tasks }, (_, index) => index + 1) }),
        state: 'PENDING',
        account: spec.account,
        partition: spec.partition,
        limitSeconds: spec.limitSeconds,
        holdId: spec.holdId,
        submittedAt: nowSeconds(),
        startedAt: null,
        endedAt: null,
        restarts: 0,
        dbIndex: newDb(),
        saved: false,
      };
      jobs.set(jobId, job);
      record(job);
      return jobId;
    },
    start: (submissionId) => {
      const job = of(submissionId, isWaiting);
      if (job === undefined) return false;
      let started = job;
      if (job.waiting !== undefined) {
        const task = job.waiting.shift() as number;
        if (job.waiting.length > 0) {
          const jobId = String(nextJob++);
          started = { ...job, jobId, task, dbIndex: newDb(), submissionId };
          delete started.waiting;
          jobs.set(jobId, started);
          savedNextJob = nextJob; // An array's tasks are of one life here.
          record(job);
        } else {
          delete job.waiting;
          job.task = task;
        }
      }
      started.state = 'RUNNING';
      started.partition = started.partition.split(',')[0] as string;
      started.startedAt = nowSeconds();
      record(started);
      return true;
    },
    end: (submissionId, state) => {
      const job = of(submissionId, isRunning);
      if (job !== undefined) finish(job, state);
      return job !== undefined;
    },
    requeue: (submissionId, state = 'REQUEUED') => {
      const job = of(submissionId, isRunning);
      if (job === undefined) return false;
      finish(job, state);
      Object.assign(job, {
        state: 'PENDING',
        submittedAt: nowSeconds(),
        startedAt: null,
        endedAt: null,
        restarts: job.restarts + 1,
        dbIndex: newDb(),
      });
      record(job);
      return true;
    },
    cancelWaiting: (submissionId) => {
      const job = of(submissionId, isWaiting);
      if (job !== undefined) finish(job, 'CANCELLED');
      return job !== undefined;
    },
    cancelWaitingTask: (submissionId) => {
      const job = of(submissionId, (each) => isWaiting(each) && (each.waiting?.length ?? 0) > 1);
      job?.waiting?.pop();
      return job !== undefined;
    },
    change: (submissionId, to) => {
      for (const job of jobs.values()) {
        if (job.submissionId !== submissionId || isOver(job)) continue;
        if (to.limitSeconds !== undefined) job.limitSeconds = to.limitSeconds;
        // Slurm moves a job to another account while all of it waits.
        if (
          to.account !== undefined &&
          ![...jobs.values()].some((each) => each.submissionId === submissionId && (each.startedAt !== null || isOver(each)))
        )
          job.account = to.account;
        if (to.partition !== undefined && isWaiting(job)) job.partition = to.partition;
      }
    },
    rewritePartition: (submissionId, partition) => {
      for (const [dbIndex, row] of rows) if (row.submissionId === submissionId) rows.set(dbIndex, { ...row, partition });
    },
    overwriteComment: (submissionId) => {
      for (const job of jobs.values()) if (job.submissionId === submissionId) job.holdId = undefined;
    },
    save: () => {
      for (const job of jobs.values()) job.saved = true;
      savedNextJob = nextJob;
    },
    crash: () => {
      for (const [jobId, job] of jobs) {
        if (job.saved || isOver(job)) continue;
        if (job.startedAt !== null) forgottenRuns.push({ submissionId: job.submissionId, account: job.account, startedAt: job.startedAt });
        jobs.delete(jobId);
      }
      nextJob = savedNextJob;
      while (jobs.has(String(nextJob))) nextJob++;
      bootedAt = nowSeconds();
    },
    revive: (submissionId) => {
      for (const job of jobs.values()) {
        if (job.submissionId !== submissionId || !isOver(job)) continue;
        Object.assign(job, { state: 'RUNNING', endedAt: null });
        record(job);
      }
      trueRuns.splice(0, trueRuns.length, ...trueRuns.filter((run) => run.submissionId !== submissionId));
      bootedAt = nowSeconds();
    },
    accountAnew: (submissionId, changes) => {
      for (const [dbIndex, row] of rows) if (row.submissionId === submissionId) rows.set(dbIndex, { ...row, ...changes });
    },
    live: () => [...new Set([...jobs.values()].filter((job) => !isOver(job)).map(({ submissionId }) => submissionId))],
    isLive: (submissionId) => of(submissionId, () => true) !== undefined,
    slurm: {
      facts: async (): Promise<ClusterFacts> => {
        run('scontrol');
        return {
          clusterName: CLUSTER,
          hasAccounting: options.hasAccounting,
          minJobAgeSeconds: MIN_JOB_AGE_SECONDS,
          bootedAt,
          showsAllJobs: true,
        };
      },
      queue: async (onJob) => {
        run('squeue');
        forgetOld();
        for (const job of jobs.values()) onJob(queuedOf(job));
      },
      endedRuns: async ({ from, to }, onRun) => {
        run('sacct');
        for (const row of rows.values()) if (row.endedAt !== null && row.endedAt >= from && row.endedAt <= to) onRun(row);
      },
      runsOf: async (submissionIds, onRun) => {
        run('sacct');
        const wanted = new Set(submissionIds);
        for (const row of rows.values()) if (wanted.has(row.submissionId)) onRun(row);
      },
      accountingBacklog: async () => {
        run('sdiag');
        return backlog.length;
      },
    },
  };
};

const tasksOf = ({ task, waiting }: Job): { tasks?: TaskSet } => {
  const indices = waiting ?? (task === undefined ? [] : [task]);
  return indices.length === 0 ? {} : { tasks: indices.map((index) => ({ first: index, last: index, step: 1 })) };
};

const queuedOf = (job: Job): QueuedJob => ({
  jobId: job.jobId,
  submissionId: job.submissionId,
  ...tasksOf(job),
  account: job.account,
  user: 'alice',
  partition: job.partition,
  state: job.state,
  nodes: job.spec.nodes,
  maxNodes: job.spec.nodes,
  cpus: job.spec.nodes,
  timeLimitSeconds: job.limitSeconds,
  submittedAt: job.submittedAt,
  startedAt: job.startedAt ?? job.endedAt,
  endedAt: job.endedAt,
  restarts: job.restarts,
  tres: `cpu=${job.spec.nodes},node=${job.spec.nodes}`,
  nodeList: job.startedAt === null ? '' : `node[1-${job.spec.nodes}]`,
  ...(job.holdId === undefined ? {} : { holdId: job.holdId }),
});
