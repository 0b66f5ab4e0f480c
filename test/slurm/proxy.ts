// Between plugin and API: writes down every request, passes it on as it is, and misbehaves when told to.
import { request as ask, type ClientRequest, createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Seen {
  readonly at: number;
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
  /** Of the client's end: how many connections there were is how many differ. */
  readonly port: number;
}

/** What to answer instead. `pass` lets the API answer. */
export type Behaviour = (response: ServerResponse, pass: () => void, seen: Seen) => void;

export interface Proxy {
  readonly url: string;
  readonly seen: readonly Seen[];
  /** Requests since `mark`, a former number of them, without the probes of /health. */
  since(mark: number): readonly Seen[];
  /** How to answer from now on, but not /health, so that a breaker can close. */
  behave(behaviour: Behaviour): void;
  /** As if nobody had ever listened there; `comeBack` listens on the same port again. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

export const PASS: Behaviour = (_response, pass) => pass();

export const startProxy = async (target: string): Promise<Proxy> => {
  const { hostname, port: targetPort } = new URL(target);
  const seen: Seen[] = [];
  let behaviour = PASS;

  const server = createServer({ noDelay: true, keepAliveTimeout: 60_000 }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { method = '', url: path = '', headers } = request;
    const one: Seen = { at: Date.now(), method, path, headers, body: parse(body), port: request.socket.remotePort ?? 0 };
    seen.push(one);
    // The host stays as it was signed.
    const pass = (): void => {
      const onward: ClientRequest = ask({ host: hostname, port: targetPort, method, path, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      onward.end(body);
    };
    if (path.endsWith('/health')) pass();
    else behaviour(response, pass, one);
  });

  const listen = (port: number): Promise<number> =>
    new Promise((done, fail) => {
      server.once('error', fail);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', fail);
        done((server.address() as AddressInfo).port);
      });
    });
  const close = (): Promise<void> =>
    new Promise((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });

  const port = await listen(0);
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    since: (mark) => seen.slice(mark).filter(({ path }) => !path.endsWith('/health')),
    behave: (next) => {
      behaviour = next;
    },
    goAway: close,
    comeBack: async () => {
      await listen(port);
    },
    close: async () => {
      if (server.listening) await close();
    },
  };
};

const parse = (body: Buffer): Record<string, unknown> => {
  try {
    return JSON.parse(body.toString()) as Record<string, unknown>;
  } catch {
    return {};
  }
};
