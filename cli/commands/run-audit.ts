import type { ApiClient, AuditAnswer } from '#cli/api-client';
import { given, ifGiven, readAccount } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, failure, usageError } from '#cli/exit';
import { type Column, cellText, painters, printCsv, printJson, printPairs, printTable, type Shape, usdText } from '#cli/render';

/** Each has 25 accounts at most, and an answer without a difference is small. */
const MAX_PAGES = 100_000;

export interface AuditOptions {
  readonly account?: string;
  readonly repair?: boolean;
}

type Difference = AuditAnswer['differences'][number];
type Audit = Omit<AuditAnswer, 'cursor'>;

const CSV_SHAPE: Shape<Difference> = {
  account: 'text',
  column: 'text',
  hold_id: 'text',
  stored: 'count',
  replayed: 'count',
  cause: 'text',
};

type Row = Readonly<Record<'account' | 'column' | 'hold_id' | 'stored' | 'replayed' | 'cause', string>>;
// Numbers are written out beforehand, because one column counts entries and the others are dollars.
const TABLE_SHAPE: Shape<Row> = { account: 'text', column: 'text', hold_id: 'text', stored: 'count', replayed: 'count', cause: 'text' };
const COLUMNS: readonly Column<Row>[] = [
  { field: 'account', header: 'ACCOUNT' },
  { field: 'column', header: 'COLUMN' },
  { field: 'stored', header: 'STORED' },
  { field: 'replayed', header: 'REPLAYED' },
  { field: 'hold_id', header: 'HOLD', dispensable: 1 },
  { field: 'cause', header: 'CAUSE', flexible: true },
];

/** Compare what is stored with what the ledger says. */
export const runAudit = async (context: Context, options: AuditOptions): Promise<ExitCode> => {
  if (options.repair === true)
    throw usageError('--repair is not there yet: audit without it, and correct what differs with the administrator of the API');
  const account = ifGiven('--account', options.account, readAccount);
  const audit = await auditAll(await context.api(), account);
  if (context.format === 'json') printJson(context, audit);
  else if (context.format === 'csv') await printCsv(context, { shape: CSV_SHAPE, rows: audit.differences });
  else await printAudit(context, audit);
  if (audit.differences.length === 0) return EXIT.ok;
  context.complain(`${counted(audit.differences.length, 'difference')} between what is stored and what the ledger says`);
  return EXIT.failed;
};

const auditAll = async (api: ApiClient, account: string | undefined): Promise<Audit> => {
  const whole = { accounts: 0, entries: 0, differences: [] as Difference[] };
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const part = await api.request('audit', { body: given({ account, cursor }) });
    whole.accounts += part.accounts;
    whole.entries += part.entries;
    whole.differences.push(...part.differences);
    if (part.cursor === undefined) return whole;
    if (part.cursor === cursor) break;
    cursor = part.cursor;
  }
  // Half an audit must not look like a whole one.
  throw failure('the audit does not come to an end: ask the administrator of the API');
};

const printAudit = async (context: Context, { accounts, entries, differences }: Audit): Promise<void> => {
  const paint = await painters(context);
  const verdict = differences.length === 0 ? paint.good('0') : paint.bad(String(differences.length));
  await printPairs(context, [
    ['Accounts', String(accounts)],
    ['Entries', String(entries)],
    ['Differences', verdict],
  ]);
  if (differences.length === 0) return;
  context.print('\n');
  await printTable(context, { shape: TABLE_SHAPE, columns: COLUMNS, rows: differences.map(rowOf) });
};

const rowOf = (difference: Difference): Row => {
  const written = difference.column === 'entries' ? String : usdText;
  return {
    account: difference.account,
    column: difference.column,
    hold_id: cellText(difference.hold_id, 'text'),
    stored: written(difference.stored),
    replayed: written(difference.replayed),
    cause: difference.cause,
  };
};

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
