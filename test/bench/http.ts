// Checks a second over HTTP against the same transactions written raw, on the same DynamoDB Local, in the same run.

import { randomUUID } from 'node:crypto';
import { TransactWriteCommand, type TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb';
import { monotonicFactory } from 'ulid';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createDocumentClient } from '#adapters/dynamo-client';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import { placeHold } from '#app/place-hold';
import { startDynamoDbLocal } from '#cli/local/dynamodb-local';
import { offlinePricing } from '#cli/local/pricing';
import { DEFAULT_TABLE_NAME } from '#contract/table';
import { parseFactor } from '#domain/money';
import { medianOf, percentileOf, type Section, withServer } from '#test/bench/measure';

const CLIENTS = 8;
const ROUNDS = 7;
const CHECKS_PER_ROUND = 400;
const WARM_UP_CHECKS = 400;
const ACCOUNT = 'bench';

interface Round {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
}

/** Both sides take turns, so that a busy moment of the machine falls on both. */
export const benchHttp = async (): Promise<Section> => {
  const engine = await startDynamoDbLocal({});
  const where = { endpoint: engine.endpoint, region: 'us-east-1', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } };
  const client = createDocumentClient(where);
  try {
    return await withServer({ dynamoEndpoint: engine.endpoint }, async ({ url }) => {
      const post = async (path: string, body: unknown) => {
        const response = await fetch(`${url}/api/v1${path}`, { method: 'POST', body: JSON.stringify(body) });
        const answer = (await response.json()) as { available?: boolean };
        if (!response.ok) throw new Error(JSON.stringify(answer));
        return answer;
      };
      await post('/accounts', { account: ACCOUNT, budget_limit: 900_000_000 });
      const check = async () => {
        const { available } = await post('/budget/check', {
          account: ACCOUNT,
          partition: 'aws',
          nodes: 1,
          wall_time: '01:00:00',
          hold_id: randomUUID(),
        });
        if (available !== true) throw new Error('a check of the benchmark was refused');
      };
      const raw = await rawWriter(client);
      await round(check, WARM_UP_CHECKS);
      await round(raw, WARM_UP_CHECKS);
      const http: Round[] = [];
      const written: Round[] = [];
      for (let n = 0; n < ROUNDS; n++) {
        written.push(await round(raw, CHECKS_PER_ROUND));
        http.push(await round(check, CHECKS_PER_ROUND));
      }
      return section(http, written);
    });
  } finally {
    client.destroy();
    await engine.stop();
  }
};

/** Captures the transaction of one real check, and writes it again and again under new ids. */
const rawWriter = async (client: ReturnType<typeof createDocumentClient>): Promise<() => Promise<void>> => {
  let captured: TransactWriteCommandInput | undefined;
  const spy = {
    send: (command: unknown) => {
      if (command instanceof TransactWriteCommand) captured = structuredClone(command.input);
      return client.send(command as never);
    },
  };
  const store = createDynamoBudgets({ client: Object.assign(Object.create(client), spy), table: DEFAULT_TABLE_NAME });
  const services = createServices({
    store,
    pricing: offlinePricing('no network'),
    clock: systemClock,
    ids: createIds(),
    settings: {
      holdFactor: parseFactor('1.2'),
      reconciliationTimeoutMs: 86_400_000,
      defaultCluster: 'local',
      surroundings: { store: 'dynamodb', sweepIntervalMs: 60_000, pricingRegion: null, priceTtlMs: 86_400_000, advisorUrl: null },
    },
    telemetry: { answered: () => undefined, measured: () => undefined, failed: () => undefined },
  });
  const job = { account: ACCOUNT, partitions: ['aws'], cluster: 'local', nodes: 1, wallTimeSeconds: 3600 };
  const { hold } = await placeHold(services.world(systemClock.now() + 25_000), { job, holdId: undefined });
  const template = captured;
  if (template === undefined || hold === null) throw new Error('the check wrote nothing');
  const entryId = template.TransactItems?.map(({ Put }) => Put?.Item?.pk?.startsWith('LEDGER#') && Put.Item.sk).find(Boolean) as string;
  const ulid = monotonicFactory();
  return async () => {
    const ids = new Map([
      [hold.holdId, randomUUID()],
      [entryId, ulid()],
    ]);
    await client.send(new TransactWriteCommand({ ...renamed(template, ids), ClientRequestToken: randomUUID() }));
  };
};

const renamed = <T>(value: T, ids: ReadonlyMap<string, string>): T => {
  if (typeof value === 'string') return [...ids].reduce<string>((text, [from, to]) => text.replaceAll(from, to), value) as T;
  if (Array.isArray(value)) return value.map((each) => renamed(each, ids)) as T;
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, renamed(each, ids)])) as T;
  return value;
};

const round = async (once: () => Promise<void>, count: number): Promise<Round> => {
  const latenciesMs: number[] = [];
  let left = count;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      while (left-- > 0) {
        const before = performance.now();
        await once();
        latenciesMs.push(performance.now() - before);
      }
    }),
  );
  return { perSecond: (count * 1000) / (performance.now() - started), latenciesMs };
};

const section = (http: readonly Round[], written: readonly Round[]): Section => {
  const row = (name: string, rounds: readonly Round[]) => {
    const latencies = rounds.flatMap(({ latenciesMs }) => latenciesMs);
    const perSecond = medianOf(rounds.map((each) => each.perSecond));
    return [name, perSecond.toFixed(0), percentileOf(latencies, 50).toFixed(1), percentileOf(latencies, 99).toFixed(1)];
  };
  const ratios = http.map((each, index) => each.perSecond / (written[index] as Round).perSecond);
  return {
    title: 'Checks over HTTP against the same transactions written raw',
    notes: [
      `One hot account, ${CLIENTS} clients, ${ROUNDS} rounds of ${CHECKS_PER_ROUND} each in turn, DynamoDB Local in memory, server in a process of its own. Medians of the rounds.`,
      'A check is one consistent read and one transaction of four items; the raw side is that transaction alone.',
      `Ratio (median of the rounds): ${medianOf(ratios).toFixed(2)}; the aim is 0.8.`,
    ],
    head: ['', 'per second', 'p50 ms', 'p99 ms'],
    rows: [row('check over HTTP', http), row('raw transaction', written)],
  };
};
