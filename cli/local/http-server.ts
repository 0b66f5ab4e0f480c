// API Gateway's HTTP API without AWS: node:http in front of a Lambda handler, payload format 2.0.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { APIGatewayEventRequestContextV2, APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { RequestToVerify, Verifier } from '#cli/local/sigv4-verify';
import { MAX_BODY_BYTES } from '#contract/limits';
import { BudgetError, ERROR_STATUS, type ErrorCode, invalid } from '#domain/errors';

/** A client that is still sending does not read, so the rest of a body that is too large is read and thrown away, up to here. */
const DRAIN_LIMIT_BYTES = 16 * 1024 * 1024;
const DRAIN_LIMIT_MS = 10_000;
const HEADER_LIMIT_BYTES = 16 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const HANDLER_TIMEOUT_MS = 30_000;
const TIMEOUT_CHECK_MS = 1_000;
/** Longer than clients keep idle connections, so that the client closes first and no request meets a closing socket. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** A thousand submissions at once are a thousand connections; Node's 511 would reset some. */
const LISTEN_BACKLOG = 4096;
const CLOSE_GRACE_MS = 5_000;
const ACCOUNT_ID = '000000000000';
const API_ID = 'local';

export type Handle = (event: APIGatewayProxyEventV2, context: Context) => Promise<APIGatewayProxyStructuredResultV2>;

export interface LocalServerOptions {
  readonly handle: Handle;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Demand signatures. @default every request is let in */
  readonly verify?: {
    readonly verifier: Verifier;
    /** Requests that need no signature. */
    readonly isPublic: (method: string, path: string) => boolean;
  };
  /** What else is answered on this port, beside the API. @default nothing */
  readonly beside?: AwsService;
  /** For what the client is not told. */
  readonly log: (message: string, cause?: unknown) => void;
}

/** An AWS service whose wire is JSON 1.1: POST /, with the operation in X-Amz-Target. */
export interface AwsService {
  /** What its targets begin with, like `AWSEvents`. */
  readonly targetPrefix: string;
  readonly maxBodyBytes: number;
  /** Its refusals are answers too: they have that service's shape. */
  readonly answer: (request: RequestToVerify, requestId: string) => Promise<Pick<Reply, 'status' | 'headers' | 'body'>>;
}

export interface LocalServer {
  /** @throws Error that names the mend when the port is taken */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ port: number }>;
  /** Refuse new connections, end idle ones, and give requests in flight five seconds. Again = the same promise. */
  close(): Promise<void>;
}

/** A server that gives every request to `handle`, as an HTTP API with one `$default` route does. */
export const createLocalServer = (options: LocalServerOptions): LocalServer => {
  const server = createServer({
    maxHeaderSize: HEADER_LIMIT_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    noDelay: true,
  });
  const connections = trackConnections(server);
  let closing: Promise<void> | undefined;

  server.on('request', (request, response) => {
    const arrival = { requestId: randomUUID(), at: options.now() };
    const reply = (content: Reply | undefined): void => {
      if (closing !== undefined) response.shouldKeepAlive = false;
      send(response, content);
    };
    answer(request, arrival, options)
      .then(reply)
      .catch((error: unknown) => reply(refusal(error, arrival, options.log)));
  });
  server.on('clientError', refuseUnreadable);

  return {
    listen: ({ host, port }) => listen(server, host, port),
    close: () => {
      closing ??= connections.close();
      return closing;
    },
  };
};

const listen = (server: Server, host: string, port: number): Promise<{ port: number }> =>
  new Promise((done, fail) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      const taken = `port ${port} is taken: choose another with --port, or --port 0 for a free one`;
      fail(error.code === 'EADDRINUSE' ? new Error(taken, { cause: error }) : error);
    };
    server.once('error', refuse);
    server.listen({ host, port, backlog: LISTEN_BACKLOG }, () => {
      server.off('error', refuse);
      done({ port: (server.address() as AddressInfo).port });
    });
  });

/** Node's closeIdleConnections spares a connection that has not yet sent a request, so idle is counted here. */
const trackConnections = (server: Server): { close(): Promise<void> } => {
  const inFlight = new Map<Socket, number>();
  let closed = false;
  const count = (socket: Socket, step: number): void => {
    const requests = (inFlight.get(socket) ?? 0) + step;
    inFlight.set(socket, requests);
    if (closed && requests === 0) socket.end();
  };
  server.on('connection', (socket: Socket) => {
    inFlight.set(socket, 0);
    socket.once('close', () => inFlight.delete(socket));
  });
  server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    count(socket, 1);
    response.once('close', () => inFlight.has(socket) && count(socket, -1));
  });
  const close = (): Promise<void> =>
    new Promise((done) => {
      closed = true;
      const force = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
      server.close(() => {
        clearTimeout(force);
        done();
      });
      for (const [socket, requests] of inFlight) if (requests === 0) socket.destroy();
    });
  return { close };
};

interface Arrival {
  readonly requestId: string;
  readonly at: number;
}

interface Reply {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
  /** The rest of the request was not read, so nothing can follow it on this connection. */
  readonly hangUp?: true;
}

const answer = async (request: IncomingMessage, arrival: Arrival, options: LocalServerOptions): Promise<Reply> => {
  const beside = serviceOf(request, options);
  const maxBytes = beside?.maxBodyBytes ?? MAX_BODY_BYTES;
  const body = await readBody(request, maxBytes);
  if (!Buffer.isBuffer(body)) return tooLarge(body, maxBytes, arrival);
  const event = buildEvent(request, body, arrival);
  refuseForeignPages(event.headers);
  if (beside !== undefined) {
    const { rawPath, rawQueryString, headers } = event;
    return beside.answer({ method: 'POST', rawPath, rawQueryString, headers, body }, arrival.requestId);
  }
  const identity = await authenticate(event, body, options.verify);
  const signed = identity === undefined ? event : { ...event, requestContext: { ...event.requestContext, authorizer: { iam: identity } } };
  const result = await withTimeout(invoke(options.handle, signed, buildContext(arrival, options.now)));
  return toReply(result, arrival);
};

const serviceOf = ({ method, url, headers }: IncomingMessage, { beside }: LocalServerOptions): AwsService | undefined => {
  const target = headers['x-amz-target'];
  const isItsOwn = method === 'POST' && url === '/' && typeof target === 'string' && target.startsWith(`${beside?.targetPrefix}.`);
  return isItsOwn ? beside : undefined;
};

const LOOPBACK_NAMES = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** Any web page may send a plain POST to a port of this machine. Browsers then name the page in Origin; programs send none. */
const refuseForeignPages = ({ origin }: APIGatewayProxyEventV2['headers']): void => {
  if (origin === undefined || (URL.canParse(origin) && LOOPBACK_NAMES.has(new URL(origin).hostname))) return;
  throw new BudgetError('not_authorized', `a request from the page ${origin} is not taken: this server is for programs on this machine`);
};

/** A handler answers its own refusals, so whatever it throws is a bug: its text, a BudgetError's too, is not for the client. */
const invoke = async (handle: Handle, event: APIGatewayProxyEventV2, context: Context): Promise<APIGatewayProxyStructuredResultV2> => {
  try {
    return await handle(event, context);
  } catch (cause) {
    throw new Error('the handler threw', { cause });
  }
};

/** A body within the limit, or what became of one that is not. */
const readBody = (request: IncomingMessage, maxBytes: number): Promise<Buffer | 'drained' | 'abandoned'> =>
  new Promise((done, fail) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let giveUp: NodeJS.Timeout | undefined;
    const finish = (outcome: Buffer | 'drained' | 'abandoned'): void => {
      clearTimeout(giveUp);
      if (outcome === 'abandoned') request.pause();
      done(outcome);
    };
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      chunks.length = 0;
      giveUp ??= setTimeout(finish, DRAIN_LIMIT_MS, 'abandoned');
      if (size > maxBytes + DRAIN_LIMIT_BYTES) finish('abandoned');
    });
    request.once('end', () => finish(size <= maxBytes ? Buffer.concat(chunks) : 'drained'));
    request.on('error', (error) => {
      clearTimeout(giveUp);
      fail(new ClientGone('the client went away while it sent its request', { cause: error }));
    });
  });

/** Nobody is left to read an answer, and nobody here did anything wrong. */
class ClientGone extends Error {}

const tooLarge = (body: 'drained' | 'abandoned', maxBytes: number, { requestId }: Arrival): Reply => {
  const reply = errorReply('body_too_large', `the body is larger than ${maxBytes} bytes: send less`, requestId);
  return body === 'drained' ? reply : { ...reply, hangUp: true };
};

const buildEvent = (request: IncomingMessage, body: Buffer, { requestId, at }: Arrival): APIGatewayProxyEventV2 => {
  const { rawPath, rawQueryString } = splitTarget(request.url ?? '/');
  const headers = joinHeaders(request.rawHeaders);
  const query = parseQuery(rawQueryString);
  const text = body.length > 0 && isText(headers['content-type']) && isUtf8(body);
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath,
    rawQueryString,
    headers,
    ...(query && { queryStringParameters: query }),
    requestContext: {
      accountId: ACCOUNT_ID,
      apiId: API_ID,
      domainName: (headers.host ?? 'localhost').replace(/:\d*$/, ''),
      domainPrefix: API_ID,
      http: {
        method: request.method ?? 'GET',
        path: rawPath,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
        userAgent: headers['user-agent'] ?? '',
      },
      requestId,
      routeKey: '$default',
      stage: '$default',
      time: commonLogTime(at),
      timeEpoch: at,
    },
    ...(body.length > 0 && { body: body.toString(text ? 'utf8' : 'base64') }),
    isBase64Encoded: body.length > 0 && !text,
  };
};

/** A proxy's request line holds a whole URL; the event holds path and query as they were sent. */
const splitTarget = (target: string): { rawPath: string; rawQueryString: string } => {
  const origin = /^https?:\/\/[^/?]*/i.exec(target)?.[0] ?? '';
  const [path = '', ...query] = target.slice(origin.length).split('?');
  const rawPath = path === '' ? '/' : path;
  decode(rawPath, 'path'); // The path stays as it is, but whoever routes it can rely on its being decodable.
  return { rawPath, rawQueryString: query.join('?') };
};

/** Node's own header object drops some duplicates and joins others with a semicolon. */
const joinHeaders = (raw: readonly string[]): Record<string, string> => {
  const joined = new Map<string, string>();
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const [name = '', value = ''] = [raw[i]?.toLowerCase(), raw[i + 1]];
    const before = joined.get(name);
    joined.set(name, before === undefined ? value : `${before},${value}`);
  }
  return Object.fromEntries(joined);
};

const parseQuery = (rawQueryString: string): Record<string, string> | undefined => {
  const joined = new Map<string, string>();
  for (const part of rawQueryString.split('&').filter((part) => part !== '')) {
    const [name = '', ...rest] = part.replaceAll('+', ' ').split('=');
    const key = decode(name, 'query');
    const value = decode(rest.join('='), 'query');
    const before = joined.get(key);
    joined.set(key, before === undefined ? value : `${before},${value}`);
  }
  return joined.size === 0 ? undefined : Object.fromEntries(joined);
};

const decode = (text: string, part: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(part, 'holds a malformed percent-encoding: write % as %25');
  }
};

const isText = (contentType = ''): boolean => {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  return type.startsWith('text/') || /^application\/(json|xml|javascript|[^/]+\+(json|xml))$/.test(type);
};

/** 12/Mar/2020:19:03:58 +0000 */
const commonLogTime = (at: number): string => {
  // Such as: Thu, 12 Mar 2020 19:03:58 GMT
  const [, day, month, year, time] = new Date(at).toUTCString().split(' ');
  return `${day}/${month}/${year}:${time} +0000`;
};

/** As API Gateway describes an IAM caller. */
type IamIdentity = Readonly<Record<'accessKey' | 'accountId' | 'callerId' | 'userArn' | 'userId', string>>;

const authenticate = async (
  { rawPath, rawQueryString, headers, requestContext }: APIGatewayProxyEventV2,
  body: Buffer,
  verify: LocalServerOptions['verify'],
): Promise<IamIdentity | undefined> => {
  const { method } = (requestContext satisfies APIGatewayEventRequestContextV2).http;
  if (verify === undefined || verify.isPublic(method, rawPath)) return undefined;
  const verification = await verify.verifier({ method, rawPath, rawQueryString, headers, body });
  if (!verification.ok) throw new BudgetError('not_authorized', verification.message);
  const { accessKeyId } = verification;
  const userArn = `arn:aws:iam::${ACCOUNT_ID}:root`;
  return { accessKey: accessKeyId, accountId: ACCOUNT_ID, callerId: accessKeyId, userArn, userId: accessKeyId };
};

const buildContext = ({ requestId, at }: Arrival, now: () => number): Context => ({
  callbackWaitsForEmptyEventLoop: true,
  functionName: 'asbb-local',
  functionVersion: '$LATEST',
  invokedFunctionArn: `arn:aws:lambda:us-east-1:${ACCOUNT_ID}:function:asbb-local`,
  memoryLimitInMB: '512',
  awsRequestId: requestId,
  logGroupName: '/aws/lambda/asbb-local',
  logStreamName: 'local',
  getRemainingTimeInMillis: () => Math.max(0, at + HANDLER_TIMEOUT_MS - now()),
  done: () => {},
  fail: () => {},
  succeed: () => {},
});

/** API Gateway gives up on its integration too; what the handler began may still complete, exactly as there. */
const withTimeout = async <T>(work: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, fail) => {
    const late = new BudgetError('service_unavailable', `no answer within ${HANDLER_TIMEOUT_MS / 1000} seconds: try again`);
    timer = setTimeout(fail, HANDLER_TIMEOUT_MS, late);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
};

const toReply = (result: APIGatewayProxyStructuredResultV2, { requestId }: Arrival): Reply => {
  const { statusCode = 200, headers = {}, body = '', isBase64Encoded = false, cookies = [] } = result;
  const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)] as const);
  return {
    status: statusCode,
    headers: {
      ...(body !== '' && { 'content-type': 'text/plain;charset=UTF-8' }), // What API Gateway says if the handler does not.
      'apigw-requestid': requestId,
      ...Object.fromEntries(given.filter(([name]) => !OWN_HEADERS.has(name))),
      ...(cookies.length > 0 && { 'set-cookie': cookies }),
    },
    body: Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8'),
  };
};

/** Framing is the server's affair. */
const OWN_HEADERS = new Set(['connection', 'content-length', 'keep-alive', 'transfer-encoding']);

const refusal = (error: unknown, { requestId }: Arrival, log: LocalServerOptions['log']): Reply | undefined => {
  if (error instanceof ClientGone) return undefined;
  if (error instanceof BudgetError) return errorReply(error.code, error.message, requestId, error.details);
  log(`request ${requestId} failed`, error);
  return errorReply('internal_error', 'something went wrong here: look for the request id in the server log', requestId);
};

const errorReply = (code: ErrorCode, message: string, requestId: string, details?: Readonly<Record<string, unknown>>): Reply => ({
  status: ERROR_STATUS[code],
  headers: { 'content-type': 'application/json', 'apigw-requestid': requestId },
  body: envelope(code, message, requestId, details),
});

const envelope = (code: ErrorCode, message: string, requestId: string, details?: Readonly<Record<string, unknown>>): Buffer =>
  Buffer.from(JSON.stringify({ error: { code, message, ...(details && { details }) }, request_id: requestId }));

const send = (response: ServerResponse, reply: Reply | undefined): void => {
  if (reply === undefined || response.destroyed) return;
  const { status, headers, body, hangUp } = reply;
  if (hangUp) {
    response.shouldKeepAlive = false;
    response.once('finish', () => response.socket?.destroySoon());
  }
  const bodyless = status === 204 || status === 304; // RFC 9110, 8.6: no Content-Length then.
  response.writeHead(status, bodyless ? headers : { ...headers, 'content-length': body.length });
  response.end(bodyless ? undefined : body); // Head and body in one write: two would wait for each other's acknowledgement.
};

/** Bytes that are no HTTP, too many headers, or a request that does not end: there is no request object to answer. */
const refuseUnreadable = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  // Not 431: the contract has one status for what is wrong with a request.
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
  const reason = error.code === 'HPE_HEADER_OVERFLOW' ? 'its address and headers are too long' : STATUS_CODES[status]?.toLowerCase();
  const body = envelope('validation_failed', `the request cannot be read: ${reason}`, randomUUID());
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  socket.end(Buffer.concat([Buffer.from(head), body]), () => socket.destroy());
};
