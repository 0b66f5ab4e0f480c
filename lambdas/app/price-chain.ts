// Where a price comes from: what is kept, then AWS's Pricing API, then the catalogue that ships with the code. What all of them
// leave unpriced is for the partition's policy to say.
import type { BudgetStore, Clock, KeptPrice, PriceAnswer, PriceLink, PriceReply, Prices, WantedPrice } from '#app/ports';
import { BudgetError } from '#domain/errors';
import type { Instant } from '#domain/ledger';
import { confidencePercentOf, type Tried } from '#domain/price';

/** After silence nobody waits for the API again for so long: else each submission would. */
const REST_MS = 30_000;
/** Whoever answers later than this was silent: it is what a submission waits. */
const SILENCE_MS = 300;
/** What it said of a type that it does not sell, or has two prices for, is so for a while. */
const TYPE_REST_MS = 10 * 60_000;
/** A price that is not in the table, or is old there, is looked for again after so long: another process may have asked. */
const LOOK_AGAIN_MS = 60_000;
/** Sites have tens of types; a client that invents partitions cannot, but an administrator might. */
const MOST_REMEMBERED = 5_000;

export interface PriceChainParts {
  readonly clock: Clock;
  /** Where prices are kept for all processes. Written behind a request's back, so without its deadline. */
  readonly store: Pick<BudgetStore, 'writePrice'>;
  readonly api: PriceLink;
  readonly catalogue: PriceLink;
  /** How long a kept price is believed without asking again. */
  readonly ttlMs: number;
}

/** What one process knows of prices, shared by its requests. */
export interface PriceChain {
  /** Prices for one request: kept ones are read through its store, and nobody is waited for past its deadline. */
  within(request: { store: Pick<BudgetStore, 'readPrice'>; deadline: Instant }): Prices;
}

/** What is remembered of a type, beside what the table has. */
interface Memory {
  kept: KeptPrice | undefined;
  /** When the table was read last. */
  lookedAt: Instant;
  /** Why the API is not asked about this type, and until when. */
  rest?: { readonly until: Instant; readonly outcome: string };
  /** The question that is under way, for all who have it. */
  asking?: Promise<PriceReply>;
}

export const createPriceChain = ({ clock, store, api, catalogue, ttlMs }: PriceChainParts): PriceChain => {
  const memories = new Map<string, Memory>();
  let apiRest: { until: Instant; outcome: string } | undefined;

  const memoryOf = ({ region, type }: WantedPrice): Memory => {
    const key = `${region} ${type}`;
    const known = memories.get(key);
    if (known !== undefined) return known;
    if (memories.size >= MOST_REMEMBERED) memories.clear();
    const made: Memory = { kept: undefined, lookedAt: Number.NEGATIVE_INFINITY };
    memories.set(key, made);
    return made;
  };

  const isFresh = (kept: KeptPrice | undefined): kept is KeptPrice => kept !== undefined && clock.now() - kept.askedAt < ttlMs;

  /** The table is read when memory is too old, and not at each request when the table is too. */
  const look = async (memory: Memory, wanted: WantedPrice, reader: Pick<BudgetStore, 'readPrice'>): Promise<Tried[]> => {
    if (isFresh(memory.kept)) return [];
    if (clock.now() - memory.lookedAt >= LOOK_AGAIN_MS) {
      try {
        memory.kept = newer(await reader.readPrice(wanted), memory.kept);
        memory.lookedAt = clock.now();
      } catch (error) {
        if (error instanceof BudgetError) throw error; // The request's time is up, so nobody waits for a price either.
        return [{ source: 'price-cache', outcome: 'the kept price could not be read' }];
      }
    }
    if (isFresh(memory.kept)) return [];
    return [
      { source: 'price-cache', outcome: memory.kept === undefined ? 'no price is kept' : `stale: asked ${hoursSince(memory.kept)} h ago` },
    ];
  };

  const hoursSince = ({ askedAt }: KeptPrice): number => Math.floor((clock.now() - askedAt) / 3_600_000);

  /** One question at a time for each type. Whoever stopped waiting for it finds its answer the next time. */
  const ask = (memory: Memory, wanted: WantedPrice): Promise<PriceReply> => {
    memory.asking ??= answered(memory, wanted).finally(() => {
      delete memory.asking;
    });
    return memory.asking;
  };

  const answered = async (memory: Memory, wanted: WantedPrice): Promise<PriceReply> => {
    const reply = await api.ask(wanted);
    if (reply.kind === 'offer') {
      apiRest = undefined;
      delete memory.rest;
      memory.kept = { region: wanted.region, offer: reply.offer, askedAt: clock.now() };
      // Another process asks for itself if this cannot be written.
      await store.writePrice(memory.kept).catch(() => undefined);
    } else if (reply.kind === 'unanswered') apiRest = restFor(REST_MS, reply.outcome);
    else if (reply.kind !== 'unasked') memory.rest = restFor(TYPE_REST_MS, reply.outcome);
    return reply;
  };

  const restFor = (ms: number, outcome: string) => ({ until: clock.now() + ms, outcome });

  /** What the API said within the patience, in words if it is no price. */
  const askWithin = async (memory: Memory, wanted: WantedPrice, patienceMs: number): Promise<Tried[]> => {
    if (patienceMs <= 0) return [];
    const said = (outcome: string): Tried[] => [{ source: api.source, outcome }];
    const resting = [memory.rest, apiRest].find((rest) => rest !== undefined && rest.until > clock.now());
    if (resting !== undefined) return said(`not asked again yet: ${resting.outcome}`);
    const reply = await withinPatience(clock, patienceMs, ask(memory, wanted));
    if (reply?.kind === 'offer' || isFresh(memory.kept)) return []; // Kept already, though not yet for others.
    if (reply === undefined) {
      const outcome = `no answer within ${patienceMs} ms`;
      if (patienceMs >= SILENCE_MS) apiRest = restFor(REST_MS, outcome); // Less is the haste of the request.
      return said(outcome);
    }
    return said(reply.outcome);
  };

  const offerOf = async (
    wanted: WantedPrice,
    { store: reader, patienceMs }: { store: Pick<BudgetStore, 'readPrice'>; patienceMs: number },
  ): Promise<PriceAnswer> => {
    const memory = memoryOf(wanted);
    const tried = await look(memory, wanted, reader);
    if (!isFresh(memory.kept)) tried.push(...(await askWithin(memory, wanted, patienceMs)));
    if (memory.kept !== undefined) {
      const { offer } = memory.kept;
      // What was asked for anew just now is as good as kept: only what went wrong is worth telling.
      return isFresh(memory.kept)
        ? { offer, confidencePercent: confidencePercentOf(offer), tried: [] }
        : { offer, confidencePercent: confidencePercentOf({ ...offer, isStale: true }), tried };
    }
    const listed = await catalogue.ask(wanted);
    if (listed.kind === 'offer') return { offer: listed.offer, confidencePercent: confidencePercentOf(listed.offer), tried };
    return { offer: undefined, confidencePercent: 0, tried: [...tried, { source: catalogue.source, outcome: listed.outcome }] };
  };

  return {
    within: ({ store: reader, deadline }) => ({
      offerOf: (wanted, patienceMs) =>
        offerOf(wanted, { store: reader, patienceMs: Math.min(patienceMs, Math.floor(deadline - clock.now())) }),
      refresh: (wanted) => ask(memoryOf(wanted), wanted),
    }),
  };
};

/** The later of two; an older answer may be in the table when this process has a newer one that could not be written. */
const newer = (a: KeptPrice | undefined, b: KeptPrice | undefined): KeptPrice | undefined =>
  a !== undefined && (b === undefined || a.askedAt > b.askedAt) ? a : b;

/** Undefined: it took longer. */
const withinPatience = async <T>(clock: Clock, patienceMs: number, asking: Promise<T>): Promise<T | undefined> => {
  const answered = new AbortController();
  try {
    return await Promise.race([asking, clock.sleep(patienceMs, answered.signal).then(() => undefined)]);
  } finally {
    answered.abort();
  }
};
