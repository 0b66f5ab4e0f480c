// A submission while prices fail, one way after the other and all at once: what is held, what the answer says, and how long it
// took. The clock is the test's, so the bound is exact: 300 ms and not one more.
import { describe, expect, it } from 'vitest';
import { placeHold } from '#app/place-hold';
import type { PriceReply, World } from '#app/ports';
import { quoteJob } from '#app/quote-job';
import { settleRuns } from '#app/settle-runs';
import { verdictAnswer } from '#http/answers';
import { aJob, aModel, HOUR_MS } from '#test/support/builders';
import { aChain, type ChainWorld, FROM_API, timed } from '#test/support/price-chain';
import { aWorld, type TestWorld } from '#test/support/world';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-00000000beef';

/** A request of a service whose prices come from this chain. */
const aService = async (chain: ChainWorld, model = aModel()): Promise<{ table: TestWorld; world: World }> => {
  const table = await aWorld([model]);
  await table.open({ limit: 1_000_000_000n });
  return { table, world: { ...table, clock: chain.clock, prices: chain.prices() } };
};

/** Dollars held, source, date, confidence, what was tried, and how long it took. */
const check = async (chain: ChainWorld, given: { holdId?: string; model?: ReturnType<typeof aModel> } = {}) => {
  const { world } = await aService(chain, given.model);
  const { value, ms } = await timed(chain.clock, placeHold(world, { job: aJob(), holdId: given.holdId }));
  const { hold_amount, details } = verdictAnswer(value);
  const { source, price_date, confidence, tried } = details.estimate;
  return { held: hold_amount, source, price_date, confidence, tried, ms };
};

const CACHE = { source: 'price-cache', outcome: 'no price is kept' };
const API = (outcome: string) => ({ source: 'pricing-api', outcome });

describe('a submission', () => {
  it('of which all is well holds 1.2 x $3.10, as AWS says today', async () => {
    expect(await check(aChain())).toEqual({
      held: 3.72,
      source: 'pricing-api',
      price_date: '2026-03-14',
      confidence: 1,
      tried: [],
      ms: 0,
    });
  });

  const fromCatalogue = { held: 3.672, source: 'catalogue', price_date: '2026-01-02', confidence: 0.8 };
  it.each<[string, PriceReply | 'nothing, ever', string, number]>([
    ['slow', 'nothing, ever', 'no answer within 300 ms', 300],
    ['down', { kind: 'unanswered', outcome: 'it did not answer (ECONNREFUSED)' }, 'it did not answer (ECONNREFUSED)', 0],
    ['throttled', { kind: 'unanswered', outcome: 'it is throttled' }, 'it is throttled', 0],
    ['empty', { kind: 'none', outcome: 'not sold on demand in us-east-1' }, 'not sold on demand in us-east-1', 0],
    ['ambiguous', { kind: 'unbelievable', outcome: 'not believed: 2 products' }, 'not believed: 2 products', 0],
    ['lying ($0)', { kind: 'unbelievable', outcome: 'not believed: a price is $0' }, 'not believed: a price is $0', 0],
    ['lying (not JSON)', { kind: 'unanswered', outcome: 'its answer was not JSON' }, 'its answer was not JSON', 0],
    [
      'not to be asked',
      { kind: 'unasked', outcome: 'not asked: there are no AWS credentials' },
      'not asked: there are no AWS credentials',
      0,
    ],
  ])('while the Pricing API is %s holds 1.2 x $3.06 of the catalogue', async (_, reply, outcome, ms) => {
    const chain = aChain();
    chain.api.reply = reply;
    expect(await check(chain)).toEqual({ ...fromCatalogue, tried: [CACHE, API(outcome)], ms });
  });

  it('while the kept price is stale and the API slow holds at the stale price', async () => {
    const chain = aChain();
    await chain.keep(49 * HOUR_MS, { ...FROM_API, priceDate: '2026-03-12' });
    chain.api.reply = 'nothing, ever';
    expect(await check(chain)).toEqual({
      held: 3.72,
      source: 'pricing-api',
      price_date: '2026-03-12',
      confidence: 0.9,
      tried: [{ source: 'price-cache', outcome: 'stale: asked 49 h ago' }, API('no answer within 300 ms')],
      ms: 300,
    });
  });

  const allAtOnce = () => {
    const chain = aChain();
    chain.api.reply = 'nothing, ever';
    chain.catalogue.reply = { kind: 'none', outcome: 'it has no such type in us-east-1' };
    return chain;
  };
  const TRIED = [CACHE, API('no answer within 300 ms'), { source: 'catalogue', outcome: 'it has no such type in us-east-1' }];

  it('while all fails at once, and the catalogue lacks the type, is refused after 300 ms and holds nothing, never $0', async () => {
    const chain = allAtOnce();
    const { table, world } = await aService(chain);
    const refused = placeHold(world, { job: aJob(), holdId: HOLD_ID }).catch((error: unknown) => error);
    const { value, ms } = await timed(chain.clock, refused);
    expect(value).toMatchObject({
      code: 'no_price',
      message: 'no price is known for c5.18xlarge in us-east-1, so partition aws cannot be priced',
      details: { instance_types: ['c5.18xlarge'], tried: TRIED },
    });
    expect(ms).toBe(300);
    expect(await table.account()).toMatchObject({ held: 0n });
  });

  it('while all fails at once holds at the flat rate where the partition says so', async () => {
    const model = aModel({ unpriced: 'flat', flatRatePerNodeHour: 5_000_000n });
    expect(await check(allAtOnce(), { model })).toEqual({
      held: 6,
      source: 'flat-rate',
      price_date: null,
      confidence: 0.5,
      tried: TRIED,
      ms: 300,
    });
  });

  it('waits once for all types of all partitions together', async () => {
    const chain = aChain();
    chain.api.reply = 'nothing, ever';
    const model = aModel({ instanceTypes: Array.from({ length: 50 }, (_, n) => `c5.${n}xlarge`) });
    expect((await check(chain, { model })).ms).toBe(300);
  });

  it('that is repeated is answered as it was priced, with what was tried then', async () => {
    const chain = aChain();
    chain.api.reply = 'nothing, ever';
    const { world } = await aService(chain);
    const first = await timed(chain.clock, placeHold(world, { job: aJob(), holdId: HOLD_ID }));
    chain.catalogue.reply = { kind: 'none', outcome: 'forgotten' };
    await chain.clock.advance(HOUR_MS);
    const again = await timed(chain.clock, placeHold(world, { job: aJob(), holdId: HOLD_ID }));
    expect(verdictAnswer(again.value).details.estimate).toEqual(verdictAnswer(first.value).details.estimate);
  });
});

describe('a quote', () => {
  it('waits up to 5 s for a price', async () => {
    const chain = aChain();
    chain.api.reply = 'nothing, ever';
    const { world } = await aService(chain);
    const { value, ms } = await timed(chain.clock, quoteJob(world, aJob()));
    expect([value.estimate.source, ms]).toEqual(['catalogue', 5_000]);
  });
});

describe('a changed price', () => {
  it('leaves placed holds as they are, and their runs cost what was locked', async () => {
    const chain = aChain();
    const { table, world } = await aService(chain);
    await placeHold(world, { job: aJob(), holdId: HOLD_ID });
    const before = await table.table.readHold(HOLD_ID);
    chain.api.reply = { kind: 'offer', offer: { ...FROM_API, priceE10UsdPerHour: 990_000_000_000n } };
    await chain.prices().refresh({ region: 'us-east-1', type: 'c5.18xlarge' });

    expect(await table.table.readHold(HOLD_ID)).toEqual(before);
    const dearer = await quoteJob(world, aJob());
    expect(dearer.estimate.amount).toBe(99_000_000n);
    const usage = { elapsedSeconds: 1_800, started: true, nodes: 1 };
    const [run] = await settleRuns(world, { holdId: HOLD_ID, runs: [{ runId: 'r', final: true, tasks: 1, usage }] });
    expect(run?.cost).toBe(1_550_000n); // Half an hour at $3.10.
  });
});
