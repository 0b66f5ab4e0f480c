import type { PartitionModel } from '#domain/partition';

const onDemand = (partition: string, instanceType: string): PartitionModel => ({
  partition,
  region: 'us-east-1',
  instanceTypes: [instanceType],
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
  source: 'asbb local',
});

/** What a fresh `asbb local` knows, so that a first job can be priced without any set-up. */
export const LOCAL_PARTITIONS: readonly PartitionModel[] = [
  onDemand('cpu', 'm5.24xlarge'),
  onDemand('gpu', 'g5.48xlarge'),
  onDemand('aws', 'c5.18xlarge'),
];
