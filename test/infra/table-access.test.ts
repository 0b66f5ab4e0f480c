// What each function really sends to the table, against what its role allows: nothing is denied, and nothing is allowed in vain.
//
// There is no DynamoDB here that asks IAM, so this takes AWS at its word: each write of a transaction needs the permission of that
// write, on its own key (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html).
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { DeleteItemCommand, type DynamoDBClient, UpdateItemCommand } from '@aws-sdk/client-dynamodb';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createBaseClient, createDocumentClient } from '#adapters/dynamo-client';
import { changeOf } from '#adapters/dynamo-stream';
import { claimSchema } from '#adapters/dynamo-table';
import { unaskedPricingApi } from '#adapters/pricing-api';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import type { Clock, PriceLink, Services } from '#app/ports';
import { STREAM_BATCH_SIZE } from '#contract/events';
import type { Method } from '#contract/routes';
import { auditAll } from '#events/audit';
import { sweep } from '#events/expire';
import { settleEndedJobs } from '#events/job-ended';
import { refresh } from '#events/price-refresh';
import { followStream } from '#events/stream';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { type ApiHandler, createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';
import { type ServiceFunctionName, TABLE_ACCESS } from '#lib/constructs/table-access';
import { useDynamoDb } from '#test/contract/dynamodb';
import { aBatch, anEvent } from '#test/events/deliveries';
import { readStream } from '#test/events/table-stream';
import { SETTINGS } from '#test/http/api';
import { isAllowed, type Statement } from '#test/infra/iam';
import { ACCOUNT, PATIENCE_MS, REGION, type Synthesised, synthesised } from '#test/infra/synth';
import { requestsIn, type TableRequest } from '#test/infra/table-requests';
import { anOffer } from '#test/support/builders';
import { NO_PRICING } from '#test/support/world';

const HOUR_MS = 3_600_000;
const ROLES: Readonly<Record<ServiceFunctionName, string>> = {
  submit: 'BudgetSubmitRoleDefaultPolicy',
  agent: 'BudgetAgentRoleDefaultPolicy',
  admin: 'BudgetAdminRoleDefaultPolicy',
  expire: 'HoldExpiryExpireRoleDefaultPolicy',
  'job-ended': 'JobEventsJobEndedRoleDefaultPolicy',
  stream: 'StreamEventsStreamRoleDefaultPolicy',
  audit: 'DailyAuditRoleDefaultPolicy',
  'price-refresh': 'PriceRefreshRoleDefaultPolicy',
  preflight: 'PreflightLookRoleDefaultPolicy',
};
const NAMES = Object.keys(ROLES) as ServiceFunctionName[];

/** Those with a PRICING_REGION. */
const ASKING: ReadonlySet<ServiceFunctionName> = new Set<ServiceFunctionName>(['submit', 'admin', 'price-refresh']);

const tenDollars: PriceLink = {
  source: 'pricing-api',
  ask: async ({ type }) => ({ kind: 'offer', offer: anOffer({ type, priceE10UsdPerHour: 100_000_000_000n }) }),
};

const tables = useDynamoDb();
const sent = new Map<ServiceFunctionName, TableRequest[]>(NAMES.map((name) => [name, []]));
let stacks: Synthesised;

beforeAll(async () => {
  stacks = synthesised();
  await everything();
}, PATIENCE_MS);
afterAll(() => rmSync(stacks.folder, { recursive: true }));

const connection = () => ({
  endpoint: tables.endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  connectTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
});

/** The client, which notes from now on what it sends. */
const noting = <C extends Pick<DynamoDBClient, 'middlewareStack'>>(name: ServiceFunctionName, client: C): C => {
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers, body } = (args as { request: { headers: Record<string, string>; body: Uint8Array | string } }).request;
      const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
      sent.get(name)?.push(...requestsIn(headers['x-amz-target']?.split('.')[1] ?? '', JSON.parse(text)));
      return next(args);
    },
    { step: 'serialize', priority: 'low', name: 'noteWhatIsSent' },
  );
  return client;
};

const servicesOf = (name: ServiceFunctionName, table: string, clock: Clock): Services =>
  createServices({
    store: createDynamoBudgets({ client: noting(name, createDocumentClient(connection())), table }),
    pricing: { ...NO_PRICING, api: ASKING.has(name) ? tenDollars : unaskedPricingApi('this function does not ask AWS') },
    clock,
    ids: createIds(),
    settings: SETTINGS,
    telemetry: { answered: () => undefined, failed: () => undefined, measured: () => undefined },
  });

type Call = (method: Method, path: string, body?: object, expected?: number) => Promise<Record<string, unknown>>;

const HEAD_NODE = 'arn:aws:iam::111122223333:role/head-node';

const caller =
  (handler: ApiHandler, userArn?: string): Call =>
  async (method, target, body, expected = 200) => {
    const [path = '', query = ''] = `/api/v1${target}`.split('?');
    const event = {
      version: '2.0',
      rawPath: path,
      rawQueryString: query,
      headers: {},
      queryStringParameters: Object.fromEntries(new URLSearchParams(query)),
      requestContext: {
        requestId: 'r',
        timeEpoch: Date.now(),
        http: { method, path },
        ...(userArn && { authorizer: { iam: { userArn } } }),
      },
      ...(body && { body: JSON.stringify(body) }),
    };
    const answer = await handler(event as unknown as APIGatewayProxyEventV2, {} as Context);
    expect(`${method} ${target}: ${answer.statusCode} ${answer.statusCode === expected ? '' : answer.body}`).toBe(
      `${method} ${target}: ${expected} `,
    );
    return answer.body === undefined ? {} : (JSON.parse(answer.body) as Record<string, unknown>);
  };

/** Every verb there is, each through the function that serves it. */
const everything = async (): Promise<void> => {
  const table = await tables.fresh();
  // CloudFormation makes a table with nothing in it.
  await tables.base.send(new DeleteItemCommand({ TableName: table, Key: { pk: { S: 'CONFIG' }, sk: { S: 'SCHEMA' } } }));
  const looking = noting('preflight', createBaseClient(connection()));
  expect([await claimSchema(looking, table), await claimSchema(looking, tables.name())]).toEqual([1, undefined]);
  const admin = caller(createHandler(servicesOf('admin', table, systemClock), adminRoutes));
  const submit = caller(createHandler(servicesOf('submit', table, systemClock), submitRoutes));
  const agent = caller(createHandler(servicesOf('agent', table, systemClock), agentRoutes));

  const partition = { region: 'us-east-1', instance_types: [], unpriced: 'flat', flat_rate_per_node_hour: 10 };
  for (const name of ['ten', 'gone']) await admin('PUT', `/partitions/${name}`, partition);
  await admin('DELETE', '/partitions/gone', undefined, 204);
  for (const account of ['physics', 'chemistry', 'unused', 'closed'])
    await admin('POST', '/accounts', { account, budget_limit: 1000 }, 201);
  for (let twice = 0; twice < 2; twice += 1) await admin('POST', '/accounts/closed/deposits', { amount: 5, deposit_id: 'one' });
  await admin('POST', '/accounts/physics/deposits', { amount: -5, deposit_id: 'back' });
  await admin('PATCH', '/accounts/physics', { name: 'Physics', budget_limit: 2000 });
  await admin('POST', '/accounts', { account: 'empty', budget_limit: 0 }, 201);
  await admin('POST', '/accounts/empty/deposits', { amount: 5, deposit_id: 'first' });
  await admin('DELETE', '/accounts/empty', undefined, 204);
  await admin('DELETE', '/accounts/unused', undefined, 204);
  await admin('DELETE', '/accounts/closed', undefined, 204);

  const job = { account: 'physics', partition: 'ten', cluster: 'alpha', nodes: 1, wall_time: '1:00:00' };
  const hold = async (): Promise<string> => String((await submit('POST', '/budget/check', { ...job, hold_id: randomUUID() })).hold_id);
  await submit('POST', '/budget/quote', job);
  const first = await hold();
  await admin('POST', '/accounts', { account: 'small', budget_limit: 20 }, 201);
  await submit('POST', '/budget/check', { ...job, account: 'small', hold_id: randomUUID() }); // Past half of its limit.
  await submit('POST', '/budget/check', { ...job, hold_id: first });
  await submit('POST', '/budget/check', { ...job, nodes: 900 });
  await submit('POST', `/holds/${first}/adjust`, { nodes: 2 });

  await agent('PUT', '/clusters/alpha', { cluster_uid: 'u' });
  await agent('PUT', '/clusters/alpha', { cluster_uid: 'another' }, 409);
  await agent('GET', '/clusters');
  await admin('PATCH', '/clusters/alpha', { principals: [HEAD_NODE] });
  const headNode = [
    caller(createHandler(servicesOf('submit', table, systemClock), submitRoutes), HEAD_NODE),
    caller(createHandler(servicesOf('agent', table, systemClock), agentRoutes), HEAD_NODE),
  ] as const;
  await headNode[0]('POST', '/budget/quote', { ...job, cluster: 'beta' }, 403);
  await headNode[1]('PUT', '/clusters/beta', { cluster_uid: 'u' }, 403);
  const submitted = { cluster: 'alpha', submitted_at: new Date().toISOString() };
  await agent('POST', `/holds/${first}/bind`, { ...submitted, job_id: '1' });
  await submit('POST', '/jobs/alpha/1/adjust', { wall_time: '2:00:00' });
  await submit('POST', '/jobs/alpha/1/adjust', { account: 'chemistry' });
  await agent('POST', `/holds/${first}/extend`, { expires_at: new Date(Date.now() + 48 * HOUR_MS).toISOString() });
  await agent('GET', `/holds/${first}`);
  await agent('GET', `/holds/${first}/runs/none`, undefined, 404);
  await agent('GET', '/jobs/alpha/1');
  await agent('POST', `/holds/${first}/runs`, { runs: [{ run_id: 'alpha-1', elapsed_seconds: 600, partition: 'ten', nodes: 1 }] });
  await agent('POST', `/holds/${first}/runs/alpha-1/correct`, { actual_cost: 3, correction_id: 'c', note: 'n' });
  await agent('POST', '/budget/reconcile', { run_id: 'late', actual_cost: 1, account: 'physics', cluster: 'alpha', job_id: '404' });
  const second = await hold();
  await agent('POST', `/holds/${second}/release`, {});
  const forced = { ...job, hold_id: randomUUID(), job_id: '3', submitted_at: submitted.submitted_at, reason: 'adopted' };
  await agent('POST', '/holds/forced', forced);
  await agent('GET', '/holds?cluster=alpha');

  const third = await hold();
  const ended = servicesOf('job-ended', table, systemClock);
  const run = { run_id: 'alpha-4', elapsed_seconds: 600, partition: 'ten', nodes: 1, cluster: 'alpha' };
  const byHold = anEvent({ ...run, hold_id: third });
  const byJob = anEvent({ ...run, run_id: 'alpha-3', job_id: '3' });
  const byAccount = anEvent({ ...run, run_id: 'alpha-6', job_id: '6', account: 'physics' });
  expect(await settleEndedJobs(ended, systemClock, aBatch(byHold, byJob, byAccount))).toEqual({ batchItemFailures: [] });

  for (const path of ['', '/physics', '/physics/transactions', '/physics/holds', '/physics/usage', '/physics/usage/accuracy'])
    await admin('GET', `/accounts${path}`);
  for (const by of ['account', 'user']) await admin('GET', `/usage?by=${by}`);
  await admin('GET', '/usage/accuracy');
  for (const path of ['', '/ten']) await admin('GET', `/partitions${path}`);
  expect(await auditAll(servicesOf('audit', table, systemClock), systemClock)).toMatchObject({ differences: 0, failed: 0, finished: true });
  await admin('POST', '/audit', {});
  await tables.base.send(
    new UpdateItemCommand({
      TableName: table,
      Key: { pk: { S: 'ACCOUNT#physics' }, sk: { S: 'ACCOUNT' } },
      UpdateExpression: 'ADD held :more',
      ExpressionAttributeValues: { ':more': { N: '1' } },
    }),
  );
  const { differences } = await admin('POST', '/audit', { repair: true });
  expect(differences).toHaveLength(1);

  await everyPrice(table, admin, submit, agent);

  const [bound] = [await hold(), await hold()];
  await agent('POST', `/holds/${bound}/bind`, { ...submitted, job_id: '5' });
  const later: Clock = { ...systemClock, now: () => Date.now() + 30 * HOUR_MS };
  expect(await sweep(servicesOf('expire', table, later), later)).toMatchObject({ overdue: 3, expired: 2, kept: 1, failed: 0 });

  const follower = {
    services: servicesOf('stream', table, systemClock),
    clock: systemClock,
    changeOf,
    bus: { put: async () => ({ failed: [] }) },
    topic: { publish: async () => undefined },
  };
  const records = await readStream(tables, table);
  for (let from = 0; from < records.length; from += STREAM_BATCH_SIZE) {
    expect(await followStream(follower, { Records: records.slice(from, from + STREAM_BATCH_SIZE) })).toEqual({ batchItemFailures: [] });
  }
};

/** Each function once as the first to want a price, before anybody has kept it. */
const everyPrice = async (table: string, admin: Call, submit: Call, agent: Call): Promise<void> => {
  const of = (type: string) => ({ region: 'us-east-1', instance_types: [type] });
  const job = { account: 'physics', cluster: 'alpha', nodes: 1, wall_time: '1:00:00' };
  await admin('PUT', '/partitions/listed', of('c5.large'));
  expect(await refresh(servicesOf('price-refresh', table, systemClock), systemClock)).toMatchObject({ types: 1, fetched: 1 });
  await submit('POST', '/budget/quote', { ...job, partition: 'listed' });
  await tables.base.send(new DeleteItemCommand({ TableName: table, Key: { pk: { S: 'PRICE#us-east-1' }, sk: { S: 'c5.large' } } }));
  const other = caller(createHandler(servicesOf('submit', table, systemClock), submitRoutes));
  const { hold_id } = await other('POST', '/budget/check', { ...job, partition: 'listed', hold_id: randomUUID() });
  await agent('POST', `/holds/${hold_id}/release`, {});
  const run = { run_id: 'alpha-7', elapsed_seconds: 600, nodes: 1, cluster: 'alpha', partition: 'listed', account: 'physics' };
  await agent('POST', '/budget/reconcile', { ...run, job_id: '7' });
  const ended = servicesOf('job-ended', table, systemClock);
  expect(await settleEndedJobs(ended, systemClock, aBatch(anEvent({ ...run, run_id: 'alpha-8', job_id: '8' })))).toEqual({
    batchItemFailures: [],
  });
};

const statementsOf = (name: ServiceFunctionName): readonly Statement[] => {
  const found = stacks.all.find(([id]) => id.replace(/[0-9A-F]{8}$/, '') === ROLES[name]);
  if (found === undefined) throw new Error(`${name} has no policy`);
  return found[1].Properties.PolicyDocument.Statement;
};

/** What `dynamodb:LeadingKeys` may be of a write in a transaction: AWS does not say which. */
const READINGS: Readonly<Record<string, (request: TableRequest) => readonly string[] | undefined>> = {
  'its own key': ({ partitionKeys }) => partitionKeys,
  'the keys of all writes': ({ partitionKeys, transactionKeys }) => transactionKeys ?? partitionKeys,
  nothing: ({ partitionKeys, transactionKeys }) => (transactionKeys === undefined ? partitionKeys : undefined),
};

/** One policy has to be there before the table, and so has its name. */
const tableArnOf = (name: ServiceFunctionName): string =>
  name === 'preflight' ? `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/asbb-test` : '<Table.Arn>';

const asIam = (name: ServiceFunctionName, request: TableRequest, leadingKeys: readonly string[] | undefined) => ({
  action: request.action,
  resource: request.index === undefined ? tableArnOf(name) : `${tableArnOf(name)}/index/${request.index}`,
  context: {
    ...(leadingKeys === undefined ? {} : { 'dynamodb:LeadingKeys': leadingKeys }),
    ...(request.transactionKeys === undefined ? {} : { 'dynamodb:EnclosingOperation': ['TransactWriteItems'] }),
  },
});

describe.each(NAMES)('%s', (name) => {
  it.each(Object.entries(READINGS))(
    'is allowed whatever it sends to the table, if IAM sees of a write in a transaction %s',
    (_, keysOf) => {
      const statements = statementsOf(name);
      const denied = (sent.get(name) ?? []).filter((request) => !isAllowed(statements, asIam(name, request, keysOf(request))));
      expect(denied).toEqual([]);
    },
  );

  it('is denied each of its writes on a key of another kind, alone or in a transaction', () => {
    const statements = statementsOf(name);
    const elsewhere = (sent.get(name) ?? []).map((request) => ({ ...asIam(name, request, ['ELSEWHERE#1']), action: request.action }));
    expect(elsewhere.filter(({ resource }) => !resource.includes('/index/')).filter((request) => isAllowed(statements, request))).toEqual(
      [],
    );
  });

  it('is allowed nothing that it never sends', () => {
    const { indexes = [], ...actions } = TABLE_ACCESS[name];
    const requests = sent.get(name) ?? [];
    const isSent = (action: string, pattern: string): boolean =>
      requests.some(
        (request) =>
          request.action === `dynamodb:${action}` &&
          request.index === undefined &&
          request.partitionKeys.some((key) =>
            pattern.endsWith('*') ? key.startsWith(pattern.slice(0, pattern.indexOf('*'))) : key === pattern,
          ),
      );
    const inVain = Object.entries(actions).flatMap(([action, patterns]) =>
      patterns.filter((pattern) => !isSent(action, pattern)).map((pattern) => `${action} ${pattern}`),
    );
    expect(inVain).toEqual([]);
    expect(indexes.filter((index) => !requests.some((request) => request.index === index))).toEqual([]);
  });
});

describe('what IAM is asked for', () => {
  it('is seen for every function that works with the table', () => {
    const counts = NAMES.map((name) => [name, sent.get(name)?.length ?? 0] as const);
    expect(counts.filter(([, count]) => count === 0)).toEqual([]);
  });
});
