import { CHANGED, untilBooked } from '#app/book';
import { limitEntry } from '#app/create-account';
import type { World } from '#app/ports';
import { readAccountOrThrow } from '#app/read';
import { requireNoOpenHolds, updateAccount } from '#app/update-account';
import type { Account } from '#domain/account';

/**
 * Remove an account for which nothing but its opening deposit was ever booked; close any other.
 * @returns what became of it
 * @throws BudgetError account_not_found, account_has_open_holds
 */
export const deleteAccount = (world: World, name: string): Promise<'removed' | 'closed'> =>
  untilBooked(world, async () => {
    const account = await readAccountOrThrow(world.store, name);
    requireNoOpenHolds(account);
    if (account.entryCount > 1 || account.used !== 0n) {
      await updateAccount(world, { account: name, set: { status: 'closed' } });
      return 'closed';
    }
    return (await world.store.removeAccount(account, closingEntry(world, account))) ? 'removed' : CHANGED;
  });

/**
 * Ledger entries are never deleted, so the opening deposit is withdrawn. The entry is dated before any account that takes
 * the name next, whose ledger begins with its own creation.
 */
const closingEntry = (world: World, account: Account) =>
  account.limit === 0n
    ? undefined
    : limitEntry(world, {
        account: account.account,
        type: 'withdrawal',
        amount: account.limit,
        at: Math.max(account.createdAt, world.clock.now() - 1),
        note: 'removed',
      });
