import type { Prices, World } from '#app/ports';
import { BudgetError } from '#domain/errors';
import { flatRateOf, type Rate, rateOf, typesAllowedBy } from '#domain/estimate';
import type { Job } from '#domain/job';
import type { PartitionModel } from '#domain/partition';
import { confidencePercentOf, type Evidence, evidenceOfAll } from '#domain/price';
import type { Pricing } from '#domain/quote';

/** While a user waits at sbatch, and slurmctld with it. */
export const CHECK_PATIENCE_MS = 300;
/** Where nobody waits, or somebody who asked for nothing but the price. */
export const QUOTE_PATIENCE_MS = 5_000;

/**
 * What a job is priced with: those of its partitions that are modelled. The others are not guarded and cost nothing.
 * @throws BudgetError `partition_not_found` if none is modelled, `no_price` if one has neither a price nor a flat rate.
 */
export const pricingOf = async (world: World, job: Job, patienceMs = CHECK_PATIENCE_MS): Promise<Pricing> => {
  const models = (await Promise.all(job.partitions.map((partition) => world.store.readPartition(partition)))).filter(
    (model) => model !== undefined,
  );
  if (models.length === 0) {
    throw new BudgetError(
      'partition_not_found',
      `partition ${job.partitions.join(',')} is not known here: an administrator adds it with 'asbb partition set'`,
    );
  }
  const partitions = await Promise.all(
    models.map(async (model) => ({
      ...(await rateNow(world.prices, model, { constraint: job.constraint, patienceMs })),
      defaultWallTimeSeconds: model.defaultWallTimeSeconds,
    })),
  );
  return { partitions, holdFactor: world.settings.holdFactor };
};

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
