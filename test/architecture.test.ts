// The import arrows of the design. A file that needs another room's furniture is in the wrong room.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

/** Which rooms each room may import from. What is not named is forbidden. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  'lambdas/domain': [],
  'lambdas/app': ['lambdas/domain'],
  'lambdas/contract': ['lambdas/domain'],
  // Adapters write what the contract's table says. Production wires them to what the handlers need.
  'lambdas/adapters': ['lambdas/app', 'lambdas/domain', 'lambdas/contract'],
  'lambdas/http': ['lambdas/app', 'lambdas/contract', 'lambdas/domain'],
  'lambdas/events': ['lambdas/app', 'lambdas/contract', 'lambdas/domain'],
  cli: ['lambdas/contract', 'lambdas/domain', 'lambdas/app', 'lambdas/http', 'lambdas/events', 'lambdas/adapters'],
  lib: ['lambdas/contract'],
  bin: ['lib', 'lambdas/contract'],
};

/** Packages that only some rooms may use. */
const PACKAGES: readonly { readonly name: RegExp; readonly rooms: RegExp; readonly why: string }[] = [
  { name: /^@aws-sdk\//, rooms: /^lambdas\/adapters\/|^cli\/api-client\.ts$/, why: 'SDKs stay behind ports' },
  { name: /^(aws-cdk-lib|constructs|cdk-nag)/, rooms: /^(lib|bin)\//, why: 'only what we deploy knows CDK' },
  { name: /^@middy\//, rooms: /^lambdas\/http\//, why: 'middlewares belong to handlers' },
  {
    name: /^zod(\/|$)/,
    rooms: /^lambdas\/contract\/|^lambdas\/http\/|^cli\/(config|agent\/state)\.ts$/,
    why: 'shapes are checked at the edge',
  },
  { name: /^node:/, rooms: /^(?!lambdas\/(domain|app|contract)\/)/, why: 'domain and use cases are pure' },
];

/** Reading the environment or the clock outside a composition root hides an input. */
const COMPOSITION_ROOTS =
  /^lambdas\/adapters\/(production(-\w+)?|system)\.ts$|^(cli|bin)\/asbb\.ts$|^cli\/context\.ts$|^cli\/local\/|^cli\/(demo|packaging)\//;

interface Source {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const sourcesBelow = (folder: string): Source[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => {
      const path = relative(ROOT, join(entry.parentPath, entry.name));
      const text = readFileSync(join(ROOT, path), 'utf8');
      return { path, text, imports: [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1] as string) };
    });

const SOURCES = ['lambdas', 'cli', 'lib', 'bin'].filter((folder) => existsSync(join(ROOT, folder))).flatMap(sourcesBelow);

const ALIASES = Object.entries(
  (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { imports: Record<string, string> }).imports,
).map(([alias, path]) => ({ prefix: alias.replace('*', ''), folder: path.replace(/^\.\//, '').replace('*.ts', '') }));

/** The project's file behind an import, or undefined for a package. */
const fileOf = (source: Source, specifier: string): string | undefined => {
  const alias = ALIASES.find(({ prefix }) => specifier.startsWith(prefix));
  if (alias) return `${alias.folder}${specifier.slice(alias.prefix.length)}`;
  return specifier.startsWith('.') ? relative(ROOT, join(ROOT, dirname(source.path), specifier)) : undefined;
};

const roomOf = (path: string): string | undefined => Object.keys(ARROWS).find((room) => path.startsWith(`${room}/`));

const forbiddenImports = (source: Source): string[] => {
  const room = roomOf(source.path);
  if (room === undefined) return [`${source.path} is in no room of the design`];
  return source.imports.flatMap((specifier) => {
    const target = fileOf(source, specifier);
    const targetRoom = target === undefined ? undefined : roomOf(target);
    if (targetRoom === undefined || targetRoom === room || ARROWS[room]?.includes(targetRoom)) return [];
    // The functions' entry files are composition roots: they take production and a handler, nothing else.
    if (source.path.endsWith('-function.ts') && /^lambdas\/adapters\/(production(-\w+)?|system)$/.test(target ?? '')) return [];
    return [`${source.path} imports ${specifier}: ${room} must not know ${targetRoom}`];
  });
};

describe('architecture', () => {
  it('finds the sources it is about', () => {
    expect(SOURCES.length).toBeGreaterThan(50);
  });

  it('keeps the import arrows of the design', () => {
    expect(SOURCES.flatMap(forbiddenImports)).toEqual([]);
  });

  it.each(PACKAGES)('keeps $name in its rooms: $why', ({ name, rooms }) => {
    const strays = SOURCES.filter(({ path, imports }) => !rooms.test(path) && imports.some((specifier) => name.test(specifier)));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('reads environment and clock only in composition roots', () => {
    const strays = SOURCES.filter(
      ({ path, text }) => !COMPOSITION_ROOTS.test(path) && /process\.env|Date\.now\(\)|new Date\(\)|Math\.random/.test(text),
    );
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('loads the client of the bus only where a run is put on it, so that no other command waits for it', () => {
    const strays = SOURCES.filter(({ text }) => /^import (?!type)[^;]*'@aws-sdk\/client-eventbridge'/m.test(text));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('loads the client of the topic only where a mail is sent, since most batches of the stream have none', () => {
    const strays = SOURCES.filter(({ text }) => /^import (?!type)[^;]*'@aws-sdk\/client-sns'/m.test(text));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('loads the client of Secrets Manager only where a key is read, so that no function starts later for it', () => {
    const strays = SOURCES.filter(({ text }) => /^import (?!type)[^;]*'@aws-sdk\/client-secrets-manager'/m.test(text));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('loads the client of prices only where one is asked for, so that a cold start does not wait for it', () => {
    const strays = SOURCES.filter(({ text }) => /^import (?!type)[^;]*'@aws-sdk\/client-pricing'/m.test(text));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('loads the client of CloudFormation only where a stack is read', () => {
    const strays = SOURCES.filter(({ text }) => /^import (?!type)[^;]*'@aws-sdk\/client-cloudformation'/m.test(text));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('imports zod whole, so that the bundle stays small', () => {
    const strays = SOURCES.filter(({ text }) => /import \{[^}]*\} from 'zod(\/mini)?'/.test(text));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('makes the shapes of functions with zod/mini, which starts in a quarter of the time', () => {
    const strays = SOURCES.filter(({ path, text }) => path.startsWith('lambdas/') && text.includes("from 'zod'"));
    expect(strays.map(({ path }) => path)).toEqual([]);
  });

  it('has no barrels and no rooms for odds and ends', () => {
    expect(SOURCES.map(({ path }) => path).filter((path) => /\/(index|utils?|helpers?)\.ts$/.test(path))).toEqual([]);
  });
});
