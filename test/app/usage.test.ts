import { describe, expect, it } from 'vitest';
import { bindHold } from '#app/bind-hold';
import { correctRun } from '#app/correct-run';
import { countStaleAgents } from '#app/count-stale-agents';
import { countUsage } from '#app/count-usage';
import { type BudgetStore, type CountedEntry, MAX_COUNTED_AT_ONCE } from '#app/ports';
import { settleRuns } from '#app/settle-runs';
import { summarizeUsage } from '#app/summarize-usage';
import type { Account } from '#domain/account';
import type { Entry } from '#domain/ledger';
import { aModel, anAccount, anOpenHold, aRate, DAY_MS, HOUR_MS, MINUTE_MS, NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, type TestWorld } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-00000000cafe';

const aRichWorld = async () => {
  const world = await aWorld([aModel(), aModel({ partition: 'gpu' })]);
  await world.open({ limit: 1_000_000_000n });
  return world;
};

const entriesOf = async (world: TestWorld, account = 'physics'): Promise<readonly Entry[]> => {
  const { items } = await world.table.listEntries({ account, from: 0, to: NOON + 400 * DAY_MS }, { limit: 500 });
  return items;
};

describe('the ledger entry of a run', () => {
  const settled = async (report: object, job: object = {}) => {
    const world = await aRichWorld();
    await aPlacedHold(world, job, HOLD_ID);
    await settleRuns(world, { holdId: HOLD_ID, runs: [{ tasks: 1, runId: 'r1', ...report }] });
    return { world, entry: (await entriesOf(world)).at(-1) };
  };

  it('says where the run was, and what it had', async () => {
    const { entry } = await settled({ usage: { elapsedSeconds: 1800, started: true, nodes: 3 }, partition: 'gpu' });
    expect(entry).toMatchObject({ type: 'settle', partition: 'gpu', nodeSeconds: 5400, user: 'curie' });
  });

  it('says what its hold was priced for where the report does not', async () => {
    const { entry } = await settled({ usage: { elapsedSeconds: 1800, started: true } }, { nodes: 2 });
    expect(entry).toMatchObject({ partition: 'aws', nodeSeconds: 3600 });
  });

  it.each([
    ['begin and end', { startedAt: NOON, endedAt: NOON + 90_500 }, 91],
    ['its nodes too', { startedAt: NOON, endedAt: NOON + 90_500, nodes: 4 }, 364],
    ['an end before its begin', { startedAt: NOON, endedAt: NOON - 1 }, undefined],
    ['its begin alone', { startedAt: NOON }, undefined],
    ['its end alone', { endedAt: NOON }, undefined],
  ])('of a run whose cost was reported, takes what the report says: %s', async (_, report, nodeSeconds) => {
    const { entry } = await settled({ actualCost: 5n, ...report });
    expect(entry?.nodeSeconds).toBe(nodeSeconds);
  });

  it('keeps a run of no known hold under what the report says', async () => {
    const world = await aRichWorld();
    const book = (runId: string, report: object) =>
      settleRuns(world, { holdId: HOLD_ID, account: 'physics', runs: [{ tasks: 1, runId, ...report }] });
    await book('r1', { actualCost: 5n });
    await book('r2', { actualCost: 5n, partition: 'aws', startedAt: NOON, endedAt: NOON + 10_000 });
    await book('r3', { usage: { elapsedSeconds: 60, started: true, nodes: 2 }, partition: 'aws' });
    await book('r4', { usage: { elapsedSeconds: 60, started: true }, partition: 'onpremises' });
    const [, first, ...rest] = await entriesOf(world);
    expect(Object.keys(first ?? {})).not.toContain('partition');
    expect(rest.map(({ partition, nodeSeconds }) => [partition, nodeSeconds])).toEqual([
      ['aws', 10],
      ['aws', 120],
      ['onpremises', 60],
    ]);
  });

  it('of a correction has the run’s partition, and no time of its own', async () => {
    const { world } = await settled({ usage: { elapsedSeconds: 1800, started: true } });
    await correctRun(world, { holdId: HOLD_ID, runId: 'r1', actualCost: 7n, correctionId: 'c', note: 'credit' });
    const entry = (await entriesOf(world)).at(-1);
    expect(entry).toMatchObject({ type: 'correction', partition: 'aws', user: 'curie' });
    expect(entry?.nodeSeconds).toBeUndefined();
  });

  const usage = (elapsedSeconds: number) => ({ elapsedSeconds, started: true });
  const mend = (world: TestWorld, elapsedSeconds: number, correctionId: string) => {
    const report = { tasks: 1, usage: usage(elapsedSeconds) };
    return correctRun(world, { holdId: HOLD_ID, runId: 'r1', report, correctionId, note: 'seen longer' });
  };

  it('of a correction that says what the run really used has the difference', async () => {
    const { world } = await settled({ usage: usage(1800) });
    await mend(world, 3600, 'c1');
    await mend(world, 600, 'c2');
    await mend(world, 600, 'c3');
    const entries = await entriesOf(world);
    expect(entries.slice(-3).map(({ nodeSeconds }) => nodeSeconds)).toEqual([1800, -3000, undefined]);
    await countUsage(world, entries);
    expect((await summarizeUsage(world, { by: 'user' })).rows).toEqual([
      { key: 'curie', used: 510_000n, jobs: 1, nodeSeconds: 600, held: 0n },
    ]);
  });

  it('of such a correction has none where nobody kept what the run had', async () => {
    const { world } = await settled({ usage: usage(1800) });
    const store: BudgetStore = {
      ...world.store,
      readRun: async (key) => {
        const run = await world.table.readRun(key);
        const { nodeSeconds: _, ...old } = run ?? {};
        return run && (old as typeof run);
      },
    };
    await mend({ ...world, store }, 3600, 'c1');
    expect((await entriesOf(world)).at(-1)).not.toHaveProperty('nodeSeconds');
  });

  it('of a correction of a run that was nowhere says nothing either', async () => {
    const world = await aRichWorld();
    await settleRuns(world, { holdId: HOLD_ID, account: 'physics', runs: [{ tasks: 1, runId: 'r1', actualCost: 5n }] });
    await correctRun(world, { holdId: HOLD_ID, runId: 'r1', actualCost: 7n, correctionId: 'c', note: 'credit' });
    expect((await entriesOf(world)).at(-1)).not.toHaveProperty('partition');
  });
});

describe('countUsage', () => {
  const counting = (world: TestWorld) => {
    const asked: (readonly CountedEntry[])[] = [];
    const store: BudgetStore = {
      ...world.store,
      countUsage: async (counted, now) => {
        asked.push(counted);
        await world.table.countUsage(counted, now);
      },
    };
    return { asked, world: { ...world, store } };
  };
  const anEntry = (entryId: string, given: Partial<Entry> = {}): Entry => ({
    entryId,
    at: NOON,
    account: 'physics',
    type: 'late_settle',
    amount: 1n,
    movement: { available: -1n, held: 0n, used: 1n, limit: 0n },
    holdId: null,
    jobId: null,
    runId: 'r',
    user: null,
    note: null,
    ...given,
  });

  it('counts as many at once as the store takes, and each entry once', async () => {
    const { asked, world } = counting(await aRichWorld());
    const entries = Array.from({ length: MAX_COUNTED_AT_ONCE + 1 }, (_, index) => anEntry(`e${index}`));
    await countUsage(world, [...entries, ...entries]);
    await countUsage(world, entries);
    expect(asked.map((each) => each.length)).toEqual([MAX_COUNTED_AT_ONCE, 1, MAX_COUNTED_AT_ONCE, 1]);
    const { total } = await summarizeUsage(world, { account: 'physics', by: 'account' });
    expect(total).toMatchObject({ used: 34n, jobs: 34 });
  });

  it('asks nothing for entries that are not of runs', async () => {
    const { asked, world } = counting(await aRichWorld());
    await countUsage(world, await entriesOf(world as TestWorld));
    expect(asked).toEqual([]);
  });
});

describe('summarizeUsage', () => {
  /** Physics: curie in aws in March, bohr in gpu in April; art: nobody. Each run cost a dollar more than the one before. */
  const aLivedWorld = async () => {
    const world = await aRichWorld();
    await world.open({ account: 'art', limit: 1_000_000_000n, createdAt: NOON + 30 * DAY_MS });
    let cost = 0n;
    const run = async (account: string, user: string | undefined, partition: string) => {
      cost += 1_000_000n;
      const report = { tasks: 1, runId: `run-${cost}`, actualCost: cost, partition, ...(user === undefined ? {} : { user }) };
      await settleRuns(world, { holdId: HOLD_ID, account, runs: [report] });
    };
    await run('physics', 'curie', 'aws');
    await world.clock.advance(DAY_MS);
    await run('physics', 'curie', 'gpu');
    await world.clock.advance(30 * DAY_MS);
    await run('physics', 'bohr', 'gpu');
    await run('art', undefined, 'aws');
    for (const account of ['physics', 'art']) await countUsage(world, await entriesOf(world, account));
    await aPlacedHold(world, { user: 'bohr' });
    await aPlacedHold(world, { account: 'art', partitions: ['gpu'], nodes: 2 });
    return world;
  };
  const HELD = 3_672_000n;
  const brief = ({ rows, total }: Awaited<ReturnType<typeof summarizeUsage>>) => ({
    rows: rows.map(({ key, used, held }) => [key, used / 1_000_000n, held]),
    total: [total.used / 1_000_000n, total.jobs, total.held],
  });

  it.each([
    [
      'account',
      [
        ['art', 4n, 2n * HELD],
        ['physics', 6n, HELD],
      ],
    ],
    [
      'user',
      [
        ['bohr', 3n, HELD],
        ['curie', 3n, 2n * HELD],
        [null, 4n, 0n],
      ],
    ],
    [
      'partition',
      [
        ['aws', 5n, HELD],
        ['gpu', 5n, 2n * HELD],
      ],
    ],
    [
      'month',
      [
        ['2026-03', 3n, 0n],
        ['2026-04', 7n, 3n * HELD],
      ],
    ],
  ] as const)('of all accounts, by %s', async (by, rows) => {
    expect(brief(await summarizeUsage(await aLivedWorld(), { by }))).toEqual({ rows, total: [10n, 4, 3n * HELD] });
  });

  it('of one account, user and partition', async () => {
    const world = await aLivedWorld();
    const of = async (given: object) => brief(await summarizeUsage(world, { account: 'physics', by: 'account', ...given })).rows;
    expect(await of({})).toEqual([['physics', 6n, HELD]]);
    expect(await of({ user: 'curie' })).toEqual([['physics', 3n, 0n]]);
    expect(await of({ user: 'bohr' })).toEqual([['physics', 3n, HELD]]);
    expect(await of({ partition: 'gpu' })).toEqual([['physics', 5n, 0n]]);
    expect(await of({ user: 'nobody' })).toEqual([]);
  });

  it.each([
    ['from a day on', { from: NOON + DAY_MS }, [5n], ['2026-03-15', '2026-04-15']],
    ['until before a day', { to: Date.UTC(2026, 2, 15) }, [1n], ['2026-03-14', '2026-03-15']],
    ['of the days that a time touches', { from: NOON + DAY_MS, to: NOON + DAY_MS + 1 }, [2n], ['2026-03-15', '2026-03-16']],
    ['of no time', { from: NOON, to: Date.UTC(2026, 2, 14) }, [0n], ['2026-03-14', '2026-03-14']],
    ['of before and after everything', { from: 0, to: NOON * 2 }, [6n], ['2026-03-14', '2026-04-15']],
  ])('%s', async (_, time, used, days) => {
    const summary = await summarizeUsage(await aLivedWorld(), { account: 'physics', by: 'account', ...time });
    expect([summary.from, summary.to]).toEqual(days);
    expect([summary.total.used / 1_000_000n]).toEqual(used);
    expect(summary.total.held).toBe(HELD); // Whatever the time, this is now.
  });

  it('by month has what is held now in the month of now, and in no other', async () => {
    const world = await aLivedWorld();
    const march = await summarizeUsage(world, { account: 'physics', by: 'month', to: Date.UTC(2026, 3, 1) });
    expect(brief(march)).toEqual({ rows: [['2026-03', 3n, 0n]], total: [3n, 2, 0n] });
    const future = await summarizeUsage(world, { account: 'physics', by: 'month', from: Date.UTC(2026, 3, 15) });
    expect(future.rows).toEqual([]);
  });

  it('reads a month of an account with one question, and none from before the account', async () => {
    const world = await aLivedWorld();
    world.calls.length = 0;
    await summarizeUsage(world, { by: 'account' });
    expect(world.calls.filter((call) => call === 'listUsage').length).toBe(3); // Physics in March and April, art in April.
    expect(world.calls).not.toContain('listOpenHolds');
  });

  it('asks for the next page of everything', async () => {
    const world = await aLivedWorld();
    const paged = <T>(list: (...args: never[]) => Promise<{ items: readonly T[] }>, at: number) =>
      (async (...args: never[]) => {
        const { cursor } = args[at] as unknown as { cursor?: string };
        const { items } = await list(...args);
        return cursor === undefined ? { items: items.slice(0, 1), cursor: 'next' } : { items: items.slice(1) };
      }) as never;
    const { table } = world;
    const store: BudgetStore = {
      ...table,
      listAccounts: paged((page) => table.listAccounts({ limit: (page as { limit: number }).limit }), 0),
      listOpenHolds: paged((page) => table.listOpenHolds({ limit: (page as { limit: number }).limit }), 0),
    };
    expect(await summarizeUsage({ ...world, store }, { by: 'user' })).toEqual(await summarizeUsage(world, { by: 'user' }));
  });

  it('refuses more months than it reads', async () => {
    const world = await aWorld();
    const accounts: Account[] = Array.from({ length: 500 }, (_, index) =>
      anAccount({ account: `a${index}`, createdAt: NOON - 400 * DAY_MS }),
    );
    const store = { ...world.store, listAccounts: async () => ({ items: accounts }) };
    await expect(summarizeUsage({ ...world, store }, { by: 'month' })).rejects.toThrow(
      /from: 7000 months of accounts are more than the 5000/,
    );
    expect((await summarizeUsage({ ...world, store }, { by: 'month', from: NOON })).total.used).toBe(0n);
  });

  it('refuses to tell apart more open holds than it reads', async () => {
    const world = await aRichWorld();
    const hold = anOpenHold({ terms: { ...anOpenHold().terms, rates: [aRate()] } });
    const store = { ...world.store, listOpenHolds: async () => ({ items: Array(100_001).fill(hold) }) };
    await expect(summarizeUsage({ ...world, store }, { by: 'user' })).rejects.toThrow(/by: more than 100000 holds are open/);
  });

  it('is of no account that is not there', async () => {
    await expect(summarizeUsage(await aWorld(), { account: 'physics', by: 'user' })).rejects.toMatchObject({ code: 'account_not_found' });
    expect(await summarizeUsage(await aWorld(), { by: 'user' })).toMatchObject({ rows: [], total: { used: 0n, jobs: 0 } });
  });
});

describe('countStaleAgents', () => {
  it('counts clusters that are not heard, but were within a week', async () => {
    const world = await aWorld();
    const beat = (cluster: string, ago: number) =>
      world.table.beat({ cluster, clusterUid: 'u', agentVersion: null, lastHeartbeat: NOON - ago, principal: null }, 0);
    await beat('fresh', 5 * MINUTE_MS);
    expect(await countStaleAgents(world)).toBe(0);
    await beat('stale', 5 * MINUTE_MS + 1);
    await beat('older', 7 * DAY_MS);
    await beat('gone', 7 * DAY_MS + HOUR_MS);
    expect(await countStaleAgents(world)).toBe(2);
    const store = {
      ...world.store,
      listClusters: async ({ cursor, limit }: { cursor?: string; limit: number }) => {
        const { items } = await world.table.listClusters({ limit });
        return cursor === undefined ? { items: items.slice(0, 2), cursor: 'next' } : { items: items.slice(2) };
      },
    };
    expect(await countStaleAgents({ ...world, store })).toBe(2);
  });

  it('counts a bound job’s cluster no other way', async () => {
    const world = await aRichWorld();
    const { holdId } = await aPlacedHold(world);
    await bindHold(world, { holdId, cluster: 'hpc', jobId: '1', submittedAt: NOON });
    expect(await countStaleAgents(world)).toBe(0); // A cluster that never had an agent has none that could be missed.
  });
});
