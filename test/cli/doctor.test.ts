import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runDoctor } from '#cli/commands/run-doctor';
import { createContext } from '#cli/context';
import { aFakeSlurm, configOf } from '#test/agent/fake-slurm';
import { anAccountAnswer, aPartitionAnswer } from '#test/cli/answers';
import { aContext, aMachine, fakeApi, NOON } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

type Answers = Parameters<typeof fakeApi>[0];

const ago = (ms: number): string => new Date(NOON - ms).toISOString();
const MINUTE = 60_000;
const API = 'https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com';
const FORBIDDEN = { status: 403, body: { message: 'Forbidden' } };
const ARN = 'arn:aws:sts::123456789012:assumed-role/head-node/i-0abc';

const WELL: Answers = {
  'GET /health': { body: { status: 'ok', version: '0.1.0', time: ago(0) } },
  'POST /budget/quote': { status: 404, body: { error: { code: 'account_not_found', message: 'there is none' } } },
  'GET /holds': { body: { holds: [] } },
  'GET /accounts': { body: { accounts: [anAccountAnswer()] } },
  'GET /partitions': { body: { partitions: [aPartitionAnswer({ partition: 'aws' })] } },
  'PUT /latest/api/token': { text: 'a-token' },
};

interface Given {
  readonly answers?: Answers;
  /** The configuration. Without a scontrol in its bin_path, a machine is no head node. */
  readonly yaml?: string;
  readonly sts?: Response;
  readonly credentials?: () => Promise<never>;
  readonly env?: Record<string, string>;
  readonly state?: string;
}

const folder = (): string => aFolder('asbb-doctor-');

const doctor = async ({ answers = {}, yaml, sts, credentials, env = {}, state }: Given) => {
  const api = fakeApi({ ...WELL, ...answers });
  const config = join(folder(), 'config.yaml');
  if (yaml !== undefined) writeFileSync(config, yaml);
  const machine = aMachine({
    env,
    configFiles: [config],
    fetch: (async (url, init) => {
      if (!String(url).startsWith('https://sts.')) return api.fetch(url, init);
      return (
        sts ??
        new Response(
          `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>${ARN}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`,
        )
      );
    }) as typeof fetch,
    ...(credentials === undefined ? {} : { credentials: async () => credentials }),
  });
  const code = await runDoctor(createContext(machine, { output: 'json' }), state === undefined ? {} : { state });
  const { checks } = JSON.parse(machine.out()) as { checks: Record<string, string | null>[] };
  const bad = checks.filter((check) => check.state !== 'ok');
  return { code, checks, bad, asked: api.asked, of: (name: string) => checks.filter(({ check }) => check === name) };
};

const ELSEWHERE = `api: {endpoint: ${API}}\nslurm: {bin_path: /nonexistent}\n`;

describe('doctor', () => {
  /** A machine with Slurm on it may run these tests. */
  const noSlurm = (): { configFiles: string[] } => {
    const file = join(folder(), 'config.yaml');
    writeFileSync(file, 'slurm: {bin_path: /nonexistent}\n');
    return { configFiles: [file] };
  };

  it('says what it looked at, line by line', async () => {
    const off = { body: { status: 'ok', version: '0.1.0', time: ago(40_000) } };
    const { context, machine } = aContext({ ...WELL, 'GET /health': off }, {}, noSlurm());
    expect(await runDoctor(context, {})).toBe(0);
    expect(machine.out().split('\n').slice(1)).toEqual([
      'ok    endpoint           http://127.0.0.1:8080 answers in 0 ms, version 0.1.0',
      'warn  clock              40 s ahead of the API',
      '      -> set the clock: systemctl enable --now chronyd, and see chronyc tracking',
      'ok    credentials        none are needed: requests to this machine are not signed',
      'ok    permission plugin  may quote',
      'ok    permission agent   may list holds',
      'ok    permission admin   may list accounts',
      '',
    ]);
  });

  it('finds nothing wrong away from a head node, and says whose the credentials are', async () => {
    const { code, bad, of } = await doctor({ yaml: ELSEWHERE });
    expect({ code, bad }).toEqual({ code: 0, bad: [] });
    expect(of('credentials')).toMatchObject([{ says: `access key AKID...MPLE, ${ARN}` }]);
    expect(of('permission').map(({ subject, says }) => `${subject}: ${says}`)).toEqual([
      'plugin: may quote',
      'agent: may list holds',
      'admin: may list accounts',
    ]);
  });

  it('asks for nothing that could be granted by accident', async () => {
    const { asked } = await doctor({ yaml: ELSEWHERE });
    expect(asked.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      'GET /accounts',
      'GET /health',
      'GET /holds',
      'POST /budget/quote',
    ]);
    expect(asked.find(({ path }) => path === '/budget/quote')?.body).toMatchObject({ account: 'asbb-doctor-asks' });
  });

  it('is rows for programs', async () => {
    const { context, machine } = aContext(WELL, { output: 'csv' }, noSlurm());
    await runDoctor(context, {});
    expect(machine.out().split('\r\n').slice(0, 1)).toEqual(['check,subject,state,says,mend']);
  });

  it.each<[string, Given, number, object[]]>([
    [
      'a wrong key in the configuration',
      { yaml: 'api: {endpont: x}\n' },
      1,
      [{ check: 'configuration', state: 'fail', says: expect.stringContaining("unknown key 'api.endpont'") }],
    ],
    [
      'no endpoint',
      { yaml: 'slurm: {bin_path: /nonexistent}\n' },
      1,
      [{ check: 'endpoint', state: 'fail', says: expect.stringContaining('no endpoint') }],
    ],
    [
      'an API that is down',
      { yaml: ELSEWHERE, answers: { 'GET /health': { status: 503, text: '' } } },
      1,
      [{ check: 'endpoint', state: 'fail' }],
    ],
    [
      'a clock that is too far off',
      { yaml: ELSEWHERE, answers: { 'GET /health': { body: { status: 'ok', version: '1', time: ago(5 * MINUTE) } } } },
      1,
      [{ check: 'clock', state: 'fail', says: '5 min ahead of the API: AWS refuses what is signed so' }],
    ],
    [
      'a clock that is off',
      { yaml: ELSEWHERE, answers: { 'GET /health': { body: { status: 'ok', version: '1', time: ago(-31_000) } } } },
      0,
      [{ check: 'clock', state: 'warn', says: '31 s behind the API' }],
    ],
    [
      'no credentials',
      { yaml: ELSEWHERE, credentials: () => Promise.reject(new Error('no providers')) },
      1,
      [{ check: 'credentials', state: 'fail', says: 'none were found (no providers)' }],
    ],
    [
      'credentials that STS does not know',
      { yaml: ELSEWHERE, sts: new Response('<Error><Message>no such key</Message></Error>', { status: 403 }) },
      0,
      [{ check: 'credentials', state: 'warn', says: expect.stringContaining('(no such key)') }],
    ],
    [
      'what may not be asked',
      { yaml: ELSEWHERE, answers: { 'GET /accounts': FORBIDDEN } },
      0,
      [{ check: 'permission', subject: 'admin', state: 'warn', says: 'may not list accounts' }],
    ],
    [
      'a service that fails',
      { yaml: ELSEWHERE, answers: { 'GET /holds': { status: 500, body: { error: { code: 'internal', message: 'a bug' } } } } },
      1,
      [{ check: 'permission', subject: 'agent', state: 'fail', says: 'a bug' }],
    ],
  ])('finds %s', async (_, given, exitCode, expected) => {
    const { code, bad } = await doctor(given);
    expect(bad).toMatchObject(expected);
    expect(bad).toHaveLength(expected.length);
    for (const { mend } of bad) expect(mend).toMatch(/\w/);
    expect(code).toBe(exitCode);
  });
});

describe('doctor on a head node', () => {
  const HEALTH = { ok: true, at: ago(10_000), version: '0.1.0', failures_in_a_row: 0, problem: null, last_pass: { problems: [] } };

  interface Changes {
    readonly slurm?: Record<string, string>;
    readonly conf?: string;
    readonly plugin?: boolean;
    readonly health?: object | null;
    readonly spool?: string;
    readonly yaml?: string;
    readonly answers?: Answers;
    readonly env?: Record<string, string>;
  }

  const headNode = async ({ slurm = {}, conf = '', plugin = true, health = {}, spool, yaml = '', answers, env = {} }: Changes) => {
    const home = folder();
    const fake = aFakeSlurm(home);
    const etc = join(home, 'etc');
    mkdirSync(etc);
    const own = process.getuid?.() ?? 0;
    fake.prints(
      'scontrol',
      configOf({
        AccountingStorageEnforce: 'associations',
        JobSubmitPlugins: 'lua,budget',
        PluginDir: `/nonexistent:${etc}`,
        SLURM_CONF: join(etc, 'slurm.conf'),
        SlurmUser: `slurm(${own})`,
        ...slurm,
      }),
    );
    if (plugin) writeFileSync(join(etc, 'job_submit_budget.so'), '');
    if (spool !== undefined) writeFileSync(join(etc, 'spool'), spool);
    writeFileSync(join(etc, 'asbb.conf'), `Endpoint=${API}\nPartition=aws\nSpoolFile=${join(etc, 'spool')}\n${conf}`);
    const state = join(etc, 'agent.json');
    if (health !== null) writeFileSync(`${state}.health`, JSON.stringify({ ...HEALTH, ...health }));
    return {
      etc,
      ...(await doctor({ yaml: `slurm: {bin_path: ${fake.binPath}${yaml}}\n`, state, env, ...(answers === undefined ? {} : { answers }) })),
    };
  };

  it('finds nothing wrong where nothing is, and the endpoint in asbb.conf', async () => {
    const { code, bad, of, etc } = await headNode({ answers: { 'GET /accounts': FORBIDDEN } });
    expect({ code, bad }).toEqual({ code: 0, bad: [] });
    expect(of('endpoint')).toMatchObject([{ says: `${API} answers in 0 ms, version 0.1.0` }]);
    expect(of('asbb.conf')).toMatchObject([{ says: `${join(etc, 'asbb.conf')} guards aws` }]);
    expect(of('partitions')).toMatchObject([{ says: 'the API can price aws' }]);
    expect(of('spool')).toMatchObject([{ says: `nothing is in ${join(etc, 'spool')}` }]);
    expect(of('permission').at(-1)).toMatchObject({ says: 'may not list accounts, which a head node does not need' });
  });

  it.each<[string, Changes, number, object]>([
    [
      'a plugin that Slurm does not ask',
      { slurm: { JobSubmitPlugins: 'lua' } },
      1,
      { check: 'plugin', says: 'JobSubmitPlugins is lua: no job is checked' },
    ],
    [
      'no plugins at all',
      { slurm: { JobSubmitPlugins: '(null)' } },
      1,
      { check: 'plugin', says: 'JobSubmitPlugins is empty: no job is checked' },
    ],
    ['a plugin that is not the last', { slurm: { JobSubmitPlugins: 'budget,lua' } }, 0, { check: 'plugin', state: 'warn' }],
    [
      'a plugin that is not installed',
      { plugin: false },
      1,
      { check: 'plugin', says: expect.stringContaining('there is no job_submit_budget.so in /nonexistent:') },
    ],
    [
      'a wrong line',
      { conf: 'Nonsense=1\n', env: { ASBB_ENDPOINT: API } },
      1,
      { check: 'asbb.conf', says: expect.stringContaining(':4: unknown key "Nonsense"') },
    ],
    ['shadow mode', { conf: 'Enforce=no\n' }, 0, { check: 'asbb.conf', state: 'warn' }],
    ['accounts that nobody checks', { slurm: { AccountingStorageEnforce: 'none' } }, 1, { check: 'enforcement', state: 'fail' }],
    [
      'accounts that nobody can check',
      { slurm: { AccountingStorageEnforce: 'none', AccountingStorageType: '(null)' } },
      0,
      { check: 'enforcement', state: 'warn' },
    ],
    [
      'another name of the cluster',
      { yaml: ', cluster: other' },
      1,
      { check: 'cluster', says: "the plugin's cluster is local, and slurm.cluster of the configuration is other" },
    ],
    ['a partition that the API does not know', { conf: 'Partition=gpu\n' }, 1, { check: 'partitions', subject: 'gpu', state: 'fail' }],
    ['partitions that may not be looked at', { answers: { 'GET /partitions': FORBIDDEN } }, 0, { check: 'partitions', state: 'warn' }],
    [
      'a plugin that may not ask',
      { answers: { 'POST /budget/quote': FORBIDDEN } },
      1,
      { check: 'permission', subject: 'plugin', state: 'fail', mend: "attach the stack's PluginPolicyArn" },
    ],
    ['an agent that may not list', { answers: { 'GET /holds': FORBIDDEN } }, 1, { check: 'permission', subject: 'agent', state: 'fail' }],
    ['no agent', { health: null }, 1, { check: 'agent', says: expect.stringContaining('no agent runs here') }],
    ['a dead agent', { health: { at: ago(10 * MINUTE) } }, 1, { check: 'agent', says: expect.stringContaining('10 min ago') }],
    [
      'a spool that nobody drains',
      { spool: `{"time":"${ago(10 * MINUTE)}"}\n{}\n` },
      1,
      { check: 'spool', says: expect.stringContaining('the oldest for 10 min') },
    ],
    ['a spool that cannot be read', { spool: 'nonsense' }, 1, { check: 'spool', says: expect.stringContaining('an unknown time') }],
    [
      'no metadata for imds',
      { conf: 'Credentials=imds\n', answers: { 'PUT /latest/api/token': { status: 403, text: '' } } },
      1,
      { check: 'imds', state: 'fail', says: expect.stringContaining('(status 403)') },
    ],
    ['no metadata for auto', { answers: { 'PUT /latest/api/token': { status: 403, text: '' } } }, 0, { check: 'imds', state: 'warn' }],
    [
      'no file of credentials',
      { conf: 'Credentials=file:/nonexistent/credentials\n' },
      1,
      { check: 'plugin credentials', says: 'there is no /nonexistent/credentials' },
    ],
  ])('finds %s', async (_, changes, exitCode, expected) => {
    const { code, bad } = await headNode(changes);
    expect(bad).toMatchObject([expected]);
    expect(bad[0]?.mend).toMatch(/\w/);
    expect(code).toBe(exitCode);
  });

  it('lets young lines of the spool be', async () => {
    const { bad, of } = await headNode({ spool: `{"time":"${ago(10_000)}"}\n` });
    expect(bad).toEqual([]);
    expect(of('spool')).toMatchObject([{ says: expect.stringContaining('the oldest for 10 s') }]);
  });

  it('hints at credentials that anybody may read', async () => {
    const file = join(folder(), 'credentials');
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    const { bad } = await headNode({ conf: `Credentials=file:${file}\n` });
    expect(bad).toMatchObject([{ check: 'plugin credentials', state: 'warn', says: `anybody on this machine may read ${file}` }]);
    chmodSync(file, 0o600);
    expect((await headNode({ conf: `Credentials=file:${file}\n` })).bad).toEqual([]);
  });

  it('goes on where slurmctld does not answer', async () => {
    const home = folder();
    const fake = aFakeSlurm(home);
    fake.prints('scontrol', '', { status: 1, stderr: 'Unable to contact slurm controller' });
    const conf = join(home, 'asbb.conf');
    writeFileSync(conf, `Endpoint=${API}\nPartition=*\n`);
    const { code, of } = await doctor({ yaml: `slurm: {bin_path: ${fake.binPath}}\nagent: {asbb_conf: ${conf}}\n` });
    expect(code).toBe(1);
    expect(of('slurm')).toMatchObject([{ state: 'fail', says: expect.stringContaining('Unable to contact slurm controller') }]);
    expect(of('asbb.conf')).toMatchObject([{ state: 'ok', says: `${conf} guards *` }]);
  });
});
