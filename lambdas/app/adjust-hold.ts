import type { Asking } from '#app/ask-advisor';
import { CHANGED, holdBooking, holdEntry, notBefore, untilBooked } from '#app/book';
import { checkPatience } from '#app/patience';
import type { AccountChange, Booking, World } from '#app/ports';
import { type JobPricing, pricingOf } from '#app/price-partitions';
import { accountNotFound, readAccountOrThrow, readHoldOrThrow, readSpecOf } from '#app/read';
import { admitted, refusalOf, refused, specOf, standing, type Verdict } from '#app/verdict';
import { type Account, dateOf, unwillingness } from '#domain/account';
import { invalid } from '#domain/errors';
import { type Hold, reprice, requireOpen, unconfirmedOf } from '#domain/hold';
import type { Job } from '#domain/job';
import { holdMore, type Instant } from '#domain/ledger';
import { MAX_AMOUNT_MICRO_USD, type MicroUsd, maxBigint } from '#domain/money';
import { type Pricing, type Quote, quoteOf, termsOf } from '#domain/quote';

/** New absolute values; absent ones stay. */
export interface Adjustment {
  readonly wallTimeSeconds?: number;
  readonly nodes?: number;
  readonly cpus?: number;
  readonly gpus?: number;
  readonly memoryMib?: number;
  readonly memoryPerCpuMib?: number;
  readonly account?: string;
  readonly partitions?: readonly string[];
  readonly tasks?: number;
}

export interface AdjustRequest {
  readonly holdId: string;
  readonly adjustment: Adjustment;
  /** Ignore values below the stored ones: Slurm may still refuse the change, and the job would be underfunded. */
  readonly mode: 'absolute' | 'raise-only';
}

/**
 * Hold more, or less, because the job was changed. All or nothing: a raise that the account cannot pay changes nothing, unless
 * the hold is forced and the change has been made: then the account may go below zero, as when the hold was placed.
 * Prices stay as locked, except of partitions that the hold did not price.
 * @throws BudgetError hold_not_found, hold_closed, account_not_found, partition_not_found, no_price, no_wall_time,
 *   does_not_fit, validation_failed
 */
export const adjustHold = (world: World, request: AdjustRequest): Promise<Verdict> => {
  const asking = { patience: checkPatience(world.clock) };
  return untilBooked(world, async () => {
    const hold = requireOpen(await readHoldOrThrow(world.store, request.holdId));
    const spec = await readSpecOf(world.store, hold);
    const tasks = tasksAfter(hold, request);
    const job = jobAfter(spec.job, hold, request);
    const account = await readAccountOrThrow(world.store, job.account);
    if (job === spec.job && tasks === hold.tasks) return standing({ account, hold, spec });

    const pricing = await pricingAfter(world, hold, { before: spec.job, job, asking });
    const whole = quoteOf(pricing, job, tasks - hold.tasksEnded);
    const isRaise = request.mode === 'raise-only' && job.account === hold.account;
    const amount = isRaise ? maxBigint(whole.holdAmount, hold.amount) : whole.holdAmount;
    const estimate = isRaise ? maxBigint(whole.estimate.amount, hold.priced?.estimateLeft ?? 0n) : whole.estimate.amount;
    const quote = { ...whole, holdAmount: amount };
    const more = job.account === hold.account ? amount - hold.amount : amount;
    const asked = { account, job, pricing, quote, more };
    // The agent has seen the change in Slurm: a forced hold follows its job, as it was placed, whatever the account says.
    const isFact = hold.forced && request.mode === 'absolute' && amount <= MAX_AMOUNT_MICRO_USD;
    const demands = more > 0n && !isFact;
    const code = demands ? refusalOf(world, account, quote, more) : undefined;
    if (code !== undefined) return refused(code, asked);

    const after = adjusted(world, hold, { job, tasks, pricing, quote, estimate });
    const booking = bookingOf(world, { before: hold, after, more }, demands ? 'demand' : 'fact');
    const outcome = await world.store.commit({ ...booking, hold: { ...booking.hold, spec: specOf(job, quote) } });
    if (outcome.booked) return admitted({ account: afterMore(account, hold, after, more), pricing, quote, hold: after });
    return outcome.refusal.hold === undefined ? refusedByStore(world, outcome.refusal.accounts, asked) : CHANGED;
  });
};

/** The job's fields as they will be; the very same object when nothing changes. */
const jobAfter = (job: Job, hold: Hold, { adjustment, mode }: AdjustRequest): Job => {
  const { wallTimeSeconds, nodes, cpus, gpus, memoryMib, memoryPerCpuMib, account, partitions } = adjustment;
  // What the user did not say was priced as something all the same, and a raise is above that.
  const priced = { wallTimeSeconds: hold.terms.wallTimeSeconds, nodes: hold.terms.nodes };
  const sizes = { wallTimeSeconds, nodes, cpus, gpus, memoryMib, memoryPerCpuMib };
  const changed = Object.entries(sizes).filter(([name, value]) => {
    if (value === undefined) return false;
    const stored = job[name as keyof typeof sizes] ?? priced[name as keyof typeof priced];
    return stored === undefined || (mode === 'raise-only' ? value > stored : value !== stored);
  });
  const words = {
    ...(account === undefined || account === job.account ? {} : { account }),
    ...(partitions === undefined || partitions.join() === job.partitions.join() ? {} : { partitions }),
  };
  if (changed.length === 0 && Object.keys(words).length === 0) return job;
  return leastWithinMost({ ...job, ...Object.fromEntries(changed), ...words });
};

/** sbatch sends `--nodes=8` as 8 to 8, and a change names the most alone: then the least follows it down. */
const leastWithinMost = (job: Job): Job =>
  job.minNodes !== undefined && job.nodes !== undefined && job.minNodes > job.nodes ? { ...job, minNodes: job.nodes } : job;

const tasksAfter = (hold: Hold, { adjustment, mode }: AdjustRequest): number => {
  const { tasks } = adjustment;
  if (tasks === undefined || (mode === 'raise-only' && tasks <= hold.tasks)) return hold.tasks;
  if (tasks <= hold.tasksEnded) throw invalid('tasks', `${hold.tasksEnded} tasks have ended already: settle or release the hold instead`);
  return tasks;
};

/**
 * Locked prices for the partitions that were priced when the hold was placed; others are priced as of today. A job that named
 * no wall time was given the one that was priced, and keeps it wherever it moves.
 */
const pricingAfter = async (
  world: World,
  hold: Hold,
  { before, job, asking }: { before: Job; job: Job; asking: Asking },
): Promise<JobPricing> => {
  const { rates, wallTimeSeconds } = hold.terms;
  const locked = rates.map((rate) => ({ rate, defaultWallTimeSeconds: wallTimeSeconds }));
  if (before.partitions.join() === job.partitions.join()) return { partitions: locked, holdFactor: world.settings.holdFactor };
  const today = await pricingOf(world, { wallTimeSeconds, ...job }, asking);
  const partitions = today.partitions.map(
    (priced) =>
      locked.find((each) => each.rate.partition === priced.rate.partition) ?? { ...priced, defaultWallTimeSeconds: wallTimeSeconds },
  );
  return { ...today, partitions };
};

const adjusted = (world: World, hold: Hold, to: { job: Job; tasks: number; pricing: Pricing; quote: Quote; estimate: MicroUsd }): Hold => {
  const { hold: repriced } = reprice(hold, { amount: to.quote.holdAmount, estimate: to.estimate });
  const runsUntil = world.clock.now() + to.quote.estimate.wallTimeSeconds * 1000 + world.settings.reconciliationTimeoutMs;
  return {
    ...repriced,
    account: to.job.account,
    partition: to.job.partitions.join(','),
    tasks: to.tasks,
    terms: termsOf(to.pricing, to.quote),
    expiresAt: Math.max(hold.expiresAt, runsUntil),
  };
};

/** Within one account the difference moves; to another account the whole hold does, in one transaction. */
const bookingOf = (
  world: World,
  { before, after, more }: { before: Hold; after: Hold; more: MicroUsd },
  kind: 'demand' | 'fact',
): Booking & { hold: { after: Hold } } => {
  const at = notBefore(world, before);
  const require: AccountChange['require'] = kind === 'demand' ? { kind, today: dateOf(at) } : { kind };
  const entryOf = (hold: Hold, amount: MicroUsd) => holdEntry(world, hold, { type: 'adjust', amount, movement: holdMore(amount), at });
  if (after.account === before.account) {
    const booking = holdBooking(before, after, more === 0n ? [] : [entryOf(after, more)], at);
    return { ...booking, accounts: booking.accounts.map((change) => ({ ...change, require })) };
  }
  const leaving = entryOf(before, -before.amount);
  const arriving = entryOf(after, after.amount);
  const change = (account: string, amount: MicroUsd, unconfirmed: MicroUsd) => ({
    account,
    movement: holdMore(amount),
    unconfirmed,
    entries: 1,
    at,
  });
  return {
    accounts: [
      { ...change(after.account, after.amount, unconfirmedOf(after)), require },
      { ...change(before.account, -before.amount, -unconfirmedOf(before)), require: { kind: 'fact' } },
    ],
    entries: [leaving, arriving],
    hold: { before, after: { ...after, version: before.version + 1 } },
  };
};

const afterMore = (account: Account, before: Hold, after: Hold, more: MicroUsd): Account => ({
  ...account,
  available: account.available - more,
  held: account.held + more,
  unconfirmed: account.unconfirmed + unconfirmedOf(after) - (before.account === after.account ? unconfirmedOf(before) : 0n),
});

const refusedByStore = (
  world: World,
  accounts: readonly { account: string; stored: Account | null }[],
  asked: { account: Account; job: Job; pricing: JobPricing; quote: Quote; more: MicroUsd },
): Promise<Verdict> | typeof CHANGED => {
  const failed = accounts.find(({ account }) => account === asked.job.account);
  if (failed === undefined) return CHANGED; // An entry id that was taken: try again with a new one.
  if (failed.stored === null) throw accountNotFound(asked.job.account);
  const demand = { amount: asked.more, today: dateOf(world.clock.now() satisfies Instant) };
  return refused(unwillingness(failed.stored, demand) ?? 'insufficient_budget', { ...asked, account: failed.stored });
};
