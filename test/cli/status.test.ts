import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { healthFileToRead } from '#cli/agent/state-file';
import { runStatus } from '#cli/commands/run-status';
import { aHoldAnswer, anAccountAnswer } from '#test/cli/answers';
import { aContext, NOON } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

type Answers = NonNullable<Parameters<typeof aContext>[0]>;

const ago = (ms: number): string => new Date(NOON - ms).toISOString();
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const aCluster = (last_heartbeat: string) => ({ body: { clusters: [{ cluster: 'hpc1', agent_version: '0.1.0', last_heartbeat }] } });
const REFUSED = { status: 403, body: { message: 'Forbidden' } };

const WELL: Answers = {
  'GET /health': { body: { status: 'ok', version: '0.1.0', time: ago(0) } },
  'GET /clusters': aCluster(ago(40_000)),
  'GET /accounts': { body: { accounts: [anAccountAnswer()] } },
  'GET /holds': { body: { holds: [aHoldAnswer({ created_at: ago(MINUTE) })] } },
};

const statusOf = async (answers: Answers, { state }: { state?: string } = {}) => {
  const { context, machine, asked } = aContext({ ...WELL, ...answers }, { output: 'json' });
  const code = await runStatus(context, state === undefined ? {} : { state });
  const { ok, checks } = JSON.parse(machine.out()) as { ok: boolean; checks: Record<string, string | null>[] };
  return { code, ok, checks, bad: checks.filter(({ state }) => state !== 'ok'), asked };
};

const aHealthFile = (given: object): string => {
  const state = join(aFolder('asbb-status-'), 'agent.json');
  const health = {
    ok: true,
    at: ago(10_000),
    version: '0.1.0',
    passes: 3,
    failures_in_a_row: 0,
    problem: null,
    last_pass: { problems: [] },
  };
  writeFileSync(`${state}.health`, JSON.stringify({ ...health, ...given }));
  return state;
};

describe('status', () => {
  it('says line by line that all is well', async () => {
    const { context, machine } = aContext(WELL);
    expect(await runStatus(context, { state: aHealthFile({}) })).toBe(0);
    expect(machine.out().split('\n')).toEqual([
      'ok    api           http://127.0.0.1:8080 answers ok in 0 ms, version 0.1.0',
      'ok    cluster hpc1  its agent (0.1.0) was heard 40 s ago',
      'ok    accounts      1, 0 overdrawn, 0 above 90 %',
      'ok    holds hpc1    none has been without a job for 2 min',
      'ok    agent         version 0.1.0, its last pass was 10 s ago',
      '',
    ]);
  });

  it('is rows for programs', async () => {
    const { context, machine } = aContext(
      { ...WELL, 'GET /accounts': { body: { accounts: [anAccountAnswer({ budget_available: -1.5 })] } } },
      { output: 'csv' },
    );
    expect(await runStatus(context, {})).toBe(1);
    expect(machine.out().split('\r\n')).toContain(
      'account,proj001,fail,"overdrawn: -$1.50 available, so it admits no job",asbb account deposit proj001 --amount=DOLLARS',
    );
  });

  it.each<[string, Answers, number, object[]]>([
    [
      'a stale heartbeat',
      { 'GET /clusters': aCluster(ago(6 * MINUTE)) },
      1,
      [{ check: 'cluster', subject: 'hpc1', state: 'fail', says: 'stale: its agent (0.1.0) was heard 6 min ago' }],
    ],
    [
      'a cluster that is long gone',
      { 'GET /clusters': aCluster(ago(8 * DAY)) },
      0,
      [{ check: 'cluster', state: 'warn', says: 'stale: its agent (0.1.0) was heard 8 d ago' }],
    ],
    ['a heartbeat at the edge', { 'GET /clusters': aCluster(ago(5 * MINUTE)) }, 0, []],
    [
      'no cluster',
      { 'GET /clusters': { body: { clusters: [] } } },
      0,
      [{ check: 'clusters', state: 'warn', says: 'no agent was ever heard' }],
    ],
    [
      'an account that runs out',
      { 'GET /accounts': { body: { accounts: [anAccountAnswer({ budget_limit: 1000, budget_available: 89.999999 })] } } },
      0,
      [{ check: 'account', subject: 'proj001', state: 'warn', says: '91 % of $1,000.00 is used or held' }],
    ],
    [
      'an account at the edge',
      { 'GET /accounts': { body: { accounts: [anAccountAnswer({ budget_limit: 1000, budget_available: 100 })] } } },
      0,
      [],
    ],
    [
      'holds without a job',
      { 'GET /holds': { body: { holds: [aHoldAnswer(), aHoldAnswer({ created_at: ago(MINUTE) })] } } },
      1,
      [{ check: 'holds', subject: 'hpc1', state: 'fail', says: '1 without a job for more than 2 min' }],
    ],
    ['an account list that is not for these credentials', { 'GET /accounts': REFUSED }, 0, [{ check: 'accounts', state: 'warn' }]],
    [
      'a route that fails',
      { 'GET /holds': { status: 500, body: { error: { code: 'internal', message: 'a bug' } } } },
      1,
      [{ check: 'holds', state: 'fail', says: 'a bug' }],
    ],
  ])('finds %s', async (_, answers, exitCode, expected) => {
    const { code, ok, bad } = await statusOf(answers);
    expect(bad).toMatchObject(expected);
    expect(bad).toHaveLength(expected.length);
    for (const { mend } of bad) expect(mend).toMatch(/\w/);
    expect({ code, ok }).toEqual({ code: exitCode, ok: exitCode === 0 });
  });

  it('asks no more of an API that does not answer', async () => {
    const { code, bad, asked } = await statusOf({ 'GET /health': { status: 503, text: 'no' } });
    expect(bad).toMatchObject([{ check: 'api', state: 'fail', mend: "find out why with 'asbb doctor'" }]);
    expect({ code, asked: asked.length }).toEqual({ code: 1, asked: 1 });
  });

  it('reads no more than 2000 unbound holds, and says that there are more', async () => {
    const page = { body: { holds: Array.from({ length: 500 }, () => aHoldAnswer()), cursor: 'x' } };
    let pages = 0;
    const { bad } = await statusOf({ 'GET /holds': () => ({ body: { ...page.body, cursor: `c${++pages}` } }) });
    expect(pages).toBe(4);
    expect(bad).toMatchObject([{ says: '2000 or more without a job for more than 2 min' }]);
  });

  it.each<[string, object, string]>([
    ['silent', { at: ago(6 * MINUTE) }, 'ago'],
    [
      'failing',
      { ok: false, problem: 'squeue ended with status 1', failures_in_a_row: 4 },
      '4 passes failed in a row: squeue ended with status 1',
    ],
    ['troubled', { ok: false, last_pass: { problems: ['a', 'b'] } }, 'its last pass, 10 s ago, had a problem: a (and 1 more)'],
    ['not one', { at: 'x' }, 'is no health file'],
  ])('tells of an agent that is %s', async (_, health, says) => {
    const { code, bad } = await statusOf({}, { state: aHealthFile(health) });
    expect(code).toBe(1);
    expect(bad).toMatchObject([{ check: 'agent', state: 'fail', says: expect.stringContaining(says) }]);
  });

  it.each<[string, string, number | 'no endpoint']>([
    ['finds the API in asbb.conf', 'Endpoint=http://127.0.0.1:7777\nPartition=aws\n', 0],
    ['leaves a wrong asbb.conf to doctor', 'Nonsense=1\n', 'no endpoint'],
  ])('%s, where nothing else names one', async (_, conf, expected) => {
    const path = join(aFolder('asbb-status-'), 'asbb.conf');
    writeFileSync(path, conf);
    const { context, machine } = aContext(WELL, {}, { env: { ASBB_CONF: path } });
    if (expected === 'no endpoint') return expect(runStatus(context, {})).rejects.toThrow(expected);
    expect(await runStatus(context, {})).toBe(expected);
    expect(machine.out()).toContain('http://127.0.0.1:7777 answers ok');
  });

  it("looks into the service's folder where this user has no agent", async () => {
    const systemFolder = aFolder('asbb-status-');
    const { context } = aContext({}, {}, { env: { STATE_DIRECTORY: '/nonexistent' } });
    const config = await context.config();
    const path = (asked?: string) => healthFileToRead(context, config, { asked, systemFolder });
    expect(path()).toBe('/nonexistent/agent.json.health');
    writeFileSync(join(systemFolder, 'agent.json.health'), '{}');
    expect(path()).toBe(join(systemFolder, 'agent.json.health'));
    expect(path('/other/a.json')).toBe('/other/a.json.health');
  });

  it('misses an agent only where its file was named', async () => {
    expect(await statusOf({})).toMatchObject({ code: 0 });
    const named = await statusOf({}, { state: '/nonexistent/agent.json' });
    expect(named).toMatchObject({ code: 1, bad: [{ check: 'agent', says: 'there is no /nonexistent/agent.json.health' }] });
  });
});
