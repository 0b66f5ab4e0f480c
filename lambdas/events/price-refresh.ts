// The refresh of prices: EventBridge calls it twice a day, and `asbb local` as often as its prices live.
import type { Clock, Services } from '#app/ports';
import { type Refreshed, refreshPrices } from '#app/refresh-prices';
import { METRIC_PRICES_NOT_REFRESHED } from '#contract/metrics';
import { PRICE_REFRESH_BUDGET_MS } from '#contract/settings';

/** Ask for all prices anew, within the time that one refresh has. What was not answered is told, and its kept price stays. */
export const refresh = async (services: Services, clock: Pick<Clock, 'now'>): Promise<Refreshed> => {
  const { telemetry } = services;
  const until = clock.now() + PRICE_REFRESH_BUDGET_MS;
  const result = await refreshPrices(services.world(until), () => clock.now() < until);
  telemetry.measured([{ name: METRIC_PRICES_NOT_REFRESHED, value: result.failed.length }]);
  for (const { region, type, outcome } of result.failed) {
    telemetry.failed({
      operation: 'price-refresh',
      requestId: 'none',
      error: new Error(`no new price of ${type} in ${region}: ${outcome}`),
    });
  }
  return result;
};
