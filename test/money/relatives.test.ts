// Three bugs of this service's relative, which must never be ours.
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createIds } from '#adapters/system';
import { expireHolds } from '#app/expire-holds';
import {
  type AccountBody,
  type Api,
  type AuditBody,
  type RefusalBody,
  SETTINGS,
  startApi,
  TEN_DOLLARS,
  temporaryFolder,
} from '#test/http/api';
import { createClock, createWorld, place, tenDollars } from '#test/money/world';

const CONNECTIONS = 25;
const HOUR_MS = 3_600_000;

let local: Awaited<ReturnType<typeof startApi>>;
let api: Api;
const folder = temporaryFolder();

beforeAll(async () => {
  // What is held is the estimate itself, so that a hold can be of exactly $400.
  local = await startApi(folder.path, { settings: { ...SETTINGS, holdFactor: { numerator: 1n, denominator: 1n } } });
  api = local.api;
  await api.put('/partitions/ten', TEN_DOLLARS);
});
afterAll(async () => {
  await local.stop();
  folder.remove();
});

const clean = async (account: string) =>
  expect((await api.post<AuditBody>('/audit', { account })).body.differences, 'the ledger gives every column').toEqual([]);

describe('the race: balance looked at, and then money taken', () => {
  // There it was 26 holds: each connection read the balance before any of the others had taken its part.
  it('admits at most two holds of $400 to 25 connections that share $1,000', async () => {
    await api.post('/accounts', { account: 'race', budget_limit: 1000 });
    const job = { account: 'race', partition: 'ten', nodes: 40, wall_time: '01:00:00' };
    expect((await api.post<{ hold_amount: number }>('/budget/quote', job)).body.hold_amount).toBe(400);
    const connections = Array.from({ length: CONNECTIONS }, () => onItsOwnConnection(api.url));
    const admitted = (await Promise.all(connections.map(async (check) => [await check(job), await check(job)]))).flat().filter(Boolean);
    expect(admitted).toHaveLength(2);
    const { body } = await api.get<AccountBody>('/accounts/race');
    expect(body).toMatchObject({ budget_held: 800, budget_available: 200, budget_used: 0 });
    await clean('race');
  });
});

describe('the hold that is never freed', () => {
  it('comes back by the sweep once its time is up, and by no sweep before', async () => {
    const clock = createClock();
    const world = createWorld({ store: createMemoryBudgets(), clock, ids: createIds() });
    await tenDollars(world);
    const { holdId } = await place(world, { account: 'physics', wallTimeSeconds: 3600 });
    const account = () => world.store.readAccount('physics');
    expect(await account()).toMatchObject({ held: 12_000_000n, unconfirmed: 12_000_000n });

    clock.advance(25 * HOUR_MS - 1);
    expect(await expireHolds(world)).toMatchObject({ overdue: 0, expired: 0, kept: 0 });
    expect(await account()).toMatchObject({ held: 12_000_000n });

    clock.advance(1);
    const sweeps = await Promise.all([expireHolds(world), expireHolds(world)]);
    expect(sweeps.map(({ expired }) => expired).sort()).toEqual([0, 1]); // Both find it, and one of them returns the money.
    expect(await account()).toMatchObject({ held: 0n, used: 0n, available: 1_000_000_000n, unconfirmed: 0n });
    expect(await world.store.readHold(holdId)).toMatchObject({ state: 'expired', amount: 0n, closedAt: clock.now() });
    expect(await expireHolds(world)).toMatchObject({ overdue: 0, expired: 0, kept: 0 });
  });
});

describe('the double reconcile', () => {
  it('charges once, whether the same cost comes again later or at once; another cost is a conflict', async () => {
    await api.post('/accounts', { account: 'twice', budget_limit: 1000 });
    const holdId = randomUUID();
    await api.post('/budget/check', { account: 'twice', partition: 'ten', nodes: 1, wall_time: '01:00:00', hold_id: holdId });
    const settle = (actual_cost: number) => api.post<RefusalBody>('/budget/reconcile', { transaction_id: holdId, actual_cost });

    const answers = await Promise.all(Array.from({ length: 10 }, () => settle(7.5)));
    const later = await settle(7.5);
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: later.body });
    expect(later.body).toMatchObject({ actual_charge: 7.5, original_hold: 10, refund_amount: 2.5, hold_state: 'settled', late: false });

    const conflict = await settle(7.6);
    expect(conflict).toMatchObject({ status: 409, body: { error: { code: 'run_conflict' } } });
    const { body } = await api.get<AccountBody>('/accounts/twice');
    expect(body).toMatchObject({ budget_used: 7.5, budget_held: 0, budget_available: 992.5 });
    await clean('twice');
  });
});

/** @returns whether the check was admitted */
const onItsOwnConnection = (url: string): ((job: object) => Promise<boolean>) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return (job) =>
    new Promise((done, fail) => {
      const sent = request(`${url}/api/v1/budget/check`, { method: 'POST', agent }, (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.once('end', () => done(JSON.parse(text).available));
      });
      sent.once('error', fail);
      sent.end(JSON.stringify({ ...job, hold_id: randomUUID() }));
    });
};
