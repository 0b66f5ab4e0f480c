// The money law, looked at from outside: from what the store gives, and not from what anybody meant.
import { isDeepStrictEqual } from 'node:util';
import { auditAccounts } from '#app/audit-accounts';
import type { BudgetStore, World } from '#app/ports';
import type { Account } from '#domain/account';
import type { Hold } from '#domain/hold';
import type { BookedRun } from '#domain/run';

/** Everything that a test may have touched. */
export interface Places {
  readonly accounts: readonly string[];
  readonly holdIds: readonly string[];
  /** Of runs whose hold nobody knows. */
  readonly owners: readonly string[];
}

export interface Money {
  readonly accounts: readonly Account[];
  readonly holds: readonly Hold[];
  readonly runs: readonly BookedRun[];
}

export const readMoney = async (store: BudgetStore, { accounts, holdIds, owners }: Places): Promise<Money> => {
  const [readAccounts, holds, runs] = await Promise.all([
    Promise.all(accounts.map((account) => store.readAccount(account))),
    Promise.all(holdIds.map((holdId) => store.readHold(holdId))),
    Promise.all([...holdIds, ...owners].map(async (owner) => (await store.listRuns(owner, { limit: 500 })).items)),
  ]);
  return {
    accounts: readAccounts.filter((account) => account !== undefined),
    holds: holds.filter((hold) => hold !== undefined),
    runs: runs.flat(),
  };
};

/** @throws Error that names the first law that does not hold */
export const requireLaw = async (world: World, money: Money): Promise<void> => {
  for (const account of money.accounts) requireColumns(account, money);
  for (const hold of money.holds) requireHold(hold, money.runs);
  const audit = await auditAccounts(world, { page: { limit: 100 }, mode: 'compare' });
  if (audit.differences.length > 0) throw new Error(`the ledger says otherwise: ${show(audit.differences)}`);
  if (audit.accounts < money.accounts.length) throw new Error('the audit missed an account');
};

/** @throws Error if anything is not as it was */
export const requireUnchanged = (before: Money, after: Money): void => {
  if (!isDeepStrictEqual(before, after)) throw new Error(`refused, and yet changed: ${show(before)} became ${show(after)}`);
};

const requireColumns = (account: Account, { holds, runs }: Money): void => {
  const open = holds.filter((hold) => hold.account === account.account && hold.state === 'open');
  const unbound = open.filter(({ jobId }) => jobId === null);
  const own = runs.filter((run) => run.account === account.account);
  requireEqual(`${account.account}: available + held + used = limit`, account.available + account.held + account.used, account.limit);
  requireEqual(`${account.account}: held = its open holds`, account.held, sum(open.map(({ amount }) => amount)));
  requireEqual(`${account.account}: unconfirmed = its open unbound holds`, account.unconfirmed, sum(unbound.map(({ amount }) => amount)));
  requireEqual(`${account.account}: used = its runs`, account.used, sum(own.map(({ cost }) => cost)));
};

const requireHold = (hold: Hold, runs: readonly BookedRun[]): void => {
  const own = runs.filter(({ owner }) => owner === hold.holdId);
  requireEqual(`hold ${hold.holdId}: used = its runs`, hold.used, sum(own.map(({ cost }) => cost)));
  if (hold.amount < 0n) throw new Error(`hold ${hold.holdId} holds ${hold.amount}`);
  if (hold.state !== 'open') requireEqual(`hold ${hold.holdId} is ${hold.state}, and holds nothing`, hold.amount, 0n);
  if ((hold.state === 'open') !== (hold.closedAt === null))
    throw new Error(`hold ${hold.holdId} is ${hold.state}, closed ${hold.closedAt}`);
  if (hold.tasksEnded > hold.tasks || (hold.state === 'settled') !== (hold.tasksEnded === hold.tasks)) {
    throw new Error(`hold ${hold.holdId} is ${hold.state} with ${hold.tasksEnded} of ${hold.tasks} tasks ended`);
  }
};

const requireEqual = (law: string, left: bigint, right: bigint): void => {
  if (left !== right) throw new Error(`${law}: ${left} is not ${right}`);
};

const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((total, amount) => total + amount, 0n);

const show = (value: unknown): string => JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? `${each}n` : each));
