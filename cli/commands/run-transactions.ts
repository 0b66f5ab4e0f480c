import { type EntryAnswer, readAll } from '#cli/api-client';
import { oneOf } from '#cli/commands/command';
import { ifGiven, readAccount, readLimit, readTime } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode } from '#cli/exit';
import { type Column, printList, type Shape } from '#cli/render';

/** As typed: text or absent. */
export interface TransactionsOptions {
  readonly bare?: string | undefined;
  readonly account?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit?: string;
}

const SHAPE: Shape<EntryAnswer> = {
  entry_id: 'text',
  at: 'time',
  account: 'text',
  type: 'text',
  amount: 'usd',
  available_delta: 'usd',
  held_delta: 'usd',
  used_delta: 'usd',
  limit_delta: 'usd',
  hold_id: 'text',
  job_id: 'text',
  run_id: 'text',
  user: 'text',
  note: 'text',
};

const COLUMNS: readonly Column<EntryAnswer>[] = [
  { field: 'at', header: 'TIME' },
  { field: 'type', header: 'TYPE' },
  { field: 'amount', header: 'AMOUNT' },
  { field: 'available_delta', header: 'AVAILABLE' },
  { field: 'held_delta', header: 'HELD', dispensable: 2 },
  { field: 'used_delta', header: 'USED', dispensable: 1 },
  { field: 'limit_delta', header: 'LIMIT', dispensable: 3 },
  { field: 'job_id', header: 'JOB', dispensable: 4 },
  { field: 'user', header: 'USER', dispensable: 5 },
  { field: 'hold_id', header: 'HOLD', dispensable: 7 },
  { field: 'note', header: 'NOTE', flexible: true, dispensable: 6 },
];

export const runTransactionsList = async (context: Context, options: TransactionsOptions): Promise<ExitCode> => {
  const named = oneOf('account', { bare: options.bare, option: options.account, flag: '-A' });
  const account = readAccount({ flag: '--account', value: named });
  const time = (flag: string, value: string | undefined) => ifGiven(flag, value, (each) => readTime({ ...each, now: context.now() }));
  const period = { from: time('--from', options.from), to: time('--to', options.to) };
  const limit = readLimit(options.limit);
  const api = await context.api();
  const listed = await readAll(async (page) => {
    const { transactions, cursor } = await api.request('listTransactions', { path: { account }, query: { ...period, ...page } });
    return { rows: transactions, cursor };
  }, limit);
  await printList(context, { key: 'transactions', shape: SHAPE, columns: COLUMNS, ...listed });
  return EXIT.ok;
};
