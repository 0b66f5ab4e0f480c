// The agent on a real cluster: however a job ends, its account has paid for what sacct says it had, to the micro-dollar, and
// nothing is held for it any more. An ending is an account of its own, so that each is judged apart; they all happen at once.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type AgentRunner, createAgentRunner, ORPHAN_AFTER_MS, type Pass, type Settled } from '#test/slurm/agent-runner';
import { CLUSTER_NAME } from '#test/slurm/cluster';
import { MODELS, moreOfSlurm } from '#test/slurm/endings';
import { eventually, must, type Outcome } from '#test/slurm/shell';
import { idOf, startTestbed, type Testbed } from '#test/slurm/testbed';

const SETUP_TIMEOUT_MS = 15 * 60_000; // Packages may have to be installed.
const ENDING_TIMEOUT_MS = 4 * 60_000;
/** Slurm looks at time limits and deadlines every 30 s only. */
const SLURM_TIMEOUT_MS = 2 * 60_000;
/** A job that ends at once when it is started for the second time. */
const SLEEP_ONCE = 'test -n "$SLURM_RESTART_COUNT" || sleep 120; sleep 1';
/** Far more than any of them costs. */
const DOLLARS = 100;

let bed: Testbed;
let agent: AgentRunner;

/** The endings that happen at once, and the accounts that they need. */
const endings: { readonly name: string; readonly accounts: readonly string[]; readonly happen: (stage: Stage) => Promise<void> }[] = [];
const ending = (name: string, happen: (stage: Stage) => Promise<void>, moreAccounts: readonly string[] = []): void => {
  const account = `e${endings.length}`;
  endings.push({ name, accounts: [account, ...moreAccounts], happen });
};

/** What one ending does, on its own account. */
interface Stage {
  readonly account: string;
  /** sbatch as the ordinary user: a node for a minute in `aws`, unless the arguments say otherwise. Resolves to the job's id. */
  submit(script: string, ...args: string[]): Promise<string>;
  submitOutcome(script: string, ...args: string[]): Promise<Outcome>;
  /** By root, whom the plugin does not ask about. */
  submitExempt(script: string, ...args: string[]): Promise<string>;
  /** Until squeue shows the job in this state. */
  until(jobId: string, state: string): Promise<void>;
  /** The same for several, and which it was. */
  untilOneOf(jobId: string, ...states: string[]): Promise<string>;
  root(command: string, ...args: string[]): Promise<void>;
  /** Passes until all is paid, and then what the ledger and sacct must agree on. `states`: of sacct's rows, one each. */
  settled(...states: string[]): Promise<Settled>;
}

const stageOf = (name: string, account: string): Stage => {
  const args = (script: string, more: readonly string[]) => [
    '-A',
    account,
    '-p',
    'aws',
    '-N1',
    '-t',
    '1',
    '--mem=16',
    ...more,
    '--wrap',
    script,
  ];
  const untilOneOf: Stage['untilOneOf'] = async (jobId, ...states) => {
    let seen = '';
    await eventually(
      `job ${jobId} is ${states.join(' or ')}`,
      async () => {
        seen = (await agent.stateOf(jobId)) ?? '';
        return states.includes(seen);
      },
      SLURM_TIMEOUT_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${seen || 'not there'}`);
    });
    return seen;
  };
  return {
    account,
    submit: async (script, ...more) => idOf(await bed.cluster.run('sbatch', args(script, more))),
    submitOutcome: (script, ...more) => bed.cluster.run('sbatch', args(script, more)),
    submitExempt: async (script, ...more) => idOf(await bed.cluster.asRoot('sbatch', args(script, more), { cwd: '/' })),
    until: async (jobId, state) => void (await untilOneOf(jobId, state)),
    untilOneOf,
    root: async (command, ...rest) => {
      const { code, stdout, stderr } = await bed.cluster.asRoot(command, rest);
      if (code !== 0) throw new Error(`${command} ${rest.join(' ')} ended with ${code}: ${stdout}${stderr}`);
    },
    settled: async (...states) => {
      const settled = await agent.untilSettled(account, states);
      console.log(`${name}: ${settled.states.join(' ')}: ${settled.used} micro-dollars`);
      expect(settled.states).toEqual([...states].sort());
      expect({ used: settled.used, held: settled.held }).toEqual({ used: settled.owed, held: 0 });
      expect(await differences(account)).toEqual([]);
      return settled;
    },
  };
};

/** What the audit finds in one account, or in all of them. */
const differences = async (account?: string): Promise<unknown[]> => {
  const found: unknown[] = [];
  for (let cursor: string | undefined; ; ) {
    const answer = await bed.budget.api.request('audit', { body: { account, cursor } });
    found.push(...answer.differences);
    if (answer.cursor === undefined) return found;
    cursor = answer.cursor;
  }
};

const MINUTE_OF_A_NODE = 51_000n; // $3.06 / 60

ending('COMPLETED', async ({ submit, until, settled }) => {
  await until(await submit('sleep 1'), 'COMPLETED');
  expect((await settled('COMPLETED')).used).toBe(MINUTE_OF_A_NODE);
});

ending('FAILED', async ({ submit, until, settled }) => {
  await until(await submit('exit 3'), 'FAILED');
  expect((await settled('FAILED')).used).toBe(MINUTE_OF_A_NODE);
});

ending('TIMEOUT', async ({ submit, until, settled }) => {
  await until(await submit('sleep 300'), 'TIMEOUT');
  expect((await settled('TIMEOUT')).used).toBeGreaterThanOrEqual(MINUTE_OF_A_NODE);
});

ending('OUT_OF_MEMORY', async ({ submit, until, settled }) => {
  const jobId = await submit('sleep 60');
  await until(jobId, 'RUNNING');
  await must(join(bed.cluster.folder, 'build/end-out-of-memory'), [jobId], { env: slurmEnv() });
  await settled('OUT_OF_MEMORY');
});

ending('CANCELLED while it runs', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 60');
  await until(jobId, 'RUNNING');
  await root('scancel', jobId);
  expect((await settled('CANCELLED')).used).toBe(MINUTE_OF_A_NODE);
});

ending('CANCELLED while it waits', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 1', '--begin=now+1hour');
  await until(jobId, 'PENDING');
  await root('scancel', jobId);
  expect((await settled('CANCELLED')).used).toBe(0n);
});

ending('CANCELLED while it is held', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 1', '--hold');
  await agent.pass();
  await until(jobId, 'PENDING');
  await root('scancel', jobId);
  expect((await settled('CANCELLED')).used).toBe(0n);
});

ending('DEADLINE', async ({ submit, until, settled }) => {
  await until(await submit('sleep 1', '-p', 'nowhere', '--deadline=now+65seconds'), 'DEADLINE');
  expect((await settled('DEADLINE')).used).toBe(0n);
});

/** One node that is lost while a job runs on it, and then comes back. */
const nodeFailure = async (stage: Stage, node: string, ...args: string[]): Promise<string> => {
  const jobId = await stage.submit(SLEEP_ONCE, '-w', node, ...args);
  await stage.until(jobId, 'RUNNING');
  await agent.pass();
  await stage.root('scontrol', 'update', `NodeName=${node}`, 'State=DOWN', 'Reason=lost');
  await stage.until(jobId, args.includes('--requeue') ? 'PENDING' : 'NODE_FAIL');
  // It may be back already, since its slurmd lives: ReturnToService=2.
  await bed.cluster.asRoot('scontrol', ['update', `NodeName=${node}`, 'State=RESUME']);
  return jobId;
};
/** Slurm lets a requeued job wait for two minutes, since its nodes refuse for a moment what was just ended there. */
const startNow = async ({ root }: Stage, jobId: string): Promise<void> => {
  await new Promise((done) => setTimeout(done, 3_000));
  await root('scontrol', 'update', `JobId=${jobId}`, 'StartTime=now');
};

ending('NODE_FAIL, charged', async (stage) => {
  await nodeFailure(stage, 'fail1', '-p', 'charged', '--no-requeue');
  expect((await stage.settled('NODE_FAIL')).used).toBe(MINUTE_OF_A_NODE);
});

ending('NODE_FAIL and the next run, both charged', async (stage) => {
  const jobId = await nodeFailure(stage, 'fail2', '-p', 'charged', '--requeue');
  await startNow(stage, jobId);
  await stage.until(jobId, 'COMPLETED');
  expect((await stage.settled('NODE_FAIL', 'COMPLETED')).used).toBe(2n * MINUTE_OF_A_NODE);
});

ending('NODE_FAIL, written off', async (stage) => {
  await nodeFailure(stage, 'fail3', '-p', 'forgiven', '--no-requeue');
  expect((await stage.settled('NODE_FAIL')).used).toBe(0n);
});

ending('NODE_FAIL, written off, and the next run, charged', async (stage) => {
  const jobId = await nodeFailure(stage, 'fail4', '-p', 'forgiven', '--requeue');
  await startNow(stage, jobId);
  await stage.until(jobId, 'COMPLETED');
  expect((await stage.settled('NODE_FAIL', 'COMPLETED')).used).toBe(MINUTE_OF_A_NODE);
});

// Slurm 22.05 writes NODE_FAIL for a node of the cloud that does not come; BOOT_FAIL was BlueGene's.
ending('a node that does not boot, charged', async ({ submit, until, settled }) => {
  await until(await submit('sleep 1', '-p', 'burst', '-w', 'burst1', '--no-requeue'), 'NODE_FAIL');
  expect((await settled('NODE_FAIL')).used).toBe(MINUTE_OF_A_NODE);
});

ending('a node that does not boot, written off, and its job then cancelled', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 1', '-p', 'burstfree', '-w', 'burst3', '--requeue');
  await until(jobId, 'CONFIGURING');
  await until(jobId, 'PENDING');
  await agent.pass();
  await root('scancel', jobId);
  expect((await settled('NODE_FAIL', 'CANCELLED')).used).toBe(0n);
});

ending('PREEMPTED and its next run', async (stage) => {
  const low = await stage.submit(SLEEP_ONCE, '-p', 'low', '-w', 'few1', '--requeue');
  await stage.until(low, 'RUNNING');
  await agent.pass();
  const high = await stage.submit('sleep 1', '-p', 'high', '-w', 'few1');
  await stage.until(high, 'COMPLETED');
  await startNow(stage, low);
  await stage.until(low, 'COMPLETED');
  await stage.settled('PREEMPTED', 'COMPLETED', 'COMPLETED');
});

ending('PREEMPTED for good', async (stage) => {
  const low = await stage.submit('sleep 120', '-p', 'low', '-w', 'few2', '--no-requeue');
  await stage.until(low, 'RUNNING');
  await stage.until(await stage.submit('sleep 1', '-p', 'high', '-w', 'few2'), 'COMPLETED');
  await stage.settled('PREEMPTED', 'COMPLETED');
});

ending('REQUEUED and its next run', async (stage) => {
  const jobId = await stage.submit(SLEEP_ONCE, '--requeue');
  await stage.until(jobId, 'RUNNING');
  await agent.pass();
  await stage.root('scontrol', 'requeue', jobId);
  await stage.until(jobId, 'PENDING');
  await agent.pass();
  await startNow(stage, jobId);
  await stage.until(jobId, 'COMPLETED');
  await stage.settled('REQUEUED', 'COMPLETED');
});

ending('REQUEUED between two passes', async (stage) => {
  const jobId = await stage.submit(SLEEP_ONCE, '--requeue');
  await stage.until(jobId, 'RUNNING');
  await agent.alone(async (pass) => {
    await pass();
    await stage.root('scontrol', 'requeue', jobId);
    await stage.until(jobId, 'PENDING');
    await startNow(stage, jobId);
    await stage.until(jobId, 'COMPLETED');
  });
  await stage.settled('REQUEUED', 'COMPLETED');
});

// Slurm rewrites the row of the first run: REQUEUED, with the time of the requeue as its end. Within a minute it costs the same.
ending('a finished job that is requeued', async (stage) => {
  const jobId = await stage.submit('sleep 1', '--requeue');
  await stage.until(jobId, 'COMPLETED');
  await stage.settled('COMPLETED');
  await stage.root('scontrol', 'requeue', jobId);
  await stage.until(jobId, 'PENDING');
  await agent.pass();
  await startNow(stage, jobId);
  await stage.until(jobId, 'COMPLETED');
  expect((await stage.settled('REQUEUED', 'COMPLETED')).used).toBe(2n * MINUTE_OF_A_NODE);
});

ending('RESIZING', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 600', '-p', 'pair', '-N2', '-t', '10');
  await until(jobId, 'RUNNING');
  await agent.pass();
  await new Promise((done) => setTimeout(done, 62_000)); // Past the minimum, so that seconds count.
  await root('scontrol', 'update', `JobId=${jobId}`, 'NumNodes=1');
  await agent.pass();
  await root('scancel', jobId);
  // Two nodes for more than a minute, and then one.
  expect((await settled('RESIZING', 'CANCELLED')).used).toBeGreaterThan(3n * MINUTE_OF_A_NODE);
});

ending('suspended for a while', async ({ submit, until, root, settled }) => {
  const jobId = await submit('for i in $(seq 55); do sleep 1; done', '-t', '3');
  await until(jobId, 'RUNNING');
  await root('scontrol', 'suspend', jobId);
  await until(jobId, 'SUSPENDED');
  await agent.pass();
  await new Promise((done) => setTimeout(done, 15_000));
  await root('scontrol', 'resume', jobId);
  await until(jobId, 'COMPLETED');
  // The suspension is billed as well.
  expect((await settled('COMPLETED')).used).toBeGreaterThan(MINUTE_OF_A_NODE);
});

ending('tasks of an array, one by one', async ({ submit, until, root, settled }) => {
  const jobId = await submit('case $SLURM_ARRAY_TASK_ID in 1) sleep 1;; 2) exit 1;; 3) sleep 60;; 4) sleep 6;; esac', '--array=1-4');
  await until(`${jobId}_3`, 'RUNNING');
  await until(`${jobId}_1`, 'COMPLETED');
  await agent.pass();
  await root('scancel', `${jobId}_3`);
  await until(`${jobId}_4`, 'COMPLETED');
  expect((await settled('COMPLETED', 'FAILED', 'CANCELLED', 'COMPLETED')).used).toBe(4n * MINUTE_OF_A_NODE);
});

ending('a waiting array that is cancelled in part, and then the rest', async ({ submit, root, settled }) => {
  const jobId = await submit('sleep 1', '--array=1-6', '--hold');
  await agent.pass();
  await root('scancel', `${jobId}_2`, `${jobId}_4`);
  await agent.pass();
  await root('scancel', jobId);
  expect((await settled('CANCELLED')).used).toBe(0n);
});

// Slurm 22.05 leaves no row of a single task that was cancelled while it waited.
ending('a waiting array that is cancelled in part, and the rest runs', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 1', '--array=1-5', '--hold');
  await agent.pass();
  await root('scancel', `${jobId}_2`);
  await root('scontrol', 'release', jobId);
  for (const task of [1, 3, 4, 5]) await until(`${jobId}_${task}`, 'COMPLETED');
  await settled('COMPLETED', 'COMPLETED', 'COMPLETED', 'COMPLETED');
});

ending('an array whose last tasks are cancelled while they wait', async ({ submit, until, root, settled }) => {
  const jobId = await submit('test $SLURM_ARRAY_TASK_ID = 1 || sleep 600; sleep 1', '--array=1-6%1');
  await until(`${jobId}_1`, 'COMPLETED');
  await until(`${jobId}_2`, 'RUNNING');
  await agent.pass();
  await root('scancel', jobId);
  await settled('COMPLETED', 'CANCELLED', 'CANCELLED');
});

ending('components of a het job', async ({ account, until, settled }) => {
  const one = ['-A', account, '-N1', '-t', '1', '--mem=16'];
  // Components never share a node.
  const jobId = idOf(await bed.cluster.run('sbatch', ['-p', 'aws', ...one, ':', '-p', 'charged', ...one, '--wrap', 'sleep 1']));
  await until(jobId, 'COMPLETED');
  expect((await settled('COMPLETED', 'COMPLETED')).used).toBe(2n * MINUTE_OF_A_NODE);
});

ending('an admin_comment that is lost while the job lives', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 600');
  await until(jobId, 'RUNNING');
  await agent.pass();
  await root('scontrol', 'update', `JobId=${jobId}`, 'AdminComment=site');
  await agent.pass();
  await root('scancel', jobId);
  await settled('CANCELLED');
});

ending('an admin_comment that is overwritten after the end', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 600');
  await until(jobId, 'RUNNING');
  await agent.pass();
  await agent.alone(async () => {
    await root('scancel', jobId);
    await until(jobId, 'CANCELLED');
    await eventually('sacctmgr knows the job', async () => {
      await root('sacctmgr', '-i', 'modify', 'job', 'where', `jobid=${jobId}`, 'set', 'AdminComment=epilog');
      const { stdout } = await bed.cluster.asRoot('sacct', ['-n', '-X', '-P', '-j', jobId, '-o', 'State,AdminComment']);
      return /^CANCELLED.*\|epilog$/.test(stdout.trim());
    });
  });
  await settled('CANCELLED');
});

ending('a job of a guarded and a local partition that ran locally', async ({ submit, until, settled }) => {
  await until(await submit('sleep 1', '-p', 'nowhere,local'), 'COMPLETED');
  expect((await settled('COMPLETED')).used).toBe(0n);
});

ending('a shared node, by its CPUs', async ({ submit, until, settled }) => {
  await until(await submit('sleep 1', '-p', 'sharedcpu', '-c5'), 'COMPLETED');
  expect((await settled('COMPLETED')).used).toBe(3_542n); // 5 of 72 CPUs
});

ending('a shared node, by its memory', async ({ submit, until, settled }) => {
  await until(await submit('sleep 1', '-p', 'sharedmem'), 'COMPLETED');
  expect((await settled('COMPLETED')).used).toBe(12_750n); // 16 of 64 MiB
});

ending('a shared node, by its GPUs', async ({ submit, until, settled }) => {
  await until(await submit('sleep 1', '-p', 'sharedgpu', '--gres=gpu:2'), 'COMPLETED');
  expect((await settled('COMPLETED')).used).toBe(32_600n); // 2 of 4 GPUs
});

ending('a run that ends after its hold was released', async ({ submit, until, root, settled }) => {
  const holdId = await agent.alone(async (pass) => {
    const jobId = await submit('sleep 600');
    await until(jobId, 'RUNNING');
    await pass();
    const { hold_id } = await bed.holdOf(jobId);
    await bed.budget.api.request('releaseHold', { path: { hold_id }, body: {} });
    await root('scancel', jobId);
    await until(jobId, 'CANCELLED');
    return hold_id;
  });
  await settled('CANCELLED');
  expect(await bed.budget.hold(holdId)).toMatchObject({ state: 'released', used: 0.051 });
});

ending('a hold that is released under a live job', async ({ account, submit, until, root, settled }) => {
  const jobId = await submit('sleep 600');
  await until(jobId, 'RUNNING');
  await agent.pass();
  await bed.budget.api.request('releaseHold', { path: { hold_id: (await bed.holdOf(jobId)).hold_id }, body: {} });
  await eventually('the job has a hold again', async () => (await agent.pass()) && (await bed.held(account)) === 0.0612);
  await root('scancel', jobId);
  await settled('CANCELLED');
});

ending('a run that ends after its hold has expired', async ({ account, submitExempt, until, root, settled }) => {
  const hold_id = randomUUID();
  const job = { account, partition: 'aws', cluster: CLUSTER_NAME, nodes: 1, wall_time: '0:01' };
  await bed.budget.api.request('checkBudget', { body: { ...job, hold_id } });
  // Bound to a job that this agent never sees: nobody may say of it that it did not run, so its hold expires.
  const nobody = { cluster: CLUSTER_NAME, job_id: '60000', submitted_at: new Date().toISOString() };
  await bed.budget.api.request('bindHold', { path: { hold_id }, body: nobody });
  await eventually('the hold expires', async () => (await bed.budget.hold(hold_id)).state === 'expired', SLURM_TIMEOUT_MS);
  await agent.alone(async () => {
    const jobId = await submitExempt('sleep 1', '--hold');
    await root('scontrol', 'update', `JobId=${jobId}`, `AdminComment=asbb:${hold_id}`);
    await root('scontrol', 'release', jobId);
    await until(jobId, 'COMPLETED');
  });
  await settled('COMPLETED');
  expect(await bed.budget.hold(hold_id)).toMatchObject({ state: 'expired', used: 0.051 });
});

ending('a clock that jumps', async ({ account, submit, until, root, settled }) => {
  const runs = await submit('sleep 600');
  const waits = await submit('sleep 1', '--hold');
  await until(runs, 'RUNNING');
  await agent.alone(async (pass) => {
    for (const clock of ['+240s', '-240s', '+240s', '+0s', '-240s']) await pass({ clock });
    // Further off, and the API takes no signature of it.
    for (const clock of ['+1d', '-1d']) await expect(pass({ clock })).rejects.toThrow('check the clock');
    expect(await bed.held(account)).toBe(0.1224);
  });
  await agent.alone(async (pass) => {
    await root('scancel', runs);
    await until(runs, 'CANCELLED');
    for (const clock of ['-240s', '+240s']) await pass({ clock });
  });
  await root('scontrol', 'release', waits);
  await until(waits, 'COMPLETED');
  expect((await settled('CANCELLED', 'COMPLETED')).used).toBe(2n * MINUTE_OF_A_NODE);
});

ending(
  'orphans: a test, and jobs that Slurm refused after the plugin',
  async ({ account, submitOutcome, settled }) => {
    const test = await submitOutcome('true', '--test-only');
    const refused = await submitOutcome('true', '-C', 'nonsense');
    const foreign = await submitOutcome('true', '-A', 'unassociated');
    expect([test.code, refused.code, foreign.code]).toEqual([0, 1, 1]);
    expect([await bed.held(account), await bed.held('unassociated')]).toEqual([0.1224, 0.0612]);
    await settled();
    await eventually('the other account has its money back', async () => (await agent.pass()) && (await bed.held('unassociated')) === 0);
  },
  ['unassociated'],
);

ending('a job that Slurm wrote down and refused', async ({ submitOutcome, settled }) => {
  expect((await submitOutcome('true', '--mem=140500M')).code).toBe(1);
  // It fits an instance, but no node of slurm.conf. Its row has no start, and at times no partition either.
  expect((await settled('FAILED')).runs).toMatchObject([{ seconds: null }]);
});

ending('a job of an exempt user', async ({ account, submitExempt, until, root, settled }) => {
  const jobId = await submitExempt('sleep 600');
  await until(jobId, 'RUNNING');
  await agent.pass();
  expect(await bed.job(jobId)).not.toHaveProperty('AdminComment');
  const { holds } = await holdsOf(account);
  expect(holds).toMatchObject([{ forced: true, state: 'open', job_id: jobId, amount: 0.0612 }]);
  await root('scancel', jobId);
  await settled('CANCELLED');
});

ending('a job of an exempt user that no pass saw alive', async ({ submitExempt, until, settled }) => {
  await agent.alone(async () => until(await submitExempt('sleep 1'), 'COMPLETED'));
  await settled('COMPLETED');
});

ending('a hold that is extended while its job waits', async ({ submit, until, root, settled }) => {
  const jobId = await submit('sleep 1', '--hold');
  const before = (await bed.holdOf(jobId)).expires_at;
  await eventually('the hold is extended', async () => (await agent.pass()) && (await bed.holdOf(jobId)).expires_at > before, 90_000);
  await root('scontrol', 'release', jobId);
  await until(jobId, 'COMPLETED');
  await settled('COMPLETED');
});

ending(
  'a job that scontrol moves to another account',
  async ({ account, submit, until, root, settled }) => {
    const jobId = await submit('sleep 1', '--hold');
    await agent.pass();
    await root('scontrol', 'update', `JobId=${jobId}`, 'Account=elsewhere');
    await agent.pass();
    expect([await bed.held(account), await bed.held('elsewhere')]).toEqual([0, 0.0612]);
    await root('scontrol', 'release', jobId);
    await until(jobId, 'COMPLETED');
    await settled();
    await stageOf('the other account', 'elsewhere').settled('COMPLETED');
  },
  ['elsewhere'],
);

const slurmEnv = () => ({ SLURM_CONF: join(bed.cluster.folder, 'etc/slurm.conf') });

const holdsOf = (account: string) => bed.budget.api.request('listHoldsOfAccount', { path: { account } });

// --- what happens to the whole cluster ------------------------------------------------------------------------------------

const LATER = ['open', 'longer', 'adopted', 'away', 'vanished', 'next', 'rebuilt', 'first'] as const;
const accounts = [...endings.flatMap((each) => each.accounts), ...LATER];

vi.setConfig({ testTimeout: ENDING_TIMEOUT_MS, maxConcurrency: endings.length });

beforeAll(async () => {
  bed = await startTestbed('bookworm', {
    more: moreOfSlurm(accounts.filter((account) => account !== 'unassociated')),
    guarded: Object.keys(MODELS).filter((name) => name !== 'awsopen'),
    settings: { ExemptUsers: 'root' },
    serviceConfig: 'budget: { reconciliation_timeout: 30s }\n',
  });
  for (const account of ['physics', ...accounts]) await bed.budget.open(account, DOLLARS);
  for (const [partition, body] of Object.entries(MODELS)) await bed.budget.api.request('putPartition', { path: { partition }, body });
  const client = join(bed.cluster.folder, 'build/end-out-of-memory');
  await must('gcc', ['-Wall', '-Wextra', '-Werror', join(import.meta.dirname, 'end-out-of-memory.c'), '-o', client, '-lslurm']);
  agent = createAgentRunner(bed);
}, SETUP_TIMEOUT_MS);

afterAll(async () => {
  await bed?.stop();
}, 60_000);

describe.concurrent('ends with used equal to what sacct says, held 0 and a clean audit:', () => {
  for (const {
    name,
    accounts: [account = ''],
    happen,
  } of endings)
    it(name, () => happen(stageOf(name, account)));
});

describe('and so it does when', () => {
  const onItsOwn = (name: string, account: (typeof LATER)[number], happen: (stage: Stage) => Promise<void>): void => {
    it(name, () => happen(stageOf(name, account)));
  };
  const apiAway = async <T>(work: () => Promise<T>): Promise<T> => {
    await bed.proxy.goAway();
    try {
      return await work();
    } finally {
      await bed.proxy.comeBack();
      const asked = await eventually('the plugin asks the API again', async () => {
        const outcome = await bed.submit('-A', 'physics', '-p', 'aws', '-N1', '-t', '1');
        return outcome.code === 0 && outcome;
      });
      await bed.cluster.run('scancel', [idOf(asked)]);
    }
  };

  onItsOwn('a job was let in while the API was away', 'open', async ({ account, submit, until, root, settled }) => {
    const spool = join(bed.cluster.folder, 'state/asbb.spool');
    const jobId = await apiAway(async () => {
      const id = await submit('sleep 600', '-p', 'awsopen');
      expect(readFileSync(spool, 'utf8')).not.toBe('');
      return id;
    });
    await until(jobId, 'RUNNING');
    await agent.pass();
    expect((await holdsOf(account)).holds).toMatchObject([{ forced: true, state: 'open', job_id: jobId }]);
    expect(existsSync(spool) ? readFileSync(spool, 'utf8') : '').toBe('');
    await root('scancel', jobId);
    await settled('CANCELLED');
  });

  onItsOwn(
    'a time limit was changed while the API was away, beyond the budget and back',
    'longer',
    async ({ account, submit, until, root, settled }) => {
      const jobId = await submit('sleep 1', '--hold');
      await agent.pass();
      await apiAway(() => root('scontrol', 'update', `JobId=${jobId}`, 'TimeLimit=2-00'));
      expect(await bed.held(account)).toBe(0.0612);
      await agent.pass();
      expect((await holdsOf(account)).holds).toMatchObject([{ forced: true, amount: 176.256 }]);
      expect((await bed.budget.api.request('showAccount', { path: { account } })).budget_available).toBe(DOLLARS - 176.256);
      await root('scontrol', 'update', `JobId=${jobId}`, 'TimeLimit=1');
      await agent.pass();
      expect(await bed.held(account)).toBe(0.0612);
      await root('scontrol', 'release', jobId);
      await until(jobId, 'COMPLETED');
      await settled('COMPLETED');
    },
  );

  onItsOwn('a job was submitted while the plugin was off', 'adopted', async ({ account, submit, until, root, settled }) => {
    const restart = async (plugin: 'budget' | undefined): Promise<void> => {
      await bed.cluster.stopController();
      bed.cluster.setConf({ JobSubmitPlugins: plugin });
      await bed.cluster.startController();
    };
    await restart(undefined);
    const jobId = await submit('sleep 600');
    await restart('budget');
    await until(jobId, 'RUNNING');
    await agent.pass();
    expect((await holdsOf(account)).holds).toMatchObject([{ forced: true, state: 'open', job_id: jobId }]);
    await root('scancel', jobId);
    await settled('CANCELLED');
  });

  onItsOwn('slurmdbd is away for long', 'away', async ({ account, submit, submitOutcome, until, root, settled }) => {
    const seen = await submit('sleep 600');
    await until(seen, 'RUNNING');
    await agent.pass();
    await bed.cluster.killAccounting();
    await submitOutcome('true', '--test-only');
    const unseen = await submit('sleep 1');
    await until(unseen, 'COMPLETED');
    await root('scancel', seen);
    await until(seen, 'CANCELLED');
    const passes: Pass[] = [];
    for (const end = Date.now() + 3 * ORPHAN_AFTER_MS; Date.now() < end; ) passes.push(await agent.pass());
    expect(passes.length).toBeGreaterThan(2);
    for (const { problems } of passes) expect(problems.join()).toContain('sacct ended with status 1');
    expect(passes.map(({ released, closed, settled }) => released + closed + settled)).toEqual(passes.map(() => 0));
    expect(await bed.held(account)).toBe(0.1836);
    bed.cluster.startAccounting();
    expect((await settled('CANCELLED', 'COMPLETED')).used).toBe(2n * MINUTE_OF_A_NODE);
  });

  const usedOf = async (account: string) => (await bed.budget.api.request('showAccount', { path: { account } })).budget_used;
  /** slurmdbd knows that the job runs. */
  const isAccounted = (jobId: string, account: string) =>
    eventually('sacct shows the job', async () => {
      const args = ['-n', '-X', '-P', '-A', account, '-j', jobId, '-o', 'State,Start'];
      return /^RUNNING\|\d/.test((await bed.cluster.asRoot('sacct', args)).stdout);
    });

  onItsOwn('slurmctld is killed before it saved two jobs, and gives their numbers to others', 'vanished', async (stage) => {
    const { account, submit, until, settled } = stage;
    const state = await bed.cluster.copyState();
    const ran = await submit('sleep 600', '-t', '20');
    const waited = await submit('sleep 1', '--hold');
    await until(ran, 'RUNNING');
    await isAccounted(ran, account);
    await agent.pass();
    await bed.cluster.stopController('SIGKILL');
    await state.bringBack();
    await bed.cluster.startController();
    const next = stageOf('jobs of the same numbers', 'next');
    const again = [await next.submit('sleep 1'), await next.submit('sleep 1')] as const;
    expect(again).toEqual([ran, waited]);
    // A node that still has the forgotten job may fail the other one of its number: its minute is charged all the same.
    const ends = [await next.untilOneOf(again[0], 'COMPLETED', 'FAILED'), await next.untilOneOf(again[1], 'COMPLETED')];
    expect((await next.settled(...ends)).used).toBe(2n * MINUTE_OF_A_NODE);
    // Nobody accounts for the forgotten ones. The one that ran is charged until it was missed, which is less than a minute.
    await eventually('nothing is held', async () => (await agent.pass()) && (await bed.held(account)) === 0, 60_000);
    expect(await usedOf(account)).toBe(0.051);
    // An administrator ends their rows in slurmdbd: now they are accounted for, and still charged once.
    const { stdout } = await bed.cluster.asRoot('sacctmgr', ['-i', 'show', 'runawayjobs']);
    expect(stdout).toContain(ran);
    const { states } = await agent.untilSettled(account, ['COMPLETED']);
    await settled(...states);
    expect(await usedOf(account)).toBe(0.051);
  });

  onItsOwn('the cluster is rebuilt, with job ids from 1', 'rebuilt', async ({ account, submit, until, settled }) => {
    const ran = await submit('sleep 600', '-t', '20');
    await submit('sleep 1', '--hold');
    await until(ran, 'RUNNING');
    await isAccounted(ran, account);
    await agent.pass();
    await bed.cluster.stopController('SIGKILL');
    bed.cluster.forgetState();
    await bed.cluster.startController();
    const first = stageOf('the first job of the rebuilt cluster', 'first');
    const jobId = await first.submit('sleep 1');
    expect(jobId).toBe('1');
    await first.until(jobId, 'COMPLETED');
    expect((await first.settled('COMPLETED')).used).toBe(MINUTE_OF_A_NODE);
    // Slurm itself ends the rows of jobs that it finds in slurmdbd and not in its state.
    expect((await settled('CANCELLED', 'CANCELLED')).used).toBe(MINUTE_OF_A_NODE);
  });

  it('the state file is lost: nothing changes, and nothing is left open', async () => {
    const all = async () =>
      (await bed.budget.api.request('listAccounts', { query: { limit: '500' } })).accounts.map(({ account, budget_used, budget_held }) => ({
        account,
        budget_used,
        budget_held,
      }));
    const before = await all();
    agent.loseState();
    for (let passes = 0; passes < 2; passes += 1) await agent.pass();
    expect(await all()).toEqual(before);
    expect(before.filter(({ budget_held }) => budget_held !== 0)).toEqual([]);
    expect(await differences()).toEqual([]);
  });
});
