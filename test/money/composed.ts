// The server as startLocal composes it, over a DynamoDB Local of its own, with a hand on every request that the store sends.
import { AsyncLocalStorage } from 'node:async_hooks';
import { DeleteTableCommand } from '@aws-sdk/client-dynamodb';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createBaseClient, createDocumentClient } from '#adapters/dynamo-client';
import { createTable } from '#adapters/dynamo-table';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import type { BudgetStore } from '#app/ports';
import { startDynamoDbLocal } from '#cli/local/dynamodb-local';
import { createLocalServer } from '#cli/local/http-server';
import { offlinePricing } from '#cli/local/pricing';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';
import { type Api, apiAt, SETTINGS, temporaryFolder } from '#test/http/api';

/** A request to DynamoDB as it goes over the wire. */
export interface StoreRequest {
  /** `GetItem`, `TransactWriteItems`, ... */
  readonly operation: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Of the HTTP request that it serves; undefined outside of any. */
  readonly deadline: number | undefined;
}

/** Sends the request, or another body in its place. */
export type Send = (body?: Readonly<Record<string, unknown>>) => Promise<StoreOutput>;
export type StoreOutput = { response: unknown; output: never };
export type Hook = (request: StoreRequest, send: Send) => Promise<StoreOutput>;

export interface Composed {
  readonly api: Api;
  /** The same store without any hook: what is really there. */
  readonly store: BudgetStore;
  /** From now on every request to DynamoDB goes through this. */
  hook(next: Hook): void;
  /** From now on every request comes from this caller, as API Gateway names it. */
  signIn(userArn: string): void;
  /** Takes the table away. */
  dropTable(): Promise<void>;
  /** What the service took for a bug of its own. */
  readonly failures: readonly unknown[];
  stop(): Promise<void>;
}

const DEFAULT_DEADLINE_MS = 25_000;
/** As `asbb local` has: a busy machine must not look like a DynamoDB that is away. */
const PATIENCE = { connectTimeoutMs: 10_000, requestTimeoutMs: 20_000 };
const passOn: Hook = (_, send) => send();

export const startComposed = async (): Promise<Composed> => {
  const folder = temporaryFolder();
  const dynamo = await startDynamoDbLocal({ directory: folder.path });
  const where = {
    endpoint: dynamo.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    ...PATIENCE,
  };
  const base = createBaseClient(where);
  const table = 'asbb';
  await createTable(base, table);

  const deadlines = new AsyncLocalStorage<number>();
  const plain = createDocumentClient(where);
  const client = createDocumentClient(where);
  let hook = passOn;
  client.middlewareStack.add(
    (next) => async (args) => {
      // After the serializer and before the content length: the body is whole, and may still be another.
      const request = (args as { request: { headers: Record<string, string>; body: Uint8Array | string } }).request;
      const operation = request.headers['x-amz-target']?.split('.')[1] ?? '';
      const send: Send = async (body) => {
        if (body !== undefined) request.body = Buffer.from(JSON.stringify(body));
        return (await next(args)) as StoreOutput;
      };
      return hook({ operation, body: JSON.parse(textOf(request.body)), deadline: deadlines.getStore() }, send);
    },
    { step: 'serialize', priority: 'low', name: 'testHook' },
  );

  let caller: string | undefined;
  const failures: unknown[] = [];
  const services = createServices({
    store: createDynamoBudgets({ client, table }),
    pricing: offlinePricing('no network'),
    clock: systemClock,
    ids: createIds(),
    settings: SETTINGS,
    telemetry: { answered: () => undefined, measured: () => undefined, failed: ({ error }) => failures.push(error) },
  });
  const handle = createHandler(services, { ...submitRoutes, ...agentRoutes, ...adminRoutes });
  const server = createLocalServer({
    handle: (event, context) => {
      const requestContext = { ...event.requestContext, ...(caller && { authorizer: { iam: { userArn: caller } } }) };
      const signed = { ...event, requestContext };
      return deadlines.run(event.requestContext.timeEpoch + deadlineMsOf(event), () => handle(signed, context));
    },
    now: systemClock.now,
    log: (message, cause) => failures.push(cause ?? message),
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const api = apiAt(`http://127.0.0.1:${port}`);
  return {
    api,
    store: createDynamoBudgets({ client: plain, table }),
    hook: (next) => {
      hook = next;
    },
    signIn: (userArn) => {
      caller = userArn;
    },
    dropTable: async () => {
      await base.send(new DeleteTableCommand({ TableName: table }));
    },
    failures,
    stop: async () => {
      api.close();
      await server.close();
      base.destroy();
      client.destroy();
      plain.destroy();
      await dynamo.stop();
      folder.remove();
    },
  };
};

const textOf = (body: Uint8Array | string): string => (typeof body === 'string' ? body : new TextDecoder().decode(body));

const deadlineMsOf = ({ body }: { body?: string | undefined }): number => {
  const asked: unknown = body === undefined ? undefined : JSON.parse(body);
  const own = typeof asked === 'object' && asked !== null && 'deadline_ms' in asked ? asked.deadline_ms : undefined;
  return typeof own === 'number' ? own : DEFAULT_DEADLINE_MS;
};
