// Where a cluster's commands run: on this machine, or in a root folder with another generation of Slurm.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Daemon, must, type Outcome, type RunOptions, run, startDaemon } from '#test/slurm/shell';

export interface Person {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface Machine {
  readonly user: Person;
  readonly slurm: Person;
  run(command: string, args: readonly string[], options?: RunOptions): Promise<Outcome>;
  must(command: string, args: readonly string[], options?: RunOptions): Promise<string>;
  /** A daemon in the foreground; its output goes to log/NAME.out. */
  start(name: string, args: readonly string[], options?: Pick<RunOptions, 'env'>): Daemon;
}

export interface MachineOptions {
  /** The cluster's own. Is at the same path inside and outside. */
  readonly folder: string;
  /** Undefined for this machine. */
  readonly root: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** A user of this machine, who is made known inside. */
  readonly userName: string;
}

export const createMachine = async ({ folder, root, env, userName }: MachineOptions): Promise<Machine> => {
  const passwd = readFileSync(join(root ?? '/', 'etc/passwd'), 'utf8');
  const user = personIn(readFileSync('/etc/passwd', 'utf8'), userName);
  const enter = root === undefined ? stay : writeEntrance({ folder, root, passwd, user });
  const inside = (command: string, args: readonly string[], options: RunOptions = {}) =>
    enter(command, args, { ...options, env: { ...env, ...options.env } });
  return {
    user,
    slurm: personIn(passwd, 'slurm'),
    run: (...line) => run(...inside(...line)),
    must: (...line) => must(...inside(...line)),
    start: (name, args, options) => {
      const [command, daemonArgs, daemonOptions] = inside(name, args, options);
      const files = { log: join(folder, `log/${name}.out`), pidFile: join(folder, `run/${name}.started`) };
      return startDaemon(command, daemonArgs, { ...daemonOptions, name, ...files });
    },
  };
};

type Line = [command: string, args: readonly string[], options: RunOptions];
type Enter = (...line: Line) => Line;

const stay: Enter = (...line) => line;

const personIn = (passwd: string, name: string): Person => {
  const [, , uid, gid] =
    passwd
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.split(':') ?? [];
  if (uid === undefined || gid === undefined) throw new Error(`there is no user ${name}`);
  return { name, uid: Number(uid), gid: Number(gid) };
};

/**
 * Each command gets a mount namespace of its own, so that mounts end with their processes, whatever ends those. The root folder
 * itself is never written to: it is shared by all runs.
 */
const writeEntrance = ({ folder, root, passwd, user }: { folder: string; root: string; passwd: string; user: Person }): Enter => {
  const script = join(folder, 'enter.sh');
  writeFileSync(join(folder, 'passwd'), `${passwd}${user.name}:x:${user.uid}:${user.gid}::${folder}/home:/bin/sh\n`);
  copyFileSync('/etc/hosts', join(folder, 'hosts'));
  writeFileSync(
    script,
    `set -e
uid=$1 gid=$2 cwd=$3
shift 3
mount --rbind /proc ${root}/proc
mount --rbind /dev ${root}/dev
mount -t tmpfs -o mode=1777 tmpfs ${root}/tmp
mkdir ${root}${folder}
mount --bind ${folder} ${root}${folder}
mount --bind ${folder}/passwd ${root}/etc/passwd
mount --bind ${folder}/hosts ${root}/etc/hosts
exec chroot --userspec="$uid:$gid" ${root} env -C "$cwd" "$@"
`,
  );
  return (command, args, { uid = 0, gid = 0, cwd = folder, ...options }) => [
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', script, String(uid), String(gid), cwd, command, ...args],
    options,
  ];
};
