// The cost file of ASBX (aws-slurm-burst): dollars as a float with any number of decimals, no cluster and no run id.
import { usageError } from '#cli/exit';
import { ceilDiv, MAX_AMOUNT_MICRO_USD, type MicroUsd } from '#domain/money';

const USD_DECIMALS = 6;
/** Far beyond the largest amount, and near enough that powers of ten stay small. */
const MAX_DIGITS = 1_024;

/** What ASBX writes beside the cost; it goes with the run as it is. */
const METADATA = [
  'compute_cost',
  'storage_cost',
  'network_cost',
  'spot_savings',
  'instance_types',
  'duration_hours',
  'success',
  'export_time',
  'plugin_version',
] as const;

export interface AsbxCost {
  readonly jobId: string;
  readonly account?: string;
  readonly user?: string;
  readonly partition?: string;
  /** Rounded up, once. */
  readonly actualCost: MicroUsd;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/**
 * Read an ASBX cost file.
 * @throws CommandError usage, naming the file and what is wrong in it
 */
export const parseAsbxCost = (content: string, file: string): AsbxCost => {
  const cost = parseObject(content, file);
  const text = (name: string): { [key: string]: string } => {
    const value = cost[name];
    if (value === undefined || value === null || value === '') return {};
    if (typeof value !== 'string') throw usageError(`${file}: ${name} must be text`);
    return { [name]: value };
  };
  const { account, user_id: user, partition } = { ...text('account'), ...text('user_id'), ...text('partition') };
  return {
    jobId: jobIdOf(cost.job_id, file),
    ...(account === undefined ? {} : { account }),
    ...(user === undefined ? {} : { user }),
    ...(partition === undefined ? {} : { partition }),
    actualCost: actualCostOf(cost, content, file),
    metadata: Object.fromEntries(METADATA.filter((name) => cost[name] !== undefined).map((name) => [name, cost[name]])),
  };
};

const parseObject = (content: string, file: string): Record<string, unknown> => {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw usageError(`${file}: is not JSON (${error instanceof Error ? error.message : error})`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw usageError(`${file}: must be a JSON object`);
  return value as Record<string, unknown>;
};

const jobIdOf = (value: unknown, file: string): string => {
  if (typeof value === 'string' && value !== '') return value;
  if (Number.isSafeInteger(value)) return String(value);
  throw usageError(`${file}: job_id is ${value === undefined ? 'missing' : 'no job id'}`);
};

const actualCostOf = (cost: Record<string, unknown>, content: string, file: string): MicroUsd => {
  if (cost.actual_cost === undefined) throw usageError(`${file}: actual_cost is missing`);
  if (typeof cost.actual_cost !== 'number') throw usageError(`${file}: actual_cost must be a number of dollars`);
  // JSON.parse has rounded it to a double already, so the digits are taken from the text.
  const written = topLevelNumber(content, 'actual_cost') ?? String(cost.actual_cost);
  const amount = ceilMicroUsd(written);
  if (amount === undefined || amount > MAX_AMOUNT_MICRO_USD) {
    throw usageError(`${file}: actual_cost ${shortened(written)} is more than any job costs ($999,999,999.999999): correct the file`);
  }
  if (amount < 0n || isNegative(written)) throw usageError(`${file}: actual_cost ${shortened(written)} is negative: correct the file`);
  return amount;
};

const shortened = (number: string): string => (number.length > 40 ? `${number.slice(0, 40)}...` : number);

const isNegative = (number: string): boolean => number.startsWith('-') && /[1-9]/.test(number.replace(/e.*/i, ''));

/**
 * Dollars as a JSON number of any length, in micro-dollars rounded up, exactly.
 * @returns undefined if it is beyond all reason
 */
export const ceilMicroUsd = (number: string): MicroUsd | undefined => {
  const [mantissa = '', exponent = '0'] = number.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const digits = BigInt(`${whole}${fraction}`);
  if (digits === 0n) return 0n;
  const shift = USD_DECIMALS - fraction.length + Number(exponent);
  if (shift > MAX_DIGITS) return undefined;
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  if (-shift > whole.length + fraction.length) return digits > 0n ? 1n : 0n; // Less than one micro-dollar, however small: up is 1, or 0 from below.
  return ceilDiv(digits, 10n ** BigInt(-shift));
};

// What JSON is made of. The text was parsed before, so whatever lies between the matches is blank.
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/g;

/** The digits of a number in the outermost object, as they were written; of a repeated name the last, as JSON.parse takes it. */
const topLevelNumber = (json: string, name: string): string | undefined => {
  let depth = 0;
  let found: string | undefined;
  const before: string[] = [];
  for (const [token] of json.matchAll(TOKEN)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') depth -= 1;
    else if (depth === 1 && /^[-\d]/.test(token) && before[1] === ':' && before[0]?.startsWith('"') && JSON.parse(before[0]) === name)
      found = token;
    before.push(token);
    if (before.length > 2) before.shift();
  }
  return found;
};
