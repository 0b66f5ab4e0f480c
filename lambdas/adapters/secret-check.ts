// Whether the advisor's secret is there, for whoever is about to deploy functions that will read it.
import type { SecretsManagerClientConfig } from '@aws-sdk/client-secrets-manager';

const CONNECT_TIMEOUT_MS = 2_000;
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_ATTEMPTS = 2;

/** Unknown, with the SDK's word for it: nobody here could tell, for want of a network or of a right. */
export type SecretState = 'there' | 'missing' | { readonly unknown: string };

export interface Sought {
  readonly secretName: string;
  readonly region: string;
  /** That is deployed to. CDK may have other credentials (`--profile`) than the SDK finds here. */
  readonly account: string;
  /** @default as the SDK finds it */
  readonly client?: SecretsManagerClientConfig;
}

/** By name; what is not found is asked for once more by ARN, since there another account's credentials are refused, not answered. */
export const findSecret = async ({ secretName, region, account, client: where = {} }: Sought): Promise<SecretState> => {
  const { SecretsManagerClient, DescribeSecretCommand } = await import('@aws-sdk/client-secrets-manager');
  const requestHandler = { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, throwOnRequestTimeout: true };
  const client = new SecretsManagerClient({ region, maxAttempts: MAX_ATTEMPTS, requestHandler, ...where });
  const lookUp = async (SecretId: string): Promise<SecretState> => {
    try {
      const { DeletedDate } = await client.send(new DescribeSecretCommand({ SecretId }));
      return DeletedDate === undefined ? 'there' : 'missing'; // It can be restored, and until then nobody can read it.
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return error.name === 'ResourceNotFoundException' ? 'missing' : { unknown: error.name };
    }
  };
  try {
    const byName = await lookUp(secretName);
    return byName === 'missing'
      ? await lookUp(`arn:${partitionOf(region)}:secretsmanager:${region}:${account}:secret:${secretName}`)
      : byName;
  } finally {
    client.destroy();
  }
};

/** AWS, "Amazon Resource Names": China and GovCloud have partitions of their own. */
const partitionOf = (region: string): string => (region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws');
