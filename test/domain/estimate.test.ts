import { describe, expect, it } from 'vitest';
import {
  costOf,
  estimateIn,
  flatRateOf,
  type NodeType,
  type Rate,
  rateOf,
  sharedNodes,
  typesAllowedBy,
  type Usage,
  wholeNodes,
} from '#domain/estimate';
import type { Job } from '#domain/job';
import { aJob, aModel, anOffer, aRate, C5_9XLARGE, C5_18XLARGE, P3_2XLARGE, P4D_24XLARGE } from '#test/support/builders';

const HOUR = 3600;
const anUsage = (given: Partial<Usage> = {}): Usage => ({ nodeType: C5_18XLARGE, nodes: wholeNodes(1), seconds: HOUR, ...given });
const UNKNOWN: NodeType = { type: 'flat-rate', priceE10UsdPerHour: 30_600_000_000n, cpus: null, memoryMib: null, gpus: null };

/** A job that says of its size only what is given. */
const aShapelessJob = (given: Partial<Job> = {}): Job => ({
  account: 'physics',
  partitions: ['aws'],
  cluster: 'hpc',
  wallTimeSeconds: HOUR,
  ...given,
});
const estimateHour = (rate: Rate, job: Job, tasks = 1) => estimateIn(rate, job, { wallTimeSeconds: HOUR, tasks });

describe('costOf', () => {
  it.each<[string, Partial<Rate>, Partial<Usage>, bigint]>([
    ['8 nodes for 6 hours at $3.06', {}, { nodes: wholeNodes(8), seconds: 6 * HOUR }, 146_880_000n],
    ['the same at 85 %', { discountFactorE6: 850_000n }, { nodes: wholeNodes(8), seconds: 6 * HOUR }, 124_848_000n],
    ['the same for nothing', { discountFactorE6: 0n }, { nodes: wholeNodes(8), seconds: 6 * HOUR }, 0n],
    ['an hour and 4 minutes of overhead', { overheadSeconds: 240 }, {}, 3_264_000n],
    ['2 hours and $0.10 a node-hour', { overheadPerNodeHour: 100_000n }, { seconds: 2 * HOUR }, 6_320_000n],
    ['no time at all, billed a minute', {}, { seconds: 0 }, 51_000n],
    ['one second, billed a minute', {}, { seconds: 1 }, 51_000n],
    ['a minute', {}, { seconds: 60 }, 51_000n],
    ['a minute and a second', {}, { seconds: 61 }, 51_850n],
    ['one second after 4 minutes of overhead, which fill the minute', { overheadSeconds: 240 }, { seconds: 1 }, 204_850n],
    ['a quarter of a node', {}, { nodes: { numerator: 1n, denominator: 4n } }, 765_000n],
    ['a share that is no decimal, exactly', {}, { nodes: { numerator: 1n, denominator: 72n } }, 42_500n],
    ['seven such shares, rounded up once', {}, { nodes: { numerator: 7n, denominator: 71n } }, 301_691n],
    ['a price below a micro-dollar, rounded up', {}, { nodeType: { ...C5_18XLARGE, priceE10UsdPerHour: 1n } }, 1n],
  ])('%s', (_, rate, usage, amount) => {
    expect(costOf(aRate(rate), anUsage(usage)).amount).toBe(amount);
  });

  it('rounds the tasks of an array up once, together', () => {
    const cheap = { ...C5_18XLARGE, priceE10UsdPerHour: 4_000n }; // 0.4 micro-dollars an hour
    expect(costOf(aRate(), anUsage({ nodeType: cheap }), 3).amount).toBe(2n);
  });

  it('tells what the amount is made of, and the lines add up to it', () => {
    const rate = aRate({ discountFactorE6: 850_000n, overheadSeconds: 60, overheadPerNodeHour: 10_000n });
    const a1Medium = { ...C5_18XLARGE, priceE10UsdPerHour: 255_000_000n }; // $0.0255
    expect(costOf(rate, anUsage({ nodeType: a1Medium, seconds: 61 }))).toStrictEqual({
      amount: 1065n,
      lineItems: [
        { name: 'instances', nodeHoursE6: 16_945n, unitPriceE10: 255_000_000n, amount: 433n },
        { name: 'overhead time', nodeHoursE6: 16_667n, unitPriceE10: 255_000_000n, amount: 425n },
        { name: 'discount', nodeHoursE6: 33_612n, unitPriceE10: -38_250_000n, amount: -129n },
        { name: 'node-hour overhead', nodeHoursE6: 33_612n, unitPriceE10: 100_000_000n, amount: 336n },
      ],
    });
  });

  it('has no line for what costs nothing, but always one for the instances', () => {
    const free = { ...C5_18XLARGE, priceE10UsdPerHour: 0n };
    expect(costOf(aRate({ overheadSeconds: 60 }), anUsage({ nodeType: free })).lineItems).toStrictEqual([
      { name: 'instances', nodeHoursE6: 1_000_000n, unitPriceE10: 0n, amount: 0n },
    ]);
  });
});

describe('rateOf', () => {
  it('takes the terms of the partition and the price and size of each type', () => {
    const model = aModel({ discountFactorE6: 850_000n, overheadMinutes: 4, overheadPerNodeHour: 12n, writeOffNodeFailures: true });
    expect(rateOf(model, [anOffer()])).toStrictEqual({
      partition: 'aws',
      nodeTypes: [C5_18XLARGE],
      shared: false,
      discountFactorE6: 850_000n,
      overheadSeconds: 240,
      overheadPerNodeHour: 12n,
      writeOffNodeFailures: true,
      source: 'pricing-api',
      priceDate: '2026-03-01',
    });
  });

  it('leaves out the overhead that the site pays', () => {
    const model = aModel({ overhead: 'site', overheadMinutes: 4, overheadPerNodeHour: 12n });
    expect(rateOf(model, [anOffer()])).toMatchObject({ overheadSeconds: 0, overheadPerNodeHour: 0n });
  });

  it('counts cores where Slurm does: one thread a core', () => {
    expect(rateOf(aModel({ threadsPerCore: 1 }), [anOffer()]).nodeTypes[0]?.cpus).toBe(36);
  });

  it('believes the partition about the memory that Slurm may give', () => {
    expect(rateOf(aModel({ memoryPerNodeMib: 140_000 }), [anOffer()]).nodeTypes[0]?.memoryMib).toBe(140_000);
  });

  it('knows shared nodes', () => {
    expect(rateOf(aModel({ allocation: 'shared' }), [anOffer()]).shared).toBe(true);
  });

  it.each([
    ['the oldest date', ['2026-03-02', '2026-03-01', '2026-03-03'], '2026-03-01'],
    ['no date if one is unknown', ['2026-03-02', null, '2026-03-03'], null],
    ['no date if the first is unknown', [null, '2026-03-02'], null],
  ])('has %s', (_, dates, priceDate) => {
    const offers = dates.map((date, index) => anOffer({ type: `c5.${index}xlarge`, priceDate: date }));
    expect(rateOf(aModel(), offers).priceDate).toBe(priceDate);
  });

  it('is of the first offer’s source', () => {
    expect(rateOf(aModel(), [anOffer({ source: 'catalogue' }), anOffer({ type: 'c5.9xlarge' })]).source).toBe('catalogue');
  });

  it('is a bug without an offer', () => {
    expect(() => rateOf(aModel(), [])).toThrow(new Error('no offer for partition aws: the caller answers no_price'));
  });
});

describe('flatRateOf', () => {
  it('knows a price, and of the node only what the partition says', () => {
    expect(flatRateOf(aModel({ memoryPerNodeMib: 1000, overheadMinutes: 1 }), 2_500_000n)).toStrictEqual({
      partition: 'aws',
      nodeTypes: [{ type: 'flat-rate', priceE10UsdPerHour: 25_000_000_000n, cpus: null, memoryMib: 1000, gpus: null }],
      shared: false,
      discountFactorE6: 1_000_000n,
      overheadSeconds: 60,
      overheadPerNodeHour: 0n,
      writeOffNodeFailures: false,
      source: 'flat-rate',
      priceDate: null,
    });
  });
});

describe('estimateIn', () => {
  it('tells everything about c5.18xlarge x 8 nodes x 6 h', () => {
    expect(estimateIn(aRate(), aJob({ nodes: 8 }), { wallTimeSeconds: 6 * HOUR, tasks: 1 })).toStrictEqual({
      partition: 'aws',
      nodeType: 'c5.18xlarge',
      instanceTypes: ['c5.18xlarge'],
      nodes: 8,
      share: { numerator: 8n, denominator: 1n },
      nodesE6: 8_000_000n,
      tasks: 1,
      wallTimeSeconds: 21_600,
      amount: 146_880_000n,
      low: 146_880_000n,
      high: 146_880_000n,
      lineItems: [{ name: 'instances', nodeHoursE6: 48_000_000n, unitPriceE10: 30_600_000_000n, amount: 146_880_000n }],
      source: 'pricing-api',
      priceDate: '2026-03-01',
    });
  });

  it('prices every task of an array', () => {
    expect(estimateHour(aRate(), aJob(), 10)).toMatchObject({ nodes: 1, tasks: 10, amount: 30_600_000n });
  });

  it.each([
    ['dearest first', [C5_18XLARGE, C5_9XLARGE]],
    ['dearest last', [C5_9XLARGE, C5_18XLARGE]],
  ])('of several types takes the dearest and shows low and high (%s)', (_, nodeTypes) => {
    expect(estimateHour(aRate({ nodeTypes }), aJob({ nodes: 2 }))).toMatchObject({
      nodeType: 'c5.18xlarge',
      instanceTypes: ['c5.18xlarge', 'c5.9xlarge'],
      amount: 6_120_000n,
      low: 3_060_000n,
      high: 6_120_000n,
    });
  });

  it('keeps the order of types that cost the job the same', () => {
    const nodeTypes = [C5_9XLARGE, C5_18XLARGE];
    expect(estimateHour(aRate({ nodeTypes }), aShapelessJob({ cpus: 72 }))).toMatchObject({
      nodeType: 'c5.9xlarge',
      instanceTypes: ['c5.9xlarge', 'c5.18xlarge'],
      nodes: 2,
      low: 3_060_000n,
      high: 3_060_000n,
    });
  });

  it('leaves out a type that the job does not fit on', () => {
    const nodeTypes = [C5_9XLARGE, C5_18XLARGE];
    expect(estimateHour(aRate({ nodeTypes }), aShapelessJob({ cpusPerTask: 40 })).instanceTypes).toStrictEqual(['c5.18xlarge']);
  });

  it('leaves out types with other GPUs than the job asks for', () => {
    const p5 = { ...P4D_24XLARGE, type: 'p5.48xlarge', priceE10UsdPerHour: 550_400_000_000n };
    const rate = aRate({ nodeTypes: [P4D_24XLARGE, p5] });
    expect(estimateHour(rate, aShapelessJob({ gpus: 8 })).instanceTypes).toStrictEqual(['p5.48xlarge', 'p4d.24xlarge']);
    expect(estimateHour(rate, aShapelessJob({ gpus: 8, gpuType: 'a100' }))).toMatchObject({
      instanceTypes: ['p4d.24xlarge'],
      amount: 32_772_600n,
    });
  });

  it('says of every type why the job does not fit', () => {
    const nodeTypes = [C5_9XLARGE, C5_18XLARGE];
    expect(() => estimateHour(aRate({ nodeTypes }), aShapelessJob({ gpus: 4 }))).toThrow(
      expect.objectContaining({
        code: 'does_not_fit',
        message: 'the job does not fit partition aws: c5.9xlarge: 4 GPUs, and a node has none',
        details: { partition: 'aws', reasons: ['c5.9xlarge: 4 GPUs, and a node has none', 'c5.18xlarge: 4 GPUs, and a node has none'] },
      }),
    );
  });

  it.each<[string, NodeType, Partial<Job>, string]>([
    ['memory', C5_18XLARGE, { memoryMib: 147_457 }, '147457 MiB of memory per node, and a node has 147456 MiB'],
    ['CPUs', C5_18XLARGE, { cpusPerTask: 73 }, 'a task of 73 CPUs, and a node has 72'],
    [
      'memory of a task',
      C5_18XLARGE,
      { cpusPerTask: 2, memoryPerCpuMib: 73_729 },
      'a task with 147458 MiB of memory, and a node has 147456 MiB',
    ],
    ['GPUs per node', P4D_24XLARGE, { gpusPerNode: 9 }, '9 GPUs per node, and a node has 8'],
    ['GPUs per node where there are none', C5_18XLARGE, { gpusPerNode: 1 }, '1 GPU per node, and a node has none'],
    ['GPUs where there are none', C5_18XLARGE, { gpus: 1 }, '1 GPU, and a node has none'],
    ['GPUs of another model', P4D_24XLARGE, { gpus: 8, gpuType: 'h100' }, 'GPUs of type h100, and a node has a100'],
    [
      'GPUs per node of another model',
      P4D_24XLARGE,
      { gpusPerNode: 8, gpuType: 'nvidia_h100_80gb' },
      'GPUs of type nvidia_h100_80gb, and a node has a100',
    ],
    [
      'more nodes than asked for, by GPUs per node',
      P4D_24XLARGE,
      { nodes: 1, gpus: 8, gpusPerNode: 4 },
      'it needs 2 nodes of this type, and at most 1 are asked for',
    ],
    ['GPUs per node of a node of unknown GPUs', { ...C5_18XLARGE, gpus: null }, { gpusPerNode: 1 }, '1 GPU per node, and a node has none'],
    ['GPUs of a node of unknown GPUs', { ...C5_18XLARGE, gpus: null }, { gpus: 2 }, '2 GPUs, and a node has none'],
    ['too few nodes', C5_18XLARGE, { nodes: 1, cpus: 73 }, 'it needs 2 nodes of this type, and at most 1 are asked for'],
    ['fewer nodes than the least', C5_18XLARGE, { nodes: 2, minNodes: 3 }, 'it needs 3 nodes of this type, and at most 2 are asked for'],
    ['tasks over nodes of unknown size', UNKNOWN, { ntasks: 2 }, 'the size of its nodes is not known, so say --nodes'],
    ['GPUs over nodes of unknown size', UNKNOWN, { gpus: 2 }, 'the size of its nodes is not known, so say --nodes'],
    [
      'fewer unknown nodes than the least',
      UNKNOWN,
      { nodes: 2, minNodes: 3 },
      'it needs 3 nodes of this type, and at most 2 are asked for',
    ],
    [
      'memory of an otherwise unknown node',
      { ...UNKNOWN, memoryMib: 1000 },
      { memoryMib: 1001 },
      '1001 MiB of memory per node, and a node has 1000 MiB',
    ],
  ])('refuses what is too large: %s', (_, nodeType, job, reason) => {
    expect(() => estimateHour(aRate({ nodeTypes: [nodeType] }), aShapelessJob(job))).toThrow(
      expect.objectContaining({
        code: 'does_not_fit',
        message: `the job does not fit partition aws: ${nodeType.type}: ${reason}`,
      }),
    );
  });

  it.each<[string, NodeType, Partial<Job>, number]>([
    ['nothing said', C5_18XLARGE, {}, 1],
    ['nodes asked for, though fewer would do', C5_18XLARGE, { nodes: 4, cpus: 1 }, 4],
    ['a node full of CPUs', C5_18XLARGE, { cpus: 72 }, 1],
    ['one CPU more', C5_18XLARGE, { cpus: 73 }, 2],
    ['tasks of one CPU', C5_18XLARGE, { ntasks: 145 }, 3],
    ['tasks of which one fits a node', C5_18XLARGE, { ntasks: 3, cpusPerTask: 40 }, 3],
    ['tasks of which two fit a node by CPUs', C5_18XLARGE, { ntasks: 5, cpusPerTask: 36 }, 3],
    ['tasks of which two fit a node by memory', C5_18XLARGE, { ntasks: 5, memoryPerCpuMib: 73_728 }, 3],
    ['memory of all CPUs', C5_18XLARGE, { cpus: 72, memoryPerCpuMib: 4096 }, 2],
    ['memory of a whole node', C5_18XLARGE, { memoryMib: 147_456 }, 1],
    ['the least nodes asked for', C5_18XLARGE, { minNodes: 3 }, 3],
    ['as many nodes as are needed', C5_18XLARGE, { nodes: 2, cpus: 144 }, 2],
    ['GPUs over nodes', P4D_24XLARGE, { gpus: 9 }, 2],
    ['GPUs of one node', P4D_24XLARGE, { gpus: 8 }, 1],
    ['all GPUs per node', P4D_24XLARGE, { gpusPerNode: 8 }, 1],
    ['GPUs of the job and per node: as many nodes as that makes', P4D_24XLARGE, { gpus: 8, gpusPerNode: 2 }, 4],
    ['GPUs of its model', P4D_24XLARGE, { gpus: 8, gpuType: 'A100' }, 1],
    ['GPUs of a name that says no model', P4D_24XLARGE, { gpus: 8, gpuType: 'volta' }, 1],
    ['GPUs of a model, of a family that we do not know', P3_2XLARGE, { gpus: 1, gpuType: 'h100' }, 1],
    ['no GPUs, whatever their type', P4D_24XLARGE, { gpus: 0, gpuType: 'h100' }, 1],
    ['no GPUs', C5_18XLARGE, { gpus: 0, gpusPerNode: 0 }, 1],
    ['CPUs of nodes of unknown memory', { ...C5_18XLARGE, memoryMib: null }, { cpus: 73, memoryPerCpuMib: 999_999 }, 2],
    ['memory per node of nodes of unknown memory', { ...C5_18XLARGE, memoryMib: null }, { memoryMib: 999_999 }, 1],
    ['nodes without any memory to give', { ...C5_18XLARGE, memoryMib: 0 }, {}, 1],
    ['nodes of unknown GPUs', { ...C5_18XLARGE, gpus: null }, { cpus: 73 }, 2],
    ['unknown nodes, as many as asked for', UNKNOWN, { nodes: 4, ntasks: 100, gpus: 100 }, 4],
    ['an unknown node for one task of any size', UNKNOWN, { cpusPerTask: 999, gpus: 1 }, 1],
    ['unknown nodes, the least asked for', UNKNOWN, { minNodes: 3 }, 3],
  ])('works out the nodes: %s', (_, nodeType, job, nodes) => {
    const estimate = estimateHour(aRate({ nodeTypes: [nodeType] }), aShapelessJob(job));
    expect(estimate.nodes).toBe(nodes);
    expect(estimate.nodesE6).toBe(BigInt(nodes) * 1_000_000n);
  });

  it.each<[string, NodeType, Partial<Job>, bigint]>([
    ['a quarter of its CPUs', C5_18XLARGE, { cpus: 18 }, 250_000n],
    ['CPUs of its tasks', C5_18XLARGE, { ntasks: 9, cpusPerTask: 4 }, 500_000n],
    ['half its memory', C5_18XLARGE, { cpus: 18, memoryMib: 73_728 }, 500_000n],
    ['memory on each of two nodes', C5_18XLARGE, { nodes: 2, memoryMib: 36_864 }, 500_000n],
    ['memory per CPU, rounded up', C5_18XLARGE, { cpus: 4, memoryPerCpuMib: 4096 }, 111_112n],
    ['a CPU on each node at least', C5_18XLARGE, { nodes: 2 }, 27_778n],
    ['two GPUs of eight', P4D_24XLARGE, { cpus: 1, gpus: 2 }, 250_000n],
    ['two GPUs of eight on each of two nodes', P4D_24XLARGE, { nodes: 2, gpusPerNode: 2 }, 500_000n],
    ['all of its CPUs', C5_18XLARGE, { cpus: 72 }, 1_000_000n],
    ['a node for itself', C5_18XLARGE, { cpus: 18, exclusive: true }, 1_000_000n],
    ['a node that it need not have for itself', C5_18XLARGE, { cpus: 18, exclusive: false }, 250_000n],
    ['all memory of the node', C5_18XLARGE, { cpus: 18, memoryMib: 0 }, 1_000_000n],
    ['a node of unknown size', UNKNOWN, { cpus: 1 }, 1_000_000n],
  ])('charges a job on shared nodes its largest share: %s', (_, nodeType, job, nodesE6) => {
    expect(estimateHour(aRate({ nodeTypes: [nodeType], shared: true }), aShapelessJob(job)).nodesE6).toBe(nodesE6);
  });

  it('prices a share exactly, and rounds up once', () => {
    expect(estimateHour(aRate({ shared: true }), aShapelessJob({ nodes: 2 })).amount).toBe(85_000n);
    expect(estimateHour(aRate({ shared: true }), aShapelessJob({ cpus: 1 }), 100).amount).toBe(4_250_000n);
  });
});

describe('sharedNodes', () => {
  const none = { nodes: 1, cpus: 0, memoryMib: 0, gpus: 0 };

  it.each([
    ['nothing known of the demand', P3_2XLARGE, none, wholeNodes(1)],
    ['GPUs of a node that has none', C5_9XLARGE, { ...none, gpus: 4 }, wholeNodes(1)],
    ['the largest of all', P4D_24XLARGE, { nodes: 1, cpus: 12, memoryMib: 294_912, gpus: 3 }, { numerator: 3n, denominator: 8n }],
    ['never more than the nodes', C5_9XLARGE, { ...none, nodes: 2, cpus: 100 }, wholeNodes(2)],
    ['exactly the nodes', C5_9XLARGE, { ...none, nodes: 2, cpus: 72 }, { numerator: 72n, denominator: 36n }],
  ])('%s', (_, nodeType, demand, nodes) => {
    expect(sharedNodes(nodeType, demand)).toStrictEqual(nodes);
  });
});

describe('typesAllowedBy', () => {
  const model = aModel({
    instanceTypes: ['c5n', 'c5', 'p4d'],
    features: { c5n: ['intel', 'efa'], c5: ['intel'] },
  });

  it.each([
    ['no constraint', undefined, ['c5n', 'c5', 'p4d']],
    ['one feature', 'intel', ['c5n', 'c5']],
    ['both of two', 'intel&efa', ['c5n']],
    ['either of two', 'efa|gpu', ['c5n']],
    ['& before |', 'gpu&efa|intel', ['c5n', 'c5']],
    ['a feature of none: Slurm may know more', 'gpu', ['c5n', 'c5', 'p4d']],
    ['a count, which we do not read', 'efa*2', ['c5n', 'c5', 'p4d']],
    ['brackets, which we do not read', '[efa|intel]', ['c5n', 'c5', 'p4d']],
    ['half a form', 'efa&', ['c5n', 'c5', 'p4d']],
    ['half a form, beside one that none has', 'gpu|intel|', ['c5n', 'c5', 'p4d']],
    ['half a form, from behind', '|efa', ['c5n', 'c5', 'p4d']],
    ['several of both', 'intel&efa|gpu|intel&intel', ['c5n', 'c5']],
  ])('%s', (_, constraint, types) => {
    expect(typesAllowedBy(model, constraint)).toStrictEqual(types);
  });

  it('allows every type where no features were imported', () => {
    expect(typesAllowedBy(aModel({ instanceTypes: ['c5n', 'c5'] }), 'efa')).toStrictEqual(['c5n', 'c5']);
  });
});
