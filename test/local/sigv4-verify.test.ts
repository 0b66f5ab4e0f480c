import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLocalServer } from '#cli/local/http-server';
import { createVerifier, type RequestToVerify, type Verifier } from '#cli/local/sigv4-verify';

const ACCESS_KEY = 'AKIDLOCAL';
const SECRET_KEY = 'a-secret-of-this-test';
const NOW = new Date('2026-03-05T07:08:09Z');
const MINUTE_MS = 60_000;
const HOST = '127.0.0.1:8080';
const BODY = '{"nodes":8}';

const verifier = (now = NOW.getTime()): Verifier =>
  createVerifier({ credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY }, service: 'execute-api', now: () => now });

interface Signing {
  readonly path?: string;
  readonly query?: Record<string, string | string[]>;
  readonly rawQueryString?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly secret?: string;
  readonly accessKey?: string;
  readonly sessionToken?: string;
  readonly service?: string;
  readonly region?: string;
  readonly date?: Date;
  readonly applyChecksum?: boolean;
}

/** A request as smithy's signer, the AWS SDK's own, signs it. */
const sign = async (how: Signing = {}): Promise<RequestToVerify> => {
  const {
    path = '/api/v1/accounts',
    query = {},
    rawQueryString = '',
    body = BODY,
    headers = {},
    date = NOW,
    service = 'execute-api',
  } = how;
  const { accessKey = ACCESS_KEY, secret = SECRET_KEY, sessionToken, region = 'eu-central-1', applyChecksum = true } = how;
  const signer = new SignatureV4({
    credentials: { accessKeyId: accessKey, secretAccessKey: secret, ...(sessionToken && { sessionToken }) },
    service,
    region,
    sha256: Sha256,
    applyChecksum,
  });
  const signed = await signer.sign(
    { method: 'POST', protocol: 'http:', hostname: '127.0.0.1', path, query, headers: { host: HOST, ...headers }, body },
    { signingDate: date },
  );
  const lower = Object.fromEntries(Object.entries(signed.headers).map(([name, value]) => [name.toLowerCase(), value]));
  return { method: 'POST', rawPath: path, rawQueryString, headers: lower, body: Buffer.from(body) };
};

const OK = { ok: true, accessKeyId: ACCESS_KEY };
const denied = (message: RegExp): unknown => ({ ok: false, status: 403, message: expect.stringMatching(message) });

describe('createVerifier accepts', () => {
  it.each<[string, Signing]>([
    ['a plain request', {}],
    ['an empty body', { body: '' }],
    ['a body that is signed without X-Amz-Content-Sha256', { applyChecksum: false }],
    ['any region', { region: 'ap-southeast-4' }],
    ['a path that needs encoding twice', { path: '/api/v1/accounts/a%20b%3Ac/d' }],
    ['a path with a slash at its end', { path: '/api/v1/' }],
    ['a query in any order', { query: { b: '2', a: ['y', 'x'], 'c d': 'é +' }, rawQueryString: 'c%20d=%C3%A9%20%2B&b=2&a=y&a=x' }],
    ['a query without a value', { query: { flag: '' }, rawQueryString: 'flag' }],
    ['a signed session token', { sessionToken: 'token' }],
    ['more signed headers', { headers: { 'content-type': 'application/json', 'x-amz-meta': ' a   b ' } }],
    ['a clock nearly five minutes slow', { date: new Date(NOW.getTime() - 5 * MINUTE_MS + 1000) }],
    ['a clock nearly five minutes fast', { date: new Date(NOW.getTime() + 5 * MINUTE_MS - 1000) }],
  ])('%s', async (_, how) => {
    expect(await verifier()(await sign(how))).toEqual(OK);
  });

  it('headers that were added on the way but not signed', async () => {
    const request = await sign();
    expect(await verifier()({ ...request, headers: { ...request.headers, 'x-forwarded-for': '10.0.0.1' } })).toEqual(OK);
  });

  it('the example of the AWS documentation', async () => {
    // "get-vanilla" of Amazon's SigV4 test suite: its keys, its date, its signature.
    const verify = createVerifier({
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
      service: 'service',
      now: () => Date.UTC(2015, 7, 30, 12, 36, 0),
    });
    const authorization =
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31';
    const headers = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z', authorization };
    expect(await verify({ method: 'GET', rawPath: '/', rawQueryString: '', headers, body: Buffer.alloc(0) })).toEqual({
      ok: true,
      accessKeyId: 'AKIDEXAMPLE',
    });
  });
});

describe('createVerifier refuses', () => {
  it.each<[string, Signing, RegExp]>([
    ['a wrong secret', { secret: 'another' }, /signature does not match/],
    ['an unknown key', { accessKey: 'AKIDOTHER' }, /access key is not known/],
    ['another service', { service: 's3' }, /service s3: sign it for execute-api/],
    ['six minutes late', { date: new Date(NOW.getTime() - 6 * MINUTE_MS) }, /five minutes/],
    ['six minutes early', { date: new Date(NOW.getTime() + 6 * MINUTE_MS) }, /five minutes/],
    ['UNSIGNED-PAYLOAD', { headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }, /unsigned bodies/],
    [
      'a hash of another body',
      { headers: { 'x-amz-content-sha256': createHash('sha256').update('x').digest('hex') } },
      /not the hash of the body/,
    ],
  ])('%s', async (_, how, message) => {
    expect(await verifier()(await sign(how))).toEqual(denied(message));
  });

  type Change = (request: RequestToVerify) => Partial<RequestToVerify>;
  const header =
    (name: string, value: string | undefined): Change =>
    ({ headers }) => ({ headers: Object.fromEntries(Object.entries({ ...headers, [name]: value }).filter(([, v]) => v !== undefined)) });
  const authorization =
    (pattern: RegExp, replacement: string): Change =>
    (request) =>
      header('authorization', request.headers.authorization?.replace(pattern, replacement))(request);

  it.each<[string, Change, RegExp]>([
    ['another body', () => ({ body: Buffer.from('{"nodes":9}') }), /signature does not match/],
    ['another path', () => ({ rawPath: '/api/v1/holds' }), /signature does not match/],
    ['another query', () => ({ rawQueryString: 'limit=1' }), /signature does not match/],
    ['another method', () => ({ method: 'DELETE' }), /signature does not match/],
    ['another signed header', header('content-type', 'text/plain'), /signature does not match/],
    ['another host', header('host', 'elsewhere'), /signature does not match/],
    ['another second', header('x-amz-date', '20260305T070810Z'), /signature does not match/],
    ['another region', authorization(/eu-central-1/, 'us-east-1'), /signature does not match/],
    ['no signature', header('authorization', undefined), /not signed/],
    ['a signed header less', header('content-type', undefined), /does not have/],
    ['no date', header('x-amz-date', undefined), /no date/],
    ['a date that is none', header('x-amz-date', '20261305T070809Z'), /date of the request cannot be read/],
    ['a date in another form', header('x-amz-date', '2026-03-05T07:08:09Z'), /date of the request cannot be read/],
    ['a day that is not that of the date', authorization(/20260305/, '20260304'), /not the day of the request/],
    ['an unsigned session token', header('x-amz-security-token', 'token'), /session token is not signed/],
    ['an unsigned host', authorization(/;host;/, ';'), /host header is not signed/],
    ['SignedHeaders that names a property of every object', authorization(/content-type/, 'constructor'), /does not have/],
    ['a signed Authorization', authorization(/content-type/, 'authorization'), /does not have/],
    ['another algorithm', authorization(/HMAC/, 'ECDSA'), /cannot be read/],
    ['a short signature', authorization(/.$/, ''), /cannot be read/],
    ['another scope', authorization(/aws4_request/, 'aws5_request'), /cannot be read/],
    ['basic authentication', header('authorization', 'Basic QUtJRDpzZWNyZXQ='), /cannot be read/],
    ['two Authorization headers', authorization(/$/, ',AWS4-HMAC-SHA256 x'), /cannot be read/],
    ['a very long Authorization', authorization(/content-type/, 'x'.repeat(5000)), /cannot be read/],
    ['a presigned URL', () => ({ rawQueryString: 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00' }), /presigned/],
    ['a query that cannot be decoded', () => ({ rawQueryString: 'a=%' }), /malformed/],
  ])('%s', async (_, change, message) => {
    const request = await sign({ headers: { 'content-type': 'application/json' }, applyChecksum: false });
    expect(await verifier()(request)).toEqual(OK);
    const verification = await verifier()({ ...request, ...change(request) });
    expect(verification).toEqual(denied(message));
    expect(JSON.stringify(verification)).not.toMatch(/[0-9a-f]{64}/);
  });
});

describe('curl --aws-sigv4', () => {
  const run = promisify(execFile);
  const CREDENTIALS = `${ACCESS_KEY}:${SECRET_KEY}`;
  let url = '';

  beforeAll(async () => {
    const server = createLocalServer({
      handle: async (event) => ({ statusCode: 200, body: `${event.requestContext.http.method} ${event.body ?? ''}` }),
      now: Date.now,
      log: () => {},
      verify: { verifier: verifierOfToday, isPublic: (method, path) => method === 'GET' && path === '/health' },
    });
    url = `http://127.0.0.1:${(await server.listen({ host: '127.0.0.1', port: 0 })).port}`;
    return () => server.close();
  });
  const verifierOfToday: Verifier = (request) => verifier(Date.now())(request);

  const curl = async (path: string, ...args: string[]): Promise<string> => {
    const { stdout } = await run('curl', ['-s', '-w', ' %{http_code}', '--max-time', '10', ...args, `${url}${path}`]);
    return stdout;
  };
  const signed = ['--aws-sigv4', 'aws:amz:eu-west-1:execute-api', '-u', CREDENTIALS];
  const json = ['-H', 'Content-Type: application/json', '-d', BODY];

  it.each<[string, string, string[], string]>([
    ['GET', '/api/v1/accounts', signed, 'GET  200'],
    ['a sorted query', '/api/v1/accounts?a=1&limit=5', signed, 'GET  200'],
    ['POST', '/api/v1/budget/check', [...signed, ...json], `POST ${BODY} 200`],
    ['a session token', '/api/v1/accounts', [...signed, '-H', 'X-Amz-Security-Token: t'], 'GET  200'],
    ['DELETE', '/api/v1/accounts/x', [...signed, '-X', 'DELETE'], 'DELETE  200'],
    ['the public route, unsigned', '/health', [], 'GET  200'],
  ])('is let in: %s', async (_, path, args, expected) => {
    expect(await curl(path, ...args)).toBe(expected);
  });

  it.each<[string, string[], RegExp]>([
    ['no signature', [], /not signed/],
    ['a wrong secret', ['--aws-sigv4', 'aws:amz:eu-west-1:execute-api', '-u', `${ACCESS_KEY}:wrong`], /signature does not match/],
    ['another service', ['--aws-sigv4', 'aws:amz:eu-west-1:s3', '-u', CREDENTIALS], /service s3/],
    ['basic authentication', ['-u', CREDENTIALS], /cannot be read/],
  ])('is refused: %s', async (_, args, message) => {
    const answer = await curl('/api/v1/accounts', ...args);
    expect(answer).toMatch(/"code":"not_authorized".* 403$/);
    expect(answer).toMatch(message);
  });
});
