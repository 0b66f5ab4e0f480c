// A whole service in memory: a store that can be watched and disturbed, a clock that stands still, fixed prices, ids that repeat.
import { createHash } from 'node:crypto';
import { encodeTime } from 'ulid';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { NOT_BOUND } from '#app/own-cluster';
import { placeHold } from '#app/place-hold';
import {
  type BudgetStore,
  type Ids,
  type PriceLink,
  type Prices,
  type Refusal,
  type Settings,
  StoreUnavailable,
  type World,
} from '#app/ports';
import { withinDeadline } from '#app/within-deadline';
import type { Account } from '#domain/account';
import type { Hold } from '#domain/hold';
import type { Job } from '#domain/job';
import { limitBy } from '#domain/ledger';
import type { InstanceOffer, PartitionModel } from '#domain/partition';
import { aJob, aModel, anAccount, anOffer, HOUR_MS, NOON } from '#test/support/builders';
import { createFakeClock, type FakeClock } from '#test/support/fake-clock';

/** Ids that count up, a dice that rolls the same each time, and the real SHA-256. */
export const createFakeIds = (seed = 1): Ids => {
  let count = 0;
  let dice = seed;
  return {
    holdId: () => `00000000-0000-4000-8000-${String(++count).padStart(12, '0')}`,
    entryId: (at) => `${encodeTime(at, 10)}${String(++count).padStart(16, '0')}`,
    sha256: (text) => createHash('sha256').update(text, 'utf8').digest('hex'),
    random: () => {
      dice = (dice * 48_271) % 2_147_483_647; // Park and Miller's minimal standard generator.
      return dice / 2_147_483_647;
    },
  };
};

export const OFFERS: readonly InstanceOffer[] = [
  anOffer(),
  anOffer({ type: 'c5.9xlarge', priceE10UsdPerHour: 15_300_000_000n, vcpus: 36, physicalCores: 18, memoryMib: 73_728 }),
  anOffer({ type: 'p3.2xlarge', vcpus: 8, physicalCores: 4, memoryMib: 62_464, gpus: 1 }),
];

/** The same prices in us-east-1 for ever, and none anywhere else. */
const fixedPrices: Prices = {
  offerOf: async ({ region, type }) => {
    const offer = region === 'us-east-1' ? OFFERS.find((each) => each.type === type) : undefined;
    return { offer, confidencePercent: offer === undefined ? 0 : 100, tried: [] };
  },
  refresh: async () => ({ kind: 'unasked', outcome: 'these prices are fixed' }),
};

/** No price of anything. */
export const noPrices: Prices = {
  offerOf: async () => ({ offer: undefined, confidencePercent: 0, tried: [] }),
  refresh: async () => ({ kind: 'none', outcome: 'nothing is sold' }),
};

const emptyLink = (source: PriceLink['source']): PriceLink => ({ source, ask: async () => ({ kind: 'none', outcome: 'nothing is sold' }) });

/** For services that only know flat rates. */
export const NO_PRICING = { api: emptyLink('pricing-api'), catalogue: emptyLink('catalogue'), ttlMs: 24 * HOUR_MS };

const SETTINGS: Settings = {
  holdFactor: { numerator: 12n, denominator: 10n },
  reconciliationTimeoutMs: 24 * HOUR_MS,
  defaultCluster: null,
  surroundings: { store: 'dynamodb', sweepIntervalMs: 60_000, pricingRegion: null, priceTtlMs: 86_400_000, advisorUrl: null },
};

type Method = keyof BudgetStore;

export interface TestWorld extends World {
  readonly clock: FakeClock;
  /** The store behind the watched one: what a test or a rival does here is neither counted nor disturbed. */
  readonly table: BudgetStore;
  /** Every call that a use case made, in order. */
  readonly calls: Method[];
  /** A deed between a use case's read and its next call of this method: a rival who is faster. */
  beforeNext(method: Method, deed: () => unknown): void;
  /** The next calls of this method are done, and then their answers get lost. */
  loseAnswers(method: Method, times: number): void;
  /** The next commits write nothing and are answered with these. */
  refuseNext(...refusals: readonly Partial<Refusal>[]): void;
  /** Enters an account with its opening deposit; without dates, active. */
  open(given: Partial<Account> & { limit: bigint }): Promise<Account>;
  /** The account as it is in the table now. */
  account(name?: string): Promise<Account>;
  /** Types of an account's ledger entries, oldest first. */
  entryTypes(name?: string): Promise<string[]>;
}

/** A world with partition aws (c5.18xlarge) and no account. */
export const aWorld = async (models: readonly PartitionModel[] = [aModel()], settings: Partial<Settings> = {}): Promise<TestWorld> => {
  const table = createMemoryBudgets();
  for (const model of models) await table.writePartition(model);
  const calls: Method[] = [];
  const deeds: { method: Method; deed: () => unknown }[] = [];
  const lost: Method[] = [];
  const refusals: Refusal[] = [];

  const watched =
    (method: Method, call: (...args: unknown[]) => Promise<unknown>) =>
    async (...args: unknown[]): Promise<unknown> => {
      calls.push(method);
      const next = deeds.findIndex((each) => each.method === method);
      if (next !== -1) await deeds.splice(next, 1)[0]?.deed();
      const refusal = method === 'commit' ? refusals.shift() : undefined;
      if (refusal !== undefined) return { booked: false, refusal };
      const answer = await call(...args);
      const loss = lost.indexOf(method);
      if (loss === -1) return answer;
      lost.splice(loss, 1);
      throw new StoreUnavailable('the line went dead');
    };
  const store = Object.fromEntries(
    Object.entries(table).map(([name, method]) => [name, watched(name as Method, method)]),
  ) as unknown as BudgetStore; // Same names, same arguments, same answers.

  const clock = createFakeClock(NOON);
  const ids = createFakeIds();
  const account = async (name = 'physics'): Promise<Account> => {
    const found = await table.readAccount(name);
    if (found === undefined) throw new Error(`no account ${name}`);
    return found;
  };

  return {
    store,
    table,
    calls,
    prices: fixedPrices,
    clock,
    ids,
    caller: NOT_BOUND,
    settings: { ...SETTINGS, ...settings },
    beforeNext: (method, deed) => deeds.push({ method, deed }),
    loseAnswers: (method, times) => lost.push(...Array<Method>(times).fill(method)),
    refuseNext: (...each) => refusals.push(...each.map((refusal) => ({ accounts: [], runs: [], ...refusal }))),
    account,
    open: async (given) => {
      const opened = anAccount({ available: given.limit, held: 0n, used: 0n, version: 1, entryCount: 1, ...given });
      await table.createAccount(opened, {
        entryId: ids.entryId(opened.createdAt),
        at: opened.createdAt,
        account: opened.account,
        type: 'deposit',
        amount: given.limit,
        movement: limitBy(given.limit),
        holdId: null,
        jobId: null,
        runId: null,
        user: null,
        note: 'opening',
      });
      return opened;
    },
    entryTypes: async (name = 'physics') => {
      const { items } = await table.listEntries({ account: name, from: 0, to: NOON + 400 * 24 * HOUR_MS }, { limit: 500 });
      return items.map(({ type }) => type);
    },
  };
};

/** The columns alone, as the money law names them. */
export const columns = ({ available, held, used, limit }: Pick<Account, 'available' | 'held' | 'used' | 'limit'>) => ({
  available,
  held,
  used,
  limit,
});

/** The same world for a request that has so long. */
export const within = (world: World, ms: number): World => ({
  ...world,
  store: withinDeadline(world.store, { clock: world.clock, ids: world.ids, deadline: world.clock.now() + ms }),
});

/** A hold that is placed: one node for one hour, $3.06 and a fifth, if the job says nothing else. */
export const aPlacedHold = async (world: TestWorld, job: Partial<Job> = {}, holdId?: string): Promise<Hold> => {
  const { hold } = await placeHold(world, { job: aJob(job), holdId });
  if (hold === null) throw new Error('the account lacks the money for this test');
  world.calls.length = 0;
  return hold;
};

/** The hold as it is in the table now. */
export const theHold = async (world: TestWorld, holdId: string): Promise<Hold> => {
  const found = await world.table.readHold(holdId);
  if (found === undefined) throw new Error(`no hold ${holdId}`);
  return found;
};
