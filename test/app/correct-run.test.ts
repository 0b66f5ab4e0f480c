import { describe, expect, it } from 'vitest';
import { adjustHold } from '#app/adjust-hold';
import { type CorrectRequest, correctRun } from '#app/correct-run';
import { settleRuns } from '#app/settle-runs';
import { aModel, DAY_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, type TestWorld, theHold, within } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const UNKNOWN_ID = '6f1c0f5e-0000-4000-8000-000000000404';
const aRequest = (given: { actualCost?: bigint; runId?: string; holdId?: string; correctionId?: string } = {}): CorrectRequest => ({
  holdId: HOLD_ID,
  runId: 'hpc-1',
  actualCost: 1_500_000n,
  correctionId: 'bill-03',
  note: 'as on the bill',
  ...given,
});

/** $100, of which a run of $1 was booked. */
const aBookedWorld = async (models = [aModel()], state = 'COMPLETED'): Promise<TestWorld> => {
  const world = await aWorld(models);
  await world.open({ limit: 100_000_000n });
  await aPlacedHold(world, {}, HOLD_ID);
  await settleRuns(world, { holdId: HOLD_ID, runs: [{ runId: 'hpc-1', actualCost: 1_000_000n, tasks: 1, state, jobId: '4711' }] });
  return world;
};

describe('correctRun', () => {
  it.each([
    ['up', 1_500_000n, { available: 98_500_000n, used: 1_500_000n }],
    ['down', 400_000n, { available: 99_600_000n, used: 400_000n }],
    ['to nothing', 0n, { available: 100_000_000n, used: 0n }],
  ])('mends the cost %s', async (_, actualCost, after) => {
    const world = await aBookedWorld();
    const run = await correctRun(world, aRequest({ actualCost }));
    expect(run).toMatchObject({ bookedCost: 1_000_000n, cost: actualCost, corrections: [{ correctionId: 'bill-03', cost: actualCost }] });
    expect(await world.table.readRun({ owner: HOLD_ID, runId: 'hpc-1' })).toStrictEqual(run);
    expect(columns(await world.account())).toStrictEqual({ held: 0n, limit: 100_000_000n, ...after });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ used: after.used, state: 'settled' });
  });

  it('is one more entry, and nothing in the ledger is rewritten', async () => {
    const world = await aBookedWorld();
    await correctRun(world, aRequest({ actualCost: 400_000n }));
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'settle', 'correction']);
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + 1 }, { limit: 10 });
    expect(items.at(-1)).toMatchObject({
      type: 'correction',
      amount: -600_000n,
      movement: { available: 600_000n, held: 0n, used: -600_000n, limit: 0n },
      holdId: HOLD_ID,
      jobId: '4711',
      runId: 'hpc-1',
      user: 'curie',
      note: 'as on the bill',
    });
  });

  it('changes nothing the second time', async () => {
    const world = await aBookedWorld();
    const first = await correctRun(world, aRequest());
    expect(await correctRun(world, aRequest())).toStrictEqual(first);
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'settle', 'correction']);
  });

  it('is a conflict under the same id with another cost', async () => {
    const world = await aBookedWorld();
    await correctRun(world, aRequest());
    await expect(correctRun(world, aRequest({ actualCost: 2n }))).rejects.toMatchObject({
      code: 'run_conflict',
      message: 'correction bill-03 of run hpc-1 was made with another cost: use a new correction_id',
      details: { run_id: 'hpc-1' },
    });
  });

  it('may be made again, under another id', async () => {
    const world = await aBookedWorld();
    await correctRun(world, aRequest());
    await correctRun(world, aRequest({ correctionId: 'bill-04', actualCost: 1_200_000n }));
    expect(await world.account()).toMatchObject({ used: 1_200_000n });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ used: 1_200_000n });
  });

  it('may be made 50 times', async () => {
    const world = await aBookedWorld();
    for (let count = 1; count <= 50; count++)
      await correctRun(world, aRequest({ correctionId: `bill-${count}`, actualCost: BigInt(count) }));
    await expect(correctRun(world, aRequest({ correctionId: 'bill-51' }))).rejects.toMatchObject({
      code: 'validation_failed',
      message: 'correction_id: run hpc-1 was corrected 50 times, the most that is kept',
    });
    expect(await world.account()).toMatchObject({ used: 50n });
  });

  it('lets the account pay after all for a run that the site absorbed', async () => {
    const world = await aBookedWorld([aModel({ writeOffNodeFailures: true })], 'NODE_FAIL');
    expect(await correctRun(world, aRequest())).toMatchObject({ cost: 1_500_000n, writtenOff: 1_000_000n });
    expect(await world.account()).toMatchObject({ used: 1_500_000n });
  });

  it('is made once when the answer of the write was lost', async () => {
    const world = await aBookedWorld();
    world.loseAnswers('commit', 1);
    await correctRun(within(world, DAY_MS), aRequest());
    expect(await world.account()).toMatchObject({ used: 1_500_000n });
  });

  it('starts from what another correction left meanwhile', async () => {
    const world = await aBookedWorld();
    world.beforeNext('commit', () => correctRun({ ...world, store: world.table }, aRequest({ correctionId: 'other', actualCost: 9n })));
    expect((await correctRun(world, aRequest())).corrections).toStrictEqual([
      { correctionId: 'other', cost: 9n },
      { correctionId: 'bill-03', cost: 1_500_000n },
    ]);
    expect(await world.account()).toMatchObject({ used: 1_500_000n });
  });

  it('mends a run whose hold nobody knows', async () => {
    const world = await aBookedWorld();
    await settleRuns(world, { holdId: UNKNOWN_ID, account: 'physics', runs: [{ runId: 'hpc-2', actualCost: 3n, tasks: 1 }] });
    await correctRun(world, aRequest({ holdId: UNKNOWN_ID, runId: 'hpc-2', actualCost: 5n }));
    expect(await world.account()).toMatchObject({ used: 1_000_005n });
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + 1 }, { limit: 10 });
    expect(items.at(-1)).toMatchObject({ type: 'correction', amount: 2n, holdId: null, runId: 'hpc-2' });
  });

  it('charges the account that paid for the run, also when its hold has moved to another', async () => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000n });
    await world.open({ account: 'chemistry', limit: 100_000_000n });
    await aPlacedHold(world, {}, HOLD_ID);
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ runId: 'hpc-1', actualCost: 1_000_000n, tasks: 1, final: false }] });
    await adjustHold(world, { holdId: HOLD_ID, adjustment: { account: 'chemistry' }, mode: 'absolute' });
    await correctRun(world, aRequest());
    expect(await world.account('physics')).toMatchObject({ used: 1_500_000n });
    expect(await world.account('chemistry')).toMatchObject({ used: 0n, held: 3_672_000n });
  });

  it('is refused for a run that was not booked', async () => {
    await expect(correctRun(await aBookedWorld(), aRequest({ runId: 'hpc-404' }))).rejects.toMatchObject({
      code: 'run_not_found',
      message: `hold ${HOLD_ID} has no run hpc-404`,
      details: { hold_id: HOLD_ID, run_id: 'hpc-404' },
    });
  });
});

describe('correctRun by what was used', () => {
  const tenHours = { tasks: 1, usage: { elapsedSeconds: 36_000, started: true, nodes: 1 } };
  const byUsage = { holdId: HOLD_ID, runId: 'hpc-1', correctionId: 'row.1', note: 'Slurm accounts for this run anew', report: tenHours };

  it('charges it at the prices of the hold', async () => {
    const world = await aBookedWorld();
    expect(await correctRun(world, byUsage)).toMatchObject({ cost: 30_600_000n });
    expect(await world.account()).toMatchObject({ used: 30_600_000n });
  });

  it('changes nothing the second time, whatever it says', async () => {
    const world = await aBookedWorld();
    const first = await correctRun(world, byUsage);
    expect(await correctRun(world, { ...byUsage, report: { tasks: 1, usage: { elapsedSeconds: 1, started: true } } })).toStrictEqual(first);
  });

  it('charges nothing for what the site writes off', async () => {
    const world = await aBookedWorld([aModel({ writeOffNodeFailures: true })]);
    expect(await correctRun(world, { ...byUsage, report: { ...tenHours, state: 'NODE_FAIL' } })).toMatchObject({ cost: 0n });
    expect(await world.account()).toMatchObject({ used: 0n });
  });

  it("charges a run whose hold nobody knows at today's prices", async () => {
    const world = await aBookedWorld();
    await settleRuns(world, { holdId: UNKNOWN_ID, account: 'physics', runs: [{ runId: 'hpc-2', actualCost: 3n, tasks: 1 }] });
    const report = { ...tenHours, partition: 'aws' };
    expect(await correctRun(world, { ...byUsage, holdId: UNKNOWN_ID, runId: 'hpc-2', report })).toMatchObject({ cost: 30_600_000n });
  });
});
