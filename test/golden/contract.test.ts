// The command line as the contract has it: every command is there, explains itself, and prints its data for programs too.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { examplesOf } from '#cli/commands/command';
import { buildProgram } from '#cli/commands/program';
import { aShell, readLine } from '#test/golden/transcript';
import { aFolder } from '#test/support/folders';

/** Each with a line whose answer is data, or why it has none. */
const COMMANDS: readonly [command: string, data: string | { readonly none: string }][] = [
  ['account list', 'asbb account list'],
  ['account create', 'asbb account create --account=proj001 --name=Folding --budget=1000 --start=2025-01-01 --end=2025-12-31'],
  ['account show', 'asbb account show physics'],
  ['account update', 'asbb account update physics --status suspended'],
  ['account delete', 'asbb account delete geology'],
  ['account deposit', 'asbb account deposit chem --amount 1'],
  ['account withdraw', 'asbb account withdraw chem --amount 1'],
  ['account import', 'asbb account import test/golden/files/grants.csv'],
  ['quote', 'asbb quote -A physics -p aws -N 1 -n 1 -c 1 -t 10 -G 0 --mem 1G -C c5.18xlarge -a 1-2'],
  ['hold list', 'asbb hold list -A physics'],
  ['hold show', 'asbb hold show 6f1c0f5e-0000-4000-8000-000000000001'],
  ['hold release', 'asbb hold release 6f1c0f5e-0000-4000-8000-000000000008'],
  ['transactions list', 'asbb transactions list -A physics'],
  ['usage summary', 'asbb usage summary -A physics -u alice -p aws -S now-7days -E today --by month'],
  ['usage accuracy', 'asbb usage accuracy -A physics -u alice -p aws -S now-7days -E today --by month'],
  ['reconcile', 'asbb reconcile --cluster hpc1 --file test/golden/files/asbx.json'],
  ['audit', 'asbb audit --repair'],
  ['recover', 'asbb recover'],
  ['partition list', 'asbb partition list'],
  ['partition show', 'asbb partition show aws'],
  ['partition set', 'asbb partition set aws --region us-east-1 --types c5.18xlarge'],
  ['partition delete', 'asbb partition delete aws'],
  ['partition import', 'asbb partition import test/fixtures/partition-import/partitions.json'],
  ['agent', { none: 'it runs until it is stopped, and writes a health file' }],
  ['config init', { none: 'it writes a file, and -o names it' }],
  ['config validate', 'asbb config validate test/golden/files/config.yaml'],
  ['config show', 'asbb config show'],
  ['database migrate', 'asbb database migrate --region us-east-1'],
  ['database status', 'asbb database status --region us-east-1'],
  ['status', 'asbb status'],
  ['doctor', 'asbb doctor --config test/golden/files/config.yaml'],
  ['completion', { none: 'it is a script for a shell' }],
  ['version', 'asbb version'],
  ['local', { none: 'it runs until it is stopped' }],
];

/** Options that the contract names. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  quote: ['-A', '-p', '-N', '-n', '-c', '-t', '-G', '--mem', '-C', '-a'],
  'usage summary': ['-A', '-u', '-p', '-r', '-S', '-E', '--by'],
  'usage accuracy': ['-A', '-u', '-p', '-r', '-S', '-E', '--by'],
  reconcile: ['--file'],
  audit: ['--repair'],
  recover: ['--repair'],
  agent: ['--once', '--interval', '--state', '--dry-run'],
  'config init': ['--output', '--from-stack'],
  local: ['--port', '--data', '--store', '--auth', '--access-key', '--secret-key'],
};
const GLOBAL_OPTIONS = ['--config', '--endpoint', '--profile', '--region', '-o', '--json', '--quiet', '--no-color'];

/** These are parsed, and not run. */
const LOOK_AT_THIS_MACHINE: ReadonlySet<string> = new Set(['agent', 'doctor', 'local']);

const program = (): Command => buildProgram({ run: async () => undefined });

const found = (path: string): Command | undefined =>
  path.split(' ').reduce<Command | undefined>((above, name) => above?.commands.find((command) => command.name() === name), program());

const leaves = (command: Command, path: readonly string[] = []): { path: string; command: Command }[] =>
  command.commands.length === 0
    ? [{ path: path.join(' '), command }]
    : command.commands.flatMap((below) => leaves(below, [...path, below.name()]));

/**
 * What asbb is given when a shell runs these lines: the real one, in which every other command does nothing. `$HOME` and
 * the folder that it stands in are empty ones.
 */
const asGivenByBash = (examples: readonly string[]): string[][] => {
  const home = aFolder('asbb-examples-');
  mkdirSync(join(home, '.zfunc'));
  const stubs = `
    asbb() { { printf '%s\\0' "$@"; printf '\\n'; } >&3; }
    sudo() { [ "$1" = -u ] && shift 2; "$@"; }
    for other in jq tee ssh sacctmgr scontrol journalctl curl; do eval "$other() { :; }"; done`;
  return examples.map((example) => {
    const { output, status } = spawnSync('bash', ['--norc', '-c', `${stubs}\n${example}\nwait`], {
      cwd: home,
      env: { HOME: home, PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      encoding: 'utf8',
    });
    expect({ example, status, err: output[2] }).toEqual({ example, status: 0, err: '' });
    return (output[3] ?? '').split('\n').slice(0, -1);
  });
};

/** `ok`, or what is wrong with the line. */
const parsed = async (argv: readonly string[]): Promise<string> => {
  const silent = program();
  for (const each of [silent, ...leaves(silent).map(({ command }) => command), ...silent.commands])
    each.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  try {
    await silent.parseAsync(argv, { from: 'user' });
    return 'ok';
  } catch (error) {
    if (error instanceof CommanderError) return error.message;
    throw error;
  }
};

describe('every command of the contract', () => {
  it.each(COMMANDS)("'asbb %s' is there, says how it is used, and takes the contract's options", (path) => {
    const command = found(path);
    const help = command?.helpInformation() ?? '';
    expect(help).toMatch(new RegExp(`^Usage: asbb ${path}\\b`));
    expect(examplesOf(command as Command).length).toBeGreaterThan(0);
    for (const option of [...GLOBAL_OPTIONS, ...(OPTIONS[path] ?? [])]) {
      if (path === 'config init' && option === '--json') continue;
      expect(help).toMatch(new RegExp(`^ +(?:-\\w, )?${option}\\b`, 'm'));
    }
  });

  const answering = COMMANDS.flatMap(([path, data]) => (typeof data === 'string' ? [[path, data] as const] : []));
  it.each(answering)("'asbb %s' prints JSON with -o json, and only JSON: %s", async (_, line) => {
    const run = await aShell();
    const { code, out } = await run(`${line} -o json`);
    expect([0, 1]).toContain(code);
    const value: unknown = JSON.parse(out);
    expect(typeof value).toBe('object');
  });

  it('is in a transcript', () => {
    const lines = readdirSync(import.meta.dirname)
      .filter((name) => name.endsWith('.txt'))
      .flatMap((name) => readFileSync(join(import.meta.dirname, name), 'utf8').split('\n'))
      .filter((line) => line.startsWith('$ '))
      .map((line) => readLine(line.slice(2)).argv.join(' '));
    const missing = leaves(program()).filter(({ path }) => !lines.some((line) => `${line} `.startsWith(`${path} `)));
    expect(missing.map(({ path }) => path)).toEqual([]);
  });
});

describe('every example of every help', () => {
  const commands = [
    { path: '', command: program() },
    ...leaves(program()),
    ...program().commands.map((command) => ({ path: command.name(), command })),
  ];

  it('is a line that asbb takes, whatever a shell makes of it', async () => {
    const examples = [...new Set(commands.flatMap(({ command }) => examplesOf(command)))];
    expect(examples.length).toBeGreaterThan(60);
    const wrong: string[] = [];
    const run = await aShell();
    for (const [i, calls] of asGivenByBash(examples).entries()) {
      if (calls.length === 0) wrong.push(`${examples[i]}: asbb is not called`);
      for (const call of calls) {
        const argv = call.split('\0').slice(0, -1);
        const verdict = await parsed(argv);
        if (verdict !== 'ok') wrong.push(`${examples[i]}: ${verdict}`);
        if (verdict !== 'ok' || LOOK_AT_THIS_MACHINE.has(argv[0] ?? '')) continue;
        const { code, err } = await run({ env: { AWS_REGION: 'us-east-1' }, argv });
        if (code === 2 && !/cannot read|there is no configuration file/.test(err)) wrong.push(`${examples[i]}: ${err}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
