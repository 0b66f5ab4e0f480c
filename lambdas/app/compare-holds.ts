// The holds and runs that a ledger names, as they are stored, while traffic flows.
import type { BudgetStore, World } from '#app/ports';
import { compareHold, compareRun, type Difference, isUnmoved, type StoredHold, unconfirmedIn } from '#domain/comparison';
import type { Entry, Instant } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';
import type { BookedRun } from '#domain/run';
import { BORN_HERE, runKey, type Tally } from '#domain/tally';

const PAGE_SIZE = 500;
/** Runs of one hold that are read: 10,000. The runs of a hold that has more are not compared. */
const MAX_PAGES_OF_RUNS = 20;
/** Open holds of one account that are listed: 50,000. */
const MAX_PAGES_OF_HOLDS = 100;
/** Reads of single items at once. */
const AT_ONCE = 8;
/** What moves each time that it is looked at is left to the next audit. */
const MAX_LOOKS = 5;

export interface HoldsRequest {
  readonly account: string;
  readonly tally: Tally;
  /** Holds whose first entry is younger may have been dropped from the tally when they were over, and then moved again. */
  readonly knownBefore: Instant;
  /** Whether the tally has all holds of the ledger that are not over. */
  readonly scope: 'all' | 'born in the tally';
  /** The tally with all entries that are booked by now. */
  reread(): Promise<Tally>;
}

export interface HoldsCompared {
  readonly differences: readonly Difference[];
  /** The sum of the open holds that no job is bound to; undefined where not every hold could be looked at. */
  readonly unconfirmed: MicroUsd | undefined;
}

/**
 * Holds and runs in the tally, and open holds that no entry names, beside what is stored of them.
 *
 * An item and the ledger cannot be read at one moment. So what seems to differ is read again, once before and once after a
 * look at the young end of the ledger: if nothing was booked on it in between, ledger and item tell of the same moment.
 */
export const compareHolds = async (world: World, request: HoldsRequest): Promise<HoldsCompared> => {
  const listed = await compareListed(world.store, request);
  let reads = await readAll(world.store, suspectsOf(request, listed));
  const unconfirmed = unconfirmedOf(request, listed.unconfirmed, reads);
  const differences: Difference[] = [];
  let tally = request.tally;
  for (let looks = 1; looks <= MAX_LOOKS; looks++) {
    const doubtful = reads.filter((read) => differencesOf(request, tally, read).length > 0);
    if (doubtful.length === 0) break;
    tally = await request.reread();
    const again = await someAtOnce(doubtful, async (before) => {
      const read = { suspect: before.suspect, stored: await readOne(world.store, before.suspect) };
      return { read, isStill: isUnmoved(before.stored, read.stored) };
    });
    for (const { read, isStill } of again) if (isStill) differences.push(...differencesOf(request, tally, read));
    reads = again.filter(({ isStill }) => !isStill).map(({ read }) => read);
  }
  return { differences, unconfirmed };
};

/**
 * The tally without the holds and runs that are over and as the ledger says: so a long ledger needs little memory. Only
 * what the last entries touched is looked at.
 */
export const dropFinished = async (store: BudgetStore, account: string, tally: Tally, touched: readonly Entry[]): Promise<Tally> => {
  const holdIds = new Set(touched.flatMap(({ holdId }) => (holdId !== null && tally.holds.get(holdId)?.held === 0n ? [holdId] : [])));
  const owners = new Set(touched.map(({ owner }) => owner));
  const suspects: Suspect[] = [
    ...[...holdIds].map((holdId) => ({ holdId })),
    ...[...tally.runs.values()].filter(({ owner, isBooked }) => isBooked && owners.has(owner)),
  ];
  const holds = new Map(tally.holds);
  const runs = new Map(tally.runs);
  for (const { suspect, stored } of await readAll(store, suspects)) {
    if (differencesIn(account, tally, { suspect, stored }).length > 0) continue;
    if ('owner' in suspect) runs.delete(runKey(suspect));
    else if (stored.hold?.state !== 'open' || stored.hold.account !== account) holds.delete(suspect.holdId); // One of no amount goes on.
  }
  return { ...tally, holds, runs };
};

/** A hold, or a run that was booked without one. */
type Suspect = { readonly holdId: string } | { readonly owner: string; readonly runId: string };
interface Read {
  readonly suspect: Suspect;
  /** Of a run without a hold: no hold, and one run or none. */
  readonly stored: StoredHold;
}

interface Listed {
  /** Open holds that are as the ledger says. */
  readonly agreeing: ReadonlySet<string>;
  /** Open holds of which the tally has no entry. */
  readonly unnamed: readonly string[];
  /** Of the holds that agree. */
  readonly unconfirmed: MicroUsd;
}

/** One page of open holds after the other: most need no second look, so they cost no reads of their own. */
const compareListed = async (store: BudgetStore, { account, tally }: HoldsRequest): Promise<Listed> => {
  const agreeing = new Set<string>();
  const unnamed: string[] = [];
  let unconfirmed = 0n;
  let cursor: string | undefined;
  for (let pages = 0; pages < MAX_PAGES_OF_HOLDS; pages++) {
    const page = await store.listHoldsOfAccount({ account, state: 'open' }, pageAt(cursor));
    for (const hold of page.items) {
      const known = tally.holds.get(hold.holdId);
      if (known === undefined) unnamed.push(hold.holdId);
      else if (known.held === hold.amount && known.used === 0n && hold.used === 0n && known.runs.size === 0) {
        agreeing.add(hold.holdId);
        unconfirmed += unconfirmedIn(account, { hold, runs: [] });
      }
    }
    cursor = page.cursor;
    if (cursor === undefined) break;
  }
  return { agreeing, unnamed, unconfirmed };
};

const suspectsOf = ({ tally, scope }: HoldsRequest, { agreeing, unnamed }: Listed): Suspect[] => [
  ...[...tally.holds.keys()].filter((holdId) => !agreeing.has(holdId)).map((holdId) => ({ holdId })),
  ...(scope === 'all' ? unnamed.map((holdId) => ({ holdId })) : []),
  ...[...tally.runs.values()].map(({ owner, runId }) => ({ owner, runId })),
];

/** None for a hold of whose entries some may not be in the tally: the next audit compares it. */
const differencesOf = (request: HoldsRequest, tally: Tally, { suspect, stored }: Read): Difference[] =>
  'holdId' in suspect && !isWhole(request, tally, suspect.holdId) ? [] : differencesIn(request.account, tally, { suspect, stored });

const isWhole = ({ knownBefore, scope }: HoldsRequest, tally: Tally, holdId: string): boolean => {
  const since = tally.holds.get(holdId)?.since ?? BORN_HERE;
  return since === BORN_HERE || (scope === 'all' && since < knownBefore);
};

const differencesIn = (account: string, tally: Tally, { suspect, stored }: Read): Difference[] => {
  if ('holdId' in suspect) return compareHold({ account, holdId: suspect.holdId }, tally.holds.get(suspect.holdId), stored);
  return compareRun(account, tally.runs.get(runKey(suspect)), stored.runs?.[0]);
};

const unconfirmedOf = (request: HoldsRequest, listed: MicroUsd, reads: readonly Read[]): MicroUsd | undefined => {
  const isUnknown = ({ suspect }: Read) => 'holdId' in suspect && !isWhole(request, request.tally, suspect.holdId);
  if (request.scope !== 'all' || reads.some(isUnknown)) return undefined;
  return reads.reduce((sum, { stored }) => sum + unconfirmedIn(request.account, stored), listed);
};

const readAll = (store: BudgetStore, suspects: readonly Suspect[]): Promise<Read[]> =>
  someAtOnce(suspects, async (suspect) => ({ suspect, stored: await readOne(store, suspect) }));

const someAtOnce = async <T, R>(all: readonly T[], work: (each: T) => Promise<R>): Promise<R[]> => {
  const done: R[] = [];
  for (let first = 0; first < all.length; first += AT_ONCE) done.push(...(await Promise.all(all.slice(first, first + AT_ONCE).map(work))));
  return done;
};

const readOne = async (store: BudgetStore, suspect: Suspect): Promise<StoredHold> => {
  if ('holdId' in suspect) return { hold: await store.readHold(suspect.holdId), runs: await readRuns(store, suspect.holdId) };
  const run = await store.readRun(suspect);
  return { hold: undefined, runs: run === undefined ? [] : [run] };
};

const readRuns = async (store: BudgetStore, owner: string): Promise<readonly BookedRun[] | undefined> => {
  const runs: BookedRun[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < MAX_PAGES_OF_RUNS; pages++) {
    const page = await store.listRuns(owner, pageAt(cursor));
    runs.push(...page.items);
    if (page.cursor === undefined) return runs;
    cursor = page.cursor;
  }
  return undefined;
};

const pageAt = (cursor: string | undefined) => ({ limit: PAGE_SIZE, ...(cursor === undefined ? {} : { cursor }) });
