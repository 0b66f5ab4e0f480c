import { type CountedEntry, MAX_COUNTED_AT_ONCE, type World } from '#app/ports';
import type { Entry } from '#domain/ledger';
import { usageOf } from '#domain/usage';

/**
 * Add what these entries say of runs and closed holds to the usage of their days, each entry once, however often it comes.
 * @throws what the store throws; then some of the entries may be counted, the first ones first, and all may be sent again
 */
export const countUsage = async (world: World, entries: readonly Entry[]): Promise<void> => {
  const counted = new Map<string, CountedEntry>();
  for (const entry of entries) {
    const usage = usageOf(entry);
    if (usage.length > 0) counted.set(entry.entryId, { entryId: entry.entryId, usage });
  }
  const all = [...counted.values()];
  for (let first = 0; first < all.length; first += MAX_COUNTED_AT_ONCE) {
    await world.store.countUsage(all.slice(first, first + MAX_COUNTED_AT_ONCE), world.clock.now());
  }
};
