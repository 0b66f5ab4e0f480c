// `npm start` as a newcomer runs it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const started = new Set<ChildProcess>();

afterEach(() => {
  for (const { pid } of started) {
    // A group of its own, so that whatever it left is found and ended too.
    if (pid !== undefined) spawnSync('kill', ['-KILL', '--', `-${pid}`], { stdio: 'ignore' });
  }
  started.clear();
});

const start = () => {
  const child = spawn(process.execPath, ['cli/demo/start.mjs'], { cwd: ROOT, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  started.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  return { child, output };
};

/** Processes that were started with this folder of the demo's, by pid. */
const processesOf = (folder: string): string =>
  spawnSync('pgrep', ['-f', folder], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter((pid) => pid !== '' && Number(pid) !== process.pid)
    .join(' ');

const foldersOfDemo = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('asbb-start-'));

describe('npm start', () => {
  it('replays the whole trace, shows a refusal, and audits clean', async () => {
    const { child, output } = start();
    const [status] = await once(child, 'exit');
    expect(output.stderr).not.toMatch(/Warning/);
    expect(status).toBe(0);
    expect(output.stdout).toMatch(/^ACCOUNT +LIMIT +USED +HELD +AVAILABLE +JOBS +REFUSED *$/m);
    expect(output.stdout).toMatch(/^549 submissions: \d+ admitted, [1-9]\d* refused\.$/m);
    expect(output.stdout).toMatch(/^1,000 runs: \d+ settled, \d+ never ran because their submission was refused\.$/m);
    expect(output.stdout).toMatch(/^ {2}sbatch: error: asbb: account lab\d\d has \$[\d.,]+ available; this job needs \$[\d.,]+ held/m);
    expect(output.stdout).toMatch(
      /^Audit: [\d,]+ ledger entries replayed from nothing give every column of all 8 accounts, to the micro-dollar\.$/m,
    );
    expect(output.stdout).toMatch(/^ {2}as requested +\$260,972\.36 /m);
    expect(output.stdout).toMatch(/^ {2}held +\$313,166\.83 /m);
    expect(output.stdout).toMatch(/^ {2}really used +\$70,905\.56 .* 36 runs are below\n +\$70,863\.92 {2}without it$/m);
    // lab09's array: one submission and all of its 452 tasks settled at c5.18xlarge's price.
    expect(output.stdout).toMatch(/^lab09 +\$25,000\.00 +\$5,[\d.,]+ +\$0\.00 /m);
  });

  it.each(['starting the API', 'listening on', ' of 1549 events'])(
    'leaves no process and no folder behind when stopped at "%s"',
    async (moment) => {
      const before = new Set(foldersOfDemo());
      const { child, output } = start();
      const exited = once(child, 'exit');
      await expect.poll(() => output.stderr + output.stdout, { timeout: 30_000, interval: 20 }).toContain(moment);
      const mine = foldersOfDemo().filter((name) => !before.has(name));
      child.kill('SIGINT');
      const [status] = await exited;
      expect(status).toBe(130);
      expect(mine.map(processesOf).join('')).toBe('');
      expect(foldersOfDemo().filter((name) => !before.has(name))).toEqual([]);
    },
  );
});
