// Outputs of a CloudFormation stack, for whoever configures a client of it.
import type { CloudFormationClientConfig } from '@aws-sdk/client-cloudformation';

const MAX_TRIES = 2;
const CONNECT_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 10_000;

export interface StackPlace {
  readonly stack: string;
  /** @default as the SDK finds it */
  readonly region?: string;
  /** @default as the SDK finds them */
  readonly credentials?: NonNullable<CloudFormationClientConfig['credentials']>;
}

export interface StackOutputs {
  /** Where it was looked for. */
  readonly region: string;
  /** CloudFormation's word for how the stack is, like CREATE_COMPLETE. */
  readonly status: string;
  readonly outputs: ReadonlyMap<string, string>;
}

/** Why there are no outputs to be had. */
export type StackRefusal = 'no_stack' | 'no_region' | 'forbidden' | 'unauthenticated' | 'unreachable' | 'refused';

export class StackError extends Error {
  override readonly name = 'StackError';

  constructor(
    readonly reason: StackRefusal,
    /** Where it was looked for, if anybody said. */
    readonly region: string | undefined,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * DescribeStacks of one stack. The SDK is loaded here, since no other command needs it.
 * @throws StackError
 */
export const readStackOutputs = async ({ stack, ...where }: StackPlace): Promise<StackOutputs> => {
  const { CloudFormationClient, DescribeStacksCommand } = await import('@aws-sdk/client-cloudformation');
  const client = new CloudFormationClient({
    ...where,
    maxAttempts: MAX_TRIES,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, throwOnRequestTimeout: true },
  });
  let region = where.region;
  try {
    region = await client.config.region();
    const { Stacks: [found] = [] } = await client.send(new DescribeStacksCommand({ StackName: stack }));
    if (found === undefined) throw new StackError('no_stack', region, `there is no stack ${stack}`);
    const outputs = (found.Outputs ?? []).flatMap(({ OutputKey: key, OutputValue: value }): [string, string][] =>
      key === undefined || value === undefined ? [] : [[key, value]],
    );
    return { region, status: found.StackStatus ?? 'unknown', outputs: new Map(outputs) };
  } catch (error) {
    if (!(error instanceof Error) || error instanceof StackError) throw error;
    throw new StackError(reasonOf(error), region, error.message, { cause: error });
  } finally {
    client.destroy();
  }
};

/** CloudFormation, "Common Errors". The last four are of STS-like keys: known, but not (or no longer) to be believed. */
const UNAUTHENTICATED: ReadonlySet<string> = new Set([
  'CredentialsProviderError',
  'ExpiredToken',
  'InvalidClientTokenId',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
]);
const FORBIDDEN: ReadonlySet<string> = new Set(['AccessDenied', 'AccessDeniedException', 'UnauthorizedOperation']);
const NO_ANSWER: ReadonlySet<string> = new Set(['TimeoutError', 'RequestTimeout', 'AbortError']);

const reasonOf = (error: Error): StackRefusal => {
  const { name, message, $metadata, code } = error as Error & { $metadata?: { httpStatusCode?: number }; code?: unknown };
  if (UNAUTHENTICATED.has(name)) return 'unauthenticated';
  if (FORBIDDEN.has(name) || $metadata?.httpStatusCode === 403) return 'forbidden';
  // DescribeStacks has no code of its own for it.
  if (name === 'ValidationError' && /does not exist/.test(message)) return 'no_stack';
  if (/^Region is missing|^Invalid region/i.test(message)) return 'no_region';
  if (NO_ANSWER.has(name) || (typeof code === 'string' && $metadata?.httpStatusCode === undefined)) return 'unreachable';
  return 'refused';
};
