// Records of the table's stream as Lambda hands them over, and a follower whose bus, topic and store a test can watch and disturb.
import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import type { Item } from '#adapters/dynamo-attributes';
import { encodeAccount, encodeEntry, encodeHold } from '#adapters/dynamo-items';
import { changeOf } from '#adapters/dynamo-stream';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import type { BudgetStore, Change, Measurement, Services } from '#app/ports';
import type { BusEvent } from '#contract/events';
import { followStream, type StreamFollower } from '#events/stream';
import { createClock, createWorld, type TestClock } from '#test/money/world';

type Image = NonNullable<NonNullable<DynamoDBRecord['dynamodb']>['NewImage']>;

/** DynamoDB's own notation. */
const attributesOf = (item: Item): Image =>
  Object.fromEntries(Object.entries(item).flatMap(([name, value]) => (value === undefined ? [] : [[name, attributeOf(value)]]))) as Image;

const attributeOf = (value: unknown): unknown => {
  if (typeof value === 'string') return { S: value };
  if (typeof value === 'bigint' || typeof value === 'number') return { N: String(value) };
  if (typeof value === 'boolean') return { BOOL: value };
  if (Array.isArray(value)) return { L: value.map(attributeOf) };
  return { M: attributesOf(value as Item) };
};

let sequence = 0;

/** A record of an item as it was and as it is; the one that is absent makes it an INSERT or a REMOVE. */
export const aRecord = ({ before, after }: { before?: Item | undefined; after?: Item | undefined }): DynamoDBRecord => {
  const { pk, sk } = (after ?? before ?? {}) as { pk: string; sk: string };
  return {
    eventID: `e${sequence}`,
    eventName: before === undefined ? 'INSERT' : after === undefined ? 'REMOVE' : 'MODIFY',
    eventVersion: '1.1',
    eventSource: 'aws:dynamodb',
    awsRegion: 'us-east-1',
    eventSourceARN: 'arn:aws:dynamodb:us-east-1:111122223333:table/asbb/stream/2026-11-23T12:00:00.000',
    dynamodb: {
      ApproximateCreationDateTime: 1_795_435_200,
      Keys: { pk: { S: pk }, sk: { S: sk } },
      ...(after === undefined ? {} : { NewImage: attributesOf(after) }),
      ...(before === undefined ? {} : { OldImage: attributesOf(before) }),
      SequenceNumber: String(100 + sequence++),
      SizeBytes: 26,
      StreamViewType: 'NEW_AND_OLD_IMAGES',
    },
  };
};

export const recordOf = (change: Change): DynamoDBRecord => {
  switch (change.kind) {
    case 'entry':
      return aRecord({ after: encodeEntry(change.entry) });
    case 'hold':
      return aRecord({ before: change.before && encodeHold(change.before), after: encodeHold(change.after) });
    case 'account':
      return aRecord({ before: encodeAccount(change.before), after: encodeAccount(change.after) });
  }
};

export const aBatch = (...records: readonly DynamoDBRecord[]): DynamoDBStreamEvent => ({ Records: [...records] });

export interface Bench {
  readonly store: BudgetStore;
  readonly clock: TestClock;
  readonly services: Services;
  readonly follower: StreamFollower;
  readonly events: BusEvent[];
  readonly mails: { readonly subject: string; readonly text: string }[];
  readonly failures: unknown[];
  readonly measured: Measurement[];
  /** The next puts fail: at these places, or altogether. */
  readonly badPuts: (readonly number[] | Error)[];
  readonly badMails: Error[];
  /** What a call of the store that follows throws, before it does anything. */
  readonly badCalls: Partial<Record<keyof BudgetStore, Error[]>>;
  /** The same, after all was done. */
  readonly lostAnswers: Partial<Record<keyof BudgetStore, Error[]>>;
  deliver(...records: readonly DynamoDBRecord[]): Promise<DynamoDBBatchResponse>;
}

export const createBench = (given: Partial<StreamFollower> = {}, table: BudgetStore = createMemoryBudgets()): Bench => {
  const clock = createClock();
  const bench: Omit<Bench, 'deliver' | 'follower' | 'services' | 'store' | 'clock'> = {
    events: [],
    mails: [],
    failures: [],
    measured: [],
    badPuts: [],
    badMails: [],
    badCalls: {},
    lostAnswers: {},
  };
  const disturbed = Object.entries(table).map(([name, method]) => [
    name,
    async (...args: unknown[]) => {
      const bad = bench.badCalls[name as keyof BudgetStore]?.shift();
      if (bad !== undefined) throw bad;
      const answer = await method(...args);
      const lost = bench.lostAnswers[name as keyof BudgetStore]?.shift();
      if (lost !== undefined) throw lost;
      return answer;
    },
  ]);
  const store = Object.fromEntries(disturbed) as BudgetStore; // Same names, same arguments, same answers.
  const services: Services = {
    world: () => createWorld({ store, clock }),
    telemetry: {
      answered: () => undefined,
      failed: ({ error }) => bench.failures.push(error),
      measured: (measurements) => void bench.measured.push(...measurements),
    },
  };
  const follower: StreamFollower = {
    services,
    clock,
    changeOf,
    bus: {
      put: async (events) => {
        const bad = bench.badPuts.shift() ?? [];
        if (bad instanceof Error) throw bad;
        bench.events.push(...events.filter((_, index) => !bad.includes(index)));
        return { failed: bad.map((index) => ({ index, message: 'throttled' })) };
      },
    },
    topic: {
      publish: async (mail) => {
        const bad = bench.badMails.shift();
        if (bad !== undefined) throw bad;
        bench.mails.push(mail);
      },
    },
    ...given,
  };
  return { ...bench, store: table, clock, services, follower, deliver: (...records) => followStream(follower, aBatch(...records)) };
};
