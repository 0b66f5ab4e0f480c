import { readFile } from 'node:fs/promises';
import { parse } from 'yaml'; // Not lazily: bundled, `import('yaml')` has no names, since it is CommonJS.
import { type PartitionAnswer, readAll } from '#cli/api-client';
import {
  type Given,
  given,
  ifGiven,
  inFlags,
  readCount,
  readId,
  readLimit,
  readMemory,
  readUsdFromZero,
  readWallTime,
} from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, usageError } from '#cli/exit';
import { type Column, printCsv, printJson, printList, printSheet, type Shape } from '#cli/render';
import { MAX_BODY_BYTES } from '#contract/limits';
import { BudgetError } from '#domain/errors';
import { parseDecimal, toUsd } from '#domain/money';

/** As typed: text or absent. */
export interface PartitionSetOptions {
  readonly region?: string;
  readonly types?: string;
  readonly purchase?: string;
  readonly allocation?: string;
  readonly discountFactor?: string;
  readonly overheadMinutes?: string;
  readonly overheadPerNodeHour?: string;
  readonly overhead?: string;
  readonly defaultTime?: string;
  readonly unpriced?: string;
  readonly flatRate?: string;
  readonly threadsPerCore?: string;
  readonly memoryPerNode?: string;
  readonly writeOffNodeFailures?: boolean;
  readonly file?: string;
}

const SHAPE: Shape<PartitionAnswer> = {
  partition: 'text',
  region: 'text',
  instance_types: 'list',
  purchase: 'text',
  allocation: 'text',
  discount_factor: 'count',
  overhead_minutes: 'count',
  overhead_per_node_hour: 'usd',
  overhead: 'text',
  default_wall_time: 'text',
  unpriced: 'text',
  flat_rate_per_node_hour: 'usd',
  write_off_node_failures: 'flag',
  features: 'json',
  threads_per_core: 'count',
  memory_per_node: 'text',
  source: 'text',
  price_per_node_hour: 'usd',
  price_instance_type: 'text',
  price_source: 'text',
  price_date: 'text',
  price_age_days: 'count',
  price_confidence: 'count',
};

const COLUMNS: readonly Column<PartitionAnswer>[] = [
  { field: 'partition', header: 'PARTITION' },
  { field: 'region', header: 'REGION' },
  { field: 'instance_types', header: 'TYPES', flexible: true },
  { field: 'price_per_node_hour', header: '$/NODE-HOUR' },
  { field: 'price_source', header: 'PRICE FROM' },
  { field: 'price_date', header: 'PRICE DATE' },
  { field: 'price_age_days', header: 'DAYS OLD', dispensable: 6 },
  { field: 'purchase', header: 'PURCHASE', dispensable: 7 },
  { field: 'allocation', header: 'ALLOCATION', dispensable: 2 },
  { field: 'discount_factor', header: 'FACTOR', dispensable: 3 },
  { field: 'default_wall_time', header: 'DEFAULT TIME', dispensable: 1 },
  { field: 'unpriced', header: 'UNPRICED', dispensable: 5 },
  { field: 'source', header: 'SOURCE', flexible: true, dispensable: 4 },
];

const LABELS = [
  ['partition', 'Partition'],
  ['region', 'Region'],
  ['instance_types', 'Instance types'],
  ['purchase', 'Purchase'],
  ['allocation', 'Allocation'],
  ['discount_factor', 'Discount factor'],
  ['overhead_minutes', 'Overhead minutes'],
  ['overhead_per_node_hour', 'Overhead per node hour'],
  ['overhead', 'Overhead is paid by'],
  ['default_wall_time', 'Default wall time'],
  ['unpriced', 'Without a price'],
  ['flat_rate_per_node_hour', 'Flat rate per node hour'],
  ['write_off_node_failures', 'Writes off node failures'],
  ['features', 'Features'],
  ['threads_per_core', 'Threads per core'],
  ['memory_per_node', 'Memory per node'],
  ['source', 'Source'],
  ['price_per_node_hour', 'Price per node hour'],
  ['price_instance_type', 'Price is of'],
  ['price_source', 'Price source'],
  ['price_date', 'Price date'],
  ['price_age_days', 'Price age in days'],
  ['price_confidence', 'Price confidence'],
] as const;

const FLAGS = [
  'region',
  'types',
  'purchase',
  'allocation',
  'discountFactor',
  'overheadMinutes',
  'overheadPerNodeHour',
  'overhead',
  'defaultTime',
  'unpriced',
  'flatRate',
  'threadsPerCore',
  'memoryPerNode',
  'writeOffNodeFailures',
] as const satisfies readonly (keyof PartitionSetOptions)[];

/** What is not for free must not be let in as if it were. */
const WITHOUT_PRICE = 'until there is one its jobs are refused, unless --unpriced flat --flat-rate says what a node costs';

export const runPartitionList = async (context: Context, options: { limit?: string }): Promise<ExitCode> => {
  const limit = readLimit(options.limit);
  const api = await context.api();
  const listed = await readAll(async (query) => {
    const { partitions, cursor } = await api.request('listPartitions', { query });
    return { rows: partitions, cursor };
  }, limit);
  await printList(context, {
    key: 'partitions',
    begin: "model one with 'asbb partition set', or all with 'asbb partition import'",
    shape: SHAPE,
    columns: COLUMNS,
    ...listed,
  });
  return EXIT.ok;
};

export const runPartitionShow = async (context: Context, { name }: { name: string }): Promise<ExitCode> => {
  const partition = readId({ flag: 'partition', value: name });
  const api = await context.api();
  return printPartition(context, await api.request('showPartition', { path: { partition } }));
};

export const runPartitionSet = async (context: Context, options: PartitionSetOptions & { name: string }): Promise<ExitCode> => {
  const partition = readId({ flag: 'partition', value: options.name });
  const { file } = options;
  const flags = FLAGS.filter((name) => options[name] !== undefined);
  if (file !== undefined && flags.length > 0) throw usageError('give the model either as --file or as flags, not both');
  const body = file === undefined ? modelOf(options) : await modelIn(file);
  const api = await context.api();
  const asked = api.request('putPartition', { path: { partition }, body });
  const stored = await (file === undefined ? asked.catch(inFlags({ instance_types: '--types', region: '--region' })) : asked);
  await printPartition(context, stored);
  if (stored.price_per_node_hour === null)
    context.tell(`no price is known of ${stored.instance_types.join(',')} in ${stored.region}: ${WITHOUT_PRICE}`);
  return EXIT.ok;
};

export const runPartitionDelete = async (context: Context, { name }: { name: string }): Promise<ExitCode> => {
  const partition = readId({ flag: 'partition', value: name });
  const api = await context.api();
  await api.request('deletePartition', { path: { partition } });
  const outcome = 'removed';
  if (context.format === 'json') printJson(context, { partition, outcome });
  else if (context.format === 'csv')
    await printCsv(context, { shape: { partition: 'text', outcome: 'text' }, rows: [{ partition, outcome }] });
  else context.print(`partition ${partition} removed\n`);
  return EXIT.ok;
};

const modelOf = (options: Omit<PartitionSetOptions, 'file'>): object => {
  if (options.region === undefined)
    throw usageError('in which region are its nodes? Name it with --region, or give the whole model with --file');
  if (options.types === undefined && options.unpriced !== 'flat') {
    throw usageError('which instances are its nodes? Name them with --types, or give a rate with --unpriced flat --flat-rate');
  }
  const minutes = (typed: Given): number => readCount({ ...typed, least: 0, most: 1440 });
  return {
    region: options.region,
    instance_types: options.types?.split(',').filter((type) => type !== '') ?? [],
    ...given({
      purchase: ifGiven('--purchase', options.purchase, oneOf('on-demand', 'spot')),
      allocation: ifGiven('--allocation', options.allocation, oneOf('exclusive', 'shared')),
      discount_factor: ifGiven('--discount-factor', options.discountFactor, readFactor),
      overhead_minutes: ifGiven('--overhead-minutes', options.overheadMinutes, minutes),
      overhead_per_node_hour: ifGiven('--overhead-per-node-hour', options.overheadPerNodeHour, readDollars),
      overhead: ifGiven('--overhead', options.overhead, oneOf('run', 'site')),
      default_wall_time: ifGiven('--default-time', options.defaultTime, readWallTime),
      unpriced: ifGiven('--unpriced', options.unpriced, oneOf('deny', 'flat')),
      flat_rate_per_node_hour: ifGiven('--flat-rate', options.flatRate, readDollars),
      threads_per_core: ifGiven('--threads-per-core', options.threadsPerCore, (typed) => readCount({ ...typed, most: 8 })),
      memory_per_node: ifGiven('--memory-per-node', options.memoryPerNode, readMemory),
      write_off_node_failures: options.writeOffNodeFailures,
    }),
  };
};

const readDollars = (typed: Given): number => toUsd(readUsdFromZero(typed));

const oneOf =
  (...words: readonly string[]) =>
  ({ flag, value }: Given): string => {
    if (!words.includes(value)) throw usageError(`${flag} '${value}': must be ${words.join(' or ')}`);
    return value;
  };

/** Six decimals, as the API keeps it; the number goes as it was typed. */
const readFactor = ({ flag, value }: Given): number => {
  try {
    const millionths = parseDecimal(value, 6);
    if (millionths > 0n && millionths <= 10_000_000n) return Number(value);
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
  }
  throw usageError(`${flag} '${value}': must be a factor from 0.000001 to 10, like 0.72`);
};

/** The API's own names, so that what `partition show --json` prints can be given back. */
const modelIn = async (file: string): Promise<object> => {
  const content = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw usageError(`cannot read ${file} (${error.code ?? error.message})`, { cause: error });
  });
  if (content.length > MAX_BODY_BYTES) throw usageError(`${file} is no partition's model: it has more than ${MAX_BODY_BYTES} characters`);
  const model = file.endsWith('.json') ? parseJson(content, file) : parseYaml(content, file);
  if (typeof model !== 'object' || model === null || Array.isArray(model))
    throw usageError(`${file}: must be an object with region and instance_types`);
  return model;
};

const parseJson = (content: string, file: string): unknown => {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw usageError(`${file}: is not JSON (${error instanceof Error ? error.message : error})`, { cause: error });
  }
};

const parseYaml = (content: string, file: string): unknown => {
  try {
    return parse(content, { logLevel: 'error' });
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw usageError(`${file}: is not YAML (${reason})`, { cause: error });
  }
};

const printPartition = async (context: Context, value: PartitionAnswer): Promise<ExitCode> => {
  await printSheet(context, { shape: SHAPE, labels: LABELS, value });
  return EXIT.ok;
};
