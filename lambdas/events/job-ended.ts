// Ended runs from the bus: rule -> SQS -> this -> settle. In `asbb local` the same, from a queue in the process.
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import type { Clock, Services } from '#app/ports';
import { settleRuns } from '#app/settle-runs';
import { JobEndedEvent } from '#contract/event-shapes';
import { JOB_ENDED_BUDGET_MS } from '#contract/events';
import { id } from '#contract/fields';
import { parsed, parsedJson } from '#contract/parse';
import type { ReconcileFields } from '#contract/requests';
import { toSettling } from '#contract/run-report';
import { BudgetError, ERROR_STATUS, type ErrorCode } from '#domain/errors';
import type { Instant } from '#domain/ledger';

/** Holds that are worked side by side. Those of one account conflict with each other, so more at once would only wait. */
const HOLDS_AT_ONCE = 4;
const OPERATION = 'jobEnded';

/**
 * Book the ended runs of a batch. Every record stands alone: what failed is named, and only that is delivered again.
 *
 * A record that cannot be booked fails whatever the reason. What passes by itself (contention, a table that is away) is mended
 * by the next delivery. What does not (a field that cannot be read, a run that is booked at another cost, a hold that nobody
 * knows) fails again at each delivery, and after the last one SQS puts it in the dead-letter queue. To acknowledge it instead
 * would lose a cost that AWS has charged. There it waits for a person, and may well be booked in the end: an account is
 * created, a job is bound, a price is set, and the queue is redriven.
 */
export const settleEndedJobs = async (services: Services, clock: Pick<Clock, 'now'>, batch: SQSEvent): Promise<SQSBatchResponse> => {
  const arrivedAt = clock.now();
  const failed = new Set<string>();
  const queues = byHold(batch.Records.map(read));
  const workOff = async (): Promise<void> => {
    for (let queue = queues.shift(); queue !== undefined; queue = queues.shift()) {
      // One after the other: runs of one hold at once would only meet each other, and try again.
      for (const delivery of queue) if (!(await isBooked(services, delivery, arrivedAt))) failed.add(delivery.messageId);
    }
  };
  await Promise.all(Array.from({ length: HOLDS_AT_ONCE }, workOff));
  return { batchItemFailures: [...failed].map((messageId) => ({ itemIdentifier: messageId })) };
};

/** What SQS delivered: a run, or why it is none. */
interface Delivery {
  readonly messageId: string;
  /** For people who look for it: its run and hold, as far as they can be read. */
  readonly name: string;
  readonly run: ReconcileFields | BudgetError;
}

const read = ({ messageId, body }: SQSRecord): Delivery => {
  let name = `message ${messageId}`;
  try {
    const event = parsedJson(Buffer.from(body));
    name = nameOf(event.detail) ?? name;
    return { messageId, name, run: parsed(JobEndedEvent, event).detail };
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    return { messageId, name, run: error };
  }
};

const NAME = id(128);

/** Ids only, and no text: this goes to a log. */
const nameOf = (detail: unknown): string | undefined => {
  if (typeof detail !== 'object' || detail === null) return undefined;
  const { run_id, hold_id, transaction_id, job_id } = detail as Record<string, unknown>;
  const named = [
    ['run', run_id],
    ['hold', hold_id ?? transaction_id],
    ['job', job_id],
  ].flatMap(([what, value]) => (NAME.safeParse(value).success ? [`${what} ${value}`] : []));
  return named.length === 0 ? undefined : named.join(' of ');
};

const byHold = (deliveries: readonly Delivery[]): Delivery[][] => {
  const queues = new Map<string, Delivery[]>();
  for (const delivery of deliveries) {
    const key = holdOf(delivery);
    queues.set(key, [...(queues.get(key) ?? []), delivery]);
  }
  return [...queues.values()];
};

const holdOf = ({ messageId, run }: Delivery): string => {
  if (run instanceof BudgetError) return `message ${messageId}`;
  return run.hold_id ?? run.transaction_id ?? `job ${run.cluster ?? ''} ${run.job_id ?? ''}`;
};

const isBooked = async (services: Services, { messageId, name, run }: Delivery, arrivedAt: Instant): Promise<boolean> => {
  const { telemetry } = services;
  const answered = { operation: OPERATION, arrivedAt, requestId: messageId };
  try {
    if (run instanceof BudgetError) throw run;
    const world = services.world(arrivedAt + JOB_ENDED_BUDGET_MS);
    await settleRuns(world, toSettling(run, world.settings.defaultCluster));
    telemetry.answered({ ...answered, status: 200, code: null });
    return true;
  } catch (error) {
    const code = error instanceof BudgetError ? error.code : 'internal_error';
    telemetry.failed({ operation: OPERATION, requestId: messageId, error: notBooked(name, code, error) });
    telemetry.answered({ ...answered, status: ERROR_STATUS[code], code });
    return false;
  }
};

/** Codes of what passes by itself, and of bugs: a later version may book it. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'account_contended',
  'service_unavailable',
  'deadline_passed',
  'internal_error',
]);

/** A refusal stays one: its sentence says all. Of a bug, the cause has the way to it. */
const notBooked = (name: string, code: ErrorCode, cause: unknown): Error => {
  const problem = cause instanceof Error ? cause.message : String(cause);
  const outlook = PASSING.has(code) ? 'it is tried again' : 'unless somebody mends that, it ends in the dead-letter queue';
  const sentence = `${name} is not booked: ${problem} (${code}); ${outlook}`;
  return cause instanceof BudgetError ? new BudgetError(code, sentence, cause.details, { cause }) : new Error(sentence, { cause });
};
