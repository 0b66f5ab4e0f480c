// What files say of partitions, before it is put together. Whatever a file does not say is absent, never a default.
import { basename } from 'node:path';
import { type CommandError, oneLine, usageError } from '#cli/exit';

export type Format = 'fleet-config' | 'cluster-config' | 'partitions.json' | 'ASBX' | 'scontrol';
export type Purchase = 'on-demand' | 'spot';
export type Allocation = 'exclusive' | 'shared';

/** Nodes of a partition that are alike: a compute resource of ParallelCluster, a node group of aws-plugin-for-slurm or ASBX. */
export interface NodeGroup {
  readonly name: string;
  /** Any of which EC2 may start. */
  readonly types: readonly string[];
  readonly purchase?: Purchase;
  readonly region?: string;
  readonly memoryMib?: number;
  readonly cpus?: number;
  readonly threadsPerCore?: number;
  readonly features?: readonly string[];
}

export interface PartitionFacts {
  readonly partition: string;
  /** Of the cluster as a whole. */
  readonly region?: string;
  readonly sharing?: Sharing;
  readonly defaultWallTimeSeconds?: number;
  /** Absent where the format says nothing of instances. */
  readonly groups?: readonly NodeGroup[];
}

/** `cores`: jobs have cores of their own, so whether they share nodes is up to Slurm's SelectType. */
export type Sharing = Allocation | 'cores';

/** One node as Slurm describes it. */
export interface NodeFacts {
  readonly name: string;
  readonly partitions: readonly string[];
  /** Absent unless a field says it. */
  readonly type?: string;
  readonly features: readonly string[];
  readonly memoryMib?: number;
  readonly cpus?: number;
  readonly threadsPerCore?: number;
}

export interface SourceFacts {
  readonly file: string;
  readonly format: Format;
  readonly partitions: readonly PartitionFacts[];
  readonly nodes: readonly NodeFacts[];
  /** Slurm's SelectType, from `scontrol show config`. */
  readonly selectType?: string;
  /** What a person should know of what was read. */
  readonly notices: readonly string[];
}

/** A file and its text. */
export interface Content {
  readonly file: string;
  readonly text: string;
}

/** An error of a file, and of a place in it: `line 3`, or the path of a field. */
export const wrongIn = (file: string, place: string | number | undefined, problem: string): CommandError => {
  const where = place === undefined || place === '' ? '' : ` ${typeof place === 'number' ? `line ${place}` : place}`;
  return usageError(oneLine(`${file}:${where} ${problem}`));
};

/** As the API demands it, for fields that hold nothing but a type. */
const INSTANCE_TYPE = /^[a-z][a-z0-9-]*\.[a-z0-9-]+$/;
/** By their sizes, so that a feature like `rhel8.4` is none. https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html */
const SURELY_A_TYPE = /^[a-z][a-z0-9-]*\.(?:nano|micro|small|medium|large|\d{0,3}xlarge|metal(?:-\d{1,3}xl)?)$/;
const MAX_TYPE_CHARS = 64;

export const isInstanceType = (text: unknown): text is string =>
  typeof text === 'string' && text.length <= MAX_TYPE_CHARS && INSTANCE_TYPE.test(text);

export const isSurelyInstanceType = (text: string): boolean => text.length <= MAX_TYPE_CHARS && SURELY_A_TYPE.test(text);

/** A name that the API takes in a path: Slurm takes others too. */
export const isPartitionName = (name: string): boolean => /^(?!\.{1,2}$)[A-Za-z0-9._~-]{1,64}$/.test(name);

/** How a source is named to people: its file, without folders, unless a shell made it up. */
export const labelOf = ({ file, format }: Pick<SourceFacts, 'file' | 'format'>): string =>
  /^\/(?:dev|proc)\//.test(file) ? format : `${oneLine(basename(file))} (${format})`;
