import { describe, expect, it } from 'vitest';
import { type Adjustment, type AdjustRequest, adjustHold } from '#app/adjust-hold';
import { bindHold } from '#app/bind-hold';
import { forceHold } from '#app/force-hold';
import { placeHold } from '#app/place-hold';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import { updateAccount } from '#app/update-account';
import { parseArraySpec } from '#domain/array-spec';
import type { Job } from '#domain/job';
import { aJob, aModel, anAccount, DAY_MS, HOUR_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, type TestWorld, theHold, within } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const adjust = (world: TestWorld, adjustment: Adjustment, mode: AdjustRequest['mode'] = 'absolute') =>
  adjustHold(world, { holdId: HOLD_ID, adjustment, mode });

/** physics has $100 and chemistry $20; one node of aws for an hour ($3.672) is held. */
const aHeldWorld = async (job: Partial<Job> = {}) => {
  const world = await aWorld([
    aModel(),
    aModel({ partition: 'small', instanceTypes: ['c5.9xlarge'] }),
    aModel({ partition: 'shared', allocation: 'shared' }),
    aModel({ partition: 'gpus', allocation: 'shared', instanceTypes: ['p3.2xlarge'] }),
  ]);
  await world.open({ limit: 100_000_000n });
  await world.open({ account: 'chemistry', limit: 20_000_000n });
  await aPlacedHold(world, job, HOLD_ID);
  return world;
};

describe('adjustHold within its account', () => {
  it('holds more for a job that became larger', async () => {
    const world = await aHeldWorld();
    expect(await adjust(world, { nodes: 4 })).toMatchObject({
      decision: 'admitted',
      message: 'account physics: $14.688 held, $85.312 left',
      estimate: { amount: 12_240_000n, nodes: 4 },
      holdAmount: 14_688_000n,
      account: { available: 85_312_000n, held: 14_688_000n, unconfirmed: 14_688_000n },
      hold: { amount: 14_688_000n },
    });
    expect(columns(await world.account())).toStrictEqual({ available: 85_312_000n, held: 14_688_000n, used: 0n, limit: 100_000_000n });
    expect(await world.account()).toMatchObject({ unconfirmed: 14_688_000n });
  });

  it('gives back what a job that became smaller needs no more', async () => {
    const world = await aHeldWorld();
    expect(await adjust(world, { wallTimeSeconds: 1800 })).toMatchObject({
      decision: 'admitted',
      holdAmount: 1_836_000n,
      account: { available: 98_164_000n, held: 1_836_000n, unconfirmed: 1_836_000n },
    });
    expect(columns(await world.account())).toStrictEqual({ available: 98_164_000n, held: 1_836_000n, used: 0n, limit: 100_000_000n });
  });

  it('writes the difference into the ledger', async () => {
    const world = await aHeldWorld();
    await adjust(world, { wallTimeSeconds: 1800 });
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + 1 }, { limit: 10 });
    expect(items.at(-1)).toMatchObject({
      type: 'adjust',
      amount: -1_836_000n,
      movement: { available: 1_836_000n, held: -1_836_000n, used: 0n, limit: 0n },
      holdId: HOLD_ID,
    });
  });

  it('keeps what the job is from now on, and what it first held', async () => {
    const world = await aHeldWorld();
    const before = await theHold(world, HOLD_ID);
    await adjust(world, { nodes: 4, wallTimeSeconds: 7200 });
    expect(await theHold(world, HOLD_ID)).toStrictEqual({
      ...before,
      amount: 29_376_000n,
      priced: { estimate: 24_480_000n, estimateLeft: 24_480_000n, held: 29_376_000n },
      expiresAt: NOON + 26 * HOUR_MS,
      terms: { ...before.terms, nodes: 4, nodesE6: 4_000_000n, wallTimeSeconds: 7200 },
      version: 2,
    });
    expect(await world.table.readSpec(HOLD_ID)).toMatchObject({
      job: aJob({ nodes: 4, wallTimeSeconds: 7200 }),
      estimate: { amount: 24_480_000n },
    });
  });

  it('never expires earlier', async () => {
    const world = await aHeldWorld();
    await adjust(world, { wallTimeSeconds: 1800 });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ expiresAt: NOON + 25 * HOUR_MS });
  });

  it.each<[string, Partial<Job>, Adjustment, bigint]>([
    ['CPUs', { partitions: ['shared'], cpus: 18 }, { cpus: 36 }, 1_836_000n],
    ['memory', { partitions: ['shared'], memoryMib: 36_864 }, { memoryMib: 73_728 }, 1_836_000n],
    ['memory per CPU', { partitions: ['shared'], cpus: 18 }, { memoryPerCpuMib: 4096 }, 1_836_000n],
    ['GPUs', { partitions: ['gpus'], cpus: 2 }, { gpus: 1 }, 3_672_000n],
  ])('prices other %s', async (_, job, adjustment, amount) => {
    expect(await adjust(await aHeldWorld(job), adjustment)).toMatchObject({ decision: 'admitted', holdAmount: amount });
  });

  it.each<[string, Partial<Job>, Adjustment, Partial<Job>]>([
    ['fewer nodes than sbatch said at least, with a plain --nodes=8', { nodes: 8, minNodes: 8 }, { nodes: 4 }, { nodes: 4, minNodes: 4 }],
    ['fewer nodes within the range', { nodes: 8, minNodes: 2 }, { nodes: 4 }, { nodes: 4, minNodes: 2 }],
  ])('follows a job to %s', async (_, job, adjustment, after) => {
    const world = await aHeldWorld(job);
    expect(await adjust(world, adjustment)).toMatchObject({ decision: 'admitted' });
    expect((await world.table.readSpec(HOLD_ID))?.job).toMatchObject(after);
  });

  it('keeps the least of a job that named no most', async () => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000n });
    const { nodes: _, ...job } = aJob({ minNodes: 2 });
    await placeHold(world, { job, holdId: HOLD_ID });
    expect(await adjust(world, { wallTimeSeconds: 1800 })).toMatchObject({ decision: 'admitted', holdAmount: 3_672_000n });
    expect((await world.table.readSpec(HOLD_ID))?.job).toStrictEqual({ ...job, wallTimeSeconds: 1800 });
  });

  it.each<[string, Adjustment, AdjustRequest['mode']]>([
    ['nothing', {}, 'absolute'],
    ['what it is', { nodes: 1, wallTimeSeconds: 3600, account: 'physics', partitions: ['aws'], tasks: 1 }, 'absolute'],
    ['what it is, to be raised', { nodes: 1, wallTimeSeconds: 3600 }, 'raise-only'],
    ['less, to be raised', { wallTimeSeconds: 60, tasks: 0 }, 'raise-only'],
  ])('writes nothing for %s', async (_, adjustment, mode) => {
    const world = await aHeldWorld();
    expect(await adjust(world, adjustment, mode)).toMatchObject({
      decision: 'admitted',
      holdAmount: 3_672_000n,
      account: { available: 96_328_000n },
      hold: { version: 1 },
    });
    expect(world.calls).not.toContain('commit');
  });

  it('keeps the prices that were locked, whatever they are today', async () => {
    const world = await aHeldWorld();
    await world.table.writePartition(aModel({ instanceTypes: ['c5.9xlarge'] }));
    expect(await adjust(world, { nodes: 2 })).toMatchObject({ holdAmount: 7_344_000n });
  });

  it('keeps a hold of the same amount without an entry', async () => {
    const world = await aHeldWorld({ cpus: 1 });
    expect(await adjust(world, { cpus: 2 })).toMatchObject({ decision: 'admitted', holdAmount: 3_672_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ amount: 3_672_000n, version: 2 });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold']);
  });

  it('takes up to the last micro-dollar', async () => {
    const world = await aWorld();
    await world.open({ limit: 7_344_000n });
    await aPlacedHold(world, {}, HOLD_ID);
    expect(await adjust(world, { nodes: 2 })).toMatchObject({ decision: 'admitted', account: { available: 0n } });
  });
});

describe('adjustHold of a forced hold', () => {
  const aForcedWorld = async () => {
    const world = await aHeldWorld();
    const job = aJob();
    await forceHold(world, { holdId: HOLD_ID, job, reason: 'Slurm allowed it' });
    return world;
  };

  it('follows what Slurm has allowed, below zero too', async () => {
    const world = await aForcedWorld();
    expect(await adjust(world, { nodes: 40 })).toMatchObject({ decision: 'admitted', account: { available: -46_880_000n } });
    expect(columns(await world.account())).toStrictEqual({ available: -46_880_000n, held: 146_880_000n, used: 0n, limit: 100_000_000n });
  });

  it('follows into an account that is closed to others', async () => {
    const world = await aForcedWorld();
    await updateAccount(world, { account: 'chemistry', set: { status: 'suspended' } });
    expect(await adjust(world, { account: 'chemistry', nodes: 10 })).toMatchObject({ decision: 'admitted' });
    expect(await world.account('chemistry')).toMatchObject({ available: -16_720_000n, held: 36_720_000n });
  });

  it('is refused to whoever only asks', async () => {
    const world = await aForcedWorld();
    expect(await adjust(world, { nodes: 40 }, 'raise-only')).toMatchObject({
      decision: 'refused',
      refusal: { code: 'insufficient_budget' },
    });
  });

  it('is refused past the greatest amount', async () => {
    const world = await aForcedWorld();
    expect(await adjust(world, { nodes: 16_000_000, wallTimeSeconds: 3_000_000_000 })).toMatchObject({
      refusal: { code: 'limit_exceeded' },
    });
  });
});

describe('adjustHold, raising only', () => {
  it('ignores what is lower, and raises what is higher', async () => {
    const world = await aHeldWorld({ nodes: 2 });
    expect(await adjust(world, { nodes: 1, wallTimeSeconds: 7200 }, 'raise-only')).toMatchObject({
      holdAmount: 14_688_000n,
      estimate: { nodes: 2, wallTimeSeconds: 7200 },
    });
  });

  it('never holds less than it does', async () => {
    const world = await aHeldWorld();
    expect(await adjust(world, { partitions: ['small'] }, 'raise-only')).toMatchObject({ decision: 'admitted', holdAmount: 3_672_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ partition: 'small', amount: 3_672_000n });
  });

  it('takes what was priced for what the user did not say', async () => {
    const world = await aWorld([aModel({ defaultWallTimeSeconds: 3600 })]);
    await world.open({ limit: 100_000_000n });
    const { wallTimeSeconds: _, nodes: __, ...shapeless } = aJob({ cpus: 100 });
    await placeHold(world, { job: shapeless, holdId: HOLD_ID });
    expect(await adjust(world, { wallTimeSeconds: 1800, nodes: 1 }, 'raise-only')).toMatchObject({ holdAmount: 7_344_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ version: 1 });
    expect(await adjust(world, { wallTimeSeconds: 7200 }, 'raise-only')).toMatchObject({ holdAmount: 14_688_000n });
  });

  it('believes a first word about a size', async () => {
    const world = await aHeldWorld({ partitions: ['shared'], nodes: 1 });
    expect(await adjust(world, { memoryMib: 73_728 }, 'raise-only')).toMatchObject({ holdAmount: 1_836_000n });
  });

  it('holds the whole in another account, where nothing was held before', async () => {
    const world = await aHeldWorld({ nodes: 2 });
    await adjust(world, { nodes: 3 });
    expect(await adjust(world, { account: 'chemistry', nodes: 1 }, 'raise-only')).toMatchObject({ holdAmount: 11_016_000n });
    expect(await world.account('chemistry')).toMatchObject({ available: 8_984_000n, held: 11_016_000n });
  });
});

describe('adjustHold to another partition', () => {
  it('prices it as of today', async () => {
    const world = await aHeldWorld();
    expect(await adjust(world, { partitions: ['small'] })).toMatchObject({ holdAmount: 1_836_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ partition: 'small', terms: { partition: 'small', nodeType: 'c5.9xlarge' } });
  });

  it('keeps the locked price of a partition that stays', async () => {
    const world = await aHeldWorld();
    await world.table.writePartition(aModel({ discountFactorE6: 2_000_000n }));
    expect(await adjust(world, { partitions: ['aws', 'small'] })).toMatchObject({ holdAmount: 3_672_000n });
    const hold = await theHold(world, HOLD_ID);
    expect(hold.partition).toBe('aws,small');
    expect(hold.terms.rates.map(({ partition }) => partition)).toStrictEqual(['aws', 'small']);
  });

  it('keeps the wall time that the job was given when it named none', async () => {
    const world = await aWorld([aModel({ defaultWallTimeSeconds: 3600 }), aModel({ partition: 'long', defaultWallTimeSeconds: 36_000 })]);
    await world.open({ limit: 100_000_000n });
    const { wallTimeSeconds: _, ...timeless } = aJob();
    await placeHold(world, { job: timeless, holdId: HOLD_ID });
    expect(await adjust(world, { partitions: ['long'] })).toMatchObject({ holdAmount: 3_672_000n, estimate: { wallTimeSeconds: 3600 } });
  });

  it('is refused for one that is not known', async () => {
    const world = await aHeldWorld();
    await expect(adjust(world, { partitions: ['cpu'] })).rejects.toMatchObject({ code: 'partition_not_found' });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ version: 1 });
  });
});

describe('adjustHold to another account', () => {
  it('moves the whole hold in one step', async () => {
    const world = await aHeldWorld();
    expect(await adjust(world, { account: 'chemistry' })).toMatchObject({
      decision: 'admitted',
      message: 'account chemistry: $3.672 held, $16.328 left',
      account: { account: 'chemistry', available: 16_328_000n, held: 3_672_000n, unconfirmed: 3_672_000n },
    });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ account: 'chemistry', amount: 3_672_000n, version: 2 });
    expect(columns(await world.account())).toStrictEqual({ available: 100_000_000n, held: 0n, used: 0n, limit: 100_000_000n });
    expect(columns(await world.account('chemistry'))).toStrictEqual({
      available: 16_328_000n,
      held: 3_672_000n,
      used: 0n,
      limit: 20_000_000n,
    });
    expect(await world.account()).toMatchObject({ unconfirmed: 0n });
    expect(await world.account('chemistry')).toMatchObject({ unconfirmed: 3_672_000n });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'adjust']);
    expect(await world.entryTypes('chemistry')).toStrictEqual(['deposit', 'adjust']);
  });

  it('moves it at its new size', async () => {
    const world = await aHeldWorld();
    expect(await adjust(world, { account: 'chemistry', nodes: 2 })).toMatchObject({ holdAmount: 7_344_000n });
    expect(await world.account('chemistry')).toMatchObject({ available: 12_656_000n, held: 7_344_000n });
    expect(await world.account()).toMatchObject({ available: 100_000_000n, held: 0n });
  });

  it('confirms nothing in the other account for a hold that is bound', async () => {
    const world = await aHeldWorld();
    await bindHold(world, { holdId: HOLD_ID, cluster: 'hpc', jobId: '4711', submittedAt: NOON });
    expect(await adjust(world, { account: 'chemistry' })).toMatchObject({ account: { unconfirmed: 0n } });
    expect(await world.account('chemistry')).toMatchObject({ unconfirmed: 0n });
    expect(await world.account()).toMatchObject({ unconfirmed: 0n });
  });

  it('is refused where that one cannot pay, and changes nothing', async () => {
    const world = await aHeldWorld();
    expect((await adjust(world, { account: 'chemistry', nodes: 6 })).refusal).toStrictEqual({
      code: 'insufficient_budget',
      shortfall: 2_032_000n,
      offers: { wallTimeSeconds: 3240, nodes: 5 },
    });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ account: 'physics', version: 1 });
    expect(await world.entryTypes('chemistry')).toStrictEqual(['deposit']);
  });

  it('is refused for one without a budget', async () => {
    await expect(adjust(await aHeldWorld(), { account: 'nobody' })).rejects.toMatchObject({ code: 'account_not_found' });
  });

  it('is refused for one that is removed meanwhile', async () => {
    const world = await aHeldWorld();
    const chemistry = await world.account('chemistry');
    world.beforeNext('commit', () => world.table.removeAccount(chemistry, undefined));
    await expect(adjust(world, { account: 'chemistry' })).rejects.toMatchObject({ code: 'account_not_found' });
  });
});

describe('adjustHold of an array', () => {
  const anArray = { array: parseArraySpec('0-4') };

  it('holds for as many tasks as there are from now on', async () => {
    const world = await aHeldWorld(anArray);
    expect(await adjust(world, { tasks: 3 })).toMatchObject({ holdAmount: 11_016_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ tasks: 3, amount: 11_016_000n });
  });

  it('takes more tasks, but no fewer, when it may only raise', async () => {
    const world = await aHeldWorld(anArray);
    expect(await adjust(world, { tasks: 4 }, 'raise-only')).toMatchObject({ holdAmount: 18_360_000n });
    expect(await adjust(world, { tasks: 6 }, 'raise-only')).toMatchObject({ holdAmount: 22_032_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ tasks: 6 });
  });

  it('holds for the tasks that have not ended', async () => {
    const world = await aHeldWorld(anArray);
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ runId: 'hpc-1', actualCost: 0n, tasks: 2 }] });
    expect(await adjust(world, { wallTimeSeconds: 7200 })).toMatchObject({ holdAmount: 22_032_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ tasks: 5, tasksEnded: 2 });
  });

  it('offers what fits the tasks that have not ended', async () => {
    const world = await aHeldWorld(anArray);
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ runId: 'hpc-1', actualCost: 80_000_000n, tasks: 4 }] });
    // $20 are left, of which $3.672 are held for the last task: $3.672 an hour, so 5 hours and 26 minutes.
    expect((await adjust(world, { wallTimeSeconds: 36_000 })).refusal?.offers).toStrictEqual({ wallTimeSeconds: 19_560 });
  });

  it.each([1, 2])('is refused for %d tasks when two have ended', async (tasks) => {
    const world = await aHeldWorld(anArray);
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ runId: 'hpc-1', actualCost: 0n, tasks: 2 }] });
    await expect(adjust(world, { tasks })).rejects.toMatchObject({
      code: 'validation_failed',
      message: 'tasks: 2 tasks have ended already: settle or release the hold instead',
    });
  });
});

describe('adjustHold refuses', () => {
  it('a raise that cannot be paid, says what would fit, and changes nothing', async () => {
    const world = await aHeldWorld();
    expect(await adjust(world, { nodes: 40 })).toMatchObject({
      decision: 'refused',
      message:
        'account physics has $96.328 available; this job needs $146.88 held (estimate $122.40). It fits with --time=00:40:00 or --nodes=27.' +
        ' $3.672 held for jobs not yet seen may return.',
      holdAmount: 146_880_000n,
      hold: null,
      refusal: { code: 'insufficient_budget', shortfall: 46_880_000n, offers: { wallTimeSeconds: 2400, nodes: 27 } },
    });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ amount: 3_672_000n, version: 1 });
    expect(await world.account()).toMatchObject({ available: 96_328_000n });
  });

  it('a raise on a suspended account, but lets the job become smaller there', async () => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000n });
    await aPlacedHold(world, {}, HOLD_ID);
    const { version } = await world.account();
    await world.table.commit({
      accounts: [
        {
          account: 'physics',
          movement: { available: 0n, held: 0n, used: 0n, limit: 0n },
          unconfirmed: 0n,
          entries: 0,
          require: { kind: 'fact' },
          profile: { ifVersion: version, set: { status: 'suspended' } },
          at: NOON,
        },
      ],
      entries: [],
    });
    expect((await adjust(world, { nodes: 2 })).refusal).toStrictEqual({ code: 'account_inactive', offers: {} });
    expect(await adjust(world, { cpus: 2 })).toMatchObject({ decision: 'admitted', holdAmount: 3_672_000n });
    expect(await adjust(world, { wallTimeSeconds: 1800 })).toMatchObject({ decision: 'admitted', holdAmount: 1_836_000n });
  });

  it('as the store says when somebody else was faster', async () => {
    const world = await aHeldWorld();
    world.beforeNext('commit', () => placeHold({ ...world, store: world.table }, { job: aJob({ nodes: 20 }), holdId: undefined }));
    expect((await adjust(world, { nodes: 10 })).refusal).toStrictEqual({
      code: 'insufficient_budget',
      shortfall: 10_160_000n,
      offers: { wallTimeSeconds: 2580, nodes: 7 },
    });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ version: 1 });
  });

  it('for lack of money when the store refuses an account that looks willing', async () => {
    const world = await aHeldWorld();
    world.refuseNext({ accounts: [{ account: 'physics', stored: anAccount() }] });
    expect((await adjust(world, { nodes: 2 })).refusal?.code).toBe('insufficient_budget');
  });

  it('a hold that does not exist', async () => {
    await expect(adjust(await aWorld(), { nodes: 2 })).rejects.toMatchObject({
      code: 'hold_not_found',
      message: `there is no hold ${HOLD_ID}`,
      details: { hold_id: HOLD_ID },
    });
  });

  it('a hold that is closed', async () => {
    const world = await aHeldWorld();
    await releaseHold(world, { holdId: HOLD_ID });
    await expect(adjust(world, { nodes: 2 })).rejects.toMatchObject({ code: 'hold_closed' });
  });

  it('a job that does not fit any more', async () => {
    await expect(adjust(await aHeldWorld(), { gpus: 1 })).rejects.toMatchObject({ code: 'does_not_fit' });
  });
});

describe('adjustHold tries again', () => {
  it('when the hold changed meanwhile', async () => {
    const world = await aHeldWorld();
    world.beforeNext('commit', () =>
      adjustHold({ ...world, store: world.table }, { holdId: HOLD_ID, adjustment: { nodes: 2 }, mode: 'absolute' }),
    );
    expect(await adjust(world, { wallTimeSeconds: 7200 })).toMatchObject({ holdAmount: 14_688_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ amount: 14_688_000n, version: 3 });
  });

  it('when an entry could not be written', async () => {
    const world = await aHeldWorld();
    world.refuseNext({});
    expect(await adjust(world, { nodes: 2 })).toMatchObject({ decision: 'admitted', holdAmount: 7_344_000n });
  });

  it('and raises once, when the answer of the write was lost', async () => {
    const world = await aHeldWorld();
    world.loseAnswers('commit', 1);
    const request: AdjustRequest = { holdId: HOLD_ID, adjustment: { nodes: 2 }, mode: 'absolute' };
    expect(await adjustHold(within(world, DAY_MS), request)).toMatchObject({ decision: 'admitted', holdAmount: 7_344_000n });
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'adjust']);
  });
});
