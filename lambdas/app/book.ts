import type { AccountChange, Booking, World } from '#app/ports';
import { BudgetError } from '#domain/errors';
import { closedBy, type Hold, unconfirmedOf } from '#domain/hold';
import { add, type Entry, type Instant, type Movement, NOTHING } from '#domain/ledger';

/** Somebody else changed the same hold or account this often while we worked on it: then it is the caller's turn to wait. */
const MAX_ROUNDS = 50;
const LONGEST_PAUSE_MS = 100;

/** Says that what was read has changed before it could be written. */
export const CHANGED = Symbol('changed');

/** Read, decide, write; and again from the start when somebody else wrote in between. The store's deadline bounds the whole. */
export const untilBooked = async <T>(world: World, round: () => Promise<T | typeof CHANGED>): Promise<T> => {
  for (let rounds = 1; rounds <= MAX_ROUNDS; rounds++) {
    const result = await round();
    if (result !== CHANGED) return result;
    await world.clock.sleep(world.ids.random() * Math.min(LONGEST_PAUSE_MS, 2 ** rounds));
  }
  throw contended();
};

/**
 * Now, but never before what it follows: a ledger begins with its account's creation, and the clock of another machine may
 * lag behind the one that dated that. A hold is never dated before its account.
 */
export const notBefore = (world: World, since: { readonly createdAt: Instant }): Instant => Math.max(world.clock.now(), since.createdAt);

/** Others were faster, again and again. Nothing was written. */
export const contended = (): BudgetError =>
  new BudgetError('account_contended', 'too many changes of the same hold or account at once; nothing was changed, send it again');

/** What an entry says of the hold besides, where that is closed. */
export const closing = (before: Hold, after: Hold): Pick<Entry, 'closed'> => {
  const closed = closedBy(before, after);
  return closed === undefined ? {} : { closed };
};

/** A ledger entry for what just happened to a hold. */
export const holdEntry = (
  world: World,
  hold: Hold,
  what: Pick<Entry, 'type' | 'amount' | 'movement'> & { at: Instant; runId?: string; note?: string | null },
): Entry => ({
  entryId: world.ids.entryId(what.at),
  at: what.at,
  account: hold.account,
  type: what.type,
  amount: what.amount,
  movement: what.movement,
  holdId: hold.holdId,
  jobId: hold.jobId,
  runId: what.runId ?? null,
  user: hold.user,
  note: what.note ?? null,
});

/**
 * The booking of a hold's change within its account, nothing of which the account may refuse.
 *
 * What an account holds unconfirmed follows from the hold before and after, so it is computed here, for every verb alike.
 */
export const holdBooking = (
  before: Hold | undefined,
  after: Hold,
  entries: readonly Entry[],
  at: Instant,
): Booking & { hold: { after: Hold } } => {
  const unconfirmed = unconfirmedOf(after) - (before === undefined ? 0n : unconfirmedOf(before));
  const movement = entries.reduce<Movement>((sum, entry) => add(sum, entry.movement), NOTHING);
  const heldBefore = before?.amount ?? 0n;
  if (movement.held !== after.amount - heldBefore)
    throw new Error(`entries move ${movement.held} held, the hold ${after.amount - heldBefore}`);
  const account: AccountChange = { account: after.account, movement, unconfirmed, entries: entries.length, require: { kind: 'fact' }, at };
  return {
    accounts: entries.length === 0 && unconfirmed === 0n ? [] : [account],
    entries,
    hold: before === undefined ? { after } : { before, after: { ...after, version: before.version + 1 } },
  };
};
