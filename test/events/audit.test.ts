// The daily audit over a whole directory of accounts: what it tells, what it measures, and what does not stop it.
import { describe, expect, it } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { createAccount } from '#app/create-account';
import { type BudgetStore, type Measurement, type Services, StoreUnavailable } from '#app/ports';
import { NOTHING } from '#domain/ledger';
import { auditAll } from '#events/audit';
import { createClock, createWorld, place, tenDollars, USD } from '#test/money/world';

const WORDS = { name: null, description: null, startDate: null, endDate: null };

/** Account physics with a hold, and as many others as are named. */
const aSite = async (others: readonly string[] = [], disturbed: (store: BudgetStore) => BudgetStore = (store) => store) => {
  const store = createMemoryBudgets();
  const clock = createClock();
  const world = createWorld({ store, clock });
  await tenDollars(world);
  await place(world);
  for (const account of others) await createAccount(world, { account, limit: 5n * USD, ...WORDS });
  const told: string[] = [];
  const measured: Measurement[] = [];
  const services: Services = {
    world: () => createWorld({ store: disturbed(store), clock }),
    telemetry: {
      answered: () => undefined,
      failed: ({ error }) => void told.push((error as Error).message),
      measured: (measurements) => void measured.push(...measurements),
    },
  };
  /** The columns change, and no entry says why. */
  const spoil = (account: string) =>
    store.commit({
      accounts: [{ account, movement: NOTHING, unconfirmed: 7n * USD, entries: 0, require: { kind: 'fact' }, at: clock.now() }],
      entries: [],
    });
  return { audit: () => auditAll(services, clock), clock, store, told, measured, spoil };
};

describe('the daily audit', () => {
  it('says nothing of ledgers that explain everything, and measures that', async () => {
    const { audit, told, measured } = await aSite(['chemistry', 'biology']);
    expect(await audit()).toEqual({ accounts: 3, differences: 0, failed: 0, finished: true });
    expect(told).toEqual([]);
    expect(measured).toEqual([
      { name: 'AuditDifferences', value: 0 },
      { name: 'AccountsNotAudited', value: 0 },
    ]);
  });

  it('tells of each difference with account, column and both amounts', async () => {
    const { audit, told, measured, spoil } = await aSite(['chemistry']);
    await spoil('chemistry');
    expect(await audit()).toMatchObject({ accounts: 2, differences: 1 });
    expect(told).toEqual([
      'account chemistry, unconfirmed: $7.00 is stored, its ledger says $0.00: the column was changed beside its holds',
    ]);
    expect(measured).toContainEqual({ name: 'AuditDifferences', value: 1 });
  });

  it('goes on behind an account that cannot be read', async () => {
    const { audit, told, measured } = await aSite(['chemistry', 'zoology'], (store) => ({
      ...store,
      listEntries: async (query, page) => {
        if (query.account === 'chemistry') throw new StoreUnavailable('no clear answer');
        return store.listEntries(query, page);
      },
    }));
    expect(await audit()).toEqual({ accounts: 2, differences: 0, failed: 1, finished: true });
    expect(told).toEqual(['account chemistry was not audited']);
    expect(measured).toContainEqual({ name: 'AccountsNotAudited', value: 1 });
  });

  it('passes over an account that is removed meanwhile', async () => {
    const { audit, told } = await aSite(['chemistry'], (store) => ({
      ...store,
      readAccount: async (account) => (account === 'chemistry' ? undefined : store.readAccount(account)),
    }));
    expect(await audit()).toEqual({ accounts: 1, differences: 0, failed: 0, finished: true });
    expect(told).toEqual([]);
  });

  it('names the account that there was no time for', async () => {
    let late = () => {};
    const { audit, clock, told, measured } = await aSite(['chemistry', 'zoology'], (store) => ({
      ...store,
      listEntries: async (query, page) => {
        if (query.account === 'physics') late();
        return store.listEntries(query, page);
      },
    }));
    late = () => clock.advance(14 * 60_000);
    expect(await audit()).toEqual({ accounts: 2, differences: 0, failed: 0, finished: false });
    expect(told.at(-1)).toBe('the audit had no time for account zoology and those after it: audit them with `asbb audit`');
    expect(measured).toContainEqual({ name: 'AccountsNotAudited', value: 1 });
  });
});
