import { describe, expect, it } from 'vitest';
import { withCachedPartitions } from '#adapters/cached-partitions';
import { placeHold } from '#app/place-hold';
import { releaseHold } from '#app/release-hold';
import { aJob, aModel, anAccount, DAY_MS, HOUR_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, theHold, within } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const OTHER_ID = '6f1c0f5e-0000-4000-8000-000000000002';

/** What one node for one hour takes: $3.06 and a fifth. */
const AMOUNT = 3_672_000n;

const aFundedWorld = async (limit = 100_000_000n) => {
  const world = await aWorld();
  await world.open({ limit });
  return world;
};

describe('placeHold', () => {
  it('holds the money', async () => {
    const world = await aFundedWorld();
    const verdict = await placeHold(world, { job: aJob(), holdId: HOLD_ID });
    expect(verdict).toMatchObject({
      decision: 'admitted',
      message: 'account physics: $3.672 held, $96.328 left',
      estimate: { amount: 3_060_000n, nodes: 1, wallTimeSeconds: 3600, source: 'pricing-api' },
      holdAmount: AMOUNT,
      account: { available: 96_328_000n, held: AMOUNT, unconfirmed: AMOUNT },
    });
    expect(verdict.refusal).toBeUndefined();
    expect(columns(await world.account())).toStrictEqual({ available: 96_328_000n, held: AMOUNT, used: 0n, limit: 100_000_000n });
    expect(await world.account()).toMatchObject({ unconfirmed: AMOUNT, entryCount: 2 });
  });

  it('keeps the hold, what it was asked for and what it was priced as', async () => {
    const world = await aFundedWorld();
    const job = aJob({ partitions: ['aws', 'local'] });
    const { hold } = await placeHold(world, { job, holdId: HOLD_ID });
    expect(await theHold(world, HOLD_ID)).toStrictEqual(hold);
    expect(hold).toMatchObject({
      holdId: HOLD_ID,
      account: 'physics',
      cluster: 'hpc',
      user: 'curie',
      partition: 'aws,local',
      state: 'open',
      amount: AMOUNT,
      originalAmount: AMOUNT,
      used: 0n,
      tasks: 1,
      tasksEnded: 0,
      jobId: null,
      submittedAt: null,
      forced: false,
      createdAt: NOON,
      expiresAt: NOON + 25 * HOUR_MS,
      closedAt: null,
      terms: { partition: 'aws', nodeType: 'c5.18xlarge', nodes: 1, wallTimeSeconds: 3600 },
      version: 1,
    });
    expect(await world.table.readSpec(HOLD_ID)).toStrictEqual({
      job,
      estimate: {
        amount: 3_060_000n,
        low: 3_060_000n,
        high: 3_060_000n,
        source: 'pricing-api',
        priceDate: '2026-03-01',
        instanceTypes: ['c5.18xlarge'],
        lineItems: [{ name: 'instances', nodeHoursE6: 1_000_000n, unitPriceE10: 30_600_000_000n, amount: 3_060_000n }],
        evidence: { confidencePercent: 100, tried: [] },
      },
    });
  });

  it('writes it into the ledger', async () => {
    const world = await aFundedWorld();
    await placeHold(world, { job: aJob(), holdId: HOLD_ID });
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + 1 }, { limit: 10 });
    expect(items).toHaveLength(2);
    expect(items[1]).toMatchObject({
      at: NOON,
      account: 'physics',
      type: 'hold',
      amount: AMOUNT,
      movement: { available: -AMOUNT, held: AMOUNT, used: 0n, limit: 0n },
      holdId: HOLD_ID,
      jobId: null,
      runId: null,
      user: 'curie',
      note: null,
    });
  });

  it('makes an id where none is given, and keeps no user where none is named', async () => {
    const world = await aFundedWorld();
    const { user: _, ...job } = aJob();
    const { hold } = await placeHold(world, { job, holdId: undefined });
    expect(hold).toMatchObject({ holdId: expect.stringMatching(/^00000000-0000-4000-8000-\d{12}$/), user: null });
  });

  it('costs, warm, one read of the account and one write', async () => {
    const world = await aFundedWorld();
    const warm = { ...world, store: withCachedPartitions(world.store, world.clock) };
    await placeHold(warm, { job: aJob(), holdId: HOLD_ID });
    world.calls.length = 0;
    await placeHold(warm, { job: aJob(), holdId: OTHER_ID });
    expect(world.calls).toStrictEqual(['readAccount', 'commit']);
  });

  it('never dates a hold before its account, though another clock is ahead', async () => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000n, createdAt: NOON + 5 });
    const { hold } = await placeHold(world, { job: aJob(), holdId: HOLD_ID });
    expect(hold).toMatchObject({ createdAt: NOON + 5, expiresAt: NOON + 5 + 25 * HOUR_MS });
  });

  it('admits a job that takes all there is', async () => {
    const world = await aFundedWorld(AMOUNT);
    expect(await placeHold(world, { job: aJob(), holdId: HOLD_ID })).toMatchObject({ decision: 'admitted', account: { available: 0n } });
  });
});

describe('placeHold refuses', () => {
  it('for lack of money, and says what would fit', async () => {
    const world = await aFundedWorld(2_000_000n);
    expect(await placeHold(world, { job: aJob(), holdId: undefined })).toMatchObject({
      decision: 'refused',
      message: 'account physics has $2.00 available; this job needs $3.672 held (estimate $3.06). It fits with --time=00:32:00.',
      estimate: { amount: 3_060_000n },
      holdAmount: AMOUNT,
      hold: null,
      account: { available: 2_000_000n, held: 0n },
      refusal: { code: 'insufficient_budget', shortfall: 1_672_000n, offers: { wallTimeSeconds: 1920 } },
    });
  });

  it.each([
    ['account_inactive', 'suspended', { status: 'suspended' }],
    ['outside_dates', 'ended yesterday', { endDate: '2026-03-13' }],
  ] as const)('with %s when the account is %s, and offers nothing', async (code, _, given) => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000n, ...given });
    expect((await placeHold(world, { job: aJob(), holdId: undefined })).refusal).toStrictEqual({ code, offers: {} });
  });

  it('what passes the greatest amount, and offers what does not', async () => {
    const world = await aFundedWorld(999_999_999_000_000n);
    const job = aJob({ nodes: 400, wallTimeSeconds: 3_155_760_000 });
    expect((await placeHold(world, { job, holdId: undefined })).refusal).toStrictEqual({
      code: 'limit_exceeded',
      offers: { wallTimeSeconds: 2_450_980_380, nodes: 310 },
    });
  });

  it('what passes the greatest amount on an account that is suspended, for that', async () => {
    const world = await aWorld();
    await world.open({ limit: 999_999_999_000_000n, status: 'suspended' });
    const job = aJob({ nodes: 400, wallTimeSeconds: 3_155_760_000 });
    expect((await placeHold(world, { job, holdId: undefined })).refusal).toStrictEqual({ code: 'account_inactive', offers: {} });
  });

  it('without a write; it reads the hold only if the caller named one', async () => {
    const world = await aFundedWorld(1n);
    await placeHold(world, { job: aJob(), holdId: undefined });
    expect(world.calls).toStrictEqual(['readAccount', 'readPartition']);
    world.calls.length = 0;
    await placeHold(world, { job: aJob(), holdId: HOLD_ID });
    expect(world.calls).toStrictEqual(['readAccount', 'readPartition', 'readHold']);
    expect(await world.entryTypes()).toStrictEqual(['deposit']);
  });

  it.each([
    ['account_not_found', aJob({ account: 'nobody' })],
    ['partition_not_found', aJob({ partitions: ['cpu'] })],
    ['no_price', aJob({ partitions: ['mars'] })],
    ['does_not_fit', aJob({ gpus: 4 })],
  ])('with %s', async (code, job) => {
    const world = await aWorld([aModel(), aModel({ partition: 'mars', region: 'mars-1' })]);
    await world.open({ limit: 100_000_000n });
    await expect(placeHold(world, { job, holdId: HOLD_ID })).rejects.toMatchObject({ code });
    expect(world.calls).not.toContain('commit');
  });

  it('as the store says when somebody else was faster', async () => {
    const world = await aFundedWorld(5_000_000n);
    world.beforeNext('commit', () => placeHold({ ...world, store: world.table }, { job: aJob(), holdId: OTHER_ID }));
    expect(await placeHold(world, { job: aJob(), holdId: HOLD_ID })).toMatchObject({
      decision: 'refused',
      account: { available: 1_328_000n, held: AMOUNT },
      refusal: { code: 'insufficient_budget', shortfall: 2_344_000n, offers: { wallTimeSeconds: 1260 } },
    });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold']);
  });

  it('for lack of money when the store refuses an account that looks willing', async () => {
    const world = await aFundedWorld();
    world.refuseNext({ accounts: [{ account: 'physics', stored: anAccount() }] });
    expect((await placeHold(world, { job: aJob(), holdId: undefined })).refusal?.code).toBe('insufficient_budget');
  });

  it('an account that was removed meanwhile', async () => {
    const world = await aFundedWorld();
    const account = await world.account();
    world.beforeNext('commit', () => world.table.removeAccount(account, undefined));
    await expect(placeHold(world, { job: aJob(), holdId: HOLD_ID })).rejects.toMatchObject({ code: 'account_not_found' });
  });

  it('to say that the account is unknown when only an entry id was taken', async () => {
    const world = await aFundedWorld();
    world.refuseNext({ accounts: [] });
    await expect(placeHold(world, { job: aJob(), holdId: HOLD_ID })).rejects.toMatchObject({ code: 'account_contended' });
  });

  it('without touching what is no refusal', async () => {
    const world = await aFundedWorld();
    const bug = new Error('a bug');
    world.beforeNext('commit', () => {
      throw bug;
    });
    await expect(placeHold(world, { job: aJob(), holdId: HOLD_ID })).rejects.toBe(bug);
  });
});

describe('placeHold again under the same id', () => {
  it('answers as before, and holds nothing more', async () => {
    const world = await aFundedWorld();
    const hold = await aPlacedHold(world, {}, HOLD_ID);
    expect(await placeHold(world, { job: aJob(), holdId: HOLD_ID })).toMatchObject({
      decision: 'admitted',
      message: 'account physics: $3.672 held, $96.328 left',
      estimate: { amount: 3_060_000n, nodes: 1, wallTimeSeconds: 3600 },
      holdAmount: AMOUNT,
      account: { available: 96_328_000n },
      hold,
    });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold']);
  });

  it('is a conflict for another request', async () => {
    const world = await aFundedWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    await expect(placeHold(world, { job: aJob({ nodes: 2 }), holdId: HOLD_ID })).rejects.toMatchObject({
      code: 'hold_conflict',
      message: `hold_id ${HOLD_ID} was used for another request: make a new one for each job`,
      details: { hold_id: HOLD_ID },
    });
  });

  it('is refused once the hold is closed', async () => {
    const world = await aFundedWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    await releaseHold(world, { holdId: HOLD_ID });
    await expect(placeHold(world, { job: aJob(), holdId: HOLD_ID })).rejects.toMatchObject({ code: 'hold_closed' });
  });

  it('is a success when its own hold took the money', async () => {
    const world = await aFundedWorld(AMOUNT);
    await aPlacedHold(world, {}, HOLD_ID);
    expect(await placeHold(world, { job: aJob(), holdId: HOLD_ID })).toMatchObject({ decision: 'admitted', holdAmount: AMOUNT });
    expect(world.calls).toStrictEqual(['readAccount', 'readPartition', 'readHold', 'readAccount', 'readSpec']);
  });

  it.each([
    ['its partition is gone', (world: Awaited<ReturnType<typeof aWorld>>) => world.table.deletePartition('aws')],
    ['its types have no price any more', (world) => world.table.writePartition(aModel({ instanceTypes: ['x9.huge'] }))],
    ['it would not fit any more', (world) => world.table.writePartition(aModel({ instanceTypes: ['c5.9xlarge'] }))],
  ] as [string, (world: Awaited<ReturnType<typeof aWorld>>) => Promise<unknown>][])('is a success though %s', async (_, change) => {
    const world = await aFundedWorld();
    await aPlacedHold(world, { cpusPerTask: 40 }, HOLD_ID);
    await change(world);
    expect(await placeHold(world, { job: aJob({ cpusPerTask: 40 }), holdId: HOLD_ID })).toMatchObject({ decision: 'admitted' });
  });

  it('is a success though the partition has lost its default wall time', async () => {
    const world = await aWorld([aModel({ defaultWallTimeSeconds: 3600 })]);
    await world.open({ limit: 100_000_000n });
    const { wallTimeSeconds: _, ...timeless } = aJob();
    await placeHold(world, { job: timeless, holdId: HOLD_ID });
    await world.table.writePartition(aModel());
    expect(await placeHold(world, { job: timeless, holdId: HOLD_ID })).toMatchObject({
      decision: 'admitted',
      estimate: { wallTimeSeconds: 3600 },
    });
    await expect(placeHold(world, { job: timeless, holdId: OTHER_ID })).rejects.toMatchObject({ code: 'no_wall_time' });
  });

  it('is a success when both came at once', async () => {
    const world = await aFundedWorld(AMOUNT);
    world.beforeNext('commit', () => placeHold({ ...world, store: world.table }, { job: aJob(), holdId: HOLD_ID }));
    expect(await placeHold(world, { job: aJob(), holdId: HOLD_ID })).toMatchObject({ decision: 'admitted', account: { available: 0n } });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold']);
  });

  it('holds once when the answer of the write was lost', async () => {
    const world = await aFundedWorld(AMOUNT);
    world.loseAnswers('commit', 2);
    expect(await placeHold(within(world, DAY_MS), { job: aJob(), holdId: HOLD_ID })).toMatchObject({ decision: 'admitted' });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold']);
  });

  it('is a bug when the hold has no spec', async () => {
    const world = await aFundedWorld();
    const hold = await aPlacedHold(world, {}, HOLD_ID);
    const noSpec = { ...world, store: { ...world.store, readSpec: async () => undefined } };
    await expect(placeHold(noSpec, { job: aJob(), holdId: HOLD_ID })).rejects.toThrow(new Error(`hold ${hold.holdId} has no spec`));
  });
});
