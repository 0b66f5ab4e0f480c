// What a use case asks of the advisor, and how long it may take altogether.
import type { Advice, AdvisorQuestion, World } from '#app/ports';
import { absurdity, advisedRate } from '#domain/advice';
import { BudgetError } from '#domain/errors';
import { type Estimate, estimateIn, type Rate } from '#domain/estimate';
import { type Job, tasksOf } from '#domain/job';
import type { PartitionModel } from '#domain/partition';

export interface Patience {
  /** For all questions of one request together, those that are asked at once counted once. */
  readonly waitMs: number;
  readonly maxTries: number;
}

/** A user waits at sbatch, and slurmctld with them. */
export const CHECK_PATIENCE: Patience = { waitMs: 300, maxTries: 1 };
/** Nobody waits but whoever asked. */
export const QUOTE_PATIENCE: Patience = { waitMs: 5_000, maxTries: 3 };

/** One request's questions to the advisor. */
export interface Conversation {
  ask(question: Omit<AdvisorQuestion, 'at' | 'jobScript'>): Promise<Advice>;
}

/** @returns undefined where no advisor is configured */
export const converse = (
  { advisor, clock }: Pick<World, 'advisor' | 'clock'>,
  { waitMs, maxTries }: Patience,
  jobScript?: string,
): Conversation | undefined => {
  if (advisor === undefined) return undefined;
  let leftMs = waitMs;
  let underWay = 0;
  let since = 0;
  return {
    ask: async (question) => {
      const now = clock.now();
      if (underWay === 0) since = now;
      underWay++;
      try {
        return await advisor.ask(
          { ...question, at: now, ...(jobScript === undefined ? {} : { jobScript }) },
          { until: since + leftMs, maxTries },
        );
      } finally {
        underWay--;
        if (underWay === 0) leftMs -= clock.now() - since;
      }
    },
  };
};

/** What the advisor's word comes to in one partition. */
export type Opinion =
  | { readonly rate: Rate; readonly recommendation: string | null; readonly confidence: number | null }
  | { readonly outcome: string };

/**
 * The advisor's rate for one task of a job in a partition, or why there is none.
 * @param own the partition at our own prices, which say on how many nodes the job runs; or of nodes of unknown size
 * @param isPriced whether these prices are ones that the advisor's can be held against
 */
export const opinionOn = async (
  conversation: Conversation,
  { job, model, own, isPriced }: { job: Job; model: PartitionModel; own: Rate; isPriced: boolean },
): Promise<Opinion> => {
  const wallTimeSeconds = job.wallTimeSeconds ?? model.defaultWallTimeSeconds;
  if (wallTimeSeconds === null) return { outcome: 'not asked: the job has no wall time' };
  const placed = placedOrNot(own, job, wallTimeSeconds);
  if (placed === undefined) return { outcome: 'not asked: the job does not fit the partition' };
  const advice = await conversation.ask(questionOf(job, model, placed));
  if (!advice.believed) return advice;
  const { cost, recommendation, confidence } = advice;
  const outcome = isPriced ? absurdity(cost, placed.amount) : undefined;
  if (outcome !== undefined) return { outcome };
  return { rate: advisedRate(own, { placed, tasks: tasksOf(job), cost }), recommendation, confidence };
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
