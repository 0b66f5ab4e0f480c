import { type ArraySpec, countTasks, formatArraySpec } from '#domain/array-spec';

/** What a user asks of Slurm, as far as it costs money. Absent means that the user did not say. */
export interface Job {
  readonly account: string;
  /** `--partition` may list several: the job runs in one of them. */
  readonly partitions: readonly string[];
  readonly cluster: string;
  readonly user?: string;
  /** The maximum asked for: `-N2-4` is 4. */
  readonly nodes?: number;
  readonly minNodes?: number;
  readonly ntasks?: number;
  /** Total CPUs of the job (of one task, in an array). */
  readonly cpus?: number;
  readonly cpusPerTask?: number;
  /** Total GPUs of the job. */
  readonly gpus?: number;
  readonly gpusPerNode?: number;
  readonly gpuType?: string;
  /** Memory per node; 0 is all of a node, as in Slurm. */
  readonly memoryMib?: number;
  readonly memoryPerCpuMib?: number;
  readonly exclusive?: boolean;
  readonly constraint?: string;
  /** Absent: no limit was given, so the partition's default holds. */
  readonly wallTimeSeconds?: number;
  readonly array?: ArraySpec;
  readonly hetOffset?: number;
  readonly qos?: string;
  readonly jobName?: string;
}

/** Tasks of the whole submission: an array is one submission and one hold. */
export const tasksOf = (job: Job): number => (job.array ? countTasks(job.array) : 1);

/**
 * The text whose SHA-256 tells a repeated request from another one under the same hold id. Fields stand in one fixed
 * order, after folding, so that two spellings of one job ("60" and "01:00:00") are one request.
 */
export const canonicalJob = (job: Job): string => {
  const spelled: Record<string, unknown> = { ...job, ...(job.array ? { array: formatArraySpec(job.array) } : {}) };
  return JSON.stringify(
    Object.keys(spelled)
      .sort()
      .filter((key) => spelled[key] !== undefined)
      .map((key) => [key, spelled[key]]),
  );
};
