// What scontrol of this Slurm prints of nodes and partitions is what `asbb partition import` reads.
import { expect, it } from 'vitest';
import { mergeSources } from '#cli/partition-import/merge';
import { readSource } from '#cli/partition-import/read-source';
import type { Testbed } from '#test/slurm/testbed';

const SIZES = new Map([['p4d.24xlarge', { vcpus: 96, physicalCores: 48 }]]);

/** `hasInstanceType`: scontrol sets InstanceType= of a node, as Slurm does from 23.11 on; else a comment says it. */
export const partitionsAreImported = (bed: () => Testbed, { hasInstanceType }: { hasInstanceType: boolean }): void => {
  it.each([[[]], [['-o']]])('scontrol %j show node, partition and config are read for partition import', async (form) => {
    const scontrol = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await bed().cluster.asRoot('scontrol', args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return stdout;
    };
    const type = hasInstanceType ? 'InstanceType=p4d.24xlarge' : 'Comment=InstanceType=p4d.24xlarge';
    await scontrol('update', 'NodeName=cloud[1-2]', type, 'Reason=Partitions=fake RealMemory=7');
    await scontrol('create', 'PartitionName=burst', 'Nodes=cloud[1-2]', 'OverSubscribe=EXCLUSIVE', 'DefaultTime=2:00:00');
    try {
      const texts = [
        await scontrol(...form, 'show', 'node'),
        await scontrol(...form, 'show', 'partition'),
        await scontrol('show', 'config'),
      ];
      const sources = await Promise.all(texts.map((text, i) => readSource({ file: `file${i}`, text })));
      const said = new Map(mergeSources(sources, SIZES).map((each) => [each.partition, each]));
      expect([...said.keys()].sort()).toEqual(['aws', 'awsdef', 'awsopen', 'burst', 'local']);
      expect(said.get('burst')).toMatchObject({
        ...{ types: ['p4d.24xlarge'], untyped: [], allocation: 'exclusive', defaultWallTimeSeconds: 7200, notices: [] },
        memoryMib: new Map([['p4d.24xlarge', 140_000]]),
        features: new Map([['p4d.24xlarge', ['fast', 'intel']]]),
      });
      expect(said.get('awsdef')).toMatchObject({ types: [], allocation: 'shared' }); // FORCE:64
      expect(said.get('awsdef')).not.toHaveProperty('defaultWallTimeSeconds');
    } finally {
      await scontrol('delete', 'PartitionName=burst');
    }
  });
};
