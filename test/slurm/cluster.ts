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
import { availableParallelism, hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { installSlurm } from '#test/slurm/install';
import { type Daemon, eventually, MARK, must, type Outcome, pidsOf, type RunOptions, run, startDaemon } from '#test/slurm/shell';

const PREFIX = 'asbb-slurm-';
const SYSTEM_PLUGINS = '/usr/lib/x86_64-linux-gnu/slurm-wlm';
const SOURCES = join(import.meta.dirname, '../../slurm-plugin');
const OWNER_FILE = 'owner.pid';

export const CLUSTER_NAME = 'testbed';

export interface Person {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface Cluster {
  readonly folder: string;
  /** An ordinary user with accounts `physics` (default) and `chem`. */
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
  /** Adds to slurm.conf what `budget` needs, or takes it away. */
  useBudget(use: 'with plugin' | 'without plugin'): void;
  /** Resolves once slurmctld answers. If it ends instead, throws with what it logged since. */
  startController(): Promise<void>;
  /** Resolves to slurmctld's exit status, null if a signal ended it. */
  stopController(signal?: NodeJS.Signals): Promise<number | null>;
  readonly controllerPid: number;
  /** What slurmctld has logged since `mark`, which is a former length. */
  controllerLog(mark?: number): string;
  /** Ends everything, and throws if something of it is still there. */
  stop(): Promise<void>;
}

export interface ClusterOptions {
  /** Of `createFolder`. */
  readonly folder: string;
  /** asbb.conf, for slurmctld's first start. */
  readonly budgetConf: string;
  /** What AWS calls a shared credentials file; only slurmctld's user may read it. */
  readonly credentials: string;
}

/** Everything runs and answers, or nothing is left. */
export const startCluster = async ({ folder, budgetConf, credentials }: ClusterOptions): Promise<Cluster> => {
  await installSlurm();
  const daemons = new Map<string, Daemon>();
  const names = { user: `asbb${process.pid}`, slurm: 'slurm' };
  try {
    await must('useradd', ['--no-create-home', '--home-dir', join(folder, 'home'), '--shell', '/bin/sh', names.user]);
    const cluster = createCluster({ folder, daemons, user: await personOf(names.user), slurm: await personOf(names.slurm) });
    await writeConfiguration(cluster);
    cluster.writeBudgetConf(budgetConf);
    cluster.writeSecret('credentials', credentials);
    await buildPlugin(folder);
    await startMunge(cluster, daemons);
    await startAccounting(cluster, daemons);
    await cluster.startController();
    await startNode(cluster, daemons);
    return cluster;
  } catch (error) {
    await endAll({ folder, daemons, userName: names.user });
    throw error;
  }
};

interface Parts {
  readonly folder: string;
  readonly daemons: Map<string, Daemon>;
  readonly user: Person;
  readonly slurm: Person;
}

const createCluster = ({ folder, daemons, user, slurm }: Parts): Cluster => {
  const env = environment(folder);
  const log = join(folder, 'log/slurmctld.log');
  const conf = join(folder, 'etc/slurm.conf');
  const controllerLog = (mark = 0): string => (existsSync(log) ? readFileSync(log, 'utf8').slice(mark) : '');
  return {
    folder,
    user,
    slurm,
    run: (command, args, options) =>
      run(command, args, { cwd: join(folder, 'home'), uid: user.uid, gid: user.gid, ...options, env: { ...env, ...options?.env } }),
    asRoot: (command, args, options) => run(command, args, { cwd: folder, ...options, env: { ...env, ...options?.env } }),
    writeBudgetConf: (text) => writeFileSync(join(folder, 'etc/asbb.conf'), text),
    writeSecret: (name, text, mode = 0o600) => {
      const path = join(folder, 'etc', name);
      writeFileSync(path, text);
      chmodSync(path, mode);
      chownSync(path, slurm.uid, slurm.gid);
    },
    useBudget: (use) => {
      const lines = readFileSync(conf, 'utf8').replace(/^JobSubmitPlugins=.*\n/m, '');
      writeFileSync(conf, use === 'with plugin' ? `${lines}JobSubmitPlugins=budget\n` : lines);
    },
    startController: async () => {
      const mark = controllerLog().length;
      const daemon = startDaemon('slurmctld', ['-D', '-f', conf], {
        name: 'slurmctld',
        log: join(folder, 'log/slurmctld.out'),
        pidFile: join(folder, 'run/slurmctld.started'),
        env,
      });
      daemons.set('slurmctld', daemon);
      await eventually('slurmctld answers', async () => {
        if (!daemon.isRunning()) throw new Error(`slurmctld ended:\n${controllerLog(mark)}`);
        return (await run('scontrol', ['ping'], { env })).stdout.includes('is UP');
      });
    },
    stopController: async (signal) => daemons.get('slurmctld')?.stop(signal) ?? null,
    get controllerPid() {
      return daemons.get('slurmctld')?.pid ?? 0;
    },
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
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, OWNER_FILE), `${process.pid}\n`);
  for (const name of ['etc', 'run', 'log', 'state', 'spool', 'plugdir', 'home', 'mysql', 'build']) mkdirSync(join(folder, name));
  return folder;
};

const personOf = async (name: string): Promise<Person> => ({
  name,
  uid: Number(await must('id', ['-u', name])),
  gid: Number(await must('id', ['-g', name])),
});

/** Three nodes, of which the last two are down for ever: jobs may ask for them, but only the first one runs any. */
const writeConfiguration = async ({ folder, user, slurm }: Cluster): Promise<void> => {
  const [controller = 0, node = 0, database = 0] = await freePorts(3);
  const host = hostname().split('.')[0];
  const common = `AuthType=auth/munge\nAuthInfo=socket=${folder}/run/munge.socket\nSlurmUser=${slurm.name}\n`;
  const slurmConf = `ClusterName=${CLUSTER_NAME}
SlurmctldHost=${host}(127.0.0.1)
${common}SlurmctldPort=${controller}
SlurmctldPidFile=${folder}/run/slurmctld.pid
SlurmctldLogFile=${folder}/log/slurmctld.log
SlurmctldDebug=info
SlurmdPidFile=${folder}/run/slurmd.pid
SlurmdLogFile=${folder}/log/slurmd.log
SlurmdSpoolDir=${folder}/spool
StateSaveLocation=${folder}/state
PluginDir=${folder}/plugdir:${SYSTEM_PLUGINS}
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=${database}
AccountingStoragePass=${folder}/run/munge.socket
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu,gres/gpu:a100
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,bf_interval=2
MaxArraySize=2001
GresTypes=gpu
ScronParameters=enable
NodeName=${host} NodeAddr=127.0.0.1 Port=${node} CPUs=${availableParallelism()} RealMemory=1024 State=UNKNOWN
NodeName=cloud[1-40] NodeAddr=127.0.0.1 CPUs=72 RealMemory=140000 Gres=gpu:a100:8 Features=intel,fast State=DOWN Reason=paper
PartitionName=local Nodes=${host} Default=YES MaxTime=INFINITE OverSubscribe=FORCE:64
PartitionName=aws Nodes=${host},cloud[1-40] MaxTime=INFINITE OverSubscribe=FORCE:64
PartitionName=awsopen Nodes=${host},cloud[1-40] MaxTime=INFINITE OverSubscribe=FORCE:64
PartitionName=awsdef Nodes=${host} MaxTime=INFINITE OverSubscribe=FORCE:64
JobSubmitPlugins=budget
`;
  writeFileSync(join(folder, 'etc/slurm.conf'), slurmConf);
  writeFileSync(join(folder, 'etc/cgroup.conf'), '');
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

/** By its own Makefile, into the cluster's own folder, so that two runs do not tread on each other's objects. */
const buildPlugin = async (folder: string): Promise<void> => {
  const build = join(folder, 'build');
  await must('make', ['-C', SOURCES, `B=${build}`, `${build}/job_submit_budget.so`], { timeoutMs: 120_000 });
  copyFileSync(join(build, 'job_submit_budget.so'), join(folder, 'plugdir/job_submit_budget.so'));
};

type Daemons = Map<string, Daemon>;

const startMunge = async ({ folder, asRoot }: Cluster, daemons: Daemons): Promise<void> => {
  const key = join(folder, 'etc/munge.key');
  writeFileSync(key, randomBytes(128), { mode: 0o400 });
  // munged insists that nobody but its own user, or root, may write to the folder of its key and of its socket.
  mkdirSync(join(folder, 'munge'), { mode: 0o755 });
  const paths = [
    ['key-file', key],
    ['pid-file', `${folder}/munge/munged.pid`],
    ['log-file', `${folder}/munge/munged.log`],
    ['seed-file', `${folder}/munge/munged.seed`],
  ].map(([option, path]) => `--${option}=${path}`);
  const socket = join(folder, 'run/munge.socket');
  daemons.set(
    'munged',
    startDaemon('munged', ['--foreground', '--force', `--socket=${socket}`, ...paths], {
      name: 'munged',
      log: join(folder, 'log/munged.out'),
      pidFile: join(folder, 'run/munged.started'),
      env: environment(folder),
    }),
  );
  await eventually('munged answers', async () => (await asRoot('munge', ['-n', '-S', socket])).code === 0);
};

const startAccounting = async (cluster: Cluster, daemons: Daemons): Promise<void> => {
  const { folder, asRoot, user } = cluster;
  const data = join(folder, 'mysql');
  const socket = join(folder, 'run/mysql.sock');
  await must('mysql_install_db', [
    '--no-defaults',
    `--datadir=${data}`,
    '--user=root',
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]);
  const env = { ...environment(folder), MYSQL_UNIX_PORT: socket };
  const small = ['--innodb-buffer-pool-size=64M', '--innodb-log-file-size=16M', '--innodb-flush-log-at-trx-commit=0'];
  daemons.set(
    'mariadbd',
    startDaemon('mariadbd', ['--no-defaults', `--datadir=${data}`, `--socket=${socket}`, '--skip-networking', '--user=root', ...small], {
      name: 'mariadbd',
      log: join(folder, 'log/mariadbd.out'),
      pidFile: join(folder, 'run/mariadbd.started'),
      env,
    }),
  );
  await eventually('MariaDB answers', async () => (await asRoot('mysqladmin', ['--no-defaults', '-S', socket, 'ping'])).code === 0);
  daemons.set(
    'slurmdbd',
    startDaemon('slurmdbd', ['-D'], {
      name: 'slurmdbd',
      log: join(folder, 'log/slurmdbd.out'),
      pidFile: join(folder, 'run/slurmdbd.started'),
      env,
    }),
  );
  const sacctmgr = (...args: string[]) => asRoot('sacctmgr', ['-i', ...args]);
  await eventually('slurmdbd answers', async () => (await sacctmgr('add', 'cluster', CLUSTER_NAME)).code === 0, 60_000);
  for (const account of ['physics', 'chem', 'nobudget']) await mustDo(sacctmgr('add', 'account', account));
  await mustDo(sacctmgr('add', 'user', user.name, 'account=physics,chem,nobudget', 'defaultaccount=physics'));
  await mustDo(sacctmgr('add', 'user', 'root', 'account=physics,chem', 'defaultaccount=physics')).catch(() =>
    // Root exists from the start, with the account root.
    mustDo(sacctmgr('add', 'user', 'root', 'account=physics,chem')),
  );
};

const mustDo = async (outcome: Promise<Outcome>): Promise<void> => {
  const { code, stdout, stderr } = await outcome;
  if (code !== 0) throw new Error(`ended with status ${code}: ${stdout}${stderr}`);
};

const startNode = async ({ folder, asRoot }: Cluster, daemons: Daemons): Promise<void> => {
  daemons.set(
    'slurmd',
    startDaemon('slurmd', ['-D', '-f', join(folder, 'etc/slurm.conf')], {
      name: 'slurmd',
      log: join(folder, 'log/slurmd.out'),
      pidFile: join(folder, 'run/slurmd.started'),
      env: environment(folder),
    }),
  );
  await eventually(
    'the node is idle',
    async () => (await asRoot('sinfo', ['-h', '-p', 'local', '-o', '%t'])).stdout.trim() === 'idle',
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
  const stops = ['slurmd', 'slurmctld', 'slurmdbd', 'mariadbd', 'munged'].flatMap((name) => daemons.get(name) ?? []);
  if (daemons.get('slurmctld')?.isRunning() === true)
    await run('scancel', ['--user', userName], { env: environment(folder), timeoutMs: 10_000 });
  for (const daemon of stops) await daemon.stop();
  for (const pid of pidsOf(folder)) process.kill(pid, 'SIGKILL');
  await eventually(`the processes of ${folder} are gone`, () => pidsOf(folder).length === 0, 10_000);
  await run('userdel', [userName]);
  if (process.env.ASBB_KEEP === undefined) rmSync(folder, { recursive: true, force: true });
  const left = ['slurmctld', 'slurmd', 'slurmdbd', 'munged', 'mariadbd'].filter((name) => daemons.get(name)?.isRunning());
  if (left.length > 0) throw new Error(`still running: ${left.join(', ')}`);
};

/** What a killed run left behind: its processes, its folder and its user. */
const clearAbandoned = async (): Promise<void> => {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const folder = join(tmpdir(), name);
    const owner = existsSync(join(folder, OWNER_FILE)) ? Number(readFileSync(join(folder, OWNER_FILE), 'utf8')) : 0;
    if (owner === 0 || existsSync(`/proc/${owner}`)) continue;
    await endAll({ folder, daemons: new Map(), userName: `asbb${owner}` });
  }
};
