// The whole chaos run, by hand: `npm run chaos -- SEED ...`, minutes each. Exit 1 if any of them shows a problem.

import { runChaos } from '#test/slurm/chaos';
import { planOf } from '#test/slurm/chaos-plan';

const JOBS = Number(process.env.CHAOS_JOBS ?? 500);
const DURATION_MS = Number(process.env.CHAOS_SECONDS ?? 150) * 1000;

const seeds = process.argv.slice(2).map(Number);
if (seeds.length === 0 || !seeds.every(Number.isSafeInteger)) throw new Error('name one or more seeds: whole numbers');
for (const seed of seeds) {
  const report = await runChaos(planOf(seed, { jobs: JOBS, durationMs: DURATION_MS }), console.log);
  console.log(JSON.stringify(report, null, 2));
  const count = report.withLiveJobs.problems.length + report.afterwards.problems.length;
  console.log(`seed ${seed}: ${count} problems in ${report.seconds} s`);
  if (count > 0) process.exitCode = 1;
}
