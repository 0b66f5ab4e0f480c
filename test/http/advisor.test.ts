// The whole service with an advisor beside it: what is held, what the answer says of the price, and how long a check takes.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AccountBody, type Answer, type Api, startApi, temporaryFolder, type VerdictBody } from '#test/http/api';
import { estimating, ODD, type OddName, type StandInAdvisor, startStandInAdvisor } from '#test/support/stand-in-advisor';

/** A check waits 300 ms for prices; this machine may be busy beside. */
const CHECK_MS = 300;
const GENEROUS_MS = 700;

interface Priced extends VerdictBody {
  readonly estimated_cost: number;
  readonly recommendation: string | null;
  readonly message: string;
  readonly fits?: { readonly wall_time?: string; readonly nodes?: number; readonly array_tasks?: number };
  readonly details: {
    readonly estimate: {
      readonly source: string;
      readonly price_date: string | null;
      readonly confidence: number;
      readonly tried: readonly { readonly source: string; readonly outcome: string }[];
    };
  };
}

const JOB = { account: 'physics', partition: 'aws', nodes: 1, wall_time: '01:00:00' };
const C5_18XLARGE = { region: 'us-east-1', instance_types: ['c5.18xlarge'] };

describe('a service with an advisor', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let standIn: StandInAdvisor;
  let service: Awaited<ReturnType<typeof startApi>>;
  let api: Api;

  /** Each test has a server of its own: a breaker remembers. */
  beforeEach(async () => {
    folder = temporaryFolder();
    standIn = await startStandInAdvisor();
    service = await startApi(folder.path, { store: 'memory', advisor: { url: standIn.url, apiKey: 'the-key', timeoutMs: 30_000 } });
    api = service.api;
    await api.put('/partitions/aws', C5_18XLARGE);
    await api.post('/accounts', { account: 'physics', budget_limit: 1000 });
    return async () => {
      await service.stop();
      await standIn.close();
      folder.remove();
    };
  });

  const check = (given: Record<string, unknown> = {}): Promise<Answer<Priced>> => api.post<Priced>('/budget/check', { ...JOB, ...given });
  const held = async (): Promise<number> => (await api.get<AccountBody>('/accounts/physics')).body.budget_held;

  it('holds what the advisor says, and answers with its words and its confidence', async () => {
    standIn.behave(estimating(10, { recommendation: 'run it at home', confidence: 0.65 }));
    const { body } = await check();
    expect(body).toMatchObject({ available: true, estimated_cost: 10, hold_amount: 12, recommendation: 'run it at home' });
    expect(body.details.estimate).toMatchObject({ source: 'advisor', price_date: null, confidence: 0.65, tried: [] });
    expect(await held()).toBe(12);
    expect(standIn.asked[0]?.headers.authorization).toBe('Bearer the-key');
  });

  it('adjusts, settles and lists such a hold like any other', async () => {
    standIn.behave(estimating(10));
    const { hold_id } = (await check()).body;
    expect((await api.post<Priced>(`/holds/${hold_id}/adjust`, { wall_time: '02:00:00' })).body).toMatchObject({ hold_amount: 24 });
    const run = await api.post<{ actual_charge: number }>('/budget/reconcile', { hold_id, elapsed_seconds: 1800, cluster: 'local' });
    expect(run.body).toMatchObject({ actual_charge: 5 });
    expect((await api.get<AccountBody>('/accounts/physics')).body).toMatchObject({ budget_held: 0, budget_used: 5 });
  });

  it.each(Object.keys(ODD) as OddName[])('holds its own price when the advisor %s, and says what was tried', async (name) => {
    standIn.behave(ODD[name]);
    const before = performance.now();
    const { status, body } = await check();
    const took = performance.now() - before;
    expect([status, body.available, body.estimated_cost, body.hold_amount, body.recommendation]).toEqual([200, true, 3.06, 3.672, null]);
    const { source, tried } = body.details.estimate;
    expect(source).toBe('catalogue');
    expect(tried[0]).toMatchObject({ source: 'advisor', outcome: expect.stringMatching(/./) });
    expect(await held()).toBe(3.672);
    expect(took).toBeLessThan(CHECK_MS + GENEROUS_MS);
    process.stdout.write(`advisor ${name}: ${tried[0]?.outcome}; ${took.toFixed(0)} ms\n`);
  });

  it('asks no advisor any more that has let one user wait', async () => {
    standIn.behave(ODD['never answers']);
    await check();
    const before = performance.now();
    const { body } = await check();
    expect(performance.now() - before).toBeLessThan(CHECK_MS);
    expect(body.details.estimate.tried[0]).toEqual({ source: 'advisor', outcome: 'not asked: it did not answer a moment ago' });
    expect(standIn.asked).toHaveLength(1);
  });

  it('keeps some of a short deadline for the money', async () => {
    standIn.behave(ODD['never answers']);
    const { status, body } = await check({ deadline_ms: 400 });
    expect([status, body.available]).toEqual([200, true]);
    const { body: next } = await check({ deadline_ms: 100 });
    expect(next.details.estimate.tried[0]?.outcome).toBe('not asked: no time is left');
  });

  it('offers what the advisor confirms, and admits it', async () => {
    const perHour = 4;
    standIn.behave((response, asked) => {
      const [hours = 0, minutes = 0] = String(asked.body.wall_time).split(':').map(Number);
      estimating(Math.round(Number(asked.body.nodes) * perHour * (hours * 60 + minutes) * 1e4) / 60e4)(response, asked);
    });
    await api.post('/accounts', { account: 'poor', budget_limit: 12 });
    const refused = (await check({ account: 'poor', nodes: 4, wall_time: '02:00:00' })).body;
    expect(refused).toMatchObject({ available: false, estimated_cost: 32, hold_amount: 38.4, fits: { wall_time: '00:37:00', nodes: 1 } });
    expect((await check({ account: 'poor', nodes: 4, wall_time: '00:37:00' })).body.available).toBe(true);
  });

  it('offers nothing that the advisor does not confirm', async () => {
    standIn.behave(estimating(32));
    await api.post('/accounts', { account: 'poor', budget_limit: 12 });
    const refused = (await check({ account: 'poor', nodes: 4, wall_time: '02:00:00' })).body;
    expect(refused.available).toBe(false);
    expect(refused).not.toHaveProperty('fits');
    expect(refused.message).not.toContain('fits');
  });

  it('prices by the advisor alone what it has no price for', async () => {
    await api.put('/partitions/aws', { region: 'xx-nowhere-1', instance_types: ['c5.18xlarge'] });
    standIn.behave(estimating(10));
    expect((await check()).body).toMatchObject({ available: true, hold_amount: 12, details: { estimate: { source: 'advisor' } } });
    standIn.behave(ODD.fails);
    const { status, body } = await api.post<{ error: { code: string; message: string; details: { tried: unknown[] } } }>(
      '/budget/check',
      JOB,
    );
    expect([status, body.error.code]).toEqual([422, 'no_price']);
    expect(body.error.message).toContain('(advisor: answered 500)');
    expect(body.error.details.tried).toContainEqual({ source: 'advisor', outcome: 'answered 500' });
  });

  it('asks a quote again where the advisor recovers', async () => {
    standIn.behave((response, asked) => (standIn.asked.length < 2 ? ODD.fails : estimating(10))(response, asked));
    const { body } = await api.post<Priced>('/budget/quote', { ...JOB, job_script: '#!/bin/sh' });
    expect(body).toMatchObject({ estimated_cost: 10, hold_amount: 12 });
    expect(standIn.asked[1]?.body.job_script).toBe('#!/bin/sh');
  });

  it('prices a forced hold by it too', async () => {
    standIn.behave(estimating(10));
    const hold_id = '6f1c0f5e-0000-4000-8000-00000000cafe';
    const forced = await api.post<{ amount: number }>('/holds/forced', { ...JOB, hold_id, cluster: 'local', reason: 'failed open' });
    expect(forced.body.amount).toBe(12);
  });
});

describe('a job script', () => {
  const SECRET = 'secret-of-curie-4711';
  let folder: ReturnType<typeof temporaryFolder>;
  let standIn: StandInAdvisor;
  let service: Awaited<ReturnType<typeof startApi>>;
  beforeAll(async () => {
    folder = temporaryFolder();
    standIn = await startStandInAdvisor();
    service = await startApi(folder.path, { advisor: { url: standIn.url, timeoutMs: 30_000 } });
  });
  afterAll(async () => {
    await standIn.close();
    folder.remove();
  });

  it('goes to the advisor, and into no answer, no line of the server and no byte of the store', { timeout: 60_000 }, async () => {
    const { api, said, stop } = service;
    await api.put('/partitions/aws', C5_18XLARGE);
    await api.post('/accounts', { account: 'physics', budget_limit: 1000 });
    const body = { ...JOB, cluster: 'local', job_script: `#!/bin/sh\n# ${SECRET}\n` };
    const hold_id = '6f1c0f5e-0000-4000-8000-00000000cafe';
    const answers = [
      await api.post('/budget/check', body),
      await api.post('/budget/quote', body),
      await api.post('/budget/check', { ...body, partition: 'unknown' }),
      await api.post('/holds/forced', { ...body, hold_id, reason: 'failed open' }),
      await api.get(`/holds/${hold_id}`),
    ];
    await stop();
    expect(standIn.asked.map((each) => each.text.includes(SECRET))).toEqual([true, true, true]);
    expect(answers.map(({ text }) => text).join()).not.toContain(SECRET);
    expect(said.join()).not.toContain(SECRET);
    const files = readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('');
    expect(bytes).toContain(hold_id);
    expect(bytes).not.toContain(SECRET);
  });
});
