// Whether a terminal shows what a page says it does.
import type { Command } from '#test/walkthroughs/page';

type Shown = Command['shown'];

const ANY_LINES = '...';

const isLike = (shown: string, printed: string): boolean => {
  const pattern = shown.split('...').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pattern.join('.*')}$`, 's').test(printed);
};

/** Lines as a reader compares them: no blanks at their ends, no empty lines at the end. */
export const linesOf = (printed: string): string[] => {
  const lines = printed.split('\n').map((line) => line.trimEnd());
  return lines.slice(0, lines.findLastIndex((line) => line !== '') + 1);
};

/**
 * How much of it is as the page says, as a table: `reach[s][p]` is the most lines that the first `s` shown and the first `p`
 * printed lines have in common, in order. `whole` says whether nothing else is in either.
 */
const compare = (shown: Shown, printed: readonly string[]) => {
  const same: number[][] = [Array(printed.length + 1).fill(0)];
  const whole: boolean[][] = [[true, ...Array(printed.length).fill(false)]];
  shown.forEach(({ text }, s) => {
    const counts = [same[s]?.[0] ?? 0];
    const wholes = [text === ANY_LINES && whole[s]?.[0] === true];
    printed.forEach((line, p) => {
      const isAny = text === ANY_LINES;
      const fits = isAny || isLike(text, line);
      const before = same[s]?.[p] ?? 0;
      counts.push(Math.max(fits ? before + 1 : 0, same[s]?.[p + 1] ?? 0, counts[p] ?? 0));
      wholes.push(isAny ? whole[s]?.[p + 1] === true || wholes[p] === true : fits && whole[s]?.[p] === true);
    });
    same.push(counts);
    whole.push(wholes);
  });
  return { same, isSame: whole[shown.length]?.[printed.length] === true };
};

/** Undefined if it is what the page says; otherwise both, line by line, with the numbers of the page's lines. */
export const differenceOf = (shown: Shown, printed: readonly string[]): string | undefined => {
  const { same, isSame } = compare(shown, printed);
  if (isSame) return undefined;
  const lines: string[] = [];
  let [s, p] = [shown.length, printed.length];
  while (s > 0 || p > 0) {
    const { line = 0, text = '' } = shown[s - 1] ?? {};
    const here = same[s]?.[p] ?? 0;
    const fits = s > 0 && p > 0 && (text === ANY_LINES || isLike(text, printed[p - 1] ?? ''));
    if (fits && here === (same[s - 1]?.[p - 1] ?? 0) + 1) {
      lines.push(`${String(line).padStart(5)}   ${printed[p - 1]}`);
      [s, p] = [s - 1, p - 1];
    } else if (p > 0 && (s === 0 || here === (same[s]?.[p - 1] ?? 0))) {
      // After an open end, more of the same is as it should be.
      lines.push(`      ${text === ANY_LINES ? ' ' : '+'} ${printed[p - 1]}`);
      p -= 1;
    } else {
      lines.push(`${String(line).padStart(5)} - ${text}`);
      s -= 1;
    }
  }
  return lines.reverse().join('\n');
};
