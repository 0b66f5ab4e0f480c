// A ledger read from its beginning, over as many requests as it needs: what is known so far travels with the caller.
import { dropFinished } from '#app/compare-holds';
import type { BudgetStore, World } from '#app/ports';
import type { Account } from '#domain/account';
import type { Entry, Instant } from '#domain/ledger';
import { EMPTY_TALLY, type HoldTally, type Tally, tallied, withSummedRuns } from '#domain/tally';

/**
 * How far the ledger of an account was read. Entries come out of order only within SETTLED_MS, so what is older than that
 * is read once, range after range, and never again.
 */
export interface Walk {
  readonly account: string;
  /** Of the account: another time is another account of the same name. */
  readonly createdAt: Instant;
  /** When the walk began. */
  readonly began: Instant;
  readonly from: Instant;
  readonly to: Instant;
  /** Where in the range to go on; undefined at its end. */
  readonly place?: string;
  /** Of holds and runs, only those that are not over, or differ. */
  readonly tally: Tally;
  /** Holds and runs that were left out, because no more than MAX_CARRIED_CHARS travel. */
  readonly left: number;
}

/** What one request may still read. */
export interface Portion {
  entries: number;
  readonly until: Instant;
}

/** A clock may lag so far behind another, and a booking be under way for so long, before its entry is seen. */
export const SETTLED_MS = 2 * 60 * 1000;
/** A clock of another machine may be ahead of ours by so much. */
const CLOCK_SKEW_MS = 60 * 60 * 1000;
const LEDGER_PAGE = 500;
/** A request body has 64 KiB, and an id of 36 characters in a cursor comes down to about 25. */
const MAX_CARRIED_CHARS = 60_000;
/** Beside its id: three sums and a time. */
const CHARS_OF_SUMS = 24;

export const beginWalk = (world: World, { account, createdAt }: Account): Walk => ({
  account,
  createdAt,
  began: world.clock.now(),
  from: createdAt,
  to: createdAt,
  tally: EMPTY_TALLY,
  left: 0,
});

export const isSpent = (world: World, portion: Portion): boolean => portion.entries <= 0 || world.clock.now() >= portion.until;

/** Read on until the portion is spent, or all that is settled is read. */
export const walkOn = async (world: World, begun: Walk, portion: Portion): Promise<{ walk: Walk; isAtEnd: boolean }> => {
  let walk = begun;
  for (;;) {
    const settled = world.clock.now() - SETTLED_MS;
    // After the first range only a long one is worth it: what is younger is read at the end anyway.
    const worthIt = walk.to + (walk.from === walk.to ? 1 : SETTLED_MS);
    if (walk.place === undefined && settled < worthIt) return { walk, isAtEnd: true };
    if (isSpent(world, portion)) return { walk, isAtEnd: false };
    if (walk.place === undefined) walk = { ...walk, from: walk.to, to: settled };
    const { account, from, to, place } = walk;
    const page = await world.store.listEntries({ account, from, to }, pageAt(place));
    portion.entries -= page.items.length;
    const tally = await dropFinished(world.store, account, tallied(walk.tally, page.items), page.items);
    const { place: _, ...rest } = walk;
    walk = { ...rest, tally, ...(page.cursor === undefined ? {} : { place: page.cursor }) };
  }
};

/** Entries of an account from a time on, those of clocks that are ahead of ours included. */
export const readYoung = async (world: World, account: string, from: Instant): Promise<Entry[]> => {
  const entries: Entry[] = [];
  let cursor: string | undefined;
  do {
    const page = await world.store.listEntries({ account, from, to: world.clock.now() + CLOCK_SKEW_MS }, pageAt(cursor));
    entries.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return entries;
};

/** The walk as it may travel: the runs of each hold as one sum, and the holds that were met last if they are too many. */
export const packed = (walk: Walk): Walk => {
  let chars = 0;
  const fits = ([key]: [string, unknown]): boolean => {
    chars += key.length + CHARS_OF_SUMS;
    return chars <= MAX_CARRIED_CHARS;
  };
  const { holds, runs } = walk.tally;
  const keptRuns = [...runs].filter(fits);
  const keptHolds = [...holds].reverse().filter(fits).reverse();
  const left = walk.left + holds.size + runs.size - keptHolds.length - keptRuns.length;
  const summed = keptHolds.map(([holdId, hold]): [string, HoldTally] => [holdId, withSummedRuns(hold)]);
  return { ...walk, left, tally: { ...walk.tally, holds: new Map(summed), runs: new Map(keptRuns) } };
};

const pageAt = (cursor: string | undefined): Parameters<BudgetStore['listEntries']>[1] => ({
  limit: LEDGER_PAGE,
  ...(cursor === undefined ? {} : { cursor }),
});
