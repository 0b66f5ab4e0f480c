// The Pricing API as the real SDK sees it, before a stand-in that speaks its wire format.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPricingApi } from '#adapters/pricing-api';
import { aRow, onDemand, type PriceList, type Row, rowsOf, startPriceList, textOf } from '#test/prices/price-list';
import { NOON } from '#test/support/builders';

const WANTED = { region: 'us-east-1', type: 'c5.18xlarge' };

let list: PriceList;
beforeEach(async () => {
  list = await startPriceList(rowsOf({}, '3.0600000000'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await list.close();
});

const anApi = (given: Partial<Parameters<typeof createPricingApi>[0]> = {}) =>
  createPricingApi({
    region: 'us-east-1',
    clock: { now: () => NOON },
    coresOf: async (type) => (type === 'c5.18xlarge' ? 36 : undefined),
    endpoint: list.endpoint,
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    ...given,
  });

const ask = (given: Partial<typeof WANTED> = {}) => anApi().ask({ ...WANTED, ...given });

describe('the Pricing API', () => {
  it('gives the plain on-demand price among reservations, licences and dedicated hosts, exactly, with sizes and the date of asking', async () => {
    expect(await ask()).toEqual({
      kind: 'offer',
      offer: {
        type: 'c5.18xlarge',
        priceE10UsdPerHour: 30_600_000_000n,
        vcpus: 72,
        physicalCores: 36,
        memoryMib: 147_456,
        gpus: 0,
        source: 'pricing-api',
        priceDate: '2026-03-14',
      },
    });
  });

  it('is asked with exactly the filters of a plain instance', async () => {
    await ask();
    expect(list.requests).toEqual([
      {
        ServiceCode: 'AmazonEC2',
        FormatVersion: 'aws_v1',
        MaxResults: 100,
        Filters: [
          ['regionCode', 'us-east-1'],
          ['instanceType', 'c5.18xlarge'],
          ['operatingSystem', 'Linux'],
          ['preInstalledSw', 'NA'],
          ['tenancy', 'Shared'],
          ['capacitystatus', 'Used'],
          ['marketoption', 'OnDemand'],
          ['productFamily', 'Compute Instance'],
        ].map(([Field, Value]) => ({ Type: 'TERM_MATCH', Field, Value })),
      },
    ]);
  });

  it('is found through AWS_ENDPOINT_URL_PRICING', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_PRICING', list.endpoint);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    const api = createPricingApi({ region: 'eu-central-1', clock: { now: () => NOON }, coresOf: async () => undefined });
    expect(await api.ask(WANTED)).toMatchObject({ kind: 'offer', offer: { physicalCores: 36 } });
    expect(list.requests).toHaveLength(1);
  });

  it('knows prices of other regions than its endpoint is in, and gives no other region in their place', async () => {
    list.rows = [aRow(), aRow({ regionCode: 'ap-south-1' }, onDemand({ USD: '3.2400000000' }))];
    expect(await ask({ region: 'ap-south-1' })).toMatchObject({ offer: { priceE10UsdPerHour: 32_400_000_000n } });
    expect(await ask({ region: 'eu-north-1' })).toEqual({ kind: 'none', outcome: 'not sold on demand in eu-north-1' });
  });

  it.each([
    ['0.0042000000', 42_000_000n],
    ['0.0000000001', 1n],
    ['407.6800000001', 4_076_800_000_001n],
    ['3.06', 30_600_000_000n],
    ['12', 120_000_000_000n],
  ])('reads a price of %s dollars without a float', async (usd, price) => {
    list.rows = rowsOf({}, usd);
    expect(await ask()).toMatchObject({ offer: { priceE10UsdPerHour: price } });
  });

  it.each<[Record<string, string>, object]>([
    [{ memory: '1,952 GiB' }, { memoryMib: 1_998_848 }],
    [{ memory: '0.5 GiB' }, { memoryMib: 512 }],
    [{ memory: '3.75 GiB' }, { memoryMib: 3_840 }],
    [
      { memory: '32,768 GiB', vcpu: '1,920' },
      { memoryMib: 33_554_432, vcpus: 1_920 },
    ],
    [{ gpu: '8' }, { gpus: 8 }],
    [{ gpu: 'NA' }, { gpus: 0 }],
    [{ physicalCores: '18' }, { physicalCores: 18 }],
  ])('reads the sizes %j', async (attributes, sizes) => {
    list.rows = rowsOf(attributes, '3.0600000000');
    expect(await ask()).toMatchObject({ kind: 'offer', offer: sizes });
  });

  it('takes half of the vCPUs for cores where nobody knows, so that nothing is held for too little', async () => {
    list.rows = rowsOf({ instanceType: 'z9.large', vcpu: '9' }, '1.0000000000');
    expect(await ask({ type: 'z9.large' })).toMatchObject({ offer: { vcpus: 9, physicalCores: 4 } });
    list.rows = rowsOf({ instanceType: 'z9.medium', vcpu: '1' }, '1.0000000000');
    expect(await ask({ type: 'z9.medium' })).toMatchObject({ offer: { vcpus: 1, physicalCores: 1 } });
  });

  it('reads on over pages that are empty, to the end', async () => {
    list.next.push({ list: [], NextToken: '0' });
    expect(await ask()).toMatchObject({ kind: 'offer' });
    expect(list.requests.map(({ NextToken }) => NextToken)).toEqual([undefined, '0']);
  });

  it('finds the second product though it is on another page', async () => {
    list.rows = [aRow(), aRow({ usagetype: 'another' })];
    list.pageSize = 1;
    expect(await ask()).toEqual({ kind: 'unbelievable', outcome: 'not believed: 2 products match, and one of them would be a guess' });
  });

  it.each<[string, Row | string]>([
    ['a price is $0', aRow({}, onDemand({ USD: '0.0000000000' }))],
    ['a price is not in dollars', aRow({}, onDemand({ CNY: '21.0000000000' }))],
    ['a price is "-3.0600000000"', aRow({}, onDemand({ USD: '-3.0600000000' }))],
    ['a price is "3.06e0"', aRow({}, onDemand({ USD: '3.06e0' }))],
    ['a price is ""', aRow({}, onDemand({ USD: '' }))],
    ['a price is 30600.0000000000 dollars an hour', aRow({}, onDemand({ USD: '30600.0000000000' }))],
    ['a price is by Quantity, not by the hour', aRow({}, onDemand({ USD: '3.0600000000' }, 'Quantity'))],
    ['a product has no on-demand terms', aRow({}, {})],
    ['a product has 0 on-demand terms, not 1', aRow({}, { OnDemand: {} })],
    ['a product has 2 on-demand terms, not 1', aRow({}, { OnDemand: { a: {}, b: {} } })],
    ['a product has no prices', aRow({}, { OnDemand: { a: {} } })],
    ['a product has 2 prices, not 1', aRow({}, { OnDemand: { a: { priceDimensions: { x: {}, y: {} } } } })],
    ['a product has no price per unit', aRow({}, { OnDemand: { a: { priceDimensions: { x: { unit: 'Hrs' } } } } })],
    ['memory of a product is "plenty"', aRow({ memory: 'plenty' })],
    ['memory of a product is "0 GiB"', aRow({ memory: '0 GiB' })],
    ['vcpu of a product is "many"', aRow({ vcpu: 'many' })],
    ['it answered with c5.9xlarge in us-east-1', aRow({ instanceType: 'c5.9xlarge' })],
    ['it answered with c5.18xlarge in us-west-2', aRow({ regionCode: 'us-west-2' })],
    ['a product is not JSON', '<html>'],
    ['a product has no object', '[]'],
    ['a product has no attributes', '{"product":{}}'],
    ['a product has no instanceType', '{"product":{"attributes":{}}}'],
  ])('is not believed when %s', async (problem, row) => {
    list.always = { list: [typeof row === 'string' ? row : textOf(row)] };
    expect(await ask()).toEqual({ kind: 'unbelievable', outcome: `not believed: ${problem}` });
  });

  it('is not believed when its list never ends, or is none', async () => {
    list.always = { list: [], NextToken: 'again' };
    expect(await ask()).toEqual({ kind: 'unbelievable', outcome: 'not believed: the price list goes on after 5 pages' });
    expect(list.requests).toHaveLength(5);
    list.always = { list: 'no' as unknown as string[] };
    expect(await ask()).toMatchObject({ kind: expect.stringMatching(/unbelievable|unanswered/) });
  });

  it('is asked again by the SDK when it is throttled, or fails once', async () => {
    list.next.push('throttled', 'broken');
    expect(await ask()).toMatchObject({ kind: 'offer' });
    expect(list.requests).toHaveLength(3);
  });

  it.each([
    ['throttled', 'it is throttled'],
    ['refused', 'it refused the credentials (AccessDeniedException)'],
    ['broken', 'it did not answer (InternalErrorException)'],
    ['not JSON', 'its answer was not JSON'],
    ['hangs up', 'it did not answer (ECONNRESET)'],
  ] as const)('has not answered when it is always %s', async (mishap, outcome) => {
    list.always = mishap;
    expect(await ask()).toEqual({ kind: 'unanswered', outcome });
    expect(list.requests.length).toBeLessThanOrEqual(3);
  });

  it('has not answered when nobody is there', async () => {
    await list.close();
    expect(await ask()).toEqual({ kind: 'unanswered', outcome: 'it did not answer (ECONNREFUSED)' });
    list = await startPriceList();
  });

  it('lists every type of a region, page by page, and leaves out what it cannot believe', async () => {
    list.rows = [
      ...rowsOf({}, '3.0600000000'),
      ...rowsOf({ instanceType: 'c5.9xlarge', vcpu: '36', memory: '72 GiB' }, '1.5300000000'),
      ...rowsOf({ instanceType: 'lie.large' }, '0.0000000000'),
      ...rowsOf({ regionCode: 'eu-west-1' }, '3.4560000000'),
    ];
    list.pageSize = 2;
    const { products, unbelievable } = await anApi().list('us-east-1');
    expect(products.map(({ type, priceE10UsdPerHour }) => [type, priceE10UsdPerHour])).toEqual([
      ['c5.18xlarge', 30_600_000_000n],
      ['c5.9xlarge', 15_300_000_000n],
    ]);
    expect(unbelievable).toEqual(['a price is $0']);
  });
});
