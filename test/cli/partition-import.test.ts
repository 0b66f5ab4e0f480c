// Fixtures are written by hand in the formats of ParallelCluster 3, aws-plugin-for-slurm v2, ASBX 0.2 and Slurm 24.11.
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runPartitionImport } from '#cli/commands/run-partition-import';
import type { GlobalOptions } from '#cli/context';
import { mergeSources, type Said } from '#cli/partition-import/merge';
import { readSource } from '#cli/partition-import/read-source';
import { createService } from '#test/agent/service';
import { aPartitionAnswer } from '#test/cli/answers';
import { aContext, NOON } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const FIXTURES = join(import.meta.dirname, '../fixtures/partition-import');
const fixture = (name: string): string => join(FIXTURES, name);
const read = (name: string) => readSource({ file: name, text: readFileSync(fixture(name), 'utf8') });
const file = (name: string, content: string | Buffer): string => {
  const path = join(aFolder('asbb-import-'), name);
  writeFileSync(path, content);
  return path;
};

const SIZES = new Map(
  Object.entries({ 'c5.18xlarge': [72, 36], 'c5.9xlarge': [36, 18], 'hpc7a.96xlarge': [192, 192], 'c5.xlarge': [4, 2] }).map(
    ([type, [vcpus = 0, physicalCores = 0]]) => [type, { vcpus, physicalCores }],
  ),
);

const said = async (names: readonly string[], partition: string): Promise<Said | undefined> =>
  mergeSources(await Promise.all(names.map(read)), SIZES).find((each) => each.partition === partition);

/** What `text` alone says of partition `q`. */
const saidBy = async (...texts: string[]): Promise<Said | undefined> =>
  mergeSources(await Promise.all(texts.map((text, i) => readSource({ file: `f${i}`, text }))), SIZES).find(
    ({ partition }) => partition === 'q',
  );

/** The real API in this process, and a CLI that talks to it. */
const withService = async (models: Readonly<Record<string, object>> = {}) => {
  const service = createService(() => NOON);
  for (const [partition, body] of Object.entries(models)) await service.api.request('putPartition', { path: { partition }, body });
  const asked = service.requests.length;
  const importFiles = async (
    names: readonly string[],
    {
      format,
      columns,
      ...options
    }: { region?: string; partition?: string; dryRun?: boolean; format?: GlobalOptions['output']; columns?: number } = {},
  ) => {
    const { context, machine } = aContext(
      {},
      format === undefined ? {} : { output: format },
      columns === undefined ? {} : { columns, env: { NO_COLOR: '1' } },
    );
    const files = names.map((name) => (name.startsWith('/') ? name : fixture(name)));
    const code = await runPartitionImport({ ...context, api: async () => service.api }, { ...options, files });
    return { code, out: machine.out(), err: machine.err() };
  };
  const puts = () => service.requests.slice(asked).filter((request) => request.startsWith('PUT'));
  const show = (partition: string) => service.api.request('showPartition', { path: { partition } });
  return { importFiles, puts, show };
};

describe('a format is told by its content', () => {
  it.each([
    ['fleet-config.json', 'fleet-config'],
    ['cluster-config.yaml', 'cluster-config'],
    ['partitions.json', 'partitions.json'],
    ['asbx.yaml', 'ASBX'],
    ['nodes.txt', 'scontrol'],
    ['nodes-o.txt', 'scontrol'],
    ['partitions.txt', 'scontrol'],
    ['config.txt', 'scontrol'],
  ])('%s is %s', async (name, format) => {
    const text = readFileSync(fixture(name), 'utf8');
    expect((await readSource({ file: 'x', text })).format).toBe(format);
    expect((await readSource({ file: 'x', text: `\ufeff${text.replaceAll('\n', '\r\n')}` })).format).toBe(format);
  });

  it.each([
    ['', 'f: is empty'],
    ['{"a": 1,\n "b": }', /^f: line 2 is not JSON/],
    ['{"a": [1,\n2', /^f: line 2 is not JSON/],
    ['{"a": [1,\n2,\n"b",\nnil,\n3\n]}', /^f: line 4 is not JSON/],
    ['{\n}\n}\n\n', /^f: line 3 is not JSON/],
    ['a: [1,\n  b: }', /^f: line \d is not YAML/],
    ['hello world', /^f: is none of ParallelCluster's fleet-config\.json/],
    ['{}', /^f: is none of/],
    ['[1]', /^f: is none of/],
    ['{"nodes":[]}', "f: is scontrol's JSON, which changes with each version: give its text, without --json"],
    ['PartitionName=q Nodes=n[1-2] State=UP', /^f: line 1 partition q is not as 'scontrol show partition' prints it/],
    ['# slurm.conf\nNodeName=n CPUs=2 RealMemory=2000', /^f: line 1 is no line of 'scontrol show node'/],
    ['NodeName=n\n   AvailableFeatures=a RealMemory=2000\nslurm_load_node error', /^f: line 3 is no line of 'scontrol show node'/],
    ['NodeName=n CPUs=2 RealMemory=2000', /^f: line 1 node n is not as 'scontrol show node' prints it/],
    ['{"q":{"c":{"Api":"run-instances"}}}', 'f: q.c has no Instances'],
    ['{"q":{"c":{"Instances":{}}}}', 'f: q.c.Instances must be a list'],
    ['{"q":{"c":{"Instances":[1]}}}', 'f: q.c.Instances[0] must be an object'],
    ['{"q":{"c":{"Instances":[{"InstanceType":"big"}]}}}', 'f: q.c.Instances[0].InstanceType must be an instance type like c5.18xlarge'],
    ['{"q":{"c":{"Instances":[],"CapacityType":"constructor"}}}', /^f: q\.c\.CapacityType must be on-demand, spot or capacity-block/],
    ['{"Partitions":[{}]}', 'f: Partitions[0] has no partition_name'],
    [
      '{"Partitions":[{"PartitionName":"q","NodeGroups":[{"NodeGroupName":"g","LaunchTemplateOverrides":[{"InstanceRequirements":{}}]}]}]}',
      /^f: Partitions\[0\]\.node_groups\[0\]\.launch_template_overrides\[0\] has no InstanceType: write the types out/,
    ],
    [
      '{"Partitions":[{"PartitionName":"q","NodeGroups":[{"NodeGroupName":"g","PurchasingOption":"Spot","LaunchTemplateOverrides":[]}]}]}',
      /purchasing_option must be spot or on-demand$/,
    ],
    ['{"Partitions":[{"PartitionName":"q","NodeGroups":[],"PartitionOptions":{"OverSubscribe":"MAYBE"}}]}', /OverSubscribe must be one of/],
    ['{"Partitions":[{"PartitionName":"q","NodeGroups":[],"PartitionOptions":{"DefaultTime":"soon"}}]}', /DefaultTime must be a time/],
  ])('%j is refused', async (text, message) => {
    await expect(readSource({ file: 'f', text })).rejects.toMatchObject({
      exitCode: 2,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
  });
});

describe('what files say', () => {
  it('fleet-config.json: all types of a queue, and how they are bought', async () => {
    expect(await said(['fleet-config.json'], 'cpu')).toMatchObject({
      ...{ types: ['c5.18xlarge', 'c5.9xlarge', 'c5n.9xlarge'], purchase: 'on-demand', regions: [] },
      ...{ labels: ['fleet-config.json (fleet-config)'], features: new Map(), memoryMib: new Map() },
    });
    expect(await said(['fleet-config.json'], 'gpu')).toMatchObject({ types: ['p3.8xlarge'], purchase: 'spot' });
  });

  it('a cluster configuration: region, sharing, default time, memory and hyper-threads', async () => {
    expect(await said(['cluster-config.yaml'], 'cpu')).toMatchObject({
      ...{ regions: ['eu-west-1'], types: ['c5.18xlarge'], purchase: 'on-demand', allocation: 'exclusive', defaultWallTimeSeconds: 5400 },
      ...{ threadsPerCore: 1, memoryMib: new Map([['c5.18xlarge', 130_000]]) },
    });
    expect(await said(['cluster-config.yaml'], 'gpu')).toMatchObject({ types: ['p3.8xlarge', 'p3.16xlarge'], purchase: 'spot' });
  });

  it('partitions.json: region, memory, features, threads by the number of CPUs, and options of the partition', async () => {
    expect(await said(['partitions.json'], 'aws')).toMatchObject({
      ...{ regions: ['us-east-1'], types: ['c5.xlarge'], purchase: 'on-demand', allocation: 'exclusive', defaultWallTimeSeconds: 3600 },
      ...{ threadsPerCore: 2, memoryMib: new Map([['c5.xlarge', 7500]]), features: new Map([['c5.xlarge', ['cloud', 'small']]]) },
    });
    expect(await said(['partitions.json'], 'mixed')).toMatchObject({
      purchase: 'on-demand',
      notices: ['partition mixed has spot and on-demand nodes: it is imported as on-demand'],
    });
  });

  it("ASBX: a group's own region before the cluster's", async () => {
    expect(await said(['asbx.yaml'], 'aws')).toMatchObject({
      ...{ regions: ['us-east-1'], types: ['c5.large', 'c6i.large'], purchase: 'spot' },
      memoryMib: new Map([
        ['c5.large', 3500],
        ['c6i.large', 3500],
      ]),
    });
    expect(await said(['asbx.yaml'], 'west')).toMatchObject({ regions: ['us-west-2'], types: ['m5.large'], purchase: 'on-demand' });
  });

  it.each(['nodes.txt', 'nodes-o.txt'])('%s completes fleet-config.json, matched by features and never by names', async (nodes) => {
    expect(await said(['fleet-config.json', nodes, 'partitions.txt'], 'cpu')).toMatchObject({
      ...{ types: ['c5.18xlarge', 'c5.9xlarge', 'c5n.9xlarge'], untyped: [], allocation: 'exclusive', defaultWallTimeSeconds: 7200 },
      ...{ threadsPerCore: 2 }, // 72 CPUs of a c5.18xlarge, though Slurm has one thread per core on record.
      memoryMib: new Map([
        ['c5.18xlarge', 139_264],
        ['c5.9xlarge', 139_264],
        ['c5n.9xlarge', 139_264],
      ]),
      features: new Map([
        ['c5.18xlarge', ['c5.18xlarge', 'dynamic', 'wide']],
        ['c5.9xlarge', ['any', 'dynamic']],
        ['c5n.9xlarge', ['any', 'dynamic']],
      ]),
    });
    expect(await said([nodes], 'local')).toMatchObject({ types: [], untyped: ['login-c5.large-1'], isOnlySlurms: true });
  });

  it('the words that people wrote are no fields', async () => {
    const [one, lines] = await Promise.all([read('nodes-o.txt'), read('nodes.txt')]);
    expect(one.nodes).toEqual(lines.nodes);
    expect(lines.nodes[0]).toMatchObject({ partitions: ['cpu'], memoryMib: 139_264 });
    expect(lines.nodes[2]).toMatchObject({ type: 'p3.8xlarge' });
  });

  const node = (more: string): string =>
    `NodeName=n CoresPerSocket=18 CPUTot=36 AvailableFeatures=a,b RealMemory=100 Sockets=1 ThreadsPerCore=1 Partitions=q ${more}\n`;
  it.each([
    ['InstanceId=i-1 InstanceType=c5.9xlarge', 'c5.9xlarge'],
    ['Reason=x Comment=y Extra=z InstanceId=i-1 InstanceType=c5.9xlarge', 'c5.9xlarge'],
    ['Reason=x [root@2026-11-24T10:00:00] InstanceType=c5.9xlarge', 'c5.9xlarge'],
    ['\n   AllocTRES=\n   \n   InstanceId=i-1 InstanceType=c5.9xlarge\n', 'c5.9xlarge'],
    ['Extra=c5.9xlarge', 'c5.9xlarge'],
    ['Extra={"instance_type":"c5.9xlarge","az":"a"}', 'c5.9xlarge'],
    ['Comment=site: InstanceType=c5.9xlarge since May', 'c5.9xlarge'],
    ['Comment=instance type: c5.9xlarge Extra=more', 'c5.9xlarge'],
    ['Comment=was c5.9xlarge', undefined],
    ['Reason=InstanceType=c5.9xlarge', undefined],
    ['NodeHostName=c5.9xlarge NodeAddr=c5.9xlarge', undefined],
    ['Extra=rhel8.4', undefined],
  ])('of a node with %s the type is %s', async (more, type) => {
    expect((await saidBy(node(more)))?.types).toEqual(type === undefined ? [] : [type]);
  });

  it('a feature is a type only if it can be nothing else', async () => {
    const withFeatures = (features: string) => saidBy(node('').replace('a,b', features));
    expect((await withFeatures('rhel8.4,u-6tb1.112xlarge,v1.2'))?.types).toEqual(['u-6tb1.112xlarge']);
    expect((await withFeatures('m7i.metal-24xl'))?.types).toEqual(['m7i.metal-24xl']);
    await expect(withFeatures('c5.large,m5.large')).rejects.toThrow('f0: line 1 node n has the features c5.large and m5.large');
  });

  const partition = (over: string) => `PartitionName=q DefaultTime=NONE ${over}\n`;
  const select = (type: string) => `Configuration data as of 2026-11-24T12:00:00\nSelectType = select/${type}\n`;
  it.each([
    [[partition('OverSubscribe=EXCLUSIVE')], 'exclusive'],
    [[partition('Exclusive=NODE OverSubscribe=NO')], 'exclusive'], // Slurm 26.05
    [[partition('OverSubscribe=FORCE:4')], 'shared'],
    [[partition('OverSubscribe=NO')], undefined],
    [[partition('OverSubscribe=NO'), select('cons_tres')], 'shared'],
    [[partition('OverSubscribe=YES:4'), select('cons_tres')], 'shared'],
    [[partition('OverSubscribe=FORCE:1'), select('linear')], 'exclusive'],
    [[partition('Exclusive=NO OverSubscribe=NO'), select('linear')], 'exclusive'],
  ])('%j is %s', async (texts, allocation) => {
    const facts = await saidBy(...texts);
    expect(facts?.allocation).toBe(allocation);
    expect(facts?.notices).toEqual(allocation === undefined ? [expect.stringContaining("'scontrol show config'")] : []);
  });

  const sized = (type: string, size: string) => saidBy(`NodeName=n ${size} AvailableFeatures=${type} RealMemory=1 Partitions=q\n`);
  it.each([
    ['all vCPUs', 'c5.18xlarge', 'CPUTot=72 CoresPerSocket=1 ThreadsPerCore=1', 2],
    ['only the cores', 'c5.18xlarge', 'CPUTot=36 CoresPerSocket=18 ThreadsPerCore=2', 1],
    ['a type that has no hyper-threads', 'hpc7a.96xlarge', 'CPUTot=192 CoresPerSocket=96 ThreadsPerCore=1', undefined],
    ['an unknown type with threads', 'x99.large', 'CPUTot=4 CoresPerSocket=2 ThreadsPerCore=2', 2],
    ['an unknown type with cores', 'x99.large', 'CPUTot=4 CoresPerSocket=4 ThreadsPerCore=1', 1],
    ["an unknown type with Slurm's defaults", 'x99.large', 'CPUTot=4 CoresPerSocket=1 ThreadsPerCore=1', undefined],
  ])('threads per core of %s', async (_, type, size, threads) => {
    expect((await sized(type, size))?.threadsPerCore).toBe(threads);
    expect((await sized(type, size))?.memoryMib).toEqual(new Map()); // RealMemory=1: nobody said.
  });

  it.each([
    [
      'types',
      ['{"q":{"c":{"Instances":[{"InstanceType":"c5.large"}]}}}', node('Extra=m5.large')],
      /node n says m5\.large, and another file lists c5\.large/,
    ],
    ['OverSubscribe', [partition('OverSubscribe=NO'), partition('OverSubscribe=EXCLUSIVE')], /different things of OverSubscribe/],
    ['default times', ['1:00', '2:00'].map((time) => partition('OverSubscribe=NO').replace('NONE', time)), /different default times/],
    ['names', ['{"q/1":{"c":{"Instances":[{"InstanceType":"c5.large"}]}}}'], /partition 'q\/1': its name must be/],
  ])('that contradict each other in their %s are refused', async (_, texts, problem) => {
    await expect(saidBy(...texts)).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(problem) });
  });
});

describe('partition import', () => {
  it('shows at 80 columns what it would change, and changes nothing', async () => {
    const { importFiles, puts } = await withService({
      cpu: { region: 'us-east-1', instance_types: ['c5.9xlarge', 'c5.18xlarge'], discount_factor: 0.72, memory_per_node: '64G' },
    });
    const files = ['fleet-config.json', 'nodes.txt', 'partitions.txt'];
    const { code, out, err } = await importFiles(files, { region: 'us-east-1', dryRun: true, columns: 80 });
    expect(code).toBe(0);
    expect(out).toBe(`PARTITION  FIELD              OLD           NEW
cpu        instance_types     c5.9xlarge,…  c5.18xlarge,c5.9xlarge,c5n.9xlarge
cpu        default_wall_time  -             02:00:00
cpu        features           -             c5.18xlarge=c5.18xlarge,dynamic,wid…
cpu        memory_per_node    64G           136G
cpu        source             manual        imported 2026-11-23 from fleet-conf…
gpu        region             -             us-east-1
gpu        instance_types     -             p3.8xlarge
gpu        purchase           -             spot
gpu        features           -             p3.8xlarge=dynamic,gpu,p3.8xlarge,v…
gpu        threads_per_core   -             2
gpu        memory_per_node    -             237158M
gpu        source             -             imported 2026-11-23 from fleet-conf…
`);
    expect(err.split('\n')).toEqual([
      'asbb: partition local is left alone: nothing says that its nodes are instances of AWS',
      "asbb: partition gpu: whether jobs share nodes is up to Slurm's SelectType; give the output of 'scontrol show config' too",
      'asbb: dry run, nothing was changed: 1 new, 1 changed, 0 unchanged',
      '',
    ]);
    expect(puts()).toEqual([]);
  });

  it('writes the models once, and keeps what no file says', async () => {
    const cpu = {
      region: 'us-east-1',
      instance_types: ['c5.9xlarge'],
      discount_factor: 0.72,
      overhead_minutes: 5,
      overhead_per_node_hour: 0.01,
    };
    const { importFiles, puts, show } = await withService({ cpu: { ...cpu, unpriced: 'flat', flat_rate_per_node_hour: 2 } });
    const files = ['fleet-config.json', 'nodes-o.txt', 'partitions.txt', 'config.txt'];
    expect((await importFiles(files, { region: 'us-east-1' })).code).toBe(0);
    expect(puts()).toEqual(['PUT /partitions/cpu', 'PUT /partitions/gpu']);
    const source = `imported 2026-11-23 from fleet-config.json (fleet-config), nodes-o.txt (scontrol), partitions.txt (scontrol)`;
    expect(await show('cpu')).toEqual({
      ...aPartitionAnswer({ partition: 'cpu', discount_factor: 0.72, overhead_minutes: 5, overhead_per_node_hour: 0.01 }),
      ...{ instance_types: ['c5.18xlarge', 'c5.9xlarge', 'c5n.9xlarge'], default_wall_time: '02:00:00', unpriced: 'flat' },
      ...{ flat_rate_per_node_hour: 2, memory_per_node: '136G', threads_per_core: 2, source },
      ...{ price_source: 'catalogue', price_date: '2026-07-20', price_age_days: 126, price_confidence: 0.8 },
      features: { 'c5.18xlarge': ['c5.18xlarge', 'dynamic', 'wide'], 'c5.9xlarge': ['any', 'dynamic'], 'c5n.9xlarge': ['any', 'dynamic'] },
    });
    expect(await show('gpu')).toMatchObject({
      purchase: 'spot',
      allocation: 'shared',
      memory_per_node: '237158M',
      default_wall_time: null,
    });

    const again = await importFiles(files, { region: 'us-east-1' });
    expect(puts()).toHaveLength(2);
    expect(again.out).toBe('');
    expect(again.err).toBe(
      'asbb: partition local is left alone: nothing says that its nodes are instances of AWS\nasbb: partitions imported: 0 new, 0 changed, 2 unchanged\n',
    );
  });

  it.each([['partitions.json'], ['asbx.yaml'], ['cluster-config.yaml']])(
    'needs nothing but %s, and changes nothing the second time',
    async (name) => {
      const { importFiles, puts } = await withService();
      await importFiles([name]);
      expect(puts()).toHaveLength(2);
      await importFiles([name]);
      expect(puts()).toHaveLength(2);
    },
  );

  it('remembers the source of a model that was typed before', async () => {
    const { importFiles, puts, show } = await withService({
      gpu: { region: 'us-east-1', instance_types: ['p3.8xlarge'], purchase: 'spot' },
    });
    const { out } = await importFiles(['fleet-config.json'], { partition: 'gpu', format: 'csv' });
    expect(out).toBe('partition,field,old,new\r\ngpu,source,manual,imported 2026-11-23 from fleet-config.json (fleet-config)\r\n');
    expect((await show('gpu')).source).toBe('imported 2026-11-23 from fleet-config.json (fleet-config)');
    await importFiles(['fleet-config.json'], { partition: 'gpu' });
    expect(puts()).toHaveLength(1);
  });

  it('keeps a source within what the API takes', async () => {
    const { importFiles, show } = await withService();
    const text = readFileSync(fixture('fleet-config.json'), 'utf8');
    await importFiles([file(`${'f'.repeat(240)}.json`, text)], { region: 'us-east-1', partition: 'gpu' });
    expect((await show('gpu')).source).toMatch(/^imported 2026-11-23 from f+\.\.\.$/);
    expect((await show('gpu')).source).toHaveLength(200);
  });

  it('scontrol alone renews what it knows of a partition that is there', async () => {
    const { importFiles, show } = await withService({ gpu: { region: 'us-west-2', instance_types: ['p3.8xlarge'] } });
    await importFiles(['nodes.txt', 'partitions.txt'], { partition: 'gpu' });
    expect(await show('gpu')).toMatchObject({
      ...{ region: 'us-west-2', instance_types: ['p3.8xlarge'], memory_per_node: '237158M', purchase: 'on-demand' },
      features: { 'p3.8xlarge': ['dynamic', 'gpu', 'p3.8xlarge', 'v100'] },
    });
  });

  it('takes no size for all types where they differ, and no features where some are unknown', async () => {
    const { importFiles, show } = await withService({ q: { region: 'us-east-1', instance_types: ['c5.large'], memory_per_node: '3G' } });
    const model = (memory: string) => ({
      PartitionName: 'q',
      NodeGroups: [
        {
          NodeGroupName: 'a',
          LaunchTemplateOverrides: [{ InstanceType: 'c5.large' }],
          SlurmSpecifications: { RealMemory: 3500, Feature: 'a' },
        },
        { NodeGroupName: 'b', LaunchTemplateOverrides: [{ InstanceType: 'm5.large' }], SlurmSpecifications: { RealMemory: memory } },
      ],
    });
    const { err } = await importFiles([file('p.json', JSON.stringify({ Partitions: [model('7500')] }))]);
    expect(err).toContain('the features of m5.large are not known, so no features are imported');
    expect(err).toContain("its types differ in memory, so each counts with its instance's own");
    expect(await show('q')).toMatchObject({ memory_per_node: null, features: null });
  });

  it('prints changes and models as JSON', async () => {
    const { importFiles } = await withService();
    const { out } = await importFiles(['asbx.yaml'], { partition: 'west', dryRun: true, format: 'json' });
    const source = 'imported 2026-11-23 from asbx.yaml (ASBX)';
    expect(JSON.parse(out)).toEqual({
      dry_run: true,
      partitions: [
        {
          ...{ partition: 'west', change: 'new' },
          model: { region: 'us-west-2', instance_types: ['m5.large'], purchase: 'on-demand', source },
          fields: [
            { field: 'region', old: null, new: 'us-west-2' },
            { field: 'instance_types', old: null, new: ['m5.large'] },
            { field: 'purchase', old: null, new: 'on-demand' },
            { field: 'source', old: null, new: source },
          ],
        },
      ],
    });
  });

  it('sends a model alone, whatever else the API answers', async () => {
    const answer = aPartitionAnswer({ partition: 'west', prices: [{ type: 'm5.large' }] });
    const { context, asked } = aContext({
      'GET /partitions': { body: { partitions: [answer] } },
      'PUT /partitions/west': { body: answer },
    });
    await runPartitionImport(context, { files: [fixture('asbx.yaml')], partition: 'west' });
    expect(asked[1]?.body).not.toHaveProperty('prices');
    expect(asked[1]?.body).toMatchObject({ region: 'us-west-2', instance_types: ['m5.large'], discount_factor: 0.72 });
  });

  it('says which partition was not imported, and ends as the API did', async () => {
    const { context, machine } = aContext({
      'GET /partitions': { body: { partitions: [] } },
      'PUT /partitions/aws': { status: 403, body: { message: 'Forbidden' } },
    });
    await expect(runPartitionImport(context, { files: [fixture('asbx.yaml')] })).rejects.toMatchObject({ exitCode: 4 });
    expect(machine.err()).toContain('partition aws was not imported, nor any after it');
  });

  it.each<[string[], { region?: string; partition?: string }, string | RegExp]>([
    [['fleet-config.json'], {}, 'no file says in which region the nodes of partition cpu are: name it with --region'],
    [['partitions.json'], { region: 'eu-west-1' }, /^partition aws is in us-east-1, as the files say, and not in --region eu-west-1/],
    [['partitions.json'], { region: 'here' }, "--region 'here': must be an AWS region, like us-east-1"],
    [['partitions.json'], { partition: 'gone' }, 'no file names a partition gone; there are: aws, mixed'],
    [['config.txt'], { partition: 'gone' }, 'no file names a partition gone; there are: none'],
    [
      ['nodes.txt'],
      { region: 'us-east-1', partition: 'local' },
      /^nothing says which instances are the nodes of partition local \(login-c5\.large-1\)/,
    ],
    [
      ['nodes.txt'],
      { region: 'us-east-1', partition: 'cpu' },
      /^nothing says which instances are the nodes of partition cpu \(cpu-dy-any-1\)/,
    ],
    [['/nonexistent'], {}, 'cannot read /nonexistent (ENOENT)'],
    [[tmpdir()], {}, `cannot read ${tmpdir()} (EISDIR)`],
    [Array.from({ length: 65 }, () => 'asbx.yaml'), {}, '65 files are too many at once: give at most 64'],
  ])('refuses %j with %j and writes nothing', async (files, options, message) => {
    const { importFiles, puts } = await withService();
    await expect(importFiles(files, options)).rejects.toMatchObject({
      exitCode: 2,
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
    expect(puts()).toEqual([]);
  });

  it('asks for the region of a partition that has nodes in two', async () => {
    const group = (name: string, Region: string) => ({
      NodeGroupName: name,
      Region,
      LaunchTemplateOverrides: [{ InstanceType: 'c5.large' }],
    });
    const both = file(
      'p.json',
      JSON.stringify({ Partitions: [{ PartitionName: 'q', NodeGroups: [group('a', 'us-east-1'), group('b', 'us-west-2')] }] }),
    );
    const { importFiles, show } = await withService();
    await expect(importFiles([both])).rejects.toThrow('partition q has nodes in us-east-1 and us-west-2');
    await importFiles([both], { region: 'us-west-2' });
    expect((await show('q')).region).toBe('us-west-2');
  });

  it.each([
    ['more than 10 MiB', () => Buffer.alloc(10 * 1024 * 1024 + 1, 0x20), /has more than 10 MiB/],
    [
      'more types than a model has',
      () => JSON.stringify({ q: { c: { Instances: instances(51) } } }),
      /has 51 instance types: a model has at most 50/,
    ],
    ['more partitions than are imported at once', () => JSON.stringify(queues(501)), /the files name 501 partitions: at most 500/],
  ])('has a limit: %s', async (_, content, problem) => {
    const { importFiles } = await withService();
    await expect(importFiles([file('x.json', content())], { region: 'us-east-1' })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(problem),
    });
  });
});

const instances = (count: number) => Array.from({ length: count }, (_, i) => ({ InstanceType: `c${i}.large` }));
const queues = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`q${i}`, { c: { Instances: [{ InstanceType: 'c5.large' }] } }]));
