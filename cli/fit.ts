// What fits into a terminal: which columns of a table and how wide, and where a sentence is broken.

export const GAP = 2;
const MIN_FLEXIBLE_WIDTH = 8;
/** On less, a sentence is left to the terminal: a word a line helps nobody. */
const MIN_SENTENCE_WIDTH = 24;

export interface Fit {
  readonly header: string;
  /** May be cut with an ellipsis. */
  readonly flexible: boolean;
  /** 0: it stays. The greatest goes first. */
  readonly dispensable: number;
  readonly cells: readonly string[];
}

export interface Fitted<T> {
  readonly columns: readonly T[];
  /** null: as wide as its content. */
  readonly widths: (number | null)[];
  readonly hidden: readonly string[];
}

/** First the flexible columns shrink, then the dispensable ones go; what is left may be too wide, but is whole. */
export const fitted = <T extends Fit>(grid: readonly T[], width: number | undefined): Fitted<T> => {
  let columns = [...grid];
  for (;;) {
    const widths = columns.map(naturalWidth);
    const excess = width === undefined ? 0 : sum(widths) + GAP * (columns.length - 1) - width;
    const hidden = grid.filter((column) => !columns.includes(column)).map(({ header }) => header);
    if (excess <= 0) return { columns, widths: columns.map(() => null), hidden };
    const slack = columns.map(({ flexible }, i) => (flexible ? Math.max(0, (widths[i] ?? 0) - MIN_FLEXIBLE_WIDTH) : 0));
    const most = Math.max(0, ...columns.map(({ dispensable }) => dispensable));
    if (sum(slack) >= excess || most === 0) return { columns, widths: shrunk(widths, slack, excess), hidden };
    columns = columns.filter(({ dispensable }) => dispensable !== most);
  }
};

/** Takes the excess from the columns that have slack, each in proportion to it. */
const shrunk = (widths: readonly number[], slack: readonly number[], excess: number): (number | null)[] => {
  const total = sum(slack);
  const share = total === 0 ? 0 : Math.min(1, excess / total);
  return widths.map((width, i) => (slack[i] ? width - Math.ceil(slack[i] * share) : null));
};

const naturalWidth = ({ header, cells }: Fit): number => cells.reduce((most, cell) => Math.max(most, [...cell].length), header.length);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);

/**
 * A sentence in lines, of which the first stands behind something `indent` wide, and the others behind as many blanks. A command in
 * quotes is not broken, so that it can be copied, and neither is a word that is too long.
 * @param width of the terminal; undefined: one line
 */
export const inLines = (text: string, { width, indent }: { width: number | undefined; indent: number }): string => {
  const room = width === undefined ? Number.POSITIVE_INFINITY : width - indent;
  if (room < MIN_SENTENCE_WIDTH || text.length <= room) return text;
  const lines: string[] = [];
  for (const [word] of text.matchAll(/(?<!\S)\(?'[^']+'\S*|\S+/g)) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > room) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join(`\n${' '.repeat(indent)}`);
};
