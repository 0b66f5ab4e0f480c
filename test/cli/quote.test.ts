import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type QuotedJob, quotedJob } from '#cli/commands/quote-job';
import { runQuote } from '#cli/commands/run-quote';
import { mergeOptions, type ScriptOptions } from '#cli/sbatch-script';
import { aRefusalAnswer, aVerdictAnswer } from '#test/cli/answers';
import { type Answer, type Asked, aContext } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const jobOf = (script: ScriptOptions): QuotedJob =>
  quotedJob(mergeOptions({ flags: {}, env: {}, script: { account: 'a', partition: 'aws', ...script }, scriptName: 'job.sh' }));

describe('quotedJob', () => {
  it.each<[string, ScriptOptions, Partial<QuotedJob>]>([
    ['nothing but who pays and where', {}, {}],
    ['names folded', { account: 'Physics', partition: 'aws,local' }, { account: 'physics', partition: 'aws,local' }],
    ['nodes', { nodes: '4' }, { nodes: 4 }],
    ['a range of nodes', { nodes: '2-4' }, { min_nodes: 2, nodes: 4 }],
    ['nodes by the thousand', { nodes: '2k' }, { nodes: 2048 }],
    ['no nodes, which is not given', { nodes: '0' }, {}],
    ['a range from none', { nodes: '0-4' }, { nodes: 4 }],
    ['a range of none', { nodes: '0-0' }, {}],
    ['more nodes than tasks', { nodes: '4', ntasks: '2' }, { nodes: 2, ntasks: 2 }],
    ['a range beyond the tasks', { nodes: '2-4', ntasks: '3' }, { min_nodes: 2, nodes: 3, ntasks: 3 }],
    ['a range wholly beyond the tasks', { nodes: '3-4', ntasks: '2' }, { min_nodes: 2, nodes: 2, ntasks: 2 }],
    ['tasks per node, which make tasks', { nodes: '2', 'ntasks-per-node': '4' }, { nodes: 2, ntasks: 8 }],
    ['tasks per node of one node', { 'ntasks-per-node': '4' }, { nodes: 1, ntasks: 4 }],
    ['tasks per node of a range, which make none', { nodes: '2-4', 'ntasks-per-node': '4' }, { min_nodes: 2, nodes: 4 }],
    ['tasks and tasks per node, which make nodes', { ntasks: '7', 'ntasks-per-node': '2' }, { nodes: 4, ntasks: 7 }],
    ['CPUs per task', { ntasks: '3', 'cpus-per-task': '2' }, { ntasks: 3, cpus_per_task: 2 }],
    ['CPUs per task of one task a node', { nodes: '4', 'cpus-per-task': '16' }, { nodes: 4, cpus_per_task: 16, cpus: 64 }],
    [
      'CPUs per task of a range, which are of one task',
      { nodes: '2-4', 'cpus-per-task': '16' },
      { min_nodes: 2, nodes: 4, cpus_per_task: 16 },
    ],
    ['CPUs per GPU', { gpus: '8', 'cpus-per-gpu': '6' }, { gpus: 8, cpus: 48 }],
    ['CPUs per GPU on each node', { nodes: '2', 'gpus-per-node': '4', 'cpus-per-gpu': '6' }, { nodes: 2, gpus_per_node: 4, cpus: 48 }],
    ['CPUs per GPU on one node', { 'gpus-per-node': '4', 'cpus-per-gpu': '6' }, { gpus_per_node: 4, cpus: 24 }],
    ['GPUs', { gpus: '4' }, { gpus: 4 }],
    ['GPUs of a type', { gpus: 'a100:4' }, { gpus: 4, gpu_type: 'a100' }],
    ['one GPU of a type', { gpus: 'a100' }, { gpus: 1, gpu_type: 'a100' }],
    ['GPUs of a type of digits', { gpus: '3090:4' }, { gpus: 4, gpu_type: '3090' }],
    ['GPUs of several types, which are of none', { gpus: 'a100:4,t4:2' }, { gpus: 6 }],
    ['no GPUs', { gpus: '0' }, { gpus: 0 }],
    ['GPUs per node', { 'gpus-per-node': 'a100:4' }, { gpus_per_node: 4, gpu_type: 'a100' }],
    ['GPUs as a generic resource', { gres: 'lustre:1,gpu:a100:2' }, { gpus_per_node: 2, gpu_type: 'a100' }],
    ['a GPU as a generic resource', { gres: 'gpu' }, { gpus_per_node: 1 }],
    ['generic resources without GPUs', { gres: 'lustre:1' }, {}],
    ['GPUs per task', { ntasks: '3', 'gpus-per-task': '2' }, { ntasks: 3, gpus: 6 }],
    ['GPUs per task of one', { 'gpus-per-task': '2' }, { gpus: 2 }],
    ['GPUs, and more per task', { gpus: '4', ntasks: '3', 'gpus-per-task': '2' }, { ntasks: 3, gpus: 6 }],
    ['GPUs per socket', { 'gpus-per-socket': '2', 'sockets-per-node': '2' }, { gpus_per_node: 4 }],
    ['GPUs per socket of one', { 'gpus-per-socket': '2' }, { gpus_per_node: 2 }],
    ['memory', { mem: '16G' }, { memory: '16G' }],
    ['memory in Slurm’s other spelling', { mem: '16GB' }, { memory: '16G' }],
    ['memory per CPU', { 'mem-per-cpu': '2000' }, { memory_per_cpu: '2000' }],
    ['no limit of memory per CPU, which is all of a node', { 'mem-per-cpu': '0' }, { memory: '0' }],
    ['memory per GPU, which has no price', { 'mem-per-gpu': '8G' }, {}],
    ['a wall time as typed', { time: '1-12' }, { wall_time: '1-12' }],
    ['a wall time in minutes, as sbatch rounds it', { time: '1:30' }, { wall_time: '00:02:00' }],
    ['no wall time', { time: 'UNLIMITED' }, { wall_time: 'UNLIMITED' }],
    ['whole nodes', { exclusive: '' }, { exclusive: true }],
    ['nodes without other users', { exclusive: 'user' }, { exclusive: true }],
    ['an array and a constraint', { array: '0-9%2', constraint: 'a&b' }, { array: '0-9%2', constraint: 'a&b' }],
  ])('makes of %s what the plugin would ask', (_, script, expected) => {
    expect(jobOf(script)).toStrictEqual({ account: 'a', partition: 'aws', ...expected });
  });

  it.each<[ScriptOptions, string]>([
    [{ nodes: '1,3' }, "job.sh: --nodes '1,3': must be a count like 4, or a range like 2-4"],
    [{ nodes: '99999m' }, "job.sh: --nodes '104856551424': must be a whole number from 0 to 16777215"],
    [{ nodes: '4-2' }, "job.sh: --nodes '4-2': write the smaller number first"],
    [{ gpus: 'a100:' }, "job.sh: --gpus 'a100:': must be a count, or a type and a count like a100:4"],
    [{ gpus: '16777215,1' }, "job.sh: --gpus '16777215,1': must be at most 16777215 GPUs"],
    [{ gres: 'gpu:a100:4,gpu:t4:x' }, "job.sh: --gres 'gpu:a100:4,gpu:t4:x': must be a count, or a type and a count like a100:4"],
    [{ gpus: 'a100:4', gres: 'gpu:t4:1' }, 'GPUs of types t4 and a100 are asked for: name one type'],
    [{ mem: '1G', 'mem-per-cpu': '1G' }, 'job.sh: --mem and job.sh: --mem-per-cpu exclude each other: give one of them'],
    [{ time: '=' }, expect.stringContaining("job.sh: --time '=': write the wall time as minutes") as unknown as string],
  ])('refuses %j', (script, message) => {
    expect(() => jobOf(script)).toThrow(expect.objectContaining({ exitCode: 2, message }));
  });
});

const aScript = (...lines: readonly string[]): string => {
  const file = join(aFolder('asbb-quote-'), 'job.sh');
  writeFileSync(file, ['#!/bin/bash', ...lines, 'srun ./a.out', ''].join('\n'));
  return file;
};
const quoting = (answer: Answer | ((asked: Asked) => Answer), given: Parameters<typeof aContext>[1] = {}) =>
  aContext({ 'POST /budget/quote': answer }, given);

describe('asbb quote SCRIPT', () => {
  it('asks for what the script says, and the line before it', async () => {
    const { context, asked } = quoting({ body: aVerdictAnswer() });
    const script = aScript(
      '#SBATCH -A physics -p aws',
      '#SBATCH --nodes=2 --ntasks-per-node=36',
      '#SBATCH --time=1-00:00:00',
      '#SBATCH -J x',
    );
    expect(await runQuote(context, { script, time: '60' })).toBe(0);
    expect(asked.map(({ body }) => body)).toStrictEqual([{ account: 'physics', partition: 'aws', nodes: 2, ntasks: 72, wall_time: '60' }]);
  });

  it('reads standard input', async () => {
    const { context, asked } = aContext(
      { 'POST /budget/quote': { body: aVerdictAnswer() } },
      {},
      { readStdin: async () => '#!/bin/sh\n#SBATCH -A a -p aws -N 3\n' },
    );
    expect(await runQuote(context, { script: '-' })).toBe(0);
    expect(asked[0]?.body).toStrictEqual({ account: 'a', partition: 'aws', nodes: 3 });
  });

  it('hears sbatch’s variables', async () => {
    const env = { ASBB_ENDPOINT: 'http://127.0.0.1:8080', SBATCH_ACCOUNT: 'chem', SBATCH_TIMELIMIT: '5' };
    const { context, asked } = aContext({ 'POST /budget/quote': { body: aVerdictAnswer() } }, {}, { env });
    await runQuote(context, { script: aScript('#SBATCH -A physics -p aws -t 30'), nodes: '1' });
    expect(asked[0]?.body).toStrictEqual({ account: 'chem', partition: 'aws', nodes: 1, wall_time: '5' });
  });

  it('exits 3 when the budget refuses', async () => {
    const { context, machine } = quoting({ body: aRefusalAnswer() });
    expect(await runQuote(context, { script: aScript('#SBATCH -A proj001 -p aws') })).toBe(3);
    expect(machine.err()).toBe(`asbb: ${aRefusalAnswer().message}\n`);
  });

  it.each(['does_not_fit', 'no_wall_time', 'no_price'])('exits 3 on %s, as the plugin refuses then', async (code) => {
    const { context } = quoting({ status: 422, body: { error: { code, message: 'the reason' } } });
    await expect(runQuote(context, { script: aScript('#SBATCH -A a -p aws') })).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/^the reason/),
    });
  });

  it('exits 1 on what is not about the job', async () => {
    const { context } = quoting({ status: 404, body: { error: { code: 'account_not_found', message: 'no account a' } } });
    await expect(runQuote(context, { script: aScript('#SBATCH -A a -p aws') })).rejects.toMatchObject({ exitCode: 1 });
  });

  it.each([
    ['a file that is not there', '/nowhere/job.sh', 'cannot read /nowhere/job.sh (ENOENT)'],
    ['a folder', tmpdir(), `cannot read ${tmpdir()} (EISDIR)`],
  ])('exits 2 on %s', async (_, script, message) => {
    const { context } = aContext();
    await expect(runQuote(context, { script })).rejects.toMatchObject({ exitCode: 2, message });
  });

  it('exits 2 on a line that sbatch would not take, and names it', async () => {
    const { context } = aContext();
    const script = aScript('#SBATCH -A a', '#SBATCH -J "x');
    await expect(runQuote(context, { script })).rejects.toMatchObject({
      exitCode: 2,
      message: `${script}, line 3: the quote " is not closed`,
    });
  });

  it('exits 2 on a file that is too long for a script', async () => {
    const { context } = aContext();
    const script = aScript('#'.repeat(4 * 1024 * 1024));
    await expect(runQuote(context, { script })).rejects.toMatchObject({ exitCode: 2, message: `${script} has more than 4194304 bytes` });
  });
});

describe('asbb quote of a heterogeneous job', () => {
  const script = () => aScript('#SBATCH -A proj001 -p cpu -N 4 -t 60', '#SBATCH hetjob', '#SBATCH -p gpu -G 8');
  /** Holds of $14.688 each, of an account that has so much. */
  const having = (available: number) => ({
    body: aVerdictAnswer({
      details: { ...aVerdictAnswer().details, account: { ...aVerdictAnswer().details.account, budget_available: available - 14.688 } },
    }),
  });

  it('prices each component, and all of them', async () => {
    const { context, machine, asked } = quoting(having(1000));
    expect(await runQuote(context, { script: script() })).toBe(0);
    expect(asked.map(({ body }) => body)).toStrictEqual([
      { account: 'proj001', partition: 'cpu', nodes: 4, wall_time: '60', het_offset: 0 },
      { account: 'proj001', partition: 'gpu', gpus: 8, wall_time: '60', het_offset: 1 },
    ]);
    expect(machine.out()).toContain('Component 0 of 2\n\nVerdict    fits\n');
    expect(machine.out()).toContain('Component 1 of 2\n\nVerdict    fits\n');
    expect(machine.out()).toMatch(/\nAll components\n\nVerdict {3}fits\nEstimate {2}\$24\.48\nHold {6}\$29\.376\n$/);
  });

  it('is refused when the components fit alone but not together', async () => {
    const { context, machine } = quoting(having(29.375999));
    expect(await runQuote(context, { script: script() })).toBe(3);
    expect(machine.out()).toMatch(/\nAll components\n\nVerdict {3}refused\n/);
    expect(machine.err()).toBe('asbb: account proj001 has $29.375999 available; the components of this job need $29.376 held together\n');
  });

  it('fits when they cost together what there is', async () => {
    expect(await runQuote(quoting(having(29.376)).context, { script: script() })).toBe(0);
  });

  it('is refused with each component that is', async () => {
    const { context, machine } = quoting(({ body }) => (JSON.stringify(body).includes('gpu') ? { body: aRefusalAnswer() } : having(1000)));
    expect(await runQuote(context, { script: script() })).toBe(3);
    expect(machine.err()).toBe(`asbb: ${aRefusalAnswer().message}\n`);
  });

  it('names the component that cannot be priced', async () => {
    const { context } = quoting({ status: 422, body: { error: { code: 'does_not_fit', message: 'too large' } } });
    await expect(runQuote(context, { script: script() })).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/^component 0: too large/),
    });
  });

  it('is one object as JSON, and a row for each component as CSV', async () => {
    const json = quoting(having(1000), { output: 'json' });
    await runQuote(json.context, { script: script() });
    expect(JSON.parse(json.machine.out())).toMatchObject({
      ...{ available: true, estimated_cost: 24.48, hold_amount: 29.376 },
      components: [{ hold_amount: 14.688 }, { hold_amount: 14.688 }],
    });
    const csv = quoting(having(1000), { output: 'csv' });
    await runQuote(csv.context, { script: script() });
    expect(csv.machine.out().trimEnd().split('\r\n')).toHaveLength(3);
  });
});
