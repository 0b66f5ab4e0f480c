// How long the functions that are asked for a check take to be there and to answer, in turn, each in processes of their own, against
// one DynamoDB Local. Its own time is not in the figures, which are CPU of the function's process.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createBaseClient, createDocumentClient } from '#adapters/dynamo-client';
import { createTable } from '#adapters/dynamo-table';
import { startDynamoDbLocal } from '#cli/local/dynamodb-local';
import { DEFAULT_TABLE_NAME } from '#contract/table';
import { medianOf } from '#test/bench/measure';
import { aModel, anAccount, anOffer } from '#test/support/builders';

const RUN = join(import.meta.dirname, 'cold-start-run.mjs');
const REGION = 'eu-central-1';
const ROLE = { arn: 'arn:aws:iam::111122223333:role/head', session: 'arn:aws:sts::111122223333:assumed-role/head/i-0123456789abcdef0' };
const PARTS = ['start', 'first', 'second'] as const;

/** CPU milliseconds: until the handler is loaded, of the first check, and of the second. */
export type ColdStart = Readonly<Record<(typeof PARTS)[number], number>>;

/**
 * The same clients and commands as the store of submit, and nothing else. Asked for a check, it sends as many requests: a query
 * for who acts for whom, account, partition and price, and a transaction of four items.
 */
export const BARE = `
import { DynamoDBClient, TransactionCanceledException, ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { BatchGetCommand, DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
const client = DynamoDBDocumentClient.from(new DynamoDBClient({ maxAttempts: 1 }));
export const used = [BatchGetCommand, DeleteCommand, PutCommand, TransactionCanceledException, ConditionalCheckFailedException];
export const handler = async ({ body }) => {
  const TableName = process.env.TABLE_NAME;
  await client.send(new QueryCommand({ TableName, KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: { ':pk': 'CLUSTERS' } }));
  for (const pk of ['ACCOUNT#physics', 'PARTITIONS', 'PRICE#us-east-1']) await client.send(new GetCommand({ TableName, Key: { pk, sk: pk } }));
  const pk = JSON.parse(body).hold_id;
  const Put = (sk) => ({ TableName, Item: { pk, sk, amount: 3_672_000, spec: { account: 'physics', nodes: 1 } }, ConditionExpression: 'attribute_not_exists(pk)' });
  await client.send(new TransactWriteCommand({ TransactItems: ['A', 'B', 'C', 'D'].map((sk) => ({ Put: Put(sk) })) }));
  return { body: '{"available":true}' };
};
`;

/** As API Gateway gives it to the function; the run makes a hold_id. */
const CHECK = JSON.stringify({
  version: '2.0',
  headers: {},
  isBase64Encoded: false,
  body: JSON.stringify({ account: 'physics', partition: 'aws', cluster: 'head', user: 'alice', nodes: 1, wall_time: '01:00:00' }),
  rawPath: '/api/v1/budget/check',
  requestContext: {
    http: { method: 'POST', path: '/api/v1/budget/check' },
    requestId: 'bench',
    authorizer: { iam: { userArn: ROLE.session } },
  },
});

/** @param files of bundles @returns medians, in the files' order */
export const coldStarts = async (files: readonly string[], runs: number): Promise<ColdStart[]> => {
  const engine = await startDynamoDbLocal({});
  try {
    await fill(engine.endpoint);
    const env = {
      PATH: process.env.PATH,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: 'local',
      AWS_SECRET_ACCESS_KEY: 'local',
      AWS_ENDPOINT_URL_DYNAMODB: engine.endpoint,
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
      TABLE_NAME: DEFAULT_TABLE_NAME,
      PRICING_REGION: 'us-east-1',
    };
    const seen = files.map((): ColdStart[] => []);
    for (let run = 0; run < runs; run++)
      for (const [at, file] of files.entries()) {
        const { stdout } = await promisify(execFile)(process.execPath, [RUN, file, CHECK], { env });
        seen[at]?.push(JSON.parse(stdout) as ColdStart);
      }
    return seen.map((each) => Object.fromEntries(PARTS.map((part) => [part, medianOf(each.map((run) => run[part]))])) as ColdStart);
  } finally {
    await engine.stop();
  }
};

/** What a check of CHECK reads: its account, partition and price, and the cluster that its caller acts for. */
const fill = async (endpoint: string): Promise<void> => {
  const where = { endpoint, region: REGION, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
  const [base, client] = [createBaseClient(where), createDocumentClient(where)];
  try {
    await createTable(base, DEFAULT_TABLE_NAME);
    const store = createDynamoBudgets({ client, table: DEFAULT_TABLE_NAME });
    await store.createAccount(anAccount({ available: 10n ** 12n, held: 0n, used: 0n, limit: 10n ** 12n }), undefined);
    await store.writePartition(aModel());
    await store.writePrice({ region: 'us-east-1', offer: anOffer(), askedAt: Date.now() });
    const heartbeat = { cluster: 'head', clusterUid: 'head', agentVersion: null, lastHeartbeat: Date.now(), principal: ROLE.arn };
    await store.beat(heartbeat, 0);
  } finally {
    base.destroy();
    client.destroy();
  }
};
