// Arithmetic as people write it, done exactly: `2 nodes * (60 + 4) min / 60 * 3.06`. Words are for the reader.

interface Fraction {
  readonly top: bigint;
  readonly bottom: bigint;
}

const OPERATIONS: Readonly<Record<string, (a: Fraction, b: Fraction) => Fraction>> = {
  '+': (a, b) => ({ top: a.top * b.bottom + b.top * a.bottom, bottom: a.bottom * b.bottom }),
  '*': (a, b) => ({ top: a.top * b.top, bottom: a.bottom * b.bottom }),
  '/': (a, b) => ({ top: a.top * b.bottom, bottom: a.bottom * b.top }),
};

/** In micro-dollars, rounded up. */
export const dollarsOf = (arithmetic: string): bigint => {
  const tokens = arithmetic.replace(/[A-Za-z]+/g, '').match(/[\d.]+|[()+*/]/g) ?? [];
  const { top, bottom } = sumOf(tokens);
  if (tokens.length > 0) throw new Error(`cannot read '${arithmetic}'`);
  return (top * 1_000_000n + bottom - 1n) / bottom;
};

const sumOf = (tokens: string[]): Fraction => chain(tokens, ['+'], (rest) => chain(rest, ['*', '/'], numberOf));

const chain = (tokens: string[], operators: readonly string[], next: (tokens: string[]) => Fraction): Fraction => {
  let value = next(tokens);
  while (operators.includes(tokens[0] ?? '')) value = OPERATIONS[tokens.shift() ?? '']?.(value, next(tokens)) ?? value;
  return value;
};

const numberOf = (tokens: string[]): Fraction => {
  const token = tokens.shift() ?? '';
  if (token === '(') {
    const value = sumOf(tokens);
    if (tokens.shift() !== ')') throw new Error('a bracket is not closed');
    return value;
  }
  const [whole = '', decimals = ''] = token.split('.');
  return { top: BigInt(whole + decimals), bottom: 10n ** BigInt(decimals.length) };
};
