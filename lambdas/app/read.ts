// Reads that answer with a refusal when there is nothing.
import type { BudgetStore, HoldSpec, JobLink } from '#app/ports';
import type { Account } from '#domain/account';
import { BudgetError } from '#domain/errors';
import type { Hold } from '#domain/hold';
import type { Instant } from '#domain/ledger';

export const readAccountOrThrow = async (store: BudgetStore, account: string): Promise<Account> => {
  const found = await store.readAccount(account);
  if (found === undefined) throw accountNotFound(account);
  return found;
};

export const accountNotFound = (account: string): BudgetError =>
  new BudgetError('account_not_found', `account ${account} has no cloud budget: its manager can create one with 'asbb account create'`, {
    account,
  });

export const readHoldOrThrow = async (store: BudgetStore, holdId: string): Promise<Hold> => {
  const found = await store.readHold(holdId);
  if (found === undefined) throw new BudgetError('hold_not_found', `there is no hold ${holdId}`, { hold_id: holdId });
  return found;
};

/** The spec is written with its hold, so a hold without one is a bug. */
export const readSpecOf = async (store: BudgetStore, hold: Hold): Promise<HoldSpec> => {
  const found = await store.readSpec(hold.holdId);
  if (found === undefined) throw new Error(`hold ${hold.holdId} has no spec`);
  return found;
};

export const readJobLinkOrThrow = async (
  store: BudgetStore,
  job: { cluster: string; jobId: string; submittedAt?: Instant },
): Promise<JobLink> => {
  const found = await store.readJobLink(job);
  if (found === undefined) {
    throw new BudgetError('job_not_found', `no hold is bound to job ${job.jobId} of cluster ${job.cluster}`, {
      cluster: job.cluster,
      job_id: job.jobId,
    });
  }
  return found;
};
