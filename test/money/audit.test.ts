// The audit over HTTP: what it finds and mends in either store, in ledgers longer than a request, and while traffic flows.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import type { BudgetStore } from '#app/ports';
import { createLocalServer } from '#cli/local/http-server';
import { offlinePricing } from '#cli/local/pricing';
import type { Account } from '#domain/account';
import type { Hold } from '#domain/hold';
import { type Entry, limitBy } from '#domain/ledger';
import type { BookedRun } from '#domain/run';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';
import { type AccountBody, type Api, apiAt, type RefusalBody, SETTINGS, TEN_DOLLARS } from '#test/http/api';
import { type Composed, startComposed } from '#test/money/composed';

interface AuditPage {
  readonly accounts: number;
  readonly entries: number;
  readonly differences: readonly {
    readonly account: string;
    readonly column: string;
    readonly cause: string;
    readonly repaired?: boolean;
  }[];
  readonly not_compared?: number;
  readonly cursor?: string;
}

interface Service {
  readonly api: Api;
  readonly store: BudgetStore;
  readonly failures: readonly unknown[];
  stop(): Promise<void>;
}

const startInMemory = async (): Promise<Service> => {
  const store = createMemoryBudgets();
  const failures: unknown[] = [];
  const telemetry = {
    answered: () => undefined,
    measured: () => undefined,
    failed: ({ error }: { error: unknown }) => failures.push(error),
  };
  const services = createServices({
    store,
    pricing: offlinePricing('no network'),
    clock: systemClock,
    ids: createIds(),
    settings: SETTINGS,
    telemetry,
  });
  const handle = createHandler(services, { ...submitRoutes, ...agentRoutes, ...adminRoutes });
  const server = createLocalServer({ handle, now: systemClock.now, log: () => undefined });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  const api = apiAt(`http://127.0.0.1:${port}`);
  const stop = async () => {
    api.close();
    await server.close();
  };
  return { api, store, failures, stop };
};

let dynamo: Composed;
let memory: Service;
beforeAll(async () => {
  [dynamo, memory] = await Promise.all([startComposed(), startInMemory()]);
  for (const { api } of [dynamo, memory]) await api.put('/partitions/ten', TEN_DOLLARS);
});
afterAll(async () => {
  await dynamo.stop();
  await memory.stop();
});

const MOST_REQUESTS = 50;

/** The whole audit, request after request. */
const audited = async (api: Api, asked: { account?: string; repair?: boolean }) => {
  const pages: AuditPage[] = [];
  let cursor: string | undefined;
  do {
    const answer = await api.post<AuditPage>('/audit', { ...asked, ...(cursor === undefined ? {} : { cursor }) });
    expect(answer.status, answer.text).toBe(200);
    pages.push(answer.body);
    cursor = answer.body.cursor;
  } while (cursor !== undefined && pages.length < MOST_REQUESTS);
  expect(cursor).toBeUndefined();
  return {
    requests: pages.length,
    accounts: pages.reduce((sum, page) => sum + page.accounts, 0),
    entries: pages.reduce((sum, page) => sum + page.entries, 0),
    differences: pages.flatMap(({ differences }) => differences),
  };
};

const openAccount = async ({ api }: Pick<Service, 'api'>): Promise<string> => {
  const account = `a-${randomUUID()}`;
  expect((await api.post('/accounts', { account, budget_limit: 1_000 })).status).toBe(201);
  return account;
};

const jobOf = (account: string) => ({ account, partition: 'ten', nodes: 1, wall_time: '01:00:00' });

describe.each([
  ['DynamoDB', () => dynamo],
  ['memory', () => memory],
] as [string, () => Service][])('an audit over HTTP, on %s', (_, serviceOf) => {
  /** One open hold of $12, one settled at $5, and a run of $2 without a hold. */
  const aBusyAccount = async () => {
    const { api } = serviceOf();
    const account = await openAccount(serviceOf());
    const [open, settled, late] = [randomUUID(), randomUUID(), randomUUID()];
    for (const hold_id of [open, settled]) await api.post('/budget/check', { ...jobOf(account), hold_id });
    await api.post('/budget/reconcile', { hold_id: settled, actual_cost: 5 });
    await api.post('/budget/reconcile', { hold_id: late, account, actual_cost: 2 });
    return { account, open, settled, late };
  };

  it('finds what is tampered with, mends the columns, and tells what it does not mend', async () => {
    const { api, store } = serviceOf();
    const { account, open, settled, late } = await aBusyAccount();
    expect(await audited(api, { account })).toMatchObject({ accounts: 1, entries: 5, differences: [] });

    const hold = (await store.readHold(open)) as Hold;
    await store.commit({ accounts: [], entries: [], hold: { before: hold, after: { ...hold, amount: 1n, version: hold.version + 1 } } });
    const run = (await store.readRun({ owner: settled, runId: settled })) as BookedRun;
    await store.commit({ accounts: [], entries: [], runs: [{ before: run, after: { ...run, cost: 9_000_000n } }] });
    const without = (await store.readRun({ owner: late, runId: late })) as BookedRun;
    await store.commit({ accounts: [], entries: [], runs: [{ before: without, after: { ...without, cost: 3_000_000n } }] });
    await breakColumns(store, account);

    const columns = [
      { column: 'available', stored: 981.5, replayed: 981 },
      { column: 'held', stored: 19, replayed: 12 },
      { column: 'used', stored: 10, replayed: 7 },
      { column: 'limit', stored: 1010.5, replayed: 1000 },
    ];
    const items = [
      { column: 'hold', hold_id: open, stored: 0.000001, replayed: 12 },
      { column: 'run', hold_id: settled, run_id: settled, stored: 9, replayed: 5 },
      { column: 'run', run_id: late, stored: 3, replayed: 2 },
    ];
    const { differences } = await audited(api, { account, repair: true });
    expect(differences).toMatchObject([
      ...columns.map((each) => ({ ...each, repaired: true })),
      ...items.map((each) => ({ ...each, repaired: false })),
    ]);
    expect((await audited(api, { account, repair: true })).differences).toMatchObject(items);
    expect((await api.get<AccountBody>(`/accounts/${account}`)).body).toMatchObject({
      ...{ budget_limit: 1000, budget_used: 7, budget_held: 12, budget_available: 981 },
    });
  });

  it('refuses a cursor that is none of an audit', async () => {
    const { api } = serviceOf();
    for (const cursor of ['', 'x', 'a'.repeat(60_000)]) {
      const answer = await api.post<RefusalBody>('/audit', { cursor });
      expect({ status: answer.status, code: answer.body.error.code }).toEqual({ status: 400, code: 'validation_failed' });
    }
  });
});

describe('a ledger longer than a request is read over several, and nothing is forgotten', () => {
  it('in memory, where a request takes 20,000 entries', async () => {
    const account = await aLongLedger(memory.store, 20_100);
    expect(await audited(memory.api, { account })).toMatchObject({ requests: 2, accounts: 1, entries: 20_101, differences: [] });
  });

  it('on DynamoDB, where a request reads for eight seconds', { timeout: 60_000 }, async () => {
    const account = await aLongLedger(dynamo.store, 1_200);
    let isSlow = true;
    dynamo.hook(async ({ operation, body }, send) => {
      const isLedger = operation === 'Query' && JSON.stringify(body).includes(`LEDGER#${account}`);
      if (isLedger && isSlow) await new Promise((done) => setTimeout(done, 8_100));
      if (isLedger) isSlow = false;
      return send();
    });
    onTestFinished(() => dynamo.hook((_, send) => send()));
    expect(await audited(dynamo.api, { account })).toMatchObject({ requests: 2, accounts: 1, entries: 1_201, differences: [] });
  });
});

/** A repair is the one booking that need not keep the money law, so it can also break it. */
const breakColumns = async (store: BudgetStore, account: string) => {
  const at = Date.now();
  const movement = { available: 500_000n, held: 7_000_000n, used: 3_000_000n, limit: 10_500_000n };
  const words = { holdId: null, jobId: null, runId: null, user: null, note: 'sabotage' };
  const entry: Entry = { entryId: createIds().entryId(at), at, account, type: 'repair', amount: 0n, movement, ...words };
  const change = { account, movement, unconfirmed: 0n, entries: 1, require: { kind: 'fact' as const }, at };
  expect(await store.commit({ accounts: [change], entries: [entry] })).toEqual({ booked: true });
};

/** Deposits of an hour ago, as many in a transaction as there is room for. */
const aLongLedger = async (store: BudgetStore, entries: number): Promise<string> => {
  const ids = createIds();
  const account = `long-${randomUUID()}`;
  const at = Date.now() - 3_600_000;
  const words = { holdId: null, jobId: null, runId: null, user: null, note: null };
  const entryOf = (): Entry => ({ entryId: ids.entryId(at), at, account, type: 'deposit', amount: 1n, movement: limitBy(1n), ...words });
  const opened: Account = {
    ...{ account, name: null, description: null, ...limitBy(1n), unconfirmed: 0n, startDate: null, endDate: null, status: 'active' },
    ...{ version: 1, entryCount: 1, createdAt: at, updatedAt: at },
  };
  await store.createAccount(opened, entryOf());
  for (let left = entries; left > 0; left -= 99) {
    const some = Array.from({ length: Math.min(left, 99) }, entryOf);
    const change = { account, movement: limitBy(BigInt(some.length)), unconfirmed: 0n, entries: some.length, at };
    await store.commit({ accounts: [{ ...change, require: { kind: 'fact' } }], entries: some });
  }
  return account;
};

describe('audits in a loop while eight clients place, bind, settle, correct, move and release', () => {
  const CLIENTS = 8;
  /** On two busy cores one audit of all that is younger than two minutes takes a second. */
  const LEAST_AUDITS = 3;

  it.each([
    ['on DynamoDB', () => dynamo, 8_000],
    ['in memory', () => memory, 4_000],
  ] as [string, () => Service, number][])('find no difference, ever, %s', { timeout: 60_000 }, async (name, serviceOf, trafficMs) => {
    const { api, store, failures } = serviceOf();
    const accounts = [await openAccount(serviceOf()), await openAccount(serviceOf())] as const;
    for (const account of accounts) await api.post(`/accounts/${account}/deposits`, { amount: 900_000, deposit_id: 'more' });
    const until = performance.now() + trafficMs;
    const isOpen = () => performance.now() < until;
    let operations = 0;

    /** A life of a hold, each in another way. */
    const live = async (n: number) => {
      const [mine, other] = n % 2 === 0 ? accounts : [accounts[1], accounts[0]];
      const hold_id = randomUUID();
      const runs = (run_id: string, more = {}) =>
        api.post(`/holds/${hold_id}/runs`, { runs: [{ run_id, actual_cost: (n % 17) + 1, ...more }] });
      const steps = [
        () => api.post('/budget/check', { ...jobOf(mine), hold_id }),
        ...(n % 3 === 0 ? [() => bind(hold_id, n)] : []),
        ...(n % 5 === 0 ? [() => runs('first', { final: false })] : []),
        ...(n % 7 === 0 ? [() => api.post(`/holds/${hold_id}/adjust`, { account: other })] : []),
        () => (n % 4 === 0 ? api.post(`/holds/${hold_id}/release`, {}) : runs('last')),
        ...(n % 6 === 1 ? [() => runs('late')] : []),
        ...(n % 4 === 1 ? [() => api.post(`/holds/${hold_id}/runs/last/correct`, { actual_cost: 3, correction_id: 'c', note: 'n' })] : []),
        ...(n % 9 === 0 ? [() => api.post('/budget/reconcile', { hold_id: randomUUID(), account: mine, actual_cost: 1 })] : []),
      ];
      for (const step of steps) {
        const { status, text } = await step();
        expect([200, 503], text).toContain(status);
        operations += 1;
      }
    };
    const bind = (holdId: string, n: number) =>
      api.post(`/holds/${holdId}/bind`, { cluster: 'local', job_id: String(n), submitted_at: '2026-11-23T12:00:00Z' });
    const client = async (number: number) => {
      for (let n = number; isOpen(); n += CLIENTS) await live(n);
    };
    const outcomes = { clean: 0, contended: 0 };
    const auditor = async () => {
      while (isOpen()) {
        const { status, body } = await api.post<AuditPage & RefusalBody>('/audit', { account: accounts[outcomes.clean % 2] });
        if (status === 503) outcomes.contended += 1;
        else {
          expect(body.differences).toEqual([]);
          outcomes.clean += 1;
        }
      }
    };
    await Promise.all([auditor(), ...Array.from({ length: CLIENTS }, (_, number) => client(number))]);
    console.log(`audits under traffic ${name}: ${JSON.stringify(outcomes)} beside ${operations} operations`);
    expect(outcomes.clean).toBeGreaterThanOrEqual(LEAST_AUDITS);
    expect(failures).toEqual([]);
    for (const account of accounts) {
      expect((await audited(api, { account })).differences).toEqual([]);
      const { available, held, used, limit } = (await store.readAccount(account)) as Account;
      expect(available + held + used).toBe(limit);
    }
  });
});
