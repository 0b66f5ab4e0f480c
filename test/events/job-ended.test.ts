// Ended runs from a queue: at least once, late, in any order, in any shape.
import { randomUUID } from 'node:crypto';
import * as fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { bindHold } from '#app/bind-hold';
import { type BudgetStore, StoreUnavailable } from '#app/ports';
import { releaseHold } from '#app/release-hold';
import { parseArraySpec } from '#domain/array-spec';
import type { Hold } from '#domain/hold';
import { useDynamoDb } from '#test/contract/dynamodb';
import { aBench, anEvent, type Bench, columnsOf } from '#test/events/deliveries';
import { readMoney, requireLaw } from '#test/properties/law';

const UNKNOWN_ID = '6f1c0f5e-0000-4000-8000-000000000404';
const WHEN = { submitted_at: '2026-11-23T10:00:00Z', started_at: '2026-11-23T11:00:00Z', ended_at: '2026-11-23T12:00:00Z' };

let bench: Bench;
const money = () => columnsOf(bench.world.store);
const stateOf = async (holdId: string) => (await bench.world.store.readHold(holdId))?.state;

const behaviours = (): void => {
  it('settles a hold at what its run really cost', async () => {
    const { holdId } = await bench.place();
    const run = { hold_id: holdId, run_id: 'hpc-1', elapsed_seconds: 1800, partition: 'ten', nodes: 1, state: 'COMPLETED', ...WHEN };
    expect(await bench.deliver(anEvent(run))).toEqual([]);
    expect(await money()).toEqual({ available: 995, held: 0, used: 5, limit: 1000 });
    expect(await stateOf(holdId)).toBe('settled');
    expect(bench.answered).toEqual([{ code: null, status: 200 }]);
    expect(bench.told).toEqual([]);
  });

  it('books a run once, however often it is delivered, at once too', async () => {
    const { holdId } = await bench.place();
    const event = anEvent({ transaction_id: holdId, run_id: 'hpc-1', actual_cost: 7 });
    expect(await bench.deliver(event, event)).toEqual([]);
    expect(await Promise.all([bench.deliver(event), bench.deliver(event), bench.deliver(event)])).toEqual([[], [], []]);
    expect(await money()).toEqual({ available: 993, held: 0, used: 7, limit: 1000 });
  });

  it('books late when the hold is closed', async () => {
    const { holdId } = await bench.place();
    await releaseHold(bench.world, { holdId });
    expect(await bench.deliver(anEvent({ hold_id: holdId, run_id: 'hpc-1', actual_cost: 7 }))).toEqual([]);
    expect(await money()).toEqual({ available: 993, held: 0, used: 7, limit: 1000 });
    expect(await stateOf(holdId)).toBe('released');
  });

  it('takes the last run of a job before the one that it followed', async () => {
    const { holdId } = await bench.place();
    const first = anEvent({ hold_id: holdId, run_id: 'hpc-1', actual_cost: 2, state: 'REQUEUED' });
    const last = anEvent({ hold_id: holdId, run_id: 'hpc-2', actual_cost: 3, state: 'COMPLETED' });
    expect(await bench.deliver(last)).toEqual([]);
    expect(await bench.deliver(first)).toEqual([]);
    expect(await money()).toEqual({ available: 995, held: 0, used: 5, limit: 1000 });
  });

  it('books a run late whose hold nobody knows, at the account that it names', async () => {
    const late = { run_id: 'hpc-1', actual_cost: 7, account: 'Physics' };
    expect(await bench.deliver(anEvent({ ...late, hold_id: UNKNOWN_ID }))).toEqual([]);
    expect(await bench.deliver(anEvent({ ...late, run_id: 'hpc-2', cluster: 'hpc', job_id: '17' }))).toEqual([]);
    expect(await money()).toEqual({ available: 986, held: 0, used: 14, limit: 1000 });
  });

  it('finds the hold by its job', async () => {
    const { holdId } = await bench.place({ cluster: 'hpc' });
    await bindHold(bench.world, { holdId, cluster: 'hpc', jobId: '17', submittedAt: Date.parse(WHEN.submitted_at) });
    expect(await bench.deliver(anEvent({ cluster: 'hpc', job_id: '17', run_id: 'hpc-1', actual_cost: 7, ...WHEN }))).toEqual([]);
    expect(await money()).toEqual({ available: 993, held: 0, used: 7, limit: 1000 });
  });

  it('charges a job once whose run came before its bind and again after it', async () => {
    const { holdId } = await bench.place({ cluster: 'hpc' });
    const event = anEvent({ cluster: 'hpc', job_id: '17', run_id: 'hpc-1', actual_cost: 7, account: 'physics', ...WHEN });
    expect(await bench.deliver(event)).toEqual([]);
    await bindHold(bench.world, { holdId, cluster: 'hpc', jobId: '17', submittedAt: Date.parse(WHEN.submitted_at) });
    expect(await bench.deliver(event)).toEqual([]);
    expect((await money()).used).toBe(7);
  });

  it('works off a batch of an array, task by task', async () => {
    const { holdId } = await bench.place({ array: parseArraySpec('1-10') });
    const tasks = Array.from({ length: 10 }, (_, task) => anEvent({ hold_id: holdId, run_id: `hpc-${task}`, actual_cost: 1 }));
    expect(await bench.deliver(...tasks)).toEqual([]);
    expect(await money()).toEqual({ available: 990, held: 0, used: 10, limit: 1000 });
    expect(await stateOf(holdId)).toBe('settled');
  });

  it('fails the record alone that cannot be booked', async () => {
    const [one, two] = [await bench.place(), await bench.place()];
    const failed = await bench.deliver(
      anEvent({ hold_id: one.holdId, run_id: 'hpc-1', actual_cost: 1 }),
      'not json',
      anEvent({ hold_id: one.holdId, run_id: 'hpc-1', actual_cost: 2 }),
      anEvent({ hold_id: two.holdId, run_id: 'hpc-2', actual_cost: 2 }),
    );
    expect(failed.sort()).toEqual(['m1', 'm2']);
    expect(await money()).toEqual({ available: 997, held: 0, used: 3, limit: 1000 });
    expect(bench.told.map(({ operation, requestId, sentence }) => [operation, requestId, sentence]).sort()).toEqual([
      [
        'jobEnded',
        'm1',
        'message m1 is not booked: body: is not JSON (validation_failed); unless somebody mends that, it ends in the dead-letter queue',
      ],
      [
        'jobEnded',
        'm2',
        `run hpc-1 of hold ${one.holdId} is not booked: run hpc-1 is booked at another cost: mend it with a correction (run_conflict); unless somebody mends that, it ends in the dead-letter queue`,
      ],
    ]);
  });
};

describe('settleEndedJobs in memory', () => {
  beforeEach(async () => {
    bench = await aBench(createMemoryBudgets());
  });
  behaviours();

  const good = { run_id: 'hpc-1', actual_cost: 7, account: 'physics', hold_id: UNKNOWN_ID };
  const without = (name: keyof typeof good) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
  const usage = { ...without('actual_cost'), partition: 'ten', nodes: 1 };

  it.each<[string, unknown, RegExp]>([
    ['nothing', '', /^message m0 .*is not JSON/],
    ['no JSON', 'Slurm Job Ended', /^message m0 .*is not JSON/],
    ['half an event', JSON.stringify(anEvent(good)).slice(0, -9), /^message m0 .*is not JSON/],
    ['null', 'null', /is not a JSON object/],
    ['a list', [anEvent(good)], /is not a JSON object/],
    ['a detail without its envelope', good, /^message m0 .*source: /],
    ['another source', anEvent(good, { source: 'aws.batch' }), /^run hpc-1 .*source: /],
    ['another detail type', anEvent(good, { 'detail-type': 'Slurm Job Began' }), /^run hpc-1 .*detail-type: /],
    ['no detail', anEvent(undefined), /^message m0 .*detail: /],
    ['a detail of text', anEvent(JSON.stringify(good)), /^message m0 .*detail: /],
    ['a list of details', anEvent([good]), /^message m0 .*detail: /],
    ['no run', anEvent(without('run_id')), /^hold 6f1c0f5e.*detail\.run_id: is required in an event/],
    ['a run of two lines', anEvent({ ...good, run_id: 'hpc-1\nasbb: all is well' }), /^hold 6f1c0f5e[^\n]*detail\.run_id: [^\n]*$/],
    ['a run of many letters', anEvent({ ...good, run_id: 'x'.repeat(129) }), /^hold 6f1c0f5e.*detail\.run_id: /],
    ['no cost', anEvent(without('actual_cost')), /detail\.actual_cost: give either/],
    ['two costs', anEvent({ ...good, elapsed_seconds: 60 }), /detail\.actual_cost: give either/],
    ['a negative cost', anEvent({ ...good, actual_cost: -1 }), /detail\.actual_cost: /],
    ['a cost in words', anEvent({ ...good, actual_cost: '7' }), /detail\.actual_cost: /],
    ['a cost beyond all limits', anEvent({ ...good, actual_cost: 1e300 }), /detail\.actual_cost: /],
    ['a cost of seven decimals', anEvent({ ...good, actual_cost: 0.0000001 }), /detail\.actual_cost: /],
    ['a negative time', anEvent({ ...usage, elapsed_seconds: -1 }), /detail\.elapsed_seconds: /],
    ['half a second', anEvent({ ...usage, elapsed_seconds: 0.5 }), /detail\.elapsed_seconds: /],
    ['an unknown field', anEvent({ ...good, actual_price: 7 }), /detail\.actual_price: is not a known field/],
    ['an unknown state', anEvent({ ...good, state: 'VANISHED' }), /detail\.state: must be a state of Slurm/],
    ['no tasks', anEvent({ ...good, tasks: 0 }), /detail\.tasks: /],
    ['a hold that is no UUID', anEvent({ ...good, hold_id: '17' }), /^run hpc-1 of hold 17 .*detail\.hold_id: must be a UUID/],
    ['two holds', anEvent({ ...good, transaction_id: randomUUID() }), /detail\.transaction_id: is another than hold_id/],
    ['a local time', anEvent({ ...good, ended_at: '2026-11-23 12:00' }), /detail\.ended_at: must be an ISO 8601 time/],
    ['neither hold nor job', anEvent(without('hold_id')), /name the hold: .*\(validation_failed\)/],
    ['a hold that nobody knows, without an account', anEvent(without('account')), /there is no hold .*\(hold_not_found\)/],
    [
      'a job that nobody knows, without an account',
      anEvent({ run_id: 'hpc-1', actual_cost: 7, cluster: 'hpc', job_id: '17' }),
      /^run hpc-1 of job 17 .*\(job_not_found\)/,
    ],
    ['an account that nobody knows', anEvent({ ...good, account: 'alchemy' }), /\(account_not_found\)/],
    ['a run without a price', anEvent({ ...usage, elapsed_seconds: 60, nodes: undefined }), /nodes: is required/],
  ])('moves no money for %s, and says why', async (_, body, sentence) => {
    expect(await bench.deliver(body)).toEqual(['m0']);
    expect(await money()).toEqual({ available: 1000, held: 0, used: 0, limit: 1000 });
    expect(bench.told.map((each) => each.sentence)).toEqual([expect.stringMatching(sentence)]);
    expect(bench.told[0]?.sentence).toMatch(/dead-letter queue$/);
  });

  it('does not settle a hold on the word of another cluster', async () => {
    const { holdId } = await bench.place({ cluster: 'hpc' });
    expect(await bench.deliver(anEvent({ hold_id: holdId, run_id: 'hpc-1', actual_cost: 7, cluster: 'other' }))).toEqual(['m0']);
    expect(await money()).toEqual({ available: 988, held: 12, used: 0, limit: 1000 });
    expect(bench.told[0]?.sentence).toMatch(/\(cluster_conflict\)/);
  });

  it('ignores what begins with x_, so that a newer agent may say more', async () => {
    expect(await bench.deliver(anEvent({ ...good, x_reason: 'spot' }))).toEqual([]);
  });

  it('begins no record after the time that a batch has', async () => {
    const { holdId } = await bench.place();
    const event = anEvent({ hold_id: holdId, run_id: 'hpc-1', actual_cost: 7 });
    expect(await bench.deliverLate(25_000, event)).toEqual(['m0']);
    expect(bench.told[0]?.sentence).toMatch(/\(deadline_passed\); it is tried again$/);
    expect(await bench.deliver(event)).toEqual([]);
    expect((await money()).used).toBe(7);
  });
});

describe('settleEndedJobs works off a batch', () => {
  it('one hold at a time after the other in itself, and at most four side by side', async () => {
    const table = createMemoryBudgets();
    const inHand = new Map<string, number>();
    const most = { ofOneHold: 0, inAll: 0 };
    const readHold: BudgetStore['readHold'] = async (holdId) => {
      inHand.set(holdId, (inHand.get(holdId) ?? 0) + 1);
      most.ofOneHold = Math.max(most.ofOneHold, ...inHand.values());
      most.inAll = Math.max(
        most.inAll,
        [...inHand.values()].reduce((sum, count) => sum + count, 0),
      );
      await new Promise((done) => setTimeout(done, 5));
      inHand.set(holdId, (inHand.get(holdId) ?? 0) - 1);
      return table.readHold(holdId);
    };
    bench = await aBench({ ...table, readHold });
    const holds: Hold[] = [];
    for (let count = 0; count < 6; count++) holds.push(await bench.place({ array: parseArraySpec('1-2') }));
    const events = [1, 2].flatMap((task) =>
      holds.map(({ holdId }, place) => anEvent({ hold_id: holdId, run_id: `hpc-${place}-${task}`, actual_cost: 1 })),
    );
    expect(await bench.deliver(...events)).toEqual([]);
    expect(most).toEqual({ ofOneHold: 1, inAll: 4 });
    expect(await money()).toEqual({ available: 988, held: 0, used: 12, limit: 1000 });
  });
});

describe('settleEndedJobs when the table is away', () => {
  it('fails what it could not book, and books it at the next delivery', async () => {
    const table = createMemoryBudgets();
    let isAway = false;
    const commit: BudgetStore['commit'] = async (booking) => {
      if (isAway) throw new StoreUnavailable('the line is dead');
      return table.commit(booking);
    };
    bench = await aBench({ ...table, commit });
    const { holdId } = await bench.place();
    const event = anEvent({ hold_id: holdId, run_id: 'hpc-1', actual_cost: 7 });
    isAway = true;
    expect(await bench.deliver(event, 'not json')).toEqual(expect.arrayContaining(['m0', 'm1']));
    expect(bench.told.find(({ requestId }) => requestId === 'm0')?.sentence).toMatch(/\(service_unavailable\); it is tried again$/);
    isAway = false;
    expect(await bench.deliver(event)).toEqual([]);
    expect(await money()).toEqual({ available: 993, held: 0, used: 7, limit: 1000 });
  });

  it('tells of a bug as one', async () => {
    const table = createMemoryBudgets();
    bench = await aBench({ ...table, readHold: () => Promise.reject(new TypeError('undefined is not a hold')) });
    expect(await bench.deliver(anEvent({ hold_id: UNKNOWN_ID, run_id: 'hpc-1', actual_cost: 7 }))).toEqual(['m0']);
    expect(bench.told[0]?.sentence).toMatch(/undefined is not a hold \(internal_error\); it is tried again$/);
    expect(bench.answered).toEqual([{ code: 'internal_error', status: 500 }]);
  });
});

describe('settleEndedJobs on DynamoDB Local', () => {
  const dynamo = useDynamoDb();
  beforeEach(async () => {
    bench = await aBench(createDynamoBudgets({ client: dynamo.document, table: await dynamo.fresh() }));
  });
  behaviours();
});

describe('the order of ended runs, and how often they come', () => {
  const HOLDS = ['6f1c0f5e-0000-4000-8000-00000000000a', '6f1c0f5e-0000-4000-8000-00000000000b', '6f1c0f5e-0000-4000-8000-00000000000c'];
  const TASKS = 7;

  /** The endings of: an array, some tasks at once; a job that was requeued twice; a job whose hold is closed; and one without a hold. */
  const runs = fc
    .record({
      tasks: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }),
      costs: fc.array(fc.integer({ min: 0, max: 9_000_000 }), { minLength: 16, maxLength: 16 }),
      ends: fc.boolean(),
    })
    .map(({ tasks, costs, ends }) => {
      const cost = (place: number) => (costs[place] as number) / 1e6;
      const [array, requeued, closed] = HOLDS;
      const fitting = tasks.filter((_, place) => tasks.slice(0, place + 1).reduce((sum, count) => sum + count, 0) <= TASKS);
      return [
        ...fitting.map((count, place) => ({ hold_id: array, run_id: `array-${place}`, tasks: count, actual_cost: cost(place) })),
        { hold_id: requeued, run_id: 'requeued-1', actual_cost: cost(8), state: 'REQUEUED' },
        { hold_id: requeued, run_id: 'requeued-2', actual_cost: cost(9), state: 'PREEMPTED', final: false },
        ...(ends ? [{ hold_id: requeued, run_id: 'requeued-3', actual_cost: cost(10), state: 'COMPLETED' }] : []),
        { hold_id: closed, run_id: 'closed-1', actual_cost: cost(11) },
        { hold_id: UNKNOWN_ID, run_id: 'unknown-1', actual_cost: cost(12), account: 'physics' },
        { cluster: 'hpc', job_id: '404', run_id: 'unknown-2', elapsed_seconds: 90, partition: 'ten', nodes: 1, account: 'physics' },
      ];
    });

  const lives = runs.chain((once) =>
    fc.record({
      once: fc.constant(once),
      again: fc
        .array(fc.constantFrom(...once), { maxLength: 10 })
        .chain((more) => fc.shuffledSubarray([...once, ...more], { minLength: once.length + more.length })),
      batch: fc.integer({ min: 1, max: 10 }),
    }),
  );

  const afterwards = async (store: BudgetStore, details: readonly unknown[], size: number) => {
    bench = await aBench(store);
    const [array, requeued, closed] = HOLDS;
    await bench.place({ array: parseArraySpec(`1-${TASKS}`), wallTimeSeconds: 601 }, array);
    await bench.place({}, requeued);
    await bench.place({}, closed);
    await releaseHold(bench.world, { holdId: closed as string });
    for (let first = 0; first < details.length; first += size) {
      expect(await bench.deliver(...details.slice(first, first + size).map((detail) => anEvent(detail)))).toEqual([]);
    }
    const all = await readMoney(bench.world.store, { accounts: ['physics'], holdIds: HOLDS, owners: [UNKNOWN_ID, 'job.hpc.404'] });
    await requireLaw(bench.world, all);
    return { columns: await money(), holds: all.holds.map(({ amount, used, state, tasksEnded }) => ({ amount, used, state, tasksEnded })) };
  };

  /** Once and in order, against any permutation with any repetitions in batches of any size. */
  const changesNothing = (numRuns: number, newStore: () => Promise<BudgetStore>) =>
    fc.assert(
      fc.asyncProperty(lives, async ({ once, again, batch }) => {
        expect(await afterwards(await newStore(), again, batch)).toEqual(await afterwards(await newStore(), once, 1));
      }),
      { numRuns },
    );

  it('change nothing, 500 times in memory', () => changesNothing(500, async () => createMemoryBudgets()));

  describe('on DynamoDB Local', () => {
    const dynamo = useDynamoDb();
    it('change nothing, 10 times', () =>
      changesNothing(10, async () => createDynamoBudgets({ client: dynamo.document, table: await dynamo.fresh() })));
  });
});
