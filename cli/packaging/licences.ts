// The licences of the packages inside the bundle. Most of them ask for their text to go with every copy, minified or not.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LICENCE_FILE = /^(licen[cs]e|copying|notice)([-.]\w+)*$/i;

interface BundledPackage {
  readonly title: string;
  readonly text: string;
}

/**
 * One text with the licence of every package that these files are of.
 * @param inputs paths below `root`, as esbuild's metafile names them
 * @throws Error naming a package that says nothing of its licence, which nobody may pass on
 */
export const thirdPartyLicences = (root: string, inputs: readonly string[]): string => {
  const folders = new Set(inputs.flatMap((input) => folderOf(input) ?? []));
  const byText = new Map<string, string[]>();
  for (const folder of [...folders].sort()) {
    const { title, text } = readPackage(join(root, folder));
    byText.set(text, [...(byText.get(text) ?? []), title]);
  }
  const parts = [...byText].map(([text, titles]) => `${[...new Set(titles)].join('\n')}\n\n${text}\n`);
  return `asbb is bundled with these packages, each under its own licence.\n\n${parts.join(`\n${'-'.repeat(78)}\n\n`)}`;
};

/** The innermost package of a path, which may be inside another. */
const folderOf = (path: string): string | undefined => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path)?.[0];

const readPackage = (folder: string): BundledPackage => {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
  const texts = readdirSync(folder)
    .filter((file) => LICENCE_FILE.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  if (typeof license !== 'string' && texts.length === 0)
    throw new Error(`${name} ${version} says nothing of its licence: do not bundle it`);
  return { title: `${name} ${version} (${license})`, text: texts.join('\n\n') || `${nameOf(author)}: ${license}` };
};

/** package.json has people as text, or as an object. */
const nameOf = (author: unknown): string =>
  typeof author === 'string' ? author : ((author as { name?: string } | undefined)?.name ?? 'Its authors');
