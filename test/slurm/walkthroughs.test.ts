// The administrator's pages, done as they say on one real cluster, in the order in which a site goes: from a Slurm without asbb
// to shadow mode, to enforcement, and back.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLUSTER_NAME } from '#test/slurm/cluster';
import { type HeadNode, startHeadNode } from '#test/slurm/head-node';
import { eventually } from '#test/slurm/shell';
import { idOf } from '#test/slurm/testbed';
import { buildAsbb, ROOT, walkPage } from '#test/walkthroughs/walk';

const SETUP_TIMEOUT_MS = 15 * 60_000; // Packages may have to be installed.
const PAGE_TIMEOUT_MS = 3 * 60_000;
/** Blocks that a page only shows, with its reason beside each. */
const PAGES = [
  { page: 'shadow.md', notRun: 0, withinMs: 30 * 60_000 },
  { page: 'adopt.md', notRun: 0, withinMs: PAGE_TIMEOUT_MS },
  { page: 'enforce.md', notRun: 0, withinMs: PAGE_TIMEOUT_MS },
  { page: 'rollback.md', notRun: 1, withinMs: 60_000 },
  { page: 'on-premises.md', notRun: 2, withinMs: PAGE_TIMEOUT_MS },
  { page: 'parallelcluster.md', notRun: 4, withinMs: PAGE_TIMEOUT_MS },
] as const;

let built: Awaited<ReturnType<typeof buildAsbb>>;
let node: HeadNode;

beforeAll(async () => {
  built = await buildAsbb();
  node = await startHeadNode(built.asbb);
  mkdirSync(join(node.cluster.folder, 'man'));
  for (const partition of ['aws', 'cpu', 'gpu']) await node.budget.api.request('deletePartition', { path: { partition } });
  await submitBeforehand();
}, SETUP_TIMEOUT_MS);

afterAll(async () => {
  await node?.stop();
  built?.remove();
}, 60_000);

/** What runs, and waits, before asbb comes: adopt.md speaks of it. */
const submitBeforehand = async (): Promise<void> => {
  const sbatch = (...args: string[]) => node.cluster.run('sbatch', [...args, '--mem=1G']);
  const running = idOf(await sbatch('-A', 'physics', '-p', 'aws', '-N1', '-t', '2:00:00', '-J', 'wing', '--wrap', 'sleep 900'));
  idOf(await sbatch('-A', 'chem', '-p', 'aws', '-N2', '-t', '1:00:00', '-J', 'dock', '--wrap', 'true'));
  idOf(await sbatch('-A', 'nobudget', '-p', 'aws', '-N1', '-t', '1:00:00', '-J', 'toy', '--hold', '--wrap', 'true'));
  idOf(await sbatch('-A', 'physics', '-p', 'local', '-N1', '-t', '1:00:00', '-J', 'prep', '--wrap', 'sleep 900'));
  await eventually('the first job runs', async () => (await node.cluster.asRoot('squeue', ['-h', '-j', running, '-t', 'R'])).stdout !== '');
};

describe('an administrator who does what the page says sees what it shows', () => {
  it.each(PAGES)(
    '$page',
    async ({ page, notRun, withinMs }) => {
      const took: string[] = [];
      const began = Date.now();
      const walked = await walkPage(join(ROOT, 'docs/walkthroughs', page), {
        ...node.walk,
        onCommand: (typed, ms) => took.push(`${(ms / 1000).toFixed(1).padStart(6)} s  ${typed.split('\n')[0]}`),
      });
      const ms = Date.now() - began;
      console.log(`${page}: ${walked.commands} commands in ${(ms / 1000).toFixed(1)} s\n${took.join('\n')}`);
      expect(walked.notRun.slice(notRun)).toEqual([]);
      expect(ms).toBeLessThan(withinMs);
    },
    PAGE_TIMEOUT_MS,
  );

  it('outside AWS, plugin and agent signed with credentials of their own, and the plugin took new ones while it ran', () => {
    const tokens = (path: string): string[] =>
      node.proxy.seen.filter((seen) => seen.path === path).map(({ headers }) => String(headers['x-amz-security-token'] ?? 'none'));
    const ofPlugin = tokens('/api/v1/budget/check').filter((token) => token.startsWith('update-'));
    expect(new Set(ofPlugin).size).toBeGreaterThanOrEqual(2);
    expect(tokens(`/api/v1/clusters/${CLUSTER_NAME}`).at(-1)).toMatch(/^process-/);
  });
});
