// Whether a secret is there. Its value is not asked for.
import type { SecretsManagerClientConfig } from '@aws-sdk/client-secrets-manager';

const CONNECT_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 5_000;

export interface SecretPlace {
  /** @default as the SDK finds it */
  readonly region?: string;
  /** @default AWS's own, or AWS_ENDPOINT_URL_SECRETS_MANAGER */
  readonly endpoint?: string;
  /** @default as the SDK finds them */
  readonly credentials?: NonNullable<SecretsManagerClientConfig['credentials']>;
}

/** A client that somebody waits for. */
export const clientConfig = (where: SecretPlace, requestTimeoutMs: number): SecretsManagerClientConfig => ({
  ...where,
  requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: requestTimeoutMs, throwOnRequestTimeout: true },
});

/** False for one that is about to be deleted, too: nobody can read it any more. The client is loaded here, since few ask. */
export const hasSecret = async (name: string, where: SecretPlace = {}): Promise<boolean> => {
  const { DescribeSecretCommand, ResourceNotFoundException, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient(clientConfig(where, REQUEST_TIMEOUT_MS));
  try {
    return (await client.send(new DescribeSecretCommand({ SecretId: name }))).DeletedDate === undefined;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return false;
    throw error;
  } finally {
    client.destroy();
  }
};
