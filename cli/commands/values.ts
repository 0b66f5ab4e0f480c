// Values as people type them. A wrong one ends the command before anything is asked of the API, and the sentence names its flag.
import { ApiError } from '#cli/api-client';
import { usageError } from '#cli/exit';
import { MAX_COUNT } from '#contract/limits';
import { parseAccountName } from '#domain/account';
import { parseArraySpec } from '#domain/array-spec';
import { BudgetError } from '#domain/errors';
import { parseMemoryMib } from '#domain/memory';
import { type MicroUsd, parseDecimal, parseUsd } from '#domain/money';
import { formatWallTime, MAX_WALL_TIME_SECONDS, parseWallTime } from '#domain/slurm-time';

const MAX_ROWS_ASKED = 1_000_000;

/** A value together with the flag that it was given by. */
export interface Given {
  readonly flag: string;
  readonly value: string;
}

/** Runs a parser of the domain; its refusal becomes a sentence about the flag. */
const through = <T>({ flag, value }: Given, parse: (value: string) => T): T => {
  try {
    return parse(value);
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    throw usageError(`${flag} '${value}': ${sentenceOf(error)}`, { cause: error });
  }
};

/** Without the name that the wire has for it, and as the middle of a sentence of ours. */
const sentenceOf = ({ message }: BudgetError): string =>
  message
    .replace(/^\w+: /, '')
    .replace(/^[A-Z]/, (letter) => letter.toLowerCase())
    .replace(/\.$/, '');

/** `a, b or c`. */
export const wordsOr = (words: readonly string[]): string => `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;

const matching = (given: Given, { pattern, problem }: { pattern: RegExp; problem: string }): string => {
  if (!pattern.test(given.value)) throw usageError(`${given.flag} '${given.value}': ${problem}`);
  return given.value;
};

/** Exact dollars: at most six decimals. */
export const readUsd = (given: Given): MicroUsd => through(given, parseUsd);

export const readUsdFromZero = (given: Given): MicroUsd => {
  const amount = readUsd(given);
  if (amount < 0n) throw usageError(`${given.flag} '${given.value}': must not be negative`);
  return amount;
};

/** As Slurm stores it: in lower case. */
export const readAccount = (given: Given): string => through(given, parseAccountName);

const ID = { pattern: /^(?!\.{1,2}$)[A-Za-z0-9._~-]{1,64}$/, problem: 'must be 1 to 64 letters, digits and . _ ~ -' };
/** Name of a partition or cluster, or a job id. */
export const readId = (given: Given): string => matching(given, ID);

const PARTITIONS = {
  pattern: /^[A-Za-z0-9._~-]{1,64}(?:,[A-Za-z0-9._~-]{1,64})*$/,
  problem: 'must be a partition, or several like aws,local',
};
export const readPartitions = (given: Given): string => matching(given, PARTITIONS);

const UUID = {
  pattern: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
  problem: "is no hold id, which is a UUID: see 'asbb hold list -A ACCOUNT', or the job's AdminComment in 'scontrol show job'",
};
/** A job's `admin_comment` has the id as `asbb:<hold_id>`, so that is how people find it. */
export const readHoldId = ({ flag, value }: Given): string => matching({ flag, value: value.replace(/^asbb:/, '') }, UUID).toLowerCase();

export const readCount = ({ flag, value, least = 1, most = MAX_COUNT }: Given & { least?: number; most?: number }): number => {
  const count = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (!(count >= least && count <= most)) throw usageError(`${flag} '${value}': must be a whole number from ${least} to ${most}`);
  return count;
};

/** A share like 5% or 0.05, as the API takes it. A bare 5 could be either a mistake or five percent, so it is refused. */
export const readShare = ({ flag, value }: Given): string => {
  const wrong = usageError(`${flag} '${value}': must be a share of at most 100%, like 5% or 0.05`);
  const [, digits, isPercent] = /^(\d{1,3}(?:\.\d{1,4})?)(%?)$/.exec(value) ?? [];
  if (digits === undefined) throw wrong;
  const unitsE6 = parseDecimal(digits, 4) * (isPercent === '%' ? 1n : 100n);
  if (unitsE6 > 1_000_000n) throw wrong;
  if (unitsE6 % 100n !== 0n) throw usageError(`${flag} '${value}': hundredths of a percent are the finest that is counted`);
  return (Number(unitsE6) / 1_000_000).toFixed(4);
};

export const readLimit = (value: string | undefined): number | undefined =>
  value === undefined ? undefined : readCount({ flag: '--limit', value, most: MAX_ROWS_ASKED });

/** A real day of the calendar, `YYYY-MM-DD`. */
export const readDate = ({ flag, value }: Given): string => {
  if (!isDate(value)) throw usageError(`${flag} '${value}': must be a date like 2026-11-23`);
  return value;
};

/** A date, or null where somebody takes it away. */
export const readDateOrNone = (given: Given): string | null => (given.value === '' || given.value === 'none' ? null : readDate(given));

/** A date or an instant in UTC. */
export const readInstant = ({ flag, value }: Given): string => {
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?Z$/.test(value) && !Number.isNaN(Date.parse(value));
  if (!isDate(value) && !(isInstant && isDate(value.slice(0, 10)))) {
    throw usageError(
      `${flag} '${value}': must be a time as sacct takes it, in UTC: 2026-11-23, 2026-11-23T15:00:00Z, 1123, today or now-7days`,
    );
  }
  return value;
};

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const RELATIVE = /^now(?:([+-])(\d{1,9})(seconds?|minutes?|hours?|days?|weeks?)?)?$/;

/**
 * A time as sacct takes it (sacct(1), "-S"): a date or time, MMDD[YY], today, midnight, now, now-7days. In UTC, because usage
 * is, and as the API takes it. A day without a year is of this year.
 */
export const readTime = ({ flag, value, now }: Given & { now: number }): string => {
  const word = value.toLowerCase();
  const today = new Date(now).toISOString().slice(0, 10);
  if (word === 'today' || word === 'midnight') return today;
  const [isNow, sign, count, unit = 's'] = RELATIVE.exec(word) ?? [];
  if (isNow !== undefined) return isoWithin({ flag, value }, now + Number(`${sign ?? '+'}${count ?? 0}`) * (UNIT_MS[unit.charAt(0)] ?? 0));
  const [isDay, month, day, year] = /^(\d\d)[/.]?(\d\d)(?:[/.]?(\d\d))?$/.exec(value) ?? [];
  if (isDay === undefined) return readInstant({ flag, value: /T[\d:]+$/.test(value) ? `${value}Z` : value });
  return readDate({ flag, value: `${year === undefined ? today.slice(0, 4) : `20${year}`}-${month}-${day}` });
};

const isoWithin = ({ flag, value }: Given, at: number): string => {
  if (at < Date.UTC(2000, 0, 1) || at >= Date.UTC(2200, 0, 1))
    throw usageError(`${flag} '${value}': must be between the years 2000 and 2200`);
  return new Date(at).toISOString();
};

const isDate = (text: string): boolean => {
  const at = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text); // 2026-02-30 would become March.
};

/** Checked here, sent as typed: the API reads Slurm's forms itself. Seconds are rounded up to a minute, as sbatch does. */
export const readWallTime = (given: Given): string => {
  const seconds = through(given, parseWallTime) ?? 0;
  return seconds % 60 === 0 ? given.value : formatWallTime(Math.ceil(seconds / 60) * 60);
};

/** sbatch takes `16GB` for `16G`; the API does not. */
export const readMemory = ({ flag, value }: Given): string => {
  const size = value.replace(/([KMGTP])B$/i, '$1');
  through({ flag, value: size }, parseMemoryMib);
  return size;
};

export const readArray = (given: Given): string => {
  through(given, parseArraySpec);
  return given.value;
};

/** sbatch's `--gpus`: `4`, `a100:4`, `a100` for one, or several of these, whose type is none if they are of several. */
export const readGpus = ({ flag, value }: Given): { count: number; type?: string } => {
  const entries = value.split(',').map((entry) => entry.replace(/^gpu[:=]/i, ''));
  const ofOne = (entry: string) => /^(?:([A-Za-z][\w.+-]*)|(?:([A-Za-z0-9][\w.+-]*)[:=])?(\d+))$/.exec(entry);
  const read = entries.map((entry) => {
    const [matched, alone, type, count = '1'] = ofOne(entry) ?? [];
    if (matched === undefined) throw usageError(`${flag} '${value}': must be a count, or a type and a count like a100:4`);
    return alone?.toLowerCase() === 'gpu'
      ? { count: 1, type: undefined }
      : { count: readCount({ flag, value: count, least: 0 }), type: alone ?? type };
  });
  const count = read.reduce((sum, each) => sum + each.count, 0);
  if (count > MAX_COUNT) throw usageError(`${flag} '${value}': must be at most ${MAX_COUNT} GPUs`);
  const [type, ...others] = new Set(read.map((each) => each.type));
  return type === undefined || others.length > 0 ? { count } : { count, type };
};

/** sbatch's `--nodes`: `4`, `2k` for 2048, or `2-4` for at least 2 and at most 4. 0 is as good as not given. */
export const readNodes = ({ flag, value }: Given): { nodes?: number; min_nodes?: number } => {
  const match = /^(\d{1,10})([km]?)(?:-(\d{1,10})([km]?))?$/i.exec(value);
  if (match === null) throw usageError(`${flag} '${value}': must be a count like 4, or a range like 2-4`);
  const countOf = (digits = '', suffix = '') => {
    const count = Number(digits) * (NODES_PER_SUFFIX[suffix.toLowerCase()] ?? 1);
    return readCount({ flag, value: String(count), least: 0 });
  };
  const first = countOf(match[1], match[2]);
  if (match[3] === undefined) return first === 0 ? {} : { nodes: first };
  const nodes = countOf(match[3], match[4]);
  if (first > nodes) throw usageError(`${flag} '${value}': write the smaller number first`);
  return nodes === 0 ? {} : { ...(first === 0 ? {} : { min_nodes: first }), nodes };
};
const NODES_PER_SUFFIX: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2 };

/** As sacct prints it: seconds (ElapsedRaw), or `[D-]HH:MM:SS` (Elapsed). */
export const readElapsed = (given: Given): number => {
  if (/^\d{1,10}$/.test(given.value)) return readCount({ ...given, least: 0, most: MAX_WALL_TIME_SECONDS });
  if (!/^[\d:-]+$/.test(given.value))
    throw usageError(`${given.flag} '${given.value}': must be seconds, or [D-]HH:MM:SS as sacct prints it`);
  return through(given, parseWallTime) ?? 0;
};

/** For a request that fails: the API names its field, and whoever typed a flag is told of the flag. */
export const inFlags =
  (flags: Readonly<Record<string, string>>) =>
  (error: unknown): never => {
    const [, field = '', problem] = error instanceof ApiError ? (/^(\w+)(?:\.\d+)?: (.*)$/s.exec(error.message) ?? []) : [];
    const flag = flags[field];
    if (flag === undefined || !(error instanceof ApiError)) throw error;
    throw new ApiError(error.status, error.code, error.exitCode, `${flag} ${problem}`, { cause: error });
  };

/** The same fields without those that nobody gave. */
export const given = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };

/** Reads a flag if it was given. */
export const ifGiven = <T>(flag: string, value: string | undefined, read: (given: Given) => T): T | undefined =>
  value === undefined ? undefined : read({ flag, value });
