// What a ledger says of its account, and of each hold and run that it names: running sums, for an audit to compare.
import { type Entry, type EntryType, type Instant, type Movement, NOTHING, replay } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';

export interface HoldTally {
  /** What it should still hold. */
  readonly held: MicroUsd;
  /** What was spent under its name. */
  readonly used: MicroUsd;
  /** When its first entry in this ledger was booked; BORN_HERE if its whole life is in it. */
  readonly since: Instant;
  /** What each of its runs was charged. */
  readonly runs: ReadonlyMap<string, MicroUsd>;
  /** The charges of runs that are no longer told apart. */
  readonly summedRuns: MicroUsd | null;
}

/** A run that was booked without a hold. */
export interface RunTally {
  readonly owner: string;
  readonly runId: string;
  readonly used: MicroUsd;
  /** Whether the entry is here that booked it. Corrections alone do not say what it costs as a whole. */
  readonly isBooked: boolean;
}

export interface Tally {
  readonly columns: Movement;
  readonly count: number;
  readonly holds: ReadonlyMap<string, HoldTally>;
  /** By runKey. */
  readonly runs: ReadonlyMap<string, RunTally>;
}

export const EMPTY_TALLY: Tally = { columns: NOTHING, count: 0, holds: new Map(), runs: new Map() };

/** Before every date of an entry. */
export const BORN_HERE: Instant = 0;

const BIRTHS: ReadonlySet<EntryType> = new Set(['hold', 'forced_hold']);

/** Ids are of unreserved characters, so no two pairs give the same key. */
export const runKey = ({ owner, runId }: Pick<RunTally, 'owner' | 'runId'>): string => `${owner} ${runId}`;

/** The tally after some more entries. Their order does not matter: clocks differ, and so do ids of one moment. */
export const tallied = (before: Tally, entries: readonly Entry[]): Tally => {
  const holds = new Map(before.holds);
  const runs = new Map(before.runs);
  const copied = new Map<string, Map<string, MicroUsd>>(); // Each hold's runs are copied once, not once an entry.
  for (const entry of entries) {
    if (entry.holdId !== null) holds.set(entry.holdId, withEntry(holds.get(entry.holdId), entry, copied));
    if (entry.owner !== undefined) addToRun(runs, entry, entry.owner);
  }
  return { columns: replay(entries, before.columns), count: before.count + entries.length, holds, runs };
};

const withEntry = (before: HoldTally | undefined, entry: Entry, copied: Map<string, Map<string, MicroUsd>>): HoldTally => {
  const holdId = entry.holdId as string;
  const runs = copied.get(holdId) ?? new Map(before?.runs);
  copied.set(holdId, runs);
  if (entry.runId !== null && entry.owner === undefined) runs.set(entry.runId, (runs.get(entry.runId) ?? 0n) + entry.movement.used);
  return {
    held: (before?.held ?? 0n) + entry.movement.held,
    used: (before?.used ?? 0n) + entry.movement.used,
    since: BIRTHS.has(entry.type) ? BORN_HERE : (before?.since ?? entry.at),
    runs,
    summedRuns: before?.summedRuns ?? null,
  };
};

const addToRun = (runs: Map<string, RunTally>, { type, runId, movement }: Entry, owner: string): void => {
  if (runId === null) return;
  const key = runKey({ owner, runId });
  const before = runs.get(key);
  const isBooked = before?.isBooked === true || type !== 'correction';
  runs.set(key, { owner, runId, used: (before?.used ?? 0n) + movement.used, isBooked });
};

/** More entries of one moment than these have too many subsets: 12 have 924 of the same size. */
const MAX_UNCERTAIN = 12;

/**
 * Whether an account is what these entries make of it, and some of the uncertain ones: they were booked while it was read,
 * and only their number is known. No choice among them explains a column that breaks the money law.
 */
export const explains = (
  { columns, count }: Pick<Tally, 'columns' | 'count'>,
  account: Movement & { readonly entryCount: number },
  uncertain: readonly Entry[],
): boolean => {
  const chosen = account.entryCount - count;
  if (uncertain.length > MAX_UNCERTAIN || chosen < 0 || chosen > uncertain.length) return false;
  return canChoose(uncertain, chosen, columns, account);
};

const canChoose = (entries: readonly Entry[], chosen: number, sum: Movement, wanted: Movement): boolean => {
  if (chosen === 0) return COLUMNS.every((column) => sum[column] === wanted[column]);
  const [first, ...rest] = entries;
  if (first === undefined) return false;
  return canChoose(rest, chosen - 1, replay([first], sum), wanted) || canChoose(rest, chosen, sum, wanted);
};

const COLUMNS = ['available', 'held', 'used', 'limit'] as const;

/** The hold's runs as one sum: from then on a difference is found, but not in which of them. */
export const withSummedRuns = (hold: HoldTally): HoldTally => {
  if (hold.runs.size === 0) return hold;
  return { ...hold, runs: new Map(), summedRuns: sum([...hold.runs.values()]) + (hold.summedRuns ?? 0n) };
};

export const sum = (amounts: readonly MicroUsd[]): MicroUsd => amounts.reduce((total, amount) => total + amount, 0n);
