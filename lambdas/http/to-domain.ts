// From the wire's fields to the domain's words. Absent stays absent.
import type * as z from 'zod/mini';
import type { Adjustment } from '#app/adjust-hold';
import type { Settings } from '#app/ports';
import { compact } from '#contract/compact';
import type { AdjustRequest, JobFields } from '#contract/job-requests';
import type { PartitionFields } from '#contract/requests';
import { BudgetError, invalid } from '#domain/errors';
import type { Job } from '#domain/job';
import type { PartitionModel } from '#domain/partition';

/** A job to hold money for. @throws BudgetError validation_failed when no cluster is named where one must be */
export const toJob = (fields: JobFields, settings: Settings): Job => {
  const cluster = fields.cluster ?? settings.defaultCluster;
  if (cluster === null) throw invalid('cluster', 'is required: the name of the Slurm cluster that the job is submitted to');
  return jobOf(fields, cluster);
};

/** A job to price only: prices do not depend on its cluster, so it need not name one. */
export const toQuotedJob = (fields: JobFields): Job => jobOf(fields, fields.cluster ?? '');

const jobOf = (fields: JobFields, cluster: string): Job =>
  compact({
    account: fields.account,
    partitions: fields.partition,
    cluster,
    user: fields.user ?? fields.user_id,
    nodes: fields.nodes,
    minNodes: fields.min_nodes,
    ntasks: fields.ntasks,
    cpus: fields.cpus,
    cpusPerTask: fields.cpus_per_task,
    gpus: fields.gpus,
    gpusPerNode: fields.gpus_per_node,
    gpuType: fields.gpu_type,
    memoryMib: fields.memory,
    memoryPerCpuMib: fields.memory_per_cpu,
    exclusive: fields.exclusive,
    constraint: fields.constraint,
    wallTimeSeconds: fields.wall_time ?? undefined,
    array: fields.array,
    hetOffset: fields.het_offset,
    qos: fields.qos,
    jobName: fields.job_name,
  });

export const toAdjustment = (fields: z.output<typeof AdjustRequest>): Adjustment => {
  if (fields.wall_time === null) throw new BudgetError('no_wall_time', 'a job without a time limit cannot be priced: name one');
  return compact({
    wallTimeSeconds: fields.wall_time,
    nodes: fields.nodes,
    cpus: fields.cpus,
    gpus: fields.gpus,
    memoryMib: fields.memory,
    memoryPerCpuMib: fields.memory_per_cpu,
    account: fields.account,
    partitions: fields.partition,
    tasks: fields.tasks,
  });
};

export const toPartition = (partition: string, fields: PartitionFields): PartitionModel => {
  if (fields.partition !== undefined && fields.partition !== partition)
    throw invalid('partition', `is ${fields.partition}, but the path says ${partition}`);
  return {
    partition,
    region: fields.region,
    instanceTypes: fields.instance_types,
    purchase: fields.purchase,
    allocation: fields.allocation,
    discountFactorE6: fields.discount_factor,
    overheadMinutes: fields.overhead_minutes,
    overheadPerNodeHour: fields.overhead_per_node_hour,
    overhead: fields.overhead,
    defaultWallTimeSeconds: fields.default_wall_time,
    unpriced: fields.unpriced,
    flatRatePerNodeHour: fields.flat_rate_per_node_hour,
    writeOffNodeFailures: fields.write_off_node_failures,
    features: fields.features,
    threadsPerCore: fields.threads_per_core,
    memoryPerNodeMib: fields.memory_per_node,
    source: fields.source,
  };
};
