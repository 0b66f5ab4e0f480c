// How good estimates were: what closed holds were estimated at, held and used, and how many of them some percentage would have
// been enough for. Sums, so that they can be kept by day and added up again.
import type { ClosedHold } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';

/**
 * Upper bounds of how many percent of its estimate a hold used. Fixed: counts of other bounds could not be added to those that
 * are kept. Fine where a hold percentage is likely to be, coarse where an estimate was wrong anyway.
 */
export const BOUNDS: readonly number[] = [
  ...Array.from({ length: 40 }, (_, index) => 5 * (index + 1)),
  ...[225, 250, 275, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000],
];
/** Those that used more than the greatest bound. */
export const BEYOND = 'more';

/** Sums over closed holds. */
export interface Closed {
  /** That used something. What nothing ran for says nothing of its estimate. */
  readonly holds: number;
  readonly estimate: MicroUsd;
  readonly held: MicroUsd;
  readonly used: MicroUsd;
  /** That used more than was held for them. */
  readonly overran: number;
  /** That used something, by the least bound that covers it, or BEYOND; only those that are not 0. */
  readonly within: Readonly<Record<string, number>>;
  /** That used nothing: refused by Slurm, cancelled before they ran, written off. */
  readonly unspent: number;
  readonly unspentHeld: MicroUsd;
}

export const NOTHING_CLOSED: Closed = {
  holds: 0,
  estimate: 0n,
  held: 0n,
  used: 0n,
  overran: 0,
  within: {},
  unspent: 0,
  unspentHeld: 0n,
};

/** What an entry adds: the hold as it is now and, if it was closed before, less what it was then. */
export const closedOf = (hold: ClosedHold): Closed => {
  const now = countedAt(hold, hold.used);
  return hold.usedBefore === null ? now : addClosed(now, negated(countedAt(hold, hold.usedBefore)));
};

const countedAt = ({ estimate, held }: ClosedHold, used: MicroUsd): Closed => {
  if (used === 0n) return { ...NOTHING_CLOSED, unspent: 1, unspentHeld: held };
  return { ...NOTHING_CLOSED, holds: 1, estimate, held, used, overran: used > held ? 1 : 0, within: { [boundOf(estimate, used)]: 1 } };
};

const boundOf = (estimate: MicroUsd, used: MicroUsd): string =>
  String(BOUNDS.find((percent) => used * 100n <= estimate * BigInt(percent)) ?? BEYOND);

export const addClosed = (a: Closed, b: Closed): Closed => {
  const within = { ...a.within };
  for (const [bound, holds] of Object.entries(b.within)) within[bound] = (within[bound] ?? 0) + holds;
  return {
    holds: a.holds + b.holds,
    estimate: a.estimate + b.estimate,
    held: a.held + b.held,
    used: a.used + b.used,
    overran: a.overran + b.overran,
    within: notZero(within),
    unspent: a.unspent + b.unspent,
    unspentHeld: a.unspentHeld + b.unspentHeld,
  };
};

const negated = (of: Closed): Closed => ({
  holds: -of.holds,
  estimate: -of.estimate,
  held: -of.held,
  used: -of.used,
  overran: -of.overran,
  within: Object.fromEntries(Object.entries(of.within).map(([bound, holds]) => [bound, -holds])),
  unspent: -of.unspent,
  unspentHeld: -of.unspentHeld,
});

const notZero = (counts: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));

/** Of fewer nothing is suggested: one hold among them would be more than the usual risk. */
export const MIN_HOLDS = 30;
/** Risks are counted in ten-thousandths, so that comparing them is exact. */
export const RISK_UNITS = 10_000;
/** One hold in twenty. */
export const DEFAULT_RISK_E4 = 500;

export interface Suggestion {
  /** Of the estimate, to be held. */
  readonly percent: number;
  /** How many of the holds used more than that. */
  readonly overrunning: number;
}

/**
 * The least bound that at most so many of the holds overran. Undefined: there are too few of them, or no bound is enough.
 * @param riskE4 from 0 to RISK_UNITS
 */
export const suggestionFrom = ({ holds, within }: Closed, riskE4: number): Suggestion | undefined => {
  if (holds < MIN_HOLDS) return undefined;
  let overrunning = holds;
  for (const percent of BOUNDS) {
    overrunning -= within[percent] ?? 0;
    if (overrunning * RISK_UNITS <= riskE4 * holds) return { percent, overrunning };
  }
  return undefined;
};
