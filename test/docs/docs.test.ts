// The documents as a newcomer would check them: what they name exists, and they name nothing that a newcomer does not have.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROUTES } from '#contract/routes';
import { VERSION } from '#contract/version';

const ROOT = join(import.meta.dirname, '../..');
const ADR_FOLDER = 'docs/adr';
const MAX_ADR_LINES = 70;

interface Document {
  readonly path: string;
  readonly text: string;
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const filesBelow = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));

const DOCUMENTS: readonly Document[] = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].filter((path) => existsSync(join(ROOT, path))),
  ...filesBelow('docs').filter((path) => path.endsWith('.md')),
].map((path) => ({ path, text: read(path) }));

const ADRS = DOCUMENTS.filter(({ path }) => /^docs\/adr\/\d{3}-[a-z0-9-]+\.md$/.test(path));
const { scripts, version } = JSON.parse(read('package.json')) as { scripts: Record<string, string>; version: string };

/** Each match of a pattern's first group, with the document that it is in. */
const found = (pattern: RegExp): { path: string; match: string }[] =>
  DOCUMENTS.flatMap(({ path, text }) => [...text.matchAll(pattern)].map(([, match = '']) => ({ path, match })));

/** Known top-level folders: what begins with one of these and a slash is a path of the repository. */
const REPOSITORY_PATH = /^(?:\.ci|bin|cli|docs|lambdas|lib|slurm-plugin|test)\/[\w./-]*$/;
/** Rooms that have a name and a licence, but no walls yet. */
const PLANNED: ReadonlySet<string> = new Set(['slurm-plugin/']);

/** Words in backticks, alone or in a command, and words of blocks between fences. */
const namedPaths = (): { path: string; match: string }[] =>
  [...found(/(?<!`)`([^`\n]+)`(?!`)/g), ...found(/^```[^\n]*\n([\s\S]*?)^```/gm)].flatMap(({ path, match }) =>
    match
      .split(/[\s=]+/)
      .map((word) => word.replace(/^\.\//, '').replace(/[.,:;)]+$/, ''))
      .filter((word) => REPOSITORY_PATH.test(word))
      .map((word) => ({ path, match: word })),
  );

/** GitHub's name for a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .trim()
    .replace(/\s/g, '-');

const anchorsIn = (text: string): string[] => [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

const isDead = ({ path, match }: { path: string; match: string }): boolean => {
  const [file = '', anchor] = match.split('#');
  const target = file === '' ? path : relative(ROOT, join(ROOT, dirname(path), decodeURIComponent(file)));
  if (target.startsWith('..') || !existsSync(join(ROOT, target))) return true;
  return anchor !== undefined && target.endsWith('.md') && !anchorsIn(read(target)).includes(anchor);
};

const named = ({ path, match }: { path: string; match: string }): string => `${path}: ${match}`;

describe('the documents', () => {
  it('are there', () => {
    expect(DOCUMENTS.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['CONTRIBUTING.md', 'CHANGELOG.md', 'docs/from-the-original.md', 'docs/adr/README.md']),
    );
    expect(namedPaths().length).toBeGreaterThan(100);
  });

  it('name only files and folders that exist', () => {
    const missing = namedPaths().filter(({ match }) => !PLANNED.has(match) && !existsSync(join(ROOT, match)));
    expect(missing.map(named)).toEqual([]);
  });

  it('link only to what exists', () => {
    const links = found(/\]\(([^)\s]+)\)/g).filter(({ match }) => !/^[a-z]+:/.test(match));
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter(isDead).map(named)).toEqual([]);
  });

  it('name only scripts that package.json has', () => {
    const called = found(/\bnpm run (?:-s |--silent )?([\w:-]+)/g);
    expect(called.filter(({ match }) => scripts[match] === undefined).map(named)).toEqual([]);
  });

  it.each([
    ['a path of one machine', /(\/work\/[\w./-]*|\/home\/[\w./-]*|\/root\/[\w./-]*)/g],
    ['a page that only its authors have', /(\bshared\/[\w./-]*|\b(?:DESIGN|CONTRACT|STYLE|ANCHORS|SLURM|AWS-LOCAL)\.md\b)/g],
    ['an issue by its number', /(\bissues? #?\d+\b|(?<![\w&])#\d+\b)/gi],
    [
      'the host of a package registry',
      /(\b(?:registry|npm|mirror|artifacts?|packages)\.[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b|\b(?:npmjs|pypi|crates|yarnpkg|rubygems)\.(?:com|org|io)\b)/gi,
    ],
  ])('do not name %s', (_, pattern) => {
    expect(found(pattern).map(named)).toEqual([]);
  });
});

describe('the decisions', () => {
  const rows = read(`${ADR_FOLDER}/README.md`)
    .split('\n')
    .filter((line) => /^\| \[?\d{3}/.test(line));

  it('are numbered from 001 without a gap', () => {
    const numbers = ADRS.map(({ path }) => Number(path.slice(ADR_FOLDER.length + 1, ADR_FOLDER.length + 4))).sort((a, b) => a - b);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    expect(rows.length).toBe(numbers.length);
  });

  it.each(ADRS)('$path is in the table under its own title, and at most a page', ({ path, text }) => {
    const [, number = '', title = ''] = /^# (\d{3}): (.+)\n/.exec(text) ?? [];
    const file = path.slice(ADR_FOLDER.length + 1);
    expect(file.slice(0, 3)).toBe(number);
    expect(rows.filter((row) => row.startsWith(`| [${number}](${file}) | ${title} |`))).toHaveLength(1);
    expect(text.split('\n').length - 1).toBeLessThanOrEqual(MAX_ADR_LINES);
  });

  it.each(ADRS)('$path says what was decided, why, what it costs and how it is checked', ({ text }) => {
    const headings = [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(['Decision', 'Why', 'What it costs', 'How it is checked']);
  });
});

it('the API, the command and the package have one version', () => {
  expect(VERSION).toBe(version);
});

describe('what became of the original', () => {
  const page = read('docs/from-the-original.md');

  it.each([
    ['POST', '/api/v1/budget/check'],
    ['POST', '/api/v1/budget/reconcile'],
    ['GET', '/api/v1/accounts'],
    ['POST', '/api/v1/accounts'],
    ['GET', '/api/v1/accounts/{account}'],
    ['GET', '/api/v1/health'],
  ])('names the operation of %s %s', (method, path) => {
    const operations = Object.entries(ROUTES).filter(([, route]) => route.method === method && route.path === path);
    expect(operations).toHaveLength(1);
    expect(page).toContain(`| ${method} ${path} | \`${operations[0]?.[0]}\` |`);
  });

  it.each([
    ...['asbb', 'budget-service', 'recovery', 'asbb account list', 'asbb account create', 'asbb account show', 'asbb account update'],
    ...['asbb account delete', 'asbb config init --output', 'asbb database migrate', 'asbb usage summary'],
    ...['service.listen_addr', 'database.driver', 'database.dsn', 'advisor.url', 'advisor.timeout'],
    ...['budget.default_hold_percentage', 'budget.reconciliation_timeout', 'slurm.bin_path'],
    ...['make check-env', 'make build', 'make test', 'make install', 'make install-plugin', 'systemctl status', 'journalctl'],
  ])('has a row for %s', (item) => {
    expect(page.split('\n').filter((line) => line.startsWith(`| \`${item}\``))).toHaveLength(1);
  });

  it.each([
    ...['budget', 'database', 'advisor', 'slurm', 'config', 'auth', 'logging'],
    ...['tests: unit', 'tests: integration', 'tests: e2e', 'examples', 'systemd', 'docker', 'kubernetes'],
  ])('has a row for the part %s', (item) => {
    expect(page.split('\n').filter((line) => new RegExp(`^\\| ${item}(?: |,)`).test(line))).toHaveLength(1);
  });
});
