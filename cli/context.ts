// The composition root of the CLI: the only file that reads the environment, the terminal, the clock and randomness.
import { randomUUID } from 'node:crypto';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ApiClient, type Credentials, createApiClient, findCredentials, isLoopback, normalEndpoint, regionOf } from '#cli/api-client';
import type { Config } from '#cli/config';
import { CommandError, EXIT, oneLine, usageError } from '#cli/exit';
import { inLines } from '#cli/fit';
import { findRunningServers, type UserFolders } from '#cli/local/running';

const SYSTEM_CONFIG_FILE = '/etc/asbb/config.yaml';
/** DynamoDB Local and `asbb local` take any region, but a signature has to name one. */
const LOCAL_REGION = 'us-east-1';

export type Environment = Readonly<Record<string, string | undefined>>;
export type OutputFormat = 'table' | 'json' | 'csv';

/** Where text goes, and what is known of its reader. */
export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Of a terminal. */
  readonly columns: number | undefined;
}

/** All that a command takes from the process it runs in. Tests bring their own. */
export interface Machine {
  readonly env: Environment;
  readonly home: string;
  /** In the order in which they are read. */
  readonly configFiles: readonly string[];
  readonly stdout: Output;
  readonly stderr: Output;
  /** All of standard input. @throws CommandError usage if it is longer than the limit */
  readonly readStdin: (maxBytes: number) => Promise<string>;
  /** Standard input as it comes, for what is read in bounded memory. */
  readonly stdin: () => AsyncIterable<Buffer | string>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly newId: () => string;
  readonly fetch: typeof fetch;
  /** The SDK's credential chain: environment, profile, SSO, container, instance. */
  readonly credentials: (where: { profile?: string; region?: string }) => Promise<Credentials>;
  readonly openTable: (where: TablePlace) => Promise<TableAdmin>;
  /** @throws StackError */
  readonly readStackOutputs: (where: StackPlace) => Promise<StackOutputs>;
  readonly readAlarms: (where: AlarmPlace) => Promise<readonly Alarm[]>;
}

/** Options that every command takes. */
export interface GlobalOptions {
  readonly config?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly profile?: string | undefined;
  readonly region?: string | undefined;
  readonly output?: OutputFormat | undefined;
  readonly quiet?: boolean | undefined;
  readonly color?: boolean | undefined;
}

export interface TablePlace {
  readonly table: string;
  readonly endpoint?: string;
  readonly region: string;
  readonly credentials?: Credentials;
}

type StackPlace = import('#adapters/stack-outputs').StackPlace;
type StackOutputs = import('#adapters/stack-outputs').StackOutputs;
type AlarmPlace = import('#adapters/alarms').AlarmPlace;
export type Alarm = import('#adapters/alarms').Alarm;

export type TableStatus = import('#adapters/dynamo-table').TableStatus;

export interface TableAdmin {
  migrate(): Promise<TableStatus & { readonly created: boolean }>;
  status(): Promise<TableStatus>;
}

export interface UsualApi {
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** How long one request may take. @default as the client has it */
  readonly timeoutMs?: number;
}

export interface ApiPlace {
  readonly endpoint: string;
  /** Absent: requests are not signed. */
  readonly region?: string;
  readonly credentials?: Credentials;
}

/** What a command works with. */
export interface Context {
  readonly env: Environment;
  /** Where this user's `asbb local` announces itself. */
  readonly folders: UserFolders;
  readonly format: OutputFormat;
  /** How tables look: `width` is a terminal's columns, and undefined where any length is fine. */
  readonly look: { readonly width: number | undefined; readonly color: boolean };
  readonly now: () => number;
  readonly newId: () => string;
  /** Data, as it is. */
  print(text: string): void;
  /** A sentence for people, on stderr; not under --quiet. */
  tell(sentence: string): void;
  /** A sentence on stderr that no --quiet hides. */
  complain(sentence: string): void;
  config(): Promise<Config>;
  /** Keys of the configuration that flag or environment say otherwise, and which of them. */
  readonly given: Readonly<Record<string, { readonly value: string; readonly from: string }>>;
  /**
   * The API that flags, environment, configuration, `usual` or a running `asbb local` name, in this order.
   * @throws CommandError usage if none does
   */
  api(usual?: UsualApi): Promise<ApiClient>;
  /** Where that API is, and what requests to it are signed with. */
  apiPlace(usual?: UsualApi): Promise<ApiPlace>;
  /** All of standard input. @throws CommandError usage if it is longer than the limit */
  readStdin(maxBytes: number): Promise<string>;
  /** Standard input as it comes, for what is read in bounded memory. */
  stdin(): AsyncIterable<Buffer | string>;
  /** For what is no API of ours, as the metadata service of an instance. */
  readonly fetch: typeof fetch;
  /** The DynamoDB table of the configuration. */
  table(): Promise<TableAdmin>;
  /**
   * What a CloudFormation stack puts out, in the region of flag or environment, else the profile's.
   * @throws StackError
   */
  stackOutputs(stack: string): Promise<StackOutputs>;
  /** The alarms whose names begin so, in the region of the API. Throws what the SDK throws. */
  alarms(prefix: string): Promise<readonly Alarm[]>;
}

/** The process as it is. */
export const processMachine = (): Machine => {
  const home = homedir();
  return {
    env: process.env,
    home,
    configFiles: [SYSTEM_CONFIG_FILE, join(home, '.config', 'asbb', 'config.yaml')],
    stdout: outputOf(process.stdout),
    stderr: outputOf(process.stderr),
    readStdin: (maxBytes) => textOf(process.stdin, { name: 'standard input', maxBytes }),
    stdin: () => process.stdin,
    now: Date.now,
    newId: randomUUID,
    fetch,
    credentials: findCredentials,
    // Lazily: the AWS SDK takes longer to load than most commands to run.
    openTable: async ({ table, ...where }) => {
      const { createBaseClient } = await import('#adapters/dynamo-client');
      const { createTable, tableStatus } = await import('#adapters/dynamo-table');
      const client = createBaseClient(where);
      return { migrate: () => createTable(client, table), status: () => tableStatus(client, table) };
    },
    readStackOutputs: async (where) => (await import('#adapters/stack-outputs')).readStackOutputs(where),
    readAlarms: async (where) => (await import('#adapters/alarms')).readAlarms(where),
  };
};

const outputOf = (stream: NodeJS.WriteStream): Output => ({
  write: (text) => {
    stream.write(text);
  },
  isTerminal: stream.isTTY === true,
  columns: stream.isTTY === true && stream.columns > 0 ? stream.columns : undefined, // 0: a terminal that nobody told its size.
});

/** All text of a stream. @throws CommandError usage if it is longer than the limit */
export const textOf = async (
  stream: AsyncIterable<Buffer | string>,
  { name, maxBytes }: { name: string; maxBytes: number },
): Promise<string> => {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of stream) {
    pieces.push(Buffer.from(piece));
    size += piece.length;
    if (size > maxBytes) throw usageError(`${name} has more than ${maxBytes} bytes`);
  }
  return Buffer.concat(pieces).toString('utf8');
};

/** One sentence on stderr; on a terminal it is broken between words. */
export const sayOn = ({ stderr }: Pick<Machine, 'stderr'>, sentence: string): void =>
  stderr.write(`asbb: ${inLines(oneLine(sentence), { width: stderr.columns, indent: 'asbb: '.length })}\n`);

/** What a command gets: the machine, seen through the options on its line. */
export const createContext = (machine: Machine, options: GlobalOptions): Context => {
  const { env, stdout, now, newId } = machine;
  const folders = { home: machine.home, stateHome: given(env.XDG_STATE_HOME) };
  const tell = (sentence: string): void => {
    if (options.quiet !== true) sayOn(machine, sentence);
  };
  const config = once(async () => {
    const { loadConfig } = await import('#cli/config');
    return loadConfig({ explicit: options.config ?? given(env.ASBB_CONFIG), usual: machine.configFiles });
  });
  const apiPlace = once(async (usual: UsualApi = {}) =>
    placeOfApi(machine, options, { config: await config(), usual, running: () => runningServer(folders, tell) }),
  );
  return {
    env,
    folders,
    format: options.output ?? 'table',
    look: { width: widthOf(stdout, env), color: isColourful(options, stdout, env) },
    now,
    newId,
    print: stdout.write,
    tell,
    complain: (sentence) => sayOn(machine, sentence),
    config,
    given: givenBeside(env, options),
    api: once(async (usual: UsualApi = {}) => {
      const { timeoutMs } = usual;
      return createApiClient({
        ...(await apiPlace(usual)),
        fetch: await patient(machine, options),
        now,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
    }),
    apiPlace,
    readStdin: machine.readStdin,
    stdin: machine.stdin,
    fetch: machine.fetch,
    table: once(async () => openTable(machine, options, await config())),
    stackOutputs: (stack) => stackOutputs(machine, options, stack),
    alarms: async (prefix) => {
      const { region, credentials } = await apiPlace();
      return machine.readAlarms({ prefix, ...(region !== undefined && { region }), ...(credentials && { credentials }) });
    },
  };
};

/** Nobody watches a pipe, and a dumb terminal cannot take back what it has shown. */
const patient = async ({ stderr, env, fetch }: Machine, { quiet }: GlobalOptions): Promise<typeof fetch> => {
  if (quiet === true || !stderr.isTerminal || env.TERM === 'dumb') return fetch;
  const { withWaiting } = await import('#cli/waiting');
  return withWaiting(fetch, stderr);
};

/** In the order in which they are asked. */
const givenBeside = (env: Environment, options: GlobalOptions): Context['given'] => {
  const first = (...places: [string, string | undefined][]) => {
    const found = places.find(([, value]) => given(value) !== undefined);
    return found === undefined ? undefined : { from: found[0], value: found[1] as string };
  };
  const endpoint = first(['--endpoint', options.endpoint], ['ASBB_ENDPOINT', env.ASBB_ENDPOINT]);
  const region = first(['--region', options.region], ['AWS_REGION', env.AWS_REGION], ['AWS_DEFAULT_REGION', env.AWS_DEFAULT_REGION]);
  return { ...(endpoint && { 'api.endpoint': endpoint }), ...(region && { 'api.region': region }) };
};

const placeOfApi = async (
  machine: Machine,
  options: GlobalOptions,
  { config, usual, running }: { config: Config; usual: UsualApi; running: () => string | undefined },
): Promise<ApiPlace> => {
  const { env } = machine;
  const named = options.endpoint ?? given(env.ASBB_ENDPOINT) ?? config.api.endpoint ?? usual.endpoint ?? running();
  if (named === undefined)
    throw usageError("no endpoint: start 'asbb local', or name the API with --endpoint or as api.endpoint in the configuration");
  const endpoint = normalEndpoint(named);
  const isSigned = !isLoopback(endpoint) || options.profile !== undefined || given(env.AWS_ACCESS_KEY_ID) !== undefined;
  if (!isSigned) return { endpoint };

  const region =
    options.region ??
    regionOf(endpoint) ??
    regionIn(env) ??
    config.api.region ??
    usual.region ??
    (isLoopback(endpoint) ? LOCAL_REGION : undefined);
  if (region === undefined) throw usageError(`which region is ${endpoint} in? Say it with --region, AWS_REGION or api.region`);
  return { endpoint, region, credentials: await machine.credentials({ ...profileIn(options), region }) };
};

const openTable = async (machine: Machine, options: GlobalOptions, config: Config): Promise<TableAdmin> => {
  const { table, endpoint } = config.database;
  const place = endpoint ?? given(machine.env.AWS_ENDPOINT_URL_DYNAMODB) ?? given(machine.env.AWS_ENDPOINT_URL);
  const isLocal = place !== undefined && URL.canParse(place) && isLoopback(place);
  const region = options.region ?? regionIn(machine.env) ?? config.api.region ?? (isLocal ? LOCAL_REGION : undefined);
  if (region === undefined) throw usageError(`in which region is table ${table}? Say it with --region, AWS_REGION or api.region`);
  return machine.openTable({
    table,
    region,
    ...(endpoint === undefined ? {} : { endpoint }), // The SDK reads AWS_ENDPOINT_URL_DYNAMODB itself.
    ...(options.profile === undefined ? {} : { credentials: await machine.credentials({ profile: options.profile, region }) }),
  });
};

/** Not the region of a configuration: this is asked by whoever has none yet. */
const stackOutputs = async (machine: Machine, options: GlobalOptions, stack: string): Promise<StackOutputs> => {
  const region = options.region ?? regionIn(machine.env);
  const where = region === undefined ? {} : { region };
  if (options.profile === undefined) return machine.readStackOutputs({ stack, ...where });
  return machine.readStackOutputs({ stack, ...where, credentials: await machine.credentials({ profile: options.profile, ...where }) });
};

/** The newest of this user's own servers on this machine. */
const runningServer = (folders: UserFolders, tell: (sentence: string) => void): string | undefined => {
  const [newest] = findRunningServers(folders);
  if (newest === undefined) return undefined;
  tell(`using ${newest.url} (asbb local, pid ${newest.pid})`);
  return newest.url;
};

const profileIn = ({ profile }: GlobalOptions): { profile?: string } => (profile === undefined ? {} : { profile });

const regionIn = (env: Environment): string | undefined => given(env.AWS_REGION) ?? given(env.AWS_DEFAULT_REGION);

/** An empty variable is as good as none. */
const given = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

/** Only a terminal has to be fitted into; what a pipe gets stays whole, unless somebody says how wide it may be. */
const widthOf = (stdout: Output, env: Environment): number | undefined => {
  const asked = Number(env.COLUMNS);
  return stdout.columns ?? (Number.isSafeInteger(asked) && asked > 0 ? asked : undefined);
};

/** https://no-color.org: any value but the empty one means no. */
const isColourful = ({ color }: GlobalOptions, stdout: Output, env: Environment): boolean =>
  color !== false && stdout.isTerminal && given(env.NO_COLOR) === undefined && env.TERM !== 'dumb';

const once = <A extends unknown[], T>(make: (...args: A) => Promise<T>): ((...args: A) => Promise<T>) => {
  let made: Promise<T> | undefined;
  return (...args) => {
    made ??= make(...args);
    return made;
  };
};

/** How a thrown value ends the command, and what its user reads. */
export const endingOf = (error: unknown): { exitCode: CommandError['exitCode']; sentence: string } => {
  if (error instanceof CommandError) return { exitCode: error.exitCode, sentence: error.message };
  const name = error instanceof Error ? error.name : '';
  const causeName = error instanceof Error && error.cause instanceof Error ? error.cause.name : '';
  const sentence = error instanceof Error ? error.message : String(error);
  if (name === 'CredentialsProviderError' || causeName === 'CredentialsProviderError') return { exitCode: EXIT.notAuthorised, sentence };
  return { exitCode: EXIT.failed, sentence };
};
