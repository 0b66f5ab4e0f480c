// What an import changes of the models that the API holds.
import type { PartitionAnswer } from '#cli/api-client';
import { oneLine, usageError } from '#cli/exit';
import type { Said } from '#cli/partition-import/merge';
import { MAX_INSTANCE_TYPES } from '#contract/limits';
import { formatMemory } from '#domain/memory';
import { formatWallTime } from '#domain/slurm-time';

/** Of a PUT. What else the API answers is not part of a model. */
export const MODEL_FIELDS = [
  'region',
  'instance_types',
  'purchase',
  'allocation',
  'discount_factor',
  'overhead_minutes',
  'overhead_per_node_hour',
  'overhead',
  'default_wall_time',
  'unpriced',
  'flat_rate_per_node_hour',
  'write_off_node_failures',
  'features',
  'threads_per_core',
  'memory_per_node',
  'source',
] as const satisfies readonly (keyof PartitionAnswer)[];

type Model = { readonly [K in (typeof MODEL_FIELDS)[number]]?: PartitionAnswer[K] };

export interface FieldChange {
  readonly field: (typeof MODEL_FIELDS)[number];
  /** Null where there is none, or no model at all. */
  readonly old: unknown;
  readonly new: unknown;
}

export interface PartitionChange {
  readonly partition: string;
  readonly change: 'new' | 'changed' | 'unchanged';
  readonly fields: readonly FieldChange[];
  /** For a PUT. */
  readonly model: Model;
  readonly notices: readonly string[];
}

export interface ImportSettings {
  /** `YYYY-MM-DD` */
  readonly today: string;
  /** For partitions whose region no file says. */
  readonly region?: string;
  readonly isNamed: (partition: string) => boolean;
}

const MAX_SOURCE_CHARS = 200;
const MAX_FEATURES = 64;
const IMPORTED = /^imported \d{4}-\d\d-\d\d from /;
const NAMES_SHOWN = 3;

/**
 * What is said, held against what is there. What is not said stays as it is, or is the API's default for a new partition.
 * @returns undefined for a partition of Slurm's alone that nothing says to be on AWS
 * @throws CommandError usage, naming what is missing and its mend
 */
export const changeOf = (said: Said, existing: PartitionAnswer | undefined, settings: ImportSettings): PartitionChange | undefined => {
  const { partition } = said;
  if (said.isOnlySlurms && said.types.length === 0 && existing === undefined && !settings.isNamed(partition)) return undefined;
  const notices = [...said.notices];
  const region = regionOf(said, existing, settings);
  const types = typesOf(said, existing);
  const features = featuresOf(said, types, notices);
  const memory = memoryOf(said, types, notices);
  const wanted: Model = {
    ...(region === undefined ? {} : { region }),
    ...(types === undefined ? {} : { instance_types: types }),
    ...(said.purchase === undefined ? {} : { purchase: said.purchase }),
    ...(said.allocation === undefined ? {} : { allocation: said.allocation }),
    ...(said.defaultWallTimeSeconds === undefined ? {} : { default_wall_time: formatWallTime(said.defaultWallTimeSeconds) }),
    ...(features === undefined ? {} : { features }),
    ...(said.threadsPerCore === undefined ? {} : { threads_per_core: said.threadsPerCore }),
    ...(memory === undefined ? {} : { memory_per_node: memory }),
  };
  const changes = MODEL_FIELDS.flatMap((field): FieldChange[] => {
    const next = wanted[field];
    const old = existing?.[field] ?? null;
    return next === undefined || canonical(next) === canonical(old) ? [] : [{ field, old, new: next }];
  });
  const old = existing?.source ?? null;
  const source = sourceOf(said, settings.today);
  const isSourceNew = changes.length > 0 || existing === undefined || !IMPORTED.test(existing.source);
  const fields: FieldChange[] = isSourceNew && old !== source ? [...changes, { field: 'source', old, new: source }] : changes;
  const held = existing === undefined ? {} : Object.fromEntries(MODEL_FIELDS.map((field) => [field, existing[field]]));
  const model: Model = { ...held, ...Object.fromEntries(fields.map((each) => [each.field, each.new])) };
  return { partition, change: existing === undefined ? 'new' : fields.length > 0 ? 'changed' : 'unchanged', fields, model, notices };
};

const regionOf = ({ partition, regions }: Said, existing: PartitionAnswer | undefined, { region }: ImportSettings): string | undefined => {
  const [said] = regions;
  if (regions.length > 1 && region === undefined) {
    throw usageError(
      `partition ${partition} has nodes in ${regions.join(' and ')}, and a partition has the prices of one region: name it with --region`,
    );
  }
  if (region !== undefined && said !== undefined && !regions.includes(region)) {
    throw usageError(
      `partition ${partition} is in ${regions.join(' and ')}, as the files say, and not in --region ${region}: leave it out`,
    );
  }
  if (region === undefined && said === undefined && existing === undefined) {
    throw usageError(`no file says in which region the nodes of partition ${partition} are: name it with --region`);
  }
  return region ?? said;
};

/** Undefined: as they are. */
const typesOf = ({ partition, types, untyped }: Said, existing: PartitionAnswer | undefined): readonly string[] | undefined => {
  if (types.length > MAX_INSTANCE_TYPES) {
    throw usageError(`partition ${partition} has ${types.length} instance types: a model has at most ${MAX_INSTANCE_TYPES}`);
  }
  const held = existing?.instance_types ?? [];
  const strangers = types.filter((type) => !held.includes(type));
  if (types.length > 0 && untyped.length === 0) return types;
  // Some types are not known, so those that the API holds are the better list, unless it lacks one for sure.
  if (held.length > 0 && strangers.length === 0) return undefined;
  if (types.length === 0 && existing !== undefined) return undefined; // A flat rate.
  const who = untyped.length === 0 ? '' : ` (${namesOf(untyped)})`;
  throw usageError(
    `nothing says which instances are the nodes of partition ${partition}${who}: give the file that they are started by, like fleet-config.json, use 'asbb partition set ${partition} --types', or leave it out with --partition`,
  );
};

const namesOf = (names: readonly string[]): string => {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  return names.length > NAMES_SHOWN ? `${shown} and ${names.length - NAMES_SHOWN} more` : shown;
};

/** A type without features would be left out of what a constraint allows, so they are taken for all types or for none. */
const featuresOf = (said: Said, types: readonly string[] | undefined, notices: string[]): Record<string, string[]> | undefined => {
  const all = types ?? said.types;
  if (said.features.size === 0 || all.length === 0) return undefined;
  const unknown = all.filter((type) => !said.features.has(type));
  if (unknown.length > 0) {
    notices.push(`partition ${said.partition}: the features of ${namesOf(unknown)} are not known, so no features are imported`);
    return undefined;
  }
  const features = all.map((type): [string, string[]] => [type, [...(said.features.get(type) ?? [])]]);
  const [most] = features.filter(([, list]) => list.length > MAX_FEATURES);
  if (most !== undefined)
    throw usageError(`partition ${said.partition}: ${most[0]} has ${most[1].length} features: at most ${MAX_FEATURES} can be kept`);
  return Object.fromEntries(features);
};

/** A model has one size for all its types. Where they differ, each has its instance's own: null. */
const memoryOf = (said: Said, types: readonly string[] | undefined, notices: string[]): string | null | undefined => {
  const all = types ?? said.types;
  const unknown = all.filter((type) => !said.memoryMib.has(type));
  const [size, other] = [...new Set(all.flatMap((type) => said.memoryMib.get(type) ?? []))];
  if (size === undefined) return undefined;
  if (other !== undefined) {
    notices.push(`partition ${said.partition}: its types differ in memory, so each counts with its instance's own`);
    return null;
  }
  if (unknown.length === 0) return formatMemory(size);
  notices.push(`partition ${said.partition}: the memory of ${namesOf(unknown)} is not known, so no memory is imported`);
  return undefined;
};

const sourceOf = ({ labels }: Said, today: string): string => {
  const source = `imported ${today} from ${labels.join(', ')}`;
  return oneLine(source.length <= MAX_SOURCE_CHARS ? source : `${source.slice(0, MAX_SOURCE_CHARS - 3)}...`);
};

/** The order of types and features says nothing. */
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return JSON.stringify([...value].sort());
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return JSON.stringify(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, canonical(each)]),
  );
};
