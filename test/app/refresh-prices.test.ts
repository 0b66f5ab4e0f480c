import { describe, expect, it } from 'vitest';
import { partitionPrice } from '#app/partition-price';
import type { PriceReply, Prices, WantedPrice } from '#app/ports';
import { refreshPrices } from '#app/refresh-prices';
import { BudgetError } from '#domain/errors';
import { aModel, anOffer, NOON } from '#test/support/builders';
import { aWorld, noPrices, type TestWorld } from '#test/support/world';

const OFFER: PriceReply = { kind: 'offer', offer: anOffer() };

const asking = (world: TestWorld, replyOf: (wanted: WantedPrice, times: number) => PriceReply) => {
  const asked: string[] = [];
  const prices: Prices = {
    ...noPrices,
    refresh: async (wanted) => {
      const key = `${wanted.type} in ${wanted.region}`;
      asked.push(key);
      return replyOf(wanted, asked.filter((each) => each === key).length);
    },
  };
  return { asked, world: { ...world, prices } };
};

const always = () => true;

const MODELS = [
  aModel({ partition: 'a', instanceTypes: ['c5.18xlarge', 'c5.9xlarge'] }),
  aModel({ partition: 'b', instanceTypes: ['c5.9xlarge'] }),
  aModel({ partition: 'c', region: 'eu-west-1', instanceTypes: ['c5.9xlarge'] }),
  aModel({ partition: 'd', instanceTypes: [], unpriced: 'flat', flatRatePerNodeHour: 1n }),
];

describe('refreshPrices', () => {
  it('asks for each type of each region once, slower than AWS throttles', async () => {
    const { asked, world } = asking(await aWorld(MODELS), () => OFFER);
    expect(await refreshPrices(world, always)).toEqual({ types: 3, fetched: 3, failed: [] });
    expect(asked).toEqual(['c5.18xlarge in us-east-1', 'c5.9xlarge in us-east-1', 'c5.9xlarge in eu-west-1']);
    expect((world.clock as TestWorld['clock']).pauses).toEqual([250, 250, 250]);
  });

  it('reads every page of partitions', async () => {
    const models = Array.from({ length: 501 }, (_, n) => aModel({ partition: `p${n}`, instanceTypes: [`t${n}.large`] }));
    const { world } = asking(await aWorld(models), () => OFFER);
    expect(await refreshPrices(world, always)).toMatchObject({ types: 501, fetched: 501 });
  });

  it('tries again after silence, up to three times, and goes on with the others', async () => {
    const silence: PriceReply = { kind: 'unanswered', outcome: 'it is throttled' };
    const { asked, world } = asking(await aWorld(MODELS), ({ type, region }, times) =>
      region === 'eu-west-1' || (type === 'c5.9xlarge' && times < 3) ? silence : OFFER,
    );
    expect(await refreshPrices(world, always)).toEqual({
      types: 3,
      fetched: 2,
      failed: [{ region: 'eu-west-1', type: 'c5.9xlarge', outcome: 'it is throttled' }],
    });
    expect(asked).toHaveLength(7);
  });

  it.each(['none', 'unbelievable'] as const)('does not ask twice for what is no price: %s', async (kind) => {
    const { asked, world } = asking(await aWorld(), () => ({ kind, outcome: 'nonsense' }));
    expect(await refreshPrices(world, always)).toEqual({
      types: 1,
      fetched: 0,
      failed: [{ region: 'us-east-1', type: 'c5.18xlarge', outcome: 'nonsense' }],
    });
    expect(asked).toHaveLength(1);
  });

  it('ends at once where nobody can be asked', async () => {
    const { asked, world } = asking(await aWorld(MODELS), () => ({ kind: 'unasked', outcome: 'not asked: no credentials' }));
    expect(await refreshPrices(world, always)).toMatchObject({ types: 3, fetched: 0, failed: [{ outcome: 'not asked: no credentials' }] });
    expect(asked).toHaveLength(1);
  });

  it('begins no price after its time is up', async () => {
    const { asked, world } = asking(await aWorld(MODELS), () => OFFER);
    expect(await refreshPrices(world, () => world.clock.now() < NOON + 400)).toEqual({
      types: 3,
      fetched: 2,
      failed: [{ region: 'eu-west-1', type: 'c5.9xlarge', outcome: 'there was no time left to ask' }],
    });
    expect(asked).toHaveLength(2);
  });
});

describe('the price of a partition', () => {
  it('is of a node for an hour, with its source and date', async () => {
    expect(await partitionPrice(await aWorld(), aModel({ overheadMinutes: 5 }), 0)).toEqual({
      perNodeHour: 3_060_000n,
      instanceType: 'c5.18xlarge',
      source: 'pricing-api',
      priceDate: '2026-03-01',
      confidencePercent: 100,
      tried: [],
    });
  });

  it('is the flat rate where that is the policy', async () => {
    const model = aModel({ instanceTypes: ['none.large'], unpriced: 'flat', flatRatePerNodeHour: 2_500_000n });
    expect(await partitionPrice(await aWorld(), model, 0)).toMatchObject({
      perNodeHour: 2_500_000n,
      source: 'flat-rate',
      priceDate: null,
      confidencePercent: 50,
    });
  });

  it('is unknown where no source knows it, or none can be read', async () => {
    const world = await aWorld();
    expect(await partitionPrice(world, aModel({ region: 'eu-west-1' }), 0)).toBeUndefined();
    const late: Prices = { ...noPrices, offerOf: async () => Promise.reject(new BudgetError('deadline_passed', 'too late')) };
    expect(await partitionPrice({ ...world, prices: late }, aModel(), 0)).toBeUndefined();
  });

  it('hides no bug', async () => {
    const world = await aWorld();
    const broken: Prices = { ...noPrices, offerOf: async () => Promise.reject(new Error('a bug')) };
    await expect(partitionPrice({ ...world, prices: broken }, aModel(), 0)).rejects.toThrow('a bug');
  });
});
