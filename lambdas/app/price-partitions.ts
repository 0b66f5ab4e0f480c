import { type Asking, opinionOn } from '#app/ask-advisor';
import type { Prices, World } from '#app/ports';
import { rateOfUnknownNodes } from '#domain/advice';
import { BudgetError } from '#domain/errors';
import { flatRateOf, type Rate, rateOf, typesAllowedBy } from '#domain/estimate';
import type { Job } from '#domain/job';
import type { PartitionModel } from '#domain/partition';
import { confidencePercentOf, type Evidence, evidenceOfAll, type Tried } from '#domain/price';
import type { PricedPartition, Pricing } from '#domain/quote';

/** A partition with its prices, and what an answer tells of how they came about. */
export interface JobPartition extends PricedPartition {
  /** Where the advisor priced it. */
  readonly advice?: {
    readonly recommendation: string | null;
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
  const pricing = asking.patience.spend((until) => rateNow(prices, model, { constraint: job.constraint, patienceMs: until - clock.now() }));
  if (advisor === undefined) return { ...(await pricing), defaultWallTimeSeconds };
  const own = await pricing.catch(ifNoPrice);
  const isPriced = !(own instanceof BudgetError);
  const opinion = await opinionOn({ advisor, clock }, asking, {
    job,
    model,
    own: isPriced ? own.rate : rateOfUnknownNodes(model),
    isPriced,
  });
  if ('rate' in opinion) {
    const { rate, evidence, recommendation } = opinion;
    const advice = { recommendation, again: (other: Job) => pricedFor(world, { ...job, ...other }, asked) };
    return { rate, evidence, defaultWallTimeSeconds, advice };
  }
  const before: Tried = { source: 'advisor', outcome: opinion.outcome };
  if (isPriced) return { rate: own.rate, evidence: { ...own.evidence, tried: [before, ...own.evidence.tried] }, defaultWallTimeSeconds };
  throw new BudgetError(own.code, `${own.message} (advisor: ${opinion.outcome})`, { ...own.details, tried: [before, ...triedBy(own)] });
};

const ifNoPrice = (error: unknown): BudgetError => {
  if (error instanceof BudgetError && error.code === 'no_price') return error;
  throw error;
};

/** What rateNow tells of a price that it has not found. */
const triedBy = ({ details }: BudgetError): readonly Tried[] => details?.tried as readonly Tried[];

/**
 * The partition's terms at today's prices. If one of its types has no price, the dearest is not known, and the partition's
 * `unpriced` policy decides: a flat rate, or no. Never a silent $0. All types are asked for at once, so the patience is of all.
 * @throws BudgetError `no_price`, with what was tried
 */
export const rateNow = async (
  prices: Prices,
  model: PartitionModel,
  asked: { patienceMs: number; constraint?: string | undefined },
): Promise<{ rate: Rate; evidence: Evidence }> => {
  const types = typesAllowedBy(model, asked.constraint);
  const answers = await Promise.all(
    types.map(async (type) => ({ type, ...(await prices.offerOf({ region: model.region, type }, asked.patienceMs)) })),
  );
  const offers = answers.flatMap(({ offer }) => (offer === undefined ? [] : [offer]));
  const evidence = types.length === 0 ? { confidencePercent: 0, tried: [] } : evidenceOfAll(answers);
  if (types.length > 0 && offers.length === types.length) return { rate: rateOf(model, offers), evidence };
  if (model.unpriced === 'flat' && model.flatRatePerNodeHour !== null) {
    const rate = flatRateOf(model, model.flatRatePerNodeHour);
    return { rate, evidence: { ...evidence, confidencePercent: confidencePercentOf(rate) } };
  }
  const unpriced = answers.filter(({ offer }) => offer === undefined).map(({ type }) => type);
  throw new BudgetError(
    'no_price',
    `no price is known for ${unpriced.join(', ') || 'any type'} in ${model.region}, so partition ${model.partition} cannot be priced`,
    { partition: model.partition, region: model.region, instance_types: unpriced, tried: evidence.tried },
  );
};
