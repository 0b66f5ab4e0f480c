// What must be refused, each with an answer that says what is wrong and where, and nothing changed.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  type AccountBody,
  type Answer,
  type Api,
  type AuditBody,
  type HoldBody,
  type RefusalBody,
  startApi,
  TEN_DOLLARS,
  temporaryFolder,
  type VerdictBody,
} from '#test/http/api';
import { pidsWith, runs, within } from '#test/local/processes';
import { startComposed } from '#test/money/composed';

const BASE = '/api/v1';
const OPEN_HOLD = '6f1c0f5e-0000-4000-8000-00000000aaaa';
const SETTLED_HOLD = '6f1c0f5e-0000-4000-8000-00000000bbbb';
const ARRAY_HOLD = '6f1c0f5e-0000-4000-8000-00000000cccc';
const NO_HOLD = '6f1c0f5e-0000-4000-8000-00000000dddd';
const MAX_BODY_BYTES = 65_536;

let local: Awaited<ReturnType<typeof startApi>>;
let api: Api;
const folder = temporaryFolder();

const job = { account: 'physics', partition: 'ten', nodes: 1, wall_time: '01:00:00' };
const run = { run_id: 'r1', actual_cost: 1 };
const settling = { hold_id: ARRAY_HOLD, ...run };
const binding = { cluster: 'local', job_id: '1', submitted_at: '2026-11-23T12:00:00Z' };
const forcing = { ...job, hold_id: NO_HOLD, cluster: 'local', reason: 'adopted' };

beforeAll(async () => {
  local = await startApi(folder.path);
  api = local.api;
  await api.put('/partitions/ten', TEN_DOLLARS);
  for (const account of ['physics', 'second']) {
    await api.post('/accounts', { account, budget_limit: 1000, start_date: '2026-01-01', end_date: '2199-12-31' });
  }
  await api.post('/accounts/physics/deposits', { amount: 10, deposit_id: 'd1' });
  await api.post('/accounts/second/deposits', { amount: 10, deposit_id: 'd1' });
  for (const hold_id of [OPEN_HOLD, SETTLED_HOLD]) await api.post('/budget/check', { ...job, hold_id });
  await api.post('/budget/check', { ...job, array: '1-3', hold_id: ARRAY_HOLD });
  await api.post('/budget/reconcile', { hold_id: SETTLED_HOLD, actual_cost: 5 });
  await api.post(`/holds/${OPEN_HOLD}/bind`, { ...binding, job_id: '77' });
  await api.put('/clusters/local', { cluster_uid: 'u1' });
});
afterAll(async () => {
  await local.stop();
  folder.remove();
});

/** All that money is, as the API shows it. */
const everything = () =>
  Promise.all(
    [
      '/accounts',
      '/accounts/physics/transactions',
      '/accounts/second/transactions',
      '/accounts/physics/holds',
      '/partitions',
      '/clusters',
    ].map(async (path) => (await api.get<unknown>(path)).body),
  );

interface Bad {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** JSON unless it is text or bytes. */
  readonly body?: unknown;
  readonly status?: number;
  readonly code?: string;
  /** In details.fields; not looked for if undefined. */
  readonly field?: string;
  readonly says?: RegExp;
}

const sendBad = ({ method = 'POST', path, body }: Bad): Promise<Answer<RefusalBody>> => {
  const bytes = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return api.raw(method, `${BASE}${path}`, bytes, { 'content-type': 'application/json' });
};

const refuses = (cases: Record<string, Bad>) =>
  it.each(Object.entries(cases))('%s', async (_, bad) => {
    const before = await everything();
    const { status, body } = await sendBad(bad);
    expect(body, JSON.stringify(body)).toEqual({
      error: expect.objectContaining({ code: bad.code ?? 'validation_failed', message: expect.stringMatching(/^\S.{5,}/) }),
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(status).toBe(bad.status ?? 400);
    if (bad.field !== undefined)
      expect(body.error.details?.fields?.map(({ path }) => path.replace(/\.0$/, ''))).toContain(bad.field.replace(/\.0$/, ''));
    if (bad.says !== undefined) expect(body.error.message).toMatch(bad.says);
    expect(await everything()).toEqual(before);
  });

/** One case for each field: all is right but that. */
const wrongly = (path: string, right: object, wrong: Record<string, unknown>, method: Bad['method'] = 'POST'): Record<string, Bad> =>
  Object.fromEntries(
    Object.entries(wrong).map(([field, value]) => {
      const [name = ''] = field.split(' '); // `nodes 0` is another wrong value of `nodes`.
      return [`${method} ${path}: ${name} = ${JSON.stringify(value)}`, { method, path, body: { ...right, [name]: value }, field: name }];
    }),
  );

describe('a body that is none is refused, and nothing changes', () => {
  const check = '/budget/check';
  refuses({
    'not JSON': { path: check, body: '{"account":', field: 'body', says: /JSON/ },
    'NaN, which is not JSON': { path: '/accounts/physics/deposits', body: '{"amount":NaN,"deposit_id":"n"}', field: 'body' },
    'a JSON array': { path: check, body: '[]', field: 'body' },
    'a JSON string': { path: check, body: '"physics"', field: 'body' },
    'JSON null': { path: check, body: 'null', field: 'body' },
    'an empty body where fields are required': { path: check, field: 'account' },
    'an empty object': { path: check, body: {}, field: 'partition' },
    'not UTF-8': { path: check, body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), field: 'body', says: /UTF-8/ },
    'larger than 64 KiB': {
      path: check,
      body: JSON.stringify({ ...job, job_script: 'x'.repeat(MAX_BODY_BYTES) }),
      status: 413,
      code: 'body_too_large',
    },
    'an unknown field': { path: check, body: { ...job, nodez: 2 }, field: 'nodez', says: /x_/ },
    'an unknown field of a run in a batch': {
      path: `/holds/${ARRAY_HOLD}/runs`,
      body: { runs: [{ ...run, costs: 1 }] },
      field: 'runs.0.costs',
    },
  });

  it('but 64 KiB, fields of a newer plugin, upper case and an empty body of optional fields are taken', async () => {
    const room = MAX_BODY_BYTES - JSON.stringify({ ...job, job_script: '' }).length;
    expect((await api.post('/budget/quote', { ...job, job_script: 'x'.repeat(room) })).status).toBe(200);
    expect((await api.post<VerdictBody>('/budget/quote', { ...job, x_plugin: { a: 1 } })).body.hold_amount).toBe(12);
    expect((await api.post<VerdictBody>('/budget/quote', { ...job, account: 'PHYSICS' })).body.available).toBe(true);
    expect((await api.get<AccountBody>('/accounts/Physics')).body.account).toBe('physics');
    expect((await api.get<HoldBody>(`/holds/${OPEN_HOLD.toUpperCase()}`)).body.hold_id).toBe(OPEN_HOLD);
    const repeated = await api.post<VerdictBody>('/budget/check', { ...job, hold_id: OPEN_HOLD.toUpperCase() });
    expect(repeated.body).toMatchObject({ available: true, hold_id: OPEN_HOLD });
    expect((await api.post<AuditBody>('/audit')).body.differences).toEqual([]);
  });
});

describe('a field of the wrong kind is named, and nothing changes', () => {
  const ofJob = {
    account: 5,
    partition: ['ten'],
    user: 5,
    cluster: {},
    nodes: '2',
    'nodes 0': 0,
    'nodes null': null,
    min_nodes: 1.5,
    ntasks: '1',
    cpus: '4',
    'cpus too many': 16_777_216,
    cpus_per_task: true,
    gpus: '1',
    gpus_per_node: -1,
    gpu_type: 7,
    memory: true,
    'memory text': '16 giga',
    memory_per_cpu: [],
    exclusive: 'yes',
    constraint: 1,
    wall_time: 60,
    array: 5,
    het_offset: '0',
    qos: 1,
    job_name: 9,
    job_script: 9,
    deadline_ms: '500',
    'deadline_ms 49': 49,
    'deadline_ms 25001': 25_001,
  };
  refuses({
    ...wrongly('/budget/check', job, { ...ofJob, hold_id: 12 }),
    ...wrongly('/budget/quote', job, { hold_id: NO_HOLD, nodes: '2' }),
    ...wrongly('/holds/forced', forcing, { hold_id: 'x', job_id: 5, submitted_at: 'yesterday', reason: 5, cluster: 'a/b', nodes: -1 }),
    ...wrongly('/budget/reconcile', settling, {
      run_id: 'a b',
      actual_cost: '1',
      partition: 1,
      instances: [],
      nodes: '1',
      cpus: 0,
      memory: true,
      gpus: -1,
      submitted_at: 5,
      started_at: '2026-13-01T00:00:00Z',
      ended_at: '2026-11-23T12:00:00',
      state: 'DONE',
      final: 'yes',
      tasks: 0,
      job_id: 1,
      cluster: 'a/b',
      account: 'a/b',
      user: '',
      job_metadata: 'none',
      transaction_id: NO_HOLD,
    }),
    ...wrongly(`/holds/${ARRAY_HOLD}/bind`, binding, { cluster: 1, job_id: 1, submitted_at: 'now', instances: 'c5.large' }),
    ...wrongly(`/holds/${ARRAY_HOLD}/extend`, {}, { expires_at: '2026-11-23' }),
    ...wrongly(`/holds/${ARRAY_HOLD}/release`, {}, { reason: 5 }),
    ...wrongly(
      `/holds/${ARRAY_HOLD}/adjust`,
      {},
      { nodes: '2', tasks: 0, raise_only: 'yes', account: 'a/b', wall_time: 'x', memory: '1X' },
    ),
    ...wrongly(`/jobs/local/77/adjust`, {}, { nodes: '2' }),
    ...wrongly(
      `/holds/${SETTLED_HOLD}/runs/${SETTLED_HOLD}/correct`,
      { actual_cost: 1, correction_id: 'c', note: 'n' },
      {
        actual_cost: '1',
        'actual_cost -1': -1,
        correction_id: 'a/b',
        note: 5,
      },
    ),
    ...wrongly('/clusters/local', { cluster_uid: 'u1' }, { cluster_uid: 5, agent_version: 5 }, 'PUT'),
    ...wrongly('/clusters/local', {}, { principals: ['nobody'] }, 'PATCH'),
    ...wrongly(
      '/accounts',
      { account: 'new', budget_limit: 1 },
      { account: 'a/b', name: 5, description: 5, start_date: '2026-02-30', end_date: 5 },
    ),
    ...wrongly('/accounts/physics', {}, { status: 'frozen', if_version: 'x', budget_limit: '5', start_date: '1.1.2026', name: 5 }, 'PATCH'),
    ...wrongly('/accounts/physics/deposits', { amount: 1, deposit_id: 'd9' }, { deposit_id: 'a/b', note: 5, amount: '1' }),
    ...wrongly('/audit', {}, { account: 'a/b', repair: 'yes', cursor: 5 }),
    ...wrongly(
      '/partitions/ten',
      TEN_DOLLARS,
      {
        region: 'mars',
        instance_types: ['c5'],
        purchase: 'gift',
        allocation: 1,
        discount_factor: 0,
        overhead_minutes: -1,
        overhead_per_node_hour: '1',
        overhead: 'nobody',
        default_wall_time: '1:2:3:4',
        unpriced: 'free',
        flat_rate_per_node_hour: 0,
        write_off_node_failures: 1,
        features: [],
        threads_per_core: 0,
        memory_per_node: 'x',
        source: 1,
        partition: 'other',
      },
      'PUT',
    ),
  });
});

describe('an amount that is none is refused, and nothing changes', () => {
  const deposits = '/accounts/physics/deposits';
  const deposit = (amount: string) => ({ path: deposits, body: `{"amount":${amount},"deposit_id":"d9"}`, field: 'amount' });
  const limit = (amount: string) => ({ path: '/accounts', body: `{"account":"new","budget_limit":${amount}}`, field: 'budget_limit' });
  refuses({
    'a deposit of 0': deposit('0'),
    'a deposit of 1e309': deposit('1e309'),
    'a deposit of seven decimals': deposit('1.0000001'),
    'a deposit of 1e-7': deposit('1e-7'),
    'a deposit of a billion': deposit('1000000000'),
    'a withdrawal of a billion': deposit('-1000000000'),
    'a limit of seven decimals': limit('0.1234567'),
    'a negative limit': limit('-0.01'),
    'a limit of a billion': limit('1000000000'),
    'a limit of 1e309': limit('1e309'),
    'a negative cost': { path: '/budget/reconcile', body: { ...settling, actual_cost: -1 }, field: 'actual_cost' },
    'a cost of seven decimals': { path: '/budget/reconcile', body: { ...settling, actual_cost: 0.0000001 }, field: 'actual_cost' },
    'a deposit that takes the limit past its bound': { ...deposit('999999999.999999'), field: 'amount' },
    'a withdrawal of more than is available': { ...deposit('-990'), status: 409, code: 'below_committed', field: undefined as never },
  });

  it('but 999999999.999999 is taken, and comes back to the last digit', async () => {
    const created = await api.post<AccountBody>('/accounts', { account: 'rich', budget_limit: 999_999_999.999999 });
    expect(created).toMatchObject({ status: 201, body: { budget_limit: 999_999_999.999999, budget_available: 999_999_999.999999 } });
    expect((await api.delete('/accounts/rich')).status).toBe(204);
  });
});

describe('times, arrays and sizes that Slurm would not take are refused, and nothing changes', () => {
  const bad = (field: string, values: readonly string[]) =>
    Object.fromEntries(values.map((value) => [`${field} "${value}"`, { path: '/budget/check', body: { ...job, [field]: value }, field }]));
  refuses({
    ...bad('wall_time', ['1:2:3:4', '-5', '', 'soon', '1-', '1h', '99999999999999999999']),
    ...bad('array', ['5-1', '0-99999999999', '1-5:0', '', 'a', '1-5%0', '1,,2', '-3', '4000001']),
    ...bad('memory', ['', '1.5G', '-1G', '1Z', '9999999P']),
    ...bad('account', ['', 'a/b', 'phys😀cs', 'a'.repeat(65), '.hidden', 'a b', 'a#b']),
    ...bad('partition', ['']),
    ...bad('hold_id', ['', '1', '6f1c0f5e-0000-4000-8000-00000000aaa', '6f1c0f5e-0000-4000-8000-00000000aaag']),
  });
  refuses({
    'no wall time': { path: '/budget/check', body: { ...job, wall_time: undefined }, status: 422, code: 'no_wall_time', says: /--time/ },
    'a wall time of 0': { path: '/budget/check', body: { ...job, wall_time: '0' }, status: 422, code: 'no_wall_time' },
    'a wall time without limit': { path: '/budget/check', body: { ...job, wall_time: 'UNLIMITED' }, status: 422, code: 'no_wall_time' },
    'more CPUs than the nodes have': {
      path: '/budget/check',
      body: { ...job, partition: 'cpu', cpus: 1000 },
      status: 422,
      code: 'does_not_fit',
    },
    'more memory than a node has': {
      path: '/budget/check',
      body: { ...job, partition: 'cpu', memory: '10T' },
      status: 422,
      code: 'does_not_fit',
    },
    'GPUs where there are none': { path: '/budget/check', body: { ...job, partition: 'cpu', gpus: 1 }, status: 422, code: 'does_not_fit' },
    'an unknown partition': {
      path: '/budget/check',
      body: { ...job, partition: 'moon' },
      status: 404,
      code: 'partition_not_found',
      says: /moon/,
    },
    'an unknown account': {
      path: '/budget/check',
      body: { ...job, account: 'nobody' },
      status: 404,
      code: 'account_not_found',
      says: /nobody/,
    },
  });
});

describe('what contradicts what is there is refused, and nothing changes', () => {
  const conflict = { status: 409 };
  const missing = { status: 404 };
  const runsOf = (holdId: string) => `/holds/${holdId}/runs`;
  refuses({
    'end before start': {
      path: '/accounts',
      body: { account: 'new', budget_limit: 1, start_date: '2026-02-01', end_date: '2026-01-31' },
      field: 'end_date',
    },
    'an end before the start that is stored': {
      method: 'PATCH',
      path: '/accounts/physics',
      body: { end_date: '2025-12-31' },
      field: 'end_date',
    },
    'a limit under what is held and used': {
      method: 'PATCH',
      path: '/accounts/physics',
      body: { budget_limit: 52.999999 },
      ...conflict,
      code: 'below_committed',
    },
    'an old version': {
      method: 'PATCH',
      path: '/accounts/physics',
      body: { name: 'x', if_version: 1 },
      ...conflict,
      code: 'version_conflict',
    },
    'closing an account with open holds': {
      method: 'PATCH',
      path: '/accounts/physics',
      body: { status: 'closed' },
      ...conflict,
      code: 'account_has_open_holds',
    },
    'deleting an account with open holds': { method: 'DELETE', path: '/accounts/physics', ...conflict, code: 'account_has_open_holds' },
    'an account that exists, in upper case': {
      path: '/accounts',
      body: { account: 'PHYSICS', budget_limit: 1 },
      ...conflict,
      code: 'account_exists',
    },
    'a deposit id with another amount': {
      path: '/accounts/physics/deposits',
      body: { amount: 11, deposit_id: 'd1' },
      ...conflict,
      code: 'deposit_conflict',
    },
    'a hold id with another job': {
      path: '/budget/check',
      body: { ...job, nodes: 2, hold_id: OPEN_HOLD },
      ...conflict,
      code: 'hold_conflict',
    },
    'a hold id that is settled': { path: '/budget/check', body: { ...job, hold_id: SETTLED_HOLD }, ...conflict, code: 'hold_closed' },
    'releasing a settled hold': { path: `/holds/${SETTLED_HOLD}/release`, body: {}, ...conflict, code: 'hold_closed' },
    'binding a settled hold': { path: `/holds/${SETTLED_HOLD}/bind`, body: binding, ...conflict, code: 'hold_closed' },
    'binding to another job': { path: `/holds/${OPEN_HOLD}/bind`, body: { ...binding, job_id: '78' }, ...conflict, code: 'hold_conflict' },
    'binding two holds to one job': {
      path: `/holds/${ARRAY_HOLD}/bind`,
      body: { ...binding, job_id: '77' },
      ...conflict,
      code: 'hold_conflict',
    },
    'binding from another cluster': {
      path: `/holds/${OPEN_HOLD}/bind`,
      body: { ...binding, cluster: 'mars' },
      ...conflict,
      code: 'cluster_conflict',
    },
    'a cluster of another uid': {
      method: 'PUT',
      path: '/clusters/local',
      body: { cluster_uid: 'u2' },
      ...conflict,
      code: 'cluster_conflict',
    },
    'principals of a cluster that was never heard': {
      method: 'PATCH',
      path: '/clusters/mars',
      body: { principals: [] },
      status: 404,
      code: 'cluster_not_found',
    },
    'a run at another cost': {
      path: '/budget/reconcile',
      body: { hold_id: SETTLED_HOLD, actual_cost: 6 },
      ...conflict,
      code: 'run_conflict',
    },
    'two costs of one run in a batch': {
      path: runsOf(ARRAY_HOLD),
      body: { runs: [run, { run_id: 'r2', actual_cost: 1 }, { ...run, actual_cost: 2 }] },
      ...conflict,
      code: 'run_conflict',
      says: /r1/,
    },
    'both costs': { path: '/budget/reconcile', body: { ...settling, elapsed_seconds: 5 }, field: 'actual_cost' },
    'neither cost': { path: '/budget/reconcile', body: { hold_id: ARRAY_HOLD, run_id: 'r1' }, field: 'actual_cost' },
    'a run of an array without its id': { path: '/budget/reconcile', body: { hold_id: ARRAY_HOLD, actual_cost: 1 }, field: 'run_id' },
    'a run of nothing': { path: '/budget/reconcile', body: { actual_cost: 1 }, field: 'hold_id' },
    '41 runs': {
      path: runsOf(ARRAY_HOLD),
      body: { runs: Array.from({ length: 41 }, (_, i) => ({ run_id: `r${i}`, actual_cost: 1 })) },
      field: 'runs',
    },
    'no runs': { path: runsOf(ARRAY_HOLD), body: { runs: [] }, field: 'runs' },
    'a run of an unknown hold': {
      path: '/budget/reconcile',
      body: { hold_id: NO_HOLD, actual_cost: 1 },
      ...missing,
      code: 'hold_not_found',
    },
    'a run of an unknown job': {
      path: '/budget/reconcile',
      body: { cluster: 'local', job_id: '999', ...run },
      ...missing,
      code: 'job_not_found',
    },
    'an unknown job': { path: '/jobs/local/999/adjust', body: { nodes: 2 }, ...missing, code: 'job_not_found' },
    'a correction of an unknown run': {
      path: `${runsOf(OPEN_HOLD)}/r9/correct`,
      body: { actual_cost: 1, correction_id: 'c', note: 'n' },
      ...missing,
      code: 'run_not_found',
    },
    'an unknown hold': { method: 'GET', path: `/holds/${NO_HOLD}`, ...missing, code: 'hold_not_found' },
    'an unknown partition': { method: 'DELETE', path: '/partitions/moon', ...missing, code: 'partition_not_found' },
    'an unknown account': { method: 'DELETE', path: '/accounts/nobody', ...missing, code: 'account_not_found' },
  });
});

describe('a path or query that leads nowhere is refused, and nothing changes', () => {
  const get = (path: string, field?: string): Bad => ({ method: 'GET', path, ...(field === undefined ? {} : { field }) });
  const nowhere = { status: 404, code: 'route_not_found' };
  refuses({
    'a path with %2F..': get('/accounts/..%2F..%2Fpartitions', 'account'),
    'a hold id with %2F..': get('/holds/%2F..%2Faccounts', 'hold_id'),
    '..': { ...get('/accounts/../partitions'), ...nowhere },
    'an account named ..': get('/accounts/..', 'account'),
    'an account with a slash': { ...get('/accounts/a/b'), ...nowhere },
    'an account with an emoji': get(`/accounts/${encodeURIComponent('😀')}`, 'account'),
    'an account of 65 characters': get(`/accounts/${'a'.repeat(65)}`, 'account'),
    'half a percent-encoding': get('/accounts/%zz', 'path'),
    'a hold id that is no UUID': get('/holds/4711', 'hold_id'),
    'a job id with a space': { path: '/jobs/local/a%20b/adjust', body: { nodes: 2 }, field: 'job_id' },
    'limit=0': get('/accounts?limit=0', 'limit'),
    'limit=501': get('/accounts?limit=501', 'limit'),
    'limit=abc': get('/accounts?limit=abc', 'limit'),
    'a broken cursor': get('/accounts?cursor=%21%21', 'cursor'),
    'a cursor of nonsense': get(`/accounts/physics/transactions?cursor=${Buffer.from('["x"]').toString('base64url')}`, 'cursor'),
    'an unknown query field': get('/accounts?limt=5', 'limt'),
    'an unknown query field where none is known': get('/accounts/physics?verbose=1', 'verbose'),
    'a state that no hold has': get('/accounts/physics/holds?state=lost', 'state'),
    'closed holds by cluster': get('/holds?cluster=local&state=settled', 'state'),
    'holds without a cluster': get('/holds', 'cluster'),
    'a time that is none': get('/accounts/physics/transactions?from=yesterday', 'from'),
    'usage from a time that is none': get('/usage?from=yesterday', 'from'),
    'usage until a day that is none': get('/accounts/physics/usage?to=2026-02-30', 'to'),
    'usage by what nobody keeps': get('/usage?by=week', 'by'),
    'usage with a field that it does not know': get('/usage?account=physics', 'account'),
    'accuracy with a risk that is none': get('/usage/accuracy?risk=5', 'risk'),
    'accuracy with a risk below none': get('/usage/accuracy?risk=-0.1', 'risk'),
    'accuracy by what nobody keeps': get('/accounts/physics/usage/accuracy?by=week', 'by'),
    'an unknown route': { ...get('/moon'), ...nowhere },
    'the root': { ...get(''), ...nowhere },
    'a wrong method': { method: 'DELETE', path: '/budget/check', ...nowhere },
    'another wrong method': { ...get('/budget/check'), ...nowhere },
  });

  it('so is a cursor of another list or of another account', async () => {
    const cursorOf = async (path: string) => (await api.get<{ cursor: string }>(path)).body.cursor;
    for (const [from, to] of [
      ['/accounts?limit=1', '/partitions?limit=1'],
      ['/partitions?limit=1', '/accounts?limit=1'],
      ['/accounts/physics/transactions?limit=1', '/accounts/second/transactions?limit=1'],
      ['/accounts/physics/holds?limit=1', '/accounts/second/holds?limit=1'],
    ] as const) {
      const cursor = await cursorOf(from);
      expect(cursor, from).toEqual(expect.any(String));
      const answer = await api.get(`${to}&cursor=${cursor}`);
      expect(answer, to).toMatchObject({
        status: 400,
        body: { error: { code: 'validation_failed', details: { fields: [{ path: 'cursor' }] } } },
      });
    }
  });
});

describe('when the store is not there', () => {
  it('a missing table is 503, and the answer names the mend', async () => {
    const server = await startComposed();
    onTestFinished(server.stop);
    await server.dropTable();
    for (const answer of [await server.api.get('/accounts'), await server.api.post('/budget/check', { ...job, hold_id: randomUUID() })]) {
      expect(answer).toMatchObject({ status: 503, body: { error: { code: 'service_unavailable' } } });
      expect(answer.body.error.message).toMatch(/asbb database migrate/);
    }
    expect((await server.api.get('/health')).status).toBe(200);
  });

  // DynamoDB Local answers some ten milliseconds before its commit is on disk, so kill -9 of java itself may take the last one back.
  it.each([
    { signal: 'SIGTERM', mostLost: 0, lost: 'nothing' },
    { signal: 'SIGKILL', mostLost: 1, lost: 'at most one hold' },
  ] as const)(
    'a DynamoDB that ends by $signal in mid-request is 503, and after a restart on its folder $lost is lost',
    {
      timeout: 120_000,
    },
    async ({ signal, mostLost }) => {
      const home = temporaryFolder();
      onTestFinished(home.remove);
      const first = await startApi(home.path);
      onTestFinished(first.stop);
      await first.api.put('/partitions/ten', TEN_DOLLARS);
      await first.api.post('/accounts', { account: 'physics', budget_limit: 10_000 });
      const [java] = pidsWith(join(home.path, 'data')).filter((pid) => pid !== process.pid && isJava(pid));
      if (java === undefined) throw new Error('DynamoDB Local names its folder');

      const asked = Array.from({ length: 100 }, () => ({ ...job, hold_id: randomUUID() }));
      const held: string[] = [];
      const answers = await Promise.all(
        asked.map(async (check) => {
          const answer = await first.api.post<VerdictBody & RefusalBody>('/budget/check', { ...check, deadline_ms: 10_000 });
          if (answer.status === 200) held.push(check.hold_id);
          if (held.length === 30 && answer.status === 200) process.kill(java, signal);
          return answer;
        }),
      );
      const unanswered = answers.filter(({ status }) => status !== 200);
      expect(unanswered.length).toBeGreaterThan(0);
      for (const { status, body } of unanswered)
        expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'service_unavailable' });
      expect(await first.server.failed).toMatch(/^java ended/);
      await first.stop();

      const second = await startApi(home.path);
      onTestFinished(second.stop);
      const found = await Promise.all(held.map((holdId) => second.api.get<HoldBody>(`/holds/${holdId}`)));
      expect(found.filter(({ body }) => body.state === 'open' && body.amount === 12).length).toBeGreaterThanOrEqual(held.length - mostLost);
      const again = await Promise.all(asked.map((check) => second.api.post<VerdictBody>('/budget/check', check)));
      expect(again.every(({ body }) => body.available)).toBe(true);
      const { body } = await second.api.get<AccountBody>('/accounts/physics');
      expect(body).toMatchObject({ budget_held: 1200, budget_available: 8800 });
      expect((await second.api.post<AuditBody>('/audit', {})).body).toEqual({ accounts: 1, entries: 101, differences: [] });
    },
  );

  it('a port that is taken is said so, and nothing is left running', async () => {
    const other = temporaryFolder();
    onTestFinished(other.remove);
    const port = Number(new URL(api.url).port);
    await expect(startApi(other.path, { port })).rejects.toThrow(new RegExp(`port ${port} is taken`));
    const left = () => pidsWith(join(other.path, 'data')).filter(runs);
    expect(await within(5000, () => left().length === 0)).toBe(true);
    expect(existsSync(join(other.path, 'data', 'asbb.lock'))).toBe(false);
  });
});

/** And not the shell that watches over it, which names the folder too. */
const isJava = (pid: number): boolean => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('java');
