// The audit: every column of an account is worked out again from its ledger alone, and compared with what is stored.
import type { BudgetStore, PageRequest, World } from '#app/ports';
import { readAccountOrThrow } from '#app/read';
import type { Account } from '#domain/account';
import { BudgetError } from '#domain/errors';
import { unconfirmedOf } from '#domain/hold';
import { type Entry, type Instant, type Movement, NOTHING, replay } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';

export interface Difference {
  readonly account: string;
  readonly column: 'available' | 'held' | 'used' | 'limit' | 'unconfirmed' | 'entries' | 'hold';
  readonly holdId?: string;
  readonly stored: bigint;
  readonly replayed: bigint;
  readonly cause: string;
}

export interface Audit {
  readonly accounts: number;
  readonly entries: number;
  readonly differences: readonly Difference[];
  readonly cursor?: string;
}

export interface AuditRequest {
  /** One account; all of them if not given. */
  readonly account?: string;
  readonly page: PageRequest;
  readonly mode: 'compare' | 'repair';
}

/** Entries younger than this may still arrive out of order from another machine's clock, so they are read again each time. */
const SETTLED_MS = 2 * 60 * 1000;
/** A busy account is looked at this often until nobody wrote in between. */
const MAX_LOOKS = 200;
const LEDGER_PAGE = 500;
/** A clock of another machine may be ahead of ours by so much. */
const CLOCK_SKEW_MS = 60 * 60 * 1000;

/**
 * Replay ledgers from nothing and compare. With `repair`, the columns of an account that differ are set to what the replay
 * says, and a `repair` entry records the change.
 * @throws BudgetError account_not_found, account_contended (an account that never holds still)
 */
export const auditAccounts = async (world: World, request: AuditRequest): Promise<Audit> => {
  const page =
    request.account === undefined
      ? await world.store.listAccounts(request.page)
      : { items: [await readAccountOrThrow(world.store, request.account)] };
  let entries = 0;
  const differences: Difference[] = [];
  for (const { account } of page.items) {
    const looked = await lookAt(world, account);
    const found = await differencesOf(world.store, looked);
    if (request.mode === 'repair' && found.some(({ column }) => column !== 'hold')) await repair(world, looked, found);
    entries += looked.count;
    differences.push(...found);
  }
  return { accounts: page.items.length, entries, differences, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) };
};

interface Tally {
  readonly columns: Movement;
  readonly count: number;
  /** What each hold should still hold. */
  readonly heldByHold: ReadonlyMap<string, MicroUsd>;
}

interface Look extends Tally {
  readonly account: Account;
}

const EMPTY: Tally = { columns: NOTHING, count: 0, heldByHold: new Map() };

/**
 * The account and its replay as of one moment, while traffic flows: the settled past is read once, and then the account,
 * its youngest entries and the account again, until no entry came in between.
 */
const lookAt = async (world: World, name: string): Promise<Look> => {
  const first = await readAccountOrThrow(world.store, name);
  const settledUntil = Math.max(first.createdAt, world.clock.now() - SETTLED_MS);
  const past = await tally(world.store, name, { from: first.createdAt, to: settledUntil }, EMPTY);
  for (let looks = 1; looks <= MAX_LOOKS; looks++) {
    const before = await readAccountOrThrow(world.store, name);
    const all = await tally(world.store, name, { from: settledUntil, to: world.clock.now() + CLOCK_SKEW_MS }, past);
    const after = await readAccountOrThrow(world.store, name);
    if (before.entryCount === after.entryCount) return { account: after, ...all };
    await world.clock.sleep(world.ids.random() * 20);
  }
  throw new BudgetError('account_contended', `account ${name} is too busy to be audited now: ask again`, { account: name });
};

const tally = async (store: BudgetStore, account: string, time: { from: Instant; to: Instant }, from: Tally): Promise<Tally> => {
  let { columns, count } = from;
  const heldByHold = new Map(from.heldByHold);
  let cursor: string | undefined;
  do {
    const page = await store.listEntries({ account, ...time }, { limit: LEDGER_PAGE, ...(cursor === undefined ? {} : { cursor }) });
    columns = replay(page.items, columns);
    count += page.items.length;
    for (const entry of page.items) addTo(heldByHold, entry);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return { columns, count, heldByHold };
};

const addTo = (heldByHold: Map<string, MicroUsd>, entry: Entry): void => {
  if (entry.holdId === null || entry.movement.held === 0n) return;
  const held = (heldByHold.get(entry.holdId) ?? 0n) + entry.movement.held;
  if (held === 0n) heldByHold.delete(entry.holdId);
  else heldByHold.set(entry.holdId, held);
};

const differencesOf = async (store: BudgetStore, look: Look): Promise<Difference[]> => {
  const { account, columns, count } = look;
  const compare = (column: Difference['column'], stored: bigint, replayed: bigint, cause: string): Difference[] =>
    stored === replayed ? [] : [{ account: account.account, column, stored, replayed, cause }];
  const missing = count === account.entryCount ? 'the column was changed beside the ledger' : 'ledger entries are missing or foreign';
  return [
    ...compare('available', account.available, columns.available, missing),
    ...compare('held', account.held, columns.held, missing),
    ...compare('used', account.used, columns.used, missing),
    ...compare('limit', account.limit, columns.limit, missing),
    ...compare('entries', BigInt(account.entryCount), BigInt(count), 'ledger entries are missing or foreign'),
    ...(await holdDifferences(store, look)),
  ];
};

/**
 * Each hold that the ledger says is open, as it is stored, and the sum of those that no job is bound to. What changed since
 * the look is no difference: then the next audit compares it.
 */
const holdDifferences = async (store: BudgetStore, { account, heldByHold }: Look): Promise<Difference[]> => {
  const name = account.account;
  const differences: Difference[] = [];
  let unconfirmed = 0n;
  for (const [holdId, replayed] of heldByHold) {
    const hold = await store.readHold(holdId);
    const stored = hold?.state === 'open' && hold.account === name ? hold.amount : 0n;
    if (hold !== undefined) unconfirmed += unconfirmedOf(hold);
    const cause = hold === undefined ? 'the hold is gone' : 'the hold was changed beside the ledger';
    if (stored !== replayed) differences.push({ account: name, column: 'hold', holdId, stored, replayed, cause });
  }
  // A hold that differs makes this sum differ too, and one cause is enough.
  if (differences.length === 0 && account.unconfirmed !== unconfirmed) {
    const cause = 'the column was changed beside its holds';
    differences.push({ account: name, column: 'unconfirmed', stored: account.unconfirmed, replayed: unconfirmed, cause });
  }
  if (differences.length === 0) return [];
  const now = await store.readAccount(name);
  return now?.entryCount === account.entryCount && now.unconfirmed === account.unconfirmed ? differences : [];
};

/** Set the columns to what the ledger says. The entry records it, and is itself no part of a replay. */
const repair = async (world: World, { account, columns, count }: Look, found: readonly Difference[]): Promise<void> => {
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
  await world.store.commit({
    accounts: [{ account: account.account, movement: difference, unconfirmed, entries, require: { kind: 'fact' }, profile, at }],
    entries: [entry],
  });
};
