// How estimates compare with what came of them, through the use cases that place, change and close holds.
import { describe, expect, it } from 'vitest';
import { adjustHold } from '#app/adjust-hold';
import { bindHold } from '#app/bind-hold';
import { correctRun } from '#app/correct-run';
import { countUsage } from '#app/count-usage';
import { expireHolds } from '#app/expire-holds';
import { measureAccuracy } from '#app/measure-accuracy';
import type { BudgetStore } from '#app/ports';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import { summarizeUsage } from '#app/summarize-usage';
import type { Entry } from '#domain/ledger';
import { aModel, DAY_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, type TestWorld } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-00000000cafe';

const aRichWorld = async () => {
  const world = await aWorld([aModel(), aModel({ partition: 'gpu' })]);
  await world.open({ limit: 1_000_000_000n });
  return world;
};

const entriesOf = async (world: TestWorld): Promise<readonly Entry[]> =>
  (await world.table.listEntries({ account: 'physics', from: 0, to: NOON + 400 * DAY_MS }, { limit: 500 })).items;

describe('measureAccuracy', () => {
  const day = (world: TestWorld) => measureAccuracy(world, { by: 'user', riskE4: 500 });
  const count = async (world: TestWorld) => countUsage(world, await entriesOf(world));

  it('compares what closed holds were estimated at, held and used, and leaves out what is open', async () => {
    const world = await aRichWorld();
    await aPlacedHold(world, { nodes: 2 }, HOLD_ID);
    await aPlacedHold(world, { user: 'bohr' });
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ tasks: 1, actualCost: 3_060_000n }] });
    await count(world);
    const { rows, total } = await day(world);
    const sums = { holds: 1, estimate: 6_120_000n, held: 7_344_000n, used: 3_060_000n, overran: 0, within: { 50: 1 } };
    expect(rows).toEqual([{ key: 'curie', ...sums, unspent: 0, unspentHeld: 0n, suggestion: undefined }]);
    expect(total).toMatchObject(sums);
  });

  it('keeps those that used nothing apart, until a late run says otherwise, and follows corrections', async () => {
    const world = await aRichWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    await releaseHold(world, { holdId: HOLD_ID });
    await count(world);
    expect((await day(world)).total).toMatchObject({ holds: 0, unspent: 1, unspentHeld: 3_672_000n, used: 0n });
    await world.clock.advance(40 * DAY_MS);
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ tasks: 1, runId: 'r', actualCost: 4_000_000n, partition: 'gpu', user: 'bohr' }] });
    await count(world);
    const late = { holds: 1, unspent: 0, unspentHeld: 0n, estimate: 3_060_000n, used: 4_000_000n, overran: 1, within: { 135: 1 } };
    const march = await measureAccuracy(world, { by: 'month', riskE4: 500 });
    expect(march.rows).toMatchObject([{ key: '2026-03', ...late }]);
    expect((await day(world)).rows).toMatchObject([{ key: 'curie', ...late }]);
    await correctRun(world, { holdId: HOLD_ID, runId: 'r', actualCost: 3_000_000n, correctionId: 'c', note: 'credit' });
    await count(world);
    expect((await day(world)).total).toMatchObject({ holds: 1, used: 3_000_000n, overran: 0, within: { 100: 1 } });
  });

  it('counts a hold that expired unspent', async () => {
    const world = await aRichWorld();
    await aPlacedHold(world);
    await world.clock.advance(3 * DAY_MS);
    await expireHolds(world);
    await count(world);
    expect((await day(world)).total).toMatchObject({ holds: 0, unspent: 1 });
  });

  it.each([
    ['absolute', 7200, { estimate: 6_120_000n, held: 7_344_000n }],
    ['absolute', 1800, { estimate: 1_530_000n, held: 1_836_000n }],
    ['raise-only', 7200, { estimate: 6_120_000n, held: 7_344_000n }],
    ['raise-only', 1800, { estimate: 3_060_000n, held: 3_672_000n }],
  ] as const)('compares with what the job was last priced at: %s, %i s', async (mode, wallTimeSeconds, expected) => {
    const world = await aRichWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    await adjustHold(world, { holdId: HOLD_ID, mode, adjustment: { wallTimeSeconds } });
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ tasks: 1, actualCost: 1n }] });
    await count(world);
    expect((await day(world)).total).toMatchObject({ holds: 1, ...expected });
  });

  it('compares with the nodes that the job was given, where bind came down to them', async () => {
    const world = await aRichWorld();
    await aPlacedHold(world, { nodes: 2 }, HOLD_ID);
    await bindHold(world, {
      holdId: HOLD_ID,
      cluster: 'hpc',
      jobId: '1',
      submittedAt: NOON,
      instances: [{ type: 'c5.18xlarge', count: 1 }],
    });
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ tasks: 1, actualCost: 1n }] });
    await count(world);
    expect((await day(world)).total).toMatchObject({ estimate: 3_060_000n, held: 3_672_000n });
  });

  it('says nothing of a hold that nobody priced this way', async () => {
    const world = await aRichWorld();
    await aPlacedHold(world, {}, HOLD_ID);
    const store: BudgetStore = {
      ...world.store,
      readHold: async (holdId) => {
        const { priced: _, ...old } = (await world.table.readHold(holdId)) ?? {};
        return old as Awaited<ReturnType<BudgetStore['readHold']>>;
      },
    };
    await adjustHold({ ...world, store }, { holdId: HOLD_ID, mode: 'raise-only', adjustment: { wallTimeSeconds: 7200 } });
    await settleRuns({ ...world, store }, { holdId: HOLD_ID, runs: [{ tasks: 1, actualCost: 1n }] });
    await count(world);
    expect((await day(world)).total).toMatchObject({ holds: 0, unspent: 0 });
    expect((await summarizeUsage(world, { by: 'user' })).total.used).toBe(1n);
  });
});
