import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatMemory, MAX_MEMORY_MIB, parseMemoryMib } from '#domain/memory';

const RUNS = { numRuns: Number(process.env.ASBB_PROPERTY_RUNS ?? 1000) };

const refusal = (message: RegExp) =>
  expect.objectContaining({ name: 'BudgetError', code: 'validation_failed', message: expect.stringMatching(message) });

describe('parseMemoryMib', () => {
  it.each<[string | number, number]>([
    [16384, 16_384],
    [0, 0],
    [-0, 0],
    ['0', 0],
    ['0G', 0],
    ['0K', 0],
    ['16384', 16_384],
    ['16000M', 16_000],
    ['16000m', 16_000],
    ['16G', 16_384],
    ['16g', 16_384],
    ['1T', 1_048_576],
    ['2t', 2_097_152],
    ['1P', 1_073_741_824],
    ['3p', 3_221_225_472],
    ['1K', 1],
    ['1023k', 1],
    ['1024K', 1],
    ['1025K', 2],
    ['2048K', 2],
    ['007G', 7_168],
    [`${'0'.repeat(30)}1G`, 1_024],
    ['4096P', 4_398_046_511_104],
    ['4398046511104', 4_398_046_511_104],
    [4_398_046_511_104, 4_398_046_511_104],
    ['4503599627370496K', 4_398_046_511_104],
    ['4503599627370495K', 4_398_046_511_104],
    ['4503599627369472K', 4_398_046_511_103],
  ])('reads %s as %i MiB', (value, mib) => {
    expect(parseMemoryMib(value)).toBe(mib);
  });

  it.each<[string | number]>([
    [''],
    [' '],
    [' 16G'],
    ['16G '],
    ['16 G'],
    ['16G\n'],
    ['G'],
    ['1.5G'],
    ['1,5G'],
    ['-1'],
    ['+1'],
    ['-1G'],
    ['16GB'],
    ['16GiB'],
    ['16Gn'],
    ['16Gc'],
    ['16B'],
    ['16E'],
    ['1e3'],
    ['0x10'],
    ['16\u212a'], // KELVIN SIGN, which some case foldings take for a K.
    ['٣G'],
    ['🐘'],
    ['0'.repeat(33)],
    ['9'.repeat(1_000_000)],
    [1.5],
    [-1],
    [1e21],
    [Number.NaN],
    [Number.POSITIVE_INFINITY],
  ])('refuses %o', (value) => {
    expect(() => parseMemoryMib(value)).toThrow(refusal(/whole number of MiB.*suffix/));
  });

  it.each<[string | number]>([
    ['4398046511105'],
    [4_398_046_511_105],
    ['4097P'],
    ['4503599627370497K'],
    ['9'.repeat(32)],
    [`${'9'.repeat(31)}P`],
  ])('refuses %s: too much', (value) => {
    expect(() => parseMemoryMib(value)).toThrow(refusal(/at most 4096P/));
  });
});

describe('formatMemory', () => {
  it.each<[number, string]>([
    [0, '0M'],
    [1, '1M'],
    [1_023, '1023M'],
    [1_024, '1G'],
    [1_025, '1025M'],
    [16_000, '16000M'],
    [16_384, '16G'],
    [1_047_552, '1023G'],
    [1_048_576, '1T'],
    [1_049_600, '1025G'],
    [1_073_741_824, '1P'],
    [1_074_790_400, '1025T'],
    [4_398_046_511_104, '4096P'],
  ])('prints %i MiB as %s', (mib, text) => {
    expect(formatMemory(mib)).toBe(text);
  });

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('takes %d MiB for a bug', (mib) => {
    expect(() => formatMemory(mib)).toThrow(expect.objectContaining({ name: 'Error', message: expect.stringContaining('whole MiB') }));
  });

  it('is undone by parseMemoryMib', () => {
    const sizes = fc.oneof(
      fc.maxSafeNat().map((n) => n % (MAX_MEMORY_MIB + 1)),
      fc.nat({ max: 4_096 }).map((n) => n * 1_024),
      fc.nat({ max: 4_096 }).map((n) => n * 1_048_576),
      fc.nat({ max: 4_096 }).map((n) => n * 1_073_741_824),
    );
    fc.assert(
      fc.property(sizes, (mib) => {
        expect(parseMemoryMib(formatMemory(mib))).toBe(mib);
        expect(parseMemoryMib(mib)).toBe(mib);
        expect(parseMemoryMib(`${mib}`)).toBe(mib);
      }),
      RUNS,
    );
  });
});
