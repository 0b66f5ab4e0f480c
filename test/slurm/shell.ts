// Commands and processes. Never the synchronous forms: the proxy that the plugin talks to lives in this process too.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd?: string;
  readonly input?: string;
  readonly timeoutMs?: number;
}

const COMMAND_TIMEOUT_MS = 60_000;

/** Run to the end, whatever that is: a status is an answer here, not an exception. */
export const run = (command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
  new Promise((done, fail) => {
    const started = Date.now();
    const { env, uid, gid, cwd, input, timeoutMs = COMMAND_TIMEOUT_MS } = options;
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
      ...(cwd === undefined ? {} : { cwd }),
    });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => undefined); // It may end without reading its input.
    child.stdin.end(input ?? '');
    child.once('error', fail);
    child.once('close', (code) =>
      done({ code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString(), ms: Date.now() - started }),
    );
  });

/** Run what must succeed, and give its stdout. */
export const must = async (command: string, args: readonly string[], options: RunOptions = {}): Promise<string> => {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')} ended with status ${code}\n${stdout}${stderr}`);
};

export interface Daemon {
  readonly name: string;
  readonly pid: number;
  readonly log: string;
  /** How long the log was before this start of it. */
  readonly logMark: number;
  isRunning(): boolean;
  /** SIGTERM, then SIGKILL for those that do not listen; resolves to its status when it is gone, null if a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface DaemonOptions extends Omit<RunOptions, 'input' | 'timeoutMs'> {
  readonly name: string;
  /** Where its output goes; appended, so that a restart loses nothing. */
  readonly log: string;
  readonly pidFile: string;
}

const STOP_GRACE_MS = 15_000;

/** A process in the foreground of nobody, with its output in a file and its pid in another. */
export const startDaemon = (command: string, args: readonly string[], options: DaemonOptions): Daemon => {
  const { name, log, pidFile, env, uid, gid, cwd } = options;
  const output = openSync(log, 'a');
  const logMark = fstatSync(output).size;
  const child: ChildProcess = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', output, output],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  closeSync(output);
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${command}`);
  writeFileSync(pidFile, `${pid}\n`);
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    name,
    pid,
    log,
    logMark,
    isRunning,
    stop: async (signal = 'SIGTERM') => {
      if (isRunning()) child.kill(signal);
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await exited;
      clearTimeout(force);
      return child.exitCode;
    },
  };
};

/** Poll until `condition` gives something. Throws with `what` if that takes longer than `ms`. */
export const eventually = async <T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  ms = 30_000,
): Promise<T> => {
  const end = Date.now() + ms;
  for (;;) {
    const found = await condition();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((wake) => setTimeout(wake, 100));
  }
};

/** In the environment of every process of a cluster, and of its jobs, with the cluster's folder as its value. */
export const MARK = 'ASBB_TEST_CLUSTER';

/** Pids of the live processes of a cluster's folder. */
export const pidsOf = (folder: string): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(`${MARK}=${folder}`))
    .map(Number);

const environmentOf = (pid: string): string[] => {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return []; // It ended between the two looks.
  }
};
