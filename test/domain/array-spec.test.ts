import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ArraySpec, countTasks, formatArraySpec, MAX_ARRAY_INDEX, parseArraySpec } from '#domain/array-spec';

const RUNS = { numRuns: Number(process.env.ASBB_PROPERTY_RUNS ?? 1000) };

const refusal = (message: RegExp) =>
  expect.objectContaining({ name: 'BudgetError', code: 'validation_failed', message: expect.stringMatching(message) });

const single = (index: number) => ({ first: index, last: index, step: 1 });

const aRange = (max: number) =>
  fc
    .tuple(fc.nat({ max }), fc.nat({ max }), fc.integer({ min: 1, max: Math.min(max, 7) }))
    .map(([a, b, step]) => ({ first: Math.min(a, b), last: Math.max(a, b), step: a === b ? 1 : step }));

const aSpec = (max: number): fc.Arbitrary<ArraySpec> =>
  fc.record(
    { ranges: fc.array(aRange(max), { minLength: 1, maxLength: 8 }), throttle: fc.integer({ min: 1, max: 4_294_967_295 }) },
    { requiredKeys: ['ranges'] },
  );

describe('parseArraySpec', () => {
  it.each<[string, ArraySpec]>([
    ['7', { ranges: [single(7)] }],
    ['0', { ranges: [single(0)] }],
    ['007', { ranges: [single(7)] }],
    ['0-15', { ranges: [{ first: 0, last: 15, step: 1 }] }],
    ['0-15:4', { ranges: [{ first: 0, last: 15, step: 4 }] }],
    ['0-15:1', { ranges: [{ first: 0, last: 15, step: 1 }] }],
    ['5-5', { ranges: [single(5)] }],
    ['5-5:3', { ranges: [single(5)] }],
    ['0-3:9', { ranges: [{ first: 0, last: 3, step: 9 }] }],
    ['1,3,5', { ranges: [single(1), single(3), single(5)] }],
    ['5,1', { ranges: [single(5), single(1)] }],
    ['1-5:2,9%4', { ranges: [{ first: 1, last: 5, step: 2 }, single(9)], throttle: 4 }],
    ['0-3%1', { ranges: [{ first: 0, last: 3, step: 1 }], throttle: 1 }],
    ['1%4294967295', { ranges: [single(1)], throttle: 4_294_967_295 }],
    ['4000000', { ranges: [single(4_000_000)] }],
    ['0-4000000:4000000', { ranges: [{ first: 0, last: 4_000_000, step: 4_000_000 }] }],
  ])('reads %s', (text, spec) => {
    expect(parseArraySpec(text)).toStrictEqual(spec);
  });

  it.each([
    '',
    ' ',
    ' 1',
    '1 ',
    '1, 3',
    '1\n',
    '1%4\n',
    ',',
    '1,',
    ',1',
    '1,,3',
    '%4',
    '1%',
    '1%4%2',
    '1%4,5',
    '1% 4',
    '1%+4',
    '1%-4',
    '1%x',
    '1%4x',
    '-',
    '1-',
    '-5',
    '1-5-9',
    '1-5:',
    '1:2',
    '1-5:2:3',
    '1-5:-2',
    '[1-5]',
    '123_[4-9]',
    '1.5',
    '1e3',
    '0x10',
    'a',
    '1;2',
    '١',
    '🧮',
    ','.repeat(65_536),
  ])('refuses %o and shows how to write an array', (text) => {
    expect(() => parseArraySpec(text)).toThrow(refusal(/1-5:2,9%4.*no blanks, no brackets/));
  });

  it.each<[string, RegExp]>([
    ['9-1', /range 9-1 with its smaller index first/],
    ['1-5,4-3', /range 4-3 with its smaller index first/],
    ['1-5:0', /step of at least 1/],
    ['5-5:0', /step of at least 1/],
    ['4000001', /at most 4000000/],
    ['0-4000001', /at most 4000000/],
    ['4000001-0', /at most 4000000/],
    ['0-4:4000001', /at most 4000000/],
    ['100000000000', /at most 4000000/],
    ['1000000000000000000000000000000', /at most 4000000/],
    ['0-1000000000000000000000000000000', /at most 4000000/],
    ['9'.repeat(65_536), /at most 4000000/],
    ['1%0', /throttle.*between 1 and 4294967295/],
    ['1%4294967296', /throttle.*between 1 and 4294967295/],
    [`1%${'9'.repeat(60_000)}`, /throttle.*between 1 and 4294967295/],
    ['1'.repeat(65_537), /at most 65536 characters/],
  ])('refuses %.40s', (text, message) => {
    expect(() => parseArraySpec(text)).toThrow(refusal(message));
  });

  it('reads 64 KiB of indices', () => {
    expect(parseArraySpec(`${'1,'.repeat(32_767)}12`).ranges).toHaveLength(32_768);
  });

  it('refuses stepped ranges that would take too long to count', () => {
    const almostFull = '0-3999998:2,1-3999999:2,2-4000000:2,1-3999995:2'; // 7,999,998 indices, one by one.
    expect(countTasks(parseArraySpec(`${almostFull},0-2:2`))).toBe(4_000_001);
    expect(countTasks(parseArraySpec(`${almostFull},0-2:2,2-0002:2,0-3:2`))).toBe(4_000_001);
    expect(() => parseArraySpec(`${almostFull},0-4:2`)).toThrow(refusal(/fewer or shorter stepped ranges/));
  });
});

describe('formatArraySpec', () => {
  it.each<[ArraySpec, string]>([
    [{ ranges: [single(7)] }, '7'],
    [{ ranges: [{ first: 0, last: 15, step: 1 }] }, '0-15'],
    [{ ranges: [{ first: 0, last: 15, step: 4 }] }, '0-15:4'],
    [{ ranges: [{ first: 1, last: 5, step: 2 }, single(9)], throttle: 4 }, '1-5:2,9%4'],
  ])('prints %o as %s', (spec, text) => {
    expect(formatArraySpec(spec)).toBe(text);
  });

  it('is undone by parseArraySpec', () => {
    fc.assert(
      fc.property(aSpec(MAX_ARRAY_INDEX), (spec) => {
        fc.pre(spec.ranges.reduce((sum, { first, last }) => sum + last - first, 0) < 8_000_000);
        expect(parseArraySpec(formatArraySpec(spec))).toStrictEqual({ ...spec });
      }),
      RUNS,
    );
  });
});

describe('countTasks', () => {
  it.each<[string, number]>([
    ['7', 1],
    ['0', 1],
    ['0-15', 16],
    ['0-15:4', 4],
    ['0-16:4', 5],
    ['0-3:9', 1],
    ['1,3,5', 3],
    ['1-5:2,9%4', 4],
    ['7,7,7', 1],
    ['1-10,1-10', 10],
    ['1-10,5-20', 20],
    ['5-20,1-10', 20],
    ['1-10,2-3', 10],
    ['1-10,2-3,9-11', 11],
    ['1-3,4-6', 6],
    ['1-3,3-3', 3],
    ['1-3,5', 4],
    ['0-10:2,0-10:2', 6],
    ['0-10:2,0-11:2', 6],
    ['0-10:2,1-11:2', 12],
    ['0-12:2,0-12:3', 9],
    ['0-12:3,0-12:2', 9],
    ['0-10:2,4', 6],
    ['0-10:2,5', 7],
    ['0-10:2,3-7', 9],
    ['3-7,0-10:2', 9],
    ['0-100,0-10:2', 101],
    ['0-10:2,20-30', 17],
    ['0-10:5,0-3:9', 3],
    ['0-10:5,1-3:9', 4],
    ['0-4000000', 4_000_001],
    ['0-4000000:2', 2_000_001],
    ['0-4000000:4000000', 2],
    ['4000000,3999999,4000000', 2],
  ])('finds in %s %i tasks', (text, tasks) => {
    expect(countTasks(parseArraySpec(text))).toBe(tasks);
  });

  it('counts each distinct index once', () => {
    fc.assert(
      fc.property(aSpec(40), (spec) => {
        const indices = new Set<number>();
        for (const { first, last, step } of spec.ranges) for (let i = first; i <= last; i += step) indices.add(i);
        expect(countTasks(spec)).toBe(indices.size);
      }),
      RUNS,
    );
  });

  it('does not depend on the order of the ranges, nor on saying one twice', () => {
    fc.assert(
      fc.property(aSpec(1_000), ({ ranges }) => {
        const tasks = countTasks({ ranges });
        expect(countTasks({ ranges: ranges.toReversed() })).toBe(tasks);
        expect(countTasks({ ranges: [...ranges, ...ranges] })).toBe(tasks);
      }),
      RUNS,
    );
  });

  it('refuses a spec made by hand that it cannot count', () => {
    const ranges = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((step) => ({ first: 0, last: MAX_ARRAY_INDEX, step }));
    expect(countTasks({ ranges: ranges.slice(0, 5) })).toBe(2_933_335); // All that 2, 3 or 5 divide.
    expect(() => countTasks({ ranges })).toThrow(refusal(/fewer or shorter stepped ranges/));
  });
});

describe('64 KiB of a hostile array', () => {
  const repeatTo64KiB = (part: (i: number) => string) => {
    const parts: string[] = [];
    for (let length = 0, i = 0; ; i += 1) {
      const next = part(i);
      length += next.length + 1;
      if (length > 65_536) return parts.join(',');
      parts.push(next);
    }
  };

  // Each takes some milliseconds; the bound is loose because the machines that run tests are shared.
  it.each<[string, string, number | 'refused']>([
    ['one full range over and over', repeatTo64KiB(() => '0-4000000'), 4_000_001],
    ['one stepped range over and over', repeatTo64KiB(() => '0-4000000:2'), 2_000_001],
    ['nested ranges', repeatTo64KiB((i) => `${i}-${4_000_000 - i}`), 4_000_001],
    ['nested ranges, innermost first', repeatTo64KiB((i) => `${9_000 - i}-${3_000_000 + i}`), 3_001_081],
    ['ever other steps', repeatTo64KiB((i) => `0-4000000:${i + 2}`), 'refused'],
    ['ever other starts', repeatTo64KiB((i) => `${i}-4000000:2`), 'refused'],
    ['many short stepped ranges', repeatTo64KiB((i) => `${i * 4}-${i * 4 + 2}:2`), 10_154],
    ['single indices', repeatTo64KiB((i) => `${i}`), 12_774],
  ])('of %s is counted or refused at once', (_, text, expected) => {
    const started = performance.now();
    let outcome: number | 'refused';
    try {
      outcome = countTasks(parseArraySpec(text));
    } catch {
      outcome = 'refused';
    }
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(outcome).toBe(expected);
  });
});
