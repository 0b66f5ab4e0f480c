// What sbatch makes of these lines was seen on sbatch 22.05.8, with `sbatch -vvv` and no controller.
import { describe, expect, it } from 'vitest';
import { mergeOptions, readSbatchScript, type ScriptOptions } from '#cli/sbatch-script';

const script = (...lines: readonly string[]): string => ['#!/bin/bash', ...lines, '', 'srun ./a.out', ''].join('\n');
const read = (...lines: readonly string[]): ScriptOptions[] => readSbatchScript(script(...lines));

describe('readSbatchScript', () => {
  it.each<[string, string, ScriptOptions]>([
    ['a short option and its value', '#SBATCH -N 4', { nodes: '4' }],
    ['a short option with its value', '#SBATCH -N4', { nodes: '4' }],
    ['short options behind one dash', '#SBATCH -HON4', { nodes: '4' }],
    ['a letter whose value is the rest of the word', '#SBATCH -pN2', { partition: 'N2' }],
    ['an optional value of a letter', '#SBATCH -koff -N4', { nodes: '4' }],
    ['an optional value of a letter, left out', '#SBATCH -k -N4', { nodes: '4' }],
    ['a long option and its value', '#SBATCH --nodes 4', { nodes: '4' }],
    ['a long option with its value', '#SBATCH --nodes=4', { nodes: '4' }],
    ['a value that has an = of its own', '#SBATCH --constraint=a=b', { constraint: 'a=b' }],
    ['the beginning of a long option', '#SBATCH --parti=aws', { partition: 'aws' }],
    ['a whole name that others begin with', '#SBATCH --ntasks=8 --mem=1G --time=5', { ntasks: '8', mem: '1G', time: '5' }],
    ['several on one line', '#SBATCH -N 2-4 --time 30 --mem=16G -c2', { nodes: '2-4', time: '30', mem: '16G', 'cpus-per-task': '2' }],
    ['a tab behind the word', '#SBATCH\t-p\taws', { partition: 'aws' }],
    ['a value that looks like an option', '#SBATCH -o -N -n 3', { ntasks: '3' }],
    ['no value for --exclusive', '#SBATCH --exclusive -N 4', { exclusive: '', nodes: '4' }],
    ['a value for --exclusive', '#SBATCH --exclusive=user', { exclusive: 'user' }],
    ['options that cost nothing', '#SBATCH -J run --output=x.%j --mail-type ALL --requeue -N 4 -H', { nodes: '4' }],
    ['options that nobody knows', '#SBATCH --turbo -N 4 --fast=yes --colour red -Z9 -Y blue -n 2', { nodes: '4', ntasks: '2' }],
    [
      'all that a price depends on',
      '#SBATCH -A a -a 1-9 -C x -G a100:4 --gres=gpu:2',
      { account: 'a', array: '1-9', constraint: 'x', gpus: 'a100:4', gres: 'gpu:2' },
    ],
    ['a comment behind', '#SBATCH -N 4 # not -N 8', { nodes: '4' }],
    ['a comment in a word', '#SBATCH --time=30#x -N 8', { time: '30' }],
    ['double quotes', '#SBATCH --constraint="[a|b]" -J "a -N 8" -N2', { constraint: '[a|b]', nodes: '2' }],
    ['single quotes', "#SBATCH -J 'a # b' -N 2", { nodes: '2' }],
    ['quotes within quotes', `#SBATCH -C 'it'"'"'s' -N 2`, { constraint: "it's", nodes: '2' }],
    ['a quote in the middle of a word', '#SBATCH --constr"aint=a b" -N2', { constraint: 'a b', nodes: '2' }],
    ['a backslash', '#SBATCH \\-N 2 -C a\\#b', { nodes: '2', constraint: 'a#b' }],
    ['a backslash within quotes', '#SBATCH -C "a\\"b" -N 2', { constraint: 'a"b', nodes: '2' }],
    ['a backslash before a blank, which it does not hide', '#SBATCH -N 2\\ -n 3', { nodes: '2', ntasks: '3' }],
    ['a backslash at the end, which joins no lines', '#SBATCH -N 2 \\', { nodes: '2' }],
    ['an empty word, which ends the line', '#SBATCH -n 3 "" -N 2', { ntasks: '3' }],
    ['its old name', '#SLURM -N 3', { nodes: '3' }],
    ['DOS line ends', '#SBATCH -N 3\r', { nodes: '3' }],
    ['shared nodes after --exclusive', '#SBATCH --exclusive -s', {}],
    ['--exclusive after shared nodes', '#SBATCH -s --exclusive', { exclusive: '' }],
  ])('reads %s', (_, line, expected) => {
    expect(read(line)).toStrictEqual([expected]);
  });

  it.each<[string, readonly string[], ScriptOptions]>([
    ['the last of several', ['#SBATCH -N 4', '#SBATCH --nodes=2', '#SBATCH -n 3'], { nodes: '2', ntasks: '3' }],
    ['what stands between comments and blank lines', ['# a comment', '', '   ', '  # more', '#SBATCH -N 4'], { nodes: '4' }],
    ['nothing below the first command', ['#SBATCH -N 4', 'module load x', '#SBATCH -N 8'], { nodes: '4' }],
    ['nothing that is indented', ['  #SBATCH -N 8'], {}],
    ['nothing behind a comment', ['# #SBATCH -N 8', '## SBATCH -N 8', '# SBATCH -N 8'], {}],
    ['nothing in small letters', ['#sbatch -N 8'], {}],
    ['a value on the next line', ['#SBATCH -N', '#SBATCH 8'], { nodes: '8' }],
  ])('reads %s', (_, lines, expected) => {
    expect(read(...lines)).toStrictEqual([expected]);
  });

  it('reads a script without a command, and one without anything', () => {
    expect(readSbatchScript('#!/bin/sh\n#SBATCH -N 4')).toStrictEqual([{ nodes: '4' }]);
    expect(readSbatchScript('')).toStrictEqual([{}]);
  });

  it('reads each component of a heterogeneous job, which takes over account, array, memory and time', () => {
    const first = '#SBATCH -A a -p cpu -N 4 -t 60 --mem=4G -c 2 --exclusive';
    expect(read(first, '#SBATCH hetjob -N 9', '#SBATCH -p gpu -G 8', '#SBATCH packjob', '#SBATCH --mem-per-cpu=1G -t 5')).toStrictEqual([
      { account: 'a', partition: 'cpu', nodes: '4', time: '60', mem: '4G', 'cpus-per-task': '2', exclusive: '' },
      { account: 'a', partition: 'gpu', gpus: '8', time: '60', mem: '4G' },
      { account: 'a', time: '5', 'mem-per-cpu': '1G' },
    ]);
  });

  it('takes no name of a job for a separator', () => {
    expect(read('#SBATCH -N 2', '#SBATCH -J hetjob -n 3')).toStrictEqual([{ nodes: '2', ntasks: '3' }]);
  });

  it.each([
    ['#SBATCH -J "a b', 'line 2: the quote " is not closed'],
    ['#SBATCH -N 2 : -N 3', "line 2: sbatch takes no ':' here: separate components with '#SBATCH hetjob'"],
    ['#SBATCH 4 nodes', "line 2: sbatch takes no '4' here: options begin with - or --"],
    ['#SBATCHX -N 2', "line 2: sbatch takes no 'X' here: options begin with - or --"],
    ['#SBATCH --exclusive user', "line 2: sbatch takes no 'user' here: options begin with - or --"],
    ['#SBATCH -N 2 -- -n 3', "line 2: sbatch takes no '--' here: options begin with - or --"],
    ['#SBATCH -N 2 -', "line 2: sbatch takes no '-' here: options begin with - or --"],
    ['#SBATCH --acc=physics', 'line 2: --acc could be --account or --acctg-freq: write it out'],
    ['#SBATCH --ntask=3', 'line 2: --ntask could be --ntasks or --ntasks-per-node or --ntasks-per-core: write it out'],
    ['#SBATCH -N', 'line 2: -N needs a value'],
    ['#SBATCH --nodes', 'line 2: --nodes needs a value'],
  ])('refuses %s', (line, message) => {
    expect(() => read(line)).toThrow(expect.objectContaining({ exitCode: 2, message }));
  });
});

describe('mergeOptions', () => {
  const merge = (given: Partial<Parameters<typeof mergeOptions>[0]>) =>
    mergeOptions({ flags: {}, env: {}, script: {}, scriptName: 'job.sh', ...given });

  it('hears the command line before the environment, and that before the script', () => {
    const given = {
      script: { account: 'script', partition: 'script', time: '1' },
      env: { SBATCH_PARTITION: 'env', SBATCH_TIMELIMIT: '2', PATH: '/bin' },
      flags: { time: '3' },
    };
    expect(merge(given)).toStrictEqual({
      account: { flag: 'job.sh: --account', value: 'script' },
      partition: { flag: 'SBATCH_PARTITION', value: 'env' },
      time: { flag: '--time', value: '3' },
    });
  });

  it.each([
    ['SBATCH_ACCOUNT', 'account'],
    ['SBATCH_ARRAY_INX', 'array'],
    ['SBATCH_CONSTRAINT', 'constraint'],
    ['SBATCH_CPUS_PER_GPU', 'cpus-per-gpu'],
    ['SBATCH_EXCLUSIVE', 'exclusive'],
    ['SBATCH_GPUS', 'gpus'],
    ['SBATCH_GPUS_PER_NODE', 'gpus-per-node'],
    ['SBATCH_GPUS_PER_SOCKET', 'gpus-per-socket'],
    ['SBATCH_GPUS_PER_TASK', 'gpus-per-task'],
    ['SBATCH_GRES', 'gres'],
    ['SBATCH_MEM_PER_CPU', 'mem-per-cpu'],
    ['SBATCH_MEM_PER_GPU', 'mem-per-gpu'],
    ['SBATCH_MEM_PER_NODE', 'mem'],
    ['SBATCH_PARTITION', 'partition'],
    ['SBATCH_TIMELIMIT', 'time'],
  ])('reads %s as --%s', (variable, name) => {
    expect(merge({ env: { [variable]: 'x' } })).toStrictEqual({ [name]: { flag: variable, value: 'x' } });
  });

  it.each<[string, Partial<Parameters<typeof mergeOptions>[0]>, ScriptOptions]>([
    ['the script, of another kind', { script: { mem: '1G' }, env: { SBATCH_MEM_PER_CPU: '3G' } }, { mem: '1G' }],
    ['the environment, of the same kind', { script: { mem: '1G' }, env: { SBATCH_MEM_PER_NODE: '3G' } }, { mem: '3G' }],
    ['the line, of another kind', { flags: { 'mem-per-cpu': '2G' }, env: { SBATCH_MEM_PER_NODE: '3G' } }, { 'mem-per-cpu': '2G' }],
  ])('takes memory from %s', (_, given, expected) => {
    const values = Object.entries(merge(given)).map(([name, { value }]) => [name, value]);
    expect(Object.fromEntries(values)).toStrictEqual(expected);
  });

  it('takes an empty variable for none, but for --exclusive, whose value may be left out', () => {
    expect(merge({ env: { SBATCH_ACCOUNT: '', SBATCH_EXCLUSIVE: '' } })).toStrictEqual({
      exclusive: { flag: 'SBATCH_EXCLUSIVE', value: '' },
    });
  });
});
