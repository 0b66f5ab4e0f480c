// One seed of the chaos run, small enough for every day. The whole of it, and other seeds: `npm run chaos -- SEED ...`.
import { expect, it } from 'vitest';
import { runChaos } from '#test/slurm/chaos';
import { planOf } from '#test/slurm/chaos-plan';

const SEED = Number(process.env.ASBB_CHAOS_SEED ?? 4);
const SMALL = { jobs: 120, durationMs: 45_000 };
const TIMEOUT_MS = 15 * 60_000; // Packages may have to be installed.

it(
  'after slurmctld, slurmdbd, the agent, the API and its store were killed in turn, every run is charged once and nothing else is held',
  async () => {
    const report = await runChaos(planOf(SEED, SMALL), console.log);
    console.log(JSON.stringify(report, null, 2));
    expect(report.withLiveJobs.problems).toEqual([]);
    expect(report.afterwards.problems).toEqual([]);
    // Else nothing was shown.
    expect(report.afterwards.figures['runs charged']).toBeGreaterThan(10);
  },
  TIMEOUT_MS,
);

it('draws the same plan from the same seed, and another from another', () => {
  expect(planOf(SEED, SMALL)).toEqual(planOf(SEED, SMALL));
  expect(planOf(SEED + 1, SMALL).submissions).not.toEqual(planOf(SEED, SMALL).submissions);
});
