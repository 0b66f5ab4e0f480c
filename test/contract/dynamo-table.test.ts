// The table as it really is: made as contract/table.ts says, and filled with nothing that is not in the list of keys of docs/adr/010-one-table.md.
import { CreateTableCommand, DeleteItemCommand, DescribeTableCommand, PutItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb';
import { describe, expect, it } from 'vitest';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { claimSchema, createTable, tableStatus } from '#adapters/dynamo-table';
import type { Booking, BudgetStore } from '#app/ports';
import { SHARDS, shardOf } from '#contract/table';
import { BEYOND, BOUNDS } from '#domain/accuracy';
import type { Hold } from '#domain/hold';
import { limitBy, settleShare, spendAvailable } from '#domain/ledger';
import { useDynamoDb } from '#test/contract/dynamodb';
import {
  aChange,
  aHold,
  aHoldId,
  aLink,
  anAccount,
  anEntry,
  aPartition,
  aPrice,
  aRun,
  aUsage,
  booked,
  NOON,
  placing,
  rewriting,
  someClosed,
} from '#test/contract/samples';

const tables = useDynamoDb();

describe('createTable', () => {
  it('makes the table, its indexes and its stream, and writes the schema version', async () => {
    const table = tables.name();
    expect(await createTable(tables.base, table)).toEqual({
      table,
      state: 'active',
      schemaVersion: 1,
      missingIndexes: [],
      usable: true,
      created: true,
    });
    const { Table } = await tables.base.send(new DescribeTableCommand({ TableName: table }));
    expect(Table).toMatchObject({
      BillingModeSummary: { BillingMode: 'PAY_PER_REQUEST' },
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
    });
    const indexes = Table?.GlobalSecondaryIndexes?.map(({ IndexName, Projection }) => `${IndexName} ${Projection?.ProjectionType}`);
    expect(indexes?.sort()).toEqual(['GSI1 KEYS_ONLY', 'GSI2 KEYS_ONLY', 'GSI3 KEYS_ONLY']);
  });

  it('changes nothing the second time, nor when two do it at once', async () => {
    const table = tables.name();
    const both = await Promise.all([createTable(tables.base, table), createTable(tables.base, table)]);
    expect(both.map(({ usable }) => usable)).toEqual([true, true]);
    expect(await createTable(tables.base, table)).toMatchObject({ created: false, usable: true });
  });

  it('leaves a table of another schema version as it is, and says so', async () => {
    const table = await tables.fresh();
    const Item = { pk: { S: 'CONFIG' }, sk: { S: 'SCHEMA' }, v: { N: '1' }, schema_version: { N: '2' } };
    await tables.base.send(new PutItemCommand({ TableName: table, Item }));
    expect(await createTable(tables.base, table)).toMatchObject({ created: false, schemaVersion: 2, usable: false });
    expect(await tableStatus(tables.base, table)).toMatchObject({ schemaVersion: 2, usable: false });
  });

  it("leaves somebody else's table as it is, and says what it lacks", async () => {
    const table = tables.name();
    await tables.base.send(
      new CreateTableCommand({
        TableName: table,
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      }),
    );
    expect(await createTable(tables.base, table)).toMatchObject({
      missingIndexes: ['GSI1', 'GSI2', 'GSI3'],
      schemaVersion: null,
      usable: false,
    });
  });

  it('tells of a table that is not there', async () => {
    expect(await tableStatus(tables.base, tables.name())).toMatchObject({ state: 'absent', schemaVersion: null, usable: false });
  });
});

describe('claimSchema', () => {
  it('marks a table that has no schema version as ours, once, and leaves one of another version as it is', async () => {
    const table = await tables.fresh();
    const Key = { pk: { S: 'CONFIG' }, sk: { S: 'SCHEMA' } };
    await tables.base.send(new DeleteItemCommand({ TableName: table, Key }));
    expect(await tableStatus(tables.base, table)).toMatchObject({ schemaVersion: null, usable: false });
    expect(await claimSchema(tables.base, table)).toBe(1);
    expect(await tableStatus(tables.base, table)).toMatchObject({ schemaVersion: 1, usable: true });
    await tables.base.send(new PutItemCommand({ TableName: table, Item: { ...Key, v: { N: '1' }, schema_version: { N: '2' } } }));
    expect(await claimSchema(tables.base, table)).toBe(2);
    expect(await tableStatus(tables.base, table)).toMatchObject({ schemaVersion: 2 });
  });

  it('makes no table', async () => {
    const table = tables.name();
    expect(await claimSchema(tables.base, table)).toBeUndefined();
    expect(await tableStatus(tables.base, table)).toMatchObject({ state: 'absent' });
  });
});

/** The list of docs/adr/010-one-table.md, and the index keys of an item in the order of their names. */
const SHAPES = [
  'ACCOUNT#<> / ACCOUNT',
  'ACCOUNT#<> / DEPOSIT#<>',
  'ACCOUNTS / <>',
  'ANNOUNCED#<> / ANNOUNCED',
  'CLUSTERS / <>',
  'CONFIG / SCHEMA',
  'COUNTED#<> / USAGE',
  'HOLD#<> / HOLD',
  'HOLD#<> / RUN#<>',
  'HOLD#<> / SPEC',
  'JOB#<>#<> / <time>',
  'LEDGER#<>#<month> / <>',
  'PARTITIONS / <>',
  'PRICE#<> / <>',
  'USAGE#<>#<month> / <day>#<>#<>',
];

const scan = async (table: string, index?: string) => {
  const { Items = [] } = await tables.base.send(new ScanCommand({ TableName: table, ...(index && { IndexName: index }) }));
  return Items.map((item) => Object.fromEntries(Object.entries(item).map(([name, value]) => [name, value.S ?? value.N ?? ''])));
};

/** Words of ours stay, what stands between them becomes a sign. */
const shapeOf = (key: string): string =>
  key
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/, '<time>')
    .replace(/^\d{4}-\d\d-\d\d#/, '<day>#')
    .replace(/#\d{4}-\d\d$/, '#<month>')
    .split('#')
    .map((word, index) => (index === 0 ? word : word.startsWith('<') ? word : '<>'))
    .join('#')
    .replace(/^(?![A-Z]+(?:#|$)|<).*$/, '<>');

describe('the items of one hold from place to settle', () => {
  const live = async () => {
    const table = await tables.fresh();
    const store = createDynamoBudgets({ client: tables.document, table });
    const place = async (hold: Hold) => {
      await store.commit(placing(hold));
      return hold;
    };
    await store.createAccount(anAccount(), anEntry());
    await store.commit({ ...booked(aChange(limitBy(1n))), deposit: { account: 'physics', depositId: 'grant', amount: 1n } });
    await store.beat({ cluster: 'hpc-prod', clusterUid: 'u', agentVersion: null, lastHeartbeat: NOON, principal: null }, 0);
    await store.writePartition(aPartition());
    await store.writePrice(aPrice());
    const hold = await place(aHold());
    const unbound = await place(aHold());
    const bind: Booking & { hold: { after: Hold } } = {
      ...rewriting(hold, { jobId: '4711', submittedAt: NOON }),
      jobLink: { link: aLink({ holdId: hold.holdId }) },
    };
    const bound = bind.hold.after;
    await store.commit(bind);
    const settle = async () => {
      const run = aRun({ owner: hold.holdId, cost: 1n });
      const change = aChange(settleShare({ share: hold.amount, cost: 1n }));
      const after: Hold = { ...bound, state: 'settled', amount: 0n, used: 1n, closedAt: NOON, version: 3 };
      await store.commit({ ...booked(change, { type: 'settle' }), hold: { before: bound, after }, runs: [{ after: run }] });
    };
    return { table, store, hold, unbound, settle };
  };

  it('have the keys that the design lists, and no others', async () => {
    const { table, store, settle } = await live();
    await settle();
    await store.countUsage([{ entryId: 'e1', usage: [aUsage()] }], NOON);
    await store.setAnnounced('physics.used.50.1000', NOON);
    const items = await scan(table);
    const shapes = new Set(items.map(({ pk = '', sk = '' }) => `${shapeOf(pk)} / ${shapeOf(sk)}`));
    expect([...shapes].sort()).toEqual(SHAPES);
    expect(new Set(items.map(({ v }) => v))).toEqual(new Set(['1']));
  });

  it('are in the indexes only as long as these have a question about them', async () => {
    const { table, hold, unbound, settle } = await live();
    const keysOf = async () => {
      const items = (await scan(table)).filter((item) => Object.keys(item).some((name) => name.startsWith('gsi')));
      return new Map(
        items.map(({ pk, gsi1pk, gsi1sk, gsi2pk, gsi2sk, gsi3pk, gsi3sk }) => [pk, { gsi1pk, gsi1sk, gsi2pk, gsi2sk, gsi3pk, gsi3sk }]),
      );
    };
    const expected = (holdId: string) => ({
      gsi1pk: 'ACCOUNT#physics',
      gsi1sk: `2026-03-14T12:00:00.000Z#${holdId}`,
      gsi2pk: `OPEN#${shardOf(holdId)}`,
      gsi2sk: `2026-03-15T18:00:00.000Z#${holdId}`,
      gsi3sk: `2026-03-14T12:00:00.000Z#${holdId}`,
    });
    const waiting = { ...expected(unbound.holdId), gsi3pk: 'UNBOUND#hpc-prod' };
    expect(await keysOf()).toEqual(
      new Map([
        [`HOLD#${hold.holdId}`, { ...expected(hold.holdId), gsi3pk: 'BOUND#hpc-prod' }],
        [`HOLD#${unbound.holdId}`, waiting],
      ]),
    );

    await settle();
    const { gsi1pk, gsi1sk } = expected(hold.holdId);
    expect((await keysOf()).get(`HOLD#${hold.holdId}`)).toEqual({ gsi1pk, gsi1sk });
    expect([(await scan(table, 'GSI2')).length, (await scan(table, 'GSI3')).length]).toEqual([1, 1]);
  });
});

/** DynamoDB counts names and texts in UTF-8 bytes, a number as one byte per two digits and one more, and 3 bytes and one per element for a map or list. */
const sizeOf = (value: Record<string, unknown>): number => {
  const [[type, content] = ['', '']] = Object.entries(value);
  if (type === 'S') return Buffer.byteLength(content as string);
  if (type === 'N') return Math.ceil((content as string).replace(/^-|0+$/g, '').length / 2) + 1;
  if (type === 'L') return 3 + (content as Record<string, unknown>[]).reduce((sum, each) => sum + 1 + sizeOf(each), 0);
  if (type === 'M') return 3 + sizeOfMap(content as Record<string, Record<string, unknown>>) + Object.keys(content as object).length;
  return 1;
};
const sizeOfMap = (map: Record<string, Record<string, unknown>>): number =>
  Object.entries(map).reduce((sum, [name, each]) => sum + Buffer.byteLength(name) + sizeOf(each), 0);

/** As all but arrays and changed jobs are priced until they end: for what they were held for at first. */
const PRICED = { estimate: 823_045_267_511n, estimateLeft: 823_045_267_511n, held: 120_000_000n };

describe('a hold of one instance type', () => {
  const measured = async (hold: Hold): Promise<number> => {
    const table = await tables.fresh();
    await createDynamoBudgets({ client: tables.document, table }).commit({ accounts: [], entries: [], hold: { after: hold } });
    const { Items = [] } = await tables.base.send(
      new ScanCommand({ TableName: table, FilterExpression: 'sk = :hold', ExpressionAttributeValues: { ':hold': { S: 'HOLD' } } }),
    );
    return sizeOfMap({ ...Items[0] } as unknown as Record<string, Record<string, unknown>>);
  };
  const bound = { jobId: '4711234', submittedAt: NOON, used: 123_456_789_012n, amount: 987_654_321_012n, version: 12, priced: PRICED };

  it('is at most one kilobyte, for a kilobyte is one write unit', async () => {
    const size = await measured(aHold(bound));
    console.info(`hold item of one instance type: ${size} bytes`);
    expect(size).toBeLessThanOrEqual(1024);
  });

  it('is so with long names too', async () => {
    const account = 'department-of-astrophysics-2026';
    const partition = 'aws-hpc7a-exclusive';
    const { terms } = aHold();
    const rates = terms.rates.map((rate) => ({
      ...rate,
      partition,
      nodeTypes: [{ type: 'u7inh-32tb.480xlarge', priceE10UsdPerHour: 4_071_234_567_891n, cpus: 1_920, memoryMib: 33_554_432, gpus: 8 }],
    }));
    const long = aHold({
      ...bound,
      account,
      partition,
      cluster: 'parallelcluster-eu-central-1',
      user: 'maria.sklodowska-curie',
      terms: { ...terms, partition, rates },
    });
    const size = await measured(long);
    console.info(`hold item with long names: ${size} bytes`);
    expect(size).toBeLessThanOrEqual(1024);
  });
});

describe('what the stream leaves behind', () => {
  const itemsOf = async (write: (store: BudgetStore) => Promise<unknown>) => {
    const table = await tables.fresh();
    await write(createDynamoBudgets({ client: tables.document, table }));
    const items = await scan(table);
    return items.filter(({ pk }) => pk !== 'CONFIG');
  };

  it('is a row of integers, and a mark that goes away by itself after the stream has', async () => {
    const items = await itemsOf((store) => store.countUsage([{ entryId: 'e1', usage: [aUsage()] }], NOON));
    const [mark, row] = items.sort((a, b) => String(a.pk).localeCompare(String(b.pk)));
    expect(mark).toEqual({ pk: 'COUNTED#e1', sk: 'USAGE', v: '1', ttl: String(NOON / 1000 + 2 * 24 * 3600) });
    expect(row).toEqual({
      pk: 'USAGE#physics#2026-03',
      sk: '2026-03-14#curie#aws',
      v: '1',
      account: 'physics',
      user: 'curie',
      partition: 'aws',
      used: '5',
      jobs: '1',
      node_seconds: '7200',
    });
  });

  it('has in the same row how closed holds compare with their estimates', async () => {
    const usage = [aUsage({ closed: someClosed({ within: { 95: 2, more: 1 } }) })];
    const items = await itemsOf((store) => store.countUsage([{ entryId: 'e1', usage }], NOON));
    expect(items.find(({ pk }) => pk?.startsWith('USAGE'))).toEqual({
      pk: 'USAGE#physics#2026-03',
      sk: '2026-03-14#curie#aws',
      v: '1',
      account: 'physics',
      user: 'curie',
      partition: 'aws',
      used: '5',
      jobs: '1',
      node_seconds: '7200',
      closed_holds: '2',
      closed_estimate: '9007199254740993',
      closed_held: '9007199254740995',
      closed_used: '7',
      closed_overran: '1',
      within_95: '2',
      within_more: '1',
      unspent_holds: '3',
      unspent_held: '11',
    });
  });

  it('is at most a kilobyte a row, even where holds are within every bound', async () => {
    const table = await tables.fresh();
    const store = createDynamoBudgets({ client: tables.document, table });
    const within = Object.fromEntries([...BOUNDS, BEYOND].map((bound) => [String(bound), 12_345]));
    const user = 'maria.sklodowska-curie';
    await store.countUsage([{ entryId: 'e1', usage: [aUsage({ user, closed: someClosed({ within }) })] }], NOON);
    const { Items = [] } = await tables.base.send(
      new ScanCommand({ TableName: table, FilterExpression: 'attribute_exists(closed_holds)' }),
    );
    const size = sizeOfMap({ ...Items[0] } as unknown as Record<string, Record<string, unknown>>);
    console.info(`usage row with every bound: ${size} bytes`);
    expect(size).toBeLessThanOrEqual(1024);
  });

  it('has no words for what nobody said', async () => {
    const items = await itemsOf((store) => store.countUsage([{ entryId: 'e1', usage: [aUsage({ user: null, partition: null })] }], NOON));
    expect(items.find(({ pk }) => pk?.startsWith('USAGE'))).toEqual(
      expect.not.objectContaining({ user: expect.anything(), partition: expect.anything() }),
    );
  });

  it('keeps what was announced for as long as a budget may last', async () => {
    const [mark] = await itemsOf((store) => store.setAnnounced('physics.used.50.1000', NOON));
    expect(mark).toEqual({
      pk: 'ANNOUNCED#physics.used.50.1000',
      sk: 'ANNOUNCED',
      v: '1',
      ttl: String(NOON / 1000 + 400 * 24 * 3600),
    });
  });
});

describe('a ledger entry', () => {
  it('is at most a kilobyte with all that usage needs, and is read without', async () => {
    const table = await tables.fresh();
    const store = createDynamoBudgets({ client: tables.document, table });
    await store.createAccount(anAccount(), undefined);
    const run = {
      holdId: aHoldId(),
      jobId: '4711234_999',
      runId: 'parallelcluster-eu-central-1-123456789',
      user: 'maria.sklodowska-curie',
    };
    const full = booked(aChange(spendAvailable(123_456_789_012n)), {
      type: 'settle',
      ...run,
      note: 'COMPLETED',
      partition: 'aws-hpc7a-exclusive',
      nodeSeconds: 123_456_789,
      closed: {
        account: 'department-of-astrophysics-2026',
        user: run.user,
        partition: 'aws-hpc7a-exclusive',
        day: '2026-03-14',
        estimate: 123_456_789_012n,
        held: 148_148_146_815n,
        used: 123_456_789_013n,
        usedBefore: 123_456_789_011n,
      },
    });
    const old = booked(aChange(spendAvailable(5n)), { type: 'settle', ...run });
    await store.commit(full);
    await store.commit(old);
    const { items } = await store.listEntries({ account: 'physics', from: NOON, to: NOON + 9 }, { limit: 9 });
    expect(items).toEqual([...full.entries, ...old.entries]);
    const { Items = [] } = await tables.base.send(
      new ScanCommand({ TableName: table, FilterExpression: 'attribute_exists(node_seconds)' }),
    );
    const size = sizeOfMap({ ...Items[0] } as unknown as Record<string, Record<string, unknown>>);
    console.info(`ledger entry of a run: ${size} bytes`);
    expect(size).toBeLessThanOrEqual(512);
  });
});

it('spreads holds over all shards', () => {
  const used = new Set(Array.from({ length: 100 }, () => shardOf(aHoldId())));
  expect(used.size).toBe(SHARDS);
});
