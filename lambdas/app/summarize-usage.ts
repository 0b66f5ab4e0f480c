import type { World } from '#app/ports';
import { type Days, type PeriodRequest, readAll, readUsageOf } from '#app/read-usage';
import { type Account, dateOf } from '#domain/account';
import { invalid } from '#domain/errors';
import { type HeldFor, summarised, type UsageBy, type UsageRow } from '#domain/usage';

const HOLDS_PER_PAGE = 500;
/** So many open holds are read in half the time that a request has. */
const MAX_HOLDS_READ = 100_000;

export interface UsageRequest extends PeriodRequest {
  readonly by: UsageBy;
}

export interface UsageSummary extends Days {
  readonly rows: readonly UsageRow[];
  readonly total: Omit<UsageRow, 'key'>;
}

/**
 * What ended runs cost and had in some days, and what is held now. Read from sums that are kept by day, so the work depends on
 * how many days, users and partitions there are, and not on how many jobs. What is held is of today, so by month it is in
 * today's row, if that is among them.
 * @throws BudgetError account_not_found, validation_failed for more months than are read at once
 */
export const summarizeUsage = async (world: World, request: UsageRequest): Promise<UsageSummary> => {
  const { accounts, days, usage, isAskedFor } = await readUsageOf(world, request);
  const today = dateOf(world.clock.now());
  const isToldApart = request.by === 'user' || request.by === 'partition' || request.user !== undefined || request.partition !== undefined;
  const held = isToldApart ? (await readHeld(world, accounts, today)).filter(isAskedFor) : heldOf(accounts, today);
  const isAmongThem = request.by !== 'month' || (today >= days.from && today < days.to);
  return { ...days, ...summarised(usage, isAmongThem ? held : [], request.by) };
};

/** The accounts' own columns say how much, where nobody asks for what. */
const heldOf = (accounts: readonly Account[], day: string): HeldFor[] =>
  accounts.map(({ account, held }) => ({ account, user: null, partition: null, day, held }));

const readHeld = async ({ store }: World, accounts: readonly Account[], day: string): Promise<HeldFor[]> => {
  const names = new Set(accounts.map(({ account }) => account));
  const holds = await readAll((page) => store.listOpenHolds(page), HOLDS_PER_PAGE, requireFewHolds);
  return holds
    .filter(({ account }) => names.has(account))
    .map(({ account, user, terms, amount }) => ({ account, user, partition: terms.partition, day, held: amount }));
};

const requireFewHolds = (count: number): void => {
  if (count > MAX_HOLDS_READ)
    throw invalid('by', `more than ${MAX_HOLDS_READ} holds are open: what is held now is told by account or by month only`);
};
