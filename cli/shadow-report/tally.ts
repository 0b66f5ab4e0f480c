import type { TimedLine } from '#cli/shadow-report/match';
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
  /** All that have a time, up to a limit: what the agent saw is matched with them. Undefined if there were more. */
  readonly timed: readonly TimedLine[] | undefined;
}

/** A log may name any account; behind so many rows the others are summed up as one. */
export const MAX_ROWS = 10_000;
const MAX_EXAMPLES = 5;
const MAX_TIMED = 50_000;
const OTHERS = '(others)';

/** Sums lines up as they come: memory is bounded whatever the log's length. */
export const createTally = (maxRows: number = MAX_ROWS) => {
  const rows = new Map<string, ShadowRow>();
  const examples: ShadowLine[] = [];
  const seen = { jobs: 0, refused: 0, unanswered: 0, unreadable: 0 };
  const timed: TimedLine[] = [];
  let isOverfull = false;
  let from: TimedLine | undefined;
  let to: TimedLine | undefined;

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
      if (hasTime(line)) {
        if (from === undefined || line.atMs < from.atMs) from = line;
        if (to === undefined || line.atMs > to.atMs) to = line;
        if (timed.length < MAX_TIMED) timed.push(line);
        else isOverfull = true;
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
      from: from?.at ?? null,
      to: to?.at ?? null,
      timed: isOverfull ? undefined : timed,
    }),
  };
};

const compare = (a: string, b: string): number => Number(a > b) - Number(a < b);

const hasTime = (line: ShadowLine): line is TimedLine => line.atMs !== null;
