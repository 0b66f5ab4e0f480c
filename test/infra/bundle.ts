// A function's code as it is deployed, and what is in it.
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile } from 'esbuild';
import { BUNDLING } from '#lib/bundling';

export interface Bundle {
  readonly file: string;
  /** What is read until the handler is there. */
  readonly bytes: number;
  /** What is read when something asks for it, or never. */
  readonly laterBytes: number;
  /** Bytes of each package, or folder of ours, in `bytes`. */
  readonly parts: ReadonlyMap<string, number>;
  /** The same of `laterBytes`. */
  readonly laterParts: ReadonlyMap<string, number>;
}

/** As it is deployed. @param source one handler */
export const bundled = async (source: { readonly entry: string } | Pick<BuildOptions, 'stdin'>, folder: string): Promise<Bundle> => {
  const { metafile } = await build({
    ...BUNDLING,
    mainFields: [...BUNDLING.mainFields],
    external: [...BUNDLING.external],
    ...('entry' in source ? { entryPoints: { index: source.entry } } : source),
    outdir: folder,
    metafile: true,
    logLevel: 'warning',
  });
  const outputs = Object.entries(metafile.outputs).filter(([path]) => path.endsWith('.mjs'));
  const first = outputs.find(([path]) => /\/(index|stdin)\.mjs$/.test(path))?.[0];
  if (first === undefined) throw new Error('esbuild wrote no index.mjs');
  const atOnce = readWith(first, metafile);
  const [now, later] = [true, false].map((isNow) => outputs.filter(([path]) => atOnce.has(path) === isNow).map(([, output]) => output));
  return {
    file: join(BUNDLING.absWorkingDir, first),
    bytes: bytesOf(now),
    laterBytes: bytesOf(later),
    parts: partsOf(now),
    laterParts: partsOf(later),
  };
};

type Output = Metafile['outputs'][string];

/** A file and all that it cannot be read without. */
const readWith = (path: string, { outputs }: Metafile, read = new Set<string>()): Set<string> => {
  if (read.has(path)) return read;
  read.add(path);
  for (const { kind, path: next } of outputs[path]?.imports ?? [])
    if (kind === 'import-statement' && next in outputs) readWith(next, { inputs: {}, outputs }, read);
  return read;
};

const bytesOf = (outputs: readonly Output[] = []): number => outputs.reduce((sum, { bytes }) => sum + bytes, 0);

const partsOf = (outputs: readonly Output[] = []): Map<string, number> => {
  const parts = new Map<string, number>();
  for (const { inputs } of outputs)
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) parts.set(partOf(path), (parts.get(partOf(path)) ?? 0) + bytesInOutput);
  return new Map([...parts].sort(([, a], [, b]) => b - a));
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
