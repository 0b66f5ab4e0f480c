// What the API answers: domain objects in the wire's names. Dollars are numbers, times ISO 8601, absent fields null.
import type { Audit } from '#app/audit-accounts';
import type { AccuracySummary } from '#app/measure-accuracy';
import type { PartitionPrice } from '#app/partition-price';
import type { Cluster, HoldSpec, JobLink, Settings } from '#app/ports';
import type { UsageSummary } from '#app/summarize-usage';
import type { Verdict } from '#app/verdict';
import type * as shapes from '#contract/answers';
import type { Told } from '#contract/answers';
import { MAX_BODY_BYTES, MAX_DEADLINE_MS, MAX_PAGE_SIZE } from '#contract/limits';
import { VERSION } from '#contract/version';
import type { Account } from '#domain/account';
import { MIN_HOLDS, RISK_UNITS } from '#domain/accuracy';
import { formatArraySpec } from '#domain/array-spec';
import type { LineItem } from '#domain/estimate';
import type { Hold } from '#domain/hold';
import type { Job } from '#domain/job';
import type { Entry, Instant } from '#domain/ledger';
import { formatMemory } from '#domain/memory';
import { formatUsd, toUsd } from '#domain/money';
import type { PartitionModel } from '#domain/partition';
import { type Evidence, evidenceOf } from '#domain/price';
import type { BookedRun } from '#domain/run';
import { formatWallTime } from '#domain/slurm-time';

const iso = (at: Instant): string => new Date(at).toISOString();
const isoOrNull = (at: Instant | null): string | null => (at === null ? null : iso(at));

export const accountAnswer = (account: Account): Told<typeof shapes.Account> => ({
  account: account.account,
  name: account.name,
  description: account.description,
  budget_limit: toUsd(account.limit),
  budget_used: toUsd(account.used),
  budget_held: toUsd(account.held),
  budget_available: toUsd(account.available),
  budget_unconfirmed: toUsd(account.unconfirmed),
  start_date: account.startDate,
  end_date: account.endDate,
  status: account.status,
  version: account.version,
  created_at: iso(account.createdAt),
  updated_at: iso(account.updatedAt),
});

export const holdAnswer = (hold: Hold): Told<typeof shapes.Hold> => ({
  hold_id: hold.holdId,
  account: hold.account,
  cluster: hold.cluster,
  user: hold.user,
  partition: hold.partition,
  state: hold.state,
  amount: toUsd(hold.amount),
  original_amount: toUsd(hold.originalAmount),
  used: toUsd(hold.used),
  tasks: hold.tasks,
  tasks_ended: hold.tasksEnded,
  // What it was priced for, so that whoever sees the job in Slurm can tell whether it still is that job.
  wall_time: formatWallTime(hold.terms.wallTimeSeconds),
  nodes: hold.terms.nodes,
  job_id: hold.jobId,
  submitted_at: isoOrNull(hold.submittedAt),
  forced: hold.forced,
  created_at: iso(hold.createdAt),
  expires_at: iso(hold.expiresAt),
  closed_at: isoOrNull(hold.closedAt),
});

export const holdDetailAnswer = (detail: {
  hold: Hold;
  spec: HoldSpec;
  runs: readonly BookedRun[];
  cursor?: string;
}): Told<typeof shapes.HoldDetail> => ({
  ...holdAnswer(detail.hold),
  spec: jobAnswer(detail.spec.job),
  line_items: detail.spec.estimate.lineItems.map(lineItemAnswer),
  runs: detail.runs.map(runRecord),
  ...(detail.cursor === undefined ? {} : { cursor: detail.cursor }),
});

export const jobLinkAnswer = (link: JobLink): Told<typeof shapes.JobLink> => ({
  cluster: link.cluster,
  job_id: link.jobId,
  submitted_at: iso(link.submittedAt),
  hold_id: link.holdId,
});

const jobAnswer = (job: Job): Told<typeof shapes.Spec> => ({
  account: job.account,
  partition: job.partitions.join(','),
  user: job.user ?? null,
  cluster: job.cluster,
  nodes: job.nodes ?? null,
  min_nodes: job.minNodes ?? null,
  ntasks: job.ntasks ?? null,
  cpus: job.cpus ?? null,
  cpus_per_task: job.cpusPerTask ?? null,
  gpus: job.gpus ?? null,
  gpus_per_node: job.gpusPerNode ?? null,
  gpu_type: job.gpuType ?? null,
  memory: job.memoryMib === undefined ? null : formatMemory(job.memoryMib),
  memory_per_cpu: job.memoryPerCpuMib === undefined ? null : formatMemory(job.memoryPerCpuMib),
  exclusive: job.exclusive ?? null,
  constraint: job.constraint ?? null,
  wall_time: job.wallTimeSeconds === undefined ? null : formatWallTime(job.wallTimeSeconds),
  array: job.array === undefined ? null : formatArraySpec(job.array),
  het_offset: job.hetOffset ?? null,
  qos: job.qos ?? null,
  job_name: job.jobName ?? null,
});

const lineItemAnswer = (item: LineItem): Told<typeof shapes.LineItem> => ({
  name: item.name,
  quantity: Number(item.nodeHoursE6) / 1e6,
  unit_price: Number(item.unitPriceE10) / 1e10,
  amount: toUsd(item.amount),
});

export const verdictAnswer = (verdict: Verdict): VerdictAnswer => {
  const { hold, account, estimate, refusal } = verdict;
  return {
    available: verdict.decision === 'admitted',
    decision: verdict.decision,
    estimated_cost: toUsd(estimate.amount),
    hold_amount: toUsd(verdict.holdAmount),
    ...(hold === null ? {} : { hold_id: hold.holdId, transaction_id: hold.holdId, expires_at: iso(hold.expiresAt) }),
    budget_remaining: toUsd(account.available),
    message: verdict.message,
    recommendation: verdict.recommendation,
    ...(refusal === undefined ? {} : refusalAnswer(refusal)),
    wall_time: formatWallTime(estimate.wallTimeSeconds),
    details: {
      account: {
        budget_limit: toUsd(account.limit),
        budget_used: toUsd(account.used),
        budget_held: toUsd(account.held),
        budget_available: toUsd(account.available),
        budget_unconfirmed: toUsd(account.unconfirmed),
      },
      estimate: {
        source: estimate.source,
        price_date: estimate.priceDate,
        ...evidenceAnswer(estimate.evidence ?? evidenceOf(estimate)),
        instance_types: estimate.instanceTypes,
        nodes: estimate.nodes,
        wall_time: formatWallTime(estimate.wallTimeSeconds),
        line_items: estimate.lineItems.map(lineItemAnswer),
        low: toUsd(estimate.low),
        high: toUsd(estimate.high),
      },
    },
  };
};

/** From 0 to 1, and what was asked before the price was found. */
const evidenceAnswer = ({ confidencePercent, tried }: Evidence) => ({ confidence: confidencePercent / 100, tried });

export type VerdictAnswer = Told<typeof shapes.Verdict>;

const refusalAnswer = ({ code, shortfall, offers }: NonNullable<Verdict['refusal']>) => {
  const fits = {
    ...(offers.wallTimeSeconds === undefined ? {} : { wall_time: formatWallTime(offers.wallTimeSeconds) }),
    ...(offers.nodes === undefined ? {} : { nodes: offers.nodes }),
    ...(offers.arrayTasks === undefined ? {} : { array_tasks: offers.arrayTasks }),
  };
  return {
    code,
    ...(shortfall === undefined ? {} : { shortfall: toUsd(shortfall) }),
    ...(Object.keys(fits).length === 0 ? {} : { fits }),
  };
};

/** `transactionId` is null for a run whose hold nobody knows. */
export const settlementAnswer = (run: BookedRun, transactionId: string | null): Told<typeof shapes.Settlement> => ({
  success: true,
  transaction_id: transactionId,
  run_id: run.runId,
  original_hold: toUsd(run.share),
  actual_charge: toUsd(run.cost),
  refund_amount: toUsd(run.refund),
  hold_state: run.holdState,
  late: run.late,
  message: settlementMessage(run),
});

const settlementMessage = (run: BookedRun): string => {
  const charged = `run ${run.runId}: ${formatUsd(run.cost)} charged to ${run.account}`;
  if (run.corrections.length > 0) return `${charged}, as corrected`;
  if (run.writtenOff > 0n) return `${charged}, ${formatUsd(run.writtenOff)} written off`;
  if (run.late) return `${charged}, late: its hold had ended`;
  if (!run.final) return `${charged}, the hold stays for the next run`;
  return `${charged}, ${formatUsd(run.refund)} returned`;
};

export const runRecord = (run: BookedRun): Told<typeof shapes.RunRecord> => ({
  run_id: run.runId,
  actual_charge: toUsd(run.cost),
  original_hold: toUsd(run.share),
  refund_amount: toUsd(run.refund),
  written_off: toUsd(run.writtenOff),
  late: run.late,
  final: run.final,
  tasks: run.tasks,
  elapsed_seconds: run.elapsedSeconds,
  partition: run.partition,
  nodes: run.nodes,
  state: run.state,
  job_id: run.jobId,
  user: run.user,
  started_at: isoOrNull(run.startedAt),
  ended_at: isoOrNull(run.endedAt),
  booked_at: iso(run.bookedAt),
  corrections: run.corrections.map(({ correctionId, cost }) => ({ correction_id: correctionId, actual_cost: toUsd(cost) })),
});

export const entryAnswer = (entry: Entry): Told<typeof shapes.Entry> => ({
  entry_id: entry.entryId,
  at: iso(entry.at),
  account: entry.account,
  type: entry.type,
  amount: toUsd(entry.amount),
  available_delta: toUsd(entry.movement.available),
  held_delta: toUsd(entry.movement.held),
  used_delta: toUsd(entry.movement.used),
  limit_delta: toUsd(entry.movement.limit),
  hold_id: entry.holdId,
  job_id: entry.jobId,
  run_id: entry.runId,
  user: entry.user,
  note: entry.note,
});

/** Node-hours to the millionth, as in line items; money to the micro-dollar. */
export const usageAnswer = ({ from, to, rows, total }: UsageSummary): Told<typeof shapes.UsageTable> => ({
  rows: rows.map(({ key, ...row }) => ({ key, ...countersAnswer(row) })),
  total: countersAnswer(total),
  from,
  to,
});

const countersAnswer = ({ jobs, used, held, nodeSeconds }: UsageSummary['total']) => ({
  jobs,
  used: toUsd(used),
  held: toUsd(held),
  node_hours: Math.round((nodeSeconds / 3600) * 1e6) / 1e6,
});

/**
 * Shares to the ten-thousandth, null where there is nothing to have a share of. The suggestion is a factor as the setting
 * `default_hold_percentage` takes it, and its risk the share of the holds that it would not have been enough for.
 */
export const accuracyAnswer = ({ from, to, riskE4, rows, total }: AccuracySummary): Told<typeof shapes.AccuracyTable> => ({
  rows: rows.map(({ key, ...row }) => ({ key, ...comparisonAnswer(row) })),
  total: comparisonAnswer(total),
  from,
  to,
  risk: riskE4 / RISK_UNITS,
  min_holds: MIN_HOLDS,
});

const comparisonAnswer = ({
  holds,
  estimate,
  held,
  used,
  overran,
  unspent,
  unspentHeld,
  suggestion,
}: AccuracySummary['total']): Told<typeof shapes.AccuracyTotal> => ({
  holds,
  estimated: toUsd(estimate),
  held: toUsd(held),
  used: toUsd(used),
  used_of_estimated: shareOf(used, estimate),
  used_of_held: shareOf(used, held),
  overran,
  suggested_hold_percentage: suggestion === undefined ? null : suggestion.percent / 100,
  suggested_risk: suggestion === undefined ? null : shareOf(BigInt(suggestion.overrunning), BigInt(holds)),
  unspent_holds: unspent,
  unspent_held: toUsd(unspentHeld),
});

/** Rounded to the nearest. */
const shareOf = (part: bigint, whole: bigint): number | null =>
  whole <= 0n ? null : Number((part * 2n * BigInt(RISK_UNITS) + whole) / (2n * whole)) / RISK_UNITS;

const DAY_MS = 24 * 3_600_000;

/** @param price undefined if none is known */
export const partitionAnswer = (
  model: PartitionModel,
  { price, now }: { price: PartitionPrice | undefined; now: Instant },
): Told<typeof shapes.PartitionModel> => ({
  partition: model.partition,
  region: model.region,
  instance_types: model.instanceTypes,
  purchase: model.purchase,
  allocation: model.allocation,
  discount_factor: Number(model.discountFactorE6) / 1e6,
  overhead_minutes: model.overheadMinutes,
  overhead_per_node_hour: toUsd(model.overheadPerNodeHour),
  overhead: model.overhead,
  default_wall_time: model.defaultWallTimeSeconds === null ? null : formatWallTime(model.defaultWallTimeSeconds),
  unpriced: model.unpriced,
  flat_rate_per_node_hour: model.flatRatePerNodeHour === null ? null : toUsd(model.flatRatePerNodeHour),
  write_off_node_failures: model.writeOffNodeFailures,
  features: model.features,
  threads_per_core: model.threadsPerCore,
  memory_per_node: model.memoryPerNodeMib === null ? null : formatMemory(model.memoryPerNodeMib),
  source: model.source,
  price_per_node_hour: price === undefined ? null : toUsd(price.perNodeHour),
  price_instance_type: price?.instanceType ?? null,
  price_source: price?.source ?? null,
  price_date: price?.priceDate ?? null,
  price_age_days:
    price === undefined || price.priceDate === null ? null : Math.max(0, Math.floor((now - Date.parse(price.priceDate)) / DAY_MS)),
  price_confidence: price === undefined ? null : price.confidencePercent / 100,
});

export const clusterAnswer = (cluster: Cluster): Told<typeof shapes.Cluster> => ({
  cluster: cluster.cluster,
  agent_version: cluster.agentVersion,
  last_heartbeat: iso(cluster.lastHeartbeat),
  principals: cluster.principals,
});

/** Of the advisor's address only what names it: the rest may hold a password. */
const addressOf = (url: string): string => {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
};

export const settingsAnswer = ({
  holdFactor,
  reconciliationTimeoutMs,
  defaultCluster,
  surroundings,
}: Settings): Told<typeof shapes.EffectiveSettings> => ({
  version: VERSION,
  store: surroundings.store,
  hold_percentage: Number(holdFactor.numerator) / Number(holdFactor.denominator),
  reconciliation_timeout_seconds: reconciliationTimeoutMs / 1000,
  sweep_interval_seconds: surroundings.sweepIntervalMs / 1000,
  pricing_region: surroundings.pricingRegion,
  pricing_cache_ttl_seconds: surroundings.priceTtlMs / 1000,
  advisor_url: surroundings.advisorUrl === null ? null : addressOf(surroundings.advisorUrl),
  default_cluster: defaultCluster,
  max_body_bytes: MAX_BODY_BYTES,
  max_deadline_ms: MAX_DEADLINE_MS,
  max_page_size: MAX_PAGE_SIZE,
});

export const auditAnswer = (audit: Audit, cursor: string | undefined): Told<typeof shapes.AuditReport> => ({
  accounts: audit.accounts,
  entries: audit.entries,
  differences: audit.differences.map(({ account, column, holdId, runId, stored, replayed, cause, repaired }) => {
    const inUsd = column === 'entries' ? Number : toUsd;
    return {
      account,
      column,
      ...(holdId === undefined ? {} : { hold_id: holdId }),
      ...(runId === undefined ? {} : { run_id: runId }),
      stored: inUsd(stored),
      replayed: inUsd(replayed),
      cause,
      ...(repaired === undefined ? {} : { repaired }),
    };
  }),
  ...(audit.left === 0 ? {} : { not_compared: audit.left }),
  ...(cursor === undefined ? {} : { cursor }),
});
