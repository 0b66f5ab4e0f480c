// What an operation costs at DynamoDB, counted at the SDK.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AccountBody, TEN_DOLLARS, type VerdictBody } from '#test/http/api';
import { type Composed, type StoreRequest, startComposed } from '#test/money/composed';

let server: Composed;
let sent: StoreRequest[] = [];

const job = { account: 'physics', partition: 'ten', nodes: 1, wall_time: '01:00:00' };
const CONSISTENT_GET = 'GetItem, consistent';

beforeAll(async () => {
  server = await startComposed();
  server.signIn('arn:aws:sts::111122223333:assumed-role/head-node/i-0123456789abcdef0');
  await server.api.put('/clusters/local', { cluster_uid: 'u' });
  await server.api.put('/partitions/ten', TEN_DOLLARS);
  await server.api.post('/accounts', { account: 'physics', budget_limit: 1200 });
  await server.api.post('/accounts', { account: 'empty', budget_limit: 0 });
  await server.api.post('/budget/quote', { ...job, cluster: 'local' }); // Warm: prices, models and who acts for whom are in memory.
  server.hook((request, send) => {
    sent.push(request);
    return send();
  });
});
afterAll(() => server.stop());
beforeEach(() => {
  sent = [];
});

const requests = () => sent.map(({ operation, body }) => (body.ConsistentRead === true ? `${operation}, consistent` : operation));
const itemsWritten = () => sent.flatMap(({ body }) => (body.TransactItems as unknown[] | undefined) ?? []).length;
const check = (hold_id?: string, account = 'physics') => server.api.post<VerdictBody>('/budget/check', { ...job, account, hold_id });
const heldNow = async () => (await server.store.readAccount('physics'))?.held;

describe('requests to DynamoDB', () => {
  it('are one consistent read and one transaction of four items for a warm check', async () => {
    expect((await check(randomUUID())).body.decision).toBe('admitted');
    expect(requests()).toEqual([CONSISTENT_GET, 'TransactWriteItems']);
    expect(itemsWritten()).toBe(4); // Account, hold, its spec, ledger entry.
  });

  it('are the same two for a check whose hold the service names', async () => {
    expect((await check()).body.decision).toBe('admitted');
    expect(requests()).toEqual([CONSISTENT_GET, 'TransactWriteItems']);
  });

  it('write nothing for a refusal, and look at the hold once in case it is a repetition', async () => {
    expect((await check(randomUUID(), 'empty')).body.code).toBe('insufficient_budget');
    expect(requests()).toEqual([CONSISTENT_GET, CONSISTENT_GET]);
  });

  it('are one read for a refusal of a check that names no hold', async () => {
    expect((await check(undefined, 'empty')).body.code).toBe('insufficient_budget');
    expect(requests()).toEqual([CONSISTENT_GET]);
  });

  it('write nothing for a check that is repeated', async () => {
    const holdId = randomUUID();
    await check(holdId);
    const held = await heldNow();
    sent = [];
    expect((await check(holdId)).body.hold_id).toBe(holdId);
    // The transaction meets the hold, and its image is the answer; then the account as it is, and the estimate.
    expect(requests()).toEqual([CONSISTENT_GET, 'TransactWriteItems', CONSISTENT_GET, CONSISTENT_GET]);
    expect(await heldNow()).toBe(held);
  });

  it('are one consistent read of the hold and one transaction for a settle', async () => {
    const holdId = randomUUID();
    await check(holdId);
    sent = [];
    expect((await server.api.post('/budget/reconcile', { hold_id: holdId, actual_cost: 5 })).status).toBe(200);
    expect(requests()).toEqual([CONSISTENT_GET, 'TransactWriteItems']);
    expect(itemsWritten()).toBe(4); // Account, hold, run, ledger entry.
  });

  it('are one more transaction, which writes nothing, for a settle that is repeated', async () => {
    const holdId = randomUUID();
    await check(holdId);
    await server.api.post('/budget/reconcile', { hold_id: holdId, actual_cost: 5 });
    const before = await server.api.get<AccountBody>('/accounts/physics');
    sent = [];
    expect((await server.api.post('/budget/reconcile', { hold_id: holdId, actual_cost: 5 })).status).toBe(200);
    expect(requests()).toEqual([CONSISTENT_GET, 'TransactWriteItems']);
    expect((await server.api.get<AccountBody>('/accounts/physics')).body).toEqual(before.body);
  });

  it('are one read and one transaction for a batch of 40 runs', async () => {
    const holdId = randomUUID();
    const array = { ...job, array: '1-40', hold_id: holdId };
    expect((await server.api.post<VerdictBody>('/budget/check', array)).body.hold_amount).toBe(480);
    sent = [];
    const runs = Array.from({ length: 40 }, (_, i) => ({ run_id: `local-${i}`, actual_cost: 1 }));
    expect((await server.api.post(`/holds/${holdId}/runs`, { runs })).status).toBe(200);
    expect(requests()).toEqual([CONSISTENT_GET, 'TransactWriteItems']);
    expect(itemsWritten()).toBe(82); // Account, hold, and a run and an entry each.
  });

  it('are one read for a quote', async () => {
    expect((await server.api.post<VerdictBody>('/budget/quote', job)).status).toBe(200);
    expect(requests()).toEqual([CONSISTENT_GET]);
  });
});
