import type { ShadowLine } from '#cli/shadow-report/shadow-line';
import type { MicroUsd } from '#domain/money';

export interface ShadowRow {
  readonly account: string;
  readonly would: string;
  readonly reason: string;
  readonly jobs: number;
  readonly cost: MicroUsd;
  readonly hold: MicroUsd;
}

export interface ShadowTally {
  readonly rows: readonly ShadowRow[];
  /** The dearest jobs that would have been refused, dearest first. */
  readonly examples: readonly ShadowLine[];
  readonly jobs: number;
  readonly refused: number;
  /** The API did not answer for these. */
  readonly unanswered: number;
  readonly unreadable: number;
  readonly from: string | null;
  readonly to: string | null;
}

/** A log may name any account; behind so many rows the others are summed up as one. */
export const MAX_ROWS = 10_000;
const MAX_EXAMPLES = 5;
const OTHERS = '(others)';

/** Sums lines up as they come: memory is bounded whatever the log's length. */
export const createTally = (maxRows: number = MAX_ROWS) => {
  const rows = new Map<string, ShadowRow>();
  const examples: ShadowLine[] = [];
  const seen = { jobs: 0, refused: 0, unanswered: 0, unreadable: 0 };
  let from: string | null = null;
  let to: string | null = null;

  const rowKey = (line: ShadowLine): readonly [string, string, string] => {
    const key = [line.account, line.would, line.reason] as const;
    return rows.has(key.join('\t')) || rows.size < maxRows ? key : [OTHERS, OTHERS, OTHERS];
  };

  return {
    add(line: ShadowLine | 'unreadable'): void {
      if (line === 'unreadable') {
        seen.unreadable += 1;
        return;
      }
      const [account, would, reason] = rowKey(line);
      const key = `${account}\t${would}\t${reason}`;
      const row = rows.get(key) ?? { account, would, reason, jobs: 0, cost: 0n, hold: 0n };
      rows.set(key, { ...row, jobs: row.jobs + 1, cost: row.cost + line.cost, hold: row.hold + line.hold });
      seen.jobs += 1;
      if (line.would.startsWith('fail_')) seen.unanswered += 1;
      if (line.at !== null) {
        if (from === null || line.at < from) from = line.at;
        if (to === null || line.at > to) to = line.at;
      }
      if (line.would !== 'refuse') return;
      seen.refused += 1;
      examples.push(line);
      examples.sort((a, b) => Number(b.cost > a.cost) - Number(b.cost < a.cost));
      if (examples.length > MAX_EXAMPLES) examples.pop();
    },
    sum: (): ShadowTally => ({
      rows: [...rows.values()].sort((a, b) => compare(a.account, b.account) || compare(a.would, b.would) || compare(a.reason, b.reason)),
      examples,
      ...seen,
      from,
      to,
    }),
  };
};

const compare = (a: string, b: string): number => Number(a > b) - Number(a < b);
