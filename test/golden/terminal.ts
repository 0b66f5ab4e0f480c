// The real asbb, bundled, on a real terminal: `script` of util-linux makes one, and stty says how wide it is.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { tellHistory } from '#test/golden/history';

const ROOT = join(import.meta.dirname, '../..');
const CONFIG = join(import.meta.dirname, 'files/config.yaml');
const PRELOAD = join(import.meta.dirname, 'fixed-clock.mjs');
const COLUMNS = 80;

export interface Shown {
  readonly code: number | null;
  /** As the terminal got it; from a pipe, what went to stdout. */
  readonly raw: string;
  /** Of a pipe. */
  readonly err: string;
}

export interface Installed {
  /** In a terminal of 80 columns. */
  onTerminal(args: string, env?: Record<string, string>): Promise<Shown>;
  piped(args: string, env?: Record<string, string>): Promise<Shown>;
  /** Start `asbb local` and tell it the history. @returns its address */
  serve(): Promise<string>;
  stop(): Promise<void>;
}

/** @param folder an empty one, where it is installed and at home */
export const install = async (folder: string): Promise<Installed> => {
  const outdir = join(folder, 'bin');
  await build({
    ...{ absWorkingDir: ROOT, entryPoints: { asbb: 'cli/asbb.ts' }, outdir, bundle: true, splitting: true, logLevel: 'warning' },
    ...{ format: 'esm', platform: 'node', target: 'node20', mainFields: ['module', 'main'], outExtension: { '.js': '.mjs' } },
    banner: { js: "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);" },
  });
  const asbb = `'${process.execPath}' '${join(outdir, 'asbb.mjs')}'`;
  const clock = join(folder, 'clock');
  const at = (time: string): void => writeFileSync(clock, time);
  const environment = (env: Record<string, string>): Record<string, string> => ({
    ...{ PATH: process.env.PATH ?? '', HOME: folder, LANG: 'C.UTF-8', TERM: 'xterm-256color' },
    ...{ ASBB_CONFIG: CONFIG, ASBB_CONF: '/nonexistent/asbb.conf', ASBB_TEST_CLOCK: clock, NODE_OPTIONS: `--import=${PRELOAD}` },
    ...env,
  });
  let server: ChildProcess | undefined;

  return {
    onTerminal: (args, env = {}) => {
      const command = `stty cols ${COLUMNS} rows 50; ${asbb} ${args}`;
      return ended(
        spawn('script', ['-qefc', command, '/dev/null'], { cwd: ROOT, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] }),
      );
    },
    piped: (args, env = {}) =>
      ended(spawn('bash', ['-c', `${asbb} ${args}`], { cwd: ROOT, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] })),
    serve: async () => {
      at('2026-10-01T08:00:00.000Z');
      const started = spawn(process.execPath, [join(outdir, 'asbb.mjs'), 'local', '--store', 'memory', '--port', '0', '--quiet'], {
        ...{ cwd: ROOT, env: environment({}), stdio: ['ignore', 'pipe', 'inherit'] },
      });
      server = started;
      const url = await listeningAt(started);
      await tellHistory({
        at,
        send: async (method, path, body) => {
          const headers = { 'content-type': 'application/json' };
          const answer = await fetch(`${url}/api/v1${path}`, { method, headers, body: JSON.stringify(body) });
          if (!answer.ok) throw new Error(`${method} ${path}: ${await answer.text()}`);
        },
      });
      return url;
    },
    stop: async () => {
      if (server === undefined) return;
      const exited = once(server, 'exit');
      server.kill('SIGTERM');
      await exited;
    },
  };
};

const ended = async (child: ChildProcess): Promise<Shown> => {
  const texts = [child.stdout, child.stderr].map(async (stream) => Buffer.concat((await stream?.toArray()) ?? []).toString());
  const exited = once(child, 'exit');
  const [raw = '', err = ''] = await Promise.all(texts);
  const [code] = (await exited) as [number | null];
  return { code, raw, err };
};

const listeningAt = async (server: ChildProcess): Promise<string> => {
  let said = '';
  for await (const piece of server.stdout ?? []) {
    said += piece;
    const url = /^asbb: listening on (\S+)$/m.exec(said)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`asbb local ended before it listened: ${said}`);
};
