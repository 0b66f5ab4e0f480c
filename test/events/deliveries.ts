// What Lambda gets from SQS when EventBridge put it there, and a service to give it to.
import type { SQSEvent } from 'aws-lambda';
import { createServices } from '#adapters/services';
import { createIds, systemClock } from '#adapters/system';
import { createAccount } from '#app/create-account';
import { placeHold } from '#app/place-hold';
import type { BudgetStore, Services, World } from '#app/ports';
import type { Hold } from '#domain/hold';
import type { Job } from '#domain/job';
import { settleEndedJobs } from '#events/job-ended';
import { SETTINGS } from '#test/http/api';
import { aJob, flatPartition, USD } from '#test/money/world';
import { NO_PRICING } from '#test/support/world';

/** For what the test itself does with the store. */
const PATIENCE_MS = 60_000;

/** As EventBridge writes it, https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html */
export const anEvent = (detail: unknown, given: Record<string, unknown> = {}): Record<string, unknown> => ({
  version: '0',
  id: '17793124-05d4-b198-2fde-7ededc63b103',
  'detail-type': 'Slurm Job Ended',
  source: 'asbb.slurm',
  account: '111122223333',
  time: '2026-11-23T12:00:00Z',
  region: 'us-east-1',
  resources: [],
  detail,
  ...given,
});

/** One record for each body; what is not text becomes JSON. Their ids are m0, m1, ... */
export const aBatch = (...bodies: readonly unknown[]): SQSEvent => ({
  Records: bodies.map((body, index) => ({
    messageId: `m${index}`,
    receiptHandle: `r${index}`,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    attributes: { ApproximateReceiveCount: '1', SentTimestamp: '0', SenderId: 'AIDA', ApproximateFirstReceiveTimestamp: '0' },
    messageAttributes: {},
    md5OfBody: '',
    eventSource: 'aws:sqs',
    eventSourceARN: 'arn:aws:sqs:us-east-1:111122223333:asbb',
    awsRegion: 'us-east-1',
  })),
});

export interface Told {
  readonly operation: string;
  readonly requestId: string;
  readonly sentence: string;
}

export interface Bench {
  readonly world: World;
  /** What was said of records that failed. */
  readonly told: Told[];
  /** Code and status of each record, as telemetry heard of it. */
  readonly answered: { code: string | null; status: number }[];
  place(job?: Partial<Job>, holdId?: string): Promise<Hold>;
  /** Ids of the messages that failed. */
  deliver(...bodies: readonly unknown[]): Promise<string[]>;
  /** As if the batch had arrived so long ago. */
  deliverLate(ms: number, ...bodies: readonly unknown[]): Promise<string[]>;
}

/** Account physics with $1,000, and partition ten at $10 for a node and hour: a node for an hour is held at $12. */
export const aBench = async (store: BudgetStore): Promise<Bench> => {
  const told: Told[] = [];
  const answered: Bench['answered'] = [];
  const services: Services = createServices({
    store,
    pricing: NO_PRICING,
    clock: systemClock,
    ids: createIds(),
    settings: SETTINGS,
    telemetry: {
      answered: ({ code, status }) => void answered.push({ code, status }),
      measured: () => undefined,
      failed: ({ operation, requestId, error }) => void told.push({ operation, requestId, sentence: (error as Error).message }),
    },
  });
  const world: World = { ...services.world(systemClock.now() + PATIENCE_MS), store };
  await store.writePartition(flatPartition());
  const words = { name: null, description: null, startDate: null, endDate: null };
  await createAccount(world, { account: 'physics', limit: 1000n * USD, ...words });
  const deliverLate = async (ms: number, ...bodies: readonly unknown[]) => {
    const clock = { now: () => systemClock.now() - ms };
    const { batchItemFailures } = await settleEndedJobs(services, clock, aBatch(...bodies));
    return batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
  };
  return {
    world,
    told,
    answered,
    place: async (job = {}, holdId) => {
      const { hold } = await placeHold(world, { job: aJob(job), holdId });
      if (hold === null) throw new Error('the test has enough money for this');
      return hold;
    },
    deliver: (...bodies) => deliverLate(0, ...bodies),
    deliverLate,
  };
};

/** Columns of account physics, in dollars: they are whole in these tests. */
export const columnsOf = async (store: BudgetStore): Promise<Record<'available' | 'held' | 'used' | 'limit', number>> => {
  const account = await store.readAccount('physics');
  if (account === undefined) throw new Error('no account physics');
  const { available, held, used, limit } = account;
  return { available: Number(available) / 1e6, held: Number(held) / 1e6, used: Number(used) / 1e6, limit: Number(limit) / 1e6 };
};
