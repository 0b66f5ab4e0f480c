import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCatalogue } from '#adapters/catalogue';
import { CATALOGUE } from '#adapters/catalogue-figures';
import { type Figures, formatFigures, parseFigures } from '#adapters/catalogue-text';
import { createPricingApi } from '#adapters/pricing-api';
import { writeCatalogue } from '#cli/catalogue/figures-file';
import { refreshed } from '#cli/catalogue/refresh';
import { type PriceList, rowsOf, startPriceList } from '#test/prices/price-list';
import { NOON } from '#test/support/builders';

const FILE = join(import.meta.dirname, '../../lambdas/adapters/catalogue-figures.ts');
const ask = (region: string, type: string) => createCatalogue().ask({ region, type });

describe('the catalogue', () => {
  it.each([
    ['us-east-1', 'c5.18xlarge', 30_600_000_000n, 72, 36, 147_456, 0, '2026-07-20'],
    ['us-east-1', 'g5.48xlarge', 162_880_000_000n, 192, 96, 786_432, 8, '2026-07-20'],
    ['us-east-1', 'c1.medium', 1_300_000_000n, 2, 2, 1_740, 0, '2026-07-20'],
    ['us-east-1', 'a1.medium', 255_000_000n, 1, 1, 2_048, 0, '2026-07-20'],
    ['us-east-2', 'hpc7a.12xlarge', 72_000_000_000n, 24, 24, 786_432, 0, null],
  ] as const)('of %s has %s with its date', async (region, type, priceE10UsdPerHour, vcpus, physicalCores, memoryMib, gpus, priceDate) => {
    const offer = { type, priceE10UsdPerHour, vcpus, physicalCores, memoryMib, gpus, source: 'catalogue', priceDate };
    expect(await ask(region, type)).toEqual({ kind: 'offer', offer });
  });

  it('has every type that it was first filled with', () => {
    expect(CATALOGUE.map(({ region, figures }) => [region, parseFigures(figures).length])).toEqual([
      ['us-east-1', 1_345],
      ['us-east-2', 6],
    ]);
  });

  it('says which regions and types it has not, and gives no other price instead', async () => {
    expect(await ask('eu-central-1', 'c5.18xlarge')).toEqual({ kind: 'none', outcome: 'it has no prices of eu-central-1' });
    expect(await ask('us-east-2', 'c5.18xlarge')).toEqual({ kind: 'none', outcome: 'it has no such type in us-east-2' });
    expect(await ask('us-east-1', 'hpc7a.12xlarge')).toEqual({ kind: 'none', outcome: 'it has no such type in us-east-1' });
  });

  it('has no price of $0', () => {
    const free = CATALOGUE.flatMap(({ figures }) => parseFigures(figures)).filter(({ priceE10UsdPerHour }) => priceE10UsdPerHour <= 0n);
    expect(free).toEqual([]);
  });

  it('knows the cores of a type for whoever has its price from elsewhere', async () => {
    expect(await Promise.all(['hpc7a.12xlarge', 'c5.18xlarge', 'z9.large'].map(createCatalogue().coresOf))).toEqual([24, 36, undefined]);
  });

  it('is written as it stands, so that a refresh changes only what has changed', () => {
    const written = writeCatalogue(CATALOGUE.map((each) => ({ ...each, figures: parseFigures(each.figures) })));
    expect(written).toBe(readFileSync(FILE, 'utf8'));
  });
});

describe('the text of the figures', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,9}$/);
  const figures = fc.record({
    type: fc.tuple(name, name).map(([family, size]) => `${family}.${size}`),
    priceE10UsdPerHour: fc.bigInt({ min: 1n, max: 10n ** 15n }),
    vcpus: fc.integer({ min: 1, max: 1_920 }),
    physicalCores: fc.integer({ min: 1, max: 1_920 }),
    memoryMib: fc.integer({ min: 1, max: 33_554_432 }),
    gpus: fc.integer({ min: 0, max: 16 }),
  });

  it('loses nothing', () => {
    fc.assert(
      fc.property(fc.uniqueArray(figures, { selector: ({ type }) => type, minLength: 1 }), (all) => {
        const sorted = (each: readonly Figures[]) => [...each].sort((a, b) => (a.type < b.type ? -1 : 1));
        expect(sorted(parseFigures(formatFigures(all)))).toEqual(sorted(all));
      }),
    );
  });

  it.each(['c5', 'c5 large', 'c5 large 0.085 2', 'c5 large 0.085 2 4;', 'c5 large x 2 4'])('is refused when it is broken: %s', (line) => {
    expect(() => parseFigures(line)).toThrow(`the catalogue has a broken line: ${line}`);
  });
});

describe('npm run catalogue', () => {
  let list: PriceList;
  beforeEach(async () => {
    list = await startPriceList();
  });
  afterEach(() => list.close());

  const refresh = async (regions: string[]) => {
    const said: string[] = [];
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const api = createPricingApi({
      region: 'us-east-1',
      clock: { now: () => NOON },
      coresOf: async () => undefined,
      endpoint: list.endpoint,
      credentials,
    });
    const known = CATALOGUE.map((each) => ({ ...each, figures: parseFigures(each.figures) }));
    return { said, catalogue: await refreshed(known, regions, { api, today: '2026-11-25', say: (line) => said.push(line) }) };
  };

  it('adds a region with source and date, with the cores that are known, and leaves the others as they are', async () => {
    list.rows = [
      ...rowsOf({ regionCode: 'eu-central-1' }, '3.4920000000'),
      ...rowsOf({ regionCode: 'eu-central-1', instanceType: 'z9.large', vcpu: '2', memory: '1,952 GiB' }, '0.1000000000'),
      ...rowsOf({ regionCode: 'eu-central-1', instanceType: 'lie.large' }, '0.0000000000'),
    ];
    const { said, catalogue } = await refresh(['eu-central-1']);
    expect(said).toEqual(['eu-central-1: left out, because a price is $0', 'eu-central-1: 2 types']);
    const text = writeCatalogue(catalogue);
    const { figures: _, ...added } = catalogue.at(-1) ?? { figures: [] };
    expect(added).toEqual({
      region: 'eu-central-1',
      priceDate: '2026-11-25',
      priceSource: 'AWS Price List Query API, GetProducts of AmazonEC2',
      sizeSource: 'AWS Price List Query API, GetProducts of AmazonEC2',
    });
    expect(text).toContain('\nc5 18xlarge 3.492 72 144\nz9 large 0.1 2 1952\n');
    expect(text.indexOf("'eu-central-1'")).toBeLessThan(text.indexOf("'us-east-1'"));
    expect(catalogue.map(({ region, figures }) => [region, figures.length])).toEqual([
      ['us-east-1', 1_345],
      ['us-east-2', 6],
      ['eu-central-1', 2],
    ]);
  });

  it('replaces a region that is known', async () => {
    list.rows = rowsOf({}, '2.9900000000');
    const { catalogue } = await refresh(['us-east-1']);
    expect(catalogue.map(({ region, priceDate, figures }) => [region, priceDate, figures.length])).toEqual([
      ['us-east-2', null, 6],
      ['us-east-1', '2026-11-25', 1],
    ]);
  });

  it('writes nothing of a region where nothing is sold, or where a type has two prices', async () => {
    await expect(refresh(['mars-north-1'])).rejects.toThrow("the Pricing API sells nothing in mars-north-1: is that a region's code?");
    list.rows = [...rowsOf({}, '3.0600000000'), ...rowsOf({}, '3.0700000000')];
    await expect(refresh(['us-east-1'])).rejects.toThrow('the Pricing API has two prices of c5.18xlarge in us-east-1');
  });
});
