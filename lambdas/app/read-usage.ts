// Usage as it is kept, of the accounts and days that somebody asks for.
import type { Page, PageRequest, World } from '#app/ports';
import { readAccountOrThrow } from '#app/read';
import { type Account, dateOf } from '#domain/account';
import { invalid } from '#domain/errors';
import type { Instant } from '#domain/ledger';
import type { Usage } from '#domain/usage';

const DAY_MS = 24 * 3600 * 1000;
/** Entries of a machine whose clock is ahead are still part of "until now". */
const CLOCK_SKEW_MS = 3600 * 1000;
const ACCOUNTS_PER_PAGE = 500;
const ROWS_PER_PAGE = 1000;
/** Months of accounts that one summary reads: a thousand accounts for five months, or a hundred for four years. */
const MAX_MONTHS_READ = 5000;
const READS_AT_ONCE = 16;

/** Whose usage of which days. */
export interface PeriodRequest {
  /** @default all */
  readonly account?: string;
  readonly user?: string;
  readonly partition?: string;
  /** @default as long as there are accounts */
  readonly from?: Instant;
  /** Exclusive. @default until now */
  readonly to?: Instant;
}

/** The days that are read, `YYYY-MM-DD` in UTC: all that the period touches, `to` exclusive. */
export interface Days {
  readonly from: string;
  readonly to: string;
}

/** @throws BudgetError account_not_found, validation_failed for more months than are read at once */
export const readUsageOf = async (world: World, request: PeriodRequest) => {
  const accounts = await accountsOf(world, request.account);
  const days = daysOf(accounts, request, world.clock.now());
  const isAskedFor = ({ user, partition }: Pick<Usage, 'user' | 'partition'>) =>
    (request.user === undefined || user === request.user) && (request.partition === undefined || partition === request.partition);
  return { accounts, days, isAskedFor, usage: (await readUsage(world, accounts, days)).filter(isAskedFor) };
};

const accountsOf = async ({ store }: World, account: string | undefined): Promise<readonly Account[]> =>
  account === undefined ? readAll((page) => store.listAccounts(page), ACCOUNTS_PER_PAGE) : [await readAccountOrThrow(store, account)];

const daysOf = (accounts: readonly Account[], { from, to }: PeriodRequest, now: Instant): Days => {
  const first = accounts.reduce((earliest, { createdAt }) => Math.min(earliest, createdAt), now);
  const end = now + CLOCK_SKEW_MS;
  return { from: dateOf(Math.max(from ?? first, first)), to: dateOf(Math.min(to ?? end, end) + DAY_MS - 1) };
};

const readUsage = async ({ store }: World, accounts: readonly Account[], days: Days): Promise<Usage[]> => {
  const months = accounts.flatMap(({ account, createdAt }) =>
    monthsOf(latest(days.from, dateOf(createdAt)), days.to).map((month) => ({ account, ...month })),
  );
  if (months.length > MAX_MONTHS_READ)
    throw invalid(
      'from',
      `${months.length} months of accounts are more than the ${MAX_MONTHS_READ} that are read at once: name a later one`,
    );
  const usage: Usage[][] = [];
  for (let first = 0; first < months.length; first += READS_AT_ONCE) {
    const read = months.slice(first, first + READS_AT_ONCE).map((month) => readAll((page) => store.listUsage(month, page), ROWS_PER_PAGE));
    usage.push(...(await Promise.all(read)));
  }
  return usage.flat();
};

/** The part of each month that is among these days. */
const monthsOf = (from: string, to: string): Days[] => {
  const months: Days[] = [];
  for (let day = from; day < to; ) {
    const next = dateOf(Date.UTC(Number(day.slice(0, 4)), Number(day.slice(5, 7)), 1));
    months.push({ from: day, to: next < to ? next : to });
    day = next;
  }
  return months;
};

/** Every page of a list. */
export const readAll = async <T>(
  list: (page: PageRequest) => Promise<Page<T>>,
  limit: number,
  requireFew: (count: number) => void = () => undefined,
): Promise<T[]> => {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const page = await list({ limit, ...(cursor === undefined ? {} : { cursor }) });
    items.push(...page.items);
    requireFew(items.length);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return items;
};

const latest = (a: string, b: string): string => (a > b ? a : b);
