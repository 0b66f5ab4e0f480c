import { holdBooking, holdEntry } from '#app/book';
import type { World } from '#app/ports';
import { expire, type Hold, isBound } from '#domain/hold';
import type { Instant } from '#domain/ledger';

/** A cluster whose agent was not heard for so long has a stale heartbeat. */
export const HEARTBEAT_STALE_MS = 5 * 60 * 1000;
/** Even with a dead agent, money comes back after so long. */
export const LONGEST_KEPT_MS = 7 * 24 * 3600 * 1000;
/** One sweep looks at so many holds; the next one, a minute later, at the rest. */
export const SWEEP_LIMIT = 5000;

export interface Sweep {
  readonly overdue: number;
  readonly expired: number;
  /** Overdue, but kept: bound, and their cluster's agent is not heard. */
  readonly kept: number;
}

/**
 * Return the money of holds whose time is up. Safe to run twice or at once: the index only says where to look, and each
 * hold is read again and written only as it was read.
 *
 * An agent that died has not told us that its jobs still run, so while its heartbeat is stale their holds stay.
 */
export const expireHolds = async (world: World): Promise<Sweep> => {
  const now = world.clock.now();
  const ids = await world.store.listOverdueHoldIds({ now, limit: SWEEP_LIMIT });
  const isStale = heartbeats(world, now);
  const sweep = { overdue: ids.length, expired: 0, kept: 0 };
  for (const holdId of ids) {
    const hold = await world.store.readHold(holdId);
    if (hold === undefined) continue;
    if (isBound(hold) && now - hold.expiresAt < LONGEST_KEPT_MS && (await isStale(hold.cluster))) sweep.kept++;
    else if (await expireOne(world, hold, now)) sweep.expired++;
  }
  return sweep;
};

/** False: it was not overdue after all, or somebody else changed it meanwhile; then the next sweep looks again. */
const expireOne = async (world: World, hold: Hold, now: Instant): Promise<boolean> => {
  const change = expire(hold, now);
  if (change === undefined) return false;
  const entry = holdEntry(world, hold, { type: 'expire', amount: hold.amount, movement: change.movement, at: now });
  return (await world.store.commit(holdBooking(hold, change.hold, [entry], now))).booked;
};

/** Each cluster's heartbeat is read once a sweep. A cluster that never had an agent has none that could be missed. */
const heartbeats = (world: World, now: Instant) => {
  const stale = new Map<string, boolean>();
  return async (cluster: string): Promise<boolean> => {
    const known = stale.get(cluster);
    if (known !== undefined) return known;
    const heartbeat = await world.store.readCluster(cluster);
    const isStale = heartbeat !== undefined && now - heartbeat.lastHeartbeat > HEARTBEAT_STALE_MS;
    stale.set(cluster, isStale);
    return isStale;
  };
};
