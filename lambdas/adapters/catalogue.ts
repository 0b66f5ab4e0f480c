// The seed catalogue: the prices that ship with the code, so that a first estimate needs no network. Marked with their date.
import { type Figures, parseFigures } from '#adapters/catalogue-text';
import type { PriceLink } from '#app/ports';
import type { InstanceOffer } from '#domain/partition';

export interface Catalogue extends PriceLink {
  /** Physical cores of a type, whose sizes are the same in every region; undefined if no region of the catalogue has it. */
  coresOf(type: string): Promise<number | undefined>;
}

interface Read {
  readonly regions: ReadonlyMap<string, ReadonlyMap<string, InstanceOffer>>;
  readonly cores: ReadonlyMap<string, number>;
}

/** Prices from the shipped figures. They are read on the first question, since most submissions find their price elsewhere. */
export const createCatalogue = (): Catalogue => {
  let read: Promise<Read> | undefined;
  const figures = (): Promise<Read> => {
    read ??= readFigures();
    return read;
  };
  return {
    source: 'catalogue',
    ask: async ({ region, type }) => {
      const offers = (await figures()).regions.get(region);
      if (offers === undefined) return { kind: 'none', outcome: `it has no prices of ${region}` };
      const offer = offers.get(type);
      return offer === undefined ? { kind: 'none', outcome: `it has no such type in ${region}` } : { kind: 'offer', offer };
    },
    coresOf: async (type) => (await figures()).cores.get(type),
  };
};

const readFigures = async (): Promise<Read> => {
  const { CATALOGUE } = await import('#adapters/catalogue-figures');
  const regions = CATALOGUE.map(({ region, priceDate, figures }) => ({
    region,
    offers: parseFigures(figures).map((each) => offerOf(each, priceDate)),
  }));
  return {
    regions: new Map(regions.map(({ region, offers }) => [region, new Map(offers.map((offer) => [offer.type, offer]))])),
    cores: new Map(regions.flatMap(({ offers }) => offers.map(({ type, physicalCores }) => [type, physicalCores] as const))),
  };
};

const offerOf = (figures: Figures, priceDate: string | null): InstanceOffer => ({ ...figures, source: 'catalogue', priceDate });
