import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addClosed,
  BEYOND,
  BOUNDS,
  type Closed,
  closedOf,
  DEFAULT_RISK_E4,
  MIN_HOLDS,
  NOTHING_CLOSED,
  suggestionFrom,
} from '#domain/accuracy';
import { closedBy, release, reprice, settle } from '#domain/hold';
import { type ClosedHold, type Entry, spendAvailable } from '#domain/ledger';
import { compared, type Usage, usageOf } from '#domain/usage';
import { anOpenHold, NOON } from '#test/support/builders';

const aClosedHold = (given: Partial<ClosedHold> = {}): ClosedHold => ({
  account: 'physics',
  user: 'curie',
  partition: 'aws',
  day: '2026-03-14',
  estimate: 100n,
  held: 120n,
  used: 90n,
  usedBefore: null,
  ...given,
});

const closed = fc
  .record({
    estimate: fc.bigInt({ min: 0n, max: 1000n }),
    extra: fc.bigInt({ min: 0n, max: 300n }),
    used: fc.bigInt({ min: 0n, max: 12_000n }),
  })
  .map(({ estimate, extra, used }) => aClosedHold({ estimate, held: estimate + extra, used }));
const sumOf = (holds: readonly ClosedHold[]): Closed => holds.map(closedOf).reduce(addClosed, NOTHING_CLOSED);

describe('closedOf', () => {
  it.each([
    [90n, 100n, 120n, '90', 0],
    [91n, 100n, 120n, '95', 0],
    [120n, 100n, 120n, '120', 0],
    [121n, 100n, 120n, '125', 1],
    [201n, 100n, 120n, '225', 1],
    [1000n, 100n, 120n, '1000', 1],
    [1001n, 100n, 120n, BEYOND, 1],
    [1n, 0n, 0n, BEYOND, 1],
    [1n, 9_007_199_254_740_993n, 9_007_199_254_740_993n, '5', 0],
  ])('of %s used of an estimate of %s, with %s held, is within %s percent', (used, estimate, held, bound, overran) => {
    const expected = { ...NOTHING_CLOSED, holds: 1, used, estimate, held, overran, within: { [bound]: 1 } };
    expect(closedOf(aClosedHold({ used, estimate, held }))).toEqual(expected);
  });

  it('of a hold that used nothing says nothing of its estimate, and what was held for nothing', () => {
    expect(closedOf(aClosedHold({ used: 0n }))).toEqual({ ...NOTHING_CLOSED, unspent: 1, unspentHeld: 120n });
  });

  it('of later costs moves the hold to where it would be had they come before it was closed', () => {
    const laws = fc.property(closed, fc.array(fc.bigInt({ min: 0n, max: 2_000n }), { maxLength: 5 }), (hold, later) => {
      let [used, sum] = [hold.used, closedOf(hold)];
      for (const each of later) {
        sum = addClosed(sum, closedOf({ ...hold, used: each, usedBefore: used }));
        used = each;
      }
      expect(sum).toEqual(closedOf({ ...hold, used }));
    });
    fc.assert(laws);
  });
});

describe('suggestionFrom', () => {
  it('is the least bound that at most so many holds overran: counted hold by hold', () => {
    const laws = fc.property(
      fc.array(closed, { minLength: MIN_HOLDS, maxLength: 90 }),
      fc.integer({ min: 0, max: 10_000 }),
      (all, riskE4) => {
        const holds = all.filter(({ used }) => used > 0n);
        const overrunning = (percent: number) => holds.filter(({ used, estimate }) => used * 100n > estimate * BigInt(percent)).length;
        const percent = holds.length < MIN_HOLDS ? undefined : BOUNDS.find((each) => overrunning(each) * 10_000 <= riskE4 * holds.length);
        const expected = percent === undefined ? undefined : { percent, overrunning: overrunning(percent) };
        expect(suggestionFrom(sumOf(all), riskE4)).toEqual(expected);
      },
    );
    fc.assert(laws);
  });

  const many = (count: number, given: Partial<ClosedHold> = {}) => Array.from({ length: count }, () => aClosedHold(given));

  it.each<[string, readonly ClosedHold[], object | undefined]>([
    ['29 holds are too few', many(29), undefined],
    ['30 holds are enough', many(30), { percent: 90, overrunning: 0 }],
    ['what used nothing is none of them', [...many(29), ...many(9, { used: 0n })], undefined],
    ['one of 20 may overrun', [...many(38), ...many(2, { used: 150n })], { percent: 90, overrunning: 2 }],
    ['two of 39 may not', [...many(37), ...many(2, { used: 150n })], { percent: 150, overrunning: 0 }],
    ['no bound is enough', [...many(30), ...many(9, { used: 1001n })], undefined],
  ])('%s', (_, holds, expected) => {
    expect(suggestionFrom(sumOf(holds), DEFAULT_RISK_E4)).toEqual(expected);
  });
});

const anEntry = (given: Partial<Entry> = {}): Entry => ({
  entryId: '01',
  at: NOON,
  account: 'physics',
  type: 'late_settle',
  amount: 5n,
  movement: spendAvailable(5n),
  holdId: 'h',
  jobId: '7',
  runId: 'r',
  user: 'curie',
  note: null,
  partition: 'aws',
  ...given,
});

describe('usage of an entry about a closed hold', () => {
  it('is one row where the run was the hold’s own, there and then', () => {
    const row = { account: 'physics', day: '2026-03-14', user: 'curie', partition: 'aws', used: 5n, jobs: 1, nodeSeconds: 0 };
    expect(usageOf(anEntry({ closed: aClosedHold() }))).toEqual([{ ...row, closed: closedOf(aClosedHold()) }]);
  });

  it('is two rows else, and each says what it is about', () => {
    const hold = aClosedHold({ account: 'art', user: null, partition: 'gpu', day: '2026-02-28', usedBefore: 0n });
    const run = { account: 'physics', day: '2026-03-14', user: 'curie', partition: 'aws', used: 5n, jobs: 1, nodeSeconds: 0 };
    const { account, user, partition, day } = hold;
    const holds = { account, user, partition, day, used: 0n, jobs: 0, nodeSeconds: 0, closed: closedOf(hold) };
    expect(usageOf(anEntry({ closed: hold }))).toEqual([run, holds]);
  });
});

describe('compared', () => {
  it('has a row for each key, and the same total whatever it is compared by', () => {
    const row = (given: Partial<Usage>): Usage => ({
      ...{ account: 'physics', day: '2026-03-14', user: 'curie', partition: 'aws', used: 0n, jobs: 0, nodeSeconds: 0 },
      ...given,
    });
    const one = closedOf(aClosedHold());
    const rows = [
      row({ closed: one }),
      row({ user: null, day: '2026-04-01', closed: one }),
      row({ closed: one, partition: 'gpu' }),
      row({}),
    ];
    const total = { ...one, holds: 3, estimate: 300n, held: 360n, used: 270n, within: { 90: 3 }, suggestion: undefined };
    const keys = { account: ['physics'], user: ['curie', null], partition: ['aws', 'gpu'], month: ['2026-03', '2026-04'] } as const;
    for (const by of ['account', 'user', 'partition', 'month'] as const) {
      const all = compared(rows, { by, riskE4: 500 });
      expect(all.rows.map(({ key }) => key)).toEqual(keys[by]);
      expect(all.total).toEqual(total);
    }
    expect(compared([], { by: 'user', riskE4: 500 })).toEqual({ rows: [], total: { ...NOTHING_CLOSED, suggestion: undefined } });
  });
});

describe('what a hold was priced at', () => {
  const priced = { estimate: 100n, estimateLeft: 100n, held: 120n };
  const anArray = anOpenHold({ tasks: 3, amount: 120n, priced });
  const run = { cost: 40n, final: true, writtenOff: false, tasks: 1 };

  it('goes down by what is left with each task that ended, and stays whole', () => {
    const one = settle(anArray, run, NOON).hold;
    expect(one.priced).toEqual({ ...priced, estimateLeft: 66n });
    expect(settle(one, { ...run, tasks: 2 }, NOON).hold.priced).toEqual({ ...priced, estimateLeft: 0n });
    expect(settle(anArray, { ...run, final: false }, NOON).hold.priced).toEqual(priced);
  });

  it('changes with what is left when that is priced anew', () => {
    const { hold } = reprice(settle(anArray, run, NOON).hold, { amount: 200n, estimate: 166n });
    expect(hold.priced).toEqual({ estimate: 200n, estimateLeft: 166n, held: 240n });
  });

  it('has nothing left where no task is', () => {
    expect(settle({ ...anArray, tasksEnded: 3 }, run, NOON).hold.priced?.estimateLeft).toBe(0n);
  });

  it('is told by what closes the hold, and by what changes it afterwards', () => {
    const whole = anOpenHold({ amount: 120n, priced });
    const { hold: settled } = settle(whole, run, NOON);
    expect(closedBy(whole, settled)).toEqual(aClosedHold({ used: 40n }));
    const { hold: late } = settle(settled, run, NOON + 1);
    expect(closedBy(settled, late)).toEqual(aClosedHold({ used: 80n, usedBefore: 40n }));
    const { hold: absorbed } = settle(late, { ...run, writtenOff: true }, NOON + 2);
    expect(closedBy(late, absorbed)).toBeUndefined();
    expect(closedBy(whole, release(whole, NOON)?.hold ?? whole)).toEqual(aClosedHold({ used: 0n }));
  });

  it('is not told of a hold that is open, nor of one that is older than the price it was given', () => {
    expect(closedBy(anArray, settle(anArray, run, NOON).hold)).toBeUndefined();
    const old = anOpenHold();
    expect(closedBy(old, settle(old, run, NOON).hold)).toBeUndefined();
  });
});
