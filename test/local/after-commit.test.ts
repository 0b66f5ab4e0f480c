// What asbb local makes of its own commits: usage is there when a booking is answered, and whatever was not followed is caught up.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { correctRun } from '#app/correct-run';
import { type BudgetStore, type Change, StoreUnavailable } from '#app/ports';
import { settleRuns } from '#app/settle-runs';
import { summarizeUsage } from '#app/summarize-usage';
import { countLedgers, createCommitFollower, type FollowerOptions, progressIn, progressOfLastDay } from '#cli/local/after-commit';
import { follow } from '#events/stream';
import { temporaryFolder } from '#test/local/processes';
import { createClock, createWorld, NOON, place, tenDollars } from '#test/money/world';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const createBench = async (given: Partial<FollowerOptions> = {}, table: BudgetStore = createMemoryBudgets()) => {
  const clock = createClock();
  const said: string[] = [];
  const followed: (readonly Change[])[] = [];
  const caughtUp: number[] = [];
  const progress = { at: NOON, read: () => progress.at, write: (at: number) => Object.assign(progress, { at }) };
  const own = createWorld({ store: table, clock });
  const telemetry = { answered: () => undefined, failed: () => undefined, measured: () => undefined };
  const follower = createCommitFollower({
    clock,
    follow: (changes) => {
      followed.push(changes);
      return follow({ services: { world: () => own, telemetry }, clock }, changes);
    },
    catchUp: (from) => {
      caughtUp.push(from);
      return countLedgers(own, from);
    },
    progress,
    say: (line) => said.push(line),
    ...given,
  });
  const world = createWorld({ store: follower.through(table), clock });
  const used = async () => (await summarizeUsage(world, { by: 'account' })).total.used;
  const settle = (runId: string, actualCost = 5n) =>
    settleRuns(world, {
      holdId: '6f1c0f5e-0000-4000-8000-00000000cafe',
      account: 'physics',
      runs: [{ runId, actualCost, tasks: 1 }],
    });
  await tenDollars(world);
  await follower.keep();
  followed.length = 0;
  caughtUp.length = 0;
  return { world, table, clock, follower, said, followed, caughtUp, progress, used, settle };
};

describe('a booking', () => {
  it('is part of usage when it is answered', async () => {
    const bench = await createBench();
    const { holdId } = await place(bench.world);
    expect(bench.followed).toEqual([]); // A hold adds nothing.
    await settleRuns(bench.world, { holdId, runs: [{ runId: 'r', actualCost: 7n, tasks: 1 }] });
    expect(await bench.used()).toBe(7n);
    await correctRun(bench.world, { holdId, runId: 'r', actualCost: 3n, correctionId: 'c', note: 'n' });
    expect(await bench.used()).toBe(3n);
  });

  it('of many at once is followed with the others, and none waits for ever', async () => {
    const bench = await createBench();
    await Promise.all(Array.from({ length: 250 }, (_, index) => bench.settle(`r${index}`, 1n)));
    expect(await bench.used()).toBe(250n);
    expect(bench.followed.length).toBeLessThan(100);
    expect(Math.max(...bench.followed.map((changes) => changes.length))).toBeLessThanOrEqual(100);
    await bench.settle('one more');
    expect(await bench.used()).toBe(255n);
  });

  it('that was refused is not followed', async () => {
    const bench = await createBench();
    await bench.settle('r1');
    await bench.settle('r1');
    expect(bench.followed.length).toBe(1);
  });

  it.each<[string, FollowerOptions['follow']]>([
    ['fails', async () => 0],
    ['throws', () => Promise.reject(new Error('bug'))],
  ])('is answered though following it %s, and is caught up', async (_, failing) => {
    let isWell = false;
    const table = createMemoryBudgets();
    const bench = await createBench({ follow: (changes) => (isWell ? Promise.resolve(undefined) : failing(changes)) }, table);
    await bench.settle('r1');
    isWell = true;
    expect(await bench.used()).toBe(0n);
    await bench.follower.keep();
    expect([await bench.used(), bench.caughtUp]).toEqual([5n, [NOON - HOUR_MS]]);
    await bench.follower.keep();
    expect(bench.caughtUp.length).toBe(1); // All is there, so nothing is read again.
  });

  it('whose answer was lost is caught up', async () => {
    const table = createMemoryBudgets();
    let losses = 0;
    const losing: BudgetStore = {
      ...table,
      commit: async (booking) => {
        const outcome = await table.commit(booking);
        if (losses-- > 0) throw new StoreUnavailable('the line went dead');
        return outcome;
      },
    };
    const bench = await createBench({}, losing);
    losses = 1;
    await expect(bench.settle('r1')).rejects.toThrow(StoreUnavailable);
    expect(await bench.used()).toBe(0n);
    await bench.follower.keep();
    expect(await bench.used()).toBe(5n);
  });
});

describe('catching up', () => {
  it('counts at start what a crash left out, and nothing twice', async () => {
    const bench = await createBench();
    await bench.settle('r1');
    const crashed = createWorld({ store: bench.table, clock: bench.clock });
    await settleRuns(crashed, {
      holdId: '6f1c0f5e-0000-4000-8000-00000000beef',
      account: 'physics',
      runs: [{ runId: 'r2', actualCost: 9n, tasks: 1 }],
    });
    bench.clock.advance(3 * DAY_MS);
    const follower = createCommitFollower({
      clock: bench.clock,
      follow: async () => undefined,
      catchUp: (from) => countLedgers(createWorld({ store: bench.table, clock: bench.clock }), from),
      progress: bench.progress,
      say: () => undefined,
    });
    await follower.keep();
    expect(await bench.used()).toBe(14n);
  });

  it('notes how far all is followed, and not further while something is missing', async () => {
    let broken = true;
    const bench = await createBench({
      follow: async () => 0,
      catchUp: async () => {
        if (broken) throw new Error('the table is away');
      },
    });
    expect(bench.said).toEqual(['usage is not up to date, and is tried again in a minute: the table is away']);
    expect(bench.progress.at).toBe(NOON);
    bench.clock.advance(DAY_MS);
    await bench.follower.keep();
    expect(bench.progress.at).toBe(NOON);
    broken = false;
    await bench.follower.keep();
    expect(bench.progress.at).toBe(NOON + DAY_MS);
  });
});

describe('the progress', () => {
  it('is at the beginning of time at first, and then what was written', () => {
    const folder = temporaryFolder();
    const progress = progressIn(folder);
    expect(progress.read()).toBe(0);
    progress.write(NOON);
    progress.write(NOON + 5);
    expect(progressIn(folder).read()).toBe(NOON + 5);
    expect(readdirSync(folder)).toEqual(['usage-counted-until']);
  });

  it('is at the beginning of time where its file cannot be read as one', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'usage-counted-until'), 'soon');
    expect(progressIn(folder).read()).toBe(0);
  });

  it('fails loudly where there is no such folder', () => {
    expect(() => progressIn('/nowhere').write(NOON)).toThrow(/ENOENT/);
  });

  it('of a table of somebody else’s is a day ago', () => {
    const progress = progressOfLastDay(createClock());
    progress.write(NOON);
    expect(progress.read()).toBe(NOON - DAY_MS);
  });
});
