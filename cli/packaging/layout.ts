// Which file goes where on a machine: the same for Debian's packages and for RPM's, but for two folders.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { CONFIG_TEMPLATE } from '#cli/config';

export type PackageKind = 'deb' | 'rpm';

export interface PackageLayout {
  readonly name: 'asbb' | 'asbb-agent';
  /** Content by path on the machine. */
  readonly files: ReadonlyMap<string, { readonly content: string | Buffer; readonly mode: number }>;
  /** Those of them that are the administrator's once they are there. */
  readonly configFiles: readonly string[];
  /** Those of them that are the licence, which RPM marks. */
  readonly licences: readonly string[];
}

const PROGRAM_FOLDER = '/usr/lib/asbb';
const CONFIG_FILE = '/etc/asbb/config.yaml';
const ZSH_FOLDERS = { deb: '/usr/share/zsh/vendor-completions', rpm: '/usr/share/zsh/site-functions' } as const;

/** Those that the pages link to each other; decisions are for who has a clone. */
const pagesOf = (root: string): string[] =>
  ['', 'walkthroughs/'].flatMap((folder) =>
    readdirSync(join(root, 'docs', folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}${name}`),
  );

/** The command. @param root of the repository, where dist/ has been built */
export const commandLayout = (root: string, kind: PackageKind): PackageLayout => {
  const dist = join(root, 'dist');
  const read = (path: string): Buffer => readFileSync(join(root, path));
  const licences = licencesFolder('asbb', kind);
  const docs = '/usr/share/doc/asbb';
  const program = readdirSync(dist).filter((name) => /\.js(\.LEGAL\.txt)?$/.test(name) && name !== 'asbb.js');
  const manual = readdirSync(join(dist, 'man'));
  return layoutOf('asbb', [
    ['/usr/bin/asbb', read('cli/packaging/asbb.sh'), 0o755],
    [`${PROGRAM_FOLDER}/package.json`, '{ "type": "module" }\n'],
    [`${PROGRAM_FOLDER}/asbb.js`, read('dist/asbb.js'), 0o755],
    ...program.map((name) => [`${PROGRAM_FOLDER}/${name}`, read(`dist/${name}`)] as const),
    ...manual.map((name) => [`/usr/share/man/man1/${name}.gz`, zipped(read(`dist/man/${name}`))] as const),
    ['/usr/share/bash-completion/completions/asbb', read('dist/completions/bash/asbb')],
    [`${ZSH_FOLDERS[kind]}/_asbb`, read('dist/completions/zsh/_asbb')],
    [CONFIG_FILE, commentedOut(CONFIG_TEMPLATE)],
    [`${licences}/${licenceName(kind)}`, kind === 'deb' ? read('cli/packaging/copyright') : read('LICENSE')],
    [`${licences}/THIRD-PARTY-LICENSES.txt`, read('dist/THIRD-PARTY-LICENSES.txt')],
    [`${docs}/CHANGELOG.md.gz`, zipped(read('CHANGELOG.md'))],
    ...pagesOf(root).map((name) => [`${docs}/${name}`, read(`docs/${name}`)] as const),
  ]);
};

/** The agent's unit; its program is the command. */
export const agentLayout = (root: string, kind: PackageKind): PackageLayout => {
  const read = (path: string): Buffer => readFileSync(join(root, path));
  return layoutOf('asbb-agent', [
    ['/usr/lib/systemd/system/asbb-agent.service', read('dist/asbb-agent.service')],
    [`${licencesFolder('asbb-agent', kind)}/${licenceName(kind)}`, kind === 'deb' ? read('cli/packaging/copyright') : read('LICENSE')],
  ]);
};

/** Write a package's files below a folder, as they will be below `/`. */
export const writeLayout = (folder: string, { files }: PackageLayout): void => {
  for (const [path, { content, mode }] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(folder, path), content, { mode });
  }
};

type Line = readonly [path: string, content: string | Buffer, mode?: 0o755];

const layoutOf = (name: PackageLayout['name'], lines: readonly Line[]): PackageLayout => ({
  name,
  files: new Map(lines.map(([path, content, mode = 0o644]) => [path, { content, mode }])),
  configFiles: lines.map(([path]) => path).filter((path) => path.startsWith('/etc/')),
  licences: lines.map(([path]) => path).filter((path) => path.startsWith('/usr/share/licenses/')),
});

const licencesFolder = (name: string, kind: PackageKind): string =>
  kind === 'deb' ? `/usr/share/doc/${name}` : `/usr/share/licenses/${name}`;
const licenceName = (kind: PackageKind): string => (kind === 'deb' ? 'copyright' : 'LICENSE');

/** The same bytes at any time: node's gzip writes no name and no date. */
const zipped = (content: Buffer): Buffer => gzipSync(content, { level: 9 });

/** Sections stay, so that taking one `#` away is enough to say one thing; an upgrade may then change any default. */
const commentedOut = (template: string): string => template.replace(/^ {2}(?=[a-z])/gm, '  # ');
