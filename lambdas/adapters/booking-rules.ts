// What every booking must be before any store looks at it. Breaking one of these is a bug of a use case, so it is a plain Error.
import { type Booking, type CountedEntry, MAX_COUNTED_AT_ONCE } from '#app/ports';
import { add, type Movement, NOTHING } from '#domain/ledger';

/** DynamoDB takes at most so many writes in one transaction. */
const MAX_WRITES = 100;

/**
 * The last door before money moves: what an account's columns change by is what its entries say, each thing is written
 * once, and a hold's version goes up by one.
 */
export const requireSound = (booking: Booking): Booking => {
  requireOnce(
    'account',
    booking.accounts.map(({ account }) => account),
  );
  requireOnce(
    'run',
    (booking.runs ?? []).map(({ after }) => `${after.owner} ${after.runId}`),
  );
  requireOnce(
    'entry',
    booking.entries.map(({ entryId }) => entryId),
  );
  for (const change of booking.accounts) {
    const entries = booking.entries.filter(({ account }) => account === change.account);
    // A repair makes columns right that are wrong, the count among them, so the law holds after it and not within it.
    if (entries.some(({ type }) => type === 'repair')) continue;
    const sum = entries.reduce<Movement>((columns, { movement }) => add(columns, movement), NOTHING);
    const agrees = (['available', 'held', 'used', 'limit'] as const).every((column) => sum[column] === change.movement[column]);
    const counted = entries.length === change.entries;
    if (!agrees || !counted)
      throw new Error(`booking of account ${change.account}: its ${entries.length} entries do not add up to its movement`);
  }
  const stray = booking.entries.find((entry) => !booking.accounts.some(({ account }) => account === entry.account));
  if (stray) throw new Error(`entry ${stray.entryId} of account ${stray.account}, which the booking does not change`);
  requireNextVersion(booking.hold);
  const writes = countWrites(booking);
  if (writes === 0 || writes > MAX_WRITES) throw new Error(`a booking of ${writes} writes: it takes 1 to ${MAX_WRITES}`);
  return booking;
};

/** Counted twice in one write, an entry would be twice in its row. */
export const requireCountable = (counted: readonly CountedEntry[]): readonly CountedEntry[] => {
  requireOnce(
    'counted entry',
    counted.map(({ entryId }) => entryId),
  );
  if (counted.length > MAX_COUNTED_AT_ONCE) throw new Error(`${counted.length} entries counted at once: at most ${MAX_COUNTED_AT_ONCE}`);
  return counted;
};

const requireOnce = (what: string, ids: readonly string[]): void => {
  if (new Set(ids).size !== ids.length) throw new Error(`a booking writes each ${what} once: ${ids.join(', ')}`);
};

const requireNextVersion = (hold: Booking['hold']): void => {
  if (hold?.before === undefined) return;
  const { before, after } = hold;
  if (after.holdId !== before.holdId || after.version !== before.version + 1) {
    throw new Error(`hold ${before.holdId} version ${before.version} cannot become hold ${after.holdId} version ${after.version}`);
  }
};

const countWrites = ({ accounts, entries, hold, runs, jobLink, deposit }: Booking): number =>
  accounts.length + entries.length + (hold ? 1 : 0) + (hold?.spec ? 1 : 0) + (runs?.length ?? 0) + (jobLink ? 1 : 0) + (deposit ? 1 : 0);
