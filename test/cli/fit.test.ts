import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitted, inLines } from '#cli/fit';

describe('a sentence in lines', () => {
  it('is broken between words, and goes on below where it began', () => {
    const sentence = 'account chem has $249.09 available; this job needs $470.02 held';
    expect(`asbb: ${inLines(sentence, { width: 41, indent: 6 })}`).toBe(
      'asbb: account chem has $249.09 available;\n      this job needs $470.02 held',
    );
  });

  it('has its commands whole, so that they can be copied', () => {
    const sentence = "there is none: write one with 'asbb config init --force' (or 'asbb local'), and see the cluster's own page";
    expect(inLines(sentence, { width: 50, indent: 0 }).split('\n')).toEqual([
      'there is none: write one with',
      "'asbb config init --force' (or 'asbb local'), and",
      "see the cluster's own page",
    ]);
  });

  it.each([
    ['on a pipe', undefined],
    ['on a terminal on which a word a line would be left', 20],
  ])('is one line %s', (_, width) => {
    const sentence = 'word '.repeat(40).trim();
    expect(inLines(sentence, { width, indent: 6 })).toBe(sentence);
  });

  it('says what it said, in lines that fit unless a word does not', () => {
    const words = fc.array(fc.stringMatching(/^[a-z(.'-]{1,12}$/), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(words, fc.integer({ min: 40, max: 100 }), (said, width) => {
        const sentence = said.join(' ');
        const lines = inLines(sentence, { width, indent: 6 }).split('\n');
        expect(lines.map((line) => line.trim()).join(' ')).toBe(sentence);
        const isWhole = (line: string) => !line.trim().includes(' ') || /'[^']+'/.test(line);
        for (const line of lines.map((each, i) => (i === 0 ? ' '.repeat(6) + each : each)))
          if (!isWhole(line)) expect(line.length).toBeLessThanOrEqual(width);
      }),
    );
  });
});

describe('columns', () => {
  const column = (header: string, width: number, more = {}) => ({
    header,
    flexible: false,
    dispensable: 0,
    cells: ['x'.repeat(width)],
    ...more,
  });
  const grid = [
    column('ID', 36),
    column('NAME', 40, { flexible: true }),
    column('STATE', 10, { dispensable: 1 }),
    column('TIME', 20, { dispensable: 2 }),
  ];
  const shown = (width: number | undefined) => {
    const { columns, widths, hidden } = fitted(grid, width);
    return { names: columns.map(({ header }) => header).join(' '), widths, hidden };
  };

  it.each([
    [undefined, 'ID NAME STATE TIME', [null, null, null, null], []],
    [112, 'ID NAME STATE TIME', [null, null, null, null], []],
    [100, 'ID NAME STATE TIME', [null, 28, null, null], []],
    [70, 'ID NAME STATE', [null, 20, null], ['TIME']],
    [50, 'ID NAME', [null, 12], ['STATE', 'TIME']],
    [20, 'ID NAME', [null, 8], ['STATE', 'TIME']],
  ])('on %s: %s', (width, names, widths, hidden) => {
    expect(shown(width)).toEqual({ names, widths, hidden });
  });
});
