// What a command prints: tables for people, the API's own JSON, and CSV whose columns bear the wire's names.
import type { Context } from '#cli/context';
import { oneLine } from '#cli/exit';
import { type Fit, fitted, GAP, inLines } from '#cli/fit';
import { formatUsd, formatUsdPlain, parseDecimal } from '#domain/money';

/** How a value of the wire is to be read. */
export type Kind = 'text' | 'state' | 'usd' | 'count' | 'flag' | 'time' | 'list' | 'json';

/** Fields of an answer by their wire names, in the order of their CSV columns. */
export type Shape<T> = Readonly<Partial<Record<keyof T & string, Kind>>>;

export interface Column<T> {
  readonly field: keyof T & string;
  readonly header: string;
  /** May be cut with an ellipsis on a narrow terminal. Never an id: half an id is of no use. */
  readonly flexible?: boolean;
  /** On a terminal that is too narrow all the same, the column with the greatest number goes first. @default it stays */
  readonly dispensable?: number;
}

export interface Listing<T> {
  /** Of the array in the API's answer. */
  readonly key: string;
  readonly shape: Shape<T>;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  /** What makes the first row, for whoever sees none. */
  readonly begin?: string;
  /** Where the list goes on, when it was cut. */
  readonly cursor?: string;
}

export interface Sheet<T> {
  readonly shape: Shape<T>;
  readonly labels: readonly (readonly [keyof T & string, string])[];
  readonly value: T;
}

type Painter = (text: string) => string;
type Align = 'left' | 'right';

interface GridColumn extends Fit {
  readonly align: Align;
  readonly paint?: (text: string, row: number) => string;
}

const NUMERIC: ReadonlySet<Kind> = new Set(['usd', 'count']);

/** Print a list as the line asked for it. */
export const printList = async <T extends object>(context: Context, listing: Listing<T>): Promise<void> => {
  const { key, shape, rows, begin, cursor } = listing;
  if (context.format === 'json') printJson(context, { [key]: rows, ...(cursor === undefined ? {} : { cursor }) });
  else if (context.format === 'csv') await printCsv(context, { shape, rows });
  else await printTable(context, listing);
  if (cursor !== undefined) context.tell(`the list was cut after ${rows.length} rows: ask for more with --limit`);
  if (rows.length === 0 && context.format === 'table') context.tell(`there are no ${key}${begin === undefined ? '' : `: ${begin}`}`);
};

/** Print one thing: a line for each field, or its JSON, or one row of CSV. */
export const printSheet = async <T extends object>(context: Context, sheet: Sheet<T>): Promise<void> => {
  const { shape, labels, value } = sheet;
  if (context.format === 'json') return printJson(context, value);
  if (context.format === 'csv') return printCsv(context, { shape, rows: [value] });
  const texts = labels.map(([field]) => cellText(value[field], kindOf(shape, field)));
  const isAmount = labels.map(([field]) => kindOf(shape, field) === 'usd' && typeof value[field] === 'number');
  for (let from = 0, to = 0; from < labels.length; from = to + 1) {
    for (to = from; isAmount[to] === true; ) to += 1;
    if (to - from > 1) texts.splice(from, to - from, ...usdColumn(labels.slice(from, to).map(([field]) => value[field])));
  }
  return printPairs(
    context,
    labels.map(([, label], i) => [label, texts[i] ?? '']),
  );
};

/** Lines of a label and its value, for people. A value that is painted has to be short: colours are not measured. */
export const printPairs = async (context: Context, pairs: readonly (readonly [string, string])[]): Promise<void> => {
  const paint = await painters(context);
  const indent = Math.max(...pairs.map(([label]) => label.length)) + GAP;
  for (const [label, value] of pairs) {
    context.print(`${paint.faint(label.padEnd(indent - GAP))}${' '.repeat(GAP)}${inLines(value, { width: context.look.width, indent })}\n`);
  }
};

export const printJson = (context: Context, value: unknown): void => context.print(`${JSON.stringify(value, null, 2)}\n`);

/** RFC 4180, with a header row. */
export const printCsv = async <T extends object>(
  context: Context,
  { shape, rows }: { shape: Shape<T>; rows: readonly T[] },
): Promise<void> => {
  const { stringify } = await import('csv-stringify/sync');
  const fields = Object.keys(shape) as (keyof T & string)[];
  const records = rows.map((row) => fields.map((field) => csvCell(row[field], kindOf(shape, field))));
  context.print(stringify([fields, ...records], { record_delimiter: 'windows' }));
};

/** A table for people. On a terminal it fits, on a pipe nothing is cut. */
export const printTable = async <T extends object>(
  context: Context,
  { shape, columns, rows }: Pick<Listing<T>, 'shape' | 'columns' | 'rows'>,
): Promise<void> => {
  const paint = await painters(context);
  const grid = columns.map(({ field, header, flexible = false, dispensable = 0 }): GridColumn => {
    const kind = kindOf(shape, field);
    return {
      header,
      align: NUMERIC.has(kind) ? 'right' : 'left',
      flexible,
      dispensable,
      cells: kind === 'usd' ? sameDecimals(rows.map((row) => cellText(row[field], kind))) : rows.map((row) => cellText(row[field], kind)),
      paint: (text, row) => paint.value({ text, kind, raw: rows[row]?.[field] }),
    };
  });
  await printGrid(context, grid);
};

const printGrid = async (context: Context, grid: readonly GridColumn[]): Promise<void> => {
  const { default: Table } = await import('cli-table3');
  const paint = await painters(context);
  const { columns, widths, hidden } = fitted(grid, context.look.width);
  const table = new Table({
    chars: NO_BORDERS,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    colAligns: columns.map(({ align }) => align),
    colWidths: widths,
  });
  table.push(columns.map(({ header }) => paint.faint(header)));
  const count = columns[0]?.cells.length ?? 0;
  for (let row = 0; row < count; row += 1) {
    table.push(columns.map(({ cells, paint: painted }) => (painted ?? String)(cells[row] ?? '', row)));
  }
  // Blanks at the end of a line would wrap on a terminal that is exactly as wide as the table.
  context.print(table.toString().replace(/[ ]+$/gm, '').concat('\n'));
  if (hidden.length > 0) {
    context.tell(`${hidden.join(', ')} did not fit into ${context.look.width} columns: see them with '| less -S', -o json or -o csv`);
  }
};

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: ' '.repeat(GAP),
};

const kindOf = <T>(shape: Shape<T>, field: keyof T & string): Kind => shape[field] ?? 'text';

/** A value for people: `-` for none. */
export const cellText = (value: unknown, kind: Kind): string => {
  if (value === null || value === undefined || value === '') return '-';
  switch (kind) {
    case 'usd':
      return usdText(value);
    case 'flag':
      return value === true ? 'yes' : 'no';
    case 'time':
      return oneLine(String(value).replace(/\.\d+Z$/, 'Z'));
    case 'list':
      return oneLine(listText(value)) || '-';
    case 'json':
      return oneLine(JSON.stringify(value));
    case 'text':
    case 'state':
    case 'count':
      return oneLine(String(value));
  }
};

/** As many decimals in each as the one with the most has, so that in a column point stands under point. */
const sameDecimals = (cells: readonly string[]): string[] => {
  const decimalsOf = (cell: string): number => cell.length - 1 - cell.indexOf('.');
  const amounts = cells.filter((cell) => cell.includes('.'));
  const most = Math.max(0, ...amounts.map(decimalsOf));
  return cells.map((cell) => (cell.includes('.') ? cell.padEnd(cell.length + most - decimalsOf(cell), '0') : cell));
};

/** Amounts that stand under each other. */
export const usdColumn = (values: readonly unknown[]): string[] => {
  const cells = sameDecimals(values.map(usdText));
  const widest = Math.max(...cells.map((cell) => cell.length));
  return cells.map((cell) => cell.padStart(widest));
};

/** Dollars of the wire for people, exact: `$1,234.56`. */
export const usdText = (value: unknown): string => formatUsd(microUsdOf(value));

/** Sums over many accounts may be beyond what one amount may be, so only the decimals are looked at. */
const microUsdOf = (value: unknown): bigint => parseDecimal(typeof value === 'number' ? value : String(value), 6);

const listText = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value));

const csvCell = (value: unknown, kind: Kind): string => {
  if (value === null || value === undefined) return '';
  switch (kind) {
    case 'usd':
      return formatUsdPlain(microUsdOf(value));
    case 'count':
    case 'flag':
      return String(value);
    case 'list':
      return harmless(listText(value));
    case 'json':
      return harmless(JSON.stringify(value));
    case 'text':
    case 'state':
    case 'time':
      return harmless(String(value));
  }
};

/**
 * A spreadsheet runs a text that looks like a formula, and users choose names and notes. Tab and line break come before it in
 * OWASP's list, since some spreadsheets skip them. https://owasp.org/www-community/attacks/CSV_Injection
 */
const harmless = (text: string): string => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text);

interface Painters {
  readonly faint: Painter;
  readonly good: Painter;
  readonly bad: Painter;
  readonly value: (cell: { text: string; kind: Kind; raw: unknown }) => string;
}

const STATUS_COLORS: Readonly<Record<string, 'green' | 'yellow' | 'dim'>> = {
  active: 'green',
  open: 'green',
  suspended: 'yellow',
  expired: 'yellow',
  closed: 'dim',
  released: 'dim',
  settled: 'dim',
};

/** Colours, or none: whatever they say, the words say too. */
export const painters = async ({ look }: Pick<Context, 'look'>): Promise<Painters> => {
  const { default: picocolors } = await import('picocolors');
  const colors = picocolors.createColors(look.color);
  return {
    faint: colors.dim,
    good: colors.green,
    bad: colors.red,
    value: ({ text, kind, raw }) => {
      if (kind === 'usd' && typeof raw === 'number' && raw < 0) return colors.red(text);
      const color = kind === 'state' ? STATUS_COLORS[String(raw)] : undefined;
      return color === undefined ? text : colors[color](text);
    },
  };
};
