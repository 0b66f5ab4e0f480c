// `asbb local` as a process of its own, which demands signatures, and a client of it for the tests.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiClient, createApiClient, type HoldDetailAnswer } from '#cli/api-client';
import { eventually, MARK, startDaemon } from '#test/slurm/shell';

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
  const home = join(folder, 'budget');
  mkdirSync(home);
  const log = join(folder, 'log/budget.out');
  const configFile = join(home, 'config.yaml');
  if (config !== undefined) writeFileSync(configFile, config);
  const keys = ['--access-key', KEYS.accessKeyId, '--secret-key', KEYS.secretAccessKey];
  const args = ['--import', 'tsx', join(ROOT, 'cli/asbb.ts'), 'local', '--port', '0', '--store', 'memory', '--auth', ...keys];
  const daemon = startDaemon(process.execPath, args, {
    name: 'asbb local',
    log,
    pidFile: join(folder, 'run/budget.started'),
    cwd: ROOT,
    env: { HOME: home, XDG_STATE_HOME: home, XDG_CONFIG_HOME: home, ASBB_CONFIG: config === undefined ? '' : configFile, [MARK]: folder },
  });
  const url = await eventually('asbb local listens', () => {
    const said = readFileSync(log, 'utf8');
    if (!daemon.isRunning()) throw new Error(`asbb local ended: ${said}`);
    return /^asbb: listening on (\S+)$/m.exec(said)?.[1];
  });
  const api = createApiClient({ endpoint: url, credentials: async () => KEYS, region: REGION, fetch, now: Date.now });
  return {
    url,
    api,
    hold: (holdId) => api.request('showHold', { path: { hold_id: holdId } }),
    open: async (account, dollars) => {
      await api.request('createAccount', { body: { account, budget_limit: dollars } });
    },
    stop: daemon.stop,
  };
};
