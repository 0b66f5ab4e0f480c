// The client's YAML: what it may say, where it stands, and what holds where it says nothing. Loaded lazily, for zod and yaml.
import { readFileSync } from 'node:fs';
import { parse, YAMLParseError } from 'yaml';
import * as z from 'zod';
import { usageError } from '#cli/exit';
import { DEFAULT_HOLD_PERCENTAGE, DEFAULT_RECONCILIATION_TIMEOUT_SECONDS, PRICE_TTL_MS, PRICING_REGIONS } from '#contract/settings';
import { DEFAULT_TABLE_NAME } from '#contract/table';
import { BudgetError } from '#domain/errors';
import { parseFactor } from '#domain/money';

const MAX_CONFIG_BYTES = 1024 * 1024;
const MS_PER_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const MAX_DURATION_MS = 366 * MS_PER_UNIT.d;
const DEFAULT_AGENT_INTERVAL_MS = 15 * MS_PER_UNIT.s;
const DEFAULT_SLURM_TIMEOUT_MS = 2 * MS_PER_UNIT.m;

/** Everything that a configuration can say, with its defaults. Durations in milliseconds. */
export interface Config {
  readonly api: { readonly endpoint?: string; readonly region?: string };
  readonly slurm: { readonly binPath: string; readonly cluster?: string; readonly timeoutMs: number };
  /** For `asbb agent` only. */
  readonly agent: {
    readonly intervalMs: number;
    readonly asbbConf?: string;
    readonly stateFile?: string;
    readonly costFiles?: string;
    readonly eventBus?: string;
  };
  /** From here on: for `asbb local` and `asbb database` only. */
  readonly service: { readonly listenAddr?: string };
  readonly budget: {
    /** How much more than the estimate is held, as an exact fraction. */
    readonly defaultHoldPercentage: { readonly numerator: bigint; readonly denominator: bigint };
    readonly reconciliationTimeoutMs: number;
    readonly orphanAfterMs: number;
  };
  readonly advisor: { readonly url?: string; readonly apiKey?: string; readonly timeoutMs: number };
  readonly pricing: { readonly region?: string; readonly cacheTtlMs: number };
  readonly database: { readonly table: string; readonly endpoint?: string };
  /** The files that were read, the later over the earlier. */
  readonly files: readonly string[];
  /** Of each key that a file has a value for, as `api.endpoint`, the file that was believed. */
  readonly origins: Readonly<Record<string, string>>;
}

/**
 * Read a duration as `24h`, `90m`, `30s`, `2d` or `1h30m`, in milliseconds.
 * @returns undefined on anything else, on zero, and on more than 366 days
 */
export const parseDuration = (text: string): number | undefined => {
  if (!/^(?:\d{1,9}(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h|d)/g)];
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * MS_PER_UNIT[unit as keyof typeof MS_PER_UNIT], 0);
  return ms > 0 && ms <= MAX_DURATION_MS ? ms : undefined;
};

const text = z.string('must be text').trim().min(1, 'must not be empty').max(2048);
const url = text.refine(
  (value) => /^https?:\/\//i.test(value) && URL.canParse(value),
  'must be a URL like https://host or http://host:port',
);
const duration = text.transform((value, context) => {
  const ms = parseDuration(value);
  if (ms !== undefined) return ms;
  context.addIssue({ code: 'custom', message: 'must be a duration like 24h, 90m, 30s or 2d' });
  return z.NEVER;
});
const holdPercentage = z.union([z.number(), z.string()], 'must be a number like 1.2').transform((value, context) => {
  try {
    const factor = parseFactor(value);
    if (factor.numerator > 0n) return factor;
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
  }
  // Holding 0 would let every job in, so it is no factor either.
  context.addIssue({ code: 'custom', message: 'must be a factor greater than 0 with at most six decimals, like 1.2' });
  return z.NEVER;
});

const SECTIONS = {
  api: z.strictObject({ endpoint: url.optional(), region: text.optional() }),
  slurm: z.strictObject({ bin_path: text.optional(), cluster: text.optional(), timeout: duration.optional() }),
  agent: z.strictObject({
    interval: duration.optional(),
    asbb_conf: text.optional(),
    state_file: text.optional(),
    cost_files: text.optional(),
    event_bus: text.optional(),
  }),
  service: z.strictObject({ listen_addr: text.optional() }),
  budget: z.strictObject({
    default_hold_percentage: holdPercentage.optional(),
    reconciliation_timeout: duration.optional(),
    orphan_after: duration.optional(),
  }),
  advisor: z.strictObject({ url: url.optional(), api_key: text.optional(), timeout: duration.optional() }),
  pricing: z.strictObject({
    region: z.enum(PRICING_REGIONS, `must be one of ${PRICING_REGIONS.join(', ')}: AWS answers for all prices there`).optional(),
    cache_ttl: duration.optional(),
  }),
  database: z.strictObject({ table: text.optional(), endpoint: url.optional() }),
};
type Sections = { [K in keyof typeof SECTIONS]: z.output<(typeof SECTIONS)[K]> };

/** Keys of the original (Go) design, and what became of them. */
const SUCCESSORS: Readonly<Record<string, string>> = {
  'database.driver': 'there is no choice of a database any more: the money is in a DynamoDB table, named by database.table',
  'database.dsn': 'a DynamoDB table has no DSN: name it by database.table, and where it is by database.endpoint',
};

export interface ConfigFiles {
  /** `--config` or ASBB_CONFIG: read instead of the others, and must exist. */
  readonly explicit?: string | undefined;
  /** In order, later ones over earlier ones; those that do not exist are passed over. */
  readonly usual: readonly string[];
}

/**
 * Read the configuration, each key from the last file that has it.
 * @throws CommandError usage, naming file and key
 */
export const loadConfig = ({ explicit, usual }: ConfigFiles): Config => {
  const read = explicit === undefined ? usual.flatMap((file) => readConfigFile(file) ?? []) : [readExplicit(explicit)];
  const merged = read.map(({ sections }) => sections).reduce(over, {});
  return { ...withDefaults(merged), files: read.map(({ file }) => file), origins: Object.assign({}, ...read.map(originsIn)) };
};

interface Read {
  readonly file: string;
  readonly sections: Partial<Sections>;
}

const originsIn = ({ file, sections }: Read): Record<string, string> =>
  Object.fromEntries(Object.entries(sections).flatMap(([section, keys]) => Object.keys(keys).map((key) => [`${section}.${key}`, file])));

const readExplicit = (file: string): Read => {
  const read = readConfigFile(file);
  if (read === undefined) throw usageError(`there is no configuration file ${file}: write one with 'asbb config init --output ${file}'`);
  return read;
};

const readConfigFile = (file: string): Read | undefined => {
  const content = contentOf(file);
  return content === undefined ? undefined : { file, sections: parseConfig(content, file) };
};

const contentOf = (file: string): string | undefined => {
  try {
    const bytes = readFileSync(file);
    if (bytes.length > MAX_CONFIG_BYTES) throw usageError(`${file} is no configuration: it has more than ${MAX_CONFIG_BYTES} bytes`);
    return bytes.toString('utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === undefined) throw error;
    throw usageError(`cannot read the configuration ${file} (${code}): mend its permissions, or name another with --config`, {
      cause: error,
    });
  }
};

/**
 * What one file says. Sections and keys without a value count as absent, so that a template may be left half filled.
 * @throws CommandError usage, naming the first thing that is wrong
 */
export const parseConfig = (content: string, file: string): Partial<Sections> => {
  const document = parseYaml(content, file) ?? {};
  if (!isMapping(document)) throw usageError(`${file}: must be a mapping of sections: ${Object.keys(SECTIONS).join(', ')}`);
  const sections = withoutNulls(document);
  for (const [name, value] of Object.entries(sections)) {
    if (!Object.hasOwn(SECTIONS, name)) {
      throw usageError(`${file}: unknown key '${name}': the sections are ${Object.keys(SECTIONS).join(', ')}`);
    }
    if (!isMapping(value)) throw usageError(`${file}: '${name}' must be a section with keys below it`);
    checkKeys(file, name as keyof Sections, Object.keys(value));
  }
  const parsed = Object.entries(sections).map(([name, value]) => [name, parseSection(file, name as keyof Sections, value)]);
  return Object.fromEntries(parsed) as Partial<Sections>;
};

const parseYaml = (content: string, file: string): unknown => {
  try {
    // Warnings, for example of an unresolved tag, would be printed on the way.
    return parse(content, { logLevel: 'error', maxAliasCount: 100 }) as unknown;
  } catch (error) {
    if (!(error instanceof YAMLParseError) && !(error instanceof ReferenceError)) throw error;
    const [reason] = error.message.split(/(?: at line \d+, column \d+)?:?\n/);
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    throw usageError(`${file}${line === undefined ? '' : ` line ${line}`}: is not YAML: ${reason}`, { cause: error });
  }
};

const checkKeys = (file: string, section: keyof Sections, keys: readonly string[]): void => {
  const known = Object.keys(SECTIONS[section].shape);
  for (const key of keys) {
    if (known.includes(key)) continue;
    const successor = SUCCESSORS[`${section}.${key}`];
    if (successor !== undefined) throw usageError(`${file}: '${section}.${key}' is of the original design: ${successor}`);
    throw usageError(`${file}: unknown key '${section}.${key}': the keys of ${section} are ${known.join(', ')}`);
  }
};

const parseSection = (file: string, name: keyof Sections, value: unknown): unknown => {
  const result = SECTIONS[name].safeParse(withoutNulls(value as Record<string, unknown>));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw usageError(`${file}: '${[name, ...(issue?.path ?? [])].join('.')}' ${issue?.message}`);
};

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const withoutNulls = (mapping: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(mapping).filter(([, value]) => value !== null));

const over = (below: Partial<Sections>, above: Partial<Sections>): Partial<Sections> => {
  const names = Object.keys(SECTIONS) as (keyof Sections)[];
  return Object.fromEntries(names.map((name) => [name, { ...below[name], ...above[name] }])) as Partial<Sections>;
};

const withDefaults = ({
  api,
  slurm,
  agent,
  service,
  budget,
  advisor,
  pricing,
  database,
}: Partial<Sections>): Omit<Config, 'files' | 'origins'> => ({
  api: present({ endpoint: api?.endpoint, region: api?.region }),
  slurm: {
    binPath: slurm?.bin_path ?? '/usr/bin',
    timeoutMs: slurm?.timeout ?? DEFAULT_SLURM_TIMEOUT_MS,
    ...present({ cluster: slurm?.cluster }),
  },
  agent: {
    intervalMs: agent?.interval ?? DEFAULT_AGENT_INTERVAL_MS,
    ...present({
      asbbConf: agent?.asbb_conf,
      stateFile: agent?.state_file,
      costFiles: agent?.cost_files,
      eventBus: agent?.event_bus,
    }),
  },
  service: present({ listenAddr: service?.listen_addr }),
  budget: {
    defaultHoldPercentage: budget?.default_hold_percentage ?? parseFactor(DEFAULT_HOLD_PERCENTAGE),
    reconciliationTimeoutMs: budget?.reconciliation_timeout ?? DEFAULT_RECONCILIATION_TIMEOUT_SECONDS * 1000,
    orphanAfterMs: budget?.orphan_after ?? 2 * MS_PER_UNIT.m,
  },
  advisor: { ...present({ url: advisor?.url, apiKey: advisor?.api_key }), timeoutMs: advisor?.timeout ?? 30 * MS_PER_UNIT.s },
  pricing: { ...present({ region: pricing?.region }), cacheTtlMs: pricing?.cache_ttl ?? PRICE_TTL_MS },
  database: { table: database?.table ?? DEFAULT_TABLE_NAME, ...present({ endpoint: database?.endpoint }) },
});

const present = <T extends Record<string, string | undefined>>(fields: T): { [K in keyof T]?: string } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: string };

/** What `config init` writes: every key with its default, those without one commented out. */
export const CONFIG_TEMPLATE = `# asbb: the client's configuration.
# Read from /etc/asbb/config.yaml, then ~/.config/asbb/config.yaml over it; --config or ASBB_CONFIG names another file instead.
# Flags come before the environment (ASBB_ENDPOINT, AWS_REGION, ...), and the environment before this file.

# Where the budget API is. Without an endpoint, asbb uses your own running 'asbb local'.
api:
  # The output ApiEndpoint of the stack Asbb-<stage>-Api.
  # endpoint: https://abcdefghij.execute-api.us-east-1.amazonaws.com
  # region: us-east-1

# The Slurm cluster of this machine.
slurm:
  # Where squeue, sacct, scontrol and sdiag are.
  bin_path: /usr/bin
  # How long one of them may take.
  timeout: 2m
  # ClusterName of slurm.conf; must be unique in one deployment.
  # cluster: mycluster

# 'asbb agent', on the head node.
agent:
  # How often it looks.
  interval: 15s
  # The plugin's configuration, which says what is guarded; else it is looked for beside slurm.conf.
  # asbb_conf: /etc/slurm/asbb.conf
  # What it remembers from one start to the next, with its health and what it could not book beside it.
  # state_file: /var/lib/asbb/agent.json
  # Where ASBX leaves its cost files.
  # cost_files: /var/spool/asbx
  # Put ended runs on this event bus (the stack's output EventBusName), instead of asking the API to book them.
  # event_bus: asbb-prod

# From here on: for 'asbb local' only. A deployed service is configured when it is deployed.
service:
  # listen_addr: 127.0.0.1:8080

budget:
  # How much is held: the estimate times this factor.
  default_hold_percentage: 1.2
  # How long after its wall time a job's hold waits for its real cost.
  reconciliation_timeout: 24h
  # A hold that no job was bound to for so long may be an orphan. 'asbb agent' reads this too.
  orphan_after: 2m

# A service that estimates costs, asked before the price list.
advisor:
  # url: https://advisor.example.org
  # api_key: secret
  # Of one try; a check waits 300 ms and a quote 5 s in any case.
  timeout: 30s

# AWS's price list, asked where this machine has AWS credentials; else prices are those that ship with asbb.
# The region is the endpoint's, which knows the prices of every region: us-east-1, eu-central-1 or ap-south-1.
pricing:
  # region: us-east-1
  # How long a price is believed.
  cache_ttl: 24h

# The DynamoDB table of 'asbb database' and 'asbb local'.
database:
  table: asbb
  # endpoint: http://127.0.0.1:8000
`;

/** What a deployment says of itself. */
export interface Deployment {
  readonly endpoint: string;
  readonly region: string;
  readonly eventBus?: string | undefined;
}

/** The template, filled in. The bus stays a comment: an agent without it asks the API itself, and hears what became of a run. */
export const configFor = ({ endpoint, region, eventBus }: Deployment): string => {
  const filled = filledIn(
    filledIn(CONFIG_TEMPLATE, `  # ${EXAMPLE_ENDPOINT}`, `  endpoint: ${scalar(endpoint)}`),
    '  # region: us-east-1',
    `  region: ${scalar(region)}`,
  );
  return eventBus === undefined ? filled : filledIn(filled, '  # event_bus: asbb-prod', `  # event_bus: ${scalar(eventBus)}`);
};

const EXAMPLE_ENDPOINT = 'endpoint: https://abcdefghij.execute-api.us-east-1.amazonaws.com';

/** The first such line: `api` comes before `pricing`, which has a region too. */
const filledIn = (template: string, line: string, by: string): string => {
  const at = template.indexOf(`${line}\n`);
  if (at === -1) throw new Error(`the template has no line '${line}'`);
  return `${template.slice(0, at)}${by}${template.slice(at + line.length)}`;
};

/** Quoted unless it is plain; JSON's strings are YAML's. */
const scalar = (value: string): string => (/^[A-Za-z][\w./:-]*$/.test(value) ? value : JSON.stringify(value));
