// Events onto the bus. EventBridge answers for each entry apart, so each is retried apart.
import type { EventBridgeClient, EventBridgeClientConfig, PutEventsCommand, PutEventsRequestEntry } from '@aws-sdk/client-eventbridge';
import { createIds, systemClock } from '#adapters/system';
import type { Clock, Ids } from '#app/ports';
import type { BusEvent } from '#contract/events';
import { MAX_PUT_BYTES, MAX_PUT_ENTRIES, PUT_ENTRY_OVERHEAD_BYTES } from '#contract/limits';

const MAX_TRIES = 5;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const CONNECT_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 5_000;

export interface EventPublisherOptions {
  /** Name or ARN of the bus. */
  readonly bus: string;
  /** @default as the SDK finds it */
  readonly region?: string;
  /** @default AWS's own, or AWS_ENDPOINT_URL_EVENTBRIDGE */
  readonly endpoint?: string;
  /** @default as the SDK finds them */
  readonly credentials?: NonNullable<EventBridgeClientConfig['credentials']>;
  /** Pauses between the tries. @default the clock on the wall */
  readonly clock?: Pick<Clock, 'sleep'>;
  /** Jitter of those pauses. @default real randomness */
  readonly ids?: Pick<Ids, 'random'>;
}

/** Why an event is not on the bus, as far as anybody knows: when an answer got lost, it may be there all the same. */
export interface Unpublished extends Reason {
  /** Its place among the events given. */
  readonly index: number;
}

interface Reason {
  /** EventBridge's code or the SDK's, or `EntryTooLarge`. */
  readonly code: string;
  readonly message: string;
}

export interface EventPublisher {
  /** What failed in the end is named, by index; the rest is on the bus, at least once. */
  put(events: readonly BusEvent[]): Promise<{ failed: readonly Unpublished[] }>;
  /** End its connections. */
  close(): void;
}

/** @param options the bus, and where it is. Nothing is loaded or connected before the first event is put. */
export const createEventPublisher = ({ bus, clock = systemClock, ids = createIds(), ...where }: EventPublisherOptions): EventPublisher => {
  let sender: Promise<Sender> | undefined;
  const connected = (): Promise<Sender> => {
    sender ??= connect(where);
    return sender;
  };

  const putPart = async (part: readonly Entry[]): Promise<Outcome> => {
    const { send } = await connected();
    let waiting = part;
    const failed: Unpublished[] = [];
    for (let tries = 1; ; tries++) {
      const { unpublished, away } = await send(waiting);
      const isLast = tries === MAX_TRIES;
      failed.push(...unpublished.filter(({ passing }) => isLast || !passing).map(({ failure }) => failure));
      waiting = isLast ? [] : unpublished.filter(({ passing }) => passing).map(({ entry }) => entry);
      if (waiting.length === 0) return { failed, away };
      await clock.sleep(ids.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries));
    }
  };

  return {
    put: async (events) => {
      const entries = events.map((event, index) => entryOf(bus, event, index));
      const failed = entries.filter(isTooLarge).map(tooLarge);
      let away: Reason | undefined;
      for (const part of parts(entries.filter((entry) => !isTooLarge(entry)))) {
        const outcome = away === undefined ? await putPart(part) : unasked(part, away);
        failed.push(...outcome.failed);
        away = outcome.away;
      }
      return { failed: failed.sort((one, other) => one.index - other.index) };
    },
    close: () => void sender?.then(({ client }) => client.destroy()),
  };
};

interface Entry {
  readonly index: number;
  readonly bytes: number;
  readonly request: PutEventsRequestEntry;
}

interface Sender {
  readonly client: EventBridgeClient;
  send(entries: readonly Entry[]): Promise<Attempt>;
}

interface Attempt {
  readonly unpublished: readonly Attempted[];
  /** EventBridge takes nothing from us, whatever it is. */
  readonly away: Reason | undefined;
}

interface Outcome {
  readonly failed: readonly Unpublished[];
  readonly away: Reason | undefined;
}

/** One entry that EventBridge did not take this time. */
interface Attempted {
  readonly entry: Entry;
  /** The same entry may be taken later. */
  readonly passing: boolean;
  readonly failure: Unpublished;
}

const entryOf = (bus: string, { source, detailType, detail }: BusEvent, index: number): Entry => {
  const Detail = JSON.stringify(detail);
  const bytes = [source, detailType, Detail].reduce((sum, text) => sum + Buffer.byteLength(text), PUT_ENTRY_OVERHEAD_BYTES);
  return { index, bytes, request: { EventBusName: bus, Source: source, DetailType: detailType, Detail } };
};

/** Whoever does not answer one part would take as long not to answer each of the others. */
const unasked = (part: readonly Entry[], away: Reason): Outcome => ({ failed: part.map(({ index }) => ({ index, ...away })), away });

const isTooLarge = ({ bytes }: Entry): boolean => bytes > MAX_PUT_BYTES;

const tooLarge = ({ index, bytes }: Entry): Unpublished => ({
  index,
  code: 'EntryTooLarge',
  message: `the event has ${bytes} bytes, and EventBridge takes ${MAX_PUT_BYTES}: leave out job_metadata`,
});

/** In order, as full as EventBridge allows. */
const parts = (entries: readonly Entry[]): Entry[][] => {
  const full: Entry[][] = [];
  let part: Entry[] = [];
  let bytes = 0;
  for (const entry of entries) {
    if (part.length === MAX_PUT_ENTRIES || bytes + entry.bytes > MAX_PUT_BYTES) {
      full.push(part);
      part = [];
      bytes = 0;
    }
    part.push(entry);
    bytes += entry.bytes;
  }
  return part.length === 0 ? full : [...full, part];
};

/** The SDK takes longer to load than `asbb --help` takes altogether. */
const connect = async (where: Pick<EventPublisherOptions, 'region' | 'endpoint' | 'credentials'>): Promise<Sender> => {
  const { EventBridgeClient, PutEventsCommand } = await import('@aws-sdk/client-eventbridge');
  const client = new EventBridgeClient({
    ...where,
    maxAttempts: 1, // The tries are counted here, where those of single entries are counted too.
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, throwOnRequestTimeout: true },
  });
  return { client, send: (entries) => attempt(client, new PutEventsCommand({ Entries: entries.map(({ request }) => request) }), entries) };
};

/** Codes that may pass (EventBridge, "PutEventsResultEntry" and "Common Errors"). */
const PASSING_CODES: ReadonlySet<string> = new Set([
  'InternalFailure',
  'InternalException',
  'ServiceUnavailable',
  'ThrottlingException',
  'RequestLimitExceeded',
]);

const attempt = async (client: EventBridgeClient, command: PutEventsCommand, entries: readonly Entry[]): Promise<Attempt> => {
  try {
    const { Entries = [] } = await client.send(command);
    const unpublished = entries.flatMap((entry, place) => {
      // Results are in the order of the entries. One that is missing was promised by nobody.
      const { EventId, ErrorCode = 'InternalFailure', ErrorMessage = 'EventBridge did not say what became of it' } = Entries[place] ?? {};
      if (EventId !== undefined) return [];
      return [{ entry, passing: PASSING_CODES.has(ErrorCode), failure: { index: entry.index, code: ErrorCode, message: ErrorMessage } }];
    });
    return { unpublished, away: undefined };
  } catch (error) {
    const { passing, ...reason } = meaningOf(error);
    const unpublished = entries.map((entry) => ({ entry, passing, failure: { index: entry.index, ...reason } }));
    // This one alone is about what was sent.
    return { unpublished, away: reason.code === 'ValidationException' ? undefined : reason };
  }
};

/** Names of errors that never reached EventBridge, or whose answer never reached us; beside these, any with a system error code. */
const NO_ANSWER = new Set(['TimeoutError', 'RequestTimeout', 'AbortError']);

/** What an error means that met the whole request. @throws what is a bug or a mistake of the configuration */
const meaningOf = (thrown: unknown): Reason & { readonly passing: boolean } => {
  if (!(thrown instanceof Error)) throw new Error(`not an error was thrown: ${String(thrown)}`);
  const { name, message, code: systemCode, $metadata } = thrown as Error & { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  if (status !== undefined) {
    // A body that is not EventBridge's, as a proxy in between sends it, is no answer either.
    return { passing: status >= 500 || status === 429 || PASSING_CODES.has(name) || thrown instanceof SyntaxError, code: name, message };
  }
  if (thrown instanceof TypeError || thrown instanceof RangeError) throw thrown; // A URL that is none has a system code too.
  if (typeof systemCode === 'string') return { passing: true, code: systemCode, message };
  if (NO_ANSWER.has(name)) return { passing: true, code: name, message };
  if (name === 'CredentialsProviderError') return { passing: false, code: name, message };
  throw thrown;
};
