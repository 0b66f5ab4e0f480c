import { withCachedPartitions } from '#adapters/cached-partitions';
import { createGate, throughGate } from '#adapters/gate';
import type { BudgetStore, Clock, Ids, PriceLink, Services, Settings, Telemetry, World } from '#app/ports';
import { createPriceChain } from '#app/price-chain';
import { withinDeadline } from '#app/within-deadline';
import { DIMENSION_KIND, METRIC_STORE_RETRIES } from '#contract/metrics';
import type { Instant } from '#domain/ledger';

export interface Parts {
  readonly store: BudgetStore;
  readonly pricing: {
    readonly api: PriceLink;
    readonly catalogue: PriceLink;
    readonly ttlMs: number;
  };
  readonly clock: Clock;
  readonly ids: Ids;
  readonly settings: Settings;
  readonly telemetry: Telemetry;
}

/** The adapters put together: each request gets a world whose store knows how long it has. */
export const createServices = ({ store, telemetry, pricing, ...parts }: Parts): Services => {
  const cached = withCachedPartitions(store, parts.clock);
  const gate = createGate();
  const retried = (kind: string): void =>
    telemetry.measured([{ name: METRIC_STORE_RETRIES, value: 1, dimension: { name: DIMENSION_KIND, value: kind } }]);
  const storeUntil = (deadline: Instant): BudgetStore =>
    withinDeadline(throughGate(cached, gate, { clock: parts.clock, deadline }), { clock: parts.clock, ids: parts.ids, deadline, retried });
  const chain = createPriceChain({ clock: parts.clock, store: cached, ...pricing });
  const worldUntil = (deadline: Instant): World => {
    const reached = storeUntil(deadline);
    return { ...parts, store: reached, prices: chain.within({ store: reached, deadline }) };
  };
  return { telemetry, world: worldUntil };
};
