// The cluster on which the agent meets every ending, and what each of its partitions charges, reckoned without the project's code.

import type { Accounted } from '#test/slurm/agent-runner';
import type { MoreOfSlurm } from '#test/slurm/cluster';

const C5 = { region: 'us-east-1', instance_types: ['c5.18xlarge'] };

/** Guarded partitions, with what the API is told of each. `aws` it knows. */
export const MODELS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  awsopen: C5,
  charged: C5,
  forgiven: { ...C5, write_off_node_failures: true },
  burst: C5,
  burstfree: { ...C5, write_off_node_failures: true },
  low: C5,
  high: C5,
  pair: C5,
  nowhere: C5,
  sharedcpu: { ...C5, allocation: 'shared' },
  sharedmem: { ...C5, allocation: 'shared', memory_per_node: '64M' },
  sharedgpu: { region: 'us-east-1', instance_types: ['g4dn.12xlarge'], allocation: 'shared' },
};

const partition = (name: string, nodes: string, more = ''): string => `PartitionName=${name} Nodes=${nodes} MaxTime=INFINITE ${more}`;

export const moreOfSlurm = (accounts: readonly string[]): MoreOfSlurm => ({
  accounts,
  cpus: 64,
  nodes: { fail1: '', fail2: '', fail3: '', fail4: '', pair1: '', pair2: '', few1: '', few2: '', gpu1: 'Gres=gpu:4' },
  settings: {
    SlurmdParameters: 'config_overrides',
    PreemptType: 'preempt/partition_prio',
    PreemptMode: 'REQUEUE',
    // Nodes in the cloud that never come.
    ResumeProgram: '/bin/false',
    SuspendProgram: '/bin/true',
    ResumeTimeout: '6',
    SuspendTimeout: '2',
    SuspendTime: '86400',
  },
  // Any device will do: nobody opens it.
  gresConf: ['null', 'zero', 'full', 'random'].map((device) => `NodeName=gpu1 Name=gpu File=/dev/${device}\n`).join(''),
  lines: [
    'NodeName=burst[1-4] NodeAddr=127.0.0.1 CPUs=64 RealMemory=1024 State=CLOUD',
    partition('charged', 'fail[1-2]'),
    partition('forgiven', 'fail[3-4]'),
    partition('burst', 'burst[1-2]', 'OverSubscribe=EXCLUSIVE'),
    partition('burstfree', 'burst[3-4]', 'OverSubscribe=EXCLUSIVE'),
    partition('pair', 'pair[1-2]'),
    partition('low', 'few[1-2]', 'PriorityTier=1 OverSubscribe=EXCLUSIVE'),
    partition('high', 'few[1-2]', 'PriorityTier=10 OverSubscribe=EXCLUSIVE'),
    partition('sharedcpu', 'gpu1'),
    partition('sharedmem', 'gpu1'),
    partition('sharedgpu', 'gpu1'),
    partition('nowhere', 'cloud[1-40]'),
  ],
});

// --- what a run costs ---------------------------------------------------------------------------------------------------

const MIN_BILLED_SECONDS = 60n;
const SECONDS_PER_HOUR = 3600n;
/** us-east-1, on demand. */
const C5_18XLARGE = { microUsdPerHour: 3_060_000n, cpus: 72n, memoryMib: 147_456n, gpus: 0n };
const G4DN_12XLARGE = { microUsdPerHour: 3_912_000n, cpus: 48n, memoryMib: 196_608n, gpus: 4n };

const up = (dividend: bigint, divisor: bigint): bigint => (dividend + divisor - 1n) / divisor;

/** In micro-dollars: nothing for what never had a node, what ran at home, and failures of nodes that the site pays for. */
export const costOf = (run: Accounted): bigint => {
  const isNodeFailure = run.state === 'NODE_FAIL' || run.state === 'BOOT_FAIL';
  if (run.seconds === null || run.partition === 'local' || (isNodeFailure && /^(forgiven|burstfree)$/.test(run.partition))) return 0n;
  const seconds = run.seconds < MIN_BILLED_SECONDS ? MIN_BILLED_SECONDS : run.seconds;
  const { microUsdPerHour } = run.partition === 'sharedgpu' ? G4DN_12XLARGE : C5_18XLARGE;
  const { part, of } = nodesOf(run);
  return up(part * seconds * microUsdPerHour, SECONDS_PER_HOUR * of);
};

/** Nodes as a fraction: of shared ones the largest share. */
const nodesOf = ({ partition: name, nodes, tres }: Accounted): { part: bigint; of: bigint } => {
  if (!name.startsWith('shared')) return { part: nodes, of: 1n };
  const type = name === 'sharedgpu' ? G4DN_12XLARGE : C5_18XLARGE;
  const memoryMib = name === 'sharedmem' ? 64n : type.memoryMib;
  const of = (pattern: RegExp): bigint => BigInt(pattern.exec(tres)?.[1] ?? '0');
  const shares = [
    { part: of(/\bcpu=(\d+)/), of: type.cpus },
    { part: of(/\bmem=(\d+)M/), of: memoryMib },
    ...(type.gpus === 0n ? [] : [{ part: of(/\bgres\/gpu=(\d+)/), of: type.gpus }]),
  ];
  return shares.reduce((a, b) => (b.part * a.of > a.part * b.of ? b : a));
};

export const sumOf = (runs: readonly Accounted[]): bigint => runs.reduce((sum, run) => sum + costOf(run), 0n);
