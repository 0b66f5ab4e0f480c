// What a file says of accounts: CSV, what sacctmgr prints with -P or -p, or its flat file, which ColdFront writes too
// (`coldfront slurm_dump`), or ColdFront's allocations as JSON. Told apart by content.
import { parse } from 'csv-parse/sync';
import { type ColdFrontNames, isColdFront, readColdFront } from '#cli/account-import/coldfront';
import { usageError } from '#cli/exit';
import { parseAccountName } from '#domain/account';
import { BudgetError } from '#domain/errors';

/** What is said of one account; what is not said is absent. */
export interface SaidAccount {
  readonly account: string;
  readonly name?: string;
  readonly description?: string;
  /** As typed: dollars. */
  readonly budget?: string;
  readonly start?: string;
  readonly end?: string;
  /** File and line. */
  readonly at: string;
}

export type AccountFormat = 'CSV' | 'sacctmgr' | 'sacctmgr flat file' | 'ColdFront';

export interface AccountSource {
  readonly format: AccountFormat;
  readonly accounts: readonly SaidAccount[];
}

type Field = Exclude<keyof SaidAccount, 'at'>;

const MAX_ACCOUNTS = 10_000;
/** Headers of sites, of `account list -o csv`, and of sacctmgr, in lower case. */
const HEADERS: Readonly<Record<string, Field>> = {
  account: 'account',
  slurm_account_name: 'account',
  name: 'name',
  description: 'description',
  descr: 'description',
  budget: 'budget',
  limit: 'budget',
  budget_limit: 'budget',
  start: 'start',
  start_date: 'start',
  end: 'end',
  end_date: 'end',
};
/** Slurm has this one for itself. */
const ROOT = 'root';

/** The attribute that ColdFront's own Slurm plugin reads. */
export const SLURM_ACCOUNT_ATTRIBUTE = 'slurm_account_name';

/** @throws CommandError usage, naming file and line */
export const readAccounts = (
  { file, text }: { file: string; text: string },
  names: ColdFrontNames = { accountAttribute: SLURM_ACCOUNT_ATTRIBUTE },
): AccountSource => {
  const content = text.replace(/^\ufeff/, '');
  const format = formatOf(content);
  const read = readers[format](file, content, names);
  const accounts = read.filter(({ account }) => format === 'CSV' || account !== ROOT);
  if (accounts.length === 0) throw usageError(`${file}: names no account`);
  return { format, accounts };
};

const readers: Readonly<Record<AccountFormat, (file: string, content: string, names: ColdFrontNames) => SaidAccount[]>> = {
  CSV: (file, content) => readTable(file, content, 'CSV'),
  sacctmgr: (file, content) => readTable(file, content, 'sacctmgr'),
  'sacctmgr flat file': (file, content) => readFlatFile(file, content),
  ColdFront: (file, content, names) =>
    readColdFront(file, content, names).map((said) => ({ ...said, account: accountName(said.account, said.at) })),
};

const formatOf = (content: string): AccountFormat => {
  if (isColdFront(content)) return 'ColdFront';
  if (/^(?:Cluster|Account|Parent|User) - '/m.test(content)) return 'sacctmgr flat file';
  return /^[^\n]*\|/.test(content) ? 'sacctmgr' : 'CSV';
};

/** A header, and a row for each account; sacctmgr's associations have rows of users too, which are passed over. */
const readTable = (file: string, content: string, format: AccountFormat): SaidAccount[] => {
  const rows = parsedRows(file, content, format);
  const [header] = rows;
  if (header === undefined) throw usageError(`${file}: is empty`);
  const names = header.cells.map((cell) => cell.trim().toLowerCase());
  const fields = names.map((name) => HEADERS[name]);
  if (!fields.includes('account')) {
    const known = 'account, name, description, budget, start and end';
    throw usageError(
      `${file} line ${header.line}: has no column 'account': write a header with ${known}, of which only the first is needed`,
    );
  }
  const userColumn = names.indexOf('user');
  return rows.slice(1).flatMap(({ cells, line }) => {
    if (userColumn !== -1 && (cells[userColumn] ?? '').trim() !== '') return [];
    const said: Partial<Record<Field, string>> = {};
    for (const [column, field] of fields.entries()) {
      const value = (cells[column] ?? '').trim();
      if (field !== undefined && value !== '') said[field] ??= value;
    }
    const at = `${file} line ${line}`;
    if (said.account === undefined) throw usageError(`${at}: names no account`);
    return [{ ...said, account: accountName(said.account, at), at }];
  });
};

const parsedRows = (file: string, content: string, format: AccountFormat): { cells: string[]; line: number }[] => {
  if (format === 'sacctmgr')
    return content
      .split(/\r?\n/)
      .flatMap((text, index) => (text === '' ? [] : [{ cells: text.replace(/\|$/, '').split('|'), line: index + 1 }]));
  try {
    const rows = parse(content, { info: true, relax_column_count: true, skip_empty_lines: true, to: MAX_ACCOUNTS + 2 }) as unknown as {
      record: string[];
      info: { lines: number };
    }[];
    return rows.map(({ record, info }) => ({ cells: record, line: info.lines }));
  } catch (error) {
    throw usageError(`${file}: is not CSV (${error instanceof Error ? error.message : error})`, { cause: error });
  }
};

/** sacctmgr(1), "FLAT FILE DUMP AND LOAD": `Account - 'physics':Description='...':Organization='...'`. */
const readFlatFile = (file: string, content: string): SaidAccount[] =>
  content.split(/\r?\n/).flatMap((text, index) => {
    const [, name, rest = ''] = /^Account - '([^']*)'(.*)$/.exec(text) ?? [];
    if (name === undefined) return [];
    const at = `${file} line ${index + 1}`;
    const description = /:Description='([^']*)'/.exec(rest)?.[1];
    return [{ account: accountName(name, at), ...(description === undefined || description === '' ? {} : { description }), at }];
  });

const accountName = (name: string, at: string): string => {
  try {
    return parseAccountName(name);
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    throw usageError(`${at}: ${error.message}`, { cause: error });
  }
};

/**
 * All that several files say: the same account may be in each, as it is on several clusters.
 * @throws CommandError usage if they do not agree, or say too much
 */
export const mergeAccounts = (sources: readonly AccountSource[]): SaidAccount[] => {
  const merged = new Map<string, SaidAccount>();
  for (const said of sources.flatMap(({ accounts }) => accounts)) {
    const before = merged.get(said.account);
    for (const field of ['name', 'description', 'budget', 'start', 'end'] as const)
      if (before?.[field] !== undefined && said[field] !== undefined && before[field] !== said[field])
        throw usageError(`${said.at}: ${field} of account ${said.account} is '${said[field]}', and ${before.at} says '${before[field]}'`);
    merged.set(said.account, { ...said, ...before });
  }
  if (merged.size > MAX_ACCOUNTS) throw usageError(`${merged.size} accounts are too many at once: give at most ${MAX_ACCOUNTS}`);
  return [...merged.values()];
};
