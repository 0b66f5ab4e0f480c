import { describe, expect, it } from 'vitest';
import { nodeHourOf, rateOf } from '#domain/estimate';
import { confidencePercentOf, evidenceOfAll } from '#domain/price';
import { quoteOf } from '#domain/quote';
import { aJob, aModel, anOffer, aPricing, aRate, C5_9XLARGE, C5_18XLARGE } from '#test/support/builders';

describe('how far a price is believed', () => {
  it.each([
    [100, { source: 'pricing-api', priceDate: '2026-03-14' }],
    [90, { source: 'pricing-api', priceDate: '2026-03-14', isStale: true }],
    [90, { source: 'advisor', priceDate: null }],
    [80, { source: 'catalogue', priceDate: '2026-01-02' }],
    [60, { source: 'catalogue', priceDate: null }],
    [50, { source: 'flat-rate', priceDate: null }],
  ] as const)('%i %%: %j', (percent, price) => {
    expect(confidencePercentOf(price)).toBe(percent);
  });

  it('is what the rate says where nobody knows more', () => {
    expect(quoteOf(aPricing(aRate({ source: 'catalogue' })), aJob()).evidence).toEqual({ confidencePercent: 80, tried: [] });
  });

  it('is of the partition that is estimated', () => {
    const evidence = { confidencePercent: 42, tried: [] };
    const pricing = aPricing(aRate(), aRate({ partition: 'dear', nodeTypes: [{ ...C5_18XLARGE, priceE10UsdPerHour: 10n ** 12n }] }));
    const [aws, dear] = pricing.partitions.map((each, index) => (index === 1 ? { ...each, evidence } : each));
    if (aws === undefined || dear === undefined) throw new Error('two partitions were given');
    expect(quoteOf({ ...pricing, partitions: [aws, dear] }, aJob()).evidence).toBe(evidence);
  });
});

describe('the evidence of several types', () => {
  const tried = (outcome: string) => [{ source: 'pricing-api' as const, outcome }];

  it('is as sure as the least sure, and says each outcome once', () => {
    const types = ['a', 'b'].map((type, index) => ({ type, confidencePercent: 90 - 10 * index, tried: tried('it is throttled') }));
    expect(evidenceOfAll(types)).toEqual({ confidencePercent: 80, tried: tried('it is throttled') });
  });

  it('names the types that an outcome is about, a few of them', () => {
    const types = ['a', 'b', 'c', 'd', 'e', 'f'].map((type, index) => ({
      type,
      confidencePercent: 100,
      tried: index === 5 ? tried('not sold') : index === 4 ? [] : tried('slow'),
    }));
    expect(evidenceOfAll(types).tried).toEqual([...tried('a, b, c and 1 more: slow'), ...tried('f: not sold')]);
  });

  it('ends after a dozen outcomes', () => {
    const types = Array.from({ length: 50 }, (_, n) => ({ type: `t${n}`, confidencePercent: 100, tried: tried(`reason ${n}`) }));
    expect(evidenceOfAll(types).tried).toHaveLength(12);
  });
});

describe('the rate of offers from several sources', () => {
  it('has the source that is the least sure, whichever comes first', () => {
    const listed = anOffer({ source: 'catalogue', priceDate: '2026-01-02' });
    expect(rateOf(aModel(), [anOffer(), listed])).toMatchObject({ source: 'catalogue', priceDate: '2026-01-02' });
    expect(rateOf(aModel(), [listed, anOffer()])).toMatchObject({ source: 'catalogue' });
  });
});

describe('the price of a node-hour', () => {
  it('is that of the dearest type, discounted, with what each node-hour adds, and without boot and tail', () => {
    // $3.06 x 0.85 = $2.601, and $0.05 for disks.
    const rate = aRate({
      nodeTypes: [C5_9XLARGE, C5_18XLARGE, C5_9XLARGE],
      discountFactorE6: 850_000n,
      overheadPerNodeHour: 50_000n,
      overheadSeconds: 600,
    });
    expect(nodeHourOf(rate)).toEqual({ instanceType: 'c5.18xlarge', perNodeHour: 2_651_000n });
  });

  it('of no types at all is a bug', () => {
    expect(() => nodeHourOf(aRate({ nodeTypes: [] }))).toThrow(new Error('the rate of partition aws has no node type'));
  });
});
