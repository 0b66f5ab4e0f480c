// The budget API from the outside: routes, signatures, pages, and what each failure means for whoever asked.
import type { SignatureV4 } from '@smithy/signature-v4';
import { CommandError, EXIT, failure, usageError } from '#cli/exit';
import type { AnswerTo } from '#contract/answers';
import { API_BASE_PATH, MAX_PAGE_SIZE } from '#contract/limits';
import { type Operation, ROUTES } from '#contract/routes';
import { VERSION } from '#contract/version';

const TIMEOUT_MS = 30_000;
/** A Lambda cannot answer more than 6 MB; whoever sends more is not our API. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
const SERVICE = 'execute-api';
/** Rows of a list that is asked whole. */
export const MAX_ROWS = 10_000;
/** Pages may be empty and still have a successor, so rows alone do not end a loop. */
const MAX_PAGES = 1_000;

export type AccountAnswer = AnswerTo<'showAccount'>;
export type HoldAnswer = AnswerTo<'bindHold'>;
export type HoldDetailAnswer = AnswerTo<'showHold'>;
export type EntryAnswer = AnswerTo<'listTransactions'>['transactions'][number];
export type UsageAnswer = AnswerTo<'showUsage'>;
export type AccuracyAnswer = AnswerTo<'showAccuracy'>;
export type PartitionAnswer = AnswerTo<'showPartition'>;
export type SettlementAnswer = AnswerTo<'reconcile'>;
export type AuditAnswer = AnswerTo<'audit'>;
export type VerdictAnswer = AnswerTo<'checkBudget'>;

export interface ApiRequest {
  /** Values of the path's `{names}`. */
  readonly path?: Readonly<Record<string, string>>;
  /** Undefined ones are left out. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
}

export interface ApiClient {
  readonly endpoint: string;
  /**
   * Ask once; a GET that found no connection is asked a second time.
   * @throws CommandError notAuthorised, unreachable, or ApiError failed with the API's own message
   */
  request<O extends Operation>(operation: O, request?: ApiRequest): Promise<AnswerTo<O>>;
}

export type Credentials = Exclude<ConstructorParameters<typeof SignatureV4>[0]['credentials'], object & { accessKeyId: string }>;

/** The SDK's own chain, loaded when it is needed: environment, profile, SSO, container, instance. */
export const findCredentials = async ({ profile, region }: { profile?: string; region?: string }): Promise<Credentials> => {
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
  return fromNodeProviderChain({
    ...(profile === undefined ? {} : { profile }),
    ...(region === undefined ? {} : { clientConfig: { region } }),
  });
};

export interface ApiClientOptions {
  /** With or without `/api/v1` at its end. */
  readonly endpoint: string;
  /** Sign every request with these. @default unsigned, as `asbb local` takes them */
  readonly credentials?: Credentials;
  /** Of the signature; required with credentials. */
  readonly region?: string;
  readonly fetch: typeof fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** @default 30000 */
  readonly timeoutMs?: number;
}

/** A refusal that the API put into words. */
export class ApiError extends CommandError {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    /** One of the contract's codes; absent when API Gateway answered instead. */
    readonly code: string | undefined,
    ...rest: ConstructorParameters<typeof CommandError>
  ) {
    super(...rest);
  }
}

/** Whether an endpoint is on this machine, where `asbb local` takes unsigned requests. */
export const isLoopback = (endpoint: string): boolean => {
  const { hostname } = new URL(endpoint);
  return /^(?:127(?:\.\d+){3}|\[::1\]|(?:.+\.)?localhost)$/i.test(hostname);
};

/** The region in the name of an API Gateway endpoint: there, no other can be right. */
export const regionOf = (endpoint: string): string | undefined =>
  /\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/.exec(new URL(endpoint).hostname)?.[1];

/** @throws CommandError usage if it is no http(s) URL */
export const normalEndpoint = (endpoint: string): string => {
  if (!/^https?:\/\//i.test(endpoint) || !URL.canParse(endpoint)) {
    throw usageError(`the endpoint '${endpoint}' is no URL: write it like https://host or http://127.0.0.1:8080`);
  }
  const { origin, pathname } = new URL(endpoint);
  const path = pathname.replace(/\/+$/, '');
  return `${origin}${path.endsWith(API_BASE_PATH) ? path.slice(0, -API_BASE_PATH.length) : path}`;
};

/** A client of one endpoint. */
export const createApiClient = (options: ApiClientOptions): ApiClient => {
  const endpoint = normalEndpoint(options.endpoint);
  const sign = options.credentials === undefined ? unsigned : signerOf({ ...options, credentials: options.credentials });
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;

  const send = async (message: Message): Promise<Answered> => {
    const headers = await sign(message);
    const { method, url, body } = message;
    // Not AbortSignal.timeout: its timer keeps what belongs to an answered request until the time is over.
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(new DOMException('the time is over', 'TimeoutError')), timeoutMs);
    try {
      // A signature is for one host, so a redirect is an answer like any other.
      const init: RequestInit = { method, headers, redirect: 'manual', signal: deadline.signal };
      const response = await options.fetch(url, body === undefined ? init : { ...init, body });
      return { status: response.status, text: await textOf(response), location: response.headers.get('location') };
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    endpoint,
    request: async (operation, request = {}) => {
      const message = messageOf(endpoint, operation, request);
      const answered = await send(message).catch((error: unknown) => {
        if (message.method !== 'GET' || !isConnectionError(error)) throw unreachable(endpoint, error, timeoutMs);
        return send(message).catch((again: unknown) => {
          throw unreachable(endpoint, again, timeoutMs);
        });
      });
      return read(endpoint, answered) as AnswerTo<typeof operation>;
    },
  };
};

interface Message {
  readonly method: string;
  readonly url: URL;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

interface Answered {
  readonly status: number;
  readonly text: string;
  readonly location: string | null;
}

const messageOf = (endpoint: string, operation: Operation, { path = {}, query = {}, body }: ApiRequest): Message => {
  const { method, path: template } = ROUTES[operation];
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => pathSegment(operation, name, path[name]));
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const search = given.map((pair) => pair.map(encodeURIComponent).join('=')).join('&');
  return {
    method,
    url: new URL(`${endpoint}${filled}${search === '' ? '' : `?${search}`}`),
    query: Object.fromEntries(given),
    headers: {
      accept: 'application/json',
      'user-agent': `asbb/${VERSION}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  };
};

const pathSegment = (operation: Operation, name: string, value: string | undefined): string => {
  if (value === undefined) throw new Error(`${operation} needs {${name}} in its path`);
  // URLs resolve dots away, and another route would be asked.
  if (/^\.{0,2}$/.test(value)) throw usageError(`'${value}' is no ${name.replaceAll('_', ' ')}`);
  return encodeURIComponent(value);
};

const unsigned = async ({ headers }: Message): Promise<Record<string, string>> => ({ ...headers });

const signerOf = ({ credentials, region, now }: ApiClientOptions & { credentials: Credentials }) => {
  if (region === undefined) throw new Error('a signature needs a region');
  let signer: Promise<SignatureV4> | undefined;
  const create = async () => {
    const [{ SignatureV4 }, { Sha256 }] = await Promise.all([import('@smithy/signature-v4'), import('@aws-crypto/sha256-js')]);
    return new SignatureV4({ service: SERVICE, region, credentials: () => provided(credentials), sha256: Sha256 });
  };
  return async ({ method, url, query, headers, body }: Message): Promise<Record<string, string>> => {
    signer ??= create();
    const request = { method, protocol: url.protocol, hostname: url.hostname, path: url.pathname, query, body };
    const signed = await (await signer).sign({ ...request, headers: { ...headers, host: url.host } }, { signingDate: new Date(now()) });
    const { host: _, ...sent } = signed.headers; // fetch writes it itself, the same.
    return sent;
  };
};

const provided = async (credentials: Credentials) => {
  try {
    return await credentials();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      EXIT.notAuthorised,
      `no AWS credentials (${reason}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile`,
      { cause: error },
    );
  }
};

const textOf = async (response: Response): Promise<string> => {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw failure(`the answer has more than ${MAX_ANSWER_BYTES} bytes: is this endpoint an asbb API?`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
};

/** fetch hides what happened in the cause of its TypeError. */
const isConnectionError = (error: unknown): boolean => error instanceof TypeError && error.cause !== undefined;

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the host name cannot be looked up now',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
};

const unreachable = (endpoint: string, error: unknown, timeoutMs: number): unknown => {
  if (error instanceof CommandError) return error;
  const isTimeout = error instanceof Error && error.name === 'TimeoutError';
  if (!isTimeout && !isConnectionError(error)) return error;
  const reason = isTimeout ? `no answer within ${timeoutMs / 1000} s` : reasonOf((error as TypeError).cause);
  const mend = isLoopback(endpoint) ? "start it with 'asbb local', or name another with --endpoint" : 'check the endpoint and the network';
  return new CommandError(EXIT.unreachable, `cannot reach ${endpoint}: ${reason}; ${mend}`, { cause: error });
};

const reasonOf = (cause: unknown): string => {
  const { code, message } = cause as { code?: string; message?: string };
  return REASONS[code ?? ''] ?? message ?? code ?? 'no connection';
};

const read = (endpoint: string, { status, text, location }: Answered): unknown => {
  if (status === 204) return undefined;
  const body = parsed(text);
  if (status >= 200 && status < 300) {
    if (body === undefined) throw failure(`${endpoint} answered without JSON: is it an asbb API?`);
    return body;
  }
  throw refusal(endpoint, { status, location, ...wordsOf(body) });
};

interface Words {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly requestId?: string | undefined;
}

/** Our own shape, or API Gateway's `{"message"}`. */
const wordsOf = (body: unknown): Words => {
  const { error, message, request_id } = (body ?? {}) as {
    error?: { code?: unknown; message?: unknown };
    message?: unknown;
    request_id?: unknown;
  };
  return { code: textOrNot(error?.code), message: textOrNot(error?.message ?? message), requestId: textOrNot(request_id) };
};

const textOrNot = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const refusal = (endpoint: string, { status, location, code, message, requestId }: Words & { status: number; location: string | null }) => {
  const error = (exitCode: ApiError['exitCode'], sentence: string) => new ApiError(status, code, exitCode, sentence);
  if (status === 401 || status === 403) {
    const mend = 'check your AWS credentials (--profile, AWS_*), their region and their policy';
    return error(EXIT.notAuthorised, `not authorised at ${endpoint}: ${message ?? `status ${status}`}; ${mend}`);
  }
  if (code !== undefined) {
    // Only an administrator can look into these, and the id is what they need for it.
    const where = status >= 500 && requestId !== undefined ? ` (request ${requestId})` : '';
    return error(EXIT.failed, `${message ?? code}${where}`);
  }
  if (status === 429 || status >= 500) {
    return error(EXIT.unreachable, `no answer from the API behind ${endpoint}: ${message ?? `status ${status}`}; try again`);
  }
  if (status >= 300 && status < 400) {
    return error(EXIT.failed, `${endpoint} sends its callers on to ${location ?? 'nowhere'}: give that address as --endpoint`);
  }
  return error(
    EXIT.failed,
    `${endpoint} answered with status ${status}${message === undefined ? '' : ` (${message})`}: is it an asbb API?`,
  );
};

const parsed = (text: string): unknown => {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // What that means depends on the status.
  }
};

export interface PageAsked {
  readonly limit: string;
  readonly cursor: string | undefined;
  /** So that it can stand as a query. */
  readonly [name: string]: string | undefined;
}

export interface Listed<T> {
  readonly rows: T[];
  /** There was more than asked for: where it goes on. */
  readonly cursor?: string;
}

/** Follow the cursors of a list until it ends, or `limit` rows are there. */
export const readAll = async <T>(
  ask: (page: PageAsked) => Promise<{ readonly rows: readonly T[]; readonly cursor: string | undefined }>,
  limit = MAX_ROWS,
): Promise<Listed<T>> => {
  const rows: T[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await ask({ limit: String(Math.min(MAX_PAGE_SIZE, limit - rows.length)), cursor });
    if (!Array.isArray(answer.rows)) throw failure('the answer holds no list: is this endpoint an asbb API?');
    rows.push(...answer.rows);
    if (answer.cursor === undefined) return { rows };
    if (answer.cursor === cursor) throw failure('the API gave the same page twice: ask its administrator');
    cursor = answer.cursor;
    if (rows.length >= limit) break;
  }
  return cursor === undefined ? { rows } : { rows, cursor };
};
