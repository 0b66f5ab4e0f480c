// Any operation of the service, as data that fast-check can make and shrink, and how it is done.
import * as fc from 'fast-check';
import { type Adjustment, adjustHold } from '#app/adjust-hold';
import { auditAccounts } from '#app/audit-accounts';
import { bindHold } from '#app/bind-hold';
import { correctRun } from '#app/correct-run';
import { createAccount } from '#app/create-account';
import { deleteAccount } from '#app/delete-account';
import { deposit } from '#app/deposit';
import { expireHolds } from '#app/expire-holds';
import { extendHold } from '#app/extend-hold';
import { forceHold } from '#app/force-hold';
import { placeHold } from '#app/place-hold';
import type { World } from '#app/ports';
import { quoteJob } from '#app/quote-job';
import { releaseHold } from '#app/release-hold';
import { type RunReport, settleRuns } from '#app/settle-runs';
import { updateAccount } from '#app/update-account';
import { BudgetError } from '#domain/errors';
import type { Job } from '#domain/job';
import { flatPartition, type TestClock } from '#test/money/world';
import type { Places } from '#test/properties/law';

const CLUSTER = 'local';
const HOUR_MS = 3_600_000;
const ACCOUNTS = ['astro', 'bio', 'chem'];
const JOBS = ['1', '2', '3'];
/** Few, so that they are used again and again: most of what is hard happens under one id. */
const HOLD_IDS = Array.from({ length: 4 }, (_, i) => `6f1c0f5e-0000-4000-8000-00000000000${i}`);
const UNKNOWN_HOLD_ID = '6f1c0f5e-0000-4000-8000-00000000dead';

export const PLACES: Places = {
  accounts: ACCOUNTS,
  holdIds: HOLD_IDS,
  owners: [UNKNOWN_HOLD_ID, ...JOBS.map((job) => `job.${CLUSTER}.${job}`)],
};

/** One with a round price; one whose division leaves rests, and whose site pays for failed nodes; one with a default time. */
export const addPartitions = async ({ store }: World): Promise<void> => {
  await store.writePartition(flatPartition());
  const odd = { partition: 'odd', flatRatePerNodeHour: 3_333_333n, overheadMinutes: 7, writeOffNodeFailures: true };
  await store.writePartition(flatPartition(odd));
  await store.writePartition(flatPartition({ partition: 'timed', flatRatePerNodeHour: 1_000_001n, defaultWallTimeSeconds: 1800 }));
};

/** Where operations are done, and what was asked in it before. */
export interface Life {
  readonly world: World;
  readonly clock: TestClock;
  readonly asked: Map<string, Job>;
}

export type Operation = (life: Life) => Promise<unknown>;

/** What became of it: a verdict that says no, and a BudgetError, are refusals; anything else thrown is a bug. */
export const isRefused = async (done: Promise<unknown>): Promise<boolean> => {
  try {
    const answer = await done;
    return typeof answer === 'object' && answer !== null && 'decision' in answer && answer.decision === 'refused';
  } catch (error) {
    if (error instanceof BudgetError && !BUGS.has(error.code)) return true;
    throw error;
  }
};

/** Nobody else is there to contend with, and the store always answers. */
const BUGS = new Set(['account_contended', 'service_unavailable', 'deadline_passed', 'internal_error']);

const account = fc.constantFrom(...ACCOUNTS);
/** Mostly one that exists, now and then just any. */
const which = fc.integer({ min: 0, max: 9 });
const holdIdOf = async ({ store }: World, n: number): Promise<string> => {
  const holds = await Promise.all(HOLD_IDS.map((id) => store.readHold(id)));
  const there = HOLD_IDS.filter((_, i) => holds[i] !== undefined);
  return (n === 9 ? undefined : there[n % there.length]) ?? (HOLD_IDS[n % HOLD_IDS.length] as string);
};
const jobId = fc.constantFrom(...JOBS);
const cents = (max: number) => fc.integer({ min: 0, max }).map((n) => BigInt(n) * 10_007n); // Not a round number of anything.
const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const user = fc.constantFrom('curie', 'bohr');
const partitions = fc.constantFrom(['ten'], ['ten'], ['odd'], ['odd'], ['timed'], ['ten', 'odd'], ['onpremises', 'timed'], ['onpremises']);
const wallTimeSeconds = fc.constantFrom(30, 600, 3600, 3600, 7200, 36_000);
const nodes = fc.integer({ min: 1, max: 4 });
const array = fc.integer({ min: 1, max: 5 }).map((last) => ({ ranges: [{ first: 1, last, step: 1 }] }));

/** Only what is there: exact optional properties. */
const compact = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };

const job: fc.Arbitrary<Job> = fc
  .record({ account, partitions, user: option(user), wallTimeSeconds: option(wallTimeSeconds), nodes, array: option(array) })
  .map((fields) => compact({ ...fields, cluster: CLUSTER }));

const adjustment: fc.Arbitrary<Adjustment> = fc
  .record({
    wallTimeSeconds: option(wallTimeSeconds),
    nodes: option(nodes),
    account: fc.option(account, { nil: undefined, freq: 2 }),
    partitions: fc.option(partitions, { nil: undefined, freq: 2 }),
    tasks: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined, freq: 2 }),
  })
  .map(compact);

const cost = fc.oneof(
  cents(3000).map((actualCost) => ({ actualCost })),
  fc.constantFrom(0, 59, 1800, 9000).map((elapsedSeconds) => ({ usage: { elapsedSeconds, started: true } })),
);
const report: fc.Arbitrary<RunReport> = fc
  .record({
    cost,
    runId: option(fc.constantFrom('run-1', 'run-2', 'run-3', 'run-4')),
    partition: option(fc.constantFrom('ten', 'odd', 'onpremises')),
    user: option(user),
    state: option(fc.constantFrom('COMPLETED', 'NODE_FAIL', 'REQUEUED', 'CANCELLED')),
    final: option(fc.boolean()),
    tasks: fc.integer({ min: 1, max: 3 }),
    nodes,
  })
  .map(({ cost: each, nodes: used, ...fields }) =>
    compact({ ...fields, ...each, ...('usage' in each ? { usage: { ...each.usage, nodes: used } } : {}) }),
  );
const reports = fc.array(report, { minLength: 1, maxLength: 3 });

const arbitrary = <T>(weight: number, given: fc.Arbitrary<T>, what: string, run: (given: T) => Operation) => ({
  weight,
  arbitrary: given.map((each): Operation => Object.assign(run(each), { toString: () => `${what} ${fc.stringify(each)}` })),
});

const date = option(fc.constantFrom(null, null, '2026-11-01', '2026-11-24', '2027-12-31'));
const noWords = { name: null, description: null, startDate: null, endDate: null };

const DEFAULT_JOB: Job = { account: 'astro', partitions: ['ten'], cluster: CLUSTER, nodes: 1, wallTimeSeconds: 3600 };

const check =
  (given: { holdId: string; job: Job }): Operation =>
  async ({ world, asked }) => {
    const verdict = await placeHold(world, given);
    if (verdict.decision === 'admitted') asked.set(given.holdId, given.job);
    return verdict;
  };

export const operation: fc.Arbitrary<Operation> = fc.oneof(
  arbitrary(
    1,
    fc.record({ account, limit: cents(20_000) }),
    'create',
    (given) =>
      ({ world }) =>
        createAccount(world, { ...noWords, ...given }),
  ),
  arbitrary(
    2,
    fc.record({
      account,
      amount: fc.integer({ min: -5000, max: 9000 }).filter((n) => n !== 0),
      depositId: fc.constantFrom('d1', 'd2', 'd3'),
    }),
    'deposit',
    (given) =>
      ({ world }) =>
        deposit(world, { ...given, amount: BigInt(given.amount) * 10_007n, note: null }),
  ),
  arbitrary(8, fc.record({ job, holdId: fc.constantFrom(...HOLD_IDS) }), 'check', check),
  arbitrary(3, which, 'check again', (n) => async (life) => {
    const holdId = await holdIdOf(life.world, n);
    return placeHold(life.world, { holdId, job: life.asked.get(holdId) ?? DEFAULT_JOB });
  }),
  arbitrary(
    1,
    job,
    'quote',
    (given) =>
      ({ world }) =>
        quoteJob(world, given),
  ),
  arbitrary(
    2,
    fc.record({ job, holdId: fc.constantFrom(...HOLD_IDS), jobId: option(jobId) }),
    'force',
    (given) =>
      ({ world }) =>
        forceHold(world, { ...compact(given), reason: 'test' }),
  ),
  arbitrary(
    3,
    fc.record({ which, jobId, minutes: fc.integer({ min: 0, max: 2 }), count: option(nodes) }),
    'bind',
    ({ which: n, jobId: id, minutes, count }) =>
      async ({ world }) =>
        bindHold(world, {
          holdId: await holdIdOf(world, n),
          jobId: id,
          cluster: CLUSTER,
          submittedAt: world.clock.now() - minutes * 60_000,
          ...(count === undefined ? {} : { instances: [{ type: 'flat-rate', count }] }),
        }),
  ),
  arbitrary(
    5,
    fc.record({ which, adjustment, mode: fc.constantFrom('absolute' as const, 'raise-only' as const) }),
    'adjust',
    ({ which: n, ...given }) =>
      async ({ world }) =>
        adjustHold(world, { ...given, holdId: await holdIdOf(world, n) }),
  ),
  arbitrary(
    1,
    fc.record({ which, hours: fc.integer({ min: 0, max: 100 }) }),
    'extend',
    (given) =>
      async ({ world }) =>
        extendHold(world, { holdId: await holdIdOf(world, given.which), expiresAt: world.clock.now() + given.hours * HOUR_MS }),
  ),
  arbitrary(
    2,
    which,
    'release',
    (n) =>
      async ({ world }) =>
        releaseHold(world, { holdId: await holdIdOf(world, n) }),
  ),
  arbitrary(
    6,
    fc.record({ which, runs: reports }),
    'settle',
    ({ which: n, runs }) =>
      async ({ world }) =>
        settleRuns(world, { holdId: await holdIdOf(world, n), runs }),
  ),
  arbitrary(
    1,
    fc.record({ account: option(account), runs: reports }),
    'settle unknown hold',
    (given) =>
      ({ world }) =>
        settleRuns(world, compact({ ...given, holdId: UNKNOWN_HOLD_ID })),
  ),
  arbitrary(
    2,
    fc.record({ account: option(account), jobId, runs: reports }),
    'settle by job',
    ({ jobId: id, ...given }) =>
      ({ world }) =>
        settleRuns(world, compact({ ...given, cluster: CLUSTER, job: { cluster: CLUSTER, jobId: id } })),
  ),
  arbitrary(
    4,
    fc.record({ which, run: fc.nat(5), actualCost: cents(3000), correctionId: fc.constantFrom('c1', 'c2') }),
    'correct',
    ({ which: n, run, ...given }) =>
      async ({ world }) => {
        const holdId = await holdIdOf(world, n);
        const { items } = await world.store.listRuns(holdId, { limit: 10 });
        return correctRun(world, { ...given, holdId, runId: items[run % items.length]?.runId ?? 'run-1', note: 'test' });
      },
  ),
  arbitrary(2, fc.integer({ min: 0, max: 60 }), 'hours pass, sweep', (hours) => ({ world, clock }) => {
    clock.advance(hours * HOUR_MS);
    return expireHolds(world);
  }),
  arbitrary(
    2,
    fc.record({
      account,
      limit: option(cents(20_000)),
      status: option(fc.constantFrom('active' as const, 'active' as const, 'active' as const, 'suspended' as const, 'closed' as const)),
      startDate: date,
      endDate: date,
    }),
    'patch',
    ({ account: name, limit, ...set }) =>
      ({ world }) =>
        updateAccount(world, compact({ account: name, limit, set: compact(set) })),
  ),
  arbitrary(
    1,
    account,
    'delete',
    (given) =>
      ({ world }) =>
        deleteAccount(world, given),
  ),
  arbitrary(
    1,
    account,
    'repair',
    (given) =>
      ({ world }) =>
        auditAccounts(world, { account: given, page: { limit: 1 }, mode: 'repair' }),
  ),
);

const opened = (name: string) => {
  const given = fc.record({ account: fc.constant(name), limit: cents(100_000) });
  return arbitrary(
    1,
    given,
    'create',
    (each) =>
      ({ world }) =>
        createAccount(world, { ...noWords, ...each }),
  ).arbitrary;
};
const placed = (id: string) => arbitrary(1, fc.record({ job, holdId: fc.constant(id) }), 'check', check).arbitrary;

/** A life: accounts with more or less money, the first jobs, and then anything. */
export const lives = ({ longest }: { longest: number }): fc.Arbitrary<Operation[]> =>
  fc
    .tuple(
      fc.constantFrom(ACCOUNTS, ACCOUNTS, ACCOUNTS.slice(0, 2), ACCOUNTS.slice(1, 2)).chain((names) => fc.tuple(...names.map(opened))),
      fc.subarray(HOLD_IDS).chain((ids) => fc.tuple(...ids.map(placed))),
      fc.array(operation, { maxLength: longest, size: 'max' }),
    )
    .map((parts) => parts.flat());
