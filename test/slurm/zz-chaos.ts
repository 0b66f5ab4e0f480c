import { runChaos } from '#test/slurm/chaos';
import { planOf } from '#test/slurm/chaos-plan';

const plan = planOf(4, { jobs: 120, durationMs: 45_000 });
const kills = plan.kills.map((k) => (k.victim === 'dynamodb' ? { ...k, downMs: 3500 } : k));
const report = await runChaos({ ...plan, kills }, console.log);
console.log(
  JSON.stringify(report.withLiveJobs.problems),
  JSON.stringify(report.afterwards.problems),
  JSON.stringify(report.afterwards.figures),
);
process.exitCode = report.withLiveJobs.problems.length;
