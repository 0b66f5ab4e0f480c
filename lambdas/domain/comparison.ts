// What a ledger says of holds and runs, beside what is stored of them; each difference with its likely cause in words.
import { type Hold, unconfirmedOf } from '#domain/hold';
import type { MicroUsd } from '#domain/money';
import type { BookedRun } from '#domain/run';
import { type HoldTally, type RunTally, sum } from '#domain/tally';

export interface Difference {
  readonly account: string;
  readonly column: 'available' | 'held' | 'used' | 'limit' | 'unconfirmed' | 'entries' | 'hold' | 'run';
  readonly holdId?: string;
  readonly runId?: string;
  readonly stored: bigint;
  readonly replayed: bigint;
  readonly cause: string;
}

/** A hold and its runs as they are stored; undefined where there are more runs than anybody reads. */
export interface StoredHold {
  readonly hold: Hold | undefined;
  readonly runs: readonly BookedRun[] | undefined;
}

/**
 * A hold and its runs in the ledger of one account. A hold that was moved has entries in two ledgers; its runs stay with the
 * account that was charged, so each ledger is asked for its own runs only.
 * @param tally undefined: no entry names the hold
 */
export const compareHold = (where: { account: string; holdId: string }, tally: HoldTally | undefined, stored: StoredHold): Difference[] => {
  const inRuns = compareRunsOfHold(where, tally, stored);
  // Where a run differs the hold's sum does too, and one cause is enough.
  return [...compareHeld(where, tally, stored), ...(inRuns.length === 0 ? compareUsed(where, tally, stored) : inRuns)];
};

/** A run that was booked without a hold. Where its booking is not in the tally there is nothing to compare. */
export const compareRun = (account: string, tally: RunTally | undefined, stored: BookedRun | undefined): Difference[] => {
  if (!tally?.isBooked) return [];
  const { runId, used } = tally;
  return unequal({ account, column: 'run', runId, stored: stored?.cost ?? 0n, replayed: used, cause: causeInRun(stored, used) });
};

/** What of an account's money the hold holds unconfirmed. */
export const unconfirmedIn = (account: string, { hold }: StoredHold): MicroUsd =>
  hold === undefined || hold.account !== account ? 0n : unconfirmedOf(hold);

/** Whether nothing was booked on it between two readings: a booking raises the version of its hold, or corrects a run without one. */
export const isUnmoved = (a: StoredHold, b: StoredHold): boolean =>
  a.hold?.version === b.hold?.version && a.runs?.length === b.runs?.length && correctionsOf(a) === correctionsOf(b);

const correctionsOf = ({ runs }: StoredHold): number => (runs ?? []).reduce((count, { corrections }) => count + corrections.length, 0);

const compareHeld = (where: { account: string; holdId: string }, tally: HoldTally | undefined, { hold }: StoredHold): Difference[] => {
  const stored = hold?.state === 'open' && hold.account === where.account ? hold.amount : 0n;
  const replayed = tally?.held ?? 0n;
  return unequal({ ...where, column: 'hold', stored, replayed, cause: causeInHold(where.account, hold, tally) });
};

const causeInHold = (account: string, hold: Hold | undefined, tally: HoldTally | undefined): string => {
  if (hold === undefined) return 'the hold is gone';
  if (tally === undefined) return 'no ledger entry names the hold: it was written beside the ledger, or its entries are gone';
  if (hold.account !== account) return `the hold names account ${hold.account}, but no ledger entry moved it there`;
  if (hold.state !== 'open') return `the hold is stored as ${hold.state}, but no ledger entry closed it`;
  if (tally.held === 0n) return 'its ledger entries gave all of it back, but the hold is stored as open';
  return 'the amount of the hold was changed beside the ledger';
};

/** A hold counts what it used in whichever account that was charged; runs of other accounts are compared in their ledgers. */
const compareUsed = (
  where: { account: string; holdId: string },
  tally: HoldTally | undefined,
  { hold, runs }: StoredHold,
): Difference[] => {
  if (hold === undefined || runs === undefined || hold.account !== where.account) return [];
  const elsewhere = runs.filter(({ account }) => account !== where.account);
  if (elsewhere.some(isBookedWithoutHold)) return [];
  const replayed = (tally?.used ?? 0n) + sum(elsewhere.map(({ cost }) => cost));
  return unequal({ ...where, column: 'hold', stored: hold.used, replayed, cause: 'what the hold used was changed beside the ledger' });
};

const compareRunsOfHold = (
  { account, holdId }: { account: string; holdId: string },
  tally: HoldTally | undefined,
  { runs }: StoredHold,
): Difference[] => {
  if (runs === undefined) return [];
  const stored = new Map(runs.filter((run) => run.account === account && !isBookedWithoutHold(run)).map((run) => [run.runId, run]));
  const charged = tally?.runs ?? new Map<string, MicroUsd>();
  const of = { account, column: 'run', holdId } as const;
  const summed = tally?.summedRuns ?? null;
  if (summed !== null) {
    const costs = sum([...stored.values()].map(({ cost }) => cost));
    const cause = 'the costs of its runs do not add up to their ledger entries';
    return unequal({ ...of, stored: costs, replayed: summed + sum([...charged.values()]), cause });
  }
  const ids = new Set([...charged.keys(), ...stored.keys()]);
  return [...ids].flatMap((runId) => {
    const [run, replayed] = [stored.get(runId), charged.get(runId)];
    return unequal({ ...of, runId, stored: run?.cost ?? 0n, replayed: replayed ?? 0n, cause: causeInRun(run, replayed) });
  });
};

/** It was charged late, before anybody knew its hold, and so it is no part of the hold's own sum. */
const isBookedWithoutHold = ({ holdState }: BookedRun): boolean => holdState === null;

const causeInRun = (run: BookedRun | undefined, replayed: MicroUsd | undefined): string => {
  if (run === undefined) return 'the run is gone, or names another account';
  if (replayed === undefined) return 'no ledger entry names the run: it was written beside the ledger, or its entries are gone';
  return 'the cost of the run was changed beside the ledger, or one of its entries is gone';
};

const unequal = (difference: Difference): Difference[] => (difference.stored === difference.replayed ? [] : [difference]);
