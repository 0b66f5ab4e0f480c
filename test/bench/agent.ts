// The agent after a long absence: how fast ended runs are read, matched and settled, and in how much memory. And how often it
// extends the holds of many live jobs, and what that costs on AWS.
import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAgent } from '#cli/agent/agent';
import { inParallel } from '#cli/agent/desk';
import type { QueuedJob } from '#cli/agent/ports';
import { createApiClient } from '#cli/api-client';
import { aCountingService, aCountingSlurm, aStateInMemory, CLUSTER } from '#test/agent/counting';
import { aFakeSlurm, anAgentMachine } from '#test/agent/fake-slurm';
import { type Section, withServer } from '#test/bench/measure';

const ROUNDS = [0, 10_000, 30_000, 100_000];
const TASKS_PER_ARRAY = 100;
/** 5,000 runs an hour: a hundred thousand in 20 hours. */
const EVERY_SECONDS = 0.72;
const CLIENTS = 8;
const LOOK_EVERY_MS = 50;
const MICRO_USD_PER_HOUR = 3_060_000n; // c5.18xlarge
const RUN_SECONDS = 600n;

/** Ended runs, caught up with by one pass of a new agent. */
export const benchAgent = async (rounds: readonly number[] = ROUNDS): Promise<Section> => {
  const rows: string[][] = [];
  let idleMs = 0;
  for (const count of rounds) {
    const { ms, mebibytes } = await catchUp(count);
    if (count === 0) idleMs = ms;
    const netMs = ms - idleMs;
    const figures = count === 0 ? ['', ''] : [((count * 1000) / netMs).toFixed(0), ((netMs * 1000) / count).toFixed(0)];
    rows.push([count.toLocaleString('en-US'), (ms / 1000).toFixed(1), ...figures, mebibytes.toFixed(0)]);
  }
  return {
    title: 'The agent catches up with ended runs',
    notes: [
      `One \`asbb agent --once\` after an absence, against \`asbb local --store memory\` in a process of its own, on the same cores. Half of the runs are single jobs, half are tasks of arrays of ${TASKS_PER_ARRAY}; they ended at 5,000 an hour, and sacct and squeue are commands that stream them. The first row is what a pass costs that has nothing to do, and is taken off from the rates.`,
      'After each row the account has used what the runs cost, to the micro-dollar, and holds nothing.',
    ],
    head: ['ended runs', 'seconds', 'runs a second', 'µs a run', 'peak RSS of the agent, MiB'],
    rows,
  };
};

const catchUp = (count: number): Promise<{ ms: number; mebibytes: number }> =>
  withServer({ args: ['--store', 'memory'] }, async ({ url }) => {
    const folder = mkdtempSync(join(tmpdir(), 'asbb-bench-agent-'));
    try {
      const api = createApiClient({ endpoint: url, fetch, now: Date.now });
      await api.request('createAccount', { body: { account: 'bench', budget_limit: 900_000_000 } });
      const now = Math.floor(Date.now() / 1000);
      const first = now - 60 - Math.ceil(count * EVERY_SECONDS);
      const holds = await boundHolds(api, count, first);
      const slurm = aFakeSlurm(folder);
      const sacct = join(slurm.binPath, 'sacct');
      copyFileSync(join(import.meta.dirname, 'agent-rows.mjs'), `${sacct}.mjs`);
      const shows = { first, count, everySeconds: EVERY_SECONDS, perArray: TASKS_PER_ARRAY, holds };
      writeFileSync(`${sacct}.mjs.json`, JSON.stringify(shows));
      writeFileSync(sacct, `#!/bin/sh\nexec '${process.execPath}' '${sacct}.mjs' "$@"\n`);
      chmodSync(sacct, 0o755);
      const machine = anAgentMachine(folder, { url, binPath: slurm.binPath, timeout: '2m', orphanAfter: '2m' });
      mkdirSync(join(folder, 'state'));
      const state = {
        v: 1,
        cluster: CLUSTER,
        adoptedAt: 0,
        watermark: first - 60,
        watchedSinceMs: 0,
        lastLookMs: 0,
        orphans: [],
        seen: [],
      };
      writeFileSync(machine.stateFile, JSON.stringify(state));
      const measured = await measure(machine.start(['--once'], ['-o', 'json']), count);
      const { budget_used, budget_held } = await api.request('showAccount', { path: { account: 'bench' } });
      const cost = (MICRO_USD_PER_HOUR * RUN_SECONDS) / 3600n;
      if (BigInt(Math.round(budget_used * 1e6)) !== cost * BigInt(count) || budget_held !== 0)
        throw new Error(`${count} runs have used $${budget_used} and hold $${budget_held}`);
      return measured;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

/** Forced holds, as they are bound at once: first those of the single jobs, then those of the arrays. */
const boundHolds = async (api: ReturnType<typeof createApiClient>, count: number, first: number): Promise<string[]> => {
  const submitted_at = new Date((first - 3600) * 1000).toISOString();
  const jobs = [
    ...Array.from({ length: count / 2 }, (_, index) => ({ job_id: String(1 + index) })),
    ...Array.from({ length: count / 2 / TASKS_PER_ARRAY }, (_, index) => ({
      job_id: String(10_000_000 + index * TASKS_PER_ARRAY),
      array: `0-${TASKS_PER_ARRAY - 1}`,
    })),
  ].map((job) => ({ ...job, hold_id: randomUUID() }));
  await inParallel(jobs, CLIENTS, async (job) => {
    const size = { account: 'bench', partition: 'aws', nodes: 1, wall_time: '01:00:00', cluster: CLUSTER };
    await api.request('forceHold', { body: { ...size, ...job, submitted_at, reason: 'benchmark' } });
  });
  return jobs.map(({ hold_id }) => hold_id);
};

const measure = async (
  { child, ended }: ReturnType<ReturnType<typeof anAgentMachine>['start']>,
  count: number,
): Promise<{ ms: number; mebibytes: number }> => {
  const began = performance.now();
  let kib = 0;
  const timer = setInterval(() => {
    kib = Math.max(kib, peakKibOf(child.pid));
  }, LOOK_EVERY_MS);
  const { status, stdout, stderr } = await ended;
  clearInterval(timer);
  const { settled } = JSON.parse(stdout) as { settled: number };
  if (status !== 0 || settled !== count) throw new Error(`the agent settled ${settled} of ${count}, status ${status}: ${stderr}`);
  return { ms: performance.now() - began, mebibytes: kib / 1024 };
};

const peakKibOf = (pid: number | undefined): number => {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0; // It has just ended.
  }
};

// --- a day of live jobs ---------------------------------------------------------------------------------------------------

const LIVE_JOBS = 10_000;
const LOOK_MINUTES = 10;
const MINUTES_PER_DAY = 24 * 60;
const PASSES_PER_DAY = (24 * 3600) / 15;
const NOON = Date.UTC(2026, 10, 25, 12);

// us-east-1, November 2026, in dollars: aws.amazon.com/api-gateway/pricing (HTTP APIs), /lambda/pricing (x86),
// /dynamodb/pricing/on-demand (standard class). Nothing of a free tier.
const PER_REQUEST = 1.0 / 1e6 + 0.2 / 1e6 + 0.0000166667 * 0.25 * 0.05; // 256 MB for 50 ms.
const PER_WRITE_UNIT = 0.625 / 1e6;
const PER_READ_UNIT = 0.125 / 1e6;
/** One item in a transaction is two units, its key in the index by expiry is taken out and put in; it is read before. */
const PER_EXTEND = PER_REQUEST + 4 * PER_WRITE_UNIT + PER_READ_UNIT;
/** A heartbeat is one item; a list that is empty is half a unit. */
const PER_QUIET_PASS = 2 * PER_REQUEST + PER_WRITE_UNIT + PER_READ_UNIT / 2;

/** How often holds of jobs that live all day are extended. */
export const benchExtends = async (): Promise<Section> => {
  const rows: string[][] = [];
  for (const waiting of [0, LIVE_JOBS / 2, LIVE_JOBS]) {
    const { extended, requests } = await aDay(waiting);
    const dollars = extended * PER_EXTEND + PASSES_PER_DAY * PER_QUIET_PASS;
    rows.push([waiting, LIVE_JOBS - waiting, extended, requests].map((each) => each.toLocaleString('en-US')).concat(dollars.toFixed(3)));
  }
  return {
    title: `A day of ${LIVE_JOBS.toLocaleString('en-US')} live jobs`,
    notes: [
      `Simulated cluster and clock, the service's own handlers over the memory store; wall times of two days, a look each ten minutes (how often the agent looks does not change what it extends). A hold is extended when less than half of its 24 h of patience is left: that of a running job never, since its end is known; that of a waiting one each 12 hours.`,
      `An extend on AWS: one HTTP API request $0.0000010, one Lambda invocation $0.0000002 and 256 MB for 50 ms $0.0000002, one item in a transaction (2 write units) and its two entries in the index by expiry (2 write units) at $0.625 a million, one read unit at $0.125 a million: $${(PER_EXTEND * 1e6).toFixed(2)} a million. A quiet pass is two requests, one write and half a read: ${PASSES_PER_DAY.toLocaleString('en-US')} of them a day (one each 15 s) are $${(PASSES_PER_DAY * PER_QUIET_PASS).toFixed(3)}, in each row. Prices of us-east-1 without any free tier.`,
    ],
    head: ['waiting', 'running', 'extends in 24 h', 'requests besides heartbeats and lists', 'dollars a day on AWS'],
    rows,
  };
};

const aDay = async (waiting: number): Promise<{ extended: number; requests: number }> => {
  const service = aCountingService(NOON);
  const model = { region: 'us-east-1', instance_types: [], unpriced: 'flat', flat_rate_per_node_hour: 1 };
  await service.api.request('putPartition', { path: { partition: 'aws' }, body: model });
  await service.api.request('createAccount', { body: { account: 'bench', budget_limit: 900_000_000 } });
  const submittedAt = NOON / 1000;
  const jobs = Array.from({ length: LIVE_JOBS }, (_, index): QueuedJob => {
    const isWaiting = index < waiting;
    return {
      ...{ jobId: String(index + 1), submissionId: String(index + 1), account: 'bench', user: 'alice', partition: 'aws' },
      ...{ state: isWaiting ? 'PENDING' : 'RUNNING', nodes: 1, maxNodes: 1, cpus: 1, timeLimitSeconds: 2 * 86_400, submittedAt },
      ...{ startedAt: isWaiting ? null : submittedAt, endedAt: null, restarts: 0, tres: '', nodeList: isWaiting ? '' : 'node1' },
    };
  });
  const agent = createAgent({
    slurm: aCountingSlurm({ queue: () => jobs }),
    api: service.api,
    guard: { guards: () => true },
    settings: { cluster: CLUSTER, clusterUid: 'u', orphanAfterMs: 120_000, agentVersion: '0' },
    state: aStateInMemory(),
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
  await agent.pass(); // Which forces a hold for each of them.
  service.asked();
  for (let minute = 0; minute < MINUTES_PER_DAY; minute += LOOK_MINUTES) {
    service.advance(LOOK_MINUTES * 60_000);
    await agent.pass();
  }
  const { beatCluster: _, listHoldsOfCluster: __, ...others } = service.asked();
  return { extended: others.extendHold ?? 0, requests: Object.values(others).reduce((sum, each) => sum + each, 0) };
};
