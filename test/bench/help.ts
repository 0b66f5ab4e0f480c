// How long `asbb --help` takes, as it is installed, against Node doing nothing.
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { medianOf, type Section } from '#test/bench/measure';

const ROOT = join(import.meta.dirname, '../..');
const RUNS = 31;

export const benchHelp = (): Section => {
  execFileSync('npm', ['run', '-s', 'build'], { cwd: ROOT, stdio: 'inherit' });
  const sides = { 'node -e 0': ['-e', '0'], 'asbb --help': ['dist/asbb.js', '--help'] };
  const times: Record<keyof typeof sides, number[]> = { 'node -e 0': [], 'asbb --help': [] };
  for (let run = 0; run < RUNS; run++) {
    for (const [side, args] of Object.entries(sides) as [keyof typeof sides, string[]][]) {
      const started = performance.now();
      const { status } = spawnSync(process.execPath, args, { cwd: ROOT, stdio: 'ignore' });
      if (status !== 0) throw new Error(`${side} ended with status ${status}`);
      times[side].push(performance.now() - started);
    }
  }
  const node = medianOf(times['node -e 0']);
  const help = medianOf(times['asbb --help']);
  return {
    title: '`asbb --help` against `node -e 0`',
    notes: [`Medians of ${RUNS} runs in turn, of the built command. Ratio: ${(help / node).toFixed(2)}; the aim is at most 3.`],
    head: ['', 'ms'],
    rows: [
      ['node -e 0', node.toFixed(0)],
      ['asbb --help', help.toFixed(0)],
    ],
  };
};
