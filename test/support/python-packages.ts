// Programs from PyPI that a test asks: each set in an environment of its own outside of the checkout, made once.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * @param packages with exact versions; the first names the environment
 * @returns its folder of programs, or undefined: there is no Python with pip, or nowhere to get the packages from
 */
export const pythonPrograms = (packages: readonly [string, ...string[]]): string | undefined => {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'asbb', packages.join('+'));
  const programs = join(folder, 'bin');
  const isWhole = join(folder, 'installed');
  if (existsSync(isWhole)) return programs;
  mkdirSync(join(folder, '..'), { recursive: true });
  const steps: readonly [string, readonly string[]][] = [
    ['python3', ['-m', 'venv', folder]],
    [join(programs, 'pip'), ['install', '--quiet', ...packages]],
    // Last, so that what was interrupted is made anew.
    ['touch', [isWhole]],
  ];
  if (steps.every(([command, args]) => spawnSync(command, args, { stdio: 'ignore' }).status === 0)) return programs;
  rmSync(folder, { recursive: true, force: true });
  return undefined;
};
