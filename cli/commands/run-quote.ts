import type { VerdictAnswer } from '#cli/api-client';
import {
  given,
  ifGiven,
  readAccount,
  readArray,
  readCount,
  readGpus,
  readId,
  readMemory,
  readNodes,
  readPartitions,
  readWallTime,
} from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, oneLine, usageError } from '#cli/exit';
import { cellText, painters, printCsv, printJson, printPairs, printTable, type Shape, usdText } from '#cli/render';

/** As typed: text or absent. */
export interface QuoteOptions {
  readonly script?: string | undefined;
  readonly account?: string;
  readonly partition?: string;
  readonly nodes?: string;
  readonly ntasks?: string;
  readonly cpusPerTask?: string;
  readonly time?: string;
  readonly gpus?: string;
  readonly gpusPerNode?: string;
  readonly mem?: string;
  readonly memPerCpu?: string;
  readonly constraint?: string;
  readonly array?: string;
  readonly exclusive?: boolean;
  readonly user?: string;
  readonly cluster?: string;
}

/** Ask what a job would cost, and whether the budget would take it. */
export const runQuote = async (context: Context, options: QuoteOptions): Promise<ExitCode> => {
  if (options.script !== undefined) {
    throw usageError(
      `batch scripts are not read yet: give what '${options.script}' asks for as flags, for example -A physics -p aws -N 8 -t 6:00:00`,
    );
  }
  const job = jobOf(options);
  const cluster = job.cluster ?? (await context.config()).slurm.cluster;
  const api = await context.api();
  const verdict = await api.request('quoteBudget', { body: { ...job, ...given({ cluster }) } });
  await printVerdict(context, verdict, job);
  if (verdict.available) return EXIT.ok;
  context.complain(`${verdict.message}${offersOf(verdict)}`);
  return EXIT.refused;
};

type JobBody = Readonly<Record<string, unknown>> & { readonly account: string; readonly partition: string; readonly cluster?: string };

const jobOf = (options: QuoteOptions): JobBody => {
  if (options.account === undefined) throw usageError('which account pays? Name it with -A');
  if (options.partition === undefined) throw usageError('which partition is it for? Name it with -p');
  const gpus = ifGiven('--gpus', options.gpus, readGpus);
  const perNode = ifGiven('--gpus-per-node', options.gpusPerNode, readGpus);
  if (gpus?.type !== undefined && perNode?.type !== undefined && gpus.type !== perNode.type) {
    throw usageError(`--gpus asks for ${gpus.type} and --gpus-per-node for ${perNode.type}: name one type`);
  }
  return {
    account: readAccount({ flag: '--account', value: options.account }),
    partition: readPartitions({ flag: '--partition', value: options.partition }),
    ...ifGiven('--nodes', options.nodes, readNodes),
    ...given({
      ntasks: ifGiven('--ntasks', options.ntasks, readCount),
      cpus_per_task: ifGiven('--cpus-per-task', options.cpusPerTask, readCount),
      wall_time: ifGiven('--time', options.time, readWallTime),
      gpus: gpus?.count,
      gpus_per_node: perNode?.count,
      gpu_type: gpus?.type ?? perNode?.type,
      memory: ifGiven('--mem', options.mem, readMemory),
      memory_per_cpu: ifGiven('--mem-per-cpu', options.memPerCpu, readMemory),
      constraint: options.constraint,
      array: ifGiven('--array', options.array, readArray),
      exclusive: options.exclusive,
      user: options.user,
      cluster: ifGiven('--cluster', options.cluster, readId),
    }),
  };
};

const printVerdict = async (context: Context, verdict: VerdictAnswer, job: JobBody): Promise<void> => {
  if (context.format === 'json') return printJson(context, verdict);
  if (context.format === 'csv') return printCsv(context, { shape: CSV_SHAPE, rows: [csvRow(verdict)] });
  const { estimate, account } = verdict.details;
  const paint = await painters(context);
  await printPairs(context, [
    ['Verdict', verdict.available ? paint.good('fits') : paint.bad('refused')],
    ['Account', job.account],
    ['Partition', job.partition],
    ['Nodes', `${estimate.nodes}${estimate.instance_types.length === 0 ? '' : ` (${cellText(estimate.instance_types, 'list')})`}`],
    ['Wall time', cellText(estimate.wall_time, 'text')],
    ['Prices', `${oneLine(estimate.source)}${estimate.price_date ? ` of ${oneLine(estimate.price_date)}` : ''}`],
  ]);
  context.print('\n');
  await printTable(context, { shape: ITEM_SHAPE, columns: ITEM_COLUMNS, rows: estimate.line_items });
  context.print('\n');
  const range = estimate.low === estimate.high ? '' : ` (from ${usdText(estimate.low)} to ${usdText(estimate.high)})`;
  await printPairs(context, [
    ['Estimate', `${usdText(verdict.estimated_cost)}${range}`],
    ['Hold', usdText(verdict.hold_amount)],
    ...budgetPairs(verdict, account),
    ...fitsPairs(verdict),
  ]);
};

type Pair = [string, string];

/** An admitted quote answers the account less this hold, a refused one the account as it is. */
const budgetPairs = (verdict: VerdictAnswer, account: VerdictAnswer['details']['account']): Pair[] => {
  const unconfirmed: Pair[] = account.budget_unconfirmed > 0 ? [['Unconfirmed', usdText(account.budget_unconfirmed)]] : [];
  if (verdict.available) return [['Left after it', usdText(verdict.budget_remaining)]];
  const shortfall: Pair[] = verdict.shortfall === undefined ? [] : [['Short by', usdText(verdict.shortfall)]];
  return [['Available', usdText(account.budget_available)], ...shortfall, ...unconfirmed];
};

const fitsPairs = (verdict: VerdictAnswer): Pair[] => offerFlags(verdict).map((flag, i) => [i === 0 ? 'Would fit with' : '', flag]);

const offerFlags = ({ fits }: VerdictAnswer): string[] => {
  if (fits === undefined) return [];
  const flags = [
    fits.wall_time === undefined ? undefined : `--time=${oneLine(fits.wall_time)}`,
    fits.nodes === undefined ? undefined : `--nodes=${fits.nodes}`,
    fits.array_tasks === undefined ? undefined : `an array of ${fits.array_tasks} tasks`,
  ];
  return flags.filter((flag) => flag !== undefined);
};

/** The message names the offers itself where they fit into its 200 characters. */
const offersOf = (verdict: VerdictAnswer): string => {
  const flags = offerFlags(verdict);
  return flags.length === 0 || verdict.message.includes('fits with') ? '' : ` It fits with ${flags.join(' or ')}.`;
};

type LineItem = VerdictAnswer['details']['estimate']['line_items'][number];

const ITEM_SHAPE: Shape<LineItem> = { name: 'text', quantity: 'count', unit_price: 'count', amount: 'usd' };
const ITEM_COLUMNS = [
  { field: 'name', header: 'ITEM', flexible: true },
  { field: 'quantity', header: 'NODE-HOURS' },
  { field: 'unit_price', header: 'USD PER NODE-HOUR' },
  { field: 'amount', header: 'AMOUNT' },
] as const;

const CSV_SHAPE: Shape<ReturnType<typeof csvRow>> = {
  decision: 'text',
  estimated_cost: 'usd',
  hold_amount: 'usd',
  budget_remaining: 'usd',
  shortfall: 'usd',
  code: 'text',
  nodes: 'count',
  wall_time: 'text',
  instance_types: 'list',
  source: 'text',
  price_date: 'text',
  low: 'usd',
  high: 'usd',
  fits_wall_time: 'text',
  fits_nodes: 'count',
  fits_array_tasks: 'count',
  message: 'text',
};

const csvRow = (verdict: VerdictAnswer) => {
  const { nodes, wall_time, instance_types, source, price_date, low, high } = verdict.details.estimate;
  const { decision, estimated_cost, hold_amount, budget_remaining, shortfall, code, message, fits } = verdict;
  return {
    ...{ decision, estimated_cost, hold_amount, budget_remaining, shortfall, code },
    ...{ nodes, wall_time, instance_types, source, price_date, low, high },
    fits_wall_time: fits?.wall_time,
    fits_nodes: fits?.nodes,
    fits_array_tasks: fits?.array_tasks,
    message,
  };
};
