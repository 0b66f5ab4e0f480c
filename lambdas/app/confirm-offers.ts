import type { JobPricing } from '#app/price-partitions';
import type { Job } from '#domain/job';
import { MAX_AMOUNT_MICRO_USD, type MicroUsd, minBigint } from '#domain/money';
import { type Offers, quoteOf } from '#domain/quote';

/**
 * The offers that are true. An offer is found as if cost grew evenly with time and nodes, which an advisor has not promised: so
 * where one prices the job, it is asked for the job as offered, and an offer that it does not confirm in time is left out. Fewer
 * tasks of an array are the same question again, which has been answered.
 */
export const confirmedOffers = async (
  pricing: JobPricing,
  offers: Offers,
  asked: { job: Job; tasks: number; payable: MicroUsd },
): Promise<Offers> => {
  if (pricing.partitions.every(({ advice }) => advice === undefined)) return offers;
  const { wallTimeSeconds, nodes, ...others } = offers;
  const [isLongEnough, areEnough] = await Promise.all([
    wallTimeSeconds !== undefined && isConfirmed(pricing, { ...asked, job: { ...asked.job, wallTimeSeconds } }),
    nodes !== undefined && isConfirmed(pricing, { ...asked, job: { ...asked.job, nodes } }),
  ]);
  return { ...others, ...(isLongEnough ? { wallTimeSeconds } : {}), ...(areEnough ? { nodes } : {}) };
};

const isConfirmed = async (
  pricing: JobPricing,
  { job, tasks, payable }: { job: Job; tasks: number; payable: MicroUsd },
): Promise<boolean> => {
  const partitions = await Promise.all(pricing.partitions.map((each) => each.advice?.again(job) ?? each));
  const isAdvised = partitions.every(({ advice }, place) => advice !== undefined || pricing.partitions[place]?.advice === undefined);
  return isAdvised && quoteOf({ ...pricing, partitions }, job, tasks).holdAmount <= minBigint(payable, MAX_AMOUNT_MICRO_USD);
};
