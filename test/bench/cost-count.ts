// What one job costs, counted: the service's own handlers over DynamoDB Local, with a hand on every request of the store, on
// every record of the table's stream, and on every line that telemetry writes. Time is fixed, so a second count is the same.
import { randomUUID } from 'node:crypto';
import { type AttributeValue, type DynamoDBClient, GetItemCommand, QueryCommand, type QueryCommandInput } from '@aws-sdk/client-dynamodb';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { monotonicFactory } from 'ulid';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createBaseClient, createDocumentClient } from '#adapters/dynamo-client';
import { changeOf } from '#adapters/dynamo-stream';
import { createTable } from '#adapters/dynamo-table';
import { createPowertoolsTelemetry } from '#adapters/powertools';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import { auditAccounts } from '#app/audit-accounts';
import type { Clock, PriceLink } from '#app/ports';
import { offlinePricing } from '#cli/local/pricing';
import { API_BASE_PATH } from '#contract/limits';
import { followedKind, TABLE } from '#contract/table';
import { sweep } from '#events/expire';
import { refresh } from '#events/price-refresh';
import { followStream } from '#events/stream';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';
import { readStream } from '#test/events/table-stream';
import { SETTINGS } from '#test/http/api';
import { anOffer } from '#test/support/builders';

type Attributes = Record<string, AttributeValue>;

/** One item that was written. */
export interface Written {
  /** What its two keys begin with: `HOLD/SPEC`. */
  readonly item: string;
  /** The larger one of before and after, which is what AWS bills. */
  readonly bytes: number;
  readonly writeUnits: number;
  /** Keys put into and taken out of the three indexes. */
  readonly indexWrites: number;
}

export interface Counts {
  readonly written: readonly Written[];
  /** Of the items, and a unit for each of the index writes. */
  readonly writeUnits: number;
  readonly readUnits: number;
  /** Of lines that telemetry wrote, with what CloudWatch adds to each. */
  readonly logBytes: number;
  /** `Name operation=x` of each metric in those lines. */
  readonly metrics: readonly string[];
}

/** A request, or a call of a function, and what the stream's reader did about it. */
export interface Step extends Counts {
  readonly reader: Counts & {
    /** Records that the stream had of it, those of the reader's own writes included. */
    readonly records: number;
    /** Of these, records of items that anybody follows. */
    readonly followed: number;
    /** Transactions and single writes, the reader's included: in a quiet hour each is a call of the reader. */
    readonly commits: number;
    /** On the bus, none of them larger than the 64 KiB that are billed as one. */
    readonly events: number;
  };
}

export interface CostCounts {
  readonly steps: Readonly<Record<StepName, Step>>;
  /** Of an audit, for each job in the ledger. */
  readonly auditReadUnitsPerJob: number;
  /** What one ended job leaves in the table for good, with the 100 bytes that AWS adds to each item and index entry. */
  readonly storedBytesPerJob: number;
}

export type StepName =
  | 'check'
  | 'bind'
  | 'extend'
  | 'settle'
  | 'refusal'
  | 'arrayCheck'
  | 'arraySettleOne'
  | 'arraySettleAll'
  | 'threshold'
  | 'heartbeat'
  | 'listNone'
  | 'listUnbound'
  | 'listBound'
  | 'sweep'
  | 'refresh';

const WRITE_UNIT_BYTES = 1024;
const READ_UNIT_BYTES = 4096;
const CLOUDWATCH_BYTES_PER_LINE = 26;
export const STORED_OVERHEAD_BYTES = 100;
const MAX_EVENT_BYTES = 64 * 1024;
/** Of the shape of API Gateway's. */
const REQUEST_ID = 'JKJaXmPLvHcESHA=';
/** No round figure: a number with zeros at its end is stored in fewer bytes than most. */
const START = Date.UTC(2026, 10, 23, 12, 0, 12, 347);
const A_WHILE_MS = 61_003;
export const ARRAY_TASKS = 40;
const AUDITED_JOBS = 20;

/** @param endpoint of a DynamoDB Local */
export const countCost = async (endpoint: string): Promise<CostCounts> => {
  const lines: string[] = [];
  const restore = captureOutput(lines);
  const bench = await aBench(endpoint, lines);
  try {
    return await bench.countAll();
  } finally {
    bench.close();
    restore();
  }
};

/** Powertools has a console of its own, so its lines are caught where all of them pass. */
const captureOutput = (lines: string[]): (() => void) => {
  const { write } = process.stdout;
  process.stdout.write = ((text: string | Uint8Array) => {
    lines.push(
      ...String(text)
        .split('\n')
        .filter((line) => line.startsWith('{')),
    );
    return true;
  }) as typeof write;
  return () => {
    process.stdout.write = write;
  };
};

const aBench = async (endpoint: string, lines: string[]) => {
  const where = { endpoint, region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' }, requestTimeoutMs: 20_000 };
  const base = createBaseClient(where);
  const table = `asbb-${randomUUID()}`;
  await createTable(base, table);
  const meter = createMeter(base, table);
  const client = createDocumentClient(where);
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers, body } = (args as { request: { headers: Record<string, string>; body: Uint8Array | string } }).request;
      const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
      const operation = headers['x-amz-target']?.split('.')[1] ?? '';
      return meter.through({ operation, body: JSON.parse(text) }, () => next(args)) as ReturnType<typeof next>;
    },
    { step: 'serialize', priority: 'low', name: 'meter' },
  );

  let now = START;
  const clock: Clock = { now: () => now, sleep: systemClock.sleep };
  // As deployed: prices are kept, and refreshed before they are old.
  const api: PriceLink = { source: 'pricing-api', ask: async () => ({ kind: 'offer', offer: anOffer() }) };
  const services = createServices({
    store: createDynamoBudgets({ client, table }),
    pricing: { ...offlinePricing('no network'), api },
    clock,
    ids: { ...createIds(), entryId: monotonicFactory(() => 0.5), random: () => 0.5 },
    settings: SETTINGS,
    telemetry: createPowertoolsTelemetry(clock, 'asbb-prod'),
  });
  const handle = createHandler(services, { ...submitRoutes, ...agentRoutes, ...adminRoutes });

  const ask = async (method: string, target: string, body?: object, status = 200): Promise<void> => {
    const [path, query = ''] = target.split('?');
    const rawPath = `${API_BASE_PATH}${path}`;
    const event = {
      version: '2.0',
      routeKey: '$default',
      rawPath,
      rawQueryString: query,
      headers: { 'content-type': 'application/json' },
      ...(query === '' ? {} : { queryStringParameters: Object.fromEntries(new URLSearchParams(query)) }),
      requestContext: { http: { method, path: rawPath }, requestId: REQUEST_ID, timeEpoch: now },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      isBase64Encoded: false,
    } as unknown as APIGatewayProxyEventV2;
    const answer = await handle(event, {} as Context);
    if (answer.statusCode !== status) throw new Error(`${method} ${target} is answered with ${answer.statusCode}: ${answer.body}`);
  };

  let seen = 0;
  let events = 0;
  const put = async (sent: readonly { readonly detail: object }[]) => {
    for (const each of sent) if (JSON.stringify(each).length > MAX_EVENT_BYTES) throw new Error('an event is billed as two');
    events += sent.length;
    return { failed: [] };
  };
  const follower = { services, clock, changeOf, bus: { put }, topic: { publish: async () => undefined } };
  const takeCounts = (): Counts => {
    const { written, readUnits } = meter.take();
    const taken = lines.splice(0);
    return {
      written,
      writeUnits: written.reduce((sum, each) => sum + each.writeUnits + each.indexWrites, 0),
      readUnits,
      logBytes: taken.reduce((sum, line) => sum + Buffer.byteLength(line) + CLOUDWATCH_BYTES_PER_LINE, 0),
      metrics: [...new Set(taken.flatMap(metricsIn))],
    };
  };
  /** Until the stream has nothing new: the reader's own writes are in it as well. */
  const followAll = async (): Promise<Pick<Step['reader'], 'records' | 'followed'>> => {
    let [records, followed] = [0, 0];
    for (;;) {
      const fresh = (await readStream({ base, endpoint }, table)).slice(seen);
      if (fresh.length === 0) return { records, followed };
      seen += fresh.length;
      records += fresh.length;
      followed += fresh.filter(({ dynamodb }) => followedKind(keyOf((dynamodb?.Keys ?? {}) as Attributes)) !== undefined).length;
      const { batchItemFailures } = await followStream(follower, { Records: fresh });
      if (batchItemFailures.length > 0) throw new Error('the reader of the stream failed');
    }
  };
  const step = async (work: () => Promise<unknown>): Promise<Step> => {
    await followAll();
    takeCounts();
    const commits = meter.commits();
    events = 0;
    now += A_WHILE_MS;
    await work();
    const counts = takeCounts();
    const followed = await followAll();
    return { ...counts, reader: { ...takeCounts(), ...followed, commits: meter.commits() - commits, events } };
  };

  const countAll = async (): Promise<CostCounts> => {
    await ask('PUT', '/partitions/cloud', { region: 'us-east-1', instance_types: ['c5.18xlarge'] });
    await ask('POST', '/accounts', { account: 'physics', budget_limit: 1_000_000 }, 201);
    await ask('POST', '/accounts', { account: 'empty', budget_limit: 0 }, 201);
    await ask('POST', '/accounts', { account: 'small', budget_limit: 12 }, 201);
    await ask('POST', '/budget/quote', aJob); // Warm: prices and models are in memory.
    const [hold_id, array, late] = [aHoldId(1), aHoldId(2), aHoldId(3)];
    const list = (bound: boolean) => ask('GET', `/holds?cluster=cluster1&bound=${bound}&state=open&limit=500`);

    const heartbeat = await step(() => beat(ask));
    const listNone = await step(() => list(false));
    const aSweep = await step(() => sweep(services, clock));
    const aRefresh = await step(() => refresh(services, clock));
    const check = await step(() => ask('POST', '/budget/check', { ...aJob, hold_id }));
    const listUnbound = await step(() => list(false));
    const bind = await step(() => ask('POST', `/holds/${hold_id}/bind`, boundAt(now, 12_345)));
    const listBound = await step(() => list(true));
    const extend = await step(() => ask('POST', `/holds/${hold_id}/extend`, { expires_at: secondsOf(now + 30 * 3_600_000) }));
    const settle = await step(() => ask('POST', `/holds/${hold_id}/runs`, { runs: [aRun(now, 12_345)] }));
    const storedBytesPerJob = await meter.stored();
    const refusal = await step(() => ask('POST', '/budget/check', { ...aJob, account: 'empty', hold_id: late }));
    const threshold = await step(() => ask('POST', '/budget/check', { ...aJob, account: 'small', hold_id: late }));
    const ofArray = { ...aJob, array: `1-${ARRAY_TASKS + 1}`, hold_id: array };
    const arrayCheck = await step(() => ask('POST', '/budget/check', ofArray));
    await ask('POST', `/holds/${array}/bind`, boundAt(now, 20_000));
    const arraySettleOne = await step(() => ask('POST', `/holds/${array}/runs`, { runs: [aRun(now, 20_001)] }));
    const tasks = Array.from({ length: ARRAY_TASKS }, (_, n) => aRun(now, 20_002 + n));
    const arraySettleAll = await step(() => ask('POST', `/holds/${array}/runs`, { runs: tasks }));

    return {
      steps: {
        check,
        bind,
        extend,
        settle,
        refusal,
        arrayCheck,
        arraySettleOne,
        arraySettleAll,
        threshold,
        heartbeat,
        listNone,
        listUnbound,
        listBound,
        sweep: aSweep,
        refresh: aRefresh,
      },
      auditReadUnitsPerJob: await auditSlope(),
      storedBytesPerJob,
    };
  };

  /** How much more an audit of account physics reads when it has so many jobs more. */
  const auditSlope = async (): Promise<number> => {
    const audit = async (): Promise<number> => {
      now += 3_600_000;
      meter.take();
      const { differences, walk } = await auditAccounts(services.world(now + 25_000), {
        account: 'physics',
        page: { limit: 1 },
        mode: 'compare',
      });
      if (differences.length > 0 || walk !== undefined) throw new Error('the audit differs, or has not come to its end');
      return meter.take().readUnits;
    };
    const before = await audit();
    for (let n = 0; n < AUDITED_JOBS; n++) {
      const hold_id = aHoldId(100 + n);
      now += A_WHILE_MS;
      await ask('POST', '/budget/check', { ...aJob, hold_id });
      await ask('POST', `/holds/${hold_id}/bind`, boundAt(now, 30_000 + n));
      await ask('POST', `/holds/${hold_id}/runs`, { runs: [aRun(now, 30_000 + n)] });
    }
    return ((await audit()) - before) / AUDITED_JOBS;
  };

  return {
    countAll,
    close: () => {
      base.destroy();
      client.destroy();
    },
  };
};

/** What the plugin knows of a job, with an account's, a user's and a cluster's name of usual length. */
const aJob = {
  account: 'physics',
  partition: 'cloud',
  user: 'mmuster',
  cluster: 'cluster1',
  nodes: 2,
  ntasks: 72,
  cpus: 72,
  memory: '64G',
  wall_time: '01:00:00',
  job_name: 'relax-0042',
};

/** As long as any, and the same in each count: where a page of a list ends depends on the order. */
const aHoldId = (n: number): string => `3f2a9c1e-6d0b-4f57-9a55-${String(n).padStart(12, '0')}`;

/** Slurm knows seconds. */
const secondsOf = (at: number): string => new Date(Math.floor(at / 1000) * 1000).toISOString();

const boundAt = (now: number, jobId: number) => ({ cluster: 'cluster1', job_id: String(jobId), submitted_at: secondsOf(now - 20_000) });

/** As the agent sends it. */
const aRun = (now: number, jobId: number) => ({
  run_id: `cluster1.${jobId}.${Math.floor(now / 1000)}`,
  elapsed_seconds: 1234,
  final: true,
  tasks: 1,
  job_id: String(jobId),
  cluster: 'cluster1',
  submitted_at: secondsOf(now - 2_000_000),
  started_at: secondsOf(now - 1_300_000),
  ended_at: secondsOf(now - 66_000),
  partition: 'cloud',
  state: 'COMPLETED',
  account: 'physics',
  user: 'mmuster',
  nodes: 2,
  cpus: 72,
  memory: 65_536,
});

type Ask = (method: string, target: string, body?: object, status?: number) => Promise<void>;

const beat = (ask: Ask) =>
  ask('PUT', '/clusters/cluster1', { cluster_uid: '3f2a9c1e-6d0b-4f57-9a55-0c1d2e3f4a5b', agent_version: '0.1.0' });

interface EmfLine {
  readonly _aws?: { readonly CloudWatchMetrics: readonly { Dimensions: string[][]; Metrics: { Name: string }[] }[] };
  readonly [name: string]: unknown;
}

const metricsIn = (line: string): string[] => {
  const { _aws, ...values } = JSON.parse(line) as EmfLine;
  return (_aws?.CloudWatchMetrics ?? []).flatMap(({ Dimensions, Metrics }) => {
    const dimensions = (Dimensions[0] ?? []).filter((name) => name !== 'service').map((name) => `${name}=${values[name]}`);
    return Metrics.map(({ Name }) => [Name, ...dimensions].join(' '));
  });
};

const keyOf = ({ pk, sk }: Attributes): { pk: string; sk: string } => ({ pk: pk?.S ?? '', sk: sk?.S ?? '' });

interface Request {
  readonly operation: string;
  readonly body: {
    readonly TransactItems?: readonly Partial<Record<'Put' | 'Update' | 'Delete', { Item?: Attributes; Key?: Attributes }>>[];
    readonly Item?: Attributes;
    readonly Key?: Attributes;
    readonly ConsistentRead?: boolean;
    readonly RequestItems?: Readonly<Record<string, { readonly Keys: Attributes[]; readonly ConsistentRead?: boolean }>>;
  };
}

/** Counts what passes. Images before and after are read beside it, since a write's answer has neither. */
const createMeter = (base: DynamoDBClient, table: string) => {
  let written: Written[] = [];
  let readUnits = 0;
  let commits = 0;
  const all = new Map<string, Attributes>();
  const imageOf = async (key: Attributes): Promise<Attributes | undefined> => {
    const { pk, sk } = key;
    if (pk === undefined || sk === undefined) throw new Error('an item without the keys of our table');
    return (await base.send(new GetItemCommand({ TableName: table, Key: { pk, sk }, ConsistentRead: true }))).Item;
  };
  const write = async (keys: readonly Attributes[], unitsPerKilobyte: number, send: () => Promise<unknown>): Promise<unknown> => {
    const before = await Promise.all(keys.map(imageOf));
    const answer = await send(); // A write that is refused is billed as well, but no step has one.
    const after = await Promise.all(keys.map(imageOf));
    commits += 1;
    for (const [index, key] of keys.entries()) {
      const images = [before[index], after[index]];
      const bytes = Math.max(...images.map((image) => (image === undefined ? 0 : bytesOfItem(image))));
      const { pk, sk } = keyOf(key);
      all.set(`${pk} ${sk}`, after[index] ?? {});
      written.push({
        item: [pk, sk]
          .map((part) => part.split('#')[0] ?? '')
          .filter((word) => /^[A-Z]+$/.test(word)) // Neither a time nor a name.
          .join('/'),
        bytes,
        writeUnits: unitsPerKilobyte * Math.max(1, Math.ceil(bytes / WRITE_UNIT_BYTES)),
        indexWrites: TABLE.indexes.reduce((sum, each) => sum + indexWrites(each, images), 0),
      });
    }
    return answer;
  };
  return {
    through: async ({ operation, body }: Request, send: () => Promise<unknown>): Promise<unknown> => {
      const factor = body.ConsistentRead === true ? 1 : 0.5;
      switch (operation) {
        case 'TransactWriteItems': {
          const parts = (body.TransactItems ?? []).map(({ Put, Update, Delete }) => Put?.Item ?? Update?.Key ?? Delete?.Key ?? {});
          return write(parts, 2, send);
        }
        case 'PutItem':
          return write([body.Item ?? {}], 1, send);
        case 'UpdateItem':
          return write([body.Key ?? {}], 1, send);
        case 'GetItem':
          readUnits += factor * readUnitsOf([await imageOf(body.Key ?? {})]);
          return send();
        case 'BatchGetItem': {
          const { Keys = [], ConsistentRead } = body.RequestItems?.[table] ?? {};
          for (const key of Keys) readUnits += (ConsistentRead === true ? 1 : 0.5) * readUnitsOf([await imageOf(key)]);
          return send();
        }
        case 'Query': {
          // Asked beside it, since the answer on its way to the store is no longer in DynamoDB's notation. No step has a filter.
          const { Items = [] } = await base.send(new QueryCommand(body as QueryCommandInput));
          readUnits += factor * readUnitsOf(Items);
          return send();
        }
        default:
          throw new Error(`${operation} has no price yet`);
      }
    },
    take: () => {
      const taken = { written, readUnits };
      written = [];
      readUnits = 0;
      return taken;
    },
    commits: () => commits,
    /** Of the items that were written since the beginning and belong to one job: its hold, runs, link and entries. */
    stored: async (): Promise<number> => {
      let bytes = 0;
      for (const [key, item] of all) {
        if (!/^(HOLD|JOB)#/.test(key) && !(key.startsWith('LEDGER#physics') && item.hold_id !== undefined)) continue;
        const indexed = TABLE.indexes.filter(({ partitionKey }) => item[partitionKey] !== undefined);
        const entries = indexed.map(({ partitionKey, sortKey }) => {
          const projected = ['pk', 'sk', partitionKey, sortKey].map((name) => [name, item[name]] as const);
          return bytesOfItem(Object.fromEntries(projected) as Attributes) + STORED_OVERHEAD_BYTES;
        });
        bytes += bytesOfItem(item) + STORED_OVERHEAD_BYTES + entries.reduce((sum, each) => sum + each, 0);
      }
      return bytes;
    },
  };
};

const readUnitsOf = (items: readonly (Attributes | undefined)[]): number =>
  Math.max(1, Math.ceil(items.reduce((sum, item) => sum + (item === undefined ? 0 : bytesOfItem(item)), 0) / READ_UNIT_BYTES));

type Index = (typeof TABLE.indexes)[number];

/** Keys only: an entry that comes or goes is a write, one whose key changes is two, and no other change is seen. */
const indexWrites = ({ partitionKey, sortKey }: Index, [before, after]: readonly (Attributes | undefined)[]): number => {
  const [was, is] = [before, after].map((image) => {
    const [partition, sort] = [image?.[partitionKey]?.S, image?.[sortKey]?.S];
    return partition === undefined || sort === undefined ? undefined : `${partition} ${sort}`;
  });
  if (was === is) return 0;
  return was === undefined || is === undefined ? 1 : 2;
};

/** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html */
const bytesOfItem = (item: Attributes): number =>
  Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + bytesOf(value), 0);

const bytesOf = (value: AttributeValue): number => {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  if (value.N !== undefined) return bytesOfNumber(value.N);
  if (value.BOOL !== undefined) return 1;
  if (value.L !== undefined) return value.L.reduce((sum, each) => sum + 1 + bytesOf(each), 3);
  if (value.M !== undefined) return Object.values(value.M).reduce((sum, each) => sum + 1 + bytesOf(each), 3) + bytesOfNames(value.M);
  throw new Error('no item of ours has an attribute of another type');
};

const bytesOfNames = (map: Attributes): number => Object.keys(map).reduce((sum, name) => sum + Buffer.byteLength(name), 0);

/** A byte for two significant digits, one more, and one for a minus. */
const bytesOfNumber = (digits: string): number => {
  const significant = digits.replace(/^-/, '').replace(/^0+|0+$/g, '');
  return Math.ceil(significant.length / 2) + 1 + (digits.startsWith('-') ? 1 : 0);
};
