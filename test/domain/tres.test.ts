import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GpuRequest, parseGpuRequest, parseTres, type Tres } from '#domain/tres';

const RUNS = { numRuns: Number(process.env.ASBB_PROPERTY_RUNS ?? 1000) };

const refusal = (message: RegExp) =>
  expect.objectContaining({ name: 'BudgetError', code: 'validation_failed', message: expect.stringMatching(message) });

const aGpuType = () => fc.stringMatching(/^[a-z][a-z0-9_.-]{0,20}$/);

describe('parseTres', () => {
  it.each<[string, Tres]>([
    ['', {}],
    ['cpu=8', { cpus: 8 }],
    ['cpu=0', { cpus: 0 }],
    ['cpu=16777215', { cpus: 16_777_215 }],
    ['node=2', { nodes: 2 }],
    ['mem=16G', { memoryMib: 16_384 }],
    ['billing=8,cpu=8,mem=16G,node=1', { cpus: 8, memoryMib: 16_384, nodes: 1 }],
    ['billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=16G,node=1', { cpus: 8, gpus: 2, gpuType: 'a100', memoryMib: 16_384, nodes: 1 }],
    ['gres/gpu=2,gres/gpu:a100=2', { gpus: 2, gpuType: 'a100' }],
    ['gres/gpu=4', { gpus: 4 }],
    ['gres/gpu=0', { gpus: 0 }],
    ['gres/gpu:a100=2', { gpus: 2, gpuType: 'a100' }],
    ['gres/gpu:a100=2,gres/gpu:v100=3', { gpus: 5 }],
    ['gres/gpu:a100=2,gres/gpu:v100=3,gres/gpu=5', { gpus: 5 }],
    ['gres/gpu:a100=1,gres/gpu=3', { gpus: 3, gpuType: 'a100' }],
    ['gres/gpu:nvidia_a100_1g.5gb=7', { gpus: 7, gpuType: 'nvidia_a100_1g.5gb' }],
    ['gres/gpumem=40G,gres/gpuutil=99,gres/shard=3,license/matlab=1,fs/disk=0,energy=18446744073709551614', {}],
    ['billing=abc', {}],
    ['cpu=8,', { cpus: 8 }],
    [',,cpu=8', { cpus: 8 }],
  ])('reads %s', (text, tres) => {
    expect(parseTres(text)).toStrictEqual(tres);
  });

  it.each<[string, number]>([
    ['0', 0],
    ['3900M', 3_900],
    ['3900', 3_900],
    ['3900m', 3_900],
    ['1024K', 1],
    ['1025K', 2],
    ['1K', 1],
    ['1.5k', 1],
    ['1024.5K', 2],
    ['1.50G', 1_536],
    ['1.50T', 1_572_864],
    ['1.10T', 1_153_434],
    ['0.1M', 1],
    ['2.0M', 2],
    ['2.000000000000001M', 3],
    ['1t', 1_048_576],
    ['1P', 1_073_741_824],
    ['4096P', 4_398_046_511_104],
    ['4398046511104', 4_398_046_511_104],
    ['000000000000001G', 1_024],
  ])('reads memory of %s as %i MiB', (text, memoryMib) => {
    expect(parseTres(`mem=${text}`)).toStrictEqual({ memoryMib });
  });

  it.each<[string, RegExp]>([
    ['cpu', /name=count/],
    ['cpu=8,rubbish', /name=count/],
    ['cpu=', /whole number/],
    ['cpu=x8', /whole number/],
    ['cpu=8x', /whole number/],
    ['cpu=-8', /whole number/],
    ['cpu=1.5', /whole number/],
    ['cpu=1K', /whole number/],
    ['cpu==8', /whole number/],
    ['node=two', /whole number/],
    ['gres/gpu=x', /whole number/],
    ['gres/gpu:a100=', /whole number/],
    ['cpu=16777216', /at most 16777215/],
    ['cpu=99999999999999999999999999', /at most 16777215/],
    ['mem=', /allocated memory as a number/],
    ['mem=G', /allocated memory as a number/],
    ['mem=16Gn', /allocated memory as a number/],
    ['mem=16GB', /allocated memory as a number/],
    ['mem=x16G', /allocated memory as a number/],
    ['mem=1.G', /allocated memory as a number/],
    ['mem=.5G', /allocated memory as a number/],
    ['mem=1.2.3G', /allocated memory as a number/],
    ['mem=-1G', /allocated memory as a number/],
    ['mem=1E', /allocated memory as a number/],
    ['mem=1000000000000000M', /allocated memory as a number/],
    ['mem=1.0000000000000000M', /allocated memory as a number/],
    ['mem=4096.000000000000001P', /at most 4096P/],
    ['mem=4398046511105', /at most 4096P/],
    ['mem=999999999999999P', /at most 4096P/],
    ['cpu=8, node=1', /without blanks/],
    [' cpu=8', /without blanks/],
    ['cpu=8\n', /without blanks/],
    [`cpu=8${','.repeat(4_092)}`, /at most 4096 characters/],
    ['x'.repeat(10_000_000), /at most 4096 characters/],
  ])('refuses %.60s', (text, message) => {
    expect(() => parseTres(text)).toThrow(refusal(message));
  });

  it('reads 4096 characters', () => {
    expect(parseTres(`cpu=8${','.repeat(4_091)}`)).toStrictEqual({ cpus: 8 });
  });

  it('reads back what Slurm prints, in any order', () => {
    const count = fc.nat({ max: 16_777_215 });
    const allocations = fc.record({ cpus: count, nodes: count, gpus: count, gpuType: aGpuType(), memoryMib: fc.nat(), seed: fc.nat() });
    fc.assert(
      fc.property(allocations, ({ cpus, nodes, gpus, gpuType, memoryMib, seed }) => {
        const entries = [
          `cpu=${cpus}`,
          `node=${nodes}`,
          `gres/gpu=${gpus}`,
          `gres/gpu:${gpuType}=${gpus}`,
          `mem=${memoryMib}M`,
          'billing=1',
        ];
        const at = seed % entries.length;
        const turned = [...entries.slice(at), ...entries.slice(0, at)].join(',');
        expect(parseTres(turned)).toStrictEqual({ cpus, nodes, memoryMib, gpus, gpuType });
      }),
      RUNS,
    );
  });
});

describe('parseGpuRequest', () => {
  it.each<[string, GpuRequest]>([
    ['', { gpus: 0 }],
    ['gpu', { gpus: 1 }],
    ['gpu:0', { gpus: 0 }],
    ['gpu:2', { gpus: 2 }],
    ['gpu=2', { gpus: 2 }],
    ['gpu:16777215', { gpus: 16_777_215 }],
    ['gpu:a100', { gpus: 1, gpuType: 'a100' }],
    ['gpu:a100:4', { gpus: 4, gpuType: 'a100' }],
    ['gpu:a100=4', { gpus: 4, gpuType: 'a100' }],
    ['gpu:3090', { gpus: 3_090 }],
    ['gpu:3090:4', { gpus: 4, gpuType: '3090' }],
    ['gpu:1g.5gb', { gpus: 1, gpuType: '1g.5gb' }],
    ['gpu:1g.5gb:2', { gpus: 2, gpuType: '1g.5gb' }],
    ['gpu:nvidia_a100-sxm4-80gb:8', { gpus: 8, gpuType: 'nvidia_a100-sxm4-80gb' }],
    ['gres:gpu', { gpus: 1 }],
    ['gres:gpu:2', { gpus: 2 }],
    ['gres:gpu:a100:4', { gpus: 4, gpuType: 'a100' }],
    ['gres/gpu:4', { gpus: 4 }],
    ['gres/gpu=4', { gpus: 4 }],
    ['gres/gpu:a100:4', { gpus: 4, gpuType: 'a100' }],
    ['gres/gpu:a100=4', { gpus: 4, gpuType: 'a100' }],
    ['GPU:A100:4', { gpus: 4, gpuType: 'A100' }],
    ['GRES/GPU:4', { gpus: 4 }],
    ['gpu:a100:4,lustre:1', { gpus: 4, gpuType: 'a100' }],
    ['lustre:1,gpu:a100:4', { gpus: 4, gpuType: 'a100' }],
    ['gres:gpu:2,gres:lustre:1', { gpus: 2 }],
    ['cpu:8,gres/gpu:2', { gpus: 2 }],
    ['gpu:a100:2,gpu:a100:1', { gpus: 3, gpuType: 'a100' }],
    ['gpu:a100:2,gpu:v100:1', { gpus: 3 }],
    ['gpu:a100:2,gpu:1', { gpus: 3 }],
    ['gpu:1,gpu:a100:2', { gpus: 3 }],
    ['gpu:2,', { gpus: 2 }],
    ['lustre:1', { gpus: 0 }],
    ['lustre', { gpus: 0 }],
    ['none', { gpus: 0 }],
    ['gres:none', { gpus: 0 }],
    ['shard:4', { gpus: 0 }],
    ['gpumem:40', { gpus: 0 }],
    ['gpu_extra:2', { gpus: 0 }],
    ['mygpu:2', { gpus: 0 }],
    ['my:gres:gpu:2', { gpus: 0 }],
    ['gpgres:u:2', { gpus: 0 }],
    ['notgres/gpu:2', { gpus: 0 }],
  ])('reads %s', (text, request) => {
    expect(parseGpuRequest(text)).toStrictEqual(request);
  });

  it.each<[string, RegExp]>([
    ['gpu:', /gpu\[:type]\[:count]/],
    ['gpu=', /gpu\[:type]\[:count]/],
    ['gpu::4', /gpu\[:type]\[:count]/],
    ['gpu:a100:', /gpu\[:type]\[:count]/],
    ['gpu:a100:x', /gpu\[:type]\[:count]/],
    ['gpu:a100:-4', /gpu\[:type]\[:count]/],
    ['gpu:a100:gpu:2', /gpu\[:type]\[:count]/],
    ['gpu:a100:4:5', /gpu\[:type]\[:count]/],
    ['gpu:a100:4(S:0)', /gpu\[:type]\[:count]/],
    ['gpu:-1', /gpu\[:type]\[:count]/],
    ['gpu:1.5', /gpu\[:type]\[:count]/],
    ['gpu=a100', /gpu\[:type]\[:count]/],
    ['gpu:🎮', /gpu\[:type]\[:count]/],
    ['lustre:1,gpu:', /gpu\[:type]\[:count]/],
    ['lustre:1, gpu:4', /without blanks/],
    ['gpu:4\n', /without blanks/],
    ['gpu:16777216', /at most 16777215/],
    ['gpu:16777215,gpu:1', /at most 16777215/],
    ['gpu:a100:99999999999999999999999', /at most 16777215/],
    [`gpu:2${','.repeat(4_092)}`, /at most 4096 characters/],
  ])('refuses %.60s', (text, message) => {
    expect(() => parseGpuRequest(text)).toThrow(refusal(message));
  });

  it('reads back type and count in every spelling', () => {
    const spellings = fc.constantFrom(
      'gpu:T:N',
      'gpu:T=N',
      'gres:gpu:T:N',
      'gres/gpu:T:N',
      'gres/gpu:T=N',
      'lustre:1,gpu:T:N',
      'gpu:T:N,lustre',
    );
    fc.assert(
      fc.property(spellings, aGpuType(), fc.nat({ max: 16_777_215 }), (spelling, gpuType, gpus) => {
        expect(parseGpuRequest(spelling.replace('T', gpuType).replace('N', `${gpus}`))).toStrictEqual({ gpus, gpuType });
      }),
      RUNS,
    );
  });
});
