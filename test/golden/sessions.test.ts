// The main commands as people see them: on a terminal of 80 columns, with colours and without, and through a pipe. What they
// see is docs/sessions.md, written anew with `npx vitest run test/golden --update`.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Installed, install, type Shown } from '#test/golden/terminal';
import { aFolder } from '#test/support/folders';

const PAGE = join(import.meta.dirname, '../../docs/sessions.md');
const COLUMNS = 80;
const ESCAPE = '\u001b[';

type Session = readonly [words: string, ...lines: string[]];
const SESSIONS: Readonly<Record<string, readonly Session[]>> = {
  'A researcher': [
    ['What is left, and what is set aside for jobs that have not ended:', 'account show physics'],
    ['Will this job fit? Nothing is held by asking.', 'quote -A physics -p aws -N 2 -t 1:00:00', 'quote test/golden/files/job.sbatch'],
    ['One that will not, and what would:', 'quote -A chem -p aws -N 32 -t 4:00:00'],
    [
      'The jobs of an account, and one of them, an array of which three tasks have ended:',
      'hold list -A physics',
      `hold show 6f1c0f5e-0000-4000-8000-000000000004`,
    ],
  ],
  'A PI or budget manager': [
    [
      'Who has money. On a terminal that is too narrow for all columns, the least needed are left out, and that is said:',
      'account list',
      'account show bioinformatics_core',
    ],
    ['What it went to:', 'usage summary -A physics', 'usage summary --by month', 'usage accuracy -A physics'],
    ['Every movement of money:', 'transactions list -A chem'],
    ['Money that jobs need cannot be taken away:', 'account withdraw chem --amount 5000 --deposit-id back-to-the-dean'],
  ],
  'An administrator': [
    ['Is all well? Exit status 1 if it is not.', 'status'],
    ['Partitions, and what a node of each costs:', 'partition list'],
    ['Holds for which no job was seen yet, and the clusters whose agents are heard:', 'hold list --cluster hpc1 --unbound', 'cluster list'],
    ['In shadow mode: what would have been refused.', 'shadow report test/golden/files/slurmctld.txt'],
    ['Does the ledger explain every column?', 'audit'],
    ['Where the API is away:', 'account list --endpoint http://127.0.0.1:2'],
    ['A slip:', 'acount list', 'account show', 'hold show 4242'],
  ],
};
const LINES = Object.values(SESSIONS).flatMap((sessions) => sessions.flatMap(([, ...lines]) => lines));

let asbb: Installed;
let at: { ASBB_ENDPOINT: string };
beforeAll(async () => {
  asbb = await install(aFolder('asbb-sessions-'));
  at = { ASBB_ENDPOINT: await asbb.serve() };
});
afterAll(() => asbb.stop());

/** Each is looked at more than once, and prints the same each time. */
const once = (show: (line: string) => Promise<Shown>): ((line: string) => Promise<Shown>) => {
  const shown = new Map<string, Promise<Shown>>();
  return (line) => {
    const before = shown.get(line) ?? show(line);
    shown.set(line, before);
    return before;
  };
};
const withoutColor = once((line) => asbb.onTerminal(line, { ...at, NO_COLOR: '1' }));
const piped = once((line) => asbb.piped(line, at));

/** What is left on the screen: a line that was cleared is gone. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: what erases a line begins with one
const seen = ({ raw }: Pick<Shown, 'raw'>): string => raw.replaceAll('\r\n', '\n').replace(/[^\n]*\r\u001b\[K/g, '');
// biome-ignore lint/suspicious/noControlCharactersInRegex: and so does every colour
const withoutColors = (text: string): string => text.replace(/\u001b\[\d+m/g, '');
const widest = (text: string): number => Math.max(...text.split('\n').map((line) => [...line].length));

describe('on a terminal of 80 columns', () => {
  it.each(LINES)('asbb %s', async (line) => {
    const [colored, plain, dumb] = await Promise.all([
      asbb.onTerminal(line, at),
      withoutColor(line),
      asbb.onTerminal(line, { ...at, TERM: 'dumb' }),
    ]);
    expect(plain.raw).not.toContain(ESCAPE);
    expect(dumb.raw).toBe(plain.raw);
    expect(withoutColors(seen(colored))).toBe(seen(plain));
    expect(widest(seen(plain))).toBeLessThanOrEqual(COLUMNS);
    // Colours are for data; errors are plain.
    expect(colored.raw.includes(ESCAPE)).toBe((await piped(line)).raw !== '');
  });
});

describe('through a pipe', () => {
  it.each(LINES)('asbb %s', async (line) => {
    const { raw, err } = await piped(line);
    expect(raw + err).not.toContain(ESCAPE);
    expect(raw + err).not.toMatch(/…|did not fit/);
    expect(err).not.toMatch(/^(?!asbb: )./m); // One line a sentence.
  });

  it('names are whole', async () => {
    expect((await piped('account list')).raw).toContain('Bioinformatics Core Facility, Faculty of Medicine and Health Sciences');
    expect(seen(await withoutColor('account list'))).not.toContain('Faculty of Medicine');
  });
});

describe('a wait', () => {
  it.each<[string, Record<string, string>, boolean]>([
    ['is seen after a second, and leaves nothing behind', {}, true],
    ['is not seen on a terminal that takes nothing back', { TERM: 'dumb' }, false],
  ])('%s', async (_, env, isShown) => {
    const slow = createServer((_request, response) => {
      setTimeout(() => response.end('{"accounts":[]}'), 1_500);
    });
    await new Promise<void>((listening) => slow.listen(0, '127.0.0.1', listening));
    try {
      const { port } = slow.address() as AddressInfo;
      const shown = await asbb.onTerminal('account list', { NO_COLOR: '1', ASBB_ENDPOINT: `http://127.0.0.1:${port}`, ...env });
      expect(shown.raw.includes('asbb: waiting for the API')).toBe(isShown);
      expect(seen(shown)).toMatch(/^ACCOUNT [^\n]+\nasbb: there are no accounts: open one with .asbb account create.\n$/);
    } finally {
      slow.close();
    }
  });
});

it('docs/sessions.md shows it', async () => {
  const parts = [
    '# Sessions\n\nWhat the main commands print, on a terminal of 80 columns without colour. A test captures this page, so it is what they print now. ' +
      'The money is that of a small university, on the day that the test says it is.\n\n' +
      'On a terminal, sentences are broken between words, names are cut with `…`, and columns that do not fit are left out, which is said. ' +
      'Through a pipe nothing is cut, and there is no colour. `-o json` and `-o csv` always have everything.\n',
  ];
  for (const [who, sessions] of Object.entries(SESSIONS)) {
    parts.push(`\n## ${who}\n`);
    for (const [words, ...lines] of sessions) {
      parts.push(`\n${words}\n\n\`\`\`\n`);
      for (const [i, line] of lines.entries()) {
        const shown = await withoutColor(line);
        parts.push(`${i === 0 ? '' : '\n'}$ asbb ${line}\n${seen(shown)}`);
        if (shown.code !== 0) parts.push(`$ echo $?\n${shown.code}\n`);
      }
      parts.push('```\n');
    }
  }
  await expect(parts.join('').replaceAll(at.ASBB_ENDPOINT, 'http://127.0.0.1:8080')).toMatchFileSnapshot(PAGE);
});
