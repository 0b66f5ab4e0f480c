// A machine to install on that is only a folder: a shell, Node, and a systemctl that writes down what it is told.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const FOLDERS = ['dev', 'etc', 'run/systemd/system', 'tmp', 'usr/bin', 'usr/lib', 'var/lib/dpkg/info', 'var/lib/dpkg/updates'];
const SYSTEMCTL_LOG = '/tmp/systemctl.log';

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ScratchRoot {
  readonly path: string;
  /** As root, in the folder, with nothing of our environment. */
  run(command: string, args: readonly string[], env?: Readonly<Record<string, string>>): Outcome;
  write(path: string, content: string, mode?: number): void;
  read(path: string): string;
  has(path: string): boolean;
  /** What systemctl was told since it was last asked for. */
  systemctl(): string[];
  remove(): void;
}

export const createScratchRoot = (): ScratchRoot => {
  const path = mkdtempSync(join(tmpdir(), 'asbb-root-'));
  for (const folder of FOLDERS) mkdirSync(join(path, folder), { recursive: true });
  symlinkSync('usr/bin', join(path, 'bin'));
  const write = (file: string, content: string, mode = 0o644): void => {
    mkdirSync(dirname(join(path, file)), { recursive: true });
    writeFileSync(join(path, file), content, { mode });
  };
  copyProgram(path, { from: '/bin/sh', to: '/usr/bin/sh' });
  copyProgram(path, { from: process.execPath, to: '/usr/bin/node' });
  write('/usr/bin/systemctl', `#!/bin/sh\necho "$*" >>${SYSTEMCTL_LOG}\n`, 0o755);
  write('/var/lib/dpkg/status', '');
  write('/dev/null', '');
  return {
    path,
    run: (command, args, env = {}) => runOutcome('/usr/sbin/chroot', [path, command, ...args], { PATH: '/usr/bin', HOME: '/tmp', ...env }),
    write,
    read: (file) => readFileSync(join(path, file), 'utf8'),
    has: (file) => existsSync(join(path, file)),
    systemctl: () => {
      const log = join(path, SYSTEMCTL_LOG);
      const lines = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : [];
      rmSync(log, { force: true });
      return lines;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
};

/** Run to its end, however it ends. Nothing is asked of whoever sits at the terminal. */
export const runOutcome = (command: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>): Outcome => {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  if (error !== undefined) throw error;
  return { status, stdout, stderr };
};

/** With the libraries that it is linked with, at their own places. */
const copyProgram = (root: string, { from, to }: { from: string; to: string }): void => {
  copyFileSync(realpathSync(from), join(root, to));
  const { stdout } = spawnSync('ldd', [from], { encoding: 'utf8' });
  for (const [library] of stdout.matchAll(/(?<=\s)\/\S+/g)) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(realpathSync(library), join(root, library));
  }
};
