// A stand-in for AWS's Price List Query API, made from its published wire format: POST /, JSON 1.1, X-Amz-Target
// AWSPriceListService.GetProducts; each product is JSON in a string, its attributes are texts, the keys of its terms opaque.
// https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_pricing_GetProducts.html
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Attributes = Readonly<Record<string, string>>;

/** A row of the price list: what is sold, and its terms. */
export interface Row {
  readonly attributes: Attributes;
  readonly productFamily?: string;
  readonly terms: unknown;
}

export interface GetProducts {
  readonly ServiceCode: string;
  readonly FormatVersion?: string;
  readonly MaxResults?: number;
  readonly NextToken?: string;
  readonly Filters: readonly { readonly Type: string; readonly Field: string; readonly Value: string }[];
}

/** What the next requests get instead of products. */
export type Mishap =
  | 'throttled'
  | 'refused'
  | 'broken'
  | 'not JSON'
  | 'hangs up'
  | 'never answers'
  | { readonly afterMs: number }
  | { readonly list: readonly string[]; readonly NextToken?: string };

export interface PriceList {
  readonly endpoint: string;
  /** In the order of their arrival. */
  readonly requests: readonly GetProducts[];
  rows: Row[];
  /** Products on a page, if fewer than were asked for. */
  pageSize: number;
  /** For every request until it is undefined. */
  always: Mishap | undefined;
  /** For one request each, first. */
  readonly next: Mishap[];
  close(): Promise<void>;
}

/** A price as AWS writes it: ten decimals, opaque keys. */
export const onDemand = (pricePerUnit: Readonly<Record<string, string>>, unit = 'Hrs'): unknown => ({
  OnDemand: {
    'JRTCKXETXF.T1': {
      offerTermCode: 'JRTCKXETXF',
      effectiveDate: '2026-10-01T00:00:00Z',
      priceDimensions: { 'JRTCKXETXF.T1.6YS6EN2CT7': { unit, beginRange: '0', endRange: 'Inf', pricePerUnit } },
      termAttributes: {},
    },
  },
});

/** c5.18xlarge of us-east-1 as a plain instance, at $3.06. */
export const aRow = (given: Attributes = {}, terms: unknown = onDemand({ USD: '3.0600000000' })): Row => ({
  attributes: {
    instanceType: 'c5.18xlarge',
    regionCode: 'us-east-1',
    operatingSystem: 'Linux',
    preInstalledSw: 'NA',
    tenancy: 'Shared',
    capacitystatus: 'Used',
    marketoption: 'OnDemand',
    vcpu: '72',
    memory: '144 GiB',
    physicalProcessor: 'Intel Xeon Platinum 8124M',
    licenseModel: 'No License required',
    ...given,
  },
  terms,
});

/** The rows of one type as AWS has them: a plain instance among reservations at $0, dedicated ones and other systems. */
export const rowsOf = (given: Attributes, usd: string): Row[] => [
  aRow({ ...given, capacitystatus: 'UnusedCapacityReservation' }, onDemand({ USD: '0.0000000000' })),
  aRow({ ...given, capacitystatus: 'AllocatedCapacityReservation' }, onDemand({ USD: '0.0000000000' })),
  aRow({ ...given, tenancy: 'Dedicated' }, onDemand({ USD: '9.9900000000' })),
  aRow({ ...given, operatingSystem: 'Windows' }, onDemand({ USD: '8.8800000000' })),
  aRow({ ...given, preInstalledSw: 'SQL Web' }, onDemand({ USD: '7.7700000000' })),
  aRow({ ...given, marketoption: 'CapacityBlock' }, onDemand({ USD: '0.0000000000' })),
  aRow(given, onDemand({ USD: usd })),
];

export const textOf = ({ attributes, productFamily = 'Compute Instance', terms }: Row): string =>
  JSON.stringify({
    product: { productFamily, attributes, sku: '2222222222222222' },
    serviceCode: 'AmazonEC2',
    terms,
    version: '20261001000000',
    publicationDate: '2026-10-01T00:00:00Z',
  });

const JSON_1_1 = { 'content-type': 'application/x-amz-json-1.1' };

/** @param rows what is sold; nothing if not given */
export const startPriceList = async (rows: readonly Row[] = []): Promise<PriceList> => {
  const requests: GetProducts[] = [];
  const list = { rows: [...rows], pageSize: 100, always: undefined as Mishap | undefined, next: [] as Mishap[], requests };
  const server = createServer((request, response) => {
    bodyOf(request).then(
      (body) => {
        requests.push(body);
        const mishap = list.next.shift() ?? list.always;
        if (typeof mishap === 'object' && 'afterMs' in mishap) setTimeout(() => answer(response, list, body), mishap.afterMs);
        else if (mishap === undefined) answer(response, list, body);
        else misbehave(response, mishap);
      },
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return Object.assign(list, { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close });
};

const bodyOf = async (request: IncomingMessage): Promise<GetProducts> => {
  if (request.headers['x-amz-target'] !== 'AWSPriceListService.GetProducts') throw new Error('nobody asks for anything else');
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text) as GetProducts;
};

const answer = (response: ServerResponse, list: { rows: readonly Row[]; pageSize: number }, body: GetProducts): void => {
  const fieldOf = (row: Row, field: string) =>
    field === 'productFamily' ? (row.productFamily ?? 'Compute Instance') : row.attributes[field];
  const found = list.rows.filter((row) => body.Filters.every(({ Field, Value }) => fieldOf(row, Field) === Value));
  const from = Number(body.NextToken ?? 0);
  const until = from + Math.min(list.pageSize, body.MaxResults ?? 100);
  const page = {
    FormatVersion: 'aws_v1',
    PriceList: found.slice(from, until).map(textOf),
    ...(until < found.length && { NextToken: String(until) }),
  };
  response.writeHead(200, JSON_1_1).end(JSON.stringify(page));
};

const misbehave = (response: ServerResponse, mishap: Exclude<Mishap, { afterMs: number }>): void => {
  const refuse = (status: number, type: string) =>
    response.writeHead(status, JSON_1_1).end(JSON.stringify({ __type: type, message: type }));
  if (typeof mishap === 'object')
    response.writeHead(200, JSON_1_1).end(JSON.stringify({ PriceList: mishap.list, NextToken: mishap.NextToken }));
  else if (mishap === 'throttled') refuse(400, 'ThrottlingException');
  else if (mishap === 'refused') refuse(400, 'AccessDeniedException');
  else if (mishap === 'broken') refuse(500, 'InternalErrorException');
  else if (mishap === 'not JSON') response.writeHead(200, JSON_1_1).end('<html>proxy</html>');
  else if (mishap === 'hangs up') response.destroy();
};
