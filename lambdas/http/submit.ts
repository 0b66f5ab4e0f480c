// What the plugin asks while a user waits at sbatch: kept apart, so that its function stays small and warm.
import { adjustHold } from '#app/adjust-hold';
import { placeHold } from '#app/place-hold';
import { quoteJob } from '#app/quote-job';
import { readJobLinkOrThrow } from '#app/read';
import type { Verdict } from '#app/verdict';
import { compact } from '#contract/compact';
import { AdjustRequest, CheckRequest, HoldPath, JobPath, QuoteRequest } from '#contract/job-requests';
import { VERSION } from '#contract/version';
import { verdictAnswer } from '#http/answers';
import { type Answer, ok, type RoutesOf, route } from '#http/route';
import { toAdjustment, toJob, toQuotedJob } from '#http/to-domain';

// GET /health is shallow: it says that somebody is here, not that the table is.
const health = route({}, async (_, { clock }) => ok({ status: 'ok', version: VERSION, time: new Date(clock.now()).toISOString() }));

const quoteBudget = route({ body: QuoteRequest }, async ({ body }, world) =>
  answerOf(await quoteJob(world, toQuotedJob(body), body.job_script)),
);

// The caller chooses hold_id, so a plugin that timed out can safely ask again.
const checkBudget = route({ body: CheckRequest }, async ({ body }, world) =>
  answerOf(await placeHold(world, { job: toJob(body, world.settings), holdId: body.hold_id, ...compact({ jobScript: body.job_script }) })),
);

const adjustHoldRoute = route({ path: HoldPath, body: AdjustRequest }, async ({ path, body }, world) =>
  answerOf(await adjustHold(world, { holdId: path.hold_id, adjustment: toAdjustment(body), mode: modeOf(body) })),
);

// The plugin knows a job by its id only; bind has written where its hold is.
const adjustJobRoute = route({ path: JobPath, body: AdjustRequest }, async ({ path, body }, world) => {
  const adjustment = toAdjustment(body);
  const { holdId } = await readJobLinkOrThrow(world.store, { cluster: path.cluster, jobId: path.job_id });
  return answerOf(await adjustHold(world, { holdId, adjustment, mode: modeOf(body) }));
});

const answerOf = (verdict: Verdict): Answer => ({
  ...ok(verdictAnswer(verdict)),
  verdict: { code: verdict.refusal?.code ?? null, priceSource: verdict.estimate.source },
});

const modeOf = ({ raise_only }: { raise_only: boolean }) => (raise_only ? 'raise-only' : 'absolute');

export const submitRoutes: RoutesOf<'submit'> = {
  health,
  quoteBudget,
  checkBudget,
  adjustHold: adjustHoldRoute,
  adjustJob: adjustJobRoute,
};
