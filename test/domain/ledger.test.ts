import { describe, expect, it } from 'vitest';
import { add, type EntryType, holdMore, limitBy, movement, NOTHING, replay, settleShare, spendAvailable } from '#domain/ledger';

describe('movement', () => {
  it('passes on what keeps available + held + used = limit', () => {
    const law = { available: 5n, held: -7n, used: 3n, limit: 1n };
    expect(movement(law)).toBe(law);
  });

  it.each([
    ['makes money', { available: 1n, held: 0n, used: 0n, limit: 0n }, 'available 1, held 0, used 0, limit 0'],
    ['loses money', { available: -4n, held: 3n, used: 0n, limit: 0n }, 'available -4, held 3, used 0, limit 0'],
    ['raises the limit alone', { available: 0n, held: 0n, used: 0n, limit: 9n }, 'available 0, held 0, used 0, limit 9'],
    ['uses twice', { available: -1n, held: 0n, used: 2n, limit: 0n }, 'available -1, held 0, used 2, limit 0'],
  ])('refuses one that %s, as a bug', (_, law, columns) => {
    expect(() => movement(law)).toThrow(new Error(`movement makes or loses money: ${columns}`));
  });
});

describe('the movements of the money law', () => {
  it.each([
    ['nothing', NOTHING, { available: 0n, held: 0n, used: 0n, limit: 0n }],
    ['a deposit', limitBy(50n), { available: 50n, held: 0n, used: 0n, limit: 50n }],
    ['a withdrawal', limitBy(-50n), { available: -50n, held: 0n, used: 0n, limit: -50n }],
    ['a hold', holdMore(12n), { available: -12n, held: 12n, used: 0n, limit: 0n }],
    ['a release', holdMore(-12n), { available: 12n, held: -12n, used: 0n, limit: 0n }],
    ['a run below its share', settleShare({ share: 10n, cost: 4n }), { available: 6n, held: -10n, used: 4n, limit: 0n }],
    ['a run above its share', settleShare({ share: 10n, cost: 14n }), { available: -4n, held: -10n, used: 14n, limit: 0n }],
    ['a late settle', spendAvailable(8n), { available: -8n, held: 0n, used: 8n, limit: 0n }],
  ])('%s', (_, moved, expected) => {
    expect(moved).toStrictEqual(expected);
  });

  it('add up, column by column', () => {
    expect(add({ available: 1n, held: 2n, used: 3n, limit: 6n }, { available: 10n, held: 20n, used: 30n, limit: 60n })).toStrictEqual({
      available: 11n,
      held: 22n,
      used: 33n,
      limit: 66n,
    });
  });
});

describe('add', () => {
  it('takes columns that somebody broke as they are, so that they can be mended', () => {
    const broken = { available: 40n, held: 0n, used: 0n, limit: 100n };
    expect(add(broken, holdMore(10n))).toStrictEqual({ available: 30n, held: 10n, used: 0n, limit: 100n });
    expect(add(broken, { available: 60n, held: 0n, used: 0n, limit: 0n })).toStrictEqual(limitBy(100n));
  });
});

describe('replay', () => {
  const entry = (type: EntryType, moved = NOTHING) => ({ type, movement: moved });
  const year = [
    entry('deposit', limitBy(100n)),
    entry('hold', holdMore(12n)),
    entry('settle', settleShare({ share: 12n, cost: 10n })),
    entry('withdrawal', limitBy(-30n)),
  ];

  it('works the columns out from nothing', () => {
    expect(replay(year)).toStrictEqual({ available: 60n, held: 0n, used: 10n, limit: 70n });
  });

  it('goes on from what was worked out before', () => {
    expect(replay([entry('hold', holdMore(5n))], replay(year))).toStrictEqual({ available: 55n, held: 5n, used: 10n, limit: 70n });
  });

  it('leaves repairs out: they set the columns to what it says', () => {
    expect(replay([entry('deposit', limitBy(100n)), entry('repair', holdMore(40n))])).toStrictEqual(limitBy(100n));
  });

  it('gives nothing for an empty ledger', () => {
    expect(replay([])).toStrictEqual({ available: 0n, held: 0n, used: 0n, limit: 0n });
  });
});
