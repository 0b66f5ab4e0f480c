// The bus of `asbb local`: EventBridge's wire, and a queue that delivers again.
import { randomUUID } from 'node:crypto';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createEventBus, type EventBus, type EventBusOptions } from '#cli/local/event-bus';
import type { RequestToVerify } from '#cli/local/sigv4-verify';

const anEntry = (given: Record<string, unknown> = {}) => ({
  EventBusName: 'asbb',
  Source: 'asbb.slurm',
  DetailType: 'Slurm Job Ended',
  Detail: '{"run_id":"hpc-1"}',
  ...given,
});

const aRequest = (body: unknown, target = 'AWSEvents.PutEvents'): RequestToVerify => ({
  method: 'POST',
  rawPath: '/',
  rawQueryString: '',
  headers: { 'x-amz-target': target },
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});

interface Answer {
  readonly status: number;
  readonly body: {
    __type?: string;
    message?: string;
    FailedEntryCount?: number;
    Entries?: { EventId?: string; ErrorCode?: string; ErrorMessage?: string }[];
  };
}

const aBus = (options: Partial<EventBusOptions> = {}) => {
  const delivered: SQSRecord[][] = [];
  const said: string[] = [];
  const bus: EventBus = createEventBus({
    now: Date.now,
    say: (line) => said.push(line),
    retryAfterMs: 5,
    ...options,
    handle: async (batch) => {
      delivered.push(batch.Records);
      return options.handle?.(batch) ?? { batchItemFailures: [] };
    },
  });
  onTestFinished(bus.stop);
  const ask = async (request: RequestToVerify): Promise<Answer> => {
    const { status, body } = await bus.service.answer(request, randomUUID());
    return { status, body: JSON.parse(body.toString()) as Answer['body'] };
  };
  return { bus, delivered, said, ask, put: (...entries: unknown[]) => ask(aRequest({ Entries: entries })) };
};

const failing = async (batch: SQSEvent): Promise<SQSBatchResponse> => ({
  batchItemFailures: batch.Records.map(({ messageId }) => ({ itemIdentifier: messageId })),
});

const until = async (condition: () => boolean): Promise<void> => {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 500) throw new Error('it did not happen within five seconds');
    await new Promise((done) => setTimeout(done, 10));
  }
};

describe('PutEvents in asbb local', () => {
  it('delivers what the rule asks for, as SQS does', async () => {
    const { delivered, put } = aBus();
    const { status, body } = await put(anEntry());
    expect({ status, body }).toEqual({ status: 200, body: { FailedEntryCount: 0, Entries: [{ EventId: expect.any(String) }] } });
    await until(() => delivered.length === 1);
    const [record] = delivered[0] as SQSRecord[];
    expect(record).toMatchObject({ eventSource: 'aws:sqs', attributes: { ApproximateReceiveCount: '1' } });
    expect(JSON.parse(record?.body ?? '')).toEqual({
      version: '0',
      id: body.Entries?.[0]?.EventId,
      'detail-type': 'Slurm Job Ended',
      source: 'asbb.slurm',
      account: '000000000000',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      region: 'us-east-1',
      resources: [],
      detail: { run_id: 'hpc-1' },
    });
  });

  it('takes what no rule asks for, and forgets it', async () => {
    const { delivered, put } = aBus();
    const { body } = await put(anEntry({ Source: 'somebody.else' }), anEntry({ DetailType: 'Slurm Job Began' }), anEntry());
    expect(body.FailedEntryCount).toBe(0);
    await until(() => delivered.length > 0);
    expect(delivered.flat()).toHaveLength(1);
  });

  it.each([
    ['no source', { Source: undefined }, 'InvalidArgument', 'Parameter Source is not valid. Reason: Source is a required argument.'],
    [
      'no detail type',
      { DetailType: '' },
      'InvalidArgument',
      'Parameter DetailType is not valid. Reason: DetailType is a required argument.',
    ],
    ['no detail', { Detail: undefined }, 'InvalidArgument', 'Parameter Detail is not valid. Reason: Detail is a required argument.'],
    ['half a detail', { Detail: '{"run_id":' }, 'MalformedDetail', 'Detail is malformed.'],
    ['a list as detail', { Detail: '[]' }, 'MalformedDetail', 'Detail is malformed.'],
  ])('refuses an entry with %s, and takes its neighbour', async (_, given, ErrorCode, ErrorMessage) => {
    const { delivered, put } = aBus();
    const { status, body } = await put(anEntry(given), anEntry());
    expect(status).toBe(200);
    expect(body).toEqual({ FailedEntryCount: 1, Entries: [{ ErrorCode, ErrorMessage }, { EventId: expect.any(String) }] });
    await until(() => delivered.flat().length === 1);
  });

  it.each([
    ['what is not JSON', aRequest('Entries'), 'SerializationException'],
    ['a list', aRequest([]), 'SerializationException'],
    ['no entries', aRequest({}), 'ValidationException'],
    ['entries of text', aRequest({ Entries: ['one'] }), 'ValidationException'],
    ['an empty list', aRequest({ Entries: [] }), 'ValidationException'],
    ['eleven entries', aRequest({ Entries: Array(11).fill(anEntry()) }), 'ValidationException'],
    ['256 kB', aRequest({ Entries: [anEntry({ Detail: JSON.stringify({ run_id: 'x'.repeat(256 * 1024) }) })] }), 'ValidationException'],
    ['another operation', aRequest({}, 'AWSEvents.ListRules'), 'UnknownOperationException'],
  ])('refuses %s in the shape of EventBridge', async (_, request, code) => {
    const { ask } = aBus();
    expect(await ask(request)).toEqual({ status: 400, body: { __type: code, message: expect.any(String) } });
  });

  it('says Throttling when more is put than is worked off', async () => {
    let release = (): void => undefined;
    const stuck = new Promise<void>((done) => {
      release = done;
    });
    const { put } = aBus({ handle: () => stuck.then(() => ({ batchItemFailures: [] })) });
    const ten = Array(10).fill(anEntry());
    let failed = 0;
    for (let puts = 0; puts < 1002; puts++) failed += (await put(...ten)).body.FailedEntryCount ?? 0;
    release();
    // 10,000 may wait beside the batch in hand. The very first event was taken before the others of its put had come.
    expect(failed).toBeGreaterThanOrEqual(10);
    expect(failed).toBeLessThanOrEqual(20);
  });
});

describe('the queue of asbb local', () => {
  it('delivers ten at a time', async () => {
    const { delivered, put } = aBus();
    await Promise.all([put(...Array(10).fill(anEntry())), put(...Array(10).fill(anEntry())), put(...Array(5).fill(anEntry()))]);
    await until(() => delivered.flat().length === 25);
    expect(Math.max(...delivered.map((batch) => batch.length))).toBeLessThanOrEqual(10);
  });

  it('delivers again what failed, and that alone', async () => {
    let isFirst = true;
    const { bus, delivered, put } = aBus({
      handle: async ({ Records }) => {
        const failed = isFirst ? Records.filter(({ body }) => body.includes('hpc-2')) : [];
        isFirst = isFirst && failed.length === 0;
        return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
      },
    });
    await put(...[1, 2, 3].map((run) => anEntry({ Detail: JSON.stringify({ run_id: `hpc-${run}` }) })));
    await until(() => delivered.flat().length === 4);
    const again = delivered.flat().at(-1);
    expect(again?.body).toContain('hpc-2');
    expect(again?.attributes.ApproximateReceiveCount).toBe('2');
    expect(bus.deadLetters()).toEqual([]);
  });

  it('puts what failed five times into the dead letters, and says so once', async () => {
    const { bus, delivered, said, put } = aBus({ handle: failing });
    await put(anEntry(), anEntry({ Detail: '{"run_id":"two\\nlines"}' }));
    await until(() => bus.deadLetters().length === 2);
    expect(delivered.flat()).toHaveLength(10);
    expect(bus.deadLetters()).toMatchObject([{ receives: 5 }, { receives: 5 }]);
    expect(said).toEqual([
      expect.stringMatching(/^event [0-9a-f-]{36} \(run hpc-1\) is in the dead letters: it failed 5 times, for the reasons above$/),
      expect.stringMatching(/^event [0-9a-f-]{36} \(no run that can be read\) is in the dead letters: it failed 5 times/),
    ]);
  });

  it('takes a handler that throws for one that did nothing', async () => {
    const { bus, said, put } = aBus({ handle: () => Promise.reject(new Error('a bug')) });
    await put(anEntry());
    await until(() => bus.deadLetters().length === 1);
    expect(said.filter((line) => line === 'a batch of 1 events failed: a bug')).toHaveLength(5);
  });

  it('keeps a thousand dead letters, the newest', { timeout: 60_000 }, async () => {
    const { bus, said, put } = aBus({ handle: failing, retryAfterMs: 0 });
    for (let puts = 0; puts < 101; puts++)
      await put(...Array.from({ length: 10 }, (_, place) => anEntry({ Detail: `{"run_id":"r-${puts * 10 + place}"}` })));
    await until(() => said.length === 1010);
    expect(bus.deadLetters()).toHaveLength(1000);
  });

  it('ends the batch in hand when it is stopped, and says what it did not work off', async () => {
    const { bus, said, delivered, put } = aBus({ handle: failing, retryAfterMs: 60_000 });
    await put(anEntry());
    await until(() => delivered.length === 1);
    await bus.stop();
    expect(said).toEqual(['1 events were not worked off and are lost with this server: put them again']);
    expect((await put(anEntry())).body.Entries?.[0]?.ErrorCode).toBe('ThrottlingException');
  });
});
