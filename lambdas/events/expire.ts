// The sweep: EventBridge calls it every minute, and `asbb local` too.
import { expireHolds, type Sweep } from '#app/expire-holds';
import type { Clock, Services } from '#app/ports';
import { METRIC_SWEEPS } from '#contract/metrics';

/** A sweep that takes longer goes on in the next one. */
const SWEEP_BUDGET_MS = 50_000;

/** Return the money of overdue holds, within the time that one sweep has. What failed is told, and tried again by the next. */
export const sweep = async (services: Services, clock: Pick<Clock, 'now'>): Promise<Sweep> => {
  const result = await expireHolds(services.world(clock.now() + SWEEP_BUDGET_MS));
  services.telemetry.measured([{ name: METRIC_SWEEPS, value: 1 }]);
  if (result.failed > 0) services.telemetry.failed({ operation: 'sweep', requestId: 'none', error: result.failure });
  return result;
};
