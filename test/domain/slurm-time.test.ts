import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatWallTime, MAX_WALL_TIME_SECONDS, parseWallTime } from '#domain/slurm-time';

const RUNS = { numRuns: Number(process.env.ASBB_PROPERTY_RUNS ?? 1000) };

const refusal = (message: RegExp) =>
  expect.objectContaining({ name: 'BudgetError', code: 'validation_failed', message: expect.stringMatching(message) });

describe('parseWallTime', () => {
  it.each<[string, number]>([
    ['1', 60],
    ['90', 5_400],
    ['0001', 60],
    ['0:01', 1],
    ['1:00', 60],
    ['90:00', 5_400],
    ['1:30', 90],
    ['0:600', 600],
    ['1:00:00', 3_600],
    ['6:00:00', 21_600],
    ['00:00:01', 1],
    ['1:2:3', 3_723],
    ['100:99:98', 366_038],
    ['1-0', 86_400],
    ['0-1', 3_600],
    ['2-3', 183_600],
    ['1-36', 216_000],
    ['0-0:1', 60],
    ['2-3:4', 183_840],
    ['0-0:0:1', 1],
    ['2-3:4:5', 183_845],
    ['01-02:03:04', 93_784],
    ['36525-0', 3_155_760_000],
    ['36525-00:00:00', 3_155_760_000],
    ['52596000', 3_155_760_000],
    ['0:3155760000', 3_155_760_000],
    [`${'0'.repeat(31)}7`, 420],
  ])('reads %s as %i seconds', (text, seconds) => {
    expect(parseWallTime(text)).toBe(seconds);
  });

  it.each(['0', '000', '0:0', '00:00', '0:00:00', '0-0', '0-0:0', '0-00:00:00', 'UNLIMITED', 'unlimited', 'Infinite', 'INFINITE', '-1'])(
    'reads %s as none',
    (text) => {
      expect(parseWallTime(text)).toBeNull();
    },
  );

  it.each([
    '',
    ' ',
    ' 5',
    '5 ',
    '5\n',
    '\n5',
    '-1\n',
    '1 - 2',
    '1.5',
    '1e3',
    '0x10',
    '+5',
    '-5',
    '-2',
    '-0',
    '-1:00',
    '1-',
    '-',
    ':',
    ':5',
    '5:',
    '1::2',
    '1-:2',
    '1-2:',
    '1-2:3:',
    '1-2-3',
    '1:2-3',
    '1:2:3:4',
    '1-2:3:4:5',
    '1h',
    'x1',
    'x1:2',
    'x1:2:3',
    'x1-2',
    'x1-2:3',
    'x1-2:3:4',
    '1-2:3:4x',
    '60min',
    'NONE',
    'UNLIMITED1',
    'XUNLIMITED',
    'INFINITEX',
    'unlimited ',
    '١٢',
    '⏰',
    '0'.repeat(33),
    '9'.repeat(1_000_000),
    `1${':1'.repeat(500_000)}`,
  ])('refuses %o and names the forms', (text) => {
    expect(() => parseWallTime(text)).toThrow(refusal(/minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS.*UNLIMITED/));
  });

  it.each(['36525-00:00:01', '0:3155760001', '52596001', '876600:0:1', '99999999999999999999999999999999'])(
    'refuses %s: longer than a century',
    (text) => {
      expect(() => parseWallTime(text)).toThrow(refusal(/at most 36525-00:00:00/));
    },
  );
});

describe('formatWallTime', () => {
  it.each<[number, string]>([
    [0, '00:00:00'],
    [1, '00:00:01'],
    [59, '00:00:59'],
    [60, '00:01:00'],
    [3_599, '00:59:59'],
    [3_600, '01:00:00'],
    [7_380, '02:03:00'],
    [86_399, '23:59:59'],
    [86_400, '1-00:00:00'],
    [183_845, '2-03:04:05'],
    [8_640_000, '100-00:00:00'],
    [3_155_760_000, '36525-00:00:00'],
  ])('prints %i seconds as %s', (seconds, text) => {
    expect(formatWallTime(seconds)).toBe(text);
  });

  it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('takes %d seconds for a bug', (seconds) => {
    expect(() => formatWallTime(seconds)).toThrow(
      expect.objectContaining({ name: 'Error', message: expect.stringContaining('whole seconds') }),
    );
  });

  it('is undone by parseWallTime', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_WALL_TIME_SECONDS }), (seconds) => {
        expect(parseWallTime(formatWallTime(seconds))).toBe(seconds);
      }),
      RUNS,
    );
  });
});

describe('the forms of a wall time', () => {
  it('weigh days, hours, minutes and seconds whatever their range', () => {
    const part = fc.nat({ max: 9_999 });
    fc.assert(
      fc.property(part, part, part, part, (d, h, m, s) => {
        const orNone = (seconds: number) => (seconds === 0 ? null : seconds);
        expect(parseWallTime(`${m}`)).toBe(orNone(m * 60));
        expect(parseWallTime(`${m}:${s}`)).toBe(orNone(m * 60 + s));
        expect(parseWallTime(`${h}:${m}:${s}`)).toBe(orNone(h * 3_600 + m * 60 + s));
        expect(parseWallTime(`${d}-${h}`)).toBe(orNone(d * 86_400 + h * 3_600));
        expect(parseWallTime(`${d}-${h}:${m}`)).toBe(orNone(d * 86_400 + h * 3_600 + m * 60));
        expect(parseWallTime(`${d}-${h}:${m}:${s}`)).toBe(orNone(d * 86_400 + h * 3_600 + m * 60 + s));
      }),
      RUNS,
    );
  });

  it('never let an arbitrary text end in anything but seconds, none or a refusal', () => {
    const almostATime = fc.string({ unit: fc.constantFrom('0', '1', '9', ':', '-', ' ', '.', 'U', '💥'), maxLength: 40 });
    fc.assert(
      fc.property(almostATime, (text) => {
        let seconds: number | null;
        try {
          seconds = parseWallTime(text);
        } catch (error) {
          expect(error).toEqual(refusal(/Write/));
          return;
        }
        expect(seconds === null || (Number.isInteger(seconds) && seconds > 0 && seconds <= MAX_WALL_TIME_SECONDS)).toBe(true);
      }),
      RUNS,
    );
  });
});
