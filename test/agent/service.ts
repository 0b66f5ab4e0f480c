// The whole service in this process, over a store in memory and a clock that the test moves: its real handlers, asked through the
// real client, with a hand on every request.

import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import type { BudgetStore, Clock } from '#app/ports';
import { type ApiClient, createApiClient } from '#cli/api-client';
import { offlinePricing } from '#cli/local/pricing';
import { sweep } from '#events/expire';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';
import { SETTINGS } from '#test/http/api';

/** A request, before and after it is served. */
export type Around = (operation: { method: string; path: string; body: string }, serve: () => Promise<Response>) => Promise<Response>;

export interface TestService {
  readonly api: ApiClient;
  /** What is really there. */
  readonly store: BudgetStore;
  /** Requests so far, as `METHOD /path` with ids replaced by their kinds. */
  readonly requests: string[];
  /** From now on every request goes through this. */
  around(next: Around): void;
  /** What the timer does in AWS. */
  sweep(): Promise<unknown>;
}

export const createService = (nowMs: () => number): TestService => {
  const store = createMemoryBudgets();
  // Nothing that a request waits for takes time here.
  const clock: Clock = { now: nowMs, sleep: (ms, signal) => systemClock.sleep(signal === undefined ? 0 : ms, signal) };
  const services = createServices({
    store,
    pricing: offlinePricing('no network'),
    clock,
    ids: createIds(),
    settings: SETTINGS,
    telemetry: {
      answered: () => undefined,
      measured: () => undefined,
      failed: ({ error }) => {
        throw error;
      },
    },
  });
  const handler = createHandler(services, { ...submitRoutes, ...agentRoutes, ...adminRoutes });
  const requests: string[] = [];
  let around: Around = (_, serve) => serve();

  const serve = async (url: URL, init: RequestInit): Promise<Response> => {
    const method = init.method ?? 'GET';
    const query = Object.fromEntries(url.searchParams);
    const event = {
      version: '2.0',
      routeKey: '$default',
      rawPath: url.pathname,
      rawQueryString: url.search.slice(1),
      headers: { 'content-type': 'application/json' },
      ...(Object.keys(query).length === 0 ? {} : { queryStringParameters: query }),
      requestContext: { http: { method, path: url.pathname }, requestId: 'test', timeEpoch: nowMs() },
      ...(init.body === undefined ? {} : { body: String(init.body) }),
      isBase64Encoded: false,
    };
    const { statusCode = 200, body } = await handler(event as never, {} as never);
    return new Response(statusCode === 204 ? null : (body ?? ''), { status: statusCode });
  };
  const fetchLike = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input));
    const path = url.pathname.replace(/^\/api\/v1/, '');
    requests.push(
      `${init.method ?? 'GET'} ${path.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/, 'HOLD')}${url.search.replace(/&?limit=\d+/, '')}`,
    );
    return around({ method: init.method ?? 'GET', path, body: String(init.body ?? '') }, () => serve(url, init));
  };
  return {
    api: createApiClient({ endpoint: 'http://127.0.0.1:8080', fetch: fetchLike as typeof fetch, now: nowMs }),
    store,
    requests,
    around: (next) => {
      around = next;
    },
    sweep: () => sweep(services, clock),
  };
};

/** What `fetch` says when nobody listens. */
export const noConnection = (): never => {
  throw new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) });
};
