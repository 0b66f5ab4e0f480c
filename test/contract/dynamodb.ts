// DynamoDB Local for a test file, and a fresh table for each test.
import { randomUUID } from 'node:crypto';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll } from 'vitest';
import { createBaseClient, createDocumentClient } from '#adapters/dynamo-client';
import { createTable } from '#adapters/dynamo-table';
import { type DynamoDbLocal, startDynamoDbLocal } from '#cli/local/dynamodb-local';

export interface LocalTables {
  readonly base: DynamoDBClient;
  readonly document: ReturnType<typeof createDocumentClient>;
  readonly endpoint: string;
  /** A name that no other test uses. */
  name(): string;
  /** @returns its name */
  fresh(): Promise<string>;
}

/** Uses the server at ASBB_DYNAMODB_ENDPOINT, which a whole test run may share, or starts one for this file. */
export const useDynamoDb = (): LocalTables => {
  let server: DynamoDbLocal | undefined;
  let clients: Pick<LocalTables, 'base' | 'document' | 'endpoint'> | undefined;
  const started = () => {
    if (clients === undefined) throw new Error('DynamoDB Local is started before the first test, and not before that');
    return clients;
  };

  beforeAll(async () => {
    const shared = process.env.ASBB_DYNAMODB_ENDPOINT;
    if (shared === undefined) server = await startDynamoDbLocal();
    const endpoint = shared ?? server?.endpoint ?? '';
    const options = { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
    clients = { base: createBaseClient(options), document: createDocumentClient(options), endpoint };
  });
  afterAll(async () => {
    clients?.base.destroy();
    clients?.document.destroy();
    await server?.stop();
  });

  const tables: LocalTables = {
    get base() {
      return started().base;
    },
    get document() {
      return started().document;
    },
    get endpoint() {
      return started().endpoint;
    },
    name: () => `asbb-${randomUUID()}`,
    fresh: async () => {
      const table = tables.name();
      await createTable(started().base, table);
      return table;
    },
  };
  return tables;
};
