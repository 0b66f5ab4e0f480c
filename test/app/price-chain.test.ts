// The chain of prices, each of its failures by name: what is believed, what the answer says, and how long it took.
import { describe, expect, it } from 'vitest';
import type { PriceReply } from '#app/ports';
import { BudgetError } from '#domain/errors';
import { DAY_MS, HOUR_MS, MINUTE_MS, NOON, SECOND_MS } from '#test/support/builders';
import { aChain, type ChainWorld, FROM_API, FROM_CATALOGUE, timed, WANTED } from '#test/support/price-chain';

const CHECK_MS = 300;
const asked = (world: ChainWorld, patienceMs = CHECK_MS) => timed(world.clock, world.prices().offerOf(WANTED, patienceMs));
const NOTHING_KEPT = { source: 'price-cache', outcome: 'no price is kept' };
const STALE = { source: 'price-cache', outcome: 'stale: asked 25 h ago' };
const said = (outcome: string) => ({ source: 'pricing-api', outcome });

describe('a price', () => {
  it('is what the Pricing API says, and is kept for every process', async () => {
    const world = aChain();
    expect(await asked(world)).toEqual({ value: { offer: FROM_API, confidencePercent: 100, tried: [] }, ms: 0 });
    expect(await world.store.readPrice(WANTED)).toEqual({ region: 'us-east-1', offer: FROM_API, askedAt: NOON });
    expect(await world.another().offerOf(WANTED, CHECK_MS)).toMatchObject({ offer: FROM_API });
    expect(world.api.asked).toEqual(['c5.18xlarge in us-east-1']);
  });

  it('is remembered for a day without asking table or API again', async () => {
    const world = aChain();
    await asked(world);
    await world.clock.advance(DAY_MS - 1);
    await asked(world);
    expect([world.reads.length, world.api.asked.length]).toEqual([1, 1]);
    await world.clock.advance(1);
    await asked(world);
    expect([world.reads.length, world.api.asked.length]).toEqual([2, 2]);
  });

  it('is taken from the table when another process has asked since', async () => {
    const world = aChain();
    await asked(world);
    await world.clock.advance(DAY_MS);
    const cheaper = { ...FROM_API, priceE10UsdPerHour: 1n };
    await world.keep(HOUR_MS, cheaper);
    expect((await asked(world)).value).toEqual({ offer: cheaper, confidencePercent: 100, tried: [] });
    expect(world.api.asked).toHaveLength(1);
  });

  it('is used though it could not be kept', async () => {
    const world = aChain({ writePrice: async () => Promise.reject(new Error('the table is away')) });
    expect((await asked(world)).value).toMatchObject({ offer: FROM_API, confidencePercent: 100 });
    await world.clock.advance(DAY_MS);
    world.api.reply = { kind: 'unanswered', outcome: 'it is throttled' };
    expect((await asked(world)).value).toMatchObject({ offer: FROM_API, confidencePercent: 90 });
  });

  it('is asked for once by all who want it at one time', async () => {
    const world = aChain();
    world.api.takesMs = 100;
    const prices = world.prices();
    const { value } = await timed(world.clock, Promise.all([1, 2, 3].map(() => prices.offerOf(WANTED, CHECK_MS))));
    expect(value.map(({ offer }) => offer)).toEqual([FROM_API, FROM_API, FROM_API]);
    expect(world.api.asked).toHaveLength(1);
  });

  it('that only has to be known is not asked for', async () => {
    const world = aChain();
    expect((await asked(world, 0)).value).toEqual({ offer: FROM_CATALOGUE, confidencePercent: 80, tried: [NOTHING_KEPT] });
    expect(world.api.asked).toEqual([]);
  });

  it('is not looked for in the table more than once a minute when it is not there', async () => {
    const world = aChain();
    for (let times = 0; times < 5; times += 1) await asked(world, 0);
    expect(world.reads).toHaveLength(1);
    await world.clock.advance(MINUTE_MS);
    await asked(world, 0);
    expect(world.reads).toHaveLength(2);
  });

  it('is forgotten before memory is full of them', async () => {
    const world = aChain();
    const prices = world.prices();
    for (let type = 0; type <= 5_000; type += 1) await prices.offerOf({ region: 'us-east-1', type: `t${type}.large` }, 0);
    await prices.offerOf({ region: 'us-east-1', type: 't0.large' }, 0);
    expect(world.reads).toHaveLength(5_002);
  });
});

describe('the Pricing API', () => {
  it('slow: is waited for 300 ms, the catalogue is used, and the next request has its answer', async () => {
    const world = aChain();
    world.api.takesMs = 1_000;
    expect(await asked(world)).toEqual({
      value: { offer: FROM_CATALOGUE, confidencePercent: 80, tried: [NOTHING_KEPT, said('no answer within 300 ms')] },
      ms: 300,
    });
    await world.clock.advance(1_000);
    expect(await asked(world)).toEqual({ value: { offer: FROM_API, confidencePercent: 100, tried: [] }, ms: 0 });
  });

  it('slow: has 5 s for a quote', async () => {
    const world = aChain();
    world.api.takesMs = 4_000;
    expect(await asked(world, 5_000)).toEqual({ value: { offer: FROM_API, confidencePercent: 100, tried: [] }, ms: 4_000 });
  });

  it('slow: has no longer than the request', async () => {
    const world = aChain();
    world.api.takesMs = 1_000;
    const offer = world.prices({ deadline: NOON + 100 }).offerOf(WANTED, CHECK_MS);
    expect(await timed(world.clock, offer)).toMatchObject({ value: { offer: FROM_CATALOGUE }, ms: 100 });
    // It was not given the time to be slow, so others go on asking it.
    expect(await timed(world.clock, world.prices().offerOf({ ...WANTED, type: 'c5.9xlarge' }, 5_000))).toMatchObject({ ms: 1_000 });
  });

  it('slow to be kept: the price is used when the patience is over', async () => {
    const world = aChain({ writePrice: () => new Promise(() => undefined) });
    expect(await asked(world)).toEqual({ value: { offer: FROM_API, confidencePercent: 100, tried: [] }, ms: 300 });
  });

  it('down: is not waited for again for 30 s, by no type', async () => {
    const world = aChain();
    world.api.reply = 'nothing, ever';
    expect((await asked(world)).ms).toBe(300);
    const other = { region: 'us-east-1', type: 'c5.9xlarge' };
    const second = await timed(world.clock, world.prices().offerOf(other, CHECK_MS));
    expect(second).toEqual({
      value: {
        offer: FROM_CATALOGUE,
        confidencePercent: 80,
        tried: [NOTHING_KEPT, said('not asked again yet: no answer within 300 ms')],
      },
      ms: 0,
    });
    await world.clock.advance(30 * SECOND_MS);
    expect((await asked(world)).ms).toBe(300);
  });

  it.each<[string, PriceReply['kind'], string]>([
    ['throttled', 'unanswered', 'it is throttled'],
    ['down', 'unanswered', 'it did not answer (ECONNREFUSED)'],
    ['lying: not JSON', 'unanswered', 'its answer was not JSON'],
    ['empty', 'none', 'not sold on demand in us-east-1'],
    ['ambiguous', 'unbelievable', 'not believed: 2 products match, and one of them would be a guess'],
    ['lying: $0', 'unbelievable', 'not believed: a price is $0'],
    ['without credentials', 'unasked', 'not asked: there are no AWS credentials'],
  ])('%s: the catalogue is used at once, and says so', async (_, kind, outcome) => {
    const world = aChain();
    world.api.reply = { kind, outcome } as PriceReply;
    expect(await asked(world)).toEqual({
      value: { offer: FROM_CATALOGUE, confidencePercent: 80, tried: [NOTHING_KEPT, said(outcome)] },
      ms: 0,
    });
    expect(await world.store.readPrice(WANTED)).toBeUndefined();
  });

  it.each(['none', 'unbelievable'] as const)('what it says of one type is so for ten minutes, and of no other type: %s', async (kind) => {
    const world = aChain();
    world.api.reply = { kind, outcome: 'nonsense' };
    await asked(world);
    expect((await asked(world)).value.tried).toEqual([NOTHING_KEPT, said('not asked again yet: nonsense')]);
    await timed(world.clock, world.prices().offerOf({ ...WANTED, region: 'eu-west-1' }, CHECK_MS));
    expect(world.api.asked).toEqual(['c5.18xlarge in us-east-1', 'c5.18xlarge in eu-west-1']);
    await world.clock.advance(10 * MINUTE_MS);
    world.api.reply = { kind: 'offer', offer: FROM_API };
    expect((await asked(world)).value.offer).toEqual(FROM_API);
  });

  it('without credentials: is asked each time, since that costs nothing', async () => {
    const world = aChain();
    world.api.reply = { kind: 'unasked', outcome: 'not asked: there are no AWS credentials' };
    await asked(world);
    await asked(world);
    expect(world.api.asked).toHaveLength(2);
  });

  it('refreshed: is asked whatever is known, and what it says counts from then on', async () => {
    const world = aChain();
    await asked(world);
    const dearer = { ...FROM_API, priceE10UsdPerHour: 99n };
    world.api.reply = { kind: 'offer', offer: dearer };
    await world.clock.advance(HOUR_MS);
    expect(await world.prices().refresh(WANTED)).toEqual({ kind: 'offer', offer: dearer });
    expect((await asked(world)).value.offer).toEqual(dearer);
    expect(await world.store.readPrice(WANTED)).toMatchObject({ askedAt: NOON + HOUR_MS });
  });

  it('answers again: nobody has to rest any longer', async () => {
    const world = aChain();
    world.api.reply = { kind: 'unanswered', outcome: 'it is throttled' };
    await asked(world);
    world.api.reply = { kind: 'offer', offer: FROM_API };
    await world.prices().refresh({ ...WANTED, type: 'c5.9xlarge' });
    expect((await asked(world)).value).toMatchObject({ offer: FROM_API, confidencePercent: 100 });
  });
});

describe('what is kept', () => {
  it('stale: is renewed within the patience', async () => {
    const world = aChain();
    await world.keep(25 * HOUR_MS, { ...FROM_API, priceE10UsdPerHour: 5n });
    expect(await asked(world)).toEqual({ value: { offer: FROM_API, confidencePercent: 100, tried: [] }, ms: 0 });
  });

  it('stale, and the API slow: is used rather than the catalogue, and says so', async () => {
    const world = aChain();
    await world.keep(25 * HOUR_MS);
    world.api.reply = 'nothing, ever';
    expect(await asked(world)).toEqual({
      value: { offer: FROM_API, confidencePercent: 90, tried: [STALE, said('no answer within 300 ms')] },
      ms: 300,
    });
    expect(world.catalogue.asked).toEqual([]);
  });

  it('unreadable: the API is asked', async () => {
    const world = aChain();
    world.api.reply = { kind: 'none', outcome: 'not sold' };
    const broken = { readPrice: async () => Promise.reject(new Error('an item of a newer version')) };
    expect(await world.prices({ store: broken }).offerOf(WANTED, CHECK_MS)).toEqual({
      offer: FROM_CATALOGUE,
      confidencePercent: 80,
      tried: [{ source: 'price-cache', outcome: 'the kept price could not be read' }, said('not sold')],
    });
  });

  it('not to be read before the deadline: the request is over', async () => {
    const late = { readPrice: async () => Promise.reject(new BudgetError('deadline_passed', 'too late')) };
    await expect(aChain().prices({ store: late }).offerOf(WANTED, CHECK_MS)).rejects.toMatchObject({ code: 'deadline_passed' });
  });
});

describe('the catalogue', () => {
  it('without a date: is believed less', async () => {
    const world = aChain();
    world.api.reply = { kind: 'unasked', outcome: 'not asked' };
    world.catalogue.reply = { kind: 'offer', offer: { ...FROM_CATALOGUE, priceDate: null } };
    expect((await asked(world)).value.confidencePercent).toBe(60);
  });

  it('without the type, and all else failing at once: there is no price, and the answer says what was tried', async () => {
    const world = aChain();
    world.api.reply = 'nothing, ever';
    world.catalogue.reply = { kind: 'none', outcome: 'it has no prices of us-east-1' };
    expect(await asked(world)).toEqual({
      value: {
        offer: undefined,
        confidencePercent: 0,
        tried: [NOTHING_KEPT, said('no answer within 300 ms'), { source: 'catalogue', outcome: 'it has no prices of us-east-1' }],
      },
      ms: 300,
    });
  });
});
