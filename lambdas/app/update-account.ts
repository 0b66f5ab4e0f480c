import { CHANGED, untilBooked } from '#app/book';
import { afterLimitChange, limitChange, limitRefusal } from '#app/change-limit';
import type { ProfileChange, World } from '#app/ports';
import { accountNotFound, readAccountOrThrow } from '#app/read';
import type { Account } from '#domain/account';
import { BudgetError, invalid } from '#domain/errors';
import { formatUsd, type MicroUsd } from '#domain/money';

export interface AccountUpdate {
  readonly account: string;
  readonly set: ProfileChange['set'];
  /** The new limit, absolute. */
  readonly limit?: MicroUsd;
  readonly ifVersion?: number;
}

/**
 * Change an account's words, dates, status or limit.
 * @throws BudgetError account_not_found, version_conflict, below_committed, account_has_open_holds (closing),
 *   validation_failed (end before start)
 */
export const updateAccount = (world: World, update: AccountUpdate): Promise<Account> =>
  untilBooked(world, async () => {
    const account = await readAccountOrThrow(world.store, update.account);
    requireVersion(account, update.ifVersion);
    requireDates({ ...account, ...update.set });
    if (update.set.status === 'closed') requireNoOpenHolds(account);
    const by = update.limit === undefined ? 0n : update.limit - account.limit;
    if (by === 0n && Object.keys(update.set).length === 0) return account;

    // The new limit is absolute, and so right only while the old one is what was read.
    const profile = { set: update.set, ifVersion: account.version };
    const { change, entries } = limitChange(world, account, { by, note: 'new limit', profile });
    const outcome = await world.store.commit({ accounts: [change], entries });
    if (outcome.booked) return afterLimitChange(account, change);

    const [failed] = outcome.refusal.accounts;
    if (failed?.stored === null) throw accountNotFound(update.account);
    if (failed === undefined || failed.stored.version !== account.version) return CHANGED;
    if (update.set.status === 'closed') requireNoOpenHolds(failed.stored);
    const refusal = limitRefusal(failed.stored, by);
    if (refusal === undefined) return CHANGED;
    throw refusal;
  });

/** An account closes once nothing is held any more; its ledger outlives it. */
export const requireNoOpenHolds = (account: Account): void => {
  if (account.held === 0n) return;
  throw new BudgetError(
    'account_has_open_holds',
    `account ${account.account} has ${formatUsd(account.held)} held for open holds: suspend it, and close it when they have ended`,
    { account: account.account },
  );
};

const requireVersion = (account: Account, ifVersion: number | undefined): void => {
  if (ifVersion === undefined || ifVersion === account.version) return;
  throw new BudgetError(
    'version_conflict',
    `account ${account.account} is at version ${account.version}, not ${ifVersion}: read it again`,
    {
      version: account.version,
    },
  );
};

const requireDates = ({ startDate, endDate }: { startDate: string | null; endDate: string | null }): void => {
  if (startDate !== null && endDate !== null && endDate < startDate)
    throw invalid('end_date', `${endDate} is before the start date ${startDate}`);
};
