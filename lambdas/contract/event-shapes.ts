// What is in the events of events.ts.
import * as z from 'zod/mini';
import { JOB_ENDED, SLURM_SOURCE } from '#contract/events';
import { ReconcileRequest } from '#contract/requests';
import { MEASURES, THRESHOLDS } from '#domain/threshold';

/**
 * Detail of a `Slurm Job Ended`: a run and its hold or job. The bus delivers at least once, so the run has a name: without one,
 * nobody could tell the second delivery of a run from the first of another. Its sender names the hold where he knows it: a job
 * may be bound to another hold by the time that its event comes.
 */
export const JobEnded = ReconcileRequest.check(
  z.refine((run) => run.run_id !== undefined, { message: 'is required in an event', path: ['run_id'] }),
);

/** EventBridge's envelope, as far as it is looked at; whatever else is in it is EventBridge's affair. */
export const JobEndedEvent = z.object({
  source: z.literal(SLURM_SOURCE),
  'detail-type': z.literal(JOB_ENDED),
  detail: JobEnded,
});

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
