// The chaos run: real jobs of all kinds, while everything that asbb stands on is killed with -9 in turn. What is done comes from
// a seed (chaos-plan.ts); what must be true afterwards is worked out in chaos-verify.ts, without any code of the agent.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DurableBudget, KEYS, REGION, startDurableBudget } from '#test/slurm/budget';
import { GUARDED, type Later, type Plan, type Submission, type Victim } from '#test/slurm/chaos-plan';
import { accountedRows, type Findings, liveJobs, verify, verifyHolds } from '#test/slurm/chaos-verify';
import { type Cluster, createFolder, startCluster } from '#test/slurm/cluster';
import { type Daemon, eventually, MARK, type Outcome, startDaemon } from '#test/slurm/shell';

const ROOT = join(import.meta.dirname, '../..');
const LIMIT_USD = 1000;
export const ORPHAN_AFTER_MS = 10_000;
/** Dollars per node-hour, chosen so that no run costs whole micro-dollars before it is rounded. */
export const RATES: Readonly<Record<(typeof GUARDED)[number], number>> = { aws: 3.611113, awsopen: 7.321977, awsdef: 11.000017 };
/** So that a second more or less is seen in the cost, although EC2 bills a minute at least. */
export const OVERHEAD_MINUTES = 1;
const RETRIES = 5;
const DRAIN_MS = 180_000;

export interface Bed {
  readonly folder: string;
  readonly cluster: Cluster;
  readonly budget: DurableBudget;
  /** Seconds since 1970. */
  readonly startedAt: number;
  startAgent(): void;
  killAgent(): Promise<unknown>;
  agentIsRunning(): boolean;
  stop(): Promise<void>;
}

export interface Report {
  readonly seed: number;
  readonly seconds: number;
  readonly submitted: Readonly<Record<string, number>>;
  readonly kills: Readonly<Record<string, number>>;
  /** Starts that failed, and were tried again. */
  readonly failedStarts: readonly string[];
  readonly withLiveJobs: Findings;
  readonly afterwards: Findings;
}

/** One run of a plan on a cluster of its own. */
export const runChaos = async (plan: Plan, say: (line: string) => void = () => undefined): Promise<Report> => {
  const bed = await startBed();
  try {
    const began = Date.now();
    say(`seed ${plan.seed}: ${plan.submissions.length} submissions and ${plan.kills.length} kills in ${plan.durationMs / 1000} s`);
    const failedStarts: string[] = [];
    const watch = watchRows(bed);
    const operator = resumeNodes(bed);
    const jobs = { submitted: new Map<string, number>(), stays: new Set<string>() };
    await Promise.all([submitAll(bed, plan, jobs), killAll(bed, plan, failedStarts)]);
    say(`${seconds(began)} s: all is submitted, and nothing is killed any more`);
    await drain(bed, 'but those that stay', failedStarts);
    say(`${seconds(began)} s: only what is to stay is left`);
    await twoPassesAfterOrphans(bed);
    const withLiveJobs = await verifyHolds(bed);
    for (const problem of withLiveJobs.problems) say(`PROBLEM with live jobs: ${problem}`);
    if (withLiveJobs.problems.length > 0) say(await circumstances(bed, withLiveJobs.problems));
    await drain(bed, 'all', failedStarts);
    await twoPassesAfterOrphans(bed);
    await operator.end();
    const afterwards = await verify(bed, await watch.end());
    for (const problem of afterwards.problems) say(`PROBLEM afterwards: ${problem}`);
    return {
      seed: plan.seed,
      seconds: seconds(began),
      submitted: Object.fromEntries(jobs.submitted),
      kills: counted(plan.kills.map(({ victim }) => victim)),
      failedStarts,
      withLiveJobs,
      afterwards,
    };
  } finally {
    await bed.stop();
  }
};

/** For whoever looks for the cause. */
const circumstances = async ({ cluster, budget, folder }: Bed, problems: readonly string[]): Promise<string> => {
  const jobs: string[] = [];
  for (const [, holdId = '', jobId = ''] of problems.join('\n').matchAll(/"hold_id":"([^"]+)","job_id":"(\d+)"/g)) {
    const rows = await cluster.asRoot('sacct', [
      '-X',
      '-D',
      '-P',
      '-j',
      jobId,
      '-o',
      'DBIndex,JobIDRaw,JobID,State,Submit,Start,End,Partition,AdminComment',
    ]);
    jobs.push(rows.stdout, JSON.stringify(await budget.hold(holdId), null, 1));
  }
  const health = readFileSync(`${stateFile(folder)}.health`, 'utf8');
  const config = (await cluster.asRoot('scontrol', ['show', 'config'])).stdout.match(/^BOOT_TIME.*$/m)?.[0];
  const backlog = (await cluster.asRoot('sdiag', [])).stdout.match(/DBD Agent queue size.*/)?.[0];
  const log = readFileSync(join(folder, 'log/agent.out'), 'utf8').slice(-3000);
  const state = readFileSync(stateFile(folder), 'utf8').slice(0, 8000);
  return [new Date().toISOString(), config, backlog, health, log, state, ...jobs].join('\n');
};

const seconds = (since: number): number => Math.round((Date.now() - since) / 1000);

export const counted = (words: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
};

const sleep = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, Math.max(0, ms)));

// --- what is there ------------------------------------------------------------------------------------------------------

const startBed = async (): Promise<Bed> => {
  const folder = await createFolder();
  const startedAt = Math.floor(Date.now() / 1000);
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const budget = await startDurableBudget(folder);
    stops.push(budget.stop);
    for (const account of ['physics', 'chem']) await budget.open(account, LIMIT_USD);
    for (const partition of GUARDED) await budget.api.request('putPartition', { path: { partition }, body: modelOf(partition) });
    const credentials = `[default]\naws_access_key_id = ${KEYS.accessKeyId}\naws_secret_access_key = ${KEYS.secretAccessKey}\n`;
    const cluster = await startCluster({
      folder,
      generation: 'bookworm',
      budgetConf: confOf(folder, budget.url),
      credentials,
      more: { cpus: 256, paperNodes: 0 },
    });
    stops.push(cluster.stop);
    const agent = agentOf(folder);
    stops.push(agent.killAgent);
    agent.startAgent();
    // What ran before an agent has ever been there is not its own, and is not what is asked here.
    await eventually('the first pass', () => existsSync(`${stateFile(folder)}.health`), 60_000);
    return { folder, cluster, budget, startedAt, ...agent, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};

const modelOf = (partition: (typeof GUARDED)[number]) => ({
  region: 'us-east-1',
  instance_types: [],
  unpriced: 'flat',
  flat_rate_per_node_hour: RATES[partition],
  overhead_minutes: OVERHEAD_MINUTES,
});

const confOf = (folder: string, url: string): string =>
  [
    `Endpoint=${url}`,
    `Region=${REGION}`,
    `Credentials=file:${join(folder, 'etc/credentials')}`,
    `SpoolFile=${join(folder, 'state/asbb.spool')}`,
    'TimeoutMs=1500',
    'BreakerSeconds=1',
    'Partition=aws FailMode=closed',
    'Partition=awsopen FailMode=open',
    'Partition=awsdef FailMode=closed',
    '',
  ].join('\n');

const agentOf = (folder: string): Pick<Bed, 'startAgent' | 'killAgent' | 'agentIsRunning'> => {
  const yaml = join(folder, 'agent.yaml');
  writeFileSync(
    yaml,
    `agent: {asbb_conf: ${join(folder, 'etc/asbb.conf')}}\nbudget: {orphan_after: ${ORPHAN_AFTER_MS}ms}\nslurm: {bin_path: /usr/bin}\n`,
  );
  const line = ['--import', 'tsx', join(ROOT, 'cli/asbb.ts'), '--config', yaml, 'agent', '--interval', '1s', '--state', stateFile(folder)];
  let daemon: Daemon | undefined;
  return {
    startAgent: () => {
      daemon = startDaemon(process.execPath, line, {
        name: 'asbb agent',
        log: join(folder, 'log/agent.out'),
        pidFile: join(folder, 'run/agent.started'),
        cwd: ROOT,
        env: {
          SLURM_CONF: join(folder, 'etc/slurm.conf'),
          AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
          AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
          HOME: join(folder, 'budget'),
          [MARK]: folder,
        },
      });
    },
    killAgent: async () => daemon?.stop('SIGKILL'),
    agentIsRunning: () => daemon?.isRunning() ?? false,
  };
};

export const stateFile = (folder: string): string => join(folder, 'agent.json');

// --- jobs ---------------------------------------------------------------------------------------------------------------

interface Jobs {
  readonly submitted: Map<string, number>;
}

const submitAll = async (bed: Bed, { submissions }: Plan, jobs: Jobs): Promise<void> => {
  const began = Date.now();
  await Promise.all(
    submissions.map(async (submission) => {
      await sleep(began + submission.atMs - Date.now());
      await submitOne(bed, submission, jobs);
    }),
  );
};

/** Each run leaves a line when it begins, so that there is a witness besides Slurm. */
const scriptOf = ({ folder }: Bed, { script }: Submission): string =>
  `#!/bin/sh\necho "$SLURM_JOB_ID \${SLURM_RESTART_COUNT:-0} $(date +%s)" >> ${folder}/home/witness\n${script}\n`;

const submitOne = async (bed: Bed, submission: Submission, { submitted }: Jobs): Promise<void> => {
  const outcome = await insist(() =>
    bed.cluster.run('sbatch', ['-o', '/dev/null', ...submission.args], { input: scriptOf(bed, submission) }),
  );
  const id = /^Submitted batch job (\d+)$/m.exec(outcome.stdout)?.[1];
  const fate = id === undefined ? (/asbb: /.test(outcome.stderr) ? 'refused by asbb' : 'refused by slurm') : 'accepted';
  const name = submission.kind === 'test only' && outcome.code === 0 ? 'test only: answered' : `${submission.kind}: ${fate}`;
  submitted.set(name, (submitted.get(name) ?? 0) + 1);
  if (id === undefined) return;
  for (const later of submission.later) await doLater(bed, id, later);
};

const doLater = async ({ cluster }: Bed, id: string, { afterMs, by, command, args }: Later): Promise<void> => {
  await sleep(afterMs);
  const line = args.map((arg) => arg.replace('{id}', id));
  await insist(() => (by === 'root' ? cluster.asRoot(command, line) : cluster.run(command, line)));
};

/** As a user does whose command found no slurmctld. */
const insist = async (work: () => Promise<Outcome>): Promise<Outcome> => {
  for (let tries = 1; ; tries += 1) {
    const outcome = await work();
    const isSilence = /Unable to contact slurm controller|Connection refused|timed out|Socket|Zero Bytes/i.test(outcome.stderr);
    if (!isSilence || tries === RETRIES) return outcome;
    await sleep(500);
  }
};

// --- deaths -------------------------------------------------------------------------------------------------------------

const killAll = async (bed: Bed, { kills }: Plan, failedStarts: string[]): Promise<void> => {
  const began = Date.now();
  const revivals: Promise<void>[] = [];
  const busy = new Map<string, Promise<void>>();
  for (const { atMs, victim, downMs } of kills) {
    await sleep(began + atMs - Date.now());
    // The API and its store are one service; and what is being started is killed when it runs.
    const service = victim === 'dynamodb' ? 'api' : victim;
    const before = busy.get(service) ?? Promise.resolve();
    const revived = before.then(async () => {
      await kill(bed, victim);
      await sleep(downMs);
      await revive(bed, victim, failedStarts);
    });
    busy.set(service, revived);
    revivals.push(revived);
  }
  await Promise.all(revivals);
};

const kill = async ({ cluster, budget, killAgent }: Bed, victim: Victim): Promise<void> => {
  if (victim === 'slurmctld') await cluster.stopController('SIGKILL');
  else if (victim === 'slurmdbd') await cluster.killAccounting();
  else if (victim === 'agent') await killAgent();
  else await budget.kill(victim);
};

/** As systemd does: again and again. */
const revive = async (bed: Bed, victim: Victim, failedStarts: string[]): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      await start(bed, victim);
      return;
    } catch (error) {
      failedStarts.push(`${victim}: ${error instanceof Error ? error.message.slice(-600) : error}`);
      if (tries === RETRIES) throw error;
      await sleep(1000);
    }
  }
};

const start = async ({ cluster, budget, startAgent }: Bed, victim: Victim): Promise<void> => {
  if (victim === 'slurmctld') {
    await cluster.startController();
    // Else it asks its node for a sign of life only after 100 s, and nothing would run.
    await cluster.asRoot('scontrol', ['reconfigure']);
  } else if (victim === 'slurmdbd') cluster.startAccounting();
  else if (victim === 'agent') startAgent();
  else await budget.restart();
};

// --- what slurmdbd said meanwhile -----------------------------------------------------------------------------------------

/** What was said of each row, in turn: slurmdbd changes rows that had ended, and nothing else tells of it. */
export type RowHistory = ReadonlyMap<string, readonly string[]>;

const watchRows = ({ cluster, startedAt }: Bed): { end(): Promise<RowHistory> } => {
  const history = new Map<string, string[]>();
  const look = async (): Promise<void> => {
    for (const row of await accountedRows({ cluster, startedAt }).catch(() => [])) {
      const said = history.get(row.dbIndex) ?? [];
      const last = said.at(-1)?.replace(/^\S+ /, '');
      if (last !== row.text) said.push(`${new Date().toISOString().slice(11, 23)} ${row.text}`);
      history.set(row.dbIndex, said);
    }
  };
  const watching = again(look, 700);
  return {
    end: async () => {
      await watching.end();
      await look();
      return history;
    },
  };
};

/** Slurm drains a node on which a job runs that it has forgotten and whose number it gives away again. Somebody notices. */
const resumeNodes = ({ cluster }: Bed) =>
  again(async () => {
    const { stdout } = await cluster.asRoot('sinfo', ['-h', '-N', '-p', 'local', '-o', '%N %T']);
    const node = /^(\S+) (?:drain|down)/m.exec(stdout)?.[1];
    if (node !== undefined) await cluster.asRoot('scontrol', ['update', `nodename=${node}`, 'state=resume']);
  }, 1500);

const again = (work: () => Promise<void>, everyMs: number): { end(): Promise<void> } => {
  let isOver = false;
  const going = (async () => {
    while (!isOver) {
      await work();
      await sleep(everyMs);
    }
  })();
  return {
    end: () => {
      isOver = true;
      return going;
    },
  };
};

// --- the end ------------------------------------------------------------------------------------------------------------

/** Jobs end; and slurmctld has handed slurmdbd all that it knows of them. */
const drain = async (bed: Bed, which: 'but those that stay' | 'all', failedStarts: string[]): Promise<void> => {
  const { cluster } = bed;
  if (which === 'all') await insist(() => cluster.asRoot('scancel', ['--user', cluster.user.name]));
  let waitedMs = 0;
  await eventually(
    `the queue drains (${which})`,
    async () => {
      const began = Date.now();
      if (!existsSync(`/proc/${cluster.controllerPid}`)) {
        failedStarts.push(`slurmctld ended by itself: ${readFileSync(join(bed.folder, 'log/slurmctld.out'), 'utf8').slice(-1500)}`);
        await revive(bed, 'slurmctld', failedStarts);
      }
      const live = await liveJobs(cluster).catch(() => undefined); // It may be busy.
      if (live === undefined) return false;
      const left = live.filter(({ name }) => which === 'all' || name !== 'stays');
      if (left.length === 0) return true;
      // What lost its own command to a dead slurmctld is released or cancelled here.
      for (const { id, name, reason } of left)
        if (/Held|held/.test(reason) && name !== 'het') await cluster.asRoot('scontrol', ['release', id]);
      if (waitedMs > 25_000)
        await cluster.asRoot(
          'scancel',
          left.map(({ id }) => id),
        );
      await sleep(2000);
      waitedMs += Date.now() - began;
      return false;
    },
    DRAIN_MS,
  );
  await eventually(
    'slurmdbd has everything',
    async () => /DBD Agent queue size: 0/.test((await cluster.asRoot('sdiag', [])).stdout),
    60_000,
  );
};

/** The agent has seen that the queue is empty; `orphan_after` goes by; and what its loop does within two passes is what counts. */
const twoPassesAfterOrphans = async (bed: Bed): Promise<void> => {
  await wholePasses(bed, 1);
  await sleep(ORPHAN_AFTER_MS);
  await wholePasses(bed, 2);
};

/** Passes that begin from now on. */
const wholePasses = async ({ folder, agentIsRunning }: Bed, count: number): Promise<void> => {
  if (!agentIsRunning()) throw new Error(`the agent has ended: ${readFileSync(join(folder, 'log/agent.out'), 'utf8').slice(-2000)}`);
  const passes = (): number => (JSON.parse(readFileSync(`${stateFile(folder)}.health`, 'utf8')) as { passes: number }).passes;
  const before = passes();
  // One of them may be on its way.
  await eventually(`${count} whole passes`, () => passes() > before + count, 120_000);
};
