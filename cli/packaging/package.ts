// `npm run package`: the npm package, and those for apt and dnf, of what is in this folder.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDeb, type Packaging } from '#cli/packaging/deb';
import { agentLayout, commandLayout } from '#cli/packaging/layout';
import { buildRpms } from '#cli/packaging/rpm';

const ROOT = join(import.meta.dirname, '../..');
const USAGE = 'usage: npm run package -- [npm] [deb] [rpm] [--output FOLDER] [--package-version VERSION]';
const VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$/;

type Kind = 'npm' | 'deb' | 'rpm';
const TOOLS = {
  npm: { tool: 'npm', mend: 'it comes with Node' },
  deb: { tool: 'dpkg-deb', mend: 'Debian: apt-get install dpkg; RHEL: dnf install dpkg' },
  rpm: { tool: 'rpmbuild', mend: 'Debian: apt-get install rpm; RHEL: dnf install rpm-build' },
} as const;

/** @returns the files that were made */
const makePackages = (kinds: readonly Kind[], packaging: Packaging): string[] =>
  kinds.flatMap((kind) => {
    if (kind === 'npm') return [packNpm(packaging)];
    const command = commandLayout(ROOT, kind);
    const agent = agentLayout(ROOT, kind);
    return kind === 'deb' ? [command, agent].map((layout) => buildDeb(packaging, layout)) : buildRpms(packaging, { command, agent });
  });

/** dist/ has been built already. */
const packNpm = ({ output }: Packaging): string => {
  const args = ['pack', '--ignore-scripts', '--silent', '--pack-destination', output];
  return join(output, execFileSync('npm', args, { cwd: ROOT, encoding: 'utf8' }).trim());
};

const isMissing = (kind: Kind): boolean => spawnSync(TOOLS[kind].tool, ['--version'], { stdio: 'ignore' }).status !== 0;

/** The date of the source, and not of the build. */
const sourceDateEpoch = (): string => {
  const { SOURCE_DATE_EPOCH: given } = process.env;
  if (given !== undefined && /^\d+$/.test(given)) return given;
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) throw new Error('when is this source of? There is no git here: say it as SOURCE_DATE_EPOCH, in seconds since 1970');
  return stdout.trim();
};

const kindsOf = (words: readonly string[]): Kind[] => {
  const unknown = words.find((word) => !Object.hasOwn(TOOLS, word));
  if (unknown !== undefined) throw new Error(`there is no package '${unknown}'; ${USAGE}`);
  const kinds = words.length === 0 ? (Object.keys(TOOLS) as Kind[]) : (words as Kind[]);
  const missing = kinds.find(isMissing);
  if (missing === undefined) return kinds;
  const { tool, mend } = TOOLS[missing];
  throw new Error(`${tool} is missing, which makes the ${missing} package (${mend}); or name the packages to make: ${USAGE}`);
};

const main = (): void => {
  process.umask(0o022); // Whoever packs may have a stricter one, and what is installed is for all.
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const options = { output: { type: 'string', default: 'packages' }, 'package-version': { type: 'string', default: version } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (!VERSION.test(values['package-version'])) throw new Error(`${values['package-version']} is no version like 1.2.3 or 1.2.3-rc.1`);
  const kinds = kindsOf(positionals);
  const output = resolve(values.output);
  mkdirSync(output, { recursive: true });
  execFileSync('npm', ['run', '-s', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const scratch = mkdtempSync(join(tmpdir(), 'asbb-package-'));
  try {
    const packaging = { root: ROOT, output, scratch, version: values['package-version'], sourceDateEpoch: sourceDateEpoch() };
    for (const file of makePackages(kinds, packaging)) console.log(relative(process.cwd(), file));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};

try {
  main();
} catch (error) {
  console.error(`package: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
