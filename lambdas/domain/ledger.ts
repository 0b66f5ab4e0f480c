// The money law: available + held + used = limit, for every account, after every operation.
import type { MicroUsd } from '#domain/money';

/** Milliseconds since 1970-01-01T00:00:00Z, as the Clock gives them. */
export type Instant = number;

/** How one operation changes the columns of one account. */
export interface Movement {
  readonly available: MicroUsd;
  readonly held: MicroUsd;
  readonly used: MicroUsd;
  readonly limit: MicroUsd;
}

export type EntryType =
  | 'deposit'
  | 'withdrawal'
  | 'hold'
  | 'forced_hold'
  | 'adjust'
  | 'settle'
  | 'late_settle'
  | 'write_off'
  | 'release'
  | 'expire'
  | 'correction'
  | 'repair';

/** The immutable record of one movement. Its id is a ULID made at `at`, so ids sort by time. */
export interface Entry {
  readonly entryId: string;
  readonly at: Instant;
  readonly account: string;
  readonly type: EntryType;
  /** What the operation was about, never negative except for adjust and correction: the sum held, spent, returned or absorbed. */
  readonly amount: MicroUsd;
  readonly movement: Movement;
  readonly holdId: string | null;
  readonly jobId: string | null;
  readonly runId: string | null;
  readonly user: string | null;
  readonly note: string | null;
  /** Under which key the entry's run is stored, if that run was booked without a hold: nothing else here would lead to it. */
  readonly owner?: string;
  /** Where the entry's run was, if it has one and anybody said so. */
  readonly partition?: string;
  /** What the entry's run had of nodes and time. Absent where it had none, or nobody said how much. */
  readonly nodeSeconds?: number;
  /** Of an entry that closed a hold, or changed what a closed hold has used. Absent too where nobody kept the hold's estimate. */
  readonly closed?: ClosedHold;
}

/** A closed hold as an entry leaves it: all that comparing its estimate with its cost needs, whatever the entry itself is about. */
export interface ClosedHold {
  /** The hold's, which need not be the entry's: a run stays with the account, user and partition that it was booked for. */
  readonly account: string;
  readonly user: string | null;
  readonly partition: string;
  /** `YYYY-MM-DD` in UTC, on which it was closed. */
  readonly day: string;
  /** Of all its tasks, as last priced. */
  readonly estimate: MicroUsd;
  /** All that was held for it, as last priced. */
  readonly held: MicroUsd;
  readonly used: MicroUsd;
  /** What it had used before this entry; null: this entry closed it. */
  readonly usedBefore: MicroUsd | null;
}

/** Money changes column; only the limit's own movements change its sum. Breaking this is a bug, so it is a plain Error. */
export const movement = (m: Movement): Movement => {
  if (m.available + m.held + m.used !== m.limit) {
    throw new Error(`movement makes or loses money: available ${m.available}, held ${m.held}, used ${m.used}, limit ${m.limit}`);
  }
  return m;
};

export const NOTHING: Movement = movement({ available: 0n, held: 0n, used: 0n, limit: 0n });

/** A deposit (x > 0) or a withdrawal (x < 0): the only movement, beside a repair, that changes the limit. */
export const limitBy = (x: MicroUsd): Movement => movement({ available: x, held: 0n, used: 0n, limit: x });

/** Place, forced hold, adjust: x goes from available to held; a negative x comes back. */
export const holdMore = (x: MicroUsd): Movement => movement({ available: -x, held: x, used: 0n, limit: 0n });

/** Settle a final run: its share of the hold ends, its cost is used, and the difference goes to, or comes from, available. */
export const settleShare = (money: { share: MicroUsd; cost: MicroUsd }): Movement =>
  movement({ available: money.share - money.cost, held: -money.share, used: money.cost, limit: 0n });

/** A cost that no hold pays for: a run that is not the last, a late settle, a correction. */
export const spendAvailable = (cost: MicroUsd): Movement => movement({ available: -cost, held: 0n, used: cost, limit: 0n });

/**
 * Column by column. Not checked again: sums of movements keep the law by themselves, and columns that somebody broke beside
 * the ledger must still take what happens to them, above all the repair.
 */
export const add = (a: Movement, b: Movement): Movement => ({
  available: a.available + b.available,
  held: a.held + b.held,
  used: a.used + b.used,
  limit: a.limit + b.limit,
});

/**
 * What the columns must be, from the entries alone.
 *
 * A repair entry records that columns were set to what this function says, so it is itself no part of the sum.
 */
export const replay = (entries: Iterable<Pick<Entry, 'type' | 'movement'>>, from: Movement = NOTHING): Movement => {
  let columns = from;
  for (const entry of entries) {
    if (entry.type !== 'repair') columns = add(columns, entry.movement);
  }
  return columns;
};
