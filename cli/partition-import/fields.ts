// Fields of JSON and YAML whose spelling differs from writer to writer: `PartitionName`, `partition_name`, `partitionname`.
import { isInstanceType, wrongIn } from '#cli/partition-import/facts';
import { MAX_COUNT } from '#contract/limits';
import { BudgetError } from '#domain/errors';
import { parseMemoryMib } from '#domain/memory';

/** An object of a file, and the path that leads to it. */
export interface Place {
  readonly file: string;
  readonly path: string;
}

export interface Fields extends Place {
  readonly values: ReadonlyMap<string, unknown>;
}

const plain = (name: string): string => name.toLowerCase().replaceAll('_', '');

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const below = (place: Place, name: string | number): Place => {
  const step = typeof name === 'number' ? `[${name}]` : `${place.path === '' ? '' : '.'}${name}`;
  return { file: place.file, path: `${place.path}${step}` };
};

export const fieldsOf = (value: unknown, place: Place): Fields => {
  if (!isObject(value)) throw wrongIn(place.file, place.path, 'must be an object');
  return { ...place, values: new Map(Object.entries(value).map(([name, each]) => [plain(name), each])) };
};

/** Undefined if it is not there, or null, or empty text. */
export const fieldOf = (fields: Fields, name: string): unknown => {
  const value = fields.values.get(plain(name));
  return value === null || value === '' ? undefined : value;
};

/** Text, or a number as text: YAML and JSON of these writers have both. */
export const textOf = (fields: Fields, name: string): string | undefined => {
  const value = fieldOf(fields, name);
  if (value === undefined) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  throw wrongIn(fields.file, below(fields, name).path, 'must be text');
};

export const neededText = (fields: Fields, name: string): string => {
  const text = textOf(fields, name);
  if (text === undefined) throw wrongIn(fields.file, fields.path, `has no ${name}`);
  return text;
};

export const objectsOf = (fields: Fields, name: string): Fields[] => {
  const place = below(fields, name);
  const value = fieldOf(fields, name);
  if (value === undefined) throw wrongIn(fields.file, fields.path, `has no ${name}`);
  if (!Array.isArray(value)) throw wrongIn(place.file, place.path, 'must be a list');
  return value.map((each, index) => fieldsOf(each, below(place, index)));
};

/** An object that may be absent: then without fields. */
export const objectOf = (fields: Fields, name: string): Fields => fieldsOf(fieldOf(fields, name) ?? {}, below(fields, name));

/** The `InstanceType` of each object of a list; EC2 may start any of them. */
export const instanceTypesOf = (fields: Fields, list: string): string[] =>
  objectsOf(fields, list).map((each) => instanceTypeOf(each, 'InstanceType'));

export const instanceTypeOf = (fields: Fields, name: string): string => {
  const type = fieldOf(fields, name);
  if (type === undefined) {
    throw wrongIn(fields.file, fields.path, `has no ${name}: write the types out, since a price needs them`);
  }
  if (!isInstanceType(type)) throw wrongIn(fields.file, below(fields, name).path, 'must be an instance type like c5.18xlarge');
  return type;
};

export const countOf = (fields: Fields, name: string): number | undefined => {
  const text = textOf(fields, name);
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!/^\d{1,8}$/.test(text) || count > MAX_COUNT) throw wrongIn(fields.file, below(fields, name).path, 'must be a whole number');
  return count;
};

/** RealMemory and its like, in MiB. 1 is Slurm's word for "nobody said". */
export const memoryMibOf = (fields: Fields, name: string): number | undefined => {
  const text = textOf(fields, name);
  if (text === undefined) return undefined;
  try {
    const mib = parseMemoryMib(text);
    return mib <= 1 ? undefined : mib;
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    throw wrongIn(fields.file, below(fields, name).path, 'must be a number of MiB');
  }
};
