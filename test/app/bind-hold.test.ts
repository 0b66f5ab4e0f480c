import { describe, expect, it } from 'vitest';
import { type BindRequest, bindHold } from '#app/bind-hold';
import { releaseHold } from '#app/release-hold';
import { parseArraySpec } from '#domain/array-spec';
import { type aJob, aModel, HOUR_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, type TestWorld, theHold } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const OTHER_ID = '6f1c0f5e-0000-4000-8000-000000000002';
const aRequest = (given: Partial<BindRequest> = {}): BindRequest => ({
  holdId: HOLD_ID,
  cluster: 'hpc',
  jobId: '4711',
  submittedAt: NOON,
  ...given,
});

/** Two nodes of c5.18xlarge or c5.9xlarge for an hour: $7.344 held. */
const aHeldWorld = async (job: Partial<ReturnType<typeof aJob>> = {}): Promise<TestWorld> => {
  const world = await aWorld([aModel({ instanceTypes: ['c5.18xlarge', 'c5.9xlarge'] })]);
  await world.open({ limit: 100_000_000n });
  await aPlacedHold(world, { nodes: 2, ...job }, HOLD_ID);
  return world;
};

describe('bindHold', () => {
  it('says which job a hold is for, and confirms its money', async () => {
    const world = await aHeldWorld();
    const hold = await bindHold(world, aRequest());
    expect(hold).toMatchObject({ jobId: '4711', submittedAt: NOON, amount: 7_344_000n, version: 2 });
    expect(await theHold(world, HOLD_ID)).toStrictEqual(hold);
    expect(await world.account()).toMatchObject({ available: 92_656_000n, held: 7_344_000n, unconfirmed: 0n, entryCount: 2 });
  });

  it('lets the job find its hold, by cluster, id and submission time', async () => {
    const world = await aHeldWorld();
    await bindHold(world, aRequest());
    expect(await world.table.readJobLink({ cluster: 'hpc', jobId: '4711', submittedAt: NOON })).toStrictEqual({
      cluster: 'hpc',
      jobId: '4711',
      submittedAt: NOON,
      holdId: HOLD_ID,
    });
    expect(await world.table.readJobLink({ cluster: 'other', jobId: '4711' })).toBeUndefined();
  });

  it('answers the same for the same job again', async () => {
    const world = await aHeldWorld();
    const hold = await bindHold(world, aRequest());
    world.calls.length = 0;
    expect(await bindHold(world, aRequest())).toStrictEqual(hold);
    expect(world.calls).toStrictEqual(['readHold']);
  });

  it('takes a later submission for a requeue of the same job', async () => {
    const world = await aHeldWorld();
    await bindHold(world, aRequest());
    expect(await bindHold(world, aRequest({ submittedAt: NOON + HOUR_MS }))).toMatchObject({ submittedAt: NOON + HOUR_MS, version: 3 });
    expect(await world.table.readJobLink({ cluster: 'hpc', jobId: '4711' })).toMatchObject({
      submittedAt: NOON + HOUR_MS,
      holdId: HOLD_ID,
    });
    expect(await world.account()).toMatchObject({ unconfirmed: 0n });
  });

  it('is refused for another job', async () => {
    const world = await aHeldWorld();
    await bindHold(world, aRequest());
    await expect(bindHold(world, aRequest({ jobId: '4712' }))).rejects.toMatchObject({ code: 'hold_conflict' });
  });

  it('is refused while the job has another open hold', async () => {
    const world = await aHeldWorld();
    await aPlacedHold(world, {}, OTHER_ID);
    await bindHold(world, aRequest());
    await expect(bindHold(world, aRequest({ holdId: OTHER_ID }))).rejects.toMatchObject({
      code: 'hold_conflict',
      message: `job 4711 of cluster hpc has the open hold ${HOLD_ID}`,
      details: { hold_id: HOLD_ID },
    });
  });

  it('gives a job whose hold is closed a new one', async () => {
    const world = await aHeldWorld();
    await aPlacedHold(world, {}, OTHER_ID);
    await bindHold(world, aRequest());
    await releaseHold(world, { holdId: HOLD_ID });
    await bindHold(world, aRequest({ holdId: OTHER_ID }));
    expect(await world.table.readJobLink({ cluster: 'hpc', jobId: '4711', submittedAt: NOON })).toMatchObject({ holdId: OTHER_ID });
  });

  it('tells a job from an earlier one of the same id', async () => {
    const world = await aHeldWorld();
    await aPlacedHold(world, {}, OTHER_ID);
    await bindHold(world, aRequest());
    await bindHold(world, aRequest({ holdId: OTHER_ID, submittedAt: NOON + 400 * 24 * HOUR_MS }));
    expect(await world.table.readJobLink({ cluster: 'hpc', jobId: '4711', submittedAt: NOON })).toMatchObject({ holdId: HOLD_ID });
    expect(await world.table.readJobLink({ cluster: 'hpc', jobId: '4711' })).toMatchObject({ holdId: OTHER_ID });
  });

  it('tries again when the hold changed meanwhile', async () => {
    const world = await aHeldWorld();
    world.beforeNext('commit', () => bindHold({ ...world, store: world.table }, aRequest()));
    expect(await bindHold(world, aRequest({ submittedAt: NOON + 1 }))).toMatchObject({ submittedAt: NOON + 1, version: 3 });
  });

  it.each([
    ['hold_not_found', { holdId: OTHER_ID }, `there is no hold ${OTHER_ID}`],
    ['cluster_conflict', { cluster: 'other' }, `hold ${HOLD_ID} belongs to cluster hpc, not to other`],
  ])('is refused with %s', async (code, given, message) => {
    await expect(bindHold(await aHeldWorld(), aRequest(given))).rejects.toMatchObject({ code, message });
  });

  it('is refused for a hold that is closed', async () => {
    const world = await aHeldWorld();
    await releaseHold(world, { holdId: HOLD_ID });
    await expect(bindHold(world, aRequest())).rejects.toMatchObject({ code: 'hold_closed' });
  });
});

describe('bindHold with the nodes that Slurm gave the job', () => {
  it('comes down to what they may cost', async () => {
    const world = await aHeldWorld();
    const instances = [
      { type: 'c5.18xlarge', count: 1 },
      { type: 'c5.9xlarge', count: 1 },
    ];
    expect(await bindHold(world, aRequest({ instances }))).toMatchObject({ jobId: '4711', amount: 5_508_000n, originalAmount: 7_344_000n });
    expect(columns(await world.account())).toStrictEqual({ available: 94_492_000n, held: 5_508_000n, used: 0n, limit: 100_000_000n });
    expect(await world.account()).toMatchObject({ unconfirmed: 0n });
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + 1 }, { limit: 10 });
    expect(items.at(-1)).toMatchObject({
      type: 'adjust',
      amount: -1_836_000n,
      movement: { available: 1_836_000n, held: -1_836_000n, used: 0n, limit: 0n },
      jobId: '4711',
      note: 'nodes allocated',
    });
  });

  it('comes down later, too, and then only once', async () => {
    const world = await aHeldWorld();
    const instances = [{ type: 'c5.9xlarge', count: 2 }];
    await bindHold(world, aRequest());
    expect(await bindHold(world, aRequest({ instances }))).toMatchObject({ amount: 3_672_000n, version: 3 });
    expect(await bindHold(world, aRequest({ instances }))).toMatchObject({ amount: 3_672_000n, version: 3 });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'adjust']);
  });

  it.each([
    ['cost as much', [{ type: 'c5.18xlarge', count: 2 }]],
    ['cost more', [{ type: 'c5.18xlarge', count: 3 }]],
    [
      'have no locked price',
      [
        { type: 'c5.9xlarge', count: 1 },
        { type: 'x9.huge', count: 1 },
      ],
    ],
  ])('stays as it is for nodes that %s', async (_, instances) => {
    const world = await aHeldWorld();
    expect(await bindHold(world, aRequest({ instances }))).toMatchObject({ jobId: '4711', amount: 7_344_000n });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold']);
  });

  it('stays as it is for an array: the nodes of one task say nothing about the others', async () => {
    const world = await aHeldWorld({ array: parseArraySpec('0-1') });
    expect(await bindHold(world, aRequest({ instances: [{ type: 'c5.9xlarge', count: 1 }] }))).toMatchObject({ amount: 14_688_000n });
  });
});
