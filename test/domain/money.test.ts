import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ceilDiv,
  formatUsd,
  formatUsdPlain,
  MAX_AMOUNT_MICRO_USD,
  maxBigint,
  minBigint,
  multiplyUp,
  parseDecimal,
  parseFactor,
  parseUsd,
  toUsd,
} from '#domain/money';

const RUNS = { numRuns: Number(process.env.ASBB_PROPERTY_RUNS ?? 1000) };

const refusal = (message: RegExp) =>
  expect.objectContaining({ name: 'BudgetError', code: 'validation_failed', message: expect.stringMatching(message) });

const anAmount = () => fc.bigInt({ min: -MAX_AMOUNT_MICRO_USD, max: MAX_AMOUNT_MICRO_USD });

describe('parseDecimal', () => {
  it.each<[number | string, number, bigint]>([
    [0, 6, 0n],
    [-0, 6, 0n],
    ['-0', 6, 0n],
    ['-0.00', 2, 0n],
    [1, 0, 1n],
    [1, 6, 1_000_000n],
    [-1, 6, -1_000_000n],
    [0.1, 6, 100_000n],
    [0.3, 1, 3n],
    [1.005, 3, 1_005n],
    [-12.5, 2, -1_250n],
    [0.000001, 6, 1n],
    [1e-7, 7, 1n],
    [-1e-7, 10, -1_000n],
    [1.5e-7, 8, 15n],
    [123456789012345680000, 0, 123_456_789_012_345_680_000n],
    [1e21, 0, 1_000_000_000_000_000_000_000n],
    [1e21, 2, 100_000_000_000_000_000_000_000n],
    [-1.25e21, 0, -1_250_000_000_000_000_000_000n],
    ['0.0000000001', 10, 1n],
    ['13.6104000000', 10, 136_104_000_000n],
    ['007', 0, 7n],
    ['1.50', 1, 15n],
    ['1.500000000', 1, 15n],
    ['-2.000', 0, -2n],
    ['0.123456', 6, 123_456n],
    [`1.${'0'.repeat(62)}`, 0, 1n],
  ])('reads %s with %i decimals as %s', (value, decimals, expected) => {
    expect(parseDecimal(value, decimals)).toBe(expected);
  });

  it.each<[string, number | string]>([
    ['not a number', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['minus infinity', Number.NEGATIVE_INFINITY],
    ['a spelled infinity', 'Infinity'],
    ['an empty text', ''],
    ['a blank', ' '],
    ['a leading blank', ' 1'],
    ['a trailing blank', '1 '],
    ['a trailing line end', '1\n'],
    ['a plus sign', '+1'],
    ['two signs', '--1'],
    ['a sign alone', '-'],
    ['no digit after the point', '1.'],
    ['no digit before the point', '.5'],
    ['two points', '1.2.3'],
    ['a comma', '1,000'],
    ['an exponent', '1e3'],
    ['a negative exponent', '1e-3'],
    ['hexadecimal', '0x10'],
    ['an underscore', '1_000'],
    ['a bigint suffix', '1n'],
    ['a currency', '$1'],
    ['Arabic digits', '١٢'],
    ['emoji', '💸'],
    ['65 characters', `1.${'0'.repeat(63)}`],
    ['a megabyte of digits', '9'.repeat(1_000_000)],
  ])('refuses %s', (_, value) => {
    expect(() => parseDecimal(value, 6)).toThrow(refusal(/plain decimal/));
  });

  it.each<[number | string, number]>([
    [0.1, 0],
    ['0.10', 0],
    [1e-7, 6],
    [1.5e-7, 7],
    [5e-324, 10],
    ['1.2345678', 6],
    ['-0.001', 2],
  ])('refuses %s with more than %i decimals', (value, decimals) => {
    expect(() => parseDecimal(value, decimals)).toThrow(refusal(new RegExp(`at most ${decimals} decimals`)));
  });

  it('reads any double that has no more than the allowed decimals as exactly its shortest decimal', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 15n) + 1n, max: 10n ** 15n - 1n }), fc.integer({ min: 0, max: 20 }), (digits, decimals) => {
        expect(parseDecimal(Number(`${digits}e-${decimals}`), decimals)).toBe(digits);
      }),
      RUNS,
    );
  });
});

describe('parseUsd', () => {
  it.each<[number | string, bigint]>([
    [10, 10_000_000n],
    ['12.50', 12_500_000n],
    [-0.5, -500_000n],
    [999999999.999999, 999_999_999_999_999n],
    ['999999999.9999990', 999_999_999_999_999n],
    [-999999999.999999, -999_999_999_999_999n],
  ])('reads %s dollars', (value, expected) => {
    expect(parseUsd(value)).toBe(expected);
  });

  it.each<[number | string]>([[1_000_000_000], ['1000000000'], ['-1000000000.000000'], [1e21], [-1e300], ['9'.repeat(64)]])(
    'refuses %s dollars: too much',
    (value) => {
      expect(() => parseUsd(value)).toThrow(refusal(/between -999999999\.999999 and 999999999\.999999/));
    },
  );

  it('refuses a seventh decimal', () => {
    expect(() => parseUsd('0.0000001')).toThrow(refusal(/at most 6 decimals/));
  });
});

describe('toUsd', () => {
  it.each<[bigint, number]>([
    [0n, 0],
    [1n, 0.000001],
    [-1n, -0.000001],
    [100_000n, 0.1],
    [-500_000n, -0.5],
    [12_345_678n, 12.345678],
    [999_999_999_999_999n, 999999999.999999],
    [-999_999_999_999_999n, -999999999.999999],
  ])('shows %s micro-USD as %d', (amount, expected) => {
    expect(toUsd(amount)).toBe(expected); // toBe tells 0 from -0.
  });

  it('goes to the nearest double beyond fifteen digits', () => {
    expect(toUsd(12_345_678_901_234_567_891n)).toBe(12345678901234.568);
  });

  it('is undone by parseUsd, also through JSON', () => {
    fc.assert(
      fc.property(anAmount(), (amount) => {
        expect(parseUsd(toUsd(amount))).toBe(amount);
        expect(parseUsd(JSON.parse(JSON.stringify(toUsd(amount))))).toBe(amount);
      }),
      RUNS,
    );
  });

  it('never has more than six decimals, nor an exponent', () => {
    fc.assert(
      fc.property(anAmount(), (amount) => {
        expect(JSON.stringify(toUsd(amount))).toMatch(/^-?\d+(\.\d{1,6})?$/);
      }),
      RUNS,
    );
  });
});

describe('formatUsd and formatUsdPlain', () => {
  it.each<[bigint, string, string]>([
    [0n, '$0.00', '0.00'],
    [1n, '$0.000001', '0.000001'],
    [-1n, '-$0.000001', '-0.000001'],
    [10n, '$0.00001', '0.00001'],
    [100n, '$0.0001', '0.0001'],
    [1_000n, '$0.001', '0.001'],
    [10_000n, '$0.01', '0.01'],
    [100_000n, '$0.10', '0.10'],
    [-500_000n, '-$0.50', '-0.50'],
    [999_999n, '$0.999999', '0.999999'],
    [1_000_000n, '$1.00', '1.00'],
    [12_345_000n, '$12.345', '12.345'],
    [12_305_010n, '$12.30501', '12.30501'],
    [100_000_000n, '$100.00', '100.00'],
    [999_990_000n, '$999.99', '999.99'],
    [1_000_000_000n, '$1,000.00', '1000.00'],
    [1_234_560_000n, '$1,234.56', '1234.56'],
    [-123_456_000_000n, '-$123,456.00', '-123456.00'],
    [1_234_567_890_000n, '$1,234,567.89', '1234567.89'],
    [999_999_999_999_999n, '$999,999,999.999999', '999999999.999999'],
    [-1_234_567_890_000_000n, '-$1,234,567,890.00', '-1234567890.00'],
  ])('prints %s micro-USD as %s for people and %s for machines', (amount, forPeople, plain) => {
    expect(formatUsd(amount)).toBe(forPeople);
    expect(formatUsdPlain(amount)).toBe(plain);
  });

  it('are undone by parseUsd', () => {
    fc.assert(
      fc.property(anAmount(), (amount) => {
        expect(parseUsd(formatUsdPlain(amount))).toBe(amount);
        expect(parseUsd(formatUsd(amount).replace(/[$,]/g, ''))).toBe(amount);
      }),
      RUNS,
    );
  });
});

describe('ceilDiv', () => {
  it.each<[bigint, bigint, bigint]>([
    [0n, 3n, 0n],
    [1n, 3n, 1n],
    [3n, 3n, 1n],
    [4n, 3n, 2n],
    [7n, 1n, 7n],
    [-1n, 3n, 0n],
    [-3n, 3n, -1n],
    [-4n, 3n, -1n],
    [-6n, 3n, -2n],
  ])('%s / %s rounded up is %s', (numerator, denominator, expected) => {
    expect(ceilDiv(numerator, denominator)).toBe(expected);
  });

  it.each([0n, -1n])('takes a denominator of %s for a bug', (denominator) => {
    expect(() => ceilDiv(1n, denominator)).toThrow(expect.objectContaining({ name: 'Error', message: `ceilDiv by ${denominator}` }));
  });

  it('is the smallest whole number that is not below the quotient', () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.bigInt({ min: 1n }), (numerator, denominator) => {
        const quotient = ceilDiv(numerator, denominator);
        expect(quotient * denominator >= numerator).toBe(true);
        expect((quotient - 1n) * denominator < numerator).toBe(true);
      }),
      RUNS,
    );
  });
});

describe('minBigint and maxBigint', () => {
  it.each<[bigint, bigint, bigint, bigint]>([
    [1n, 2n, 1n, 2n],
    [2n, 1n, 1n, 2n],
    [-2n, 1n, -2n, 1n],
    [5n, 5n, 5n, 5n],
  ])('of %s and %s are %s and %s', (a, b, min, max) => {
    expect(minBigint(a, b)).toBe(min);
    expect(maxBigint(a, b)).toBe(max);
  });
});

describe('parseFactor and multiplyUp', () => {
  it.each<[number | string, bigint]>([
    [0, 0n],
    [0.000001, 1n],
    [1, 1_000_000n],
    [1.2, 1_200_000n],
    ['1.20', 1_200_000n],
    [1_000_000, 1_000_000_000_000n],
  ])('reads the factor %s as %s millionths', (value, numerator) => {
    expect(parseFactor(value)).toEqual({ numerator, denominator: 1_000_000n });
  });

  it.each<[number | string]>([[-0.000001], ['-1'], ['1000000.000001'], [1e21]])('refuses the factor %s', (value) => {
    expect(() => parseFactor(value)).toThrow(refusal(/between 0 and 1000000/));
  });

  it('refuses a factor with a seventh decimal', () => {
    expect(() => parseFactor(1.2345678)).toThrow(refusal(/at most 6 decimals/));
  });

  it.each<[bigint, number, bigint]>([
    [10_000_000n, 1.2, 12_000_000n],
    [100_000_000n, 1.1, 110_000_000n],
    [1n, 1.2, 2n],
    [5n, 1.2, 6n],
    [1n, 0.000001, 1n],
    [0n, 1.2, 0n],
    [7n, 0, 0n],
    [-1n, 1.2, -1n],
    [999_999_999_999_999n, 1.2, 1_199_999_999_999_999n],
  ])('%s micro-USD x %d rounded up is %s', (amount, factor, expected) => {
    expect(multiplyUp(amount, parseFactor(factor))).toBe(expected);
  });
});
