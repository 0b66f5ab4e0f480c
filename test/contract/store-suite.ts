// What the use cases may rely on, whatever keeps the money. Each store's test file runs this suite against it.
import { beforeEach, describe, expect, it } from 'vitest';
import {
  type Booking,
  type BudgetStore,
  type Cluster,
  type CountedEntry,
  type Heartbeat,
  type Outcome,
  type Page,
  type PageRequest,
  type Refusal,
  StoreContended,
} from '#app/ports';
import type { Closed } from '#domain/accuracy';
import type { Hold } from '#domain/hold';
import { holdMore, limitBy, NOTHING, settleShare, spendAvailable } from '#domain/ledger';
import { MAX_AMOUNT_MICRO_USD } from '#domain/money';
import type { Usage } from '#domain/usage';
import {
  aChange,
  aHold,
  aHoldId,
  aLink,
  anAccount,
  anEntry,
  aPartition,
  aPrice,
  aRun,
  aSpec,
  aUsage,
  booked,
  DAY_MS,
  HOUR_MS,
  NOON,
  placing,
  rewriting,
  someClosed,
} from '#test/contract/samples';

const BOOKED: Outcome = { booked: true };
const NO_REFUSAL: Refusal = { accounts: [], runs: [] };
const refused = (parts: Partial<Refusal>): Outcome => ({ booked: false, refusal: { ...NO_REFUSAL, ...parts } });
const ALL_TIME = { from: NOON - DAY_MS, to: NOON + 30 * DAY_MS };

/** All pages of a list, following its cursors. */
const drain = async <T>(list: (page: PageRequest) => Promise<Page<T>>, limit: number): Promise<T[]> => {
  const all: T[] = [];
  let page = await list({ limit });
  for (let pages = 1; ; pages += 1) {
    if (pages > 1_000) throw new Error('a list without an end');
    expect(page.items.length).toBeLessThanOrEqual(limit);
    all.push(...page.items);
    if (page.cursor === undefined) return all;
    page = await list({ limit, cursor: page.cursor });
  }
};

/** Each list at its cursors: the first page of one row must have one. */
const cursorOf = async (page: Promise<Page<unknown>>): Promise<string> => {
  const { cursor } = await page;
  if (cursor === undefined) throw new Error('a first page without a cursor');
  return cursor;
};

export const describeBudgetStore = (name: string, makeStore: () => Promise<BudgetStore>): void => {
  describe(`budget store: ${name}`, () => {
    let store: BudgetStore;
    beforeEach(async () => {
      store = await makeStore();
    });

    const ledger = (account = 'physics') => drain((page) => store.listEntries({ account, ...ALL_TIME }, page), 50);
    const withAccount = async (given: Parameters<typeof anAccount>[0] = {}) => {
      const account = anAccount(given);
      const opening = anEntry({ account: account.account, amount: account.limit, movement: limitBy(account.limit) });
      expect(await store.createAccount(account, opening)).toBe(true);
      return { account, opening };
    };
    const place = async (hold: Hold = aHold()): Promise<Hold> => {
      expect(await store.commit(placing(hold))).toEqual(BOOKED);
      return hold;
    };
    const bind = async (hold: Hold, given: Partial<Hold> = {}): Promise<Hold> => {
      const booking = rewriting(hold, { jobId: '4711', submittedAt: NOON, ...given });
      expect(await store.commit(booking)).toEqual(BOOKED);
      return booking.hold.after;
    };
    const release = async (hold: Hold): Promise<Hold> => {
      const change = aChange(holdMore(-hold.amount), { account: hold.account, unconfirmed: hold.jobId === null ? -hold.amount : 0n });
      const after = { ...hold, state: 'released' as const, amount: 0n, closedAt: NOON + 1, version: hold.version + 1 };
      expect(await store.commit({ ...booked(change, { type: 'release', holdId: hold.holdId }), hold: { before: hold, after } })).toEqual(
        BOOKED,
      );
      return after;
    };

    describe('accounts', () => {
      it('reads nothing where nothing is', async () => {
        expect(await store.readAccount('physics')).toBeUndefined();
      });

      it.each([
        ['with every field', anAccount()],
        [
          'with every null, and columns past 2^53',
          anAccount({ name: null, startDate: null, endDate: null, available: -MAX_AMOUNT_MICRO_USD, used: 9_007_199_254_740_993n }),
        ],
      ])('keeps an account %s', async (_, account) => {
        await store.createAccount(account, undefined);
        expect(await store.readAccount('physics')).toEqual(account);
      });

      it('writes the opening entry together with the account', async () => {
        const { opening } = await withAccount();
        expect(await ledger()).toEqual([opening]);
      });

      it('refuses a name that is taken, and leaves account and ledger as they were', async () => {
        const { account, opening } = await withAccount();
        expect(await store.createAccount(anAccount({ limit: 5n }), anEntry({ amount: 5n }))).toBe(false);
        expect(await store.readAccount('physics')).toEqual(account);
        expect(await ledger()).toEqual([opening]);
      });

      it.each([1, 2, 3, 100])('lists accounts by name, %i a page', async (limit) => {
        for (const account of ['zoology', 'art', 'physics']) await store.createAccount(anAccount({ account }), undefined);
        const names = (await drain((page) => store.listAccounts(page), limit)).map(({ account }) => account);
        expect(names).toEqual(['art', 'physics', 'zoology']);
      });

      it('ends a list with its last row, not with an empty page', async () => {
        await withAccount();
        expect((await store.listAccounts({ limit: 1 })).cursor).toBeUndefined();
      });

      it('removes an account that has its opening entry only, and frees the name', async () => {
        const { account, opening } = await withAccount();
        const closing = anEntry({ type: 'withdrawal', movement: limitBy(-account.limit), at: NOON + 1 });
        expect(await store.removeAccount(account, closing)).toBe(true);
        expect(await store.readAccount('physics')).toBeUndefined();
        expect((await store.listAccounts({ limit: 10 })).items).toEqual([]);
        expect(await ledger()).toEqual([opening, closing]);
        expect(await store.createAccount(account, undefined)).toBe(true);
      });

      it('forgets the deposit of an account that it removes, so that the next account can be given the same', async () => {
        const account = anAccount({ available: 0n, limit: 0n, entryCount: 0 });
        await store.createAccount(account, undefined);
        const deposit = { account: 'physics', depositId: 'gift', amount: 7n };
        const giving = () => store.commit({ ...booked(aChange(limitBy(7n))), deposit });
        expect(await giving()).toEqual(BOOKED);
        expect(await store.removeAccount({ ...account, limit: 7n }, undefined)).toBe(true);
        await store.createAccount(account, undefined);
        expect(await giving()).toEqual(BOOKED);
      });

      it.each([
        ['more was booked', { entryCount: 2 }, {}],
        ['something is held', { held: 1n }, {}],
        ['something was used', { used: 1n }, {}],
        ['its limit is another by now', {}, { limit: 1n }],
      ])('does not remove an account when %s', async (_, stored, asOfReader) => {
        const account = anAccount(stored);
        await store.createAccount(account, undefined);
        expect(await store.removeAccount({ ...account, ...asOfReader }, anEntry())).toBe(false);
        expect(await store.readAccount('physics')).toEqual(account);
        expect(await ledger()).toEqual([]);
      });

      it('does not remove an account that is not there', async () => {
        expect(await store.removeAccount(anAccount(), undefined)).toBe(false);
      });
    });

    describe('a booking on an account', () => {
      it('moves every column, counts entries and says when', async () => {
        await store.createAccount(anAccount({ held: 50n, used: 7n, limit: 1_000_000_057n, unconfirmed: 20n }), undefined);
        const movement = { available: -9_007_199_254_740_993n, held: -50n, used: 9_007_199_254_741_143n, limit: 100n };
        expect(await store.commit(booked(aChange(movement, { unconfirmed: -20n, at: NOON + 5 })))).toEqual(BOOKED);
        expect(await store.readAccount('physics')).toEqual(
          anAccount({
            available: 1_000_000_000n - 9_007_199_254_740_993n,
            held: 0n,
            used: 9_007_199_254_741_150n,
            limit: 1_000_000_157n,
            unconfirmed: 0n,
            entryCount: 2,
            updatedAt: NOON + 5,
          }),
        );
      });

      it('is refused with null for an account that is not there', async () => {
        expect(await store.commit(booked(aChange(limitBy(1n))))).toEqual(refused({ accounts: [{ account: 'physics', stored: null }] }));
      });

      const demand = (amount: bigint, today = '2026-03-14') => aChange(holdMore(amount), { require: { kind: 'demand', today } });

      it.each([
        ['a demand of all that is available', anAccount(), demand(1_000_000_000n)],
        ['a demand on the first day', anAccount({ startDate: '2026-03-14' }), demand(1n)],
        ['a demand on the last day', anAccount({ endDate: '2026-03-14' }), demand(1n)],
        ['a demand on an account without dates', anAccount({ startDate: null, endDate: null }), demand(1n)],
        ['a fact on an overdrawn account', anAccount({ available: -5n, used: 1_000_000_005n }), aChange(spendAvailable(1_000n))],
        ['a fact on a closed account', anAccount({ status: 'closed' }), aChange(spendAvailable(1n))],
        ['a fact outside the dates', anAccount({ endDate: '2026-01-02' }), aChange(holdMore(1n))],
        ['a withdrawal of all that is available', anAccount(), aChange(limitBy(-1_000_000_000n), { require: { kind: 'withdraw' } })],
        [
          'a withdrawal from a suspended account',
          anAccount({ status: 'suspended' }),
          aChange(limitBy(-1n), { require: { kind: 'withdraw' } }),
        ],
        [
          'a deposit up to the ceiling',
          anAccount(),
          aChange(limitBy(MAX_AMOUNT_MICRO_USD - 1_000_000_000n), { require: { kind: 'deposit' } }),
        ],
      ])('allows %s', async (_, account, change) => {
        await store.createAccount(account, undefined);
        expect(await store.commit(booked(change))).toEqual(BOOKED);
      });

      it.each([
        ['a demand of more than is available', anAccount(), demand(1_000_000_001n)],
        ['a demand on a suspended account', anAccount({ status: 'suspended' }), demand(1n)],
        ['a demand on a closed account', anAccount({ status: 'closed' }), demand(1n)],
        ['a demand before the first day', anAccount({ startDate: '2026-03-15' }), demand(1n)],
        ['a demand after the last day', anAccount({ endDate: '2026-03-13' }), demand(1n)],
        ['a withdrawal of more than is available', anAccount(), aChange(limitBy(-1_000_000_001n), { require: { kind: 'withdraw' } })],
        [
          'a deposit past the ceiling',
          anAccount(),
          aChange(limitBy(MAX_AMOUNT_MICRO_USD - 999_999_999n), { require: { kind: 'deposit' } }),
        ],
      ])('refuses %s, with the account as it is stored', async (_, account, change) => {
        await store.createAccount(account, undefined);
        expect(await store.commit(booked(change))).toEqual(refused({ accounts: [{ account: 'physics', stored: account }] }));
        expect(await store.readAccount('physics')).toEqual(account);
        expect(await ledger()).toEqual([]);
      });

      it('never spends the same money twice, however many ask at once', async () => {
        await withAccount();
        const outcomes = await Promise.all(Array.from({ length: 20 }, () => store.commit(placing(aHold({ amount: 120_000_000n })))));
        expect(outcomes.filter(({ booked }) => booked)).toHaveLength(8);
        expect(await store.readAccount('physics')).toMatchObject({
          available: 40_000_000n,
          held: 960_000_000n,
          unconfirmed: 960_000_000n,
          entryCount: 9,
        });
      });

      it('refuses an entry id that is taken, and names no part for it', async () => {
        const { account, opening } = await withAccount();
        const again = { accounts: [aChange(limitBy(1n))], entries: [{ ...opening, movement: limitBy(1n) }] };
        expect(await store.commit(again)).toEqual(refused({}));
        expect(await store.readAccount('physics')).toEqual(account);
      });
    });

    describe("an administrator's change", () => {
      const profile = (given: NonNullable<Booking['accounts'][number]['profile']>): Booking => ({
        accounts: [aChange(NOTHING, { entries: 0, profile: given })],
        entries: [],
      });

      it('sets words, dates and status, and raises the version', async () => {
        await store.createAccount(anAccount({ version: 4 }), undefined);
        const set = { name: null, description: 'Ångström', startDate: '2026-02-01', endDate: null, status: 'suspended' as const };
        expect(await store.commit(profile({ ifVersion: 4, set }))).toEqual(BOOKED);
        expect(await store.readAccount('physics')).toEqual(anAccount({ ...set, version: 5, updatedAt: NOON + 1 }));
      });

      it('leaves alone what it does not name', async () => {
        await store.createAccount(anAccount(), undefined);
        await store.commit(profile({ set: {} }));
        expect(await store.readAccount('physics')).toEqual(anAccount({ version: 2, updatedAt: NOON + 1 }));
      });

      it('is refused when somebody else was quicker', async () => {
        await store.createAccount(anAccount({ version: 5 }), undefined);
        const outcome = await store.commit(profile({ ifVersion: 4, set: { name: 'mine' } }));
        expect(outcome).toEqual(refused({ accounts: [{ account: 'physics', stored: anAccount({ version: 5 }) }] }));
      });

      it('does not mind bookings that came in between, for they are no change of its own', async () => {
        await withAccount();
        await place();
        expect(await store.commit(profile({ ifVersion: 1, set: { name: 'mine' } }))).toEqual(BOOKED);
      });

      it('closes an account that holds nothing, and none that holds something', async () => {
        await withAccount();
        const hold = await place();
        const outcome = await store.commit(profile({ set: { status: 'closed' } }));
        expect(outcome).toMatchObject(
          refused({ accounts: [{ account: 'physics', stored: expect.objectContaining({ held: 120_000_000n }) }] }),
        );
        await release(hold);
        expect(await store.commit(profile({ set: { status: 'closed' } }))).toEqual(BOOKED);
        expect(await store.readAccount('physics')).toMatchObject({ status: 'closed' });
      });

      it('can move the limit in the same write', async () => {
        await withAccount();
        const change = aChange(limitBy(-1n), { require: { kind: 'withdraw' }, profile: { ifVersion: 1, set: { name: 'less' } } });
        expect(await store.commit(booked(change))).toEqual(BOOKED);
        expect(await store.readAccount('physics')).toMatchObject({ name: 'less', limit: 999_999_999n, version: 2, entryCount: 2 });
      });
    });

    describe('deposits', () => {
      const deposit = { account: 'physics', depositId: 'grant-2026/1', amount: -9_007_199_254_740_993n };
      const depositing = (): Booking => ({ ...booked(aChange(limitBy(deposit.amount))), deposit });

      it('are remembered under their account and id', async () => {
        await withAccount();
        expect(await store.commit(depositing())).toEqual(BOOKED);
        expect(await store.readDeposit({ account: 'physics', depositId: 'grant-2026/1' })).toEqual(deposit);
        expect(await store.readDeposit({ account: 'physics', depositId: 'another' })).toBeUndefined();
        expect(await store.readDeposit({ account: 'art', depositId: 'grant-2026/1' })).toBeUndefined();
      });

      it('are refused the second time, with the first', async () => {
        await withAccount();
        await store.commit(depositing());
        const outcome = await store.commit({ ...booked(aChange(limitBy(5n))), deposit: { ...deposit, amount: 5n } });
        expect(outcome).toEqual(refused({ deposit: { stored: deposit } }));
        expect(await store.readAccount('physics')).toMatchObject({ entryCount: 2 });
      });
    });

    describe('holds', () => {
      const everything = aHold({
        state: 'settled',
        amount: 0n,
        originalAmount: 9_007_199_254_740_993n,
        used: 123_456_789_012_345n,
        tasks: 4_000_001,
        tasksEnded: 4_000_001,
        jobId: '4711',
        submittedAt: NOON - 1,
        forced: true,
        closedAt: NOON + 2,
        version: 7,
      });
      const flat = aHold({
        user: null,
        terms: {
          ...aHold().terms,
          rates: [
            ...aHold().terms.rates,
            {
              partition: 'flat',
              nodeTypes: [{ type: 'flat-rate', priceE10UsdPerHour: 99_999_999_999_999_999n, cpus: null, memoryMib: null, gpus: null }],
              shared: true,
              discountFactorE6: 850_000n,
              overheadSeconds: 0,
              overheadPerNodeHour: 9_007_199_254_740_993n,
              writeOffNodeFailures: false,
              source: 'flat-rate',
              priceDate: null,
            },
          ],
        },
      });

      it.each([
        ['open', aHold()],
        ['bound, forced, settled', everything],
        ['with unknown sizes and prices past 2^53', flat],
      ])('keeps a hold that is %s', async (_, hold) => {
        expect(await store.commit({ accounts: [], entries: [], hold: { after: hold } })).toEqual(BOOKED);
        expect(await store.readHold(hold.holdId)).toEqual(hold);
        expect(await store.readSpec(hold.holdId)).toBeUndefined();
      });

      it('reads nothing where nothing is', async () => {
        expect(await store.readHold(aHoldId())).toBeUndefined();
        expect(await store.readSpec(aHoldId())).toBeUndefined();
      });

      it('keeps the spec beside the hold, and replaces it when there is a new one', async () => {
        const full = aSpec({
          user: 'curie',
          minNodes: 2,
          ntasks: 64,
          cpus: 288,
          cpusPerTask: 4,
          gpus: 8,
          gpusPerNode: 1,
          gpuType: 'a100',
          memoryMib: 0,
          memoryPerCpuMib: 4_398_046_511_104,
          constraint: 'efa&c5',
          array: {
            ranges: [
              { first: 1, last: 5, step: 2 },
              { first: 9, last: 9, step: 1 },
            ],
            throttle: 4,
          },
          hetOffset: 0,
          qos: 'normal',
          jobName: 'Σ 42',
        });
        const hold = aHold();
        await store.commit({ accounts: [], entries: [], hold: { after: hold, spec: full } });
        expect(await store.readSpec(hold.holdId)).toEqual(full);

        const booking = rewriting(hold, {});
        await store.commit({ ...booking, hold: { ...booking.hold, spec: aSpec() } });
        expect(await store.readSpec(hold.holdId)).toEqual(aSpec());
        await store.commit(rewriting(booking.hold.after, {}));
        expect(await store.readSpec(hold.holdId)).toEqual(aSpec());
      });

      it('refuses a hold that is there already, with what is stored', async () => {
        await withAccount();
        const hold = await place();
        const outcome = await store.commit(placing({ ...hold, amount: 1n }));
        expect(outcome).toEqual(refused({ hold: { stored: hold } }));
      });

      it('refuses a change of a hold that somebody else changed, with what is stored', async () => {
        await withAccount();
        const hold = await place();
        const extended = rewriting(hold, { expiresAt: NOON + 40 * HOUR_MS });
        expect(await store.commit(extended)).toEqual(BOOKED);
        expect(await store.commit(rewriting(hold, { expiresAt: NOON }))).toEqual(refused({ hold: { stored: extended.hold.after } }));
      });

      it('refuses a change of a hold that is not there, with null', async () => {
        expect(await store.commit(rewriting(aHold(), {}))).toEqual(refused({ hold: { stored: null } }));
      });

      it('moves from one account to another in one write, and into the other list', async () => {
        await withAccount();
        await withAccount({ account: 'art', name: null });
        const hold = await place();
        const after: Hold = { ...hold, account: 'art', amount: 150n, version: 2 };
        const moving: Booking = {
          accounts: [
            aChange(holdMore(150n), { account: 'art', unconfirmed: 150n, require: { kind: 'demand', today: '2026-03-14' } }),
            aChange(holdMore(-hold.amount), { unconfirmed: -hold.amount }),
          ],
          entries: [anEntry({ account: 'art', movement: holdMore(150n) }), anEntry({ movement: holdMore(-hold.amount) })],
          hold: { before: hold, after },
        };
        expect(await store.commit(moving)).toEqual(BOOKED);
        expect(await store.readAccount('physics')).toMatchObject({ held: 0n, unconfirmed: 0n, available: 1_000_000_000n });
        expect(await store.readAccount('art')).toMatchObject({ held: 150n, unconfirmed: 150n, available: 999_999_850n });
        expect((await store.listHoldsOfAccount({ account: 'art' }, { limit: 5 })).items).toEqual([after]);
        expect((await store.listHoldsOfAccount({ account: 'physics' }, { limit: 5 })).items).toEqual([]);
      });

      it('changes nothing at all when one of two accounts refuses', async () => {
        const { account } = await withAccount();
        const poor = anAccount({ account: 'art', available: 1n });
        await store.createAccount(poor, undefined);
        const hold = await place(aHold({ jobId: '1', submittedAt: NOON }));
        const held = await store.readAccount('physics');
        const moving: Booking = {
          accounts: [
            aChange(holdMore(2n), { account: 'art', require: { kind: 'demand', today: '2026-03-14' } }),
            aChange(holdMore(-hold.amount)),
          ],
          entries: [anEntry({ account: 'art', movement: holdMore(2n) }), anEntry({ movement: holdMore(-hold.amount) })],
          hold: { before: hold, after: { ...hold, account: 'art', amount: 2n, version: 2 }, spec: aSpec() },
          runs: [{ after: aRun({ owner: hold.holdId }) }],
          jobLink: { link: aLink() },
          deposit: { account: 'art', depositId: 'x', amount: 1n },
        };
        expect(await store.commit(moving)).toEqual(refused({ accounts: [{ account: 'art', stored: poor }] }));
        expect(await store.readAccount('physics')).toEqual(held);
        expect(held).not.toEqual(account);
        expect(await store.readHold(hold.holdId)).toEqual(hold);
        expect((await store.listRuns(hold.holdId, { limit: 5 })).items).toEqual([]);
        expect(await store.readJobLink(aLink())).toBeUndefined();
        expect(await store.readDeposit({ account: 'art', depositId: 'x' })).toBeUndefined();
        expect(await ledger('art')).toEqual([]);
      });
    });

    describe('runs', () => {
      const settling = (hold: Hold, runs: readonly ReturnType<typeof aRun>[]): Booking => {
        const cost = runs.reduce((sum, run) => sum + run.cost, 0n);
        return {
          accounts: [aChange(settleShare({ share: hold.amount, cost }), { entries: runs.length + 1 })],
          entries: [
            anEntry({ type: 'release', movement: holdMore(-hold.amount) }),
            ...runs.map(({ runId, cost }) => anEntry({ type: 'settle', runId, movement: spendAvailable(cost) })),
          ],
          hold: {
            before: hold,
            after: { ...hold, state: 'settled', amount: 0n, used: cost, closedAt: NOON, version: hold.version + 1 },
            spec: aSpec(),
          },
          runs: runs.map((after) => ({ after })),
          jobLink: { link: aLink({ holdId: hold.holdId }) },
        };
      };

      it.each([
        ['with every field', aRun({ bookedCost: 9_007_199_254_740_993n, corrections: [{ correctionId: 'c-1', cost: -5n }] })],
        [
          'with every null',
          aRun({
            jobId: null,
            user: null,
            holdState: null,
            elapsedSeconds: null,
            partition: null,
            nodes: null,
            state: null,
            startedAt: null,
            endedAt: null,
            late: true,
            final: false,
          }),
        ],
        ['of no known hold', aRun({ owner: 'job.hpc-prod.4711', runId: 'a~b_c.d-e' })],
      ])('keeps a run %s', async (_, run) => {
        expect(await store.commit({ accounts: [], entries: [], runs: [{ after: run }] })).toEqual(BOOKED);
        expect(await store.readRun(run)).toEqual(run);
      });

      it('reads nothing where nothing is', async () => {
        expect(await store.readRun({ owner: aHoldId(), runId: '1' })).toBeUndefined();
        expect(await store.listRuns(aHoldId(), { limit: 5 })).toEqual({ items: [] });
      });

      it('books forty runs, their entries, hold, spec, account and job in one write', async () => {
        await withAccount();
        const hold = await place(aHold({ tasks: 40, jobId: '4711', submittedAt: NOON }));
        const runs = Array.from({ length: 40 }, (_, task) =>
          aRun({ owner: hold.holdId, runId: `task-${String(task).padStart(2, '0')}`, cost: 1_000n }),
        );
        expect(await store.commit(settling(hold, runs))).toEqual(BOOKED);
        expect(await store.readAccount('physics')).toMatchObject({ held: 0n, used: 40_000n, entryCount: 43 });
        expect(await drain((page) => store.listRuns(hold.holdId, page), 7)).toEqual(runs);
        expect(await ledger()).toHaveLength(43);
      });

      it('refuses the whole batch for one run that is booked already, and names it', async () => {
        await withAccount();
        const hold = await place(aHold({ tasks: 3, jobId: '4711', submittedAt: NOON }));
        const earlier = aRun({ owner: hold.holdId, runId: 'b', cost: 9n });
        await store.commit({ accounts: [], entries: [], runs: [{ after: earlier }] });
        const before = await store.readAccount('physics');
        const runs = ['a', 'b', 'c'].map((runId) => aRun({ owner: hold.holdId, runId }));
        expect(await store.commit(settling(hold, runs))).toEqual(refused({ runs: [{ runId: 'b', stored: earlier }] }));
        expect(await store.readAccount('physics')).toEqual(before);
        expect((await store.listRuns(hold.holdId, { limit: 5 })).items).toEqual([earlier]);
        expect(await store.readHold(hold.holdId)).toEqual(hold);
      });

      it('names every part that refuses, each with its image', async () => {
        await withAccount();
        const hold = await bind(await place());
        const run = aRun({ owner: hold.holdId });
        const link = aLink();
        const deposit = { account: 'physics', depositId: 'd', amount: 1n };
        await store.commit({ accounts: [], entries: [], runs: [{ after: run }], jobLink: { link }, deposit });
        const stored = await store.readAccount('physics');
        const outcome = await store.commit({
          ...booked(aChange(holdMore(999_999_999_999n), { require: { kind: 'demand', today: '2026-03-14' } })),
          hold: { after: hold },
          runs: [{ after: run }],
          jobLink: { link: { ...link, holdId: hold.holdId } },
          deposit,
        });
        expect(outcome).toEqual({
          booked: false,
          refusal: {
            accounts: [{ account: 'physics', stored }],
            hold: { stored: hold },
            runs: [{ runId: run.runId, stored: run }],
            jobLink: { stored: link },
            deposit: { stored: deposit },
          },
        });
      });

      it('corrects a run only as often as it was read to be', async () => {
        const before = aRun();
        await store.commit({ accounts: [], entries: [], runs: [{ after: before }] });
        const corrected = (id: string) => ({ ...before, cost: 5n, corrections: [{ correctionId: id, cost: 5n }] });
        const correcting = (id: string): Booking => ({ accounts: [], entries: [], runs: [{ before, after: corrected(id) }] });
        expect(await store.commit(correcting('one'))).toEqual(BOOKED);
        expect(await store.commit(correcting('two'))).toEqual(refused({ runs: [{ runId: before.runId, stored: corrected('one') }] }));
        expect(await store.readRun(before)).toEqual(corrected('one'));
      });

      it('refuses the correction of a run that is not there, with null', async () => {
        const run = aRun();
        expect(await store.commit({ accounts: [], entries: [], runs: [{ before: run, after: run }] })).toEqual(
          refused({ runs: [{ runId: run.runId, stored: null }] }),
        );
      });

      it.each([1, 2])('lists runs by id, %i a page, those of other holds apart', async (limit) => {
        const owner = aHoldId();
        const runs = ['10', '9', 'Z', 'a', '~'].map((runId) => aRun({ owner, runId }));
        await store.commit({
          accounts: [],
          entries: [],
          hold: { after: aHold({ holdId: owner }), spec: aSpec() },
          runs: runs.map((after) => ({ after })),
        });
        await store.commit({ accounts: [], entries: [], runs: [{ after: aRun({ owner: aHoldId() }) }] });
        expect(await drain((page) => store.listRuns(owner, page), limit)).toEqual(runs);
      });
    });

    describe('the link from a job to its hold', () => {
      const linking = (link: ReturnType<typeof aLink>, replaces?: string): Booking => ({
        accounts: [],
        entries: [],
        jobLink: { link, ...(replaces === undefined ? {} : { replaces }) },
      });

      it('is written once, and again for the same hold', async () => {
        expect(await store.commit(linking(aLink()))).toEqual(BOOKED);
        expect(await store.commit(linking(aLink()))).toEqual(BOOKED);
        expect(await store.readJobLink(aLink())).toEqual(aLink());
      });

      it('is not taken from another hold', async () => {
        await store.commit(linking(aLink()));
        const other = aLink({ holdId: aHoldId() });
        expect(await store.commit(linking(other))).toEqual(refused({ jobLink: { stored: aLink() } }));
        expect(await store.commit(linking(other, aHoldId()))).toEqual(refused({ jobLink: { stored: aLink() } }));
        expect(await store.readJobLink(aLink())).toEqual(aLink());
      });

      it('is taken from the hold that the booking names', async () => {
        await store.commit(linking(aLink()));
        const other = aLink({ holdId: aHoldId() });
        expect(await store.commit(linking(other, aLink().holdId))).toEqual(BOOKED);
        expect(await store.readJobLink(aLink())).toEqual(other);
      });

      it.each([
        ['no time', undefined, 2],
        ['the time of the first', NOON, 0],
        ['the time of the second', NOON + 1, 1],
        ['a time between', NOON + 5 * DAY_MS, 1],
        ['a time after all', NOON + 99 * DAY_MS, 2],
      ])('is found by %s', async (_, submittedAt, expected) => {
        const links = [NOON, NOON + 1, NOON + 10 * DAY_MS].map((at) => aLink({ submittedAt: at, holdId: aHoldId() }));
        for (const link of links) await store.commit(linking(link));
        await store.commit(linking(aLink({ jobId: '47110', submittedAt: NOON + 20 * DAY_MS })));
        await store.commit(linking(aLink({ cluster: 'hpc', submittedAt: NOON + 20 * DAY_MS })));
        const job = { cluster: 'hpc-prod', jobId: '4711', ...(submittedAt === undefined ? {} : { submittedAt }) };
        expect(await store.readJobLink(job)).toEqual(links[expected]);
      });

      it('is not found before the first submission, nor for a job that nobody bound', async () => {
        await store.commit(linking(aLink()));
        expect(await store.readJobLink({ cluster: 'hpc-prod', jobId: '4711', submittedAt: NOON - 1 })).toBeUndefined();
        expect(await store.readJobLink({ cluster: 'hpc-prod', jobId: '4712' })).toBeUndefined();
      });
    });

    describe('the ledger', () => {
      const write = async (entries: ReturnType<typeof anEntry>[]) => {
        for (const entry of entries) {
          const change = aChange(entry.movement, { account: entry.account, entries: 1, at: entry.at });
          expect(await store.commit({ accounts: [change], entries: [entry] })).toEqual(BOOKED);
        }
      };
      const atTimes = (...times: number[]) => times.map((at) => anEntry({ at, movement: holdMore(1n), type: 'hold', amount: 1n }));

      it('keeps every field of an entry', async () => {
        await withAccount({ entryCount: 0 });
        const full = anEntry({
          at: NOON + 1,
          type: 'correction',
          amount: -9_007_199_254_740_993n,
          movement: { available: -9_007_199_254_740_993n, held: 9_007_199_254_740_995n, used: -1n, limit: 1n },
          holdId: aHoldId(),
          jobId: '4711_3',
          runId: 'hpc-prod-1',
          user: 'curie',
          note: 'Grüße, “quoted”',
          owner: 'job.hpc-prod.4711_3',
        });
        await write([full]);
        expect((await ledger()).at(-1)).toEqual(full);
      });

      it.each([1, 2, 3, 50])('lists entries oldest first across months, %i a page', async (limit) => {
        await store.createAccount(anAccount(), undefined);
        await store.createAccount(anAccount({ account: 'physics2' }), undefined);
        const entries = atTimes(
          Date.UTC(2026, 0, 31, 23, 59, 59, 999),
          Date.UTC(2026, 1, 1),
          Date.UTC(2026, 1, 1),
          Date.UTC(2026, 4, 1),
          NOON + 90 * DAY_MS,
        );
        await write(entries.toReversed());
        await write([anEntry({ account: 'physics2' })]);
        const list = (page: PageRequest) =>
          store.listEntries({ account: 'physics', from: Date.UTC(2025, 11, 1), to: Date.UTC(2026, 11, 1) }, page);
        expect(await drain(list, limit)).toEqual(entries);
      });

      it('begins with `from` and ends before `to`', async () => {
        await store.createAccount(anAccount(), undefined);
        const [, first, second] = atTimes(NOON - 1, NOON, NOON + 1, NOON + 2);
        await write(atTimes(NOON - 1));
        await write([first, second].filter((entry) => entry !== undefined));
        await write(atTimes(NOON + 2));
        const { items } = await store.listEntries({ account: 'physics', from: NOON, to: NOON + 2 }, { limit: 10 });
        expect(items).toEqual([first, second]);
        expect(await store.listEntries({ account: 'physics', from: NOON, to: NOON }, { limit: 10 })).toEqual({ items: [] });
      });

      it("goes by an entry's own time where its id is a little ahead", async () => {
        await store.createAccount(anAccount(), undefined);
        const entry = anEntry({ at: Date.UTC(2026, 1, 1) - 1, entryId: anEntry({ at: Date.UTC(2026, 1, 1) + 30_000 }).entryId });
        await write([entry]);
        const january = await store.listEntries(
          { account: 'physics', from: Date.UTC(2026, 0, 1), to: Date.UTC(2026, 1, 1) },
          { limit: 10 },
        );
        const february = await store.listEntries(
          { account: 'physics', from: Date.UTC(2026, 1, 1), to: Date.UTC(2026, 2, 1) },
          { limit: 10 },
        );
        expect([january.items, february.items]).toEqual([[entry], []]);
      });

      it('finds an entry after years of rest', async () => {
        await store.createAccount(anAccount(), undefined);
        const entries = atTimes(NOON, NOON + 2_000 * DAY_MS);
        await write(entries);
        const list = (page: PageRequest) => store.listEntries({ account: 'physics', from: 0, to: NOON + 2_001 * DAY_MS }, page);
        expect(await drain(list, 10)).toEqual(entries);
      });

      it('of an account that never was is empty', async () => {
        expect(await ledger('nobody')).toEqual([]);
      });
    });

    describe('lists of holds', () => {
      const ids = (holds: readonly Hold[]) => holds.map(({ holdId }) => holdId);
      const held = async (given: readonly Partial<Hold>[]): Promise<Hold[]> => {
        const holds = given.map((each) => aHold(each));
        for (const after of holds) await store.commit({ accounts: [], entries: [], hold: { after } });
        return holds;
      };

      it.each([1, 2, 10])('gives the holds of an account newest first, %i a page', async (limit) => {
        const [first, second, third, , fourth] = await held([
          { createdAt: NOON },
          { createdAt: NOON },
          { createdAt: NOON + 1, state: 'expired' },
          { account: 'art' },
          { createdAt: NOON + DAY_MS },
        ]);
        const holds = await drain((page) => store.listHoldsOfAccount({ account: 'physics' }, page), limit);
        expect(holds).toEqual([fourth, third, second, first]);
      });

      it.each([1, 2])('keeps to the state and user that are asked for, %i a page', async (limit) => {
        const holds = await held(
          Array.from({ length: 60 }, (_, i) => ({
            createdAt: NOON + i,
            state: i % 20 === 0 ? 'open' : 'settled',
            user: i < 30 ? 'curie' : 'bohr',
          })),
        );
        const list = (asked: { state?: 'open'; user?: string }) =>
          drain((page) => store.listHoldsOfAccount({ account: 'physics', ...asked }, page), limit).then(ids);
        expect(await list({ state: 'open' })).toEqual([40, 20, 0].map((i) => holds[i]?.holdId));
        expect(await list({ state: 'open', user: 'curie' })).toEqual([20, 0].map((i) => holds[i]?.holdId));
        expect(await list({ user: 'nobody' })).toEqual([]);
      });

      it('follows a hold of a cluster from unbound to bound to closed', async () => {
        await withAccount();
        const list = async (bound?: boolean) =>
          ids(
            (await store.listOpenHoldsOfCluster({ cluster: 'hpc-prod', ...(bound === undefined ? {} : { bound }) }, { limit: 10 })).items,
          );
        const unbound = await place();
        expect([await list(false), await list(true), await list()]).toEqual([[unbound.holdId], [], [unbound.holdId]]);
        const bound = await bind(unbound);
        expect([await list(false), await list(true), await list()]).toEqual([[], [unbound.holdId], [unbound.holdId]]);
        await release(bound);
        expect([await list(false), await list(true), await list()]).toEqual([[], [], []]);
      });

      it.each([1, 2, 3, 10])('gives the open holds of a cluster newest first, bound or not, %i a page', async (limit) => {
        const job = { jobId: '1', submittedAt: NOON };
        const holds = await held([
          { createdAt: NOON + 5, ...job },
          { createdAt: NOON + 4 },
          { createdAt: NOON + 3 },
          { createdAt: NOON + 2, ...job },
          { createdAt: NOON + 1, ...job },
          { createdAt: NOON },
          { createdAt: NOON + 9, cluster: 'other' },
          { createdAt: NOON + 9, state: 'settled' },
        ]);
        const list = (asked: { bound?: boolean; createdBefore?: number }) =>
          drain((page) => store.listOpenHoldsOfCluster({ cluster: 'hpc-prod', ...asked }, page), limit).then(ids);
        const expected = (...indexes: number[]) => indexes.map((index) => holds[index]?.holdId);
        expect(await list({})).toEqual(expected(0, 1, 2, 3, 4, 5));
        expect(await list({ bound: false })).toEqual(expected(1, 2, 5));
        expect(await list({ bound: true })).toEqual(expected(0, 3, 4));
        expect(await list({ createdBefore: NOON + 3 })).toEqual(expected(3, 4, 5));
        expect(await list({ bound: false, createdBefore: NOON })).toEqual([]);
      });

      it('reads long lists of two kinds without losing or repeating a hold', async () => {
        const holds = await held(
          Array.from({ length: 70 }, (_, i) => ({
            createdAt: NOON - i,
            ...(i > 5 && i % 9 !== 0 ? { jobId: `${i}`, submittedAt: NOON } : {}),
          })),
        );
        const list = await drain((page) => store.listOpenHoldsOfCluster({ cluster: 'hpc-prod' }, page), 3);
        expect(ids(list)).toEqual(ids(holds));
      });

      it('names overdue holds of all shards, the longest overdue first, and no closed ones', async () => {
        const holds = await held([
          ...Array.from({ length: 12 }, (_, i) => ({ expiresAt: NOON - 12 + i })),
          { expiresAt: NOON },
          { expiresAt: NOON + 1 },
          { expiresAt: NOON - 99, state: 'released' as const },
        ]);
        expect((await store.listOverdueHoldIds({ now: NOON }, { limit: 100 })).items).toEqual(ids(holds.slice(0, 13)));
        const first = await store.listOverdueHoldIds({ now: NOON }, { limit: 3 });
        expect(first.items).toEqual(ids(holds.slice(0, 3)));
        const rest = await store.listOverdueHoldIds({ now: NOON }, { limit: 100, cursor: String(first.cursor) });
        expect(rest).toEqual({ items: ids(holds.slice(3, 13)) });
        expect(await store.listOverdueHoldIds({ now: NOON - 13 }, { limit: 3 })).toEqual({ items: [] });
      });

      it.each([1, 2, 100])('gives all open holds, the next to expire first, %i a page', async (limit) => {
        const holds = await held([
          { expiresAt: NOON + 2, account: 'art' },
          { expiresAt: NOON + 1, cluster: 'other' },
          { expiresAt: NOON + 3, jobId: '1', submittedAt: NOON },
          { expiresAt: NOON, state: 'settled' },
        ]);
        expect(await drain((page) => store.listOpenHolds(page), limit)).toEqual([holds[1], holds[0], holds[2]]);
      });

      it('moves a hold among the overdue when it is extended', async () => {
        await withAccount();
        const hold = await place(aHold({ expiresAt: NOON }));
        await store.commit(rewriting(hold, { expiresAt: NOON + HOUR_MS }));
        expect((await store.listOverdueHoldIds({ now: NOON }, { limit: 9 })).items).toEqual([]);
        expect((await store.listOverdueHoldIds({ now: NOON + HOUR_MS }, { limit: 9 })).items).toEqual([hold.holdId]);
      });
    });

    describe('cursors', () => {
      const lists: Record<string, (page: PageRequest, of: 'physics' | 'art') => Promise<Page<unknown>>> = {
        accounts: (page) => store.listAccounts(page),
        entries: (page, account) => store.listEntries({ account, ...ALL_TIME }, page),
        runs: (page, owner) => store.listRuns(owner, page),
        'holds of an account': (page, account) => store.listHoldsOfAccount({ account }, page),
        'open holds': (page, cluster) => store.listOpenHoldsOfCluster({ cluster }, page),
        'all open holds': (page) => store.listOpenHolds(page),
        usage: (page, account) => store.listUsage({ account, from: '2026-03-01', to: '2026-04-01' }, page),
        clusters: (page) => store.listClusters(page),
        partitions: (page) => store.listPartitions(page),
      };
      const fill = async () => {
        for (const name of ['physics', 'art'] as const) {
          await withAccount({ account: name });
          await store.beat({ cluster: name, clusterUid: 'u', agentVersion: null, lastHeartbeat: NOON, principal: null }, 0);
          await store.writePartition(aPartition({ partition: name }));
          for (const runId of ['1', '2']) {
            await store.countUsage([{ entryId: `${name}-${runId}`, usage: [aUsage({ account: name, user: runId })] }], NOON);
            await place(aHold({ account: name, cluster: name, amount: 1n }));
            await store.commit({ accounts: [], entries: [], runs: [{ after: aRun({ owner: name, runId }) }] });
          }
        }
      };
      const validationFailed = expect.objectContaining({
        code: 'validation_failed',
        details: { fields: [expect.objectContaining({ path: 'cursor' })] },
      });

      it.each(Object.keys(lists))('of %s are refused by every other list, and by that of another owner', async (name) => {
        await fill();
        const cursor = await cursorOf(lists[name]?.({ limit: 1 }, 'physics') ?? Promise.reject());
        for (const [other, list] of Object.entries(lists)) {
          if (other !== name) await expect(list({ limit: 1, cursor }, 'physics')).rejects.toEqual(validationFailed);
        }
        const isOwned = !['accounts', 'all open holds', 'clusters', 'partitions'].includes(name);
        if (isOwned) await expect(lists[name]?.({ limit: 1, cursor }, 'art')).rejects.toEqual(validationFailed);
      });

      const forged = (words: unknown) => Buffer.from(JSON.stringify(words)).toString('base64url');
      it.each([
        ['empty', ''],
        ['no base64', '%%%'],
        ['no JSON', Buffer.from('{').toString('base64url')],
        ['another shape', forged({ place: 'x' })],
        ['numbers', forged([1, 'entries', 'physics'])],
        ['an empty list', forged([])],
        ['a place that is no place', forged(['x', 'entries', 'physics'])],
        ['a place of bytes that no key has', forged(['2026-03#\u0000', 'entries', 'physics'])],
        ['very long', forged([`2026-03#${'x'.repeat(5_000)}`, 'entries', 'physics'])],
      ])('are refused when broken: %s', async (_, cursor) => {
        await expect(lists.entries?.({ limit: 1, cursor }, 'physics')).rejects.toEqual(validationFailed);
      });

      it('that were forged show nothing but rows of the list that was asked for', async () => {
        await fill();
        const cursor = forged(['2020-01#', 'entries', 'physics']);
        const { items } = await store.listEntries({ account: 'physics', ...ALL_TIME }, { limit: 99, cursor });
        expect(items.map(({ account }) => account)).toEqual(['physics', 'physics', 'physics']);
      });

      it('go on where they were even when rows before them are gone', async () => {
        for (const partition of ['a', 'b', 'c']) await store.writePartition(aPartition({ partition }));
        const cursor = await cursorOf(store.listPartitions({ limit: 1 }));
        await store.deletePartition('a');
        const { items } = await store.listPartitions({ limit: 9, cursor });
        expect(items.map(({ partition }) => partition)).toEqual(['b', 'c']);
      });
    });

    describe('usage', () => {
      const counted = (entryId: string, given: Partial<Usage> = {}): CountedEntry => ({ entryId, usage: [aUsage(given)] });
      const march = (page: PageRequest) => store.listUsage({ account: 'physics', from: '2026-03-01', to: '2026-04-01' }, page);

      it('of an account that never had a run is empty', async () => {
        expect(await march({ limit: 9 })).toEqual({ items: [] });
      });

      it.each([1, 2, 3, 100])('is kept by day, user and partition, and read by day, %i a page', async (limit) => {
        const rows = [
          aUsage({ day: '2026-03-01', user: null, partition: null, used: -9_007_199_254_740_993n, jobs: 0, nodeSeconds: 0 }),
          aUsage({ day: '2026-03-01', user: null }),
          aUsage({ day: '2026-03-01', user: 'Σ√π #1\n' }),
          aUsage({ day: '2026-03-31', user: 'a', partition: 'b' }),
          aUsage({ day: '2026-03-31', user: 'a#b', partition: null }),
        ];
        const others = [aUsage({ day: '2026-02-28' }), aUsage({ day: '2026-04-01' }), aUsage({ account: 'art' })];
        await store.countUsage(
          [...others, ...rows].map((usage, index) => ({ entryId: `e${index}`, usage: [usage] })),
          NOON,
        );
        const listed = await drain(march, limit);
        expect(listed.length).toBe(rows.length);
        expect(listed).toEqual(expect.arrayContaining(rows));
        expect(listed.map(({ day }) => day)).toEqual(rows.map(({ day }) => day));
        const lastDay = await store.listUsage({ account: 'physics', from: '2026-03-02', to: '2026-04-01' }, { limit: 100 });
        expect(lastDay.items.map(({ day }) => day)).toEqual(['2026-03-31', '2026-03-31']);
        const firstDays = await store.listUsage({ account: 'physics', from: '2026-03-01', to: '2026-03-31' }, { limit: 100 });
        expect(firstDays.items.length).toBe(3);
      });

      it('adds up what entries say, each entry once, whatever it comes with', async () => {
        await store.countUsage([counted('e1'), counted('e2', { used: 9_007_199_254_740_993n })], NOON);
        await store.countUsage([counted('e1')], NOON);
        await store.countUsage(
          [counted('e3', { used: -1n, jobs: 0 }), counted('e2'), counted('e4', { user: 'bohr' }), counted('e1')],
          NOON + 1,
        );
        const { items } = await march({ limit: 9 });
        expect(items).toEqual([
          aUsage({ user: 'bohr' }),
          aUsage({ used: 5n + 9_007_199_254_740_993n - 1n, jobs: 2, nodeSeconds: 3 * 7200 }),
        ]);
      });

      it('adds up closed holds beside runs, in the row of their own day, user and partition, and takes back what was mended', async () => {
        const run = aUsage({ day: '2026-03-20' });
        const none = { used: 0n, jobs: 0, nodeSeconds: 0 };
        const holds = (closed: Closed): Usage => aUsage({ ...none, closed });
        await store.countUsage([{ entryId: 'e1', usage: [run, holds(someClosed())] }], NOON);
        const mended = someClosed({
          holds: -1,
          used: -1n,
          overran: 0,
          within: { 5: -1, 90: 1 },
          unspent: 0,
          estimate: 0n,
          held: 0n,
          unspentHeld: 0n,
        });
        const counted = [
          { entryId: 'e2', usage: [holds(mended)] },
          { entryId: 'e1', usage: [run, holds(someClosed())] },
        ];
        await store.countUsage(counted, NOON);
        await store.countUsage([{ entryId: 'e3', usage: [aUsage({ day: '2026-03-20', user: 'bohr' })] }], NOON);
        const closed = someClosed({ holds: 1, used: 6n, within: { 90: 1, 125: 1, more: 1 } });
        const { items } = await march({ limit: 9 });
        expect(items).toEqual([holds(closed), aUsage({ day: '2026-03-20', user: 'bohr' }), run]);
      });

      it('keeps what an entry and its hold say of the estimate', async () => {
        const closed = {
          account: 'art',
          user: null,
          partition: 'gpu',
          day: '2026-03-01',
          estimate: 5n,
          held: 6n,
          used: 9_007_199_254_740_993n,
        };
        await store.createAccount(anAccount(), undefined);
        const told = booked(aChange(spendAvailable(1n)), { type: 'late_settle', closed: { ...closed, usedBefore: 0n } });
        const closing = booked(aChange(spendAvailable(1n)), { type: 'settle', closed: { ...closed, user: 'curie', usedBefore: null } });
        await store.commit(told);
        await store.commit(closing);
        const { items } = await store.listEntries({ account: 'physics', from: NOON, to: NOON + 9 }, { limit: 9 });
        expect(items).toEqual([...told.entries, ...closing.entries]);
        const { priced: _, ...old } = aHold();
        const changed = aHold({ priced: { estimate: 9n, estimateLeft: 4n, held: 9_007_199_254_740_993n } });
        for (const after of [aHold(), changed, old]) {
          await store.commit({ accounts: [], entries: [], hold: { after } });
          expect(await store.readHold(after.holdId)).toEqual(after);
        }
      });

      it('counts an entry once when many count it at once', { timeout: 30_000 }, async () => {
        const count = async (entries: readonly CountedEntry[]): Promise<void> => {
          for (let tries = 1; ; tries += 1) {
            try {
              return await store.countUsage(entries, NOON);
            } catch (error) {
              if (!(error instanceof StoreContended) || tries === 100) throw error;
            }
          }
        };
        const entries = Array.from({ length: 6 }, (_, index) => counted(`e${index}`));
        await Promise.all(entries.map((_, index) => count([...entries.slice(index), ...entries.slice(0, index)])));
        expect((await march({ limit: 9 })).items).toEqual([aUsage({ used: 30n, jobs: 6, nodeSeconds: 6 * 7200 })]);
      });

      it.each([
        ['one entry twice', [counted('e1'), counted('e1')]],
        ['more than fit in a transaction', Array.from({ length: 34 }, (_, index) => counted(`e${index}`))],
      ])('fails loudly and counts nothing of %s', async (_, entries) => {
        await expect(Promise.resolve().then(() => store.countUsage(entries, NOON))).rejects.toThrow(/counted/);
        expect((await march({ limit: 9 })).items).toEqual([]);
      });

      it('counts as many as are allowed, each in two rows of its own', async () => {
        const rowsOf = (index: number) => [aUsage({ user: `u${index}` }), aUsage({ user: `h${index}`, closed: someClosed() })];
        await store.countUsage(
          Array.from({ length: 33 }, (_, index) => ({ entryId: `e${index}`, usage: rowsOf(index) })),
          NOON,
        );
        expect((await march({ limit: 99 })).items.length).toBe(66);
      });

      it('remembers what was announced', async () => {
        expect(await store.isAnnounced('physics.used.80.1000')).toBe(false);
        await store.setAnnounced('physics.used.80.1000', NOON);
        await store.setAnnounced('physics.used.80.1000', NOON + 1);
        expect(await store.isAnnounced('physics.used.80.1000')).toBe(true);
        expect(await store.isAnnounced('physics.used.80.1001')).toBe(false);
      });
    });

    describe('clusters', () => {
      const LONG_AGO = 0;
      const HEAD_NODE = 'arn:aws:iam::111122223333:role/head-node';
      const ANOTHER = 'arn:aws:iam::111122223333:role/another';
      const unsigned = { cluster: 'hpc-prod', clusterUid: 'uid-1', agentVersion: '0.1.0', lastHeartbeat: NOON, principal: null };
      const beating = { ...unsigned, principal: HEAD_NODE };
      const stored = ({ principal, ...heartbeat }: Heartbeat, principals = principal === null ? [] : [principal]): Cluster => ({
        ...heartbeat,
        principals,
      });

      it.each([unsigned, beating])('are claimed by the first uid, which goes on beating (by $principal)', async (first) => {
        expect(await store.beat(first, LONG_AGO)).toEqual(stored(first));
        const later = { ...first, agentVersion: null, lastHeartbeat: NOON + 60_000 };
        expect(await store.beat(later, LONG_AGO)).toEqual(stored(later));
        expect(await store.readCluster('hpc-prod')).toEqual(stored(later));
      });

      it.each([
        ['uid', { clusterUid: 'uid-2' }],
        ['principal', { principal: ANOTHER }],
        ['uid and principal', { clusterUid: 'uid-2', principal: ANOTHER }],
      ])('are not given to another %s, which gets to see whose it is', async (_, other) => {
        await store.beat(beating, LONG_AGO);
        expect(await store.beat({ ...beating, ...other, lastHeartbeat: NOON + 1 }, NOON)).toEqual(stored(beating));
        expect(await store.readCluster('hpc-prod')).toEqual(stored(beating));
      });

      it.each([
        ['uid', { clusterUid: 'uid-2' }],
        ['principal', { principal: ANOTHER }],
        ['uid and principal', { clusterUid: 'uid-2', principal: ANOTHER }],
      ])('are taken over by a %s in place of one that was not heard for long', async (_, other) => {
        await store.beat(beating, LONG_AGO);
        const rebuilt = { ...beating, ...other, lastHeartbeat: NOON + 300_001 };
        expect(await store.beat(rebuilt, NOON + 1)).toEqual(stored(rebuilt));
        expect(await store.readCluster('hpc-prod')).toEqual(stored(rebuilt));
        expect(await store.beat({ ...beating, lastHeartbeat: NOON + 300_002 }, NOON + 2)).toEqual(stored(rebuilt));
      });

      it('that nobody signed for are claimed by the first principal of the same uid', async () => {
        await store.beat(unsigned, LONG_AGO);
        expect(await store.beat(beating, LONG_AGO)).toEqual(stored(beating));
      });

      it('go on with whom an administrator named, until nobody is heard', async () => {
        await store.beat(beating, LONG_AGO);
        const both = stored(beating, [HEAD_NODE, ANOTHER]);
        expect(await store.namePrincipals('hpc-prod', [HEAD_NODE, ANOTHER])).toEqual(both);
        const later = { ...beating, lastHeartbeat: NOON + 60_000 };
        for (const principal of [ANOTHER, HEAD_NODE, null])
          expect(await store.beat({ ...later, principal }, NOON)).toEqual({ ...both, lastHeartbeat: NOON + 60_000 });
        const third = { ...beating, principal: 'arn:aws:iam::111122223333:user/third', lastHeartbeat: NOON + 400_000 };
        expect(await store.beat(third, NOON + 100_000)).toEqual(stored(third));
      });

      it('are free for the next principal once an administrator named nobody', async () => {
        await store.beat(beating, LONG_AGO);
        expect(await store.namePrincipals('hpc-prod', [])).toEqual(stored(beating, []));
        const next = { ...beating, principal: ANOTHER, lastHeartbeat: NOON + 1 };
        expect(await store.beat(next, NOON)).toEqual(stored(next));
      });

      it('are not made by naming principals', async () => {
        expect(await store.namePrincipals('hpc-prod', [HEAD_NODE])).toBeUndefined();
        expect(await store.namePrincipals('hpc-prod', [])).toBeUndefined();
        expect(await store.readCluster('hpc-prod')).toBeUndefined();
      });

      it('are listed by name', async () => {
        for (const cluster of ['b', 'a']) await store.beat({ ...beating, cluster }, LONG_AGO);
        expect((await drain((page) => store.listClusters(page), 1)).map(({ cluster }) => cluster)).toEqual(['a', 'b']);
        expect(await store.readCluster('c')).toBeUndefined();
      });
    });

    describe('partitions', () => {
      it.each([
        ['every field', aPartition()],
        [
          'every null',
          aPartition({
            defaultWallTimeSeconds: null,
            flatRatePerNodeHour: null,
            features: null,
            memoryPerNodeMib: null,
            instanceTypes: [],
            source: '',
          }),
        ],
      ])('keep %s', async (_, model) => {
        await store.writePartition(model);
        expect(await store.readPartition('aws')).toEqual(model);
      });

      it('are replaced as a whole', async () => {
        await store.writePartition(aPartition());
        await store.writePartition(aPartition({ features: null, region: 'eu-west-1' }));
        expect(await store.readPartition('aws')).toEqual(aPartition({ features: null, region: 'eu-west-1' }));
      });

      it('are deleted once', async () => {
        await store.writePartition(aPartition());
        expect([await store.deletePartition('aws'), await store.deletePartition('aws')]).toEqual([true, false]);
        expect(await store.readPartition('aws')).toBeUndefined();
        expect(await store.listPartitions({ limit: 9 })).toEqual({ items: [] });
      });
    });

    describe('prices', () => {
      it.each([
        ['every field', aPrice()],
        ['an unknown date', aPrice({ priceDate: null, gpus: 0 })],
      ])('keep %s', async (_, price) => {
        await store.writePrice(price);
        expect(await store.readPrice({ region: 'eu-central-1', type: 'u7inh-32tb.480xlarge' })).toEqual(price);
      });

      it('are of one type in one region', async () => {
        await store.writePrice(aPrice());
        expect(await store.readPrice({ region: 'eu-central-1', type: 'u7inh-32tb.48xlarge' })).toBeUndefined();
        expect(await store.readPrice({ region: 'eu-central-2', type: 'u7inh-32tb.480xlarge' })).toBeUndefined();
      });

      it('are replaced as a whole', async () => {
        await store.writePrice(aPrice());
        const later = { ...aPrice({ priceE10UsdPerHour: 1n, priceDate: null }), askedAt: NOON + 1 };
        await store.writePrice(later);
        expect(await store.readPrice({ region: 'eu-central-1', type: 'u7inh-32tb.480xlarge' })).toEqual(later);
      });
    });

    describe('a booking that is a bug', () => {
      const change = aChange(holdMore(1n));
      it.each<[string, Booking]>([
        ['is empty', { accounts: [], entries: [] }],
        ['moves money without an entry', { accounts: [{ ...change, entries: 0 }], entries: [] }],
        ['moves other money than its entries say', { accounts: [change], entries: [anEntry({ movement: holdMore(2n) })] }],
        ['has an entry of an account that it does not change', { accounts: [], entries: [anEntry({ movement: NOTHING })] }],
        ['changes one account twice', { accounts: [change, change], entries: [anEntry({ movement: holdMore(1n) })] }],
        ['books one run twice', { accounts: [], entries: [], runs: [{ after: aRun({ runId: 'x' }) }, { after: aRun({ runId: 'x' }) }] }],
        [
          'does not raise the version of a hold',
          { accounts: [], entries: [], hold: { before: aHold({ holdId: 'h' }), after: aHold({ holdId: 'h' }) } },
        ],
        ['is larger than a transaction', { accounts: [], entries: [], runs: Array.from({ length: 101 }, () => ({ after: aRun() })) }],
      ])('fails loudly and writes nothing when it %s', async (_, booking) => {
        const { account } = await withAccount();
        await expect(store.commit(booking)).rejects.toThrow(/booking|entry|hold/);
        expect(await store.readAccount('physics')).toEqual(account);
      });
    });
  });
};
