import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, type EntryType, holdMore, limitBy, NOTHING, settleShare, spendAvailable } from '#domain/ledger';
import { type HeldFor, mergedUsage, summarised, USAGE_KEYS, type Usage, usageOf } from '#domain/usage';
import { NOON } from '#test/support/builders';

const anEntry = (given: Partial<Entry> = {}): Entry => ({
  entryId: '01',
  at: NOON,
  account: 'physics',
  type: 'settle',
  amount: 5n,
  movement: settleShare({ share: 8n, cost: 5n }),
  holdId: 'h',
  jobId: '7',
  runId: 'r',
  user: 'curie',
  note: null,
  partition: 'aws',
  nodeSeconds: 7200,
  ...given,
});

const aRow = (given: Partial<Usage> = {}): Usage => ({
  account: 'physics',
  day: '2026-03-14',
  user: 'curie',
  partition: 'aws',
  used: 5n,
  jobs: 1,
  nodeSeconds: 7200,
  ...given,
});

describe('usageOf', () => {
  it('is what the run of an entry cost and had, on the day that it was booked', () => {
    expect(usageOf(anEntry())).toEqual([aRow()]);
  });

  it('knows neither partition nor time of an entry that is older than they are', () => {
    const { partition: _, nodeSeconds: __, ...old } = anEntry({ user: null });
    expect(usageOf(old)).toEqual([aRow({ user: null, partition: null, nodeSeconds: 0 })]);
  });

  it.each<[EntryType, Partial<Entry>, Partial<Usage> | undefined]>([
    ['settle', { movement: spendAvailable(9n) }, { used: 9n }],
    ['late_settle', { movement: spendAvailable(9n) }, { used: 9n }],
    ['write_off', { movement: holdMore(-8n) }, { used: 0n }],
    ['settle', { movement: NOTHING }, { used: 0n }],
    ['correction', { movement: spendAvailable(-3n), nodeSeconds: 0 }, { used: -3n, jobs: 0, nodeSeconds: 0 }],
    ['correction', { movement: NOTHING }, undefined],
    ['repair', { movement: spendAvailable(9n) }, undefined],
    ['hold', { movement: holdMore(9n) }, undefined],
    ['release', { movement: holdMore(-9n) }, undefined],
    ['deposit', { movement: limitBy(9n) }, undefined],
  ])('%s (row %#)', (type, given, expected) => {
    expect(usageOf(anEntry({ type, ...given }))).toEqual(expected === undefined ? [] : [aRow(expected)]);
  });
});

describe('mergedUsage', () => {
  it('makes one row of each account, day, user and partition', () => {
    const others = [
      aRow({ account: 'art' }),
      aRow({ day: '2026-03-15' }),
      aRow({ user: null }),
      aRow({ partition: null }),
      aRow({ user: 'a#b', partition: 'c' }),
    ];
    expect(mergedUsage([aRow(), ...others, aRow({ used: -2n, jobs: 0, nodeSeconds: 0 })])).toEqual([aRow({ used: 3n }), ...others]);
  });
});

describe('summarised', () => {
  const held: HeldFor = { account: 'physics', user: null, partition: 'gpu', day: '2026-04-01', held: 4n };
  const rows = [
    aRow(),
    aRow({ user: 'bohr', day: '2026-04-30', used: 7n }),
    aRow({ user: null, account: 'art', partition: 'gpu', jobs: 3 }),
  ];
  const row = (key: string | null, used: bigint, jobs: number, hours: number, now = 0n) => ({
    key,
    used,
    jobs,
    nodeSeconds: hours * 3600,
    held: now,
  });

  it.each([
    ['account', [row('art', 5n, 3, 2), row('physics', 12n, 2, 4, 4n)]],
    ['user', [row('bohr', 7n, 1, 2), row('curie', 5n, 1, 2), row(null, 5n, 3, 2, 4n)]],
    ['partition', [row('aws', 12n, 2, 4), row('gpu', 5n, 3, 2, 4n)]],
    ['month', [row('2026-03', 10n, 4, 4), row('2026-04', 7n, 1, 2, 4n)]],
  ] as const)('by %s', (by, expected) => {
    const total = { used: 17n, jobs: 5, nodeSeconds: 6 * 3600, held: 4n };
    expect(summarised(rows, [held, { ...held, account: 'bio', held: 0n }], by)).toEqual({ rows: expected, total });
  });

  it('has no row where holds were closed and nothing ran, but one for whatever a run had', () => {
    const nothing = { used: 0n, jobs: 0, nodeSeconds: 0 };
    const users = [
      aRow({ user: 'a', ...nothing }),
      aRow({ user: 'b', ...nothing, nodeSeconds: -1 }),
      aRow({ user: 'c', ...nothing, jobs: 1 }),
    ];
    expect(summarised(users, [], 'user').rows.map(({ key }) => key)).toEqual(['b', 'c']);
  });

  it('has the same total whatever it is summed up by', () => {
    const word = fc.constantFrom(null, 'a', 'b', 'c');
    const usage = fc.record({
      account: fc.constantFrom('x', 'y'),
      day: fc.constantFrom('2026-01-31', '2026-02-01', '2026-02-02'),
      user: word,
      partition: word,
      used: fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }),
      jobs: fc.nat(9),
      nodeSeconds: fc.nat(1e6),
    });
    fc.assert(
      fc.property(fc.array(usage), (given) => {
        const sum = given.reduce((total, { used }) => total + used, 0n);
        for (const by of USAGE_KEYS) {
          const { rows: summed, total } = summarised(given, [], by);
          expect(total.used).toBe(sum);
          expect(summed.reduce((all, { used }) => all + used, 0n)).toBe(sum);
          expect(new Set(summed.map(({ key }) => key)).size).toBe(summed.length);
        }
      }),
    );
  });
});
