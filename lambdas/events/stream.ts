// What was committed, as the table's stream tells it: usage is counted, the bus and people are told, metrics are kept.
// In `asbb local` the same, from the commits themselves.
import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { countUsage } from '#app/count-usage';
import type { Change, Clock, Measurement, Services, World } from '#app/ports';
import { type BusEvent, STREAM_BUDGET_MS } from '#contract/events';
import {
  METRIC_HOLDS_EXPIRED,
  METRIC_HOLDS_PLACED,
  METRIC_HOLDS_RELEASED,
  METRIC_HOLDS_SETTLED,
  METRIC_RUNS_LATE,
  METRIC_RUNS_OVER_SHARE,
  METRIC_RUNS_SETTLED,
  METRIC_THRESHOLDS_CROSSED,
} from '#contract/metrics';
import { type Announcement, announcementsOf } from '#events/announcements';

const OPERATION = 'stream';

/** What following takes. Without a bus and a topic, nobody is told. */
export interface Follower {
  readonly services: Services;
  readonly clock: Pick<Clock, 'now'>;
  readonly bus?: { put(events: readonly BusEvent[]): Promise<{ failed: readonly { readonly index: number; readonly message: string }[] }> };
  readonly topic?: { publish(message: { readonly subject: string; readonly text: string }): Promise<void> };
}

export interface StreamFollower extends Follower {
  /** Undefined: a record that nobody follows. @throws for one that cannot be read */
  readonly changeOf: (record: DynamoDBRecord) => Change | undefined;
}

/**
 * Work off a batch of the stream, in its order. What failed is named by its sequence number, and Lambda delivers that one and
 * all behind it again: so nothing is lost, all is done at least once, and counting knows what it has counted.
 *
 * A record that cannot be read fails as well. It may have been written by a newer version than this one, which is on its way; if
 * it is not, it holds up its shard until the event source gives it up, and that is told.
 */
export const followStream = async (follower: StreamFollower, batch: DynamoDBStreamEvent): Promise<DynamoDBBatchResponse> => {
  const { changes, brokenAt } = read(follower, batch.Records);
  const failedAt = (await follow(follower, changes)) ?? brokenAt;
  if (failedAt === undefined) return { batchItemFailures: [] };
  return { batchItemFailures: [{ itemIdentifier: sequenceOf(batch.Records[failedAt]) }] };
};

/**
 * Work off what was committed; undefined in the list stands for what nobody follows.
 * @returns the place of the first that failed: that one and all behind it are to be sent again. Undefined: all is done.
 */
export const follow = async (follower: Follower, changes: readonly (Change | undefined)[]): Promise<number | undefined> => {
  const { services, clock } = follower;
  const world = services.world(clock.now() + STREAM_BUDGET_MS);
  let end = changes.length;
  const failed = (place: number, error: unknown): void => {
    end = Math.min(end, place);
    services.telemetry.failed({ operation: OPERATION, requestId: 'none', error });
  };
  await count(world, changes, failed);
  // What is behind a failure comes again, so it is not told now.
  const announced = await announce(follower, world, changes.slice(0, end), failed);
  services.telemetry.measured(measurementsOf(changes.slice(0, end), announced));
  return end === changes.length ? undefined : end;
};

type Failed = (place: number, error: unknown) => void;

const read = ({ services, changeOf }: StreamFollower, records: readonly DynamoDBRecord[]) => {
  const changes: (Change | undefined)[] = [];
  for (const [place, record] of records.entries()) {
    try {
      changes.push(changeOf(record));
    } catch (error) {
      services.telemetry.failed({ operation: OPERATION, requestId: sequenceOf(record), error });
      return { changes, brokenAt: place };
    }
  }
  return { changes, brokenAt: undefined };
};

/** A record without one cannot be named; Lambda then delivers the whole batch again. */
const sequenceOf = (record: DynamoDBRecord | undefined): string => record?.dynamodb?.SequenceNumber ?? '';

/** All of a batch together, because the runs of one day are often of one row. */
const count = async (world: World, changes: readonly (Change | undefined)[], failed: Failed): Promise<void> => {
  const entries = changes.flatMap((change, place) => (change?.kind === 'entry' ? [{ place, entry: change.entry }] : []));
  try {
    await countUsage(
      world,
      entries.map(({ entry }) => entry),
    );
  } catch (error) {
    failed(entries[0]?.place ?? 0, error);
  }
};

interface Placed extends Announcement {
  readonly place: number;
}

/** The bus first: a mail that was sent cannot be unsent, while an event that comes twice has the same id. */
const announce = async (
  { bus, topic }: Follower,
  world: World,
  changes: readonly (Change | undefined)[],
  failed: Failed,
): Promise<readonly Announcement[]> => {
  if (bus === undefined && topic === undefined) return [];
  const due = await dueOf(world, changes, failed);
  const unpublished = new Set(bus === undefined ? [] : await putAll(bus, due, failed));
  const told: Announcement[] = [];
  for (const each of due) {
    if (unpublished.has(each)) continue;
    try {
      if (each.mail !== undefined) await topic?.publish(each.mail);
      if (each.once) await world.store.setAnnounced(each.event.detail.event_id, world.clock.now());
      told.push(each);
    } catch (error) {
      failed(each.place, error);
    }
  }
  return told;
};

/** Those that are not known to be told already. Within a batch the same one may come twice: holds come and go. */
const dueOf = async (world: World, changes: readonly (Change | undefined)[], failed: Failed): Promise<Placed[]> => {
  const due = new Map<string, Placed>();
  for (const [place, change] of changes.entries()) {
    for (const announcement of change === undefined ? [] : announcementsOf(change)) {
      const { event_id } = announcement.event.detail;
      if (due.has(event_id)) continue;
      try {
        if (announcement.once && (await world.store.isAnnounced(event_id))) continue;
      } catch (error) {
        failed(place, error);
        return [...due.values()];
      }
      due.set(event_id, { ...announcement, place });
    }
  }
  return [...due.values()];
};

const putAll = async (bus: NonNullable<Follower['bus']>, due: readonly Placed[], failed: Failed): Promise<Placed[]> => {
  try {
    const result = await bus.put(due.map(({ event }) => event));
    return result.failed.flatMap(({ index, message }) => {
      const each = due[index];
      if (each === undefined) return [];
      failed(each.place, new Error(`event ${each.event.detail.event_id} (${each.event.detailType}) is not on the bus: ${message}`));
      return [each];
    });
  } catch (error) {
    failed(due[0]?.place ?? 0, error);
    return [...due];
  }
};

const CLOSED = { settled: METRIC_HOLDS_SETTLED, released: METRIC_HOLDS_RELEASED, expired: METRIC_HOLDS_EXPIRED } as const;

const measurementsOf = (changes: readonly (Change | undefined)[], announced: readonly Announcement[]): Measurement[] => {
  const names = changes.flatMap((change) => (change === undefined ? [] : namesOf(change)));
  names.push(...announced.filter(({ once }) => once).map(() => METRIC_THRESHOLDS_CROSSED));
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, value]) => ({ name, value }));
};

const namesOf = (change: Change): string[] => {
  switch (change.kind) {
    case 'account':
      return [];
    case 'hold': {
      const { before, after } = change;
      if (before === undefined) return [METRIC_HOLDS_PLACED];
      return before.state === 'open' && after.state !== 'open' ? [CLOSED[after.state]] : [];
    }
    case 'entry': {
      const { type, movement } = change.entry;
      if (type === 'late_settle') return [METRIC_RUNS_LATE];
      if (type !== 'settle') return [];
      const isOverShare = movement.held < 0n && movement.used > -movement.held;
      return [METRIC_RUNS_SETTLED, ...(isOverShare ? [METRIC_RUNS_OVER_SHARE] : [])];
    }
  }
};
