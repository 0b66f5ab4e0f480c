// The advisor's key through the real SDK, from a Secrets Manager that is written from its wire format.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSecretKey, KEY_LIFE_MS } from '#adapters/secret-key';
import { NOON } from '#test/support/builders';
import { createFakeClock } from '#test/support/fake-clock';

interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

let secret: Reply | ((secretId: string) => Reply);
let asked: { target: unknown; body: unknown }[] = [];

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const sent = JSON.parse(Buffer.concat(chunks).toString()) as { SecretId: string };
  asked.push({ target: request.headers['x-amz-target'], body: sent });
  const { status, body } = typeof secret === 'function' ? secret(sent.SecretId) : secret;
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
});
let endpoint: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  asked = [];
});

const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };

const holds = (text: string) => {
  secret = { status: 200, body: { Name: 'asbb/advisor', SecretString: text } };
};

const aKey = () => {
  const clock = createFakeClock(NOON);
  return { clock, key: createSecretKey({ secretName: 'asbb/advisor', clock, endpoint, region: 'eu-central-1', credentials }) };
};

describe('the key of the advisor', () => {
  it.each([
    ['as it is', 'k-1234'],
    ['with the line break of an editor', 'k-1234\n'],
    ['as a field', '{"api_key":"k-1234"}'],
    ['as a field among others', ' {"url":"https://a.example.org", "api_key":" k-1234 "}'],
  ])('is in its secret %s', async (_, text) => {
    holds(text);
    expect(await aKey().key.read()).toBe('k-1234');
    expect(asked).toEqual([{ target: 'secretsmanager.GetSecretValue', body: { SecretId: 'asbb/advisor' } }]);
  });

  it('is read once for all who ask at once, and again after five minutes', async () => {
    holds('k-1');
    const { clock, key } = aKey();
    expect(await Promise.all([key.read(), key.read()])).toEqual(['k-1', 'k-1']);
    holds('k-2');
    await clock.advance(KEY_LIFE_MS - 1);
    expect([await key.read(), asked.length]).toEqual(['k-1', 1]);
    await clock.advance(1);
    expect([await key.read(), asked.length]).toEqual(['k-2', 2]);
  });

  it('is read again at once where the advisor does not take it any more, once for all who find that out', async () => {
    holds('k-1');
    const { key } = aKey();
    await key.read();
    holds('k-2');
    expect(await key.reread('k-1')).toBe('k-2');
    expect(await key.reread('k-1')).toBe('k-2');
    expect([await key.read(), asked.length]).toEqual(['k-2', 2]);
  });

  it.each([
    ['is empty', ''],
    ['is blank', '  '],
    ['has two lines', 'one\ntwo'],
    ['is JSON without the field', '{"key":"k"}'],
    ['is JSON with a field that is no text', '{"api_key":7}'],
    ['is nearly JSON', '{"api_key":'],
  ])('is not there if its secret %s, and is looked for the next time', async (_, text) => {
    holds(text);
    const { key } = aKey();
    await expect(key.read()).rejects.toThrow(
      'secret asbb/advisor has no key: its text must be the advisor\'s key, or JSON like {"api_key": "..."}',
    );
    holds('k-1');
    expect(await key.read()).toBe('k-1');
  });

  it('is not there if its secret is binary, or is not there itself', async () => {
    secret = { status: 200, body: { Name: 'asbb/advisor', SecretBinary: 'AAAA' } };
    await expect(aKey().key.read()).rejects.toThrow('has no key');
    secret = { status: 400, body: { __type: 'ResourceNotFoundException', Message: 'there is none' } };
    await expect(aKey().key.read()).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});
