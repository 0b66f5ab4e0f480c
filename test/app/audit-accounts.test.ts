import { describe, expect, it } from 'vitest';
import { type AuditRequest, auditAccounts } from '#app/audit-accounts';
import { bindHold } from '#app/bind-hold';
import { deposit } from '#app/deposit';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import type { Account } from '#domain/account';
import type { Entry } from '#domain/ledger';
import { aJob, HOUR_MS, MINUTE_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, type TestWorld, theHold } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const OTHER_ID = '6f1c0f5e-0000-4000-8000-000000000002';
const aRequest = (given: Partial<AuditRequest> = {}): AuditRequest => ({ page: { limit: 10 }, mode: 'compare', ...given });

/** $100 with a hold of $3.672, and one of another account that has $5. */
const aBusyWorld = async (): Promise<TestWorld> => {
  const world = await aWorld();
  await world.open({ limit: 100_000_000n });
  await world.open({ account: 'chemistry', limit: 5_000_000n });
  await aPlacedHold(world, {}, HOLD_ID);
  return world;
};

/** A world in which physics is stored as somebody else wrote it. */
const tampered = (world: TestWorld, { account }: { account: Partial<Account> }): TestWorld => ({
  ...world,
  store: {
    ...world.store,
    readAccount: async (name) => {
      const stored = await world.store.readAccount(name);
      return stored === undefined || name !== 'physics' ? stored : { ...stored, ...account };
    },
  },
});

/** A world whose ledger is read without some of its entries. */
const without = (world: TestWorld, isThere: (entry: Entry) => boolean): TestWorld => ({
  ...world,
  store: {
    ...world.store,
    listEntries: async (query, page) => ({ items: (await world.table.listEntries(query, page)).items.filter(isThere) }),
  },
});

describe('auditAccounts', () => {
  it('finds nothing where everything was booked', async () => {
    const world = await aBusyWorld();
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ runId: 'r', actualCost: 1n, tasks: 1, final: false }] });
    await deposit(world, { account: 'physics', amount: -3n, depositId: 'd', note: null });
    await aPlacedHold(world, {}, OTHER_ID);
    await releaseHold(world, { holdId: OTHER_ID });
    await world.clock.advance(10 * MINUTE_MS);
    await aPlacedHold(world, { account: 'chemistry' });
    expect(await auditAccounts(world, aRequest())).toStrictEqual({ accounts: 2, entries: 8, differences: [], left: 0 });
  });

  it('looks at one account', async () => {
    expect(await auditAccounts(await aBusyWorld(), aRequest({ account: 'chemistry' }))).toStrictEqual({
      accounts: 1,
      entries: 1,
      differences: [],
      left: 0,
    });
  });

  it('goes page by page', async () => {
    const world = await aBusyWorld();
    const first = await auditAccounts(world, aRequest({ page: { limit: 1 } }));
    expect(first).toMatchObject({ accounts: 1, entries: 1, cursor: expect.any(String) });
    const second = await auditAccounts(world, aRequest({ page: { limit: 1, cursor: first.cursor as string } }));
    expect(second).toStrictEqual({ accounts: 1, entries: 2, differences: [], left: 0 });
  });

  it('reads a ledger longer than a page', async () => {
    const world = await aBusyWorld();
    for (let count = 0; count < 600; count++) await deposit(world, { account: 'physics', amount: 1n, depositId: `d${count}`, note: null });
    await world.clock.advance(10 * MINUTE_MS);
    expect(await auditAccounts(world, aRequest({ account: 'physics' }))).toStrictEqual({
      accounts: 1,
      entries: 602,
      differences: [],
      left: 0,
    });
  });

  it('knows no account without a budget', async () => {
    await expect(auditAccounts(await aWorld(), aRequest({ account: 'nobody' }))).rejects.toMatchObject({ code: 'account_not_found' });
  });

  it.each([
    ['available', { available: 90_000_000n }, 90_000_000n, 96_328_000n],
    ['held', { held: 1n }, 1n, 3_672_000n],
    ['used', { used: 7n }, 7n, 0n],
    ['limit', { limit: 1n }, 1n, 100_000_000n],
  ] as const)('finds a column that was changed beside the ledger: %s', async (column, account, stored, replayed) => {
    const world = tampered(await aBusyWorld(), { account });
    expect((await auditAccounts(world, aRequest())).differences).toStrictEqual([
      { account: 'physics', column, stored, replayed, cause: 'the column was changed beside the ledger' },
    ]);
  });

  it('finds that what is unconfirmed is not what its holds say', async () => {
    const world = tampered(await aBusyWorld(), { account: { unconfirmed: 7n } });
    expect((await auditAccounts(world, aRequest())).differences).toStrictEqual([
      { account: 'physics', column: 'unconfirmed', stored: 7n, replayed: 3_672_000n, cause: 'the column was changed beside its holds' },
    ]);
  });

  it('counts bound holds as confirmed', async () => {
    const world = await aBusyWorld();
    await bindHold(world, { holdId: HOLD_ID, cluster: 'hpc', jobId: '4711', submittedAt: NOON });
    expect((await auditAccounts(world, aRequest())).differences).toStrictEqual([]);
  });

  it('takes a hold that was bound while it looked for no difference', async () => {
    const world = await aBusyWorld();
    const binding = { holdId: HOLD_ID, cluster: 'hpc', jobId: '4711', submittedAt: NOON };
    world.beforeNext('listHoldsOfAccount', () => bindHold({ ...world, store: world.table }, binding));
    expect((await auditAccounts(world, aRequest())).differences).toStrictEqual([]);
  });

  it('finds that an entry is missing', async () => {
    const world = await aBusyWorld();
    const forgetful = without(world, ({ type }) => type !== 'hold');
    const cause = 'ledger entries are missing';
    expect((await auditAccounts(forgetful, aRequest({ account: 'physics' }))).differences).toStrictEqual([
      { account: 'physics', column: 'available', stored: 96_328_000n, replayed: 100_000_000n, cause },
      { account: 'physics', column: 'held', stored: 3_672_000n, replayed: 0n, cause },
      { account: 'physics', column: 'entries', stored: 2n, replayed: 1n, cause },
      {
        ...{ account: 'physics', column: 'hold', holdId: HOLD_ID, stored: 3_672_000n, replayed: 0n },
        cause: 'no ledger entry names the hold: it was written beside the ledger, or its entries are gone',
      },
    ]);
  });

  it('leaves an account out that went while it looked', async () => {
    const world = await aBusyWorld();
    const removed = async () => undefined;
    let looks = 0;
    const going = async (name: string) => (++looks > 1 ? removed() : world.table.readAccount(name));
    const store = { ...world.store, readAccount: going };
    await expect(auditAccounts({ ...world, store }, aRequest({ account: 'physics' }))).rejects.toMatchObject({ code: 'account_not_found' });
    const emptied = { ...world.store, readAccount: removed };
    expect(await auditAccounts({ ...world, store: emptied }, aRequest())).toStrictEqual({
      accounts: 0,
      entries: 0,
      differences: [],
      left: 0,
    });
  });

  it('passes over a row of the directory whose account is gone', async () => {
    const world = await aBusyWorld();
    world.store.listAccounts = async ({ cursor }) =>
      cursor === undefined ? { items: [], cursor: 'next' } : { items: [await world.account('physics')] };
    expect(await auditAccounts(world, aRequest())).toMatchObject({ accounts: 1, entries: 2 });
  });

  it('does not compare what is unconfirmed with an account that went, or was booked on, while its holds were read', async () => {
    const world = await aBusyWorld();
    const binding = { holdId: HOLD_ID, cluster: 'hpc', jobId: '4711', submittedAt: NOON };
    world.beforeNext('listHoldsOfAccount', () => bindHold({ ...world, store: world.table }, binding));
    const reads = { count: 0 };
    const readAccount = async (name: string) => (++reads.count > 3 ? undefined : world.table.readAccount(name));
    const store = { ...world.store, readAccount };
    expect(await auditAccounts({ ...world, store }, aRequest({ account: 'physics' }))).toMatchObject({ differences: [] });
  });

  it('finds the columns right although they moved while it looked', async () => {
    const world = await aBusyWorld();
    const rival = { account: 'physics', amount: 1n, depositId: 'd', note: null };
    world.beforeNext('listEntries', () => undefined); // The young end as a whole.
    world.beforeNext('listEntries', () => deposit({ ...world, store: world.table }, rival));
    expect(await auditAccounts(world, aRequest({ account: 'physics' }))).toMatchObject({ entries: 3, differences: [] });
    expect(world.clock.pauses).toStrictEqual([]);
  });

  it('looks again at an account that differs and moved while it looked', async () => {
    const world = tampered(await aBusyWorld(), { account: { used: 7n } });
    let count = 0;
    const restless = async () =>
      deposit({ ...world, store: world.table }, { account: 'physics', amount: 1n, depositId: `d${++count}`, note: null });
    for (let reads = 0; reads < 3; reads++) world.beforeNext('readAccount', reads === 2 ? restless : () => undefined);
    expect((await auditAccounts(world, aRequest({ account: 'physics' }))).differences).toMatchObject([
      { column: 'used', stored: 7n, replayed: 0n },
    ]);
    expect(world.clock.pauses).toHaveLength(1);
    expect(world.clock.pauses[0]).toBeLessThan(20);
  });

  it('looks again when an entry came in that is dated a while ago', async () => {
    const world = await aBusyWorld();
    await world.clock.advance(10 * MINUTE_MS);
    const behind = { ...world, store: world.table, clock: { ...world.clock, now: () => NOON + 9 * MINUTE_MS } };
    world.beforeNext('readAccount', () => undefined); // The account, before its ledger is read.
    world.beforeNext('readAccount', () => deposit(behind, { account: 'physics', amount: 1n, depositId: 'd', note: null }));
    expect(await auditAccounts(world, aRequest({ account: 'physics' }))).toMatchObject({ entries: 3, differences: [] });
    expect(world.clock.pauses).toHaveLength(1);
  });

  it('gives up on an account that never holds still', async () => {
    const world = await aBusyWorld();
    let count = 0;
    const restless = {
      ...world.store,
      readAccount: async (name: string) => ({ ...(await world.account(name)), entryCount: 100 + ++count }),
    };
    await expect(auditAccounts({ ...world, store: restless }, aRequest({ account: 'physics' }))).rejects.toMatchObject({
      code: 'account_contended',
      message: 'account physics is too busy to be audited now: ask again',
      details: { account: 'physics' },
    });
    expect(world.clock.pauses).toHaveLength(200);
  });

  it('counts entries of a machine whose clock is ahead', async () => {
    const world = await aBusyWorld();
    const ahead = { ...world, store: world.table, clock: { ...world.clock, now: () => NOON + 59 * MINUTE_MS } };
    await deposit(ahead, { account: 'physics', amount: 1n, depositId: 'd', note: null });
    expect(await auditAccounts(world, aRequest({ account: 'physics' }))).toMatchObject({ entries: 3, differences: [] });
  });
});

describe('auditAccounts with repair', () => {
  /** An account whose columns really are wrong in the table: another one's figures under its name. */
  const aBrokenWorld = async (given: Partial<Account>): Promise<TestWorld> => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000n, ...given });
    return world;
  };

  it.each([
    ['too little', 40_000_000n, 60_000_000n],
    ['too much', 130_000_000n, 30_000_000n],
  ])('sets the columns to what the ledger says, and records it: %s', async (_, available, amount) => {
    const world = await aBrokenWorld({ available });
    await world.clock.advance(MINUTE_MS);
    const { differences } = await auditAccounts(world, aRequest({ mode: 'repair' }));
    expect(differences).toMatchObject([{ column: 'available', stored: available, replayed: 100_000_000n, repaired: true }]);
    expect(columns(await world.account())).toStrictEqual({ available: 100_000_000n, held: 0n, used: 0n, limit: 100_000_000n });
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON + 1, to: NOON + HOUR_MS }, { limit: 10 });
    expect(items).toMatchObject([{ at: NOON + MINUTE_MS, type: 'repair', amount, holdId: null, user: null, note: 'audit' }]);
    expect(await auditAccounts(world, aRequest())).toStrictEqual({ accounts: 1, entries: 2, differences: [], left: 0 });
  });

  it('mends every column, and the count of entries', async () => {
    const world = await aBrokenWorld({ available: 1n, held: 2n, used: 3n, limit: 100_000_000n, entryCount: 9 });
    const { differences } = await auditAccounts(world, aRequest({ mode: 'repair', account: 'physics' }));
    expect(differences.map(({ column }) => column)).toStrictEqual(['available', 'held', 'used', 'entries']);
    expect(columns(await world.account())).toStrictEqual({ available: 100_000_000n, held: 0n, used: 0n, limit: 100_000_000n });
    expect(await world.account()).toMatchObject({ entryCount: 2 });
    expect((await auditAccounts(world, aRequest())).differences).toStrictEqual([]);
  });

  it('mends what is unconfirmed', async () => {
    const world = await aBrokenWorld({ unconfirmed: 7n });
    expect((await auditAccounts(world, aRequest({ mode: 'repair' }))).differences).toHaveLength(1);
    expect(await world.account()).toMatchObject({ unconfirmed: 0n, available: 100_000_000n });
    expect((await auditAccounts(world, aRequest())).differences).toStrictEqual([]);
  });

  it('writes nothing where nothing differs', async () => {
    const world = await aBusyWorld();
    await auditAccounts(world, aRequest({ mode: 'repair' }));
    expect(world.calls).not.toContain('commit');
  });

  it('writes nothing for a hold that differs, and says so: a person must look', async () => {
    const world = await aBusyWorld();
    const before = await theHold(world, HOLD_ID);
    await world.table.commit({
      accounts: [],
      entries: [],
      hold: { before, after: { ...before, amount: 9n, version: before.version + 1 } },
    });
    const { differences } = await auditAccounts(world, aRequest({ mode: 'repair' }));
    expect(differences).toMatchObject([{ column: 'hold', stored: 9n, replayed: 3_672_000n, repaired: false }]);
    expect(world.calls).not.toContain('commit');
  });

  it('only looks unless it is told to repair', async () => {
    const world = await aBrokenWorld({ available: 40_000_000n });
    await auditAccounts(world, aRequest());
    expect(await world.account()).toMatchObject({ available: 40_000_000n });
  });

  it('leaves an account to the next audit that an administrator changed meanwhile', async () => {
    const world = await aBrokenWorld({ available: 40_000_000n });
    const rival = { account: 'physics', amount: 1n, depositId: 'd', note: null };
    world.beforeNext('commit', () => deposit({ ...world, store: world.table }, rival));
    const { differences } = await auditAccounts(world, aRequest({ mode: 'repair' }));
    expect(differences).toMatchObject([{ column: 'available', repaired: false }]);
    expect(await world.account()).toMatchObject({ available: 40_000_001n });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'deposit']);
  });

  it.each([
    ['a deposit', 50_000_000n, ['available', 'limit', 'entries']],
    ['a withdrawal', -60_000_000n, ['available', 'limit', 'entries']],
  ])('does not undo %s that the ledger has lost, unless it is asked for that account', async (_, amount, differing) => {
    const world = await aBrokenWorld({});
    await deposit(world, { account: 'physics', amount, depositId: 'd', note: null });
    const limit = 100_000_000n + amount;
    const robbed = without(world, (entry) => entry.movement.limit !== amount);
    const cause = 'ledger entries are missing';
    const { differences } = await auditAccounts(robbed, aRequest({ mode: 'repair' }));
    expect(differences).toMatchObject(differing.map((column) => ({ column, cause, repaired: false })));
    expect(columns(await world.account())).toStrictEqual({ available: limit, held: 0n, used: 0n, limit });

    const named = await auditAccounts(robbed, aRequest({ mode: 'repair', account: 'physics' }));
    expect(named.differences.map(({ repaired }) => repaired)).toStrictEqual(differing.map(() => true));
    expect(columns(await world.account())).toStrictEqual({ available: 100_000_000n, held: 0n, used: 0n, limit: 100_000_000n });
  });

  it('does not undo a hold that the ledger has lost', async () => {
    const world = await aBusyWorld();
    const before = columns(await world.account());
    const { differences } = await auditAccounts(
      without(world, ({ type }) => type !== 'hold'),
      aRequest({ mode: 'repair' }),
    );
    expect(differences.length).toBeGreaterThan(2);
    expect(differences.every(({ repaired }) => repaired === false)).toBe(true);
    expect(columns(await world.account())).toStrictEqual(before);
  });

  it('gives the account its money back', async () => {
    const world = await aBrokenWorld({ available: 1n });
    await auditAccounts(world, aRequest({ mode: 'repair' }));
    expect(await aPlacedHold(world, aJob())).toMatchObject({ state: 'open' });
  });
});
