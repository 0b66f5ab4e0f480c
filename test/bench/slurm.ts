// `npm run bench:slurm`: what the plugin costs a real cluster, and what it costs by itself. Needs root on Debian.
//
//   npm run bench:slurm -- [bookworm] [trixie] [inside]     all of them, or those named

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { machineLine, markdownOf, medianOf, type Section } from '#test/bench/measure';
import { type Cluster, createFolder, startCluster } from '#test/slurm/cluster';
import type { Generation } from '#test/slurm/install';

const ROOT = join(import.meta.dirname, '../..');
const PLUGIN = join(ROOT, 'slurm-plugin');
const SOURCES = join(ROOT, 'test/slurm');

const ROUNDS = 5;
const CLIENTS = [1, 8] as const;
const WARM_UP_MS = 200;
const ROUND_MS = 1000;
const INSIDE_CALLS = 20_000;
/** In memory: slurmctld writes two files for each job, and on a disk that is what would be measured. */
const MEMORY = '/dev/shm';
const KEYS = '[default]\naws_access_key_id = AKIDBENCH\naws_secret_access_key = a/secret+of/the+bench\n';

interface Side {
  readonly name: string;
  /** In slurm.conf. `floor` is the least that a question costs. */
  readonly plugin?: 'budget' | 'floor';
  /** What asbb.conf says of the partition that is submitted to. @default it is not guarded */
  readonly failMode?: 'closed' | 'open';
  /** Of the API, in milliseconds; `dead` if nobody listens. */
  readonly api: number | 'dead';
  readonly becomes: 'admitted' | 'refused';
  /** Where the spool is. @default memory, as is slurmctld's state */
  readonly spool?: 'memory' | 'disk';
  readonly aim?: number;
}

/** `NONE` is what the others are compared to. */
const NONE: Side = { name: 'no plugin', api: 0, becomes: 'admitted' };
const GUARDED = { plugin: 'budget', failMode: 'closed', becomes: 'admitted' } as const;
const SIDES: readonly Side[] = [
  NONE,
  { name: 'unguarded partition', plugin: 'budget', api: 0, becomes: 'admitted', aim: 0.98 },
  { ...GUARDED, name: 'API answers at once', api: 0, aim: 0.8 },
  { name: 'no plugin of ours, but one that does that round trip and nothing else', plugin: 'floor', api: 0, becomes: 'admitted' },
  { ...GUARDED, name: 'API answers after 20 ms', api: 20 },
  { ...GUARDED, name: 'API answers after 50 ms', api: 50 },
  { ...GUARDED, name: 'API answers after 100 ms', api: 100 },
  { ...GUARDED, name: 'API dead, breaker open, FailMode=closed: refused', api: 'dead', becomes: 'refused', aim: 0.95 },
  { ...GUARDED, name: 'the same, FailMode=open: admitted and spooled', failMode: 'open', api: 'dead', aim: 0.95 },
  { ...GUARDED, name: 'the same, spool on disk', failMode: 'open', api: 'dead', spool: 'disk' },
];

/** What storm.c prints. */
interface Storm {
  readonly admitted: number;
  readonly refused: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

type Storms = ReadonlyMap<Side, ReadonlyMap<number, Storm[]>>;

/** The sides take turns, so that a busy moment of the machine falls on all of them. */
const benchCluster = async (generation: Generation): Promise<Section> => {
  const apis = await startApis();
  const folder = await createFolder();
  const memory = mkdtempSync(join(MEMORY, 'asbb-bench-'));
  const stops: (() => unknown)[] = [apis.stop, () => rmSync(memory, { recursive: true })];
  try {
    const budgetConf = confOf({ folder, memory, side: NONE, apis });
    const cluster = await startCluster({ folder, generation, accounting: 'none', budgetConf, credentials: KEYS });
    stops.unshift(cluster.stop);
    cluster.setConf({
      StateSaveLocation: join(memory, 'state'),
      MaxJobCount: '200000',
      SchedulerParameters: 'defer,sched_interval=600,bf_interval=600',
    });
    const client = await build(cluster, 'storm.c', 'build/storm', ['-lslurm', '-pthread']);
    await build(cluster, 'job_submit_floor.c', 'plugdir/job_submit_floor.so', ['-fPIC', '-shared', `-DPORT=${apis.ports.get(0)}`]);
    const storms: Storms = new Map(SIDES.map((side) => [side, new Map(CLIENTS.map((clients) => [clients, []]))]));
    for (let round = 0; round < ROUNDS; round++) {
      for (const side of SIDES) {
        await startSide({ cluster, memory, side, apis });
        for (const clients of CLIENTS)
          storms
            .get(side)
            ?.get(clients)
            ?.push(await storm({ cluster, client, side, clients }));
      }
    }
    const version = (await cluster.run('sinfo', ['--version'])).stdout.trim().replace(/^\S+ /, '');
    return sectionOf({ generation, version, storms });
  } finally {
    for (const stop of stops) await stop();
  }
};

interface Apis {
  readonly ports: ReadonlyMap<Side['api'], number>;
  stop(): void;
}

/** One server for each latency, in processes of their own; and the port of one that has ended. */
const startApis = async (): Promise<Apis> => {
  execFileSync('make', ['-s', '-C', PLUGIN, 'build/plain/tool_answer'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const servers = new Map<Side['api'], ChildProcess>();
  const ports = new Map<Side['api'], number>();
  for (const api of new Set(SIDES.map((side) => side.api))) {
    const server = spawn(join(PLUGIN, 'build/plain/tool_answer'), api === 'dead' ? [] : [String(api)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    servers.set(api, server);
    ports.set(api, Number(line.toString()));
  }
  const end = (server: ChildProcess): unknown => server.stdin?.end();
  const dead = servers.get('dead');
  if (dead !== undefined) {
    end(dead);
    await once(dead, 'exit');
  }
  return { ports, stop: () => [...servers.values()].forEach(end) };
};

interface Conf {
  readonly folder: string;
  readonly memory: string;
  readonly side: Side;
  readonly apis: Apis;
}

const confOf = ({ folder, memory, side: { failMode, api, spool }, apis }: Conf): string =>
  [
    `Endpoint=http://127.0.0.1:${apis.ports.get(api)}`,
    'Region=eu-central-1',
    `Credentials=file:${join(folder, 'etc/credentials')}`,
    `SpoolFile=${spool === 'disk' ? join(folder, 'state') : join(memory, 'state')}/asbb.spool`,
    failMode === undefined ? 'Partition=other' : `Partition=aws FailMode=${failMode}`,
    '',
  ].join('\n');

/** Inside the cluster's own root folder, against its own Slurm. */
const build = async (cluster: Cluster, source: string, target: string, flags: readonly string[]): Promise<string> => {
  const copy = join(cluster.folder, 'build', source);
  const output = join(cluster.folder, target);
  copyFileSync(join(SOURCES, source), copy);
  const { code, stderr } = await cluster.asRoot('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', copy, '-o', output, ...flags]);
  if (code !== 0) throw new Error(stderr);
  return output;
};

/** A slurmctld that knows no job: the jobs of the side before would be in the way of this one. */
const startSide = async ({ cluster, ...of }: Omit<Conf, 'folder'> & { cluster: Cluster }): Promise<void> => {
  await cluster.stopController();
  const state = join(of.memory, 'state');
  rmSync(state, { recursive: true, force: true });
  mkdirSync(state);
  for (const path of [of.memory, state]) chownSync(path, cluster.slurm.uid, cluster.slurm.gid);
  rmSync(join(cluster.folder, 'state/asbb.spool'), { force: true });
  cluster.writeBudgetConf(confOf({ ...of, folder: cluster.folder }));
  cluster.setConf({ JobSubmitPlugins: of.side.plugin });
  await cluster.startController();
};

interface StormOptions {
  readonly cluster: Cluster;
  readonly client: string;
  readonly side: Side;
  readonly clients: number;
}

/** The warm-up also opens the breaker, where there is one to open. */
const storm = async ({ cluster, client, side, clients }: StormOptions): Promise<Storm> => {
  const run = async (ms: number): Promise<Storm> => {
    const { code, stdout, stderr } = await cluster.run(client, ['aws', String(clients), String(ms)]);
    if (code !== 0) throw new Error(`${side.name}, ${clients} clients: ${stderr}`);
    return JSON.parse(stdout) as Storm;
  };
  await run(WARM_UP_MS);
  const measured = await run(ROUND_MS);
  const other = side.becomes === 'admitted' ? measured.refused : measured.admitted;
  if (other > 0) throw new Error(`${side.name}, ${clients} clients: ${other} were not ${side.becomes}`);
  return measured;
};

const perSecond = ({ admitted, refused, seconds }: Storm): number => (admitted + refused) / seconds;

const sectionOf = ({ generation, version, storms }: { generation: Generation; version: string; storms: Storms }): Section => {
  const of = (side: Side, clients: number): readonly Storm[] => storms.get(side)?.get(clients) ?? [];
  const cells = (side: Side, clients: number): string[] => {
    const rounds = of(side, clients);
    const ratios = rounds.map((each, round) => perSecond(each) / perSecond(of(NONE, clients)[round] as Storm));
    const [p50, p99] = [medianOf(rounds.map(({ p50Ms }) => p50Ms)), medianOf(rounds.map(({ p99Ms }) => p99Ms))];
    return [medianOf(rounds.map(perSecond)).toFixed(0), medianOf(ratios).toFixed(2), p50.toFixed(2), p99.toFixed(2)];
  };
  return {
    title: `Submissions to Slurm ${version} with the plugin, and without`,
    notes: [
      `Held jobs through libslurm, from threads of one process, as an ordinary user. ${ROUNDS} rounds of ${ROUND_MS / 1000} s for each cell, in turn, each line with a slurmctld of its own that knows no job. Medians of the rounds; a ratio is of the same round. No slurmdbd, the scheduler asleep, slurmctld's state in memory. The API is a C program in a process of its own (\`tool_answer\`); requests are signed, over http and loopback.`,
      generation === 'bookworm'
        ? 'This Slurm calls the plugin for one submission at a time: what an answer takes is what the whole cluster waits.'
        : 'This Slurm calls the plugin side by side, and the plugin has MaxConnections=4: of 8 clients, 4 wait for the API and 4 for those.',
    ],
    head: ['', '1 client: per second', 'of none', 'p50 ms', 'p99 ms', '8 clients: per second', 'of none', 'p50 ms', 'p99 ms', 'aim'],
    rows: SIDES.map((side) => [side.name, ...cells(side, 1), ...cells(side, 8), side.aim?.toFixed(2) ?? '']),
  };
};

/** What tool_cost prints, in microseconds. */
interface Cost {
  readonly name: string;
  readonly p50: number;
  readonly p99: number;
}

const benchInside = async (): Promise<Section> => {
  execFileSync('make', ['-s', '-C', PLUGIN, 'build/plain/tool_cost'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const apis = await startApis();
  try {
    const args = [String(apis.ports.get(0)), String(INSIDE_CALLS)];
    const said = execFileSync(join(PLUGIN, 'build/plain/tool_cost'), args, {
      cwd: PLUGIN,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return {
      title: 'What an admitted submission costs inside the plugin',
      notes: [
        `job_submit() of the plugin loaded outside slurmctld, ${INSIDE_CALLS.toLocaleString('en-US')} times, each just behind a raw round trip of as many bytes over a kept-alive socket to the same server, each in a thread of its own, as slurmctld does it. The difference of each pair is what the plugin costs without the server's time.`,
      ],
      head: ['microseconds', 'p50', 'p99'],
      rows: (JSON.parse(said) as Cost[]).map(({ name, p50, p99 }) => [name, p50.toFixed(0), p99.toFixed(0)]),
    };
  } finally {
    apis.stop();
  }
};

const BENCHES: Readonly<Record<string, () => Promise<Section>>> = {
  bookworm: () => benchCluster('bookworm'),
  trixie: () => benchCluster('trixie'),
  inside: benchInside,
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHES);
process.stdout.write(`${machineLine()}\n\n`);
for (const name of names) {
  const bench = BENCHES[name];
  if (bench === undefined) throw new Error(`no benchmark ${name}; there are: ${Object.keys(BENCHES).join(', ')}`);
  process.stdout.write(`${markdownOf(await bench())}\n`);
}
