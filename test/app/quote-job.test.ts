import { describe, expect, it } from 'vitest';
import { quoteJob } from '#app/quote-job';
import { aJob, aModel } from '#test/support/builders';
import { aWorld } from '#test/support/world';

describe('quoteJob', () => {
  it('says what a check would hold and leave, and writes nothing', async () => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000n });
    expect(await quoteJob(world, aJob())).toMatchObject({
      decision: 'admitted',
      message: 'account physics: $3.672 would be held, $96.328 would be left',
      holdAmount: 3_672_000n,
      hold: null,
      account: { available: 96_328_000n, held: 3_672_000n, unconfirmed: 3_672_000n },
    });
    expect(world.calls).toStrictEqual(['readAccount', 'readPartition']);
    expect(await world.account()).toMatchObject({ available: 100_000_000n, held: 0n });
  });

  it('says why not, and what would fit', async () => {
    const world = await aWorld();
    await world.open({ limit: 1_000_000n });
    expect((await quoteJob(world, aJob())).refusal).toStrictEqual({
      code: 'insufficient_budget',
      shortfall: 2_672_000n,
      offers: { wallTimeSeconds: 960 },
    });
  });

  it('knows no account without a budget', async () => {
    await expect(quoteJob(await aWorld(), aJob())).rejects.toMatchObject({
      code: 'account_not_found',
      message: "account physics has no cloud budget: its manager can create one with 'asbb account create'",
      details: { account: 'physics' },
    });
  });
});

describe('the price of a job', () => {
  const amountOf = async (models: ReturnType<typeof aModel>[], partitions: string[], given = {}) => {
    const world = await aWorld(models);
    await world.open({ limit: 100_000_000n });
    const { estimate } = await quoteJob(world, aJob({ partitions, ...given }));
    return { amount: estimate.amount, source: estimate.source };
  };
  const listed = { amount: 3_060_000n, source: 'pricing-api' };

  it('leaves out partitions that nobody guards', async () => {
    expect(await amountOf([aModel()], ['local', 'aws', 'debug'])).toStrictEqual(listed);
  });

  it('is that of the dearest partition', async () => {
    const models = [aModel({ partition: 'small', instanceTypes: ['c5.9xlarge'] }), aModel()];
    expect(await amountOf(models, ['small', 'aws'])).toStrictEqual(listed);
  });

  it('is that of the types that the constraint allows', async () => {
    const features = { 'c5.18xlarge': ['big'], 'c5.9xlarge': ['small'] };
    const models = [aModel({ instanceTypes: ['c5.18xlarge', 'c5.9xlarge'], features })];
    expect(await amountOf(models, ['aws'], { constraint: 'small' })).toStrictEqual({ amount: 1_530_000n, source: 'pricing-api' });
    expect(await amountOf(models, ['aws'], {})).toStrictEqual(listed);
  });

  it.each([
    ['no price of one of its types', { instanceTypes: ['c5.18xlarge', 'x9.huge'] }],
    ['no price in its region', { region: 'mars-1' }],
    ['no types at all', { instanceTypes: [] }],
  ])('is the flat rate for a partition with %s', async (_, given) => {
    const model = aModel({ unpriced: 'flat', flatRatePerNodeHour: 2_000_000n, ...given });
    expect(await amountOf([model], ['aws'])).toStrictEqual({ amount: 2_000_000n, source: 'flat-rate' });
  });

  it('is the list price where there is one, also with a flat rate', async () => {
    expect(await amountOf([aModel({ unpriced: 'flat', flatRatePerNodeHour: 2_000_000n })], ['aws'])).toStrictEqual(listed);
  });

  it.each([
    [
      'a type',
      { instanceTypes: ['c5.18xlarge', 'x9.huge', 'x9.tiny'], flatRatePerNodeHour: 2_000_000n },
      'no price is known for x9.huge, x9.tiny in us-east-1, so partition aws cannot be priced',
    ],
    ['any type', { instanceTypes: [] }, 'no price is known for any type in us-east-1, so partition aws cannot be priced'],
    [
      'a flat rate',
      { region: 'mars-1', unpriced: 'flat' as const },
      'no price is known for c5.18xlarge in mars-1, so partition aws cannot be priced',
    ],
  ])('is never $0 for want of %s', async (_, given, message) => {
    await expect(amountOf([aModel(given)], ['aws'])).rejects.toMatchObject({ code: 'no_price', message });
  });

  it('is refused where no partition is guarded', async () => {
    await expect(amountOf([aModel()], ['local', 'debug'])).rejects.toMatchObject({
      code: 'partition_not_found',
      message: "partition local,debug is not known here: an administrator adds it with 'asbb partition set'",
    });
  });
});
