import { type ApiClient, type HoldAnswer, type HoldDetailAnswer, type Listed, readAll } from '#cli/api-client';
import { given, ifGiven, readAccount, readHoldId, readId, readLimit, wordsOr } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, usageError } from '#cli/exit';
import { type Column, printJson, printList, printPairs, printSheet, printTable, type Shape } from '#cli/render';

/** As typed: text or absent. */
export interface HoldListOptions {
  readonly account?: string;
  readonly cluster?: string;
  readonly state?: string;
  readonly user?: string;
  readonly bound?: boolean;
  readonly unbound?: boolean;
  readonly limit?: string;
}

const SHAPE: Shape<HoldAnswer> = {
  hold_id: 'text',
  account: 'text',
  cluster: 'text',
  user: 'text',
  partition: 'text',
  state: 'state',
  amount: 'usd',
  original_amount: 'usd',
  used: 'usd',
  tasks: 'count',
  tasks_ended: 'count',
  wall_time: 'text',
  nodes: 'count',
  job_id: 'text',
  submitted_at: 'time',
  forced: 'flag',
  created_at: 'time',
  expires_at: 'time',
  closed_at: 'time',
};

const COLUMNS: readonly Column<HoldAnswer>[] = [
  { field: 'hold_id', header: 'HOLD' },
  { field: 'state', header: 'STATE' },
  { field: 'amount', header: 'AMOUNT' },
  { field: 'used', header: 'USED', dispensable: 1 },
  { field: 'job_id', header: 'JOB' },
  { field: 'account', header: 'ACCOUNT', dispensable: 2 },
  { field: 'user', header: 'USER', dispensable: 3 },
  { field: 'partition', header: 'PARTITION', dispensable: 4 },
  { field: 'cluster', header: 'CLUSTER', dispensable: 5 },
  { field: 'created_at', header: 'CREATED', dispensable: 6 },
  { field: 'expires_at', header: 'EXPIRES', dispensable: 7 },
];

/** Whoever asked for the holds of one account knows which. */
const FIRST_TO_GO = 9;

const LABELS = [
  ['hold_id', 'Hold'],
  ['state', 'State'],
  ['account', 'Account'],
  ['cluster', 'Cluster'],
  ['user', 'User'],
  ['partition', 'Partition'],
  ['job_id', 'Job'],
  ['amount', 'Held now'],
  ['original_amount', 'Held at first'],
  ['used', 'Used'],
  ['tasks', 'Tasks'],
  ['tasks_ended', 'Tasks ended'],
  ['wall_time', 'Wall time'],
  ['nodes', 'Nodes'],
  ['forced', 'Forced'],
  ['submitted_at', 'Submitted'],
  ['created_at', 'Created'],
  ['expires_at', 'Expires'],
  ['closed_at', 'Closed'],
] as const;

type RunRecord = HoldDetailAnswer['runs'][number];
type LineItem = HoldDetailAnswer['line_items'][number];

const RUN_SHAPE: Shape<RunRecord> = {
  run_id: 'text',
  state: 'text',
  actual_charge: 'usd',
  refund_amount: 'usd',
  final: 'flag',
  ended_at: 'time',
};
const RUN_COLUMNS: readonly Column<RunRecord>[] = [
  { field: 'run_id', header: 'RUN' },
  { field: 'state', header: 'STATE', dispensable: 3 },
  { field: 'actual_charge', header: 'CHARGED' },
  { field: 'refund_amount', header: 'RETURNED' },
  { field: 'final', header: 'FINAL', dispensable: 2 },
  { field: 'ended_at', header: 'ENDED', dispensable: 1 },
];

const ITEM_SHAPE: Shape<LineItem> = { name: 'text', quantity: 'count', unit_price: 'count', amount: 'usd' };
const ITEM_COLUMNS: readonly Column<LineItem>[] = [
  { field: 'name', header: 'ITEM', flexible: true },
  { field: 'quantity', header: 'NODE-HOURS' },
  { field: 'unit_price', header: 'USD PER NODE-HOUR' },
  { field: 'amount', header: 'AMOUNT' },
];

const STATES = ['open', 'settled', 'released', 'expired'];

export const runHoldList = async (context: Context, options: HoldListOptions): Promise<ExitCode> => {
  const limit = readLimit(options.limit);
  if (options.state !== undefined && !STATES.includes(options.state)) {
    throw usageError(`--state '${options.state}': must be ${wordsOr(STATES)}`);
  }
  const isOfAccount = options.account !== undefined;
  const listed = await (isOfAccount ? ofAccount(context, options, limit) : ofCluster(context, options, limit));
  const known = isOfAccount ? 'account' : 'cluster';
  const columns = COLUMNS.map((column) => (column.field === known ? { ...column, dispensable: FIRST_TO_GO } : column));
  await printList(context, { key: 'holds', shape: SHAPE, columns, ...listed });
  return EXIT.ok;
};

const ofAccount = async (context: Context, options: HoldListOptions, limit: number | undefined): Promise<Listed<HoldAnswer>> => {
  if (options.cluster !== undefined) throw usageError('name either an account (-A) or a cluster (--cluster), not both');
  if (options.bound || options.unbound) throw usageError('--bound and --unbound go with --cluster, not with -A');
  const account = readAccount({ flag: '--account', value: options.account ?? '' });
  const filter = given({ state: options.state, user: options.user });
  const api = await context.api();
  return readAll(async (page) => {
    const { holds, cursor } = await api.request('listHoldsOfAccount', { path: { account }, query: { ...filter, ...page } });
    return { rows: holds, cursor };
  }, limit);
};

const ofCluster = async (context: Context, options: HoldListOptions, limit: number | undefined): Promise<Listed<HoldAnswer>> => {
  const named = ifGiven('--cluster', options.cluster, readId);
  const cluster = named ?? (await context.config()).slurm.cluster;
  if (cluster === undefined) throw usageError('whose holds? Name an account with -A, or a cluster with --cluster');
  if (options.user !== undefined) throw usageError('--user goes with -A, not with --cluster');
  if (options.state !== undefined && options.state !== 'open')
    throw usageError(`of a cluster only open holds are listed: find ${options.state} ones with -A`);
  if (options.bound && options.unbound) throw usageError('give --bound or --unbound, or neither for all');
  const bound = options.bound ? 'true' : options.unbound ? 'false' : undefined;
  const api = await context.api();
  return readAll(async (page) => {
    const { holds, cursor } = await api.request('listHoldsOfCluster', { query: { cluster, bound, ...page } });
    return { rows: holds, cursor };
  }, limit);
};

export const runHoldShow = async (context: Context, { id }: { id: string }): Promise<ExitCode> => {
  const holdId = readHoldId({ flag: 'hold', value: id });
  const hold = await readWhole(await context.api(), holdId);
  if (context.format === 'json') {
    printJson(context, hold);
    return EXIT.ok;
  }
  await printSheet(context, { shape: SHAPE, labels: LABELS, value: hold });
  if (context.format === 'table') await printParts(context, hold);
  return EXIT.ok;
};

/** An array's hold has more runs than one page. */
const readWhole = async (api: ApiClient, holdId: string): Promise<HoldDetailAnswer> => {
  let first: HoldDetailAnswer | undefined;
  const { rows: runs } = await readAll(async (query) => {
    const page = await api.request('showHold', { path: { hold_id: holdId }, query });
    first ??= page;
    return { rows: page.runs, cursor: page.cursor };
  });
  if (first === undefined) throw new Error('a list has at least one page');
  const { cursor: _, ...hold } = first;
  return { ...hold, runs };
};

const printParts = async (context: Context, { spec, line_items, runs }: HoldDetailAnswer): Promise<void> => {
  const asked = Object.entries(spec).filter(
    ([name, value]) => value !== null && !['account', 'cluster', 'user', 'partition'].includes(name),
  );
  context.print('\nAsked for\n');
  await printPairs(
    context,
    asked.map(([name, value]) => [name, String(value)]),
  );
  context.print('\n');
  await printTable(context, { shape: ITEM_SHAPE, columns: ITEM_COLUMNS, rows: line_items });
  if (runs.length === 0) return;
  context.print('\n');
  await printTable(context, { shape: RUN_SHAPE, columns: RUN_COLUMNS, rows: runs });
};

export const runHoldRelease = async (context: Context, options: { id: string; reason?: string }): Promise<ExitCode> => {
  const holdId = readHoldId({ flag: 'hold', value: options.id });
  const api = await context.api();
  const hold = await api.request('releaseHold', { path: { hold_id: holdId }, body: given({ reason: options.reason }) });
  await printSheet(context, { shape: SHAPE, labels: LABELS, value: hold });
  return EXIT.ok;
};
