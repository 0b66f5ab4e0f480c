// One bash, to which commands are typed one after the other.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

const ENDING_MS = 5_000;
const POLL_MS = 50;

export interface Terminal {
  /**
   * Type it, and wait for its end.
   * @returns its status, and what it has printed until now: more may come of a background job
   */
  type(command: string, patienceMs: number): Promise<{ status: number; printed: () => string }>;
  /** End the shell and everything that was started in it. */
  close(): Promise<void>;
}

/** @param folder an empty one, for what it has to keep */
export const openTerminal = (folder: string, { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv }): Terminal => {
  // A session of its own, by which everything that was started in it is found again.
  const shell = spawn('bash', ['--noprofile', '--norc'], { cwd, env, detached: true, stdio: ['pipe', 'ignore', 'ignore', 'pipe'] });
  const ended = once(shell, 'exit').then(() => 'ended' as const);
  const answers = statusesOn(shell.stdio[3] as Readable);
  // As an interactive shell has it: aliases, and each job in a process group of its own, so that `kill %1` ends all of it.
  shell.stdin?.write('shopt -s expand_aliases; set -m; status=0\n');
  let count = 0;

  const type = async (command: string, patienceMs: number) => {
    count += 1;
    const [file, log] = [join(folder, `${count}.sh`), join(folder, `${count}.log`)];
    writeFileSync(file, `${command}\n`);
    writeFileSync(log, '');
    // Read as a file of its own, so that no command swallows the next ones; and `$?` is the one before it.
    shell.stdin?.write(`(exit $status); . '${file}' </dev/null >>'${log}' 2>&1 3>&-; status=$?; echo $status >&3\n`);
    const printed = () => withoutJobNotices(readFileSync(log, 'utf8'));
    const answer = await Promise.race([answers.next(), ended, pause(patienceMs)]);
    if (answer === 'late') throw new Error(`it did not end within ${patienceMs / 1000} s. It has printed:\n${printed()}`);
    if (answer === 'ended') throw new Error(`it ended the shell. It has printed:\n${printed()}`);
    return { status: answer, printed };
  };
  return { type, close: () => endSession(shell) };
};

/** A script's shell says which line was killed; an interactive one says so later, and in its own words. */
const withoutJobNotices = (printed: string): string => printed.replace(/^\S+: line \d+: +\d+ (Terminated|Killed|Hangup) .*\n/gm, '');

const statusesOn = (pipe: Readable): { next(): Promise<number> } => {
  let text = '';
  const waiting: ((status: number) => void)[] = [];
  pipe.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const status = Number(text.slice(0, end));
      text = text.slice(end + 1);
      waiting.shift()?.(status);
    }
  });
  return { next: () => new Promise((resolve) => waiting.push(resolve)) };
};

const pause = (ms: number): Promise<'late'> => new Promise((resolve) => setTimeout(() => resolve('late'), ms).unref());

const endSession = async (shell: ChildProcess): Promise<void> => {
  const { pid } = shell;
  if (pid === undefined) return;
  const kill = (signal: NodeJS.Signals): boolean => {
    const pids = pidsOfSession(pid);
    for (const each of pids) {
      try {
        process.kill(each, signal);
      } catch {
        // It has ended by itself meanwhile.
      }
    }
    return pids.length === 0;
  };
  const deadline = Date.now() + ENDING_MS;
  let isDone = kill('SIGTERM');
  shell.stdin?.end(); // A bash that waits for more input heeds no SIGTERM of an interactive kind.
  while (!isDone && Date.now() < deadline) {
    await pause(POLL_MS);
    isDone = pidsOfSession(pid).length === 0;
  }
  if (!isDone) kill('SIGKILL');
};

const pidsOfSession = (session: number): number[] =>
  spawnSync('pgrep', ['-s', String(session)], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((pid) => pid !== '')
    .map(Number);
