// What ParallelCluster leaves on a head node: fleet-config.json, which its node daemon starts instances by, and the cluster's
// configuration with all defaults filled in. https://github.com/aws/aws-parallelcluster-cookbook, pcluster_fleet_config_generator.py
import { type Content, type NodeGroup, type PartitionFacts, type Purchase, type SourceFacts, wrongIn } from '#cli/partition-import/facts';
import {
  below,
  type Fields,
  fieldOf,
  fieldsOf,
  instanceTypeOf,
  instanceTypesOf,
  isObject,
  memoryMibOf,
  neededText,
  objectOf,
  objectsOf,
  textOf,
} from '#cli/partition-import/fields';
import { partitionOptionsOf } from '#cli/partition-import/slurm-words';

/** Both spellings: of fleet-config.json, and of the configuration. */
const PURCHASES: ReadonlyMap<string, Purchase> = new Map([
  ['on-demand', 'on-demand'],
  ['ONDEMAND', 'on-demand'],
  ['spot', 'spot'],
  ['SPOT', 'spot'],
  ['capacity-block', 'on-demand'],
  ['CAPACITY_BLOCK', 'on-demand'],
]);

/** `{queue: {compute resource: {Api, CapacityType, Instances}}}`, and nothing but. */
export const isFleetConfig = (value: Record<string, unknown>): boolean => {
  const resources = Object.values(value).flatMap((queue) => (isObject(queue) ? Object.values(queue) : [undefined]));
  return resources.length > 0 && resources.every((each) => isObject(each) && ('Instances' in each || 'Api' in each));
};

export const readFleetConfig = (value: Record<string, unknown>, { file }: Pick<Content, 'file'>): SourceFacts => {
  const notices: string[] = [];
  const partitions = Object.entries(value).map(([queue, resources]): PartitionFacts => {
    const place = { file, path: queue };
    const groups = Object.entries(resources as Record<string, unknown>).map(([name, resource]): NodeGroup => {
      const fields = fieldsOf(resource, below(place, name));
      return { name, types: instanceTypesOf(fields, 'Instances'), ...purchaseOf(fields, notices) };
    });
    return { partition: queue, groups };
  });
  return { file, format: 'fleet-config', partitions, nodes: [], notices };
};

export const isClusterConfig = (value: Record<string, unknown>): boolean =>
  isObject(value.Scheduling) && Array.isArray(value.Scheduling.SlurmQueues);

export const readClusterConfig = (value: Record<string, unknown>, { file }: Pick<Content, 'file'>): SourceFacts => {
  const notices: string[] = [];
  const cluster = fieldsOf(value, { file, path: '' });
  const region = textOf(cluster, 'Region');
  const partitions = objectsOf(objectOf(cluster, 'Scheduling'), 'SlurmQueues').map((queue): PartitionFacts => {
    const purchase = purchaseOf(queue, notices);
    const groups = objectsOf(queue, 'ComputeResources').map((resource): NodeGroup => {
      const name = neededText(resource, 'Name');
      const types =
        fieldOf(resource, 'Instances') === undefined ? [instanceTypeOf(resource, 'InstanceType')] : instanceTypesOf(resource, 'Instances');
      const memoryMib = memoryMibOf(resource, 'SchedulableMemory');
      // Without hyper-threads ParallelCluster tells Slurm the number of cores.
      const isWithoutThreads = fieldOf(resource, 'DisableSimultaneousMultithreading') === true;
      return {
        ...{ name, types, ...purchase },
        ...(memoryMib === undefined ? {} : { memoryMib }),
        ...(isWithoutThreads ? { threadsPerCore: 1 } : {}),
      };
    });
    const partition = neededText(queue, 'Name');
    return { partition, ...(region === undefined ? {} : { region }), ...slurmSettingsOf(queue), groups };
  });
  return { file, format: 'cluster-config', partitions, nodes: [], notices };
};

const slurmSettingsOf = (queue: Fields): Pick<PartitionFacts, 'sharing' | 'defaultWallTimeSeconds'> => ({
  ...partitionOptionsOf(objectOf(queue, 'CustomSlurmSettings')),
  ...(fieldOf(queue, 'JobExclusiveAllocation') === true ? { sharing: 'exclusive' } : {}),
});

const purchaseOf = (fields: Fields, notices: string[]): { purchase?: Purchase } => {
  const word = textOf(fields, 'CapacityType');
  if (word === undefined) return {};
  const purchase = PURCHASES.get(word);
  if (purchase === undefined) {
    throw wrongIn(fields.file, below(fields, 'CapacityType').path, 'must be on-demand, spot or capacity-block, in either spelling');
  }
  if (/^capacity/i.test(word)) notices.push(`${fields.path} is a capacity block: it is priced like on-demand`);
  return { purchase };
};
