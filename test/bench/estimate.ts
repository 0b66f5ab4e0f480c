// What an estimate costs in CPU when its price is in memory, as it is for nearly every submission.
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { checkPatience } from '#app/patience';
import type { PriceLink } from '#app/ports';
import { createPriceChain } from '#app/price-chain';
import { pricingOf } from '#app/price-partitions';
import { quoteOf } from '#domain/quote';
import { medianOf, percentileOf, type Section } from '#test/bench/measure';
import { aJob, aModel, anOffer } from '#test/support/builders';
import { FOR_EVER } from '#test/support/price-chain';
import { aWorld, NO_PRICING } from '#test/support/world';

const WARM_UP = 5_000;
const ROUNDS = 41;
const ESTIMATES_A_ROUND = 1_000;
/** Of issue 6: an estimate from the cache. */
const AIM_US = 100;

const typesOf = (count: number): string[] => Array.from({ length: count }, (_, n) => `c5.${n + 1}xlarge`);

/** Microseconds of CPU an estimate, of the whole process: waiting costs none. */
const measured = async (types: number): Promise<number[]> => {
  const model = aModel({ instanceTypes: typesOf(types) });
  const table = await aWorld([model]);
  const store = createMemoryBudgets();
  const api: PriceLink = { source: 'pricing-api', ask: async ({ type }) => ({ kind: 'offer', offer: anOffer({ type }) }) };
  const chain = createPriceChain({ ...NO_PRICING, clock: table.clock, store, api });
  const world = { ...table, prices: chain.within({ store, deadline: FOR_EVER }) };
  const job = aJob({ nodes: 4, ntasks: 100, memoryMib: 16_384 });
  const estimate = async () => quoteOf(await pricingOf(world, job, { patience: checkPatience(world.clock) }), job);
  for (let n = 0; n < WARM_UP; n += 1) await estimate();
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const from = process.cpuUsage();
    for (let n = 0; n < ESTIMATES_A_ROUND; n += 1) await estimate();
    const { user, system } = process.cpuUsage(from);
    times.push((user + system) / ESTIMATES_A_ROUND);
  }
  return times;
};

export const benchEstimate = async (): Promise<Section> => {
  const counts = [1, 5, 50];
  const rows: string[][] = [];
  for (const types of counts) {
    const times = await measured(types);
    rows.push([String(types), medianOf(times).toFixed(1), percentileOf(times, 99).toFixed(1)]);
  }
  return {
    title: 'CPU of an estimate whose prices are in memory',
    notes: [
      `Partition, prices, placement and line items; ${ROUNDS} rounds of ${ESTIMATES_A_ROUND} each after ${WARM_UP} to warm up. The aim is at most ${AIM_US} us for a partition of one type.`,
    ],
    head: ['instance types', 'median us', 'p99 us'],
    rows,
  };
};
