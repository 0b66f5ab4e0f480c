import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ApiError, createApiClient, isLoopback, normalEndpoint, readAll, regionOf } from '#cli/api-client';
import { createVerifier } from '#cli/local/sigv4-verify';
import { anAccountAnswer } from '#test/cli/answers';
import { fakeApi, NOON } from '#test/cli/machine';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string | undefined>;
  readonly body: Buffer;
}

/** A server of our own, so that what is on the wire can be looked at. Answers are taken in turn; the last one stays. */
const aServer = async (...answers: ({ status?: number; body?: unknown; headers?: Record<string, string> } | 'hang up' | 'hang')[]) => {
  const received: Received[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = '', url = '', headers } = request;
    received.push({ method, url, headers: headers as Record<string, string>, body: Buffer.concat(chunks) });
    const answer = answers[Math.min(received.length, answers.length) - 1] ?? {};
    if (answer === 'hang') return;
    if (answer === 'hang up') return request.socket.destroy();
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
    return response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? { accounts: [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
};

const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const unsignedClient = (endpoint: string, timeoutMs?: number) =>
  createApiClient({ endpoint, fetch, now: () => NOON, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
const signedClient = (endpoint: string, keys: typeof KEYS & { sessionToken?: string } = KEYS) =>
  createApiClient({ endpoint, fetch, now: () => NOON, region: 'eu-west-1', credentials: async () => keys });

describe('endpoints', () => {
  it.each([
    ['http://h:1', 'http://h:1'],
    ['http://h:1/', 'http://h:1'],
    ['http://h:1/api/v1', 'http://h:1'],
    ['http://h:1/api/v1/', 'http://h:1'],
    ['https://h/prod/', 'https://h/prod'],
    ['https://h/prod/api/v1', 'https://h/prod'],
  ])('%s is %s', (given, normal) => {
    expect(normalEndpoint(given)).toBe(normal);
  });

  it.each(['127.0.0.1:8080', 'h', 'ftp://h', '', 'http://'])("'%s' is none", (given) => {
    expect(() => normalEndpoint(given)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  it.each([
    ['http://127.0.0.1:80', true],
    ['http://127.9.9.9', true],
    ['http://localhost:80', true],
    ['http://[::1]:80', true],
    ['https://127.0.0.1.example.com', false],
    ['https://localhost.example.com', false],
    ['https://10.0.0.1', false],
  ])('%s is on this machine: %s', (endpoint, expected) => {
    expect(isLoopback(endpoint)).toBe(expected);
  });

  it('name their region where AWS named them', () => {
    expect(regionOf('https://abc.execute-api.us-gov-west-1.amazonaws.com')).toBe('us-gov-west-1');
    expect(regionOf('https://budget.example.org')).toBeUndefined();
  });
});

describe('requests', () => {
  it('go to the route below /api/v1, with path, query and body', async () => {
    const { endpoint, received } = await aServer({ body: {} });
    const api = unsignedClient(`${endpoint}/api/v1/`);
    await api.request('listHoldsOfAccount', { path: { account: 'proj001' }, query: { user: 'a b&c', state: undefined } });
    await api.request('deposit', { path: { account: 'proj001' }, body: { amount: 1 } });
    expect(received.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /api/v1/accounts/proj001/holds?user=a%20b%26c',
      'POST /api/v1/accounts/proj001/deposits',
    ]);
    expect(received[1]?.body.toString()).toBe('{"amount":1}');
    expect(received[1]?.headers).toMatchObject({ 'content-type': 'application/json', 'user-agent': 'asbb/0.1.0' });
    expect(received[0]?.headers.authorization).toBeUndefined();
  });

  it('never leave their route by dots', async () => {
    const { fetch, asked } = fakeApi({});
    const api = createApiClient({ endpoint: 'http://127.0.0.1', fetch, now: () => NOON });
    await expect(api.request('showPartition', { path: { partition: '..' } })).rejects.toThrow("'..' is no partition");
    expect(asked).toEqual([]);
  });
});

describe('signatures', () => {
  it('are what the documentation of SigV4 makes of the request', async () => {
    const { endpoint, received } = await aServer({ body: anAccountAnswer() });
    await signedClient(endpoint).request('createAccount', { body: { account: 'proj001', budget_limit: 10 } });
    const [request] = received;
    const signed = /SignedHeaders=([^,]+), Signature=(\w+)/.exec(request?.headers.authorization ?? '');
    // Worked out step by step, without the library under test.
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
    const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
    const names = (signed?.[1] ?? '').split(';');
    const headers = names.map((name) => `${name}:${request?.headers[name]}\n`).join('');
    const canonical = ['POST', '/api/v1/accounts', '', headers, names.join(';'), sha256(request?.body ?? '')].join('\n');
    const scope = '20261123/eu-west-1/execute-api/aws4_request';
    const toSign = ['AWS4-HMAC-SHA256', '20261123T120000Z', scope, sha256(canonical)].join('\n');
    const key = ['20261123', 'eu-west-1', 'execute-api', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${KEYS.secretAccessKey}`);
    expect(names).toEqual(expect.arrayContaining(['content-type', 'host', 'x-amz-date']));
    expect(request?.headers.authorization).toContain(`Credential=AKIDEXAMPLE/${scope}`);
    expect(signed?.[2]).toBe(hmac(key, toSign).toString('hex'));
  });

  it('hold with queries, escaped paths and session tokens, as our own server checks them', async () => {
    const { endpoint, received } = await aServer({ body: {} });
    const api = signedClient(endpoint, { ...KEYS, sessionToken: 'tok+en==' });
    await api.request('listHoldsOfAccount', { path: { account: 'proj001' }, query: { user: "o'brien (a+b) é", limit: '5' } });
    await api.request('showPartition', { path: { partition: 'a b' } });
    await api.request('audit', { body: { account: 'é' } });
    const verify = createVerifier({ credentials: KEYS, service: 'execute-api', now: () => NOON });
    for (const { method, url, headers, body } of received) {
      const [rawPath = '', rawQueryString = ''] = url.split('?');
      expect(headers['x-amz-security-token']).toBe('tok+en==');
      expect(await verify({ method, rawPath, rawQueryString, headers, body })).toEqual({ ok: true, accessKeyId: 'AKIDEXAMPLE' });
    }
    expect(received).toHaveLength(3);
  });

  it('need credentials', async () => {
    const credentials = async () => {
      throw new Error('Could not load credentials from any providers');
    };
    const api = createApiClient({ endpoint: 'https://h', fetch: fakeApi({}).fetch, now: () => NOON, region: 'r', credentials });
    await expect(api.request('listAccounts')).rejects.toMatchObject({
      exitCode: 4,
      message:
        'no AWS credentials (Could not load credentials from any providers): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile',
    });
  });
});

describe('failures', () => {
  const failing = async (answer: { status: number; body?: unknown; headers?: Record<string, string> }) => {
    const { endpoint } = await aServer(answer);
    const error = await unsignedClient(endpoint)
      .request('listAccounts')
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    const { exitCode, message, code } = error as ApiError;
    return { exitCode, code, message: message.replace(endpoint, 'ENDPOINT') };
  };

  it.each([
    [{ status: 404, body: { error: { code: 'account_not_found', message: 'there is none' } } }, 1, 'there is none'],
    [{ status: 400, body: { error: { code: 'validation_failed', message: 'account: is required' } } }, 1, 'account: is required'],
    [{ status: 503, body: { error: { code: 'account_contended', message: 'busy' }, request_id: 'r1' } }, 1, 'busy (request r1)'],
    [
      { status: 403, body: { message: 'Forbidden' } },
      4,
      'not authorised at ENDPOINT: Forbidden; check your AWS credentials (--profile, AWS_*), their region and their policy',
    ],
    [
      { status: 403, body: { error: { code: 'not_authorized', message: 'not you' } } },
      4,
      'not authorised at ENDPOINT: not you; check your AWS credentials (--profile, AWS_*), their region and their policy',
    ],
    [{ status: 429, body: { message: 'Too Many Requests' } }, 5, 'no answer from the API behind ENDPOINT: Too Many Requests; try again'],
    [{ status: 502, body: '<html>' }, 5, 'no answer from the API behind ENDPOINT: status 502; try again'],
    [{ status: 404, body: '<html>' }, 1, 'ENDPOINT answered with status 404: is it an asbb API?'],
    [
      { status: 302, headers: { location: 'https://other' } },
      1,
      'ENDPOINT sends its callers on to https://other: give that address as --endpoint',
    ],
  ])('%j ends with %i', async (answer, exitCode, message) => {
    expect(await failing(answer)).toMatchObject({ exitCode, message });
  });

  it('a page that is no JSON is no answer', async () => {
    const { endpoint } = await aServer({ body: '<html>login</html>' });
    await expect(unsignedClient(endpoint).request('listAccounts')).rejects.toThrow('answered without JSON: is it an asbb API?');
  });

  it('names the endpoint that nobody listens on', async () => {
    const { endpoint } = await aServer();
    closers.splice(0).forEach((close) => {
      close();
    });
    await expect(unsignedClient(endpoint).request('listAccounts')).rejects.toMatchObject({
      exitCode: 5,
      message: `cannot reach ${endpoint}: connection refused; start it with 'asbb local', or name another with --endpoint`,
    });
  });

  it('names the host that does not exist', async () => {
    const api = unsignedClient('http://nosuch.invalid');
    await expect(api.request('listAccounts')).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringContaining('http://nosuch.invalid'),
    });
  });

  it('does not wait for ever', async () => {
    const { endpoint, received } = await aServer('hang');
    await expect(unsignedClient(endpoint, 200).request('listAccounts')).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringContaining('no answer within 0.2 s'),
    });
    expect(received).toHaveLength(1); // Who was slow once is not asked again.
  });

  it('asks a GET again when its connection was cut, once', async () => {
    const once = await aServer('hang up', { body: { accounts: [] } });
    expect(await unsignedClient(once.endpoint).request('listAccounts')).toEqual({ accounts: [] });
    expect(once.received).toHaveLength(2);

    const always = await aServer('hang up');
    await expect(unsignedClient(always.endpoint).request('listAccounts')).rejects.toMatchObject({ exitCode: 5 });
    expect(always.received).toHaveLength(2);
  });

  it('never asks a POST again, which may have been heard', async () => {
    const { endpoint, received } = await aServer('hang up');
    await expect(unsignedClient(endpoint).request('createAccount', { body: {} })).rejects.toMatchObject({ exitCode: 5 });
    expect(received).toHaveLength(1);
  });
});

describe('lists', () => {
  const pages =
    (count: number, size: number) =>
    async ({ cursor, limit }: { cursor: string | undefined; limit: string }) => {
      const page = Number(cursor ?? 0);
      const rows = Array.from({ length: Math.min(size, Number(limit)) }, (_, i) => `${page}.${i}`);
      return { rows, cursor: page + 1 < count ? String(page + 1) : undefined };
    };

  it('are followed to their end', async () => {
    expect(await readAll(pages(3, 2))).toEqual({ rows: ['0.0', '0.1', '1.0', '1.1', '2.0', '2.1'] });
  });

  it('go on behind an empty page', async () => {
    const answers = [
      { rows: [], cursor: 'a' },
      { rows: ['x'], cursor: undefined },
    ];
    expect(await readAll(async ({ cursor }) => answers[cursor === 'a' ? 1 : 0] ?? { rows: [], cursor: undefined })).toEqual({
      rows: ['x'],
    });
  });

  it('stop at the limit, and say where they go on', async () => {
    expect(await readAll(pages(9, 2), 3)).toEqual({ rows: ['0.0', '0.1', '1.0'], cursor: '2' });
  });

  it('ask for no page larger than the API gives', async () => {
    const limits: string[] = [];
    await readAll(async ({ limit }) => {
      limits.push(limit);
      return { rows: Array.from({ length: Number(limit) }), cursor: String(limits.length) };
    }, 1_200);
    expect(limits).toEqual(['500', '500', '200']);
  });

  it('end when the API turns in a circle', async () => {
    await expect(readAll(async () => ({ rows: [], cursor: 'same' }))).rejects.toThrow('the same page twice');
  });
});
