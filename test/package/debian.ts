// Debian packages that these tests need, installed once, by root.
import { execFileSync, spawnSync } from 'node:child_process';

const APT_TIMEOUT_MS = 5 * 60_000;
/** Of the files that run beside each other, one asks apt at a time: apt's own lock of its lists fails instead of waiting. */
const LOCK = import.meta.filename;
const INSTALL = 'apt-get update -qq; exec apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"';

/** Install what is missing of these. */
export const installPackages = (...names: readonly string[]): void => {
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', `\${Package} \${db:Status-Status}\n`, ...names], { encoding: 'utf8' });
  const isThere = new Set(stdout.split('\n'));
  const missing = names.filter((name) => !isThere.has(`${name} installed`));
  if (missing.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('flock', [LOCK, 'sh', '-c', INSTALL, 'sh', ...missing], { env, timeout: APT_TIMEOUT_MS, stdio: 'pipe' });
};
