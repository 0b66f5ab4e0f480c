// How a hold without a run ends, or lasts: release, extend, expire.
import { describe, expect, it } from 'vitest';
import { bindHold } from '#app/bind-hold';
import { expireHolds } from '#app/expire-holds';
import { extendHold } from '#app/extend-hold';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import { DAY_MS, HOUR_MS, MINUTE_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, columns, type TestWorld, theHold, within } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const OTHER_ID = '6f1c0f5e-0000-4000-8000-000000000002';
const UNTOUCHED = { available: 100_000_000n, held: 0n, used: 0n, limit: 100_000_000n };

/** $3.672 held until 25 hours from now. */
const aHeldWorld = async (): Promise<TestWorld> => {
  const world = await aWorld();
  await world.open({ limit: 100_000_000n });
  await aPlacedHold(world, {}, HOLD_ID);
  return world;
};
const bindIt = (world: TestWorld) => bindHold(world, { holdId: HOLD_ID, cluster: 'hpc', jobId: '4711', submittedAt: NOON });
const settleIt = (world: TestWorld) => settleRuns(world, { holdId: HOLD_ID, runs: [{ actualCost: 0n, tasks: 1 }] });

describe('releaseHold', () => {
  it('gives the money back', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(MINUTE_MS);
    const hold = await releaseHold(world, { holdId: HOLD_ID, reason: 'refused by Slurm' });
    expect(hold).toMatchObject({ state: 'released', amount: 0n, originalAmount: 3_672_000n, closedAt: NOON + MINUTE_MS, version: 2 });
    expect(await theHold(world, HOLD_ID)).toStrictEqual(hold);
    expect(columns(await world.account())).toStrictEqual(UNTOUCHED);
    expect(await world.account()).toMatchObject({ unconfirmed: 0n });
  });

  it.each([
    ['refused by Slurm', { holdId: HOLD_ID, reason: 'refused by Slurm' }],
    [null, { holdId: HOLD_ID }],
  ])('notes its reason: %s', async (note, request) => {
    const world = await aHeldWorld();
    await releaseHold(world, request);
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON, to: NOON + 1 }, { limit: 10 });
    expect(items.at(-1)).toMatchObject({ type: 'release', amount: 3_672_000n, holdId: HOLD_ID, note });
  });

  it('changes nothing the second time', async () => {
    const world = await aHeldWorld();
    const hold = await releaseHold(world, { holdId: HOLD_ID });
    expect(await releaseHold(world, { holdId: HOLD_ID })).toStrictEqual(hold);
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'release']);
  });

  it('gives the money back once, though two ask at once or an answer is lost', async () => {
    const world = await aHeldWorld();
    world.beforeNext('commit', () => releaseHold({ ...world, store: world.table }, { holdId: HOLD_ID }));
    world.loseAnswers('commit', 1);
    expect(await releaseHold(within(world, DAY_MS), { holdId: HOLD_ID })).toMatchObject({ state: 'released', version: 2 });
    expect(columns(await world.account())).toStrictEqual(UNTOUCHED);
  });

  it('is refused for a hold that was settled', async () => {
    const world = await aHeldWorld();
    await settleIt(world);
    await expect(releaseHold(world, { holdId: HOLD_ID })).rejects.toMatchObject({ code: 'hold_closed' });
  });

  it('is refused for a hold that does not exist', async () => {
    await expect(releaseHold(await aWorld(), { holdId: HOLD_ID })).rejects.toMatchObject({ code: 'hold_not_found' });
  });
});

describe('extendHold', () => {
  it('keeps the hold for longer, and moves no money', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(10 * HOUR_MS);
    const hold = await extendHold(world, { holdId: HOLD_ID, expiresAt: NOON + 30 * HOUR_MS });
    expect(hold).toMatchObject({ expiresAt: NOON + 30 * HOUR_MS, amount: 3_672_000n, version: 2 });
    expect(await theHold(world, HOLD_ID)).toStrictEqual(hold);
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold']);
  });

  it('grants one wall time and the reconciliation timeout from now, at most', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(10 * HOUR_MS);
    expect(await extendHold(world, { holdId: HOLD_ID, expiresAt: NOON + 400 * DAY_MS })).toMatchObject({ expiresAt: NOON + 35 * HOUR_MS });
  });

  it('never makes it earlier', async () => {
    const world = await aHeldWorld();
    expect(await extendHold(world, { holdId: HOLD_ID, expiresAt: NOON })).toMatchObject({ expiresAt: NOON + 25 * HOUR_MS, version: 1 });
    expect(world.calls).toStrictEqual(['readHold']);
  });

  it('tries again when the hold changed meanwhile', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(10 * HOUR_MS);
    world.beforeNext('commit', () => bindIt({ ...world, store: world.table }));
    expect(await extendHold(world, { holdId: HOLD_ID, expiresAt: NOON + 30 * HOUR_MS })).toMatchObject({ jobId: '4711', version: 3 });
  });

  it('is refused once the hold is closed', async () => {
    const world = await aHeldWorld();
    await releaseHold(world, { holdId: HOLD_ID });
    await expect(extendHold(world, { holdId: HOLD_ID, expiresAt: NOON + DAY_MS })).rejects.toMatchObject({ code: 'hold_closed' });
  });
});

describe('expireHolds', () => {
  const beat = (world: TestWorld) =>
    world.table.beat({ cluster: 'hpc', clusterUid: 'u', agentVersion: null, lastHeartbeat: world.clock.now(), principal: null }, 0);

  it('gives back what nobody bound', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(25 * HOUR_MS);
    expect(await expireHolds(world)).toStrictEqual({ overdue: 1, expired: 1, kept: 0, failed: 0, oldestOverdueMs: 0 });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'expired', amount: 0n, closedAt: NOON + 25 * HOUR_MS });
    expect(columns(await world.account())).toStrictEqual(UNTOUCHED);
    const { items } = await world.table.listEntries({ account: 'physics', from: NOON + 1, to: NOON + 26 * HOUR_MS }, { limit: 10 });
    expect(items).toMatchObject([{ type: 'expire', amount: 3_672_000n, holdId: HOLD_ID }]);
  });

  it('leaves what is not overdue', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(25 * HOUR_MS - 1);
    expect(await expireHolds(world)).toStrictEqual({ overdue: 0, expired: 0, kept: 0, failed: 0, oldestOverdueMs: 0 });
  });

  it('expires once, run twice at once', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(25 * HOUR_MS);
    const sweeps = await Promise.all([expireHolds(world), expireHolds(world)]);
    expect(sweeps.reduce((sum, { expired }) => sum + expired, 0)).toBe(1);
    expect(await world.entryTypes()).toStrictEqual(['deposit', 'hold', 'expire']);
  });

  it('reads each hold again, since the index may lag', async () => {
    const world = await aHeldWorld();
    const lagging = { ...world, store: { ...world.store, listOverdueHoldIds: async () => ({ items: [HOLD_ID, OTHER_ID] }) } };
    expect(await expireHolds(lagging)).toStrictEqual({ overdue: 2, expired: 0, kept: 0, failed: 0, oldestOverdueMs: 0 });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'open' });
  });

  it('keeps bound holds while the agent is not heard, for a week at most', async () => {
    const world = await aHeldWorld();
    await bindIt(world);
    await beat(world);
    await world.clock.advance(25 * HOUR_MS);
    expect(await expireHolds(world)).toStrictEqual({ overdue: 1, expired: 0, kept: 1, failed: 0, oldestOverdueMs: 0 });
    await world.clock.advance(7 * DAY_MS - 1);
    expect(await expireHolds(world)).toStrictEqual({ overdue: 1, expired: 0, kept: 1, failed: 0, oldestOverdueMs: 7 * DAY_MS - 1 });
    await world.clock.advance(1);
    expect(await expireHolds(world)).toStrictEqual({ overdue: 1, expired: 1, kept: 0, failed: 0, oldestOverdueMs: 7 * DAY_MS });
  });

  it.each([
    ['heard just now', 0, 1],
    ['heard 5 minutes ago', 5 * MINUTE_MS, 1],
    ['heard longer ago', 5 * MINUTE_MS + 1, 0],
  ])('expires bound holds by the agent: %s', async (_, ago, expired) => {
    const world = await aHeldWorld();
    await bindIt(world);
    await world.clock.advance(25 * HOUR_MS);
    await beat(world);
    await world.clock.advance(ago);
    expect(await expireHolds(world)).toMatchObject({ expired });
  });

  it('expires bound holds of a cluster that never had an agent', async () => {
    const world = await aHeldWorld();
    await bindIt(world);
    await world.clock.advance(25 * HOUR_MS);
    expect(await expireHolds(world)).toMatchObject({ expired: 1, kept: 0 });
  });

  it('expires what nobody bound, whatever the agent does', async () => {
    const world = await aHeldWorld();
    await beat(world);
    await world.clock.advance(25 * HOUR_MS);
    expect(await expireHolds(world)).toMatchObject({ expired: 1, kept: 0 });
  });

  it('reads the heartbeat of a cluster for the holds that it looks at together, not for each', async () => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000n });
    for (let count = 1; count <= 12; count++) {
      const { holdId } = await aPlacedHold(world);
      await bindHold(world, { holdId, cluster: 'hpc', jobId: `${count}`, submittedAt: NOON });
    }
    await world.clock.advance(25 * HOUR_MS);
    world.calls.length = 0;
    expect(await expireHolds(world)).toMatchObject({ overdue: 12, expired: 12 });
    expect(world.calls.filter((call) => call === 'readCluster').length).toBeLessThanOrEqual(4);
  });

  it('goes on to the next page', async () => {
    const world = await aHeldWorld();
    await aPlacedHold(world, {}, OTHER_ID);
    await world.clock.advance(25 * HOUR_MS);
    const paged = {
      ...world.store,
      listOverdueHoldIds: async (_: unknown, { cursor }: { cursor?: string }) =>
        cursor === undefined ? { items: [HOLD_ID], cursor: 'next' } : { items: [OTHER_ID] },
    };
    expect(await expireHolds({ ...world, store: paged })).toMatchObject({ overdue: 2, expired: 2 });
  });

  it('ends the holds behind one that cannot be written, and says why that one could not', async () => {
    const world = await aHeldWorld();
    await aPlacedHold(world, {}, OTHER_ID);
    await world.clock.advance(25 * HOUR_MS);
    const failures = [new Error('first'), new Error('second')];
    for (const failure of failures) {
      world.beforeNext('readHold', () => {
        throw failure;
      });
    }
    expect(await expireHolds(world)).toStrictEqual({
      overdue: 2,
      expired: 0,
      kept: 0,
      failed: 2,
      oldestOverdueMs: 0,
      failure: failures[0],
    });
    world.beforeNext('commit', () => {
      throw failures[1];
    });
    expect(await expireHolds(world)).toStrictEqual({
      overdue: 2,
      expired: 1,
      kept: 0,
      failed: 1,
      oldestOverdueMs: 0,
      failure: failures[1],
    });
  });

  it('leaves the rest to the next sweep when its time is over', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(25 * HOUR_MS);
    const timed = within(world, MINUTE_MS);
    world.beforeNext('readHold', () => world.clock.advance(MINUTE_MS));
    await expect(expireHolds(timed)).rejects.toMatchObject({ code: 'deadline_passed' });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'open' });
  });

  it('leaves a hold that somebody changed meanwhile to the next sweep', async () => {
    const world = await aHeldWorld();
    await world.clock.advance(25 * HOUR_MS);
    world.beforeNext('commit', () => settleIt({ ...world, store: world.table }));
    expect(await expireHolds(world)).toStrictEqual({ overdue: 1, expired: 0, kept: 0, failed: 0, oldestOverdueMs: 0 });
    expect(await theHold(world, HOLD_ID)).toMatchObject({ state: 'settled' });
  });
});
