import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import type { Context } from '#cli/context';
import { CommandError, EXIT, type ExitCode, usageError } from '#cli/exit';
import { type Column, printCsv, printJson, printTable, type Shape, usdText } from '#cli/render';
import { type AccountView, type AgentsView, readAgentsView } from '#cli/shadow-report/agents-view';
import { readShadowLine } from '#cli/shadow-report/shadow-line';
import { createTally, type ShadowRow, type ShadowTally } from '#cli/shadow-report/tally';
import { formatUsdPlain } from '#domain/money';

const USUAL_LOG = '/var/log/slurm/slurmctld.log';
const STDIN = '-';
/** The plugin's line has at most some 1,000 characters; of a longer one only the beginning is kept. */
const MAX_LINE = 8192;

/** Null: there is none. */
type Row = Omit<ShadowRow, 'reason' | 'cost' | 'hold'> & Readonly<Record<'reason' | 'cost' | 'hold', string | null>>;

const SHAPE: Shape<Row> = { account: 'text', would: 'text', reason: 'text', jobs: 'count', cost: 'usd', hold: 'usd' };
const COLUMNS: readonly Column<Row>[] = [
  { field: 'account', header: 'ACCOUNT', flexible: true },
  { field: 'would', header: 'WOULD' },
  { field: 'reason', header: 'REASON' },
  { field: 'jobs', header: 'JOBS' },
  { field: 'cost', header: 'COST' },
  { field: 'hold', header: 'HOLD', dispensable: 1 },
];

export interface ShadowReportOptions {
  readonly logOnly?: boolean;
}

interface View extends AgentsView {
  /** Why there is none. */
  readonly missing: string | null;
}

const noView = (missing: string): View => ({ accounts: [], unknown: [], left_out: 0, missing });

const VIEW_MONEY = ['cost', 'limit', 'available', 'used'] as const;
type ViewRow = Omit<AccountView, (typeof VIEW_MONEY)[number]> & Readonly<Record<(typeof VIEW_MONEY)[number], string>>;
const VIEW_SHAPE: Shape<ViewRow> = {
  account: 'text',
  refused: 'count',
  ran: 'count',
  cost: 'usd',
  open: 'count',
  never_ran: 'count',
  unsure: 'count',
  limit: 'usd',
  available: 'usd',
  used: 'usd',
};
const VIEW_COLUMNS: readonly Column<ViewRow>[] = [
  { field: 'account', header: 'ACCOUNT', flexible: true },
  { field: 'refused', header: 'REFUSED' },
  { field: 'ran', header: 'RAN' },
  { field: 'cost', header: 'COST' },
  { field: 'open', header: 'OPEN' },
  { field: 'never_ran', header: 'NEVER RAN', dispensable: 1 },
  { field: 'unsure', header: 'UNSURE' },
  { field: 'used', header: 'ALL USED' },
  { field: 'limit', header: 'LIMIT' },
];

/** What would have been refused, from the log of a slurmctld whose plugin does not enforce, and what became of it, from the API. */
export const runShadowReport = async (context: Context, files: readonly string[], options: ShadowReportOptions = {}): Promise<ExitCode> => {
  const tally = createTally();
  for (const file of files.length === 0 ? [USUAL_LOG] : files) {
    for await (const line of linesOf(streamOf(context, file), file)) {
      const read = readShadowLine(line, context.now());
      if (read !== undefined) tally.add(read);
    }
  }
  const sum = tally.sum();
  await printReport(context, sum, sum.refused === 0 || options.logOnly === true ? undefined : await viewOf(context, sum));
  return EXIT.ok;
};

/** What the log says is worth having without it, so whatever keeps the API from answering is only said. */
const viewOf = async (context: Context, { timed }: ShadowTally): Promise<View> => {
  if (timed === undefined) return noView('the log has too many lines: name fewer files');
  if (!timed.some(({ would }) => would === 'refuse')) return noView('the log has no times');
  const times = timed.map(({ atMs }) => atMs);
  const window = times.reduce(({ fromMs, toMs }, ms) => ({ fromMs: Math.min(fromMs, ms), toMs: Math.max(toMs, ms) }), {
    fromMs: Number.POSITIVE_INFINITY,
    toMs: 0,
  });
  try {
    return { ...(await readAgentsView(await context.api(), { lines: timed, ...window })), missing: null };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return noView(error.message);
  }
};

const streamOf = (context: Context, file: string): AsyncIterable<Buffer | string> => {
  if (file === STDIN) return context.stdin();
  const stream = createReadStream(file);
  if (!file.endsWith('.gz')) return stream;
  const unzipped = createGunzip();
  stream.on('error', (error) => unzipped.destroy(error)); // pipe() does not hand errors on.
  return stream.pipe(unzipped);
};

async function* linesOf(stream: AsyncIterable<Buffer | string>, file: string): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const piece of stream) {
      const lines = (rest + decoder.decode(Buffer.from(piece), { stream: true })).split('\n');
      rest = (lines.pop() ?? '').slice(0, MAX_LINE);
      yield* lines;
    }
  } catch (error) {
    throw usageError(
      `cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? (error as Error).message}): name slurmctld's log (SlurmctldLogFile of slurm.conf)`,
      {
        cause: error,
      },
    );
  }
  if (rest !== '') yield rest;
}

const printReport = async (context: Context, { timed: _, ...sum }: ShadowTally, view: View | undefined): Promise<void> => {
  const viewRows = (view?.accounts ?? []).map(
    (row): ViewRow => ({
      ...row,
      cost: formatUsdPlain(row.cost),
      limit: formatUsdPlain(row.limit),
      available: formatUsdPlain(row.available),
      used: formatUsdPlain(row.used),
    }),
  );
  const rows = sum.rows.map(rowOf);
  if (context.format === 'json') {
    const inNumbers = <T extends { cost: string | null; hold: string | null }>(row: T) => ({ ...row, ...numbersOf(row) });
    const examples = sum.examples.map(({ atMs: __, ...line }) =>
      inNumbers({ ...line, cost: formatUsdPlain(line.cost), hold: formatUsdPlain(line.hold) }),
    );
    return printJson(context, {
      ...sum,
      rows: rows.map(inNumbers),
      examples,
      agents_view: view === undefined ? null : { ...view, accounts: viewRows.map(asNumbers) },
    });
  }
  if (context.format === 'csv') await printCsv(context, { shape: SHAPE, rows });
  else if (rows.length > 0) await printTable(context, { shape: SHAPE, columns: COLUMNS, rows });
  for (const line of wordsOf(sum, context.format === 'table')) context.tell(line);
  if (view === undefined) return;
  if (context.format === 'table' && viewRows.length > 0)
    await printTable(context, { shape: VIEW_SHAPE, columns: VIEW_COLUMNS, rows: viewRows });
  for (const line of wordsOfView(view)) context.tell(line);
};

const asNumbers = (row: ViewRow) => ({ ...row, ...Object.fromEntries(VIEW_MONEY.map((field) => [field, Number(row[field])])) });

const wordsOfView = ({ accounts, unknown, left_out, missing }: View): string[] => {
  if (missing !== null) return [`this is the log alone; what became of these jobs is not known: ${missing}`];
  const sum = (field: 'refused' | 'ran' | 'open' | 'never_ran' | 'unsure') => accounts.reduce((total, row) => total + row[field], 0);
  const cost = accounts.reduce((total, row) => total + row.cost, 0n);
  const cut = accounts.filter((row) => row.is_cut).map(({ account }) => account);
  const ofThese = `of ${sum('refused')} that would have been refused, ${sum('ran')} ran and cost ${usdText(formatUsdPlain(cost))}, ${sum('open')} wait or run, ${sum('never_ran')} never ran or were never seen by the agent`;
  return [
    ...(accounts.length === 0
      ? []
      : [ofThese, "ALL USED is what the account's ended jobs cost on the days of the log, UTC; LIMIT is what it may spend"]),
    ...(sum('unsure') === 0
      ? []
      : [`${sum('unsure')} were submitted beside others of their user: the log has no job ids, so which of these ran cannot be told`]),
    ...accounts
      .filter((row) => row.used_of_estimated !== null)
      .map(
        (row) => `${row.account}: jobs used ${((row.used_of_estimated ?? 0) * 100).toFixed(0)}% of their estimates ('asbb usage accuracy')`,
      ),
    ...(unknown.length === 0
      ? []
      : [`the API has no account ${unknown.join(', ')}: create it, or its jobs stay refused ('asbb account create')`]),
    ...(cut.length === 0 ? [] : [`of ${cut.join(', ')} only the newest holds were read: name a shorter log`]),
    ...(left_out === 0 ? [] : [`${left_out} more accounts with fewer refusals were not asked about`]),
  ];
};

/** What the API did not answer has no price: to call it free would be untrue. */
const rowOf = ({ cost, hold, reason, ...row }: ShadowRow): Row => ({
  ...row,
  reason: reason === '-' ? null : reason,
  ...(row.would.startsWith('fail_') ? { cost: null, hold: null } : { cost: formatUsdPlain(cost), hold: formatUsdPlain(hold) }),
});

const numbersOf = ({ cost, hold }: { cost: string | null; hold: string | null }) => ({
  cost: cost === null ? null : Number(cost),
  hold: hold === null ? null : Number(hold),
});

const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

const wordsOf = (sum: Omit<ShadowTally, 'timed'>, withExamples: boolean): string[] => [
  sum.jobs === 0
    ? "no line of shadow mode is in there: is Enforce=no in asbb.conf, and is this slurmctld's log?"
    : `${sum.refused} of ${counted(sum.jobs, 'job')} would have been refused${sum.from === null ? '' : `, ${sum.from} to ${sum.to}`}; nothing is held in shadow mode, so enforced it may be more`,
  ...(sum.unanswered === 0
    ? []
    : [`the API did not answer for ${counted(sum.unanswered, 'job')}: mend that before you enforce ('asbb doctor')`]),
  ...(sum.unreadable === 0 ? [] : [`${counted(sum.unreadable, 'line')} of shadow mode not counted, because torn`]),
  ...(withExamples
    ? sum.examples.map(
        ({ user, account, partition, cost, message }) => `${user} ${account} ${partition} ${usdText(formatUsdPlain(cost))}: ${message}`,
      )
    : []),
];
