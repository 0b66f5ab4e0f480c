// What comes of records of the stream: events, mails, usage and metrics; and what of records that fail, come twice or are bad.
import type { DynamoDBRecord } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { encodeAccount, encodeDeposit, encodeEntry, encodeHold, encodeRun } from '#adapters/dynamo-items';
import { type Change, StoreUnavailable } from '#app/ports';
import { summarizeUsage } from '#app/summarize-usage';
import { HoldEventDetail, ThresholdCrossedDetail } from '#contract/event-shapes';
import type { BusEvent } from '#contract/events';
import type { Account } from '#domain/account';
import type { Hold } from '#domain/hold';
import { holdMore, settleShare, spendAvailable } from '#domain/ledger';
import { aHold, anAccount, anEntry, aRun, NOON } from '#test/contract/samples';
import { aRecord, type Bench, createBench, recordOf } from '#test/events/records';

const DONE = { batchItemFailures: [] };
const sequenceOf = (record: DynamoDBRecord) => record.dynamodb?.SequenceNumber ?? 'none';
const failedAt = (record: DynamoDBRecord) => ({ batchItemFailures: [{ itemIdentifier: sequenceOf(record) }] });
const next = (before: Hold, change: Partial<Hold>): Change => ({
  kind: 'hold',
  before,
  after: { ...before, ...change, version: before.version + 1 },
});
const placed = (after: Hold): Change => ({ kind: 'hold', before: undefined, after });
const entry = (given: Parameters<typeof anEntry>[0]): Change => ({ kind: 'entry', entry: anEntry(given) });
const settled = (given: Parameters<typeof anEntry>[0] = {}) =>
  entry({ type: 'settle', movement: settleShare({ share: 8n, cost: 5n }), user: 'curie', partition: 'aws', nodeSeconds: 7200, ...given });

const HUNDRED = { available: 100n, held: 0n, used: 0n, limit: 100n };
/** The account `physics` from some columns to others, each of [used, held, limit]. */
const account = (from: readonly [number, number, number], to: readonly [number, number, number], given: Partial<Account> = {}): Change => {
  const columns = ([used, held, limit]: readonly [number, number, number]) => ({
    ...HUNDRED,
    used: BigInt(used) * 1_000_000n,
    held: BigInt(held) * 1_000_000n,
    limit: BigInt(limit) * 1_000_000n,
    available: BigInt(limit - used - held) * 1_000_000n,
  });
  return { kind: 'account', before: anAccount({ ...given, ...columns(from) }), after: anAccount({ ...given, ...columns(to) }) };
};
const idsOf = (events: readonly BusEvent[]) => events.map(({ detail }) => (detail as { event_id: string }).event_id);
const usageIn = (bench: Bench) => summarizeUsage(bench.services.world(bench.clock.now() + 10_000), { by: 'account' });

describe('events of holds', () => {
  const open = aHold({ version: 3, jobId: '4711', submittedAt: NOON });

  it.each<[string, Change, string[]]>([
    ['is placed', placed(aHold()), ['Hold Placed']],
    ['is forced', placed(aHold({ forced: true })), ['Hold Placed']],
    ['is settled', next(open, { state: 'settled', amount: 0n, used: 60_000_000n, tasksEnded: 1, closedAt: NOON }), ['Hold Settled']],
    ['is released', next(open, { state: 'released', amount: 0n, closedAt: NOON }), ['Hold Released']],
    ['is expired', next(open, { state: 'expired', amount: 0n, closedAt: NOON }), ['Hold Expired']],
    ['is bound', next(aHold(), { jobId: '4711', submittedAt: NOON }), []],
    ['is adjusted', next(open, { amount: 1n, account: 'art' }), []],
    ['is settled in part', next(open, { tasks: 2, tasksEnded: 1 }), []],
    ['is settled late', next({ ...open, state: 'released' }, { used: 5n }), []],
  ])('one that %s', async (_, change, types) => {
    const bench = createBench();
    expect(await bench.deliver(recordOf(change))).toEqual(DONE);
    expect(bench.events.map(({ detailType }) => detailType)).toEqual(types);
    for (const { source, detail } of bench.events) {
      expect(source).toBe('asbb');
      expect(HoldEventDetail.parse(detail)).toEqual(detail);
    }
    expect(bench.mails).toEqual([]);
  });

  it('say what the API would, and what was held before', async () => {
    const bench = createBench();
    const holdId = open.holdId;
    await bench.deliver(recordOf(next(open, { state: 'settled', amount: 0n, used: 60_000_000n, tasksEnded: 1, closedAt: NOON + 1 })));
    expect(bench.events[0]?.detail).toEqual({
      event_id: `${holdId}.4`,
      hold_id: holdId,
      account: 'physics',
      cluster: 'hpc-prod',
      user: 'curie',
      partition: 'aws,local',
      state: 'settled',
      amount: 0,
      amount_before: 120,
      original_amount: 120,
      used: 60,
      tasks: 1,
      tasks_ended: 1,
      job_id: '4711',
      submitted_at: '2026-03-14T12:00:00.000Z',
      forced: false,
      created_at: '2026-03-14T12:00:00.000Z',
      expires_at: '2026-03-15T18:00:00.000Z',
      closed_at: '2026-03-14T12:00:00.001Z',
    });
  });

  it('have the same id each time that their record comes', async () => {
    const bench = createBench();
    const record = recordOf(placed(open));
    await bench.deliver(record);
    await bench.deliver(record);
    expect(idsOf(bench.events)).toEqual([`${open.holdId}.3`, `${open.holdId}.3`]);
  });
});

describe('thresholds', () => {
  const told = async (...changes: readonly Change[]) => {
    const bench = createBench();
    for (const change of changes) expect(await bench.deliver(recordOf(change))).toEqual(DONE);
    return bench;
  };

  it('are told with the account as it is', async () => {
    const bench = await told(account([0, 0, 1000], [812, 0, 1000], { updatedAt: NOON + 7 }));
    for (const { detail } of bench.events) expect(ThresholdCrossedDetail.parse(detail)).toEqual(detail);
    expect(bench.events[1]).toEqual({
      source: 'asbb',
      detailType: 'Budget Threshold Crossed',
      detail: {
        event_id: 'physics.used.80.1000000000',
        account: 'physics',
        measure: 'used',
        threshold: 80,
        budget_limit: 1000,
        budget_used: 812,
        budget_held: 0,
        budget_available: 188,
        at: '2026-03-14T12:00:00.007Z',
      },
    });
    expect(bench.mails[0]).toEqual({
      subject: 'asbb: physics: 80% used',
      text:
        'Account physics: $812.00 of $1,000.00 used, so 80% is reached. Used $812.00, held $0.00, available $188.00. ' +
        'Jobs that need more than is available are refused; a new limit is set with `asbb account update`.',
    });
  });

  it.each<[string, readonly Change[], string[], string[]]>([
    ['below all of them', [account([0, 0, 100], [49, 0, 100])], [], []],
    [
      'a hold',
      [account([0, 0, 100], [0, 85, 100])],
      ['physics.committed.50.100000000', 'physics.committed.80.100000000'],
      ['80% used or held'],
    ],
    [
      'a hold that is settled for what it held',
      [account([0, 0, 100], [0, 50, 100]), account([0, 50, 100], [50, 0, 100])],
      ['physics.committed.50.100000000', 'physics.used.50.100000000'],
      ['50% used or held', '50% used'],
    ],
    [
      'holds that come and go',
      [account([0, 0, 100], [0, 60, 100]), account([0, 60, 100], [0, 0, 100]), account([0, 0, 100], [0, 70, 100])],
      ['physics.committed.50.100000000'],
      ['50% used or held'],
    ],
    [
      'a limit that is raised arms them again',
      [account([0, 0, 100], [0, 60, 100]), account([0, 60, 100], [0, 60, 200]), account([0, 60, 200], [0, 110, 200])],
      ['physics.committed.50.100000000', 'physics.committed.50.200000000'],
      ['50% used or held', '50% used or held'],
    ],
  ])('%s', async (_, changes, ids, subjects) => {
    const { events, mails } = await told(...changes);
    expect(idsOf(events)).toEqual(ids);
    expect(mails.map(({ subject }) => subject.replace('asbb: physics: ', ''))).toEqual(subjects);
  });

  it('fit a subject of SNS whatever the account is called', async () => {
    const { mails } = await told(account([0, 0, 100], [0, 100, 100], { account: 'a'.repeat(64) }));
    expect(mails[0]?.subject.length).toBeLessThanOrEqual(100);
  });

  it('are told once of a record that comes twice, in one batch or in two', async () => {
    const bench = createBench();
    const record = recordOf(account([0, 0, 100], [0, 50, 100]));
    await bench.deliver(record, record);
    await bench.deliver(record);
    expect([bench.events.length, bench.mails.length]).toEqual([1, 1]);
  });

  it('are told to nobody where there is neither bus nor topic, and remembered by nobody', async () => {
    const { services, clock, follower } = createBench();
    const bench = createBench();
    const { bus: _, topic: __, ...deaf } = { ...follower, services, clock };
    expect(await createBench(deaf).deliver(recordOf(account([0, 0, 100], [0, 50, 100])))).toEqual(DONE);
    expect([bench.events, bench.mails]).toEqual([[], []]);
  });

  it('are on the bus where there is no topic', async () => {
    const bench = createBench();
    const { topic: _, ...follower } = bench.follower;
    const { followStream } = await import('#events/stream');
    await followStream(follower, { Records: [recordOf(account([0, 0, 100], [0, 50, 100]))] });
    expect(idsOf(bench.events)).toEqual(['physics.committed.50.100000000']);
  });
});

describe('usage', () => {
  it('counts each entry once, however often it comes', async () => {
    const bench = createBench();
    await bench.store.createAccount(anAccount(), undefined);
    const records = [settled(), settled({ user: null }), entry({ type: 'hold', movement: holdMore(9n) })].map(recordOf);
    await bench.deliver(...records, ...records);
    await bench.deliver(...records);
    expect((await usageIn(bench)).total).toMatchObject({ used: 10n, jobs: 2, nodeSeconds: 14_400 });
  });
});

describe('a failure', () => {
  const hold = aHold();
  const records = () => [
    recordOf(placed(hold)),
    recordOf(settled()),
    recordOf(placed(aHold())),
    recordOf(account([0, 0, 100], [0, 50, 100])),
    recordOf(placed(aHold())),
  ];

  it('of the store names the first entry, and nothing behind it is told before it comes again', async () => {
    const bench = createBench();
    await bench.store.createAccount(anAccount(), undefined);
    const batch = records();
    bench.badCalls.countUsage = [new StoreUnavailable('away')];
    expect(await bench.deliver(...batch)).toEqual(failedAt(batch[1] as DynamoDBRecord));
    expect(bench.events.map(({ detailType }) => detailType)).toEqual(['Hold Placed']);
    expect(bench.failures).toEqual([new StoreUnavailable('away')]);
    expect(await bench.deliver(...batch.slice(1))).toEqual(DONE);
    expect(bench.events.length).toBe(4);
    expect((await usageIn(bench)).total).toMatchObject({ used: 5n, jobs: 1 });
  });

  it('of the bus names the first event that it did not take', async () => {
    const bench = createBench();
    const batch = records();
    bench.badPuts.push([3, 1]);
    expect(await bench.deliver(...batch)).toEqual(failedAt(batch[2] as DynamoDBRecord));
    expect(bench.failures).toHaveLength(2);
    expect(String(bench.failures[1])).toMatch(/is not on the bus: throttled/);
    // What came behind it and was taken is told again, under its own id: nobody can take it back.
    expect(await bench.deliver(...batch.slice(2))).toEqual(DONE);
    expect(new Set(idsOf(bench.events)).size).toBe(4);
    expect(bench.mails.length).toBe(1);
  });

  it('of the bus as a whole names the first event', async () => {
    const bench = createBench();
    const batch = records().slice(1);
    bench.badPuts.push(new Error('no route'));
    expect(await bench.deliver(...batch)).toEqual(failedAt(batch[1] as DynamoDBRecord));
    expect([bench.events, bench.mails]).toEqual([[], []]);
    expect(await bench.deliver(...batch.slice(1))).toEqual(DONE);
    expect(bench.mails.length).toBe(1);
  });

  it('of the topic names the account’s change, and the mail goes out when that comes again', async () => {
    const bench = createBench();
    const batch = records();
    bench.badMails.push(new Error('no such topic'));
    expect(await bench.deliver(...batch)).toEqual(failedAt(batch[3] as DynamoDBRecord));
    expect(await bench.deliver(...batch.slice(3))).toEqual(DONE);
    expect(bench.mails.length).toBe(1);
    const ids = idsOf(bench.events).filter((id) => id.startsWith('physics'));
    expect(ids).toEqual(['physics.committed.50.100000000', 'physics.committed.50.100000000']);
  });

  it('to remember a threshold, or to look it up, is one of its change', async () => {
    const bench = createBench();
    const batch = records();
    bench.badCalls.setAnnounced = [new Error('bug')];
    expect(await bench.deliver(...batch)).toEqual(failedAt(batch[3] as DynamoDBRecord));
    bench.badCalls.isAnnounced = [new Error('bug')];
    expect(await bench.deliver(...batch.slice(3))).toEqual(failedAt(batch[3] as DynamoDBRecord));
    expect(await bench.deliver(...batch.slice(3))).toEqual(DONE);
  });
});

describe('a bad record', () => {
  const good = () => recordOf(placed(aHold()));
  const without = (record: DynamoDBRecord, part: 'Keys' | 'NewImage'): DynamoDBRecord => {
    const { [part]: _, ...dynamodb } = record.dynamodb ?? {};
    return { ...record, dynamodb };
  };

  it.each<[string, DynamoDBRecord, RegExp]>([
    ['has no keys', without(good(), 'Keys'), /without the keys of our table/],
    ['has no image', without(good(), 'NewImage'), /HOLD#.* HOLD: its record has no image; the stream needs NEW_AND_OLD_IMAGES/],
    ['lacks an attribute', aRecord({ after: { ...encodeHold(aHold()), amount: undefined } }), /attribute amount is no integer/],
    ['has another type', aRecord({ after: { ...encodeHold(aHold()), amount: 'much' } }), /attribute amount is no integer/],
    [
      'has an old image that cannot be read',
      aRecord({ before: { ...encodeHold(aHold()), tasks: 'x' }, after: encodeHold(aHold()) }),
      /tasks/,
    ],
    [
      'is of a newer version',
      aRecord({ after: { ...encodeEntry(anEntry()), v: 2 } }),
      /attribute v is no version that this program knows: 2/,
    ],
  ])('that %s is named, and told; what is before it is done', async (_, bad, problem) => {
    const bench = createBench();
    expect(await bench.deliver(good(), bad, good())).toEqual(failedAt(bad));
    expect(bench.events.length).toBe(1);
    expect(bench.failures).toHaveLength(1);
    expect(String(bench.failures[0])).toMatch(problem);
  });

  it('that has no sequence number fails its batch as a whole', async () => {
    const bench = createBench();
    expect(await bench.deliver({ eventName: 'INSERT' })).toEqual({ batchItemFailures: [{ itemIdentifier: '' }] });
  });

  it('behind one that fails anyway does not hide it', async () => {
    const bench = createBench();
    const first = good();
    bench.badPuts.push(new Error('away'));
    expect(await bench.deliver(first, { eventName: 'INSERT' })).toEqual(failedAt(first));
  });

  it.each<[string, DynamoDBRecord]>([
    ['a run', aRecord({ after: encodeRun(aRun()) })],
    ['a deposit', aRecord({ after: encodeDeposit({ account: 'physics', depositId: 'd', amount: 1n }) })],
    ['a usage row', aRecord({ after: { pk: 'USAGE#physics#2026-03', sk: '2026-03-14##', v: 1 } })],
    ['an item of a newer version that nobody follows', aRecord({ after: { pk: 'PARTITIONS', sk: 'aws', v: 2 } })],
    ['a new account', aRecord({ after: encodeAccount(anAccount()) })],
    ['an account that is removed', aRecord({ before: encodeAccount(anAccount()) })],
    ['a mark whose time is up', aRecord({ before: { pk: 'COUNTED#e1', sk: 'USAGE', v: 1, ttl: 5 } })],
    ['an entry that somebody wrote over', aRecord({ before: encodeEntry(anEntry()), after: encodeEntry(anEntry({ type: 'settle' })) })],
  ])('is not %s: nobody follows that', async (_, record) => {
    const bench = createBench();
    expect(await bench.deliver(record)).toEqual(DONE);
    expect([bench.events, bench.mails, bench.failures, bench.measured]).toEqual([[], [], [], []]);
  });

  it('is not an empty batch', async () => {
    expect(await createBench().deliver()).toEqual(DONE);
  });
});

describe('metrics', () => {
  it('count what was committed', async () => {
    const bench = createBench();
    const open = aHold({ version: 3 });
    const changes = [
      placed(aHold()),
      placed(aHold()),
      next(open, { state: 'settled', amount: 0n, closedAt: NOON }),
      next(open, { state: 'released', amount: 0n, closedAt: NOON }),
      next(open, { state: 'expired', amount: 0n, closedAt: NOON }),
      next(open, { tasks: 3 }),
      settled(),
      settled({ movement: settleShare({ share: 8n, cost: 9n }) }),
      settled({ movement: spendAvailable(9n) }), // Not its last run, so it has no share to be over.
      entry({ type: 'late_settle', movement: spendAvailable(9n) }),
      entry({ type: 'deposit' }),
      account([0, 0, 100], [0, 80, 100]),
    ];
    await bench.deliver(...changes.map(recordOf));
    expect(Object.fromEntries(bench.measured.map(({ name, value }) => [name, value]))).toEqual({
      HoldsPlaced: 2,
      HoldsSettled: 1,
      HoldsReleased: 1,
      HoldsExpired: 1,
      RunsSettled: 3,
      RunsOverShare: 1,
      RunsLate: 1,
      ThresholdsCrossed: 2,
    });
  });
});
