// At which parts of its limit an account's money is told of.
import type { Account } from '#domain/account';
import type { MicroUsd } from '#domain/money';

/** Percent of the limit. */
export const THRESHOLDS = [50, 80, 90, 100] as const;
export type Threshold = (typeof THRESHOLDS)[number];

/** `used` is what runs have cost; `committed` is that and what is held, so at 100 % no more work gets in. */
export const MEASURES = ['used', 'committed'] as const;
export type Measure = (typeof MEASURES)[number];

export interface Crossing {
  readonly measure: Measure;
  readonly threshold: Threshold;
}

type Columns = Pick<Account, 'used' | 'held' | 'limit'>;

/**
 * The thresholds that a change of an account has passed upwards, whether because more was spent or held or because the limit
 * was lowered; the lowest first. In integers, so that 80 % is passed at 80 % and not a rounding before or after.
 */
export const crossings = (before: Columns, after: Columns): Crossing[] =>
  MEASURES.flatMap((measure) =>
    THRESHOLDS.filter((threshold) => isReached(after, measure, threshold) && !isReached(before, measure, threshold)).map((threshold) => ({
      measure,
      threshold,
    })),
  );

/** An account without a limit has reached all of it with the first cent, and nothing before. */
const isReached = (columns: Columns, measure: Measure, threshold: Threshold): boolean => {
  const amount = measured(columns, measure);
  return amount > 0n && amount * 100n >= columns.limit * BigInt(threshold);
};

export const measured = ({ used, held }: Pick<Account, 'used' | 'held'>, measure: Measure): MicroUsd =>
  measure === 'used' ? used : used + held;
