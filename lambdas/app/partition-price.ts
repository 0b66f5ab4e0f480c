import type { World } from '#app/ports';
import { rateNow } from '#app/price-partitions';
import { BudgetError } from '#domain/errors';
import { nodeHourOf } from '#domain/estimate';
import type { MicroUsd } from '#domain/money';
import type { PartitionModel, PriceSource } from '#domain/partition';
import type { Evidence } from '#domain/price';

/** What a node of a partition costs for an hour, the dearest of its types, all that the run pays included but boot and tail. */
export interface PartitionPrice extends Evidence {
  readonly perNodeHour: MicroUsd;
  readonly instanceType: string;
  readonly source: PriceSource;
  readonly priceDate: string | null;
}

/**
 * @param patienceMs how long to wait for prices that must be asked for; 0 takes what is known
 * @returns undefined if no price is known, or none can be read now
 */
export const partitionPrice = async (world: World, model: PartitionModel, patienceMs: number): Promise<PartitionPrice | undefined> => {
  try {
    const { rate, evidence } = await rateNow(world.prices, model, { patienceMs });
    return { ...nodeHourOf(rate), source: rate.source, priceDate: rate.priceDate, ...evidence };
  } catch (error) {
    if (error instanceof BudgetError) return undefined; // No price, or no time for one: neither hides the model.
    throw error;
  }
};
