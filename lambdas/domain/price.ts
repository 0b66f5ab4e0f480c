// How far a price is to be believed, and what was asked before it was found.
import type { PriceSource } from '#domain/partition';

/** What one link of the price chain answered, where it was not the price that is used. */
export interface Tried {
  readonly source: PriceSource | 'price-cache';
  /** One short sentence for people. */
  readonly outcome: string;
}

export interface Evidence {
  /** 0 to 100. */
  readonly confidencePercent: number;
  /** In the order in which they were asked. */
  readonly tried: readonly Tried[];
}

/**
 * How far each source is to be believed. The list price of AWS's own API is what the bill will say before discounts; a catalogue
 * was so on its price date; a flat rate is somebody's guess.
 */
const CONFIDENCE_PERCENT: Readonly<Record<PriceSource, number>> = { advisor: 90, 'pricing-api': 100, catalogue: 80, 'flat-rate': 50 };
/** A price of AWS's API that is older than it should be: AWS changes few prices, and mostly downwards. */
const STALE_PERCENT = 90;
/** A price of which nobody knows when it was one. */
const UNDATED_PERCENT = 60;
/** A job with more types and more outcomes than this has a reader who stopped reading. */
const MAX_TRIED = 12;
const MAX_TYPES_NAMED = 3;

export const confidencePercentOf = (price: { source: PriceSource; priceDate: string | null; isStale?: boolean }): number => {
  if (price.source === 'catalogue' && price.priceDate === null) return UNDATED_PERCENT;
  return price.isStale === true ? STALE_PERCENT : CONFIDENCE_PERCENT[price.source];
};

/** What a hold of before this was recorded, or the locked price of one, is known by. */
export const evidenceOf = (price: { source: PriceSource; priceDate: string | null }): Evidence => ({
  confidencePercent: confidencePercentOf(price),
  tried: [],
});

/**
 * Of several types together: as sure as the least sure of them, and each outcome once. An outcome of some types only names them.
 */
export const evidenceOfAll = (types: readonly (Evidence & { readonly type: string })[]): Evidence => {
  const typesByOutcome = new Map<string, { tried: Tried; types: string[] }>();
  for (const { type, tried } of types) {
    for (const each of tried) {
      const key = `${each.source} ${each.outcome}`;
      const known = typesByOutcome.get(key) ?? { tried: each, types: [] };
      known.types.push(type);
      typesByOutcome.set(key, known);
    }
  }
  const tried = [...typesByOutcome.values()].slice(0, MAX_TRIED).map((each) => ({
    ...each.tried,
    outcome: each.types.length === types.length ? each.tried.outcome : `${namesOf(each.types)}: ${each.tried.outcome}`,
  }));
  return { confidencePercent: Math.min(...types.map(({ confidencePercent }) => confidencePercent)), tried };
};

const namesOf = (types: readonly string[]): string =>
  types.length > MAX_TYPES_NAMED
    ? `${types.slice(0, MAX_TYPES_NAMED).join(', ')} and ${types.length - MAX_TYPES_NAMED} more`
    : types.join(', ');
