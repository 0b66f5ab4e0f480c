// Events on the bus: who sends which, and what is in them.
import * as z from 'zod/mini';
import { type ReconcileBody, ReconcileRequest } from '#contract/requests';
import { MEASURES, THRESHOLDS } from '#domain/threshold';

/** One event, as somebody puts it on the bus. */
export interface BusEvent {
  readonly source: string;
  readonly detailType: string;
  readonly detail: object;
}

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
export const JobEnded = ReconcileRequest.check(
  z.refine((run) => run.run_id !== undefined, { message: 'is required in an event', path: ['run_id'] }),
);
export type RunDetail = ReconcileBody & { readonly run_id: string };

/** EventBridge's envelope, as far as it is looked at; whatever else is in it is EventBridge's affair. */
export const JobEndedEvent = z.object({
  source: z.literal(SLURM_SOURCE),
  'detail-type': z.literal(JOB_ENDED),
  detail: JobEnded,
});

/** A run for the bus. */
export const jobEnded = (detail: RunDetail): BusEvent => ({ source: SLURM_SOURCE, detailType: JOB_ENDED, detail });

/** Source of what we tell. Each event comes at least once, and each time under the same `event_id`. */
export const BUDGET_SOURCE = 'asbb';
export const HOLD_PLACED = 'Hold Placed';
export const HOLD_SETTLED = 'Hold Settled';
export const HOLD_RELEASED = 'Hold Released';
export const HOLD_EXPIRED = 'Hold Expired';
export const THRESHOLD_CROSSED = 'Budget Threshold Crossed';

/** Records of the stream that are worked off together. */
export const STREAM_BATCH_SIZE = 100;
/** How long the store is asked for one batch; a function's timeout is longer. */
export const STREAM_BUDGET_MS = 20_000;

const dollars = z.number();
const time = z.iso.datetime();

/** Detail of the four events of a hold: the hold as the API shows it after the change. */
export const HoldEventDetail = z.strictObject({
  event_id: z.string(),
  hold_id: z.string(),
  account: z.string(),
  cluster: z.string(),
  user: z.nullable(z.string()),
  partition: z.string(),
  state: z.enum(['open', 'settled', 'released', 'expired']),
  amount: dollars,
  /** What it held before the change: for a hold that is closed, what went back or was spent. */
  amount_before: dollars,
  original_amount: dollars,
  used: dollars,
  tasks: z.int(),
  tasks_ended: z.int(),
  job_id: z.nullable(z.string()),
  submitted_at: z.nullable(time),
  forced: z.boolean(),
  created_at: time,
  expires_at: time,
  closed_at: z.nullable(time),
});
export type HoldEventDetail = z.infer<typeof HoldEventDetail>;

/** Detail of `Budget Threshold Crossed`: upwards, at the account's columns after the change. */
export const ThresholdCrossedDetail = z.strictObject({
  event_id: z.string(),
  account: z.string(),
  measure: z.enum(MEASURES),
  /** Percent of the limit. */
  threshold: z.literal(THRESHOLDS),
  budget_limit: dollars,
  budget_used: dollars,
  budget_held: dollars,
  budget_available: dollars,
  at: time,
});
export type ThresholdCrossedDetail = z.infer<typeof ThresholdCrossedDetail>;
