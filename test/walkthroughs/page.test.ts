// The walk itself: a page that lies must not pass.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { aFolder } from '#test/support/folders';
import { readPage } from '#test/walkthroughs/page';
import { walkPage } from '#test/walkthroughs/walk';

const FENCE = '```';
const block = (...lines: string[]): string => [`${FENCE}console`, ...lines, FENCE].join('\n');
const walk = (...parts: string[]) => {
  const file = join(aFolder('asbb-page-'), 'page.md');
  writeFileSync(file, parts.join('\n'));
  return walkPage(file, { asbb: '/nowhere', places: [['/etc/place', '/tmp/asbb-place-of-test']] });
};

describe('a page', () => {
  it.each([
    ['what is printed', [block('$ echo one; echo two >&2', 'one', 'two')]],
    ['nothing', [block('$ true')]],
    ['any text in a line', [block('$ echo "hold 17 of today"', 'hold ... of today')]],
    ['any lines', [block('$ seq 9', '1', '...', '8', '9')]],
    ['no lines, where there may be any', [block('$ echo 1', '...', '1', '...')]],
    ['a blank line within, and none at the end', [block('$ printf "a\\n\\nb\\n"', 'a', '', 'b', '', '$ echo c', 'c')]],
    ['a command of two lines', [block('$ echo a \\', '>   b', 'a b')]],
    ['a heredoc', [block('$ cat <<END', 'a', 'END', 'a')]],
    ['an open quote', [block("$ echo 'a", "b'", 'a', 'b')]],
    ['state from block to block', [block('$ cd /; x=1', '$ alias say=echo'), block('$ say $x $PWD', '1 /')]],
    ['the status before', ['<!-- fails: 3 -->', block('$ (exit 3)', '$ echo $?', '3')]],
    ['a background job, until it prints', [block('$ (sleep 0.3; echo up) &', 'up', '$ kill %1 2>/dev/null || true')]],
    ['a job that is ended', [block('$ sleep 60 &', '$ kill %1')]],
    ['what comes soon', [block('$ (sleep 0.5; touch it) &'), '<!-- soon: 10 -->', block('$ ls', 'it')]],
    ['what root types', [block('# echo a', 'a')]],
    ['a file', ['<!-- file: ~/a/b.yaml -->', `${FENCE}yaml\nx: 1\n${FENCE}`, block('$ cat a/b.yaml', 'x: 1')]],
    ['places of its own', [block('$ echo /etc/place/x /tmp/asbb-place-of-test', '/etc/place/x /etc/place')]],
    ['the fruits of a hidden command', ['<!-- run:', 'x=7', 'echo seen by nobody', '-->', block('$ echo $x', '7')]],
    ['what it does not run', ['<!-- not run: it costs money -->', block('$ exit 1')]],
  ])('may show %s', async (_, parts) => {
    await walk(...parts);
  });

  it.each([
    ['another line', [block('$ echo 1', '2')], /page\.md:2: \$ echo 1\n.*\n\n {4}3 - 2\n {6}\+ 1/],
    ['a line too many', [block('$ echo 1', '1', '2')], / {4}3 {3}1\n {4}4 - 2/],
    ['a line too few', [block('$ seq 3', '1', '2')], / {4}4 {3}2\n {6}\+ 3/],
    ['silence about what is printed', [block('$ echo 1')], /\+ 1/],
    ['less than stderr says', [block('$ echo 1; echo 2 >&2', '1')], /\+ 2/],
    ['another order', [block('$ seq 2', '2', '1')], /prints something else/],
    ['success of what fails', [block('$ false')], /ended with status 1, and <!-- fails: --> says nothing/],
    ['another failure', ['<!-- fails: 3 -->', block('$ false')], /ended with status 1, and .* says 3/],
    ['failure of what succeeds', ['<!-- fails: 3 -->', block('$ true')], /nothing in this block ended with status 3/],
    ['what never comes', ['<!-- soon: 1 -->', block('$ ls', 'it')], / - it/],
    ['what never ends', ['<!-- patience: 1 -->', block('$ sleep 60')], /did not end within 1 s/],
    ['the end of the shell', [block('$ exit')], /it ended the shell/],
    ['a hidden command that fails', ['<!-- run: false -->', block('$ true')], /set -e\nfalse\nset \+e\nit ended the shell/],
  ])('may not show %s', async (_, parts, message) => {
    await expect(walk(...parts)).rejects.toThrow(message);
  });

  it.each([
    ['an unknown comment', '<!-- fail: 3 -->', /line 1: .*no comment that a walkthrough knows/],
    ['a comment without a block', '<!-- fails: 3 -->', /line 1: no block follows/],
    ['a comment of console before another language', `<!-- fails: 3 -->\n${FENCE}yaml\n${FENCE}`, /yaml follows/],
    ['a block without a command', block('just text'), /line 2: nothing was typed yet/],
    ['an empty block', block(), /line 1: nothing is typed/],
    ['a block without an end', `${FENCE}console\n$ true`, /line 1: this block does not end/],
    ['a heredoc without an end', block('$ cat <<END', 'a'), /line 2: this command does not end/],
  ])('with %s is refused', (_, text, message) => {
    expect(() => readPage(text)).toThrow(message);
  });

  it('counts what is run and what is only shown', async () => {
    const walked = await walk(block('$ true', '$ true'), '<!-- not run: why not -->', block('$ false'));
    expect(walked).toEqual({ commands: 2, notRun: ['line 6: why not'] });
  });

  it('leaves no process behind', async () => {
    const marker = `${Math.trunc(Math.random() * 1e9)}`;
    await walk(block(`$ sleep 61.${marker} &`, `$ (setsid -f true; trap "" TERM; sleep 62.${marker}) &`));
    expect(spawnSync('pgrep', ['-f', `sleep 6[12].${marker}`], { encoding: 'utf8' }).stdout).toBe('');
  }, 30_000);
});
