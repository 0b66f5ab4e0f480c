// Events on the bus: who sends which, and what is in those that we take.
import * as z from 'zod';
import { type ReconcileBody, ReconcileRequest } from '#contract/requests';

/** Source of what a cluster tells us. */
export const SLURM_SOURCE = 'asbb.slurm';
export const JOB_ENDED = 'Slurm Job Ended';

/** Messages that are worked off together. */
export const JOB_ENDED_BATCH_SIZE = 10;
/**
 * How long one batch may take. No record is begun after it, so a function's timeout is longer, and the time for which the
 * queue hides a message is a multiple of that.
 */
export const JOB_ENDED_BUDGET_MS = 25_000;
/** What failed so often is a matter for a person. */
export const JOB_ENDED_MAX_RECEIVES = 5;

/**
 * Detail of a `Slurm Job Ended`: a run and its hold or job. The bus delivers at least once, so the run has a name: without one,
 * nobody could tell the second delivery of a run from the first of another. Its sender names the hold where he knows it: a job
 * may be bound to another hold by the time that its event comes.
 */
export const JobEnded = ReconcileRequest.refine((run) => run.run_id !== undefined, {
  message: 'is required in an event',
  path: ['run_id'],
});
export type RunDetail = ReconcileBody & { readonly run_id: string };

/** EventBridge's envelope, as far as it is looked at; whatever else is in it is EventBridge's affair. */
export const JobEndedEvent = z.object({
  source: z.literal(SLURM_SOURCE),
  'detail-type': z.literal(JOB_ENDED),
  detail: JobEnded,
});
