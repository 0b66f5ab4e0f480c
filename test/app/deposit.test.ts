import { describe, expect, it } from 'vitest';
import { type DepositRequest, deposit } from '#app/deposit';
import { anAccount, DAY_MS, MINUTE_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, type TestWorld, within } from '#test/support/world';

const aRequest = (given: Partial<DepositRequest> = {}): DepositRequest => ({
  account: 'physics',
  amount: 50_000_000n,
  depositId: 'grant-7',
  note: 'second year',
  ...given,
});
const anOpenWorld = async (given: object = {}): Promise<TestWorld> => {
  const world = await aWorld();
  await world.open({ limit: 100_000_000n, ...given });
  return world;
};

describe('deposit', () => {
  it.each([
    ['gives money', 50_000_000n, 'deposit', 50_000_000n, 150_000_000n],
    ['takes it back', -30_000_000n, 'withdrawal', 30_000_000n, 70_000_000n],
    ['takes all that is available', -100_000_000n, 'withdrawal', 100_000_000n, 0n],
  ])('%s', async (_, amount, type, entered, limit) => {
    const world = await anOpenWorld();
    await world.clock.advance(MINUTE_MS);
    const account = await deposit(world, aRequest({ amount }));
    expect(columns(account)).toStrictEqual({ available: limit, held: 0n, used: 0n, limit });
    expect(account).toMatchObject({ version: 2, entryCount: 2, updatedAt: NOON + MINUTE_MS });
    expect(await world.account()).toStrictEqual(account);
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON + 1, to: NOON + DAY_MS }, { limit: 10 });
    expect(items).toMatchObject([
      {
        at: NOON + MINUTE_MS,
        type,
        amount: entered,
        movement: { available: amount, held: 0n, used: 0n, limit: amount },
        note: 'second year',
      },
    ]);
  });

  it('gives once under the same id', async () => {
    const world = await anOpenWorld();
    const first = await deposit(world, aRequest());
    expect(await deposit(world, aRequest())).toStrictEqual(first);
    expect(await world.account()).toMatchObject({ limit: 150_000_000n, entryCount: 2 });
  });

  it('is a conflict under the same id with another amount', async () => {
    const world = await anOpenWorld();
    await deposit(world, aRequest());
    await expect(deposit(world, aRequest({ amount: 1n }))).rejects.toMatchObject({
      code: 'deposit_conflict',
      message: 'deposit_id grant-7 was used for another amount: make a new one for each deposit',
      details: { deposit_id: 'grant-7' },
    });
  });

  it('keeps the ids of two accounts apart', async () => {
    const world = await anOpenWorld();
    await world.open({ account: 'chemistry', limit: 1n });
    await deposit(world, aRequest());
    expect(await deposit(world, aRequest({ account: 'chemistry', amount: 2n }))).toMatchObject({ limit: 3n });
  });

  it('gives once when the answer of the write was lost', async () => {
    const world = await anOpenWorld();
    world.loseAnswers('commit', 2);
    expect(await deposit(within(world, DAY_MS), aRequest())).toMatchObject({ limit: 150_000_000n });
  });

  it('answers a withdrawal as then, though no money is left to take', async () => {
    const world = await anOpenWorld();
    await deposit(world, aRequest({ amount: -100_000_000n }));
    expect(await deposit(world, aRequest({ amount: -100_000_000n }))).toMatchObject({ limit: 0n });
  });

  it('takes no more than is available', async () => {
    const world = await anOpenWorld();
    await aPlacedHold(world);
    await expect(deposit(world, aRequest({ amount: -96_328_001n }))).rejects.toMatchObject({
      code: 'below_committed',
      message: 'account physics has $96.328 available; $3.672 is held or used, so its limit cannot go down by $96.328001',
    });
    expect(await world.account()).toMatchObject({ limit: 100_000_000n });
  });

  it('gives up to the greatest limit, and not beyond', async () => {
    const world = await anOpenWorld({ limit: 999_999_999_999_998n });
    await expect(deposit(world, aRequest({ amount: 2n }))).rejects.toMatchObject({
      code: 'validation_failed',
      message: 'amount: the limit would pass $999,999,999.999999',
    });
    expect(await deposit(world, aRequest({ amount: 1n }))).toMatchObject({ limit: 999_999_999_999_999n });
  });

  it.each(['suspended', 'closed'])('is taken by an account that is %s', async (status) => {
    expect(await deposit(await anOpenWorld({ status }), aRequest())).toMatchObject({ limit: 150_000_000n });
  });

  it('is not dated before its account', async () => {
    const world = await anOpenWorld({ createdAt: NOON + 5 });
    expect(await deposit(world, aRequest())).toMatchObject({ updatedAt: NOON + 5 });
  });

  it('is refused for an account that does not exist, or not any more', async () => {
    await expect(deposit(await aWorld(), aRequest())).rejects.toMatchObject({ code: 'account_not_found' });
    const world = await anOpenWorld();
    const account = await world.account();
    world.beforeNext('commit', () => world.table.removeAccount(account, undefined));
    await expect(deposit(world, aRequest())).rejects.toMatchObject({ code: 'account_not_found' });
  });

  it.each([
    ['no account is to blame', {}],
    ['the account has the money by now', { accounts: [{ account: 'physics', stored: anAccount() }] }],
  ])('tries again when %s', async (_, refusal) => {
    const world = await anOpenWorld();
    world.refuseNext(refusal);
    expect(await deposit(world, aRequest({ amount: -1n }))).toMatchObject({ limit: 99_999_999n });
  });
});
