// Usage: what ended runs cost and had, by account, day, user and partition, and how closed holds compare with their estimates:
// sums of ledger entries, each of which says all that its sum needs.

import { dateOf } from '#domain/account';
import { addClosed, type Closed, closedOf, NOTHING_CLOSED, type Suggestion, suggestionFrom } from '#domain/accuracy';
import type { Entry, EntryType } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';

/** What is counted of runs. */
export interface Counters {
  readonly used: MicroUsd;
  /** Ended runs. */
  readonly jobs: number;
  readonly nodeSeconds: number;
}

/** The counters of one account, day, user and partition; null stands for what nobody said. */
export interface Usage extends Counters {
  readonly account: string;
  /** `YYYY-MM-DD` in UTC, of the ledger's own time: so the rows of any days add up to the ledger of these days. */
  readonly day: string;
  readonly user: string | null;
  readonly partition: string | null;
  /** Of holds of this user for this partition that were closed on this day, whenever their runs were booked. */
  readonly closed?: Closed;
}

/** Each of these books one run. */
const RUNS: ReadonlySet<EntryType> = new Set(['settle', 'late_settle', 'write_off']);

/**
 * What an entry adds to usage: nothing if it is neither of a run nor closes a hold. Two rows where the run was another's, or
 * elsewhere, than its hold. A repair sets columns to what these sums say already.
 */
export const usageOf = (entry: Entry): readonly Usage[] => mergedUsage([...ofRun(entry), ...ofHold(entry)]);

const ofRun = (entry: Entry): Usage[] => {
  const jobs = RUNS.has(entry.type) ? 1 : 0;
  const used = entry.type === 'repair' ? 0n : entry.movement.used;
  if (jobs === 0 && used === 0n) return [];
  const { account, user, partition = null, nodeSeconds = 0 } = entry;
  return [{ account, day: dateOf(entry.at), user, partition, used, jobs, nodeSeconds }];
};

const ofHold = ({ closed }: Entry): Usage[] => {
  if (closed === undefined) return [];
  const { account, day, user, partition } = closed;
  return [{ account, day, user, partition, ...NO_RUNS, closed: closedOf(closed) }];
};

const NO_RUNS: Counters = { used: 0n, jobs: 0, nodeSeconds: 0 };

/** One row for each day, user and partition, in no order. */
export const mergedUsage = (rows: readonly Usage[]): Usage[] => {
  const sums = new Map<string, Usage>();
  for (const row of rows) {
    const key = JSON.stringify([row.account, row.day, row.user, row.partition]);
    const before = sums.get(key);
    sums.set(key, before === undefined ? row : combined(before, row));
  }
  return [...sums.values()];
};

/** Two of the same account, day, user and partition. */
export const combined = (a: Usage, b: Usage): Usage => ({ ...a, ...b, ...addCounters(a, b), ...closedOfBoth(a.closed, b.closed) });

const closedOfBoth = (a: Closed | undefined, b: Closed | undefined): Pick<Usage, 'closed'> =>
  a === undefined || b === undefined ? {} : { closed: addClosed(a, b) };

const addCounters = (a: Counters, b: Counters): Counters => ({
  used: a.used + b.used,
  jobs: a.jobs + b.jobs,
  nodeSeconds: a.nodeSeconds + b.nodeSeconds,
});

export const USAGE_KEYS = ['account', 'user', 'partition', 'month'] as const;
export type UsageBy = (typeof USAGE_KEYS)[number];

/** Money that is held now, by what it is held for. */
export interface HeldFor {
  readonly account: string;
  readonly user: string | null;
  readonly partition: string | null;
  /** Of today: what is held now is of no other day. */
  readonly day: string;
  readonly held: MicroUsd;
}

export interface UsageRow extends Counters {
  /** Null: of this nobody said which it is. */
  readonly key: string | null;
  readonly held: MicroUsd;
}

/** One row for each key, by key, that of nobody last; and their sum. */
export const summarised = (
  usage: readonly Usage[],
  held: readonly HeldFor[],
  by: UsageBy,
): { rows: UsageRow[]; total: Omit<UsageRow, 'key'> } => {
  const rows = new Map<string | null, UsageRow>();
  const add = (key: string | null, more: Partial<Counters & { held: MicroUsd }>): void => {
    const before = rows.get(key) ?? { key, ...NO_USAGE };
    rows.set(key, { key, ...sumOf(before, { ...NO_USAGE, ...more }) });
  };
  for (const { used, jobs, nodeSeconds, ...of } of usage)
    if (used !== 0n || jobs !== 0 || nodeSeconds !== 0) add(keyOf(of, by), { used, jobs, nodeSeconds });
  for (const { held: amount, ...of } of held) if (amount !== 0n) add(keyOf(of, by), { held: amount });
  const sorted = [...rows.values()].sort((a, b) => compareKeys(a.key, b.key));
  return { rows: sorted, total: sorted.reduce((sum, row) => sumOf(sum, row), NO_USAGE) };
};

export interface AccuracyRow extends Closed {
  /** Null: of these nobody said whose they are. */
  readonly key: string | null;
  /** Undefined: too few holds to go by, or no bound is enough. */
  readonly suggestion: Suggestion | undefined;
}

/**
 * How good the estimates of closed holds were, one row for each key, by key, that of nobody last; and of all together.
 * @param asked what to compare by, and which share of the holds may overrun what is suggested, in ten-thousandths
 */
export const compared = (
  usage: readonly Usage[],
  { by, riskE4 }: { by: UsageBy; riskE4: number },
): { rows: AccuracyRow[]; total: Omit<AccuracyRow, 'key'> } => {
  const sums = new Map<string | null, Closed>();
  for (const { closed, ...of } of usage) {
    const key = keyOf(of, by);
    if (closed !== undefined) sums.set(key, addClosed(sums.get(key) ?? NOTHING_CLOSED, closed));
  }
  const suggested = (closed: Closed) => ({ ...closed, suggestion: suggestionFrom(closed, riskE4) });
  return {
    rows: [...sums].sort(([a], [b]) => compareKeys(a, b)).map(([key, closed]) => ({ key, ...suggested(closed) })),
    total: suggested([...sums.values()].reduce(addClosed, NOTHING_CLOSED)),
  };
};

const NO_USAGE: Omit<UsageRow, 'key'> = { ...NO_RUNS, held: 0n };

const sumOf = (a: Omit<UsageRow, 'key'>, b: Omit<UsageRow, 'key'>): Omit<UsageRow, 'key'> => ({
  ...addCounters(a, b),
  held: a.held + b.held,
});

const keyOf = (of: Pick<Usage, 'account' | 'user' | 'partition' | 'day'>, by: UsageBy): string | null =>
  by === 'month' ? of.day.slice(0, 'yyyy-mm'.length) : of[by];

/** There is one row of each key, so no two are equal. */
const compareKeys = (a: string | null, b: string | null): number => {
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
};
