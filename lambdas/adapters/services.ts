import { withCachedPartitions } from '#adapters/cached-partitions';
import type { BudgetStore, Clock, Ids, Prices, Services, Settings, Telemetry } from '#app/ports';
import { withinDeadline } from '#app/within-deadline';

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
  return {
    telemetry,
    world: (deadline) => ({ ...parts, store: withinDeadline(cached, { clock: parts.clock, ids: parts.ids, deadline }) }),
  };
};
