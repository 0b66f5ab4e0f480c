import { type Asking, opinionOn } from '#app/ask-advisor';
import type { Prices, World } from '#app/ports';
import { rateOfUnknownNodes } from '#domain/advice';
import { BudgetError } from '#domain/errors';
import { flatRateOf, type Rate, rateOf, typesAllowedBy } from '#domain/estimate';
import type { Job } from '#domain/job';
import type { PartitionModel, Tried } from '#domain/partition';
import type { PricedPartition, Pricing } from '#domain/quote';

/** A partition with its prices, and what an answer tells of how they came about. */
export interface JobPartition extends PricedPartition {
  /** Sources before the one that priced it. */
  readonly tried?: readonly Tried[];
  /** Where the advisor priced it. */
  readonly advice?: {
    readonly recommendation: string | null;
    readonly confidence: number | null;
    /** The partition priced for another job: with advice if the advisor answers again. */
    again(job: Job): Promise<JobPartition>;
  };
}

export interface JobPricing extends Pricing {
  readonly partitions: readonly JobPartition[];
}

/**
 * What a job is priced with: those of its partitions that are modelled. The others are not guarded and cost nothing.
 * @throws BudgetError `partition_not_found` if none is modelled, `no_price` if one has neither advice, a price nor a flat rate.
 */
export const pricingOf = async (world: World, job: Job, asking: Asking): Promise<JobPricing> => {
  const models = (await Promise.all(job.partitions.map((partition) => world.store.readPartition(partition)))).filter(
    (model) => model !== undefined,
  );
  if (models.length === 0) {
    throw new BudgetError(
      'partition_not_found',
      `partition ${job.partitions.join(',')} is not known here: an administrator adds it with 'asbb partition set'`,
    );
  }
  const partitions = await Promise.all(models.map((model) => pricedFor(world, job, { model, asking })));
  return { partitions, holdFactor: world.settings.holdFactor };
};

/** The advisor's word comes before our own prices, where there is one that can be believed. */
const pricedFor = async (world: World, job: Job, asked: { model: PartitionModel; asking: Asking }): Promise<JobPartition> => {
  const { prices, advisor, clock } = world;
  const { model, asking } = asked;
  const { defaultWallTimeSeconds } = model;
  if (advisor === undefined) return { rate: await rateNow(prices, model, job.constraint), defaultWallTimeSeconds };
  const own = await rateNow(prices, model, job.constraint).catch(ifNoPrice);
  const isPriced = !(own instanceof BudgetError);
  const opinion = await opinionOn({ advisor, clock }, asking, {
    job,
    model,
    own: isPriced ? own : rateOfUnknownNodes(model),
    isPriced,
  });
  if ('rate' in opinion) {
    const { rate, ...advice } = opinion;
    return { rate, defaultWallTimeSeconds, advice: { ...advice, again: (other) => pricedFor(world, { ...job, ...other }, asked) } };
  }
  const tried: Tried[] = [{ source: 'advisor', outcome: opinion.outcome }];
  if (isPriced) return { rate: own, defaultWallTimeSeconds, tried };
  throw new BudgetError(own.code, `${own.message} (advisor: ${opinion.outcome})`, { ...own.details, tried });
};

const ifNoPrice = (error: unknown): BudgetError => {
  if (error instanceof BudgetError && error.code === 'no_price') return error;
  throw error;
};

/**
 * The partition's terms at today's prices. If one of its types has no price, the dearest is not known, and the partition's
 * `unpriced` policy decides: a flat rate, or no. Never a silent $0.
 * @throws BudgetError `no_price`
 */
export const rateNow = async (prices: Prices, model: PartitionModel, constraint?: string): Promise<Rate> => {
  const types = typesAllowedBy(model, constraint);
  const offers = await Promise.all(types.map((type) => prices.offerOf({ region: model.region, type })));
  const unpriced = types.filter((_, index) => offers[index] === undefined);
  if (types.length > 0 && unpriced.length === 0)
    return rateOf(
      model,
      offers.filter((offer) => offer !== undefined),
    );
  if (model.unpriced === 'flat' && model.flatRatePerNodeHour !== null) return flatRateOf(model, model.flatRatePerNodeHour);
  throw new BudgetError(
    'no_price',
    `no price is known for ${unpriced.join(', ') || 'any type'} in ${model.region}, so partition ${model.partition} cannot be priced`,
    { partition: model.partition, region: model.region, instance_types: unpriced },
  );
};
