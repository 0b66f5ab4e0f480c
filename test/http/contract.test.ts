// Every route in its good case, with exactly the fields that clients rely on: the lists here are written out, not taken from the code.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { promisify } from 'node:util';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { ROUTES } from '#contract/routes';
import { type Api, type EntryBody, type HoldBody, type RefusalBody, startApi, TEN_DOLLARS, temporaryFolder } from '#test/http/api';

const fields = (text: string): string[] => text.split(/[\s,]+/).sort();

const ACCOUNT = fields(
  'account name description budget_limit budget_used budget_held budget_available budget_unconfirmed start_date end_date status version created_at updated_at',
);
const HOLD = fields(
  'hold_id account cluster user partition state amount original_amount used tasks tasks_ended wall_time nodes job_id submitted_at forced created_at expires_at closed_at',
);
const ENTRY = fields('entry_id at account type amount available_delta held_delta used_delta limit_delta hold_id job_id run_id user note');
const QUOTE = fields('available decision estimated_cost hold_amount budget_remaining message recommendation wall_time details');
const VERDICT = fields(`${QUOTE.join(' ')} hold_id transaction_id expires_at`);
const REFUSAL = fields(`${QUOTE.join(' ')} code shortfall fits`);
const DETAILS_ACCOUNT = fields('budget_limit budget_used budget_held budget_available budget_unconfirmed');
const ESTIMATE = fields('source price_date confidence tried instance_types nodes wall_time line_items low high');
const LINE_ITEM = fields('name quantity unit_price amount');
const SETTLEMENT = fields('success transaction_id run_id original_hold actual_charge refund_amount hold_state late message');
const PARTITION = fields(
  `partition region instance_types purchase allocation discount_factor overhead_minutes overhead_per_node_hour overhead default_wall_time
   unpriced flat_rate_per_node_hour write_off_node_failures features threads_per_core memory_per_node source
   price_per_node_hour price_instance_type price_source price_date price_age_days price_confidence`,
);
const USAGE_ROW = fields('key jobs used held node_hours');
const USAGE = fields('rows total from to');
const CLUSTER = fields('cluster agent_version last_heartbeat principals');
const ENTRY_TYPES = fields('deposit withdrawal hold forced_hold adjust settle late_settle write_off release expire correction repair');

type Body = Record<string, unknown>;
const keys = (body: unknown): string[] => Object.keys(body as Body).sort();
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let local: Awaited<ReturnType<typeof startApi>>;
let api: Api;
const folder = temporaryFolder();
/** Operations that were answered well, so that none of the routes is forgotten. */
const answered = new Set<string>();

const job = { account: 'physics', partition: 'ten', user: 'curie', nodes: 1, wall_time: '01:00:00' };

/** Sends one request of an operation that must be answered so. */
const ask = async <T = Body>(operation: keyof typeof ROUTES, path: string, body?: unknown, status = 200): Promise<T> => {
  const { method } = ROUTES[operation];
  const answer = await api.raw<T>(method, `/api/v1${path}`, body === undefined ? undefined : JSON.stringify(body), {
    'content-type': 'application/json',
  });
  expect(answer.status, answer.text).toBe(status);
  if (status !== 204) expect(answer.headers['content-type']).toMatch(/^application\/json/);
  answered.add(operation);
  return answer.body;
};
const place = (given: Body = {}) => ask<Body & { hold_id: string }>('checkBudget', '/budget/check', { ...job, ...given });
const shown = (holdId: string) => ask<HoldBody & Body>('showHold', `/holds/${holdId}`);

beforeAll(async () => {
  local = await startApi(folder.path);
  api = local.api;
  await api.put('/partitions/ten', TEN_DOLLARS);
  await api.post('/accounts', { account: 'physics', budget_limit: 100_000 });
});
afterAll(async () => {
  await local.stop();
  folder.remove();
});

describe('a verdict has the fields of the contract', () => {
  it('when the job is admitted: 1.2 x $10.00 is 12', async () => {
    const verdict = await place();
    expect(keys(verdict)).toEqual(VERDICT);
    expect(verdict).toMatchObject({ available: true, decision: 'admitted', estimated_cost: 10, hold_amount: 12, wall_time: '01:00:00' });
    expect(verdict).toMatchObject({ hold_id: expect.stringMatching(UUID), expires_at: expect.stringMatching(ISO), recommendation: null });
    expect(verdict.transaction_id).toBe(verdict.hold_id);
    const { account, estimate } = verdict.details as { account: Body; estimate: Body & { line_items: Body[] } };
    expect(keys(verdict.details)).toEqual(['account', 'estimate']);
    expect(keys(account)).toEqual(DETAILS_ACCOUNT);
    expect(account.budget_available).toBe(verdict.budget_remaining);
    expect(keys(estimate)).toEqual(ESTIMATE);
    expect(estimate).toMatchObject({
      source: 'flat-rate',
      price_date: null,
      confidence: 0.5,
      tried: [],
      nodes: 1,
      wall_time: '01:00:00',
      low: 10,
      high: 10,
    });
    expect(estimate.line_items.map(keys)).toEqual([LINE_ITEM]);
    expect(estimate.line_items).toEqual([{ name: 'instances', quantity: 1, unit_price: 10, amount: 10 }]);
  });

  it('when it is quoted, and then nothing is held', async () => {
    const quote = await ask('quoteBudget', '/budget/quote', job);
    expect(keys(quote)).toEqual(QUOTE);
    expect(quote).toMatchObject({ available: true, hold_amount: 12 });
  });

  it('when it is refused, with what would fit, in one ASCII sentence', async () => {
    await ask('createAccount', '/accounts', { account: 'poor', budget_limit: 30 }, 201);
    const refusal = await place({ account: 'poor', nodes: 4, hold_id: randomUUID() });
    expect(keys(refusal)).toEqual(REFUSAL);
    expect(refusal).toMatchObject({
      available: false,
      decision: 'refused',
      code: 'insufficient_budget',
      estimated_cost: 40,
      hold_amount: 48,
      shortfall: 18,
      fits: { wall_time: '00:37:00', nodes: 2 },
    });
    expect(refusal.message).toMatch(/^[\x20-\x7e]{1,200}$/);
    // The offers are true: exactly so much is admitted, and no more.
    for (const [offer, available] of [
      [{ nodes: 2 }, true],
      [{ nodes: 3 }, false],
      [{ nodes: 4, wall_time: '00:37:00' }, true],
      [{ nodes: 4, wall_time: '00:38:00' }, false],
    ] as const) {
      expect(await ask('quoteBudget', '/budget/quote', { ...job, account: 'poor', ...offer })).toMatchObject({ available });
    }
    const array = await ask('quoteBudget', '/budget/quote', { ...job, account: 'poor', array: '1-5:2,9%4' });
    expect(array).toMatchObject({ available: false, hold_amount: 48, fits: { array_tasks: 2 } });
  });

  it.each([
    [{ status: 'suspended' }, 'account_inactive'],
    [{ status: 'active', start_date: '2199-01-01' }, 'outside_dates'],
  ])('when the account is %j: %s, without a shortfall', async (change, code) => {
    await ask('updateAccount', '/accounts/poor', change);
    const refusal = await ask('quoteBudget', '/budget/quote', { ...job, account: 'poor' });
    expect(refusal).toMatchObject({ available: false, code });
    expect(keys(refusal)).toEqual(fields(`${QUOTE.join(' ')} code`));
  });

  it('when the amount is past what can be held at all', async () => {
    const refusal = await ask('quoteBudget', '/budget/quote', { ...job, nodes: 16_777_215, wall_time: '36525-0' });
    expect(refusal).toMatchObject({ available: false, code: 'limit_exceeded' });
  });

  it('when it is adjusted, by hold and by job, upwards, downwards and in vain', async () => {
    const { hold_id } = await place();
    expect(keys(await ask('adjustHold', `/holds/${hold_id}/adjust`, { nodes: 3 }))).toEqual(VERDICT);
    const bound = { cluster: 'local', job_id: '900', submitted_at: '2026-11-23T12:00:00Z' };
    expect(keys(await ask('bindHold', `/holds/${hold_id}/bind`, bound))).toEqual(HOLD);
    const lower = await ask('adjustJob', '/jobs/local/900/adjust', { nodes: 2 });
    expect(lower).toMatchObject({ available: true, hold_amount: 24 });
    expect(await ask('adjustJob', '/jobs/local/900/adjust', { nodes: 1, raise_only: true })).toMatchObject({
      available: true,
      hold_amount: 24,
    });
    const vain = await ask('adjustHold', `/holds/${hold_id}/adjust`, { nodes: 100_000 });
    expect(vain).toMatchObject({ available: false, code: 'insufficient_budget' });
    expect(keys(vain)).toEqual(REFUSAL);
    expect(await shown(hold_id)).toMatchObject({ amount: 24, original_amount: 12 });
  });
});

describe('a job names the hold that it was bound to', () => {
  it('by its number, and by the time of its submission where the number came again', async () => {
    const [first, second] = [await place(), await place()];
    const bind = (hold_id: string, submitted_at: string) =>
      ask('bindHold', `/holds/${hold_id}/bind`, { cluster: 'local', job_id: '77', submitted_at });
    await bind(first.hold_id, '2026-11-23T12:00:00Z');
    await bind(second.hold_id, '2026-11-24T12:00:00Z');
    await ask('releaseHold', `/holds/${first.hold_id}/release`, {});
    expect(await ask('showJob', '/jobs/local/77')).toEqual({
      cluster: 'local',
      job_id: '77',
      submitted_at: '2026-11-24T12:00:00.000Z',
      hold_id: second.hold_id,
    });
    expect(await ask('showJob', '/jobs/local/77?submitted_at=2026-11-23T12:00:00Z')).toMatchObject({ hold_id: first.hold_id });
  });
});

describe('a run is shown', () => {
  it('by its hold and its id, as the hold shows it', async () => {
    const { hold_id } = await place();
    await ask('reconcile', '/budget/reconcile', { hold_id, run_id: 'hpc-7', elapsed_seconds: 1800 });
    const { runs } = (await shown(hold_id)) as unknown as { runs: unknown[] };
    expect(await ask('showRun', `/holds/${hold_id}/runs/hpc-7`)).toEqual(runs[0]);
    expect(await api.get(`/holds/${hold_id}/runs/hpc-8`)).toMatchObject({ status: 404, body: { error: { code: 'run_not_found' } } });
  });
});

describe('a hold has the fields of the contract', () => {
  it('when it is forced, bound, extended and released', async () => {
    const hold_id = randomUUID();
    const forced = await ask('forceHold', '/holds/forced', { ...job, hold_id, cluster: 'local', reason: 'adopted' });
    expect(keys(forced)).toEqual(HOLD);
    expect(forced).toMatchObject({
      hold_id,
      state: 'open',
      forced: true,
      amount: 12,
      job_id: null,
      submitted_at: null,
      closed_at: null,
      user: 'curie',
    });
    const bound = await ask('bindHold', `/holds/${hold_id}/bind`, { cluster: 'local', job_id: '17', submitted_at: '2026-11-23T12:00:00Z' });
    expect(keys(bound)).toEqual(HOLD);
    expect(bound).toMatchObject({ job_id: '17', submitted_at: '2026-11-23T12:00:00.000Z' });
    const extended = await ask('extendHold', `/holds/${hold_id}/extend`, { expires_at: '2199-01-01T00:00:00Z' });
    expect(keys(extended)).toEqual(HOLD);
    expect(Date.parse(String(extended.expires_at))).toBeLessThan(Date.now() + 26 * 3_600_000); // What the server grants.
    const released = await ask('releaseHold', `/holds/${hold_id}/release`, { reason: 'cancelled' });
    expect(keys(released)).toEqual(HOLD);
    expect(released).toMatchObject({ state: 'released', amount: 0, closed_at: expect.stringMatching(ISO) });
    expect(await ask('releaseHold', `/holds/${hold_id}/release`, {})).toEqual(released);
  });

  it('and in detail its spec, line items and runs', async () => {
    const { hold_id } = await place({ job_name: 'simulation', memory: '16G' });
    await ask('reconcile', '/budget/reconcile', { hold_id, elapsed_seconds: 1800, state: 'CD', job_id: '5' });
    const detail = await shown(hold_id);
    expect(keys(detail)).toEqual(fields(`${HOLD.join(' ')} spec line_items runs`));
    expect(detail).toMatchObject({
      state: 'settled',
      used: 5,
      tasks: 1,
      tasks_ended: 1,
      spec: { account: 'physics', partition: 'ten', nodes: 1, wall_time: '01:00:00', memory: '16G', job_name: 'simulation' },
      line_items: [{ name: 'instances', quantity: 1, unit_price: 10, amount: 10 }],
      runs: [{ run_id: hold_id, actual_charge: 5, state: 'COMPLETED', job_id: '5' }],
    });
  });
});

describe('a settlement has the fields of the contract', () => {
  it('by transaction id, by job, late, without a hold, corrected, and in a batch', async () => {
    const { hold_id } = await place();
    const one = await ask('reconcile', '/budget/reconcile', { transaction_id: hold_id, actual_cost: 8 });
    expect(keys(one)).toEqual(SETTLEMENT);
    expect(one).toMatchObject({
      ...{ success: true, transaction_id: hold_id, run_id: hold_id, original_hold: 12, actual_charge: 8, refund_amount: 4 },
      ...{ hold_state: 'settled', late: false },
    });
    const late = await ask('reconcile', '/budget/reconcile', { hold_id, run_id: 'again', actual_cost: 1 });
    expect(late).toMatchObject({ late: true, original_hold: 0, refund_amount: 0, actual_charge: 1, hold_state: 'settled' });
    const corrected = await ask('correctRun', `/holds/${hold_id}/runs/${hold_id}/correct`, {
      actual_cost: 7,
      correction_id: 'c1',
      note: 'credit',
    });
    expect(keys(corrected)).toEqual(SETTLEMENT);
    expect(corrected).toMatchObject({ actual_charge: 7 });
    const byUsage = { elapsed_seconds: 1800, started_at: '2026-11-23T12:00:00Z', partition: 'ten', nodes: 2, state: 'COMPLETED' };
    const anew = { ...byUsage, correction_id: 'row.1', note: 'accounted for anew' };
    expect(await ask('correctRun', `/holds/${hold_id}/runs/${hold_id}/correct`, anew)).toMatchObject({ actual_charge: 10 });

    const second = await place();
    await ask('bindHold', `/holds/${second.hold_id}/bind`, { cluster: 'local', job_id: '31', submitted_at: '2026-11-23T12:00:00Z' });
    const requeued = await ask('reconcile', '/budget/reconcile', {
      cluster: 'local',
      job_id: '31',
      run_id: 'local-1',
      actual_cost: 2,
      state: 'REQUEUED',
    });
    expect(requeued).toMatchObject({ transaction_id: second.hold_id, hold_state: 'open', actual_charge: 2, original_hold: 0 });

    const unknown = await ask('reconcile', '/budget/reconcile', { hold_id: randomUUID(), account: 'physics', actual_cost: 3 });
    expect(keys(unknown)).toEqual(SETTLEMENT);
    expect(unknown).toMatchObject({ late: true, actual_charge: 3 });

    const array = await place({ array: '1-5:2,9%4' });
    expect(array.hold_amount).toBe(48);
    const runs = [1, 3, 5].map((task) => ({ run_id: `local-${task}`, actual_cost: task }));
    const { results } = await ask<{ results: Body[] }>('settleRuns', `/holds/${array.hold_id}/runs`, { runs });
    expect(results.map(keys)).toEqual([SETTLEMENT, SETTLEMENT, SETTLEMENT]);
    expect(results).toMatchObject([
      { actual_charge: 1, refund_amount: 11 },
      { actual_charge: 3 },
      { actual_charge: 5, hold_state: 'open' },
    ]);
    expect(await ask('settleRuns', `/holds/${array.hold_id}/runs`, { runs })).toEqual({ results });
  });
});

describe('accounts and their ledger have the fields of the contract', () => {
  it('from creation to removal', async () => {
    const asked = {
      account: 'Bio',
      name: 'Biology',
      description: 'd',
      budget_limit: 10.5,
      start_date: '2026-01-01',
      end_date: '2026-12-31',
    };
    const created = await ask('createAccount', '/accounts', asked, 201);
    expect(keys(created)).toEqual(ACCOUNT);
    expect(created).toEqual({
      ...asked,
      account: 'bio',
      ...{ budget_used: 0, budget_held: 0, budget_available: 10.5, budget_unconfirmed: 0, status: 'active', version: 1 },
      created_at: expect.stringMatching(ISO),
      updated_at: created.created_at,
    });
    expect(await ask('showAccount', '/accounts/bio')).toEqual(created);
    const changed = await ask('updateAccount', '/accounts/bio', { end_date: null, budget_limit: 20, if_version: 1 });
    expect(keys(changed)).toEqual(ACCOUNT);
    expect(changed).toMatchObject({ end_date: null, budget_limit: 20, budget_available: 20, version: 2 });
    const funded = await ask('deposit', '/accounts/bio/deposits', { amount: 0.000001, deposit_id: 'grant-1', note: 'n' });
    expect(keys(funded)).toEqual(ACCOUNT);
    expect(funded.budget_limit).toBe(20.000001);
    expect(await ask('deposit', '/accounts/bio/deposits', { amount: 0.000001, deposit_id: 'grant-1', note: 'n' })).toMatchObject({
      budget_limit: 20.000001,
    });
    await ask('deleteAccount', '/accounts/bio', undefined, 204);
    expect(await ask('showAccount', '/accounts/bio')).toMatchObject({ status: 'closed' }); // More than its opening was booked.
    await ask('createAccount', '/accounts', { account: 'gone', budget_limit: 1 }, 201);
    await ask('deleteAccount', '/accounts/gone', undefined, 204);
    await ask<RefusalBody>('showAccount', '/accounts/gone', undefined, 404);
  });

  it('with every type of entry that can be had over HTTP', async () => {
    await ask('putPartition', '/partitions/mended', { ...TEN_DOLLARS, write_off_node_failures: true });
    await ask('createAccount', '/accounts', { account: 'chem', budget_limit: 1000 }, 201);
    const chem = { account: 'chem', partition: 'mended' };
    await ask('deposit', '/accounts/chem/deposits', { amount: -1, deposit_id: 'w' });
    const failed = await place(chem);
    await ask('adjustHold', `/holds/${failed.hold_id}/adjust`, { nodes: 2 });
    await ask('reconcile', '/budget/reconcile', { hold_id: failed.hold_id, actual_cost: 5, state: 'NODE_FAIL' });
    const good = await place(chem);
    await ask('reconcile', '/budget/reconcile', { hold_id: good.hold_id, actual_cost: 5 });
    await ask('reconcile', '/budget/reconcile', { hold_id: good.hold_id, run_id: 'late', actual_cost: 1 });
    await ask('correctRun', `/holds/${good.hold_id}/runs/late/correct`, { actual_cost: 2, correction_id: 'c', note: 'n' });
    const forced = randomUUID();
    await ask('forceHold', '/holds/forced', { ...job, ...chem, hold_id: forced, cluster: 'local', reason: 'adopted' });
    await ask('releaseHold', `/holds/${forced}/release`, {});
    const { transactions } = await ask<{ transactions: (EntryBody & Body)[] }>('listTransactions', '/accounts/chem/transactions');
    for (const entry of transactions) expect(keys(entry)).toEqual(ENTRY);
    expect(transactions.map(({ type }) => type)).toEqual([
      ...['deposit', 'withdrawal', 'hold', 'adjust', 'write_off', 'hold', 'settle', 'late_settle', 'correction', 'forced_hold', 'release'],
    ]);
    expect(transactions.every(({ type }) => ENTRY_TYPES.includes(type))).toBe(true);
    expect(transactions[6]).toMatchObject({
      amount: 5,
      available_delta: 7,
      held_delta: -12,
      used_delta: 5,
      limit_delta: 0,
      run_id: good.hold_id,
    });
  });

  it('and an audit that finds nothing', async () => {
    const audit = await ask<Body & { accounts: number }>('audit', '/audit', {});
    expect(keys(audit)).toEqual(['accounts', 'differences', 'entries']);
    expect(audit).toMatchObject({ differences: [] });
    expect(await ask('audit', '/audit', { account: 'physics', repair: true })).toMatchObject({ accounts: 1, differences: [] });
  });
});

describe('partitions and clusters have the fields of the contract', () => {
  it('a PUT needs region and types only, and the rest defaults as the contract says', async () => {
    const put = await ask('putPartition', '/partitions/new', { region: 'us-east-1', instance_types: ['c5.18xlarge'] });
    expect(keys(put)).toEqual(PARTITION);
    expect(put).toEqual({
      ...{ partition: 'new', region: 'us-east-1', instance_types: ['c5.18xlarge'], purchase: 'on-demand', allocation: 'exclusive' },
      ...{ discount_factor: 1, overhead_minutes: 0, overhead_per_node_hour: 0, overhead: 'run', default_wall_time: null, unpriced: 'deny' },
      ...{ flat_rate_per_node_hour: null, write_off_node_failures: false, features: null, threads_per_core: 2, memory_per_node: null },
      source: 'manual',
      ...{ price_per_node_hour: 3.06, price_instance_type: 'c5.18xlarge', price_source: 'catalogue', price_date: '2026-07-20' },
      ...{ price_age_days: expect.any(Number), price_confidence: 0.8 },
    });
    expect(await ask('showPartition', '/partitions/new')).toEqual(put);
    // What an answer says can be given back as it is, and its price sets none.
    expect(await ask('putPartition', '/partitions/new', { ...put, price_per_node_hour: 0 })).toEqual(put);
    const { partitions } = await ask<{ partitions: { partition: string }[] }>('listPartitions', '/partitions');
    expect(partitions.map(keys)).toEqual(partitions.map(() => PARTITION));
    expect(partitions.map(({ partition }) => partition)).toEqual(expect.arrayContaining(['aws', 'cpu', 'gpu', 'new', 'ten']));
    await ask('deletePartition', '/partitions/new', undefined, 204);
    await ask<RefusalBody>('showPartition', '/partitions/new', undefined, 404);
  });

  it('a heartbeat and the list of clusters', async () => {
    const beat = await ask('beatCluster', '/clusters/hpc', { cluster_uid: 'u', agent_version: '1.0' });
    expect(keys(beat)).toEqual(['cluster', 'stale_at']);
    expect(Date.parse(String(beat.stale_at)) - Date.now()).toBeGreaterThan(4 * 60_000);
    const { clusters } = await ask<{ clusters: Body[] }>('listClusters', '/clusters');
    expect(clusters.map(keys)).toEqual([CLUSTER]);
    expect(clusters).toMatchObject([{ cluster: 'hpc', agent_version: '1.0', principals: [] }]);
    const principals = ['arn:aws:iam::111122223333:role/head-node'];
    const named = await ask('namePrincipals', '/clusters/hpc', { principals });
    expect(named).toEqual({ ...clusters[0], principals });
  });

  it('health, without a look at anything else', async () => {
    const health = await ask('health', '/health');
    expect(keys(health)).toEqual(['status', 'time', 'version']);
    expect(health).toMatchObject({ status: 'ok', version: expect.stringMatching(/^\d+\.\d+\.\d+/), time: expect.stringMatching(ISO) });
  });

  it('how the service is set, and the document of all this', async () => {
    expect(await ask('showSettings', '/settings')).toEqual({
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      store: 'dynamodb',
      hold_percentage: 1.2,
      reconciliation_timeout_seconds: 86_400,
      sweep_interval_seconds: 60,
      pricing_region: null,
      pricing_cache_ttl_seconds: 86_400,
      advisor_url: null,
      default_cluster: 'local',
      max_body_bytes: 65_536,
      max_deadline_ms: 25_000,
      max_page_size: 500,
    });
    const document = await ask<{ openapi: string; paths: Body }>('showOpenApi', '/openapi.json');
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(keys(document.paths)).toEqual([...new Set(Object.values(ROUTES).map(({ path }) => path.replace('/api/v1', '')))].sort());
  });

  it('no secret of an advisor is among the settings', async () => {
    const other = temporaryFolder();
    onTestFinished(() => other.remove());
    const advisorUrl = 'https://asbb:hunter2@advisor.example.org/v1?key=hunter3#hunter4';
    const { api, stop } = await startApi(other.path, {
      store: 'memory',
      helpers: { pricingRegion: 'eu-central-1', priceTtlMs: 60_000, advisorUrl },
    });
    onTestFinished(stop);
    const { body, text } = await api.get<Body>('/settings');
    expect(body).toMatchObject({ store: 'memory', pricing_region: 'eu-central-1', advisor_url: 'https://advisor.example.org/v1' });
    expect(text).not.toContain('hunter');
  });
});

describe('a list that is read page by page has every row once, in its order', () => {
  const pages = async <T>(operation: keyof typeof ROUTES, path: string, name: string): Promise<T[][]> => {
    const found: T[][] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined && found.length < 50; ) {
      const next: Body = await ask(operation, `${path}${path.includes('?') ? '&' : '?'}limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      expect(keys(next).filter((key) => key !== 'cursor')).toEqual([name]);
      found.push(next[name] as T[]);
      cursor = next.cursor as string | undefined;
    }
    return found;
  };

  beforeAll(async () => {
    await ask('createAccount', '/accounts', { account: 'paged', budget_limit: 1000 }, 201);
    for (let i = 0; i < 5; i += 1) await place({ account: 'paged', cluster: 'paging', user: i < 3 ? 'ann' : 'bob' });
  });

  const newestFirst = (holds: readonly (HoldBody & { created_at: string })[]) => {
    const times = holds.map(({ created_at }) => created_at);
    expect(times).toEqual([...times].sort().reverse());
    expect(new Set(holds.map(({ hold_id }) => hold_id)).size).toBe(5);
    for (const hold of holds) expect(keys(hold)).toEqual(HOLD);
  };

  it('holds of an account, newest first', async () => {
    const found = await pages<HoldBody & { created_at: string }>('listHoldsOfAccount', '/accounts/paged/holds?state=open', 'holds');
    expect(found.every((page) => page.length <= 2)).toBe(true);
    newestFirst(found.flat());
    expect((await pages('listHoldsOfAccount', '/accounts/paged/holds?user=ann', 'holds')).flat()).toHaveLength(3);
    expect((await pages('listHoldsOfAccount', '/accounts/paged/holds?state=settled', 'holds')).flat()).toEqual([]);
  });

  it('open holds of a cluster, newest first', async () => {
    newestFirst(
      (await pages<HoldBody & { created_at: string }>('listHoldsOfCluster', '/holds?cluster=paging&bound=false', 'holds')).flat(),
    );
    expect((await pages('listHoldsOfCluster', '/holds?cluster=paging&bound=true', 'holds')).flat()).toEqual([]);
    const early = '/holds?cluster=paging&created_before=2026-01-01T00:00:00Z&state=open';
    expect((await pages('listHoldsOfCluster', early, 'holds')).flat()).toEqual([]);
  });

  it('entries of an account, oldest first, `from` inclusive and `to` exclusive', async () => {
    const found = (await pages<EntryBody & { at: string }>('listTransactions', '/accounts/paged/transactions', 'transactions')).flat();
    expect(found.map(({ type }) => type)).toEqual(['deposit', 'hold', 'hold', 'hold', 'hold', 'hold']);
    expect(found.map(({ at }) => at)).toEqual(found.map(({ at }) => at).sort());
    const between = `/accounts/paged/transactions?from=${found[1]?.at}&to=${found[3]?.at}`;
    const some = (await pages<EntryBody>('listTransactions', between, 'transactions')).flat();
    expect(some.map(({ entry_id }) => entry_id)).toEqual([found[1]?.entry_id, found[2]?.entry_id]);
  });

  it('accounts and partitions by name', async () => {
    const accounts = (await pages<{ account: string }>('listAccounts', '/accounts', 'accounts')).flat();
    expect(accounts.map(keys)).toEqual(accounts.map(() => ACCOUNT));
    const names = accounts.map(({ account }) => account);
    expect(names).toEqual([...names].sort());
    expect(names).toEqual(expect.arrayContaining(['paged', 'physics']));
    const partitions = (await pages<{ partition: string }>('listPartitions', '/partitions', 'partitions'))
      .flat()
      .map(({ partition }) => partition);
    expect(partitions).toEqual([...new Set(partitions)].sort());
  });
});

describe('the wire', () => {
  it('takes the curl line of the issue as it is typed', async () => {
    await ask('createAccount', '/accounts', { account: 'proj001', budget_limit: 1000 }, 201);
    const line = [
      ...['-s', '-X', 'POST', `${api.url}/api/v1/budget/check`, '-H', 'Content-Type: application/json', '-d'],
      '{"account":"proj001","partition":"cpu","nodes":1,"cpus":4,"wall_time":"01:00:00"}',
    ];
    const verdict = await curl(line);
    // m5.24xlarge in us-east-1 is $4.608 an hour on the catalogue's date.
    expect(verdict).toMatchObject({ available: true, estimated_cost: 4.608, hold_amount: 5.5296 });
    const asForm = await curl(line.filter((word) => word !== '-H' && !word.startsWith('Content-Type')));
    expect(asForm).toMatchObject({ available: true, hold_amount: 5.5296 });
  });

  it('with --auth refuses what is not signed, or signed wrongly, and takes what is signed right', async () => {
    const home = temporaryFolder();
    onTestFinished(home.remove);
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' };
    const guarded = await startApi(home.path, { store: 'memory', credentials });
    onTestFinished(guarded.stop);
    expect((await guarded.api.get('/health')).status).toBe(200);
    expect(await guarded.api.get('/accounts')).toMatchObject({ status: 403, body: { error: { code: 'not_authorized' } } });
    const asked = JSON.stringify({ account: 'physics', budget_limit: 5 });
    expect(await signed(guarded.api.url, 'POST', '/api/v1/accounts', asked, { ...credentials, secretAccessKey: 'wrong' })).toBe(403);
    expect(await signed(guarded.api.url, 'POST', '/api/v1/accounts', asked, credentials)).toBe(201);
    expect(await signed(guarded.api.url, 'GET', '/api/v1/accounts', '', credentials, 'eu-central-1')).toBe(200);
  });

  it('compares what was estimated and held with what was used, as soon as it is answered', async () => {
    await ask('createAccount', '/accounts', { account: 'compared', budget_limit: 100_000 }, 201);
    for (let job = 1; job <= 30; job += 1) {
      const { hold_id } = await place({ account: 'compared', user: 'curie' });
      await ask('reconcile', '/budget/reconcile', { hold_id, actual_cost: job === 1 ? 12.5 : 9.4 });
    }
    const { hold_id } = await place({ account: 'compared', user: 'bohr' });
    await ask('releaseHold', `/holds/${hold_id}/release`, {});
    type Accuracy = { rows: Body[]; total: Body };
    const path = '/accounts/compared/usage/accuracy';
    const accuracy = await ask<Accuracy>('showAccountAccuracy', `${path}?by=user`);
    const today = new Date().toISOString().slice(0, 10);
    expect(accuracy).toMatchObject({ risk: 0.05, min_holds: 30, from: today });
    const sums = { holds: 30, estimated: 300, held: 360, used: 285.1, used_of_estimated: 0.9503, used_of_held: 0.7919, overran: 1 };
    const suggested = { suggested_hold_percentage: 0.95, suggested_risk: 0.0333 };
    const none = { holds: 0, estimated: 0, held: 0, used: 0, used_of_estimated: null, used_of_held: null, overran: 0 };
    expect(accuracy.rows).toEqual([
      { key: 'bohr', ...none, suggested_hold_percentage: null, suggested_risk: null, unspent_holds: 1, unspent_held: 12 },
      { key: 'curie', ...sums, ...suggested, unspent_holds: 0, unspent_held: 0 },
    ]);
    expect(accuracy.total).toEqual({ ...sums, ...suggested, unspent_holds: 1, unspent_held: 12 });
    const careful = await ask<Accuracy>('showAccountAccuracy', `${path}?risk=0.01&user=curie`);
    expect(careful).toMatchObject({ risk: 0.01, total: { suggested_hold_percentage: 1.25, suggested_risk: 0 } });
    expect((await ask<Accuracy>('showAccuracy', '/usage/accuracy?by=account')).rows).toContainEqual({ key: 'compared', ...accuracy.total });
  });

  it('sums up what was used by account, user, partition and month, as soon as it is answered', async () => {
    await ask('createAccount', '/accounts', { account: 'summed', budget_limit: 100 }, 201);
    const runs = [
      { user: 'curie', actual_cost: 1.000001 },
      { user: 'bohr', actual_cost: 2, partition: 'ten', nodes: 2, started_at: '2026-11-23T12:00:00Z', ended_at: '2026-11-23T13:30:00Z' },
    ];
    for (const [index, run] of runs.entries())
      await ask('reconcile', '/budget/reconcile', { ...run, run_id: `run-${index}`, account: 'summed', hold_id: randomUUID() });
    await place({ account: 'summed' });
    type Usage = { rows: Body[]; total: Body; from: string; to: string };
    const usage = (query = '') => ask<Usage>('showAccountUsage', `/accounts/summed/usage${query}`);

    const total = { jobs: 2, used: 3.000001, held: 12, node_hours: 3 };
    const summed = await usage();
    expect(keys(summed)).toEqual(USAGE);
    expect(keys(summed.rows[0])).toEqual(USAGE_ROW);
    expect(summed).toMatchObject({ rows: [{ key: 'summed', ...total }], total });
    expect((await usage('?by=user')).rows).toEqual([
      { key: 'bohr', jobs: 1, used: 2, held: 0, node_hours: 3 },
      { key: 'curie', jobs: 1, used: 1.000001, held: 12, node_hours: 0 },
    ]);
    expect((await usage('?by=partition')).rows).toEqual([
      { key: 'ten', jobs: 1, used: 2, held: 12, node_hours: 3 },
      { key: null, jobs: 1, used: 1.000001, held: 0, node_hours: 0 },
    ]);
    const today = new Date().toISOString().slice(0, 10);
    expect((await usage(`?by=month&from=${today}`)).rows).toEqual([{ key: today.slice(0, 7), ...total }]);
    expect(await usage(`?to=${today}`)).toMatchObject({ rows: [{ jobs: 0, used: 0, held: 12 }], to: today });
    expect((await usage('?user=bohr&partition=ten')).total).toEqual({ jobs: 1, used: 2, held: 0, node_hours: 3 });

    const all = await ask<Usage>('showUsage', '/usage');
    expect(all.rows).toContainEqual({ key: 'summed', ...total });
    const accounts = (await api.get<{ accounts: { budget_used: number }[] }>('/accounts?limit=500')).body.accounts;
    expect(all.total.used).toBeCloseTo(
      accounts.reduce((sum, { budget_used }) => sum + budget_used, 0),
      6,
    );
  });

  it('has no route that was not asked above', () => {
    expect([...answered].sort()).toEqual(Object.keys(ROUTES).sort());
  });
});

/** Not execFileSync: the server lives in this very process. */
const curl = async (args: readonly string[]): Promise<Body> =>
  JSON.parse((await promisify(execFile)('curl', args, { timeout: 10_000 })).stdout);

/** @returns the status of a request that is signed with SigV4, service execute-api */
const signed = async (
  url: string,
  method: string,
  path: string,
  body: string,
  credentials: { accessKeyId: string; secretAccessKey: string },
  region = 'us-east-1',
): Promise<number> => {
  const { host, hostname, port } = new URL(url);
  const signer = new SignatureV4({ credentials, region, service: 'execute-api', sha256: Sha256 });
  const plain = { method, protocol: 'http:', hostname, port: Number(port), path, headers: { host }, body };
  const { headers } = await signer.sign(plain);
  return new Promise((done, fail) => {
    const sent = request(`${url}${path}`, { method, headers }, (response) => {
      response.resume();
      response.once('end', () => done(response.statusCode ?? 0));
    });
    sent.once('error', fail);
    sent.end(body);
  });
};
