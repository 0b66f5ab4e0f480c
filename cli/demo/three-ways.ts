// What the trace costs as asked for, as held and as used: the reason why holds are settled fast, and held and used shown apart.
import type { Submission } from '#cli/demo/trace';
import { DEFAULT_HOLD_PERCENTAGE } from '#contract/settings';
import { costOf, MIN_BILLED_SECONDS, type Rate, wholeNodes } from '#domain/estimate';
import { ceilDiv, type MicroUsd, multiplyUp, parseDecimal, parseFactor } from '#domain/money';

const SECONDS_PER_HOUR = 3600n;
/** 10^-10 dollars in a micro-dollar. */
const E10_PER_MICRO = 10_000n;

export interface ThreeWays {
  readonly requested: MicroUsd;
  readonly held: MicroUsd;
  readonly used: MicroUsd;
  /** As if EC2 had no minimum of a minute: what a sum of seconds gives. */
  readonly usedWithoutMinimum: MicroUsd;
  /** Runs that the minimum makes dearer. */
  readonly belowMinimum: number;
}

/** Prices every submission and every run on whole nodes. */
export const priceThreeWays = (trace: readonly Submission[], usdPerNodeHour: number): ThreeWays => {
  const priceE10UsdPerHour = parseDecimal(usdPerNodeHour, 10);
  const nodeType = { type: 'whole node', priceE10UsdPerHour, cpus: null, memoryMib: null, gpus: null };
  const costOfNodes = (nodes: number, seconds: number, count = 1): MicroUsd =>
    costOf(WHOLE_NODES, { nodeType, nodes: wholeNodes(nodes), seconds }, count).amount;

  const requests = trace.map(({ nodes, wallTimeSeconds, runs }) => costOfNodes(nodes, wallTimeSeconds, runs.length));
  const runs = trace.flatMap(({ nodes, runs: ended }) => ended.map(({ elapsedSeconds }) => ({ nodes, elapsedSeconds })));
  const nodeSeconds = runs.reduce((total, { nodes, elapsedSeconds }) => total + BigInt(nodes) * BigInt(elapsedSeconds), 0n);
  const holdFactor = parseFactor(DEFAULT_HOLD_PERCENTAGE);
  return {
    requested: sum(requests),
    held: sum(requests.map((amount) => multiplyUp(amount, holdFactor))),
    used: sum(runs.map(({ nodes, elapsedSeconds }) => costOfNodes(nodes, elapsedSeconds))),
    usedWithoutMinimum: ceilDiv(nodeSeconds * priceE10UsdPerHour, SECONDS_PER_HOUR * E10_PER_MICRO),
    belowMinimum: runs.filter(({ elapsedSeconds }) => elapsedSeconds < MIN_BILLED_SECONDS).length,
  };
};

const WHOLE_NODES: Rate = {
  partition: 'trace',
  nodeTypes: [],
  shared: false,
  discountFactorE6: 1_000_000n,
  overheadSeconds: 0,
  overheadPerNodeHour: 0n,
  writeOffNodeFailures: false,
  source: 'catalogue',
  priceDate: null,
};

const sum = (amounts: readonly MicroUsd[]): MicroUsd => amounts.reduce((total, amount) => total + amount, 0n);
