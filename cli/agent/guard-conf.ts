// The plugin's asbb.conf, for what the agent has to know of it. It is read as slurm-plugin/conf.c reads it, to the letter: a
// file that one of the two refused would leave a cluster guarded but not settled, or settled but not guarded.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isFileError, readPlainFile } from '#cli/agent/files';
import { type CommandError, usageError } from '#cli/exit';

/** As in slurm-plugin/conf.h, in bytes. */
const MAX_FILE_BYTES = 65_536;
const MAX_LINE_BYTES = 2_048;
const MAX_KEY_CHARS = 32;
const MAX_PARTITIONS = 64;
const MAX_USERS_BYTES = 1_024;
const MAX_NAME_BYTES = 64;
const MAX_ENDPOINT_BYTES = 512;
const MAX_PATH_BYTES = 1_024;

const CONF_NAME = 'asbb.conf';
/** Where slurm.conf is, if nobody says: packages, ParallelCluster, built from source. */
const SLURM_FOLDERS = ['/etc/slurm', '/opt/slurm/etc', '/usr/local/etc'] as const;
const MEND = 'check its path (beside slurm.conf, or $ASBB_CONF) and its mode';

export interface GuardConf {
  /** Whether a job is guarded; its partition may be a list like "aws,local", of which one is enough. */
  guards(partition: string): boolean;
  /** Without a slash or /api/v1 at its end. */
  readonly endpoint: string;
  /** To sign for; absent for a server that takes unsigned requests. */
  readonly region?: string;
  /** Absent: Slurm's ClusterName. */
  readonly cluster?: string;
  readonly spoolFile?: string;
  /** `no`: shadow mode. */
  readonly enforce: 'yes' | 'no';
  /** As written, `*` too. */
  readonly partitions: readonly string[];
  /** What the plugin signs with, as written: auto, env, file:PATH, imds or ecs. */
  readonly credentials: string;
}

/**
 * Where the plugin looks: `$ASBB_CONF`, else beside slurm.conf. Where nobody says which slurm.conf, the first usual folder
 * that has an asbb.conf.
 */
export const findGuardConf = (
  env: Readonly<Record<string, string | undefined>>,
  { slurmConf, folders = SLURM_FOLDERS }: { readonly slurmConf?: string; readonly folders?: readonly string[] } = {},
): string => {
  if (env.ASBB_CONF) return env.ASBB_CONF;
  const beside = slurmConf || env.SLURM_CONF;
  if (beside?.includes('/')) return join(dirname(beside), CONF_NAME);
  const candidates = folders.map((folder) => join(folder, CONF_NAME));
  return candidates.find((path) => existsSync(path)) ?? candidates[0] ?? CONF_NAME;
};

/**
 * Read the plugin's configuration.
 * @throws CommandError usage, with file, line and mend
 */
export const readGuardConf = (path: string): GuardConf => parseGuardConf(contentOf(path), path);

/**
 * Read it out of memory.
 * @throws CommandError usage, with the given name, the line and the mend
 */
export const parseGuardConf = (content: Buffer, name: string): GuardConf => {
  const reader: Reader = { name, line: 0, values: new Map(), seen: new Map(), partitions: [], onThisLine: nothingYet() };
  if (content.length > MAX_FILE_BYTES) throw wrong(reader, `the file is longer than ${MAX_FILE_BYTES} bytes`);
  // One character a byte, since C counts bytes; values become text at the end.
  const text = content.toString('latin1');
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end === -1 ? undefined : end);
    reader.line += 1;
    if (line.length > MAX_LINE_BYTES) throw wrong(reader, `the line is longer than ${MAX_LINE_BYTES} bytes`);
    if (line.includes('\0')) throw wrong(reader, 'the line has a NUL byte: is this a text file?');
    readLine(reader, line);
    at += line.length + 1;
  }
  return wholeConf(reader);
};

/** Where the parser stands, for its sentences and for what one line knows of itself. */
interface Reader {
  readonly name: string;
  line: number;
  readonly values: Map<string, string>;
  /** On which line a key was first given. */
  readonly seen: Map<string, number>;
  readonly partitions: string[];
  onThisLine: { partition: boolean; failMode: boolean };
  /** Of the first FailMode=open. */
  openLine?: number;
}

const nothingYet = () => ({ partition: false, failMode: false });

const wrong = ({ name, line }: Reader, problem: string): CommandError => usageError(`${name}:${line}: ${fromBytes(problem)}`);

const fromBytes = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');

const contentOf = (path: string): Buffer => {
  let content: Buffer | undefined;
  try {
    content = readPlainFile(path, { maxBytes: MAX_FILE_BYTES, links: 'follow' });
  } catch (error) {
    if (!isFileError(error)) throw error;
    throw usageError(`${path}: cannot be read (${error.code}): ${MEND}`, { cause: error });
  }
  if (content === undefined) throw usageError(`${path}: is not a file: ${MEND}`);
  return content;
};

// --- lines --------------------------------------------------------------------------------------------------------------

const KEY = new RegExp(`[A-Za-z0-9]{0,${MAX_KEY_CHARS}}`, 'y');
const BLANKS = /[ \t\r]*/y;
const BARE_VALUE = /[^ \t\r#]*/y;

/** What a sticky pattern finds at a place; all of ours also match nothing. */
const matchAt = (pattern: RegExp, text: string, at: number): string => {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
};

/** One line of Key=Value pairs. */
const readLine = (reader: Reader, text: string): void => {
  reader.onThisLine = nothingYet();
  const skipBlanks = (from: number): number => from + matchAt(BLANKS, text, from).length;
  let firstEnd = text.length; // Of the first value: what a sentence shows of the line ends there.
  for (let at = skipBlanks(0); at < text.length && text[at] !== '#'; at = skipBlanks(at)) {
    const key = matchAt(KEY, text, at);
    const equals = skipBlanks(at + key.length);
    if (key === '' || text[equals] !== '=') {
      throw wrong(reader, `"${(key === '' ? text.slice(0, firstEnd) : key).slice(0, 40)}" is not Key=Value`);
    }
    const value = valueAt(reader, key, text, skipBlanks(equals + 1));
    firstEnd = Math.min(firstEnd, value.end);
    take(reader, key, value.text);
    at = value.next;
  }
};

interface Value {
  readonly text: string;
  /** Behind its last character. */
  readonly end: number;
  /** Where the line goes on. */
  readonly next: number;
}

const valueAt = (reader: Reader, key: string, text: string, at: number): Value => {
  if (text[at] !== '"') {
    const value = matchAt(BARE_VALUE, text, at);
    if (value === '') throw wrong(reader, `${key}= has no value: give one, or remove it`);
    return { text: value, end: at + value.length, next: at + value.length };
  }
  const end = text.indexOf('"', at + 1);
  if (end === -1) throw wrong(reader, `${key}= has a quote that does not end: add one`);
  if (!/^(?:$|[ \t\r#])/.test(text.slice(end + 1))) {
    throw wrong(reader, `${key}= has text right behind its closing quote: remove it`);
  }
  return { text: text.slice(at + 1, end), end, next: end + 1 };
};

// --- keys ---------------------------------------------------------------------------------------------------------------

interface Key {
  readonly name: string;
  /** What is wrong with a value, behind `Key=`; undefined if nothing is. */
  readonly problem: (value: string, reader: Reader) => string | undefined;
  /** May be given once for each partition. */
  readonly repeats?: 'repeats';
}

const take = (reader: Reader, written: string, value: string): void => {
  const key = KEYS.find(({ name }) => name.toLowerCase() === written.toLowerCase());
  if (key === undefined) throw wrong(reader, `unknown key "${written}": see asbb.conf(5) for the keys, and check the spelling`);
  const before = reader.seen.get(key.name);
  if (before !== undefined && key.repeats === undefined) {
    throw wrong(reader, `${key.name}= was given before, on line ${before}: remove one`);
  }
  reader.seen.set(key.name, reader.line);
  const problem = key.problem(value, reader);
  if (problem !== undefined) throw wrong(reader, problem);
  reader.values.set(key.name, value);
};

const IS_NAME = new RegExp(`^[A-Za-z0-9._~-]{1,${MAX_NAME_BYTES}}$`);

const text = (name: string, longest: number): Key => ({
  name,
  problem: (value) => {
    if (value === '') return `${name}= has no value: give one, or remove it`;
    return value.length > longest ? `${name}= is longer than ${longest} bytes` : undefined;
  },
});

const identifier = (name: string): Key => ({
  name,
  problem: (value) =>
    IS_NAME.test(value) ? undefined : `${name}=${value.slice(0, 80)} must be 1 to ${MAX_NAME_BYTES} letters, digits and . _ ~ -`,
});

const path = (name: string): Key => ({
  name,
  problem: (value, reader) =>
    value.startsWith('/') ? text(name, MAX_PATH_BYTES).problem(value, reader) : `${name}=${value.slice(0, 80)} must be an absolute path`,
});

const number = (name: string, { min, max, unit }: { min: number; max: number; unit: string }): Key => ({
  name,
  problem: (value) =>
    /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max
      ? undefined
      : `${name}=${value.slice(0, 40)} is not a whole number from ${min} to ${max} (${unit})`,
});

const choice = (name: string, first: string, second: string): Key => ({
  name,
  problem: (value) =>
    [first, second].includes(value.toLowerCase()) ? undefined : `${name}=${value.slice(0, 40)} is neither "${first}" nor "${second}"`,
});

const credentialsProblem = (value: string, reader: Reader): string | undefined => {
  if (!/^file:/i.test(value)) {
    const isKnown = /^(?:auto|env|imds|ecs)$/i.test(value);
    return isKnown ? undefined : `Credentials=${value.slice(0, 40)} is none of auto, env, file:/path, imds, ecs`;
  }
  const file = value.slice('file:'.length);
  if (!file.startsWith('/')) return `Credentials=${value.slice(0, 80)} must name an absolute path: file:/path`;
  return text('Credentials', MAX_PATH_BYTES).problem(file, reader);
};

const partitionProblem = (value: string, reader: Reader): string | undefined => {
  const shown = `Partition=${value.slice(0, 80)}`;
  if (reader.onThisLine.partition) return 'two Partition= on one line: give each partition its own line';
  if (value.includes(',')) return `${shown} is a list: give each partition its own line`;
  if (value !== '*' && !IS_NAME.test(value)) {
    return `${shown} must be "*" or a partition's name: 1 to ${MAX_NAME_BYTES} letters, digits and . _ ~ -`;
  }
  if (reader.partitions.includes(value)) return `${shown} was given before: remove one of the lines`;
  if (reader.partitions.length === MAX_PARTITIONS) return `more than ${MAX_PARTITIONS} partitions: guard them all with Partition=*`;
  reader.partitions.push(value);
  reader.onThisLine.partition = true;
  return undefined;
};

const failModeProblem = (value: string, reader: Reader): string | undefined => {
  if (!reader.onThisLine.partition) return 'FailMode= belongs behind Partition= on the same line';
  if (reader.onThisLine.failMode) return 'two FailMode= on one line: keep one';
  reader.onThisLine.failMode = true;
  if (value.toLowerCase() === 'open') reader.openLine ??= reader.line;
  return choice('FailMode', 'closed', 'open').problem(value, reader);
};

/** The contract's keys. Those that only the plugin needs are checked all the same. */
const KEYS: readonly Key[] = [
  text('Endpoint', MAX_ENDPOINT_BYTES),
  identifier('Region'),
  identifier('Cluster'),
  number('TimeoutMs', { min: 50, max: 9_000, unit: 'milliseconds' }),
  number('ConnectTimeoutMs', { min: 10, max: 9_000, unit: 'milliseconds' }),
  { name: 'Partition', problem: partitionProblem, repeats: 'repeats' },
  { name: 'FailMode', problem: failModeProblem, repeats: 'repeats' },
  choice('Enforce', 'yes', 'no'),
  choice('Notify', 'yes', 'no'),
  choice('OnRefusal', 'refuse', 'drop'),
  number('BreakerFailures', { min: 1, max: 1_000, unit: 'errors in a row' }),
  number('BreakerSeconds', { min: 1, max: 3_600, unit: 'seconds' }),
  { name: 'Credentials', problem: credentialsProblem },
  path('CaFile'),
  path('SpoolFile'),
  number('MaxConnections', { min: 1, max: 64, unit: 'connections' }),
  text('ExemptUsers', MAX_USERS_BYTES),
  text('OperatorUsers', MAX_USERS_BYTES),
  choice('UnknownAccount', 'deny', 'allow'),
  choice('CronJobs', 'deny', 'allow'),
  choice('AllowHttp', 'yes', 'no'),
];

// --- the whole ----------------------------------------------------------------------------------------------------------

const wholeConf = (reader: Reader): GuardConf => {
  const { values, partitions } = reader;
  const { endpoint, region } = endpointOf(reader);
  if (partitions.length === 0) {
    throw wrong(reader, 'there is no Partition=: name a partition to guard, or take "budget" out of JobSubmitPlugins');
  }
  if ((values.get('Credentials') ?? 'auto').toLowerCase() !== 'auto' && region === undefined) {
    throw wrong(reader, 'Credentials= is given, but no Region= to sign with: add it');
  }
  if (![values.get('ExemptUsers'), values.get('OperatorUsers')].every(isUserList)) {
    throw wrong(reader, 'ExemptUsers= and OperatorUsers= take names with a comma between: alice,bob');
  }
  const cluster = values.get('Cluster');
  const spoolFile = values.get('SpoolFile');
  if (reader.openLine !== undefined && spoolFile === undefined) {
    const sentence = 'FailMode=open needs a SpoolFile=, so that the jobs it lets in are paid for later: add it';
    throw wrong({ ...reader, line: reader.openLine }, sentence);
  }
  return {
    guards: guardOf(partitions),
    endpoint,
    ...(region === undefined ? {} : { region }),
    ...(cluster === undefined ? {} : { cluster }),
    ...(spoolFile === undefined ? {} : { spoolFile: fromBytes(spoolFile) }),
    enforce: values.get('Enforce')?.toLowerCase() === 'no' ? 'no' : 'yes',
    partitions,
    credentials: fromBytes(values.get('Credentials') ?? 'auto'),
  };
};

/** As slurm-plugin/decide.c says: Slurm skips empty names in a list, and `*` guards a job that names no partition too. */
const guardOf = (partitions: readonly string[]): GuardConf['guards'] => {
  const guarded = new Set(partitions);
  if (guarded.has('*')) return (partition) => partition === '' || /[^,]/.test(partition);
  return (partition) => partition.split(',').some((name) => guarded.has(name));
};

/** An empty name in it is a typo. */
const isUserList = (list: string | undefined): boolean => list === undefined || !/^,|,$|,,|[ \t"]/.test(list);

/** Of a URL that begins with http:// or https://; whatever does not fit is refused in this order. */
const endpointOf = (reader: Reader): { readonly endpoint: string; readonly region: string | undefined } => {
  const { values, seen } = reader;
  const written = values.get('Endpoint');
  if (written === undefined) throw wrong(reader, "there is no Endpoint=: add the API's address (the stack's output ApiEndpoint)");
  const refuse = (shown: string, problem: string) =>
    wrong({ ...reader, line: seen.get('Endpoint') ?? reader.line }, `Endpoint=${shown.slice(0, 200)} ${problem}`);

  const scheme = /^https?:\/\//i.exec(written)?.[0];
  if (scheme === undefined) throw refuse(written, 'must begin with https://');
  const endpoint = withoutApiPath(`${scheme.toLowerCase()}${written.slice(scheme.length)}`);
  const isHttps = scheme.length === 'https://'.length;
  const [host = ''] = endpoint.slice(scheme.length).split('/', 1);
  const stranger = /[^A-Za-z0-9._~/$-]/.exec(endpoint.slice(scheme.length + host.length))?.[0];
  if (stranger !== undefined) {
    const shown = /[ -~]/.test(stranger) ? stranger : '?';
    throw refuse(endpoint, `has a "${shown}" in its path: only letters, digits and . _ ~ - / are possible`);
  }
  const name = /^(?:\[[^\]]*\]|(?!\[)[^:]+)/.exec(host)?.[0];
  if (name === undefined) throw refuse(endpoint, 'names no host');
  if (!(name.startsWith('[') ? /^[A-Za-z0-9._~[\]:-]+$/ : /^[A-Za-z0-9._~-]+$/).test(name)) {
    throw refuse(endpoint, 'must be https://host[:port][/path], without user or password');
  }
  if (!isPort(host.slice(name.length))) throw refuse(endpoint, 'has a port that is none');
  if (!isHttps && !isLoopbackName(name) && values.get('AllowHttp')?.toLowerCase() !== 'yes') {
    throw refuse(endpoint, 'would send requests in the clear: use https://, or say AllowHttp=yes if you must');
  }
  const region = values.get('Region') ?? regionInName(name);
  if (region === undefined && isHttps) {
    throw wrong({ ...reader, line: seen.get('Endpoint') ?? reader.line }, 'Region= is needed to sign requests to this Endpoint: add it');
  }
  return { endpoint, region };
};

const API_PATH = '/api/v1';
/** No endpoint is shorter, so the slashes of its scheme stay. */
const SHORTEST_ENDPOINT = 'https://'.length;

const withoutApiPath = (endpoint: string): string => {
  let end = endpoint.length;
  while (end > SHORTEST_ENDPOINT && endpoint[end - 1] === '/') end -= 1;
  const trimmed = endpoint.slice(0, end);
  return end > SHORTEST_ENDPOINT && trimmed.endsWith(API_PATH) ? trimmed.slice(0, -API_PATH.length) : trimmed;
};

const isPort = (behindName: string): boolean =>
  behindName === '' || (/^:[1-9]\d{0,4}$/.test(behindName) && Number(behindName.slice(1)) <= 65_535);

/** "127.0.0.1.example.org" is not on this machine: only digits and three dots are an address. */
const isLoopbackName = (name: string): boolean =>
  /^localhost$/i.test(name) || name === '[::1]' || (/^127\.[\d.]+$/.test(name) && name.split('.').length === 4);

/** API Gateway's own names carry their region. */
const regionInName = (name: string): string | undefined => {
  const [, behind = ''] = name.split(/\.execute-api\.(.*)/s);
  const region = /^([^.]*)\.amazonaws\.com/.exec(behind)?.[1];
  return region === undefined || region === '' || region.length > MAX_NAME_BYTES ? undefined : region;
};
