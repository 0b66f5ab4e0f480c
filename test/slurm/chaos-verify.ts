// What must be true after chaos, worked out from Slurm's own tables and the ledger, in whole micro-dollars, without the agent's
// code: its parsers, its prices and its bookkeeping are what is on trial.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EntryAnswer, HoldAnswer } from '#cli/api-client';
import type { Bed, RowHistory } from '#test/slurm/chaos';
import type { Cluster } from '#test/slurm/cluster';

const ACCOUNTS = ['physics', 'chem'] as const;
/** Micro-dollars per node-hour, as the partitions were made in chaos.ts. */
const RATES: Readonly<Record<string, bigint>> = { aws: 3_611_113n, awsopen: 7_321_977n, awsdef: 11_000_017n };
const OVERHEAD_SECONDS = 60n;
const SECONDS_PER_HOUR = 3600n;
const OVER = /^(?:BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|LAUNCH_FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|REVOKED|TIMEOUT)/;

export interface Findings {
  /** Each is a sentence; there must be none. */
  readonly problems: readonly string[];
  /** What is not wrong, but had to be explained. */
  readonly explained: readonly string[];
  readonly figures: Readonly<Record<string, number | string>>;
}

export interface LiveJob {
  /** As scancel and scontrol take it: a slurmctld that was killed does not know tasks by their own numbers any more. */
  readonly id: string;
  /** Of its array, or its own. */
  readonly submission: string;
  readonly partition: string;
  readonly name: string;
  readonly reason: string;
}

/** Throws while slurmctld does not answer. */
export const liveJobs = async (cluster: Cluster): Promise<LiveJob[]> => {
  const { code, stdout, stderr } = await cluster.asRoot('squeue', ['-h', '-a', '-t', 'all', '-o', '%i|%F|%A|%P|%T|%j|%r']);
  if (code !== 0) throw new Error(`squeue: ${stderr}`);
  return rowsOf(stdout).flatMap(([id = '', array = '', number = '', partition = '', state = '', name = '', reason = '']) =>
    OVER.test(state) ? [] : [{ id, submission: id.includes('_') ? array : number, partition, name, reason }],
  );
};

const rowsOf = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('|'));

const isGuarded = (partition: string): boolean => partition.split(',').some((name) => name in RATES);

/** While some jobs are alive: each of them that is guarded has one open hold, and no hold is open for anything else. */
export const verifyHolds = async ({ cluster, budget }: Bed): Promise<Findings> => {
  const problems: string[] = [];
  const live = await liveJobs(cluster);
  const holds = [...(await openHolds(budget.api, 'true')), ...(await openHolds(budget.api, 'false'))];
  const submissions = new Set(live.map(({ submission }) => submission));
  for (const hold of holds)
    if (hold.job_id === null || !submissions.has(hold.job_id)) problems.push(`a hold is open without a live job: ${shortly(hold)}`);
  for (const submission of new Set(live.filter(({ partition }) => isGuarded(partition)).map((job) => job.submission))) {
    const count = holds.filter(({ job_id }) => job_id === submission).length;
    if (count !== 1) problems.push(`live guarded job ${submission} has ${count} open holds`);
  }
  return { problems, explained: [], figures: { 'live jobs': live.length, 'open holds': holds.length } };
};

const shortly = ({
  hold_id,
  job_id,
  state,
  account,
  partition,
  amount,
  tasks,
  tasks_ended,
  forced,
  created_at,
  submitted_at,
}: HoldAnswer) =>
  JSON.stringify({ hold_id, job_id, state, account, partition, amount, tasks, tasks_ended, forced, created_at, submitted_at });

const openHolds = async (api: Bed['budget']['api'], bound: string): Promise<HoldAnswer[]> => {
  const holds: HoldAnswer[] = [];
  let cursor: string | undefined;
  do {
    const page = await api.request('listHoldsOfCluster', { query: { cluster: 'testbed', state: 'open', bound, limit: '500', cursor } });
    holds.push(...page.holds);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return holds;
};

// --- money --------------------------------------------------------------------------------------------------------------

/** A row of sacct that has ended. */
interface Row {
  readonly dbIndex: string;
  readonly jobId: string;
  readonly text: string;
  readonly account: string;
  readonly partition: string;
  readonly submitted: number;
  readonly start: number | undefined;
  readonly end: number | undefined;
  /** Micro-dollars. */
  readonly cost: bigint;
}

/** What was booked under one run id. */
interface Charge {
  readonly account: string;
  readonly entries: EntryAnswer[];
  /** Micro-dollars, after corrections. */
  net: bigint;
}

/** When nothing is left: no hold is open, every run is charged once and rightly, and the law holds. */
export const verify = async (bed: Bed, history: RowHistory): Promise<Findings> => {
  const { problems, figures: holdFigures } = await verifyHolds(bed);
  const found = [...problems];
  const explained: string[] = [];
  const rows = await Promise.all((await accountedRows(bed)).map((row) => withPartition(bed, row, explained)));
  const entries = new Map<string, EntryAnswer[]>();
  for (const account of ACCOUNTS) entries.set(account, await ledgerOf(bed, account));
  const charges = chargesOf([...entries.values()].flat());

  let charged = 0;
  for (const row of rows.filter(({ end }) => end !== undefined)) {
    const problem = problemOfRow(row, charges.get(`testbed-${row.dbIndex}`));
    if (problem !== undefined) found.push(`${problem}; its row was: ${(history.get(row.dbIndex) ?? []).join(' // ')}`);
    if (row.cost > 0n) charged += 1;
  }
  const standIns = standInsOf(rows, charges, found, explained);
  const accounts: Record<string, string> = {};
  for (const account of ACCOUNTS) {
    const expected =
      rows.reduce((sum, row) => sum + (row.account === account && row.end !== undefined ? row.cost : 0n), 0n) +
      standIns.reduce((sum, charge) => sum + (charge.account === account ? charge.net : 0n), 0n);
    accounts[`used by ${account}`] = await verifyAccount(bed, { account, expected, entries: entries.get(account) ?? [] }, found);
  }
  found.push(...(await auditProblems(bed)), ...leftovers(bed));
  const forgotten = forgottenRuns(bed, rows);
  explained.push(...forgotten);
  const types = [...entries.values()].flat().map(({ type }) => type);
  return {
    problems: found,
    explained,
    figures: {
      ...holdFigures,
      'rows of sacct': rows.length,
      'runs charged': charged,
      'stand-ins charged': standIns.filter(({ net }) => net > 0n).length,
      'jobs that slurmctld forgot': forgottenJobs(bed, rows),
      'runs that no row of their own tells of': forgotten.length,
      'forced holds': types.filter((type) => type === 'forced_hold').length,
      'holds of the plugin': types.filter((type) => type === 'hold').length,
      orphans: types.filter((type) => type === 'release').length,
      'late settles': types.filter((type) => type === 'late_settle').length,
      'rows that changed after their end': [...history.values()].filter((said) => changedAfterEnd(said)).length,
      corrections: types.filter((type) => type === 'correction').length,
      ...accounts,
    },
  };
};

const SACCT = [
  'DBIndex',
  'JobIDRaw',
  'JobID',
  'Account',
  'Partition',
  'State',
  'Submit',
  'Start',
  'End',
  'AllocNodes',
  'NodeList',
  'JobName',
  'AdminComment',
];

export const accountedRows = async ({ cluster, startedAt }: Pick<Bed, 'cluster' | 'startedAt'>): Promise<Row[]> => {
  const from = new Date((startedAt - 60) * 1000).toISOString().slice(0, 19);
  const env = { TZ: 'UTC', SLURM_TIME_FORMAT: '%s', SLURM_BITSTR_LEN: '0' };
  // Without states: also those that never ended.
  const calls = [
    ['-S', from],
    ['-S', from, '-E', 'now', '--state=CD,CA,F,TO,NF,OOM,PR,DL,BF,RQ,RS'],
  ];
  const rows = new Map<string, Row>();
  for (const when of calls) {
    const { code, stdout, stderr } = await cluster.asRoot('sacct', ['-a', '-X', '-D', '-n', '-P', ...when, '-o', SACCT.join(',')], { env });
    if (code !== 0) throw new Error(`sacct: ${stderr}`);
    for (const cells of rowsOf(stdout)) {
      const row = rowOf(cells);
      rows.set(row.dbIndex, row);
    }
  }
  return [...rows.values()];
};

const rowOf = (cells: readonly string[]): Row => {
  const [dbIndex = '', jobId = '', , account = '', partition = '', , submitted = '', start = '', end = '', nodes = '', nodeList = ''] =
    cells;
  const time = (text: string): number | undefined => (/^\d+$/.test(text) && text !== '0' ? Number(text) : undefined);
  const hadNodes = Number(nodes) > 0 && nodeList !== 'None assigned';
  const [from, to] = [hadNodes ? time(start) : undefined, time(end)];
  // A run that was requeued by a slurmctld that had been killed may have its job's whole list again: the dearest is held for.
  const [rate] = partition
    .split(',')
    .flatMap((name) => RATES[name] ?? [])
    .toSorted((a, b) => Number(b - a));
  const cost =
    rate === undefined || from === undefined || to === undefined
      ? 0n
      : costOf({ nodes: BigInt(nodes), rate, seconds: BigInt(Math.max(0, to - from)) });
  return { dbIndex, jobId, text: cells.join('|'), account, partition, submitted: Number(submitted), start: from, end: to, cost };
};

/**
 * Of some runs slurmdbd gets the end only: slurmctld was killed before it had told their beginning, and had forgotten them
 * afterwards. Such a row has no partition, so it is charged at the one that its job was held for.
 */
const withPartition = async ({ budget }: Bed, row: Row, explained: string[]): Promise<Row> => {
  const holdId = /\basbb:([0-9a-f-]{36})$/.exec(row.text)?.[1];
  if (row.partition !== '' || row.start === undefined || row.end === undefined || holdId === undefined) return row;
  const { partition } = await budget.hold(holdId);
  explained.push(`slurmdbd knows only the end of a run, which was held for in ${partition}: ${row.text}`);
  const cells = row.text.split('|');
  return rowOf([...cells.slice(0, 4), partition, ...cells.slice(5)]);
};

/** Whole nodes at the partition's rate for the run and a minute of boot, rounded up. */
const costOf = ({ nodes, rate, seconds }: { nodes: bigint; rate: bigint; seconds: bigint }): bigint =>
  (nodes * rate * (seconds + OVERHEAD_SECONDS) + SECONDS_PER_HOUR - 1n) / SECONDS_PER_HOUR;

const ledgerOf = async ({ budget }: Bed, account: string): Promise<EntryAnswer[]> => {
  const entries: EntryAnswer[] = [];
  let cursor: string | undefined;
  do {
    const page = await budget.api.request('listTransactions', { path: { account }, query: { limit: '500', cursor } });
    entries.push(...page.transactions);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return entries;
};

/** Exact: the wire has six decimals at most. */
const micro = (dollars: number): bigint => BigInt(Math.round(dollars * 1e6));

const chargesOf = (entries: readonly EntryAnswer[]): Map<string, Charge> => {
  const charges = new Map<string, Charge>();
  for (const entry of entries) {
    if (entry.run_id === null) continue;
    const charge = charges.get(entry.run_id) ?? { account: entry.account, entries: [], net: 0n };
    charge.entries.push(entry);
    charge.net += micro(entry.used_delta);
    charges.set(entry.run_id, charge);
  }
  return charges;
};

const problemOfRow = (row: Row, charge: Charge | undefined): string | undefined => {
  if (charge === undefined) return row.cost === 0n ? undefined : `a run of ${row.cost} micro-dollars was never charged`;
  const bookings = charge.entries.filter(({ type }) => type === 'settle' || type === 'late_settle' || type === 'write_off');
  if (bookings.length !== 1) return `a run was booked ${bookings.length} times`;
  if (charge.net !== row.cost) return `a run of ${row.cost} micro-dollars was charged ${charge.net} (${wordsOf(charge)})`;
  return charge.account === row.account ? undefined : `a run of ${row.account} was charged to ${charge.account}`;
};

const wordsOf = ({ entries }: Charge): string =>
  entries.map(({ type, used_delta, at, note }) => `${type} ${used_delta} ${at} ${note ?? ''}`).join('; ');

/**
 * Charges of runs that are no row with an end. One is right only where Slurm will never account for that run: its job has no
 * row that ended after the run began, since slurmctld was killed before it had saved the job.
 */
const standInsOf = (rows: readonly Row[], charges: ReadonlyMap<string, Charge>, found: string[], explained: string[]): Charge[] => {
  const known = new Set(rows.filter(({ end }) => end !== undefined).map(({ dbIndex }) => `testbed-${dbIndex}`));
  const standIns: Charge[] = [];
  for (const [runId, charge] of charges) {
    if (known.has(runId)) continue;
    standIns.push(charge);
    if (charge.net === 0n) continue;
    const [, jobId, startedAt] = /^testbed-(\d+)\.(\d+)$/.exec(runId) ?? [];
    const ofJob = rows.filter((row) => row.jobId === jobId);
    // Numbers are given away again, so a row is that run only if its job was there; one without an end is it beyond doubt.
    const began = Number(startedAt);
    const isOpenEnded = ofJob.some(({ end, start }) => end === undefined && start !== undefined && Math.abs(start - began) <= 2);
    const covering = isOpenEnded
      ? undefined
      : ofJob.find(({ submitted, end, start }) => end !== undefined && start !== undefined && submitted <= began && end >= began);
    const line = `${runId} charged ${charge.net} micro-dollars to ${charge.account} (${wordsOf(charge)}); rows of the job: ${ofJob.map(({ text }) => text).join(' // ') || 'none'}`;
    if (jobId === undefined || covering !== undefined) found.push(`a charge that no run explains: ${line}`);
    else explained.push(`slurmctld forgot a run that the agent had seen: ${line}`);
  }
  return standIns;
};

const verifyAccount = async (
  { budget }: Bed,
  { account, expected, entries }: { account: string; expected: bigint; entries: readonly EntryAnswer[] },
  found: string[],
): Promise<string> => {
  const now = await budget.api.request('showAccount', { path: { account } });
  const [limit, used, held, available] = [now.budget_limit, now.budget_used, now.budget_held, now.budget_available].map(micro) as [
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  if (available + held + used !== limit) found.push(`${account}: ${available} + ${held} + ${used} is not ${limit}`);
  if (held !== 0n) found.push(`${account}: ${held} micro-dollars are held for nothing`);
  if (used !== expected) found.push(`${account}: used ${used}, and its runs cost ${expected}`);
  const columns = [
    ['limit_delta', limit],
    ['used_delta', used],
    ['held_delta', held],
    ['available_delta', available],
  ] as const;
  for (const [column, value] of columns) {
    const replayed = entries.reduce((sum, entry) => sum + micro(entry[column]), 0n);
    if (replayed !== value) found.push(`${account}: the ledger's ${column} adds up to ${replayed}, not ${value}`);
  }
  return `$${now.budget_used}`;
};

const auditProblems = async ({ budget }: Bed): Promise<string[]> => {
  const answer = await budget.api.request('audit', { body: {} });
  return answer.differences.map((difference) => `audit: ${JSON.stringify(difference)}`);
};

/** Nothing waits in a spool, and nothing had to be left to a person. */
const leftovers = ({ folder }: Bed): string[] => {
  const problems: string[] = [];
  for (const name of readdirSync(join(folder, 'state')).filter((each) => each.startsWith('asbb.spool'))) {
    const content = readFileSync(join(folder, 'state', name), 'utf8');
    if (content !== '') problems.push(`${name} is left: ${content.slice(0, 2000)}`);
  }
  const aside = join(folder, 'agent.json.aside');
  if (existsSync(aside)) problems.push(`the agent left to a person: ${readFileSync(aside, 'utf8').slice(0, 4000)}`);
  return problems;
};

// --- what slurmctld forgot ------------------------------------------------------------------------------------------------

const changedAfterEnd = (said: readonly string[]): boolean => said.slice(0, -1).some((text) => /^\d+$/.test(text.split('|')[8] ?? ''));

/** Jobs that were accepted and of which there is no row at all. */
const forgottenJobs = ({ cluster }: Bed, rows: readonly Row[]): number => {
  const accepted = [...cluster.controllerLog().matchAll(/_slurm_rpc_submit_batch_job: JobId=(\d+)/g)].map(([, id]) => id as string);
  const accounted = new Map<string, number>();
  for (const { text } of rows) {
    const id = /^\d+\|\d+\|(\d+)/.exec(text)?.[1] ?? '';
    accounted.set(id, (accounted.get(id) ?? 0) + 1);
  }
  const submitted = new Map<string, number>();
  for (const id of accepted) submitted.set(id, (submitted.get(id) ?? 0) + 1);
  return [...submitted].reduce((sum, [id, count]) => sum + Math.max(0, count - (accounted.get(id) ?? 0)), 0);
};

/** Runs that left a witness and no row that covers them: Slurm's word is all that can be charged by. */
const forgottenRuns = ({ folder }: Bed, rows: readonly Row[]): string[] => {
  const path = join(folder, 'home/witness');
  if (!existsSync(path)) return [];
  const ended = rows.filter(({ end, start }) => end !== undefined && start !== undefined);
  const taken = new Set<string>();
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const [jobId = '', restarts = '', at = ''] = line.split(' ');
      const row = ended.find(
        (each) =>
          each.jobId === jobId && !taken.has(each.dbIndex) && Number(at) >= (each.start ?? 0) - 1 && Number(at) <= (each.end ?? 0) + 1,
      );
      if (row !== undefined) {
        taken.add(row.dbIndex);
        return [];
      }
      const ofJob = rows.filter((each) => each.jobId === jobId).map(({ text }) => text);
      return [`job ${jobId} (restart ${restarts}) began at ${at}, and no row of its own says so: ${ofJob.join(' // ') || 'no row'}`];
    });
};
