import { describe, expect, it } from 'vitest';
import { CHANGED, holdBooking, holdEntry, untilBooked } from '#app/book';
import { holdMore, settleShare } from '#domain/ledger';
import { anOpenHold, NOON } from '#test/support/builders';
import { aWorld } from '#test/support/world';

describe('untilBooked', () => {
  it('goes round until nobody wrote in between', async () => {
    const world = await aWorld();
    let rounds = 0;
    expect(await untilBooked(world, async () => (++rounds < 4 ? CHANGED : 'booked'))).toBe('booked');
    expect(rounds).toBe(4);
    expect(world.clock.pauses).toHaveLength(3);
  });

  it('does not pause when the first round succeeds', async () => {
    const world = await aWorld();
    expect(await untilBooked(world, async () => undefined)).toBeUndefined();
    expect(world.clock.pauses).toStrictEqual([]);
  });

  it('pauses twice as long each time, up to a tenth of a second, times the dice', async () => {
    const world = { ...(await aWorld()), ids: { ...(await aWorld()).ids, random: () => 0.5 } };
    let rounds = 0;
    await untilBooked(world, async () => (++rounds < 10 ? CHANGED : rounds));
    expect(world.clock.pauses).toStrictEqual([1, 2, 4, 8, 16, 32, 50, 50, 50]);
  });

  it('gives the turn back to the caller after 50 rounds', async () => {
    const world = await aWorld();
    let rounds = 0;
    const never = async () => {
      rounds++;
      return CHANGED;
    };
    await expect(untilBooked(world, never)).rejects.toMatchObject({
      code: 'account_contended',
      message: 'too many changes of the same hold or account at once; nothing was changed, send it again',
    });
    expect(rounds).toBe(50);
  });
});

describe('holdEntry', () => {
  it('is of the hold’s account, job and user', async () => {
    const hold = anOpenHold({ jobId: '4711', submittedAt: NOON });
    const movement = holdMore(7n);
    expect(holdEntry(await aWorld(), hold, { type: 'adjust', amount: 7n, movement, at: NOON })).toStrictEqual({
      entryId: expect.stringMatching(/^[0-9A-Z]{26}$/),
      at: NOON,
      account: 'physics',
      type: 'adjust',
      amount: 7n,
      movement,
      holdId: hold.holdId,
      jobId: '4711',
      runId: null,
      user: 'curie',
      note: null,
    });
  });

  it('notes a run, and what somebody said', async () => {
    const what = { type: 'settle' as const, amount: 7n, movement: holdMore(7n), at: NOON, runId: 'hpc-1', note: 'TIMEOUT' };
    expect(holdEntry(await aWorld(), anOpenHold(), what)).toMatchObject({ runId: 'hpc-1', note: 'TIMEOUT' });
  });
});

describe('holdBooking', () => {
  const entryOf = async (movement: ReturnType<typeof holdMore>) =>
    holdEntry(await aWorld(), anOpenHold(), { type: 'adjust', amount: 1n, movement, at: NOON });

  it('sums its entries up for the account, and counts the hold’s writes', async () => {
    const before = anOpenHold({ amount: 100n, version: 4 });
    const after = { ...before, amount: 70n };
    const entries = [await entryOf(holdMore(-20n)), await entryOf(settleShare({ share: 10n, cost: 3n }))];
    expect(holdBooking(before, after, entries, NOON)).toStrictEqual({
      accounts: [
        {
          account: 'physics',
          movement: { available: 27n, held: -30n, used: 3n, limit: 0n },
          unconfirmed: -30n,
          entries: 2,
          require: { kind: 'fact' },
          at: NOON,
        },
      ],
      entries,
      hold: { before, after: { ...after, version: 5 } },
    });
  });

  it('writes a new hold as it is', async () => {
    const hold = anOpenHold({ amount: 100n, version: 1 });
    const booking = holdBooking(undefined, hold, [await entryOf(holdMore(100n))], NOON);
    expect(booking.hold).toStrictEqual({ after: hold });
    expect(booking.accounts).toMatchObject([{ movement: holdMore(100n), unconfirmed: 100n, entries: 1 }]);
  });

  it('leaves the account alone when nothing of it changes', () => {
    const before = anOpenHold();
    expect(holdBooking(before, { ...before, expiresAt: NOON }, [], NOON).accounts).toStrictEqual([]);
  });

  it('tells the account when its money is confirmed, though none moves', () => {
    const before = anOpenHold({ amount: 100n });
    const bound = { ...before, jobId: '4711', submittedAt: NOON };
    expect(holdBooking(before, bound, [], NOON).accounts).toMatchObject([{ unconfirmed: -100n, entries: 0, movement: holdMore(0n) }]);
  });

  it('tells the account of an entry, though what is unconfirmed stays', async () => {
    const before = anOpenHold({ amount: 100n, jobId: '4711', submittedAt: NOON });
    const booking = holdBooking(before, { ...before, amount: 90n }, [await entryOf(holdMore(-10n))], NOON);
    expect(booking.accounts).toMatchObject([{ unconfirmed: 0n, entries: 1 }]);
  });

  it('is a bug when the entries move another sum than the hold', async () => {
    const before = anOpenHold({ amount: 100n });
    const entries = [await entryOf(holdMore(-10n))];
    expect(() => holdBooking(before, { ...before, amount: 91n }, entries, NOON)).toThrow(new Error('entries move -10 held, the hold -9'));
  });
});
