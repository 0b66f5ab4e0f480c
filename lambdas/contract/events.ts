// Events on the bus: who sends which. What is in them is in event-shapes.ts, apart, so that who only sends makes no shape.
import type { ReconcileBody } from '#contract/requests';

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

/** Detail of a `Slurm Job Ended`, as its sender writes it. */
export type RunDetail = ReconcileBody & { readonly run_id: string };

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
