import { describe, expect, it } from 'vitest';
import { adjustHold } from '#app/adjust-hold';
import { auditAccounts } from '#app/audit-accounts';
import { bindHold } from '#app/bind-hold';
import { holdBooking, holdEntry } from '#app/book';
import { correctRun } from '#app/correct-run';
import type { BudgetStore } from '#app/ports';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import type { Hold } from '#domain/hold';
import { type Entry, NOTHING } from '#domain/ledger';
import type { BookedRun } from '#domain/run';
import { HOUR_MS, MINUTE_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, type TestWorld, theHold } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-000000000001';
const OTHER_ID = '6f1c0f5e-0000-4000-8000-000000000002';
const UNKNOWN_ID = '6f1c0f5e-0000-4000-8000-00000000dead';
const COMPARE = { page: { limit: 10 }, mode: 'compare' } as const;

/** $100 with an open hold of $3.672 and one that settled at $2, six minutes old by now. */
const aBusyWorld = async (): Promise<TestWorld> => {
  const world = await aWorld();
  await world.open({ limit: 100_000_000n });
  await world.open({ account: 'chemistry', limit: 100_000_000n });
  await aPlacedHold(world, {}, HOLD_ID);
  await aPlacedHold(world, {}, OTHER_ID);
  await settleRuns(world, { holdId: OTHER_ID, runs: [aReport('r-1', 2_000_000n)] });
  await world.clock.advance(6 * MINUTE_MS);
  return world;
};

const aReport = (runId: string, actualCost: bigint) => ({ runId, actualCost, tasks: 1 });

const audit = async (world: TestWorld, store: Partial<BudgetStore> = {}) =>
  (await auditAccounts({ ...world, store: { ...world.store, ...store } }, COMPARE)).differences;

/** What somebody does who writes the hold beside the ledger. */
const rewriteHold = async ({ table }: TestWorld, holdId: string, given: Partial<Hold>) => {
  const before = (await table.readHold(holdId)) as Hold;
  await table.commit({ accounts: [], entries: [], hold: { before, after: { ...before, ...given, version: before.version + 1 } } });
};

const rewriteRun = async ({ table }: TestWorld, key: { owner: string; runId: string }, given: Partial<BookedRun>) => {
  const before = (await table.readRun(key)) as BookedRun;
  await table.commit({ accounts: [], entries: [], runs: [{ before, after: { ...before, ...given } }] });
};

/** The ledger of physics without some of its entries. */
const without = (world: TestWorld, isGone: (entry: Entry) => boolean): Partial<BudgetStore> => ({
  listEntries: async (query, page) => {
    const { items, ...rest } = await world.table.listEntries(query, page);
    return { ...rest, items: items.filter((entry) => !isGone(entry)) };
  },
});

describe('holds', () => {
  it.each([
    ['changed in its amount', HOLD_ID, { amount: 9n }, 9n, 3_672_000n, 'the amount of the hold was changed beside the ledger'],
    ['closed', HOLD_ID, { state: 'released', amount: 0n }, 0n, 3_672_000n, 'the hold is stored as released, but no ledger entry closed it'],
    ['opened', OTHER_ID, { state: 'open', amount: 5n }, 5n, 0n, 'its ledger entries gave all of it back, but the hold is stored as open'],
    ['charged with more', OTHER_ID, { used: 9n }, 9n, 2_000_000n, 'what the hold used was changed beside the ledger'],
    ['charged while open', HOLD_ID, { used: 9n }, 9n, 0n, 'what the hold used was changed beside the ledger'],
  ] as [string, string, Partial<Hold>, bigint, bigint, string][])(
    'are found when %s',
    async (_, holdId, given, stored, replayed, cause) => {
      const world = await aBusyWorld();
      await rewriteHold(world, holdId, given);
      expect(await audit(world)).toStrictEqual([{ account: 'physics', column: 'hold', holdId, stored, replayed, cause }]);
    },
  );

  it('are found in both accounts when they name another', async () => {
    const world = await aBusyWorld();
    await rewriteHold(world, HOLD_ID, { account: 'chemistry' });
    expect(await audit(world)).toStrictEqual([
      {
        ...{ account: 'chemistry', column: 'hold', holdId: HOLD_ID, stored: 3_672_000n, replayed: 0n },
        cause: 'no ledger entry names the hold: it was written beside the ledger, or its entries are gone',
      },
      {
        ...{ account: 'physics', column: 'hold', holdId: HOLD_ID, stored: 0n, replayed: 3_672_000n },
        cause: 'the hold names account chemistry, but no ledger entry moved it there',
      },
    ]);
  });

  it('are found when gone', async () => {
    const world = await aBusyWorld();
    const gone = { readHold: async () => undefined, listHoldsOfAccount: async () => ({ items: [] }) };
    const cause = 'the hold is gone';
    expect(await audit(world, gone)).toStrictEqual([
      { account: 'physics', column: 'hold', holdId: HOLD_ID, stored: 0n, replayed: 3_672_000n, cause },
    ]);
  });

  it('are found when no entry names them', async () => {
    const world = await aBusyWorld();
    const hold = { ...(await theHold(world, HOLD_ID)), holdId: UNKNOWN_ID };
    await world.table.commit({ accounts: [], entries: [], hold: { after: { ...hold, version: 1 } } });
    expect(await audit(world)).toMatchObject([{ column: 'hold', holdId: UNKNOWN_ID, stored: 3_672_000n, replayed: 0n }]);
  });

  it('are compared where the index is longer than a page, and does not name them', async () => {
    const world = await aBusyWorld();
    const listHoldsOfAccount: BudgetStore['listHoldsOfAccount'] = async (_, { cursor }) => ({
      items: [],
      ...(cursor === 'c' ? {} : { cursor: 'c' }),
    });
    expect(await audit(world, { listHoldsOfAccount })).toStrictEqual([]);
  });

  it('are compared with an index that has no end', async () => {
    const world = await aBusyWorld();
    let pages = 0;
    const listHoldsOfAccount: BudgetStore['listHoldsOfAccount'] = async () => ({ items: [], cursor: `${++pages}` });
    expect(
      await auditAccounts({ ...world, store: { ...world.store, listHoldsOfAccount } }, { ...COMPARE, account: 'physics' }),
    ).toMatchObject({
      differences: [],
    });
    expect(pages).toBe(100);
  });

  it('are as the ledger says after a life with everything in it', async () => {
    const world = await aBusyWorld();
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ ...aReport('a', 7n), final: false }] });
    await adjustHold(world, { holdId: HOLD_ID, adjustment: { account: 'chemistry' }, mode: 'absolute' });
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ ...aReport('b', 8n), final: false }] });
    await correctRun(world, { holdId: HOLD_ID, runId: 'a', actualCost: 5n, correctionId: 'c', note: 'n' });
    expect(await audit(world)).toStrictEqual([]);
    await world.clock.advance(HOUR_MS);
    expect(await audit(world)).toStrictEqual([]);
    await rewriteHold(world, HOLD_ID, { used: 1n });
    expect(await audit(world)).toMatchObject([{ account: 'chemistry', column: 'hold', stored: 1n, replayed: 13n }]);
  });

  it('are left alone in what they used when a run of theirs was booked elsewhere before them', async () => {
    const world = await aBusyWorld();
    await settleRuns(world, { holdId: UNKNOWN_ID, account: 'chemistry', runs: [aReport('early', 4n)] });
    await aPlacedHold(world, {}, UNKNOWN_ID);
    await correctRun(world, { holdId: UNKNOWN_ID, runId: 'early', actualCost: 6n, correctionId: 'c', note: 'n' });
    expect((await theHold(world, UNKNOWN_ID)).used).toBe(2n);
    expect(await audit(world)).toStrictEqual([]);
    await world.clock.advance(HOUR_MS);
    expect(await audit(world)).toStrictEqual([]);
  });

  it('of no amount are compared to their end', async () => {
    const world = await aBusyWorld();
    const hold = { ...(await theHold(world, HOLD_ID)), holdId: UNKNOWN_ID, amount: 0n, originalAmount: 0n, version: 1 };
    const at = NOON + MINUTE_MS;
    const entry = holdEntry(world, hold, { type: 'hold', amount: 0n, movement: NOTHING, at });
    await world.table.commit(holdBooking(undefined, hold, [entry], at));
    expect(await audit(world)).toStrictEqual([]);
    await settleRuns(world, { holdId: UNKNOWN_ID, runs: [aReport('r', 3n)] });
    expect(await audit(world)).toStrictEqual([]);
  });
});

describe('runs', () => {
  const ofHold = { account: 'physics', column: 'run', holdId: OTHER_ID, runId: 'r-1' };

  it('are found when their cost was changed, and once: the hold’s sum is the same cause', async () => {
    const world = await aBusyWorld();
    await rewriteRun(world, { owner: OTHER_ID, runId: 'r-1' }, { cost: 9n });
    const cause = 'the cost of the run was changed beside the ledger, or one of its entries is gone';
    expect(await audit(world)).toStrictEqual([{ ...ofHold, stored: 9n, replayed: 2_000_000n, cause }]);
  });

  it('are found when gone', async () => {
    const world = await aBusyWorld();
    const cause = 'the run is gone, or names another account';
    expect(await audit(world, { listRuns: async () => ({ items: [] }) })).toStrictEqual([
      { ...ofHold, stored: 0n, replayed: 2_000_000n, cause },
    ]);
  });

  it('are found when no entry names them', async () => {
    const world = await aBusyWorld();
    const run = (await world.table.readRun({ owner: OTHER_ID, runId: 'r-1' })) as BookedRun;
    await world.table.commit({ accounts: [], entries: [], runs: [{ after: { ...run, runId: 'r-2', cost: 4n } }] });
    const cause = 'no ledger entry names the run: it was written beside the ledger, or its entries are gone';
    expect(await audit(world)).toStrictEqual([{ ...ofHold, runId: 'r-2', stored: 4n, replayed: 0n, cause }]);
  });

  it('are found when their correction is gone from the ledger', async () => {
    const world = await aBusyWorld();
    await correctRun(world, { holdId: OTHER_ID, runId: 'r-1', actualCost: 3n, correctionId: 'c', note: 'n' });
    const found = await audit(
      world,
      without(world, ({ type }) => type === 'correction'),
    );
    expect(found.filter(({ column }) => column === 'run')).toMatchObject([{ ...ofHold, stored: 3n, replayed: 2_000_000n }]);
  });

  it('of a hold that has more than is read are left alone', async () => {
    const world = await aBusyWorld();
    let pages = 0;
    const listRuns: BudgetStore['listRuns'] = async () => ({ items: [], cursor: `${++pages}` });
    expect(await audit(world, { listRuns })).toStrictEqual([]);
    expect(pages % 20).toBe(0);
    await rewriteHold(world, OTHER_ID, { state: 'open', amount: 5n });
    expect(await audit(world, { listRuns })).toMatchObject([{ column: 'hold', holdId: OTHER_ID, stored: 5n, replayed: 0n }]);
  });

  it('of a long array are read page by page', async () => {
    const world = await aBusyWorld();
    const listRuns: BudgetStore['listRuns'] = (owner, { cursor }) =>
      world.table.listRuns(owner, { limit: 1, ...(cursor === undefined ? {} : { cursor }) });
    await settleRuns(world, { holdId: OTHER_ID, runs: [aReport('r-2', 1n), aReport('r-3', 1n)] });
    expect(await audit(world, { listRuns })).toStrictEqual([]);
  });

  describe('without a hold', () => {
    const JOB = { cluster: 'hpc', jobId: '4711' };
    const KEY = { owner: 'job.hpc.4711', runId: 'late' };
    const aLateWorld = async () => {
      const world = await aBusyWorld();
      await settleRuns(world, { job: JOB, account: 'physics', runs: [aReport('late', 5n)] });
      return world;
    };

    it('are as the ledger says, corrected or not', async () => {
      const world = await aLateWorld();
      await settleRuns(world, { holdId: UNKNOWN_ID, account: 'physics', runs: [aReport('late', 5n)] });
      await correctRun(world, { holdId: UNKNOWN_ID, runId: 'late', actualCost: 6n, correctionId: 'c', note: 'n' });
      expect(await audit(world)).toStrictEqual([]);
      await world.clock.advance(HOUR_MS);
      expect(await audit(world)).toStrictEqual([]);
    });

    it('are found when their cost was changed, or gone', async () => {
      const world = await aLateWorld();
      const run = { account: 'physics', column: 'run', runId: 'late', replayed: 5n };
      expect(await audit(world, { readRun: async () => undefined })).toMatchObject([{ ...run, stored: 0n }]);
      await rewriteRun(world, KEY, { cost: 7n });
      expect(await audit(world)).toMatchObject([{ ...run, stored: 7n }]);
      await world.clock.advance(HOUR_MS);
      expect(await audit(world)).toMatchObject([{ ...run, stored: 7n }]);
    });

    it('are left alone when only a correction of theirs is in the ledger', async () => {
      const world = await aLateWorld();
      await settleRuns(world, { holdId: UNKNOWN_ID, account: 'physics', runs: [aReport('late', 5n)] });
      await correctRun(world, { holdId: UNKNOWN_ID, runId: 'late', actualCost: 6n, correctionId: 'c', note: 'n' });
      const forgetful = without(world, ({ owner, type }) => owner === UNKNOWN_ID && type === 'late_settle');
      expect((await audit(world, forgetful)).filter(({ column }) => column === 'run')).toStrictEqual([]);
    });

    it('are left alone when an older version did not write whose they are', async () => {
      const world = await aLateWorld();
      const listEntries: BudgetStore['listEntries'] = async (query, page) => {
        const { items, ...rest } = await world.table.listEntries(query, page);
        return { ...rest, items: items.map(({ owner: _, ...entry }) => entry) };
      };
      await rewriteRun(world, KEY, { cost: 7n });
      expect(await audit(world, { listEntries })).toStrictEqual([]);
    });

    it('stay apart from the hold that takes their name later', async () => {
      const world = await aLateWorld();
      await settleRuns(world, { holdId: UNKNOWN_ID, account: 'physics', runs: [aReport('early', 4n)] });
      await aPlacedHold(world, {}, UNKNOWN_ID);
      await correctRun(world, { holdId: UNKNOWN_ID, runId: 'early', actualCost: 6n, correctionId: 'c', note: 'n' });
      await settleRuns(world, { holdId: UNKNOWN_ID, runs: [aReport('own', 1n)] });
      expect(await audit(world)).toStrictEqual([]);
      await world.clock.advance(HOUR_MS);
      expect(await audit(world)).toStrictEqual([]);
    });
  });
});

describe('what happens while the audit looks is no difference', () => {
  const rivalOf = (world: TestWorld): TestWorld => ({ ...world, store: world.table });

  it.each<[string, (world: TestWorld) => Promise<unknown>]>([
    ['a settle', (world) => settleRuns(world, { holdId: HOLD_ID, runs: [aReport('x', 1n)] })],
    ['a release', (world) => releaseHold(world, { holdId: HOLD_ID })],
    ['a late settle', (world) => settleRuns(world, { holdId: OTHER_ID, runs: [aReport('x', 1n)] })],
    ['a correction', (world) => correctRun(world, { holdId: OTHER_ID, runId: 'r-1', actualCost: 1n, correctionId: 'c', note: 'n' })],
    ['a move', (world) => adjustHold(world, { holdId: HOLD_ID, adjustment: { account: 'chemistry' }, mode: 'absolute' })],
    ['a binding', (world) => bindHold(world, { holdId: HOLD_ID, cluster: 'hpc', jobId: '4711', submittedAt: NOON })],
    ['a new hold', (world) => aPlacedHold(world, {}, UNKNOWN_ID)],
  ])('%s, at any call of the store', async (_, happen) => {
    for (let call = 1; ; call++) {
      const world = await aBusyWorld();
      let calls = 0;
      const disturbed = Object.fromEntries(
        Object.entries(world.table).map(([name, method]) => [
          name,
          async (...args: never[]) => {
            if (++calls === call) await happen(rivalOf(world));
            return (method as (...args: never[]) => unknown)(...args);
          },
        ]),
      ) as unknown as BudgetStore;
      expect(await audit(world, disturbed), `before call ${call}`).toStrictEqual([]);
      if (calls < call) break;
      expect(call).toBeLessThan(200);
    }
  });

  it('and a hold that moves at each look is left to the next audit', async () => {
    const world = await aBusyWorld();
    let moves = 0;
    const readHold: BudgetStore['readHold'] = async (holdId) => {
      const hold = await world.table.readHold(holdId);
      return hold === undefined ? undefined : { ...hold, used: hold.used + 1n, version: hold.version + ++moves };
    };
    const listHoldsOfAccount = async () => ({ items: [] });
    expect(await audit(world, { readHold, listHoldsOfAccount })).toStrictEqual([]);
  });
});
