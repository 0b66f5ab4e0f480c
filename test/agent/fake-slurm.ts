// Slurm's commands as small scripts that print a file, and the real `asbb agent` that runs them. What each was called with is
// written down, so a test can count.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

export type SlurmCommand = 'squeue' | 'sacct' | 'scontrol' | 'sdiag';

export interface Behaviour {
  readonly status?: number;
  readonly stderr?: string;
  /** Dies of this after it has printed. */
  readonly signal?: 'KILL' | 'SEGV';
  /** Does not end by itself. */
  readonly hangs?: true;
}

export interface FakeSlurm {
  readonly binPath: string;
  /** From now on this command prints this, and ends like that. */
  prints(command: SlurmCommand, stdout: string, behaviour?: Behaviour): void;
  /** There is no such command. */
  lacks(command: SlurmCommand): void;
  /** Name and arguments of each call, in order; forgotten once they were asked for. */
  calls(): string[];
}

/** `scontrol show config` of a cluster with slurmdbd, unless `changes` say otherwise. */
export const configOf = (changes: Readonly<Record<string, string>> = {}): string =>
  Object.entries({
    AccountingStorageType: 'accounting_storage/slurmdbd',
    BOOT_TIME: '1700000000',
    ClusterName: 'local',
    MinJobAge: '300 sec',
    PrivateData: 'none',
    SlurmUser: 'slurm(64030)',
    ...changes,
  })
    .map(([key, value]) => `${key.padEnd(23)} = ${value}\n`)
    .join('');

/** A cluster that has nothing to say. */
export const aFakeSlurm = (folder: string): FakeSlurm => {
  const binPath = join(folder, 'bin');
  const calls = join(folder, 'calls');
  mkdirSync(binPath);
  const slurm: FakeSlurm = {
    binPath,
    prints: (command, stdout, { status = 0, stderr = '', signal, hangs } = {}) => {
      const path = join(binPath, command);
      writeFileSync(`${path}.out`, stdout);
      writeFileSync(`${path}.err`, stderr);
      const end = hangs ? 'sleep 600' : signal === undefined ? `exit ${status}` : `kill -${signal} $$`;
      writeFileSync(path, `#!/bin/sh\necho "${command} $*" >>'${calls}'\ncat '${path}.out'\ncat '${path}.err' >&2\n${end}\n`);
      chmodSync(path, 0o755);
    },
    lacks: (command) => rmSync(join(binPath, command), { force: true }),
    calls: () => {
      const made = existsSync(calls) ? readFileSync(calls, 'utf8').split('\n').slice(0, -1) : [];
      rmSync(calls, { force: true });
      return made;
    },
  };
  slurm.prints('scontrol', configOf());
  slurm.prints('sdiag', 'Server thread count:  3\nDBD Agent queue size: 0\n');
  slurm.prints('squeue', '');
  slurm.prints('sacct', '');
  return slurm;
};

export interface QueueLine {
  readonly id: string;
  /** @default id */
  readonly arrayId?: string;
  readonly account?: string;
  readonly partition?: string;
  readonly state?: string;
  /** Seconds since 1970. */
  readonly submitted: number;
  readonly started?: number;
  readonly ended?: number;
  readonly comment?: string;
}

/** A line of squeue: one node for at most an hour. */
export const queueLine = (line: QueueLine): string => {
  const { id, arrayId = id, account = 'physics', partition = 'aws', state = 'RUNNING', submitted, started, ended, comment } = line;
  const times = [submitted, started ?? 'N/A', ended ?? (started === undefined ? 'N/A' : started + 3600)];
  const columns = [
    id,
    arrayId,
    account,
    'alice',
    partition,
    state,
    1,
    1,
    1,
    '1:00:00',
    ...times,
    0,
    'cpu=1,node=1',
    started === undefined ? '' : 'node1',
    comment ?? '(null)',
  ];
  return `${columns.join('|')}|\n`;
};

export interface AccountedLine {
  readonly id: string;
  /** @default id */
  readonly arrayId?: string;
  readonly index: number | string;
  readonly cluster?: string;
  readonly account?: string;
  readonly state?: string;
  readonly submitted: number;
  readonly started: number;
  readonly ended: number | string;
  readonly comment?: string;
}

/** A row of sacct: one node in partition aws. */
export const accountedLine = (line: AccountedLine): string => {
  const { id, arrayId = id, index, cluster = 'local', account = 'physics', state = 'COMPLETED', submitted, started, ended, comment } = line;
  const times = [submitted, started, ended, Number(ended) - started];
  const columns = [index, id, arrayId, cluster, 'alice', account, 'aws', state, ...times, 1, 'cpu=1,node=1', 'node1', comment ?? ''];
  return `${columns.join('|')}\n`;
};

export interface AgentMachine {
  readonly folder: string;
  readonly stateFile: string;
  /** `asbb OPTIONS agent ARGS`, to its end. */
  run(args: readonly string[], options?: readonly string[]): Promise<Ended>;
  /** The same, which somebody else ends. */
  start(args: readonly string[], options?: readonly string[]): RunningAgent;
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningAgent {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stderr(): string;
}

/** A head node for the agent: its configuration, its asbb.conf that guards `aws`, its state. */
export const anAgentMachine = (
  folder: string,
  {
    url,
    binPath,
    orphanAfter = '1s',
    timeout = '3s',
    eventBus,
    env = {},
  }: {
    url: string;
    binPath: string;
    orphanAfter?: string;
    timeout?: string;
    eventBus?: string;
    env?: Readonly<Record<string, string>>;
  },
): AgentMachine => {
  const stateFile = join(folder, 'state/agent.json');
  const config = join(folder, 'config.yaml');
  const conf = join(folder, 'asbb.conf');
  writeFileSync(conf, `Endpoint=${url}\nRegion=us-east-1\nCluster=local\nPartition=aws FailMode=closed\n`);
  const slurm = `slurm: {bin_path: ${binPath}, timeout: ${timeout}}`;
  const agent = `agent: {state_file: ${stateFile}, asbb_conf: ${conf}${eventBus === undefined ? '' : `, event_bus: ${eventBus}`}}`;
  writeFileSync(config, `api: {endpoint: '${url}'}\n${slurm}\n${agent}\nbudget: {orphan_after: ${orphanAfter}}\n`);
  const start = (args: readonly string[], options: readonly string[] = []): RunningAgent => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'cli/asbb.ts', '--config', config, ...options, 'agent', ...args], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, HOME: folder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<Ended>((done) => child.once('close', (status) => done({ status, stdout, stderr })));
    return { child, ended, stderr: () => stderr };
  };
  return { folder, stateFile, run: (args, options) => start(args, options).ended, start };
};
