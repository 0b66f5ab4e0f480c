import type { ApiClient, AuditAnswer } from '#cli/api-client';
import { given, ifGiven, readAccount } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, failure } from '#cli/exit';
import { type Column, cellText, painters, printCsv, printJson, printPairs, printTable, type Shape, usdText } from '#cli/render';

/** Each has 25 accounts, or 20,000 entries of a long ledger, at most; and an answer without a difference is small. */
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
  run_id: 'text',
  stored: 'count',
  replayed: 'count',
  cause: 'text',
  repaired: 'flag',
};

type Row = Readonly<Record<'account' | 'column' | 'hold_id' | 'run_id' | 'stored' | 'replayed' | 'cause' | 'repaired', string>>;
// Numbers are written out beforehand, because one column counts entries and the others are dollars.
const TABLE_SHAPE: Shape<Row> = {
  account: 'text',
  column: 'text',
  hold_id: 'text',
  run_id: 'text',
  stored: 'count',
  replayed: 'count',
  cause: 'text',
  repaired: 'text',
};
const COLUMNS: readonly Column<Row>[] = [
  { field: 'account', header: 'ACCOUNT' },
  { field: 'column', header: 'COLUMN' },
  { field: 'stored', header: 'STORED' },
  { field: 'replayed', header: 'REPLAYED' },
  { field: 'hold_id', header: 'HOLD', dispensable: 2 },
  { field: 'run_id', header: 'RUN', dispensable: 1 },
  { field: 'cause', header: 'CAUSE', flexible: true },
];
const REPAIRED: Column<Row> = { field: 'repaired', header: 'REPAIRED' };

/** Compare what is stored with what the ledger says; with --repair, set the accounts' columns to what it says. */
export const runAudit = async (context: Context, options: AuditOptions): Promise<ExitCode> => {
  const account = ifGiven('--account', options.account, readAccount);
  const audit = await auditAll(await context.api(), given({ account, repair: options.repair }));
  if (context.format === 'json') printJson(context, audit);
  else if (context.format === 'csv') await printCsv(context, { shape: CSV_SHAPE, rows: audit.differences });
  else await printAudit(context, audit);
  if (audit.not_compared !== undefined)
    context.complain(
      `${counted(audit.not_compared, 'hold or run', 'holds and runs')} of a long ledger were too many at once to be compared`,
    );
  const { differences } = audit;
  if (differences.length === 0) return EXIT.ok;
  if (options.repair !== true) {
    const lost = accountsThatLostEntries(differences);
    const isMendable = differences.some((each) => !isOfItem(each) && !lost.includes(each.account));
    const mend = isMendable ? "; 'asbb audit --repair' sets the columns of accounts to what it says" : '';
    context.complain(`${counted(differences.length, 'difference')} between what is stored and what the ledger says${mend}`);
    for (const each of lost) context.complain(mendOfLost(each));
    return EXIT.failed;
  }
  const left = differences.filter(({ repaired }) => repaired !== true);
  context.complain(`${counted(differences.length - left.length, 'difference')} repaired, ${left.length} not`);
  // Whoever named the account was heard: if it is left, it was changed meanwhile.
  const lost = account === undefined ? accountsThatLostEntries(left) : [];
  for (const mend of mendsOf(left, lost)) context.complain(mend);
  return left.length === 0 ? EXIT.ok : EXIT.failed;
};

/** Their ledgers have fewer entries than were written. */
const accountsThatLostEntries = (differences: readonly Difference[]): string[] =>
  differences.filter(({ column, stored, replayed }) => column === 'entries' && replayed < stored).map(({ account }) => account);

const mendOfLost = (account: string): string =>
  `the ledger of ${account} has lost entries, so its columns are not set to it: restore the table to a moment that has them. ` +
  `To set it to what is left all the same, name it: 'asbb audit --repair -A ${account}'`;

const isOfItem = ({ column }: Difference): boolean => column === 'hold' || column === 'run';

/**
 * What a repair leaves. A release or a correction would not mend a hold or a run: each books the difference to what is
 * stored, so it would charge the account for what was never booked.
 */
const mendsOf = (left: readonly Difference[], lost: readonly string[]): string[] => [
  ...(left.some((each) => !isOfItem(each) && !lost.includes(each.account))
    ? ['an account was changed while it was repaired: repair again']
    : []),
  ...lost.map(mendOfLost),
  ...(left.some(isOfItem)
    ? [
        "holds and runs are for a person to mend: compare 'asbb hold show HOLD' with 'asbb transactions list -A ACCOUNT', and put the item " +
          'back from a backup of the table; do not release or correct it before, for that moves money by what is stored',
      ]
    : []),
];

const auditAll = async (api: ApiClient, asked: { account?: string; repair?: boolean }): Promise<Audit> => {
  const whole = { accounts: 0, entries: 0, differences: [] as Difference[] };
  let uncompared = 0;
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const part = await api.request('audit', { body: { ...asked, ...given({ cursor }) } });
    whole.accounts += part.accounts;
    whole.entries += part.entries;
    whole.differences.push(...part.differences);
    uncompared += part.not_compared ?? 0;
    if (part.cursor === undefined) return { ...whole, ...(uncompared === 0 ? {} : { not_compared: uncompared }) };
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
  const all = differences.some(({ repaired }) => repaired !== undefined) ? [...COLUMNS, REPAIRED] : COLUMNS;
  const rows = differences.map(rowOf);
  // Most are of accounts, and of those neither a hold nor a run is to be told.
  const columns = all.filter(({ field }) => rows.some((row) => row[field] !== '-'));
  await printTable(context, { shape: TABLE_SHAPE, columns, rows });
};

const rowOf = (difference: Difference): Row => {
  const written = difference.column === 'entries' ? String : usdText;
  return {
    account: difference.account,
    column: difference.column,
    hold_id: cellText(difference.hold_id, 'text'),
    run_id: cellText(difference.run_id, 'text'),
    stored: written(difference.stored),
    replayed: written(difference.replayed),
    cause: difference.cause,
    repaired: difference.repaired === true ? 'yes' : 'no',
  };
};

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;
