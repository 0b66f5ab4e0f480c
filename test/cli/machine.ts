// A machine that exists only in a test: nothing of the process that runs it is seen, and what is written stays here.
import { createContext, type GlobalOptions, type Machine, type Output } from '#cli/context';
import { aFolder } from '#test/support/folders';

export const NOON = Date.UTC(2026, 10, 23, 12);
export const AN_ID = '0f8fad5b-d9cb-469f-a165-70867728950e';
export const ENDPOINT = 'http://127.0.0.1:8080';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Headers;
  readonly body: unknown;
}

export interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  readonly text?: string;
}

type Handler = Answer | ((asked: Asked) => Answer);

/** An API of canned answers, by `METHOD /path` below /api/v1. What is not there was never to be asked. */
export const fakeApi = (answers: Readonly<Record<string, Handler>>): { fetch: typeof fetch; asked: Asked[] } => {
  const asked: Asked[] = [];
  const fetchLike = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input));
    const request: Asked = {
      method: init.method ?? 'GET',
      path: url.pathname.replace(/^\/api\/v1/, ''),
      query: Object.fromEntries(url.searchParams),
      headers: new Headers(init.headers),
      body: init.body === undefined ? undefined : JSON.parse(String(init.body)),
    };
    asked.push(request);
    const handler = answers[`${request.method} ${request.path}`];
    if (handler === undefined) throw new Error(`the test has no answer to ${request.method} ${request.path}`);
    const { status = 200, body, text } = typeof handler === 'function' ? handler(request) : handler;
    return new Response(status === 204 ? null : (text ?? JSON.stringify(body)), { status });
  };
  return { fetch: fetchLike as typeof fetch, asked };
};

export const noApi: typeof fetch = async () => {
  throw new Error('nothing was to be asked');
};

export interface FakeMachine extends Machine {
  readonly out: () => string;
  readonly err: () => string;
}

const paper = (columns?: number): Output & { text: () => string } => {
  const pieces: string[] = [];
  return { write: (piece) => pieces.push(piece), isTerminal: columns !== undefined, columns, text: () => pieces.join('') };
};

/** `columns` makes its stdout a terminal. */
export const aMachine = ({ columns, ...given }: Partial<Machine> & { columns?: number } = {}): FakeMachine => {
  const stdout = paper(columns);
  const stderr = paper();
  return {
    env: { ASBB_ENDPOINT: ENDPOINT },
    home: aFolder('asbb-cli-'),
    configFiles: [],
    now: () => NOON,
    newId: () => AN_ID,
    readStdin: async () => {
      throw new Error('standard input was not to be read');
    },
    stdin: () => {
      throw new Error('standard input was not to be read');
    },
    fetch: noApi,
    credentials: async () => async () => ({ accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI' }),
    openTable: async () => {
      throw new Error('no table was to be opened');
    },
    readStackOutputs: async () => {
      throw new Error('no stack was to be read');
    },
    readAlarms: async () => {
      throw new Error('no alarm was to be read');
    },
    ...given,
    stdout,
    stderr,
    out: stdout.text,
    err: stderr.text,
  };
};

/** A machine whose API is fake, and a context on it. */
export const aContext = (
  answers: Readonly<Record<string, Handler>> = {},
  options: GlobalOptions = {},
  given: Parameters<typeof aMachine>[0] = {},
) => {
  const { fetch, asked } = fakeApi(answers);
  const machine = aMachine({ fetch, ...given });
  return { context: createContext(machine, options), machine, asked };
};
