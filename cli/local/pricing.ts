// Where `asbb local` has its prices from. A laptop without AWS credentials asks nobody, and is not slowed down by it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createCatalogue } from '#adapters/catalogue';
import { createPricingApi, unaskedPricingApi } from '#adapters/pricing-api';
import type { Parts } from '#adapters/services';
import { systemClock } from '#adapters/system';
import { PRICE_TTL_MS, PRICING_REGIONS } from '#contract/settings';

type Environment = Readonly<Record<string, string | undefined>>;

/** Without one of these the SDK would look for credentials on a network that only instances of AWS have. */
const SAYS_CREDENTIALS = [
  'AWS_ACCESS_KEY_ID',
  'AWS_PROFILE',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
];
/** A stand-in takes any. */
const ANY_CREDENTIALS = { accessKeyId: 'none', secretAccessKey: 'none' };

/**
 * @param given `pricing` of the configuration. A region that it names is the endpoint's, and says that AWS may be asked, with
 *   whatever credentials this machine has.
 */
export const localPricing = (
  given: { region?: string; cacheTtlMs: number },
  { env, home }: { env: Environment; home: string },
): Parts['pricing'] => {
  const hasEndpoint = [env.AWS_ENDPOINT_URL_PRICING, env.AWS_ENDPOINT_URL].some((url) => url !== undefined && url !== '');
  const hasCredentials = SAYS_CREDENTIALS.some((name) => env[name] !== undefined && env[name] !== '') || hasCredentialFiles(env, home);
  const ttlMs = given.cacheTtlMs;
  if (!hasEndpoint && !hasCredentials && given.region === undefined) return offlinePricing('there are no AWS credentials', ttlMs);
  const catalogue = createCatalogue();
  const api = createPricingApi({
    region: given.region ?? PRICING_REGIONS[0],
    clock: systemClock,
    coresOf: catalogue.coresOf,
    ...(hasEndpoint && !hasCredentials && { credentials: ANY_CREDENTIALS }),
  });
  return { api, catalogue, ttlMs };
};

/** What is kept and the catalogue, and nobody to ask. */
export const offlinePricing = (why: string, ttlMs = PRICE_TTL_MS): Parts['pricing'] => ({
  api: unaskedPricingApi(why),
  catalogue: createCatalogue(),
  ttlMs,
});

const hasCredentialFiles = (env: Environment, home: string): boolean =>
  [env.AWS_SHARED_CREDENTIALS_FILE ?? join(home, '.aws', 'credentials'), env.AWS_CONFIG_FILE ?? join(home, '.aws', 'config')].some((file) =>
    existsSync(file),
  );
