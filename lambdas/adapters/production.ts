// What the functions in AWS are made of. The only file of the service that reads the environment.
import { createCatalogue } from '#adapters/catalogue';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createDocumentClient } from '#adapters/dynamo-client';
import { createPowertoolsTelemetry } from '#adapters/powertools';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import type { Services, Settings, Surroundings } from '#app/ports';
import { DEFAULT_HOLD_PERCENTAGE, DEFAULT_RECONCILIATION_TIMEOUT_SECONDS, PRICE_TTL_MS, SWEEP_INTERVAL_MS } from '#contract/settings';
import { DEFAULT_TABLE_NAME } from '#contract/table';
import { parseFactor } from '#domain/money';

const DEFAULT_SERVICE_NAME = 'asbb';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param environment TABLE_NAME, SERVICE_NAME (asbb), HOLD_PERCENTAGE (1.2), RECONCILIATION_TIMEOUT_SECONDS (86400); endpoints and
 *   region as the SDK reads them; SWEEP_INTERVAL_SECONDS (60), PRICING_REGION and ADVISOR_URL to be shown by GET /settings
 */
export const createProduction = (environment: Environment = process.env): Services =>
  createServices({
    store: createDynamoBudgets({ client: createDocumentClient(), table: environment.TABLE_NAME ?? DEFAULT_TABLE_NAME }),
    prices: createCatalogue(),
    clock: systemClock,
    ids: createIds(),
    settings: settingsFrom(environment),
    telemetry: createPowertoolsTelemetry(systemClock, environment.SERVICE_NAME ?? DEFAULT_SERVICE_NAME),
  });

const surroundingsFrom = (environment: Environment): Surroundings => ({
  store: 'dynamodb',
  sweepIntervalMs: Number(environment.SWEEP_INTERVAL_SECONDS ?? SWEEP_INTERVAL_MS / 1000) * 1000,
  pricingRegion: environment.PRICING_REGION || null,
  priceTtlMs: PRICE_TTL_MS,
  advisorUrl: environment.ADVISOR_URL || null,
});

const settingsFrom = (environment: Environment): Settings => {
  const timeoutSeconds = Number(environment.RECONCILIATION_TIMEOUT_SECONDS ?? DEFAULT_RECONCILIATION_TIMEOUT_SECONDS);
  if (!Number.isSafeInteger(timeoutSeconds) || timeoutSeconds <= 0)
    throw new Error('RECONCILIATION_TIMEOUT_SECONDS must be a whole number of seconds');
  return {
    holdFactor: parseFactor(environment.HOLD_PERCENTAGE ?? DEFAULT_HOLD_PERCENTAGE),
    reconciliationTimeoutMs: timeoutSeconds * 1000,
    defaultCluster: null,
    surroundings: surroundingsFrom(environment),
  };
};
