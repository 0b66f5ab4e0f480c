// `npm run catalogue -- REGION ...`: writes the seed catalogue's prices of these regions anew, as AWS's Pricing API has them.
// Regions that are not named stay as they are. It needs AWS credentials that may call pricing:GetProducts, or a stand-in at
// AWS_ENDPOINT_URL_PRICING.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CATALOGUE } from '#adapters/catalogue-figures';
import { type Figures, parseFigures } from '#adapters/catalogue-text';
import { createPricingApi, type PricingApi } from '#adapters/pricing-api';
import { systemClock } from '#adapters/system';
import { type Region, writeCatalogue } from '#cli/catalogue/figures-file';
import { PRICING_REGIONS } from '#contract/settings';
import { isoOf } from '#contract/table';

const FILE = join(import.meta.dirname, '../../lambdas/adapters/catalogue-figures.ts');
/** What the functions' bundles may grow by; test/infra/bundles.test.ts holds it. */
const MAX_BYTES = 40_000;

/**
 * The catalogue with these regions as the API has them today. Sizes are the API's; physical cores, of which it says nothing, are
 * those that the catalogue knows of the type in any region, and else half of the vCPUs.
 */
export const refreshed = async (
  known: readonly Region[],
  regions: readonly string[],
  { api, today, say }: { api: Pick<PricingApi, 'list'>; today: string; say: (line: string) => void },
): Promise<Region[]> => {
  const cores = new Map(known.flatMap(({ figures }) => figures.map(({ type, physicalCores }) => [type, physicalCores] as const)));
  const fresh: Region[] = [];
  for (const region of regions) {
    const { products, unbelievable } = await api.list(region);
    const figures = products.map(
      ({ region: _, ...product }): Figures => ({
        ...product,
        physicalCores: product.physicalCores ?? cores.get(product.type) ?? Math.max(1, Math.floor(product.vcpus / 2)),
      }),
    );
    if (figures.length === 0) throw new Error(`the Pricing API sells nothing in ${region}: is that a region's code?`);
    const twice = figures.find(({ type }, index) => figures.findIndex((other) => other.type === type) !== index);
    if (twice !== undefined) throw new Error(`the Pricing API has two prices of ${twice.type} in ${region}: one of them would be a guess`);
    for (const problem of unbelievable) say(`${region}: left out, because ${problem}`);
    say(`${region}: ${figures.length} types`);
    const source = 'AWS Price List Query API, GetProducts of AmazonEC2';
    fresh.push({ region, priceDate: today, priceSource: source, sizeSource: source, figures });
  }
  return [...known.filter(({ region }) => !regions.includes(region)), ...fresh];
};

const known = (): Region[] => CATALOGUE.map((each) => ({ ...each, figures: parseFigures(each.figures) }));

const main = async (regions: readonly string[]): Promise<void> => {
  if (regions.length === 0 || regions.some((region) => !/^[a-z]{2}(-[a-z]+)+-\d$/.test(region)))
    throw new Error('name the regions to refresh: npm run catalogue -- us-east-1 eu-central-1');
  const api = createPricingApi({ region: PRICING_REGIONS[0], clock: systemClock, coresOf: async () => undefined });
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const text = writeCatalogue(await refreshed(known(), regions, { api, today: isoOf(systemClock.now()).slice(0, 10), say }));
  const before = readFileSync(FILE, 'utf8');
  writeFileSync(FILE, text);
  say(`${FILE}: ${text === before ? 'unchanged' : `${text.length} bytes`}`);
  if (text.length > MAX_BYTES) say(`more than ${MAX_BYTES} bytes travel with every function: leave out a region, or raise the limit`);
};

if (process.argv[1] === import.meta.filename) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  });
}
