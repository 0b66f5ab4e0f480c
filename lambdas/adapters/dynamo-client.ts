// Clients of the table, and the one place that says what an error of theirs means.
import { DynamoDBClient, type DynamoDBClientConfig, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { integerOf } from '#adapters/dynamo-attributes';
import { StoreContended, StoreUnavailable } from '#app/ports';

const CONNECT_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_SOCKETS = 50;

export interface ClientOptions {
  /** @default AWS's own, for the region */
  readonly endpoint?: string;
  /** @default as the SDK finds it */
  readonly region?: string;
  /** @default as the SDK finds them */
  readonly credentials?: NonNullable<DynamoDBClientConfig['credentials']>;
  /** @default 1000 */
  readonly connectTimeoutMs?: number;
  /** @default 5000 */
  readonly requestTimeoutMs?: number;
}

/** A client for DynamoDB's own commands, for example to create the table. */
export const createBaseClient = (options: ClientOptions = {}): DynamoDBClient => {
  const { connectTimeoutMs = CONNECT_TIMEOUT_MS, requestTimeoutMs = REQUEST_TIMEOUT_MS, ...where } = options;
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS };
  return new DynamoDBClient({
    ...where,
    // Retries are made above the port, inside the caller's deadline: the SDK does not know how long anybody still listens.
    maxAttempts: 1,
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      throwOnRequestTimeout: true,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
};

/**
 * A client for the store. Each has a base client of its own: a second document client on the same base changed how the first
 * one read numbers.
 */
export const createDocumentClient = (options: ClientOptions = {}): DynamoDBDocumentClient =>
  DynamoDBDocumentClient.from(createBaseClient(options), {
    marshallOptions: { removeUndefinedValues: true },
    unmarshallOptions: { wrapNumbers: integerOf },
  });

/** What a thrown value means to the port. */
export type Meaning =
  | { readonly kind: 'refused'; readonly refused: TransactionCanceledException }
  | { readonly kind: 'failed'; readonly error: Error };

/** Error names that say: another writer, or too many requests, and nothing was written. */
const CONTENDED = new Set([
  'TransactionConflictException',
  'TransactionInProgressException',
  'ThrottlingException',
  'ThrottlingError',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
]);

/** Codes of cancellation reasons that say the same. */
const CONTENDED_REASONS = new Set(['TransactionConflict', 'ThrottlingError', 'ProvisionedThroughputExceeded']);

/** Names of errors that never reached DynamoDB, or whose answer never reached us; beside these, any with a system error code. */
const NO_ANSWER = new Set(['TimeoutError', 'RequestTimeout', 'AbortError', 'CredentialsProviderError']);

/** What an error of the client means. Whatever is in none of the tables is a bug of ours, and stays what it is. */
export const meaningOf = (thrown: unknown, table: string): Meaning => {
  if (!(thrown instanceof Error)) return failed(new Error(`not an error was thrown: ${String(thrown)}`));
  if (thrown instanceof TransactionCanceledException) return meaningOfCancelled(thrown);
  if (CONTENDED.has(thrown.name)) return failed(new StoreContended(`${thrown.name} on table ${table}`, { cause: thrown }));
  if (thrown.name === 'ResourceNotFoundException') {
    const mend = 'create it with `asbb database migrate`, or name another one';
    return failed(new StoreUnavailable(`there is no table ${table} here: ${mend}`, { cause: thrown }));
  }
  if (isWithoutAnswer(thrown))
    return failed(new StoreUnavailable(`no clear answer from table ${table}: ${thrown.message}`, { cause: thrown }));
  return failed(thrown);
};

/**
 * A refusal is only believed when nothing else went wrong: beside a conflict, the other parts were not looked at in one
 * moment, so their images could explain a refusal that never was.
 */
const meaningOfCancelled = (cancelled: TransactionCanceledException): Meaning => {
  const codes = (cancelled.CancellationReasons ?? []).map(({ Code }) => Code ?? 'None').filter((code) => code !== 'None');
  const bad = codes.filter((code) => code !== 'ConditionalCheckFailed' && !CONTENDED_REASONS.has(code));
  if (bad.length > 0 || codes.length === 0) return failed(cancelled);
  if (codes.some((code) => CONTENDED_REASONS.has(code))) {
    return failed(new StoreContended(`transaction cancelled: ${[...new Set(codes)].join()}`, { cause: cancelled }));
  }
  return { kind: 'refused', refused: cancelled };
};

const failed = (error: Error): Meaning => ({ kind: 'failed', error });

const isWithoutAnswer = (error: Error & { code?: unknown; $metadata?: { httpStatusCode?: number } }): boolean => {
  const status = error.$metadata?.httpStatusCode;
  // A body that is not DynamoDB's, as a proxy in between sends it; without a status the text that broke is our own.
  if (error instanceof SyntaxError) return status !== undefined;
  if (status !== undefined) return status >= 500;
  if (error instanceof TypeError || error instanceof RangeError) return false;
  return NO_ANSWER.has(error.name) || typeof error.code === 'string';
};
