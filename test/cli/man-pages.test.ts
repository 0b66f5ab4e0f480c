// Manual pages: one for every command, with everything that its help has. That roff takes them is asked in test/package.
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '#cli/commands/program';
import { manPagesOf } from '#cli/man-pages';

const program = buildProgram({ run: async () => undefined });
const pages = manPagesOf(program);

const leavesOf = (command: Command): Command[] => (command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf));

/** Without the escapes that pages have. */
const plain = (roff: string): string =>
  roff
    .replace(/\\\((ti|ha|ga)/g, (_, name: 'ti' | 'ha' | 'ga') => ({ ti: '~', ha: '^', ga: '`' })[name])
    .replace(/\\&/g, '')
    .replace(/\\([-e])/g, (_, c) => (c === 'e' ? '\\' : c));

describe('the manual', () => {
  it('has a page for asbb and one for each of its commands', () => {
    expect(pages.map(({ name }) => name)).toEqual(['asbb.1', ...program.commands.map((command) => `asbb-${command.name()}.1`)]);
  });

  it('says of every command what its help says', () => {
    const whole = pages.map(({ roff }) => plain(roff)).join('\n');
    for (const command of leavesOf(program)) {
      expect(whole).toContain(command.description());
      for (const { flags, hidden } of command.options) if (!hidden) expect(whole).toContain(flags);
    }
  });

  it('has no line that roff would take for a request of its own', () => {
    for (const { roff } of pages)
      for (const line of roff.split('\n')) expect(line).toMatch(/^(?:\.(?:TH|SH|SS|PP|TP|BR?|nf|fi)\b|[^.'])|^$/);
  });
});
