// Small values of the domain, sound in themselves, so that a test names only what it is about.
import type { Account } from '#domain/account';
import type { NodeType, Rate } from '#domain/estimate';
import type { Hold } from '#domain/hold';
import type { Job } from '#domain/job';
import type { Instant } from '#domain/ledger';
import type { InstanceOffer, PartitionModel } from '#domain/partition';
import type { Pricing } from '#domain/quote';

export const NOON: Instant = Date.UTC(2026, 2, 14, 12);
export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** An account of $1,000 with $400 available. */
export const anAccount = (given: Partial<Account> = {}): Account => ({
  account: 'physics',
  name: null,
  description: null,
  available: 400_000_000n,
  held: 350_000_000n,
  used: 250_000_000n,
  limit: 1_000_000_000n,
  unconfirmed: 0n,
  startDate: null,
  endDate: null,
  status: 'active',
  version: 3,
  entryCount: 7,
  createdAt: NOON,
  updatedAt: NOON,
  ...given,
});

/** 72 CPUs, 144 GiB, no GPU, $3.06 an hour. */
export const C5_18XLARGE: NodeType = { type: 'c5.18xlarge', priceE10UsdPerHour: 30_600_000_000n, cpus: 72, memoryMib: 147_456, gpus: 0 };
/** 36 CPUs, 72 GiB, no GPU, $1.53 an hour. */
export const C5_9XLARGE: NodeType = { type: 'c5.9xlarge', priceE10UsdPerHour: 15_300_000_000n, cpus: 36, memoryMib: 73_728, gpus: 0 };
/** 8 CPUs, 61 GiB, 1 GPU, $3.06 an hour. */
export const P3_2XLARGE: NodeType = { type: 'p3.2xlarge', priceE10UsdPerHour: 30_600_000_000n, cpus: 8, memoryMib: 62_464, gpus: 1 };
/** 96 CPUs, 1152 GiB, 8 GPUs, $32.7726 an hour. */
export const P4D_24XLARGE: NodeType = {
  type: 'p4d.24xlarge',
  priceE10UsdPerHour: 327_726_000_000n,
  cpus: 96,
  memoryMib: 1_179_648,
  gpus: 8,
};

/** Partition aws: whole c5.18xlarge at $3.06 an hour, and nothing else to pay. */
export const aRate = (given: Partial<Rate> = {}): Rate => ({
  partition: 'aws',
  nodeTypes: [C5_18XLARGE],
  shared: false,
  discountFactorE6: 1_000_000n,
  overheadSeconds: 0,
  overheadPerNodeHour: 0n,
  writeOffNodeFailures: false,
  source: 'pricing-api',
  priceDate: '2026-03-01',
  ...given,
});

/** One node of aws for one hour. */
export const aJob = (given: Partial<Job> = {}): Job => ({
  account: 'physics',
  partitions: ['aws'],
  cluster: 'hpc',
  user: 'curie',
  nodes: 1,
  wallTimeSeconds: 3600,
  ...given,
});

/** $120 held for one task that nobody has bound to a job yet. */
export const anOpenHold = (given: Partial<Hold> = {}): Hold => ({
  holdId: '6f1c0f5e-0000-4000-8000-00000000cafe',
  account: 'physics',
  cluster: 'hpc',
  user: 'curie',
  partition: 'aws',
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
  expiresAt: NOON + 25 * HOUR_MS,
  closedAt: null,
  fingerprint: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  terms: { rates: [aRate()], partition: 'aws', nodeType: 'c5.18xlarge', nodes: 1, nodesE6: 1_000_000n, wallTimeSeconds: 3600 },
  version: 4,
  ...given,
});

/** What an administrator types for partition aws: c5.18xlarge of us-east-1, all else as by default. */
export const aModel = (given: Partial<PartitionModel> = {}): PartitionModel => ({
  partition: 'aws',
  region: 'us-east-1',
  instanceTypes: ['c5.18xlarge'],
  purchase: 'on-demand',
  allocation: 'exclusive',
  discountFactorE6: 1_000_000n,
  overheadMinutes: 0,
  overheadPerNodeHour: 0n,
  overhead: 'run',
  defaultWallTimeSeconds: null,
  unpriced: 'deny',
  flatRatePerNodeHour: null,
  writeOffNodeFailures: false,
  features: null,
  threadsPerCore: 2,
  memoryPerNodeMib: null,
  source: 'manual',
  ...given,
});

export const anOffer = (given: Partial<InstanceOffer> = {}): InstanceOffer => ({
  type: 'c5.18xlarge',
  priceE10UsdPerHour: 30_600_000_000n,
  vcpus: 72,
  physicalCores: 36,
  memoryMib: 147_456,
  gpus: 0,
  source: 'pricing-api',
  priceDate: '2026-03-01',
  ...given,
});

/** The rates of some partitions without default wall times, held at 120 %. */
export const aPricing = (...rates: readonly Rate[]): Pricing => ({
  partitions: rates.map((rate) => ({ rate, defaultWallTimeSeconds: null })),
  holdFactor: { numerator: 12n, denominator: 10n },
});
