import { describe, expect, it } from 'vitest';
import { type BudgetStore, StoreContended, StoreUnavailable } from '#app/ports';
import { GRACE_MS, MAX_UNANSWERED_TRIES, withinDeadline } from '#app/within-deadline';
import type { Account } from '#domain/account';
import { anAccount, NOON } from '#test/support/builders';
import { createFakeClock } from '#test/support/fake-clock';
import { aWorld, createFakeIds } from '#test/support/world';

const DEADLINE = NOON + 1500;

/** A store of which one method answers as told, attempt by attempt, the last answer for ever; and its deadline. */
const aStoreThat = async <M extends 'readAccount' | 'commit' | 'createAccount' | 'removeAccount' | 'writePartition'>(
  method: M,
  ...answers: readonly (() => unknown)[]
) => {
  const clock = createFakeClock(NOON);
  const begun: number[] = [];
  const { table } = await aWorld();
  const disturbed = {
    ...table,
    [method]: async () => {
      begun.push(clock.now() - NOON);
      return (answers[Math.min(begun.length, answers.length) - 1] as () => unknown)();
    },
  } as BudgetStore;
  const random = { value: 0.5 };
  const ids = { ...createFakeIds(), random: () => random.value };
  return { store: withinDeadline(disturbed, { clock, ids, deadline: DEADLINE }), clock, begun, random };
};

const answer = (account: Account) => () => account;
const contended = () => {
  throw new StoreContended('TransactionConflict');
};
const unanswered = () => {
  throw new StoreUnavailable('ECONNRESET');
};
const hanging = () => new Promise(() => {});
const read = (store: BudgetStore) => store.readAccount('physics');
const booking = { accounts: [], entries: [] };

describe('withinDeadline', () => {
  it('passes calls on, with their arguments and answers', async () => {
    const world = await aWorld();
    const account = await world.open({ limit: 5n });
    const store = withinDeadline(world.store, { clock: world.clock, ids: world.ids, deadline: DEADLINE });
    expect(await store.readAccount('physics')).toStrictEqual(account);
    expect(await store.readAccount('chemistry')).toBeUndefined();
    expect(Object.keys(store)).toStrictEqual(Object.keys(world.store));
    expect(world.clock.pauses).toStrictEqual([]);
  });

  it('passes on what is no trouble of the store', async () => {
    const bug = new Error('a bug');
    const { store, begun } = await aStoreThat('readAccount', () => {
      throw bug;
    });
    await expect(read(store)).rejects.toBe(bug);
    expect(begun).toStrictEqual([0]);
  });

  it('tries again after contention, and after a lost answer', async () => {
    const { store, begun } = await aStoreThat('readAccount', contended, unanswered, answer(anAccount()));
    expect(await read(store)).toStrictEqual(anAccount());
    expect(begun).toStrictEqual([0, 10, 30]);
  });

  it('leaves no time limit behind', async () => {
    const { store, clock } = await aStoreThat('readAccount', answer(anAccount()));
    await read(store);
    await clock.advance(10_000);
    expect(await read(store).catch(({ code }) => code)).toBe('deadline_passed');
  });
});

describe('the pause before the next attempt', () => {
  it('grows twice as long each time, up to half a second, times the dice', async () => {
    const { store, clock } = await aStoreThat('readAccount', contended);
    await expect(read(store)).rejects.toThrow();
    expect(clock.pauses).toStrictEqual([10, 20, 40, 80, 160, 250, 250, 250, 250]);
  });

  it('is never longer than that, whatever the dice say', async () => {
    const { store, clock, random } = await aStoreThat('readAccount', contended);
    random.value = 0.999999;
    await expect(read(store)).rejects.toThrow();
    expect(clock.pauses.map(Math.round)).toStrictEqual([20, 40, 80, 160, 320, 500]);
  });

  it('may be none at all', async () => {
    const { store, clock, random } = await aStoreThat('readAccount', contended, contended, answer(anAccount()));
    random.value = 0;
    await read(store);
    expect(clock.pauses).toStrictEqual([0, 0]);
  });
});

describe('at the deadline', () => {
  it.each([0, 1])('no attempt is begun, not even the first (%d ms after it)', async (after) => {
    const { store, clock, begun } = await aStoreThat('readAccount', answer(anAccount()));
    await clock.advance(1500 + after);
    await expect(read(store)).rejects.toMatchObject({
      code: 'deadline_passed',
      message: 'the time allowed for this request ran out; nothing was changed, send it again',
    });
    expect(begun).toStrictEqual([]);
  });

  it('the last millisecond before it is time enough to begin', async () => {
    const { store, clock } = await aStoreThat('readAccount', answer(anAccount()));
    await clock.advance(1499);
    expect(await read(store)).toStrictEqual(anAccount());
  });

  it('contention is over: nothing was changed', async () => {
    const { store, begun } = await aStoreThat('commit', contended);
    await expect(store.commit(booking)).rejects.toMatchObject({
      code: 'account_contended',
      message: 'too many requests for this account at once; nothing was changed, send it again',
      cause: new StoreContended('TransactionConflict'),
    });
    expect(begun).toStrictEqual([0, 10, 30, 70, 150, 310, 560, 810, 1060, 1310]);
  });

  it('a pause that would end then is not begun', async () => {
    const { store, clock } = await aStoreThat('readAccount', contended);
    await clock.advance(1490);
    await expect(read(store)).rejects.toMatchObject({ code: 'account_contended' });
    expect(clock.pauses).toStrictEqual([]);
  });

  it('a pause that ends just before is', async () => {
    const { store, clock, begun } = await aStoreThat('readAccount', contended);
    await clock.advance(1489);
    await expect(read(store)).rejects.toMatchObject({ code: 'account_contended' });
    expect(begun).toStrictEqual([1489, 1499]);
  });

  it('the code is of what is known of the whole request, not of its last call', async () => {
    const { store, clock } = await aStoreThat('readAccount', contended, answer(anAccount()));
    await read(store);
    await clock.advance(1500);
    await expect(store.readHold('x')).rejects.toMatchObject({ code: 'account_contended' });
  });
});

describe('a store that does not answer', () => {
  it('is asked three times', async () => {
    expect(MAX_UNANSWERED_TRIES).toBe(3);
    const { store, begun } = await aStoreThat('readAccount', unanswered);
    await expect(read(store)).rejects.toMatchObject({
      code: 'service_unavailable',
      message: 'the budget table does not answer: ECONNRESET; send it again with the same ids',
      cause: new StoreUnavailable('ECONNRESET'),
    });
    expect(begun).toStrictEqual([0, 10, 30]);
  });

  it('need not say why', async () => {
    const { store } = await aStoreThat('readAccount', () => {
      throw new StoreUnavailable();
    });
    await expect(read(store)).rejects.toMatchObject({ message: 'the budget table does not answer; send it again with the same ids' });
  });

  it('is asked until it was silent three times, however often it was busy before', async () => {
    const { store, begun } = await aStoreThat('readAccount', contended, contended, contended, unanswered);
    await expect(read(store)).rejects.toMatchObject({ code: 'service_unavailable' });
    expect(begun).toHaveLength(6);
  });

  it.each([
    ['commit', (store: BudgetStore) => store.commit(booking)],
    ['createAccount', (store: BudgetStore) => store.createAccount(anAccount(), undefined)],
    ['removeAccount', (store: BudgetStore) => store.removeAccount(anAccount(), undefined)],
  ] as const)('may have moved money: after a %s the deadline says so', async (method, call) => {
    const { store, clock } = await aStoreThat(method, unanswered, contended);
    await clock.advance(1400);
    await expect(call(store)).rejects.toMatchObject({
      code: 'service_unavailable',
      message: 'the budget table does not answer; send it again with the same ids',
    });
  });

  it.each([
    ['read', 'readAccount', read],
    ['partition model', 'writePartition', (store: BudgetStore) => store.writePartition({} as never)],
  ] as const)('has moved no money by a %s', async (_, method, call) => {
    const { store, clock } = await aStoreThat(method, unanswered, contended);
    await clock.advance(1400);
    await expect(call(store)).rejects.toMatchObject({ code: 'account_contended' });
  });

  it('has moved no money by a read: with nothing but that the deadline has passed', async () => {
    const { store, clock } = await aStoreThat('readAccount', unanswered);
    await clock.advance(1495);
    await expect(read(store)).rejects.toMatchObject({ code: 'deadline_passed', cause: new StoreUnavailable('ECONNRESET') });
  });

  it('says why when the deadline comes after a lost write', async () => {
    const { store, clock } = await aStoreThat('commit', unanswered);
    await clock.advance(1495);
    await expect(store.commit(booking)).rejects.toMatchObject({
      code: 'service_unavailable',
      message: 'the budget table does not answer: ECONNRESET; send it again with the same ids',
    });
  });
});

describe('a call in flight at the deadline', () => {
  const settled = async (promise: Promise<unknown>) => {
    const state = { value: 'waiting' as unknown };
    promise.then(
      (value) => {
        state.value = value;
      },
      (error) => {
        state.value = error;
      },
    );
    await new Promise(setImmediate);
    return state;
  };

  it('is awaited for a second', async () => {
    expect(GRACE_MS).toBe(1000);
    const { store, clock, begun } = await aStoreThat('commit', hanging);
    const state = await settled(store.commit(booking));
    await clock.advance(2499);
    expect(state.value).toBe('waiting');
    await clock.advance(1);
    expect(state.value).toMatchObject({
      code: 'service_unavailable',
      message: 'the budget table did not answer in time; send it again with the same ids',
    });
    expect(begun).toStrictEqual([0]);
  });

  it('is answered as it ended', async () => {
    let answerIt = (_: unknown) => {};
    const { store, clock } = await aStoreThat('commit', () => new Promise((resolve) => (answerIt = resolve)));
    const state = await settled(store.commit(booking));
    await clock.advance(2400);
    answerIt({ booked: true });
    await clock.advance(0);
    expect(state.value).toStrictEqual({ booked: true });
    await clock.advance(10_000);
  });

  it('is not tried again when it ends in contention', async () => {
    let answerIt = () => {};
    const { store, clock, begun } = await aStoreThat(
      'commit',
      () => new Promise((_, reject) => (answerIt = () => reject(new StoreContended('TransactionConflict')))),
    );
    const state = await settled(store.commit(booking));
    await clock.advance(1600);
    answerIt();
    await clock.advance(0);
    expect(state.value).toMatchObject({ code: 'account_contended' });
    expect(begun).toStrictEqual([0]);
  });
});
