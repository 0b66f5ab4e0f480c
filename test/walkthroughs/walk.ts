// Walk through a page as its reader would: type what it says, and see whether it shows what it says.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';
import { type Command, readPage, type Step } from '#test/walkthroughs/page';
import { differenceOf, linesOf } from '#test/walkthroughs/screen';
import { openTerminal, type Terminal } from '#test/walkthroughs/terminal';

export const ROOT = join(import.meta.dirname, '../..');
const PATIENCE_MS = 30_000;
/** It may be a whole evening at a site. */
const HIDDEN_PATIENCE_MS = 90_000;
const POLL_MS = 200;

export interface WalkOptions {
  /** Pairs of a place that the page names and the one that the test has: a folder, a port, a user. Longer ones first, where one is part of another. */
  readonly places?: readonly (readonly [page: string, test: string])[];
  /** Beside those of `readerEnv`. */
  readonly env?: Readonly<Record<string, string>>;
  /** From `buildAsbb`: what `asbb` is. */
  readonly asbb: string;
  /** Where the reader is when the page begins. @default at home */
  readonly folder?: string;
  /** What the reader has at home before the page begins, by its path from there. */
  readonly home?: Readonly<Record<string, string>>;
  /** Told of each command of the page that did as it says, and how long it took. */
  readonly onCommand?: (typed: string, ms: number) => void;
}

export interface Walked {
  readonly commands: number;
  /** Blocks that are only shown, with their reasons. */
  readonly notRun: readonly string[];
}

/**
 * Do all that the page says, in a home folder that is gone afterwards, and end every process that was started.
 * @throws Error that names the page's line and what differs
 */
export const walkPage = async (file: string, options: WalkOptions): Promise<Walked> => {
  const { steps, notRun } = readPage(readFileSync(file, 'utf8'));
  const commands = steps.flatMap((step) => (step.kind === 'block' ? step.commands : []));
  const scratch = mkdtempSync(join(tmpdir(), 'asbb-walk-'));
  const [home, bin, tape] = ['home', 'bin', 'tape'].map((name) => join(scratch, name)) as [string, string, string];
  for (const folder of [home, bin, tape]) mkdirSync(folder);
  for (const [path, text] of Object.entries(options.home ?? {})) write(join(home, path), text);
  write(join(bin, 'asbb'), `#!/bin/sh\nexec '${process.execPath}' '${options.asbb}' "$@"\n`);
  chmodSync(join(bin, 'asbb'), 0o755);
  const places = placesOf(options, home);
  const terminal = openTerminal(tape, { cwd: options.folder ?? home, env: { ...readerEnv(home, bin), ...options.env } });
  try {
    for (const step of steps) await walkStep({ terminal, places, home, onCommand: options.onCommand }, step, relative(ROOT, file));
  } finally {
    await terminal.close();
    rmSync(scratch, { recursive: true, force: true });
  }
  return { commands: commands.length, notRun: notRun.map(({ line, reason }) => `line ${line}: ${reason}`) };
};

/** Nothing of the machine's own: neither credentials nor a configuration, no colour, and 80 columns. */
const readerEnv = (home: string, bin: string): NodeJS.ProcessEnv => ({
  HOME: home,
  USER: 'reader',
  PATH: `${bin}:${dirname(process.execPath)}:${process.env.PATH}`,
  ...(process.env.JAVA_HOME === undefined ? {} : { JAVA_HOME: process.env.JAVA_HOME }),
  COLUMNS: '80',
  TERM: 'dumb',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  ASBB_CHECKOUT: ROOT,
});

interface Places {
  toTest(text: string): string;
  toPage(text: string): string;
}

const placesOf = ({ places = [] }: WalkOptions, home: string): Places => ({
  toTest: (text) => places.reduce((whole, [page, test]) => whole.replaceAll(page, test), text),
  toPage: (text) => places.reduce((whole, [page, test]) => whole.replaceAll(test, page), text).replaceAll(home, '~'),
});

interface Walk {
  readonly terminal: Terminal;
  readonly places: Places;
  readonly home: string;
  readonly onCommand: WalkOptions['onCommand'];
}

const walkStep = async (walk: Walk, step: Step, page: string): Promise<void> => {
  const { places, home } = walk;
  if (step.kind === 'file') {
    const path = places.toTest(step.path).replace(/^~(?=\/)/, home);
    write(path, places.toTest(step.text));
    return;
  }
  if (step.kind === 'hidden') {
    // The first of its lines that fails ends the shell, and so the walk.
    await typed(walk, { typed: `set -e\n${step.typed}\nset +e` }, `${page}:${step.line}`, HIDDEN_PATIENCE_MS);
    return;
  }
  const expected = [...step.fails];
  for (const command of step.commands) {
    const where = `${page}:${command.line}`;
    const began = Date.now();
    const status = await walkCommand(walk, command, where);
    walk.onCommand?.(command.typed, Date.now() - began);
    if (status !== 0 && status !== expected.shift())
      throw new Error(
        `${where}: $ ${command.typed}\nended with status ${status}, and <!-- fails: --> says ${step.fails.join(', ') || 'nothing'}`,
      );
  }
  if (expected.length > 0) throw new Error(`${page}:${step.line}: nothing in this block ended with status ${expected.join(', ')}`);
};

const typed = async ({ terminal, places }: Walk, { typed }: { typed: string }, where: string, patienceMs: number) => {
  try {
    return await terminal.type(places.toTest(typed), patienceMs);
  } catch (cause) {
    throw new Error(`${where}: $ ${typed}\n${places.toPage(cause instanceof Error ? cause.message : String(cause))}`, { cause });
  }
};

/** @returns its status, if it printed what is shown */
const walkCommand = async (walk: Walk, command: Command, where: string): Promise<number> => {
  const patienceMs = command.patienceMs ?? PATIENCE_MS;
  const isBackground = /&\s*$/.test(command.typed);
  const deadline = Date.now() + (command.soonMs ?? (isBackground ? patienceMs : 0));
  for (;;) {
    const { status, printed } = await typed(walk, command, where, patienceMs);
    let difference = differenceOf(command.shown, linesOf(walk.places.toPage(printed())));
    while (isBackground && difference !== undefined && Date.now() < deadline) {
      await pause();
      difference = differenceOf(command.shown, linesOf(walk.places.toPage(printed())));
    }
    if (difference === undefined) return status;
    if (isBackground || Date.now() >= deadline)
      throw new Error(`${where}: $ ${command.typed}\nprints something else (-: only on the page, +: only here):\n\n${difference}\n`);
    await pause();
  }
};

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, POLL_MS));

const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

/**
 * The command as it is installed: one bundle. It lies below node_modules, where it finds DynamoDB Local.
 * @returns its file, and how to take it away
 */
export const buildAsbb = async (): Promise<{ asbb: string; remove: () => void }> => {
  const cache = join(ROOT, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const outdir = mkdtempSync(join(cache, 'asbb-walk-'));
  await build({
    absWorkingDir: ROOT,
    entryPoints: { asbb: 'cli/asbb.ts' },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    banner: { js: "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  return { asbb: join(outdir, 'asbb.js'), remove: () => rmSync(outdir, { recursive: true, force: true }) };
};

/** One that nothing listens on just now. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
