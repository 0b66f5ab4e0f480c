// An account's life: create, update, delete.
import { describe, expect, it } from 'vitest';
import { auditAccounts } from '#app/audit-accounts';
import { createAccount, type NewAccount } from '#app/create-account';
import { deleteAccount } from '#app/delete-account';
import { deposit } from '#app/deposit';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import { type AccountUpdate, updateAccount } from '#app/update-account';
import { anAccount, HOUR_MS, MINUTE_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, type TestWorld } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const aNewAccount = (given: Partial<NewAccount> = {}): NewAccount => ({
  account: 'physics',
  name: 'Physics',
  description: null,
  limit: 100_000_000n,
  startDate: '2026-01-01',
  endDate: '2026-12-31',
  ...given,
});

const anOpenWorld = async (given: object = {}): Promise<TestWorld> => {
  const world = await aWorld();
  await world.open({ limit: 100_000_000n, ...given });
  return world;
};
const lastEntry = async (world: TestWorld) =>
  (await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + 24 * HOUR_MS }, { limit: 100 })).items.at(-1);

describe('createAccount', () => {
  it('opens an account with its limit as the first deposit', async () => {
    const world = await aWorld();
    const account = await createAccount(world, aNewAccount());
    expect(account).toStrictEqual({
      account: 'physics',
      name: 'Physics',
      description: null,
      available: 100_000_000n,
      held: 0n,
      used: 0n,
      limit: 100_000_000n,
      unconfirmed: 0n,
      startDate: '2026-01-01',
      endDate: '2026-12-31',
      status: 'active',
      version: 1,
      entryCount: 1,
      createdAt: NOON,
      updatedAt: NOON,
    });
    expect(await world.account()).toStrictEqual(account);
    expect(await lastEntry(world)).toStrictEqual({
      entryId: expect.stringMatching(/^[0-9A-Z]{26}$/),
      at: NOON,
      account: 'physics',
      type: 'deposit',
      amount: 100_000_000n,
      movement: { available: 100_000_000n, held: 0n, used: 0n, limit: 100_000_000n },
      holdId: null,
      jobId: null,
      runId: null,
      user: null,
      note: 'opening',
    });
  });

  it('books nothing for an account without money', async () => {
    const world = await aWorld();
    expect(await createAccount(world, aNewAccount({ limit: 0n }))).toMatchObject({ limit: 0n, entryCount: 0 });
    expect(await world.entryTypes()).toStrictEqual([]);
  });

  it('is refused for a name that is taken', async () => {
    const world = await anOpenWorld();
    await expect(createAccount(world, aNewAccount({ limit: 5n }))).rejects.toMatchObject({
      code: 'account_exists',
      message: 'account physics exists, or was closed and keeps its name: choose another, or update it',
      details: { account: 'physics' },
    });
    expect(await world.account()).toMatchObject({ limit: 100_000_000n });
  });
});

describe('updateAccount', () => {
  const update = (world: TestWorld, given: Partial<AccountUpdate>) => updateAccount(world, { account: 'physics', set: {}, ...given });

  it('changes words, dates and status', async () => {
    const world = await anOpenWorld();
    await world.clock.advance(MINUTE_MS);
    const set = { name: 'New', description: 'Wing B', startDate: '2026-02-01', endDate: '2026-11-30', status: 'suspended' } as const;
    const account = await update(world, { set });
    expect(account).toMatchObject({ ...set, version: 2, updatedAt: NOON + MINUTE_MS, entryCount: 1, limit: 100_000_000n });
    expect(await world.account()).toStrictEqual(account);
  });

  it('clears what is set to null, and leaves the rest', async () => {
    const world = await anOpenWorld({ name: 'Physics', description: 'Wing A', startDate: '2026-01-01' });
    expect(await update(world, { set: { description: null, startDate: null } })).toMatchObject({
      name: 'Physics',
      description: null,
      startDate: null,
    });
  });

  it('raises the limit, with an entry', async () => {
    const world = await anOpenWorld();
    expect(columns(await update(world, { limit: 150_000_000n }))).toStrictEqual({
      available: 150_000_000n,
      held: 0n,
      used: 0n,
      limit: 150_000_000n,
    });
    expect(await lastEntry(world)).toMatchObject({ type: 'deposit', amount: 50_000_000n, note: 'new limit' });
    expect(await world.account()).toMatchObject({ limit: 150_000_000n, version: 2, entryCount: 2 });
  });

  it('lowers the limit to what is held and used', async () => {
    const world = await anOpenWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    expect(await update(world, { limit: 3_672_000n })).toMatchObject({ available: 0n, held: 3_672_000n, limit: 3_672_000n });
    expect(await lastEntry(world)).toMatchObject({
      type: 'withdrawal',
      amount: 96_328_000n,
      movement: { available: -96_328_000n, held: 0n, used: 0n, limit: -96_328_000n },
    });
  });

  it('never lowers it below that', async () => {
    const world = await anOpenWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    await expect(update(world, { limit: 3_671_999n })).rejects.toMatchObject({
      code: 'below_committed',
      message: 'account physics has $96.328 available; $3.672 is held or used, so its limit cannot go down by $96.328001',
      details: { account: 'physics' },
    });
    expect(await world.account()).toMatchObject({ limit: 100_000_000n, version: 1 });
  });

  it('writes nothing when nothing changes', async () => {
    const world = await anOpenWorld();
    expect(await update(world, { limit: 100_000_000n })).toMatchObject({ version: 1 });
    expect(await update(world, {})).toMatchObject({ version: 1 });
    expect(world.calls).toStrictEqual(['readAccount', 'readAccount']);
  });

  it('holds if_version against what is stored', async () => {
    const world = await anOpenWorld();
    expect(await update(world, { set: { name: 'A' }, ifVersion: 1 })).toMatchObject({ version: 2 });
    await expect(update(world, { set: { name: 'B' }, ifVersion: 1 })).rejects.toMatchObject({
      code: 'version_conflict',
      message: 'account physics is at version 2, not 1: read it again',
      details: { version: 2 },
    });
    expect(await world.account()).toMatchObject({ name: 'A' });
  });

  it('is a conflict when somebody else changed that version meanwhile', async () => {
    const world = await anOpenWorld();
    world.beforeNext('commit', () => updateAccount({ ...world, store: world.table }, { account: 'physics', set: { name: 'B' } }));
    await expect(update(world, { set: { name: 'A' }, ifVersion: 1 })).rejects.toMatchObject({ code: 'version_conflict' });
  });

  it('works the new limit out again when the old one changed meanwhile', async () => {
    const world = await anOpenWorld();
    const rival = { account: 'physics', amount: 7n, depositId: 'd1', note: null };
    world.beforeNext('commit', () => deposit({ ...world, store: world.table }, rival));
    expect(await update(world, { limit: 150_000_000n })).toMatchObject({ limit: 150_000_000n, available: 150_000_000n, version: 3 });
  });

  it.each([
    [
      'the end before the start',
      { startDate: '2026-05-02', endDate: '2026-05-01' },
      'end_date: 2026-05-01 is before the start date 2026-05-02',
    ],
    ['the end before the start that stands', { endDate: '2025-12-31' }, 'end_date: 2025-12-31 is before the start date 2026-01-01'],
  ])('refuses %s', async (_, set, message) => {
    const world = await anOpenWorld({ startDate: '2026-01-01' });
    await expect(update(world, { set })).rejects.toMatchObject({ code: 'validation_failed', message });
  });

  it.each([
    ['one day', { startDate: '2026-05-01', endDate: '2026-05-01' }],
    ['a start alone', { startDate: '2026-05-01' }],
    ['an end alone', { endDate: '2026-05-01' }],
  ])('takes %s', async (_, set) => {
    expect(await update(await anOpenWorld(), { set })).toMatchObject(set);
  });

  it('closes an account that holds nothing', async () => {
    const world = await anOpenWorld();
    expect(await update(world, { set: { status: 'closed' } })).toMatchObject({ status: 'closed' });
  });

  const openHolds = {
    code: 'account_has_open_holds',
    message: 'account physics has $3.672 held for open holds: suspend it, and close it when they have ended',
    details: { account: 'physics' },
  };

  it('closes none that still holds money', async () => {
    const world = await anOpenWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    await expect(update(world, { set: { status: 'closed' } })).rejects.toMatchObject(openHolds);
  });

  it('closes none that began to hold money meanwhile', async () => {
    const world = await anOpenWorld();
    world.beforeNext('commit', () => aPlacedHold(world, {}, HOLD_ID));
    await expect(update(world, { set: { status: 'closed' } })).rejects.toMatchObject(openHolds);
    expect(await world.account()).toMatchObject({ status: 'active' });
  });

  it('is refused for an account that does not exist, or not any more', async () => {
    await expect(update(await aWorld(), { limit: 1n })).rejects.toMatchObject({ code: 'account_not_found' });
    const world = await anOpenWorld();
    const account = await world.account();
    world.beforeNext('commit', () => world.table.removeAccount(account, undefined));
    await expect(update(world, { limit: 1n })).rejects.toMatchObject({ code: 'account_not_found' });
  });

  it.each([
    ['no account is to blame', {}],
    ['the account has the money by now', { accounts: [{ account: 'physics', stored: anAccount({ version: 1 }) }] }],
  ])('tries again when %s', async (_, refusal) => {
    const world = await anOpenWorld();
    world.refuseNext(refusal);
    expect(await update(world, { limit: 99_000_000n })).toMatchObject({ limit: 99_000_000n });
  });
});

describe('deleteAccount', () => {
  it.each([
    ['its opening deposit', 100_000_000n, ['deposit', 'withdrawal']],
    ['nothing', 0n, []],
  ])('removes an account for which %s was booked', async (_, limit, entries) => {
    const world = await aWorld();
    await createAccount(world, aNewAccount({ limit }));
    await world.clock.advance(MINUTE_MS);
    expect(await deleteAccount(world, 'physics')).toBe('removed');
    expect(await world.table.readAccount('physics')).toBeUndefined();
    expect(await world.entryTypes()).toStrictEqual(entries);
  });

  it('withdraws the opening deposit, as of its own time', async () => {
    const world = await aWorld();
    await createAccount(world, aNewAccount());
    await world.clock.advance(MINUTE_MS);
    await deleteAccount(world, 'physics');
    expect(await lastEntry(world)).toMatchObject({ at: NOON, type: 'withdrawal', amount: 100_000_000n, note: 'removed' });
  });

  it('lets the name be used again, and the new account audits clean', async () => {
    const world = await aWorld();
    await createAccount(world, aNewAccount());
    await world.clock.advance(MINUTE_MS);
    await deleteAccount(world, 'physics');
    await createAccount(world, aNewAccount({ limit: 7n }));
    expect(await auditAccounts(world, { account: 'physics', page: { limit: 1 }, mode: 'compare' })).toStrictEqual({
      accounts: 1,
      entries: 1,
      differences: [],
      left: 0,
    });
  });

  it.each([
    ['a hold', async (world: TestWorld) => [await aPlacedHold(world, {}, HOLD_ID), await releaseHold(world, { holdId: HOLD_ID })]],
    ['a deposit', (world: TestWorld) => deposit(world, { account: 'physics', amount: 5n, depositId: 'd1', note: null })],
  ] as [string, (world: TestWorld) => Promise<unknown>][])('closes an account for which %s was booked as well', async (_, book) => {
    const world = await anOpenWorld();
    await book(world);
    expect(await deleteAccount(world, 'physics')).toBe('closed');
    expect(await world.account()).toMatchObject({ status: 'closed' });
    await expect(createAccount(world, aNewAccount())).rejects.toMatchObject({ code: 'account_exists' });
  });

  it('closes an account whose only entry is a cost', async () => {
    const world = await aWorld();
    await createAccount(world, aNewAccount({ limit: 0n }));
    await settleRuns(world, { holdId: HOLD_ID, account: 'physics', runs: [{ actualCost: 5n, tasks: 1 }] });
    expect(await deleteAccount(world, 'physics')).toBe('closed');
  });

  it('closes an account whose only entry is nowhere to be found', async () => {
    const world = await anOpenWorld();
    const forgetful = { ...world, store: { ...world.store, listEntries: async () => ({ items: [] }) } };
    expect(await deleteAccount(forgetful, 'physics')).toBe('closed');
  });

  it('is refused while the account holds money', async () => {
    const world = await anOpenWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    await expect(deleteAccount(world, 'physics')).rejects.toMatchObject({ code: 'account_has_open_holds' });
  });

  it('closes an account for which something was booked meanwhile', async () => {
    const world = await anOpenWorld();
    const rival = { account: 'physics', amount: 7n, depositId: 'd1', note: null };
    world.beforeNext('removeAccount', () => deposit({ ...world, store: world.table }, rival));
    expect(await deleteAccount(world, 'physics')).toBe('closed');
  });

  it('is refused for an account that does not exist', async () => {
    await expect(deleteAccount(await aWorld(), 'physics')).rejects.toMatchObject({ code: 'account_not_found' });
  });
});
