import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bind,
  type EndedRun,
  expire,
  extend,
  type Hold,
  isBound,
  release,
  reprice,
  requireOpen,
  settle,
  shareOf,
  unconfirmedOf,
} from '#domain/hold';
import { anOpenHold, HOUR_MS, MINUTE_MS, NOON } from '#test/support/builders';

const RUNS = { numRuns: Number(process.env.ASBB_PROPERTY_RUNS ?? 1000) };
const LATER = NOON + HOUR_MS;
const CLOSED = ['settled', 'released', 'expired'] as const;

const aClosedHold = (state: (typeof CLOSED)[number]): Hold => anOpenHold({ state, amount: 0n, used: 70n, closedAt: NOON + MINUTE_MS });
const aFinalRun = (given: Partial<EndedRun> = {}): EndedRun => ({ cost: 60n, final: true, writtenOff: false, tasks: 1, ...given });
const closedError = (state: string) =>
  expect.objectContaining({
    code: 'hold_closed',
    message: `hold 6f1c0f5e-0000-4000-8000-00000000cafe is ${state} and does not reopen: place a new one under a new hold_id`,
    details: { state },
  });

describe('shareOf', () => {
  const tenCents = (tasksEnded: number, amount: bigint) => anOpenHold({ amount, tasks: 3, tasksEnded });

  it.each([
    ['the first of three', tenCents(0, 100_000n), 1, 33_333n],
    ['the second', tenCents(1, 66_667n), 1, 33_333n],
    ['the last, which takes the remainder', tenCents(2, 33_334n), 1, 33_334n],
    ['the first two at once', tenCents(0, 100_000n), 2, 66_666n],
    ['the last two at once', tenCents(1, 66_667n), 2, 66_667n],
    ['all at once', tenCents(0, 100_000n), 3, 100_000n],
    ['more than there are', tenCents(0, 100_000n), 40, 100_000n],
    ['none', tenCents(0, 100_000n), 0, 0n],
    ['one when none is left', tenCents(3, 7n), 1, 0n],
    ['the first of five with a remainder of two', anOpenHold({ amount: 12n, tasks: 5 }), 1, 2n],
    ['the first four of those', anOpenHold({ amount: 12n, tasks: 5 }), 4, 9n],
    ['a job that is no array', anOpenHold(), 1, 120_000_000n],
  ])('%s', (_, hold, tasks, share) => {
    expect(shareOf(hold, tasks)).toBe(share);
  });

  it('gives a batch what its tasks would get one by one, and all tasks together the whole hold', () => {
    const batches = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 15n }), batches, (amount, sizes) => {
        const tasks = sizes.reduce((sum, size) => sum + size, 0);
        let inBatches = anOpenHold({ amount, tasks });
        let oneByOne = inBatches;
        for (const size of sizes) {
          const share = shareOf(inBatches, size);
          let sum = 0n;
          for (let task = 0; task < size; task++) {
            const each = oneByOne.amount / BigInt(oneByOne.tasks - oneByOne.tasksEnded);
            sum += each;
            oneByOne = { ...oneByOne, amount: oneByOne.amount - each, tasksEnded: oneByOne.tasksEnded + 1 };
          }
          expect(share).toBe(sum);
          inBatches = { ...inBatches, amount: inBatches.amount - share, tasksEnded: inBatches.tasksEnded + size };
        }
        expect(inBatches.amount).toBe(0n);
      }),
      RUNS,
    );
  });
});

describe('settle on an open hold', () => {
  const hold = anOpenHold({ amount: 100n, used: 5n });

  it('returns the unspent part of the share to available, and closes the hold', () => {
    expect(settle(hold, aFinalRun({ cost: 60n }), LATER)).toStrictEqual({
      hold: { ...hold, state: 'settled', amount: 0n, used: 65n, tasksEnded: 1, closedAt: LATER },
      movement: { available: 40n, held: -100n, used: 60n, limit: 0n },
      type: 'settle',
      share: 100n,
      refund: 40n,
      late: false,
    });
  });

  it('takes what a run cost beyond its share from available', () => {
    expect(settle(hold, aFinalRun({ cost: 130n }), LATER)).toMatchObject({
      hold: { state: 'settled', amount: 0n, used: 135n },
      movement: { available: -30n, held: -100n, used: 130n, limit: 0n },
      share: 100n,
      refund: 0n,
    });
  });

  it('pays a run that is not the last from available, and leaves the hold whole for the next', () => {
    expect(settle(hold, aFinalRun({ cost: 60n, final: false }), LATER)).toStrictEqual({
      hold: { ...hold, used: 65n },
      movement: { available: -60n, held: 0n, used: 60n, limit: 0n },
      type: 'settle',
      share: 0n,
      refund: 0n,
      late: false,
    });
  });

  it('gives the whole share back when the site absorbs the run', () => {
    expect(settle(hold, aFinalRun({ cost: 60n, writtenOff: true }), LATER)).toStrictEqual({
      hold: { ...hold, state: 'settled', amount: 0n, tasksEnded: 1, closedAt: LATER },
      movement: { available: 100n, held: -100n, used: 0n, limit: 0n },
      type: 'write_off',
      share: 100n,
      refund: 100n,
      late: false,
    });
  });

  it('moves nothing when the site absorbs a run that is not the last', () => {
    expect(settle(hold, aFinalRun({ cost: 60n, writtenOff: true, final: false }), LATER)).toStrictEqual({
      hold,
      movement: { available: 0n, held: 0n, used: 0n, limit: 0n },
      type: 'write_off',
      share: 0n,
      refund: 0n,
      late: false,
    });
  });

  it('stays open while tasks of the array are left', () => {
    const array = anOpenHold({ amount: 100_000n, tasks: 3 });
    expect(settle(array, aFinalRun({ cost: 20_000n }), LATER)).toMatchObject({
      hold: { state: 'open', amount: 66_667n, tasksEnded: 1, used: 20_000n, closedAt: null },
      movement: { available: 13_333n, held: -33_333n, used: 20_000n, limit: 0n },
      share: 33_333n,
      refund: 13_333n,
    });
  });

  it('ends with the last task, also when a record names more tasks than are left', () => {
    const array = anOpenHold({ amount: 66_667n, tasks: 3, tasksEnded: 1 });
    expect(settle(array, aFinalRun({ cost: 0n, tasks: 9 }), LATER)).toMatchObject({
      hold: { state: 'settled', amount: 0n, tasksEnded: 3, closedAt: LATER },
      movement: { available: 66_667n, held: -66_667n, used: 0n, limit: 0n },
    });
  });
});

describe.each(CLOSED)('settle on a hold that is %s', (state) => {
  const hold = aClosedHold(state);

  it.each([true, false])('is late, and available pays (final: %s)', (final) => {
    expect(settle(hold, aFinalRun({ cost: 60n, final }), LATER)).toStrictEqual({
      hold: { ...hold, used: 130n },
      movement: { available: -60n, held: 0n, used: 60n, limit: 0n },
      type: 'late_settle',
      share: 0n,
      refund: 0n,
      late: true,
    });
  });

  it('moves nothing when the site absorbs the run', () => {
    expect(settle(hold, aFinalRun({ writtenOff: true }), LATER)).toStrictEqual({
      hold,
      movement: { available: 0n, held: 0n, used: 0n, limit: 0n },
      type: 'write_off',
      share: 0n,
      refund: 0n,
      late: true,
    });
  });
});

describe('release', () => {
  it('gives back what is left', () => {
    const hold = anOpenHold({ amount: 100n });
    expect(release(hold, LATER)).toStrictEqual({
      hold: { ...hold, state: 'released', amount: 0n, closedAt: LATER },
      movement: { available: 100n, held: -100n, used: 0n, limit: 0n },
    });
  });

  it('changes nothing the second time', () => {
    expect(release(aClosedHold('released'), LATER)).toBeUndefined();
  });

  it.each(['settled', 'expired'] as const)('is refused once the hold is %s', (state) => {
    expect(() => release(aClosedHold(state), LATER)).toThrow(closedError(state));
  });
});

describe('expire', () => {
  const hold = anOpenHold({ amount: 100n, expiresAt: LATER });

  it.each([LATER, LATER + 1])('gives back what is left once its time is up', (now) => {
    expect(expire(hold, now)).toStrictEqual({
      hold: { ...hold, state: 'expired', amount: 0n, closedAt: now },
      movement: { available: 100n, held: -100n, used: 0n, limit: 0n },
    });
  });

  it('leaves a hold whose time is not up', () => {
    expect(expire(hold, LATER - 1)).toBeUndefined();
  });

  it.each(CLOSED)('leaves a hold that is %s', (state) => {
    expect(expire(aClosedHold(state), NOON + 1000 * HOUR_MS)).toBeUndefined();
  });
});

describe('reprice', () => {
  it.each([
    ['up', 150n, { available: -50n, held: 50n, used: 0n, limit: 0n }],
    ['down', 70n, { available: 30n, held: -30n, used: 0n, limit: 0n }],
    ['nowhere', 100n, { available: 0n, held: 0n, used: 0n, limit: 0n }],
  ])('moves the difference %s', (_, amount, movement) => {
    const hold = anOpenHold({ amount: 100n, originalAmount: 100n });
    expect(reprice(hold, { amount, estimate: amount })).toStrictEqual({ hold: { ...hold, amount }, movement });
  });

  it.each(CLOSED)('is refused once the hold is %s', (state) => {
    expect(() => reprice(aClosedHold(state), { amount: 1n, estimate: 1n })).toThrow(closedError(state));
  });
});

describe('bind', () => {
  const job = { jobId: '4711', submittedAt: NOON };
  const bound = anOpenHold(job);
  const nothingMoves = { available: 0n, held: 0n, used: 0n, limit: 0n };

  it('notes the job of a hold', () => {
    expect(bind(anOpenHold(), job)).toStrictEqual({ hold: bound, movement: nothingMoves });
  });

  it('changes nothing for the same job again', () => {
    expect(bind(bound, job)).toBeUndefined();
  });

  it('takes a later submission of the same job for a requeue', () => {
    expect(bind(bound, { jobId: '4711', submittedAt: LATER })).toStrictEqual({
      hold: { ...bound, submittedAt: LATER },
      movement: nothingMoves,
    });
  });

  it('binds a hold whose submission was known before its job', () => {
    const known = anOpenHold({ submittedAt: NOON });
    expect(bind(known, job)).toStrictEqual({ hold: bound, movement: nothingMoves });
  });

  it('never goes back to an earlier submission', () => {
    expect(bind(bound, { jobId: '4711', submittedAt: NOON - 1 })).toBeUndefined();
  });

  it('refuses another job', () => {
    expect(() => bind(bound, { jobId: '4712', submittedAt: NOON })).toThrow(
      expect.objectContaining({
        code: 'hold_conflict',
        message: 'hold 6f1c0f5e-0000-4000-8000-00000000cafe is bound to job 4711, so it cannot be bound to job 4712',
      }),
    );
  });

  it.each(CLOSED)('is refused once the hold is %s', (state) => {
    expect(() => bind(aClosedHold(state), job)).toThrow(closedError(state));
  });
});

describe('extend', () => {
  const hold = anOpenHold({ expiresAt: LATER });

  it.each([
    ['what is wanted', { wanted: LATER + 10, latest: LATER + 20 }, LATER + 10],
    ['at most the latest', { wanted: LATER + 30, latest: LATER + 20 }, LATER + 20],
  ])('grants %s', (_, time, expiresAt) => {
    expect(extend(hold, time)).toStrictEqual({
      hold: { ...hold, expiresAt },
      movement: { available: 0n, held: 0n, used: 0n, limit: 0n },
    });
  });

  it.each([
    ['the present time', { wanted: LATER, latest: LATER + 20 }],
    ['an earlier one', { wanted: LATER - 1, latest: LATER + 20 }],
    ['a later one beyond an early cap', { wanted: LATER + 10, latest: LATER - 10 }],
  ])('changes nothing for %s', (_, time) => {
    expect(extend(hold, time)).toBeUndefined();
  });

  it.each(CLOSED)('is refused once the hold is %s', (state) => {
    expect(() => extend(aClosedHold(state), { wanted: LATER, latest: LATER })).toThrow(closedError(state));
  });
});

describe('requireOpen', () => {
  it('passes on an open hold', () => {
    const hold = anOpenHold();
    expect(requireOpen(hold)).toBe(hold);
  });
});

describe('unconfirmedOf', () => {
  it.each([
    ['an open hold that no job is bound to', anOpenHold({ amount: 7n }), 7n],
    ['a bound one', anOpenHold({ amount: 7n, jobId: '4711', submittedAt: NOON }), 0n],
    ['a closed one', anOpenHold({ amount: 7n, state: 'settled' }), 0n],
  ])('%s', (_, hold, amount) => {
    expect(unconfirmedOf(hold)).toBe(amount);
  });
});

describe('isBound', () => {
  it.each([
    [null, false],
    ['4711', true],
  ])('job %s: %s', (jobId, expected) => {
    expect(isBound(anOpenHold({ jobId }))).toBe(expected);
  });
});
