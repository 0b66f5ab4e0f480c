import type { Prices, World } from '#app/ports';
import { BudgetError } from '#domain/errors';
import { flatRateOf, type Rate, rateOf, typesAllowedBy } from '#domain/estimate';
import type { Job } from '#domain/job';
import type { PartitionModel } from '#domain/partition';
import type { Pricing } from '#domain/quote';

/**
 * What a job is priced with: those of its partitions that are modelled. The others are not guarded and cost nothing.
 * @throws BudgetError `partition_not_found` if none is modelled, `no_price` if one has neither a price nor a flat rate.
 */
export const pricingOf = async (world: World, job: Job): Promise<Pricing> => {
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
      rate: await rateNow(world.prices, model, job.constraint),
      defaultWallTimeSeconds: model.defaultWallTimeSeconds,
    })),
  );
  return { partitions, holdFactor: world.settings.holdFactor };
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
