// The whole service in this process, on a clock and on ids that are the same each time, with the history told.
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createServices } from '#adapters/services';
import { systemClock } from '#adapters/system';
import type { BudgetStore, Clock } from '#app/ports';
import { createCommitFollower } from '#cli/local/after-commit';
import { LOCAL_PARTITIONS } from '#cli/local/first-partitions';
import { offlinePricing } from '#cli/local/pricing';
import { follow } from '#events/stream';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';
import { NOW, tellHistory } from '#test/golden/history';
import { SETTINGS } from '#test/http/api';
import { createFakeIds } from '#test/support/world';

/** Where it answers; it refuses everybody at the second address, and nobody listens at any other. */
export const ENDPOINT = 'http://127.0.0.1:8080';
export const FORBIDDEN = 'http://127.0.0.1:8043';

/** Asked as the API is. */
export const createGoldenService = async (): Promise<typeof fetch> => {
  let now = 0;
  // Nothing that a request waits for takes time here.
  const clock: Clock = { now: () => now, sleep: (ms, signal) => systemClock.sleep(signal === undefined ? 0 : ms, signal) };
  const ids = createFakeIds();
  const table = createMemoryBudgets();
  for (const model of LOCAL_PARTITIONS) await table.writePartition(model);
  const servicesOn = (store: BudgetStore) =>
    createServices({
      store,
      ...{ pricing: offlinePricing('no network'), clock, ids, settings: SETTINGS },
      telemetry: {
        answered: () => undefined,
        measured: () => undefined,
        failed: ({ error }) => {
          throw error;
        },
      },
    });
  const behind = servicesOn(table);
  const follower = createCommitFollower({
    clock,
    follow: (changes) => follow({ services: behind, clock }, changes),
    catchUp: async () => undefined,
    progress: { read: () => 0, write: () => undefined },
    say: (line) => {
      throw new Error(line);
    },
  });
  await follower.keep();
  const handler = createHandler(servicesOn(follower.through(table)), { ...submitRoutes, ...agentRoutes, ...adminRoutes });

  const serve = async (url: URL, init: RequestInit): Promise<Response> => {
    const query = Object.fromEntries(url.searchParams);
    const event = {
      ...{ version: '2.0', routeKey: '$default', rawPath: url.pathname, rawQueryString: url.search.slice(1) },
      headers: { 'content-type': 'application/json' },
      ...(Object.keys(query).length === 0 ? {} : { queryStringParameters: query }),
      requestContext: { http: { method: init.method ?? 'GET', path: url.pathname }, requestId: 'r-1', timeEpoch: now },
      ...(init.body === undefined ? {} : { body: String(init.body) }),
      isBase64Encoded: false,
    };
    const { statusCode = 200, body } = await handler(event as never, {} as never);
    return new Response(statusCode === 204 ? null : (body ?? ''), { status: statusCode });
  };

  await tellHistory({
    at: (time) => {
      now = Date.parse(time);
    },
    send: async (method, path, body) => {
      const answer = await serve(new URL(`${ENDPOINT}/api/v1${path}`), { method, body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
    },
  });
  await breakAccount(table, ids.entryId(Date.parse(NOW)));

  const ask = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input));
    if (url.origin === FORBIDDEN) return new Response('{"message":"Forbidden"}', { status: 403 });
    if (url.origin === ENDPOINT) return serve(url, init);
    throw new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) });
  };
  return ask as typeof fetch;
};

/** Somebody wrote into the table by hand: $10 of the course's money are where no entry put them. For the audit to find. */
const breakAccount = async (store: BudgetStore, entryId: string): Promise<void> => {
  const at = Date.parse(NOW);
  const movement = { available: 10_000_000n, held: 0n, used: 0n, limit: 10_000_000n };
  const words = { holdId: null, jobId: null, runId: null, user: null, note: null };
  const { booked } = await store.commit({
    accounts: [{ account: 'teaching', movement, unconfirmed: 0n, entries: 1, require: { kind: 'fact' }, at }],
    // An audit takes a repair for what it set, and this one says that it set nothing.
    entries: [
      { entryId, at, account: 'teaching', type: 'repair', amount: 0n, movement: { ...movement, available: 0n, limit: 0n }, ...words },
    ],
  });
  if (!booked) throw new Error('the table could not be written by hand');
};
