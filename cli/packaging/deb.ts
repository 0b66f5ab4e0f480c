// Packages for Debian and Ubuntu, by dpkg-deb alone.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PackageLayout, writeLayout } from '#cli/packaging/layout';

export interface Packaging {
  readonly root: string;
  /** Where the packages go. */
  readonly output: string;
  /** Where they are put together; nothing of it stays. */
  readonly scratch: string;
  /** As npm writes it: 0.2.0-rc.1. */
  readonly version: string;
  /** Whose value is the date of every file, so that the same source makes the same bytes. */
  readonly sourceDateEpoch: string;
}

/** A pre-release comes before its release, which both package managers write as a tilde. */
export const packageVersion = (version: string): string => version.replaceAll('-', '~');

const WORDS: Readonly<Record<PackageLayout['name'], (version: string) => readonly string[]>> = {
  // Only recommended: Debian 12 has Node 18, and a newer one need not come as a package. The launcher looks for it.
  asbb: () => [
    'Recommends: nodejs (>= 20)',
    'Suggests: asbb-agent, asbb-slurm-plugin',
    'Description: gate in front of the money that a Slurm cluster spends on AWS',
    ' The command asbb: accounts with a budget, quotes of jobs, holds, usage, and',
    ' the whole service on one machine to try it. It needs Node 20 or newer.',
  ],
  'asbb-agent': (version) => [
    `Depends: asbb (= ${version})`,
    'Description: tells the budget API what became of each Slurm job',
    ' A systemd service for the head node, asbb-agent. It binds holds to jobs,',
    ' settles each run at its real cost, and gives back what no job will use.',
    ' Installing it starts nothing.',
  ],
};

/** @returns the file's path */
export const buildDeb = (packaging: Packaging, layout: PackageLayout): string => {
  const { root, output, scratch, sourceDateEpoch } = packaging;
  const { name } = layout;
  const version = packageVersion(packaging.version);
  const folder = join(scratch, `deb-${name}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'DEBIAN'), { recursive: true, mode: 0o755 });
  writeLayout(folder, layout);
  writeFileSync(join(folder, 'DEBIAN/control'), controlOf(layout, version));
  if (layout.configFiles.length > 0) writeFileSync(join(folder, 'DEBIAN/conffiles'), `${layout.configFiles.join('\n')}\n`);
  for (const script of ['postinst', 'prerm', 'postrm']) {
    const source = join(root, `cli/packaging/scripts/${name}.${script}`);
    if (!existsSync(source)) continue;
    copyFileSync(source, join(folder, 'DEBIAN', script));
    chmodSync(join(folder, 'DEBIAN', script), 0o755);
  }
  const file = join(output, `${name}_${version}_all.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', folder, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: sourceDateEpoch },
  });
  return file;
};

const controlOf = ({ name, files }: PackageLayout, version: string): string =>
  [
    `Package: ${name}`,
    `Version: ${version}`,
    'Architecture: all',
    'Maintainer: asbb authors <asbb@localhost>',
    'Section: net',
    'Priority: optional',
    `Installed-Size: ${Math.ceil([...files.values()].reduce((sum, { content }) => sum + content.length, 0) / 1024)}`,
    ...WORDS[name](version),
    '',
  ].join('\n');
