import { withCachedPartitions } from '#adapters/cached-partitions';
import { createCallers } from '#adapters/callers';
import { createGate, throughGate } from '#adapters/gate';
import { ownClusterOnly } from '#app/own-cluster';
import type { Advisor, BudgetStore, Clock, Ids, PriceLink, Services, Settings, Telemetry, World } from '#app/ports';
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
  readonly advisor?: Advisor;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly settings: Settings;
  readonly telemetry: Telemetry;
}

/** What is left of a request's time for the money, once the advisor has said nothing. */
const STORE_RESERVE_MS = 150;

/** The adapters put together: each request gets a world whose store, prices and advisor know how long it has. */
export const createServices = ({ store, telemetry, pricing, advisor, ...parts }: Parts): Services => {
  const cached = withCachedPartitions(store, parts.clock);
  const gate = createGate();
  const retried = (kind: string): void =>
    telemetry.measured([{ name: METRIC_STORE_RETRIES, value: 1, dimension: { name: DIMENSION_KIND, value: kind } }]);
  const storeUntil = (deadline: Instant): BudgetStore =>
    withinDeadline(throughGate(cached, gate, { clock: parts.clock, deadline }), { clock: parts.clock, ids: parts.ids, deadline, retried });
  const advisorUntil = (deadline: Instant): { advisor?: Advisor } =>
    advisor === undefined
      ? {}
      : {
          advisor: {
            ask: (question, { until, maxTries }) =>
              advisor.ask(question, { until: Math.min(until, deadline - STORE_RESERVE_MS), maxTries }),
          },
        };
  const chain = createPriceChain({ clock: parts.clock, store: cached, ...pricing });
  const callers = createCallers(parts.clock);
  const worldUntil = (deadline: Instant, principal: string | null = null): World => {
    const whole = storeUntil(deadline);
    const caller = callers(principal, whole);
    return {
      ...parts,
      ...advisorUntil(deadline),
      caller,
      store: ownClusterOnly(whole, caller),
      prices: chain.within({ store: whole, deadline }),
    };
  };
  return { telemetry, world: worldUntil };
};
