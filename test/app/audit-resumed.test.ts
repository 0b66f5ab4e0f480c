import { describe, expect, it } from 'vitest';
import { type Audit, type AuditRequest, auditAccounts } from '#app/audit-accounts';
import { correctRun } from '#app/correct-run';
import { deposit } from '#app/deposit';
import type { BudgetStore } from '#app/ports';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import type { Hold } from '#domain/hold';
import { MINUTE_MS, SECOND_MS } from '#test/support/builders';
import { aPlacedHold, aWorld, type TestWorld, theHold } from '#test/support/world';

const HOURS = 9;
const JOBS = 12;
const holdIdOf = (n: number): string => `6f1c0f5e-0000-4000-8000-${String(n).padStart(12, '0')}`;
const aReport = (runId: string, actualCost: bigint) => ({ runId, actualCost, tasks: 1 });

/** Jobs that overlap: each is settled when the fourth after it begins, so that few holds are open at any time. */
const aLongWorld = async (): Promise<TestWorld> => {
  const world = await aWorld();
  await world.open({ limit: 1_000_000_000n });
  await world.open({ account: 'art', limit: 1n });
  await world.open({ account: 'zoology', limit: 1n });
  for (let n = 0; n < JOBS; n++) {
    await aPlacedHold(world, {}, holdIdOf(n));
    await world.clock.advance(HOURS * MINUTE_MS);
    if (n >= 4) await settleRuns(world, { holdId: holdIdOf(n - 4), runs: [aReport(`r-${n}`, BigInt(n))] });
    if (n >= 8) await correctRun(world, { holdId: holdIdOf(n - 8), runId: `r-${n - 4}`, actualCost: 1n, correctionId: 'c', note: 'n' });
  }
  await settleRuns(world, { job: { cluster: 'hpc', jobId: '1' }, account: 'physics', runs: [aReport('late', 5n)] });
  return world;
};

/** Each request has time for one page of three entries. */
const slowly = (world: TestWorld): TestWorld => ({
  ...world,
  store: {
    ...world.table,
    listEntries: async (query, page) => {
      if (query.to <= world.clock.now()) await world.clock.advance(10 * SECOND_MS);
      return world.table.listEntries(query, { ...page, limit: 3 });
    },
  },
});

/** The whole audit, request after request, and what happens between them. */
const drained = async (
  world: TestWorld,
  given: Partial<AuditRequest> = {},
  between: (requests: number) => Promise<unknown> = async () => undefined,
): Promise<Audit & { requests: number }> => {
  const whole = { accounts: 0, entries: 0, left: 0, differences: [] as Audit['differences'] };
  let place: Pick<Audit, 'cursor' | 'walk'> = {};
  for (let requests = 1; requests < 100; requests++) {
    const { cursor, walk } = place;
    const part = await auditAccounts(world, {
      ...given,
      page: { limit: 10, ...(cursor === undefined ? {} : { cursor }) },
      mode: given.mode ?? 'compare',
      ...(walk === undefined ? {} : { walk }),
    });
    whole.accounts += part.accounts;
    whole.entries += part.entries;
    whole.left += part.left;
    whole.differences = [...whole.differences, ...part.differences];
    place = part;
    if (part.cursor === undefined && part.walk === undefined) return { ...whole, requests };
    await between(requests);
  }
  throw new Error('an audit without an end');
};

const ENTRIES = 1 + JOBS + 8 + 4 + 1;

describe('an audit of a ledger too long for one request', () => {
  it('finds in many requests what it finds in one', async () => {
    const world = await aLongWorld();
    expect(await auditAccounts(world, { page: { limit: 10 }, mode: 'compare' })).toMatchObject({ accounts: 3, entries: ENTRIES + 2 });
    const { requests, ...whole } = await drained(slowly(world));
    expect(whole).toStrictEqual({ accounts: 3, entries: ENTRIES + 2, left: 0, differences: [] });
    expect(requests).toBeGreaterThan(6);
  });

  it('of one account too', async () => {
    const { requests, ...whole } = await drained(slowly(await aLongWorld()), { account: 'physics' });
    expect(whole).toStrictEqual({ accounts: 1, entries: ENTRIES, left: 0, differences: [] });
    expect(requests).toBeGreaterThan(6);
  });

  it('carries what is not over, with the runs of a hold as one sum', async () => {
    const world = await aLongWorld();
    await settleRuns(world, { holdId: holdIdOf(11), runs: [{ ...aReport('a', 3n), final: false }] });
    await world.clock.advance(10 * MINUTE_MS);
    let most = 0;
    let walk: Audit['walk'];
    do {
      ({ walk } = await auditAccounts(slowly(world), {
        ...{ account: 'physics', page: { limit: 1 }, mode: 'compare' },
        ...(walk === undefined ? {} : { walk }),
      }));
      most = Math.max(most, walk?.tally.holds.size ?? 0);
      for (const { runs } of walk?.tally.holds.values() ?? []) expect(runs.size).toBe(0);
    } while (walk !== undefined);
    expect(most).toBeGreaterThan(2);
    expect(most).toBeLessThan(JOBS);
  });

  it('finds each difference all the same, and a run among those that are one sum', async () => {
    const world = await aLongWorld();
    await settleRuns(world, { holdId: holdIdOf(0), runs: [aReport('late', 3n)] });
    await world.clock.advance(10 * MINUTE_MS);
    const run = await world.table.readRun({ owner: holdIdOf(0), runId: 'late' });
    if (run === undefined) throw new Error('it was just booked');
    await world.table.commit({ accounts: [], entries: [], runs: [{ before: run, after: { ...run, cost: 9n } }] });
    const open = await theHold(world, holdIdOf(9));
    await world.table.commit({
      accounts: [],
      entries: [],
      hold: { before: open, after: { ...open, amount: 7n, version: open.version + 1 } },
    });
    expect((await drained(slowly(world))).differences).toStrictEqual([
      {
        ...{ account: 'physics', column: 'run', holdId: holdIdOf(0), stored: 10n, replayed: 4n },
        cause: 'the costs of its runs do not add up to their ledger entries',
      },
      {
        ...{ account: 'physics', column: 'hold', holdId: holdIdOf(9), stored: 7n, replayed: 3_672_000n },
        cause: 'the amount of the hold was changed beside the ledger',
      },
    ]);
  });

  it('takes what happens between its requests for no difference', async () => {
    const world = await aLongWorld();
    const rival = { ...world, store: world.table };
    const happen = async (n: number) => {
      await settleRuns(rival, { holdId: holdIdOf(n), runs: [aReport('x', 2n)] }); // Of a hold that was dropped long ago.
      await correctRun(rival, { holdId: holdIdOf(n), runId: 'x', actualCost: 1n, correctionId: 'x', note: 'n' });
      if (n === 5) await releaseHold(rival, { holdId: holdIdOf(10) });
      await aPlacedHold(world, {}, holdIdOf(100 + n));
      if (n > 3) await releaseHold(rival, { holdId: holdIdOf(97 + n) });
      await world.clock.advance(n === 6 ? 20 * MINUTE_MS : SECOND_MS);
    };
    const { differences, requests } = await drained(slowly(world), {}, (n) => (n < JOBS ? happen(n) : Promise.resolve()));
    expect(differences).toStrictEqual([]);
    expect(requests).toBeGreaterThan(8);
    expect((await auditAccounts(world, { page: { limit: 10 }, mode: 'compare' })).differences).toStrictEqual([]);
  });

  it('repairs at its end', async () => {
    const world = await aLongWorld();
    const { createdAt } = await world.account();
    await world.open({ account: 'broken', limit: 10n, available: 4n, createdAt });
    const whole = await drained(slowly(world), { mode: 'repair' });
    expect(whole.differences).toMatchObject([{ account: 'broken', column: 'available', stored: 4n, replayed: 10n, repaired: true }]);
    expect((await drained(slowly(world))).differences).toStrictEqual([]);
  });

  it('stops after so many entries, and between two accounts', async () => {
    const world = await aWorld();
    await world.open({ limit: 1n });
    await world.open({ account: 'zoology', limit: 1n });
    await world.clock.advance(10 * MINUTE_MS);
    const { items } = await world.table.listEntries({ account: 'physics', from: 0, to: world.clock.now() }, { limit: 1 });
    const many = Array.from({ length: 20_000 }, () => items[0]);
    const listEntries = (async ({ account, from, to }, page) =>
      account === 'physics' && to <= world.clock.now()
        ? { items: many }
        : world.table.listEntries({ account, from, to }, page)) as BudgetStore['listEntries'];
    const first = await auditAccounts({ ...world, store: { ...world.store, listEntries } }, { page: { limit: 9 }, mode: 'compare' });
    expect(first).toMatchObject({ accounts: 1, entries: 20_000, cursor: expect.any(String) });
  });

  it('begins again when another account took the name', async () => {
    const world = await aLongWorld();
    const { walk } = await auditAccounts(slowly(world), { account: 'physics', page: { limit: 1 }, mode: 'compare' });
    if (walk === undefined) throw new Error('the ledger is too long for one request');
    const ofAnother = { ...walk, createdAt: walk.createdAt - 1 };
    const request = { account: 'physics', page: { limit: 1 }, mode: 'compare', walk: ofAnother } as const;
    expect(await auditAccounts(world, request)).toMatchObject({ accounts: 1, entries: ENTRIES, differences: [] });
  });

  it('goes on with the next account when this one went', async () => {
    const world = await aLongWorld();
    const place = await auditAccounts(slowly(world), { page: { limit: 9, cursor: await cursorBefore(world, 'physics') }, mode: 'compare' });
    if (place.walk === undefined || place.cursor === undefined) throw new Error('physics is neither short nor the last');
    const gone = { ...place.walk, account: 'nobody' };
    const request = { page: { limit: 9, cursor: place.cursor }, mode: 'compare', walk: gone } as const;
    expect(await auditAccounts(world, request)).toMatchObject({ accounts: 1, entries: 1 });
  });

  it('refuses the place of another account, or of all', async () => {
    const world = await aLongWorld();
    const { walk } = await auditAccounts(slowly(world), { account: 'physics', page: { limit: 1 }, mode: 'compare' });
    if (walk === undefined) throw new Error('the ledger is too long for one request');
    const refused = expect.objectContaining({ code: 'validation_failed' });
    await expect(auditAccounts(world, { account: 'art', page: { limit: 1 }, mode: 'compare', walk })).rejects.toEqual(refused);
    const ofAll = { limit: 1, cursor: await cursorBefore(world, 'physics') };
    await expect(auditAccounts(world, { account: 'physics', page: ofAll, mode: 'compare' })).rejects.toEqual(refused);
  });
});

const cursorBefore = async ({ table }: TestWorld, name: string): Promise<string> => {
  let cursor: string | undefined;
  for (let pages = 0; pages < 10; pages++) {
    const page = await table.listAccounts({ limit: 1, ...(cursor === undefined ? {} : { cursor }) });
    cursor = page.cursor;
    const next = await table.listAccounts({ limit: 1, ...(cursor === undefined ? {} : { cursor }) });
    if (cursor !== undefined && next.items[0]?.account === name) return cursor;
  }
  throw new Error(`no account before ${name}`);
};

describe('more open holds at once than travel in a cursor', () => {
  const HOLDS = 1_100;

  /** More open holds than fit, and a ledger that goes on after them. */
  const aCrowdedWorld = async (): Promise<TestWorld> => {
    const world = await aWorld();
    await world.open({ limit: 100_000_000_000n });
    for (let n = 0; n < HOLDS; n++) await aPlacedHold(world, {}, holdIdOf(n));
    await world.clock.advance(10 * MINUTE_MS);
    for (let n = 0; n < 600; n++) await deposit(world, { account: 'physics', amount: 1n, depositId: `d${n}`, note: null });
    await world.clock.advance(10 * MINUTE_MS);
    return world;
  };
  const atOnce = (world: TestWorld): TestWorld => ({
    ...world,
    store: {
      ...world.table,
      listEntries: async (query, page) => {
        const answer = await world.table.listEntries(query, page);
        if (answer.items.some(({ type }) => type === 'deposit')) await world.clock.advance(10 * SECOND_MS);
        return answer;
      },
    },
  });

  it('are left out, counted, and no difference; the columns are compared all the same', async () => {
    const world = await aCrowdedWorld();
    const rival: TestWorld = { ...world, store: world.table };
    const whole = await drained(atOnce(world), {}, () => releaseHold(rival, { holdId: holdIdOf(0) }));
    expect(whole).toMatchObject({ accounts: 1, differences: [] });
    expect(whole.left).toBeGreaterThan(50);
    expect(whole.left).toBeLessThan(HOLDS - 900);
    expect(await auditAccounts(world, { page: { limit: 1 }, mode: 'compare' })).toMatchObject({ left: 0, differences: [] });
  });

  it('and those that travel are compared', async () => {
    const world = await aCrowdedWorld();
    const last: Hold = await theHold(world, holdIdOf(HOLDS - 1));
    await world.table.commit({
      accounts: [],
      entries: [],
      hold: { before: last, after: { ...last, amount: 7n, version: last.version + 1 } },
    });
    expect((await drained(atOnce(world))).differences).toMatchObject([{ column: 'hold', holdId: last.holdId, stored: 7n }]);
  });
});
