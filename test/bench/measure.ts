// What the benchmarks share: a server in a process of its own, medians, and how a section is printed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

export interface Section {
  readonly title: string;
  readonly notes: readonly string[];
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export const percentileOf = (values: readonly number[], percent: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1)];
  if (value === undefined) throw new Error('nothing was measured');
  return value;
};

export const medianOf = (values: readonly number[]): number => percentileOf(values, 50);

/** Runs `asbb local` while `use` works with it. */
export const withServer = async <T>(
  options: { dynamoEndpoint?: string; args?: readonly string[] },
  use: (server: { url: string; pid: number }) => Promise<T>,
): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'asbb-bench-'));
  const config = join(folder, 'config.yaml');
  writeFileSync(config, options.dynamoEndpoint === undefined ? '{}\n' : `database:\n  endpoint: ${options.dynamoEndpoint}\n`);
  const args = [
    '--import',
    'tsx',
    'cli/asbb.ts',
    '--config',
    config,
    'local',
    '--port',
    '0',
    '--data',
    join(folder, 'data'),
    ...(options.args ?? []),
  ];
  const server = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, HOME: folder, XDG_STATE_HOME: folder },
  });
  try {
    return await use({ url: await urlOf(server), pid: server.pid as number });
  } finally {
    server.kill('SIGTERM');
    if (server.exitCode === null) await once(server, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
};

const urlOf = (server: ChildProcess): Promise<string> =>
  new Promise((resolve, reject) => {
    let output = '';
    server.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const url = /listening on (http:\S+)/.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    });
    server.once('exit', (status) => reject(new Error(`asbb local ended with status ${status}`)));
  });

/** When and where a run was, as the head of its sections. */
export const machineLine = (): string =>
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${type()} ${release()}, Node ${process.versions.node}`;

/** A section as Markdown. */
export const markdownOf = ({ title, notes, head, rows }: Section): string => {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [`## ${title}`, '', ...notes.flatMap((note) => [note, '']), line(head), line(head.map(() => '---')), ...rows.map(line), ''].join(
    '\n',
  );
};
