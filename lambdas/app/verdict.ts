// The answer to "may this job run?", for quote, check and adjust alike.
import { confirmedOffers } from '#app/confirm-offers';
import type { HoldSpec, World } from '#app/ports';
import type { JobPricing } from '#app/price-partitions';
import { type Account, dateOf, unwillingness } from '#domain/account';
import type { Hold } from '#domain/hold';
import type { Job } from '#domain/job';
import { MAX_AMOUNT_MICRO_USD, type MicroUsd } from '#domain/money';
import { admissionMessage, type Offers, offersFor, type Quote, quoteMessage, type RefusalCode, refusalMessage } from '#domain/quote';

export interface Verdict {
  readonly decision: 'admitted' | 'refused';
  readonly message: string;
  /** What the job is estimated at: of the request when just priced, of the hold when it was placed before. */
  readonly estimate: HoldSpec['estimate'] & { readonly nodes: number; readonly wallTimeSeconds: number };
  /** What the advisor says beside the price, where the price is the advisor's. */
  readonly recommendation: string | null;
  readonly holdAmount: MicroUsd;
  /** The account as it was read, less this hold. Advisory: others spend at the same time. */
  readonly account: Account;
  readonly hold: Hold | null;
  readonly refusal?: { readonly code: RefusalCode; readonly shortfall?: MicroUsd; readonly offers: Offers };
}

/** Why the account or the limits would not take this quote now, or undefined. `more` is what must come from available. */
export const refusalOf = (world: World, account: Account, quote: Quote, more = quote.holdAmount): RefusalCode | undefined => {
  const unwilling = unwillingness(account, { amount: more, today: dateOf(world.clock.now()) });
  const forMoney = unwilling === undefined || unwilling === 'insufficient_budget'; // Else nothing smaller would fit either.
  return forMoney && quote.holdAmount > MAX_AMOUNT_MICRO_USD ? 'limit_exceeded' : unwilling;
};

/** The refusal that a user can act on: amounts as they would be, and what would fit. */
export const refused = async (
  code: RefusalCode,
  asked: { account: Account; job: Job; pricing: JobPricing; quote: Quote; more?: MicroUsd },
): Promise<Verdict> => {
  const { account, job, pricing, quote } = asked;
  const more = asked.more ?? quote.holdAmount;
  const payable = account.available + quote.holdAmount - more;
  const isForMoney = code === 'insufficient_budget' || code === 'limit_exceeded';
  const offers = isForMoney
    ? await confirmedOffers(pricing, offersFor(pricing, job, quote, payable), { job, tasks: quote.estimate.tasks, payable })
    : {};
  return {
    decision: 'refused',
    message: refusalMessage({ code, account, quote, offers }),
    ...pricedAs(pricing, quote),
    holdAmount: quote.holdAmount,
    account,
    hold: null,
    refusal: { code, ...(code === 'insufficient_budget' ? { shortfall: more - account.available } : {}), offers },
  };
};

/** Admitted; `hold` is null for a quote. `account` is as it was read, less what this hold takes. */
export const admitted = (asked: { account: Account; pricing: JobPricing; quote: Quote; hold: Hold | null }): Verdict => ({
  decision: 'admitted',
  message: (asked.hold === null ? quoteMessage : admissionMessage)(asked.account, asked.quote.holdAmount),
  ...pricedAs(asked.pricing, asked.quote),
  holdAmount: asked.quote.holdAmount,
  account: asked.account,
  hold: asked.hold,
});

/** The answer of a hold that was placed before, at its present amount. */
export const standing = (asked: { account: Account; hold: Hold; spec: HoldSpec }): Verdict => ({
  decision: 'admitted',
  message: admissionMessage(asked.account, asked.hold.amount),
  estimate: { ...asked.spec.estimate, nodes: asked.hold.terms.nodes, wallTimeSeconds: asked.hold.terms.wallTimeSeconds },
  recommendation: null,
  holdAmount: asked.hold.amount,
  account: asked.account,
  hold: asked.hold,
});

/** The account once `amount` of it is held. */
export const lessHold = (account: Account, amount: MicroUsd): Account => ({
  ...account,
  available: account.available - amount,
  held: account.held + amount,
  unconfirmed: account.unconfirmed + amount,
});

/** What is kept beside the hold, for whoever looks at it later. */
export const specOf = (job: Job, { estimate, evidence }: Quote): HoldSpec => {
  const { amount, low, high, source, priceDate, instanceTypes, lineItems } = estimate;
  return { job, estimate: { amount, low, high, source, priceDate, instanceTypes, lineItems, evidence } };
};

const pricedAs = (pricing: JobPricing, { estimate, evidence }: Quote): Pick<Verdict, 'estimate' | 'recommendation'> => {
  const advice = pricing.partitions.find(({ rate }) => rate.partition === estimate.partition)?.advice;
  return { estimate: { ...estimate, evidence }, recommendation: advice?.recommendation ?? null };
};
