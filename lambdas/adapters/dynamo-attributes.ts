// Attributes of items: read by name and type, so that an item that is not as we wrote it stops here, by name.
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { ITEM_VERSION } from '#contract/table';

/** An item as the document client takes and gives it; integers are read as bigint. */
export type Item = Record<string, unknown>;

/** Reads attributes by name; each method throws, naming item and attribute, where the attribute is missing or of another type. */
export interface Reader {
  has(name: string): boolean;
  all(): Item;
  text<T extends string = string>(name: string): T;
  textOrNull<T extends string = string>(name: string): T | null;
  texts(name: string): string[];
  integer(name: string): bigint;
  integerOrNull(name: string): bigint | null;
  number(name: string): number;
  numberOrNull(name: string): number | null;
  flag(name: string): boolean;
  map(name: string): Reader;
  maps(name: string): Reader[];
}

export const reader = (stored: Item): Reader => {
  const unreadable = (name: string, wanted: string): never => {
    throw new Error(`item ${stored.pk ?? '(a part)'} ${stored.sk ?? ''}: attribute ${name} is no ${wanted}`);
  };
  // A shape from a newer program would be read wrong, and written back wronger.
  if (stored.v !== undefined && stored.v !== BigInt(ITEM_VERSION)) unreadable('v', `version that this program knows: ${stored.v}`);
  const optional = <T>(name: string, read: (name: string) => T): T | null => (stored[name] === undefined ? null : read(name));
  const text = <T extends string = string>(name: string): T => {
    const value = stored[name];
    return typeof value === 'string' ? (value as T) : unreadable(name, 'text');
  };
  const integer = (name: string): bigint => {
    const value = stored[name];
    return typeof value === 'bigint' ? value : unreadable(name, 'integer');
  };
  const number = (name: string): number => Number(integer(name));
  const list = (name: string): unknown[] => {
    const value = stored[name];
    return Array.isArray(value) ? value : unreadable(name, 'list');
  };
  return {
    has: (name) => stored[name] !== undefined,
    all: () => stored,
    text,
    textOrNull: <T extends string = string>(name: string) => optional(name, text<T>),
    texts: (name) => list(name) as string[],
    integer,
    integerOrNull: (name) => optional(name, integer),
    number,
    numberOrNull: (name) => optional(name, number),
    flag: (name) => {
      const value = stored[name];
      return typeof value === 'boolean' ? value : unreadable(name, 'flag');
    },
    map: (name) => {
      const value = stored[name];
      return typeof value === 'object' && value !== null ? reader(value as Item) : unreadable(name, 'map');
    },
    maps: (name) => list(name).map((each) => reader(each as Item)),
  };
};

/** An item in DynamoDB's own notation, as refusals and streams carry it, read as the document client reads the rest. */
export const fromAttributes = (attributes: Record<string, AttributeValue>): Item =>
  Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, fromAttribute(value)]));

const fromAttribute = (value: AttributeValue): unknown => {
  if (value.S !== undefined) return value.S;
  if (value.N !== undefined) return integerOf(value.N);
  if (value.BOOL !== undefined) return value.BOOL;
  if (value.L !== undefined) return value.L.map(fromAttribute);
  if (value.M !== undefined) return fromAttributes(value.M);
  throw new Error(`no item of ours has an attribute of type ${Object.keys(value).join()}`);
};

/** How a stored number is read. Doubles would lose micro-dollars from 2^53 up, so no number passes through one. */
export const integerOf = (digits: string): bigint => BigInt(digits);

/** Refuses fractions on the way in: written once, they could never be read as integers again. */
export const wholeNumbers = <T>(value: T): T => {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new Error(`items hold integers only, so ${value} cannot be stored`);
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(wholeNumbers);
  return value;
};

/** The same value with its integers as numbers: for what is known to hold no money. */
export const numbersIn = (value: unknown): unknown => {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(numbersIn);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, numbersIn(each)]));
};
