import { closing, holdBooking, holdEntry, notBefore } from '#app/book';
import { isHeard } from '#app/own-cluster';
import type { World } from '#app/ports';
import { BudgetError } from '#domain/errors';
import { expire, type Hold, isBound } from '#domain/hold';
import type { Instant } from '#domain/ledger';

/** Even with a dead agent, money comes back after so long. */
export const LONGEST_KEPT_MS = 7 * 24 * 3600 * 1000;
const PAGE_SIZE = 500;
/** Holds of one account conflict with each other, so more at once would only wait. */
const AT_ONCE = 4;

export interface Sweep {
  readonly overdue: number;
  readonly expired: number;
  /** Overdue, but kept: bound, and their cluster's agent is not heard. */
  readonly kept: number;
  /** Could not be looked at now; the next sweep tries again. */
  readonly failed: number;
  /** How long the oldest of them was overdue when the sweep began; 0 if none was. */
  readonly oldestOverdueMs: number;
  /** Why, of the first that failed. */
  readonly failure?: unknown;
}

/**
 * Return the money of holds whose time is up. Safe to run twice or at once: the index only says where to look, and each
 * hold is read again and written only as it was read. One hold that cannot be read or written keeps no other from its end,
 * and those that are kept do not stand in the way of those behind them.
 *
 * An agent that died has not told us that its jobs still run, so while its heartbeat is stale their holds stay.
 */
export const expireHolds = async (world: World): Promise<Sweep> => {
  const now = world.clock.now();
  const isStale = heartbeats(world, now);
  const sweep = {
    overdue: 0,
    expired: 0,
    kept: 0,
    failed: 0,
    oldestOverdueMs: 0,
    failure: undefined as unknown,
  };
  // Told before the hold is written: one that cannot be is the one to hear of.
  const overdue = (overdueMs: number): void => {
    sweep.oldestOverdueMs = Math.max(sweep.oldestOverdueMs, overdueMs);
  };
  let cursor: string | undefined;
  do {
    const page = await world.store.listOverdueHoldIds({ now }, { limit: PAGE_SIZE, ...(cursor === undefined ? {} : { cursor }) });
    sweep.overdue += page.items.length;
    for (let first = 0; first < page.items.length; first += AT_ONCE) {
      const looked = page.items.slice(first, first + AT_ONCE).map(async (holdId) => {
        try {
          const outcome = await lookAt(world, holdId, { now, isStale, overdue });
          if (outcome !== 'moved on') sweep[outcome]++;
        } catch (error) {
          if (error instanceof BudgetError && error.code === 'deadline_passed') throw error; // The rest is for the next sweep.
          sweep.failed++;
          sweep.failure ??= error;
        }
      });
      await Promise.all(looked);
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  const { failure, ...counts } = sweep;
  return failure === undefined ? counts : sweep;
};

const lookAt = async (
  world: World,
  holdId: string,
  { now, isStale, overdue }: { now: Instant; isStale: (cluster: string) => Promise<boolean>; overdue: (overdueMs: number) => void },
): Promise<'expired' | 'kept' | 'moved on'> => {
  const hold = await world.store.readHold(holdId);
  if (hold?.state !== 'open') return 'moved on';
  const overdueMs = now - hold.expiresAt;
  overdue(overdueMs);
  if (isBound(hold) && overdueMs < LONGEST_KEPT_MS && (await isStale(hold.cluster))) return 'kept';
  return (await expireOne(world, hold, now)) ? 'expired' : 'moved on';
};

/** False: it was not overdue after all, or somebody else changed it meanwhile; then the next sweep looks again. */
const expireOne = async (world: World, hold: Hold, now: Instant): Promise<boolean> => {
  const change = expire(hold, now);
  if (change === undefined) return false;
  const at = notBefore(world, hold);
  const expired = holdEntry(world, hold, { type: 'expire', amount: hold.amount, movement: change.movement, at });
  const entry = { ...expired, ...closing(hold, change.hold) };
  return (await world.store.commit(holdBooking(hold, change.hold, [entry], at))).booked;
};

/** Each cluster's heartbeat is read once a sweep. A cluster that never had an agent has none that could be missed. */
const heartbeats = (world: World, now: Instant) => {
  const stale = new Map<string, Promise<boolean>>();
  const read = async (cluster: string): Promise<boolean> => {
    const heartbeat = await world.store.readCluster(cluster);
    return heartbeat !== undefined && !isHeard(heartbeat, now);
  };
  return (cluster: string): Promise<boolean> => {
    // The promise is kept and not its value: four holds of one cluster may ask before the first is answered.
    const asked = stale.get(cluster) ?? read(cluster);
    stale.set(cluster, asked);
    return asked;
  };
};
