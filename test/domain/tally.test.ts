import { describe, expect, it } from 'vitest';
import { type Entry, holdMore, limitBy, settleShare, spendAvailable } from '#domain/ledger';
import { BORN_HERE, EMPTY_TALLY, explains, runKey, tallied, withSummedRuns } from '#domain/tally';
import { NOON } from '#test/support/builders';

const anEntry = (given: Partial<Entry>): Entry => ({
  ...{ entryId: 'e', at: NOON, account: 'physics', type: 'hold', amount: 0n, movement: holdMore(0n) },
  ...{ holdId: 'h', jobId: null, runId: null, user: null, note: null },
  ...given,
});

const PLACED = anEntry({ movement: holdMore(12n) });
const SETTLED = anEntry({ type: 'settle', at: NOON + 1, runId: 'r', movement: settleShare({ share: 12n, cost: 5n }) });
const CORRECTED = anEntry({ type: 'correction', at: NOON + 2, runId: 'r', movement: spendAvailable(-2n) });
const LATE = anEntry({ type: 'late_settle', holdId: null, owner: 'job.hpc.1', runId: 'r', movement: spendAvailable(7n) });

describe('tallied', () => {
  it('adds up columns, holds and runs', () => {
    const opened = anEntry({ type: 'deposit', holdId: null, movement: limitBy(100n) });
    expect(tallied(EMPTY_TALLY, [opened, PLACED, SETTLED, CORRECTED, LATE])).toStrictEqual({
      columns: { available: 90n, held: 0n, used: 10n, limit: 100n },
      count: 5,
      holds: new Map([['h', { held: 0n, used: 3n, since: BORN_HERE, runs: new Map([['r', 3n]]), summedRuns: null }]]),
      runs: new Map([['job.hpc.1 r', { owner: 'job.hpc.1', runId: 'r', used: 7n, isBooked: true }]]),
    });
  });

  it('leaves what it began with as it was', () => {
    const before = tallied(EMPTY_TALLY, [PLACED, SETTLED]);
    tallied(before, [CORRECTED, LATE]);
    expect(before.holds.get('h')?.runs.get('r')).toBe(5n);
    expect(before.runs.size).toBe(0);
  });

  it.each([[[PLACED, SETTLED, CORRECTED]], [[CORRECTED, SETTLED, PLACED]]])('does not ask for an order', (entries) => {
    const whole = tallied(EMPTY_TALLY, entries);
    const parts = entries.reduce((tally, entry) => tallied(tally, [entry]), EMPTY_TALLY);
    expect(whole).toStrictEqual(parts);
    expect(whole.holds.get('h')).toStrictEqual({ held: 0n, used: 3n, since: BORN_HERE, runs: new Map([['r', 3n]]), summedRuns: null });
  });

  it('says since when it knows a hold that was not born in this ledger', () => {
    const arrived = anEntry({ type: 'adjust', at: NOON + 1, movement: holdMore(12n) });
    expect(tallied(EMPTY_TALLY, [arrived, SETTLED]).holds.get('h')?.since).toBe(NOON + 1);
  });

  it('takes a forced hold for a birth', () => {
    expect(tallied(EMPTY_TALLY, [anEntry({ type: 'forced_hold' })]).holds.get('h')?.since).toBe(BORN_HERE);
  });

  it('does not take a correction alone for a booking', () => {
    const correction = { ...LATE, type: 'correction', movement: spendAvailable(1n) } as const;
    const key = runKey({ owner: 'job.hpc.1', runId: 'r' });
    expect(tallied(EMPTY_TALLY, [correction]).runs.get(key)).toMatchObject({ used: 1n, isBooked: false });
    expect(tallied(EMPTY_TALLY, [correction, LATE]).runs.get(key)).toMatchObject({ used: 8n, isBooked: true });
  });

  it('takes the run of a correction for its owner’s, and the cost for the hold’s', () => {
    const correction = anEntry({ type: 'correction', owner: 'h', runId: 'early', movement: spendAvailable(1n) });
    const { holds, runs } = tallied(EMPTY_TALLY, [PLACED, correction]);
    expect(holds.get('h')).toMatchObject({ used: 1n, runs: new Map() });
    expect([...runs.keys()]).toStrictEqual(['h early']);
  });

  it('knows no run of an entry that names none', () => {
    expect(tallied(EMPTY_TALLY, [{ ...LATE, runId: null }]).runs.size).toBe(0);
  });
});

describe('withSummedRuns', () => {
  it('sums runs up, again and again', () => {
    const [hold] = tallied(EMPTY_TALLY, [PLACED, SETTLED]).holds.values();
    if (hold === undefined) throw new Error('it was placed');
    const once = withSummedRuns(hold);
    expect(once).toMatchObject({ runs: new Map(), summedRuns: 5n });
    expect(withSummedRuns(once)).toBe(once);
    expect(withSummedRuns({ ...once, runs: new Map([['b', 2n]]) })).toMatchObject({ runs: new Map(), summedRuns: 7n });
  });
});

describe('explains', () => {
  const sumOf = (...entries: readonly Entry[]) => {
    const { columns, count } = tallied(EMPTY_TALLY, entries);
    return { ...columns, entryCount: count };
  };
  const known = tallied(EMPTY_TALLY, [PLACED]);

  it.each([
    ['none of them', sumOf(PLACED), true],
    ['the first', sumOf(PLACED, SETTLED), true],
    ['the second', sumOf(PLACED, LATE), true],
    ['all of them', sumOf(PLACED, LATE, SETTLED, CORRECTED), true],
    ['a column that is off', { ...sumOf(PLACED, LATE), used: 8n }, false],
    ['a column that is off by another’s movement', { ...sumOf(PLACED), used: 7n }, false],
    ['fewer than are known', { ...sumOf(PLACED), entryCount: 0 }, false],
    ['more than there are', { ...sumOf(PLACED, LATE), entryCount: 9 }, false],
    ['another number of them', { ...sumOf(PLACED), entryCount: 2 }, false],
  ])('chooses among what came in meanwhile: %s', (_, account, expected) => {
    expect(explains(known, account, [SETTLED, LATE, CORRECTED])).toBe(expected);
  });

  it('does not try more than a dozen', () => {
    const uncertain = Array.from({ length: 13 }, () => LATE);
    expect(explains(known, sumOf(PLACED, LATE), uncertain.slice(1))).toBe(true);
    expect(explains(known, sumOf(PLACED, LATE), uncertain)).toBe(false);
  });

  it('counts a repair, which moves nothing', () => {
    const repair = anEntry({ type: 'repair', holdId: null, movement: limitBy(3n) });
    expect(explains(known, sumOf(PLACED, repair), [repair])).toBe(true);
  });
});
