import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLocalServer, type LocalServer, type LocalServerOptions } from '#cli/local/http-server';
import { BudgetError } from '#domain/errors';

const ARRIVAL_MS = Date.UTC(2026, 2, 5, 7, 8, 9, 10);
const LIMIT_BYTES = 65_536;

interface Running {
  readonly server: LocalServer;
  readonly port: number;
  readonly events: APIGatewayProxyEventV2[];
  readonly log: [string, unknown][];
}

const ok = async (): Promise<APIGatewayProxyStructuredResultV2> => ({
  statusCode: 200,
  headers: { 'Content-Type': 'application/json' },
  body: '{"ok":true}',
});

const serve = async (options: Partial<LocalServerOptions> = {}): Promise<Running> => {
  const events: APIGatewayProxyEventV2[] = [];
  const log: [string, unknown][] = [];
  const { handle = ok, ...rest } = options;
  const server = createLocalServer({
    now: () => ARRIVAL_MS,
    log: (message, cause) => log.push([message, cause]),
    ...rest,
    handle: (event, context) => {
      events.push(event);
      return handle(event, context);
    },
  });
  onTestFinished(() => server.close());
  return { server, ...(await server.listen({ host: '127.0.0.1', port: 0 })), events, log };
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string | string[]>;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
}

const ask = (port: number, { method = 'POST', path = '/', headers = {}, body, agent }: Ask = {}): Promise<Answer> =>
  new Promise((done, fail) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: agent ?? false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        done({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }),
      );
    });
    sent.on('error', fail);
    sent.end(body);
  });

/** One connection, bytes as written. */
const rawConnection = async (port: number): Promise<{ socket: Socket; until(pattern: RegExp): Promise<string>; ended: Promise<void> }> => {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  const ended = new Promise<void>((done) => socket.once('close', () => done()));
  await new Promise((done) => socket.once('connect', done));
  const until = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(text)) {
      if (socket.destroyed) throw new Error(`connection closed after: ${text}`);
      await new Promise((done) => setTimeout(done, 5));
    }
    const seen = text;
    text = '';
    return seen;
  };
  return { socket, until, ended };
};

const only = <T>(list: readonly T[]): T => {
  expect(list).toHaveLength(1);
  return list[0] as T;
};

const envelope = (code: string, message = expect.any(String) as string): unknown => ({
  error: { code, message },
  request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
});

describe('the event', () => {
  it('has the shape of payload format 2.0', async () => {
    const { port, events } = await serve();
    const answer = await ask(port, {
      path: '/api/v1/budget/check?a=1&b=x%20y',
      headers: { Host: 'api.example:8080', 'User-Agent': 'plugin/1', 'Content-Type': 'application/json', 'X-One': ['1', '2'] },
      body: '{"nodes":8}',
    });
    expect(answer).toMatchObject({
      status: 200,
      body: '{"ok":true}',
      headers: { 'content-type': 'application/json', 'content-length': '11' },
    });
    const event = only(events);
    expect(event).toEqual({
      version: '2.0',
      routeKey: '$default',
      rawPath: '/api/v1/budget/check',
      rawQueryString: 'a=1&b=x%20y',
      headers: {
        host: 'api.example:8080',
        'user-agent': 'plugin/1',
        'content-type': 'application/json',
        'x-one': '1,2',
        connection: 'close',
        'content-length': '11',
      },
      queryStringParameters: { a: '1', b: 'x y' },
      requestContext: {
        accountId: '000000000000',
        apiId: 'local',
        domainName: 'api.example',
        domainPrefix: 'local',
        http: { method: 'POST', path: '/api/v1/budget/check', protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'plugin/1' },
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        routeKey: '$default',
        stage: '$default',
        time: '05/Mar/2026:07:08:09 +0000',
        timeEpoch: ARRIVAL_MS,
      },
      body: '{"nodes":8}',
      isBase64Encoded: false,
    });
    expect(answer.headers['apigw-requestid']).toBe(event.requestContext.requestId);
  });

  it.each([
    ['/a%20b/c%2Fd', '/a%20b/c%2Fd', '', undefined],
    ['/a//b/../c', '/a//b/../c', '', undefined],
    ['/?', '/', '', undefined],
    ['/x?k=1&k=2&j=', '/x', 'k=1&k=2&j=', { k: '1,2', j: '' }],
    ['/x?flag&&a=b=c', '/x', 'flag&&a=b=c', { flag: '', a: 'b=c' }],
    ['/x?from=a+b&plus=%2B', '/x', 'from=a+b&plus=%2B', { from: 'a b', plus: '+' }],
    ['/x?u=%C3%A9&q=?', '/x', 'u=%C3%A9&q=?', { u: 'é', q: '?' }],
    ['/x?__proto__=1', '/x', '__proto__=1', JSON.parse('{"__proto__":"1"}')],
    ['http://example/y?a=1', '/y', 'a=1', { a: '1' }],
  ])('reads %s', async (path, rawPath, rawQueryString, query) => {
    const { port, events } = await serve();
    await ask(port, { method: 'GET', path });
    const event = only(events);
    expect(event).toMatchObject({ rawPath, rawQueryString });
    expect(event.queryStringParameters).toEqual(query);
    expect(event.requestContext.http).toMatchObject({ method: 'GET', path: rawPath });
  });

  it.each(['/x?a=%', '/x?a=%zz', '/x?%E0=1', '/%', '/%FF'])('refuses %s as 400', async (path) => {
    const { port, events } = await serve();
    const answer = await ask(port, { method: 'GET', path });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ error: { code: 'validation_failed', details: { fields: [expect.anything()] } } });
    expect(events).toEqual([]);
  });

  const LATIN1 = Buffer.from('{"user":"Jos\xe9"}', 'latin1');
  it.each([
    ['JSON', 'application/json', Buffer.from('{"é":1}'), '{"é":1}', false],
    ['JSON with a charset', 'Application/JSON; charset=utf-8', Buffer.from('{}'), '{}', false],
    ['JSON by suffix', 'application/problem+json', Buffer.from('{}'), '{}', false],
    ['text', 'text/plain', Buffer.from('x'), 'x', false],
    ['JSON with a byte order mark', 'application/json', Buffer.from('\ufeff{}'), '\ufeff{}', false],
    ['JSON that is not UTF-8', 'application/json', LATIN1, 'eyJ1c2VyIjoiSm9z6SJ9', true],
    ['a form', 'application/x-www-form-urlencoded', Buffer.from('a=1'), 'YT0x', true],
    ['no type at all', undefined, Buffer.from('{}'), 'e30=', true],
    ['nothing', 'application/json', Buffer.alloc(0), undefined, false],
  ])('carries %s', async (_, type, body, expected, isBase64Encoded) => {
    const { port, events } = await serve();
    await ask(port, { headers: type === undefined ? {} : { 'content-type': type }, body });
    const event = only(events);
    expect(event.body).toBe(expected);
    expect(event).toHaveProperty('isBase64Encoded', isBase64Encoded);
    if (expected === undefined) expect(event).not.toHaveProperty('body');
  });

  it('gives the handler 30 seconds', async () => {
    const remaining: number[] = [];
    const handle: LocalServerOptions['handle'] = (_, context) => {
      remaining.push(context.getRemainingTimeInMillis());
      return ok();
    };
    const { port } = await serve({ handle });
    await ask(port);
    expect(remaining).toEqual([30_000]);
  });
});

describe('the answer', () => {
  it.each<[string, APIGatewayProxyStructuredResultV2, Partial<Answer>]>([
    ['an empty 204', { statusCode: 204 }, { status: 204, body: '' }],
    ['no type', { statusCode: 200, body: 'x' }, { status: 200, body: 'x', headers: { 'content-type': 'text/plain;charset=UTF-8' } }],
    ['base64', { statusCode: 200, body: 'aGk=', isBase64Encoded: true }, { body: 'hi' }],
    ['more bytes than characters', { statusCode: 200, body: '€' }, { body: '€', headers: { 'content-length': '3' } }],
    ['cookies', { statusCode: 200, cookies: ['a=1', 'b=2'] }, { headers: { 'set-cookie': ['a=1', 'b=2'] } }],
    [
      'framing of its own',
      { statusCode: 200, headers: { 'Content-Length': 99 }, body: 'x' },
      { body: 'x', headers: { 'content-length': '1' } },
    ],
  ])('with %s', async (_, result, expected) => {
    const { port } = await serve({ handle: async () => result });
    expect(await ask(port)).toMatchObject(expected);
  });

  it('to HEAD has no body, and the handler sees HEAD and OPTIONS', async () => {
    const { port, events } = await serve();
    expect(await ask(port, { method: 'HEAD' })).toMatchObject({ status: 200, body: '', headers: { 'content-length': '11' } });
    expect(await ask(port, { method: 'OPTIONS' })).toMatchObject({ status: 200, body: '{"ok":true}' });
    expect(events.map((event) => event.requestContext.http.method)).toEqual(['HEAD', 'OPTIONS']);
  });

  it.each<[string, LocalServerOptions['handle']]>([
    ['throws', () => Promise.reject(new Error('the secret is 42'))],
    ['throws a refusal', () => Promise.reject(new BudgetError('no_price', 'the secret is 42'))],
    ['gives nothing', async () => undefined as never],
    ['gives a status that is none', async () => ({ statusCode: 9999 })],
    ['gives a header that splits the response', async () => ({ statusCode: 200, headers: { a: 'b\r\nc: d' } })],
  ])('is a 500 without details when the handler %s', async (_, handle) => {
    const { port, log } = await serve({ handle });
    const answer = await ask(port);
    expect(answer.status).toBe(500);
    expect(JSON.parse(answer.body)).toEqual(envelope('internal_error'));
    expect(answer.body).not.toContain('secret');
    expect(only(log)[0]).toContain(JSON.parse(answer.body).request_id);
  });

  it('goes out in one write', async () => {
    const { port } = await serve();
    const { socket } = await rawConnection(port);
    const first = new Promise<string>((done) => socket.once('data', (chunk) => done(chunk.toString())));
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await first).toMatch(/^HTTP\/1\.1 200 [\s\S]*\{"ok":true\}$/);
  });
});

describe('a body that is too large', () => {
  const post = (bytes: number): string => `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${bytes}\r\n\r\n`;

  it('is one byte above 64 KiB', async () => {
    const { port, events } = await serve();
    expect(await ask(port, { body: Buffer.alloc(LIMIT_BYTES, 'x'), headers: { 'content-type': 'text/plain' } })).toMatchObject({
      status: 200,
    });
    expect(only(events).body).toHaveLength(LIMIT_BYTES);
    const answer = await ask(port, { body: Buffer.alloc(LIMIT_BYTES + 1, 'x') });
    expect(answer.status).toBe(413);
    expect(JSON.parse(answer.body)).toEqual(envelope('body_too_large'));
    expect(events).toHaveLength(1);
  });

  it.each([
    ['with its length', {}],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
    ['after 100-continue', { expect: '100-continue' }],
  ])('of 1 MiB, %s, is answered on a connection that stays usable', async (_, headers) => {
    const { port } = await serve();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const sockets = new Set<Socket>();
    agent.on('free', (socket: Socket) => sockets.add(socket));
    expect(await ask(port, { body: Buffer.alloc(1024 * 1024), headers: headers as Record<string, string>, agent })).toMatchObject({
      status: 413,
    });
    expect(await ask(port, { method: 'GET', agent })).toMatchObject({ status: 200 });
    expect(sockets.size).toBe(1);
  });

  it('is answered only when all of it has arrived', async () => {
    const { port } = await serve();
    const { socket, until } = await rawConnection(port);
    let early = '';
    socket.on('data', (chunk) => {
      early += chunk.toString();
    });
    socket.write(post(200_000));
    socket.write(Buffer.alloc(199_999));
    await new Promise((done) => setTimeout(done, 200));
    expect(early).toBe('');
    socket.write('x');
    expect(await until(/request_id.*\}/)).toMatch(/^HTTP\/1\.1 413 /);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(await until(/ok/)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('is not read without end', async () => {
    const { port } = await serve();
    const { socket, ended } = await rawConnection(port);
    let sent = 0;
    const flood = (): void => {
      if (socket.destroyed || sent > 64 * 1024 * 1024) return;
      sent += LIMIT_BYTES;
      // Server and client share this thread: whoever writes without a pause does not let the other hang up.
      socket.write(Buffer.alloc(LIMIT_BYTES), () => setImmediate(flood));
    };
    socket.write(post(1e9));
    flood();
    await ended;
    expect(sent).toBeGreaterThan(16 * 1024 * 1024);
    expect(sent).toBeLessThan(40 * 1024 * 1024);
  });

  it('is given up after ten seconds', async () => {
    const { port } = await serve();
    const { socket, until, ended } = await rawConnection(port);
    socket.write(post(200_000));
    socket.write(Buffer.alloc(100_000));
    const began = Date.now();
    expect(await until(/request_id.*\}/)).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close/i);
    await ended;
    expect(Date.now() - began).toBeGreaterThan(9_500);
    expect(Date.now() - began).toBeLessThan(13_000);
  });
});

describe('requests that cannot be read', () => {
  it.each([
    ['bytes that are no HTTP', 'hello\r\n\r\n'],
    ['headers above 16 KiB', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  ])('%s', async (_, bytes) => {
    const { port, events } = await serve();
    const { socket, until, ended } = await rawConnection(port);
    socket.write(bytes);
    const answer = await until(/request_id.*\}/);
    await ended;
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toEqual(envelope('validation_failed'));
    expect(events).toEqual([]);
  });

  it('a client that goes away while it sends harms nobody', async () => {
    const { port, events, log } = await serve();
    const { socket } = await rawConnection(port);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
    await new Promise((done) => setTimeout(done, 50));
    socket.destroy();
    expect(await ask(port)).toMatchObject({ status: 200 });
    expect(events).toHaveLength(1);
    expect(log).toEqual([]);
  });
});

describe('verification', () => {
  const verify: NonNullable<LocalServerOptions['verify']> = {
    isPublic: (method, path) => method === 'GET' && path === '/health',
    verifier: async ({ headers }) =>
      headers['x-key'] ? { ok: true, accessKeyId: headers['x-key'] } : { ok: false, status: 403, message: 'the request is not signed' },
  };

  it('refuses before the handler is asked', async () => {
    const { port, events } = await serve({ verify });
    const answer = await ask(port);
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toEqual(envelope('not_authorized', 'the request is not signed'));
    expect(events).toEqual([]);
  });

  it('tells the handler who asks, as API Gateway does', async () => {
    const { port, events } = await serve({ verify });
    await ask(port, { headers: { 'x-key': 'AKIDLOCAL' } });
    expect(only(events).requestContext).toMatchObject({ authorizer: { iam: { accessKey: 'AKIDLOCAL', accountId: '000000000000' } } });
  });

  it('lets public requests in', async () => {
    const { port, events } = await serve({ verify });
    expect(await ask(port, { method: 'GET', path: '/health' })).toMatchObject({ status: 200 });
    expect(only(events).requestContext).not.toHaveProperty('authorizer');
  });
});

describe('web pages', () => {
  it.each([
    ['of another site', 'https://evil.example', 403],
    ['without a name', 'null', 403],
    ['of this machine', 'http://localhost:3000', 200],
  ])('a page %s may ask: %s -> %i', async (_, origin, status) => {
    const { port, events } = await serve({});
    const answer = await ask(port, { method: 'POST', headers: { Origin: origin }, body: '{}' });
    expect(answer.status).toBe(status);
    expect(events).toHaveLength(status === 200 ? 1 : 0);
  });
});

describe('listen and close', () => {
  it('names the mend when the port is taken', async () => {
    const { port } = await serve();
    const second = createLocalServer({ handle: ok, now: () => ARRIVAL_MS, log: () => {} });
    await expect(second.listen({ host: '127.0.0.1', port })).rejects.toThrow(
      `port ${port} is taken: choose another with --port, or --port 0 for a free one`,
    );
  });

  it('lets a request in flight finish, ends idle connections, and refuses new ones', async () => {
    let release: (() => void) | undefined;
    const handle: LocalServerOptions['handle'] = (event) =>
      event.rawPath === '/slow' ? new Promise((done) => (release = () => done(ok()))) : ok();
    const { server, port } = await serve({ handle });
    const idle = await rawConnection(port);
    const kept = await rawConnection(port);
    kept.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await kept.until(/ok/);
    const slow = ask(port, { path: '/slow', method: 'GET' });
    while (release === undefined) await new Promise((done) => setTimeout(done, 5));

    const closed = server.close();
    await Promise.all([idle.ended, kept.ended]);
    await expect(ask(port)).rejects.toThrow(/ECONNREFUSED/);
    release();
    expect(await slow).toMatchObject({ status: 200, headers: { connection: 'close' } });
    await closed;
    await server.close();
  });

  it('gives a request in flight no more than five seconds', async () => {
    const { server, port } = await serve({ handle: () => new Promise(() => {}) });
    const stuck = ask(port).catch((error: Error) => error.message);
    await new Promise((done) => setTimeout(done, 100));
    const began = Date.now();
    await server.close();
    expect(Date.now() - began).toBeGreaterThan(4_900);
    expect(Date.now() - began).toBeLessThan(6_000);
    expect(await stuck).toMatch(/hang up|ECONNRESET/);
  });
});
