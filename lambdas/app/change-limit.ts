// What deposit, withdrawal and a new limit have in common.
import { notBefore } from '#app/book';
import { limitEntry } from '#app/create-account';
import type { AccountChange, ProfileChange, World } from '#app/ports';
import { type Account, moved } from '#domain/account';
import { BudgetError, invalid } from '#domain/errors';
import { type Entry, limitBy } from '#domain/ledger';
import { formatUsd, MAX_AMOUNT_MICRO_USD, type MicroUsd } from '#domain/money';

/** The account's change and its entry for a limit that moves by `by`; no entry if it does not move. */
export const limitChange = (
  world: World,
  account: Account,
  { by, note, profile }: { by: MicroUsd; note: string | null; profile: ProfileChange },
): { change: AccountChange; entries: Entry[] } => {
  const at = notBefore(world, account);
  const type = by < 0n ? 'withdrawal' : 'deposit';
  const entries = by === 0n ? [] : [limitEntry(world, { account: account.account, type, amount: by < 0n ? -by : by, at, note })];
  const kind = by === 0n ? 'fact' : by < 0n ? 'withdraw' : 'deposit';
  return {
    change: { account: account.account, movement: limitBy(by), unconfirmed: 0n, entries: entries.length, require: { kind }, profile, at },
    entries,
  };
};

/** The account after its administrator's change. */
export const afterLimitChange = (account: Account, change: AccountChange): Account => ({
  ...moved(account, change),
  ...change.profile?.set,
  version: account.version + 1,
  updatedAt: change.at,
});

/** Why the store refused to move a limit by `by`, told from the account as it is stored. Undefined: for another reason. */
export const limitRefusal = (stored: Account, by: MicroUsd): BudgetError | undefined => {
  if (by < 0n && stored.available < -by) {
    return new BudgetError(
      'below_committed',
      `account ${stored.account} has ${formatUsd(stored.available)} available; ${formatUsd(stored.held + stored.used)} is held or used, so its limit cannot go down by ${formatUsd(-by)}`,
      { account: stored.account },
    );
  }
  if (by > 0n && stored.limit + by > MAX_AMOUNT_MICRO_USD)
    return invalid('amount', `the limit would pass ${formatUsd(MAX_AMOUNT_MICRO_USD)}`);
  return undefined;
};
