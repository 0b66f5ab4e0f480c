import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, usageError } from '#cli/exit';
import { type Column, printCsv, printJson, printTable, type Shape, usdText } from '#cli/render';
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

/** What would have been refused, from the log of a slurmctld whose plugin does not enforce. */
export const runShadowReport = async (context: Context, files: readonly string[]): Promise<ExitCode> => {
  const tally = createTally();
  for (const file of files.length === 0 ? [USUAL_LOG] : files) {
    for await (const line of linesOf(streamOf(context, file), file)) {
      const read = readShadowLine(line);
      if (read !== undefined) tally.add(read);
    }
  }
  await printReport(context, tally.sum());
  return EXIT.ok;
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

const printReport = async (context: Context, sum: ShadowTally): Promise<void> => {
  const rows = sum.rows.map(rowOf);
  if (context.format === 'json') {
    const inNumbers = <T extends { cost: string | null; hold: string | null }>(row: T) => ({ ...row, ...numbersOf(row) });
    const examples = sum.examples.map((line) => inNumbers({ ...line, cost: formatUsdPlain(line.cost), hold: formatUsdPlain(line.hold) }));
    return printJson(context, { ...sum, rows: rows.map(inNumbers), examples });
  }
  if (context.format === 'csv') await printCsv(context, { shape: SHAPE, rows });
  else if (rows.length > 0) await printTable(context, { shape: SHAPE, columns: COLUMNS, rows });
  for (const line of wordsOf(sum, context.format === 'table')) context.tell(line);
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

const wordsOf = (sum: ShadowTally, withExamples: boolean): string[] => [
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
