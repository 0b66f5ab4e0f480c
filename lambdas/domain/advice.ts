// From what an advisor says that one task costs to a rate that a hold can lock like any other.
import { type Estimate, flatRateOf, MIN_BILLED_SECONDS, type NodeType, type Rate } from '#domain/estimate';
import { formatUsd, type MicroUsd, maxBigint } from '#domain/money';
import type { PartitionModel } from '#domain/partition';

/**
 * How many times more or less than our own estimate an advisor may say. Spot capacity is up to 90 % cheaper than on demand (AWS,
 * "Amazon EC2 Spot Instances"), and many jobs end early: what is twice as far off is a mistake of units, and no opinion.
 */
export const MAX_DISAGREEMENT = 20n;

/** Why this cost cannot be meant, against our own estimate of the same task; undefined if it can. */
export const absurdity = (advised: MicroUsd, own: MicroUsd): string | undefined =>
  advised > own * MAX_DISAGREEMENT || advised * MAX_DISAGREEMENT < own
    ? `absurd: ${formatUsd(advised)} for what costs ${formatUsd(own)} at our own prices`
    : undefined;

const MILLION = 1_000_000n;
/** 10^-10 dollars a node-hour, times seconds: as many make a micro-dollar. */
const PER_MICRO_USD = 10_000n * 3600n;

/**
 * The rate at which this placement of the job costs what was advised, to the micro-dollar below 10,000 node-hours, and never
 * less. Overhead and discount are in the advised cost already. The other types of the partition keep their distance to the
 * dearest, so the dearest stays it.
 * @param own the partition at our own prices, or of nodes of unknown size
 * @param placed one task of the job at `own`
 * @param tasks how many tasks are held for
 */
export const advisedRate = (own: Rate, { placed, tasks, cost }: { placed: Estimate; tasks: number; cost: MicroUsd }): Rate => {
  const seconds = Math.max(MIN_BILLED_SECONDS, placed.wallTimeSeconds);
  const amount = cost * BigInt(tasks);
  const nodeSeconds = placed.share.numerator * BigInt(seconds) * BigInt(tasks);
  const scale = PER_MICRO_USD * placed.share.denominator;
  // An estimate is rounded up, so it is the amount at any price above that of a micro-dollar less: the exact price, if it is one.
  const price = maxBigint((amount * scale) / nodeSeconds, ((amount - 1n) * scale) / nodeSeconds + 1n);
  const ownPrice = (type: NodeType): bigint => type.priceE10UsdPerHour * own.discountFactorE6 + own.overheadPerNodeHour * 10_000n * MILLION;
  const dearestPrice = own.nodeTypes
    .filter(({ type }) => type === placed.nodeType)
    .map(ownPrice)
    .reduce(maxBigint, 0n);
  const priceOf = (type: NodeType): bigint => (dearestPrice === 0n ? price : (price * ownPrice(type)) / dearestPrice);
  return {
    ...own,
    nodeTypes: own.nodeTypes.map((type) => ({ ...type, priceE10UsdPerHour: priceOf(type) })),
    discountFactorE6: MILLION,
    overheadSeconds: 0,
    overheadPerNodeHour: 0n,
    source: 'advisor',
    priceDate: null,
  };
};

/** Where our own prices know nothing: the advisor alone can price this, as long as the job says on how many nodes it runs. */
export const rateOfUnknownNodes = (model: PartitionModel): Rate => {
  const rate = flatRateOf(model, 1n);
  return { ...rate, nodeTypes: rate.nodeTypes.map((type) => ({ ...type, type: 'unknown' })) };
};
