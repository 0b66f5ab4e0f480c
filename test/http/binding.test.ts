// Callers are bound to their cluster: every route, called as API Gateway calls it, by its own head node, by another one, and by
// somebody who is no head node.
import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { beforeEach, describe, expect, it } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createServices } from '#adapters/services';
import { createIds } from '#adapters/system';
import type { BudgetStore } from '#app/ports';
import { type Operation, ROUTES } from '#contract/routes';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { type ApiHandler, createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';
import { type RefusalBody, SETTINGS, TEN_DOLLARS } from '#test/http/api';
import { createFakeClock, type FakeClock } from '#test/support/fake-clock';
import { NO_PRICING } from '#test/support/world';

const MINUTE_MS = 60_000;
const ACCOUNT = '111122223333';
const sessionOf = (role: string, session = 'i-0123456789abcdef0') => `arn:aws:sts::${ACCOUNT}:assumed-role/${role}/${session}`;
const ALPHA = sessionOf('head-of-alpha');
const BETA = sessionOf('head-of-beta');
const ADMIN = sessionOf('AWSReservedSSO_Budget_0123456789abcdef', 'curie@example.org');
const ALPHAS_ROLE = `arn:aws:iam::${ACCOUNT}:role/head-of-alpha`;

let clock: FakeClock;
let handler: ApiHandler;
let listed: number;

type Answer<T = Record<string, unknown>> = { status: number; body: T };

const ask = async <T = RefusalBody>(
  userArn: string | undefined,
  operation: Operation,
  { path = {}, query = {}, body }: { path?: Record<string, string>; query?: Record<string, string>; body?: unknown } = {},
): Promise<Answer<T>> => {
  const { method, path: pattern } = ROUTES[operation];
  const rawPath = pattern.replace(/\{(\w+)\}/g, (_, name: string) => path[name] ?? name);
  const event = {
    version: '2.0',
    rawPath,
    rawQueryString: new URLSearchParams(query).toString(),
    headers: {},
    queryStringParameters: query,
    requestContext: {
      requestId: 'r',
      timeEpoch: clock.now(),
      http: { method, path: rawPath },
      ...(userArn && { authorizer: { iam: { accountId: ACCOUNT, callerId: 'AROA:i-0', userId: 'AROA:i-0', accessKey: 'ASIA', userArn } } }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const answer = await handler(event as unknown as APIGatewayProxyEventV2, {} as Context);
  return { status: answer.statusCode ?? 0, body: (answer.body === undefined ? undefined : JSON.parse(answer.body)) as T };
};

const beat = (userArn: string | undefined, cluster: string, cluster_uid = `uid-of-${cluster}`) =>
  ask(userArn, 'beatCluster', { path: { cluster }, body: { cluster_uid } });

const job = { account: 'physics', partition: 'ten', cluster: 'beta', nodes: 1, wall_time: '1:00:00' };
const submitted_at = '2026-03-01T12:00:00Z';

beforeEach(async () => {
  clock = createFakeClock(Date.parse(submitted_at));
  listed = 0;
  const store = createMemoryBudgets();
  const counted: BudgetStore = {
    ...store,
    listClusters: (page) => {
      listed += 1;
      return store.listClusters(page);
    },
  };
  const services = createServices({
    ...{ store: counted, clock, ids: createIds(), settings: { ...SETTINGS, defaultCluster: null } },
    pricing: NO_PRICING,
    telemetry: { answered: () => undefined, failed: ({ error }) => expect(error).toBeUndefined(), measured: () => undefined },
  });
  handler = createHandler(services, { ...submitRoutes, ...agentRoutes, ...adminRoutes });
  expect((await ask(ADMIN, 'createAccount', { body: { account: 'physics', budget_limit: 10_000 } })).status).toBe(201);
  expect((await ask(ADMIN, 'putPartition', { path: { partition: 'ten' }, body: TEN_DOLLARS })).status).toBe(200);
  for (const [userArn, cluster] of [
    [ALPHA, 'alpha'],
    [BETA, 'beta'],
  ] as const)
    expect((await beat(userArn, cluster)).status).toBe(200);
  clock.advance(MINUTE_MS); // What is remembered of who acts for whom is a minute old at most.
});

/** A hold of beta; its job has number 7, and one run is booked. */
const prepared = async (): Promise<string> => {
  const hold_id = randomUUID();
  expect((await ask(BETA, 'checkBudget', { body: { ...job, array: '1-3', hold_id } })).status).toBe(200);
  const path = { hold_id };
  expect((await ask(BETA, 'bindHold', { path, body: { cluster: 'beta', job_id: '7', submitted_at } })).status).toBe(200);
  expect((await ask(BETA, 'settleRuns', { path, body: { runs: [{ run_id: 'r1', actual_cost: 1 }] } })).status).toBe(200);
  return hold_id;
};

type Request = NonNullable<Parameters<typeof ask>[2]>;

/** Every verb that is about a hold or names a cluster: what it asks of a hold of cluster beta. */
const BOUND: Partial<Record<Operation, (hold_id: string) => Request>> = {
  quoteBudget: () => ({ body: job }),
  checkBudget: () => ({ body: { ...job, hold_id: randomUUID() } }),
  adjustHold: (hold_id) => ({ path: { hold_id }, body: { nodes: 2 } }),
  adjustJob: () => ({ path: { cluster: 'beta', job_id: '7' }, body: { nodes: 2 } }),
  reconcile: (hold_id) => ({ body: { hold_id, run_id: 'r2', actual_cost: 1 } }),
  forceHold: () => ({ body: { ...job, hold_id: randomUUID(), reason: 'adopted' } }),
  bindHold: (hold_id) => ({ path: { hold_id }, body: { cluster: 'beta', job_id: '7', submitted_at } }),
  extendHold: (hold_id) => ({ path: { hold_id }, body: { expires_at: '2026-03-04T00:00:00Z' } }),
  releaseHold: (hold_id) => ({ path: { hold_id }, body: {} }),
  settleRuns: (hold_id) => ({ path: { hold_id }, body: { runs: [{ run_id: 'r2', actual_cost: 1 }] } }),
  correctRun: (hold_id) => ({ path: { hold_id, run_id: 'r1' }, body: { actual_cost: 2, correction_id: 'c', note: 'n' } }),
  showHold: (hold_id) => ({ path: { hold_id } }),
  showRun: (hold_id) => ({ path: { hold_id, run_id: 'r1' } }),
  showJob: () => ({ path: { cluster: 'beta', job_id: '7' } }),
  listHoldsOfCluster: () => ({ query: { cluster: 'beta' } }),
  beatCluster: () => ({ path: { cluster: 'beta' }, body: { cluster_uid: 'uid-of-beta' } }),
};
/** What is of no cluster, or an administrator's: IAM alone says who may. */
const NOT_BOUND: readonly Operation[] = [
  ...(['health', 'listClusters'] as const),
  ...(Object.keys(ROUTES) as Operation[]).filter((operation) => ROUTES[operation].servedBy === 'admin'),
];

describe('a verb that is about a hold or names a cluster', () => {
  it('is each one that is here, beside those that are of no cluster', () => {
    expect([...Object.keys(BOUND), ...NOT_BOUND].sort()).toEqual(Object.keys(ROUTES).sort());
  });

  it.each(Object.entries(BOUND) as [Operation, (hold_id: string) => Request][])(
    '%s is refused to the head node of another cluster, and done for its own, an administrator and the account',
    async (operation, requestOf) => {
      const hold_id = await prepared();
      const before = (await ask(ADMIN, 'showHold', { path: { hold_id } })).body;
      const request = requestOf(hold_id);
      const refusal = JSON.stringify(request).includes('"beta"')
        ? {
            code: 'not_authorized',
            message: `${ALPHAS_ROLE} acts for cluster alpha, and so not for beta: each cluster's head node needs a role of its own`,
          }
        : { code: 'cluster_conflict', message: `hold ${hold_id} belongs to cluster beta, and ${ALPHAS_ROLE} acts for alpha` };
      const status = refusal.code === 'not_authorized' ? 403 : 409;
      expect(await ask(ALPHA, operation, request)).toMatchObject({ status, body: { error: refusal } });
      expect((await ask(ADMIN, 'showHold', { path: { hold_id } })).body).toEqual(before);

      const others = operation === 'beatCluster' ? [BETA] : [BETA, ADMIN, `arn:aws:iam::${ACCOUNT}:root`, undefined];
      for (const caller of others) expect(await ask(caller, operation, requestOf(hold_id))).toMatchObject({ status: 200 });
    },
  );

  it.each([
    ['a run of another cluster in a batch', 'settleRuns', { runs: [{ run_id: 'r2', actual_cost: 1, cluster: 'beta' }] }],
    ['a run without a hold', 'reconcile', { run_id: 'r9', actual_cost: 1, cluster: 'beta', job_id: '9', account: 'physics' }],
    ['a run found by its job', 'reconcile', { run_id: 'r2', actual_cost: 1, cluster: 'beta', job_id: '7' }],
  ] as const)('is refused for %s', async (_, operation, body) => {
    await prepared();
    const own = await ask<{ hold_id: string }>(ALPHA, 'checkBudget', { body: { ...job, cluster: 'alpha', hold_id: randomUUID() } });
    const path = { hold_id: own.body.hold_id };
    expect(await ask(ALPHA, operation, { path, body })).toMatchObject({ status: 403, body: { error: { code: 'not_authorized' } } });
  });

  it('is refused for a hold id that another cluster took', async () => {
    const hold_id = await prepared();
    const mine = await ask(ALPHA, 'checkBudget', { body: { ...job, cluster: 'alpha', hold_id } });
    expect(mine.status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify(mine.body)).not.toContain('budget_');
  });

  it('binds a role in whatever session, and a user, and reads who acts for whom once a minute', async () => {
    const user = `arn:aws:iam::${ACCOUNT}:user/clusters/gamma`;
    expect((await beat(user, 'gamma')).status).toBe(200);
    clock.advance(MINUTE_MS);
    listed = 0;
    for (const caller of [sessionOf('head-of-alpha', 'another-session'), user])
      for (const status of [403, 403]) expect((await ask(caller, 'checkBudget', { body: job })).status).toBe(status);
    for (let i = 0; i < 5; i += 1) expect((await ask(BETA, 'checkBudget', { body: job })).status).toBe(200);
    expect(listed).toBe(1);
    clock.advance(MINUTE_MS);
    expect((await ask(BETA, 'checkBudget', { body: job })).status).toBe(200);
    expect(listed).toBe(2);
  });
});

describe('an administrator', () => {
  const name = (userArn: string, principals: readonly string[], cluster = 'alpha') =>
    ask<{ principals: string[] }>(userArn, 'namePrincipals', { path: { cluster }, body: { principals } });
  const PLUGIN = sessionOf('plugin-of-alpha');
  const PLUGINS_ROLE = `arn:aws:iam::${ACCOUNT}:role/plugin-of-alpha`;

  it('binds the plugin, whose role is another than the agent’s', async () => {
    expect((await ask(PLUGIN, 'checkBudget', { body: job })).status).toBe(200); // Nobody has said yet whose it is.
    const named = await name(ADMIN, [ALPHAS_ROLE, `arn:aws:iam::${ACCOUNT}:role/some/path/plugin-of-alpha`, PLUGINS_ROLE]);
    expect(named).toMatchObject({ status: 200, body: { cluster: 'alpha', principals: [ALPHAS_ROLE, PLUGINS_ROLE] } });
    clock.advance(MINUTE_MS);
    expect((await ask(PLUGIN, 'checkBudget', { body: job })).status).toBe(403);
    expect((await ask(PLUGIN, 'checkBudget', { body: { ...job, cluster: 'alpha' } })).status).toBe(200);
    expect(await ask(BETA, 'listClusters')).toMatchObject({
      body: { clusters: [{ cluster: 'alpha', principals: [ALPHAS_ROLE, PLUGINS_ROLE] }, { cluster: 'beta' }] },
    });
  });

  it('lets a role take another’s place without waiting', async () => {
    const next = sessionOf('next-head-of-alpha');
    expect(await beat(next, 'alpha')).toMatchObject({ status: 409, body: { error: { code: 'cluster_conflict' } } });
    expect((await name(ADMIN, [ALPHAS_ROLE, `arn:aws:iam::${ACCOUNT}:role/next-head-of-alpha`])).status).toBe(200);
    expect((await beat(next, 'alpha')).status).toBe(200);
    expect((await beat(ALPHA, 'alpha')).status).toBe(200);
  });

  it('is not kept from a verb of administrators because the same role is a head node’s', async () => {
    const hold_id = await prepared();
    expect((await name(ALPHA, [`arn:aws:iam::${ACCOUNT}:role/head-of-beta`], 'beta')).status).toBe(200);
    expect((await ask(ALPHA, 'audit', { body: {} })).status).toBe(200);
    expect(await ask(ALPHA, 'listHoldsOfAccount', { path: { account: 'physics' } })).toMatchObject({ body: { holds: [{ hold_id }] } });
  });

  it.each([
    [400, 'alpha', ['arn:aws:iam::111122223333:root']],
    [400, 'alpha', ['head-of-alpha']],
    [400, 'alpha', Array.from({ length: 9 }, (_, i) => `arn:aws:iam::111122223333:role/r${i}`)],
    [404, 'unheard', [ALPHAS_ROLE.replace('alpha', 'unheard')]],
    [403, 'alpha', ['arn:aws:iam::111122223333:role/head-of-beta']],
  ])('is answered %i for what cannot be: %s %j', async (status, cluster, principals) => {
    expect((await name(ADMIN, principals, cluster)).status).toBe(status);
  });
});
