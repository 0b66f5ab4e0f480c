// What the agent asks for grows with what is new, and with nothing else: counted in commands and requests, never in time.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Agent, type AgentParts, createAgent } from '#cli/agent/agent';
import type { AccountedRun, QueuedJob } from '#cli/agent/ports';
import { createSlurmCommands } from '#cli/agent/slurm-commands';
import { createStateFile } from '#cli/agent/state';
import { aCountingService, aCountingSlurm, aStateInMemory, CLUSTER, type CountingService } from '#test/agent/counting';
import { accountedLine, aFakeSlurm, configOf, queueLine } from '#test/agent/fake-slurm';
import { TEN_DOLLARS, temporaryFolder } from '#test/http/api';

const NOON = Date.UTC(2026, 10, 25, 12);
const NOON_SECONDS = NOON / 1000;
const TASKS_PER_ARRAY = 100;
const MAX_RUNS_PER_REQUEST = 40;

const anAgent = (service: CountingService, parts: Pick<AgentParts, 'slurm' | 'state'>): Agent =>
  createAgent({
    ...parts,
    api: service.api,
    guard: { guards: (partition) => partition === 'aws' },
    settings: { cluster: CLUSTER, clusterUid: 'u', orphanAfterMs: 120_000, agentVersion: '0' },
    drains: {},
    now: service.now,
    sha256: (text) => createHash('sha256').update(text).digest('hex'),
    complain: (sentence) => {
      throw new Error(sentence);
    },
    keepAside: ({ reason }) => {
      throw new Error(reason);
    },
  });

const aService = async (): Promise<CountingService> => {
  const service = aCountingService(NOON);
  await service.api.request('putPartition', { path: { partition: 'aws' }, body: TEN_DOLLARS });
  await service.api.request('createAccount', { body: { account: 'physics', budget_limit: 100_000_000 } });
  return service;
};

/** A hold that is bound, as a former agent has left it. */
const boundHold = async ({ api }: CountingService, { jobId, array }: { jobId: string; array?: string }): Promise<string> => {
  const hold_id = randomUUID();
  const job = {
    account: 'physics',
    partition: 'aws',
    nodes: 1,
    wall_time: '01:00:00',
    cluster: CLUSTER,
    ...(array === undefined ? {} : { array }),
  };
  const submitted_at = new Date(NOON - 3_600_000).toISOString();
  await api.request('forceHold', { body: { ...job, hold_id, job_id: jobId, submitted_at, reason: 'test' } });
  return hold_id;
};

/** Half of the runs are single jobs, half are tasks of arrays. Each took a minute. */
const endedRuns = async (service: CountingService, count: number): Promise<AccountedRun[]> => {
  const runs: AccountedRun[] = [];
  const add = (jobId: string, submissionId: string, more: Partial<AccountedRun>): void => {
    const startedAt = NOON_SECONDS - 1800 + (runs.length % 1000);
    runs.push({
      ...{ dbIndex: String(runs.length + 1), jobId, submissionId, cluster: CLUSTER, user: 'alice', account: 'physics', partition: 'aws' },
      ...{
        state: 'COMPLETED',
        submittedAt: NOON_SECONDS - 3600,
        startedAt,
        endedAt: startedAt + 60,
        nodes: 1,
        tres: 'cpu=1,node=1',
        ...more,
      },
    });
  };
  for (let job = 1; job <= count / 2; job++) {
    const holdId = await boundHold(service, { jobId: String(job) });
    add(String(job), String(job), { holdId });
  }
  for (let array = 0; array < count / 2 / TASKS_PER_ARRAY; array++) {
    const first = 1_000_000 + array * TASKS_PER_ARRAY;
    const holdId = await boundHold(service, { jobId: String(first), array: `0-${TASKS_PER_ARRAY - 1}` });
    for (let task = 0; task < TASKS_PER_ARRAY; task++)
      add(String(first + task), String(first), { holdId, tasks: [{ first: task, last: task, step: 1 }] });
  }
  return runs;
};

describe('ended runs', () => {
  it.each([200, 400, 1200])('%i of them cost requests in proportion, and are each charged once', async (count) => {
    const service = await aService();
    const runs = await endedRuns(service, count);
    service.asked();
    const state = {
      v: 1 as const,
      cluster: CLUSTER,
      adoptedAt: 0,
      watermark: NOON_SECONDS - 7200,
      watchedSinceMs: NOON,
      lastLookMs: NOON,
      orphans: [],
      seen: [],
    };
    const slurm = aCountingSlurm({ queue: () => [], ended: () => runs });
    const agent = anAgent(service, { slurm, state: aStateInMemory(state) });
    expect((await agent.pass()).counts).toMatchObject({ settled: count });

    const singles = count / 2;
    const arrays = count / 2 / TASKS_PER_ARRAY;
    expect(service.asked()).toEqual({
      beatCluster: 1,
      listHoldsOfCluster: Math.ceil((singles + arrays + 1) / 500) + 1, // Pages of bound ones, and one of unbound ones.
      settleRuns: singles + arrays * Math.ceil(TASKS_PER_ARRAY / MAX_RUNS_PER_REQUEST),
    });
    expect(slurm.called()).toEqual({ scontrol: 1, squeue: 1, sacct: 1, sdiag: 1 });
    const { budget_used, budget_held } = await service.api.request('showAccount', { path: { account: 'physics' } });
    // $10 an hour for a minute is 166,666.67 micro-dollars, each rounded up.
    expect(BigInt(Math.round(budget_used * 1e6))).toBe(BigInt(count) * 166_667n);
    expect(budget_held).toBe(0);
  });
});

describe('a pass with nothing new', () => {
  it.each([
    ['with slurmdbd', 'accounting_storage/slurmdbd', ['squeue', 'sacct']],
    ['without', '(null)', ['squeue']],
  ])('%s is one look, one heartbeat and one list of unbound holds', async (_, storage, expected) => {
    const folder = temporaryFolder();
    onTestFinished(folder.remove);
    const service = await aService();
    const slurm = aFakeSlurm(folder.path);
    slurm.prints('scontrol', configOf({ AccountingStorageType: storage }));
    const marks = [];
    for (const jobId of ['1', '2', '3']) marks.push(`asbb:${await boundHold(service, { jobId })}`);
    const [running, waiting, over] = marks as [string, string, string];
    const submitted = NOON_SECONDS - 3600;
    const times = { submitted, started: NOON_SECONDS - 90, ended: NOON_SECONDS - 30 };
    slurm.prints(
      'squeue',
      queueLine({ id: '1', submitted, started: submitted + 60, comment: running }) +
        queueLine({ id: '2', submitted, state: 'PENDING', comment: waiting }) +
        queueLine({ id: '3', state: 'COMPLETED', comment: over, ...times }) +
        queueLine({ id: '4', submitted, partition: 'local' }),
    );
    slurm.prints('sacct', accountedLine({ id: '3', index: 3, comment: over, ...times }));
    const commands = createSlurmCommands({ binPath: slurm.binPath, env: { PATH: process.env.PATH }, timeoutMs: 10_000, uid: 0 });
    const stateFile = `${folder.path}/state/agent.json`;
    const state = createStateFile(stateFile, () => undefined);
    const agent = anAgent(service, { slurm: commands, state });
    expect((await agent.pass()).counts).toMatchObject({ settled: 1 });
    expect(existsSync(stateFile)).toBe(true);

    for (const _pass of ['second', 'third', 'fourth']) {
      service.advance(15_000);
      service.asked();
      slurm.calls();
      const { counts } = await agent.pass();
      expect(Object.values(counts).every((each) => each === 0)).toBe(true);
      expect(
        slurm
          .calls()
          .map((line) => line.split(' ')[0])
          .sort(),
      ).toEqual([...expected].sort());
      expect(service.asked()).toEqual({ beatCluster: 1, listHoldsOfCluster: 1 });
    }
  });
});

describe('live jobs', () => {
  const job = (id: number, changes: Partial<QueuedJob>): QueuedJob => ({
    ...{ jobId: String(id), submissionId: String(id), account: 'physics', user: 'alice', partition: 'aws', state: 'PENDING' },
    ...{ nodes: 1, maxNodes: 1, cpus: 1, timeLimitSeconds: 3600, submittedAt: NOON_SECONDS - 3600, startedAt: null, endedAt: null },
    ...{ restarts: 0, tres: 'cpu=1,node=1', nodeList: '', ...changes },
  });

  it('one that runs is never extended; one that waits is, twice a day', async () => {
    const service = await aService();
    for (let id = 1; id <= 20; id++) await boundHold(service, { jobId: String(id) });
    const running = { state: 'RUNNING', startedAt: NOON_SECONDS, timeLimitSeconds: 3600, nodeList: 'node1' };
    const jobs = Array.from({ length: 20 }, (_, index) => job(index + 1, index < 10 ? running : {}));
    const agent = anAgent(service, { slurm: aCountingSlurm({ queue: () => jobs }), state: aStateInMemory() });
    await agent.pass();
    service.asked();
    for (let minute = 0; minute < 24 * 60 + 1; minute += 5) {
      service.advance(5 * 60_000);
      await agent.pass();
    }
    expect(service.asked().extendHold).toBe(10 * 2);
  });
});
