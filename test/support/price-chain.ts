// A price chain whose links a test can stop, and whose time it makes pass.
import { createMemoryBudgets } from '#adapters/memory-budgets';
import type { BudgetStore, KeptPrice, PriceLink, PriceReply, Prices } from '#app/ports';
import { createPriceChain } from '#app/price-chain';
import { anOffer, DAY_MS, HOUR_MS, NOON } from '#test/support/builders';
import { createFakeClock, type FakeClock } from '#test/support/fake-clock';

export const WANTED = { region: 'us-east-1', type: 'c5.18xlarge' };
export const FOR_EVER = NOON + 365 * DAY_MS;

export interface FakeLink extends PriceLink {
  /** What it says, after so long. */
  reply: PriceReply | 'nothing, ever';
  takesMs: number;
  readonly asked: string[];
}

export const aLink = (source: PriceLink['source'], clock: FakeClock, reply: FakeLink['reply']): FakeLink => {
  const link: FakeLink = {
    source,
    reply,
    takesMs: 0,
    asked: [],
    ask: async ({ region, type }) => {
      link.asked.push(`${type} in ${region}`);
      const { takesMs } = link;
      if (takesMs > 0) await clock.sleep(takesMs, new AbortController().signal);
      return link.reply === 'nothing, ever' ? new Promise<never>(() => undefined) : link.reply;
    },
  };
  return link;
};

export const FROM_API = anOffer({ priceE10UsdPerHour: 31_000_000_000n, priceDate: '2026-03-14' });
export const FROM_CATALOGUE = anOffer({ priceE10UsdPerHour: 30_600_000_000n, source: 'catalogue', priceDate: '2026-01-02' });

export interface ChainWorld {
  readonly clock: FakeClock;
  readonly store: BudgetStore;
  readonly api: FakeLink;
  readonly catalogue: FakeLink;
  readonly reads: string[];
  /** The prices of one request of a process that lives on. */
  prices(given?: { deadline?: number; store?: Pick<BudgetStore, 'readPrice'> }): Prices;
  /** Another process on the same table. */
  another(): Prices;
  /** A price that was asked for so long ago. */
  keep(ageMs: number, offer?: KeptPrice['offer']): Promise<void>;
}

export const aChain = (given: { writePrice?: BudgetStore['writePrice'] } = {}): ChainWorld => {
  const clock = createFakeClock(NOON);
  const memory = createMemoryBudgets();
  const reads: string[] = [];
  const store: BudgetStore = {
    ...memory,
    readPrice: (wanted) => {
      reads.push(wanted.type);
      return memory.readPrice(wanted);
    },
  };
  const api = aLink('pricing-api', clock, { kind: 'offer', offer: FROM_API });
  const catalogue = aLink('catalogue', clock, { kind: 'offer', offer: FROM_CATALOGUE });
  const chainOf = () =>
    createPriceChain({ clock, store: { writePrice: memory.writePrice, ...given }, api, catalogue, ttlMs: 24 * HOUR_MS });
  const chain = chainOf();
  return {
    clock,
    store,
    api,
    catalogue,
    reads,
    prices: ({ deadline = FOR_EVER, store: reader = store } = {}) => chain.within({ store: reader, deadline }),
    another: () => chainOf().within({ store, deadline: FOR_EVER }),
    keep: (ageMs, offer = FROM_API) => memory.writePrice({ region: WANTED.region, offer, askedAt: clock.now() - ageMs }),
  };
};

/** What something comes to, and how long that took while nobody but time did anything. */
export const timed = async <T>(clock: FakeClock, work: Promise<T>, stepMs = 50): Promise<{ value: T; ms: number }> => {
  const started = clock.now();
  let done = false;
  const watched = work.finally(() => {
    done = true;
  });
  watched.catch(() => undefined);
  for (let steps = 0; steps < 2_000; steps += 1) {
    await new Promise(setImmediate);
    if (done) break;
    await clock.advance(stepMs);
  }
  return { value: await watched, ms: clock.now() - started };
};
