import { describe, expect, it } from 'vitest';
import { type ForceRequest, forceHold } from '#app/force-hold';
import { releaseHold } from '#app/release-hold';
import { aJob, aModel, HOUR_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, theHold } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const OTHER_ID = '6f1c0f5e-0000-4000-8000-000000000002';
const aRequest = (given: Partial<ForceRequest> = {}): ForceRequest => ({ holdId: HOLD_ID, job: aJob(), reason: 'adopted', ...given });
const theJob = { jobId: '4711', submittedAt: NOON - HOUR_MS };

const aFundedWorld = async (given: object = {}) => {
  const world = await aWorld();
  await world.open({ limit: 1_000_000n, ...given });
  return world;
};

describe('forceHold for a job without a hold', () => {
  it.each([
    ['has too little money', {}],
    ['is suspended', { status: 'suspended' }],
    ['is closed', { status: 'closed' }],
    ['is outside its dates', { endDate: '2025-12-31' }],
  ])('overdraws an account that %s', async (_, given) => {
    const world = await aFundedWorld(given);
    await forceHold(world, aRequest());
    expect(columns(await world.account())).toStrictEqual({
      available: -2_672_000n,
      held: 3_672_000n,
      used: 0n,
      limit: 1_000_000n,
    });
  });

  it('keeps a forced hold that no job is bound to, with its reason in the ledger', async () => {
    const world = await aFundedWorld();
    const hold = await forceHold(world, aRequest());
    expect(hold).toMatchObject({ holdId: HOLD_ID, forced: true, jobId: null, state: 'open', amount: 3_672_000n, createdAt: NOON });
    expect(await theHold(world, HOLD_ID)).toStrictEqual(hold);
    expect(await world.account()).toMatchObject({ unconfirmed: 3_672_000n });
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + 1 }, { limit: 10 });
    expect(items[1]).toMatchObject({ type: 'forced_hold', amount: 3_672_000n, holdId: HOLD_ID, note: 'adopted', user: 'curie' });
    expect(await world.table.readSpec(HOLD_ID)).toMatchObject({ job: aJob(), estimate: { amount: 3_060_000n } });
  });

  it('is bound to its job, and found by it', async () => {
    const world = await aFundedWorld();
    const hold = await forceHold(world, aRequest(theJob));
    expect(hold).toMatchObject(theJob);
    expect(await world.account()).toMatchObject({ unconfirmed: 0n });
    expect(await world.table.readJobLink({ cluster: 'hpc', jobId: '4711' })).toStrictEqual({
      cluster: 'hpc',
      ...theJob,
      holdId: HOLD_ID,
    });
  });

  it('takes its own birth for a submission time that is not known', async () => {
    const world = await aFundedWorld();
    expect(await forceHold(world, aRequest({ jobId: '4711' }))).toMatchObject({ jobId: '4711', submittedAt: NOON });
  });

  it('is not dated before its account', async () => {
    const world = await aFundedWorld({ createdAt: NOON + 5 });
    expect(await forceHold(world, aRequest())).toMatchObject({ createdAt: NOON + 5 });
  });

  it('may be the next one of a job whose hold is closed', async () => {
    const world = await aFundedWorld();
    await forceHold(world, aRequest(theJob));
    await releaseHold(world, { holdId: HOLD_ID });
    await forceHold(world, aRequest({ ...theJob, holdId: OTHER_ID }));
    expect(await world.table.readJobLink({ cluster: 'hpc', jobId: '4711' })).toMatchObject({ holdId: OTHER_ID });
  });

  it('is refused while the job has another open hold', async () => {
    const world = await aFundedWorld();
    await forceHold(world, aRequest(theJob));
    await expect(forceHold(world, aRequest({ ...theJob, holdId: OTHER_ID }))).rejects.toMatchObject({
      code: 'hold_conflict',
      message: `job 4711 of cluster hpc has the open hold ${HOLD_ID}`,
      details: { hold_id: HOLD_ID },
    });
  });

  it('holds once when two agents force it at once', async () => {
    const world = await aFundedWorld();
    world.beforeNext('commit', () => forceHold({ ...world, store: world.table }, aRequest()));
    expect(await forceHold(world, aRequest())).toMatchObject({ forced: true, version: 1 });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'forced_hold']);
  });

  it.each([
    ['account_not_found', aJob({ account: 'nobody' })],
    ['partition_not_found', aJob({ partitions: ['cpu'] })],
    ['does_not_fit', aJob({ gpus: 1 })],
  ])('is refused with %s', async (code, job) => {
    await expect(forceHold(await aFundedWorld(), aRequest({ job }))).rejects.toMatchObject({ code });
  });

  it('is refused for more than can be held at all', async () => {
    const job = aJob({ nodes: 400, wallTimeSeconds: 3_155_760_000 });
    await expect(forceHold(await aFundedWorld(), aRequest({ job }))).rejects.toMatchObject({
      code: 'does_not_fit',
      message: 'the job costs more than can be held at all',
      details: { partition: 'aws' },
    });
  });

  it('holds the greatest amount that there is', async () => {
    const world = await aWorld([aModel({ instanceTypes: [], unpriced: 'flat', flatRatePerNodeHour: 999_999_999_999_999n })], {
      holdFactor: { numerator: 1n, denominator: 1n },
    });
    await world.open({ limit: 1n });
    expect(await forceHold(world, aRequest())).toMatchObject({ amount: 999_999_999_999_999n });
  });
});

describe('forceHold under the id of an open hold', () => {
  const aHeldWorld = async () => {
    const world = await aFundedWorld({ limit: 100_000_000n });
    await aPlacedHold(world, {}, HOLD_ID);
    return world;
  };

  it('marks it forced and binds it, whatever its request was, and moves no money', async () => {
    const world = await aHeldWorld();
    const hold = await forceHold(world, aRequest({ ...theJob, job: aJob({ nodes: 9 }) }));
    expect(hold).toMatchObject({ ...theJob, forced: true, amount: 3_672_000n, version: 2 });
    expect(await theHold(world, HOLD_ID)).toStrictEqual(hold);
    expect(await world.account()).toMatchObject({ available: 96_328_000n, unconfirmed: 0n, entryCount: 2 });
    expect(await world.table.readJobLink({ cluster: 'hpc', jobId: '4711' })).toMatchObject({ holdId: HOLD_ID });
  });

  it('marks it without a job, too', async () => {
    const world = await aHeldWorld();
    expect(await forceHold(world, aRequest())).toMatchObject({ forced: true, jobId: null });
    expect(await world.account()).toMatchObject({ unconfirmed: 3_672_000n });
  });

  it('keeps the submission time that it has', async () => {
    const world = await aHeldWorld();
    await forceHold(world, aRequest(theJob));
    expect(await forceHold(world, aRequest({ jobId: '4711' }))).toMatchObject(theJob);
  });

  it('changes nothing the second time', async () => {
    const world = await aHeldWorld();
    const first = await forceHold(world, aRequest(theJob));
    world.calls.length = 0;
    expect(await forceHold(world, aRequest(theJob))).toStrictEqual(first);
    expect(world.calls).toStrictEqual(['readHold']);
  });

  it.each([
    ['is not bound yet', {}, theJob],
    ['was submitted later', theJob, { ...theJob, submittedAt: NOON }],
  ])('binds a forced hold that %s', async (_, first, second) => {
    const world = await aHeldWorld();
    await forceHold(world, aRequest(first));
    expect(await forceHold(world, aRequest(second))).toMatchObject({ ...second, version: 3 });
  });

  it('tries again when the hold changed meanwhile', async () => {
    const world = await aHeldWorld();
    world.beforeNext('commit', () => forceHold({ ...world, store: world.table }, aRequest()));
    expect(await forceHold(world, aRequest(theJob))).toMatchObject({ ...theJob, forced: true, version: 3 });
  });

  it('is refused for a hold of another cluster', async () => {
    const world = await aHeldWorld();
    await expect(forceHold(world, aRequest({ job: aJob({ cluster: 'other' }) }))).rejects.toMatchObject({ code: 'cluster_conflict' });
  });

  it('is refused for a hold that is closed', async () => {
    const world = await aHeldWorld();
    await releaseHold(world, { holdId: HOLD_ID });
    await expect(forceHold(world, aRequest())).rejects.toMatchObject({ code: 'hold_closed' });
  });
});
