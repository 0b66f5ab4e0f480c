// `npm run build`: dist/, which is all that an installed asbb has. The command is bundled, so it needs no package; its manual
// and completions are made from the command line itself.
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { buildProgram } from '#cli/commands/program';
import { completionScript } from '#cli/completion';
import { manPagesOf } from '#cli/man-pages';
import { thirdPartyLicences } from '#cli/packaging/licences';

const ROOT = join(import.meta.dirname, '../..');
const DIST = join(ROOT, 'dist');

/**
 * Each command's work is a chunk of its own, so that `asbb --help` loads none: in one file it would take twice as long
 * (docs/install.md has the figures).
 */
const bundle = async (): Promise<Metafile> => {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: { main: 'cli/asbb.ts' },
    outdir: 'dist',
    bundle: true,
    splitting: true,
    metafile: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minify: true,
    legalComments: 'linked',
    mainFields: ['module', 'main'],
    // CommonJS packages inside still ask for require.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return metafile;
};

const writeManual = (folder: string): void => {
  mkdirSync(folder);
  for (const { name, roff } of manPagesOf(buildProgram({ run: async () => undefined }))) writeFileSync(join(folder, name), roff);
};

/** Under the names by which bash and zsh look for them. */
const writeCompletions = (folder: string): void => {
  const program = buildProgram({ run: async () => undefined });
  for (const [shell, name] of [['bash', 'asbb'] as const, ['zsh', '_asbb'] as const]) {
    mkdirSync(join(folder, shell), { recursive: true });
    writeFileSync(join(folder, shell, name), completionScript(shell, program));
  }
};

rmSync(DIST, { recursive: true, force: true });
const { inputs } = await bundle();
cpSync(join(import.meta.dirname, 'entry.js'), join(DIST, 'asbb.js'));
cpSync(join(ROOT, 'cli/agent/asbb-agent.service'), join(DIST, 'asbb-agent.service'));
writeManual(join(DIST, 'man'));
writeCompletions(join(DIST, 'completions'));
writeFileSync(join(DIST, 'THIRD-PARTY-LICENSES.txt'), thirdPartyLicences(ROOT, Object.keys(inputs)));
