// What the function is made of that looks before a deployment changes anything.
import { createBaseClient } from '#adapters/dynamo-client';
import { claimSchema } from '#adapters/dynamo-table';
import { createPowertoolsTelemetry } from '#adapters/powertools';
import { hasSecret } from '#adapters/secret';
import { readStackOutputs } from '#adapters/stack-outputs';
import { systemClock } from '#adapters/system';
import { DEFAULT_TABLE_NAME } from '#contract/table';

const ANSWER_TIMEOUT_MS = 10_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** @param environment TABLE_NAME (asbb) and SERVICE_NAME (asbb); endpoints and region as the SDK reads them */
export const createPreflightProduction = (environment: Environment = process.env) => {
  const { TABLE_NAME: table = DEFAULT_TABLE_NAME, SERVICE_NAME: serviceName = 'asbb' } = environment;
  const client = createBaseClient();
  return {
    table,
    claimSchema: () => claimSchema(client, table),
    hasSecret: (name: string) => hasSecret(name),
    isRollingBack: async (stack: string) => (await readStackOutputs({ stack })).status.includes('ROLLBACK'),
    clock: systemClock,
    telemetry: createPowertoolsTelemetry(systemClock, serviceName),
    /** Bytes, because the URL is signed for a body without a content type, and fetch gives text one. */
    put: async (url: string, body: Uint8Array<ArrayBuffer>): Promise<void> => {
      const { ok, status } = await fetch(url, { method: 'PUT', body, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
      if (!ok) throw new Error(`CloudFormation did not take the answer: status ${status}`);
    },
  };
};
