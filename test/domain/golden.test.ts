import { describe, expect, it } from 'vitest';
import { createCatalogue } from '#adapters/catalogue';
import { flatRateOf, type Rate, rateOf, typesAllowedBy } from '#domain/estimate';
import { formatUsd, parseDecimal } from '#domain/money';
import type { PartitionModel } from '#domain/partition';
import { type Quote, quoteOf } from '#domain/quote';
import { GOLDEN_CASES, type GoldenCase } from '#test/domain/golden-cases';
import { aModel, aPricing } from '#test/support/builders';
import { dollarsOf } from '#test/support/by-hand';

const catalogue = createCatalogue();

const rateAtCatalogue = async (model: PartitionModel, constraint: string | undefined): Promise<Rate> => {
  if (model.flatRatePerNodeHour !== null) return flatRateOf(model, model.flatRatePerNodeHour);
  const types = typesAllowedBy(model, constraint);
  const replies = await Promise.all(types.map((type) => catalogue.ask({ region: model.region, type })));
  return rateOf(
    model,
    replies.flatMap((reply) => (reply.kind === 'offer' ? [reply.offer] : [])),
  );
};

const quoteCase = async ({ model, job }: GoldenCase): Promise<Quote> => {
  const rate = await rateAtCatalogue(aModel(model), job.constraint);
  return quoteOf(aPricing(rate), { account: 'physics', partitions: ['aws'], cluster: 'hpc', ...job });
};

const microUsd = (dollars: string): bigint => parseDecimal(dollars, 6);

describe('jobs priced by hand', () => {
  it('are many, on many types of instances', () => {
    expect(GOLDEN_CASES.length).toBeGreaterThanOrEqual(40);
    expect(new Set(GOLDEN_CASES.map(({ nodeType }) => nodeType)).size).toBeGreaterThanOrEqual(15);
  });

  it.each(GOLDEN_CASES.map((each) => [each.name, each] as const))('%s', async (_, golden) => {
    const { estimate, holdAmount } = await quoteCase(golden);
    expect({
      estimate: formatUsd(estimate.amount),
      hold: formatUsd(holdAmount),
      low: formatUsd(estimate.low),
      high: formatUsd(estimate.high),
      nodes: estimate.nodes,
      nodeType: estimate.nodeType,
    }).toStrictEqual({
      estimate: formatUsd(microUsd(golden.estimate)),
      hold: formatUsd(microUsd(golden.hold)),
      low: formatUsd(microUsd(golden.low?.amount ?? golden.estimate)),
      high: formatUsd(microUsd(golden.estimate)),
      nodes: golden.nodes,
      nodeType: golden.nodeType,
    });
    expect(estimate.lineItems.reduce((sum, { amount }) => sum + amount, 0n)).toBe(estimate.amount);
  });

  it.each(GOLDEN_CASES.map((each) => [each.name, each] as const))('the arithmetic is right: %s', (_, golden) => {
    expect(dollarsOf(golden.arithmetic)).toBe(microUsd(golden.estimate));
    expect(dollarsOf(`${golden.estimate} * 1.2`)).toBe(microUsd(golden.hold));
    if (golden.low !== undefined) expect(dollarsOf(golden.low.arithmetic)).toBe(microUsd(golden.low.amount));
  });
});
