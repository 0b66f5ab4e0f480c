// Slurm's own commands, run and read as they print: never more than a line at a time is kept here.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type AccountedRun, type ClusterFacts, type OnBadLine, type OnRun, type Slurm, SlurmSilent } from '#cli/agent/ports';
import {
  BadLine,
  ENDED_STATES,
  parseAccountedRun,
  parseQueuedJob,
  SACCT_FORMAT,
  SQUEUE_FORMAT,
  submissionIdIn,
} from '#cli/agent/slurm-rows';

/** A line that is longer is no line of these commands. */
const MAX_LINE_CHARS = 1024 * 1024;
const MAX_ERROR_CHARS = 500;
/** What fits on a command line by far. */
const MAX_IDS_PER_CALL = 500;

export interface SlurmCommandsOptions {
  /** Where squeue, sacct, scontrol and sdiag are. */
  readonly binPath: string;
  /** Of the agent; Slurm's own variables (SLURM_CONF) are passed on. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How long a command may take: slurmctld answers within its MessageTimeout (10 s), but slurmdbd may have to read for long. */
  readonly timeoutMs: number;
  /** Of this process: only root and Slurm's own user see everything. */
  readonly uid: number;
}

type Run = (name: string, args: readonly string[], onLine: (line: string) => void) => Promise<void>;

const runner = ({ binPath, env, timeoutMs }: Omit<SlurmCommandsOptions, 'uid'>): Run => {
  const slurmEnv = { ...Object.fromEntries(Object.entries(env).filter(([name]) => !NARROWING.test(name))), ...READABLE };
  return (name, args, onLine) => runLines({ command: join(binPath, name), args, env: slurmEnv, timeoutMs }, onLine);
};

/** `scontrol show config`, by key. @throws SlurmSilent */
export const readSlurmConfig = (options: Omit<SlurmCommandsOptions, 'uid'>): Promise<ReadonlyMap<string, string>> =>
  configThrough(runner(options));

const configThrough = async (run: Run): Promise<ReadonlyMap<string, string>> => {
  const config = new Map<string, string>();
  await run('scontrol', ['show', 'config'], (line) => {
    const [, name, value] = /^(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) config.set(name, value);
  });
  return config;
};

/** Slurm, as its commands tell of it. */
export const createSlurmCommands = ({ uid, ...options }: SlurmCommandsOptions): Slurm => {
  const run = runner(options);
  const account = (args: readonly string[], onRun: OnRun, onBadLine: OnBadLine): Promise<void> =>
    run('sacct', ['-a', '-X', '-D', '-n', '-P', ...args, '-o', SACCT_FORMAT], (line) =>
      reading<AccountedRun>({ source: 'sacct', line, parse: parseAccountedRun, take: onRun, onBadLine }),
    );
  return {
    facts: async () => factsOf(await configThrough(run), uid),
    queue: async (onJob, onBadLine) => {
      const lines = joinedLines((line) => reading({ source: 'squeue', line, parse: parseQueuedJob, take: onJob, onBadLine }));
      await run('squeue', ['-h', '-a', '-t', 'all', '-O', SQUEUE_FORMAT], lines.take);
      lines.end();
    },
    endedRuns: ({ from, to }, onRun, onBadLine) =>
      account(['-S', String(from), '-E', String(to), `--state=${ENDED_STATES}`].map(asTime), onRun, onBadLine),
    runsOf: async (submissionIds, onRun, onBadLine) => {
      for (let first = 0; first < submissionIds.length; first += MAX_IDS_PER_CALL)
        await account(['-j', submissionIds.slice(first, first + MAX_IDS_PER_CALL).join(',')], onRun, onBadLine);
    },
    accountingBacklog: async () => {
      let backlog: number | undefined;
      await run('sdiag', [], (line) => {
        const found = /^\s*DBD Agent queue size:\s*(\d+)/.exec(line)?.[1];
        if (found !== undefined) backlog = Number(found);
      });
      if (backlog === undefined) throw new SlurmSilent('sdiag does not say how long the queue to slurmdbd is');
      return backlog;
    },
  };
};

/** Times as seconds, in UTC, and task lists of any length. */
const READABLE = { SLURM_TIME_FORMAT: '%s', TZ: 'UTC', SLURM_BITSTR_LEN: '0', LC_ALL: 'C' } as const;

/** squeue(1), sacct(1), "ENVIRONMENT VARIABLES": with some of these in the environment, they leave jobs out, or print of other clusters. */
const NARROWING = /^(?:SQUEUE_|SACCT_|SLURM_CLUSTERS$)/;

/** sacct takes no seconds since 1970 before 20.11, but always a date; TZ is UTC. */
const asTime = (argument: string): string =>
  /^\d+$/.test(argument) ? new Date(Number(argument) * 1000).toISOString().slice(0, 19) : argument;

const factsOf = (config: ReadonlyMap<string, string>, uid: number): ClusterFacts => {
  const bootedAt = Number(config.get('BOOT_TIME'));
  const minJobAgeSeconds = Number(/^\d+/.exec(config.get('MinJobAge') ?? '')?.[0]);
  const clusterName = config.get('ClusterName') ?? '';
  if (clusterName === '' || !Number.isSafeInteger(bootedAt) || !Number.isSafeInteger(minJobAgeSeconds))
    throw new SlurmSilent('scontrol show config does not say ClusterName, BOOT_TIME and MinJobAge');
  return {
    clusterName,
    bootedAt,
    minJobAgeSeconds,
    hasAccounting: config.get('AccountingStorageType') === 'accounting_storage/slurmdbd',
    showsAllJobs: showsAllJobs(config, uid),
  };
};

/** Of SlurmUser, which `scontrol show config` gives as name(uid). NaN if it does not. */
export const slurmUidIn = (config: ReadonlyMap<string, string>): number => Number(/\((\d+)\)/.exec(config.get('SlurmUser') ?? '')?.[1]);

/** Whether PrivateData lets a user see the jobs of others. */
export const showsAllJobs = (config: ReadonlyMap<string, string>, uid: number): boolean =>
  uid === 0 || uid === slurmUidIn(config) || !/\bjobs\b/.test(config.get('PrivateData') ?? '');

const reading = <T>(what: {
  source: 'squeue' | 'sacct';
  line: string;
  parse: (line: string) => T;
  take: (row: T) => void;
  onBadLine: OnBadLine;
}): void => {
  let row: T;
  try {
    row = what.parse(what.line);
  } catch (error) {
    if (!(error instanceof BadLine)) throw error;
    const submissionId = submissionIdIn(what.source, what.line);
    what.onBadLine({
      source: what.source,
      line: what.line,
      problem: error.message,
      ...(submissionId === undefined ? {} : { submissionId }),
    });
    return;
  }
  what.take(row);
};

/** Each row of squeue ends with a bar; one that does not goes on in the next line, since root may write a line break into admin_comment. */
const joinedLines = (take: (line: string) => void) => {
  let open = '';
  return {
    take: (line: string): void => {
      if (open === '' && line === '') return;
      open = open === '' ? line : `${open} ${line}`;
      if (!open.endsWith('|') && open.length < MAX_LINE_CHARS) return;
      take(open);
      open = '';
    },
    end: (): void => {
      if (open !== '') throw new SlurmSilent(`squeue was cut off in mid-line: '${open.slice(0, MAX_ERROR_CHARS)}'`);
    },
  };
};

/** Run a command to its end. @throws SlurmSilent if it cannot be run, fails, takes too long, or ends within a line */
const runLines = (
  { command, args, env, timeoutMs }: { command: string; args: readonly string[]; env: SlurmCommandsOptions['env']; timeoutMs: number },
  onLine: (line: string) => void,
): Promise<void> =>
  new Promise((done, fail) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    // What a wrapper has started may outlive it, and hold its output open: so the pipes are closed here, too.
    const timer = setTimeout(() => {
      thrown ??= new SlurmSilent(`${command} was not done after ${timeoutMs / 1000} s`);
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeoutMs);
    let rest = '';
    let said = '';
    let thrown: unknown;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      if (thrown !== undefined) return;
      try {
        for (const line of lines) onLine(line);
        if (rest.length > MAX_LINE_CHARS) throw new SlurmSilent(`${command} printed a line of more than ${MAX_LINE_CHARS} characters`);
      } catch (error) {
        thrown = error;
        child.kill('SIGKILL');
      }
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      said = `${said}${chunk}`.slice(0, MAX_ERROR_CHARS);
    });
    child.once('error', (error) => {
      clearTimeout(timer);
      fail(new SlurmSilent(`${command} cannot be run (${error.message})`, { cause: error }));
    });
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      if (thrown !== undefined) fail(thrown);
      else if (status !== 0)
        fail(new SlurmSilent(`${command} ended with ${signal ?? `status ${status}`}: ${said.trim() || 'it said nothing'}`));
      else if (rest !== '') fail(new SlurmSilent(`${command} was cut off in mid-line: '${rest.slice(0, MAX_ERROR_CHARS)}'`));
      else done();
    });
  });
