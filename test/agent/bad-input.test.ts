// What Slurm, or a file, should not have said: refused with a line that names it, kept aside, nothing lost, and the rest goes on.
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SlurmSilent } from '#cli/agent/ports';
import { createSlurmCommands } from '#cli/agent/slurm-commands';
import { type ApiClient, createApiClient } from '#cli/api-client';
import {
  type AgentMachine,
  accountedLine,
  aFakeSlurm,
  anAgentMachine,
  type Behaviour,
  configOf,
  type FakeSlurm,
  queueLine,
  type SlurmCommand,
} from '#test/agent/fake-slurm';
import { SETTINGS, startApi, TEN_DOLLARS, temporaryFolder } from '#test/http/api';

const ACCOUNT = 'physics';
/** Half an hour at $10. */
const HALF_AN_HOUR = 1800;

interface Site {
  readonly api: ApiClient;
  readonly slurm: FakeSlurm;
  readonly machine: AgentMachine;
  /** Seconds since 1970, an hour ago. */
  readonly begin: number;
  /** Ask like the plugin, for a job that runs an hour at most. */
  hold(): Promise<string>;
  /** One look of a new agent. */
  look(): Promise<{ status: number | null; stderr: string; report: Report }>;
  used(): Promise<number>;
  held(): Promise<number>;
  stateOf(holdId: string): Promise<string>;
  /** What was kept aside. */
  aside(): { at: string; reason: string; entry: unknown }[];
}

interface Report {
  readonly settled: number;
  readonly kept_aside: number;
  readonly problems: readonly string[];
  readonly unknown_accounts: Readonly<Record<string, number>>;
}

/** An account of $1000, a cluster with nothing in it, and an agent. */
const aSite = async (settings: { timeout?: string; env?: Readonly<Record<string, string>> } = {}): Promise<Site> => {
  const folder = temporaryFolder();
  onTestFinished(folder.remove);
  const { server, stop } = await startApi(folder.path, { store: 'memory', settings: SETTINGS });
  onTestFinished(stop);
  const api = createApiClient({ endpoint: server.url, fetch, now: Date.now });
  await api.request('putPartition', { path: { partition: 'aws' }, body: TEN_DOLLARS });
  await api.request('createAccount', { body: { account: ACCOUNT, budget_limit: 1000 } });
  const slurm = aFakeSlurm(folder.path);
  const machine = anAgentMachine(folder.path, { url: server.url, binPath: slurm.binPath, ...settings });
  const account = () => api.request('showAccount', { path: { account: ACCOUNT } });
  const asideFile = `${machine.stateFile}.aside`;
  return {
    api,
    slurm,
    machine,
    begin: Math.floor(Date.now() / 1000) - 3600,
    hold: async () => {
      const hold_id = randomUUID();
      const job = { account: ACCOUNT, partition: 'aws', nodes: 1, wall_time: '01:00:00', cluster: 'local', hold_id };
      expect(await api.request('checkBudget', { body: job })).toMatchObject({ available: true });
      return hold_id;
    },
    look: async () => {
      const { status, stdout, stderr } = await machine.run(['--once'], ['-o', 'json']);
      return { status, stderr, report: stdout === '' ? ({} as Report) : (JSON.parse(stdout) as Report) };
    },
    used: async () => (await account()).budget_used,
    held: async () => (await account()).budget_held,
    stateOf: async (holdId) => (await api.request('showHold', { path: { hold_id: holdId } })).state,
    aside: () => (existsSync(asideFile) ? readFileSync(asideFile, 'utf8').trim().split('\n') : []).map((line) => JSON.parse(line)),
  };
};

/** Until a hold is older than `orphan_after`, nobody asks whether it is an orphan. */
const age = (): Promise<void> => new Promise((wake) => setTimeout(wake, 1_100));

const timesIn = (text: string, part: string): number => text.split(part).length - 1;

describe('rows of sacct', () => {
  it('that make no sense are named and kept aside, and those around them are settled', async () => {
    const { slurm, hold, begin, look, used, held, aside } = await aSite();
    const [first, last, unread] = [await hold(), await hold(), await hold()];
    const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
    const row = (id: string, holdId: string) => accountedLine({ id, index: id, ...times, comment: `asbb:${holdId}` });
    const bad: [line: string, reason: string][] = [
      ['7|7|7|local|alice', 'sacct: a line of job 7 has 5 columns instead of 16'],
      [row('8', unread).replace('physics', 'phy|sics').trim(), "sacct: a line of job 8 has State 'aws', which is no state of Slurm"],
      [
        row('9', unread).replace('COMPLETED', 'completed').trim(),
        "sacct: a line of job 9 has State 'completed', which is no state of Slurm",
      ],
      [
        row('10', unread)
          .replace(/^10\|10\|10/, 'x|10|10')
          .trim(),
        "sacct: a line of job 10 has DBIndex 'x', which is no number",
      ],
      [
        accountedLine({ id: '11', index: 11, ...times, ended: begin, comment: `asbb:${unread}` }).trim(),
        `sacct: a line of job 11 ends (${begin}) before it starts (${begin + 60})`,
      ],
      ['sacct: error: slurmdbd is tired', "sacct: the line 'sacct: error: slurmdbd is tired' has 1 columns instead of 16"],
      [
        accountedLine({ id: '12', index: 12, ...times, ended: '999999999999', comment: `asbb:${unread}` }).trim(),
        "sacct: a line of job 12 has End '999999999999', which is no time in seconds since 1970",
      ],
    ];
    slurm.prints('sacct', row('1', first) + bad.map(([line]) => `${line}\n`).join('') + row('2', last));

    const { stderr, report } = await look();
    expect(report).toMatchObject({ settled: 2, kept_aside: bad.length });
    expect(aside()).toEqual(bad.map(([line, reason]) => ({ at: expect.any(String), reason, entry: line })));
    for (const [, reason] of bad) expect(timesIn(stderr, reason)).toBe(1);
    expect(await used()).toBe(10); // Two half hours at $10 ...
    expect(await held()).toBe(12); // ... and the third job's hold waits.
  });

  it('with bars in AdminComment, and with empty fields, are read', async () => {
    const { slurm, hold, begin, look, used } = await aSite();
    const [one, two] = [await hold(), await hold()];
    const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
    const barred = accountedLine({ id: '1', index: 1, ...times, comment: `chain|of|custody asbb:${one}` });
    const empty = accountedLine({ id: '2', index: 2, ...times, comment: `asbb:${two}` }).replace('alice|physics|aws', '||');
    slurm.prints('sacct', barred + empty);
    const { status, report } = await look();
    expect(report).toMatchObject({ settled: 2, kept_aside: 0, problems: [] });
    expect(status).toBe(0);
    expect(await used()).toBe(10);
  });

  it('of another cluster are not ours, whatever hold they name', async () => {
    const { slurm, hold, begin, look, used, stateOf, aside } = await aSite();
    const holdId = await hold();
    const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
    slurm.prints('sacct', accountedLine({ id: '1', index: 1, cluster: 'elsewhere', ...times, comment: `asbb:${holdId}` }));
    const { report } = await look();
    expect(report).toMatchObject({ settled: 0, kept_aside: 1 });
    expect(aside()[0]?.reason).toBe('run local-1 is of cluster elsewhere, and this agent serves local');
    expect(await used()).toBe(0);
    expect(await stateOf(holdId)).toBe('open');
  });

  it('that the API refuses are kept aside with its words', async () => {
    const { slurm, hold, begin, look, aside } = await aSite();
    const [tooMany, good] = [await hold(), await hold()];
    const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
    const absurd = accountedLine({ id: '1', index: 1, ...times, comment: `asbb:${tooMany}` }).replace('|1|cpu=1', '|4294967294|cpu=1');
    slurm.prints('sacct', absurd + accountedLine({ id: '2', index: 2, ...times, comment: `asbb:${good}` }));
    expect((await look()).report).toMatchObject({ settled: 1, kept_aside: 1 });
    expect(aside()).toMatchObject([{ reason: expect.stringContaining('run local-1 of job 1 was refused: '), entry: { runId: 'local-1' } }]);
  });
});

describe('lines of squeue', () => {
  it.each<[string, Behaviour]>([
    ['status 0', {}],
    ['status 1', { status: 1, stderr: 'slurm_load_jobs error: Socket timed out' }],
    ['a signal', { signal: 'KILL' }],
  ])(
    'cut off in mid-line, with %s: what is missing may be there, so nothing is settled or released until it is whole',
    async (_, behaviour) => {
      const { slurm, hold, begin, look, used, held, stateOf } = await aSite();
      const [done, orphan, live] = [await hold(), await hold(), await hold()];
      const liveLine = queueLine({ id: '2', submitted: begin, started: begin + 60, comment: `asbb:${live}` });
      const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
      slurm.prints('sacct', accountedLine({ id: '1', index: 1, ...times, comment: `asbb:${done}` }));
      slurm.prints('squeue', `${liveLine}3|3|phys`, behaviour);
      for (const _pass of ['first', 'second']) {
        const { status, report } = await look();
        expect(status).toBe(1);
        expect(report).toMatchObject({ settled: 0, released: 0, closed: 0, problems: [expect.stringContaining('squeue')] });
      }
      expect(await held()).toBe(36);

      slurm.prints('squeue', liveLine);
      expect((await look()).report).toMatchObject({ settled: 1, released: 0, problems: [] });
      expect((await look()).report).toMatchObject({ released: 1 });
      expect(await used()).toBe(5);
      expect([await stateOf(done), await stateOf(orphan), await stateOf(live)]).toEqual(['settled', 'released', 'open']);
    },
  );

  it('that make no sense are about their own job alone', async () => {
    const { slurm, hold, begin, look, used, stateOf, aside } = await aSite();
    const [one, two] = [await hold(), await hold()];
    const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
    slurm.prints(
      'sacct',
      accountedLine({ id: '1', index: 1, ...times, comment: `asbb:${one}` }) +
        accountedLine({ id: '2', index: 2, ...times, state: 'NODE_FAIL', comment: `asbb:${two}` }),
    );
    // Job 2 may have been requeued: nobody can say, since its line cannot be read.
    const line = queueLine({ id: '2', submitted: begin, comment: `asbb:${two}` });
    slurm.prints('squeue', line.replace('|1:00:00|', '|1:2:3:4|'));
    const { status, report } = await look();
    expect(status).toBe(1);
    expect(report).toMatchObject({
      settled: 1,
      kept_aside: 1,
      problems: ["squeue: a line of job 2 has TimeLimit '1:2:3:4', which is no time"],
    });
    expect(aside()).toHaveLength(1);
    expect([await stateOf(one), await stateOf(two)]).toEqual(['settled', 'open']);

    slurm.prints('squeue', '');
    expect((await look()).report).toMatchObject({ settled: 2 }); // The first is only answered again.
    expect(await used()).toBe(10);
    expect(await stateOf(two)).toBe('settled');
  });
});

describe('commands', () => {
  const NAMES: readonly SlurmCommand[] = ['squeue', 'sacct', 'scontrol', 'sdiag'];

  it.each(NAMES.flatMap((name) => [[name, 'missing'] as const, [name, 'hanging'] as const, [name, 'failing'] as const]))(
    '%s is %s: that is said, and nothing is concluded from it',
    async (name, how) => {
      const { slurm, hold, look, stateOf } = await aSite({ timeout: '1s' });
      const orphan = await hold();
      await look(); // Missed for the first time.
      await age();
      if (how === 'missing') slurm.lacks(name);
      else slurm.prints(name, '', how === 'hanging' ? { hangs: true } : { status: 1, stderr: 'out of order' });
      const began = Date.now();
      const { status, stderr } = await look();
      expect(status).toBe(1);
      const words = { missing: 'cannot be run', hanging: 'was not done after 1 s', failing: 'ended with status 1: out of order' };
      expect(stderr).toContain(`${name} ${words[how]}`);
      expect(Date.now() - began).toBeLessThan(30_000); // Ten minutes is how long a hanging one would take.
      expect(await stateOf(orphan)).toBe('open');
    },
  );

  it('sdiag without its line about slurmdbd is no word on what is owed to it', async () => {
    const { slurm, hold, look, stateOf } = await aSite();
    const orphan = await hold();
    slurm.prints('sdiag', 'Server thread count:  3\n');
    await look();
    await age();
    const { status, report } = await look();
    expect(status).toBe(1);
    expect(report.problems).toContain('sdiag does not say how long the queue to slurmdbd is');
    expect(await stateOf(orphan)).toBe('open');
  });

  it('scontrol without the facts is no word', async () => {
    const { slurm, look } = await aSite();
    slurm.prints('scontrol', configOf().replace(/^BOOT_TIME.*\n/m, ''));
    const { status, stderr } = await look();
    expect(status).toBe(1);
    expect(stderr).toContain('Slurm does not answer: scontrol show config does not say ClusterName, BOOT_TIME and MinJobAge');
  });

  it('are not narrowed by what stands in the environment', async () => {
    const folder = temporaryFolder();
    onTestFinished(folder.remove);
    const { binPath } = aFakeSlurm(folder.path);
    writeFileSync(join(binPath, 'squeue'), '#!/bin/sh\nenv >&2\nexit 1\n');
    const env = {
      PATH: process.env.PATH,
      SQUEUE_USERS: 'bob',
      SACCT_FORMAT: 'x',
      SLURM_CLUSTERS: 'y',
      SLURM_CONF: '/etc/slurm/slurm.conf',
    };
    const commands = createSlurmCommands({ binPath, env, timeoutMs: 5000, uid: 0 });
    const said = commands.queue(
      () => undefined,
      () => undefined,
    );
    await expect(said).rejects.toThrow(SlurmSilent);
    const message = await said.then(String, String);
    expect(message).not.toMatch(/SQUEUE_|SACCT_|SLURM_CLUSTERS/);
    expect(message).toContain('SLURM_CONF=/etc/slurm/slurm.conf');
  });
});

describe('the state file', () => {
  const GOOD = { v: 1, cluster: 'local', adoptedAt: 0, watermark: 0, watchedSinceMs: 0, lastLookMs: 0, orphans: [], seen: [] };

  it.each([
    ['from the future', JSON.stringify({ ...GOOD, v: 2, moons: 3 }), 'is of a later version of asbb (2)'],
    ['cut in half', JSON.stringify(GOOD).slice(0, 60), 'is cut off or no JSON'],
    ['empty', '', 'is cut off or no JSON'],
    ['of another program', '{"v":1,"name":"else"}', 'does not look like one'],
    ['of another cluster', JSON.stringify({ ...GOOD, cluster: 'elsewhere' }), 'is of cluster elsewhere, and this agent serves local'],
  ])('%s is kept, said once, and done without', async (_, content, problem) => {
    const { slurm, machine, hold, begin, look, used, aside } = await aSite();
    const holdId = await hold();
    const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
    slurm.prints('sacct', `nonsense\n${accountedLine({ id: '1', index: 1, ...times, comment: `asbb:${holdId}` })}`);
    mkdirSync(dirname(machine.stateFile));
    writeFileSync(machine.stateFile, content);
    writeFileSync(`${machine.stateFile}.aside`, '{"reason":"from before"}\n');

    const first = await look();
    expect(first.report).toMatchObject({ settled: 1 });
    expect(timesIn(first.stderr, `the state file ${machine.stateFile} ${problem}`)).toBe(1);
    expect(readFileSync(`${machine.stateFile}.refused`, 'utf8')).toBe(content);
    expect(aside().map(({ reason }) => reason)).toEqual(['from before', "sacct: the line 'nonsense' has 1 columns instead of 16"]);
    expect(await used()).toBe(5);
    expect((await look()).stderr).not.toContain('the state file');
  });
});

describe('what programs read', () => {
  const COUNTS = ['bound', 'forced', 'extended', 'adjusted', 'settled', 'released', 'closed', 'corrected', 'postponed', 'kept_aside'];
  const REPORT = ['cluster', 'jobs', 'holds', 'unbound', 'watermark', 'problems', ...COUNTS, 'unknown_accounts'];
  const HEALTH = ['ok', 'at', 'version', 'passes', 'failures_in_a_row', 'problem', 'last_pass_at', 'last_pass'];

  const healthOf = ({ stateFile }: AgentMachine) => JSON.parse(readFileSync(`${stateFile}.health`, 'utf8')) as Record<string, unknown>;

  it('has the same names each time; jobs of accounts without a budget are counted by account', async () => {
    const { slurm, machine, begin, look } = await aSite();
    slurm.prints(
      'squeue',
      queueLine({ id: '1', submitted: begin, account: 'nobudget' }) + queueLine({ id: '2', submitted: begin, account: 'nobudget' }),
    );
    const { report } = await look();
    expect(Object.keys(report).sort()).toEqual([...REPORT].sort());
    expect(report).toMatchObject({ jobs: 2, forced: 0, unknown_accounts: { nobudget: 2 } });
    const health = healthOf(machine);
    expect(Object.keys(health).sort()).toEqual([...HEALTH].sort());
    expect(health).toMatchObject({ ok: true, passes: 1, failures_in_a_row: 0, problem: null, last_pass: report });
  });

  it('the health file says when the agent could do nothing', async () => {
    const { slurm, machine, look } = await aSite();
    slurm.prints('scontrol', '', { status: 1, stderr: 'Unable to contact slurm controller' });
    expect((await look()).status).toBe(1);
    expect(healthOf(machine)).toMatchObject({ ok: false, failures_in_a_row: 1, last_pass: null });
    expect(healthOf(machine).problem).toContain('Unable to contact slurm controller');
  });

  it('a dry run says what it would do, and does nothing', async () => {
    const { api, slurm, machine, hold, begin, held, used } = await aSite();
    const [done, live] = [await hold(), await hold()];
    const job = { cluster: 'local', job_id: '1', submitted_at: new Date(begin * 1000).toISOString() };
    await api.request('bindHold', { path: { hold_id: done }, body: job });
    const times = { submitted: begin, started: begin + 60, ended: begin + 60 + HALF_AN_HOUR };
    slurm.prints('sacct', `nonsense\n${accountedLine({ id: '1', index: 1, ...times, comment: `asbb:${done}` })}`);
    slurm.prints('squeue', queueLine({ id: '2', submitted: begin, comment: `asbb:${live}` }) + queueLine({ id: '3', submitted: begin }));
    const before = readdirSync(machine.folder).sort();
    const { status, stdout } = await machine.run(['--dry-run'], ['-o', 'json']);
    expect(status).toBe(0);
    const { would } = JSON.parse(stdout) as { would: { method: string; path: string; body: unknown }[] };
    expect(would.map(({ method, path }) => `${method} ${path.replace('/api/v1', '')}`).sort()).toEqual(
      ['PUT /clusters/local', `POST /holds/${live}/bind`, 'POST /holds/forced', `POST /holds/${done}/runs`].sort(),
    );
    expect(await held()).toBe(24);
    expect(await used()).toBe(0);
    expect((await api.request('listClusters')).clusters).toEqual([]);
    expect(readdirSync(machine.folder).sort()).toEqual([...before, 'calls'].sort()); // Which the fake commands write.

    const words = await machine.run(['--once', '--dry-run']);
    expect(words.stdout).toContain(`would POST /api/v1/holds/${live}/bind {"cluster":"local","job_id":"2"`);
  });

  it('what is wrong in every pass is said once, and counted once', async () => {
    const { slurm, machine, begin } = await aSite();
    slurm.prints('sacct', 'nonsense\n');
    slurm.prints('squeue', queueLine({ id: '7', submitted: begin }).replace('|1:00:00|', '|1:2:3:4|'));
    const { child, ended, stderr } = machine.start(['--interval', '1s']);
    for (const end = Date.now() + 60_000; Date.now() < end; ) {
      if (existsSync(`${machine.stateFile}.health`) && Number(healthOf(machine).passes) >= 3) break;
      await new Promise((wake) => setTimeout(wake, 100));
    }
    expect(healthOf(machine)).toMatchObject({ ok: false, last_pass: { kept_aside: 0 } });
    child.kill('SIGTERM');
    expect((await ended).status).toBe(0);
    expect(timesIn(stderr(), "the line 'nonsense'")).toBe(1);
    expect(timesIn(stderr(), 'kept aside')).toBe(1);
    expect(timesIn(stderr(), "a line of job 7 has TimeLimit '1:2:3:4', which is no time; it is kept in")).toBe(1);
  });
});
