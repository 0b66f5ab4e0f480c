// A world for the use cases whose time is the test's.
import { createIds } from '#adapters/system';
import { createAccount } from '#app/create-account';
import { NOT_BOUND } from '#app/own-cluster';
import { placeHold } from '#app/place-hold';
import type { BudgetStore, Clock, Ids, World } from '#app/ports';
import type { Hold } from '#domain/hold';
import type { Job } from '#domain/job';
import type { PartitionModel } from '#domain/partition';
import { SETTINGS } from '#test/http/api';
import { noPrices } from '#test/support/world';

export const NOON = Date.UTC(2026, 10, 23, 12);
export const USD = 1_000_000n;

export interface TestClock extends Clock {
  advance(ms: number): void;
}

/** Sleeping takes no time, and does not move the clock: only the test does. */
export const createClock = (start = NOON): TestClock => {
  let now = start;
  return {
    now: () => now,
    sleep: async () => undefined,
    advance: (ms) => {
      now += ms;
    },
  };
};

export const createWorld = ({ store, clock, ids = createIds() }: { store: BudgetStore; clock: Clock; ids?: Ids }): World => ({
  store,
  clock,
  ids,
  caller: NOT_BOUND,
  settings: SETTINGS,
  prices: noPrices,
});

/** A partition at a flat rate an hour and node: $10, so that a node for an hour is held at $12. */
export const flatPartition = (given: Partial<PartitionModel> = {}): PartitionModel => ({
  partition: 'ten',
  region: 'us-east-1',
  instanceTypes: [],
  purchase: 'on-demand',
  allocation: 'exclusive',
  discountFactorE6: 1_000_000n,
  overheadMinutes: 0,
  overheadPerNodeHour: 0n,
  overhead: 'run',
  defaultWallTimeSeconds: null,
  unpriced: 'flat',
  flatRatePerNodeHour: 10n * USD,
  writeOffNodeFailures: false,
  features: null,
  threadsPerCore: 2,
  memoryPerNodeMib: null,
  source: 'test',
  ...given,
});

/** The account `physics` with $1,000, and the partition `ten`. */
export const tenDollars = async (world: World): Promise<void> => {
  await world.store.writePartition(flatPartition());
  const words = { name: null, description: null, startDate: null, endDate: null };
  await createAccount(world, { account: 'physics', limit: 1000n * USD, ...words });
};

export const aJob = (given: Partial<Job> = {}): Job => ({
  account: 'physics',
  partitions: ['ten'],
  cluster: 'local',
  nodes: 1,
  wallTimeSeconds: 3600,
  ...given,
});

export const place = async (world: World, given: Partial<Job> = {}, holdId?: string): Promise<Hold> => {
  const { hold } = await placeHold(world, { job: aJob(given), holdId });
  if (hold === null) throw new Error('the test has enough money for this');
  return hold;
};
