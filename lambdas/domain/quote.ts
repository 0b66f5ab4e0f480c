// From a job and the prices of its partitions to what is held, what would fit instead, and the sentence that says so.
import type { Account, Unwilling } from '#domain/account';
import { BudgetError } from '#domain/errors';
import { type Estimate, estimateIn, type Rate } from '#domain/estimate';
import type { Terms } from '#domain/hold';
import { type Job, tasksOf } from '#domain/job';
import { formatUsd, MAX_AMOUNT_MICRO_USD, type MicroUsd, minBigint, multiplyUp } from '#domain/money';
import { type Evidence, evidenceOf } from '#domain/price';
import { formatWallTime } from '#domain/slurm-time';

/** A guarded partition that the job may run in, with its prices. */
export interface PricedPartition {
  readonly rate: Rate;
  readonly defaultWallTimeSeconds: number | null;
  /** @default what the rate's source and date say */
  readonly evidence?: Evidence;
}

/** What a job is priced with. */
export interface Pricing {
  readonly partitions: readonly PricedPartition[];
  readonly holdFactor: { readonly numerator: bigint; readonly denominator: bigint };
}

export interface Quote {
  readonly estimate: Estimate;
  readonly holdAmount: MicroUsd;
  /** Of the estimate's price. */
  readonly evidence: Evidence;
}

/** What would be admitted now. Each stands alone, all else as asked; absent if nothing would. */
export interface Offers {
  readonly wallTimeSeconds?: number;
  readonly nodes?: number;
  readonly arrayTasks?: number;
}

export type RefusalCode = Unwilling | 'limit_exceeded';

/** A plugin shows this in one line of a terminal. */
export const MAX_MESSAGE_LENGTH = 200;

/**
 * The price of a job: in the dearest of its guarded partitions, since Slurm may start it in any of them.
 * @param tasks how many tasks are held for; all of the job's if not given.
 * @throws BudgetError `no_wall_time`, or `does_not_fit` if it fits none of them.
 */
export const quoteOf = (pricing: Pricing, job: Job, tasks = tasksOf(job)): Quote => {
  const misfits: BudgetError[] = [];
  const estimates = pricing.partitions.flatMap(({ rate, defaultWallTimeSeconds }) => {
    try {
      return [estimateIn(rate, job, { wallTimeSeconds: wallTimeOf(job, rate.partition, defaultWallTimeSeconds), tasks })];
    } catch (error) {
      if (!(error instanceof BudgetError && error.code === 'does_not_fit')) throw error;
      misfits.push(error);
      return [];
    }
  });
  const [first, ...others] = estimates;
  if (first === undefined) throw misfits[0] ?? new Error('a job is priced in at least one partition');
  const estimate = others.reduce((a, b) => (b.amount > a.amount ? b : a), first);
  const evidence = pricing.partitions.find(({ rate }) => rate.partition === estimate.partition)?.evidence ?? evidenceOf(estimate);
  return { estimate, holdAmount: multiplyUp(estimate.amount, pricing.holdFactor), evidence };
};

/** The terms that a hold locks. */
export const termsOf = (pricing: Pricing, { estimate }: Quote): Terms => ({
  rates: pricing.partitions.map(({ rate }) => rate),
  partition: estimate.partition,
  nodeType: estimate.nodeType,
  nodes: estimate.nodes,
  nodesE6: estimate.nodesE6,
  wallTimeSeconds: estimate.wallTimeSeconds,
});

/** The greatest whole-minute wall time, nodes and array tasks that the money at hand pays for. */
export const offersFor = (pricing: Pricing, job: Job, quote: Quote, available: MicroUsd): Offers => {
  const budget = minBigint(available, MAX_AMOUNT_MICRO_USD);
  const { wallTimeSeconds, nodes, tasks } = quote.estimate;
  // The tasks that are left of an array, or that it is adjusted to, are not always those that its job once named.
  const holds = (changed: Job, held = tasks): MicroUsd | undefined => holdAmountOf(pricing, changed, held);
  const lessThan = (asked: number, amountAt: (n: number) => MicroUsd | undefined) => greatestWithin(budget, asked - 1, amountAt);

  const minutes = lessThan(Math.ceil(wallTimeSeconds / 60), (n) => holds({ ...job, wallTimeSeconds: n * 60 }));
  const fewerNodes = lessThan(nodes, (n) => holds(withNodes(job, n)));
  const fewerTasks = lessThan(tasks, (n) => holds(job, n));
  return {
    ...(minutes === undefined ? {} : { wallTimeSeconds: minutes * 60 }),
    ...(fewerNodes === undefined ? {} : { nodes: fewerNodes }),
    ...(fewerTasks === undefined ? {} : { arrayTasks: fewerTasks }),
  };
};

/** What `--nodes=n` makes of the job. A least that is the most is how Slurm passes on a plain `--nodes=8`; a range's least stays. */
const withNodes = (job: Job, nodes: number): Job => ({
  ...job,
  nodes,
  ...(job.minNodes !== undefined && job.minNodes === job.nodes ? { minNodes: nodes } : {}),
});

/** One ASCII sentence, or two, of at most 200 characters: why not, and what would fit. */
export const refusalMessage = (refusal: { code: RefusalCode; account: Account; quote: Quote; offers: Offers }): string => {
  const { account, quote, offers } = refusal;
  switch (refusal.code) {
    case 'account_inactive':
      return `account ${account.account} is ${account.status}: ask its manager to activate it`;
    case 'outside_dates':
      return `account ${account.account} may be used from ${account.startDate ?? 'any day'} to ${account.endDate ?? 'any day'} (UTC): ask its manager for other dates`;
    case 'limit_exceeded':
      return `this job needs more than ${formatUsd(MAX_AMOUNT_MICRO_USD)} held, the most that one job can ask for`;
    case 'insufficient_budget': {
      const has = `account ${account.account} has ${formatUsd(account.available)} available; this job needs ${formatUsd(quote.holdAmount)} held`;
      return joinWithin(has, [` (estimate ${formatUsd(quote.estimate.amount)}).`, offerSentence(offers), unconfirmedSentence(account)]);
    }
  }
};

/** What an admitted user reads, if anything. */
export const admissionMessage = (account: { account: string; available: MicroUsd }, holdAmount: MicroUsd): string =>
  `account ${account.account}: ${formatUsd(holdAmount)} held, ${formatUsd(account.available)} left`;

/** The same of a quote, which holds nothing. */
export const quoteMessage = (account: { account: string; available: MicroUsd }, holdAmount: MicroUsd): string =>
  `account ${account.account}: ${formatUsd(holdAmount)} would be held, ${formatUsd(account.available)} would be left`;

const wallTimeOf = (job: Job, partition: string, defaultWallTimeSeconds: number | null): number => {
  const seconds = job.wallTimeSeconds ?? defaultWallTimeSeconds;
  if (seconds === null) {
    throw new BudgetError('no_wall_time', `partition ${partition} has no default wall time, so the job must name one: add --time`);
  }
  return seconds;
};

/** Undefined: so changed, the job fits no partition. */
const holdAmountOf = (pricing: Pricing, job: Job, tasks: number): MicroUsd | undefined => {
  try {
    return quoteOf(pricing, job, tasks).holdAmount;
  } catch (error) {
    if (error instanceof BudgetError && error.code === 'does_not_fit') return undefined;
    throw error;
  }
};

/**
 * The greatest n in 1..highest whose amount the budget pays for. The amount grows with n, and a job that is too large for
 * n nodes is too large for fewer, so the greatest payable n is the only one to ask whether the job fits.
 */
const greatestWithin = (budget: MicroUsd, highest: number, amountAt: (n: number) => MicroUsd | undefined): number | undefined => {
  let low = 0;
  let high = highest;
  while (low < high) {
    const middle = low + Math.ceil((high - low) / 2);
    const amount = amountAt(middle);
    if (amount === undefined || amount <= budget) low = middle;
    else high = middle - 1;
  }
  return low > 0 && amountAt(low) !== undefined ? low : undefined;
};

const offerSentence = ({ wallTimeSeconds, nodes, arrayTasks }: Offers): string => {
  const options = [
    ...(wallTimeSeconds === undefined ? [] : [`--time=${formatWallTime(wallTimeSeconds)}`]),
    ...(nodes === undefined ? [] : [`--nodes=${nodes}`]),
    ...(arrayTasks === undefined ? [] : [`${arrayTasks} array tasks`]),
  ];
  return options.length === 0 ? '' : ` It fits with ${options.join(' or ')}.`;
};

const unconfirmedSentence = ({ unconfirmed }: Account): string =>
  unconfirmed > 0n ? ` ${formatUsd(unconfirmed)} held for jobs not yet seen may return.` : '';

/** Later parts are worth less than earlier ones, so what does not fit is left out, whole. */
const joinWithin = (start: string, parts: readonly string[]): string =>
  parts.reduce((text, part) => (text.length + part.length <= MAX_MESSAGE_LENGTH ? text + part : text), start);
