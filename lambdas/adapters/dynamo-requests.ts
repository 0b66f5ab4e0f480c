// The few kinds of request that the store makes, each with its errors translated.
import {
  BatchGetCommand,
  type DynamoDBDocumentClient,
  GetCommand,
  QueryCommand,
  type QueryCommandInput,
  TransactWriteCommand,
  type TransactWriteCommandInput,
} from '@aws-sdk/lib-dynamodb';
import type { Item } from '#adapters/dynamo-attributes';
import { meaningOf } from '#adapters/dynamo-client';
import { StoreContended } from '#app/ports';
import { type IndexName, type Key, TABLE } from '#contract/table';

/** DynamoDB's own limit. */
export const MAX_BATCH_GET = 100;
const MAX_BATCH_GET_TRIES = 5;

/** Some rows of one partition, in the order of their sort keys. */
export interface Range {
  /** @default the table itself, read strongly consistent */
  readonly index?: IndexName;
  readonly partition: string;
  /** Sort keys from this one on. */
  readonly from?: string | undefined;
  /** Sort keys before this one. Beside a `from` it must be no row's own key, because BETWEEN takes in its ends. */
  readonly until?: string | undefined;
  readonly order: 'ascending' | 'descending';
  readonly filter?: { readonly expression: string; readonly names: Record<string, string>; readonly values: Item };
}

export interface Rows {
  readonly items: readonly Item[];
  /** Sort key after which the range goes on; undefined at its end. A filter may have dropped the row that it belongs to. */
  readonly goesOnAfter: string | undefined;
}

export type Requests = ReturnType<typeof createRequests>;

export const createRequests = ({ client, table }: { client: DynamoDBDocumentClient; table: string }) => {
  /** Any request: what it throws is StoreContended, StoreUnavailable or a bug. */
  const send = async <T>(request: Promise<T>): Promise<T> => {
    try {
      return await request;
    } catch (thrown) {
      const meaning = meaningOf(thrown, table);
      throw meaning.kind === 'failed' ? meaning.error : meaning.refused;
    }
  };

  const getBatch = async (keys: readonly Key[]): Promise<Item[]> => {
    const items: Item[] = [];
    let wanted: Item[] = keys.map((key) => ({ ...key }));
    for (let tries = 1; wanted.length > 0; tries += 1) {
      if (tries > MAX_BATCH_GET_TRIES) throw new StoreContended(`${wanted.length} of ${keys.length} keys of table ${table} stayed unread`);
      const answer = await send(client.send(new BatchGetCommand({ RequestItems: { [table]: { Keys: wanted, ConsistentRead: true } } })));
      items.push(...(answer.Responses?.[table] ?? []));
      wanted = answer.UnprocessedKeys?.[table]?.Keys ?? [];
    }
    return items;
  };

  return {
    send,

    get: async <T>(key: Key, decode: (item: Item) => T): Promise<T | undefined> => {
      const { Item } = await send(client.send(new GetCommand({ TableName: table, Key: { ...key }, ConsistentRead: true })));
      return Item && decode(Item);
    },

    /** The items of these keys that exist, in the order of the keys. No two keys have the same partition. */
    getAll: async (keys: readonly Key[]): Promise<Item[]> => {
      const found = new Map<unknown, Item>();
      for (let from = 0; from < keys.length; from += MAX_BATCH_GET) {
        for (const item of await getBatch(keys.slice(from, from + MAX_BATCH_GET))) found.set(item.pk, item);
      }
      return keys.map(({ pk }) => found.get(pk)).filter((item) => item !== undefined);
    },

    /** At most `limit` rows of a range, counted before the filter. */
    query: async (range: Range, limit: number): Promise<Rows> => {
      const { sortKey } = namesOf(range);
      const answer = await send(client.send(new QueryCommand({ TableName: table, ...queryOf(range), Limit: limit })));
      const last: unknown = answer.LastEvaluatedKey?.[sortKey];
      return { items: answer.Items ?? [], goesOnAfter: typeof last === 'string' ? last : undefined };
    },

    /** Undefined: all was written. Else the cancellation that some condition caused, and nothing else. */
    transact: async (input: TransactWriteCommandInput) => {
      try {
        await client.send(new TransactWriteCommand(input));
        return undefined;
      } catch (thrown) {
        const meaning = meaningOf(thrown, table);
        if (meaning.kind === 'failed') throw meaning.error;
        return meaning.refused;
      }
    },
  };
};

/** The first sort key after this one. */
export const justAfter = (sortKey: string): string => `${sortKey}\u0000`;

/** A sort key behind all that begin with this prefix, itself none of them: the prefix's last character, raised by one. */
export const behind = (prefix: string): string => prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);

export const namesOf = ({ index }: Pick<Range, 'index'>): { partitionKey: string; sortKey: string } =>
  TABLE.indexes.find(({ indexName }) => indexName === index) ?? TABLE;

const queryOf = (range: Range): Omit<QueryCommandInput, 'TableName'> => {
  const { partition, from, until, order, filter } = range;
  const { partitionKey, sortKey } = namesOf(range);
  const bounds = [
    ...(from !== undefined && until !== undefined ? [`${sortKey} BETWEEN :from AND :until`] : []),
    ...(from !== undefined && until === undefined ? [`${sortKey} >= :from`] : []),
    ...(from === undefined && until !== undefined ? [`${sortKey} < :until`] : []),
  ];
  return {
    ...(range.index === undefined ? { ConsistentRead: true } : { IndexName: range.index }),
    KeyConditionExpression: [`${partitionKey} = :partition`, ...bounds].join(' AND '),
    ScanIndexForward: order === 'ascending',
    ExpressionAttributeValues: { ':partition': partition, ':from': from, ':until': until, ...filter?.values },
    ...(filter && { FilterExpression: filter.expression, ExpressionAttributeNames: filter.names }),
  };
};
