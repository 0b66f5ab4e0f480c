import type { Asking } from '#app/ask-advisor';
import { replaceableLink, requireCluster } from '#app/bind-hold';
import { CHANGED, holdBooking, holdEntry, notBefore, untilBooked } from '#app/book';
import { quotePatience } from '#app/patience';
import { newHold } from '#app/place-hold';
import type { World } from '#app/ports';
import { pricingOf } from '#app/price-partitions';
import { readAccountOrThrow } from '#app/read';
import { specOf } from '#app/verdict';
import { BudgetError } from '#domain/errors';
import { bind, type Hold, requireOpen } from '#domain/hold';
import type { Job } from '#domain/job';
import { holdMore, type Instant } from '#domain/ledger';
import { MAX_AMOUNT_MICRO_USD } from '#domain/money';
import { quoteOf } from '#domain/quote';

export interface ForceRequest {
  readonly holdId: string;
  readonly job: Job;
  readonly jobId?: string;
  readonly submittedAt?: Instant;
  readonly reason: string;
  /** For the advisor only. */
  readonly jobScript?: string;
}

/**
 * Hold money for a job that already exists and so cannot be refused: the account may go below zero, and then admits nothing
 * more. An open hold of this id is marked forced and bound, whatever its request was.
 * @throws BudgetError hold_closed, hold_conflict, cluster_conflict; account_not_found, partition_not_found, no_price,
 *   no_wall_time, does_not_fit; never for money, status or dates
 */
export const forceHold = (world: World, request: ForceRequest): Promise<Hold> => {
  const asking = { patience: quotePatience(world.clock), jobScript: request.jobScript };
  return untilBooked(world, async () => {
    const existing = await world.store.readHold(request.holdId);
    return existing === undefined ? placeForced(world, request, asking) : markForced(world, request, existing);
  });
};

const placeForced = async (world: World, request: ForceRequest, asking: Asking): Promise<Hold | typeof CHANGED> => {
  const { job, holdId } = request;
  const account = await readAccountOrThrow(world.store, job.account);
  const pricing = await pricingOf(world, job, asking);
  const quote = quoteOf(pricing, job);
  if (quote.holdAmount > MAX_AMOUNT_MICRO_USD)
    throw new BudgetError('does_not_fit', 'the job costs more than can be held at all', { partition: quote.estimate.partition });
  const at = notBefore(world, account);
  const hold = { ...bound(newHold(world, { job, holdId, pricing, quote, at }), request), forced: true };
  const movement = holdMore(hold.amount);
  const entry = holdEntry(world, hold, { type: 'forced_hold', amount: hold.amount, movement, at, note: request.reason });
  const outcome = await world.store.commit({
    ...holdBooking(undefined, hold, [entry], at),
    hold: { after: hold, spec: specOf(job, quote) },
    ...(await linkOf(world, hold)),
  });
  return outcome.booked ? hold : CHANGED;
};

const markForced = async (world: World, request: ForceRequest, hold: Hold): Promise<Hold | typeof CHANGED> => {
  requireCluster(requireOpen(hold), request.job.cluster);
  const after = { ...bound(hold, request), forced: true };
  if (hold.forced && after.jobId === hold.jobId && after.submittedAt === hold.submittedAt) return hold;
  const booking = { ...holdBooking(hold, after, [], world.clock.now()), ...(await linkOf(world, after)) };
  return (await world.store.commit(booking)).booked ? booking.hold.after : CHANGED;
};

/** Without a submission time the hold's own birth stands for it: later than any submission that it could be for. */
const bound = (hold: Hold, { jobId, submittedAt }: ForceRequest): Hold =>
  jobId === undefined ? hold : (bind(hold, { jobId, submittedAt: submittedAt ?? hold.submittedAt ?? hold.createdAt })?.hold ?? hold);

const linkOf = async (world: World, hold: Hold) => {
  if (hold.jobId === null || hold.submittedAt === null) return {};
  const link = { cluster: hold.cluster, jobId: hold.jobId, submittedAt: hold.submittedAt, holdId: hold.holdId };
  return { jobLink: { link, ...(await replaceableLink(world, link)) } };
};
