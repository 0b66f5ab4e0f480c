import { CHANGED, untilBooked } from '#app/book';
import { afterLimitChange, limitChange, limitRefusal } from '#app/change-limit';
import type { World } from '#app/ports';
import { accountNotFound, readAccountOrThrow } from '#app/read';
import type { Account } from '#domain/account';
import { BudgetError } from '#domain/errors';
import type { MicroUsd } from '#domain/money';

export interface DepositRequest {
  readonly account: string;
  /** Negative withdraws. */
  readonly amount: MicroUsd;
  /** Chosen by the caller: the same deposit again gives nothing. */
  readonly depositId: string;
  readonly note: string | null;
}

/**
 * Raise or lower an account's limit by an amount, once per `depositId`.
 * @returns the account as it is afterwards
 * @throws BudgetError account_not_found, deposit_conflict, below_committed, validation_failed (past the greatest limit)
 */
export const deposit = (world: World, request: DepositRequest): Promise<Account> =>
  untilBooked(world, async () => {
    const account = await readAccountOrThrow(world.store, request.account);
    const { change, entries } = limitChange(world, account, { by: request.amount, note: request.note, profile: { set: {} } });
    const { depositId, amount } = request;
    const outcome = await world.store.commit({ accounts: [change], entries, deposit: { account: account.account, depositId, amount } });
    if (outcome.booked) return afterLimitChange(account, change);

    const earlier = outcome.refusal.deposit?.stored;
    if (earlier?.amount === amount) return readAccountOrThrow(world.store, request.account);
    if (earlier) {
      throw new BudgetError('deposit_conflict', `deposit_id ${depositId} was used for another amount: make a new one for each deposit`, {
        deposit_id: depositId,
      });
    }
    const [failed] = outcome.refusal.accounts;
    if (failed === undefined) return CHANGED;
    if (failed.stored === null) throw accountNotFound(request.account);
    const refusal = limitRefusal(failed.stored, amount);
    if (refusal === undefined) return CHANGED;
    throw refusal;
  });
