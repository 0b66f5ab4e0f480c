// The publisher against something that speaks EventBridge's wire, and misbehaves as told.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEventPublisher, type EventPublisherOptions } from '#adapters/event-publisher';
import { jobEnded, type RunDetail } from '#contract/events';

interface PutEntry {
  readonly EventBusName: string;
  readonly Source: string;
  readonly DetailType: string;
  readonly Detail: string;
}

interface Reply {
  readonly status?: number;
  readonly body: unknown;
}

const TAKEN = { EventId: '11710aed-b79e-4468-a20b-bb3c0c3b4860' };
const throttled = { ErrorCode: 'ThrottlingException', ErrorMessage: 'Rate exceeded' };
const failure = { ErrorCode: 'InternalFailure', ErrorMessage: 'an unknown error' };
const malformed = { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' };

const results = (...entries: object[]): Reply => ({
  body: { FailedEntryCount: entries.filter((entry) => 'ErrorCode' in entry).length, Entries: entries },
});
const refused = (status: number, code: string): Reply => ({ status, body: { __type: code, message: 'no' } });

let server: Server;
let endpoint: string;
let headers: NodeJS.Dict<string | string[]>[];
let puts: PutEntry[][];
/** The next answers; afterwards everything is taken. `hang up` ends the connection without one. */
let replies: (Reply | 'hang up')[];
let pauses: number[];

beforeEach(async () => {
  [headers, puts, replies, pauses] = [[], [], [], []];
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { Entries: entries } = JSON.parse(Buffer.concat(chunks).toString()) as { Entries: PutEntry[] };
    headers.push(request.headers);
    puts.push(entries);
    const reply = replies.shift() ?? results(...entries.map(() => TAKEN));
    if (reply === 'hang up') return void request.socket.destroy();
    response.writeHead(reply.status ?? 200, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const put = async (details: readonly RunDetail[], given: Partial<EventPublisherOptions> = {}) => {
  const publisher = createEventPublisher({
    bus: 'asbb-dev',
    region: 'us-east-1',
    endpoint,
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
    clock: { sleep: async (ms) => void pauses.push(ms) },
    ids: { random: () => 0.5 },
    ...given,
  });
  try {
    return (await publisher.put(details.map(jobEnded))).failed;
  } finally {
    publisher.close();
  }
};
const run = (place: number, given: Partial<RunDetail> = {}): RunDetail => ({ run_id: `hpc-${place}`, actual_cost: 1, ...given });
const runs = (count: number, given: Partial<RunDetail> = {}): RunDetail[] => Array.from({ length: count }, (_, place) => run(place, given));
const runsPut = () => puts.map((entries) => entries.map(({ Detail }) => (JSON.parse(Detail) as RunDetail).run_id));

describe('createEventPublisher', () => {
  it('puts a run as the contract says', async () => {
    const detail = { run_id: 'hpc-1', hold_id: '6f1c0f5e-0000-4000-8000-000000000001', actual_cost: 7.5, state: 'COMPLETED' };
    expect(await put([detail])).toEqual([]);
    expect(puts).toEqual([
      [
        {
          EventBusName: 'asbb-dev',
          Source: 'asbb.slurm',
          DetailType: 'Slurm Job Ended',
          Detail: '{"run_id":"hpc-1","hold_id":"6f1c0f5e-0000-4000-8000-000000000001","actual_cost":7.5,"state":"COMPLETED"}',
        },
      ],
    ]);
    expect(headers[0]).toMatchObject({
      'x-amz-target': 'AWSEvents.PutEvents',
      authorization: expect.stringMatching(/^AWS4-HMAC-SHA256 Credential=key\/\d{8}\/us-east-1\/events\/aws4_request/),
    });
  });

  it('puts nothing when there is nothing', async () => {
    expect(await put([])).toEqual([]);
    expect(puts).toEqual([]);
  });

  it('puts ten at a time, in order', async () => {
    expect(await put(runs(23))).toEqual([]);
    expect(puts.map((entries) => entries.length)).toEqual([10, 10, 3]);
    expect(runsPut().flat()).toEqual(runs(23).map(({ run_id }) => run_id));
  });

  it('puts again those alone that were not taken, and that may be taken later', async () => {
    replies = [results(TAKEN, throttled, malformed, failure), results(failure, TAKEN)];
    expect(await put(runs(4))).toEqual([{ index: 2, code: 'MalformedDetail', message: 'Detail is malformed.' }]);
    expect(runsPut()).toEqual([['hpc-0', 'hpc-1', 'hpc-2', 'hpc-3'], ['hpc-1', 'hpc-3'], ['hpc-1']]);
    expect(pauses).toEqual([100, 200]); // Half of 200 and 400: the dice of this test shows one half.
  });

  it('names what is never taken, after five tries, by its place among all', async () => {
    replies = [results(...Array<object>(10).fill(TAKEN)), ...Array<Reply>(5).fill(results(throttled))];
    expect(await put(runs(11))).toEqual([{ index: 10, code: 'ThrottlingException', message: 'Rate exceeded' }]);
    expect(puts).toHaveLength(6);
    expect(pauses).toEqual([100, 200, 400, 800]);
  });

  it.each<[string, Reply | 'hang up']>([
    ['is throttled whole', refused(400, 'ThrottlingException')],
    ['has an error of its own', refused(500, 'InternalException')],
    ['is away behind a proxy', { status: 503, body: '<html>no</html>' }],
    ['hangs up', 'hang up'],
    ['forgets an entry', results(TAKEN)],
  ])('puts again when EventBridge %s', async (_, reply) => {
    replies = [reply, reply];
    expect(await put(runs(3))).toEqual([]);
    expect(puts).toHaveLength(3);
    expect(pauses).toHaveLength(2);
  });

  it.each([
    ['AccessDeniedException', 400],
    ['ResourceNotFoundException', 400],
    ['InvalidSignatureException', 403],
  ])('asks no more after %s', async (code, status) => {
    replies = [refused(status, code)];
    expect(await put(runs(11))).toEqual(Array.from({ length: 11 }, (_, index) => ({ index, code, message: 'no' })));
    expect(puts.map((entries) => entries.length)).toEqual([10]);
    expect(pauses).toEqual([]);
  });

  it('goes on with the rest when EventBridge finds fault with a part', async () => {
    replies = [refused(400, 'ValidationException')];
    expect((await put(runs(11))).map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(puts.map((entries) => entries.length)).toEqual([10, 1]);
  });

  it('tries five times in all, and not five times for each part, when EventBridge is away', async () => {
    replies = Array<Reply>(100).fill(refused(500, 'InternalException'));
    expect(await put(runs(100))).toHaveLength(100);
    expect(puts).toHaveLength(5);
  });

  it('says so when nobody is there', async () => {
    const failed = await put(runs(2), { endpoint: 'http://127.0.0.1:1' });
    expect(failed).toMatchObject([
      { index: 0, code: 'ECONNREFUSED' },
      { index: 1, code: 'ECONNREFUSED' },
    ]);
    expect(pauses).toHaveLength(4);
  });

  it('puts at most 256 kB at a time, envelopes counted', async () => {
    const kilobytes = (count: number) => ({ job_metadata: { note: 'x'.repeat(count * 1024) } });
    expect(await put(runs(7, kilobytes(100)))).toEqual([]);
    expect(puts.map((entries) => entries.length)).toEqual([2, 2, 2, 1]);
  });

  it('counts bytes and not letters', async () => {
    const note = { job_metadata: { note: 'ä'.repeat(65 * 1024) } };
    expect(await put(runs(4, note))).toEqual([]);
    expect(puts.map((entries) => entries.length)).toEqual([1, 1, 1, 1]);
  });

  it('never puts an event that is too large, and puts the others', async () => {
    const large = run(1, { job_metadata: { note: 'x'.repeat(256 * 1024) } });
    expect(await put([run(0), large, run(2)])).toEqual([
      { index: 1, code: 'EntryTooLarge', message: expect.stringMatching(/^the event has 26\d{4} bytes, and EventBridge takes 262144/) },
    ]);
    expect(runsPut()).toEqual([['hpc-0', 'hpc-2']]);
  });

  it('throws what is a mistake of its caller', async () => {
    await expect(put([run(0)], { endpoint: 'nowhere' })).rejects.toThrow(/URL/);
  });
});
