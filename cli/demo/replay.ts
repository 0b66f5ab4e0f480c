// `npm start`: replay the jobs of a real Slurm cluster through the API, over HTTP, and prove the money afterwards.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import { priceThreeWays } from '#cli/demo/three-ways';
import { readTrace, type Submission, type TraceRun } from '#cli/demo/trace';
import { chooseStore, type LocalServer, startLocal } from '#cli/local/serve';
import { usdColumn } from '#cli/render';
import { API_BASE_PATH } from '#contract/limits';
import { DEFAULT_HOLD_PERCENTAGE, DEFAULT_RECONCILIATION_TIMEOUT_SECONDS } from '#contract/settings';
import { DEFAULT_TABLE_NAME } from '#contract/table';
import { formatUsd, parseFactor } from '#domain/money';
import { formatWallTime } from '#domain/slurm-time';
import type { accountAnswer, VerdictAnswer } from '#http/answers';

/** Dollars given to each account of the trace: to lab03 and lab15 less than their jobs ask for. */
const BUDGETS: Readonly<Record<string, number>> = {
  lab01: 25_000,
  lab03: 45_000,
  lab08: 3_000,
  lab09: 25_000,
  lab12: 2_000,
  lab13: 40_000,
  lab14: 100,
  lab15: 30_000,
};
const INSTANCE_TYPE = 'c5.18xlarge';
/** us-east-1, on demand, 2026-07-20: as in the seed catalogue. */
const USD_PER_NODE_HOUR = 3.06;
const CLUSTER = 'eagle';
/** The trace has no dates; any time will do, as long as they follow each other. */
const TRACE_BEGAN_MS = Date.UTC(2019, 0, 1);

type AccountAnswer = ReturnType<typeof accountAnswer>;
type Event = { readonly at: number; readonly order: number } & (
  | { readonly kind: 'submit'; readonly submission: Submission }
  | { readonly kind: 'end'; readonly submission: Submission; readonly run: TraceRun }
);

interface Tally {
  readonly submissions: Map<string, number>;
  readonly refusals: Map<string, number>;
  readonly holds: Map<string, string>;
  settledRuns: number;
  neverRun: number;
  firstRefusal?: { submission: Submission; message: string };
}

const main = async (): Promise<void> => {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort(signal));
  const directory = mkdtempSync(join(tmpdir(), 'asbb-start-'));
  let server: LocalServer | undefined;
  try {
    const { store, why } = chooseStore(undefined);
    say(`starting the API over ${store === 'dynamodb' ? 'DynamoDB Local' : 'the memory store'}${why === undefined ? '' : `: ${why}`}`);
    server = await startLocal({
      port: 0,
      store,
      directory,
      table: DEFAULT_TABLE_NAME,
      settings: SETTINGS,
      folders: { home: directory },
      say,
    });
    say(`listening on ${server.url}`);
    process.exitCode = await replay(server.url, interrupted.signal);
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
  } finally {
    await server?.stop();
    rmSync(directory, { recursive: true, force: true });
  }
  if (interrupted.signal.aborted) {
    say('stopped; nothing is left running');
    process.exitCode = interrupted.signal.reason === 'SIGINT' ? 130 : 143;
  }
};

const SETTINGS = {
  holdFactor: parseFactor(DEFAULT_HOLD_PERCENTAGE),
  reconciliationTimeoutMs: DEFAULT_RECONCILIATION_TIMEOUT_SECONDS * 1000,
  defaultCluster: CLUSTER,
};

const say = (line: string): void => {
  process.stderr.write(`asbb: ${line}\n`);
};

/** @returns the exit status: 0 if the audit is clean */
const replay = async (url: string, signal: AbortSignal): Promise<number> => {
  const ask = askerOf(url, signal);
  const trace = readTrace();
  const runs = trace.reduce((sum, submission) => sum + submission.runs.length, 0);
  const accounts = [...new Set(trace.map(({ account }) => account))].sort();
  const partitions = [...new Set(trace.map(({ partition }) => partition))];
  for (const partition of partitions)
    await ask('PUT', `/partitions/${partition}`, { region: 'us-east-1', instance_types: [INSTANCE_TYPE] });
  for (const account of accounts) await ask('POST', '/accounts', { account, budget_limit: BUDGETS[account] ?? 0 });
  process.stdout.write(
    `\nReplaying ${number(trace.length)} submissions and ${number(runs)} runs of NREL's Eagle cluster (January 2019), every partition as ${INSTANCE_TYPE}.\n` +
      'Each submission asks to hold money and is bound to its job; each run that ends is settled at its real time.\n\n',
  );

  const tally: Tally = { submissions: new Map(), refusals: new Map(), holds: new Map(), settledRuns: 0, neverRun: 0 };
  const events = inTimeOrder(trace);
  const bar = new SingleBar({
    format: '{bar} {percentage}%  {value} of {total} events  {duration_formatted}',
    noTTYOutput: true,
    notTTYSchedule: 5000,
    stream: process.stderr,
  });
  bar.start(events.length, 0);
  try {
    for (const event of events) {
      await (event.kind === 'submit' ? submit(ask, tally, event.submission) : settle(ask, tally, event.submission, event.run));
      bar.increment();
    }
  } finally {
    bar.stop();
  }

  const { accounts: rows } = await ask<{ accounts: AccountAnswer[] }>('GET', '/accounts');
  process.stdout.write(`\n${accountTable(rows, tally)}\n\n${counts(trace, runs, tally)}\n${threeWays(trace)}${refusalAsRead(tally)}`);
  return reportAudit(await auditAll(ask));
};

type Ask = <T = unknown>(method: string, path: string, body?: unknown) => Promise<T>;

const askerOf =
  (url: string, signal: AbortSignal): Ask =>
  async <T>(method: string, path: string, body?: unknown) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const response = await fetch(`${url}${API_BASE_PATH}${path}`, { method, signal, ...init });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text) as T;
  };

/** At one instant runs end before jobs are submitted, so that what they return can be held again. */
const inTimeOrder = (trace: readonly Submission[]): Event[] =>
  trace
    .flatMap((submission): Event[] => [
      { kind: 'submit', at: submission.submittedAt, order: 1, submission },
      // A run may end in the second in which its job was submitted, but never before.
      ...submission.runs.map(
        (run): Event => ({ kind: 'end', at: Math.max(run.endedAt, submission.submittedAt + 1), order: 0, submission, run }),
      ),
    ])
    .sort((a, b) => a.at - b.at || a.order - b.order);

const submit = async (ask: Ask, tally: Tally, submission: Submission): Promise<void> => {
  const { id, account, partition, user, nodes, wallTimeSeconds, runs } = submission;
  const array = runs.length === 1 ? {} : { array: `1-${runs.length}` };
  const job = { account, partition, user, nodes, wall_time: formatWallTime(wallTimeSeconds), ...array };
  const verdict = await ask<VerdictAnswer>('POST', '/budget/check', job);
  count(tally.submissions, account);
  if (verdict.hold_id !== undefined) {
    tally.holds.set(id, verdict.hold_id);
    // What the agent does as soon as it sees the job in squeue.
    await ask('POST', `/holds/${verdict.hold_id}/bind`, {
      cluster: CLUSTER,
      job_id: id,
      submitted_at: new Date(TRACE_BEGAN_MS + submission.submittedAt * 1000).toISOString(),
    });
    return;
  }
  count(tally.refusals, account);
  tally.firstRefusal ??= { submission, message: verdict.message };
};

const settle = async (ask: Ask, tally: Tally, submission: Submission, run: TraceRun): Promise<void> => {
  const holdId = tally.holds.get(submission.id);
  if (holdId === undefined) {
    tally.neverRun++;
    return;
  }
  await ask('POST', '/budget/reconcile', {
    hold_id: holdId,
    run_id: run.runId,
    elapsed_seconds: run.elapsedSeconds,
    nodes: submission.nodes,
  });
  tally.settledRuns++;
};

const count = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};

const number = (value: number): string => value.toLocaleString('en-US');

const accountTable = (rows: readonly AccountAnswer[], tally: Tally): string => {
  const table = new Table({
    head: ['ACCOUNT', 'LIMIT', 'USED', 'HELD', 'AVAILABLE', 'JOBS', 'REFUSED'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
    chars: BORDERLESS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  const money = (['budget_limit', 'budget_used', 'budget_held', 'budget_available'] as const).map((field) =>
    usdColumn(rows.map((row) => row[field])),
  );
  for (const [index, { account }] of rows.entries()) {
    const jobs = [tally.submissions, tally.refusals].map((counted) => number(counted.get(account) ?? 0));
    table.push([account, ...money.map((column) => column[index] ?? ''), ...jobs]);
  }
  return table.toString().replace(/ +$/gm, '');
};

const BORDERLESS = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((part) => [part, '']),
);

const counts = (trace: readonly Submission[], runs: number, tally: Tally): string => {
  const refused = [...tally.refusals.values()].reduce((sum, each) => sum + each, 0);
  return (
    `${number(trace.length)} submissions: ${number(trace.length - refused)} admitted, ${number(refused)} refused.\n` +
    `${number(runs)} runs: ${number(tally.settledRuns)} settled, ${number(tally.neverRun)} never ran because their submission was refused.\n`
  );
};

/** Of the whole trace, as if no account had a limit. */
const threeWays = (trace: readonly Submission[]): string => {
  const { requested, held, used, usedWithoutMinimum, belowMinimum } = priceThreeWays(trace, USD_PER_NODE_HOUR);
  const cents = (amount: bigint): string => formatUsd(((amount + 5_000n) / 10_000n) * 10_000n).padStart(11);
  return (
    `All of it three ways, on whole ${INSTANCE_TYPE} nodes at $${USD_PER_NODE_HOUR} an hour:\n\n` +
    `  as requested  ${cents(requested)}  nodes x wall-time limit\n` +
    `  held          ${cents(held)}  ${DEFAULT_HOLD_PERCENTAGE} times that\n` +
    `  really used   ${cents(used)}  with EC2's minimum of a minute, which ${belowMinimum} runs are below\n` +
    `                ${cents(usedWithoutMinimum)}  without it\n`
  );
};

const refusalAsRead = ({ firstRefusal }: Tally): string => {
  if (firstRefusal === undefined) return '';
  const { submission, message } = firstRefusal;
  const { account, partition, nodes, wallTimeSeconds } = submission;
  return (
    `\nThe first refusal, as ${submission.user} would have read it:\n\n` +
    `  $ sbatch --account=${account} --partition=${partition} --nodes=${nodes} --time=${formatWallTime(wallTimeSeconds)} job.sh\n` +
    `  sbatch: error: asbb: ${message}\n` +
    "  sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n\n"
  );
};

interface AuditAnswer {
  readonly accounts: number;
  readonly entries: number;
  readonly differences: readonly unknown[];
  readonly cursor?: string;
}

/** On a slow machine one request may not come to the end of all ledgers. */
const MAX_AUDIT_REQUESTS = 100;

const auditAll = async (ask: Ask): Promise<AuditAnswer> => {
  let whole: AuditAnswer = { accounts: 0, entries: 0, differences: [] };
  let cursor: string | undefined;
  for (let requests = 0; requests < MAX_AUDIT_REQUESTS; requests += 1) {
    const part = await ask<AuditAnswer>('POST', '/audit', cursor === undefined ? {} : { cursor });
    whole = {
      accounts: whole.accounts + part.accounts,
      entries: whole.entries + part.entries,
      differences: [...whole.differences, ...part.differences],
    };
    cursor = part.cursor;
    if (cursor === undefined) return whole;
  }
  throw new Error('the audit does not come to an end');
};

const reportAudit = ({ accounts, entries, differences }: AuditAnswer): number => {
  if (differences.length > 0) {
    process.stdout.write(
      `Audit: ${differences.length} differences between the ledger and the accounts:\n${JSON.stringify(differences, null, 2)}\n`,
    );
    return 1;
  }
  process.stdout.write(
    `Audit: ${number(entries)} ledger entries replayed from nothing give every column of all ${number(accounts)} accounts, to the micro-dollar.\n`,
  );
  return 0;
};

await main();
