// The table, defined once: plain data that CDK, `asbb database migrate` and the adapter read, and the keys of every item.
//
// Every item has `v`, the version of its own shape. Names and ids become part of keys as they are, so whoever lets them in
// keeps `#` out of account and cluster names: jobKey and ledgerMonth refuse it, since there it would make two keys one.

/** Table name where nothing else is configured. */
export const DEFAULT_TABLE_NAME = 'asbb';

/** Shape of the table as a whole, kept in the item SCHEMA_KEY. A program never works on a table of another version. */
export const SCHEMA_VERSION = 1;

/** What is said to whoever is about to work on a table of another version. */
export const otherSchema = ({ table, schemaVersion }: { table: string; schemaVersion: number }): string =>
  `table ${table} has schema version ${schemaVersion}, this asbb works with ${SCHEMA_VERSION}: use the asbb of that version`;

/** Shape of each item, its attribute `v`. */
export const ITEM_VERSION = 1;

/**
 * Partition and sort key, three sparse indexes that hold keys only, pay per request, and the stream that feeds events and rollups.
 * An index costs a write on every hold: none of these questions has a key that answers it.
 */
export const TABLE = {
  partitionKey: 'pk',
  sortKey: 'sk',
  keyType: 'S',
  billingMode: 'PAY_PER_REQUEST',
  streamViewType: 'NEW_AND_OLD_IMAGES',
  /**
   * Only what remembers that something was done goes away by itself, never money. CDK switches it on; `asbb local` does not,
   * because it replays its ledger at start and must find what was counted, however long ago.
   */
  timeToLiveAttribute: 'ttl',
  indexes: [
    /** Holds of an account, by creation. */
    { indexName: 'GSI1', partitionKey: 'gsi1pk', sortKey: 'gsi1sk', projectionType: 'KEYS_ONLY' },
    /** Open holds by expiry, sharded. */
    { indexName: 'GSI2', partitionKey: 'gsi2pk', sortKey: 'gsi2sk', projectionType: 'KEYS_ONLY' },
    /** Open holds of a cluster by creation, the unbound apart from the bound. */
    { indexName: 'GSI3', partitionKey: 'gsi3pk', sortKey: 'gsi3sk', projectionType: 'KEYS_ONLY' },
  ],
} as const;

export type IndexName = (typeof TABLE.indexes)[number]['indexName'];
export const HOLDS_OF_ACCOUNT = 'GSI1' satisfies IndexName;
export const OPEN_HOLDS_BY_EXPIRY = 'GSI2' satisfies IndexName;
export const OPEN_HOLDS_OF_CLUSTER = 'GSI3' satisfies IndexName;

export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/** Where SCHEMA_VERSION is kept. */
export const SCHEMA_KEY: Key = { pk: 'CONFIG', sk: 'SCHEMA' };

/** An account's columns and its own words. */
export const accountKey = (account: string): Key => ({ pk: `ACCOUNT#${account}`, sk: 'ACCOUNT' });

/** One row per account, so that accounts can be listed by name. */
export const ACCOUNT_DIRECTORY = 'ACCOUNTS';
export const accountDirectoryKey = (account: string): Key => ({ pk: ACCOUNT_DIRECTORY, sk: account });

/** A deposit that was booked: the same id again is the same deposit. */
export const DEPOSIT_PREFIX = 'DEPOSIT#';
export const depositKey = ({ account, depositId }: { account: string; depositId: string }): Key => ({
  pk: `ACCOUNT#${account}`,
  sk: `${DEPOSIT_PREFIX}${depositId}`,
});

/**
 * The entries of an account in one month, `yyyy-mm` in UTC. A key of its own and not the account's, because a hot account's
 * writes must not share one partition.
 */
export const ledgerMonth = ({ account, month }: { account: string; month: string }): string => `LEDGER#${single(account)}#${month}`;

/** An entry; its month is that of its own time. */
export const entryKey = ({ account, at, entryId }: { account: string; at: number; entryId: string }): Key => ({
  pk: ledgerMonth({ account, month: monthOf(at) }),
  sk: entryId,
});

/**
 * What an item is about, of those whose changes somebody follows. Whoever reads the stream sees every item, and most are about
 * nothing that is told or counted.
 */
export const followedKind = ({ pk, sk }: Key): 'entry' | 'hold' | 'account' | undefined => {
  if (pk.startsWith('LEDGER#')) return 'entry';
  if (pk.startsWith('HOLD#') && sk === 'HOLD') return 'hold';
  if (pk.startsWith('ACCOUNT#') && sk === 'ACCOUNT') return 'account';
  return undefined;
};

/** A hold's counters, fingerprint and locked prices. */
export const holdKey = (holdId: string): Key => ({ pk: `HOLD#${holdId}`, sk: 'HOLD' });

/** What a hold was asked and priced for, beside it because it is large and seldom read. */
export const specKey = (holdId: string): Key => ({ pk: `HOLD#${holdId}`, sk: 'SPEC' });

/** A run, under its hold's id or under the name that a run of no known hold goes by. */
export const RUN_PREFIX = 'RUN#';
export const runKey = ({ owner, runId }: { owner: string; runId: string }): Key => ({ pk: `HOLD#${owner}`, sk: `${RUN_PREFIX}${runId}` });

/** The submissions of a job id on a cluster: ids wrap and restart, so each has its time. */
export const jobPartition = ({ cluster, jobId }: { cluster: string; jobId: string }): string => `JOB#${single(cluster)}#${jobId}`;
export const jobKey = (job: { cluster: string; jobId: string; submittedAt: number }): Key => ({
  pk: jobPartition(job),
  sk: isoOf(job.submittedAt),
});

/** Clusters are few and always read by name or as a list, so one partition is directory and item in one. */
export const CLUSTER_DIRECTORY = 'CLUSTERS';
export const clusterKey = (cluster: string): Key => ({ pk: CLUSTER_DIRECTORY, sk: cluster });

export const PARTITION_DIRECTORY = 'PARTITIONS';
export const partitionKey = (partition: string): Key => ({ pk: PARTITION_DIRECTORY, sk: partition });

/** What AWS was asked for of a region, each instance type with its price and size. */
export const pricePartition = (region: string): string => `PRICE#${region}`;
export const priceKey = ({ region, type }: { region: string; type: string }): Key => ({ pk: pricePartition(region), sk: type });

/** What ended runs of an account cost and had in one month, `yyyy-mm` in UTC. */
export const usageMonth = ({ account, month }: { account: string; month: string }): string => `USAGE#${single(account)}#${month}`;

/** One day, user and partition. A user may have a `#` in its name, a partition cannot; nobody and nowhere are empty. */
export const usageKey = (usage: { account: string; day: string; user: string | null; partition: string | null }): Key => ({
  pk: usageMonth({ account: usage.account, month: usage.day.slice(0, 7) }),
  sk: `${usage.day}#${usage.user ?? ''}#${single(usage.partition ?? '')}`,
});

/** That an entry is part of usage: the stream tells of each at least once. */
export const countedKey = (entryId: string): Key => ({ pk: `COUNTED#${entryId}`, sk: 'USAGE' });
/** A stream keeps a record for a day, and whoever reads it late has another. */
export const COUNTED_FOR_SECONDS = 2 * 24 * 3600;

/** That something was announced that must not be announced again. */
export const announcedKey = (announcement: string): Key => ({ pk: `ANNOUNCED#${announcement}`, sk: 'ANNOUNCED' });
/** Longer than any budget lasts without a new limit. */
export const ANNOUNCED_FOR_SECONDS = 400 * 24 * 3600;

/** How many partitions the open holds are spread over, so that no single one takes every hold's writes. */
export const SHARDS = 4;
export const openShard = (shard: number): string => `OPEN#${shard}`;

/** Which shard a hold is in: the same one for as long as it lives. FNV-1a, for ids that callers chose badly too. */
export const shardOf = (holdId: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < holdId.length; i += 1) hash = Math.imul(hash ^ holdId.charCodeAt(i), 0x01000193) >>> 0;
  return hash % SHARDS;
};

export const holdsOfAccount = (account: string): string => `ACCOUNT#${account}`;
export const unboundHoldsOf = (cluster: string): string => `UNBOUND#${cluster}`;
export const boundHoldsOf = (cluster: string): string => `BOUND#${cluster}`;

/** A time, and the hold's id so that no two keys are the same. */
export const timedHold = (at: number, holdId: string): string => `${isoOf(at)}#${holdId}`;

/** The hold's id out of `timedHold`. */
export const holdIdOf = (timed: string): string => timed.slice(timed.indexOf('#') + 1);

/**
 * Index keys of a hold. They say where it is to be found now: all three while it is open, only its account's once it is
 * closed. An absent key keeps it out of that index.
 */
export const holdIndexKeys = (hold: {
  readonly holdId: string;
  readonly account: string;
  readonly cluster: string;
  readonly open: boolean;
  readonly bound: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
}): Record<string, string> => {
  const created = timedHold(hold.createdAt, hold.holdId);
  const always = { gsi1pk: holdsOfAccount(hold.account), gsi1sk: created };
  if (!hold.open) return always;
  return {
    ...always,
    gsi2pk: openShard(shardOf(hold.holdId)),
    gsi2sk: timedHold(hold.expiresAt, hold.holdId),
    gsi3pk: hold.bound ? boundHoldsOf(hold.cluster) : unboundHoldsOf(hold.cluster),
    gsi3sk: created,
  };
};

/** A time in a key: ISO 8601 in UTC to the millisecond, which sorts as it reads. In attributes times are epoch milliseconds. */
export const isoOf = (at: number): string => new Date(at).toISOString();

/** `yyyy-mm` in UTC. */
export const monthOf = (at: number): string => isoOf(at).slice(0, 7);

/** The month after a `yyyy-mm`. */
export const nextMonth = (month: string): string => monthOf(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 1));

const single = (part: string): string => {
  if (part.includes('#')) throw new Error(`'#' separates the parts of a key, so it cannot stand in ${JSON.stringify(part)}`);
  return part;
};
