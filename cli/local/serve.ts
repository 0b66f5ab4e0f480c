// `asbb local`: the whole service on this machine. The same handlers as in AWS, over a real DynamoDB engine on a folder.
import { inspect } from 'node:util';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createBaseClient, createDocumentClient } from '#adapters/dynamo-client';
import { createTable } from '#adapters/dynamo-table';
import { createHttpAdvisor } from '#adapters/http-advisor';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { fixedKey } from '#adapters/secret-key';
import { createServices, type Parts } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import type { Advisor, BudgetStore, Services, Settings, Surroundings, Telemetry } from '#app/ports';
import { refreshPrices } from '#app/refresh-prices';
import {
  type CommitFollower,
  countLedgers,
  createCommitFollower,
  type Progress,
  progressIn,
  progressOfLastDay,
} from '#cli/local/after-commit';
import { lockDataDirectory } from '#cli/local/data-lock';
import { findDynamoDbLocal, findJava, GET_DYNAMODB_LOCAL, startDynamoDbLocal } from '#cli/local/dynamodb-local';
import { createEventBus, type DeadLetter, type EventBus } from '#cli/local/event-bus';
import { LOCAL_PARTITIONS } from '#cli/local/first-partitions';
import { createLocalServer } from '#cli/local/http-server';
import { offlinePricing } from '#cli/local/pricing';
import { announceServer, type UserFolders } from '#cli/local/running';
import { createVerifier } from '#cli/local/sigv4-verify';
import { ROUTES } from '#contract/routes';
import { PRICE_REFRESH_BUDGET_MS, PRICE_REFRESH_INTERVAL_MS, PRICE_TTL_MS, SWEEP_INTERVAL_MS } from '#contract/settings';
import { BudgetError } from '#domain/errors';
import { sweep } from '#events/expire';
import { settleEndedJobs } from '#events/job-ended';
import { follow } from '#events/stream';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';

const HOST = '127.0.0.1';

export interface LocalOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly store: 'dynamodb' | 'memory';
  /** Where money is kept; neither the memory store nor an engine of somebody else's has one. */
  readonly directory: string;
  /** A DynamoDB that runs already, instead of one of our own. */
  readonly dynamoEndpoint?: string;
  readonly table: string;
  readonly settings: Omit<Settings, 'surroundings'>;
  /** Absent: none is asked. */
  readonly advisor?: { readonly url: string; readonly apiKey?: string; readonly timeoutMs: number };
  /** @default the catalogue, and nobody is asked */
  readonly pricing?: Parts['pricing'];
  /** What GET /settings shows of prices and advisor. */
  readonly helpers?: Pick<Surroundings, 'pricingRegion' | 'priceTtlMs' | 'advisorUrl'>;
  /** Demand signatures made with these; without, every request is let in. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly folders: UserFolders;
  /** For people: what started, and what went wrong. */
  readonly say: (line: string) => void;
}

export interface LocalServer {
  readonly url: string;
  /** Resolves, with its reason, if the store is lost: then nothing more can be answered. */
  readonly failed: Promise<string>;
  /** Events that failed too often, the newest last. */
  deadLetters(): readonly DeadLetter[];
  stop(): Promise<void>;
}

/** Start everything, or leave nothing behind. */
export const startLocal = async (options: LocalOptions): Promise<LocalServer> => {
  const stops: (() => Promise<void> | void)[] = [];
  const stopAll = async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  };
  try {
    const opened = await openStore(options, stops);
    const advisor = advisorOf(options);
    const servicesOn = (store: BudgetStore): Services =>
      createServices({
        store,
        ...advisor,
        pricing: options.pricing ?? offlinePricing('this server asks nobody'),
        clock: systemClock,
        ids: createIds(),
        settings: { ...options.settings, surroundings: surroundingsOf(options) },
        telemetry: quietTelemetry(options.say),
      });
    const follower = followerOf(options, servicesOn(opened.store), opened.progress);
    await follower.keep();
    stops.push(follower.keep); // When nobody writes any more.
    const services = servicesOn(follower.through(opened.store));
    const bus = startBus(options, services, stops);
    const { port } = await listen(options, { services, bus }, stops);
    stops.push(startSweeping(services, options.say));
    stops.push(startRefreshing(services, options));
    stops.push(startKeeping(follower));
    const announcement = { port, pid: process.pid, auth: options.credentials !== undefined, startedAt: new Date(systemClock.now()) };
    stops.push(announceServer(options.folders, announcement).withdraw);
    return { url: `http://${HOST}:${port}`, failed: opened.failed, deadLetters: bus.deadLetters, stop: stopAll };
  } catch (error) {
    await stopAll();
    throw error;
  }
};

const advisorOf = ({ advisor }: LocalOptions): { advisor?: Advisor } => {
  if (advisor === undefined) return {};
  const { url, apiKey, timeoutMs } = advisor;
  const key = apiKey === undefined ? {} : { key: fixedKey(apiKey) };
  return { advisor: createHttpAdvisor({ url, ...key, timeoutMs, clock: systemClock, ids: createIds() }) };
};

const surroundingsOf = ({ store, helpers }: LocalOptions): Surroundings => ({
  store,
  sweepIntervalMs: SWEEP_INTERVAL_MS,
  ...(helpers ?? { pricingRegion: null, priceTtlMs: PRICE_TTL_MS, advisorUrl: null }),
});

/**
 * DynamoDB Local if it and a Java for it are there and nobody asked otherwise.
 * @throws Error if it was asked for, or its folder named, and it is not there
 */
export const chooseStore = (
  asked: 'dynamodb' | 'memory' | undefined,
  env: Readonly<NodeJS.ProcessEnv> = process.env,
): { store: 'dynamodb' | 'memory'; why?: string } => {
  if (asked === 'memory') return { store: 'memory', why: `the memory store was asked for: ${GONE}` };
  const isThere = findDynamoDbLocal(env) !== undefined;
  const hasJava = isThere && findJava(env) !== undefined;
  if (hasJava) return { store: 'dynamodb' };
  if (asked === undefined)
    return {
      store: 'memory',
      why: isThere
        ? `no Java 17 was found, so the memory store is used: ${GONE}`
        : `DynamoDB Local is not on this machine, so the memory store is used: ${GONE}; to keep them, ${GET_DYNAMODB_LOCAL}`,
    };
  throw new Error(
    isThere
      ? 'DynamoDB Local needs Java 17 or newer: install it (Debian: openjdk-17-jre-headless), or use --store memory'
      : `DynamoDB Local is not on this machine: ${GET_DYNAMODB_LOCAL}, or use --store memory`,
  );
};

const GONE = 'accounts and holds are gone when this server stops';

/** On a busy laptop the engine is slow, but it is not away: when its process ends, its connections do. */
const LOCAL_PATIENCE = { connectTimeoutMs: 10_000, requestTimeoutMs: 20_000 };

const openStore = async (
  options: LocalOptions,
  stops: (() => Promise<void> | void)[],
): Promise<{ store: BudgetStore; failed: Promise<string>; progress: Progress }> => {
  if (options.store === 'memory') {
    const store = createMemoryBudgets();
    await addFirstPartitions(store);
    return { store, failed: new Promise(() => undefined), progress: progressOfLastDay(systemClock) };
  }
  const dynamo =
    options.dynamoEndpoint === undefined
      ? await startEngine(options.directory, stops)
      : { endpoint: options.dynamoEndpoint, exited: new Promise<string>(() => undefined) };
  // DynamoDB Local takes any credentials; without some, the SDK would look for real ones, and find no network.
  const where = {
    endpoint: dynamo.endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    ...LOCAL_PATIENCE,
  };
  const status = await createTable(createBaseClient(where), options.table);
  if (!status.usable)
    throw new Error(
      `the table ${options.table} at ${options.dynamoEndpoint ?? options.directory} is of another version of asbb, or another program's: use another folder with --data`,
    );
  const store = createDynamoBudgets({ client: createDocumentClient(where), table: options.table });
  if (status.created) await addFirstPartitions(store);
  const progress = options.dynamoEndpoint === undefined ? progressIn(options.directory) : progressOfLastDay(systemClock);
  return { store, failed: dynamo.exited, progress };
};

const startEngine = async (directory: string, stops: (() => Promise<void> | void)[]) => {
  stops.push(lockDataDirectory(directory).release);
  const engine = await startDynamoDbLocal({ directory });
  stops.push(engine.stop);
  return engine;
};

/** A fresh server can price a job at once. */
const addFirstPartitions = async (store: BudgetStore): Promise<void> => {
  for (const model of LOCAL_PARTITIONS) await store.writePartition(model);
};

/** Counting a catch-up takes as long as it takes; nobody waits for it but a start. */
const CATCH_UP_BUDGET_MS = 600_000;

/** Its services are its own: it works while a commit waits for it, and must not wait for that commit's place at the store. */
const followerOf = ({ say }: LocalOptions, services: Services, progress: Progress): CommitFollower =>
  createCommitFollower({
    clock: systemClock,
    follow: (changes) => follow({ services, clock: systemClock }, changes),
    catchUp: (from) => countLedgers(services.world(systemClock.now() + CATCH_UP_BUDGET_MS), from),
    progress,
    say,
  });

const KEEP_INTERVAL_MS = 60_000;

const startKeeping = (follower: CommitFollower): (() => Promise<void>) => {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= follower.keep().finally(() => {
      running = undefined;
    });
  }, KEEP_INTERVAL_MS);
  return async () => {
    clearInterval(timer);
    await running;
  };
};

/** What EventBridge and a queue do in AWS; for the SDK, AWS_ENDPOINT_URL_EVENTBRIDGE is this server's address. */
const startBus = ({ credentials, say }: LocalOptions, services: Services, stops: (() => Promise<void> | void)[]): EventBus => {
  const bus = createEventBus({
    handle: (batch) => settleEndedJobs(services, systemClock, batch),
    now: systemClock.now,
    say,
    ...(credentials === undefined ? {} : { verifier: createVerifier({ credentials, service: 'events', now: systemClock.now }) }),
  });
  stops.push(bus.stop);
  return bus;
};

const listen = async (
  options: LocalOptions,
  { services, bus }: { services: Services; bus: EventBus },
  stops: (() => Promise<void> | void)[],
): Promise<{ port: number }> => {
  const { credentials } = options;
  const server = createLocalServer({
    handle: createHandler(services, { ...submitRoutes, ...agentRoutes, ...adminRoutes }),
    beside: bus.service,
    now: systemClock.now,
    log: (message, cause) =>
      options.say(`${message}${cause === undefined ? '' : `: ${cause instanceof Error ? (cause.stack ?? cause.message) : cause}`}`),
    ...(credentials === undefined
      ? {}
      : {
          verify: {
            verifier: createVerifier({ credentials, service: 'execute-api', now: systemClock.now }),
            isPublic: (method: string, path: string) => method === ROUTES.health.method && path === ROUTES.health.path,
          },
        }),
  });
  const listening = await server.listen({ host: HOST, port: options.port });
  stops.push(server.close);
  return listening;
};

/** What EventBridge does in AWS: a sweep every minute, never two at once. */
const startSweeping = (services: Services, say: (line: string) => void): (() => Promise<void>) => {
  let running: Promise<void> = Promise.resolve();
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    running = sweep(services, systemClock)
      .then(
        ({ expired }) => {
          if (expired > 0) say(`returned the money of ${expired} expired holds`);
        },
        (error: unknown) => say(`the sweep failed and is tried again in a minute: ${error instanceof Error ? error.message : error}`),
      )
      .finally(() => {
        isRunning = false;
      });
  }, SWEEP_INTERVAL_MS);
  return () => {
    clearInterval(timer);
    return running;
  };
};

/** However short prices are believed. */
const LEAST_REFRESH_INTERVAL_MS = 1_000;

/** What a rule does in AWS: prices are asked for anew before they are too old, never twice at once. */
const startRefreshing = (services: Services, { pricing, say }: LocalOptions): (() => void) => {
  let isRunning = false;
  let isStopping = false;
  const intervalMs = Math.max(LEAST_REFRESH_INTERVAL_MS, Math.min(PRICE_REFRESH_INTERVAL_MS, (pricing?.ttlMs ?? PRICE_TTL_MS) / 2));
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    refreshPrices(services.world(systemClock.now() + PRICE_REFRESH_BUDGET_MS), () => !isStopping)
      .catch((error: unknown) =>
        say(`prices could not be refreshed and are asked for again later: ${error instanceof Error ? error.message : error}`),
      )
      .finally(() => {
        isRunning = false;
      });
  }, intervalMs);
  return () => {
    clearInterval(timer);
    isStopping = true;
  };
};

/** On a laptop only what went wrong is worth a line. */
const quietTelemetry = (say: (line: string) => void): Telemetry => ({
  answered: () => undefined,
  measured: () => undefined,
  failed: ({ operation, requestId, error }) =>
    say(`${operation} failed (request ${requestId}): ${error instanceof BudgetError ? error.message : inspect(error)}`),
});
