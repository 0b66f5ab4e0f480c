// A function's code as it is deployed, and what is in it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, build } from 'esbuild';
import { BUNDLING } from '#lib/bundling';

const ROOT = join(import.meta.dirname, '../..');

export interface Bundle {
  readonly file: string;
  readonly bytes: number;
  /** Bytes of each package, or folder of ours, in the bundle. */
  readonly parts: ReadonlyMap<string, number>;
}

/** As CDK bundles it. */
export const bundled = async (source: Pick<BuildOptions, 'entryPoints' | 'stdin'>, folder: string): Promise<Bundle> => {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'index.js');
  const { minify, target, sourcesContent, externalModules, mainFields } = BUNDLING;
  const { metafile } = await build({
    ...source,
    absWorkingDir: ROOT,
    bundle: true,
    outfile: file,
    platform: 'node',
    format: 'cjs',
    target,
    minify,
    sourcemap: true,
    sourcesContent,
    mainFields: [...mainFields],
    external: [...externalModules],
    metafile: true,
    logLevel: 'warning',
  });
  const output = Object.entries(metafile.outputs).find(([path]) => path.endsWith('index.js'))?.[1];
  if (output === undefined) throw new Error('esbuild wrote no index.js');
  const parts = new Map<string, number>();
  for (const [path, { bytesInOutput }] of Object.entries(output.inputs))
    parts.set(partOf(path), (parts.get(partOf(path)) ?? 0) + bytesInOutput);
  return { file, bytes: output.bytes, parts: new Map([...parts].sort(([, a], [, b]) => b - a)) };
};

const partOf = (path: string): string => {
  const inPackage = path.split('node_modules/').at(-1) ?? path;
  if (inPackage === path)
    return /adapters\/catalogue[\w-]*\.ts$/.test(path) ? 'the catalogue of prices' : path.split('/').slice(0, 2).join('/');
  return inPackage
    .split('/')
    .slice(0, inPackage.startsWith('@') ? 2 : 1)
    .join('/');
};
