// What `npm run package` makes, as an administrator meets it: installed, run, upgraded, removed.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { buildProgram } from '#cli/commands/program';
import { findDynamoDbLocal, findJava } from '#cli/local/dynamodb-local';
import { manPagesOf } from '#cli/man-pages';
import { installPackages } from '#test/package/debian';
import { createScratchRoot, runOutcome, type ScratchRoot } from '#test/package/scratch-root';

const PATIENCE_MS = 10 * 60_000;
const ROOT = join(import.meta.dirname, '../..');
const MANUAL = manPagesOf(buildProgram({ run: async () => undefined })).map(({ name }) => name);

const CONFIG = '/etc/asbb/config.yaml';
const OUR_CONFIG = 'api: { endpoint: "http://127.0.0.1:9" }\n';
const STATE = { '/var/lib/asbb/agent.json': '{}\n', '/var/lib/asbb/agent.json.aside': '{"reason":"no account"}\n' };

const folder = mkdtempSync(join(tmpdir(), 'asbb-install-'));
const first = join(folder, 'first');
const again = join(folder, 'again');
const next = join(folder, 'next');
afterAll(() => rmSync(folder, { recursive: true }));

const makePackages = (output: string, ...args: string[]): void => {
  const env = { ...process.env, SOURCE_DATE_EPOCH: '1790000000' };
  execFileSync('npm', ['run', '-s', 'package', '--', '--output', output, ...args], { cwd: ROOT, env, stdio: 'pipe' });
};

beforeAll(() => {
  installPackages('man-db', 'rpm');
  makePackages(first);
  makePackages(next, 'deb', 'rpm', '--package-version', '0.1.1-rc.1');
}, PATIENCE_MS);

describe('npm run package', () => {
  it('makes the same bytes of the same source', () => {
    makePackages(again);
    const sums = (output: string): string[] =>
      readdirSync(output)
        .sort()
        .map(
          (name) =>
            `${createHash('sha256')
              .update(readFileSync(join(output, name)))
              .digest('hex')}  ${name}`,
        );
    expect(sums(first)).toHaveLength(5);
    expect(sums(again)).toEqual(sums(first));
  });

  it('says what is wrong with its line', () => {
    const { status, stderr } = runOutcome('npm', ['run', '-s', 'package', '--', 'snap'], process.env);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^package: there is no package 'snap'; usage: npm run package -- \[npm\] \[deb\] \[rpm\]/m);
  });
});

describe('the npm package', () => {
  const prefix = join(folder, 'prefix');
  const environment = { HOME: join(folder, 'home'), PATH: `${join(prefix, 'bin')}:${process.env.PATH}` };
  const installed = (...args: string[]) => runOutcome(join(prefix, 'bin/asbb'), args, environment);

  beforeAll(() => {
    mkdirSync(join(folder, 'home'), { recursive: true });
    const options = ['--offline', '--cache', join(folder, 'empty-cache'), '--prefix', prefix];
    execFileSync('npm', ['install', '-g', ...options, join(first, 'asbb-0.1.0.tgz')], { env: environment, stdio: 'pipe' });
  });

  it('is the program, its manual, completions and licences, and nothing that runs at installation', () => {
    const { stdout } = runOutcome('tar', ['-tzf', join(first, 'asbb-0.1.0.tgz')], process.env);
    const files = stdout.trimEnd().split('\n');
    const expected = [
      'LICENSE',
      'README.md',
      'docs/install.md',
      'dist/THIRD-PARTY-LICENSES.txt',
      'dist/asbb-agent.service',
      'dist/completions/zsh/_asbb',
    ];
    expect(files).toEqual(expect.arrayContaining(expected.map((name) => `package/${name}`)));
    expect(
      files.filter((name) => !/^package\/(dist|docs)\/|^package\/(package\.json|LICENSE|README\.md|CHANGELOG\.md)$/.test(name)),
    ).toEqual([]);
    const manifest = JSON.parse(readFileSync(join(prefix, 'lib/node_modules/asbb/package.json'), 'utf8')) as Record<string, unknown>;
    expect(Object.keys(manifest.scripts as object).filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([]);
    expect(manifest).not.toHaveProperty('dependencies');
    expect(manifest.man).toEqual(MANUAL.map((name) => `dist/man/${name}`).sort());
  });

  it('runs, once it was installed without a network and with an empty cache', () => {
    expect(installed('version')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^asbb 0\.1\.0\n/) });
    expect(installed('--help').stdout).toMatch(/^Usage: asbb /);
    expect(installed('agent', '--help').stdout).toMatch(/^Usage: asbb agent /);
  });

  it('says so, if npm runs it with a Node that is too old', () => {
    const old = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"18.20.4"}})';
    const { status, stderr } = runOutcome(process.execPath, ['--import', old, join(prefix, 'bin/asbb'), 'version'], environment);
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: `asbb: Node 18.20.4 (${process.execPath}) is too old: install Node 20 or newer\n`,
    });
  });

  it('has a manual that man finds', () => {
    expect(runOutcome('man', ['asbb-quote'], environment).stdout).toMatch(/^ +asbb-quote +- +price +a +job/m);
  });

  it('carries the licence of all that is bundled', () => {
    const text = readFileSync(join(prefix, 'lib/node_modules/asbb/dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
    expect(text).toMatch(/^commander [\d.]+ \(MIT\)$/m);
    expect(text).toMatch(/^@aws-sdk\/client-dynamodb [\d.]+ \(Apache-2\.0\)$/m);
    expect(text).toContain('Permission is hereby granted, free of charge');
  });

  /** What an installed `asbb local` says until it listens. */
  const localWords = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const data = mkdtempSync(join(folder, 'data-'));
    const server = spawn(join(prefix, 'bin/asbb'), ['local', '--port', '0', '--data', data], { env: { ...environment, ...env } });
    const ended = new Promise((done) => server.once('exit', done));
    onTestFinished(async () => {
      server.kill('SIGTERM');
      await ended;
    });
    let words = '';
    return new Promise((done, fail) => {
      for (const stream of [server.stdout, server.stderr])
        stream.on('data', (text) => {
          words += text;
          if (words.includes('listening on')) done(words);
        });
      server.once('exit', () => fail(new Error(words)));
    });
  };

  it('serves from memory without DynamoDB Local, which may not be bundled, and says how to get it', async () => {
    expect(await localWords({})).toMatch(
      /DynamoDB Local is not on this machine, so the memory store is used: .* unpack Amazon's DynamoDB Local and name its folder in ASBB_DYNAMODB_LOCAL\n/,
    );
    const { status, stderr } = installed('local', '--store', 'dynamodb');
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr:
        "asbb: DynamoDB Local is not on this machine: unpack Amazon's DynamoDB Local and name its folder in ASBB_DYNAMODB_LOCAL, or use --store memory\n",
    });
  });

  it('serves from the DynamoDB Local that its user names', async () => {
    const words = await localWords({
      ASBB_DYNAMODB_LOCAL: findDynamoDbLocal({}) as string,
      JAVA_HOME: join(findJava() as string, '../..'),
    });
    expect(words).toMatch(/^asbb: listening on http:\/\/127\.0\.0\.1:\d+\n$/);
  });
});

/** Both package managers, by what an administrator asks of them. */
interface PackageManager {
  install(root: ScratchRoot, output: string): string;
  remove(root: ScratchRoot): string;
  files(root: ScratchRoot, name: string): string[];
  /** Where a configuration that was changed is once the package is gone. */
  readonly keptConfig: string;
  readonly zshFolder: string;
  readonly licence: string;
}

const packagesIn = (output: string, ending: string): string[] =>
  readdirSync(output)
    .filter((name) => name.endsWith(ending))
    .map((name) => join(output, name));

const succeed = (command: string, args: readonly string[]): string => {
  const { status, stdout, stderr } = runOutcome(command, args, { ...process.env, LC_ALL: 'C.UTF-8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
};

const dpkg = ({ path }: ScratchRoot, ...args: string[]): string => succeed('dpkg', [`--root=${path}`, ...args]);
/** On Debian rpm does not know what there is, so it is not asked what is needed. */
const rpm = ({ path }: ScratchRoot, ...args: string[]): string => succeed('rpm', ['--root', path, ...args]);

const MANAGERS: Readonly<Record<'dpkg' | 'rpm', PackageManager>> = {
  dpkg: {
    install: (root, output) => dpkg(root, '--install', ...packagesIn(output, '.deb')),
    remove: (root) => dpkg(root, '--remove', 'asbb-agent', 'asbb'),
    files: (root, name) => dpkg(root, '--listfiles', name).trimEnd().split('\n'),
    keptConfig: CONFIG,
    zshFolder: '/usr/share/zsh/vendor-completions',
    licence: '/usr/share/doc/asbb/copyright',
  },
  rpm: {
    install: (root, output) => rpm(root, '--upgrade', '--nodeps', ...packagesIn(output, '.rpm')),
    remove: (root) => rpm(root, '--erase', '--nodeps', 'asbb-agent', 'asbb'),
    files: (root, name) => rpm(root, '--query', '--list', name).trimEnd().split('\n'),
    keptConfig: `${CONFIG}.rpmsave`,
    zshFolder: '/usr/share/zsh/site-functions',
    licence: '/usr/share/licenses/asbb/LICENSE',
  },
};

describe.each(Object.entries(MANAGERS))('the packages for %s', (_, { install, remove, files, keptConfig, zshFolder, licence }) => {
  const newRoot = (): ScratchRoot => {
    const root = createScratchRoot();
    onTestFinished(root.remove);
    return root;
  };

  /** A machine in use: installed, configured, and with what an agent has written. */
  const usedRoot = (): ScratchRoot => {
    const root = newRoot();
    install(root, first);
    root.write(CONFIG, OUR_CONFIG);
    for (const [path, content] of Object.entries(STATE)) root.write(path, content);
    root.systemctl();
    return root;
  };

  const expectState = (root: ScratchRoot): void => {
    for (const [path, content] of Object.entries(STATE)) expect(root.read(path)).toBe(content);
  };

  it('put each thing where it is looked for, and start nothing', () => {
    const root = newRoot();
    install(root, first);
    const paths = ['/usr/bin/asbb', CONFIG, licence, '/usr/share/bash-completion/completions/asbb', `${zshFolder}/_asbb`];
    expect(files(root, 'asbb')).toEqual(expect.arrayContaining([...paths, ...MANUAL.map((name) => `/usr/share/man/man1/${name}.gz`)]));
    expect(files(root, 'asbb-agent')).toContain('/usr/lib/systemd/system/asbb-agent.service');
    expect([...files(root, 'asbb'), ...files(root, 'asbb-agent')].filter((path) => path.startsWith('/var'))).toEqual([]);
    expect(root.systemctl()).toEqual(['daemon-reload']);
  });

  it('run, and take the configuration as it comes', () => {
    const root = newRoot();
    install(root, first);
    expect(root.run('asbb', ['version'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^asbb 0\.1\.0\n/) });
    expect(root.run('asbb', ['--help']).stdout).toMatch(/^Usage: asbb /);
    expect(root.run('asbb', ['config', 'validate', CONFIG])).toMatchObject({ status: 0 });
    expect(root.read(CONFIG)).toContain('\n  # endpoint: https://');
    expect(root.read(CONFIG).match(/^ *[^#\s].*[^:]$/gm)).toBeNull();
  });

  it('let an upgrade change the program and leave configuration and state alone', () => {
    const root = usedRoot();
    install(root, next);
    expect(root.read(CONFIG)).toBe(OUR_CONFIG);
    expectState(root);
    expect(root.run('asbb', ['version']).status).toBe(0);
    const told = root.systemctl();
    expect(told).toContain('try-restart asbb-agent.service');
    expect(told.indexOf('daemon-reload')).toBeLessThan(told.indexOf('try-restart asbb-agent.service'));
    expect(told.filter((line) => !['daemon-reload', 'try-restart asbb-agent.service'].includes(line))).toEqual([]);
  });

  it('stop the agent when they are removed, and leave configuration and state', () => {
    const root = usedRoot();
    remove(root);
    expect(root.systemctl()).toEqual(['--no-reload disable --now asbb-agent.service', 'daemon-reload']);
    expect(root.has('/usr/bin/asbb')).toBe(false);
    expect(root.has('/usr/lib/asbb')).toBe(false);
    expect(root.has('/usr/lib/systemd/system/asbb-agent.service')).toBe(false);
    expect(root.read(keptConfig)).toBe(OUR_CONFIG);
    expectState(root);
  });

  it('need no systemd, as in the image of a container', () => {
    const root = newRoot();
    rmSync(join(root.path, 'run/systemd'), { recursive: true });
    install(root, first);
    install(root, next);
    remove(root);
    expect(root.systemctl()).toEqual([]);
  });
});

describe('dpkg --purge', () => {
  it('takes the configuration too, but not what the agent could not book, and says so', () => {
    const root = createScratchRoot();
    onTestFinished(root.remove);
    MANAGERS.dpkg.install(root, first);
    for (const [path, content] of Object.entries(STATE)) root.write(path, content);
    expect(dpkg(root, '--purge', 'asbb-agent', 'asbb')).toMatch(/^asbb-agent: \/var\/lib\/asbb stays, with what could not be booked/m);
    expect(root.has(CONFIG)).toBe(false);
    for (const [path, content] of Object.entries(STATE)) expect(root.read(path)).toBe(content);
  });
});

describe('the installed command', () => {
  let root: ScratchRoot;
  afterAll(() => root.remove());
  beforeAll(() => {
    root = createScratchRoot();
    MANAGERS.dpkg.install(root, first);
    execFileSync('mv', [join(root.path, 'usr/bin/node'), join(root.path, 'tmp/node')]);
    root.write('/usr/bin/node', '#!/bin/sh\necho v18.20.4\n', 0o755);
  });

  it('says that a Node is too old, and what to do', () => {
    expect(root.run('asbb', ['version'])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'asbb: no Node 20 or newer was found (/usr/bin/node is v18.20.4): install one, or name it in ASBB_NODE\n',
    });
  });

  it('takes the Node that is named', () => {
    expect(root.run('asbb', ['version'], { ASBB_NODE: '/tmp/node' })).toMatchObject({ status: 0 });
  });

  it('takes a newer Node that stands behind the old one', () => {
    root.write('/usr/local/bin/node', '#!/bin/sh\nexec /tmp/node "$@"\n', 0o755);
    expect(root.run('asbb', ['version'])).toMatchObject({ status: 0 });
  });
});
