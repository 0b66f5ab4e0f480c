import { spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

it.each([['version'], ['--help'], ['completion', 'bash']])('a disk that is full is told, and exits 1: asbb %s', (...words) => {
  const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', 'cli/asbb.ts', ...words], {
    cwd: ROOT,
    stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 1, stderr: 'asbb: cannot write the output: no space left on the device\n' });
});
