import { quotePatience } from '#app/patience';
import type { World } from '#app/ports';
import { pricingOf } from '#app/price-partitions';
import { readAccountOrThrow } from '#app/read';
import { admitted, lessHold, refusalOf, refused, type Verdict } from '#app/verdict';
import type { Job } from '#domain/job';
import { quoteOf } from '#domain/quote';

/**
 * What a check of this job would answer now. No money moves and nothing is written.
 * @param jobScript for the advisor only
 * @throws BudgetError account_not_found, partition_not_found, no_price, no_wall_time, does_not_fit
 */
export const quoteJob = async (world: World, job: Job, jobScript?: string): Promise<Verdict> => {
  const account = await readAccountOrThrow(world.store, job.account);
  const pricing = await pricingOf(world, job, { patience: quotePatience(world.clock), jobScript });
  const quote = quoteOf(pricing, job);
  const code = refusalOf(world, account, quote);
  if (code !== undefined) return refused(code, { account, job, pricing, quote });
  return admitted({ account: lessHold(account, quote.holdAmount), pricing, quote, hold: null });
};
