import type { UsageAnswer } from '#cli/api-client';
import { given, ifGiven, readAccount, readId, readTime, wordsOr } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, usageError } from '#cli/exit';
import { type Column, printCsv, printJson, printTable, type Shape } from '#cli/render';
import { USAGE_KEYS, type UsageBy } from '#domain/usage';

/** As typed: text or absent. */
export interface UsageOptions {
  readonly bare?: string | undefined;
  readonly account?: string;
  readonly user?: string;
  readonly partition?: string;
  readonly r?: string;
  readonly from?: string;
  readonly to?: string;
  readonly by?: string;
}

type Row = UsageAnswer['rows'][number];

const SHAPE: Shape<Row> = { key: 'text', jobs: 'count', node_hours: 'count', used: 'usd', held: 'usd' };

/** Hundredths of an hour are enough for people; JSON and CSV have them all. */
type TableRow = Omit<Row, 'node_hours'> & { readonly node_hours: string };

const tableRow = (row: Row): TableRow => ({ ...row, key: row.key ?? UNKNOWN, node_hours: row.node_hours.toFixed(2) });

/** An empty cell could be a mistake. */
export const UNKNOWN = '(unknown)';

export const runUsageSummary = async (context: Context, options: UsageOptions): Promise<ExitCode> => {
  const { account, by, query } = readUsageOptions(context, options);
  const api = await context.api();
  const usage = await (account === undefined
    ? api.request('showUsage', { query })
    : api.request('showAccountUsage', { path: { account }, query }));
  await printUsage(context, usage, by);
  return EXIT.ok;
};

/** Which account's usage is asked for, if one's, and all else as the API takes it. */
export const readUsageOptions = (context: Context, options: UsageOptions) => {
  const { bare, account: option } = options;
  if (bare !== undefined && option !== undefined && bare !== option)
    throw usageError(`two accounts are named, ${bare} and ${option}: name one`);
  const account = ifGiven('--account', bare ?? option, readAccount);
  const by = readBy(options.by) ?? (account === undefined ? 'account' : 'user');
  const time = (flag: string, value: string | undefined) => ifGiven(flag, value, (each) => readTime({ ...each, now: context.now() }));
  const query = given({
    from: time('--from', options.from),
    to: time('--to', options.to),
    by,
    user: options.user,
    partition: ifGiven('--partition', options.partition ?? options.r, readId),
  });
  return { account, by, query };
};

/** Nothing is read of days that have not come yet, so an answer about them ends before it begins. */
export const periodText = ({ from, to }: { from: string | null; to: string | null }): string => {
  if (from === null || to === null) return 'of no day, because nothing is booked yet';
  return from < to
    ? `from ${from} until before ${to}, UTC`
    : `from ${from} on, which has not come yet: what is known ends before ${to}, UTC`;
};

const readBy = (by: string | undefined): UsageBy | undefined => {
  const known = USAGE_KEYS.find((each) => each === by);
  if (by !== undefined && known === undefined) throw usageError(`--by '${by}': must be ${wordsOr(USAGE_KEYS)}`);
  return known;
};

const printUsage = async (context: Context, usage: UsageAnswer, by: UsageBy): Promise<void> => {
  if (context.format === 'json') return printJson(context, usage);
  if (context.format === 'csv') return printCsv(context, { shape: SHAPE, rows: usage.rows });
  const columns: readonly Column<TableRow>[] = [
    { field: 'key', header: by.toUpperCase(), flexible: true },
    { field: 'jobs', header: 'JOBS' },
    { field: 'node_hours', header: 'NODE-HOURS' },
    { field: 'used', header: 'USED' },
    { field: 'held', header: 'HELD NOW' },
  ];
  const rows = [...usage.rows, { ...usage.total, key: 'TOTAL' }].map(tableRow);
  await printTable(context, { shape: SHAPE, columns, rows });
  context.tell(periodText(usage));
};
