import { describe, expect, it } from 'vitest';
import { adjustHold } from '#app/adjust-hold';
import { bindHold } from '#app/bind-hold';
import { expireHolds } from '#app/expire-holds';
import { releaseHold } from '#app/release-hold';
import { type RunReport, type SettleRequest, settleRuns } from '#app/settle-runs';
import { parseArraySpec } from '#domain/array-spec';
import type { Job } from '#domain/job';
import { MAX_RUNS_PER_BATCH } from '#domain/run';
import { aModel, anAccount, DAY_MS, HOUR_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, type TestWorld, theHold, within } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const UNKNOWN_ID = '6f1c0f5e-0000-4000-8000-000000000404';
const HOUR = 3600;

const aRun = (given: Partial<RunReport> = {}): RunReport => ({ actualCost: 1_000_000n, tasks: 1, ...given });
const anHour = (given: Partial<RunReport['usage']> = {}): RunReport => ({
  usage: { elapsedSeconds: HOUR, started: true, ...given },
  tasks: 1,
});

/** $100, of which one node of aws for an hour ($3.672) is held. */
const aHeldWorld = async (job: Partial<Job> = {}, models = [aModel(), aModel({ partition: 'small', instanceTypes: ['c5.9xlarge'] })]) => {
  const world = await aWorld(models);
  await world.open({ limit: 100_000_000n });
  await aPlacedHold(world, job, HOLD_ID);
  return world;
};
const settle = (world: TestWorld, runs: RunReport[], given: Partial<SettleRequest> = {}) =>
  settleRuns(world, { holdId: HOLD_ID, runs, ...given });
const ledgerOf = async (world: TestWorld) =>
  (await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + DAY_MS }, { limit: 500 })).items;

describe('settleRuns', () => {
  it('books a run and returns what it did not need', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(HOUR_MS);
    const [run] = await settle(world, [
      aRun({ runId: 'hpc-1', state: 'COMPLETED', jobId: '4711', user: 'meitner', startedAt: NOON, endedAt: NOON + 7 }),
    ]);
    expect(run).toStrictEqual({
      owner: HOLD_ID,
      runId: 'hpc-1',
      account: 'physics',
      jobId: '4711',
      user: 'meitner',
      bookedCost: 1_000_000n,
      reported: expect.stringMatching(/^[0-9a-f]{16}$/),
      cost: 1_000_000n,
      writtenOff: 0n,
      share: 3_672_000n,
      refund: 2_672_000n,
      holdState: 'settled',
      late: false,
      final: true,
      tasks: 1,
      elapsedSeconds: null,
      partition: 'aws',
      nodes: null,
      nodeSeconds: 1,
      state: 'COMPLETED',
      startedAt: NOON,
      endedAt: NOON + 7,
      bookedAt: NOON + HOUR_MS,
      corrections: [],
    });
    expect(await world.table.readRun({ owner: HOLD_ID, runId: 'hpc-1' })).toStrictEqual(run);
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'settled', amount: 0n, used: 1_000_000n, closedAt: NOON + HOUR_MS });
    expect(columns(await world.account())).toStrictEqual({ available: 99_000_000n, held: 0n, used: 1_000_000n, limit: 100_000_000n });
    expect(await world.account()).toMatchObject({ unconfirmed: 0n });
  });

  it('writes it into the ledger', async () => {
    const world = await aHeldWorld();
    await settle(world, [aRun({ runId: 'hpc-1', state: 'TIMEOUT', jobId: '4711', user: 'meitner' })]);
    expect((await ledgerOf(world)).at(-1)).toMatchObject({
      at: NOON,
      account: 'physics',
      type: 'settle',
      amount: 1_000_000n,
      movement: { available: 2_672_000n, held: -3_672_000n, used: 1_000_000n, limit: 0n },
      holdId: HOLD_ID,
      jobId: '4711',
      runId: 'hpc-1',
      user: 'meitner',
      note: 'TIMEOUT',
    });
  });

  it('takes from the hold what the report does not say', async () => {
    const world = await aHeldWorld();
    await bindHold(world, { holdId: HOLD_ID, cluster: 'hpc', jobId: '4711', submittedAt: NOON });
    const [run] = await settle(world, [aRun()]);
    expect(run).toMatchObject({ runId: HOLD_ID, jobId: '4711', user: 'curie', state: null, startedAt: null, endedAt: null });
  });

  it('books more than was held: AWS has charged already', async () => {
    const world = await aHeldWorld();
    const [run] = await settle(world, [aRun({ actualCost: 150_000_000n })]);
    expect(run).toMatchObject({ cost: 150_000_000n, share: 3_672_000n, refund: 0n });
    expect(columns(await world.account())).toStrictEqual({ available: -50_000_000n, held: 0n, used: 150_000_000n, limit: 100_000_000n });
  });

  it('prices what was used at the prices locked in the hold', async () => {
    const world = await aHeldWorld();
    await world.table.writePartition(aModel({ discountFactorE6: 2_000_000n }));
    const [run] = await settle(world, [anHour({ elapsedSeconds: 1800, nodes: 1 })]);
    expect(run).toMatchObject({ cost: 1_530_000n, elapsedSeconds: 1800, nodes: 1 });
  });

  it.each(['REQUEUED', 'RQ', 'RESIZING', 'RS'])('leaves the hold whole after %s', async (state) => {
    const world = await aHeldWorld();
    const [run] = await settle(world, [aRun({ runId: 'hpc-1', state })]);
    expect(run).toMatchObject({ final: false, share: 0n, refund: 0n, holdState: 'open' });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'open', amount: 3_672_000n, used: 1_000_000n, tasksEnded: 0 });
    expect(columns(await world.account())).toStrictEqual({
      available: 95_328_000n,
      held: 3_672_000n,
      used: 1_000_000n,
      limit: 100_000_000n,
    });
  });

  it.each([
    ['not final', { final: false, state: 'PREEMPTED' }, 'open'],
    ['final', { final: true, state: 'REQUEUED' }, 'settled'],
  ])('believes a report that says that it is %s', async (_, given, state) => {
    const world = await aHeldWorld();
    expect(await settle(world, [aRun({ runId: 'hpc-1', ...given })])).toMatchObject([{ final: given.final, holdState: state }]);
  });

  it('funds the next run of a requeued job from the same hold', async () => {
    const world = await aHeldWorld();
    await settle(world, [aRun({ runId: 'hpc-1', state: 'REQUEUED' })]);
    const [run] = await settle(world, [aRun({ runId: 'hpc-2', actualCost: 3_000_000n })]);
    expect(run).toMatchObject({ share: 3_672_000n, refund: 672_000n, holdState: 'settled' });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ used: 4_000_000n });
  });
});

describe('settleRuns on a hold that is closed', () => {
  it.each([
    ['settled', (world: TestWorld) => settle(world, [aRun({ runId: 'hpc-0', actualCost: 0n })])],
    ['released', (world: TestWorld) => releaseHold(world, { holdId: HOLD_ID })],
    ['expired', async (world: TestWorld) => [await world.clock.advance(25 * HOUR_MS), await expireHolds(world)]],
  ] as [string, (world: TestWorld) => Promise<unknown>][])('books late: %s', async (state, close) => {
    const world = await aHeldWorld();
    await close(world);
    expect(await settle(world, [aRun({ runId: 'hpc-1' })])).toMatchObject([
      { late: true, share: 0n, refund: 0n, cost: 1_000_000n, holdState: state },
    ]);
    expect(columns(await world.account())).toStrictEqual({ available: 99_000_000n, held: 0n, used: 1_000_000n, limit: 100_000_000n });
    expect(await world.entryTypes()).toContain('late_settle');
  });
});

describe('settleRuns of an array', () => {
  // Three tasks on a node of $0.027777 an hour: $0.083331, and a fifth more is $0.0999972.
  const dime = () =>
    aHeldWorld({ array: parseArraySpec('1-3') }, [aModel({ instanceTypes: [], unpriced: 'flat', flatRatePerNodeHour: 27_777n })]);

  it('gives each task its share, whatever the order', async () => {
    const world = await dime();
    expect(await theHold(world, HOLD_ID)).toMatchObject({ amount: 99_998n, tasks: 3 });
    expect(await settle(world, [aRun({ runId: 'hpc-3', actualCost: 1n })])).toMatchObject([{ share: 33_332n, holdState: 'open' }]);
    expect(await settle(world, [aRun({ runId: 'hpc-1', actualCost: 1n })])).toMatchObject([{ share: 33_333n, holdState: 'open' }]);
    expect(await settle(world, [aRun({ runId: 'hpc-2', actualCost: 1n })])).toMatchObject([{ share: 33_333n, holdState: 'settled' }]);
    expect(columns(await world.account())).toStrictEqual({ available: 99_999_997n, held: 0n, used: 3n, limit: 100_000_000n });
  });

  it('books a batch as one, each run on what the one before left', async () => {
    const world = await dime();
    const runs = await settle(world, [
      aRun({ runId: 'hpc-1', actualCost: 40_000n }),
      aRun({ runId: 'hpc-2', actualCost: 0n }),
      aRun({ runId: 'hpc-3', actualCost: 10_000n }),
      aRun({ runId: 'hpc-4', actualCost: 5n }),
    ]);
    expect(runs).toMatchObject([
      { runId: 'hpc-1', share: 33_332n, refund: 0n, holdState: 'open', late: false },
      { runId: 'hpc-2', share: 33_333n, refund: 33_333n, holdState: 'open', late: false },
      { runId: 'hpc-3', share: 33_333n, refund: 23_333n, holdState: 'settled', late: false },
      { runId: 'hpc-4', share: 0n, refund: 0n, holdState: 'settled', late: true },
    ]);
    expect(world.calls.filter((call) => call === 'commit')).toHaveLength(1);
    expect(columns(await world.account())).toStrictEqual({ available: 99_949_995n, held: 0n, used: 50_005n, limit: 100_000_000n });
  });

  it('takes the tasks of an array that was cancelled while pending as one record', async () => {
    const world = await dime();
    await settle(world, [aRun({ runId: 'hpc-1', actualCost: 0n })]);
    expect(await settle(world, [aRun({ runId: 'hpc-2', actualCost: 0n, tasks: 2 })])).toMatchObject([
      { share: 66_666n, holdState: 'settled' },
    ]);
  });

  it('settles 100 tasks in batches of 40', async () => {
    expect(MAX_RUNS_PER_BATCH).toBe(40);
    const world = await aHeldWorld({ array: parseArraySpec('1-100'), wallTimeSeconds: 60 });
    const runs = Array.from({ length: 100 }, (_, task) => aRun({ runId: `hpc-${task}`, actualCost: 10n }));
    await settle(world, runs.slice(0, 40));
    await settle(world, runs.slice(40, 80));
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'open', tasksEnded: 80, used: 800n, amount: 1_224_000n });
    await settle(world, runs.slice(80));
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'settled', tasksEnded: 100, used: 1_000n });
    expect(columns(await world.account())).toStrictEqual({ available: 99_999_000n, held: 0n, used: 1_000n, limit: 100_000_000n });
  });

  it('needs to know which run it is', async () => {
    await expect(settle(await dime(), [aRun()])).rejects.toMatchObject({
      code: 'validation_failed',
      message: 'run_id: is required for a run of an array, whose hold has many',
    });
  });
});

describe('settleRuns again', () => {
  it('answers as then, and books nothing', async () => {
    const world = await aHeldWorld();
    const first = await settle(world, [aRun()]);
    await world.clock.advance(HOUR_MS);
    expect(await settle(world, [aRun()])).toStrictEqual(first);
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'settle']);
  });

  it('books what is new beside what is not, in the order of the reports', async () => {
    const world = await aHeldWorld({ array: parseArraySpec('1-3') });
    await settle(world, [aRun({ runId: 'hpc-2', actualCost: 2n })]);
    const runs = await settle(
      world,
      [1n, 2n, 3n].map((cost) => aRun({ runId: `hpc-${cost}`, actualCost: cost })),
    );
    expect(runs.map(({ runId, cost }) => [runId, cost])).toStrictEqual([
      ['hpc-1', 1n],
      ['hpc-2', 2n],
      ['hpc-3', 3n],
    ]);
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'settled', used: 6n });
  });

  it('takes the same run twice in a batch for one', async () => {
    const world = await aHeldWorld({ array: parseArraySpec('1-3') });
    const [first, second] = await settle(world, [aRun({ runId: 'hpc-1' }), aRun({ runId: 'hpc-1' })]);
    expect(second).toStrictEqual(first);
    expect(await theHold(world, HOLD_ID)).toMatchObject({ tasksEnded: 1, used: 1_000_000n });
  });

  describe('where no price is locked', () => {
    const elsewhere = (given: Partial<RunReport['usage']> = {}) => ({ ...anHour(given), partition: 'small' });
    const dearer = (world: TestWorld) =>
      world.table.writePartition(aModel({ partition: 'small', instanceTypes: ['c5.9xlarge'], discountFactorE6: 2_000_000n }));

    it('answers the same report as then, though the price is another today', async () => {
      const world = await aHeldWorld();
      const first = await settle(world, [elsewhere()]);
      await dearer(world);
      expect(await settle(world, [elsewhere()])).toStrictEqual(first);
    });

    it.each([
      ['another time', elsewhere({ elapsedSeconds: 7200 })],
      ['another partition', { ...anHour(), partition: 'aws' }],
      ['no partition', anHour()],
      ['a cost of its own', aRun({ actualCost: 7n })],
    ])('is a conflict with %s', async (_, report) => {
      const world = await aHeldWorld();
      await settle(world, [elsewhere()]);
      await dearer(world);
      await expect(settle(world, [report])).rejects.toMatchObject({ code: 'run_conflict' });
    });
  });

  const conflict = {
    code: 'run_conflict',
    message: 'run hpc-1 is booked at another cost: mend it with a correction',
    details: { run_id: 'hpc-1' },
  };

  it('is a conflict at another cost, and books nothing of the batch', async () => {
    const world = await aHeldWorld({ array: parseArraySpec('1-3') });
    await settle(world, [aRun({ runId: 'hpc-1' })]);
    await expect(settle(world, [aRun({ runId: 'hpc-2' }), aRun({ runId: 'hpc-1', actualCost: 7n })])).rejects.toMatchObject(conflict);
    expect(await theHold(world, HOLD_ID)).toMatchObject({ tasksEnded: 1, used: 1_000_000n });
  });

  it('is a conflict at two costs in one batch', async () => {
    const world = await aHeldWorld({ array: parseArraySpec('1-3') });
    await expect(settle(world, [aRun({ runId: 'hpc-1' }), aRun({ runId: 'hpc-1', actualCost: 7n })])).rejects.toMatchObject(conflict);
    expect(await theHold(world, HOLD_ID)).toMatchObject({ tasksEnded: 0 });
  });

  it('books once when the answer of the write was lost', async () => {
    const world = await aHeldWorld();
    world.loseAnswers('commit', 2);
    expect(await settleRuns(within(world, DAY_MS), { holdId: HOLD_ID, runs: [aRun()] })).toMatchObject([{ cost: 1_000_000n, late: false }]);
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'settle']);
  });

  it('settles on the hold as it is when it changed meanwhile', async () => {
    const world = await aHeldWorld();
    const raise = { holdId: HOLD_ID, adjustment: { nodes: 2 }, mode: 'absolute' as const };
    world.beforeNext('commit', () => adjustHold({ ...world, store: world.table }, raise));
    expect(await settle(world, [aRun()])).toMatchObject([{ share: 7_344_000n }]);
  });
});

describe('settleRuns finds the hold', () => {
  const theJob = { cluster: 'hpc', jobId: '4711' };
  const aBoundWorld = async () => {
    const world = await aHeldWorld();
    await bindHold(world, { holdId: HOLD_ID, ...theJob, submittedAt: NOON });
    return world;
  };

  it('by its job', async () => {
    const world = await aBoundWorld();
    expect(await settleRuns(world, { job: theJob, runs: [aRun()] })).toMatchObject([{ owner: HOLD_ID, runId: HOLD_ID, late: false }]);
  });

  it('by its job as of a time', async () => {
    const world = await aBoundWorld();
    const early = settleRuns(world, { job: { ...theJob, submittedAt: NOON - 1 }, runs: [aRun()] });
    await expect(early).rejects.toMatchObject({
      code: 'job_not_found',
      message: 'no hold is bound to job 4711 of cluster hpc',
      details: { cluster: 'hpc', job_id: '4711' },
    });
  });

  it('by its job, and charges a run once that came before anybody had bound it', async () => {
    const world = await aHeldWorld();
    const report = (...runIds: string[]) =>
      settleRuns(world, { job: theJob, account: 'physics', runs: runIds.map((runId) => aRun({ runId, final: false })) });
    const [early] = await report('hpc-1');
    await bindHold(world, { holdId: HOLD_ID, ...theJob, submittedAt: NOON });
    expect(await report('hpc-1', 'hpc-2')).toMatchObject([early, { owner: HOLD_ID, runId: 'hpc-2', late: false }]);
    expect(columns(await world.account())).toStrictEqual({
      available: 94_328_000n,
      held: 3_672_000n,
      used: 2_000_000n,
      limit: 100_000_000n,
    });
  });

  it('in its own cluster only', async () => {
    const world = await aHeldWorld();
    await expect(settle(world, [aRun()], { cluster: 'other' })).rejects.toMatchObject({
      code: 'cluster_conflict',
      details: { cluster: 'hpc' },
    });
    expect(await settle(world, [aRun()], { cluster: 'hpc' })).toMatchObject([{ late: false }]);
  });

  it('only if it is named', async () => {
    await expect(settleRuns(await aHeldWorld(), { runs: [aRun()] })).rejects.toMatchObject({
      code: 'validation_failed',
      message: 'hold_id: name the hold: hold_id, transaction_id, or cluster and job_id',
    });
  });

  it('and passes on what is no refusal', async () => {
    const world = await aHeldWorld();
    const bug = new Error('a bug');
    world.beforeNext('readJobLink', () => {
      throw bug;
    });
    await expect(settleRuns(world, { job: theJob, account: 'physics', runs: [aRun()] })).rejects.toBe(bug);
  });
});

describe('settleRuns without a hold', () => {
  const aBareWorld = async () => {
    const world = await aWorld([aModel(), aModel({ partition: 'shared', allocation: 'shared' })]);
    await world.open({ limit: 100_000_000n });
    return world;
  };
  const late = (world: TestWorld, run: RunReport, given: Partial<SettleRequest> = {}) =>
    settleRuns(world, { holdId: UNKNOWN_ID, account: 'physics', runs: [run], ...given });

  it('is refused when the report names no account', async () => {
    await expect(settleRuns(await aBareWorld(), { holdId: UNKNOWN_ID, runs: [aRun()] })).rejects.toMatchObject({
      code: 'hold_not_found',
      message: `there is no hold ${UNKNOWN_ID}; name the account to book the run late`,
      details: { hold_id: UNKNOWN_ID },
    });
  });

  it('books late on the account that the report names', async () => {
    const world = await aBareWorld();
    const [run] = await late(world, aRun({ state: 'COMPLETED', jobId: '4711', user: 'curie', partition: 'aws' }));
    expect(run).toMatchObject({
      owner: UNKNOWN_ID,
      runId: UNKNOWN_ID,
      account: 'physics',
      jobId: '4711',
      user: 'curie',
      cost: 1_000_000n,
      share: 0n,
      refund: 0n,
      holdState: null,
      late: true,
      partition: 'aws',
    });
    expect(columns(await world.account())).toStrictEqual({ available: 99_000_000n, held: 0n, used: 1_000_000n, limit: 100_000_000n });
    expect((await ledgerOf(world)).at(-1)).toMatchObject({
      at: NOON,
      type: 'late_settle',
      amount: 1_000_000n,
      movement: { available: -1_000_000n, held: 0n, used: 1_000_000n, limit: 0n },
      holdId: null,
      jobId: '4711',
      runId: UNKNOWN_ID,
      user: 'curie',
      note: 'COMPLETED',
    });
  });

  it('keeps nothing of what the report does not say', async () => {
    const [run] = await late(await aBareWorld(), aRun());
    expect(run).toMatchObject({ jobId: null, user: null, partition: null, state: null, nodes: null, elapsedSeconds: null });
  });

  it('books a batch together', async () => {
    const world = await aBareWorld();
    const runs = [
      aRun({ runId: 'hpc-1', actualCost: 1n }),
      aRun({ runId: 'hpc-2', actualCost: 2n }),
      aRun({ runId: 'hpc-2', actualCost: 2n }),
    ];
    expect(await settleRuns(world, { holdId: UNKNOWN_ID, account: 'physics', runs })).toHaveLength(3);
    expect(await world.account()).toMatchObject({ available: 99_999_997n, used: 3n, entryCount: 3 });
  });

  it('books a job that is not known under the name of its job', async () => {
    const world = await aBareWorld();
    const job = { cluster: 'hpc', jobId: '4711' };
    const book = () => settleRuns(world, { job, account: 'physics', runs: [aRun({ runId: 'hpc-1' })] });
    expect(await book()).toMatchObject([{ owner: 'job.hpc.4711', runId: 'hpc-1', late: true }]);
    await book();
    expect(await world.account()).toMatchObject({ used: 1_000_000n });
  });

  it('needs to know which run of that job it is', async () => {
    const job = { cluster: 'hpc', jobId: '4711' };
    await expect(settleRuns(await aBareWorld(), { job, account: 'physics', runs: [aRun()] })).rejects.toMatchObject({
      code: 'validation_failed',
      message: 'run_id: is required for a run whose hold is not known',
    });
  });

  it('is refused for an account without a budget', async () => {
    await expect(late(await aBareWorld(), aRun(), { account: 'nobody' })).rejects.toMatchObject({ code: 'account_not_found' });
  });

  it.each([
    ['the nodes that it had', { ...anHour({ nodes: 2 }), partition: 'aws' }, 6_120_000n],
    ['the instances that it had', { ...anHour({ instances: [{ type: 'c5.18xlarge', count: 3 }] }), partition: 'aws' }, 9_180_000n],
    ['a share of a node', { ...anHour({ nodes: 1, cpus: 18 }), partition: 'shared' }, 765_000n],
    ['nothing, in a partition that nobody guards', { ...anHour(), partition: 'local' }, 0n],
    ['nothing of a run that never began', { tasks: 1, usage: { elapsedSeconds: 0, started: false }, partition: 'aws' }, 0n],
  ])('prices %s as of today', async (_, run, cost) => {
    expect(await late(await aBareWorld(), run)).toMatchObject([{ cost }]);
  });

  it.each([
    ['partition', anHour({ nodes: 1 })],
    ['nodes', { ...anHour(), partition: 'aws' }],
  ])('needs the %s to price it', async (field, run) => {
    await expect(late(await aBareWorld(), run)).rejects.toMatchObject({
      code: 'validation_failed',
      message: `${field}: is required to price a run whose hold is not known`,
    });
  });

  it('writes nothing off: no partition promised it', async () => {
    const world = await aBareWorld();
    await world.table.writePartition(aModel({ writeOffNodeFailures: true }));
    expect(await late(world, { ...aRun({ state: 'NODE_FAIL' }), partition: 'aws' })).toMatchObject([{ cost: 1_000_000n, writtenOff: 0n }]);
  });
});

describe('the cost of a run', () => {
  it.each<[string, RunReport, bigint]>([
    ['what the report says', aRun({ actualCost: 5n }), 5n],
    ['nothing, if it never started', anHour({ elapsedSeconds: 0, started: false }), 0n],
    ['a minute at least, if it did', anHour({ elapsedSeconds: 0 }), 51_000n],
    ['nothing in a partition that nobody guards', { ...anHour(), partition: 'local' }, 0n],
    ['today’s price in a partition that the hold did not price', { ...anHour(), partition: 'small' }, 1_530_000n],
    ['the locked price in its own', { ...anHour(), partition: 'aws' }, 3_060_000n],
    [
      'the held type for one that is not priced',
      anHour({
        instances: [
          { type: 'x9.huge', count: 1 },
          { type: 'x9.tiny', count: 2 },
        ],
      }),
      9_180_000n,
    ],
    [
      'the held type if one of several is not priced',
      anHour({
        instances: [
          { type: 'c5.18xlarge', count: 1 },
          { type: 'x9.huge', count: 1 },
        ],
      }),
      6_120_000n,
    ],
    ['what its instances cost', anHour({ instances: [{ type: 'c5.18xlarge', count: 2 }], nodes: 9 }), 6_120_000n],
  ])('is %s', async (_, run, cost) => {
    expect(await settle(await aHeldWorld(), [run])).toMatchObject([{ cost }]);
  });

  it('is as held for in a partition that has no price now: AWS has charged for it', async () => {
    const world = await aHeldWorld();
    await world.table.writePartition(aModel({ partition: 'mars', region: 'mars-1' }));
    expect(await settle(world, [{ ...anHour(), partition: 'mars' }])).toMatchObject([{ cost: 3_060_000n, partition: 'mars' }]);
  });

  it.each([
    [
      'each instance of several priced types',
      [
        { type: 'c5.9xlarge', count: 2 },
        { type: 'c5.18xlarge', count: 1 },
      ],
      6_120_000n,
    ],
    ['the cheaper type that it got', [{ type: 'c5.9xlarge', count: 1 }], 1_530_000n],
    [
      'the held type, the dearest, where one is not priced',
      [
        { type: 'c5.9xlarge', count: 1 },
        { type: 'x9.huge', count: 1 },
      ],
      6_120_000n,
    ],
  ])('is that of %s', async (_, instances, cost) => {
    const world = await aHeldWorld({}, [aModel({ instanceTypes: ['c5.18xlarge', 'c5.9xlarge'] })]);
    expect(await settle(world, [anHour({ instances })])).toMatchObject([{ cost }]);
  });

  it('is passed no price that could not be read', async () => {
    const world = await aHeldWorld();
    const bug = new Error('a bug');
    world.beforeNext('readPartition', () => {
      throw bug;
    });
    await expect(settle(world, [{ ...anHour(), partition: 'small' }])).rejects.toBe(bug);
  });

  it('is a bug to leave open', async () => {
    await expect(settle(await aHeldWorld(), [{ tasks: 1 }])).rejects.toThrow(
      new Error('a report has a cost or a usage: the contract demands it'),
    );
  });
});

describe('a node failure', () => {
  const forgiving = () =>
    aHeldWorld({}, [aModel({ writeOffNodeFailures: true }), aModel({ partition: 'small', instanceTypes: ['c5.9xlarge'] })]);

  it.each(['NODE_FAIL', 'NF', 'BOOT_FAIL', 'BF'])('is absorbed by the site: %s', async (state) => {
    const world = await forgiving();
    expect(await settle(world, [aRun({ state })])).toMatchObject([
      { bookedCost: 1_000_000n, cost: 0n, writtenOff: 1_000_000n, share: 3_672_000n, refund: 3_672_000n, holdState: 'settled' },
    ]);
    expect(columns(await world.account())).toStrictEqual({ available: 100_000_000n, held: 0n, used: 0n, limit: 100_000_000n });
    expect((await ledgerOf(world)).at(-1)).toMatchObject({ type: 'write_off', amount: 1_000_000n, note: state });
  });

  it('answers as then when it is reported again', async () => {
    const world = await forgiving();
    const first = await settle(world, [aRun({ state: 'NODE_FAIL' })]);
    expect(await settle(world, [aRun({ state: 'NODE_FAIL' })])).toStrictEqual(first);
  });

  it.each([
    ['where the partition does not', aHeldWorld, { state: 'NODE_FAIL' }],
    ['in a partition that the hold did not price', forgiving, { state: 'NODE_FAIL', partition: 'small' }],
    ['when the job failed, not the node', forgiving, { state: 'FAILED' }],
    ['when no state is known', forgiving, {}],
  ] as [string, () => Promise<TestWorld>, Partial<RunReport>][])('is paid by the account %s', async (_, make, given) => {
    expect(await settle(await make(), [aRun(given)])).toMatchObject([{ cost: 1_000_000n, writtenOff: 0n }]);
  });

  it('leaves the hold for the next run when the job is requeued', async () => {
    const world = await forgiving();
    await settle(world, [aRun({ runId: 'hpc-1', state: 'NODE_FAIL', final: false })]);
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'open', amount: 3_672_000n, used: 0n });
    expect(await world.account()).toMatchObject({ available: 96_328_000n });
  });
});

describe('settleRuns tries again', () => {
  it('when a refusal does not say why', async () => {
    const world = await aHeldWorld();
    world.refuseNext({ accounts: [{ account: 'physics', stored: anAccount() }], runs: [{ runId: HOLD_ID, stored: null }] });
    expect(await settle(world, [aRun()])).toMatchObject([{ late: false }]);
  });
});
