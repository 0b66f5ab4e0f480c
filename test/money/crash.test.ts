// The process dies between any two steps: a retry with the same ids, or one sweep, leaves the money right.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { adjustHold } from '#app/adjust-hold';
import { bindHold } from '#app/bind-hold';
import { correctRun } from '#app/correct-run';
import { createAccount } from '#app/create-account';
import { deleteAccount } from '#app/delete-account';
import { deposit } from '#app/deposit';
import { expireHolds } from '#app/expire-holds';
import { extendHold } from '#app/extend-hold';
import { forceHold } from '#app/force-hold';
import { placeHold } from '#app/place-hold';
import type { BudgetStore, World } from '#app/ports';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import { updateAccount } from '#app/update-account';
import { BudgetError } from '#domain/errors';
import type { BookedRun } from '#domain/run';
import { type AccountBody, type Api, type AuditBody, apiAt, type HoldBody, TEN_DOLLARS, temporaryFolder } from '#test/http/api';
import { aJob, createClock, createWorld, NOON, place, type TestClock, tenDollars, USD } from '#test/money/world';
import { type Money, readMoney, requireLaw } from '#test/properties/law';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-00000000cafe';
const UNKNOWN_HOLD_ID = '6f1c0f5e-0000-4000-8000-00000000dead';
const PLACES = { accounts: ['chemistry', 'new', 'physics'], holdIds: [HOLD_ID], owners: [UNKNOWN_HOLD_ID] };
const HOUR_MS = 3_600_000;
const LONGER_THAN_ANY_HOLD_MS = 100 * HOUR_MS;
const MOST_STEPS = 50;

class Crash extends Error {}

/** Dies at the n-th call of the store: before it was made, or after it was done and before anybody heard. */
const dyingAt = (store: BudgetStore, death: { call: number; when: 'before' | 'after' }): BudgetStore => {
  let calls = 0;
  const methods = Object.entries(store).map(([name, method]) => [
    name,
    async (...args: unknown[]) => {
      calls += 1;
      if (calls > death.call || (calls === death.call && death.when === 'before')) throw new Crash();
      const result = await method(...args);
      if (calls === death.call) throw new Crash();
      return result;
    },
  ]);
  return Object.fromEntries(methods);
};

interface UseCase {
  readonly prepare?: (world: World, clock: TestClock) => Promise<unknown>;
  readonly act: (world: World) => Promise<unknown>;
  /** What a retry may hear of an act that was done: it changes nothing, and says so. */
  readonly doneBefore?: string;
}

const noWords = { name: null, description: null, startDate: null, endDate: null };
const array = { ranges: [{ first: 1, last: 3, step: 1 }] };
const hold = (world: World) => place(world, {}, HOLD_ID);
const final = { final: true, tasks: 1, actualCost: 5n * USD };
const settle = (world: World) => settleRuns(world, { holdId: HOLD_ID, runs: [{ ...final, runId: 'r1' }] });
const three = [1, 2, 3].map((n) => ({ ...final, runId: `r${n}` }));

const USE_CASES: Record<string, UseCase> = {
  'create account': { act: (world) => createAccount(world, { account: 'new', limit: 7n * USD, ...noWords }), doneBefore: 'account_exists' },
  deposit: { act: (world) => deposit(world, { account: 'physics', amount: 7n * USD, depositId: 'd1', note: null }) },
  withdraw: { act: (world) => deposit(world, { account: 'physics', amount: -7n * USD, depositId: 'd1', note: null }) },
  'new limit': { act: (world) => updateAccount(world, { account: 'physics', set: { status: 'suspended' }, limit: 900n * USD }) },
  'delete an unused account': { act: (world) => deleteAccount(world, 'chemistry'), doneBefore: 'account_not_found' },
  'delete a used account': {
    prepare: async (world) => {
      await hold(world);
      await settle(world);
    },
    act: (world) => deleteAccount(world, 'physics'),
  },
  place: { act: (world) => placeHold(world, { job: aJob(), holdId: HOLD_ID }) },
  'place an array': { act: (world) => placeHold(world, { job: aJob({ array }), holdId: HOLD_ID }) },
  force: {
    act: (world) => forceHold(world, { job: aJob({ nodes: 100 }), holdId: HOLD_ID, jobId: '1', submittedAt: NOON, reason: 'adopted' }),
  },
  'force an open hold': {
    prepare: hold,
    act: (world) => forceHold(world, { job: aJob(), holdId: HOLD_ID, jobId: '1', submittedAt: NOON, reason: 'spooled' }),
  },
  bind: { prepare: hold, act: (world) => bindHold(world, { holdId: HOLD_ID, cluster: 'local', jobId: '1', submittedAt: NOON }) },
  'bind to fewer nodes': {
    prepare: (world) => place(world, { nodes: 4 }, HOLD_ID),
    act: (world) =>
      bindHold(world, { holdId: HOLD_ID, cluster: 'local', jobId: '1', submittedAt: NOON, instances: [{ type: 'flat-rate', count: 2 }] }),
  },
  'adjust upwards': { prepare: hold, act: (world) => adjustHold(world, { holdId: HOLD_ID, adjustment: { nodes: 3 }, mode: 'raise-only' }) },
  'adjust downwards': {
    prepare: (world) => place(world, { nodes: 4 }, HOLD_ID),
    act: (world) => adjustHold(world, { holdId: HOLD_ID, adjustment: { nodes: 1 }, mode: 'absolute' }),
  },
  'adjust to another account': {
    prepare: hold,
    act: (world) => adjustHold(world, { holdId: HOLD_ID, adjustment: { account: 'chemistry' }, mode: 'absolute' }),
  },
  extend: { prepare: hold, act: (world) => extendHold(world, { holdId: HOLD_ID, expiresAt: NOON + 26 * HOUR_MS }) },
  release: { prepare: hold, act: (world) => releaseHold(world, { holdId: HOLD_ID }) },
  settle: { prepare: hold, act: settle },
  'settle a batch': {
    prepare: (world) => place(world, { array }, HOLD_ID),
    act: (world) => settleRuns(world, { holdId: HOLD_ID, runs: three }),
  },
  'settle a batch of which one is booked': {
    prepare: async (world) => {
      await place(world, { array }, HOLD_ID);
      await settle(world);
    },
    act: (world) => settleRuns(world, { holdId: HOLD_ID, runs: three }),
  },
  'settle a run that is not the last': {
    prepare: hold,
    act: (world) => settleRuns(world, { holdId: HOLD_ID, runs: [{ ...final, final: false, runId: 'r1' }] }),
  },
  'settle more than was held': {
    prepare: hold,
    act: (world) => settleRuns(world, { holdId: HOLD_ID, runs: [{ ...final, actualCost: 2000n * USD, runId: 'r1' }] }),
  },
  'settle late': {
    prepare: async (world) => {
      await hold(world);
      await releaseHold(world, { holdId: HOLD_ID });
    },
    act: settle,
  },
  'settle an unknown hold': {
    act: (world) => settleRuns(world, { holdId: UNKNOWN_HOLD_ID, account: 'physics', runs: [{ ...final, runId: 'r1' }] }),
  },
  'settle by job': {
    prepare: async (world) => {
      await hold(world);
      await bindHold(world, { holdId: HOLD_ID, cluster: 'local', jobId: '1', submittedAt: NOON });
    },
    act: (world) => settleRuns(world, { job: { cluster: 'local', jobId: '1' }, cluster: 'local', runs: [{ ...final, runId: 'r1' }] }),
  },
  correct: {
    prepare: async (world) => {
      await hold(world);
      await settle(world);
    },
    act: (world) => correctRun(world, { holdId: HOLD_ID, runId: 'r1', actualCost: 3n * USD, correctionId: 'c1', note: 'credit' }),
  },
  expire: {
    prepare: async (world, clock) => {
      await hold(world);
      clock.advance(LONGER_THAN_ANY_HOLD_MS);
    },
    act: expireHolds,
  },
};

/** A world in which everything but the act was done, and the use case that is about to die in it. */
const begin = async ({ prepare }: UseCase) => {
  const store = createMemoryBudgets();
  const clock = createClock();
  const world = createWorld({ store, clock });
  await tenDollars(world);
  await createAccount(world, { account: 'chemistry', limit: 500n * USD, ...noWords });
  clock.advance(1);
  await prepare?.(world, clock);
  clock.advance(1);
  return { store, clock, world };
};

/** Columns, hold states and booked runs: all that money is, without the times at which it moved. */
const essenceOf = ({ accounts, holds, runs }: Money) => ({
  accounts: accounts.map(({ account, available, held, used, limit, unconfirmed, status }) => ({
    ...{ account, available, held, used, limit, unconfirmed, status },
  })),
  holds: holds.map(({ state, amount, used, tasksEnded, account, jobId, forced }) => ({
    state,
    amount,
    used,
    tasksEnded,
    account,
    jobId,
    forced,
  })),
  runs: runs.map(({ runId, cost, late }: BookedRun) => ({ runId, cost, late })),
});

/** Every death of a use case, each in a world of its own. */
const deathsOf = async (useCase: UseCase, survive: (died: Awaited<ReturnType<typeof begin>>) => Promise<void>): Promise<number> => {
  for (let call = 1; call <= MOST_STEPS; call += 1) {
    for (const when of ['before', 'after'] as const) {
      const begun = await begin(useCase);
      const died = await useCase.act({ ...begun.world, store: dyingAt(begun.store, { call, when }) }).then(
        () => false,
        (error: unknown) => (error instanceof Crash ? true : Promise.reject(error)),
      );
      if (!died) return call - 1;
      await requireLaw(begun.world, await readMoney(begun.store, PLACES));
      await survive(begun);
    }
  }
  throw new Error(`a use case of more than ${MOST_STEPS} steps`);
};

describe('the process dies before or after any call of the store', () => {
  it.each(Object.entries(USE_CASES))('in "%s": the same request again brings the same money as one that went well', async (_, useCase) => {
    const well = await begin(useCase);
    await useCase.act(well.world);
    const wanted = essenceOf(await readMoney(well.store, PLACES));

    const steps = await deathsOf(useCase, async ({ store, world, clock }) => {
      clock.advance(1000);
      await useCase.act(world).catch((error: unknown) => {
        if (!(error instanceof BudgetError) || error.code !== useCase.doneBefore) throw error;
      });
      const money = await readMoney(store, PLACES);
      expect(essenceOf(money)).toEqual(wanted);
      await requireLaw(world, money);
    });
    expect(steps).toBeGreaterThan(0);
  });

  it.each(Object.entries(USE_CASES))('in "%s": nobody calls again, and one sweep brings back all that is held', async (_, useCase) => {
    await deathsOf(useCase, async ({ store, world, clock }) => {
      const before = await readMoney(store, PLACES);
      clock.advance(LONGER_THAN_ANY_HOLD_MS);
      await expireHolds(world);
      const after = await readMoney(store, PLACES);
      await requireLaw(world, after);
      expect(after.accounts.map(({ held }) => held)).toEqual(after.accounts.map(() => 0n));
      expect(after.accounts.map(({ used }) => used)).toEqual(before.accounts.map(({ used }) => used));
    });
  });
});

const CHECKS = 150;
const SETTLES = 100;
const ROUNDS = 3;

describe('kill -9 of the local server under load', () => {
  it('loses nothing that was acknowledged, and the same requests again make the total exact', { timeout: 180_000 }, async () => {
    const folder = temporaryFolder();
    onTestFinished(folder.remove);
    const job = { account: 'physics', partition: 'ten', nodes: 1, wall_time: '01:00:00' };
    const newHolds = Array.from({ length: CHECKS }, () => randomUUID());
    const oldHolds = Array.from({ length: SETTLES }, () => randomUUID());
    const acknowledged = new Map<string, string>();
    const kills: { acknowledged: number; of: number }[] = [];

    const first = await serve(folder.path);
    await first.api.put('/partitions/ten', TEN_DOLLARS);
    await first.api.post('/accounts', { account: 'physics', budget_limit: 10_000 });
    const placed = await Promise.all(oldHolds.map((hold_id) => first.api.post('/budget/check', { ...job, hold_id })));
    expect(new Set(placed.map(({ status }) => status))).toEqual(new Set([200]));

    let server = first;
    for (let round = 1; round <= ROUNDS; round += 1) {
      const open = [
        ...newHolds.map((hold_id) => ({ id: `check ${hold_id}`, path: '/budget/check', body: { ...job, hold_id } })),
        ...oldHolds.map((hold_id) => ({ id: `settle ${hold_id}`, path: '/budget/reconcile', body: { hold_id, actual_cost: 5 } })),
      ].filter(({ id }) => !acknowledged.has(id));
      const enough = acknowledged.size + Math.floor(open.length / 3);
      const { api, kill } = server;
      await Promise.all(
        open.map(async ({ id, path, body }) => {
          const answer = await api.post(path, body).catch(() => undefined); // Its server died under it.
          if (answer === undefined) return;
          expect(answer.status, answer.text).toBe(200);
          acknowledged.set(id, answer.text);
          if (round < ROUNDS && acknowledged.size === enough) await kill();
        }),
      );
      if (round === ROUNDS) break;
      kills.push({ acknowledged: acknowledged.size, of: CHECKS + SETTLES });
      expect(acknowledged.size).toBeLessThan(CHECKS + SETTLES);
      server = await serve(folder.path);
      await expectAcknowledged(server.api, [...acknowledged.keys()]);
    }

    expect(acknowledged.size).toBe(CHECKS + SETTLES);
    await expectAcknowledged(server.api, [...acknowledged.keys()]);
    const { body } = await server.api.get<AccountBody>('/accounts/physics');
    console.log(`kill -9: ${JSON.stringify(kills)}, at last used ${body.budget_used}, held ${body.budget_held}`);
    expect(body).toMatchObject({
      budget_held: CHECKS * 12,
      budget_used: SETTLES * 5,
      budget_available: 10_000 - CHECKS * 12 - SETTLES * 5,
    });
    expect((await server.api.get<{ transactions: unknown[] }>('/accounts/physics/transactions?limit=500')).body.transactions).toHaveLength(
      1 + CHECKS + 2 * SETTLES,
    );
  });
});

/** Every acknowledged hold is there, every acknowledged settle is booked once, and the ledger agrees. */
const expectAcknowledged = async (api: Api, acknowledged: readonly string[]) => {
  await Promise.all(
    acknowledged.map(async (id) => {
      const [what, holdId] = id.split(' ');
      const { status, body } = await api.get<HoldBody & { runs: unknown[] }>(`/holds/${holdId}`);
      expect(status).toBe(200);
      if (what === 'check') expect(body).toMatchObject({ state: 'open', amount: 12 });
      else expect(body).toMatchObject({ state: 'settled', amount: 0, used: 5, runs: [{ run_id: holdId, actual_charge: 5 }] });
    }),
  );
  expect((await api.post<AuditBody>('/audit', {})).body.differences).toEqual([]);
  // What was settled and not counted when the server died was counted before the next one answered.
  const { body } = await api.get<AccountBody>('/accounts/physics');
  const usage = await api.get<{ total: { jobs: number; used: number } }>('/usage');
  expect(usage.body.total).toMatchObject({ jobs: body.budget_used / 5, used: body.budget_used, held: body.budget_held });
};

/** `asbb local` as a process of its own. `kill` is kill -9, and waits until it is gone. */
const serve = async (folder: string) => {
  const command = new URL('../../cli/asbb.ts', import.meta.url).pathname;
  const args = ['--import', 'tsx', command, 'local', '--port', '0', '--data', join(folder, 'data'), '--store', 'dynamodb'];
  const env = { ...process.env, HOME: folder, XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env });
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
  };
  const { value, done } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (done) throw new Error('the server ended without a word');
  const api = apiAt(value.replace('asbb: listening on ', ''));
  onTestFinished(async () => {
    await kill();
    api.close();
  });
  return { api, kill };
};
