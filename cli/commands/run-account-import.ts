import {
  type AccountSource,
  mergeAccounts,
  readAccounts,
  type SaidAccount,
  SLURM_ACCOUNT_ATTRIBUTE,
} from '#cli/account-import/read-accounts';
import { type AccountAnswer, type ApiClient, readAll } from '#cli/api-client';
import { given, ifGiven, readDate, readUsdFromZero } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, usageError } from '#cli/exit';
import { textOfFile } from '#cli/files';
import { type Column, printCsv, printJson, printTable, type Shape } from '#cli/render';
import { toUsd } from '#domain/money';

/** As typed: text or absent. */
export interface AccountImportOptions {
  readonly files: readonly string[];
  /** What a new account may spend of which no file says it. */
  readonly budget?: string;
  /** Of ColdFront's allocations: which attribute is the Slurm account, and which its dollars. */
  readonly accountAttribute?: string;
  readonly budgetAttribute?: string;
  readonly update?: boolean;
  readonly dryRun?: boolean;
}

/** What the API takes, without the account's name. */
interface Wanted {
  readonly name?: string;
  readonly description?: string;
  readonly budget_limit?: number;
  readonly start_date?: string;
  readonly end_date?: string;
}

interface FieldChange {
  readonly field: keyof Wanted;
  readonly old: string | number | null;
  readonly new: string | number;
}

/** `differs`: it is there and the file says something else, which is left alone without --update. */
interface AccountChange {
  readonly account: string;
  readonly change: 'new' | 'changed' | 'differs' | 'unchanged';
  readonly fields: readonly FieldChange[];
}

interface Row {
  readonly account: string;
  readonly change: string;
  readonly field: string;
  readonly old: string;
  readonly new: string;
}

const MAX_FILES = 64;
const MAX_FILE_BYTES = 10 * 1024 * 1024;
const FIELDS = ['name', 'description', 'budget_limit', 'start_date', 'end_date'] as const;

const SHAPE: Shape<Row> = { account: 'text', change: 'text', field: 'text', old: 'text', new: 'text' };
const COLUMNS: readonly Column<Row>[] = [
  { field: 'account', header: 'ACCOUNT' },
  { field: 'change', header: 'CHANGE' },
  { field: 'field', header: 'FIELD' },
  { field: 'old', header: 'OLD', flexible: true },
  { field: 'new', header: 'NEW', flexible: true },
];

/** Opens accounts that files name, and with --update changes those that are there. None is closed, whatever no file names. */
export const runAccountImport = async (context: Context, options: AccountImportOptions): Promise<ExitCode> => {
  if (options.files.length > MAX_FILES) throw usageError(`${options.files.length} files are too many at once: give at most ${MAX_FILES}`);
  const budget = ifGiven('--budget', options.budget, (typed) => toUsd(readUsdFromZero(typed)));
  const sources: AccountSource[] = [];
  const names = { accountAttribute: options.accountAttribute ?? SLURM_ACCOUNT_ATTRIBUTE, budgetAttribute: options.budgetAttribute };
  for (const file of options.files) sources.push(readAccounts({ file, text: await textOfFile(file, MAX_FILE_BYTES) }, names));
  const said = mergeAccounts(sources).map((each) => ({ each, wanted: wantedOf(each) }));
  const api = await context.api();
  const { rows } = await readAll(async (query) => {
    const { accounts, cursor } = await api.request('listAccounts', { query });
    return { rows: accounts, cursor };
  });
  const byName = new Map(rows.map((account) => [account.account, account]));
  const changes = said.map(({ each, wanted }) =>
    changeOf(each, wanted, { held: byName.get(each.account), budget, update: options.update === true }),
  );
  if (options.dryRun !== true) await write(context, api, changes);
  await printChanges(context, changes, options.dryRun === true);
  return EXIT.ok;
};

const wantedOf = ({ at, name, description, budget, start, end }: SaidAccount): Wanted =>
  given({
    name,
    description,
    budget_limit: ifGiven(`${at}: budget`, budget, (typed) => toUsd(readUsdFromZero(typed))),
    start_date: ifGiven(`${at}: start`, start, readDate),
    end_date: ifGiven(`${at}: end`, end, readDate),
  });

const changeOf = (
  { account, at }: SaidAccount,
  wanted: Wanted,
  { held, budget, update }: { held: AccountAnswer | undefined; budget: number | undefined; update: boolean },
): AccountChange => {
  const asked: Wanted = held === undefined ? { ...given({ budget_limit: budget }), ...wanted } : wanted;
  if (held === undefined && asked.budget_limit === undefined)
    throw usageError(
      `${at}: how much may account ${account} spend? Add a column 'budget' (of ColdFront: --budget-attribute), or say --budget for all new accounts`,
    );
  const fields = FIELDS.flatMap((field): FieldChange[] => {
    const value = asked[field];
    const old = held?.[field] ?? null;
    return value === undefined || value === old ? [] : [{ field, old, new: value }];
  });
  if (held === undefined) return { account, change: 'new', fields };
  if (fields.length === 0) return { account, change: 'unchanged', fields };
  return { account, change: update ? 'changed' : 'differs', fields };
};

/** One after the other. What was written before an error stays, and is unchanged the next time. */
const write = async (context: Context, api: ApiClient, changes: readonly AccountChange[]): Promise<void> => {
  for (const { account, change, fields } of changes) {
    const body = Object.fromEntries(fields.map((each) => [each.field, each.new]));
    try {
      if (change === 'new') await api.request('createAccount', { body: { account, ...body } });
      else if (change === 'changed') await api.request('updateAccount', { path: { account }, body });
    } catch (error) {
      context.complain(`account ${account} was not imported, nor any after it; import again when the cause is mended`);
      throw error;
    }
  }
};

const printChanges = async (context: Context, changes: readonly AccountChange[], isDryRun: boolean): Promise<void> => {
  const rows = changes.flatMap(({ account, change, fields }) =>
    fields.map(
      (each): Row => ({ account, change, field: each.field, old: each.old === null ? '' : String(each.old), new: String(each.new) }),
    ),
  );
  if (context.format === 'json') printJson(context, { dry_run: isDryRun, accounts: changes });
  else if (context.format === 'csv') await printCsv(context, { shape: SHAPE, rows });
  else if (rows.length > 0) await printTable(context, { shape: SHAPE, columns: COLUMNS, rows });
  const count = (kind: AccountChange['change']) => changes.filter(({ change }) => change === kind).length;
  const left = count('differs') === 0 ? '' : `, ${count('differs')} left as they are (--update changes them)`;
  const counts = `${count('new')} new, ${count('changed')} changed, ${count('unchanged')} unchanged${left}`;
  context.tell(isDryRun ? `dry run, nothing was changed: ${counts}` : `accounts imported: ${counts}`);
};
