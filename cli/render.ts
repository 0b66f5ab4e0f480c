// What a command prints: tables for people, the API's own JSON, and CSV whose columns bear the wire's names.
import type { Context } from '#cli/context';
import { oneLine } from '#cli/exit';
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

interface GridColumn {
  readonly header: string;
  readonly align: Align;
  readonly flexible: boolean;
  readonly dispensable: number;
  readonly cells: readonly string[];
  readonly paint?: (text: string, row: number) => string;
}

const GAP = 2;
const MIN_FLEXIBLE_WIDTH = 8;
const NUMERIC: ReadonlySet<Kind> = new Set(['usd', 'count']);

/** Print a list as the line asked for it. */
export const printList = async <T extends object>(context: Context, listing: Listing<T>): Promise<void> => {
  const { key, shape, rows, cursor } = listing;
  if (context.format === 'json') printJson(context, { [key]: rows, ...(cursor === undefined ? {} : { cursor }) });
  else if (context.format === 'csv') await printCsv(context, { shape, rows });
  else await printTable(context, listing);
  if (cursor !== undefined) context.tell(`the list was cut after ${rows.length} rows: ask for more with --limit`);
  if (rows.length === 0 && context.format === 'table') context.tell(`there are no ${key}`);
};

/** Print one thing: a line for each field, or its JSON, or one row of CSV. */
export const printSheet = async <T extends object>(context: Context, sheet: Sheet<T>): Promise<void> => {
  const { shape, labels, value } = sheet;
  if (context.format === 'json') return printJson(context, value);
  if (context.format === 'csv') return printCsv(context, { shape, rows: [value] });
  return printPairs(
    context,
    labels.map(([field, label]) => [label, cellText(value[field], kindOf(shape, field))]),
  );
};

/** Lines of a label and its value, for people. */
export const printPairs = async (context: Context, pairs: readonly (readonly [string, string])[]): Promise<void> => {
  const paint = await painters(context);
  const widest = Math.max(...pairs.map(([label]) => label.length));
  for (const [label, value] of pairs) context.print(`${paint.faint(label.padEnd(widest))}${' '.repeat(GAP)}${value}\n`);
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
      cells: rows.map((row) => cellText(row[field], kind)),
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
    context.tell(`${hidden.join(', ')} did not fit into ${context.look.width} columns: see them with -o json or -o csv`);
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

interface Fitted {
  readonly columns: readonly GridColumn[];
  /** null: as wide as its content. */
  readonly widths: (number | null)[];
  readonly hidden: readonly string[];
}

/** First the flexible columns shrink, then the dispensable ones go; what is left may be too wide, but is whole. */
const fitted = (grid: readonly GridColumn[], width: number | undefined): Fitted => {
  let columns = [...grid];
  const hidden: string[] = [];
  for (;;) {
    const widths = columns.map(naturalWidth);
    const excess = width === undefined ? 0 : sum(widths) + GAP * (columns.length - 1) - width;
    if (excess <= 0) return { columns, widths: columns.map(() => null), hidden };
    const slack = columns.map(({ flexible }, i) => (flexible ? Math.max(0, (widths[i] ?? 0) - MIN_FLEXIBLE_WIDTH) : 0));
    const most = Math.max(0, ...columns.map(({ dispensable }) => dispensable));
    if (sum(slack) >= excess || most === 0) return { columns, widths: shrunk(widths, slack, excess), hidden };
    hidden.push(...columns.filter(({ dispensable }) => dispensable === most).map(({ header }) => header));
    columns = columns.filter(({ dispensable }) => dispensable !== most);
  }
};

/** Takes the excess from the columns that have slack, each in proportion to it. */
const shrunk = (widths: readonly number[], slack: readonly number[], excess: number): (number | null)[] => {
  const total = sum(slack);
  const share = total === 0 ? 0 : Math.min(1, excess / total);
  return widths.map((width, i) => (slack[i] ? width - Math.ceil(slack[i] * share) : null));
};

const naturalWidth = ({ header, cells }: GridColumn): number =>
  cells.reduce((most, cell) => Math.max(most, [...cell].length), header.length);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);

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
