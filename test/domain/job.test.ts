import { describe, expect, it } from 'vitest';
import { parseArraySpec } from '#domain/array-spec';
import { canonicalJob, type Job, tasksOf } from '#domain/job';
import { aJob } from '#test/support/builders';

describe('tasksOf', () => {
  it.each([
    ['a job that is no array', {}, 1],
    ['an array', { array: parseArraySpec('1-5:2,9%4') }, 4],
    ['an array of one', { array: parseArraySpec('7') }, 1],
  ])('counts the tasks of %s', (_, given, tasks) => {
    expect(tasksOf(aJob(given))).toBe(tasks);
  });
});

describe('canonicalJob', () => {
  it('spells the fields in one fixed order', () => {
    const job: Job = { wallTimeSeconds: 3600, partitions: ['aws', 'local'], cluster: 'hpc', account: 'physics' };
    expect(canonicalJob(job)).toBe('[["account","physics"],["cluster","hpc"],["partitions",["aws","local"]],["wallTimeSeconds",3600]]');
  });

  it('spells an array as sbatch takes it', () => {
    const job: Job = { account: 'a', cluster: 'c', partitions: ['p'], array: parseArraySpec('0-15:4%2') };
    expect(canonicalJob(job)).toBe('[["account","a"],["array","0-15:4%2"],["cluster","c"],["partitions",["p"]]]');
  });

  it('takes a field that is undefined for one that is absent', () => {
    const job = { ...aJob(), qos: undefined } as unknown as Job; // As a caller without exactOptionalPropertyTypes may write it.
    expect(canonicalJob(job)).toBe(canonicalJob(aJob()));
  });

  it.each([
    ['account', { account: 'chemistry' }],
    ['partitions', { partitions: ['gpu'] }],
    ['their order', { partitions: ['gpu', 'aws'] }],
    ['cluster', { cluster: 'other' }],
    ['user', { user: 'meitner' }],
    ['nodes', { nodes: 2 }],
    ['minNodes', { minNodes: 1 }],
    ['ntasks', { ntasks: 1 }],
    ['cpus', { cpus: 1 }],
    ['cpusPerTask', { cpusPerTask: 1 }],
    ['gpus', { gpus: 0 }],
    ['gpusPerNode', { gpusPerNode: 0 }],
    ['gpuType', { gpuType: 'a100' }],
    ['memoryMib', { memoryMib: 0 }],
    ['memoryPerCpuMib', { memoryPerCpuMib: 1 }],
    ['exclusive', { exclusive: false }],
    ['constraint', { constraint: 'efa' }],
    ['wallTimeSeconds', { wallTimeSeconds: 3601 }],
    ['array', { array: parseArraySpec('0') }],
    ['hetOffset', { hetOffset: 0 }],
    ['qos', { qos: 'high' }],
    ['jobName', { jobName: 'x' }],
  ])('tells a job with another %s from the first', (_, given) => {
    expect(canonicalJob(aJob(given))).not.toBe(canonicalJob(aJob()));
  });
});
