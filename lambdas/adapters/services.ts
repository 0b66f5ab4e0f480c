import { withCachedPartitions } from '#adapters/cached-partitions';
import { createCallers } from '#adapters/callers';
import { createGate, throughGate } from '#adapters/gate';
import { ownClusterOnly } from '#app/own-cluster';
import type { BudgetStore, Clock, Ids, Prices, Services, Settings, Telemetry } from '#app/ports';
import { withinDeadline } from '#app/within-deadline';
import { DIMENSION_KIND, METRIC_STORE_RETRIES } from '#contract/metrics';
import type { Instant } from '#domain/ledger';

export interface Parts {
  readonly store: BudgetStore;
  readonly prices: Prices;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly settings: Settings;
  readonly telemetry: Telemetry;
}

/** The adapters put together: each request gets a world whose store knows how long it has. */
export const createServices = ({ store, telemetry, ...parts }: Parts): Services => {
  const cached = withCachedPartitions(store, parts.clock);
  const gate = createGate();
  const retried = (kind: string): void =>
    telemetry.measured([{ name: METRIC_STORE_RETRIES, value: 1, dimension: { name: DIMENSION_KIND, value: kind } }]);
  const storeUntil = (deadline: Instant): BudgetStore =>
    withinDeadline(throughGate(cached, gate, { clock: parts.clock, deadline }), { clock: parts.clock, ids: parts.ids, deadline, retried });
  const callers = createCallers(parts.clock);
  return {
    telemetry,
    world: (deadline, principal = null) => {
      const whole = storeUntil(deadline);
      const caller = callers(principal, whole);
      return { ...parts, caller, store: ownClusterOnly(whole, caller) };
    },
  };
};
