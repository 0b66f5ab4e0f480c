// An advisor over real HTTP, written from the shapes that it speaks, which can misbehave in every way we have thought of.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

export type Behaviour = (response: ServerResponse, asked: Asked) => void;

export interface StandInAdvisor {
  readonly url: string;
  /** Every request to `POST /api/v1/analyze`, in order. */
  readonly asked: Asked[];
  /** How it answers from now on. */
  behave(how: Behaviour): void;
  close(): Promise<void>;
}

const send = (response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);

/** Its answer as text: what JSON cannot say can be sent too. */
export const saying =
  (text: string, status = 200): Behaviour =>
  (response) =>
    send(response, status, text);

export const estimating = (estimated_cost: number, beside: Record<string, unknown> = {}): Behaviour =>
  saying(JSON.stringify({ estimated_cost, local_cost: 0, aws_cost: estimated_cost, recommendation: 'burst', confidence: 0.8, ...beside }));

/** What it may do, by name. */
export const ODD = {
  'never answers': () => undefined,
  'answers by half and stops': (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' }).write('{"estimated_cost": 1');
  },
  'drops the connection': (response) => void response.destroy(),
  'drops the connection in the middle of its answer': (response) => {
    response.writeHead(200, { 'content-length': '1000' }).write('{"estimated_cost": 1', () => response.destroy());
  },
  'is not HTTP': (response) => void response.socket?.end('220 mail.example.org ESMTP\r\n'),
  'does not know us': saying('{"error":"unauthorized"}', 401),
  'forbids it': saying('{"error":"forbidden"}', 403),
  'has no such path': saying('<html>not found</html>', 404),
  'does not take the job': saying('{"error":"nodes: too many"}', 422),
  'has too much to do': saying('{"error":"slow down"}', 429),
  fails: saying('{"error":"boom"}', 500),
  'sends us elsewhere': (response, { headers }) => send(response, 307, '', { location: `http://${headers.host}/elsewhere` }),
  'never ends its answer': (response) => {
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(16_384)));
      response.once('drain', more);
    };
    response.writeHead(200);
    more();
  },
  'answers with a page': saying('<html>welcome</html>'),
  'answers with nothing': saying(''),
  'answers with a list': saying('[1]'),
  'answers with null': saying('null'),
  'answers with NaN': saying('{"estimated_cost": NaN}'),
  'answers with an error': saying('{"estimated_cost": 1, "error": "model not loaded"}'),
  'says no cost': saying('{"recommendation": "burst"}'),
  'says its cost in words': saying('{"estimated_cost": "1.00"}'),
  'says null': saying('{"estimated_cost": null}'),
  'says infinity': saying('{"estimated_cost": 1e999}'),
  'says a negative cost': estimating(-1),
  'says that it is free': estimating(0),
  'says -0': saying('{"estimated_cost": -0.0}'),
  'says too many decimals': saying('{"estimated_cost": 1e-30}'),
  'says more money than there is': estimating(1e12),
  'says an absurdly high cost': estimating(3_060),
  'says an absurdly low cost': estimating(0.001),
} as const satisfies Record<string, Behaviour>;

export type OddName = keyof typeof ODD;

export const startStandInAdvisor = async (): Promise<StandInAdvisor> => {
  const asked: Asked[] = [];
  let behaviour: Behaviour = estimating(1);
  const server = createServer(async (request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const { method = '', url: path = '', headers } = request;
    if (path === '/health') return send(response, 200, '{"status":"ok"}');
    if (method !== 'POST' || path !== '/api/v1/analyze') return send(response, 404, '');
    const each: Asked = { method, path, headers, text, body: JSON.parse(text) as Record<string, unknown> };
    asked.push(each);
    return behaviour(response, each);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    behave: (how) => {
      behaviour = how;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
