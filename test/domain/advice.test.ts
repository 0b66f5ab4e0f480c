import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { absurdity, advisedRate, rateOfUnknownNodes } from '#domain/advice';
import { estimateIn, type Rate } from '#domain/estimate';
import { aJob, aModel, aRate, C5_9XLARGE, C5_18XLARGE } from '#test/support/builders';

const advised = (own: Rate, job: Parameters<typeof aJob>[0], { cost, tasks = 1 }: { cost: bigint; tasks?: number }) => {
  const asked = aJob(job);
  const wallTimeSeconds = asked.wallTimeSeconds ?? 0;
  const placed = estimateIn(own, asked, { wallTimeSeconds, tasks: 1 });
  const rate = advisedRate(own, { placed, tasks, cost });
  return { placed, rate, estimate: estimateIn(rate, asked, { wallTimeSeconds, tasks }) };
};

describe('an advised rate', () => {
  it('prices the job at what was advised, by node and hour: $10.00 for 2 nodes and 4 hours is $1.25', () => {
    const { rate, estimate } = advised(aRate(), { nodes: 2, wallTimeSeconds: 4 * 3600 }, { cost: 10_000_000n });
    expect(rate.nodeTypes).toEqual([{ ...C5_18XLARGE, priceE10UsdPerHour: 12_500_000_000n }]);
    expect(rate).toMatchObject({ source: 'advisor', priceDate: null });
    expect(estimate).toMatchObject({ amount: 10_000_000n, low: 10_000_000n, high: 10_000_000n, nodes: 2, source: 'advisor' });
    expect(estimate.lineItems).toEqual([
      { name: 'instances', nodeHoursE6: 8_000_000n, unitPriceE10: 12_500_000_000n, amount: 10_000_000n },
    ]);
  });

  it.each([
    ['3 nodes', { nodes: 3 }],
    ['7 hours', { wallTimeSeconds: 7 * 3600 }],
    ['a second, of which EC2 bills a minute', { wallTimeSeconds: 1 }],
  ])('does not charge for its own rounding: $10.00 for %s stays $10.00', (_, job) => {
    expect(advised(aRate(), job, { cost: 10_000_000n }).estimate.amount).toBe(10_000_000n);
  });

  it('is for each task of an array', () => {
    expect(advised(aRate(), { nodes: 3 }, { cost: 10_000_000n, tasks: 70 }).estimate.amount).toBe(700_000_000n);
  });

  it('has overhead and discount in it already', () => {
    const own = aRate({ overheadSeconds: 600, overheadPerNodeHour: 10_000n, discountFactorE6: 850_000n });
    const { rate, estimate } = advised(own, {}, { cost: 5_000_000n });
    expect(rate).toMatchObject({ overheadSeconds: 0, overheadPerNodeHour: 0n, discountFactorE6: 1_000_000n });
    expect(estimate.amount).toBe(5_000_000n);
  });

  it('keeps what our prices say of the other types: the dearest stays it, and half as dear stays half as dear', () => {
    const { rate, estimate } = advised(aRate({ nodeTypes: [C5_9XLARGE, C5_18XLARGE] }), {}, { cost: 2_000_000n });
    expect(rate.nodeTypes.map(({ priceE10UsdPerHour }) => priceE10UsdPerHour)).toEqual([10_000_000_000n, 20_000_000_000n]);
    expect(estimate).toMatchObject({ nodeType: 'c5.18xlarge', amount: 2_000_000n, low: 1_000_000n });
  });

  it('holds for a share of a shared node', () => {
    const { estimate } = advised(aRate({ shared: true }), { cpus: 18 }, { cost: 1_000_000n });
    expect(estimate).toMatchObject({ nodesE6: 250_000n, amount: 1_000_000n });
  });

  it('holds for a share that is no decimal: 2 of 72 CPUs at $1.00', () => {
    expect(advised(aRate({ shared: true }), { cpus: 2 }, { cost: 1_000_000n }).estimate.amount).toBe(1_000_000n);
  });

  it('stands alone where our own price is nothing', () => {
    const free = { ...C5_18XLARGE, priceE10UsdPerHour: 0n };
    const { estimate } = advised(aRate({ nodeTypes: [free, { ...free, type: 'other' }] }), {}, { cost: 3_000_000n });
    expect(estimate).toMatchObject({ amount: 3_000_000n, low: 3_000_000n });
  });

  it('prices nodes of which nothing is known but how many there are', () => {
    const own = rateOfUnknownNodes(aModel({ memoryPerNodeMib: 4096 }));
    expect(own.nodeTypes).toMatchObject([{ type: 'unknown', cpus: null, memoryMib: 4096, gpus: null }]);
    const { rate, estimate } = advised(own, { nodes: 4 }, { cost: 8_000_000n });
    expect(estimate).toMatchObject({ nodes: 4, amount: 8_000_000n, instanceTypes: ['unknown'] });
    expect(rate.nodeTypes[0]?.priceE10UsdPerHour).toBe(20_000_000_000n);
  });

  it('never holds less than was advised, and below 10,000 node-hours never a micro-dollar more', () => {
    const jobs = fc.record({
      nodes: fc.integer({ min: 1, max: 2_000 }),
      wallTimeSeconds: fc.integer({ min: 1, max: 30 * 86_400 }),
      tasks: fc.integer({ min: 1, max: 1_000 }),
      cost: fc.bigInt({ min: 1n, max: 10n ** 12n }),
    });
    fc.assert(
      fc.property(jobs, ({ nodes, wallTimeSeconds, tasks, cost }) => {
        const { amount } = advised(aRate(), { nodes, wallTimeSeconds }, { cost, tasks }).estimate;
        const nodeHours = (nodes * Math.max(60, wallTimeSeconds) * tasks) / 3600;
        const tooMuch = Number(amount - cost * BigInt(tasks));
        expect(tooMuch).toBeGreaterThanOrEqual(0);
        expect(tooMuch).toBeLessThanOrEqual(Math.floor(nodeHours / 10_000));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('an absurd answer', () => {
  it.each([
    [20_000_000n, undefined],
    [20_000_001n, 'absurd: $20.000001 for what costs $1.00 at our own prices'],
    [50_000n, undefined],
    [49_999n, 'absurd: $0.049999 for what costs $1.00 at our own prices'],
  ])('is more than 20 times off: %s micro-dollars against $1.00', (cost, outcome) => {
    expect(absurdity(cost, 1_000_000n)).toBe(outcome);
  });
});
