// Debian packages that these tests need, installed once, by root.
import { execFileSync, spawnSync } from 'node:child_process';

const APT_TIMEOUT_MS = 5 * 60_000;

/** Install what is missing of these. */
export const installPackages = (...names: readonly string[]): void => {
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', `\${Package} \${db:Status-Status}\n`, ...names], { encoding: 'utf8' });
  const missing = names.filter((name) => !stdout.includes(`${name} installed`));
  if (missing.length === 0) return;
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: APT_TIMEOUT_MS, stdio: 'pipe' } as const;
  spawnSync('apt-get', ['update', '-qq'], options);
  execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...missing], options);
};
