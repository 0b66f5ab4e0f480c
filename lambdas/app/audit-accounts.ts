// The audit: every column of an account, and each of its holds and runs, is worked out again from its ledger alone, and
// compared with what is stored.
import { compareHolds } from '#app/compare-holds';
import type { PageRequest, World } from '#app/ports';
import { accountNotFound } from '#app/read';
import { beginWalk, isSpent, type Portion, packed, readYoung, SETTLED_MS, type Walk, walkOn } from '#app/walk-ledger';
import type { Account } from '#domain/account';
import type { Difference } from '#domain/comparison';
import { BudgetError, invalid } from '#domain/errors';
import type { Entry, Movement } from '#domain/ledger';
import { explains, type Tally, tallied } from '#domain/tally';

export interface Audited extends Difference {
  /** With `repair`: whether the column was set to what the ledger says. */
  readonly repaired?: boolean;
}

export interface Audit {
  /** Accounts whose ledgers were read to their end. */
  readonly accounts: number;
  /** Ledger entries that were read. */
  readonly entries: number;
  readonly differences: readonly Audited[];
  /** Holds and runs that were not compared, because too many were under way at once in a ledger too long for one request. */
  readonly left: number;
  /** Where the list of accounts goes on. */
  readonly cursor?: string;
  /** The account whose ledger was not read to its end. */
  readonly walk?: Walk;
}

export interface AuditRequest {
  /** One account; all of them if not given. */
  readonly account?: string;
  readonly page: PageRequest;
  readonly mode: 'compare' | 'repair';
  /** As the audit before this one answered. */
  readonly walk?: Walk;
}

/** What one request reads of settled ledgers: it must be over, holds and runs included, within the 25 s that a request has. */
const ENTRIES_PER_REQUEST = 20_000;
const READING_MS = 8_000;
/** An account that differs is looked at this often until nobody wrote in between. */
const MAX_LOOKS = 200;
const LONGEST_PAUSE_MS = 20;
/** What was booked in these last moments is read at each look. */
const FRESH_MS = 5_000;

/**
 * Replay ledgers from nothing and compare. With `repair`, the columns of an account that differ are set to what the replay
 * says, and a `repair` entry records the change. Only an account that is asked for by name is set to a ledger that has lost
 * entries: of all of them, that would undo what these entries booked, where a restore would give back what is missing.
 * @throws BudgetError account_not_found, account_contended (an account that differs, and never holds still), validation_failed (a cursor
 *   of another account)
 */
export const auditAccounts = async (world: World, request: AuditRequest): Promise<Audit> => {
  const portion: Portion = { entries: ENTRIES_PER_REQUEST, until: world.clock.now() + READING_MS };
  const sum = { accounts: 0, entries: 0, left: 0, differences: [] as Audited[] };
  let next = await firstAccount(world, request);
  for (;;) {
    const part = await auditAccount(world, next, { portion, mode: request.mode, isNamed: request.account !== undefined });
    if (part === undefined && request.account !== undefined) throw accountNotFound(request.account);
    const { cursor } = next;
    const goesOn = cursor === undefined ? {} : { cursor };
    if (part !== undefined) {
      sum.entries += part.entries;
      if ('walk' in part) return { ...sum, ...goesOn, walk: part.walk };
      sum.accounts += 1;
      sum.left += part.left;
      sum.differences.push(...part.differences);
    }
    if (cursor === undefined) return sum;
    if (sum.accounts >= request.page.limit || isSpent(world, portion)) return { ...sum, cursor };
    next = await accountAfter(world, cursor);
  }
};

interface Turn {
  /** Undefined: its row is there, but the account went. */
  readonly account: string | undefined;
  readonly walk?: Walk;
  /** Of the accounts after this one. */
  readonly cursor?: string;
}

const firstAccount = async (world: World, { account, walk, page: { cursor } }: AuditRequest): Promise<Turn> => {
  if (account !== undefined && (cursor !== undefined || (walk !== undefined && walk.account !== account)))
    throw invalid('cursor', `is not of an audit of account ${account}: begin without a cursor`);
  if (walk !== undefined) return { account: walk.account, walk, ...(cursor === undefined ? {} : { cursor }) };
  return account === undefined ? accountAfter(world, cursor) : { account };
};

/** One at a time, so that an audit can stop after any of them. */
const accountAfter = async (world: World, cursor: string | undefined): Promise<Turn> => {
  const page = await world.store.listAccounts({ limit: 1, ...(cursor === undefined ? {} : { cursor }) });
  return { account: page.items[0]?.account, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) };
};

type Part =
  | { readonly entries: number; readonly walk: Walk }
  | { readonly entries: number; readonly differences: readonly Audited[]; readonly left: number };

const auditAccount = async (
  world: World,
  turn: Turn,
  { portion, mode, isNamed }: { portion: Portion; mode: AuditRequest['mode']; isNamed: boolean },
): Promise<Part | undefined> => {
  const account = turn.account === undefined ? undefined : await world.store.readAccount(turn.account);
  if (account === undefined) return undefined;
  const begun = turn.walk?.createdAt === account.createdAt ? turn.walk : beginWalk(world, account);
  const { walk, isAtEnd } = await walkOn(world, begun, portion);
  if (!isAtEnd) return { entries: walk.tally.count - begun.tally.count, walk: packed(walk) };

  const look = await lookAt(world, walk);
  if (look === undefined) return undefined;
  const differences = await differencesOf(world, walk, look);
  const mayMend = mode === 'repair' && (isNamed || !hasLostEntries(look)) && differences.some(isOfColumn);
  const isMended = mayMend && (await repair(world, look, differences));
  return {
    entries: look.tally.count - begun.tally.count,
    differences: mode === 'repair' ? differences.map((each) => ({ ...each, repaired: isMended && isOfColumn(each) })) : differences,
    left: walk.left,
  };
};

/** An account at one moment, and what its ledger says of that moment. */
interface Look {
  readonly account: Account;
  readonly replayed: Replayed;
  /** All that was read of the ledger: there may be some more in it. */
  readonly tally: Tally;
}

type Replayed = Pick<Tally, 'columns' | 'count'>;

/**
 * While traffic flows: what was seen of the ledger before the account was read is in its columns; of what came in
 * meanwhile, only the number is known. If some choice of that explains the columns, they are right.
 *
 * If none does, they are wrong only if the account held still, and no entry turns up that is dated before the last moments.
 * @returns undefined if the account went meanwhile, even if another took its name
 */
const lookAt = async (world: World, walk: Walk): Promise<Look | undefined> => {
  const { account: name, to } = walk;
  const seen = new Map<string, Entry>();
  const see = (entries: readonly Entry[]): Entry[] => {
    const news = entries.filter(({ entryId }) => !seen.has(entryId));
    for (const entry of news) seen.set(entry.entryId, entry);
    return news;
  };
  see(await readYoung(world, name, to));
  for (let looks = 1; looks <= MAX_LOOKS; looks++) {
    const freshFrom = Math.max(to, world.clock.now() - FRESH_MS);
    const known = tallied(walk.tally, [...seen.values()]);
    const account = await world.store.readAccount(name);
    if (account?.createdAt !== walk.createdAt) return undefined;
    const uncertain = see(await readYoung(world, name, freshFrom));
    const tally = tallied(known, uncertain);
    if (explains(known, account, uncertain)) return { account, tally, replayed: { columns: account, count: account.entryCount } };

    const after = await world.store.readAccount(name);
    const late = see(await readYoung(world, name, to)).filter(({ at }) => at < freshFrom);
    if (after?.entryCount === account.entryCount && late.length === 0) return { account, tally, replayed: tally };
    await world.clock.sleep(world.ids.random() * LONGEST_PAUSE_MS);
  }
  throw new BudgetError('account_contended', `account ${name} is too busy to be audited now: ask again`, { account: name });
};

const compareColumns = (account: Account, { columns, count }: Replayed): Difference[] => {
  const ofEntries = count < account.entryCount ? 'ledger entries are missing' : 'the account does not count all entries';
  const cause = count === account.entryCount ? 'the column was changed beside the ledger' : ofEntries;
  const compare = (column: Difference['column'], stored: bigint, replayed: bigint): Difference[] =>
    stored === replayed ? [] : [{ account: account.account, column, stored, replayed, cause }];
  return [
    ...compare('available', account.available, columns.available),
    ...compare('held', account.held, columns.held),
    ...compare('used', account.used, columns.used),
    ...compare('limit', account.limit, columns.limit),
    ...compare('entries', BigInt(account.entryCount), BigInt(count)),
  ];
};

const differencesOf = async (world: World, walk: Walk, { account, replayed, tally }: Look): Promise<Difference[]> => {
  const { differences, unconfirmed } = await compareHolds(world, {
    account: account.account,
    tally,
    knownBefore: walk.began - SETTLED_MS,
    scope: walk.left === 0 ? 'all' : 'born in the tally',
    reread: async () => tallied(walk.tally, await readYoung(world, account.account, walk.to)),
  });
  const inColumns = compareColumns(account, replayed);
  // A hold that differs makes this sum differ too, and one cause is enough.
  if (differences.length > 0 || unconfirmed === undefined || unconfirmed === account.unconfirmed) return [...inColumns, ...differences];
  // No entry says when a hold was bound, so this sum is only compared where nothing was booked while its holds were read.
  const now = await world.store.readAccount(account.account);
  if (now?.entryCount !== account.entryCount || now.unconfirmed !== account.unconfirmed) return inColumns;
  const cause = 'the column was changed beside its holds';
  return [...inColumns, { account: account.account, column: 'unconfirmed', stored: account.unconfirmed, replayed: unconfirmed, cause }];
};

/** The columns know more than such a ledger: what was given, spent or returned by an entry that is gone. */
const hasLostEntries = ({ account, replayed: { count } }: Look): boolean => count < account.entryCount;

/** What a repair mends: holds and runs are for a person to look at. */
const isOfColumn = ({ column }: Difference): boolean => column !== 'hold' && column !== 'run';

/**
 * Set the columns to what the ledger says. The entry records it, and is itself no part of a replay.
 * @returns false if an administrator, or another repair, changed the account meanwhile: then nothing was written
 */
const repair = async (world: World, { account, replayed: { columns, count } }: Look, found: readonly Difference[]): Promise<boolean> => {
  const at = world.clock.now();
  // The only movement that need not keep the money law: it mends columns that break it.
  const difference: Movement = {
    available: columns.available - account.available,
    held: columns.held - account.held,
    used: columns.used - account.used,
    limit: columns.limit - account.limit,
  };
  const entry: Entry = {
    entryId: world.ids.entryId(at),
    at,
    account: account.account,
    type: 'repair',
    amount: difference.available < 0n ? -difference.available : difference.available,
    movement: difference,
    holdId: null,
    jobId: null,
    runId: null,
    user: null,
    note: 'audit',
  };
  // The store adds 1 for the entry; what else the count is off by is mended with it.
  const entries = count + 1 - account.entryCount;
  const off = found.find(({ column }) => column === 'unconfirmed');
  const unconfirmed = off === undefined ? 0n : off.replayed - off.stored;
  const profile = { set: {}, ifVersion: account.version };
  const outcome = await world.store.commit({
    accounts: [{ account: account.account, movement: difference, unconfirmed, entries, require: { kind: 'fact' }, profile, at }],
    entries: [entry],
  });
  return outcome.booked;
};
