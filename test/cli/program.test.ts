import { execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram, runAsbb } from '#cli/commands/program';
import { announceServer } from '#cli/local/running';
import { aHoldAnswer, anAccountAnswer, aPartitionAnswer, aRefusalAnswer, aVerdictAnswer, HOLD_ID } from '#test/cli/answers';
import { aMachine, fakeApi, NOON } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const words = (line: string): string[] => line.split(' ').filter((word) => word !== '');
const ACCOUNTS = { 'GET /accounts': { body: { accounts: [anAccountAnswer()] } } };

const run = async (line: string, given: Parameters<typeof aMachine>[0] & { answers?: Parameters<typeof fakeApi>[0] } = {}) => {
  const { answers, ...machineGiven } = given;
  const { fetch, asked } = fakeApi(answers ?? {});
  const machine = aMachine({ ...(answers === undefined ? {} : { fetch }), ...machineGiven });
  const code = await runAsbb(words(line), machine);
  return { code, out: machine.out(), err: machine.err(), asked };
};

const pathsBelow = (command: Command, path: string[] = []): string[][] => [
  path,
  ...command.commands.flatMap((below) => pathsBelow(below, [...path, below.name()])),
];
const PATHS = pathsBelow(buildProgram({ run: async () => undefined })).map((path) => path.join(' '));

describe('help', () => {
  it('is there for the whole contract', () => {
    expect(PATHS).toEqual(
      expect.arrayContaining([
        ...[
          'account list',
          'account create',
          'account show',
          'account update',
          'account delete',
          'account deposit',
          'account withdraw',
          'account import',
          'shadow report',
          'partition import',
        ],
        ...[
          'quote',
          'hold list',
          'hold show',
          'hold release',
          'transactions list',
          'usage summary',
          'usage accuracy',
          'shadow report',
          'reconcile',
          'audit',
          'recover',
        ],
        ...[
          'partition list',
          'partition show',
          'partition set',
          'partition delete',
          'cluster list',
          'cluster set',
          'config init',
          'config validate',
          'config show',
          'status',
          'doctor',
        ],
        ...['database migrate', 'database status', 'version', 'local', 'completion'],
      ]),
    );
  });

  it.each(PATHS)("of 'asbb %s' has examples, and exits 0", async (path) => {
    const { code, out, err } = await run(`${path} --help`);
    expect(code).toBe(0);
    expect(out).toMatch(/\nExamples:\n {2}\$ .*asbb/);
    expect(out).toContain('--endpoint <url>');
    expect(err).toBe('');
  });

  it('goes to stderr, with exit code 2, where a command is missing', async () => {
    for (const line of ['', 'account', 'hold']) {
      const { code, out, err } = await run(line);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toContain('Usage: asbb');
    }
  });
});

describe('exit codes', () => {
  it.each<[string, number, string, Parameters<typeof run>[1]]>([
    ['account list', 0, '', { answers: ACCOUNTS }],
    ['recover --repair', 0, '', { answers: { 'POST /audit': { body: { accounts: 0, entries: 0, differences: [] } } } }],
    ['version', 0, '', {}],
    ['--version', 0, '', {}],
    [
      'account show x',
      1,
      'asbb: there is none\n',
      { answers: { 'GET /accounts/x': { status: 404, body: { error: { code: 'account_not_found', message: 'there is none' } } } } },
    ],
    [
      'account list',
      1,
      'asbb: busy there\n',
      { answers: { 'GET /accounts': { status: 503, body: { error: { code: 'account_contended', message: 'busy\nthere' } } } } },
    ],
    ['acount list', 2, "asbb: unknown command 'acount' (Did you mean account?); see 'asbb --help'\n", {}],
    ['account lst', 2, "asbb: unknown command 'lst' (Did you mean list?); see 'asbb account --help'\n", {}],
    ['account list --foo', 2, "asbb: unknown option '--foo'; see 'asbb account list --help'\n", {}],
    [
      'account list -o xml',
      2,
      "asbb: option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are table, json, csv; see 'asbb account list --help'\n",
      {},
    ],
    ['account list extra', 2, "asbb: too many arguments for 'list'. Expected 0 arguments but got 1; see 'asbb account list --help'\n", {}],
    ['hold show', 2, "asbb: missing required argument 'id'; see 'asbb hold show --help'\n", {}],
    ['account create', 2, 'asbb: which account? Name it with --account\n', {}],
    ['account list --endpoint h', 2, "asbb: the endpoint 'h' is no URL: write it like https://host or http://127.0.0.1:8080\n", {}],
    ['account list --endpoint https://h', 2, 'asbb: which region is https://h in? Say it with --region, AWS_REGION or api.region\n', {}],
    ['quote job.sh', 2, 'asbb: cannot read job.sh (ENOENT)\n', {}],
    [
      'quote -A a -p aws --quiet',
      3,
      `asbb: ${aRefusalAnswer().message}\n`,
      { answers: { 'POST /budget/quote': { body: aRefusalAnswer() } } },
    ],
    [
      'account list',
      4,
      'asbb: not authorised at http://127.0.0.1:8080: Forbidden; check your AWS credentials (--profile, AWS_*), their region and their policy\n',
      { answers: { 'GET /accounts': { status: 403, body: { message: 'Forbidden' } } } },
    ],
    [
      'account list',
      5,
      'asbb: no answer from the API behind http://127.0.0.1:8080: status 502; try again\n',
      { answers: { 'GET /accounts': { status: 502, text: '' } } },
    ],
  ])("'asbb %s' exits %i", async (line, code, err, given) => {
    expect(await run(line, given)).toMatchObject({ code, err });
  });

  it('is 1 for a bug, in one line', async () => {
    const { code, err } = await run('account list', { fetch: (async () => Promise.reject(new Error('a\nbug'))) as typeof fetch });
    expect({ code, err }).toEqual({ code: 1, err: 'asbb: a bug\n' });
  });
});

describe('global options', () => {
  it.each([
    '--json account list',
    'account --json list',
    'account list --json',
    '-o json account list',
    'account list -ojson',
    'account list --output=json',
  ])('may stand anywhere: %s', async (line) => {
    expect(JSON.parse((await run(line, { answers: ACCOUNTS })).out)).toHaveProperty('accounts');
  });

  it('count most where they stand last', async () => {
    const { out } = await run('-o csv account list -o table', { answers: ACCOUNTS });
    expect(out).toMatch(/^ACCOUNT /);
  });

  it('leave --output of config init alone', async () => {
    const file = join(aFolder('asbb-init-'), 'c.yaml');
    expect(await run(`config init --output ${file}`)).toMatchObject({ code: 0, out: '' });
    expect(readFileSync(file, 'utf8')).toContain('default_hold_percentage: 1.2');
  });

  it('leave --region of partition set alone', async () => {
    const { asked, code } = await run('partition set aws --region us-west-2 --types c5.large', {
      answers: { 'PUT /partitions/aws': { body: aPartitionAnswer() } },
    });
    expect(code).toBe(0);
    expect(asked[0]?.body).toEqual({ region: 'us-west-2', instance_types: ['c5.large'] });
  });

  it('let a model be given by file, whatever else is on the line', async () => {
    const file = join(aFolder('asbb-set-'), 'm.json');
    writeFileSync(file, '{"region":"us-west-2","instance_types":[]}');
    const answers = { 'PUT /partitions/aws': { body: aPartitionAnswer() } };
    expect(await run(`partition set aws --file ${file} --json --quiet --no-color`, { answers })).toMatchObject({ code: 0 });
  });

  it('quiet silences words, not errors', async () => {
    const answers = { 'POST /accounts/a/deposits': { body: anAccountAnswer() } };
    expect((await run('account deposit a --amount 1 --quiet', { answers })).err).toBe('');
    expect((await run('account deposit a --quiet', { answers })).err).toContain('how much?');
  });

  it('short options of sbatch reach quote', async () => {
    const { asked } = await run('quote -A a -p aws,local -N2-4 -n 8 -c 2 -t 90 -G 4 --mem 16G -C skylake -a 1-9%3', {
      answers: { 'POST /budget/quote': { body: aVerdictAnswer() } },
    });
    expect(asked[0]?.body).toEqual({
      ...{ account: 'a', partition: 'aws,local', min_nodes: 2, nodes: 4, ntasks: 8, cpus_per_task: 2, wall_time: '90' },
      ...{ gpus: 4, memory: '16G', constraint: 'skylake', array: '1-9%3' },
    });
  });

  it('--no-final says that another run follows', async () => {
    const answers = { 'POST /budget/reconcile': { body: { success: true } } };
    const line = `reconcile --hold-id ${HOLD_ID} --actual-cost 1 --json`;
    expect((await run(`${line} --no-final`, { answers })).asked[0]?.body).toMatchObject({ final: false });
    expect((await run(line, { answers })).asked[0]?.body).not.toHaveProperty('final');
  });
});

describe('colours', () => {
  const ESCAPE = '\u001b[';
  it.each<[string, boolean, Parameters<typeof aMachine>[0]]>([
    ['account list', true, { columns: 200 }],
    ['account list --no-color', false, { columns: 200 }],
    ['account list', false, { columns: 200, env: { ASBB_ENDPOINT: 'http://127.0.0.1:8080', NO_COLOR: '1' } }],
    ['account list', true, { columns: 200, env: { ASBB_ENDPOINT: 'http://127.0.0.1:8080', NO_COLOR: '' } }],
    ['account list', false, { columns: 200, env: { ASBB_ENDPOINT: 'http://127.0.0.1:8080', TERM: 'dumb' } }],
    ['account list', false, {}],
    ['account list -o json', false, { columns: 200 }],
  ])('%s: %s', async (line, expected, given) => {
    expect((await run(line, { answers: ACCOUNTS, ...given })).out.includes(ESCAPE)).toBe(expected);
  });
});

describe('narrow terminals', () => {
  const answers = { 'GET /accounts/a/holds': { body: { holds: [aHoldAnswer({ job_id: '123456', user: 'a-rather-long-user-name' })] } } };

  it('keep ids whole', async () => {
    for (const columns of [80, 60, 20]) {
      const { out } = await run('hold list -A a --no-color', { answers, columns });
      expect(out).toContain(HOLD_ID);
      expect(out.split('\n')).toHaveLength(3);
    }
  });

  it('cut names with an ellipsis', async () => {
    const accounts = { 'GET /accounts': { body: { accounts: [anAccountAnswer({ name: 'N'.repeat(200) })] } } };
    const { out } = await run('account list --no-color', { answers: accounts, columns: 100 });
    const [head = '', row = ''] = out.split('\n');
    expect(row).toMatch(/^proj001 {2}N+… {2}/);
    expect(row.length).toBeLessThanOrEqual(100);
    expect(head).toContain('END');
  });
});

describe('the endpoint', () => {
  const tried = async (line: string, given: Parameters<typeof aMachine>[0] = {}) => {
    const urls: string[] = [];
    const headers: Headers[] = [];
    const fetch = (async (url: URL, init: RequestInit) => {
      urls.push(url.origin);
      headers.push(new Headers(init.headers));
      return new Response('{"accounts":[]}');
    }) as unknown as typeof globalThis.fetch;
    const result = await run(line, { fetch, ...given });
    return { ...result, url: urls[0], scope: /Credential=(\S+?),/.exec(headers[0]?.get('authorization') ?? '')?.[1] };
  };
  const configFile = (): string => {
    const file = join(aFolder('asbb-endpoint-'), 'c.yaml');
    writeFileSync(file, 'api: {endpoint: http://127.0.0.1:1111, region: eu-west-1}');
    return file;
  };

  it('comes from the line, then the environment, then the configuration', async () => {
    const config = configFile();
    const env = { ASBB_ENDPOINT: 'http://127.0.0.1:2222' };
    expect((await tried('account list --endpoint http://127.0.0.1:3333', { env, configFiles: [config] })).url).toBe(
      'http://127.0.0.1:3333',
    );
    expect((await tried('account list --endpoint-url http://127.0.0.1:3333', { env })).url).toBe('http://127.0.0.1:3333');
    expect((await tried('account list', { env, configFiles: [config] })).url).toBe('http://127.0.0.1:2222');
    expect((await tried('account list', { env: {}, configFiles: [config] })).url).toBe('http://127.0.0.1:1111');
    expect((await tried('account list', { env: { ASBB_CONFIG: config } })).url).toBe('http://127.0.0.1:1111');
    expect((await tried(`account list --config ${config}`, { env: { ASBB_CONFIG: '/nonexistent' } })).url).toBe('http://127.0.0.1:1111');
  });

  it("is this user's own running asbb local where nobody named one", async () => {
    const home = aFolder('asbb-home-');
    announceServer({ home }, { port: 4444, pid: process.pid, auth: false, startedAt: new Date(NOON) });
    const { url, err } = await tried('account list -o json', { env: {}, home });
    expect(url).toBe('http://127.0.0.1:4444');
    expect(err).toBe(`asbb: using http://127.0.0.1:4444 (asbb local, pid ${process.pid})\n`);
  });

  it('is asked for, with exit code 2, where there is none', async () => {
    expect(await run('account list', { env: {} })).toMatchObject({
      code: 2,
      err: "asbb: no endpoint: start 'asbb local', or name the API with --endpoint or as api.endpoint in the configuration\n",
    });
  });

  it('refuses a wrong configuration with exit code 2', async () => {
    const { code, err } = await run('account list --config /nonexistent.yaml');
    expect({ code, err }).toEqual({
      code: 2,
      err: "asbb: there is no configuration file /nonexistent.yaml: write one with 'asbb config init --output /nonexistent.yaml'\n",
    });
  });

  it.each<[string, Record<string, string>, string | undefined]>([
    ['--endpoint http://127.0.0.1:1', {}, undefined],
    ['--endpoint http://localhost:1', { AWS_PROFILE: 'x' }, undefined],
    ['--endpoint http://127.0.0.1:1', { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE' }, 'us-east-1'],
    ['--endpoint http://127.0.0.1:1 --profile x', {}, 'us-east-1'],
    ['--endpoint http://127.0.0.1:1', { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_REGION: 'eu-north-1' }, 'eu-north-1'],
    ['--endpoint https://b.example --region us-west-1', { AWS_REGION: 'eu-north-1' }, 'us-west-1'],
    ['--endpoint https://b.example', { AWS_DEFAULT_REGION: 'eu-north-1' }, 'eu-north-1'],
    ['--endpoint https://x.execute-api.ap-south-1.amazonaws.com', { AWS_REGION: 'eu-north-1' }, 'ap-south-1'],
  ])('%s with %j is signed for %s', async (line, env, region) => {
    const { scope } = await tried(`account list ${line}`, { env });
    expect(scope).toBe(region === undefined ? undefined : `AKIDEXAMPLE/20261123/${region}/execute-api/aws4_request`);
  });

  it('is signed for the region of the configuration where nothing else says one', async () => {
    const { scope } = await tried('account list', { env: { AWS_ACCESS_KEY_ID: 'x' }, configFiles: [configFile()] });
    expect(scope).toContain('/eu-west-1/');
  });
});

describe('the process', () => {
  const TSX = join(process.cwd(), 'node_modules', '.bin', 'tsx');
  const ASBB = join(process.cwd(), 'cli', 'asbb.ts');

  it('loads neither the SDK nor zod, yaml or tables for its help', async () => {
    // V8 names every script that it saw in its coverage, CommonJS or not.
    const folder = aFolder('asbb-loaded-');
    await promisify(execFile)(TSX, [ASBB, '--help'], { env: { ...process.env, NODE_V8_COVERAGE: folder } });
    const loaded = readdirSync(folder).flatMap((file) =>
      (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { result: { url: string }[] }).result.map(({ url }) => url),
    );
    expect(loaded.some((url) => url.endsWith('/cli/commands/program.ts'))).toBe(true);
    expect(loaded.some((url) => url.includes('/node_modules/commander/'))).toBe(true);
    expect(loaded.filter((url) => /node_modules\/(@aws-sdk|@smithy|zod|yaml|cli-table3|csv-stringify)\//.test(url))).toEqual([]);
  });

  it('ends quietly when its reader has seen enough', async () => {
    const child = spawn('bash', ['-c', `set -o pipefail; "${TSX}" "${ASBB}" --help | head -c 1; echo " $?"`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, err] = await Promise.all(
      [child.stdout, child.stderr].map(async (stream) => Buffer.concat(await stream.toArray()).toString()),
    );
    expect({ out, err }).toEqual({ out: 'U 0\n', err: '' });
  });

  it('exits with the code of its command', async () => {
    const home = aFolder('asbb-home-');
    const failed = promisify(execFile)(TSX, [ASBB, 'account', 'list'], { env: { PATH: process.env.PATH, HOME: home } });
    await expect(failed).rejects.toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('asbb: no endpoint') });
  });
});
