import type { MicroUsd } from '#domain/money';

/** What stands behind a Slurm partition on AWS: imported or typed by an administrator, never guessed from a node's name. */
export interface PartitionModel {
  readonly partition: string;
  readonly region: string;
  readonly instanceTypes: readonly string[];
  readonly purchase: 'on-demand' | 'spot';
  readonly allocation: 'exclusive' | 'shared';
  /** Millionths: 850000 pays 85 % of the list price. */
  readonly discountFactorE6: bigint;
  readonly overheadMinutes: number;
  readonly overheadPerNodeHour: MicroUsd;
  /** Who pays boot, idle tail and node-hour extras: the run, or the site. */
  readonly overhead: 'run' | 'site';
  readonly defaultWallTimeSeconds: number | null;
  readonly unpriced: 'deny' | 'flat';
  readonly flatRatePerNodeHour: MicroUsd | null;
  readonly writeOffNodeFailures: boolean;
  /** Slurm features by instance type, for `--constraint`. */
  readonly features: Readonly<Record<string, readonly string[]>> | null;
  readonly threadsPerCore: number;
  readonly memoryPerNodeMib: number | null;
  readonly source: string;
}

/** What is known of an instance type: its price, and what a node of it offers. */
export interface InstanceOffer {
  readonly type: string;
  /** 10^-10 dollars an hour: AWS's own precision, so that no float ever stands between its price and ours. */
  readonly priceE10UsdPerHour: bigint;
  readonly vcpus: number;
  readonly physicalCores: number;
  readonly memoryMib: number;
  readonly gpus: number;
  readonly source: PriceSource;
  /** `YYYY-MM-DD`, or null when the source does not say. */
  readonly priceDate: string | null;
}

export type PriceSource = 'advisor' | 'pricing-api' | 'catalogue' | 'flat-rate';
