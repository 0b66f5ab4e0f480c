// What the cluster needs from Debian. Installed once, by root; anyone else is told what is missing.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must, run } from '#test/slurm/shell';

const PACKAGES = [
  'munge',
  'slurmctld',
  'slurmd',
  'slurm-client',
  'libslurm-dev',
  'slurm-wlm-basic-plugins',
  'slurm-wlm-basic-plugins-dev',
  'slurmdbd',
  'slurm-wlm-mysql-plugin',
  'mariadb-server',
  'libcurl4-openssl-dev',
  'libssl-dev',
  'libjansson-dev',
  'gcc',
  'libc6-dev',
  'make',
  'libfaketime',
];

/** Debian's name of a release that has one: 22.05, 24.11 and 26.05. */
export type Generation = 'bookworm' | 'trixie' | 'sid';

/** Inside a root folder of another generation; accounting is tested with the oldest. */
const PACKAGES_INSIDE = PACKAGES.filter((name) => !/dbd|mysql|mariadb|plugins-dev|faketime/.test(name));
const ROOTS = '/var/cache/asbb-slurm';

const INSTALL_TIMEOUT_MS = 10 * 60_000;
const POLICY = '/usr/sbin/policy-rc.d';

/** Install what is missing. Throws, naming it, where that cannot be done. */
export const installSlurm = async (): Promise<void> => {
  if (!existsSync('/etc/debian_version')) throw new Error('the tests on a real Slurm cluster need Debian (its packages and their paths)');
  if (process.getuid?.() !== 0) throw new Error('the tests on a real Slurm cluster need root: they submit as a user that they create');
  const missing = await missingPackages();
  if (missing.length === 0) return;
  console.log(`installing ${missing.join(' ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await withoutServices(async () => {
    await run('apt-get', ['update', '-qq'], { env, timeoutMs: INSTALL_TIMEOUT_MS });
    await must('apt-get', ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing], {
      env,
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
  });
};

/** The root folder of a generation, made once (a minute, 700 MB) and kept; undefined for this machine's own. */
export const rootOf = async (generation: Generation): Promise<string | undefined> => {
  if (generation === 'bookworm') return undefined;
  const root = join(ROOTS, generation);
  if (existsSync(root)) return root;
  await must('apt-get', ['install', '-y', '--no-install-recommends', 'debootstrap'], { timeoutMs: INSTALL_TIMEOUT_MS });
  console.log(`making ${root}`);
  mkdirSync(ROOTS, { recursive: true });
  const draft = `${root}.${process.pid}`;
  await must('debootstrap', ['--variant=minbase', `--include=${PACKAGES_INSIDE.join(',')}`, generation, draft, await mirror()], {
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  writeFileSync(join(draft, 'etc/hosts'), ''); // This machine's own is mounted over it.
  renameSync(draft, root);
  return root;
};

/** Where this machine's own packages come from; other generations are to be had there too. */
const mirror = async (): Promise<string> => {
  await run('apt-get', ['update', '-qq'], { timeoutMs: INSTALL_TIMEOUT_MS });
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(REPO_URI)']);
  const found = stdout.split('\n').find((uri) => /\/debian\/?$/.test(uri));
  if (found === undefined) throw new Error("this machine's apt sources name no Debian archive to take another generation's packages from");
  return found;
};

const missingPackages = async (): Promise<string[]> => {
  const { stdout } = await run('dpkg-query', ['-W', '-f', `\${db:Status-Status} \${Package}\n`, ...PACKAGES]);
  const installed = new Set(stdout.split('\n').flatMap((line) => (line.startsWith('installed ') ? [line.slice('installed '.length)] : [])));
  return PACKAGES.filter((name) => !installed.has(name));
};

/** These packages start system-wide services, which nobody asked for: Debian asks this file first. */
const withoutServices = async (install: () => Promise<void>): Promise<void> => {
  const ours = !existsSync(POLICY);
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await install();
  } finally {
    if (ours) rmSync(POLICY, { force: true });
  }
};
