import { describe, expect, it } from 'vitest';
import { dateOf, moved, parseAccountName, unwillingness } from '#domain/account';
import { settleShare } from '#domain/ledger';
import { anAccount } from '#test/support/builders';

describe('parseAccountName', () => {
  it.each([
    ['chem', 'chem'],
    ['CHEM', 'chem'],
    ['_root', '_root'],
    ['4lab', '4lab'],
    ['a.b-c_d', 'a.b-c_d'],
    ['a', 'a'],
    ['x'.repeat(64), 'x'.repeat(64)],
  ])('reads %s', (text, name) => {
    expect(parseAccountName(text)).toBe(name);
  });

  it.each(['', '.hidden', '-x', 'a b', 'a/b', 'a#b', 'é', 'a\u212a', 'a\n', ' a', 'x'.repeat(65)])('refuses %j', (text) => {
    expect(() => parseAccountName(text)).toThrow(
      expect.objectContaining({
        code: 'validation_failed',
        message: 'account: must be 1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter, digit or underscore',
      }),
    );
  });
});

describe('dateOf', () => {
  it.each([
    [Date.UTC(2026, 2, 14), '2026-03-14'],
    [Date.UTC(2026, 2, 14, 23, 59, 59, 999), '2026-03-14'],
    [Date.UTC(2026, 2, 15), '2026-03-15'],
  ])('is the UTC day of %d', (at, date) => {
    expect(dateOf(at)).toBe(date);
  });
});

describe('unwillingness', () => {
  const demand = { amount: 400_000_000n, today: '2026-03-14' };

  it.each([
    ['has exactly the money', {}],
    ['has exactly the money, before any date', {}, '0000-01-01'],
    ['has exactly the money, after any date', {}, '9999-12-31'],
    ['begins today', { startDate: '2026-03-14' }],
    ['ends today', { endDate: '2026-03-14' }],
  ])('is none of an account that %s', (_, given, today = '2026-03-14') => {
    expect(unwillingness(anAccount(given), { ...demand, today })).toBeUndefined();
  });

  it.each([
    ['account_inactive', 'is suspended', { status: 'suspended' }],
    ['account_inactive', 'is closed', { status: 'closed' }],
    ['account_inactive', 'is suspended, out of date and empty', { status: 'suspended', startDate: '2027-01-01', available: 0n }],
    ['outside_dates', 'begins tomorrow', { startDate: '2026-03-15' }],
    ['outside_dates', 'ended yesterday', { endDate: '2026-03-13' }],
    ['outside_dates', 'ended yesterday, empty', { endDate: '2026-03-13', available: 0n }],
    ['insufficient_budget', 'lacks a micro-dollar', { available: 399_999_999n }],
    ['insufficient_budget', 'is overdrawn', { available: -1n }],
  ] as const)('is %s of one that %s', (code, _, given) => {
    expect(unwillingness(anAccount(given), demand)).toBe(code);
  });
});

describe('moved', () => {
  it('changes the columns, what is unconfirmed and the count of entries, and nothing else', () => {
    const account = anAccount({ available: 400n, held: 350n, used: 250n, limit: 1000n, unconfirmed: 120n, entryCount: 7 });
    expect(moved(account, { movement: settleShare({ share: 120n, cost: 100n }), unconfirmed: -120n, entries: 2 })).toStrictEqual({
      ...account,
      available: 420n,
      held: 230n,
      used: 350n,
      limit: 1000n,
      unconfirmed: 0n,
      entryCount: 9,
    });
  });
});
