// A run: one accounting record of a job or array task. A requeued job has several.
import { costOf, type Nodes, type NodeType, type Rate, sharedNodes, wholeNodes } from '#domain/estimate';
import type { HoldState, Terms } from '#domain/hold';
import type { Instant } from '#domain/ledger';
import { ceilDiv, type MicroUsd } from '#domain/money';

const MILLION = 1_000_000n;

/** A run as it was booked. It stores its answer, so that the same report again gets the same answer. */
export interface BookedRun {
  /** Under which key the run is booked: its hold's id, or for a run whose hold nobody knows, a name made of its job. */
  readonly owner: string;
  readonly runId: string;
  readonly account: string;
  readonly jobId: string | null;
  readonly user: string | null;
  /** As reported at first: a report that repeats it is a repetition, also after a correction. */
  readonly bookedCost: MicroUsd;
  /** A digest of the report. */
  readonly reported: string;
  /** What is charged now, after corrections. */
  readonly cost: MicroUsd;
  /** What the site absorbed instead. */
  readonly writtenOff: MicroUsd;
  readonly share: MicroUsd;
  readonly refund: MicroUsd;
  readonly holdState: HoldState | null;
  readonly late: boolean;
  readonly final: boolean;
  readonly tasks: number;
  readonly elapsedSeconds: number | null;
  readonly partition: string | null;
  readonly nodes: number | null;
  /** What it had, after corrections. Absent from runs that were booked before this was kept. */
  readonly nodeSeconds?: number;
  readonly state: string | null;
  readonly startedAt: Instant | null;
  readonly endedAt: Instant | null;
  readonly bookedAt: Instant;
  readonly corrections: readonly { readonly correctionId: string; readonly cost: MicroUsd }[];
}

/** What a run really used; what it does not say is as its hold was priced. */
export interface RunUsage {
  /** From start to end: EC2 bills suspended time too. */
  readonly elapsedSeconds: number;
  readonly started: boolean;
  readonly instances?: readonly { readonly type: string; readonly count: number }[];
  readonly nodes?: number;
  readonly cpus?: number;
  /** Per node, as a job's. */
  readonly memoryMib?: number;
  readonly gpus?: number;
}

/** Runs that are booked at once: DynamoDB takes 100 items in a transaction, and a run is two. */
export const MAX_RUNS_PER_BATCH = 40;

/** A run that reports more corrections than this is a matter for a person, not for a retry. */
export const MAX_CORRECTIONS = 50;

/**
 * What a run costs: the estimate's own formula at the prices locked in its hold, for the nodes and the time it really had.
 * A run that never started cost nothing.
 * @throws Error if an instance type is named that the rate does not price: the caller looks its price up first.
 */
export const runCost = (rate: Rate, run: RunUsage, priced: Pick<Terms, 'nodeType' | 'nodes' | 'nodesE6'>): MicroUsd => {
  if (run.elapsedSeconds === 0 && !run.started) return 0n;
  if (run.instances !== undefined && run.instances.length > 0) return costOfInstances(rate, run.instances, run.elapsedSeconds);
  const nodeType = nodeTypeOf(rate, priced);
  return costOf(rate, { nodeType, nodes: nodesOf(rate, nodeType, run, priced), seconds: run.elapsedSeconds }).amount;
};

/**
 * Nodes times seconds of a run, rounded up. A share of a shared node is a fraction, as in its cost; without a rate nobody knows of
 * shares, and nodes are whole.
 */
export const nodeSecondsOf = (rate: Rate | undefined, run: RunUsage, priced: Pick<Terms, 'nodeType' | 'nodes' | 'nodesE6'>): number =>
  nodeSeconds(allocatedNodes(rate, run, priced), run.elapsedSeconds);

const nodeSeconds = ({ numerator, denominator }: Nodes, seconds: number): number =>
  Number(ceilDiv(numerator * BigInt(seconds), denominator));

const NODE_FAILURES: ReadonlySet<string | null> = new Set(['NODE_FAIL', 'NF', 'BOOT_FAIL', 'BF']);
const RESTARTS: ReadonlySet<string | null> = new Set(['REQUEUED', 'RQ', 'RESIZING', 'RS']);

/** States in which Slurm says that the node failed, not the job (Slurm, "Job State Codes"). */
export const isNodeFailure = (state: string | null): boolean => NODE_FAILURES.has(state);

/** Short and long names of the states whose run is followed by another of the same job (Slurm, "Job State Codes"). */
export const isRestartedState = (state: string | null): boolean => RESTARTS.has(state);

/** Whether a report repeats what is booked: then it gets the stored answer, else it is a conflict. */
export const repeats = (booked: BookedRun, report: { readonly cost: MicroUsd; readonly reported: string }): boolean =>
  report.reported === booked.reported ||
  report.cost === booked.bookedCost ||
  (booked.corrections.length > 0 && report.cost === booked.cost);

const costOfInstances = (rate: Rate, instances: readonly { type: string; count: number }[], seconds: number): MicroUsd =>
  instances.reduce((sum, { type, count }) => {
    const nodeType = rate.nodeTypes.find((each) => each.type === type);
    if (nodeType === undefined) throw new Error(`no price for ${type} in partition ${rate.partition}`);
    return sum + costOf(rate, { nodeType, nodes: wholeNodes(count), seconds }).amount;
  }, 0n);

const allocatedNodes = (rate: Rate | undefined, run: RunUsage, priced: Pick<Terms, 'nodeType' | 'nodes' | 'nodesE6'>): Nodes => {
  if (run.instances !== undefined && run.instances.length > 0) return wholeNodes(run.instances.reduce((sum, { count }) => sum + count, 0));
  if (rate === undefined) return wholeNodes(run.nodes ?? priced.nodes);
  return nodesOf(rate, nodeTypeOf(rate, priced), run, priced);
};

const nodesOf = (rate: Rate, nodeType: NodeType, run: RunUsage, priced: Pick<Terms, 'nodes' | 'nodesE6'>): Nodes => {
  const nodes = run.nodes ?? priced.nodes;
  if (!rate.shared) return wholeNodes(nodes);
  if (run.cpus === undefined && run.memoryMib === undefined && run.gpus === undefined) {
    return run.nodes === undefined ? { numerator: priced.nodesE6, denominator: MILLION } : wholeNodes(nodes);
  }
  return sharedNodes(nodeType, { nodes, cpus: run.cpus ?? 0, memoryMib: (run.memoryMib ?? 0) * nodes, gpus: run.gpus ?? 0 });
};

const nodeTypeOf = (rate: Rate, priced: Pick<Terms, 'nodeType'>): NodeType =>
  rate.nodeTypes.find(({ type }) => type === priced.nodeType) ?? dearest(rate);

const dearest = (rate: Rate): NodeType => rate.nodeTypes.reduce((a, b) => (b.priceE10UsdPerHour > a.priceE10UsdPerHour ? b : a));
