// The agent where there is no slurmdbd, as on a stock ParallelCluster: squeue is all it has. On later Slurm, whose commands live
// in a root folder of their own.
import { appendFileSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KEYS, REGION } from '#test/slurm/budget';
import type { Generation } from '#test/slurm/install';
import { eventually, run } from '#test/slurm/shell';
import { idOf, startTestbed, type Testbed } from '#test/slurm/testbed';

const ROOT = join(import.meta.dirname, '../..');
const SETUP_TIMEOUT_MS = 15 * 60_000; // A root folder may have to be made.
const COMMANDS = ['squeue', 'sacct', 'scontrol', 'sdiag'];
/** A tenth of a cent a second, and a minute of boot and idle that each run pays: so every second shows. */
const MODEL = { region: 'us-east-1', instance_types: [], unpriced: 'flat', flat_rate_per_node_hour: 3.6, overhead_minutes: 1 };
/** slurmctld looks for jobs to forget once a minute. */
const FORGETTING_MS = 150_000;

interface Report {
  readonly bound: number;
  readonly settled: number;
  readonly released: number;
  readonly closed: number;
  readonly kept_aside: number;
  readonly problems: readonly string[];
}

/** In micro-dollars, of runs of so many seconds on one node. */
const costOf = (...seconds: number[]): bigint => seconds.reduce((sum, each) => sum + 1000n * (60n + BigInt(each)), 0n);

describe.each<[Generation, string]>([
  ['trixie', '24.11'],
  ['sid', '26.05'],
])('the agent without slurmdbd, on Slurm of Debian %s (%s)', (generation) => {
  let bed: Testbed;
  let config: string;

  beforeAll(async () => {
    bed = await startTestbed(generation);
    await bed.budget.api.request('putPartition', { path: { partition: 'aws' }, body: MODEL });
    config = writeMachine(bed);
  }, SETUP_TIMEOUT_MS);

  afterAll(async () => {
    await bed?.stop();
  }, 60_000);

  /** A pass of a new agent, which must find nothing to complain about. */
  const pass = async (): Promise<Report> => {
    const args = ['--import', 'tsx', 'cli/asbb.ts', '--config', config, '-o', 'json', 'agent', '--once'];
    const keys = { AWS_ACCESS_KEY_ID: KEYS.accessKeyId, AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey, AWS_REGION: REGION };
    const { code, stdout, stderr } = await run(process.execPath, args, { cwd: ROOT, env: { ...keys, HOME: bed.cluster.folder } });
    if (code !== 0) throw new Error(`the agent ended with status ${code}: ${stdout}${stderr}`);
    return JSON.parse(stdout) as Report;
  };

  /** Each test has an account of its own, so that what it used is its own, too. */
  const anAccount = async (name: string) => {
    await bed.budget.open(name, 1000);
    const columns = () => bed.budget.api.request('showAccount', { path: { account: name } });
    return {
      sbatch: async (script: string, ...args: string[]) =>
        idOf(await bed.cluster.run('sbatch', ['-A', name, '-p', 'aws', '-N', '1', '-t', '10', '--mem=100', ...args, '--wrap', script])),
      used: async (): Promise<bigint> => BigInt(Math.round((await columns()).budget_used * 1e6)),
      held: async () => (await columns()).budget_held,
    };
  };

  /** What squeue says of a job or of each of its tasks, read by the test itself. */
  const shown = async (jobId: string) => {
    const env = { SLURM_TIME_FORMAT: '%s', TZ: 'UTC' };
    const fields = 'JobID:;,State:;,SubmitTime:;,StartTime:;,EndTime:;,RestartCnt:;';
    const { stdout } = await bed.cluster.asRoot('squeue', ['-h', '-a', '-t', 'all', '-j', jobId, '-O', fields], { env });
    return stdout
      .split('\n')
      .filter((line) => line.includes(';'))
      .map((line) => line.split(';'))
      .map(([id = '', state = '', submitted, started, ended, restarts]) => ({
        ...{ id, state, submitted: Number(submitted), started: Number(started), ended: Number(ended), restarts: Number(restarts) },
      }));
  };
  const untilState = (jobId: string, state: string, restarts = 0) =>
    eventually(
      `job ${jobId} is ${state}`,
      async () => {
        const jobs = await shown(jobId);
        return jobs.length > 0 && jobs.every((job) => job.state === state && job.restarts >= restarts) && jobs;
      },
      90_000,
    );
  const secondsOf = ({ started, ended }: { started: number; ended: number }): number => ended - started;

  it('a job is bound, runs, and is settled at its real time', async () => {
    const { sbatch, used, held } = await anAccount('single');
    const jobId = await sbatch('sleep 5');
    const [running] = await untilState(jobId, 'RUNNING');
    expect(running).toBeDefined();
    expect(await pass()).toMatchObject({ bound: 1, settled: 0 });
    const { hold_id } = await bed.holdOf(jobId);
    expect(await bed.budget.hold(hold_id)).toMatchObject({ state: 'open', job_id: jobId });

    const ended = await untilState(jobId, 'COMPLETED');
    expect(await pass()).toMatchObject({ settled: 1, kept_aside: 0 });
    expect(await used()).toBe(costOf(...ended.map(secondsOf)));
    expect(await held()).toBe(0);
    expect(await bed.budget.hold(hold_id)).toMatchObject({ state: 'settled' });
    expect(await pass()).toMatchObject({ settled: 1, kept_aside: 0 }); // squeue still shows it, and it is only answered again.
    expect(await used()).toBe(costOf(...ended.map(secondsOf)));
  });

  it('a job that ends before any look at it is settled all the same', async () => {
    const { sbatch, used, held } = await anAccount('unseen');
    const ended = await untilState(await sbatch('sleep 2'), 'COMPLETED');
    await pass();
    expect(await used()).toBe(costOf(...ended.map(secondsOf)));
    expect(await held()).toBe(0);
  });

  it('the tasks of an array are settled one by one', async () => {
    const { sbatch, used, held } = await anAccount('array');
    const jobId = await sbatch('sleep $((1 + SLURM_ARRAY_TASK_ID * 2))', '--array=0-3%2');
    await eventually('a task has ended, and one runs', async () => {
      const states = (await shown(jobId)).map(({ state }) => state);
      return states.includes('COMPLETED') && states.includes('RUNNING');
    });
    await pass();
    const { hold_id } = await bed.holdOf(jobId);
    expect(await bed.budget.hold(hold_id)).toMatchObject({ state: 'open', tasks: 4, job_id: jobId });
    const ended = await untilState(jobId, 'COMPLETED');
    expect(ended).toHaveLength(4);
    await pass();
    expect(await used()).toBe(costOf(...ended.map(secondsOf)));
    expect(await held()).toBe(0);
    expect(await bed.budget.hold(hold_id)).toMatchObject({ state: 'settled', tasks_ended: 4 });
  });

  it('what is cancelled while it waits costs nothing', async () => {
    const { sbatch, used, held } = await anAccount('pending');
    const [job, array] = [await sbatch('true', '--hold'), await sbatch('true', '--hold', '--array=1-9:2')];
    expect(await pass()).toMatchObject({ bound: 2 });
    await bed.cluster.run('scancel', [job, array]);
    await untilState(array, 'CANCELLED');
    await pass();
    expect(await held()).toBe(0);
    expect(await used()).toBe(0n);
  });

  it('an array that is cancelled in part is charged for the rest', async () => {
    const { sbatch, used, held } = await anAccount('partly');
    const jobId = await sbatch('sleep 3', '--hold', '--array=0-3');
    await pass();
    await bed.cluster.run('scancel', [`${jobId}_[2-3]`]);
    await pass();
    await bed.cluster.asRoot('scontrol', ['release', jobId]);
    const jobs = await eventually('two tasks have run', async () => {
      const tasks = (await shown(jobId)).filter(({ state }) => state === 'COMPLETED');
      return tasks.length === 2 && tasks;
    });
    await pass();
    expect(await used()).toBe(costOf(...jobs.map(secondsOf)));
    // Tasks that were cancelled before they ran leave nothing behind, so their share waits for Slurm's positive word.
    expect(await held()).toBeGreaterThan(0);
    await new Promise((wake) => setTimeout(wake, 1_100));
    expect(await pass()).toMatchObject({ closed: 1 });
    expect(await held()).toBe(0);
  });

  it('a requeued job is charged for each of its runs, the first until it was requeued', async () => {
    const { sbatch, used, held } = await anAccount('requeued');
    const jobId = await sbatch('sleep 300');
    const [first] = await untilState(jobId, 'RUNNING');
    await pass();
    await new Promise((wake) => setTimeout(wake, 2_000));
    const asked = Math.floor(Date.now() / 1000);
    await bed.cluster.asRoot('scontrol', ['requeue', jobId]);
    await pass(); // Perhaps while it is still leaving its node.
    const [waiting] = await untilState(jobId, 'PENDING', 1);
    const end = waiting?.submitted ?? 0;
    expect(end - asked).toBeGreaterThanOrEqual(0);
    expect(end - asked).toBeLessThan(10);
    await pass();
    const { hold_id } = await bed.holdOf(jobId);
    expect(await used()).toBe(costOf(end - (first?.started ?? 0)));
    expect(await bed.budget.hold(hold_id)).toMatchObject({ state: 'open', tasks_ended: 0 });

    await bed.cluster.asRoot('scontrol', ['update', `JobId=${jobId}`, 'StartTime=now']); // Else Slurm waits for two minutes.
    await untilState(jobId, 'RUNNING', 1);
    await pass();
    await bed.cluster.run('scancel', [jobId]);
    const [last] = await untilState(jobId, 'CANCELLED', 1);
    expect(last).toMatchObject({ restarts: 1 });
    await pass();
    expect(await used()).toBe(costOf(end - (first?.started ?? 0), secondsOf(last ?? { started: 0, ended: 0 })));
    expect(await held()).toBe(0);
  });

  it('the hold of a job that was only a test is released in the second look', async () => {
    const { held } = await anAccount('tested');
    await bed.cluster.run('sbatch', ['--test-only', '-A', 'tested', '-p', 'aws', '-N', '1', '-t', '60', '--wrap', 'true']);
    expect(await held()).toBeGreaterThan(0);
    expect(await pass()).toMatchObject({ released: 0 });
    await new Promise((wake) => setTimeout(wake, 1_100));
    expect(await pass()).toMatchObject({ released: 1 });
    expect(await held()).toBe(0);
  });

  describe('away for longer than Slurm remembers', () => {
    beforeAll(async () => {
      appendFileSync(join(bed.cluster.folder, 'etc/slurm.conf'), 'MinJobAge=5\n');
      await bed.cluster.stopController();
      await bed.cluster.startController();
    });

    it('what ran is charged until it was missed, but not beyond its limit; what may have run, or not, keeps its hold', async () => {
      const [ran, limited, waited, tested] = [
        await anAccount('ran'),
        await anAccount('limited'),
        await anAccount('waited'),
        await anAccount('test2'),
      ];
      const [ranId, limitedId] = [await ran.sbatch('sleep 12'), await limited.sbatch('sleep 12', '-t', '1')];
      const waitedId = await waited.sbatch('true', '--hold');
      const [[running], [bounded]] = [await untilState(ranId, 'RUNNING'), await untilState(limitedId, 'RUNNING')];
      expect(await pass()).toMatchObject({ bound: 3 });
      await bed.cluster.run('sbatch', ['--test-only', '-A', 'test2', '-p', 'aws', '-N', '1', '-t', '60', '--wrap', 'true']);
      await bed.cluster.asRoot('scontrol', ['release', waitedId]);
      await eventually(
        'slurmctld has forgotten all three',
        async () => (await Promise.all([ranId, limitedId, waitedId].map(shown))).flat().length === 0,
        FORGETTING_MS,
      );

      await eventually('the limit of the second is over', () => Date.now() / 1000 > (bounded?.started ?? 0) + 62, FORGETTING_MS);
      const before = Math.floor(Date.now() / 1000);
      expect(await pass()).toMatchObject({ settled: 0, closed: 0, released: 0 });
      const after = Math.floor(Date.now() / 1000);
      await new Promise((wake) => setTimeout(wake, 1_100));
      expect(await pass()).toMatchObject({ released: 0 });
      expect(await pass()).toMatchObject({ released: 0 });

      const missedAfter = Number((await ran.used()) / 1000n) - 60;
      expect(missedAfter).toBeGreaterThanOrEqual(before - (running?.started ?? 0));
      expect(missedAfter).toBeLessThanOrEqual(after - (running?.started ?? 0));
      expect(await ran.held()).toBe(0);
      expect(await limited.used()).toBe(costOf(60)); // It was missed later.
      expect(await limited.held()).toBe(0);
      expect(await waited.used()).toBe(0n);
      expect(await waited.held()).toBeGreaterThan(0);
      expect(await tested.held()).toBeGreaterThan(0);
    });
  });
});

/** Commands that enter the cluster's root folder, and the agent's configuration. */
const writeMachine = ({ cluster: { folder }, budget }: Testbed): string => {
  const bin = join(folder, 'agent-bin');
  mkdirSync(bin);
  for (const name of COMMANDS) {
    const path = join(bin, name);
    const enter = `unshare --mount --propagation private sh ${folder}/enter.sh 0 0 ${folder}`;
    writeFileSync(
      path,
      `#!/bin/sh\nexport SLURM_CONF=${folder}/etc/slurm.conf PATH=/usr/sbin:/usr/bin:/sbin:/bin\nexec ${enter} ${name} "$@"\n`,
    );
    chmodSync(path, 0o755);
  }
  const config = join(folder, 'etc/agent.yaml');
  const agent = `agent: {state_file: ${folder}/agent/agent.json, asbb_conf: ${folder}/etc/asbb.conf}`;
  writeFileSync(config, `api: {endpoint: '${budget.url}'}\nslurm: {bin_path: ${bin}}\n${agent}\nbudget: {orphan_after: 1s}\n`);
  return config;
};
