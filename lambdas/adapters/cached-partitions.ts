import type { BudgetStore, Clock } from '#app/ports';
import type { Instant } from '#domain/ledger';
import type { PartitionModel } from '#domain/partition';

/** An administrator's change is seen by every process after at most so long; by the one that made it, at once. */
const FRESH_MS = 30_000;
/** "aws,local" asks for `local` every time, which nobody models; one that is added works after so long. */
const ABSENT_FRESH_MS = 3_000;
/** Slurm sites have tens of partitions; a client that invents names must not fill the memory. */
const MOST_KEPT = 1000;

/** The same store, with partition models remembered, so that a warm check reads nothing but its account. */
export const withCachedPartitions = (store: BudgetStore, clock: Pick<Clock, 'now'>): BudgetStore => {
  const kept = new Map<string, { model: PartitionModel | undefined; until: Instant }>();
  return {
    ...store,
    readPartition: async (partition) => {
      const known = kept.get(partition);
      if (known !== undefined && known.until > clock.now()) return known.model;
      const model = await store.readPartition(partition);
      if (kept.size >= MOST_KEPT) kept.clear();
      kept.set(partition, { model, until: clock.now() + (model === undefined ? ABSENT_FRESH_MS : FRESH_MS) });
      return model;
    },
    writePartition: async (model) => {
      await store.writePartition(model);
      kept.delete(model.partition);
    },
    deletePartition: async (partition) => {
      const existed = await store.deletePartition(partition);
      kept.delete(partition);
      return existed;
    },
  };
};
