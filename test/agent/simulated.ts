// A cluster and a service inside the test's own process, with a clock of their own, that count what they are asked.
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createServices } from '#adapters/services';
import type { AccountedRun, ClusterFacts, QueuedJob, Slurm } from '#cli/agent/ports';
import { type ApiClient, createApiClient } from '#cli/api-client';
import type { Operation } from '#contract/routes';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';
import { SETTINGS } from '#test/http/api';
import { createFakeClock, type FakeClock } from '#test/support/fake-clock';
import { createFakeIds } from '#test/support/world';

export const CLUSTER = 'local';

export type Counted = Record<string, number>;

const count = (counted: Counted, what: string): void => {
  counted[what] = (counted[what] ?? 0) + 1;
};

export interface SimulatedApi {
  readonly api: ApiClient;
  readonly clock: FakeClock;
  /** Requests by operation since this was last asked. */
  asked(): Partial<Record<Operation, number>>;
}

/** The service's own handlers over the memory store, asked through the real client, at the time of a clock that stands still. */
export const aSimulatedApi = (start: number): SimulatedApi => {
  const clock = createFakeClock(start);
  const services = createServices({
    store: createMemoryBudgets(),
    prices: { offerOf: async () => undefined },
    clock,
    ids: createFakeIds(),
    settings: SETTINGS,
    telemetry: {
      answered: () => undefined,
      failed: ({ error }) => {
        throw error;
      },
    },
  });
  const handle = createHandler(services, { ...submitRoutes, ...agentRoutes, ...adminRoutes });
  const fetchLike = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input));
    const { statusCode = 200, body } = await handle(eventOf(url, init, clock.now()), {} as Context);
    return new Response(statusCode === 204 ? null : (body ?? ''), { status: statusCode });
  };
  const client = createApiClient({ endpoint: 'http://simulated.test', fetch: fetchLike as typeof fetch, now: clock.now });
  let counted: Counted = {};
  return {
    api: {
      endpoint: client.endpoint,
      request: (operation, request) => {
        count(counted, operation);
        return client.request(operation, request);
      },
    },
    clock,
    asked: () => {
      const asked = counted;
      counted = {};
      return asked;
    },
  };
};

const eventOf = (url: URL, { method = 'GET', body }: RequestInit, now: number): APIGatewayProxyEventV2 =>
  ({
    version: '2.0',
    routeKey: '$default',
    rawPath: url.pathname,
    rawQueryString: url.searchParams.toString(),
    headers: { 'content-type': 'application/json' },
    queryStringParameters: Object.fromEntries(url.searchParams),
    requestContext: { http: { method, path: url.pathname }, requestId: 'simulated', timeEpoch: now },
    ...(body === undefined || body === null ? {} : { body: String(body) }),
    isBase64Encoded: false,
  }) as unknown as APIGatewayProxyEventV2;

export interface SimulatedSlurm extends Slurm {
  /** Calls by command since this was last asked. */
  called(): Counted;
}

/** What it shows is asked for at each call, so that a test may change it. */
export const aSimulatedSlurm = (shows: {
  readonly queue: () => Iterable<QueuedJob>;
  readonly ended?: () => Iterable<AccountedRun>;
  readonly facts?: Partial<ClusterFacts>;
}): SimulatedSlurm => {
  let counted: Counted = {};
  const facts = { clusterName: CLUSTER, hasAccounting: true, minJobAgeSeconds: 300, bootedAt: 0, showsAllJobs: true, ...shows.facts };
  return {
    facts: async () => {
      count(counted, 'scontrol');
      return facts;
    },
    queue: async (onJob) => {
      count(counted, 'squeue');
      for (const job of shows.queue()) onJob(job);
    },
    endedRuns: async ({ from, to }, onRun) => {
      count(counted, 'sacct');
      for (const run of shows.ended?.() ?? []) if (run.endedAt !== null && run.endedAt >= from && run.endedAt < to) onRun(run);
    },
    runsOf: async (ids, onRun) => {
      count(counted, 'sacct -j');
      const wanted = new Set(ids);
      for (const run of shows.ended?.() ?? []) if (wanted.has(run.submissionId)) onRun(run);
    },
    accountingBacklog: async () => {
      count(counted, 'sdiag');
      return 0;
    },
    called: () => {
      const called = counted;
      counted = {};
      return called;
    },
  };
};

/** A state file in memory. */
export const aStateInMemory = <T extends { read(cluster: string): unknown; write(state: never): void }>(first?: unknown) => {
  let state = first;
  return {
    read: () => state,
    write: (next: unknown) => {
      state = next;
    },
  } as unknown as T;
};
