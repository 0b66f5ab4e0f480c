// What is asked of a job while a user waits: quote, check and adjust. Apart from all other requests, so that the function that
// answers these makes no shape that it never reads.
import * as z from 'zod/mini';
import {
  accountName,
  arraySpec,
  clusterName,
  count,
  countFromZero,
  deadlineMs,
  exactly,
  holdId,
  jobId,
  memory,
  partitionList,
  text,
  userName,
  wallTime,
  whole,
} from '#contract/fields';
import { MAX_ARRAY_TASKS } from '#domain/array-spec';

export const jobShape = {
  account: accountName,
  partition: partitionList,
  user: z.optional(userName),
  user_id: z.optional(userName),
  cluster: z.optional(clusterName),
  nodes: z.optional(count),
  min_nodes: z.optional(count),
  ntasks: z.optional(count),
  cpus: z.optional(count),
  cpus_per_task: z.optional(count),
  gpus: z.optional(countFromZero),
  gpus_per_node: z.optional(countFromZero),
  gpu_type: z.optional(text(64)),
  memory: z.optional(memory),
  memory_per_cpu: z.optional(memory),
  exclusive: z.optional(z.boolean()),
  constraint: z.optional(text(512)),
  wall_time: z.optional(wallTime),
  array: z.optional(arraySpec),
  het_offset: z.optional(countFromZero),
  qos: z.optional(text(64)),
  job_name: z.optional(text(1024)),
  job_script: z.optional(z.string()),
};

export const QuoteRequest = exactly({ ...jobShape, deadline_ms: z.optional(deadlineMs) });
export const CheckRequest = exactly({ ...jobShape, hold_id: z.optional(holdId), deadline_ms: z.optional(deadlineMs) });
export type JobFields = Omit<z.output<typeof QuoteRequest>, 'deadline_ms'>;

export const AdjustRequest = exactly({
  wall_time: z.optional(wallTime),
  nodes: z.optional(count),
  cpus: z.optional(count),
  gpus: z.optional(countFromZero),
  memory: z.optional(memory),
  memory_per_cpu: z.optional(memory),
  account: z.optional(accountName),
  partition: z.optional(partitionList),
  tasks: z.optional(whole(1, MAX_ARRAY_TASKS)),
  raise_only: z._default(z.boolean(), false),
  deadline_ms: z.optional(deadlineMs),
});

export const NoFields = exactly({});
export const HoldPath = exactly({ hold_id: holdId });
export const JobPath = exactly({ cluster: clusterName, job_id: jobId });
