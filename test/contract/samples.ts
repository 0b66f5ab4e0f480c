// Values with every field set to something that a careless round trip would lose: sums beyond 2^53, nulls, texts beyond ASCII.
import { encodeTime } from 'ulid';
import type { AccountChange, Booking, HoldSpec, JobLink, KeptPrice } from '#app/ports';
import type { Account } from '#domain/account';
import type { Closed } from '#domain/accuracy';
import type { Hold } from '#domain/hold';
import { type Entry, holdMore, type Instant, limitBy, type Movement } from '#domain/ledger';
import type { PartitionModel } from '#domain/partition';
import type { BookedRun } from '#domain/run';
import type { Usage } from '#domain/usage';

export const NOON: Instant = Date.UTC(2026, 2, 14, 12);
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

let count = 0;
const next = (): string => String(++count).padStart(12, '0');

/** Ids count up, so that a test can say which of two holds of one moment comes first. */
export const aHoldId = (): string => `6f1c0f5e-0000-4000-8000-${next()}`;

/** Of this instant, and after all earlier ones of the same instant. */
export const anEntryId = (at: Instant): string => `${encodeTime(at, 10)}0000${next()}`;

export const anAccount = (given: Partial<Account> = {}): Account => ({
  account: 'physics',
  name: 'Physics, 2nd floor: Σ√π',
  description: null,
  available: 1_000_000_000n,
  held: 0n,
  used: 0n,
  limit: 1_000_000_000n,
  unconfirmed: 0n,
  startDate: '2026-01-01',
  endDate: '2026-12-31',
  status: 'active',
  version: 1,
  entryCount: 1,
  createdAt: NOON,
  updatedAt: NOON,
  ...given,
});

export const anEntry = (given: Partial<Entry> = {}): Entry => {
  const at = given.at ?? NOON;
  return {
    entryId: anEntryId(at),
    at,
    account: 'physics',
    type: 'deposit',
    amount: 1_000_000_000n,
    movement: limitBy(1_000_000_000n),
    holdId: null,
    jobId: null,
    runId: null,
    user: null,
    note: null,
    ...given,
  };
};

export const aHold = (given: Partial<Hold> = {}): Hold => ({
  holdId: aHoldId(),
  account: 'physics',
  cluster: 'hpc-prod',
  user: 'curie',
  partition: 'aws,local',
  state: 'open',
  amount: 120_000_000n,
  originalAmount: 120_000_000n,
  used: 0n,
  tasks: 1,
  tasksEnded: 0,
  jobId: null,
  submittedAt: null,
  forced: false,
  createdAt: NOON,
  expiresAt: NOON + 30 * HOUR_MS,
  closedAt: null,
  fingerprint: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  terms: {
    rates: [
      {
        partition: 'aws',
        nodeTypes: [{ type: 'c5.18xlarge', priceE10UsdPerHour: 30_600_000_000n, cpus: 36, memoryMib: 147_456, gpus: 0 }],
        shared: false,
        discountFactorE6: 1_000_000n,
        overheadSeconds: 240,
        overheadPerNodeHour: 0n,
        writeOffNodeFailures: true,
        source: 'pricing-api',
        priceDate: '2026-03-14',
      },
    ],
    partition: 'aws',
    nodeType: 'c5.18xlarge',
    nodes: 8,
    nodesE6: 8_000_000n,
    wallTimeSeconds: 21_600,
  },
  priced: { estimate: 100_000_000n, estimateLeft: 100_000_000n, held: 120_000_000n },
  version: 1,
  ...given,
});

export const aSpec = (given: Partial<HoldSpec['job']> = {}): HoldSpec => ({
  job: {
    account: 'physics',
    partitions: ['aws', 'local'],
    cluster: 'hpc-prod',
    nodes: 8,
    wallTimeSeconds: 21_600,
    exclusive: true,
    ...given,
  },
  estimate: {
    amount: 100_000_000n,
    low: 90_000_000n,
    high: 9_007_199_254_740_993n,
    source: 'pricing-api',
    priceDate: null,
    instanceTypes: ['c5.18xlarge', 'c5n.18xlarge'],
    lineItems: [
      { name: 'instances', nodeHoursE6: 48_000_000n, unitPriceE10: 30_600_000_000n, amount: 146_880_000n },
      { name: 'discount', nodeHoursE6: 48_000_000n, unitPriceE10: -4_590_000_000n, amount: -22_032_000n },
    ],
    evidence: { confidencePercent: 90, tried: [{ source: 'pricing-api', outcome: 'it is throttled' }] },
  },
});

export const aPrice = (given: Partial<KeptPrice['offer']> = {}): KeptPrice => ({
  region: 'eu-central-1',
  offer: {
    type: 'u7inh-32tb.480xlarge',
    priceE10UsdPerHour: 9_007_199_254_740_993n,
    vcpus: 1_920,
    physicalCores: 960,
    memoryMib: 33_554_432,
    gpus: 8,
    source: 'pricing-api',
    priceDate: '2026-03-14',
    ...given,
  },
  askedAt: NOON,
});

export const aRun = (given: Partial<BookedRun> = {}): BookedRun => ({
  owner: '6f1c0f5e-0000-4000-8000-00000000cafe',
  runId: `hpc-prod-${next()}`,
  account: 'physics',
  jobId: '4711_3',
  user: 'curie',
  bookedCost: 60_000_000n,
  reported: '0123456789abcdef',
  cost: 60_000_000n,
  writtenOff: 0n,
  share: 120_000_000n,
  refund: 60_000_000n,
  holdState: 'settled',
  late: false,
  final: true,
  tasks: 1,
  elapsedSeconds: 10_800,
  partition: 'aws',
  nodes: 8,
  state: 'COMPLETED',
  startedAt: NOON + HOUR_MS,
  endedAt: NOON + 4 * HOUR_MS,
  bookedAt: NOON + 4 * HOUR_MS + 1,
  corrections: [],
  ...given,
});

export const aUsage = (given: Partial<Usage> = {}): Usage => ({
  account: 'physics',
  day: '2026-03-14',
  user: 'curie',
  partition: 'aws',
  used: 5n,
  jobs: 1,
  nodeSeconds: 7200,
  ...given,
});

export const someClosed = (given: Partial<Closed> = {}): Closed => ({
  holds: 2,
  estimate: 9_007_199_254_740_993n,
  held: 9_007_199_254_740_995n,
  used: 7n,
  overran: 1,
  within: { 5: 1, 125: 1, more: 1 },
  unspent: 3,
  unspentHeld: 11n,
  ...given,
});

export const aPartition = (given: Partial<PartitionModel> = {}): PartitionModel => ({
  partition: 'aws',
  region: 'us-east-1',
  instanceTypes: ['c5.18xlarge', 'p4d.24xlarge'],
  purchase: 'spot',
  allocation: 'shared',
  discountFactorE6: 850_000n,
  overheadMinutes: 4,
  overheadPerNodeHour: 12_345n,
  overhead: 'run',
  defaultWallTimeSeconds: 3_600,
  unpriced: 'flat',
  flatRatePerNodeHour: 3_060_000n,
  writeOffNodeFailures: true,
  features: { 'c5.18xlarge': ['c5', 'efa'], 'p4d.24xlarge': [] },
  threadsPerCore: 2,
  memoryPerNodeMib: 140_000,
  source: 'scontrol show node',
  ...given,
});

export const aLink = (given: Partial<JobLink> = {}): JobLink => ({
  cluster: 'hpc-prod',
  jobId: '4711',
  submittedAt: NOON,
  holdId: '6f1c0f5e-0000-4000-8000-00000000cafe',
  ...given,
});

/** A change that nothing but the account's absence refuses. */
export const aChange = (movement: Movement, given: Partial<AccountChange> = {}): AccountChange => ({
  account: 'physics',
  movement,
  unconfirmed: 0n,
  entries: 1,
  require: { kind: 'fact' },
  at: NOON + 1,
  ...given,
});

/** The change with the one entry that explains it. */
export const booked = (change: AccountChange, given: Partial<Entry> = {}): Pick<Booking, 'accounts' | 'entries'> => {
  const { account, movement, at } = change;
  return { accounts: [change], entries: [anEntry({ account, movement, at, ...given })] };
};

/** A hold placed on an active account. */
export const placing = (hold: Hold): Booking => ({
  ...booked(
    aChange(holdMore(hold.amount), {
      account: hold.account,
      unconfirmed: hold.jobId === null ? hold.amount : 0n,
      require: { kind: 'demand', today: '2026-03-14' },
    }),
    { type: 'hold', amount: hold.amount, holdId: hold.holdId, user: hold.user },
  ),
  hold: { after: hold, spec: aSpec() },
});

/** A change of a hold that moves no money. */
export const rewriting = (before: Hold, change: Partial<Hold>): Booking & { hold: { before: Hold; after: Hold } } => ({
  accounts: [],
  entries: [],
  hold: { before, after: { ...before, ...change, version: before.version + 1 } },
});
