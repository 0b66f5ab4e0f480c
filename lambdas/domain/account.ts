import { invalid } from '#domain/errors';
import { add, type Instant, type Movement } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';

export type AccountStatus = 'active' | 'suspended' | 'closed';

/** A Slurm account with a cloud budget. */
export interface Account extends Movement {
  readonly account: string;
  readonly name: string | null;
  readonly description: string | null;
  /** The part of `held` whose holds no job was bound to yet. */
  readonly unconfirmed: MicroUsd;
  /** `YYYY-MM-DD`, inclusive, UTC. */
  readonly startDate: string | null;
  /** `YYYY-MM-DD`, inclusive, UTC. */
  readonly endDate: string | null;
  readonly status: AccountStatus;
  /** Counts the changes that an administrator made: the account's words, dates, status and limit. */
  readonly version: number;
  /** Ledger entries ever written for it. The audit counts them again. */
  readonly entryCount: number;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
}

/** Why an account admits no new work, or undefined if it does. `today` is a UTC date `YYYY-MM-DD`. */
export type Unwilling = 'account_inactive' | 'outside_dates' | 'insufficient_budget';

const ACCOUNT_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/;

/** Slurm stores account names in lower case, so `CHEM` and `chem` are one account. */
export const parseAccountName = (text: string): string => {
  if (!ACCOUNT_NAME.test(text)) {
    throw invalid('account', 'must be 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter, digit or underscore');
  }
  return text.toLowerCase();
};

/** The UTC date of an instant, `YYYY-MM-DD`. */
export const dateOf = (at: Instant): string => new Date(at).toISOString().slice(0, 10);

/** The conditions of place, forced by the store in one write; here they explain a refusal, and spare a write that would fail. */
export const unwillingness = (account: Account, demand: { amount: MicroUsd; today: string }): Unwilling | undefined => {
  if (account.status !== 'active') return 'account_inactive';
  if (account.startDate !== null && demand.today < account.startDate) return 'outside_dates';
  if (account.endDate !== null && demand.today > account.endDate) return 'outside_dates';
  if (account.available < demand.amount) return 'insufficient_budget';
  return undefined;
};

/** The account after a movement: the columns change together or not at all. */
export const moved = (account: Account, change: { movement: Movement; unconfirmed: MicroUsd; entries: number }): Account => ({
  ...account,
  ...add(account, change.movement),
  unconfirmed: account.unconfirmed + change.unconfirmed,
  entryCount: account.entryCount + change.entries,
});
