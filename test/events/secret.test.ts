import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasSecret } from '#adapters/secret';

let server: Server;
let endpoint: string;
let reply: { status: number; body: object };

beforeEach(async () => {
  server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(reply.status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(reply.body));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const ask = () =>
  hasSecret('asbb/advisor', { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'key', secretAccessKey: 'secret' } });

describe('hasSecret', () => {
  it.each([
    ['is there', 200, { Name: 'asbb/advisor' }, true],
    ['is about to be deleted', 200, { Name: 'asbb/advisor', DeletedDate: 1_700_000_000 }, false],
    ['is not there', 400, { __type: 'ResourceNotFoundException', Message: 'no such secret' }, false],
  ])('tells of a secret that %s', async (_, status, body, expected) => {
    reply = { status, body };
    expect(await ask()).toBe(expected);
  });

  it('does not take a refusal for an answer', async () => {
    reply = { status: 400, body: { __type: 'AccessDeniedException', Message: 'not authorized to perform: secretsmanager:DescribeSecret' } };
    await expect(ask()).rejects.toThrow('not authorized');
  });
});
