// The `asbb config show` command: each setting of this client with where it was said, and how the service is set if it can be asked.
import type { Config } from '#cli/config';
import type { Context } from '#cli/context';
import { CommandError, EXIT, type ExitCode } from '#cli/exit';
import { type Column, printList, type Shape } from '#cli/render';

/** The service is a courtesy here: whoever waits longer asks `asbb doctor` why. */
const REQUEST_TIMEOUT_MS = 5_000;

interface Setting {
  readonly of: 'client' | 'service';
  readonly key: string;
  readonly value: string | number | null;
  /** `--endpoint`, a variable, a file, `default`, or for the service its endpoint. */
  readonly from: string;
}

const SHAPE: Shape<Setting> = { of: 'text', key: 'text', value: 'text', from: 'text' };
const COLUMNS: readonly Column<Setting>[] = [
  { field: 'of', header: 'OF' },
  { field: 'key', header: 'KEY' },
  { field: 'value', header: 'VALUE' },
  { field: 'from', header: 'FROM' },
];

/** Print what holds. A service that is away is told of, and is no failure. */
export const runConfigShow = async (context: Context): Promise<ExitCode> => {
  const config = await context.config();
  const rows = [...clientSettings(context, config), ...(await serviceSettings(context))];
  await printList(context, { key: 'settings', shape: SHAPE, columns: COLUMNS, rows });
  return EXIT.ok;
};

const clientSettings = ({ given }: Context, config: Config): Setting[] =>
  Object.entries(valuesOf(config)).map(([key, value]) => {
    const over = given[key];
    if (over !== undefined) return { of: 'client', key, ...over };
    return { of: 'client', key, value: value ?? null, from: config.origins[key] ?? 'default' };
  });

/** By the keys of the YAML. Only that there is a key of the advisor's is shown. */
const valuesOf = ({ api, slurm, agent, service, budget, advisor, pricing, database }: Config) => ({
  'api.endpoint': api.endpoint,
  'api.region': api.region,
  'slurm.bin_path': slurm.binPath,
  'slurm.timeout': durationText(slurm.timeoutMs),
  'slurm.cluster': slurm.cluster,
  'agent.interval': durationText(agent.intervalMs),
  'agent.asbb_conf': agent.asbbConf,
  'agent.state_file': agent.stateFile,
  'agent.cost_files': agent.costFiles,
  'agent.event_bus': agent.eventBus,
  'service.listen_addr': service.listenAddr,
  'budget.default_hold_percentage': Number(budget.defaultHoldPercentage.numerator) / Number(budget.defaultHoldPercentage.denominator),
  'budget.reconciliation_timeout': durationText(budget.reconciliationTimeoutMs),
  'budget.orphan_after': durationText(budget.orphanAfterMs),
  'advisor.url': advisor.url,
  'advisor.api_key': advisor.apiKey === undefined ? undefined : '(set)',
  'advisor.timeout': durationText(advisor.timeoutMs),
  'pricing.region': pricing.region,
  'pricing.cache_ttl': durationText(pricing.cacheTtlMs),
  'database.table': database.table,
  'database.endpoint': database.endpoint,
});

const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;

/** In the greatest unit that it is a whole number of, as the YAML takes it. */
const durationText = (ms: number): string => {
  const [unit, size] = UNITS.find(([, of]) => ms % of === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
};

const serviceSettings = async (context: Context): Promise<Setting[]> => {
  try {
    const api = await context.api({ timeoutMs: REQUEST_TIMEOUT_MS });
    const settings = await api.request('showSettings');
    return Object.entries(settings).map(([key, value]) => ({ of: 'service', key, value, from: api.endpoint }));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    context.tell(`how the service is set is not shown: ${error.message}`);
    return [];
  }
};
