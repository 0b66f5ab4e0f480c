import { contended, holdBooking, holdEntry, notBefore } from '#app/book';
import { checkPatience } from '#app/patience';
import type { World } from '#app/ports';
import { pricingOf } from '#app/price-partitions';
import { accountNotFound, readAccountOrThrow, readSpecOf } from '#app/read';
import { admitted, lessHold, refusalOf, refused, specOf, standing, type Verdict } from '#app/verdict';
import { type Account, dateOf, unwillingness } from '#domain/account';
import { BudgetError } from '#domain/errors';
import { type Hold, requireOpen } from '#domain/hold';
import { canonicalJob, type Job, tasksOf } from '#domain/job';
import { holdMore, type Instant } from '#domain/ledger';
import { type Pricing, type Quote, quoteOf, termsOf } from '#domain/quote';

export interface PlaceRequest {
  readonly job: Job;
  /** Chosen by the caller, so that asking again cannot hold twice. Undefined: one is made. */
  readonly holdId: string | undefined;
  /** For the advisor only: it is no part of the job, which is kept. */
  readonly jobScript?: string;
}

/**
 * Hold the money for a job, in one atomic write, or say why not and what would fit.
 *
 * Warm, it costs one consistent read and one transaction; a refusal writes nothing. Whatever stands in the way, a hold that
 * this id already has is looked at first: the retry of a request whose answer was lost must not be told "no money left"
 * because its own hold took it.
 * @throws BudgetError hold_conflict and hold_closed for an id that was used; account_not_found, partition_not_found,
 *   no_price, no_wall_time, does_not_fit; account_contended, deadline_passed, service_unavailable
 */
export const placeHold = async (world: World, request: PlaceRequest): Promise<Verdict> => {
  const account = await world.store.readAccount(request.job.account);
  const attempt = await tryToPlace(world, request, account).catch((error: unknown) => {
    if (error instanceof BudgetError && EXPLAINED_BY_AN_EARLIER_HOLD.has(error.code)) return error;
    throw error;
  });
  if (!(attempt instanceof BudgetError) && attempt.decision === 'admitted') return attempt;
  const earlier = request.holdId === undefined ? undefined : await world.store.readHold(request.holdId);
  if (earlier !== undefined) return repeated(world, request, earlier);
  if (attempt instanceof BudgetError) throw attempt;
  return attempt;
};

/** The model, the prices or the account may have changed since the first request: its hold stands all the same. */
const EXPLAINED_BY_AN_EARLIER_HOLD: ReadonlySet<string> = new Set([
  'account_not_found',
  'partition_not_found',
  'no_price',
  'no_wall_time',
  'does_not_fit',
]);

const tryToPlace = async (world: World, request: PlaceRequest, account: Account | undefined): Promise<Verdict> => {
  const { job, holdId, jobScript } = request;
  if (account === undefined) throw accountNotFound(job.account);
  const pricing = await pricingOf(world, job, { patience: checkPatience(world.clock), jobScript });
  const quote = quoteOf(pricing, job);
  const asked = { account, job, pricing, quote };
  const code = refusalOf(world, account, quote);
  if (code !== undefined) return refused(code, asked);

  const at = notBefore(world, account);
  const hold = newHold(world, { job, holdId: holdId ?? world.ids.holdId(), pricing, quote, at });
  const movement = holdMore(hold.amount);
  const booking = holdBooking(undefined, hold, [holdEntry(world, hold, { type: 'hold', amount: hold.amount, movement, at })], at);
  const today = dateOf(world.clock.now());
  const outcome = await world.store.commit({
    ...booking,
    accounts: booking.accounts.map((change) => ({ ...change, require: { kind: 'demand', today } })),
    hold: { after: hold, spec: specOf(job, quote) },
  });
  if (outcome.booked) return admitted({ account: lessHold(account, hold.amount), pricing, quote, hold });

  // The hold before the money: if this id holds already, then its own hold may be what the account lacks.
  const existing = outcome.refusal.hold?.stored;
  if (existing) return repeated(world, request, existing);
  const [failed] = outcome.refusal.accounts;
  // Neither hold nor account: an entry's id was taken. Nothing is wrong with the request, so it must not be told that.
  if (failed === undefined) throw contended();
  if (failed.stored === null) throw accountNotFound(job.account);
  const { stored } = failed;
  return refused(unwillingness(stored, { amount: hold.amount, today }) ?? 'insufficient_budget', { ...asked, account: stored });
};

/** The same request again gets the stored answer; anything else under a used id is a conflict. */
const repeated = async (world: World, { job }: PlaceRequest, hold: Hold): Promise<Verdict> => {
  if (hold.fingerprint !== world.ids.sha256(canonicalJob(job))) {
    throw new BudgetError('hold_conflict', `hold_id ${hold.holdId} was used for another request: make a new one for each job`, {
      hold_id: hold.holdId,
    });
  }
  requireOpen(hold);
  const [account, spec] = await Promise.all([readAccountOrThrow(world.store, hold.account), readSpecOf(world.store, hold)]);
  return standing({ account, hold, spec });
};

/** A hold that is not yet written. Also the start of a forced one. */
export const newHold = (
  world: World,
  { job, holdId, pricing, quote, at }: { job: Job; holdId: string; pricing: Pricing; quote: Quote; at: Instant },
): Hold => ({
  holdId,
  account: job.account,
  cluster: job.cluster,
  user: job.user ?? null,
  partition: job.partitions.join(','),
  state: 'open',
  amount: quote.holdAmount,
  originalAmount: quote.holdAmount,
  used: 0n,
  tasks: tasksOf(job),
  tasksEnded: 0,
  jobId: null,
  submittedAt: null,
  forced: false,
  createdAt: at,
  expiresAt: at + quote.estimate.wallTimeSeconds * 1000 + world.settings.reconciliationTimeoutMs,
  closedAt: null,
  fingerprint: world.ids.sha256(canonicalJob(job)),
  terms: termsOf(pricing, quote),
  priced: { estimate: quote.estimate.amount, estimateLeft: quote.estimate.amount, held: quote.holdAmount },
  version: 1,
});
