import type { Page, PageRequest, World } from '#app/ports';
import { readAccountOrThrow } from '#app/read';
import { type Account, dateOf } from '#domain/account';
import { invalid } from '#domain/errors';
import type { Instant } from '#domain/ledger';
import { type HeldFor, summarised, type Usage, type UsageBy, type UsageRow } from '#domain/usage';

const DAY_MS = 24 * 3600 * 1000;
/** Entries of a machine whose clock is ahead are still part of "until now". */
const CLOCK_SKEW_MS = 3600 * 1000;
const ACCOUNTS_PER_PAGE = 500;
const ROWS_PER_PAGE = 1000;
const HOLDS_PER_PAGE = 500;
/** Months of accounts that one summary reads: a thousand accounts for five months, or a hundred for four years. */
const MAX_MONTHS_READ = 5000;
/** So many open holds are read in half the time that a request has. */
const MAX_HOLDS_READ = 100_000;
const READS_AT_ONCE = 16;

export interface UsageRequest {
  /** @default all */
  readonly account?: string;
  readonly user?: string;
  readonly partition?: string;
  /** @default as long as there are accounts */
  readonly from?: Instant;
  /** Exclusive. @default until now */
  readonly to?: Instant;
  readonly by: UsageBy;
}

export interface UsageSummary {
  /** The days that are summed up, `YYYY-MM-DD` in UTC: all that the period touches, `to` exclusive. */
  readonly from: string;
  readonly to: string;
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
  const now = world.clock.now();
  const accounts = await accountsOf(world, request.account);
  const days = daysOf(accounts, request, now);
  const isAskedFor = ({ user, partition }: Pick<Usage, 'user' | 'partition'>) =>
    (request.user === undefined || user === request.user) && (request.partition === undefined || partition === request.partition);
  const usage = (await readUsage(world, accounts, days)).filter(isAskedFor);
  const today = dateOf(now);
  const isToldApart = request.by === 'user' || request.by === 'partition' || request.user !== undefined || request.partition !== undefined;
  const held = isToldApart ? (await readHeld(world, accounts, today)).filter(isAskedFor) : heldOf(accounts, today);
  const isAmongThem = request.by !== 'month' || (today >= days.from && today < days.to);
  return { ...days, ...summarised(usage, isAmongThem ? held : [], request.by) };
};

const accountsOf = async ({ store }: World, account: string | undefined): Promise<readonly Account[]> =>
  account === undefined ? all((page) => store.listAccounts(page), ACCOUNTS_PER_PAGE) : [await readAccountOrThrow(store, account)];

const daysOf = (accounts: readonly Account[], { from, to }: UsageRequest, now: Instant): { from: string; to: string } => {
  const first = accounts.reduce((earliest, { createdAt }) => Math.min(earliest, createdAt), now);
  const end = now + CLOCK_SKEW_MS;
  return { from: dateOf(Math.max(from ?? first, first)), to: dateOf(Math.min(to ?? end, end) + DAY_MS - 1) };
};

const readUsage = async ({ store }: World, accounts: readonly Account[], days: { from: string; to: string }): Promise<Usage[]> => {
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
    const read = months.slice(first, first + READS_AT_ONCE).map((month) => all((page) => store.listUsage(month, page), ROWS_PER_PAGE));
    usage.push(...(await Promise.all(read)));
  }
  return usage.flat();
};

/** The part of each month that is among these days. */
const monthsOf = (from: string, to: string): { from: string; to: string }[] => {
  const months: { from: string; to: string }[] = [];
  for (let day = from; day < to; ) {
    const next = dateOf(Date.UTC(Number(day.slice(0, 4)), Number(day.slice(5, 7)), 1));
    months.push({ from: day, to: next < to ? next : to });
    day = next;
  }
  return months;
};

/** The accounts' own columns say how much, where nobody asks for what. */
const heldOf = (accounts: readonly Account[], day: string): HeldFor[] =>
  accounts.map(({ account, held }) => ({ account, user: null, partition: null, day, held }));

const readHeld = async ({ store }: World, accounts: readonly Account[], day: string): Promise<HeldFor[]> => {
  const names = new Set(accounts.map(({ account }) => account));
  const holds = await all((page) => store.listOpenHolds(page), HOLDS_PER_PAGE, requireFewHolds);
  return holds
    .filter(({ account }) => names.has(account))
    .map(({ account, user, terms, amount }) => ({ account, user, partition: terms.partition, day, held: amount }));
};

const requireFewHolds = (count: number): void => {
  if (count > MAX_HOLDS_READ)
    throw invalid('by', `more than ${MAX_HOLDS_READ} holds are open: what is held now is told by account or by month only`);
};

const all = async <T>(
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
