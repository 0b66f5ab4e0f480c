// The table itself: made once, by `asbb database migrate` and by `asbb local`; CDK makes it from the same definition.
import {
  CreateTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ResourceInUseException,
  ResourceNotFoundException,
  type TableDescription,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import { meaningOf } from '#adapters/dynamo-client';
import { ITEM_VERSION, SCHEMA_KEY, SCHEMA_VERSION, TABLE } from '#contract/table';

const MAX_WAIT_SECONDS = 120;

export interface TableStatus {
  readonly table: string;
  /** `absent`, or as DynamoDB says it in lower case: `creating`, `active`, ... */
  readonly state: string;
  /** Null: nobody has written it yet. */
  readonly schemaVersion: number | null;
  /** Of the indexes that we need. A table of another program that has our table's name lacks them. */
  readonly missingIndexes: readonly string[];
  /** Whether this program can work with the table. */
  readonly usable: boolean;
}

/** What there is under this name. Throws StoreUnavailable when DynamoDB does not answer. */
export const tableStatus = (client: DynamoDBClient, table: string): Promise<TableStatus> =>
  translated(table, async () => {
    const description = await describe(client, table);
    if (description === undefined) {
      return { table, state: 'absent', schemaVersion: null, missingIndexes: indexNames(), usable: false };
    }
    const state = (description.TableStatus ?? 'unknown').toLowerCase();
    const there = new Set(description.GlobalSecondaryIndexes?.map(({ IndexName }) => IndexName));
    const missingIndexes = indexNames().filter((name) => !there.has(name));
    const schemaVersion = missingIndexes.length === 0 && state !== 'creating' ? await readSchemaVersion(client, table) : null;
    const usable = (state === 'active' || state === 'updating') && missingIndexes.length === 0 && schemaVersion === SCHEMA_VERSION;
    return { table, state, schemaVersion, missingIndexes, usable };
  });

/**
 * Make the table if there is none, wait until it can be used and write its schema version if it has none. Again, or at once
 * with another, changes nothing. A table of another version or of somebody else is left as it is, and the status says so.
 *
 * @returns `created` is true only for the one that made it
 */
export const createTable = async (client: DynamoDBClient, table: string): Promise<TableStatus & { readonly created: boolean }> => {
  const created = await translated(table, () => create(client, table));
  const status = await tableStatus(client, table);
  if (status.schemaVersion !== null || status.missingIndexes.length > 0) return { ...status, created };
  await translated(table, () => writeSchemaVersion(client, table));
  return { ...(await tableStatus(client, table)), created };
};

/**
 * Write our schema version into a table that has none: for a table that CloudFormation makes, which can make no item.
 * @returns the version that it has then; undefined: there is no such table
 */
export const claimSchema = (client: DynamoDBClient, table: string): Promise<number | undefined> =>
  translated(table, async () => {
    try {
      const found = await readSchemaVersion(client, table);
      if (found !== null) return found;
      await writeSchemaVersion(client, table);
      return (await readSchemaVersion(client, table)) ?? undefined;
    } catch (error) {
      if (error instanceof ResourceNotFoundException) return undefined;
      throw error;
    }
  });

const create = async (client: DynamoDBClient, table: string): Promise<boolean> => {
  let created = false;
  if ((await describe(client, table)) === undefined) {
    try {
      await client.send(new CreateTableCommand(definition(table)));
      created = true;
    } catch (error) {
      if (!(error instanceof ResourceInUseException)) throw error; // Somebody else was quicker, which is as good.
    }
  }
  if ((await describe(client, table))?.TableStatus !== 'ACTIVE') {
    await waitUntilTableExists({ client, minDelay: 1, maxDelay: 5, maxWaitTime: MAX_WAIT_SECONDS }, { TableName: table });
  }
  return created;
};

const definition = (table: string) => {
  const keys = (partition: string, sort: string) => [
    { AttributeName: partition, KeyType: 'HASH' as const },
    { AttributeName: sort, KeyType: 'RANGE' as const },
  ];
  const names = [TABLE, ...TABLE.indexes].flatMap(({ partitionKey, sortKey }) => [partitionKey, sortKey]);
  return {
    TableName: table,
    BillingMode: TABLE.billingMode,
    AttributeDefinitions: names.map((AttributeName) => ({ AttributeName, AttributeType: TABLE.keyType })),
    KeySchema: keys(TABLE.partitionKey, TABLE.sortKey),
    GlobalSecondaryIndexes: TABLE.indexes.map(({ indexName, partitionKey, sortKey, projectionType }) => ({
      IndexName: indexName,
      KeySchema: keys(partitionKey, sortKey),
      Projection: { ProjectionType: projectionType },
    })),
    StreamSpecification: { StreamEnabled: true, StreamViewType: TABLE.streamViewType },
  };
};

const describe = async (client: DynamoDBClient, table: string): Promise<TableDescription | undefined> => {
  try {
    return (await client.send(new DescribeTableCommand({ TableName: table }))).Table;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
};

const schemaKey = { pk: { S: SCHEMA_KEY.pk }, sk: { S: SCHEMA_KEY.sk } };

const readSchemaVersion = async (client: DynamoDBClient, table: string): Promise<number | null> => {
  const { Item } = await client.send(new GetItemCommand({ TableName: table, Key: schemaKey, ConsistentRead: true }));
  return Item?.schema_version?.N === undefined ? null : Number(Item.schema_version.N);
};

/** Two that migrate at once write the same; of two versions the first stays, and the other finds it when it reads again. */
const writeSchemaVersion = async (client: DynamoDBClient, table: string): Promise<void> => {
  const version = { v: { N: String(ITEM_VERSION) }, schema_version: { N: String(SCHEMA_VERSION) } };
  const command = new PutItemCommand({
    TableName: table,
    Item: { ...schemaKey, ...version },
    ConditionExpression: 'attribute_not_exists(pk)',
  });
  try {
    await client.send(command);
  } catch (error) {
    if (!(error instanceof Error && error.name === 'ConditionalCheckFailedException')) throw error;
  }
};

const indexNames = (): string[] => TABLE.indexes.map(({ indexName }) => indexName);

const translated = async <T>(table: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (thrown) {
    const meaning = meaningOf(thrown, table);
    throw meaning.kind === 'failed' ? meaning.error : meaning.refused;
  }
};
