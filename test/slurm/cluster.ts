// A real Slurm cluster on loopback, whole in one folder: munged, MariaDB, slurmdbd, slurmctld, slurmd, and a user to submit as.
// No systemd, no cgroups, ports of its own, so it harms no Slurm that this machine may have.

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import { type Generation, installSlurm, rootOf } from '#test/slurm/install';
import { createMachine, type Machine, type Person } from '#test/slurm/machine';
import { type Daemon, eventually, MARK, must, type Outcome, pidsOf, type RunOptions, run } from '#test/slurm/shell';

/** Not TMPDIR: paths of sockets must be short, and a root folder of another generation has this one too. */
const TEMPORARY = '/tmp';
const PREFIX = 'asbb-slurm-';
const SYSTEM_PLUGINS = '/usr/lib/x86_64-linux-gnu/slurm-wlm';
const SOURCES = join(import.meta.dirname, '../../slurm-plugin');
const OWNER_FILE = 'owner.pid';

export const CLUSTER_NAME = 'testbed';

export interface Cluster {
  readonly folder: string;
  /** An ordinary user; where there is accounting, with accounts `physics` (default), `chem` and `nobudget`. */
  readonly user: Person;
  /** Who slurmctld runs as, and so who must be able to read asbb.conf. */
  readonly slurm: Person;
  /** Any command as the ordinary user. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<Outcome>;
  asRoot(command: string, args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Replaces asbb.conf, which lies beside slurm.conf; takes effect at the next start. */
  writeBudgetConf(text: string): void;
  /** A file beside slurm.conf that only slurmctld's user may read, unless `mode` says otherwise. */
  writeSecret(name: string, text: string, mode?: number): void;
  /** Lines of slurm.conf, in the place of those of the same key, undefined for none; takes effect at the next start. */
  setConf(lines: Readonly<Record<string, string | undefined>>): void;
  /** Resolves once slurmctld answers. If it ends instead, throws with what it logged since. */
  startController(): Promise<void>;
  /** Resolves to slurmctld's exit status, null if a signal ended it. */
  stopController(signal?: NodeJS.Signals): Promise<number | null>;
  readonly controllerPid: number;
  /** slurmctld forgets every job and begins to count them anew; it must be stopped. */
  forgetState(): void;
  /** Copies what slurmctld has saved so far. `bringBack`, while slurmctld is stopped, makes it forget what came later. */
  copyState(): Promise<{ bringBack(): Promise<void> }>;
  /** Kill -9 is how these end here. Resolves when slurmdbd is gone. */
  killAccounting(): Promise<unknown>;
  /** slurmdbd again, on the same database. Does not wait for its answers. */
  startAccounting(): void;
  /** What slurmctld has logged since `mark`, which is a former length. */
  controllerLog(mark?: number): string;
  /** Ends everything, and throws if something of it is still there. */
  stop(): Promise<void>;
}

export interface ClusterOptions {
  /** Of `createFolder`. */
  readonly folder: string;
  /** Which Slurm. */
  readonly generation: Generation;
  /**
   * With slurmdbd there are default accounts, and MariaDB works beside all else.
   * @default slurmdbd for this machine's own Slurm; there is none for others
   */
  readonly accounting?: 'slurmdbd' | 'none';
  /** asbb.conf, for slurmctld's first start. Undefined: this Slurm has never heard of asbb, and has no plugin of it. */
  readonly budgetConf: string | undefined;
  /** What AWS calls a shared credentials file; only slurmctld's user may read it. */
  readonly credentials: string;
  readonly more?: MoreOfSlurm;
}

/** What a test needs beyond the usual cluster. */
export interface MoreOfSlurm {
  /** What slurm.conf says of each node, whatever this machine has. */
  readonly cpus?: number;
  /** Further accounts of the ordinary user and of root. */
  readonly accounts?: readonly string[];
  /** Further nodes that run jobs, each with a slurmd of its own; what else slurm.conf says of them. */
  readonly nodes?: Readonly<Record<string, string>>;
  /** Keys of slurm.conf, in the place of those that are there. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Further lines of slurm.conf. */
  readonly lines?: readonly string[];
  /** What becomes of the slurm.conf that is written otherwise. */
  readonly rewrite?: (slurmConf: string) => string;
  readonly gresConf?: string;
  /** Without, a slurmctld that starts anew does not look for them for so long that its real node waits. @default 40 */
  readonly paperNodes?: 0;
}

/** Everything runs and answers, or nothing is left. */
export const startCluster = async (options: ClusterOptions): Promise<Cluster> => {
  const { folder, generation, budgetConf, credentials, more = {} } = options;
  const isOldest = generation === 'bookworm';
  const hasAccounting = isOldest && options.accounting !== 'none';
  const daemons: Daemons = new Map();
  const userName = `asbb${process.pid}`;
  try {
    await installSlurm();
    await must('useradd', ['--no-create-home', '--home-dir', join(folder, 'home'), '--shell', '/bin/sh', userName]);
    const machine = await createMachine({ folder, root: await rootOf(generation), env: environment(folder), userName });
    const parts: Parts = { folder, daemons, machine, more };
    const cluster = createCluster(parts);
    writeConfiguration(parts, { isOldest, hasAccounting, ports: await freePorts(3 + Object.keys(more.nodes ?? {}).length) });
    cluster.setConf(more.settings ?? {});
    cluster.writeSecret('credentials', credentials);
    if (budgetConf === undefined) cluster.setConf({ JobSubmitPlugins: undefined });
    else {
      cluster.writeBudgetConf(budgetConf);
      await buildPlugin(parts);
    }
    await startMunge(parts);
    if (hasAccounting) await startAccounting(parts);
    await cluster.startController();
    await startNodes(parts);
    return cluster;
  } catch (error) {
    await endAll({ folder, daemons, userName });
    throw error;
  }
};

type Daemons = Map<string, Daemon>;

interface Parts {
  readonly folder: string;
  readonly daemons: Daemons;
  readonly machine: Machine;
  readonly more: MoreOfSlurm;
}

const createCluster = ({ folder, daemons, machine, more }: Parts): Cluster => {
  const { user, slurm } = machine;
  const log = join(folder, 'log/slurmctld.log');
  const conf = join(folder, 'etc/slurm.conf');
  const controllerLog = (mark = 0): string => (existsSync(log) ? readFileSync(log, 'utf8').slice(mark) : '');
  return {
    folder,
    user,
    slurm,
    run: (command, args, options) => machine.run(command, args, { cwd: join(folder, 'home'), uid: user.uid, gid: user.gid, ...options }),
    asRoot: (command, args, options) => machine.run(command, args, { cwd: folder, ...options }),
    writeBudgetConf: (text) => writeFileSync(join(folder, 'etc/asbb.conf'), text),
    writeSecret: (name, text, mode = 0o600) => {
      const path = join(folder, 'etc', name);
      writeFileSync(path, text);
      chmodSync(path, mode);
      chownSync(path, slurm.uid, slurm.gid);
    },
    setConf: (lines) => {
      const kept = readFileSync(conf, 'utf8')
        .split('\n')
        .filter((line) => !Object.keys(lines).some((key) => line.startsWith(`${key}=`)));
      const added = Object.entries(lines).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]));
      writeFileSync(conf, [...kept, ...added, ''].join('\n'));
    },
    startController: async () => {
      const mark = controllerLog().length;
      const daemon = machine.start('slurmctld', ['-D', '-f', conf]);
      daemons.set('slurmctld', daemon);
      await eventually('slurmctld answers', async () => {
        if (!daemon.isRunning()) throw new Error(`slurmctld ended:\n${controllerLog(mark)}`);
        return (await machine.run('scontrol', ['ping'])).stdout.includes('is UP');
      });
    },
    stopController: async (signal) => daemons.get('slurmctld')?.stop(signal) ?? null,
    get controllerPid() {
      return daemons.get('slurmctld')?.pid ?? 0;
    },
    forgetState: () => {
      for (const name of readdirSync(join(folder, 'state')))
        if (!name.startsWith('asbb')) rmSync(join(folder, 'state', name), { recursive: true });
    },
    copyState: async () => {
      const [state, copy] = [join(folder, 'state'), join(folder, 'state.copy')];
      await machine.must('cp', ['-a', state, copy]);
      return {
        bringBack: async () => {
          for (const name of readdirSync(copy)) if (!name.startsWith('asbb')) await machine.must('cp', ['-a', join(copy, name), state]);
          rmSync(copy, { recursive: true });
        },
      };
    },
    killAccounting: async () => daemons.get('slurmdbd')?.stop('SIGKILL'),
    startAccounting: () => startSlurmdbd({ folder, daemons, machine, more }),
    controllerLog,
    stop: () => endAll({ folder, daemons, userName: user.name }),
  };
};

const environment = (folder: string): Record<string, string> => ({
  SLURM_CONF: join(folder, 'etc/slurm.conf'),
  [MARK]: folder,
  PATH: `/usr/sbin:/usr/bin:/sbin:/bin:${process.env.PATH ?? ''}`,
});

/** Open to all, as the user and slurmctld both work in it; what must be secret is so by its own mode. */
export const createFolder = async (): Promise<string> => {
  await clearAbandoned();
  const folder = mkdtempSync(join(TEMPORARY, PREFIX));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, OWNER_FILE), `${process.pid}\n`);
  for (const name of ['etc', 'run', 'log', 'state', 'spool', 'plugdir', 'home', 'mysql', 'build']) mkdirSync(join(folder, name));
  return folder;
};

const HOST = hostname().split('.')[0] as string;

/** One node that runs jobs, or some more, and 40 that are down for ever: jobs may ask for them. */
const writeConfiguration = (
  { folder, machine: { user, slurm }, more }: Parts,
  {
    isOldest,
    hasAccounting,
    ports: [controller = 0, node = 0, database = 0, ...morePorts],
  }: { isOldest: boolean; hasAccounting: boolean; ports: readonly number[] },
): void => {
  const host = HOST;
  const size = `CPUs=${more.cpus ?? availableParallelism()} RealMemory=1024 State=UNKNOWN`;
  const moreNodes = Object.entries(more.nodes ?? {}).map(
    ([name, rest], index) => `NodeName=${name} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${morePorts[index]} ${size} ${rest}`,
  );
  const paper = more.paperNodes === 0 ? '' : ',cloud[1-40]';
  const common = `AuthType=auth/munge\nAuthInfo=socket=${folder}/run/munge.socket\nSlurmUser=${slurm.name}\n`;
  // From 23.02 on, what is none has no plugin any more, and is not to be named.
  const nones = 'TaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\nSwitchType=switch/none\n';
  const accounting = `AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=${database}
AccountingStoragePass=${folder}/run/munge.socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu,gres/gpu:a100
`;
  const slurmConf = `ClusterName=${CLUSTER_NAME}
SlurmctldHost=${host}(127.0.0.1)
${common}SlurmctldPort=${controller}
SlurmctldPidFile=${folder}/run/slurmctld.pid
SlurmctldLogFile=${folder}/log/slurmctld.log
SlurmctldDebug=info
SlurmdPidFile=${folder}/run/slurmd.%n.pid
SlurmdLogFile=${folder}/log/slurmd.%n.log
SlurmdSpoolDir=${folder}/spool/%n
StateSaveLocation=${folder}/state
PluginDir=${folder}/plugdir:${SYSTEM_PLUGINS}
${isOldest ? nones : ''}${hasAccounting ? accounting : ''}ProctrackType=proctrack/linuxproc
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
ReturnToService=2
${more.cpus === undefined ? '' : 'SlurmdParameters=config_overrides\n'}TreeWidth=65533
SchedulerParameters=sched_interval=2,bf_interval=2
MaxArraySize=2001
GresTypes=gpu
ScronParameters=enable
NodeName=${host} NodeAddr=127.0.0.1 Port=${node} ${size}
${more.paperNodes === 0 ? '#' : ''}NodeName=cloud[1-40] NodeAddr=127.0.0.1 CPUs=72 RealMemory=140000 Gres=gpu:a100:8 Features=intel,fast State=DOWN Reason=paper
PartitionName=local Nodes=${host} Default=YES MaxTime=INFINITE OverSubscribe=FORCE:64
PartitionName=aws Nodes=${host}${paper} MaxTime=INFINITE OverSubscribe=FORCE:64
PartitionName=awsopen Nodes=${host}${paper} MaxTime=INFINITE OverSubscribe=FORCE:64
PartitionName=awsdef Nodes=${host} MaxTime=INFINITE OverSubscribe=FORCE:64
JobSubmitPlugins=budget
${[...moreNodes, ...(more.lines ?? [])].map((line) => `${line}\n`).join('')}`;
  writeFileSync(join(folder, 'etc/slurm.conf'), (more.rewrite ?? ((text) => text))(slurmConf));
  if (more.gresConf !== undefined) writeFileSync(join(folder, 'etc/gres.conf'), more.gresConf);
  writeFileSync(join(folder, 'etc/cgroup.conf'), isOldest ? '' : 'CgroupPlugin=disabled\n');
  writeFileSync(
    join(folder, 'etc/slurmdbd.conf'),
    `${common}DbdHost=localhost\nDbdPort=${database}\nPidFile=${folder}/run/slurmdbd.pid\nLogFile=${folder}/log/slurmdbd.log\nStorageType=accounting_storage/mysql\nStorageUser=root\nStorageLoc=slurm\n`,
  );
  chmodSync(join(folder, 'etc/slurmdbd.conf'), 0o600);
  for (const path of ['etc', 'etc/slurmdbd.conf', 'etc/slurm.conf', 'state', 'log', 'run'])
    chownSync(join(folder, path), slurm.uid, slurm.gid);
  chownSync(join(folder, 'home'), user.uid, user.gid);
};

const freePorts = async (count: number): Promise<number[]> => {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
};

/** By its own Makefile, on a copy, against the headers of the Slurm that will load it. */
const buildPlugin = async ({ folder, machine }: Parts): Promise<void> => {
  const source = join(folder, 'source');
  const build = join(folder, 'build');
  mkdirSync(source);
  for (const name of readdirSync(SOURCES).filter((entry) => /^Makefile$|\.[ch]$/.test(entry)))
    copyFileSync(join(SOURCES, name), join(source, name));
  await machine.must('make', ['-C', source, `B=${build}`, `${build}/job_submit_budget.so`], { timeoutMs: 120_000 });
  copyFileSync(join(build, 'job_submit_budget.so'), join(folder, 'plugdir/job_submit_budget.so'));
};

const startMunge = async ({ folder, daemons, machine }: Parts): Promise<void> => {
  const key = join(folder, 'etc/munge.key');
  writeFileSync(key, randomBytes(128), { mode: 0o400 });
  // munged insists that nobody but its own user may write to the folders of its files.
  mkdirSync(join(folder, 'munge'), { mode: 0o755 });
  const paths = [
    ['key-file', key],
    ['pid-file', `${folder}/munge/munged.pid`],
    ['log-file', `${folder}/munge/munged.log`],
    ['seed-file', `${folder}/munge/munged.seed`],
  ].map(([option, path]) => `--${option}=${path}`);
  const socket = join(folder, 'run/munge.socket');
  daemons.set('munged', machine.start('munged', ['--foreground', '--force', `--socket=${socket}`, ...paths]));
  await eventually('munged answers', async () => (await machine.run('munge', ['-n', '-S', socket])).code === 0);
};

const startAccounting = async ({ folder, daemons, machine, more }: Parts): Promise<void> => {
  const data = join(folder, 'mysql');
  const socket = join(folder, 'run/mysql.sock');
  const install = ['--no-defaults', `--datadir=${data}`, '--user=root', '--auth-root-authentication-method=normal', '--skip-test-db'];
  await machine.must('mysql_install_db', install);
  const small = ['--innodb-buffer-pool-size=64M', '--innodb-log-file-size=16M', '--innodb-flush-log-at-trx-commit=0'];
  const where = ['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, '--skip-networking', '--user=root'];
  daemons.set('mariadbd', machine.start('mariadbd', [...where, ...small]));
  await eventually('MariaDB answers', async () => (await machine.run('mysqladmin', ['--no-defaults', '-S', socket, 'ping'])).code === 0);
  startSlurmdbd({ folder, daemons, machine, more });
  await eventually(
    'slurmdbd answers',
    async () => (await machine.run('sacctmgr', ['-i', 'add', 'cluster', CLUSTER_NAME])).code === 0,
    60_000,
  );
  const add = (...args: string[]) => machine.must('sacctmgr', ['-i', 'add', ...args]);
  const accounts = (...names: string[]): string => [...names, ...(more.accounts ?? [])].join(',');
  await add('account', accounts('physics', 'chem', 'nobudget'));
  await add('user', machine.user.name, `account=${accounts('physics', 'chem', 'nobudget')}`, 'defaultaccount=physics');
  await add('user', 'root', `account=${accounts('physics', 'chem')}`);
};

const startSlurmdbd = ({ folder, daemons, machine }: Parts): void => {
  daemons.set('slurmdbd', machine.start('slurmdbd', ['-D'], { env: { MYSQL_UNIX_PORT: join(folder, 'run/mysql.sock') } }));
};

/** Where there are several on one machine, each is told which one it is. */
const startNodes = async ({ folder, daemons, machine, more }: Parts): Promise<void> => {
  const names = Object.keys(more.nodes ?? {});
  const start = (daemon: string, args: readonly string[]) =>
    daemons.set(daemon, machine.start('slurmd', ['-D', '-f', join(folder, 'etc/slurm.conf'), ...args]));
  start('slurmd', names.length === 0 ? [] : ['-N', HOST]);
  for (const name of names) start(`slurmd-${name}`, ['-N', name]);
  const nodes = [HOST, ...names];
  await eventually(
    `the nodes ${nodes} are idle`,
    async () => {
      const { stdout } = await machine.run('sinfo', ['-h', '-N', '-n', nodes.join(','), '-o', '%N %t']);
      return nodes.every((name) => stdout.includes(`${name} idle\n`));
    },
    60_000,
  );
};

interface Remains {
  readonly folder: string;
  readonly daemons: Daemons;
  readonly userName: string;
}

/** In the order of their dependence, last started first; then whatever is left of its jobs, and the user. */
const endAll = async ({ folder, daemons, userName }: Remains): Promise<void> => {
  await Promise.all([...daemons].map(([name, daemon]) => (name.startsWith('slurmd-') ? daemon.stop() : undefined)));
  for (const name of ['slurmd', 'slurmctld', 'slurmdbd', 'mariadbd', 'munged']) await daemons.get(name)?.stop();
  for (const pid of pidsOf(folder)) process.kill(pid, 'SIGKILL');
  await eventually(`the processes of ${folder} are gone`, () => pidsOf(folder).length === 0, 10_000);
  await run('userdel', [userName]);
  if (process.env.ASBB_KEEP === undefined) rmSync(folder, { recursive: true, force: true });
};

/** What a killed run left behind: its processes, its folder and its user. */
const clearAbandoned = async (): Promise<void> => {
  for (const name of readdirSync(TEMPORARY).filter((entry) => entry.startsWith(PREFIX))) {
    const folder = join(TEMPORARY, name);
    const owner = existsSync(join(folder, OWNER_FILE)) ? Number(readFileSync(join(folder, OWNER_FILE), 'utf8')) : 0;
    if (owner === 0 || existsSync(`/proc/${owner}`)) continue;
    await endAll({ folder, daemons: new Map(), userName: `asbb${owner}` });
  }
};
