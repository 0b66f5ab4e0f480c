// AWS's Price List Query API: what an instance costs on demand, in any region, asked of one of three endpoints.
import type { Filter, PricingClientConfig } from '@aws-sdk/client-pricing';
import { type Product, readProduct, UnbelievableProduct } from '#adapters/pricing-product';
import type { Clock, PriceLink, PriceReply, WantedPrice } from '#app/ports';
import { isoOf } from '#contract/table';

const CONNECT_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 4_000;
/** With the SDK's own back-off between: throttling is AWS's everyday answer here. */
const MAX_ATTEMPTS = 3;
/** The API fills a bucket of ten by five a second. */
const MAX_SOCKETS = 5;
/** AWS gives at most 100 products a page. */
const PAGE_SIZE = 100;
/** One type is one product. A page may be empty and still have a next one. */
const MAX_PAGES_OF_A_TYPE = 5;
const MAX_PAGES_OF_A_REGION = 100;

/** The plain instance, and nothing that is sold with it. Without `capacitystatus` the $0 rows of reservations match too. */
const PLAIN_INSTANCE = {
  operatingSystem: 'Linux',
  preInstalledSw: 'NA',
  tenancy: 'Shared',
  capacitystatus: 'Used',
  marketoption: 'OnDemand',
  productFamily: 'Compute Instance',
} as const;

export interface PricingApiOptions {
  /** Of the endpoint, which answers for all regions: one of PRICING_REGIONS. */
  readonly region: string;
  readonly clock: Pick<Clock, 'now'>;
  /** Physical cores of a type, of which AWS says nothing; undefined if unknown. */
  readonly coresOf: (type: string) => Promise<number | undefined>;
  /** @default AWS's own, or AWS_ENDPOINT_URL_PRICING */
  readonly endpoint?: string;
  /** @default as the SDK finds them */
  readonly credentials?: NonNullable<PricingClientConfig['credentials']>;
}

export interface PricingApi extends PriceLink {
  /** Every type that is sold in a region; those that cannot be believed are left out, and named. */
  list(region: string): Promise<{ readonly products: readonly Product[]; readonly unbelievable: readonly string[] }>;
}

/** Nothing is loaded or connected before the first question: most processes find their prices kept. */
export const createPricingApi = ({ clock, coresOf, ...where }: PricingApiOptions): PricingApi => {
  let connected: ReturnType<typeof connect> | undefined;
  const pages = async function* (filters: Readonly<Record<string, string>>, mostPages: number): AsyncGenerator<readonly string[]> {
    connected ??= connect(where);
    const { client, GetProductsCommand } = await connected;
    let next: string | undefined;
    for (let read = 0; read < mostPages; read += 1) {
      const answer = await client.send(
        new GetProductsCommand({
          ServiceCode: 'AmazonEC2',
          FormatVersion: 'aws_v1',
          MaxResults: PAGE_SIZE,
          Filters: Object.entries(filters).map(([Field, Value]): Filter => ({ Type: 'TERM_MATCH', Field, Value })),
          ...(next === undefined ? {} : { NextToken: next }),
        }),
      );
      const list: unknown = answer.PriceList ?? [];
      if (!Array.isArray(list)) throw new UnbelievableProduct('the price list is no list');
      yield list.map(String); // The SDK wraps each text in an object that parses itself.
      next = answer.NextToken;
      if (next === undefined || next === '') return;
    }
    throw new UnbelievableProduct(`the price list goes on after ${mostPages} pages`);
  };

  const productOf = async ({ region, type }: WantedPrice): Promise<Product | undefined> => {
    const found: string[] = [];
    for await (const page of pages({ regionCode: region, instanceType: type, ...PLAIN_INSTANCE }, MAX_PAGES_OF_A_TYPE)) found.push(...page);
    const [only, ...others] = found;
    if (others.length > 0) throw new UnbelievableProduct(`${found.length} products match, and one of them would be a guess`);
    if (only === undefined) return undefined;
    const product = readProduct(only);
    if (product.type !== type || product.region !== region)
      throw new UnbelievableProduct(`it answered with ${product.type} in ${product.region}`);
    return product;
  };

  return {
    source: 'pricing-api',
    ask: async (wanted): Promise<PriceReply> => {
      try {
        const product = await productOf(wanted);
        if (product === undefined) return { kind: 'none', outcome: `not sold on demand in ${wanted.region}` };
        const { region: _, ...sizes } = product;
        const offer = { ...sizes, physicalCores: await physicalCores(product, coresOf), source: 'pricing-api' as const };
        return { kind: 'offer', offer: { ...offer, priceDate: isoOf(clock.now()).slice(0, 'yyyy-mm-dd'.length) } };
      } catch (error) {
        if (error instanceof UnbelievableProduct) return { kind: 'unbelievable', outcome: `not believed: ${error.message}` };
        return { kind: 'unanswered', outcome: failureOf(error) };
      }
    },
    list: async (region) => {
      const products: Product[] = [];
      const unbelievable: string[] = [];
      for await (const page of pages({ regionCode: region, ...PLAIN_INSTANCE }, MAX_PAGES_OF_A_REGION)) {
        for (const text of page) {
          try {
            products.push(readProduct(text));
          } catch (error) {
            if (!(error instanceof UnbelievableProduct)) throw error;
            unbelievable.push(error.message);
          }
        }
      }
      return { products, unbelievable };
    },
  };
};

/** Half of the vCPUs where nobody knows: with too few cores a job needs more nodes, and so is never held for too little. */
const physicalCores = async ({ type, vcpus, physicalCores: said }: Product, coresOf: PricingApiOptions['coresOf']): Promise<number> =>
  said ?? (await coresOf(type)) ?? Math.max(1, Math.floor(vcpus / 2));

/** In words for whoever reads an estimate. No message of AWS's: it may name ARNs. */
const failureOf = (error: unknown): string => {
  const name = error instanceof Error ? error.name : '';
  if (/Throttl|TooManyRequests/.test(name)) return 'it is throttled';
  if (name === 'CredentialsProviderError') return 'there are no AWS credentials';
  if (/AccessDenied|UnrecognizedClient|InvalidSignature|ExpiredToken|InvalidClientToken/.test(name))
    return `it refused the credentials (${name})`;
  if (error instanceof SyntaxError) return 'its answer was not JSON';
  return `it did not answer (${codeOf(error) ?? name})`;
};

/** Of a connection that was refused or broke: the SDK has another name for some of them. */
const codeOf = (error: unknown): string | undefined =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

const connect = async (where: Omit<PricingApiOptions, 'clock' | 'coresOf'>) => {
  const { PricingClient, GetProductsCommand } = await import('@aws-sdk/client-pricing');
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS };
  const requestHandler = {
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    throwOnRequestTimeout: true,
    httpAgent: agent,
    httpsAgent: agent,
  };
  return { client: new PricingClient({ ...where, maxAttempts: MAX_ATTEMPTS, requestHandler }), GetProductsCommand };
};

/** In the API's place where it cannot be asked. */
export const unaskedPricingApi = (outcome: string): PriceLink => ({
  source: 'pricing-api',
  ask: async () => ({ kind: 'unasked', outcome: `not asked: ${outcome}` }),
});
