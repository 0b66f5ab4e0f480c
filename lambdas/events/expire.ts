// The sweep: EventBridge calls it every minute, and `asbb local` too.
import { countStaleAgents } from '#app/count-stale-agents';
import { expireHolds, type Sweep } from '#app/expire-holds';
import type { Clock, Services } from '#app/ports';
import { METRIC_OLDEST_OVERDUE_AGE, METRIC_STALE_AGENTS, METRIC_SWEEPS } from '#contract/metrics';

/** A sweep that takes longer goes on in the next one. */
const SWEEP_BUDGET_MS = 50_000;

/** Return the money of overdue holds, within the time that one sweep has. What failed is told, and tried again by the next. */
export const sweep = async (services: Services, clock: Pick<Clock, 'now'>): Promise<Sweep> => {
  const { telemetry } = services;
  const world = services.world(clock.now() + SWEEP_BUDGET_MS);
  const result = await expireHolds(world);
  telemetry.measured([
    { name: METRIC_SWEEPS, value: 1 },
    { name: METRIC_OLDEST_OVERDUE_AGE, value: Math.ceil(result.oldestOverdueMs / 1000), unit: 'seconds' },
  ]);
  if (result.failed > 0) telemetry.failed({ operation: 'sweep', requestId: 'none', error: result.failure });
  // Afterwards, because money comes first.
  telemetry.measured([{ name: METRIC_STALE_AGENTS, value: await countStaleAgents(world) }]);
  return result;
};
