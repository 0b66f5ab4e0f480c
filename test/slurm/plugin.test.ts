// The plugin in a real slurmctld, against the real service, by what users and administrators see.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readShadowLine } from '#cli/shadow-report/shadow-line';
import { CLUSTER_NAME } from '#test/slurm/cluster';
import { partitionsAreImported } from '#test/slurm/partition-import';
import { type Behaviour, PASS } from '#test/slurm/proxy';
import { eventually, must, type Outcome } from '#test/slurm/shell';
import { idOf, startTestbed, type Testbed } from '#test/slurm/testbed';

const SETUP_TIMEOUT_MS = 15 * 60_000; // Packages may have to be installed.
const POLICY_LINE = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)";

let bed: Testbed;

beforeAll(async () => {
  bed = await startTestbed();
  await bed.budget.open('physics', 1000);
  await bed.budget.open('chem', 100);
  const model = { region: 'us-east-1', instance_types: ['c5.18xlarge'] }; // $3.06 an hour, so $3.672 to hold.
  await bed.budget.api.request('putPartition', { path: { partition: 'awsopen' }, body: model });
  await bed.budget.api.request('putPartition', { path: { partition: 'awsdef' }, body: { ...model, default_wall_time: '02:00:00' } });
}, SETUP_TIMEOUT_MS);

afterAll(async () => {
  await bed?.stop();
}, 60_000);

/** What the user read on stderr, without the lines that Slurm adds. */
const sentences = ({ stderr }: Outcome): string[] =>
  stderr
    .split('\n')
    .filter((line) => line.includes('asbb:'))
    .map((line) => line.replace(/^\w+: error: /, ''));

const spool = (): string => {
  const path = join(bed.cluster.folder, 'state/asbb.spool');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};

partitionsAreImported(() => bed, { hasInstanceType: false });

describe('a submission to a guarded partition', () => {
  it('runs when it is admitted, and carries asbb:<hold_id>', async () => {
    const jobId = idOf(await bed.cluster.run('sbatch', ['-p', 'aws', '-N', '1', '-t', '60', '--wrap', 'true']));
    await eventually(`job ${jobId} has run`, async () => (await bed.job(jobId)).JobState === 'COMPLETED');
    expect(await bed.job(jobId)).toMatchObject({ ExitCode: '0:0', Account: 'physics', Partition: 'aws', TimeLimit: '01:00:00' });
    expect(await bed.holdOf(jobId)).toMatchObject({
      account: 'physics',
      cluster: CLUSTER_NAME,
      user: bed.cluster.user.name,
      partition: 'aws',
      state: 'open',
      amount: 3.672,
      tasks: 1,
      forced: false,
    });
  });

  it('never gets an id when it is refused, and the user reads the sentence', async () => {
    const before = idOf(await bed.submit('-p', 'aws', '-N', '1', '-t', '1'));
    const held = await bed.held();
    const refused = await bed.submit('-p', 'aws', '-N', '40', '-t', '10-0');
    const after = idOf(await bed.submit('-p', 'local', '-t', '1'));
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    const [first, second] = refused.stderr.split('\n');
    expect(first).toMatch(
      /^sbatch: error: asbb: account physics has \$\d+\.\d+ available; this job needs \$35,251\.20 held \(estimate \$29,376\.00\)\. It fits with --.+\.$/,
    );
    expect(second).toBe(`sbatch: error: Batch job submission failed: ${POLICY_LINE}`);
    expect(Number(after)).toBe(Number(before) + 1);
    expect(await bed.held()).toBe(held);
  });

  it('holds 100 times for an array of 100', async () => {
    const jobId = idOf(await bed.submit('-p', 'aws', '-N', '1', '-t', '1', '--array=1-100%5'));
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 6.12, tasks: 100 });
  });

  it('holds for each component of a het job', async () => {
    const mark = bed.proxy.seen.length;
    const args = ['--hold', '-p', 'aws', '-t', '60', '-N', '1', ':', '-p', 'aws', '-t', '60', '-N', '2', '--wrap', 'true'];
    const jobId = idOf(await bed.cluster.run('sbatch', args));
    expect(bed.proxy.since(mark).map(({ body }) => body.het_offset)).toEqual([0, 1]);
    const { stdout } = await bed.cluster.asRoot('scontrol', ['show', 'job', '-o', jobId]);
    const holdIds = [...stdout.matchAll(/ AdminComment=asbb:(\S+)/g)].map(([, holdId = '']) => holdId);
    const amounts = await Promise.all(holdIds.map(async (holdId) => (await bed.budget.hold(holdId)).amount));
    expect(amounts.sort()).toEqual([3.672, 7.344]);
  });

  it('is asked about with srun and with salloc too, and their users read the sentence', async () => {
    const mark = bed.proxy.seen.length;
    const admitted = [
      await bed.cluster.run('srun', ['-p', 'aws', '-N', '1', '-t', '1', 'echo', 'it ran']),
      await bed.cluster.run('salloc', ['-p', 'aws', '-N', '1', '-t', '1', 'echo', 'it ran']),
    ];
    expect(admitted.map(({ code, stdout }) => ({ code, stdout }))).toEqual([
      { code: 0, stdout: 'it ran\n' },
      { code: 0, stdout: 'it ran\n' },
    ]);
    expect(bed.proxy.since(mark).map(({ body }) => [body.nodes, body.wall_time])).toEqual([
      [1, '00:01:00'],
      [1, '00:01:00'],
    ]);
    const refused = [
      await bed.cluster.run('srun', ['-p', 'aws', '-N', '40', '-t', '10-0', 'true']),
      await bed.cluster.run('salloc', ['-p', 'aws', '-N', '40', '-t', '10-0', 'true']),
    ];
    for (const outcome of refused) {
      expect(outcome.code).not.toBe(0);
      expect(sentences(outcome).join()).toContain('asbb: account physics has $');
    }
  });

  it('without a wall time is priced with the default of the partition, which becomes its limit', async () => {
    const jobId = idOf(await bed.submit('-p', 'awsdef', '-N', '1'));
    expect(await bed.job(jobId)).toMatchObject({ TimeLimit: '02:00:00' });
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 7.344 });
    const unlimited = idOf(await bed.submit('-p', 'awsdef', '-N', '1', '-t', 'UNLIMITED'));
    expect(await bed.job(unlimited)).toMatchObject({ TimeLimit: '02:00:00' });
  });

  it('without a wall time is refused where the partition has no default either', async () => {
    const refused = await bed.submit('-p', 'aws', '-N', '1');
    expect(sentences(refused).join()).toMatch(/^asbb: .*--time/);
    expect(refused.code).toBe(1);
  });

  it('by root is asked about like any other', async () => {
    const mark = bed.proxy.seen.length;
    const jobId = idOf(
      await bed.cluster.asRoot('sbatch', ['--hold', '-A', 'physics', '-p', 'aws', '-N', '1', '-t', '1', '--wrap', 'true']),
    );
    expect(await bed.holdOf(jobId)).toMatchObject({ user: 'root' });
    expect(bed.proxy.since(mark)).toHaveLength(1);
  });

  it('keeps an admin_comment that is there already, and appends to it', async () => {
    const client = join(bed.cluster.folder, 'build/submit');
    await must('gcc', ['-Wall', '-Wextra', '-Werror', join(import.meta.dirname, 'submit.c'), '-o', client, '-lslurm']);
    const { stdout, stderr } = await bed.cluster.asRoot(client, ['aws', 'site=north keep']);
    expect(stderr).toBe('');
    expect((await bed.job(stdout.trim())).AdminComment).toMatch(/^site=north keep asbb:[0-9a-f-]{36}$/);
  });

  it('is not asked about again when its job is requeued', async () => {
    const jobId = idOf(await bed.cluster.run('sbatch', ['-p', 'aws', '-N', '1', '-t', '1', '--wrap', 'sleep 30']));
    await eventually(`job ${jobId} runs`, async () => (await bed.job(jobId)).JobState === 'RUNNING');
    const { hold_id } = await bed.holdOf(jobId);
    const mark = bed.proxy.seen.length;
    expect(await bed.cluster.run('scontrol', ['requeuehold', jobId])).toMatchObject({ code: 0 });
    await eventually(`job ${jobId} waits`, async () => (await bed.job(jobId)).JobState === 'PENDING');
    expect(bed.proxy.since(mark)).toEqual([]);
    expect(await bed.holdOf(jobId)).toMatchObject({ hold_id });
  });

  it('of an account that has no budget is refused', async () => {
    const refused = await bed.submit('-A', 'nobudget', '-p', 'aws', '-N', '1', '-t', '1');
    expect(refused.code).toBe(1);
    expect(sentences(refused).join()).toMatch(/^asbb: .*nobudget/);
  });

  it.each([
    [['-A', 'CHEM', '-N', '2-4'], { account: 'CHEM', nodes: 4, min_nodes: 2 }],
    [['-N', '1', '-t', '1-1:1:1'], { wall_time: '1-01:02:00' }],
    [['-n', '100', '-c', '2'], { ntasks: 100, cpus_per_task: 2 }],
    [['-n', '6', '--ntasks-per-node=2'], { ntasks: 6, nodes: 3 }],
    [['-N', '2', '--gres=gpu:a100:4'], { nodes: 2, gpus_per_node: 4, gpu_type: 'a100' }],
    [['-N', '2', '--gpus-per-node=2'], { nodes: 2, gpus_per_node: 2 }],
    [['-G', '16'], { gpus: 16 }],
    [['-n', '4', '--gpus-per-task=2'], { ntasks: 4, gpus: 8 }],
    [['-N', '1', '--mem=16G'], { nodes: 1, memory: 16384 }],
    [['-n', '2', '--mem-per-cpu=2000M'], { ntasks: 2, memory_per_cpu: 2000 }],
    [['-N', '1', '--exclusive'], { nodes: 1, exclusive: true }],
    [['-N', '1', '--mem=0'], { nodes: 1, memory: 0 }],
    [['-N', '1', '-C', 'intel&fast'], { nodes: 1, constraint: 'intel&fast' }],
    [['-G', '4', '--cpus-per-gpu=8'], { gpus: 4, cpus: 32 }],
    [['-w', 'cloud[1-3]'], { nodes: 3 }],
    [['-N', '1', '-J', 'a "quoted"\nname'], { job_name: 'a "quoted"\nname' }],
    [['-N', '1', '--array=1-5:2,9%4'], { array: '1-5:2,9%4' }],
  ])('asks for what sbatch %j asked for', async (args, expected) => {
    const mark = bed.proxy.seen.length;
    await bed.submit('-p', 'aws', '-t', '1:1', ...args);
    const [seen, ...more] = bed.proxy.since(mark);
    expect(more).toEqual([]);
    expect(seen?.body).toMatchObject({
      partition: 'aws',
      cluster: CLUSTER_NAME,
      user: bed.cluster.user.name,
      wall_time: '00:02:00', // Slurm rounds up to minutes.
      ...expected,
    });
  });
});

describe('a submission elsewhere', () => {
  it('to an unguarded partition makes no call, and gets no mark', async () => {
    const mark = bed.proxy.seen.length;
    const jobs = [idOf(await bed.submit('-p', 'local', '-t', '60')), idOf(await bed.submit('-t', '60'))];
    expect(bed.proxy.since(mark)).toEqual([]);
    for (const jobId of jobs) expect(await bed.job(jobId)).not.toHaveProperty('AdminComment');
  });

  it('to a list with a guarded one is asked about, and refused as a whole', async () => {
    const jobId = idOf(await bed.submit('-p', 'local,aws', '-N', '1', '-t', '60'));
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 3.672 });
    const refused = await bed.submit('-p', 'aws,local', '-N', '1', '-t', '100-0');
    expect(refused.code).toBe(1);
    expect(sentences(refused)).toHaveLength(1);
  });
});

describe('scontrol update', () => {
  /** A held job of one node for an hour in aws, which the agent has bound to its hold. */
  const aBoundJob = async (): Promise<string> => {
    const jobId = idOf(await bed.submit('-A', 'chem', '-p', 'aws', '-N', '1', '-t', '60'));
    const { hold_id } = await bed.holdOf(jobId);
    const body = { cluster: CLUSTER_NAME, job_id: jobId, submitted_at: new Date().toISOString() };
    await bed.budget.api.request('bindHold', { path: { hold_id }, body });
    return jobId;
  };
  const update = (jobId: string, ...changes: string[]) => bed.cluster.asRoot('scontrol', ['update', `JobId=${jobId}`, ...changes]);

  it('of the time raises the hold', async () => {
    const jobId = await aBoundJob();
    expect(await update(jobId, 'TimeLimit=120')).toMatchObject({ code: 0 });
    expect(await bed.job(jobId)).toMatchObject({ TimeLimit: '02:00:00' });
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 7.344 });
  });

  it('of the nodes raises the hold, by the user too', async () => {
    const jobId = await aBoundJob();
    expect(await bed.cluster.run('scontrol', ['update', `JobId=${jobId}`, 'NumNodes=2-3'])).toMatchObject({ code: 0 });
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 11.016 });
  });

  it('downwards leaves the hold, since Slurm may still refuse', async () => {
    const jobId = await aBoundJob();
    expect(await update(jobId, 'TimeLimit=30')).toMatchObject({ code: 0 });
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 3.672 });
  });

  it('beyond the budget is refused, for root and the user', async () => {
    const jobId = await aBoundJob();
    for (const change of ['TimeLimit=30-0', 'NumNodes=40']) {
      const refused = await update(jobId, change);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr + refused.stdout).toContain('Job violates accounting/QOS policy');
    }
    expect((await bed.cluster.run('scontrol', ['update', `JobId=${jobId}`, 'NumNodes=40'])).code).not.toBe(0);
    expect(await bed.job(jobId)).toMatchObject({ TimeLimit: '01:00:00' });
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 3.672 });
  });

  it('into a guarded partition is refused, for root and the user', async () => {
    const jobId = idOf(await bed.submit('-p', 'local', '-N', '1', '-t', '60'));
    const change = ['update', `JobId=${jobId}`, 'Partition=aws'];
    for (const refused of [await bed.cluster.run('scontrol', change), await bed.cluster.asRoot('scontrol', change)])
      expect(refused.code).not.toBe(0);
    expect(await bed.job(jobId)).toMatchObject({ Partition: 'local' });
  });

  it('of anything that costs nothing makes no call', async () => {
    const jobId = await aBoundJob();
    const mark = bed.proxy.seen.length;
    expect(await update(jobId, 'Comment=hello', 'JobName=other', 'Nice=10')).toMatchObject({ code: 0 });
    expect(bed.proxy.since(mark)).toEqual([]);
  });

  it('of a job that the API does not know is allowed', async () => {
    const jobId = idOf(await bed.submit('-p', 'local', '-N', '1', '-t', '60'));
    expect(await update(jobId, 'TimeLimit=120')).toMatchObject({ code: 0 });
  });

  it('is allowed while the API is away', async () => {
    const jobId = await aBoundJob();
    await bed.proxy.goAway();
    try {
      expect(await update(jobId, 'TimeLimit=120')).toMatchObject({ code: 0 });
    } finally {
      await bed.proxy.comeBack();
      await bed.recover();
    }
  });
});

describe('without an answer', () => {
  beforeEach(async () => {
    rmSync(join(bed.cluster.folder, 'state/asbb.spool'), { force: true });
  });

  /** What becomes of one submission to each fail mode while the API behaves like this. */
  const submitBoth = async (): Promise<{ closed: Outcome; open: Outcome }> => {
    const closed = await bed.submit('-p', 'aws', '-N', '1', '-t', '60');
    const open = await bed.submit('-p', 'awsopen', '-N', '1', '-t', '60');
    return { closed, open };
  };
  const expectFailModes = async ({ closed, open }: { closed: Outcome; open: Outcome }): Promise<void> => {
    expect(closed).toMatchObject({ code: 1, stdout: '' });
    expect(sentences(closed)).toHaveLength(1);
    expect(closed.stderr).toContain(POLICY_LINE);
    const { AdminComment = '' } = await bed.job(idOf(open));
    const holdId = /^asbb:([0-9a-f-]{36})$/.exec(AdminComment)?.[1];
    expect(holdId).toBeDefined();
    expect(
      spool()
        .split('\n')
        .filter((line) => line.includes(holdId ?? '?')),
    ).toHaveLength(1);
  };

  it('because the API is down: closed refuses with a sentence, open admits and spools the id in admin_comment', async () => {
    await bed.proxy.goAway();
    try {
      await expectFailModes(await submitBoth());
    } finally {
      await bed.proxy.comeBack();
      await bed.recover();
    }
  });

  const LATE_MS = 4000;
  it('because the API is slow: the deadline is kept, and sinfo answers meanwhile', async () => {
    bed.proxy.behave((_response, pass) => setTimeout(pass, LATE_MS));
    try {
      const submitted = bed.submit('-p', 'aws', '-N', '1', '-t', '60');
      await new Promise((done) => setTimeout(done, 200)); // Let it arrive.
      const sinfo = await bed.cluster.run('sinfo', []);
      const refused = await submitted;
      expect(sinfo.code).toBe(0);
      // Slurm's scheduler wants to write meanwhile, and who reads after it waits for it, and so for us: until our deadline.
      expect(sinfo.ms).toBeLessThan(2000);
      expect(refused.code).toBe(1);
      expect(refused.ms).toBeGreaterThan(1000);
      expect(refused.ms).toBeLessThan(2500);
      // The first one too slow opens the breaker: the next ones do not wait.
      const next = await bed.submit('-p', 'aws', '-N', '1', '-t', '60');
      expect(next.code).toBe(1);
      expect(next.ms).toBeLessThan(500);
    } finally {
      await bed.recover();
    }
  });

  const answer =
    (status: number, body: string, headers: Record<string, string> = {}): Behaviour =>
    (response) => {
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers });
      response.end(body);
    };
  const halfABody: Behaviour = (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
    response.write('{"available":true,"hold_amount":1,');
    setTimeout(() => response.destroy(), 50);
  };
  const noAnswers: [string, Behaviour][] = [
    ['garbage', answer(200, '<html>it works</html>')],
    ['JSON of another kind', answer(200, '{"available":"yes"}')],
    ['nothing', answer(200, '')],
    ['500', answer(500, '{"error":{"code":"internal_error","message":"sorry"}}')],
    ['{"message"}', answer(403, '{"message":"Forbidden"}')],
    ['429', answer(429, '{"message":"Too Many Requests"}')],
    ['100 kB', answer(200, `{"available":true,"message":"${'x'.repeat(100_000)}"}`)],
    ['half a body', halfABody],
    ['a redirect', answer(302, '', { location: 'http://127.0.0.1:9/api/v1/budget/check' })],
  ];
  it.each(noAnswers)('because the API answers %s: as when it is down', async (_name, behaviour) => {
    bed.proxy.behave(behaviour);
    try {
      await expectFailModes(await submitBoth());
    } finally {
      await bed.recover();
    }
  });

  it('a sentence with control characters reaches the user without them', async () => {
    const message = 'no\u001b[31m money\u0007 left, caf\u00e9\nsbatch: job accepted';
    bed.proxy.behave(answer(200, JSON.stringify({ available: false, decision: 'refused', code: 'insufficient_budget', message })));
    try {
      const { stderr, code } = await bed.submit('-p', 'aws', '-N', '1', '-t', '60');
      expect(code).toBe(1);
      expect(stderr).toContain('sbatch: error: asbb: no');
      expect(stderr).toMatch(/^[\x20-\x7e\n]*$/);
      expect(stderr).not.toMatch(/^sbatch: job accepted/m);
    } finally {
      bed.proxy.behave(PASS);
    }
  });

  it('a fail-open that cannot be written down is closed', async () => {
    await bed.proxy.goAway();
    mkdirSync(join(bed.cluster.folder, 'state/asbb.spool'));
    try {
      const refused = await bed.submit('-p', 'awsopen', '-N', '1', '-t', '60');
      expect(refused.code).toBe(1);
      expect(sentences(refused)).toHaveLength(1);
    } finally {
      rmSync(join(bed.cluster.folder, 'state/asbb.spool'), { recursive: true });
      await bed.proxy.comeBack();
      await bed.recover();
    }
  });
});

describe('slurmctld', () => {
  it('goes on after scontrol reconfigure', async () => {
    expect(await bed.cluster.asRoot('scontrol', ['reconfigure'])).toMatchObject({ code: 0 });
    const jobId = idOf(await bed.submit('-p', 'aws', '-N', '1', '-t', '60'));
    expect(await bed.holdOf(jobId)).toMatchObject({ amount: 3.672 });
  });

  it('restarted, asks as before, and its jobs still name their holds', async () => {
    const jobId = idOf(await bed.submit('-p', 'aws', '-N', '1', '-t', '60'));
    const { hold_id } = await bed.holdOf(jobId);
    expect(await bed.cluster.stopController()).toBe(0); // With the plugin's thread and its connections alive.
    await bed.cluster.startController();
    expect(await bed.holdOf(jobId)).toMatchObject({ hold_id });
    idOf(await bed.submit('-p', 'aws', '-N', '1', '-t', '60'));
  });

  it('reads rotated credentials without a restart', async () => {
    const good = readFileSync(join(bed.cluster.folder, 'etc/credentials'), 'utf8');
    bed.cluster.writeSecret('credentials', good.replace(/(access_key_id = ).*/, '$1AKIDROTATEDAWAY'));
    const submit = () => bed.submit('-p', 'aws', '-N', '1', '-t', '1');
    await eventually('the API refuses the new keys', async () => (await submit()).code === 1, 60_000);
    bed.cluster.writeSecret('credentials', good);
    await eventually('the API takes the old keys again', async () => (await submit()).code === 0, 60_000);
  }, 130_000);

  it('that joins a federation refuses what is guarded, since it would be paid for once per sibling', async () => {
    await bed.cluster.asRoot('sacctmgr', ['-i', 'add', 'federation', 'union', `cluster=${CLUSTER_NAME}`]);
    try {
      const refused = await eventually('slurmctld knows of the federation', async () => {
        const outcome = await bed.submit('-p', 'aws', '-N', '1', '-t', '60');
        return outcome.code === 1 && outcome;
      });
      expect(sentences(refused).join()).toMatch(/^asbb: .*federation/);
    } finally {
      await bed.cluster.asRoot('sacctmgr', ['-i', 'delete', 'federation', 'union']);
      await bed.recover();
    }
  });

  it('stripped of one word in slurm.conf, guards nothing', async () => {
    await bed.cluster.stopController();
    bed.cluster.setConf({ JobSubmitPlugins: undefined });
    await bed.cluster.startController();
    const mark = bed.proxy.seen.length;
    idOf(await bed.submit('-p', 'aws', '-N', '40', '-t', '10-0'));
    expect(bed.proxy.seen.slice(mark)).toEqual([]);
    await bed.cluster.stopController();
    bed.cluster.setConf({ JobSubmitPlugins: 'budget' });
    await bed.cluster.startController();
  });

  it('keeps its descriptors and its memory through 500 submissions of 8 clients', async () => {
    const refused = async (count: number): Promise<void> => {
      const client = async (): Promise<void> => {
        for (let i = 0; i < count / 8; i++) expect((await bed.submit('-p', 'aws', '-N', '40', '-t', '10-0')).code).toBe(1);
      };
      await Promise.all(Array.from({ length: 8 }, client));
    };
    const measure = (): { descriptors: number; rssKiB: number } => {
      const process = `/proc/${bed.cluster.controllerPid}`;
      const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`${process}/status`, 'utf8'))?.[1];
      return { descriptors: readdirSync(`${process}/fd`).length, rssKiB: Number(rss) };
    };
    const mark = bed.proxy.seen.length;
    await refused(104); // Arenas, pools and caches find their size.
    const before = measure();
    await refused(504);
    await eventually('descriptors are as few as before', () => measure().descriptors <= before.descriptors + 2, 10_000);
    expect(measure().rssKiB - before.rssKiB).toBeLessThan(2048);
    const seen = bed.proxy.since(mark);
    expect(seen).toHaveLength(608);
    expect(new Set(seen.map(({ port }) => port)).size).toBeLessThanOrEqual(4); // MaxConnections
  });
});

describe('settings', () => {
  afterAll(async () => {
    await bed.restartWith();
  });

  it('OnRefusal=drop sends a list to its unguarded partitions', async () => {
    await bed.restartWith({ OnRefusal: 'drop' });
    const dropped = idOf(await bed.submit('-p', 'aws,local', '-N', '1', '-t', '100-0'));
    const job = await bed.job(dropped);
    expect(job).toMatchObject({ Partition: 'local' });
    expect(job).not.toHaveProperty('AdminComment');
    expect((await bed.submit('-p', 'aws', '-N', '1', '-t', '100-0')).code).toBe(1);
    const admitted = idOf(await bed.submit('-p', 'aws,local', '-N', '1', '-t', '60'));
    expect(await bed.job(admitted)).toMatchObject({ Partition: 'aws,local' });
  });

  it('Enforce=no logs the refusal in one line and admits', async () => {
    await bed.restartWith({ Enforce: 'no' });
    const held = await bed.held();
    const mark = bed.cluster.controllerLog().length;
    const jobId = idOf(await bed.submit('-p', 'aws', '-N', '40', '-t', '10-0'));
    expect(await bed.job(jobId)).not.toHaveProperty('AdminComment');
    expect(await bed.held()).toBe(held);
    const lines = bed.cluster
      .controllerLog(mark)
      .split('\n')
      .filter((line) => line.includes('asbb'));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/asbb: shadow would=refuse .*\$35,251\.20/);
    expect(readShadowLine(lines[0] ?? '', Date.now())).toMatchObject({
      would: 'refuse',
      account: 'physics',
      partition: 'aws',
      cost: 29_376_000_000n,
      hold: 35_251_200_000n,
      reason: 'insufficient_budget',
    });
  });

  it('ExemptUsers are not asked about, Notify tells the others, UnknownAccount=allow admits', async () => {
    await bed.restartWith({ ExemptUsers: 'root', Notify: 'yes', UnknownAccount: 'allow' });
    const mark = bed.proxy.seen.length;
    idOf(await bed.cluster.asRoot('sbatch', ['--hold', '-A', 'physics', '-p', 'aws', '-N', '40', '-t', '10-0', '--wrap', 'true']));
    expect(bed.proxy.since(mark)).toEqual([]);
    const told = await bed.submit('-p', 'aws', '-N', '1', '-t', '60');
    expect(told.stderr).toMatch(/^sbatch: asbb: .*\$3\.672/);
    idOf(await bed.submit('-A', 'nobudget', '-p', 'aws', '-N', '1', '-t', '1'));
  });

  it('OperatorUsers change jobs without a check', async () => {
    await bed.restartWith({ OperatorUsers: 'root' });
    const jobId = idOf(await bed.submit('-p', 'local', '-N', '1', '-t', '60'));
    const mark = bed.proxy.seen.length;
    expect(await bed.cluster.asRoot('scontrol', ['update', `JobId=${jobId}`, 'TimeLimit=120'])).toMatchObject({ code: 0 });
    expect(bed.proxy.since(mark)).toEqual([]);
  });

  const secretOf = (name: string) => join(bed.cluster.folder, 'etc', name);
  it.each([
    ['an unknown key', () => bed.conf({ Endpiont: 'http://127.0.0.1:1' }), /asbb\.conf:\d+: .*Endpiont/],
    ['TimeoutMs=0', () => bed.conf({ TimeoutMs: '0' }), /asbb\.conf:\d+: .*TimeoutMs/],
    ['no endpoint', () => bed.conf({ Endpoint: undefined }), /asbb\.conf.*Endpoint/],
    ['an http endpoint elsewhere', () => bed.conf({ Endpoint: 'http://192.0.2.1:80' }), /asbb\.conf:\d+: .*http/],
    ['a spool that cannot be written', () => bed.conf({ SpoolFile: '/nonexistent/spool' }), /asbb\.conf.*\/nonexistent\/spool/],
    ['unreadable credentials', () => bed.conf({ Credentials: 'file:/nonexistent' }), /\/nonexistent/],
    [
      'credentials that the world may read',
      () => {
        bed.cluster.writeSecret('open-credentials', readFileSync(secretOf('credentials'), 'utf8'), 0o644);
        return bed.conf({ Credentials: `file:${secretOf('open-credentials')}` });
      },
      /open-credentials is open to everybody/,
    ],
  ])('that are wrong (%s) stop slurmctld at its start with a line that says so', async (_name, conf, line) => {
    await bed.cluster.stopController();
    bed.cluster.writeBudgetConf(conf());
    const mark = bed.cluster.controllerLog().length;
    await expect(bed.cluster.startController()).rejects.toThrow('slurmctld ended');
    const said = bed.cluster.controllerLog(mark);
    expect(said).toMatch(line);
    expect(said).toMatch(/fatal/);
  });
});
