// Partitions as lists of node groups: partitions.json of aws-plugin-for-slurm (https://github.com/aws-samples/aws-plugin-for-slurm,
// plugin-v2), and the YAML of ASBX (https://github.com/scttfrdmn/aws-slurm-burst), which has the same fields in snake_case.
import { type Content, type NodeGroup, type PartitionFacts, type Purchase, type SourceFacts, wrongIn } from '#cli/partition-import/facts';
import {
  below,
  type Fields,
  fieldsOf,
  instanceTypesOf,
  isObject,
  neededText,
  objectOf,
  objectsOf,
  textOf,
} from '#cli/partition-import/fields';
import { partitionOptionsOf, slurmSpecificationsOf } from '#cli/partition-import/slurm-words';

export const isPartitionsJson = (value: Record<string, unknown>): boolean => Array.isArray(value.Partitions);

export const readPartitionsJson = (value: Record<string, unknown>, { file }: Pick<Content, 'file'>): SourceFacts => ({
  ...{ file, format: 'partitions.json', nodes: [], notices: [] },
  partitions: partitionsOf(fieldsOf(value, { file, path: '' }), 'Partitions'),
});

export const isAsbx = (value: Record<string, unknown>): boolean => isObject(value.slurm) && Array.isArray(value.slurm.partitions);

export const readAsbx = (value: Record<string, unknown>, { file }: Pick<Content, 'file'>): SourceFacts => {
  const settings = fieldsOf(value, { file, path: '' });
  const region = textOf(objectOf(settings, 'aws'), 'region');
  const partitions = partitionsOf(objectOf(settings, 'slurm'), 'partitions');
  return {
    ...{ file, format: 'ASBX', nodes: [], notices: [] },
    partitions: partitions.map((facts) => (region === undefined ? facts : withRegion(facts, region))),
  };
};

/** ASBX starts a node in the region of its group, and knows one for whatever has none. */
const withRegion = (facts: PartitionFacts, region: string): PartitionFacts => ({
  ...facts,
  groups: (facts.groups ?? []).map((group) => ({ region, ...group })),
});

const partitionsOf = (fields: Fields, list: string): PartitionFacts[] =>
  objectsOf(fields, list).map((partition) => ({
    partition: neededText(partition, 'partition_name'),
    ...partitionOptionsOf(objectOf(partition, 'partition_options')),
    groups: objectsOf(partition, 'node_groups').map(groupOf),
  }));

const groupOf = (group: Fields): NodeGroup => {
  const region = textOf(group, 'region');
  const purchase = textOf(group, 'purchasing_option');
  if (purchase !== undefined && purchase !== 'spot' && purchase !== 'on-demand') {
    throw wrongIn(group.file, below(group, 'purchasing_option').path, 'must be spot or on-demand');
  }
  return {
    name: neededText(group, 'node_group_name'),
    types: instanceTypesOf(group, 'launch_template_overrides'),
    ...(region === undefined ? {} : { region }),
    ...(purchase === undefined ? {} : { purchase: purchase satisfies Purchase }),
    ...slurmSpecificationsOf(objectOf(group, 'slurm_specifications')),
  };
};
