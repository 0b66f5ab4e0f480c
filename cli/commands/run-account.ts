import { type AccountAnswer, ApiError, readAll } from '#cli/api-client';
import { oneOf } from '#cli/commands/command';
import {
  type Given,
  given,
  ifGiven,
  readAccount,
  readCount,
  readDate,
  readDateOrNone,
  readLimit,
  readUsd,
  readUsdFromZero,
  wordsOr,
} from '#cli/commands/values';
import type { Context } from '#cli/context';
import { CommandError, EXIT, type ExitCode, usageError } from '#cli/exit';
import { type Column, cellText, printCsv, printJson, printList, printPairs, type Shape, usdColumn, usdText } from '#cli/render';
import { toUsd } from '#domain/money';

/** An account, named bare or by --account. */
export interface AccountNamed {
  readonly bare?: string | undefined;
  readonly account?: string | undefined;
}

/** As typed: text or absent. */
export interface AccountFields extends AccountNamed {
  readonly name?: string;
  readonly description?: string;
  readonly budget?: string;
  readonly start?: string;
  readonly end?: string;
  readonly status?: string;
  readonly ifVersion?: string;
}

export interface DepositFields extends AccountNamed {
  readonly amount?: string;
  readonly depositId?: string;
  readonly note?: string;
}

const SHAPE: Shape<AccountAnswer> = {
  account: 'text',
  name: 'text',
  description: 'text',
  budget_limit: 'usd',
  budget_used: 'usd',
  budget_held: 'usd',
  budget_available: 'usd',
  budget_unconfirmed: 'usd',
  start_date: 'text',
  end_date: 'text',
  status: 'state',
  version: 'count',
  created_at: 'time',
  updated_at: 'time',
};

const COLUMNS: readonly Column<AccountAnswer>[] = [
  { field: 'account', header: 'ACCOUNT' },
  { field: 'name', header: 'NAME', flexible: true, dispensable: 1 },
  { field: 'budget_limit', header: 'LIMIT' },
  { field: 'budget_used', header: 'USED' },
  { field: 'budget_held', header: 'HELD' },
  { field: 'budget_available', header: 'AVAILABLE' },
  { field: 'status', header: 'STATUS', dispensable: 2 },
  { field: 'start_date', header: 'START', dispensable: 3 },
  { field: 'end_date', header: 'END', dispensable: 3 },
];

const STATUSES = ['active', 'suspended', 'closed'];

export const runAccountList = async (context: Context, options: { limit?: string }): Promise<ExitCode> => {
  const limit = readLimit(options.limit);
  const api = await context.api();
  const listed = await readAll(async (query) => {
    const { accounts, cursor } = await api.request('listAccounts', { query });
    return { rows: accounts, cursor };
  }, limit);
  await printList(context, { key: 'accounts', begin: "open one with 'asbb account create'", shape: SHAPE, columns: COLUMNS, ...listed });
  return EXIT.ok;
};

export const runAccountCreate = async (context: Context, options: AccountFields): Promise<ExitCode> => {
  const account = accountIn(options);
  if (options.budget === undefined) throw usageError('how much may it spend? Say it with --budget, for example --budget=1000');
  const body = {
    account,
    budget_limit: dollars('--budget', options.budget, readUsdFromZero),
    ...given({
      name: options.name,
      description: options.description,
      start_date: ifGiven('--start', options.start, readDate),
      end_date: ifGiven('--end', options.end, readDate),
    }),
  };
  requireOrder(body);
  const api = await context.api();
  return printAccount(context, await api.request('createAccount', { body }));
};

export const runAccountShow = async (context: Context, options: AccountNamed): Promise<ExitCode> => {
  const account = accountIn(options);
  const api = await context.api();
  return printAccount(context, await api.request('showAccount', { path: { account } }));
};

export const runAccountUpdate = async (context: Context, options: AccountFields): Promise<ExitCode> => {
  const account = accountIn(options);
  const change = given({
    name: options.name,
    description: options.description,
    budget_limit: ifGiven('--budget', options.budget, ({ flag, value }) => dollars(flag, value, readUsdFromZero)),
    start_date: ifGiven('--start', options.start, readDateOrNone),
    end_date: ifGiven('--end', options.end, readDateOrNone),
    status: ifGiven('--status', options.status, readStatus),
  });
  if (Object.keys(change).length === 0) {
    throw usageError(`what is to change in account ${account}? Say it with --name, --description, --budget, --start, --end or --status`);
  }
  requireOrder(change);
  const ifVersion = ifGiven('--if-version', options.ifVersion, (typed) => readCount({ ...typed, least: 0, most: Number.MAX_SAFE_INTEGER }));
  const api = await context.api();
  const body = { ...change, ...given({ if_version: ifVersion }) };
  return printAccount(context, await api.request('updateAccount', { path: { account }, body }));
};

/** The API answers 204 for both, so what became of the account is read afterwards. */
export const runAccountDelete = async (context: Context, options: AccountNamed): Promise<ExitCode> => {
  const account = accountIn(options);
  const api = await context.api();
  await api.request('deleteAccount', { path: { account } });
  const left = await api.request('showAccount', { path: { account } }).catch((error: unknown) => {
    if (error instanceof ApiError && error.code === 'account_not_found') return undefined;
    throw error;
  });
  const outcome = left === undefined ? 'removed' : 'closed';
  if (context.format === 'json') printJson(context, { account, outcome });
  else if (context.format === 'csv') await printCsv(context, { shape: { account: 'text', outcome: 'text' }, rows: [{ account, outcome }] });
  else context.print(`account ${account} ${outcome}${outcome === 'closed' ? ': its ledger stays' : ''}\n`);
  return EXIT.ok;
};

export const runAccountDeposit = (context: Context, options: DepositFields): Promise<ExitCode> => book(context, options, 1);

export const runAccountWithdraw = (context: Context, options: DepositFields): Promise<ExitCode> => book(context, options, -1);

const book = async (context: Context, options: DepositFields, sign: 1 | -1): Promise<ExitCode> => {
  const account = accountIn(options);
  if (options.amount === undefined) throw usageError('how much? Say it with --amount, for example --amount 250');
  const amount = dollars('--amount', options.amount, readUsd);
  if (amount <= 0) throw usageError(`--amount '${options.amount}': must be greater than 0; to take money out, use 'asbb account withdraw'`);
  const depositId = options.depositId ?? context.newId();
  const api = await context.api();
  // Before the request: whoever loses the answer needs the id to ask again without booking twice.
  if (options.depositId === undefined)
    context.tell(`if this is cut short, repeat it with --deposit-id ${depositId}, and it is booked once`);
  const body = { amount: sign * amount, deposit_id: depositId, ...given({ note: options.note }) };
  const booked = await api.request('deposit', { path: { account }, body }).catch((error: unknown) => {
    if (!(error instanceof CommandError) || error.exitCode !== EXIT.unreachable) throw error;
    throw new CommandError(
      EXIT.unreachable,
      `${error.message}; whether it was booked is not known: repeat with --deposit-id ${depositId}`,
      {
        cause: error,
      },
    );
  });
  return printAccount(context, booked);
};

const accountIn = ({ bare, account }: AccountNamed): string =>
  readAccount({ flag: 'account', value: oneOf('account', { bare, option: account, flag: '--account' }) });

/** Exact dollars, as the number that the wire takes. */
const dollars = (flag: string, value: string, read: (typed: Given) => bigint): number => toUsd(read({ flag, value }));

const readStatus = ({ flag, value }: Given): string => {
  if (!STATUSES.includes(value)) throw usageError(`${flag} '${value}': must be ${wordsOr(STATUSES)}`);
  return value;
};

const requireOrder = ({ start_date, end_date }: { start_date?: string | null; end_date?: string | null }): void => {
  if (start_date && end_date && end_date < start_date) throw usageError(`--end ${end_date} is before --start ${start_date}`);
};

const printAccount = async (context: Context, account: AccountAnswer): Promise<ExitCode> => {
  if (context.format === 'json') printJson(context, account);
  else if (context.format === 'csv') await printCsv(context, { shape: SHAPE, rows: [account] });
  else await printPairs(context, pairsOf(account));
  return EXIT.ok;
};

const pairsOf = (account: AccountAnswer): [string, string][] => {
  const { budget_limit, budget_used, budget_held, budget_available, budget_unconfirmed } = account;
  const [limit = '', used = '', held = '', available = ''] = usdColumn([budget_limit, budget_used, budget_held, budget_available]);
  return [
    ['Account', cellText(account.account, 'text')],
    ['Name', cellText(account.name, 'text')],
    ['Description', cellText(account.description, 'text')],
    ['Limit', limit],
    ['Used', used],
    ['Held', `${held}${budget_unconfirmed > 0 ? ` (${usdText(budget_unconfirmed)} not yet confirmed)` : ''}`],
    ['Available', available],
    ['Status', cellText(account.status, 'text')],
    ['Start', cellText(account.start_date, 'text')],
    ['End', cellText(account.end_date, 'text')],
    ['Version', cellText(account.version, 'count')],
    ['Created', cellText(account.created_at, 'time')],
    ['Updated', cellText(account.updated_at, 'time')],
  ];
};
