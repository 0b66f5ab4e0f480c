// EventBridge and the queue behind it without AWS: PutEvents in, a rule, a queue that delivers again, and its dead letters.
// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
//
// The queue is in memory. What is lost with the process is put again by the agent, which sees that its holds are still open.
import { createHash, randomUUID } from 'node:crypto';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import type { AwsService } from '#cli/local/http-server';
import type { RequestToVerify, Verifier } from '#cli/local/sigv4-verify';
import { JOB_ENDED, JOB_ENDED_BATCH_SIZE, JOB_ENDED_MAX_RECEIVES, SLURM_SOURCE } from '#contract/events';
import { id } from '#contract/fields';
import { MAX_PUT_BYTES, MAX_PUT_ENTRIES } from '#contract/limits';

const TARGET_PREFIX = 'AWSEvents';
const PUT_EVENTS = `${TARGET_PREFIX}.PutEvents`;
/** Details are JSON within JSON, so a body may be twice as long as what it says, and then some. */
const MAX_PUT_BODY_BYTES = 3 * MAX_PUT_BYTES;
const RETRY_AFTER_MS = 1_000;
/** Whoever puts more than is worked off is told to slow down. */
const MAX_QUEUED = 10_000;
/** The oldest go first. */
const MAX_DEAD_LETTERS = 1_000;
const ACCOUNT_ID = '000000000000';
const REGION = 'us-east-1';

export interface EventBusOptions {
  /** What works off the queue, as Lambda would call it. */
  readonly handle: (batch: SQSEvent) => Promise<SQSBatchResponse>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Demand signatures for service `events`. @default every request is let in */
  readonly verifier?: Verifier;
  /** For people: what ended in the dead letters. */
  readonly say: (line: string) => void;
  /** How long after a failure an event is delivered again. @default 1000 */
  readonly retryAfterMs?: number;
}

export interface DeadLetter {
  readonly messageId: string;
  /** The event as it was delivered. */
  readonly body: string;
  readonly receives: number;
}

export interface EventBus {
  readonly service: AwsService;
  /** The newest last, at most a thousand. */
  deadLetters(): readonly DeadLetter[];
  /** Let the batch in hand end; what still waits is lost, and said to be. */
  stop(): Promise<void>;
}

export const createEventBus = ({ now, verifier, ...options }: EventBusOptions): EventBus => {
  const queue = createQueue({ now, ...options });
  const accept = (entry: Entry): EntryResult => {
    const EventId = randomUUID();
    if (entry.Source !== SLURM_SOURCE || entry.DetailType !== JOB_ENDED) return { EventId }; // No rule asks for it.
    if (!queue.add(JSON.stringify(eventOf(entry, EventId, now())))) return failure('ThrottlingException', 'Rate exceeded');
    return { EventId };
  };
  return {
    service: {
      targetPrefix: TARGET_PREFIX,
      maxBodyBytes: MAX_PUT_BODY_BYTES,
      answer: async (request, requestId) => {
        const { status, body } = await answer(request, { verifier, accept });
        const bytes = Buffer.from(JSON.stringify(body));
        return { status, headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': requestId }, body: bytes };
      },
    },
    deadLetters: queue.deadLetters,
    stop: queue.stop,
  };
};

interface Entry {
  readonly Source: string;
  readonly DetailType: string;
  readonly Detail: string;
}

type EntryResult = { readonly EventId: string } | { readonly ErrorCode: string; readonly ErrorMessage: string };

const failure = (ErrorCode: string, ErrorMessage: string): EntryResult => ({ ErrorCode, ErrorMessage });

/** What meets the whole request: EventBridge's code, which the SDK makes the error's name. */
class PutRefused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const answer = async (
  request: RequestToVerify,
  { verifier, accept }: { verifier: Verifier | undefined; accept: (entry: Entry) => EntryResult },
): Promise<{ status: number; body: unknown }> => {
  try {
    await authenticate(request, verifier);
    if (request.headers['x-amz-target'] !== PUT_EVENTS) throw new PutRefused(400, 'UnknownOperationException', 'only PutEvents is here');
    const results = entriesOf(request.body).map((entry) => readEntry(entry, accept));
    return { status: 200, body: { FailedEntryCount: results.filter((result) => 'ErrorCode' in result).length, Entries: results } };
  } catch (error) {
    if (!(error instanceof PutRefused)) throw error;
    return { status: error.status, body: { __type: error.code, message: error.message } };
  }
};

const authenticate = async (request: RequestToVerify, verifier: Verifier | undefined): Promise<void> => {
  const verification = await verifier?.(request);
  if (verification === undefined || verification.ok) return;
  const code = request.headers.authorization === undefined ? 'MissingAuthenticationTokenException' : 'InvalidSignatureException';
  throw new PutRefused(verification.status, code, verification.message);
};

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

const fieldsIn = (json: string): Fields | undefined => {
  try {
    const value: unknown = JSON.parse(json);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined; // What is not JSON has no fields; the caller says so in EventBridge's words.
  }
};

const entriesOf = (body: Buffer): Fields[] => {
  const request = fieldsIn(body.toString());
  if (request === undefined) throw new PutRefused(400, 'SerializationException', 'the body is not a JSON object');
  const { Entries: entries } = request;
  if (!Array.isArray(entries) || !entries.every(isFields)) {
    throw new PutRefused(400, 'ValidationException', "1 validation error detected: Value at 'entries' must be a list of entries");
  }
  if (entries.length === 0 || entries.length > MAX_PUT_ENTRIES) {
    const limit = entries.length === 0 ? 'greater than or equal to 1' : `less than or equal to ${MAX_PUT_ENTRIES}`;
    const constraint = `failed to satisfy constraint: Member must have length ${limit}`;
    throw new PutRefused(400, 'ValidationException', `1 validation error detected: Value at 'entries' ${constraint}`);
  }
  if (entries.reduce((sum, entry) => sum + bytesOf(entry), 0) >= MAX_PUT_BYTES) {
    throw new PutRefused(400, 'ValidationException', 'Total size of the entries in the request is over the limit.');
  }
  return entries;
};

const bytesOf = ({ Source, DetailType, Detail }: Fields): number =>
  [Source, DetailType, Detail].reduce<number>((sum, text) => sum + (typeof text === 'string' ? Buffer.byteLength(text) : 0), 0);

const readEntry = (entry: Fields, accept: (entry: Entry) => EntryResult): EntryResult => {
  const { Source, DetailType, Detail } = entry;
  for (const [name, value] of Object.entries({ Source, DetailType, Detail })) {
    if (typeof value !== 'string' || value === '') {
      return failure('InvalidArgument', `Parameter ${name} is not valid. Reason: ${name} is a required argument.`);
    }
  }
  if (fieldsIn(String(Detail)) === undefined) return failure('MalformedDetail', 'Detail is malformed.');
  return accept({ Source: String(Source), DetailType: String(DetailType), Detail: String(Detail) });
};

const eventOf = ({ Source, DetailType, Detail }: Entry, eventId: string, at: number) => ({
  version: '0',
  id: eventId,
  'detail-type': DetailType,
  source: Source,
  account: ACCOUNT_ID,
  time: new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z'),
  region: REGION,
  resources: [],
  detail: fieldsIn(Detail),
});

interface Message {
  readonly messageId: string;
  readonly body: string;
  readonly sentAt: number;
  receives: number;
  visibleAt: number;
}

/** One batch at a time: a laptop has no second function to run beside. */
const createQueue = ({ handle, now, say, retryAfterMs = RETRY_AFTER_MS }: Omit<EventBusOptions, 'verifier'>) => {
  let waiting: Message[] = [];
  const dead: DeadLetter[] = [];
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> | undefined;
  let isStopped = false;

  const bury = ({ messageId, body, receives }: Message): void => {
    dead.push({ messageId, body, receives });
    if (dead.length > MAX_DEAD_LETTERS) dead.shift();
    say(`event ${messageId} (${nameIn(body)}) is in the dead letters: it failed ${receives} times, for the reasons above`);
  };

  const deliver = async (batch: readonly Message[]): Promise<void> => {
    const failed = await handle({ Records: batch.map(recordOf) }).then(
      ({ batchItemFailures }) => new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier)),
      (error: unknown) => {
        say(`a batch of ${batch.length} events failed: ${error instanceof Error ? error.message : error}`);
        return new Set(batch.map(({ messageId }) => messageId)); // As with Lambda: who threw has done nothing.
      },
    );
    for (const message of batch.filter(({ messageId }) => failed.has(messageId))) {
      if (message.receives >= JOB_ENDED_MAX_RECEIVES) bury(message);
      else waiting.push({ ...message, visibleAt: now() + retryAfterMs });
    }
  };

  const workOff = async (): Promise<void> => {
    while (!isStopped) {
      const at = now();
      const batch = waiting.filter(({ visibleAt }) => visibleAt <= at).slice(0, JOB_ENDED_BATCH_SIZE);
      if (batch.length === 0) return;
      waiting = waiting.filter((message) => !batch.includes(message));
      await deliver(batch.map((message) => ({ ...message, receives: message.receives + 1 })));
    }
  };

  const wake = (): void => {
    clearTimeout(timer);
    working ??= workOff().finally(() => {
      working = undefined;
      const next = Math.min(...waiting.map(({ visibleAt }) => visibleAt));
      if (!isStopped && waiting.length > 0) timer = setTimeout(wake, Math.max(0, next - now()));
    });
  };

  return {
    /** False: it is full. */
    add: (body: string): boolean => {
      if (isStopped || waiting.length >= MAX_QUEUED) return false;
      waiting.push({ messageId: randomUUID(), body, sentAt: now(), receives: 0, visibleAt: now() });
      wake();
      return true;
    },
    deadLetters: () => dead,
    stop: async (): Promise<void> => {
      isStopped = true;
      clearTimeout(timer);
      await working;
      if (waiting.length > 0) say(`${waiting.length} events were not worked off and are lost with this server: put them again`);
    },
  };
};

const recordOf = ({ messageId, body, receives, sentAt }: Message): SQSRecord => ({
  messageId,
  receiptHandle: messageId,
  body,
  attributes: {
    ApproximateReceiveCount: String(receives),
    SentTimestamp: String(sentAt),
    SenderId: 'asbb-local',
    ApproximateFirstReceiveTimestamp: String(sentAt),
  },
  messageAttributes: {},
  md5OfBody: createHash('md5').update(body).digest('hex'),
  eventSource: 'aws:sqs',
  eventSourceARN: `arn:aws:sqs:${REGION}:${ACCOUNT_ID}:asbb-local`,
  awsRegion: REGION,
});

const NAME = id(128);

/** Which run it is about; ids only, as this goes to a terminal. */
const nameIn = (body: string): string => {
  const detail = fieldsIn(body)?.detail;
  const runId = isFields(detail) ? NAME.safeParse(detail.run_id) : undefined;
  return runId?.success ? `run ${runId.data}` : 'no run that can be read';
};
