import type { World } from '#app/ports';
import type { Account } from '#domain/account';
import { BudgetError } from '#domain/errors';
import { type Entry, type EntryType, type Instant, limitBy } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';

export interface NewAccount {
  readonly account: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly limit: MicroUsd;
  readonly startDate: string | null;
  readonly endDate: string | null;
}

/**
 * Give a Slurm account a budget. Its limit is its opening deposit, so that the ledger explains every column from nothing.
 * @throws BudgetError account_exists
 */
export const createAccount = async (world: World, asked: NewAccount): Promise<Account> => {
  const at = world.clock.now();
  const opening =
    asked.limit === 0n
      ? undefined
      : limitEntry(world, { account: asked.account, type: 'deposit', amount: asked.limit, at, note: 'opening' });
  const account: Account = {
    ...asked,
    available: asked.limit,
    held: 0n,
    used: 0n,
    unconfirmed: 0n,
    status: 'active',
    version: 1,
    entryCount: opening === undefined ? 0 : 1,
    createdAt: at,
    updatedAt: at,
  };
  if (await world.store.createAccount(account, opening)) return account;
  throw new BudgetError(
    'account_exists',
    `account ${asked.account} exists, or was closed and keeps its name: choose another, or update it`,
    {
      account: asked.account,
    },
  );
};

/** The record of a change of the limit: `amount` is never negative, the type tells the direction. */
export const limitEntry = (
  world: World,
  what: { account: string; type: Extract<EntryType, 'deposit' | 'withdrawal'>; amount: MicroUsd; at: Instant; note: string | null },
): Entry => ({
  entryId: world.ids.entryId(what.at),
  at: what.at,
  account: what.account,
  type: what.type,
  amount: what.amount,
  movement: limitBy(what.type === 'deposit' ? what.amount : -what.amount),
  holdId: null,
  jobId: null,
  runId: null,
  user: null,
  note: what.note,
});
