// Usage equals the ledger, to the micro-dollar: after any history, however often and in whatever batches its records came, and
// whatever failed on the way.
import type { DynamoDBRecord } from 'aws-lambda';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { measureAccuracy } from '#app/measure-accuracy';
import { type BudgetStore, StoreContended, StoreUnavailable, type World } from '#app/ports';
import { settleRuns } from '#app/settle-runs';
import { summarizeUsage } from '#app/summarize-usage';
import type { BusEvent } from '#contract/events';
import type { Hold } from '#domain/hold';
import { type Entry, replay } from '#domain/ledger';
import { USAGE_KEYS } from '#domain/usage';
import { useDynamoDb } from '#test/contract/dynamodb';
import { type Bench, createBench, recordOf } from '#test/events/records';
import { readStream } from '#test/events/table-stream';
import { createWorld } from '#test/money/world';
import { addPartitions, isRefused, lives, type Operation, PLACES } from '#test/properties/operations';

const RUNS_IN_MEMORY = Number(process.env.ASBB_USAGE_RUNS ?? 200);
const RUNS_ON_DYNAMODB = Math.min(12, RUNS_IN_MEMORY);
const HOUR_MS = 3_600_000;
const LAST_HOLD_ID = '6f1c0f5e-0000-4000-8000-00000000beef';
const MAX_DELIVERIES = 2_000;

/** How records come: so many at once, and what goes wrong with the counting of each batch. */
type Mishap = 'none' | 'again' | 'refused' | 'answer lost' | 'bus away' | 'an event refused';
interface Delivery {
  readonly size: number;
  readonly mishap: Mishap;
}
const deliveries = fc.array(
  fc.record({
    size: fc.integer({ min: 1, max: 7 }),
    mishap: fc.constantFrom<Mishap>('none', 'none', 'again', 'refused', 'answer lost', 'bus away', 'an event refused'),
  }),
  { minLength: 1, maxLength: 20 },
);

/** A life in which days pass too, so that it is in several months. */
const live = async (world: World, bench: Bench, operations: readonly Operation[]): Promise<void> => {
  await addPartitions(world);
  const life = { world, clock: bench.clock, asked: new Map() };
  for (const [step, each] of operations.entries()) {
    bench.clock.advance(1 + (step % 5 === 0 ? 50 * HOUR_MS : 0));
    await isRefused(each(life));
  }
  // In many lives nobody has a run, and those would prove nothing.
  for (const account of PLACES.accounts) {
    const run = { runId: `last-${account}`, actualCost: 12_345_679n, tasks: 1, user: 'curie', partition: 'odd' };
    await isRefused(settleRuns(world, { account, holdId: LAST_HOLD_ID, runs: [run] }));
  }
};

/** What Lambda does: batch after batch, from the failed record on, and now and then a batch that was done already. */
const deliverAll = async (bench: Bench, records: readonly DynamoDBRecord[], how: readonly Delivery[]): Promise<void> => {
  let at = 0;
  for (let round = 0; at < records.length; round += 1) {
    if (round === MAX_DELIVERIES) throw new Error('the stream does not get on');
    const { size, mishap } = how[round % how.length] as Delivery;
    const isLate = round > MAX_DELIVERIES / 2; // Nothing fails for ever.
    const batch = records.slice(at, at + size);
    if (!isLate && mishap === 'refused') bench.badCalls.countUsage = [new StoreContended('busy')];
    if (!isLate && mishap === 'answer lost') bench.lostAnswers.countUsage = [new StoreUnavailable('gone')];
    if (!isLate && mishap === 'bus away') bench.badPuts.push(new Error('away'));
    if (!isLate && mishap === 'an event refused') bench.badPuts.push([0]);
    const { batchItemFailures } = await bench.deliver(...batch);
    bench.badPuts.length = 0;
    bench.badCalls.countUsage = [];
    bench.lostAnswers.countUsage = [];
    if (mishap === 'again') await bench.deliver(...batch);
    const [failed] = batchItemFailures;
    const done =
      failed === undefined ? batch.length : batch.findIndex(({ dynamodb }) => dynamodb?.SequenceNumber === failed.itemIdentifier);
    if (done < 0) throw new Error(`a failure names ${failed?.itemIdentifier}, which it was not given`);
    at += done;
  }
};

const ledgerOf = async (store: BudgetStore, account: string): Promise<readonly Entry[]> =>
  (await store.listEntries({ account, from: Date.UTC(2026, 9, 1), to: Date.UTC(2028, 0, 1) }, { limit: 500 })).items;

const RUN_TYPES = new Set(['settle', 'late_settle', 'write_off']);
const WORDS: Record<(typeof USAGE_KEYS)[number], (entry: Entry) => string | null> = {
  account: ({ account }) => account,
  user: ({ user }) => user,
  partition: ({ partition }) => partition ?? null,
  month: ({ at }) => new Date(at).toISOString().slice(0, 7),
};

/** Every row of every kind, against the ledger read entry by entry. */
const requireUsage = async (world: World): Promise<bigint> => {
  const { store } = world;
  const accounts = (await Promise.all(PLACES.accounts.map((name) => store.readAccount(name)))).filter((each) => each !== undefined);
  const ledgers = await Promise.all(accounts.map(({ account }) => ledgerOf(store, account)));
  for (const [index, account] of accounts.entries()) {
    const { total } = await summarizeUsage(world, { account: account.account, by: 'account' });
    expect(total.used).toBe(account.used);
    expect(total.used).toBe(replay(ledgers[index] ?? []).used);
    expect(total.held).toBe(account.held);
  }
  const entries = ledgers.flat();
  for (const by of USAGE_KEYS) {
    const { rows, total } = await summarizeUsage(world, { by });
    const expected = new Map<string | null, { used: bigint; jobs: number }>();
    for (const each of entries.filter(({ type }) => RUN_TYPES.has(type) || type === 'correction')) {
      const key = WORDS[by](each);
      const { used, jobs } = expected.get(key) ?? { used: 0n, jobs: 0 };
      expected.set(key, { used: used + each.movement.used, jobs: jobs + (RUN_TYPES.has(each.type) ? 1 : 0) });
    }
    const seen = new Map(rows.filter(({ used, jobs }) => used !== 0n || jobs !== 0).map(({ key, used, jobs }) => [key, { used, jobs }]));
    for (const [key, { used, jobs }] of expected) if (used === 0n && jobs === 0) expected.delete(key);
    expect(seen).toEqual(expected);
    expect(total.used).toBe(accounts.reduce((sum, { used }) => sum + used, 0n));
    expect(total.held).toBe(accounts.reduce((sum, { held }) => sum + held, 0n));
  }
  return accounts.reduce((sum, { used }) => sum + used, 0n);
};

/** The same of closed holds, against the holds themselves. Those say what their entries cost, whoever these were booked for. */
const requireAccuracy = async (world: World): Promise<void> => {
  const holds = (await Promise.all(PLACES.holdIds.map((holdId) => world.store.readHold(holdId)))).filter((hold) => hold !== undefined);
  const closed = holds.filter(({ state }) => state !== 'open');
  const entries = (await Promise.all(PLACES.accounts.map((account) => ledgerOf(world.store, account)))).flat();
  for (const { holdId, used, priced } of closed) {
    const own = entries.filter((entry) => entry.holdId === holdId);
    expect(used).toBe(own.reduce((sum, { movement }) => sum + movement.used, 0n));
    const placed = own.filter(({ type }) => HOLDING.has(type));
    expect(priced?.held).toBe(placed.reduce((sum, { movement }) => sum + movement.held, 0n));
  }
  for (const by of USAGE_KEYS) {
    const { rows, total } = await measureAccuracy(world, { by, riskE4: 500 });
    const expected = new Map<string | null, object>();
    const keyOf = ({ account, user, terms, closedAt }: Hold): string | null =>
      by === 'month' ? new Date(closedAt ?? 0).toISOString().slice(0, 7) : { account, user, partition: terms.partition }[by];
    for (const key of new Set(closed.map(keyOf))) {
      const all = closed.filter((hold) => keyOf(hold) === key);
      const spent = all.filter(({ used }) => used > 0n);
      const unspent = all.filter(({ used }) => used === 0n);
      expected.set(key, {
        holds: spent.length,
        estimate: spent.reduce((sum, { priced }) => sum + (priced?.estimate ?? 0n), 0n),
        held: spent.reduce((sum, { priced }) => sum + (priced?.held ?? 0n), 0n),
        used: spent.reduce((sum, { used }) => sum + used, 0n),
        overran: spent.filter(({ used, priced }) => used > (priced?.held ?? 0n)).length,
        unspent: unspent.length,
        unspentHeld: unspent.reduce((sum, { priced }) => sum + (priced?.held ?? 0n), 0n),
      });
    }
    expect(new Map(rows.map(({ key, within: _, suggestion: __, ...row }) => [key, row]))).toEqual(expected);
    expect(Object.values(total.within).reduce((sum, count) => sum + count, 0)).toBe(total.holds);
    expect(total.used).toBe(closed.reduce((sum, { used }) => sum + used, 0n));
  }
};

const HOLDING = new Set(['hold', 'forced_hold', 'adjust']);

const CLOSINGS: Record<string, string> = { settled: 'Hold Settled', released: 'Hold Released', expired: 'Hold Expired' };

/** Every hold was placed, under one id, and is closed, under one id, if it is. */
const requireEvents = async (store: BudgetStore, events: readonly BusEvent[]): Promise<void> => {
  const holds = (await Promise.all(PLACES.holdIds.map((holdId) => store.readHold(holdId)))).filter((hold) => hold !== undefined);
  const expected = holds.flatMap(({ holdId, state }) => [
    `${holdId} Hold Placed`,
    ...(state === 'open' ? [] : [`${holdId} ${CLOSINGS[state]}`]),
  ]);
  const ids = new Map<string, Set<string>>();
  for (const { detailType, detail } of events) {
    const { hold_id, event_id } = detail as { hold_id?: string; event_id: string };
    if (hold_id === undefined) continue;
    const key = `${hold_id} ${detailType}`;
    ids.set(key, new Set([...(ids.get(key) ?? []), event_id]));
  }
  expect([...ids.keys()].sort()).toEqual(expected.sort());
  expect([...ids.values()].every(({ size }) => size === 1)).toBe(true);
};

describe('usage by account, user, partition and month adds up to what the ledgers say was used', () => {
  it(`after ${RUNS_IN_MEMORY} histories in memory`, { timeout: 300_000 }, async () => {
    let spent = 0;
    const property = fc.asyncProperty(lives({ longest: 30 }), deliveries, async (operations, how) => {
      const table = createMemoryBudgets();
      const bench = createBench({}, table);
      const records: DynamoDBRecord[] = [];
      const recording: BudgetStore = {
        ...table,
        commit: async (booking) => {
          const outcome = await table.commit(booking);
          if (outcome.booked) {
            records.push(...booking.entries.map((entry) => recordOf({ kind: 'entry', entry })));
            if (booking.hold) records.push(recordOf({ kind: 'hold', before: booking.hold.before, after: booking.hold.after }));
          }
          return outcome;
        },
      };
      const world = createWorld({ store: recording, clock: bench.clock });
      await live(world, bench, operations);
      await deliverAll(bench, records, how);
      await requireEvents(table, bench.events);
      await requireAccuracy(world);
      if ((await requireUsage(world)) > 0n) spent += 1;
    });
    await fc.assert(property, { numRuns: RUNS_IN_MEMORY, endOnFailure: false });
    console.log(`usage in memory: ${RUNS_IN_MEMORY} histories, ${spent} of which spent money`);
    expect(spent).toBeGreaterThan(RUNS_IN_MEMORY * 0.7); // Else most of it would prove nothing.
  });

  describe('on DynamoDB Local', () => {
    const dynamo = useDynamoDb();

    it(`after ${RUNS_ON_DYNAMODB} histories, from the table's own stream`, { timeout: 300_000 }, async () => {
      let [spent, read] = [0, 0];
      const property = fc.asyncProperty(lives({ longest: 16 }), deliveries, async (operations, how) => {
        const table = await dynamo.fresh();
        const store = createDynamoBudgets({ client: dynamo.document, table });
        const bench = createBench({}, store);
        const world = createWorld({ store, clock: bench.clock });
        await live(world, bench, operations);
        const records = await readStream({ base: dynamo.base, endpoint: dynamo.endpoint }, table);
        read += records.length;
        await deliverAll(bench, records, how);
        await requireEvents(store, bench.events);
        // What following wrote is in the stream too, and nobody follows that.
        const own = (await readStream({ base: dynamo.base, endpoint: dynamo.endpoint }, table)).slice(records.length);
        expect(await bench.deliver(...own)).toEqual({ batchItemFailures: [] });
        await requireAccuracy(world);
        if ((await requireUsage(world)) > 0n) spent += 1;
      });
      await fc.assert(property, { numRuns: RUNS_ON_DYNAMODB, endOnFailure: true });
      console.log(`usage on DynamoDB Local: ${RUNS_ON_DYNAMODB} histories, ${spent} of which spent money, ${read} records of the stream`);
    });
  });
});
