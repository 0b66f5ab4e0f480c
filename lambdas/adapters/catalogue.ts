// The seed catalogue: the prices that ship with the code, so that a first estimate needs no network. Marked with their date.
import type { Prices } from '#app/ports';
import { parseDecimal } from '#domain/money';
import type { InstanceOffer } from '#domain/partition';

type Regions = ReadonlyMap<string, ReadonlyMap<string, InstanceOffer>>;

/** Prices from the shipped figures. They are read on the first question, since most submissions find their price elsewhere. */
export const createCatalogue = (): Prices => {
  let regions: Promise<Regions> | undefined;
  return {
    offerOf: async ({ region, type }) => {
      regions ??= readFigures();
      return (await regions).get(region)?.get(type);
    },
  };
};

const readFigures = async (): Promise<Regions> => {
  const { CATALOGUE } = await import('#adapters/catalogue-figures');
  return new Map(
    CATALOGUE.map(({ region, priceDate, figures }) => {
      const offers = figures
        .trim()
        .split('\n')
        .map((line) => offerOf(line, priceDate));
      return [region, new Map(offers.map((offer) => [offer.type, offer]))];
    }),
  );
};

const offerOf = (line: string, priceDate: string | null): InstanceOffer => {
  const [type, usdPerHour, vcpus, physicalCores, memoryMib, gpus] = line.split(' ');
  if (type === undefined || usdPerHour === undefined) throw new Error(`the catalogue has a broken line: ${line}`);
  return {
    type,
    priceE10UsdPerHour: parseDecimal(usdPerHour, 10),
    vcpus: Number(vcpus),
    physicalCores: Number(physicalCores),
    memoryMib: Number(memoryMib),
    gpus: Number(gpus),
    source: 'catalogue',
    priceDate,
  };
};
