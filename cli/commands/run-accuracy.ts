import type { AccuracyAnswer } from '#cli/api-client';
import { periodText, readUsageOptions, UNKNOWN, type UsageOptions } from '#cli/commands/run-usage';
import { readShare } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode } from '#cli/exit';
import { type Column, printCsv, printJson, printTable, type Shape, usdText } from '#cli/render';
import type { UsageBy } from '#domain/usage';

export interface AccuracyOptions extends UsageOptions {
  readonly risk: string;
}

type Row = AccuracyAnswer['rows'][number];

const SHAPE: Shape<Row> = {
  key: 'text',
  holds: 'count',
  estimated: 'usd',
  held: 'usd',
  used: 'usd',
  used_of_estimated: 'count',
  used_of_held: 'count',
  overran: 'count',
  suggested_hold_percentage: 'count',
  suggested_risk: 'count',
  unspent_holds: 'count',
  unspent_held: 'usd',
};

/** How good estimates were, and what to hold instead. */
export const runUsageAccuracy = async (context: Context, options: AccuracyOptions): Promise<ExitCode> => {
  const { account, by, query: period } = readUsageOptions(context, options);
  const query = { ...period, risk: readShare({ flag: '--risk', value: options.risk }) };
  const api = await context.api();
  const accuracy = await (account === undefined
    ? api.request('showAccuracy', { query })
    : api.request('showAccountAccuracy', { path: { account }, query }));
  await printAccuracy(context, accuracy, by);
  return EXIT.ok;
};

/** Shares as people read them; JSON and CSV have the numbers. */
type TableRow = Omit<Row, 'used_of_held' | 'suggested_hold_percentage' | 'suggested_risk'> & {
  readonly used_of_held: string;
  readonly suggested_hold_percentage: string;
  readonly suggested_risk: string;
};

const NONE = '-';
const percent = (share: number | null): string => (share === null ? NONE : `${(share * 100).toFixed(1)}%`);

const tableRow = (row: Row): TableRow => ({
  ...row,
  key: row.key ?? UNKNOWN,
  used_of_held: percent(row.used_of_held),
  suggested_hold_percentage: row.suggested_hold_percentage?.toFixed(2) ?? NONE,
  suggested_risk: percent(row.suggested_risk),
});

const printAccuracy = async (context: Context, accuracy: AccuracyAnswer, by: UsageBy): Promise<void> => {
  if (context.format === 'json') return printJson(context, accuracy);
  if (context.format === 'csv') return printCsv(context, { shape: SHAPE, rows: accuracy.rows });
  const columns: readonly Column<TableRow>[] = [
    { field: 'key', header: by.toUpperCase(), flexible: true },
    { field: 'holds', header: 'HOLDS' },
    { field: 'estimated', header: 'ESTIMATED', dispensable: 1 },
    { field: 'held', header: 'HELD' },
    { field: 'used', header: 'USED' },
    { field: 'used_of_held', header: 'OF HELD' },
    { field: 'overran', header: 'OVER' },
    { field: 'suggested_hold_percentage', header: 'HOLD x' },
    { field: 'suggested_risk', header: 'RISK' },
  ];
  const rows = [...accuracy.rows, { ...accuracy.total, key: 'TOTAL' }].map(tableRow);
  await printTable(context, { shape: SHAPE, columns, rows });
  for (const line of wordsOf(accuracy)) context.tell(line);
};

/** What the columns mean with these numbers in them: a suggestion is worth as much as the holds that it comes from. */
const wordsOf = ({ total, from, to, risk, min_holds }: AccuracyAnswer): string[] => [
  `holds closed ${periodText({ from, to })}, that used something; OVER used more than was held for them`,
  ...(total.unspent_holds === 0 ? [] : [`${total.unspent_holds} more used nothing of the ${usdText(total.unspent_held)} held for them`]),
  total.suggested_hold_percentage === null
    ? `nothing is suggested of fewer than ${min_holds} holds, nor where more than ${percent(risk)} cost ten times their estimate`
    : `default_hold_percentage ${total.suggested_hold_percentage} would not have been enough for ${percent(total.suggested_risk)} of ${total.holds} holds`,
];
