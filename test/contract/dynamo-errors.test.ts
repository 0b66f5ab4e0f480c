// What the store makes of DynamoDB's errors. The client is the real one; only the other end of its connection is not.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createDocumentClient } from '#adapters/dynamo-client';
import { type BudgetStore, StoreContended, StoreUnavailable } from '#app/ports';
import { limitBy } from '#domain/ledger';
import { aChange, aHold, booked } from '#test/contract/samples';

type Answer = (response: ServerResponse, body: Record<string, unknown>) => void;

const answering =
  (status: number, body: unknown): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
const failing = (name: string, more: object = {}, status = 400): Answer =>
  answering(status, { __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: `a ${name}`, Message: `a ${name}`, ...more });
const cancelling = (...codes: string[]): Answer =>
  failing('TransactionCanceledException', { CancellationReasons: codes.map((Code) => ({ Code, Message: Code })) });

let server: Server;
let requests: Record<string, unknown>[];
let answer: Answer;
let store: BudgetStore;

beforeEach(async () => {
  requests = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
      requests.push(body);
      answer(response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const client = createDocumentClient({ endpoint, region: 'us-east-1', credentials, requestTimeoutMs: 200 });
  store = createDynamoBudgets({ client, table: 'budgets' });
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const deposit = () => store.commit(booked(aChange(limitBy(1n))));

describe('a commit', () => {
  it.each<[string, Answer]>([
    ['a conflict with another transaction', cancelling('TransactionConflict', 'None')],
    ['a conflict beside a failed condition', cancelling('ConditionalCheckFailed', 'TransactionConflict')],
    ['throttling of one part', cancelling('None', 'ThrottlingError')],
    ['throughput of one part', cancelling('ProvisionedThroughputExceeded', 'None')],
    ['TransactionConflictException', failing('TransactionConflictException')],
    ['TransactionInProgressException', failing('TransactionInProgressException')],
    ['ThrottlingException', failing('ThrottlingException')],
    ['ProvisionedThroughputExceededException', failing('ProvisionedThroughputExceededException')],
    ['RequestLimitExceeded', failing('RequestLimitExceeded')],
  ])('is contended after %s, and is not tried again by the client', async (_, given) => {
    answer = given;
    await expect(deposit()).rejects.toBeInstanceOf(StoreContended);
    expect(requests).toHaveLength(1);
  });

  it.each<[string, Answer]>([
    ['InternalServerError', failing('InternalServerError', {}, 500)],
    ['a 503', failing('ServiceUnavailable', {}, 503)],
    ['a page of a proxy', answering(502, '<html>Bad Gateway</html>')],
    ['an answer that is no JSON', answering(200, '<html>Hello</html>')],
    ['a connection that breaks', (response) => response.destroy()],
    ['silence', () => {}],
  ])('has no clear answer after %s, and says why', async (_, given) => {
    answer = given;
    const error = await deposit().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreUnavailable);
    expect((error as Error).cause).toBeInstanceOf(Error);
    expect(requests).toHaveLength(1);
  });

  it('has no answer when nobody listens', async () => {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise((resolve) => server.close(resolve));
    const client = createDocumentClient({ endpoint, region: 'us-east-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } });
    await expect(createDynamoBudgets({ client, table: 'budgets' }).readAccount('physics')).rejects.toBeInstanceOf(StoreUnavailable);
  });

  it('names the table and the mend when there is none', async () => {
    answer = failing('ResourceNotFoundException');
    const error = await deposit().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StoreUnavailable);
    expect((error as Error).message).toBe('there is no table budgets here: create it with `asbb database migrate`, or name another one');
  });

  it.each<[string, Answer]>([
    ['ValidationException', failing('ValidationException')],
    ['a part that is not valid', cancelling('ValidationError', 'None')],
    ['a part that is not valid beside a failed condition', cancelling('ConditionalCheckFailed', 'ValidationError')],
    ['IdempotentParameterMismatchException', failing('IdempotentParameterMismatchException')],
    ['AccessDeniedException', failing('AccessDeniedException')],
  ])('is a bug, or a wrong set-up, after %s', async (_, given) => {
    answer = given;
    const error = await deposit().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toBeInstanceOf(StoreContended);
    expect(error).not.toBeInstanceOf(StoreUnavailable);
  });

  it('is refused only when conditions are all that failed', async () => {
    answer = cancelling('ConditionalCheckFailed', 'None');
    expect(await deposit()).toEqual({ booked: false, refusal: { accounts: [{ account: 'physics', stored: null }], runs: [] } });
  });

  it('carries the same token when it is sent again, and another for other writes', async () => {
    answer = answering(200, {});
    const booking = booked(aChange(limitBy(1n)));
    const other = { ...booking, accounts: booking.accounts.map((change) => ({ ...change, at: change.at + 1 })) };
    for (const each of [booking, booking, other]) await store.commit(each);
    const [first, again, changed] = requests.map(({ ClientRequestToken }) => String(ClientRequestToken));
    expect(first).toMatch(new RegExp(`^${booking.entries[0]?.entryId}-[0-9a-f]{9}$`));
    expect(again).toBe(first);
    expect(changed).not.toBe(first);
  });

  it('without an entry is a new transaction each time, for then the hold alone says whether it was written', async () => {
    answer = answering(200, {});
    const booking = { accounts: [], entries: [], hold: { after: aHold() } };
    for (const each of [booking, booking]) await store.commit(each);
    const [first, again] = requests.map(({ ClientRequestToken }) => ClientRequestToken);
    expect(again).not.toBe(first);
  });

  it('that holds a fraction is a bug that is never sent: it could not be read again', async () => {
    await expect(store.commit({ accounts: [], entries: [], hold: { after: aHold({ tasks: 1.5 }) } })).rejects.toThrow(
      'items hold integers only',
    );
    expect(requests).toEqual([]);
  });
});

describe('a read', () => {
  it('fails loudly on an item of a shape that it does not know', async () => {
    answer = answering(200, { Item: { pk: { S: 'ACCOUNT#physics' }, sk: { S: 'ACCOUNT' }, v: { N: '2' } } });
    await expect(store.readAccount('physics')).rejects.toThrow(
      'item ACCOUNT#physics ACCOUNT: attribute v is no version that this program knows: 2',
    );
  });

  it('names the attribute that is not as it should be', async () => {
    answer = answering(200, {
      Item: { pk: { S: 'CLUSTERS' }, sk: { S: 'hpc' }, v: { N: '1' }, cluster_uid: { S: 'u' }, last_heartbeat: { S: 'noon' } },
    });
    await expect(store.readCluster('hpc')).rejects.toThrow('item CLUSTERS hpc: attribute last_heartbeat is no integer');
  });

  const rowsOf = (names: readonly string[]) => ({ Items: names.map((name) => ({ pk: { S: 'ACCOUNTS' }, sk: { S: name } })) });

  it('asks again for keys that were left out, and gives up after five times', async () => {
    answer = (response, body) =>
      answering(200, 'RequestItems' in body ? { Responses: {}, UnprocessedKeys: body.RequestItems } : rowsOf(['physics']))(response, body);
    await expect(store.listAccounts({ limit: 5 })).rejects.toBeInstanceOf(StoreContended);
    expect(requests).toHaveLength(6);
  });

  it.each<[string, Answer, new (message: string) => Error]>([
    ['contended', failing('ThrottlingException'), StoreContended],
    ['without an answer', failing('InternalServerError', {}, 500), StoreUnavailable],
  ])('that is %s says so whatever is read', async (_, given, kind) => {
    answer = given;
    for (const read of [
      () => store.readAccount('physics'),
      () => store.listAccounts({ limit: 1 }),
      () => store.listOverdueHoldIds({ now: 0 }, { limit: 1 }),
      () => store.beat({ cluster: 'c', clusterUid: 'u', agentVersion: null, lastHeartbeat: 0, principal: null }, 0),
      () => store.deletePartition('aws'),
    ]) {
      await expect(read()).rejects.toBeInstanceOf(kind);
    }
  });
});
