// A local AWS on a free port: MiniStack, in a Python environment of its own outside of the checkout, made once.
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '../..');
const MINISTACK = 'ministack==1.5.33';
const READY_MS = 60_000;
const POLL_MS = 200;
/** CDK builds, publishes and waits; on a busy machine that takes minutes. */
const CDK_MS = 600_000;

export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';

export interface MiniStack {
  readonly url: string;
  /** `npx cdk ARGS`, against it. @returns all that it said; if it failed, throws an error with its `stdout` and `stderr` */
  cdk(...args: readonly string[]): Promise<string>;
  /** `npm ARGS`, of which the last ones are CDK's. */
  npm(...args: readonly string[]): Promise<string>;
  /** `asbb ARGS` in JSON. @returns its data */
  asbb(...args: readonly string[]): Promise<string>;
  /** An API of its API Gateway, by the `ApiEndpoint` that was given out. */
  endpointOf(apiEndpoint: string): string;
  stop(): Promise<void>;
}

/** Why it cannot be here, or undefined. */
export const missingForMiniStack = (): string | undefined =>
  command() === undefined ? `Python 3 with venv and pip, and ${MINISTACK} from PyPI` : undefined;

/**
 * Its Python. It is made beside its place and then put there in one step, since two tests may come here at once; so no path of it
 * may be in a script, and MiniStack is run as a module.
 */
const command = (): string | undefined => {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'asbb', MINISTACK);
  const python = join(folder, 'bin/python3');
  if (existsSync(python)) return python;
  mkdirSync(join(folder, '..'), { recursive: true });
  const making = mkdtempSync(`${folder}-`);
  const isMade =
    spawnSync('python3', ['-m', 'venv', making], { stdio: 'ignore' }).status === 0 &&
    spawnSync(join(making, 'bin/python3'), ['-m', 'pip', 'install', '--quiet', MINISTACK], { stdio: 'ignore' }).status === 0;
  try {
    if (isMade) renameSync(making, folder);
  } catch (error) {
    if (!existsSync(python)) throw error; // Somebody else was quicker, which is as good.
  }
  rmSync(making, { recursive: true, force: true });
  return existsSync(python) ? python : undefined;
};

export const startMiniStack = async (): Promise<MiniStack> => {
  const python = command();
  if (python === undefined) throw new Error(`there is no MiniStack here: it needs ${missingForMiniStack()}`);
  const folder = mkdtempSync(join(tmpdir(), 'asbb-ministack-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const log = join(folder, 'log');
  const own = {
    BIND_HOST: '127.0.0.1',
    GATEWAY_PORT: String(port),
    TMPDIR: folder,
    STATE_DIR: join(folder, 'state'),
    S3_DATA_DIR: join(folder, 's3'),
  };
  const server = spawn(python, ['-m', 'ministack'], {
    cwd: folder,
    env: { ...process.env, ...own, LOG_LEVEL: 'WARNING' },
    stdio: ['ignore', openSync(log, 'w'), openSync(log, 'a')],
  });
  const stop = async (): Promise<void> => {
    await end(server);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await ready(url, server);
  } catch (cause) {
    const said = readFileSync(log, 'utf8');
    await stop();
    throw new Error(`MiniStack did not start: ${said}`, { cause });
  }
  const environment = {
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ENDPOINT_URL: url,
    AWS_ENDPOINT_URL_S3: url,
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
  const run = async (command: string, args: readonly string[]): Promise<string> => {
    const env = { ...process.env, ...environment, CDK_DISABLE_CLI_TELEMETRY: 'true', CDK_DISABLE_VERSION_CHECK: '1' };
    const { stdout, stderr } = await promisify(execFile)(command, args, { cwd: ROOT, env, timeout: CDK_MS, maxBuffer: 1 << 26 });
    return `${stdout}${stderr}`;
  };
  const ofCdk = ['--output', join(folder, 'cdk.out'), '--no-color'];
  return {
    url,
    cdk: (...args) => run('npx', ['cdk', ...args, ...ofCdk]),
    npm: (...args) => run('npm', [...args, ...ofCdk]),
    // Its exit status is of no interest here: alarms may ring. What is said on stderr is not JSON.
    asbb: async (...args) => {
      const all = ['--import', 'tsx', 'cli/asbb.ts', '--quiet', '--output', 'json', ...args];
      const options = { cwd: ROOT, env: { ...process.env, ...environment }, timeout: READY_MS };
      return promisify(execFile)(process.execPath, all, options).then(
        ({ stdout }) => stdout,
        ({ stdout }: { stdout: string }) => stdout,
      );
    },
    // Its host names are for a resolver that nobody has; the same API has a path, too.
    endpointOf: (apiEndpoint) => `${url}/_aws/execute-api/${new URL(apiEndpoint).hostname.split('.')[0]}/$default`,
    stop,
  };
};

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (typeof address !== 'object' || address === null) throw new Error('no port is free');
  return address.port;
};

const ready = async (url: string, server: ChildProcess): Promise<void> => {
  for (let waited = 0; waited < READY_MS; waited += POLL_MS) {
    if (server.exitCode !== null) throw new Error(`it ended with status ${server.exitCode}`);
    const isUp = await fetch(`${url}/_ministack/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`it was not ready within ${READY_MS} ms`);
};

/** By its own id, and only it. */
const end = async (server: ChildProcess): Promise<void> => {
  if (server.exitCode !== null) return;
  const ended = once(server, 'exit');
  server.kill('SIGTERM');
  const forced = setTimeout(() => server.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(forced);
};
