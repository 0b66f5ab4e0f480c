// Puts together what several files say of the same partitions.

import { usageError } from '#cli/exit';
import {
  type Allocation,
  isPartitionName,
  labelOf,
  type NodeFacts,
  type NodeGroup,
  type Purchase,
  type SourceFacts,
} from '#cli/partition-import/facts';

/** What a type has, as the price sources know it: for how Slurm's CPUs are to be read. */
export interface TypeSize {
  readonly vcpus: number;
  readonly physicalCores: number;
}

/** What the files say of one partition, and nothing of what they do not say. */
export interface Said {
  readonly partition: string;
  /** More than one is a contradiction that only a person can solve. */
  readonly regions: readonly string[];
  readonly types: readonly string[];
  /** Nodes of which nothing says a type, where no file lists all types. */
  readonly untyped: readonly string[];
  readonly purchase?: Purchase;
  readonly allocation?: Allocation;
  readonly defaultWallTimeSeconds?: number;
  readonly threadsPerCore?: number;
  /** By type, where it is known. */
  readonly memoryMib: ReadonlyMap<string, number>;
  readonly features: ReadonlyMap<string, readonly string[]>;
  /** For people: where it was found. */
  readonly labels: readonly string[];
  /** Only Slurm itself speaks of it, so it may be no partition of AWS at all. */
  readonly isOnlySlurms: boolean;
  readonly notices: readonly string[];
}

const MAX_PARTITIONS = 500;

/** @throws CommandError usage where files contradict each other */
export const mergeSources = (sources: readonly SourceFacts[], sizes: ReadonlyMap<string, TypeSize>): Said[] => {
  const names = new Set<string>();
  for (const { partitions, nodes } of sources) {
    for (const { partition } of partitions) names.add(partition);
    for (const node of nodes) for (const partition of node.partitions) names.add(partition);
  }
  if (names.size > MAX_PARTITIONS)
    throw usageError(`the files name ${names.size} partitions: at most ${MAX_PARTITIONS} are imported at once`);
  return [...names].map((name) => saidOf(name, sources, sizes));
};

const saidOf = (partition: string, sources: readonly SourceFacts[], sizes: ReadonlyMap<string, TypeSize>): Said => {
  if (!isPartitionName(partition)) {
    throw usageError(`partition '${partition}': its name must be 1 to 64 letters, digits and . _ ~ - to be imported`);
  }
  const speaking = sources.filter(
    ({ partitions, nodes }) =>
      partitions.some((facts) => facts.partition === partition) || nodes.some((node) => node.partitions.includes(partition)),
  );
  const facts = speaking.flatMap((source) => source.partitions.filter((each) => each.partition === partition));
  const groups = facts.flatMap((each) => each.groups ?? []);
  const nodes = speaking.flatMap((source) => source.nodes.filter((node) => node.partitions.includes(partition)));
  const listed = unique(groups.flatMap(({ types }) => types));
  const typed = nodes.map((node) => ({ node, types: typesOf(node, { partition, groups, listed }) }));
  const untyped = typed.filter(({ types }) => types.length === 0).map(({ node }) => node.name);
  const notices: string[] = [];
  const records = [...groups, ...typed.map(({ node, types }) => ({ ...node, types }))];
  const seconds = unique(facts.flatMap(({ defaultWallTimeSeconds }) => defaultWallTimeSeconds ?? []));
  const [defaultWallTimeSeconds] = seconds;
  if (seconds.length > 1) throw usageError(`partition ${partition}: the files name different default times; leave the older file out`);
  const purchases = unique(groups.flatMap(({ purchase }) => purchase ?? []));
  const [purchase] = purchases;
  if (purchases.length > 1) notices.push(`partition ${partition} has spot and on-demand nodes: it is imported as on-demand`);
  const allocation = allocationOf({ partition, sources, sharings: unique(facts.flatMap(({ sharing }) => sharing ?? [])), notices });
  const threads = unique(records.flatMap((record) => threadsOf(record, sizes) ?? []));
  if (threads.length > 1)
    notices.push(`partition ${partition} has nodes with and without hyper-threads: the fewer threads per core are imported`);
  const region = unique([...facts.flatMap((each) => each.region ?? []), ...groups.flatMap((each) => each.region ?? [])]);
  return {
    partition,
    regions: region,
    types: listed.length > 0 ? listed : unique(typed.flatMap(({ types }) => types)),
    untyped: listed.length > 0 ? [] : unique(untyped),
    ...(purchase === undefined ? {} : { purchase: purchases.length > 1 ? 'on-demand' : purchase }),
    ...(allocation === undefined ? {} : { allocation }),
    ...(defaultWallTimeSeconds === undefined ? {} : { defaultWallTimeSeconds }),
    ...(threads.length === 0 ? {} : { threadsPerCore: Math.min(...threads) }),
    memoryMib: leastMemory(records, { partition, notices }),
    features: allFeatures(records),
    labels: unique(speaking.map(labelOf)),
    isOnlySlurms: groups.length === 0,
    notices,
  };
};

/** Of a node: what it says itself, else what is listed for the compute resource or node group that one of its features names. */
const typesOf = (
  node: NodeFacts,
  { partition, groups, listed }: { partition: string; groups: readonly NodeGroup[]; listed: readonly string[] },
): readonly string[] => {
  if (node.type === undefined) return unique(groups.filter(({ name }) => node.features.includes(name)).flatMap(({ types }) => types));
  if (listed.length > 0 && !listed.includes(node.type)) {
    throw usageError(
      `partition ${partition}: node ${node.name} says ${node.type}, and another file lists ${listed.join(', ')}: leave the older one out`,
    );
  }
  return [node.type];
};

const allocationOf = ({
  partition,
  sources,
  sharings,
  notices,
}: {
  partition: string;
  sources: readonly SourceFacts[];
  sharings: readonly (Allocation | 'cores')[];
  notices: string[];
}): Allocation | undefined => {
  const clear = sharings.filter((sharing) => sharing !== 'cores');
  if (sharings.length > 1)
    throw usageError(`partition ${partition}: the files say different things of OverSubscribe; leave the older one out`);
  if (clear[0] !== undefined) return clear[0];
  if (sharings.length === 0) return undefined;
  const selectType = unique(sources.flatMap((source) => source.selectType ?? []));
  if (selectType.length === 1) return selectType[0] === 'select/linear' ? 'exclusive' : 'shared';
  notices.push(
    `partition ${partition}: whether jobs share nodes is up to Slurm's SelectType; give the output of 'scontrol show config' too`,
  );
  return undefined;
};

/** How many CPUs of Slurm's a core is. The number of CPUs says it, where the type is known; ThreadsPerCore may be a default. */
const threadsOf = (
  { types, cpus, threadsPerCore }: Pick<NodeGroup, 'types' | 'cpus' | 'threadsPerCore'>,
  sizes: ReadonlyMap<string, TypeSize>,
): number | undefined => {
  for (const type of types) {
    const size = sizes.get(type);
    if (size === undefined || cpus === undefined) continue;
    if (size.vcpus === size.physicalCores) return undefined; // Nothing depends on it.
    if (cpus === size.vcpus) return size.vcpus / size.physicalCores;
    if (cpus === size.physicalCores) return 1;
  }
  return types.length === 0 ? undefined : threadsPerCore;
};

type Record = Pick<NodeGroup, 'types' | 'memoryMib' | 'features'>;

const leastMemory = (records: readonly Record[], { partition, notices }: { partition: string; notices: string[] }): Map<string, number> => {
  const least = new Map<string, number>();
  const uneven = new Set<string>();
  for (const { types, memoryMib } of records) {
    if (memoryMib === undefined) continue;
    for (const type of types) {
      const known = least.get(type);
      if (known !== undefined && known !== memoryMib) uneven.add(type);
      least.set(type, Math.min(known ?? memoryMib, memoryMib));
    }
  }
  if (uneven.size > 0) {
    notices.push(`partition ${partition}: nodes of type ${[...uneven].join(', ')} differ in RealMemory: the least is imported`);
  }
  return least;
};

/** A type has a feature if any of its nodes has it, so that a constraint never leaves out a type that the job may get. */
const allFeatures = (records: readonly Record[]): Map<string, readonly string[]> => {
  const all = new Map<string, readonly string[]>();
  for (const { types, features } of records) {
    if (features === undefined) continue;
    for (const type of types) all.set(type, unique([...(all.get(type) ?? []), ...features]).sort());
  }
  return all;
};

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
