import type { Patience } from '#app/patience';
import type { Advisor, AdvisorQuestion, World } from '#app/ports';
import { absurdity, advisedRate } from '#domain/advice';
import { BudgetError } from '#domain/errors';
import { type Estimate, estimateIn, type Rate } from '#domain/estimate';
import { type Job, tasksOf } from '#domain/job';
import type { PartitionModel } from '#domain/partition';
import { confidencePercentOf, type Evidence } from '#domain/price';

/** How a job's prices are asked for. */
export interface Asking {
  readonly patience: Patience;
  /** For the advisor only: it is no part of the job, which is kept. */
  readonly jobScript?: string | undefined;
}

/** What the advisor's word comes to in one partition. */
export type Opinion =
  | { readonly rate: Rate; readonly evidence: Evidence; readonly recommendation: string | null }
  | { readonly outcome: string };

/**
 * The advisor's rate for one task of a job in a partition, or why there is none.
 * @param own the partition at our own prices, which say on how many nodes the job runs; or of nodes of unknown size
 * @param isPriced whether these prices are ones that the advisor's can be held against
 */
export const opinionOn = async (
  { advisor, clock }: { advisor: Advisor } & Pick<World, 'clock'>,
  { patience, jobScript }: Asking,
  { job, model, own, isPriced }: { job: Job; model: PartitionModel; own: Rate; isPriced: boolean },
): Promise<Opinion> => {
  const wallTimeSeconds = job.wallTimeSeconds ?? model.defaultWallTimeSeconds;
  if (wallTimeSeconds === null) return { outcome: 'not asked: the job has no wall time' };
  const placed = placedOrNot(own, job, wallTimeSeconds);
  if (placed === undefined) return { outcome: 'not asked: the job does not fit the partition' };
  const script = jobScript === undefined ? {} : { jobScript };
  const question = { ...questionOf(job, model, placed), ...script, at: clock.now() };
  const advice = await patience.spend((until) => advisor.ask(question, { until, maxTries: patience.maxTries }));
  if (!advice.believed) return advice;
  const { cost, recommendation, confidence } = advice;
  const outcome = isPriced ? absurdity(cost, placed.amount) : undefined;
  if (outcome !== undefined) return { outcome };
  const rate = advisedRate(own, { placed, tasks: tasksOf(job), cost });
  const confidencePercent = confidence === null ? confidencePercentOf(rate) : Math.round(confidence * 100);
  return { rate, evidence: { confidencePercent, tried: [] }, recommendation };
};

const placedOrNot = (own: Rate, job: Job, wallTimeSeconds: number): Estimate | undefined => {
  try {
    return estimateIn(own, job, { wallTimeSeconds, tasks: 1 });
  } catch (error) {
    if (error instanceof BudgetError && error.code === 'does_not_fit') return undefined; // The quote says so better.
    throw error;
  }
};

const questionOf = (job: Job, model: PartitionModel, { nodes, wallTimeSeconds }: Estimate): Omit<AdvisorQuestion, 'at' | 'jobScript'> => {
  const cpus = Math.max(job.cpus ?? 1, (job.ntasks ?? 1) * (job.cpusPerTask ?? 1), nodes);
  const memoryMib = job.memoryMib ?? Math.ceil(((job.memoryPerCpuMib ?? 0) * cpus) / nodes);
  return {
    account: job.account,
    partition: model.partition,
    nodes,
    cpus,
    gpus: Math.max(job.gpus ?? 0, (job.gpusPerNode ?? 0) * nodes),
    ...(memoryMib === 0 ? {} : { memoryMib }),
    wallTimeSeconds,
    region: model.region,
    instanceTypes: model.instanceTypes,
  };
};
