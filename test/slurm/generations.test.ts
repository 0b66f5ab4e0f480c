// The core of it on later Slurm, which calls the plugin concurrently (from 23.02 on) and names some fields otherwise.
// There is no accounting here, so jobs name their account.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLUSTER_NAME } from '#test/slurm/cluster';
import type { Generation } from '#test/slurm/install';
import { partitionsAreImported } from '#test/slurm/partition-import';
import { PASS } from '#test/slurm/proxy';
import { eventually } from '#test/slurm/shell';
import { idOf, startTestbed, type Testbed } from '#test/slurm/testbed';

const SETUP_TIMEOUT_MS = 15 * 60_000; // A root folder may have to be made.

describe.each<[Generation, string]>([
  ['trixie', '24.11'],
  ['sid', '26.05'],
])('on Slurm of Debian %s (%s)', (generation, version) => {
  let bed: Testbed;

  beforeAll(async () => {
    bed = await startTestbed(generation);
    await bed.budget.open('physics', 1000);
    const model = { region: 'us-east-1', instance_types: ['c5.18xlarge'] }; // $3.06 an hour, so $3.672 to hold.
    await bed.budget.api.request('putPartition', { path: { partition: 'awsopen' }, body: model });
  }, SETUP_TIMEOUT_MS);

  afterAll(async () => {
    await bed?.stop();
  }, 60_000);

  const submit = (...args: string[]) => bed.submit('-A', 'physics', ...args);

  it('is that Slurm', async () => {
    expect((await bed.cluster.run('sinfo', ['--version'])).stdout).toContain(` ${version}.`);
  });

  it('an admitted job runs, and carries asbb:<hold_id>', async () => {
    const jobId = idOf(await bed.cluster.run('sbatch', ['-A', 'physics', '-p', 'aws', '-N', '1', '-t', '60', '--wrap', 'true']));
    await eventually(`job ${jobId} has run`, async () => (await bed.job(jobId)).JobState === 'COMPLETED');
    expect(await bed.holdOf(jobId)).toMatchObject({ account: 'physics', user: bed.cluster.user.name, amount: 3.672 });
  });

  it('a refused job never gets an id, and the user reads the sentence', async () => {
    const refused = await submit('-p', 'aws', '-N', '40', '-t', '10-0');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^sbatch: error: asbb: account physics has \$.+; this job needs \$35,251\.20 held/);
  });

  it('a job without an account is refused with a sentence', async () => {
    const refused = await bed.submit('-p', 'aws', '-N', '1', '-t', '60');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^sbatch: error: asbb: .*--account/);
  });

  it('an unguarded partition makes no call', async () => {
    const mark = bed.proxy.seen.length;
    idOf(await submit('-p', 'local', '-t', '60'));
    expect(bed.proxy.since(mark)).toEqual([]);
  });

  it.each([
    [['-N', '2', '--gres=gpu:a100:4'], { nodes: 2, gpus_per_node: 4, gpu_type: 'a100' }],
    [['-G', '16'], { gpus: 16 }],
    [['-n', '4', '--gpus-per-task=2', '-c', '3'], { ntasks: 4, gpus: 8, cpus_per_task: 3 }],
    [['-N', '1', '--mem=16G', '--exclusive'], { nodes: 1, memory: 16384, exclusive: true }],
    [['-n', '2', '--mem-per-cpu=2000M'], { ntasks: 2, memory_per_cpu: 2000 }],
    [['-N', '1', '--array=1-5:2,9%4'], { array: '1-5:2,9%4' }],
  ])('asks for what sbatch %j asked for', async (args, expected) => {
    const mark = bed.proxy.seen.length;
    await submit('-p', 'aws', '-t', '2', ...args);
    const [seen, ...more] = bed.proxy.since(mark);
    expect(more).toEqual([]);
    expect(seen?.body).toMatchObject({ account: 'physics', partition: 'aws', cluster: CLUSTER_NAME, wall_time: '00:02:00', ...expected });
  });

  it('scontrol update raises the hold, and beyond the budget the user reads the sentence', async () => {
    const jobId = idOf(await submit('-p', 'aws', '-N', '1', '-t', '60'));
    const { hold_id } = await bed.holdOf(jobId);
    const body = { cluster: CLUSTER_NAME, job_id: jobId, submitted_at: new Date().toISOString() };
    await bed.budget.api.request('bindHold', { path: { hold_id }, body });
    const update = (change: string) => bed.cluster.asRoot('scontrol', ['update', `JobId=${jobId}`, change]);
    expect(await update('TimeLimit=120')).toMatchObject({ code: 0 });
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 7.344 });
    const refused = await update('TimeLimit=100-0');
    expect(refused.code).not.toBe(0);
    expect(refused.stdout + refused.stderr).toContain('asbb: account physics has $');
  });

  // Debian 12's slurm-client brings no scrontab, so it is asked here only.
  it('a job of scrontab is refused with CronJobs=deny, and asked about with allow', async () => {
    const scrontab = (partition: string) =>
      bed.cluster.run('scrontab', ['-'], { input: `#SCRON -A physics -p ${partition} -N 1 -t 60\n0 0 1 1 * true\n` });
    const mark = bed.proxy.seen.length;
    const logMark = bed.cluster.controllerLog().length;
    const refused = await scrontab('aws');
    expect(refused.code).toBe(1);
    // Slurm has the sentence by then, and shows users of scrontab the error's name alone.
    expect(refused.stdout).toContain('Job violates accounting/QOS policy');
    expect(bed.cluster.controllerLog(logMark)).toContain('asbb: jobs from scrontab are not admitted to this partition');
    expect(await scrontab('local')).toMatchObject({ code: 0 });
    expect(bed.proxy.since(mark)).toEqual([]);
    await bed.restartWith({ CronJobs: 'allow' });
    expect(await scrontab('aws')).toMatchObject({ code: 0 });
    const { stdout } = await bed.cluster.run('squeue', ['--noheader', '--partition=aws', '--name=true', '--format=%i']);
    expect(await bed.holdOf(stdout.trim())).toMatchObject({ account: 'physics', user: bed.cluster.user.name, amount: 3.672 });
    expect(await bed.cluster.run('scrontab', ['-r'])).toMatchObject({ code: 0 });
    await bed.restartWith();
  });

  it('the API down: closed refuses, open admits and spools the same id', async () => {
    await bed.proxy.goAway();
    try {
      expect((await submit('-p', 'aws', '-N', '1', '-t', '60')).code).toBe(1);
      const { AdminComment = '' } = await bed.job(idOf(await submit('-p', 'awsopen', '-N', '1', '-t', '60')));
      const holdId = /^asbb:([0-9a-f-]{36})$/.exec(AdminComment)?.[1];
      expect(readFileSync(join(bed.cluster.folder, 'state/asbb.spool'), 'utf8')).toContain(`"${holdId}"`);
    } finally {
      await bed.proxy.comeBack();
      await bed.recover();
    }
  });

  it('8 clients at once are served side by side, and leave no descriptor and no memory behind', async () => {
    const LATENCY_MS = 100;
    const clients = async (count: number): Promise<number> => {
      const started = Date.now();
      const client = async (): Promise<void> => {
        for (let i = 0; i < count / 8; i++) expect((await submit('-p', 'aws', '-N', '40', '-t', '10-0')).code).toBe(1);
      };
      await Promise.all(Array.from({ length: 8 }, client));
      return Date.now() - started;
    };
    const measure = (): { descriptors: number; rssKiB: number } => {
      const process = `/proc/${bed.cluster.controllerPid}`;
      const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`${process}/status`, 'utf8'))?.[1];
      return { descriptors: readdirSync(`${process}/fd`).length, rssKiB: Number(rss) };
    };
    bed.proxy.behave((_response, pass) => setTimeout(pass, LATENCY_MS));
    try {
      const ms = await clients(80);
      expect(ms).toBeLessThan(80 * LATENCY_MS); // One after the other would take longer than that.
    } finally {
      bed.proxy.behave(PASS);
    }
    await clients(104);
    const before = measure();
    await clients(200);
    await eventually('descriptors are as few as before', () => measure().descriptors <= before.descriptors + 2, 10_000);
    expect(measure().rssKiB - before.rssKiB).toBeLessThan(2048);
  });

  partitionsAreImported(() => bed, { hasInstanceType: true });

  it('slurmctld ends with status 0, and starts again', async () => {
    expect(await bed.cluster.stopController()).toBe(0);
    await bed.cluster.startController();
    idOf(await submit('-p', 'aws', '-N', '1', '-t', '1'));
  });

  // From 23.11 on, reconfiguring starts a new slurmctld, in the foreground in the place of the old one.
  it('scontrol reconfigure takes a new asbb.conf', async () => {
    bed.cluster.writeBudgetConf(bed.conf({ Notify: 'yes' }));
    expect(await bed.cluster.asRoot('scontrol', ['reconfigure'])).toMatchObject({ code: 0 });
    await eventually('the user is told what is held', async () => {
      const { stderr } = await submit('-p', 'aws', '-N', '1', '-t', '60');
      return /^sbatch: asbb: \$3\.672 held/.test(stderr);
    });
  });
});
