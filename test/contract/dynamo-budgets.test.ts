import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { beforeEach, describe, expect, it } from 'vitest';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import type { BudgetStore } from '#app/ports';
import { limitBy } from '#domain/ledger';
import { useDynamoDb } from '#test/contract/dynamodb';
import { aChange, aHold, anAccount, booked, NOON } from '#test/contract/samples';
import { describeBudgetStore } from '#test/contract/store-suite';

const tables = useDynamoDb();

describeBudgetStore('DynamoDB', async () => createDynamoBudgets({ client: tables.document, table: await tables.fresh() }));

describe('the store on DynamoDB', () => {
  let table: string;
  let store: BudgetStore;
  beforeEach(async () => {
    table = await tables.fresh();
    store = createDynamoBudgets({ client: tables.document, table });
  });

  it('books once when the same booking is sent again because its answer was lost', async () => {
    await store.createAccount(anAccount(), undefined);
    const booking = booked(aChange(limitBy(5n)));
    expect([await store.commit(booking), await store.commit(booking)]).toEqual([{ booked: true }, { booked: true }]);
    expect(await store.readAccount('physics')).toMatchObject({ limit: 1_000_000_005n, entryCount: 2 });
  });

  it('takes an entry id again for another booking when the first one was refused', async () => {
    await store.createAccount(anAccount(), undefined);
    const { accounts, entries } = booked(aChange(limitBy(-5n), { require: { kind: 'withdraw' } }));
    const onEmpty = accounts.map((change) => ({ ...change, profile: { ifVersion: 99, set: {} } }));
    expect(await store.commit({ accounts: onEmpty, entries })).toMatchObject({ booked: false });
    expect(await store.commit({ accounts, entries })).toEqual({ booked: true });
  });

  /** An index row that still, or already, says otherwise than the hold itself. */
  const lag = (keys: Record<string, string>, holdId: string) =>
    tables.document.send(new PutCommand({ TableName: table, Item: { pk: `HOLD#${holdId}`, sk: 'LAG', ...keys } }));

  it('shows no hold of which only a lagging index says that it is there', async () => {
    const closed = aHold({ state: 'released', closedAt: NOON });
    const moved = aHold({ account: 'art' });
    for (const after of [closed, moved]) await store.commit({ accounts: [], entries: [], hold: { after } });
    const place = (holdId: string) => `2026-03-14T12:00:00.000Z#${holdId}`;
    await lag({ gsi3pk: 'UNBOUND#hpc-prod', gsi3sk: place(closed.holdId) }, closed.holdId);
    await lag(
      { gsi1pk: 'ACCOUNT#physics', gsi1sk: place(moved.holdId), gsi3pk: 'BOUND#hpc-prod', gsi3sk: place(moved.holdId) },
      moved.holdId,
    );

    const open = (bound?: boolean) =>
      store.listOpenHoldsOfCluster({ cluster: 'hpc-prod', ...(bound === undefined ? {} : { bound }) }, { limit: 9 });
    expect((await open()).items).toEqual([moved]);
    expect((await open(true)).items).toEqual([]);
    expect((await store.listHoldsOfAccount({ account: 'physics' }, { limit: 9 })).items).toEqual([closed]);
  });
});
