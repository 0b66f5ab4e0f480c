import { CHANGED, untilBooked } from '#app/book';
import { limitEntry } from '#app/create-account';
import type { World } from '#app/ports';
import { readAccountOrThrow } from '#app/read';
import { requireNoOpenHolds, updateAccount } from '#app/update-account';
import type { Account } from '#domain/account';
import type { Entry, Instant } from '#domain/ledger';

/**
 * Remove an account for which nothing but its opening deposit was ever booked; close any other.
 * @returns what became of it
 * @throws BudgetError account_not_found, account_has_open_holds
 */
export const deleteAccount = (world: World, name: string): Promise<'removed' | 'closed'> =>
  untilBooked(world, async () => {
    const account = await readAccountOrThrow(world.store, name);
    requireNoOpenHolds(account);
    const opening = await openingOf(world, account);
    if (opening === 'more') {
      await updateAccount(world, { account: name, set: { status: 'closed' } });
      return 'closed';
    }
    return (await world.store.removeAccount(account, opening && closingEntry(world, account, opening.at))) ? 'removed' : CHANGED;
  });

/** The one deposit that an account's ledger has, if any; or that there is more in it. */
const openingOf = async (world: World, account: Account): Promise<Entry | undefined | 'more'> => {
  if (account.entryCount === 0) return undefined;
  if (account.entryCount > 1) return 'more';
  const { items } = await world.store.listEntries(
    { account: account.account, from: account.createdAt, to: account.updatedAt + 1 },
    { limit: 1 },
  );
  return items[0]?.type === 'deposit' ? items[0] : 'more';
};

/**
 * Ledger entries are never deleted, so the opening deposit is withdrawn, and dated as it was: an account that takes the name
 * next has a ledger that begins with its own creation, and sees both of them or neither.
 */
const closingEntry = (world: World, account: Account, at: Instant): Entry =>
  limitEntry(world, { account: account.account, type: 'withdrawal', amount: account.limit, at, note: 'removed' });
