// What the functions in AWS are made of. The only file of the service that reads the environment.
import { createCatalogue } from '#adapters/catalogue';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createDocumentClient } from '#adapters/dynamo-client';
import { createHttpAdvisor } from '#adapters/http-advisor';
import { createPowertoolsTelemetry } from '#adapters/powertools';
import { createPricingApi, unaskedPricingApi } from '#adapters/pricing-api';
import { createSecretKey } from '#adapters/secret-key';
import { createServices, type Parts } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import type { Advisor, Ids, Services, Settings, Surroundings } from '#app/ports';
import { DEFAULT_HOLD_PERCENTAGE, DEFAULT_RECONCILIATION_TIMEOUT_SECONDS, PRICE_TTL_MS, SWEEP_INTERVAL_MS } from '#contract/settings';
import { DEFAULT_TABLE_NAME } from '#contract/table';
import { parseFactor } from '#domain/money';

const DEFAULT_SERVICE_NAME = 'asbb';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param environment TABLE_NAME, SERVICE_NAME (asbb), HOLD_PERCENTAGE (1.2), RECONCILIATION_TIMEOUT_SECONDS (86400), PRICING_REGION
 *   (of the endpoint; without it AWS is not asked for prices), ADVISOR_URL and ADVISOR_SECRET_NAME (together, or no advisor is
 *   asked); SWEEP_INTERVAL_SECONDS (60), to be shown by GET /settings; endpoints and region as
 *   the SDK reads them
 */
export const createProduction = (environment: Environment = process.env): Services => {
  const ids = createIds();
  return createServices({
    store: createDynamoBudgets({ client: createDocumentClient(), table: environment.TABLE_NAME ?? DEFAULT_TABLE_NAME }),
    pricing: pricingFrom(environment),
    clock: systemClock,
    ids,
    ...advisorFrom(environment, ids),
    settings: settingsFrom(environment),
    telemetry: createPowertoolsTelemetry(systemClock, environment.SERVICE_NAME ?? DEFAULT_SERVICE_NAME),
  });
};

const advisorFrom = ({ ADVISOR_URL: url, ADVISOR_SECRET_NAME: secretName }: Environment, ids: Ids): { advisor?: Advisor } => {
  if (!url) return {};
  if (!secretName) throw new Error('ADVISOR_SECRET_NAME must name the secret that holds the key of the advisor at ADVISOR_URL');
  return { advisor: createHttpAdvisor({ url, key: createSecretKey({ secretName, clock: systemClock }), clock: systemClock, ids }) };
};

const pricingFrom = ({ PRICING_REGION: region }: Environment): Parts['pricing'] => {
  const catalogue = createCatalogue();
  const api =
    region === undefined || region === ''
      ? unaskedPricingApi('this function does not ask AWS')
      : createPricingApi({ region, clock: systemClock, coresOf: catalogue.coresOf });
  return { api, catalogue, ttlMs: PRICE_TTL_MS };
};

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
