// The advisor's key from Secrets Manager. It is never a setting: environments and templates are read by many.
import type { AdvisorKey } from '#adapters/http-advisor';
import { clientConfig, type SecretPlace } from '#adapters/secret';
import type { Clock } from '#app/ports';

/** A key that was rotated is found after so long, or at once where the advisor takes the old one no more. */
export const KEY_LIFE_MS = 5 * 60_000;
const REQUEST_TIMEOUT_MS = 3_000;
const MAX_ATTEMPTS = 2;
/** The field of a secret that is JSON, as the console makes them. */
const FIELD = 'api_key';

export interface SecretKeyOptions extends SecretPlace {
  readonly secretName: string;
  readonly clock: Pick<Clock, 'now'>;
}

/** The secret is the key itself, or a JSON object with it as `api_key`. Nothing is loaded or read before it is needed. */
export const createSecretKey = ({ secretName, clock, ...where }: SecretKeyOptions): AdvisorKey => {
  let connected: ReturnType<typeof connect> | undefined;
  let latest: { readonly key: Promise<string>; readonly readAt: number } | undefined;

  const fetchKey = async (): Promise<string> => {
    connected ??= connect(where);
    const { client, GetSecretValueCommand } = await connected;
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: secretName }));
    return keyIn(SecretString, secretName);
  };

  /** Whoever asks meanwhile gets the same answer. One that failed is forgotten. */
  const readNow = (): Promise<string> => {
    const key = fetchKey();
    const reading = { key, readAt: clock.now() };
    latest = reading;
    key.catch(() => {
      if (latest === reading) latest = undefined;
    });
    return key;
  };

  return {
    read: () => (latest === undefined || clock.now() - latest.readAt >= KEY_LIFE_MS ? readNow() : latest.key),
    reread: async (stale) => {
      const known = await latest?.key;
      return known === undefined || known === stale ? readNow() : known; // Else somebody has just read it again.
    },
  };
};

/** A key that stays, as `asbb local` is told it. */
export const fixedKey = (key: string): AdvisorKey => ({ read: async () => key, reread: async () => key });

class SecretError extends Error {
  override readonly name = 'SecretError';
}

const keyIn = (secret: string | undefined, secretName: string): string => {
  const key = fieldIn(secret ?? '')?.trim();
  if (key === undefined || !/^[\x21-\x7e]+$/.test(key))
    throw new SecretError(`secret ${secretName} has no key: its text must be the advisor's key, or JSON like {"${FIELD}": "..."}`);
  return key;
};

const fieldIn = (secret: string): string | undefined => {
  if (!secret.trimStart().startsWith('{')) return secret;
  try {
    const field: unknown = JSON.parse(secret)[FIELD];
    return typeof field === 'string' ? field : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
};

/** The SDK takes as long to load as a check may take in all. */
const connect = async (where: SecretPlace) => {
  const { SecretsManagerClient, GetSecretValueCommand } = await import('@aws-sdk/client-secrets-manager');
  return {
    client: new SecretsManagerClient({ ...clientConfig(where, REQUEST_TIMEOUT_MS), maxAttempts: MAX_ATTEMPTS }),
    GetSecretValueCommand,
  };
};
