// What a job costs: nodes x (instance price x discount + node-hour overhead) x (time + overhead minutes), line by line.
import { BudgetError } from '#domain/errors';
import { otherGpuModel } from '#domain/gpu-models';
import type { Job } from '#domain/job';
import { ceilDiv, type MicroUsd, minBigint } from '#domain/money';
import type { InstanceOffer, PartitionModel, PriceSource } from '#domain/partition';
import { confidencePercentOf } from '#domain/price';

/** EC2 bills Linux instances by the second, with a minimum of one minute (AWS, "EC2 On-Demand Pricing"). */
export const MIN_BILLED_SECONDS = 60;

const MILLION = 1_000_000n;
const SECONDS_PER_HOUR = 3600n;
/** 10^-10 dollars x millionths of discount x seconds per hour, over micro-dollars. */
const SCALE = 10_000n * MILLION * SECONDS_PER_HOUR;

/** One kind of node that a partition may start. A null size is unknown (a flat rate says nothing of the node). */
export interface NodeType {
  readonly type: string;
  readonly priceE10UsdPerHour: bigint;
  readonly cpus: number | null;
  readonly memoryMib: number | null;
  readonly gpus: number | null;
}

/** The price terms of one partition, all that a hold must lock so that a later price change leaves it as it is. */
export interface Rate {
  readonly partition: string;
  readonly nodeTypes: readonly NodeType[];
  readonly shared: boolean;
  readonly discountFactorE6: bigint;
  readonly overheadSeconds: number;
  readonly overheadPerNodeHour: MicroUsd;
  readonly writeOffNodeFailures: boolean;
  readonly source: PriceSource;
  readonly priceDate: string | null;
}

export interface LineItem {
  readonly name: 'instances' | 'discount' | 'overhead time' | 'node-hour overhead';
  /** Millionths of node-hours. */
  readonly nodeHoursE6: bigint;
  /** 10^-10 dollars a node-hour; negative for a discount. */
  readonly unitPriceE10: bigint;
  readonly amount: MicroUsd;
}

/** Nodes, exactly: a share of a shared node is seldom a decimal, and costs round up once, at their end. */
export interface Nodes {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

export const wholeNodes = (count: number): Nodes => ({ numerator: BigInt(count), denominator: 1n });

/** In millionths, rounded up: for whoever keeps or shows them, and never for a cost. */
export const nodesE6Of = ({ numerator, denominator }: Nodes): bigint => ceilDiv(numerator * MILLION, denominator);

/** What is priced: nodes of one type, for some seconds. */
export interface Usage {
  readonly nodeType: NodeType;
  readonly nodes: Nodes;
  readonly seconds: number;
}

export interface Estimate {
  readonly partition: string;
  /** The dearest type that the job may get: the one that is held for. */
  readonly nodeType: string;
  /** Types that the job may get, the dearest for it first. */
  readonly instanceTypes: readonly string[];
  /** Of one task. */
  readonly nodes: number;
  /** What it pays of them. */
  readonly share: Nodes;
  /** The same, rounded up. */
  readonly nodesE6: bigint;
  readonly tasks: number;
  readonly wallTimeSeconds: number;
  readonly amount: MicroUsd;
  readonly low: MicroUsd;
  readonly high: MicroUsd;
  readonly lineItems: readonly LineItem[];
  readonly source: PriceSource;
  readonly priceDate: string | null;
}

/** The terms of a partition at today's offers. Overhead that the site pays is in neither estimate, hold nor run. */
export const rateOf = (model: PartitionModel, offers: readonly InstanceOffer[]): Rate => {
  const [first] = offers;
  if (first === undefined) throw new Error(`no offer for partition ${model.partition}: the caller answers no_price`);
  return {
    ...termsOf(model),
    nodeTypes: offers.map((offer) => ({
      type: offer.type,
      priceE10UsdPerHour: offer.priceE10UsdPerHour,
      cpus: model.threadsPerCore === 1 ? offer.physicalCores : offer.vcpus,
      memoryMib: model.memoryPerNodeMib ?? offer.memoryMib,
      gpus: offer.gpus,
    })),
    // The least sure of them: a sum is no surer than what it is made of.
    source: offers.reduce((a, b) => (confidencePercentOf(b) < confidencePercentOf(a) ? b : a), first).source,
    priceDate: oldest(offers),
  };
};

/** The terms of a partition that has no list price, at its administrator's flat rate. */
export const flatRateOf = (model: PartitionModel, flatRatePerNodeHour: MicroUsd): Rate => ({
  ...termsOf(model),
  nodeTypes: [
    { type: 'flat-rate', priceE10UsdPerHour: flatRatePerNodeHour * 10_000n, cpus: null, memoryMib: model.memoryPerNodeMib, gpus: null },
  ],
  source: 'flat-rate',
  priceDate: null,
});

/**
 * The cost of nodes for a time, rounded up once to the micro-dollar; the line items add up to it exactly.
 * @param count how many such usages there are: the tasks of an array.
 */
export const costOf = (rate: Rate, usage: Usage, count = 1): { amount: MicroUsd; lineItems: LineItem[] } => {
  const billedSeconds = Math.max(MIN_BILLED_SECONDS, usage.seconds + rate.overheadSeconds);
  const instanceSeconds = billedSeconds - rate.overheadSeconds;
  const price = usage.nodeType.priceE10UsdPerHour;
  const { denominator } = usage.nodes;
  const nodes = usage.nodes.numerator * BigInt(count);
  const line = (name: LineItem['name'], seconds: number, priceE16: bigint) => ({ name, seconds: BigInt(seconds), priceE16 });
  const lines = [
    line('instances', instanceSeconds, price * MILLION),
    line('overhead time', rate.overheadSeconds, price * MILLION),
    line('discount', billedSeconds, price * (rate.discountFactorE6 - MILLION)),
    line('node-hour overhead', billedSeconds, rate.overheadPerNodeHour * 10_000n * MILLION),
  ].filter((each) => each.name === 'instances' || (each.seconds !== 0n && each.priceE16 !== 0n));

  let exact = 0n;
  let rounded = 0n;
  const lineItems = lines.map(({ name, seconds, priceE16 }): LineItem => {
    exact += nodes * seconds * priceE16;
    const amount = ceilDiv(exact, SCALE * denominator) - rounded;
    rounded += amount;
    const nodeHoursE6 = ceilDiv(nodes * MILLION * seconds, SECONDS_PER_HOUR * denominator);
    return { name, nodeHoursE6, unitPriceE10: priceE16 / MILLION, amount };
  });
  return { amount: rounded, lineItems };
};

/** What a node of the dearest type costs for an hour that is not its first: without boot and tail. */
export const nodeHourOf = (rate: Rate): { instanceType: string; perNodeHour: MicroUsd } => {
  const hours = rate.nodeTypes.map((nodeType) => ({
    instanceType: nodeType.type,
    perNodeHour: costOf({ ...rate, overheadSeconds: 0 }, { nodeType, nodes: wholeNodes(1), seconds: 3600 }).amount,
  }));
  const [first, ...others] = hours;
  if (first === undefined) throw new Error(`the rate of partition ${rate.partition} has no node type`);
  return others.reduce((a, b) => (b.perNodeHour > a.perNodeHour ? b : a), first);
};

/**
 * The estimate of a job in one partition: the dearest of the types that its constraint allows and that it fits on.
 * @throws BudgetError `does_not_fit`, naming what is too large for every type.
 */
export const estimateIn = (rate: Rate, job: Job, asked: { wallTimeSeconds: number; tasks: number }): Estimate => {
  const fits = rate.nodeTypes.map((nodeType) => ({ nodeType, placement: placementOn(nodeType, job, rate) }));
  const priced = fits.flatMap(({ nodeType, placement }) => {
    if (typeof placement === 'string') return [];
    const cost = costOf(rate, { nodeType, nodes: placement.share, seconds: asked.wallTimeSeconds }, asked.tasks);
    return [{ nodeType, placement, ...cost }];
  });
  priced.sort((a, b) => Number(b.amount - a.amount));
  const [dearest] = priced;
  if (dearest === undefined) {
    const reasons = fits.map(({ nodeType, placement }) => `${nodeType.type}: ${placement}`);
    throw new BudgetError('does_not_fit', `the job does not fit partition ${rate.partition}: ${reasons[0]}`, {
      partition: rate.partition,
      reasons,
    });
  }
  return {
    partition: rate.partition,
    nodeType: dearest.nodeType.type,
    instanceTypes: priced.map(({ nodeType }) => nodeType.type),
    nodes: dearest.placement.nodes,
    share: dearest.placement.share,
    nodesE6: nodesE6Of(dearest.placement.share),
    tasks: asked.tasks,
    wallTimeSeconds: asked.wallTimeSeconds,
    amount: dearest.amount,
    low: priced.map(({ amount }) => amount).reduce(minBigint),
    high: dearest.amount,
    lineItems: dearest.lineItems,
    source: rate.source,
    priceDate: rate.priceDate,
  };
};

/**
 * Which of a partition's types a `--constraint` allows.
 *
 * Understood are features joined by `&` and `|`. Where Slurm's richer forms are used, or no features were imported, every
 * type is allowed: then the dearest is held for, which is never too little.
 */
export const typesAllowedBy = (model: PartitionModel, constraint: string | undefined): readonly string[] => {
  const features = model.features;
  if (constraint === undefined || features === null || !/^[\w.-]+(?:[&|][\w.-]+)*$/.test(constraint)) return model.instanceTypes;
  const wanted = constraint.split('|').map((term) => term.split('&'));
  const allowed = model.instanceTypes.filter((type) => wanted.some((all) => all.every((feature) => features[type]?.includes(feature))));
  return allowed.length > 0 ? allowed : model.instanceTypes;
};

/** The nodes of a run or a job that shares them: the largest of its shares, never more than the whole nodes. */
export const sharedNodes = (nodeType: NodeType, demand: { nodes: number; cpus: number; memoryMib: number; gpus: number }): Nodes => {
  const whole = wholeNodes(demand.nodes);
  const shares = [
    shareOf(demand.cpus, nodeType.cpus),
    shareOf(demand.memoryMib, nodeType.memoryMib),
    shareOf(demand.gpus, nodeType.gpus),
  ].filter((share) => share !== undefined);
  const largest = shares.reduce((a, b) => (isLarger(b, a) ? b : a), wholeNodes(0));
  // Nothing known of the node or of the demand: then the whole node is the only price that is never too low.
  return largest.numerator === 0n || isLarger(largest, whole) ? whole : largest;
};

const shareOf = (demand: number, size: number | null): Nodes | undefined =>
  size === null || size === 0 ? undefined : { numerator: BigInt(demand), denominator: BigInt(size) };

const isLarger = (a: Nodes, b: Nodes): boolean => a.numerator * b.denominator > b.numerator * a.denominator;

const termsOf = (model: PartitionModel) => ({
  partition: model.partition,
  shared: model.allocation === 'shared',
  discountFactorE6: model.discountFactorE6,
  overheadSeconds: model.overhead === 'run' ? model.overheadMinutes * 60 : 0,
  overheadPerNodeHour: model.overhead === 'run' ? model.overheadPerNodeHour : 0n,
  writeOffNodeFailures: model.writeOffNodeFailures,
});

/** The oldest price date stands for all of them; one unknown date makes the whole unknown. */
const oldest = (offers: readonly InstanceOffer[]): string | null =>
  offers.map(({ priceDate }) => priceDate).reduce((a, b) => (a === null || b === null ? null : a.localeCompare(b) < 0 ? a : b));

interface Placement {
  readonly nodes: number;
  /** Of these nodes, what the job pays. */
  readonly share: Nodes;
}

/** How many nodes of a type a job takes, or in words why it cannot run on it. */
const placementOn = (nodeType: NodeType, job: Job, rate: Rate): Placement | string => {
  const cpusPerTask = job.cpusPerTask ?? 1;
  const ntasks = job.ntasks ?? 1;
  const demand = { cpusPerTask, ntasks, cpus: Math.max(job.cpus ?? 1, ntasks * cpusPerTask) };
  const needed = nodesNeeded(nodeType, job, demand);
  if (typeof needed === 'string') return needed;
  if (job.nodes !== undefined && job.nodes < needed) return `it needs ${needed} nodes of this type, and at most ${job.nodes} are asked for`;
  const nodes = job.nodes ?? needed;
  if (!rate.shared || job.exclusive === true || job.memoryMib === 0) return { nodes, share: wholeNodes(nodes) };
  const memoryMib = Math.max((job.memoryMib ?? 0) * nodes, (job.memoryPerCpuMib ?? 0) * demand.cpus);
  const gpus = Math.max(job.gpus ?? 0, (job.gpusPerNode ?? 0) * nodes);
  return { nodes, share: sharedNodes(nodeType, { nodes, cpus: Math.max(demand.cpus, nodes), memoryMib, gpus }) };
};

/** The fewest nodes of a type that hold the job's CPUs, tasks, memory and GPUs. */
const nodesNeeded = (nodeType: NodeType, job: Job, demand: { cpusPerTask: number; ntasks: number; cpus: number }): number | string => {
  const { cpus, memoryMib } = nodeType;
  if (job.memoryMib !== undefined && memoryMib !== null && job.memoryMib > memoryMib) {
    return `${job.memoryMib} MiB of memory per node, and a node has ${memoryMib} MiB`;
  }
  if (cpus === null) return nodesOfUnknownSize(job);
  if (demand.cpusPerTask > cpus) return `a task of ${demand.cpusPerTask} CPUs, and a node has ${cpus}`;
  const memoryPerTaskMib = (job.memoryPerCpuMib ?? 0) * demand.cpusPerTask;
  if (memoryMib !== null && memoryPerTaskMib > memoryMib) {
    return `a task with ${memoryPerTaskMib} MiB of memory, and a node has ${memoryMib} MiB`;
  }
  const forGpus = nodesForGpus(nodeType, job);
  if (typeof forGpus === 'string') return forGpus;
  const tasksPerNode = Math.min(
    Math.floor(cpus / demand.cpusPerTask),
    memoryMib === null || memoryPerTaskMib === 0 ? Number.POSITIVE_INFINITY : Math.floor(memoryMib / memoryPerTaskMib),
  );
  const memoryMibOfAllCpus = (job.memoryPerCpuMib ?? 0) * demand.cpus;
  return Math.max(
    forGpus,
    job.minNodes ?? 1,
    Math.ceil(demand.cpus / cpus),
    Math.ceil(demand.ntasks / tasksPerNode),
    memoryMib === null || memoryMib === 0 ? 1 : Math.ceil(memoryMibOfAllCpus / memoryMib),
  );
};

/** A job that names both `--gpus` and `--gpus-per-node` runs on total / per node nodes, as Slurm has it. */
const nodesForGpus = ({ type, gpus }: NodeType, job: Job): number | string => {
  const perNode = job.gpusPerNode ?? 0;
  const total = job.gpus ?? 0;
  const onNode = gpus ?? 0;
  if (perNode > onNode) return `${countOf(perNode)} per node, and a node has ${onNode === 0 ? 'none' : onNode}`;
  if (total > 0 && onNode === 0) return `${countOf(total)}, and a node has none`;
  const other = perNode + total === 0 ? undefined : otherGpuModel(type, job.gpuType);
  if (other !== undefined) return `GPUs of type ${job.gpuType}, and a node has ${other}`;
  return total === 0 ? 1 : Math.ceil(total / (perNode || onNode));
};

const countOf = (gpus: number): string => (gpus === 1 ? '1 GPU' : `${gpus} GPUs`);

/** One task is on one node whatever its size; more tasks or GPUs could be spread over any number of nodes. */
const nodesOfUnknownSize = (job: Job): number | string => {
  if (job.nodes === undefined && ((job.ntasks ?? 1) > 1 || (job.gpus ?? 0) > 1))
    return 'the size of its nodes is not known, so say --nodes';
  return Math.max(1, job.minNodes ?? 1);
};
