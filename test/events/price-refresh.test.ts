import { describe, expect, it } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createServices } from '#adapters/services';
import { createIds } from '#adapters/system';
import type { Measurement, PriceReply } from '#app/ports';
import { refresh } from '#events/price-refresh';
import { SETTINGS } from '#test/http/api';
import { aModel, anOffer, NOON } from '#test/support/builders';
import { createFakeClock } from '#test/support/fake-clock';
import { NO_PRICING } from '#test/support/world';

const refreshed = async (replyOf: (type: string) => PriceReply) => {
  const store = createMemoryBudgets();
  await store.writePartition(aModel({ instanceTypes: ['c5.18xlarge', 'c5.9xlarge'] }));
  const clock = createFakeClock(NOON);
  const failed: unknown[] = [];
  const measured: Measurement[] = [];
  const services = createServices({
    store,
    pricing: { ...NO_PRICING, api: { source: 'pricing-api', ask: async ({ type }) => replyOf(type) } },
    clock,
    ids: createIds(),
    settings: SETTINGS,
    telemetry: { answered: () => undefined, failed: ({ error }) => failed.push(error), measured: (each) => measured.push(...each) },
  });
  const result = await refresh(services, clock);
  return { result, failed, measured, kept: await store.readPrice({ region: 'us-east-1', type: 'c5.18xlarge' }) };
};

describe('the refresh of prices', () => {
  it('keeps what AWS says of every type', async () => {
    const { result, failed, measured, kept } = await refreshed((type) => ({ kind: 'offer', offer: anOffer({ type }) }));
    expect(result).toEqual({ types: 2, fetched: 2, failed: [] });
    expect(failed).toEqual([]);
    expect(measured).toEqual([{ name: 'PricesNotRefreshed', value: 0 }]);
    expect(kept).toEqual({ region: 'us-east-1', offer: anOffer(), askedAt: NOON });
  });

  it('tells each type that it got no price of, and goes on', async () => {
    const { failed, measured, kept } = await refreshed((type) =>
      type === 'c5.9xlarge' ? { kind: 'unanswered', outcome: 'it is throttled' } : { kind: 'offer', offer: anOffer({ type }) },
    );
    expect(failed).toEqual([new Error('no new price of c5.9xlarge in us-east-1: it is throttled')]);
    expect(measured).toEqual([{ name: 'PricesNotRefreshed', value: 1 }]);
    expect(kept).toBeDefined();
  });
});
