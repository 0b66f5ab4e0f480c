import type { PriceReply, WantedPrice, World } from '#app/ports';

/** The Pricing API fills a bucket of ten by five a second, for all of an AWS account together. */
const PAUSE_MS = 250;
const MAX_TRIES = 3;
const LONGEST_PAUSE_MS = 4_000;
const PAGE_SIZE = 500;

export interface Refreshed {
  /** Types of all partitions, each region's apart. */
  readonly types: number;
  readonly fetched: number;
  /** What was not answered, and why. Kept prices stay as they are. */
  readonly failed: readonly (WantedPrice & { readonly outcome: string })[];
}

/**
 * Ask anew for the price of every type behind every partition, before the kept ones are too old to be believed, so that a
 * submission need not wait for one. Holds that were placed have their prices locked, and stay as they are.
 * @param hasTime no price is begun once it says no
 */
export const refreshPrices = async (world: World, hasTime: () => boolean): Promise<Refreshed> => {
  const wanted = await typesOfAllPartitions(world);
  const failed: (WantedPrice & { outcome: string })[] = [];
  for (const each of wanted) {
    if (!hasTime()) {
      failed.push({ ...each, outcome: 'there was no time left to ask' });
      continue;
    }
    const reply = await persistently(world, each);
    if (reply.kind === 'unasked') return { types: wanted.length, fetched: 0, failed: [{ ...each, outcome: reply.outcome }] };
    if (reply.kind !== 'offer') failed.push({ ...each, outcome: reply.outcome });
    await world.clock.sleep(PAUSE_MS);
  }
  return { types: wanted.length, fetched: wanted.length - failed.length, failed };
};

const typesOfAllPartitions = async ({ store }: World): Promise<WantedPrice[]> => {
  const wanted = new Map<string, WantedPrice>();
  let cursor: string | undefined;
  do {
    const page = await store.listPartitions({ limit: PAGE_SIZE, ...(cursor === undefined ? {} : { cursor }) });
    for (const { region, instanceTypes } of page.items) for (const type of instanceTypes) wanted.set(`${region} ${type}`, { region, type });
    cursor = page.cursor;
  } while (cursor !== undefined);
  return [...wanted.values()];
};

/** Silence is worth another try after a pause with jitter; an answer that is no price is not. */
const persistently = async ({ prices, clock, ids }: World, wanted: WantedPrice): Promise<PriceReply> => {
  for (let tries = 1; ; tries += 1) {
    const reply = await prices.refresh(wanted);
    if (reply.kind !== 'unanswered' || tries === MAX_TRIES) return reply;
    await clock.sleep(PAUSE_MS + ids.random() * Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** tries));
  }
};
