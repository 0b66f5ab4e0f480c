import { createReadStream } from 'node:fs';
import { ApiError, type VerdictAnswer } from '#cli/api-client';
import { type QuotedJob, quotedJob } from '#cli/commands/quote-job';
import { given, ifGiven, readId } from '#cli/commands/values';
import { type Context, textOf } from '#cli/context';
import { CommandError, EXIT, type ExitCode, oneLine, usageError } from '#cli/exit';
import { cellText, painters, printCsv, printJson, printPairs, printTable, type Shape, usdColumn, usdText } from '#cli/render';
import { MAX_SCRIPT_BYTES, mergeOptions, readSbatchScript, type ScriptOptions } from '#cli/sbatch-script';
import { formatUsd, type MicroUsd, parseUsd, toUsd } from '#domain/money';

/** As typed: text or absent. */
export interface QuoteOptions {
  readonly script?: string | undefined;
  readonly account?: string;
  readonly partition?: string;
  readonly nodes?: string;
  readonly ntasks?: string;
  readonly ntasksPerNode?: string;
  readonly cpusPerTask?: string;
  readonly cpusPerGpu?: string;
  readonly time?: string;
  readonly gpus?: string;
  readonly gpusPerNode?: string;
  readonly gpusPerTask?: string;
  readonly gres?: string;
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
  const jobs = await jobsOf(context, options);
  const cluster = ifGiven('--cluster', options.cluster, readId) ?? (await context.config()).slurm.cluster;
  const api = await context.api();
  const components: Component[] = [];
  for (const [index, job] of jobs.entries()) {
    const which = jobs.length === 1 ? {} : { het_offset: index };
    const body = { ...job, ...which, ...given({ user: options.user, cluster }) };
    components.push({ job, verdict: await api.request('quoteBudget', { body }).catch(asRefusal(index, jobs.length)) });
  }
  await print(context, components);
  const refusals = components.filter(({ verdict }) => !verdict.available);
  for (const { verdict } of refusals) context.complain(`${verdict.message}${offersOf(verdict)}`);
  if (refusals.length > 0) return EXIT.refused;
  const short = accountsShortOf(components);
  for (const sentence of short) context.complain(sentence);
  return short.length > 0 ? EXIT.refused : EXIT.ok;
};

interface Component {
  readonly job: QuotedJob;
  readonly verdict: VerdictAnswer;
}

/** One job, or one for each component of a heterogeneous one. */
const jobsOf = async (context: Context, options: QuoteOptions): Promise<QuotedJob[]> => {
  const { script } = options;
  const scriptName = script === '-' ? 'standard input' : (script ?? '');
  const components = script === undefined ? [{}] : readComponents(await readScript(script, scriptName, context), scriptName);
  const flags = flagsOf(options);
  return components.map((component) => quotedJob(mergeOptions({ flags, env: context.env, script: component, scriptName })));
};

const readComponents = (text: string, name: string): ScriptOptions[] => {
  try {
    return readSbatchScript(text);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw usageError(`${name}, ${error.message}`, { cause: error });
  }
};

const readScript = async (script: string, name: string, context: Context): Promise<string> => {
  if (script === '-') return context.readStdin(MAX_SCRIPT_BYTES);
  try {
    return await textOf(createReadStream(script), { name, maxBytes: MAX_SCRIPT_BYTES });
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw usageError(`cannot read ${name} (${code ?? message})`, { cause: error });
  }
};

const flagsOf = (options: QuoteOptions): ScriptOptions =>
  given({
    account: options.account,
    partition: options.partition,
    nodes: options.nodes,
    ntasks: options.ntasks,
    'ntasks-per-node': options.ntasksPerNode,
    'cpus-per-task': options.cpusPerTask,
    'cpus-per-gpu': options.cpusPerGpu,
    time: options.time,
    gpus: options.gpus,
    'gpus-per-node': options.gpusPerNode,
    'gpus-per-task': options.gpusPerTask,
    gres: options.gres,
    mem: options.mem,
    'mem-per-cpu': options.memPerCpu,
    constraint: options.constraint,
    array: options.array,
    exclusive: options.exclusive === true ? '' : undefined,
  });

/** The plugin refuses a job that cannot be priced or does not fit (422), so whoever asks whether it would run is told no. */
const asRefusal =
  (index: number, count: number) =>
  (error: unknown): never => {
    if (!(error instanceof ApiError) || error.status !== 422) throw error;
    const which = count === 1 ? '' : `component ${index}: `;
    throw new CommandError(EXIT.refused, `${which}${error.message}`, { cause: error });
  };

/** Components are held for one after the other, so what each may have alone they must have together. */
const accountsShortOf = (components: readonly Component[]): string[] => {
  if (components.length === 1) return [];
  const accounts = new Map<string, { available: MicroUsd; holds: MicroUsd }>();
  for (const { job, verdict } of components) {
    const hold = parseUsd(verdict.hold_amount);
    // An admitted quote answers the account less its own hold.
    const available = parseUsd(verdict.details.account.budget_available) + hold;
    accounts.set(job.account, { available, holds: (accounts.get(job.account)?.holds ?? 0n) + hold });
  }
  return [...accounts]
    .filter(([, { available, holds }]) => holds > available)
    .map(
      ([account, { available, holds }]) =>
        `account ${account} has ${formatUsd(available)} available; the components of this job need ${formatUsd(holds)} held together`,
    );
};

const print = async (context: Context, components: readonly Component[]): Promise<void> => {
  const [first] = components;
  if (context.format === 'csv') return printCsv(context, { shape: CSV_SHAPE, rows: components.map(({ verdict }) => csvRow(verdict)) });
  if (components.length === 1 && first !== undefined) {
    return context.format === 'json' ? printJson(context, first.verdict) : printVerdict(context, first.verdict, first.job);
  }
  const total = (field: 'estimated_cost' | 'hold_amount') => components.reduce((sum, { verdict }) => sum + parseUsd(verdict[field]), 0n);
  const [estimate, hold] = [total('estimated_cost'), total('hold_amount')];
  const fits = components.every(({ verdict }) => verdict.available) && accountsShortOf(components).length === 0;
  if (context.format === 'json') {
    const sums = { available: fits, estimated_cost: toUsd(estimate), hold_amount: toUsd(hold) };
    return printJson(context, { ...sums, components: components.map(({ verdict }) => verdict) });
  }
  for (const [index, { job, verdict }] of components.entries()) {
    context.print(`${index === 0 ? '' : '\n'}Component ${index} of ${components.length}\n\n`);
    await printVerdict(context, verdict, job);
  }
  context.print('\nAll components\n\n');
  const paint = await painters(context);
  await printPairs(context, [
    ['Verdict', fits ? paint.good('fits') : paint.bad('refused')],
    ['Estimate', formatUsd(estimate)],
    ['Hold', formatUsd(hold)],
  ]);
};

const printVerdict = async (context: Context, verdict: VerdictAnswer, job: QuotedJob): Promise<void> => {
  const { estimate } = verdict.details;
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
  const amounts = amountsOf(verdict);
  const written = usdColumn(amounts.map(([, amount]) => amount));
  await printPairs(context, [
    ...amounts.map(([label], i): Pair => [label, `${written[i]}${label === 'Estimate' ? range : ''}`]),
    ...fitsPairs(verdict),
  ]);
};

type Pair = [string, string];

/** An admitted quote answers the account less this hold, a refused one the account as it is. */
const amountsOf = (verdict: VerdictAnswer): [string, number][] => {
  const { budget_available, budget_unconfirmed } = verdict.details.account;
  const price: [string, number][] = [
    ['Estimate', verdict.estimated_cost],
    ['Hold', verdict.hold_amount],
  ];
  if (verdict.available) return [...price, ['Left after it', verdict.budget_remaining]];
  const shortfall: [string, number][] = verdict.shortfall === undefined ? [] : [['Short by', verdict.shortfall]];
  const unconfirmed: [string, number][] = budget_unconfirmed > 0 ? [['Unconfirmed', budget_unconfirmed]] : [];
  return [...price, ['Available', budget_available], ...shortfall, ...unconfirmed];
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
