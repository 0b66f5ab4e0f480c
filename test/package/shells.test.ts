// What other programs of a Debian machine read of ours: roff the manual, zsh the completion.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '#cli/commands/program';
import { completionScript } from '#cli/completion';
import { manPagesOf } from '#cli/man-pages';
import { installPackages } from '#test/package/debian';

const PATIENCE_MS = 10 * 60_000;

const program = buildProgram({ run: async () => undefined });
const folder = mkdtempSync(join(tmpdir(), 'asbb-shells-'));
beforeAll(() => installPackages('groff', 'zsh'), PATIENCE_MS);
afterAll(() => rmSync(folder, { recursive: true }));

describe('the manual', () => {
  it.each(manPagesOf(program))('page $name is formatted without a warning', ({ roff }) => {
    const { status, stdout, stderr } = spawnSync('groff', ['-man', '-Tascii', '-ww', '-P-c'], { input: roff, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^ +asbb\S* +- +\w/m);
  });
});

/** zsh with our completion, on a terminal of its own: what it shows after this line and a TAB, when `then` is there or 10 s are over. */
const shownAfterTab = (line: string, then: string): string => {
  writeFileSync(join(folder, '_asbb'), completionScript('zsh', program));
  const driver = `
    zmodload zsh/zpty
    zpty shell zsh -f -i
    until_shown() { repeat 100 { zpty -r -t shell piece && shown+=$piece; [[ $shown == *$1* ]] && return; sleep 0.1 } }
    zpty -w shell 'PS1=; fpath=(${folder} $fpath); autoload -U compinit; compinit -u -D; echo is-"ready"'
    until_shown is-ready
    shown=
    zpty -w -n shell '${line}'$'\t'
    until_shown '${then}'
    print -r -- $shown`;
  const { stdout } = spawnSync('zsh', ['-f', '-c', driver], { encoding: 'utf8', timeout: 30_000 });
  return stdout;
};

describe('the completion in zsh', () => {
  it('shows the commands that fit, and what they are for', () => {
    const shown = shownAfterTab('asbb partition s', 'Show one partition');
    expect(shown).toMatch(/set +-- Say what a partition is/);
    expect(shown).toMatch(/show +-- Show one partition/);
    expect(shown).not.toMatch(/delete/);
  });

  it('completes an option', () => {
    expect(shownAfterTab('asbb usage summary --b', '--by')).toContain('--by');
  });
});
