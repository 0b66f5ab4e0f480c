import { describe, expect, it } from 'vitest';
import type { Rate } from '#domain/estimate';
import { type BookedRun, isNodeFailure, isRestartedState, nodeSecondsOf, type RunUsage, repeats, runCost } from '#domain/run';
import { aRate, C5_9XLARGE, C5_18XLARGE, NOON, P4D_24XLARGE } from '#test/support/builders';

const HOUR = 3600;
const anHour = (given: Partial<RunUsage> = {}): RunUsage => ({ elapsedSeconds: HOUR, started: true, ...given });

describe('runCost on whole nodes', () => {
  const rate = aRate({ nodeTypes: [C5_9XLARGE, C5_18XLARGE] });
  const twoOf9xlarge = { nodeType: 'c5.9xlarge', nodes: 2, nodesE6: 2_000_000n };

  it.each<[string, RunUsage, bigint]>([
    ['as it was priced', anHour(), 3_060_000n],
    ['half the time', anHour({ elapsedSeconds: 1800 }), 1_530_000n],
    ['fewer nodes', anHour({ nodes: 1 }), 1_530_000n],
    [
      'the instances that it had',
      anHour({
        instances: [
          { type: 'c5.18xlarge', count: 1 },
          { type: 'c5.9xlarge', count: 2 },
        ],
        nodes: 9,
      }),
      6_120_000n,
    ],
    ['no instances named', anHour({ instances: [] }), 3_060_000n],
    ['CPUs do not matter', anHour({ cpus: 1 }), 3_060_000n],
    ['started, but no time', anHour({ elapsedSeconds: 0 }), 51_000n],
    ['some time, though its start is not known', anHour({ elapsedSeconds: 60, started: false }), 51_000n],
    ['never started', anHour({ elapsedSeconds: 0, started: false, instances: [{ type: 'c5.18xlarge', count: 1 }] }), 0n],
  ])('%s', (_, run, cost) => {
    expect(runCost(rate, run, twoOf9xlarge)).toBe(cost);
  });

  it.each([
    ['last', [C5_9XLARGE, C5_18XLARGE]],
    ['first', [C5_18XLARGE, C5_9XLARGE]],
  ])('is that of the dearest type when the held one is not among them (dearest %s)', (_, nodeTypes) => {
    expect(runCost(aRate({ nodeTypes }), anHour(), { ...twoOf9xlarge, nodeType: 'gone' })).toBe(6_120_000n);
  });

  it('bills the overhead that the run pays', () => {
    expect(runCost(aRate({ overheadSeconds: 240 }), anHour(), { nodeType: 'c5.18xlarge', nodes: 1, nodesE6: 1_000_000n })).toBe(3_264_000n);
  });

  it('is a bug for an instance type that is not priced', () => {
    expect(() => runCost(rate, anHour({ instances: [{ type: 'x1.32xlarge', count: 1 }] }), twoOf9xlarge)).toThrow(
      new Error('no price for x1.32xlarge in partition aws'),
    );
  });
});

describe('runCost on shared nodes', () => {
  const shared = (rate: Partial<Rate> = {}) => aRate({ nodeTypes: [C5_9XLARGE], shared: true, ...rate });
  const halfOf9xlarge = { nodeType: 'c5.9xlarge', nodes: 1, nodesE6: 500_000n };

  it.each<[string, RunUsage, bigint]>([
    ['as it was priced', anHour(), 765_000n],
    ['whole nodes when only they are reported', anHour({ nodes: 2 }), 3_060_000n],
    ['the share of its CPUs', anHour({ cpus: 9 }), 382_500n],
    ['the share of its memory', anHour({ memoryMib: 18_432 }), 382_500n],
    ['its memory on each of two nodes', anHour({ nodes: 2, memoryMib: 18_432 }), 765_000n],
    ['the larger of both', anHour({ cpus: 9, memoryMib: 36_864 }), 765_000n],
    ['never more than its nodes', anHour({ nodes: 1, cpus: 999 }), 1_530_000n],
    ['as many nodes as it had', anHour({ nodes: 2, cpus: 54 }), 2_295_000n],
    ['a whole node for GPUs that it has none of', anHour({ gpus: 1 }), 1_530_000n],
  ])('%s', (_, run, cost) => {
    expect(runCost(shared(), run, halfOf9xlarge)).toBe(cost);
  });

  it('charges the share of the GPUs', () => {
    const priced = { nodeType: 'p4d.24xlarge', nodes: 1, nodesE6: 1_000_000n };
    expect(runCost(shared({ nodeTypes: [P4D_24XLARGE] }), anHour({ gpus: 2 }), priced)).toBe(8_193_150n);
  });
});

describe('isNodeFailure', () => {
  it.each([
    ['NODE_FAIL', true],
    ['NF', true],
    ['BOOT_FAIL', true],
    ['BF', true],
    ['FAILED', false],
    ['COMPLETED', false],
    ['', false],
    [null, false],
  ])('%s: %s', (state, expected) => {
    expect(isNodeFailure(state)).toBe(expected);
  });
});

describe('isRestartedState', () => {
  it.each([
    ['REQUEUED', true],
    ['RQ', true],
    ['RESIZING', true],
    ['RS', true],
    ['PREEMPTED', false],
    ['', false],
    [null, false],
  ])('%s: %s', (state, expected) => {
    expect(isRestartedState(state)).toBe(expected);
  });
});

describe('repeats', () => {
  const booked: BookedRun = {
    owner: 'hold',
    runId: 'hpc-1',
    account: 'physics',
    jobId: null,
    user: null,
    bookedCost: 60n,
    reported: 'as-then',
    cost: 60n,
    writtenOff: 0n,
    share: 100n,
    refund: 40n,
    holdState: 'settled',
    late: false,
    final: true,
    tasks: 1,
    elapsedSeconds: null,
    partition: null,
    nodes: null,
    state: null,
    startedAt: null,
    endedAt: null,
    bookedAt: NOON,
    corrections: [],
  };
  const corrected = { ...booked, cost: 55n, corrections: [{ correctionId: 'c1', cost: 55n }] };
  const writtenOff = { ...booked, cost: 0n, writtenOff: 60n };

  it.each([
    ['the same cost', booked, 60n, true],
    ['another cost', booked, 61n, false],
    ['the first cost of a corrected run', corrected, 60n, true],
    ['the corrected cost', corrected, 55n, true],
    ['neither', corrected, 56n, false],
    ['the cost of a run that was written off', writtenOff, 60n, true],
    ['what was charged of it', writtenOff, 0n, false],
  ])('%s', (_, run, cost, expected) => {
    expect(repeats(run, { cost, reported: 'now' })).toBe(expected);
  });

  it('the same report, though its price has changed since', () => {
    expect(repeats(booked, { cost: 61n, reported: 'as-then' })).toBe(true);
  });
});

describe('nodeSecondsOf', () => {
  const priced = { nodeType: 'c5.9xlarge', nodes: 2, nodesE6: 500_000n };
  const whole = aRate({ nodeTypes: [C5_9XLARGE] });
  const shared = aRate({ nodeTypes: [C5_9XLARGE], shared: true });

  it.each<[string, Rate | undefined, RunUsage, number]>([
    ['the nodes that were priced', whole, anHour(), 7200],
    ['the nodes that it had', whole, anHour({ nodes: 3 }), 10_800],
    [
      'its instances',
      whole,
      anHour({
        nodes: 9,
        instances: [
          { type: 'x1', count: 1 },
          { type: 'x2', count: 3 },
        ],
      }),
      14_400,
    ],
    ['no instances named', whole, anHour({ instances: [] }), 7200],
    ['a share of a node', shared, anHour({ nodes: 1, cpus: 9 }), 900],
    ['a share as it was priced', shared, anHour(), 1800],
    ['rounded up', shared, anHour({ elapsedSeconds: 1 }), 1],
    ['nobody knows of shares', undefined, anHour({ nodes: 1, cpus: 9 }), 3600],
    ['nobody knows anything', undefined, anHour(), 7200],
    ['never started', whole, anHour({ elapsedSeconds: 0, started: false }), 0],
  ])('%s', (_, rate, run, seconds) => {
    expect(nodeSecondsOf(rate, run, priced)).toBe(seconds);
  });
});
