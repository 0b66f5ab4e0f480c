// The scripts for TAB, read by the shells that they are for.
import { execFileSync, spawnSync } from 'node:child_process';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram, runAsbb } from '#cli/commands/program';
import { completionScript } from '#cli/completion';
import { aMachine } from '#test/cli/machine';

const program = (): Command => buildProgram({ run: async () => undefined });

/** What bash would offer after these words, the last of which is being typed. */
const offered = (...words: string[]): string[] => {
  const driver = `${completionScript('bash', program())}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _asbb; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['--norc', '-c', driver, 'bash', ...words], { encoding: 'utf8' })
    .split('\n')
    .filter((word) => word !== '');
};

describe('completion in bash', () => {
  it.each<[string, string[], string[]]>([
    ['a command', ['asbb', 'ac'], ['account']],
    ['a command below another', ['asbb', 'account', 'de'], ['delete', 'deposit']],
    ['a command after a global option and its value', ['asbb', '--endpoint', 'http://x', 'acc'], ['account']],
    ['an option', ['asbb', 'partition', 'set', 'aws', '--unpr'], ['--unpriced']],
    ['a global option anywhere', ['asbb', 'account', 'list', '--js'], ['--json']],
    ['the choices of an option', ['asbb', 'account', 'list', '-o', ''], ['table', 'json', 'csv']],
    ['the choices of an argument', ['asbb', 'completion', 'z'], ['zsh']],
    ['a file', ['asbb', '--config', '/etc/debian_vers'], ['/etc/debian_version']],
    ['nothing where only the user knows', ['asbb', 'account', 'create', '--budget', ''], []],
    ['nothing that does not exist', ['asbb', 'account', 'xyz'], []],
  ])('offers %s', (_, words, expected) => {
    expect(offered(...words)).toEqual(expected);
  });

  it('offers every command that there is', () => {
    const commands = program().commands.map((command) => command.name());
    expect(commands.length).toBeGreaterThan(10);
    expect(offered('asbb', '')).toEqual(expect.arrayContaining(commands));
  });
});

describe('completion', () => {
  it('is printed for the shell that is named, and starts no process on a TAB', async () => {
    const machine = aMachine();
    expect(await runAsbb(['completion', 'zsh'], machine)).toBe(0);
    expect(machine.out()).toBe(completionScript('zsh', program()));
    expect(machine.out()).toMatch(/^#compdef asbb\n/);
    expect(machine.out()).not.toMatch(/\$\((?!compgen)|`/);
  });

  it('is refused for a shell that it does not know', async () => {
    const machine = aMachine();
    expect(await runAsbb(['completion', 'fish'], machine)).toBe(2);
    expect(machine.err()).toContain('Allowed choices are bash, zsh');
  });

  it('is a script without a fault of syntax', () => {
    const { status, stderr } = spawnSync('bash', ['-n'], { input: completionScript('bash', program()), encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
