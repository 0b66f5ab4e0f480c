// How each thing is spelled as an item: integers, texts, flags, lists and maps only.
//
// Money is micro-USD, factors are millionths (E6), unit prices 10^-10 dollars (E10). Times are epoch milliseconds in
// attributes and ISO in keys. Null is an absent attribute, so that conditions can ask for it. A hold's own id is only in its
// key: the item is written whole at each change, and a kilobyte is one write unit.
import { type Item, numbersIn, type Reader, reader, wholeNumbers } from '#adapters/dynamo-attributes';
import type { Cluster, Deposit, HoldSpec, JobLink, KeptPrice } from '#app/ports';
import {
  accountDirectoryKey,
  accountKey,
  clusterKey,
  depositKey,
  entryKey,
  holdIndexKeys,
  holdKey,
  ITEM_VERSION,
  jobKey,
  type Key,
  partitionKey,
  priceKey,
  pricePartition,
  RUN_PREFIX,
  runKey,
  specKey,
  TABLE,
} from '#contract/table';
import type { Account } from '#domain/account';
import { formatArraySpec, parseArraySpec } from '#domain/array-spec';
import type { LineItem, NodeType, Rate } from '#domain/estimate';
import { type Hold, isBound, type Priced, type Terms } from '#domain/hold';
import type { Job } from '#domain/job';
import type { ClosedHold, Entry } from '#domain/ledger';
import type { PartitionModel } from '#domain/partition';
import type { Tried } from '#domain/price';
import type { BookedRun } from '#domain/run';

export const encodeAccount = (account: Account): Item =>
  item(accountKey(account.account), {
    account: account.account,
    name: orAbsent(account.name),
    description: orAbsent(account.description),
    available: account.available,
    held: account.held,
    used: account.used,
    limit: account.limit,
    unconfirmed: account.unconfirmed,
    start_date: orAbsent(account.startDate),
    end_date: orAbsent(account.endDate),
    status: account.status,
    version: account.version,
    entry_count: account.entryCount,
    created_at: account.createdAt,
    updated_at: account.updatedAt,
  });

export const encodeDirectoryRow = (account: string): Item => item(accountDirectoryKey(account), {});

export const decodeAccount = (stored: Item): Account => {
  const of = reader(stored);
  return {
    account: of.text('account'),
    name: of.textOrNull('name'),
    description: of.textOrNull('description'),
    available: of.integer('available'),
    held: of.integer('held'),
    used: of.integer('used'),
    limit: of.integer('limit'),
    unconfirmed: of.integer('unconfirmed'),
    startDate: of.textOrNull('start_date'),
    endDate: of.textOrNull('end_date'),
    status: of.text('status'),
    version: of.number('version'),
    entryCount: of.number('entry_count'),
    createdAt: of.number('created_at'),
    updatedAt: of.number('updated_at'),
  };
};

export const encodeDeposit = (deposit: Deposit): Item =>
  item(depositKey(deposit), { account: deposit.account, deposit_id: deposit.depositId, amount: deposit.amount });

export const decodeDeposit = (stored: Item): Deposit => {
  const of = reader(stored);
  return { account: of.text('account'), depositId: of.text('deposit_id'), amount: of.integer('amount') };
};

export const encodeEntry = (entry: Entry): Item =>
  item(entryKey(entry), {
    at: entry.at,
    account: entry.account,
    type: entry.type,
    amount: entry.amount,
    available: entry.movement.available,
    held: entry.movement.held,
    used: entry.movement.used,
    limit: entry.movement.limit,
    hold_id: orAbsent(entry.holdId),
    job_id: orAbsent(entry.jobId),
    run_id: orAbsent(entry.runId),
    user: orAbsent(entry.user),
    note: orAbsent(entry.note),
    owner: entry.owner,
    partition: entry.partition,
    node_seconds: entry.nodeSeconds,
    closed: entry.closed && encodeClosedHold(entry.closed),
  });

export const decodeEntry = (stored: Item): Entry => {
  const of = reader(stored);
  const [owner, partition, nodeSeconds] = [of.textOrNull('owner'), of.textOrNull('partition'), of.numberOrNull('node_seconds')];
  return {
    entryId: of.text('sk'),
    at: of.number('at'),
    account: of.text('account'),
    type: of.text('type'),
    amount: of.integer('amount'),
    movement: { available: of.integer('available'), held: of.integer('held'), used: of.integer('used'), limit: of.integer('limit') },
    holdId: of.textOrNull('hold_id'),
    jobId: of.textOrNull('job_id'),
    runId: of.textOrNull('run_id'),
    user: of.textOrNull('user'),
    note: of.textOrNull('note'),
    ...(owner === null ? {} : { owner }),
    ...(partition === null ? {} : { partition }),
    ...(nodeSeconds === null ? {} : { nodeSeconds }),
    ...(of.has('closed') ? { closed: decodeClosedHold(of.map('closed')) } : {}),
  };
};

const encodeClosedHold = (closed: ClosedHold): Item => ({
  account: closed.account,
  user: orAbsent(closed.user),
  partition: closed.partition,
  day: closed.day,
  estimate: closed.estimate,
  held: closed.held,
  used: closed.used,
  before: orAbsent(closed.usedBefore),
});

const decodeClosedHold = (of: Reader): ClosedHold => ({
  account: of.text('account'),
  user: of.textOrNull('user'),
  partition: of.text('partition'),
  day: of.text('day'),
  estimate: of.integer('estimate'),
  held: of.integer('held'),
  used: of.integer('used'),
  usedBefore: of.integerOrNull('before'),
});

export const encodeHold = (hold: Hold): Item =>
  item(holdKey(hold.holdId), {
    ...holdIndexKeys({ ...hold, open: hold.state === 'open', bound: isBound(hold) }),
    account: hold.account,
    cluster: hold.cluster,
    user: orAbsent(hold.user),
    partition: hold.partition,
    state: hold.state,
    amount: hold.amount,
    original: hold.originalAmount,
    used: hold.used,
    tasks: hold.tasks,
    ended: hold.tasksEnded,
    job_id: orAbsent(hold.jobId),
    submitted_at: orAbsent(hold.submittedAt),
    forced: hold.forced,
    created_at: hold.createdAt,
    expires_at: hold.expiresAt,
    closed_at: orAbsent(hold.closedAt),
    fingerprint: hold.fingerprint,
    terms: encodeTerms(hold.terms),
    ...(hold.priced && encodePriced(hold.priced, hold)),
    version: hold.version,
  });

export const decodeHold = (stored: Item): Hold => {
  const of = reader(stored);
  return {
    holdId: of.text('pk').slice('HOLD#'.length),
    account: of.text('account'),
    cluster: of.text('cluster'),
    user: of.textOrNull('user'),
    partition: of.text('partition'),
    state: of.text('state'),
    amount: of.integer('amount'),
    originalAmount: of.integer('original'),
    used: of.integer('used'),
    tasks: of.number('tasks'),
    tasksEnded: of.number('ended'),
    jobId: of.textOrNull('job_id'),
    submittedAt: of.numberOrNull('submitted_at'),
    forced: of.flag('forced'),
    createdAt: of.number('created_at'),
    expiresAt: of.number('expires_at'),
    closedAt: of.numberOrNull('closed_at'),
    fingerprint: of.text('fingerprint'),
    terms: decodeTerms(of.map('terms')),
    ...(of.has('estimate') ? { priced: decodePriced(of) } : {}),
    version: of.number('version'),
  };
};

/** Most holds are neither of an array nor ever changed, and a kilobyte is one write unit: so only what differs is written. */
const encodePriced = ({ estimate, estimateLeft, held }: Priced, { originalAmount }: Hold): Item => ({
  estimate,
  estimate_left: estimateLeft === estimate ? undefined : estimateLeft,
  held_for: held === originalAmount ? undefined : held,
});

const decodePriced = (of: Reader): Priced => ({
  estimate: of.integer('estimate'),
  estimateLeft: of.integerOrNull('estimate_left') ?? of.integer('estimate'),
  held: of.integerOrNull('held_for') ?? of.integer('original'),
});

const encodeTerms = (terms: Terms): Item => ({
  partition: terms.partition,
  type: terms.nodeType,
  nodes: terms.nodes,
  nodes_e6: terms.nodesE6,
  seconds: terms.wallTimeSeconds,
  rates: terms.rates.map(encodeRate),
});

const decodeTerms = (of: Reader): Terms => ({
  rates: of.maps('rates').map(decodeRate),
  partition: of.text('partition'),
  nodeType: of.text('type'),
  nodes: of.number('nodes'),
  nodesE6: of.integer('nodes_e6'),
  wallTimeSeconds: of.number('seconds'),
});

const encodeRate = (rate: Rate): Item => ({
  partition: rate.partition,
  types: rate.nodeTypes.map(encodeNodeType),
  shared: rate.shared,
  discount_e6: rate.discountFactorE6,
  overhead_s: rate.overheadSeconds,
  overhead_hour: rate.overheadPerNodeHour,
  write_off: rate.writeOffNodeFailures,
  source: rate.source,
  price_date: orAbsent(rate.priceDate),
});

const decodeRate = (of: Reader): Rate => ({
  partition: of.text('partition'),
  nodeTypes: of.maps('types').map(decodeNodeType),
  shared: of.flag('shared'),
  discountFactorE6: of.integer('discount_e6'),
  overheadSeconds: of.number('overhead_s'),
  overheadPerNodeHour: of.integer('overhead_hour'),
  writeOffNodeFailures: of.flag('write_off'),
  source: of.text('source'),
  priceDate: of.textOrNull('price_date'),
});

const encodeNodeType = (nodeType: NodeType): Item => ({
  type: nodeType.type,
  price_e10: nodeType.priceE10UsdPerHour,
  cpus: orAbsent(nodeType.cpus),
  mib: orAbsent(nodeType.memoryMib),
  gpus: orAbsent(nodeType.gpus),
});

const decodeNodeType = (of: Reader): NodeType => ({
  type: of.text('type'),
  priceE10UsdPerHour: of.integer('price_e10'),
  cpus: of.numberOrNull('cpus'),
  memoryMib: of.numberOrNull('mib'),
  gpus: of.numberOrNull('gpus'),
});

/** The job keeps the domain's own field names, so that what it learns to ask for is kept without a change here. */
export const encodeSpec = ({ holdId, spec }: { holdId: string; spec: HoldSpec }): Item =>
  item(specKey(holdId), {
    // As text an array of 10,000 ranges is 64 kB; as maps it would not fit an item.
    job: { ...spec.job, array: spec.job.array && formatArraySpec(spec.job.array) },
    amount: spec.estimate.amount,
    low: spec.estimate.low,
    high: spec.estimate.high,
    source: spec.estimate.source,
    price_date: orAbsent(spec.estimate.priceDate),
    instance_types: spec.estimate.instanceTypes,
    line_items: spec.estimate.lineItems.map((line) => ({
      name: line.name,
      node_hours_e6: line.nodeHoursE6,
      unit_price_e10: line.unitPriceE10,
      amount: line.amount,
    })),
    confidence_percent: spec.estimate.evidence?.confidencePercent,
    tried: spec.estimate.evidence?.tried,
  });

export const decodeSpec = (stored: Item): HoldSpec => {
  const of = reader(stored);
  return {
    job: decodeJob(of.map('job')),
    estimate: {
      amount: of.integer('amount'),
      low: of.integer('low'),
      high: of.integer('high'),
      source: of.text('source'),
      priceDate: of.textOrNull('price_date'),
      instanceTypes: of.texts('instance_types'),
      lineItems: of.maps('line_items').map((line) => ({
        name: line.text<LineItem['name']>('name'),
        nodeHoursE6: line.integer('node_hours_e6'),
        unitPriceE10: line.integer('unit_price_e10'),
        amount: line.integer('amount'),
      })),
      ...(of.has('confidence_percent') && {
        evidence: {
          confidencePercent: of.number('confidence_percent'),
          tried: of.maps('tried').map((each) => ({ source: each.text<Tried['source']>('source'), outcome: each.text('outcome') })),
        },
      }),
    },
  };
};

const decodeJob = (of: Reader): Job => {
  const { array, ...rest } = of.all();
  const job = numbersIn(rest) as Job; // Nothing in a Job is a bigint, so every integer in it was a number.
  return array === undefined ? job : { ...job, array: parseArraySpec(of.text('array')) };
};

export const encodeRun = (run: BookedRun): Item =>
  item(runKey(run), {
    account: run.account,
    job_id: orAbsent(run.jobId),
    user: orAbsent(run.user),
    booked_cost: run.bookedCost,
    reported: run.reported,
    cost: run.cost,
    written_off: run.writtenOff,
    share: run.share,
    refund: run.refund,
    hold_state: orAbsent(run.holdState),
    late: run.late,
    final: run.final,
    tasks: run.tasks,
    elapsed_seconds: orAbsent(run.elapsedSeconds),
    partition: orAbsent(run.partition),
    nodes: orAbsent(run.nodes),
    node_seconds: run.nodeSeconds,
    state: orAbsent(run.state),
    started_at: orAbsent(run.startedAt),
    ended_at: orAbsent(run.endedAt),
    booked_at: run.bookedAt,
    corrections: run.corrections.map(({ correctionId, cost }) => ({ correction_id: correctionId, cost })),
  });

export const decodeRun = (stored: Item): BookedRun => {
  const of = reader(stored);
  return {
    owner: of.text('pk').slice('HOLD#'.length),
    runId: of.text('sk').slice(RUN_PREFIX.length),
    account: of.text('account'),
    jobId: of.textOrNull('job_id'),
    user: of.textOrNull('user'),
    bookedCost: of.integer('booked_cost'),
    reported: of.text('reported'),
    cost: of.integer('cost'),
    writtenOff: of.integer('written_off'),
    share: of.integer('share'),
    refund: of.integer('refund'),
    holdState: of.textOrNull('hold_state'),
    late: of.flag('late'),
    final: of.flag('final'),
    tasks: of.number('tasks'),
    elapsedSeconds: of.numberOrNull('elapsed_seconds'),
    partition: of.textOrNull('partition'),
    nodes: of.numberOrNull('nodes'),
    ...(of.has('node_seconds') ? { nodeSeconds: of.number('node_seconds') } : {}),
    state: of.textOrNull('state'),
    startedAt: of.numberOrNull('started_at'),
    endedAt: of.numberOrNull('ended_at'),
    bookedAt: of.number('booked_at'),
    corrections: of.maps('corrections').map((each) => ({ correctionId: each.text('correction_id'), cost: each.integer('cost') })),
  };
};

export const encodeJobLink = (link: JobLink): Item =>
  item(jobKey(link), { cluster: link.cluster, job_id: link.jobId, submitted_at: link.submittedAt, hold_id: link.holdId });

export const decodeJobLink = (stored: Item): JobLink => {
  const of = reader(stored);
  return { cluster: of.text('cluster'), jobId: of.text('job_id'), submittedAt: of.number('submitted_at'), holdId: of.text('hold_id') };
};

export const encodeCluster = (cluster: Cluster): Item =>
  item(clusterKey(cluster.cluster), {
    cluster_uid: cluster.clusterUid,
    agent_version: orAbsent(cluster.agentVersion),
    last_heartbeat: cluster.lastHeartbeat,
    principals: cluster.principals.length === 0 ? undefined : cluster.principals,
  });

export const decodeCluster = (stored: Item): Cluster => {
  const of = reader(stored);
  return {
    cluster: of.text('sk'),
    clusterUid: of.text('cluster_uid'),
    agentVersion: of.textOrNull('agent_version'),
    lastHeartbeat: of.number('last_heartbeat'),
    principals: of.has('principals') ? of.texts('principals') : [],
  };
};

export const encodePartition = (model: PartitionModel): Item =>
  item(partitionKey(model.partition), {
    region: model.region,
    instance_types: model.instanceTypes,
    purchase: model.purchase,
    allocation: model.allocation,
    discount_factor_e6: model.discountFactorE6,
    overhead_minutes: model.overheadMinutes,
    overhead_per_node_hour: model.overheadPerNodeHour,
    overhead: model.overhead,
    default_wall_time_seconds: orAbsent(model.defaultWallTimeSeconds),
    unpriced: model.unpriced,
    flat_rate_per_node_hour: orAbsent(model.flatRatePerNodeHour),
    write_off_node_failures: model.writeOffNodeFailures,
    features: orAbsent(model.features),
    threads_per_core: model.threadsPerCore,
    memory_per_node_mib: orAbsent(model.memoryPerNodeMib),
    source: model.source,
  });

export const decodePartition = (stored: Item): PartitionModel => {
  const of = reader(stored);
  return {
    partition: of.text('sk'),
    region: of.text('region'),
    instanceTypes: of.texts('instance_types'),
    purchase: of.text('purchase'),
    allocation: of.text('allocation'),
    discountFactorE6: of.integer('discount_factor_e6'),
    overheadMinutes: of.number('overhead_minutes'),
    overheadPerNodeHour: of.integer('overhead_per_node_hour'),
    overhead: of.text('overhead'),
    defaultWallTimeSeconds: of.numberOrNull('default_wall_time_seconds'),
    unpriced: of.text('unpriced'),
    flatRatePerNodeHour: of.integerOrNull('flat_rate_per_node_hour'),
    writeOffNodeFailures: of.flag('write_off_node_failures'),
    features: of.has('features') ? (of.map('features').all() as PartitionModel['features']) : null,
    threadsPerCore: of.number('threads_per_core'),
    memoryPerNodeMib: of.numberOrNull('memory_per_node_mib'),
    source: of.text('source'),
  };
};

export const encodePrice = ({ region, offer, askedAt }: KeptPrice): Item =>
  item(priceKey({ region, type: offer.type }), {
    price_e10: offer.priceE10UsdPerHour,
    vcpus: offer.vcpus,
    cores: offer.physicalCores,
    mib: offer.memoryMib,
    gpus: offer.gpus,
    source: offer.source,
    price_date: orAbsent(offer.priceDate),
    asked_at: askedAt,
  });

export const decodePrice = (stored: Item): KeptPrice => {
  const of = reader(stored);
  return {
    region: of.text('pk').slice(pricePartition('').length),
    offer: {
      type: of.text('sk'),
      priceE10UsdPerHour: of.integer('price_e10'),
      vcpus: of.number('vcpus'),
      physicalCores: of.number('cores'),
      memoryMib: of.number('mib'),
      gpus: of.number('gpus'),
      source: of.text('source'),
      priceDate: of.textOrNull('price_date'),
    },
    askedAt: of.number('asked_at'),
  };
};

/** A mark goes away by itself: seconds since 1970 are DynamoDB's own unit for that. */
export const encodeMark = (key: Key, { now, forSeconds }: { now: number; forSeconds: number }): Item =>
  item(key, { [TABLE.timeToLiveAttribute]: Math.floor(now / 1000) + forSeconds });

const item = (key: Key, attributes: Item): Item => wholeNumbers({ ...key, v: ITEM_VERSION, ...attributes });

const orAbsent = <T>(value: T | null): T | undefined => value ?? undefined;
