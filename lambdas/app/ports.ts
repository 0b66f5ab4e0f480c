// What the use cases need from outside. Adapters implement these; nothing here knows DynamoDB, HTTP or the clock on the wall.
import type { Account, AccountStatus } from '#domain/account';
import type { LineItem } from '#domain/estimate';
import type { Hold, HoldState } from '#domain/hold';
import type { Job } from '#domain/job';
import type { Entry, Instant, Movement } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';
import type { InstanceOffer, PartitionModel, PriceSource } from '#domain/partition';
import type { Evidence } from '#domain/price';
import type { BookedRun } from '#domain/run';
import type { Usage } from '#domain/usage';

export interface Clock {
  now(): Instant;
  /** Resolves after so many milliseconds, or as soon as the signal is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface Ids {
  /** A random UUID, lower case. */
  holdId(): string;
  /** A ULID of this instant; within one process later ids sort after earlier ones. */
  entryId(at: Instant): string;
  /** SHA-256 in lower-case hex. */
  sha256(text: string): string;
  /** A number in [0, 1), for the jitter between retries. */
  random(): number;
}

/** An instance type in a region: the on-demand Linux price of it is wanted. */
export interface WantedPrice {
  readonly region: string;
  readonly type: string;
}

/** A price with how far to believe it, or undefined if no source knows one. Never another region's, and never $0. */
export interface PriceAnswer extends Evidence {
  readonly offer: InstanceOffer | undefined;
}

export interface Prices {
  /** @param patienceMs how long to wait for what must be asked for; 0 takes what is known */
  offerOf(wanted: WantedPrice, patienceMs: number): Promise<PriceAnswer>;
  /** Asks AWS whatever is known already, and keeps the answer. */
  refresh(wanted: WantedPrice): Promise<PriceReply>;
}

/** One link of the price chain. It never throws for what is wrong outside: it says so. */
export interface PriceLink {
  readonly source: PriceSource;
  ask(wanted: WantedPrice): Promise<PriceReply>;
}

/**
 * - `none`: it answered, and has no such price. `unbelievable`: it answered nonsense about this type.
 * - `unanswered`: it did not answer, and would not answer about another type either.
 * - `unasked`: it cannot be asked from here.
 */
export type PriceReply =
  | { readonly kind: 'offer'; readonly offer: InstanceOffer }
  | { readonly kind: 'none' | 'unbelievable' | 'unanswered' | 'unasked'; readonly outcome: string };

/** A price that AWS was asked for, and when. */
export interface KeptPrice {
  readonly region: string;
  readonly offer: InstanceOffer;
  readonly askedAt: Instant;
}

/** What the advisor is asked about: one task of a job, in one partition. */
export interface AdvisorQuestion {
  readonly account: string;
  readonly partition: string;
  readonly nodes: number;
  /** Of all nodes together. */
  readonly cpus: number;
  readonly gpus: number;
  /** Per node. */
  readonly memoryMib?: number;
  readonly wallTimeSeconds: number;
  /** For the advisor's eyes only: neither stored nor logged. */
  readonly jobScript?: string;
  readonly at: Instant;
  /** What stands behind the partition. */
  readonly region: string;
  readonly instanceTypes: readonly string[];
}

/** What the advisor says, or in words why nothing that it said, if anything, can be believed. */
export type Advice =
  | {
      readonly believed: true;
      /** More than 0. */
      readonly cost: MicroUsd;
      readonly recommendation: string | null;
      /** 0 to 1, or null where the advisor does not say. */
      readonly confidence: number | null;
    }
  | { readonly believed: false; readonly outcome: string };

export interface Advisor {
  /** Waits until `until` at most, and no longer than the request has time. Never throws: who asks has another price to go by. */
  ask(question: AdvisorQuestion, patience: { readonly until: Instant; readonly maxTries: number }): Promise<Advice>;
}

export interface Settings {
  /** How much more than the estimate is held, as an exact fraction: 1.2 is 12/10. */
  readonly holdFactor: { readonly numerator: bigint; readonly denominator: bigint };
  readonly reconciliationTimeoutMs: number;
  /** Cluster of a job that names none, or null when one must be named. */
  readonly defaultCluster: string | null;
  readonly surroundings: Surroundings;
}

/** What stands around the service, for whoever asks how it is set. No use case looks here. */
export interface Surroundings {
  readonly store: 'dynamodb' | 'memory';
  readonly sweepIntervalMs: number;
  /** Whose endpoint is asked for prices, or null if none is. */
  readonly pricingRegion: string | null;
  readonly priceTtlMs: number;
  /** As it was given; it may hold a password. */
  readonly advisorUrl: string | null;
}

/** At most `limit` rows from where `cursor` says; a page may be empty and still have a cursor. */
export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly cursor?: string;
}

/** What a hold was asked and priced for, kept beside it and read only when somebody looks. */
export interface HoldSpec {
  readonly job: Job;
  readonly estimate: {
    readonly amount: MicroUsd;
    readonly low: MicroUsd;
    readonly high: MicroUsd;
    readonly source: PriceSource;
    readonly priceDate: string | null;
    readonly instanceTypes: readonly string[];
    readonly lineItems: readonly LineItem[];
    /** Absent on what was kept before it was. */
    readonly evidence?: Evidence;
  };
}

/** Where a job's hold is found: written by bind, read strongly consistent. */
export interface JobLink {
  readonly cluster: string;
  readonly jobId: string;
  readonly submittedAt: Instant;
  readonly holdId: string;
}

export interface Deposit {
  readonly account: string;
  readonly depositId: string;
  readonly amount: MicroUsd;
}

export interface Cluster {
  readonly cluster: string;
  readonly clusterUid: string;
  readonly agentVersion: string | null;
  readonly lastHeartbeat: Instant;
  /** Roles and users that act for it, as `arn:aws:iam::ACCOUNT:role/NAME`. None where nobody signs. */
  readonly principals: readonly string[];
}

export interface Heartbeat extends Omit<Cluster, 'principals'> {
  /** Who sends it; null where nobody signs. */
  readonly principal: string | null;
}

/** How a booking changes one account, and under which conditions. */
export interface AccountChange {
  readonly account: string;
  readonly movement: Movement;
  /** Change of `unconfirmed`. */
  readonly unconfirmed: MicroUsd;
  /** Ledger entries of this booking that belong to this account. */
  readonly entries: number;
  /**
   * Conditions beside the account's existence.
   * - `fact`: none. What ends a hold or books what happened always succeeds.
   * - `demand`: active, `today` within its dates, and available >= -movement.available.
   * - `withdraw`: available >= -movement.available.
   * - `deposit`: limit + movement.limit <= MAX_AMOUNT_MICRO_USD.
   */
  readonly require:
    | { readonly kind: 'fact' }
    | { readonly kind: 'demand'; readonly today: string }
    | { readonly kind: 'withdraw' }
    | { readonly kind: 'deposit' };
  /** An administrator's change: bumps `version`, and holds only while `version` is what was read. */
  readonly profile?: ProfileChange;
  readonly at: Instant;
}

export interface ProfileChange {
  /** Undefined bumps the version whatever it was (a deposit). */
  readonly ifVersion?: number;
  readonly set: {
    readonly name?: string | null;
    readonly description?: string | null;
    readonly startDate?: string | null;
    readonly endDate?: string | null;
    /** `closed` holds only while `held` is 0. */
    readonly status?: AccountStatus;
  };
}

/**
 * Everything that one operation writes: all of it or nothing.
 *
 * - `hold.before` absent: the hold must be new. Else its stored `version` must be `before.version`, and `after.version` is one more.
 * - `runs`, `deposit` and entries must be new, except a run with `before`, whose stored `corrections` must be as many.
 * - `jobLink` must be new, or point to the same hold, or to `replaces`.
 * - An entry id that is taken refuses the booking without naming a part: the next try makes another id.
 * - The entries of each account add up to its movement. This and what no transaction can hold is a bug, and throws.
 */
export interface Booking {
  readonly accounts: readonly AccountChange[];
  readonly entries: readonly Entry[];
  readonly hold?: { readonly before?: Hold; readonly after: Hold; readonly spec?: HoldSpec };
  readonly runs?: readonly { readonly before?: BookedRun; readonly after: BookedRun }[];
  readonly jobLink?: { readonly link: JobLink; readonly replaces?: string };
  readonly deposit?: Deposit;
}

/** Why nothing was written: each part whose condition failed, as it is stored (null: it does not exist). */
export interface Refusal {
  readonly accounts: readonly { readonly account: string; readonly stored: Account | null }[];
  readonly hold?: { readonly stored: Hold | null };
  readonly runs: readonly { readonly runId: string; readonly stored: BookedRun | null }[];
  readonly jobLink?: { readonly stored: JobLink | null };
  readonly deposit?: { readonly stored: Deposit | null };
}

export type Outcome = { readonly booked: true } | { readonly booked: false; readonly refusal: Refusal };

/**
 * Where the money is kept. Reads of one item are strongly consistent; lists may lag.
 *
 * Every method may throw `StoreContended` (nothing was written, and trying again may succeed) or `StoreUnavailable`
 * (a write may or may not have happened). All else it throws is a bug.
 */
export interface BudgetStore {
  readAccount(account: string): Promise<Account | undefined>;
  /** By name. */
  listAccounts(page: PageRequest): Promise<Page<Account>>;
  /** Creates the account with its opening entry, if any. False: the name is taken. */
  createAccount(account: Account, opening: Entry | undefined): Promise<boolean>;
  /** Removes an account with at most its opening entry, writing `closing`. False: more was booked, or its limit is another by now. */
  removeAccount(account: Account, closing: Entry | undefined): Promise<boolean>;

  commit(booking: Booking): Promise<Outcome>;

  readDeposit(key: { account: string; depositId: string }): Promise<Deposit | undefined>;
  /** Oldest first; `from` inclusive, `to` exclusive, by the entries' own time. Strongly consistent. */
  listEntries(query: { account: string; from: Instant; to: Instant }, page: PageRequest): Promise<Page<Entry>>;

  readHold(holdId: string): Promise<Hold | undefined>;
  readSpec(holdId: string): Promise<HoldSpec | undefined>;
  readRun(key: { owner: string; runId: string }): Promise<BookedRun | undefined>;
  /** By run id. */
  listRuns(owner: string, page: PageRequest): Promise<Page<BookedRun>>;
  /** With a time: the submission at that time, else the latest one before it. Without: the latest. */
  readJobLink(job: { cluster: string; jobId: string; submittedAt?: Instant }): Promise<JobLink | undefined>;
  /** Newest first. */
  listHoldsOfAccount(query: { account: string; state?: HoldState; user?: string }, page: PageRequest): Promise<Page<Hold>>;
  /** Open holds, newest first. */
  listOpenHoldsOfCluster(query: { cluster: string; bound?: boolean; createdBefore?: Instant }, page: PageRequest): Promise<Page<Hold>>;
  /** Open holds of all accounts, the next to expire first, from an index that may lag: none is shown that is not open. */
  listOpenHolds(page: PageRequest): Promise<Page<Hold>>;
  /** Ids of open holds with `expiresAt <= now`, the longest overdue first, from an index that may lag. */
  listOverdueHoldIds(query: { now: Instant }, page: PageRequest): Promise<Page<string>>;

  /**
   * Adds to usage what each of these entries says, once: an entry that was counted before changes nothing. All of them or none.
   * At most MAX_COUNTED_AT_ONCE, each entry once. Who counted is remembered for longer than a stream repeats itself.
   */
  countUsage(counted: readonly CountedEntry[], now: Instant): Promise<void>;
  /** Of one month, by day; `from` inclusive, `to` exclusive, both `YYYY-MM-DD` of that month or the day after it. */
  listUsage(query: { account: string; from: string; to: string }, page: PageRequest): Promise<Page<Usage>>;
  /** Whether this was announced before. */
  isAnnounced(announcement: string): Promise<boolean>;
  /** Remembers that this was announced, for a year at least. */
  setAnnounced(announcement: string, now: Instant): Promise<void>;

  readCluster(cluster: string): Promise<Cluster | undefined>;
  listClusters(page: PageRequest): Promise<Page<Cluster>>;
  /**
   * Writes the heartbeat unless another uid, or principals without this one, have claimed the name and were heard since
   * `goneBefore`; whoever takes the place of others acts for the cluster alone. Returns what is stored afterwards.
   */
  beat(heartbeat: Heartbeat, goneBefore: Instant): Promise<Cluster>;
  /** Says who acts for a cluster. Undefined: there is no such cluster. */
  namePrincipals(cluster: string, principals: readonly string[]): Promise<Cluster | undefined>;

  readPartition(partition: string): Promise<PartitionModel | undefined>;
  listPartitions(page: PageRequest): Promise<Page<PartitionModel>>;
  writePartition(model: PartitionModel): Promise<void>;
  /** False: there was none. */
  deletePartition(partition: string): Promise<boolean>;

  readPrice(wanted: WantedPrice): Promise<KeptPrice | undefined>;
  /** Instead of the one that was kept before. */
  writePrice(price: KeptPrice): Promise<void>;
}

/** A ledger entry as usage sees it. */
export interface CountedEntry {
  readonly entryId: string;
  /** What it adds, to a row each. */
  readonly usage: readonly Usage[];
}

/** An entry is a mark and, at worst, a row of its run and another of its hold: DynamoDB takes 100 writes in a transaction. */
export const MAX_COUNTED_AT_ONCE = 33;

/** Something that was committed, as the table's stream tells of it, or whoever committed it. */
export type Change =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'hold'; readonly before: Hold | undefined; readonly after: Hold }
  | { readonly kind: 'account'; readonly before: Account; readonly after: Account };

/** Nothing was written, and trying again may succeed: a transaction conflict, or throttling. */
export class StoreContended extends Error {
  override readonly name = 'StoreContended';
}

/** No answer, or not a clear one: a write may or may not have happened. */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
}

/** Who asks. */
export interface Caller {
  /** A role or user, as in `Cluster`; null: nobody who could be bound to a cluster. */
  readonly principal: string | null;
  /** The cluster that it acts for, and then for no other. Undefined: none, and only IAM says what it may do. */
  cluster(): Promise<Cluster | undefined>;
}

/** What a use case works with, made anew for each request by the composition root. */
export interface World {
  readonly caller: Caller;
  readonly store: BudgetStore;
  readonly prices: Prices;
  /** Absent: none is configured. */
  readonly advisor?: Advisor;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly settings: Settings;
}

/** What answers requests: a world for each, and somewhere to tell of it. */
export interface Services {
  /** What a use case works with, for one request that has until `deadline`. @param principal who asks, if anybody is to be bound */
  world(deadline: Instant, principal?: string | null): World;
  readonly telemetry: Telemetry;
}

/** What the outside may learn of a request. Never a body: it may hold a job script. */
export interface Telemetry {
  answered(request: {
    operation: string;
    status: number;
    code: string | null;
    arrivedAt: Instant;
    requestId: string;
    /** Of an answer about a job: whether it may run, and whose prices said so. */
    verdict?: { readonly code: string | null; readonly priceSource: PriceSource };
  }): void;
  failed(request: { operation: string; requestId: string; error: unknown }): void;
  /** What is counted for graphs and alarms. */
  measured(measurements: readonly Measurement[]): void;
}

export interface Measurement {
  readonly name: string;
  readonly value: number;
  /** @default count */
  readonly unit?: 'count' | 'seconds';
  readonly dimension?: { readonly name: string; readonly value: string };
}
