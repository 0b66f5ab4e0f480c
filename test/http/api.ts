// A client that knows nothing of the code under test but HTTP, and `asbb local` on a folder that goes with its test file.
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Settings } from '#app/ports';
import { type LocalOptions, type LocalServer, startLocal } from '#cli/local/serve';
import { strays } from '#test/http/shapes';

/** As the contract says: 20 % more than the estimate, a day of patience, cluster `local`. */
export const SETTINGS: Settings = {
  holdFactor: { numerator: 12n, denominator: 10n },
  reconciliationTimeoutMs: 24 * 3_600_000,
  defaultCluster: 'local',
  surroundings: { store: 'dynamodb', sweepIntervalMs: 60_000, pricingRegion: null, priceTtlMs: 86_400_000, advisorUrl: null },
};

/** An answer as it came. `T` is what the test expects of the body; nothing checks it. */
export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: T;
}

export interface AccountBody {
  readonly account: string;
  readonly budget_limit: number;
  readonly budget_used: number;
  readonly budget_held: number;
  readonly budget_available: number;
  readonly budget_unconfirmed: number;
  readonly status: string;
  readonly version: number;
}

export interface HoldBody {
  readonly hold_id: string;
  readonly account: string;
  readonly state: string;
  readonly amount: number;
  readonly used: number;
  readonly tasks: number;
  readonly tasks_ended: number;
  readonly job_id: string | null;
  readonly expires_at: string;
}

export interface VerdictBody {
  readonly available: boolean;
  readonly decision: string;
  readonly code?: string;
  readonly hold_id?: string;
  readonly hold_amount: number;
}

export interface RefusalBody {
  readonly error: { readonly code: string; readonly message: string; readonly details?: { readonly fields?: { path: string }[] } };
  readonly request_id: string;
}

export interface EntryBody {
  readonly entry_id: string;
  readonly type: string;
  readonly amount: number;
  readonly hold_id: string | null;
  readonly run_id: string | null;
  readonly note: string | null;
}

export interface AuditBody {
  readonly accounts: number;
  readonly entries: number;
  readonly differences: readonly unknown[];
}

export type Api = ReturnType<typeof apiAt>;

/** A test that asks a thousand things at once means it; more connections at once than that overflow the listener's backlog. */
export const apiAt = (url: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1000 });
  const { port } = new URL(url);

  const raw = <T = RefusalBody>(
    method: string,
    target: string,
    body?: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> =>
    new Promise((done, fail) => {
      const sent = request({ host: '127.0.0.1', port, method, path: target, agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', fail);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          const answer = {
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            body: (text === '' ? undefined : JSON.parse(text)) as T,
          };
          const strayed = strays({ method, target, status: answer.status, body: answer.body });
          if (strayed === undefined) done(answer);
          else fail(new Error(strayed));
        });
      });
      sent.once('error', fail);
      sent.end(body);
    });

  const send = <T>(method: string, path: string, body?: unknown): Promise<Answer<T>> =>
    raw<T>(method, `/api/v1${path}`, body === undefined ? undefined : JSON.stringify(body), { 'content-type': 'application/json' });

  return {
    url,
    raw,
    get: <T = RefusalBody>(path: string) => send<T>('GET', path),
    post: <T = RefusalBody>(path: string, body?: unknown) => send<T>('POST', path, body),
    put: <T = RefusalBody>(path: string, body?: unknown) => send<T>('PUT', path, body),
    patch: <T = RefusalBody>(path: string, body?: unknown) => send<T>('PATCH', path, body),
    delete: <T = RefusalBody>(path: string) => send<T>('DELETE', path),
    close: () => agent.destroy(),
  };
};

/** A partition at $10 a node-hour: one node for an hour is held at $12. */
export const TEN_DOLLARS = {
  region: 'us-east-1',
  instance_types: [],
  unpriced: 'flat',
  flat_rate_per_node_hour: 10,
};

export const temporaryFolder = (): { readonly path: string; remove(): void } => {
  const path = mkdtempSync(join(tmpdir(), 'asbb-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 10 }) };
};

/** The whole of `asbb local`, on DynamoDB Local, on a free port. `said` is what it told people. */
export const startApi = async (
  directory: string,
  options: Partial<LocalOptions> = {},
): Promise<{ api: Api; server: LocalServer; said: string[]; stop(): Promise<void> }> => {
  const said: string[] = [];
  const server = await startLocal({
    port: 0,
    store: 'dynamodb',
    directory: join(directory, 'data'),
    table: 'asbb',
    settings: SETTINGS,
    folders: { home: directory },
    say: (line) => said.push(line),
    ...options,
  });
  const api = apiAt(server.url);
  const stop = async () => {
    api.close();
    await server.stop();
  };
  return { api, server, said, stop };
};
