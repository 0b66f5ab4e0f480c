// `asbb local` as a process of its own, which demands signatures, and a client of it for the tests.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiClient, createApiClient, type HoldDetailAnswer } from '#cli/api-client';
import { type Daemon, eventually, MARK, pidsOf, startDaemon } from '#test/slurm/shell';

const ROOT = join(import.meta.dirname, '../..');

export const REGION = 'eu-central-1';
export const KEYS = { accessKeyId: 'AKIDTESTBED', secretAccessKey: 'a/secret+of/the+testbed' } as const;

export interface Budget {
  readonly url: string;
  readonly api: ApiClient;
  /** Resolves to the hold, or throws if there is none. */
  hold(holdId: string): Promise<HoldDetailAnswer>;
  /** A new account of this name and limit. */
  open(account: string, dollars: number): Promise<void>;
  stop(): Promise<unknown>;
}

/** The memory store: what is asked here of money is asked of DynamoDB elsewhere. */
export const startBudget = async (folder: string, config?: string): Promise<Budget> => {
  const daemon = serve(folder, ['--port', '0', '--store', 'memory'], config);
  return { ...clientOf(await urlOf(daemon)), stop: daemon.stop };
};

export interface DurableBudget extends Budget {
  /** kill -9 of the server, or of the DynamoDB Local behind it; resolves when the server is gone. */
  kill(victim: 'api' | 'dynamodb'): Promise<void>;
  /** The same again, on the same port and folder. Resolves when it answers. */
  restart(): Promise<void>;
}

/** On DynamoDB Local, in a folder: what was answered must be there after every death. */
export const startDurableBudget = async (folder: string): Promise<DurableBudget> => {
  const store = ['--store', 'dynamodb', '--data', join(folder, 'budget/data')];
  let daemon = serve(folder, ['--port', '0', ...store]);
  const url = await urlOf(daemon);
  return {
    ...clientOf(url),
    stop: () => daemon.stop(),
    kill: async (victim) => {
      if (victim === 'dynamodb') for (const pid of enginesOf(folder)) process.kill(pid, 'SIGKILL');
      await daemon.stop(victim === 'api' ? 'SIGKILL' : 'SIGCONT'); // Without its store it ends by itself.
    },
    restart: async () => {
      daemon = serve(folder, ['--port', new URL(url).port, ...store]);
      await urlOf(daemon);
    },
  };
};

/** Of those that live: a server that was killed takes its own along, in a moment. */
const enginesOf = (folder: string): number[] =>
  pidsOf(folder).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'java';
    } catch {
      return false; // It ended between the two looks.
    }
  });

const serve = (folder: string, how: readonly string[], config?: string): Daemon => {
  const home = join(folder, 'budget');
  mkdirSync(home, { recursive: true });
  const configFile = join(home, 'config.yaml');
  if (config !== undefined) writeFileSync(configFile, config);
  const keys = ['--access-key', KEYS.accessKeyId, '--secret-key', KEYS.secretAccessKey];
  return startDaemon(process.execPath, ['--import', 'tsx', join(ROOT, 'cli/asbb.ts'), 'local', ...how, '--auth', ...keys], {
    name: 'asbb local',
    log: join(folder, 'log/budget.out'),
    pidFile: join(folder, 'run/budget.started'),
    cwd: ROOT,
    env: { HOME: home, XDG_STATE_HOME: home, XDG_CONFIG_HOME: home, ASBB_CONFIG: config === undefined ? '' : configFile, [MARK]: folder },
  });
};

/** What this start of it says. */
const urlOf = (daemon: Daemon): Promise<string> => {
  const said = () => readFileSync(daemon.log).subarray(daemon.logMark).toString();
  return eventually(
    'asbb local listens',
    () => {
      if (!daemon.isRunning()) throw new Error(`asbb local ended: ${said()}`);
      return /^asbb: listening on (\S+)$/m.exec(said())?.[1];
    },
    60_000,
  );
};

const clientOf = (url: string): Omit<Budget, 'stop'> => {
  const api = createApiClient({ endpoint: url, credentials: async () => KEYS, region: REGION, fetch, now: Date.now });
  return {
    url,
    api,
    hold: (holdId) => api.request('showHold', { path: { hold_id: holdId } }),
    open: async (account, dollars) => {
      await api.request('createAccount', { body: { account, budget_limit: dollars } });
    },
  };
};
