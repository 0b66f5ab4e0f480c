// What one product of AWS's price list says of an instance type, if it can be believed.
//
// The shape is that of the Price List Query API: `product.attributes` are texts, `terms.OnDemand` has one term under a key that
// nobody knows, and in it one price dimension. Prices have ten decimals, sizes a unit and sometimes a comma: "1,952 GiB".
import { parseDecimal } from '#domain/money';
import type { InstanceOffer } from '#domain/partition';

/** Far above the dearest instance there is, which costs a few hundred dollars: a price in other units is no price. */
const MAX_USD_PER_HOUR_E10 = 10_000n * 10n ** 10n;
const MIB_PER_GIB = 1024;

export type Product = Omit<InstanceOffer, 'source' | 'priceDate' | 'physicalCores'> & {
  readonly region: string;
  /** Undefined where AWS does not say, which is nearly everywhere. */
  readonly physicalCores: number | undefined;
};

/** A product that cannot be believed, and why. */
export class UnbelievableProduct extends Error {
  override readonly name = 'UnbelievableProduct';
}

/**
 * @param text one element of `PriceList`, which is JSON in a string
 * @throws UnbelievableProduct
 */
export const readProduct = (text: string): Product => {
  const { product, terms } = parsed(text) as { product?: { attributes?: unknown }; terms?: { OnDemand?: unknown } };
  const attributes = mapping(product?.attributes, 'no attributes');
  const type = attribute(attributes, 'instanceType');
  const region = attribute(attributes, 'regionCode');
  return {
    type,
    region,
    priceE10UsdPerHour: priceOf(terms?.OnDemand),
    vcpus: count(attribute(attributes, 'vcpu'), 'vcpu'),
    physicalCores: attributes.physicalCores === undefined ? undefined : count(attribute(attributes, 'physicalCores'), 'physicalCores'),
    memoryMib: mebibytes(attribute(attributes, 'memory')),
    gpus: attributes.gpu === undefined || attributes.gpu === 'NA' ? 0 : count(attribute(attributes, 'gpu'), 'gpu'),
  };
};

const parsed = (text: string): object => {
  try {
    return mapping(JSON.parse(text), 'no object');
  } catch (cause) {
    if (cause instanceof UnbelievableProduct) throw cause;
    throw new UnbelievableProduct('a product is not JSON', { cause });
  }
};

const mapping = (value: unknown, problem: string): Record<string, unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UnbelievableProduct(`a product has ${problem}`);
  return value as Record<string, unknown>;
};

const attribute = (attributes: Record<string, unknown>, name: string): string => {
  const value = attributes[name];
  if (typeof value !== 'string') throw new UnbelievableProduct(`a product has no ${name}`);
  return value;
};

/** The one price of the one term: a second of either would be a guess. */
const priceOf = (onDemand: unknown): bigint => {
  const term = mapping(only(mapping(onDemand, 'no on-demand terms'), 'on-demand terms'), 'no on-demand term');
  const dimension = mapping(only(mapping(term.priceDimensions, 'no prices'), 'prices'), 'no price');
  if (dimension.unit !== 'Hrs') throw new UnbelievableProduct(`a price is by ${dimension.unit}, not by the hour`);
  const { USD: usd } = mapping(dimension.pricePerUnit, 'no price per unit');
  if (usd === undefined) throw new UnbelievableProduct('a price is not in dollars');
  if (typeof usd !== 'string' || !/^\d{1,9}(\.\d{1,10})?$/.test(usd)) throw new UnbelievableProduct(`a price is ${JSON.stringify(usd)}`);
  const price = parseDecimal(usd, 10);
  if (price === 0n) throw new UnbelievableProduct('a price is $0');
  if (price > MAX_USD_PER_HOUR_E10) throw new UnbelievableProduct(`a price is ${usd} dollars an hour`);
  return price;
};

const only = (choices: Record<string, unknown>, what: string): unknown => {
  const [choice, ...others] = Object.values(choices);
  if (choice === undefined || others.length > 0)
    throw new UnbelievableProduct(`a product has ${Object.keys(choices).length} ${what}, not 1`);
  return choice;
};

const count = (text: string, name: string): number => {
  const value = text.replaceAll(',', '');
  if (!/^\d{1,7}$/.test(value)) throw new UnbelievableProduct(`${name} of a product is ${JSON.stringify(text)}`);
  return Number(value);
};

/** "0.5 GiB", "3.75 GiB", "1,952 GiB". */
const mebibytes = (text: string): number => {
  const [, gib] = /^([\d,]{1,12}(?:\.\d{1,6})?) GiB$/.exec(text) ?? [];
  const mib = Math.round(Number(gib?.replaceAll(',', '')) * MIB_PER_GIB);
  if (!(mib > 0)) throw new UnbelievableProduct(`memory of a product is ${JSON.stringify(text)}`);
  return mib;
};
