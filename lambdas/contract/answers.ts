// The shapes that the API answers with. Handlers are held to them by the compiler, and every answer of a test by zod; the OpenAPI
// document is made of them. Nothing parses an answer on its way out, so no function has them in its bundle.
import * as z from 'zod/mini';
import type { Operation } from '#contract/routes';
import { ERROR_STATUS, type ErrorCode } from '#domain/errors';

const ERROR_CODES = Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]];

/** Dollars; exact to the micro-dollar. */
const dollars = z.number();
const instant = z.iso.datetime();
const words = z.string();
const wallTime = z.string();
const memory = z.string();
const whole = z.int();
const holdState = z.enum(['open', 'settled', 'released', 'expired']);

export const Health = z.strictObject({ status: z.literal('ok'), version: words, time: instant });

export const EffectiveSettings = z.strictObject({
  version: words,
  store: z.enum(['dynamodb', 'memory']),
  hold_percentage: z.number(),
  reconciliation_timeout_seconds: whole,
  sweep_interval_seconds: whole,
  pricing_region: z.nullable(words),
  pricing_cache_ttl_seconds: whole,
  advisor_url: z.nullable(words),
  default_cluster: z.nullable(words),
  max_body_bytes: whole,
  max_deadline_ms: whole,
  max_page_size: whole,
});

const funds = {
  budget_limit: dollars,
  budget_used: dollars,
  budget_held: dollars,
  budget_available: dollars,
  budget_unconfirmed: dollars,
};

export const Account = z.strictObject({
  account: words,
  name: z.nullable(words),
  description: z.nullable(words),
  ...funds,
  start_date: z.nullable(z.iso.date()),
  end_date: z.nullable(z.iso.date()),
  status: z.enum(['active', 'suspended', 'closed']),
  version: whole,
  created_at: instant,
  updated_at: instant,
});

export const Hold = z.strictObject({
  hold_id: words,
  account: words,
  cluster: words,
  user: z.nullable(words),
  partition: words,
  state: holdState,
  amount: dollars,
  original_amount: dollars,
  used: dollars,
  tasks: whole,
  tasks_ended: whole,
  wall_time: wallTime,
  nodes: whole,
  job_id: z.nullable(words),
  submitted_at: z.nullable(instant),
  forced: z.boolean(),
  created_at: instant,
  expires_at: instant,
  closed_at: z.nullable(instant),
});

export const LineItem = z.strictObject({ name: words, quantity: z.number(), unit_price: z.number(), amount: dollars });

/** The job as it was held for. */
export const Spec = z.strictObject({
  account: words,
  partition: words,
  user: z.nullable(words),
  cluster: words,
  nodes: z.nullable(whole),
  min_nodes: z.nullable(whole),
  ntasks: z.nullable(whole),
  cpus: z.nullable(whole),
  cpus_per_task: z.nullable(whole),
  gpus: z.nullable(whole),
  gpus_per_node: z.nullable(whole),
  gpu_type: z.nullable(words),
  memory: z.nullable(memory),
  memory_per_cpu: z.nullable(memory),
  exclusive: z.nullable(z.boolean()),
  constraint: z.nullable(words),
  wall_time: z.nullable(wallTime),
  array: z.nullable(words),
  het_offset: z.nullable(whole),
  qos: z.nullable(words),
  job_name: z.nullable(words),
});

export const Correction = z.strictObject({ correction_id: words, actual_cost: dollars });

export const RunRecord = z.strictObject({
  run_id: words,
  actual_charge: dollars,
  original_hold: dollars,
  refund_amount: dollars,
  written_off: dollars,
  late: z.boolean(),
  final: z.boolean(),
  tasks: whole,
  elapsed_seconds: z.nullable(whole),
  partition: z.nullable(words),
  nodes: z.nullable(whole),
  state: z.nullable(words),
  job_id: z.nullable(words),
  user: z.nullable(words),
  started_at: z.nullable(instant),
  ended_at: z.nullable(instant),
  booked_at: instant,
  corrections: z.array(Correction),
});

const page = { cursor: z.exactOptional(words) };

export const HoldDetail = z.strictObject({
  ...Hold.shape,
  spec: Spec,
  line_items: z.array(LineItem),
  runs: z.array(RunRecord),
  ...page,
});
export const HoldList = z.strictObject({ holds: z.array(Hold), ...page });
export const JobLink = z.strictObject({ cluster: words, job_id: words, submitted_at: instant, hold_id: words });

export const Funds = z.strictObject(funds);
const priceSources = ['advisor', 'pricing-api', 'catalogue', 'flat-rate'] as const;
/** A source that was asked before, and what it said. */
export const Tried = z.strictObject({ source: z.enum([...priceSources, 'price-cache']), outcome: words });
export const Estimate = z.strictObject({
  source: z.enum(priceSources),
  price_date: z.nullable(words),
  confidence: z.number(),
  tried: z.array(Tried),
  instance_types: z.array(words),
  nodes: whole,
  wall_time: wallTime,
  line_items: z.array(LineItem),
  low: dollars,
  high: dollars,
});
export const Fits = z.strictObject({
  wall_time: z.exactOptional(wallTime),
  nodes: z.exactOptional(whole),
  array_tasks: z.exactOptional(whole),
});
export const Verdict = z.strictObject({
  available: z.boolean(),
  decision: z.enum(['admitted', 'refused']),
  estimated_cost: dollars,
  hold_amount: dollars,
  hold_id: z.exactOptional(words),
  transaction_id: z.exactOptional(words),
  expires_at: z.exactOptional(instant),
  budget_remaining: dollars,
  message: words,
  recommendation: z.nullable(words),
  code: z.exactOptional(z.enum(['insufficient_budget', 'account_inactive', 'outside_dates', 'limit_exceeded'])),
  shortfall: z.exactOptional(dollars),
  fits: z.exactOptional(Fits),
  wall_time: wallTime,
  details: z.strictObject({ account: Funds, estimate: Estimate }),
});

export const Settlement = z.strictObject({
  success: z.boolean(),
  transaction_id: z.nullable(words),
  run_id: words,
  original_hold: dollars,
  actual_charge: dollars,
  refund_amount: dollars,
  hold_state: z.nullable(holdState),
  late: z.boolean(),
  message: words,
});
export const SettlementList = z.strictObject({ results: z.array(Settlement) });

export const Heartbeat = z.strictObject({ cluster: words, stale_at: instant });
export const Cluster = z.strictObject({
  cluster: words,
  agent_version: z.nullable(words),
  last_heartbeat: instant,
  principals: z.array(words),
});
export const ClusterList = z.strictObject({ clusters: z.array(Cluster), ...page });

export const AccountList = z.strictObject({ accounts: z.array(Account), ...page });

export const Entry = z.strictObject({
  entry_id: words,
  at: instant,
  account: words,
  type: z.enum([
    'deposit',
    'withdrawal',
    'hold',
    'forced_hold',
    'adjust',
    'settle',
    'late_settle',
    'write_off',
    'release',
    'expire',
    'correction',
    'repair',
  ]),
  amount: dollars,
  available_delta: dollars,
  held_delta: dollars,
  used_delta: dollars,
  limit_delta: dollars,
  hold_id: z.nullable(words),
  job_id: z.nullable(words),
  run_id: z.nullable(words),
  user: z.nullable(words),
  note: z.nullable(words),
});
export const EntryList = z.strictObject({ transactions: z.array(Entry), ...page });

const counters = { jobs: whole, used: dollars, held: dollars, node_hours: z.number() };
export const UsageRow = z.strictObject({ key: z.nullable(words), ...counters });
export const UsageTotal = z.strictObject(counters);
export const UsageTable = z.strictObject({ rows: z.array(UsageRow), total: UsageTotal, from: z.nullable(words), to: z.nullable(words) });

const comparison = {
  holds: whole,
  estimated: dollars,
  held: dollars,
  used: dollars,
  used_of_estimated: z.nullable(z.number()),
  used_of_held: z.nullable(z.number()),
  overran: whole,
  suggested_hold_percentage: z.nullable(z.number()),
  suggested_risk: z.nullable(z.number()),
  unspent_holds: whole,
  unspent_held: dollars,
};
export const AccuracyRow = z.strictObject({ key: z.nullable(words), ...comparison });
export const AccuracyTotal = z.strictObject(comparison);
export const AccuracyTable = z.strictObject({
  rows: z.array(AccuracyRow),
  total: AccuracyTotal,
  from: z.nullable(words),
  to: z.nullable(words),
  risk: z.number(),
  min_holds: whole,
});

export const Difference = z.strictObject({
  account: words,
  column: z.enum(['available', 'held', 'used', 'limit', 'unconfirmed', 'entries', 'hold', 'run']),
  hold_id: z.exactOptional(words),
  run_id: z.exactOptional(words),
  stored: z.number(),
  replayed: z.number(),
  cause: words,
  repaired: z.exactOptional(z.boolean()),
});
export const AuditReport = z.strictObject({
  accounts: whole,
  entries: whole,
  differences: z.array(Difference),
  not_compared: z.exactOptional(whole),
  ...page,
});

export const PartitionModel = z.strictObject({
  partition: words,
  region: words,
  instance_types: z.array(words),
  purchase: z.enum(['on-demand', 'spot']),
  allocation: z.enum(['exclusive', 'shared']),
  discount_factor: z.number(),
  overhead_minutes: whole,
  overhead_per_node_hour: dollars,
  overhead: z.enum(['run', 'site']),
  default_wall_time: z.nullable(wallTime),
  unpriced: z.enum(['deny', 'flat']),
  flat_rate_per_node_hour: z.nullable(dollars),
  write_off_node_failures: z.boolean(),
  features: z.nullable(z.record(z.string(), z.array(words))),
  threads_per_core: whole,
  memory_per_node: z.nullable(memory),
  source: words,
  price_per_node_hour: z.nullable(dollars),
  price_instance_type: z.nullable(words),
  price_source: z.nullable(z.enum(priceSources)),
  price_date: z.nullable(words),
  price_age_days: z.nullable(whole),
  price_confidence: z.nullable(z.number()),
});
export const PartitionList = z.strictObject({ partitions: z.array(PartitionModel), ...page });

/** Any refusal. */
export const Refusal = z.strictObject({
  error: z.strictObject({ code: z.enum(ERROR_CODES), message: words, details: z.exactOptional(z.record(z.string(), z.unknown())) }),
  request_id: words,
});
/** What API Gateway says where no function of ours was asked: clients judge it by its status. */
export const GatewayMessage = z.looseObject({ message: words });

const ok = <S extends z.ZodMiniType>(shape: S) => ({ status: 200, shape }) as const;
const removed = { status: 204, shape: undefined } as const;

/** What each operation answers when all is well. */
export const ANSWERS = {
  health: ok(Health),
  quoteBudget: ok(Verdict),
  checkBudget: ok(Verdict),
  adjustHold: ok(Verdict),
  adjustJob: ok(Verdict),

  reconcile: ok(Settlement),
  forceHold: ok(Hold),
  bindHold: ok(Hold),
  extendHold: ok(Hold),
  releaseHold: ok(Hold),
  settleRuns: ok(SettlementList),
  showRun: ok(RunRecord),
  correctRun: ok(Settlement),
  showHold: ok(HoldDetail),
  showJob: ok(JobLink),
  listHoldsOfCluster: ok(HoldList),
  beatCluster: ok(Heartbeat),
  listClusters: ok(ClusterList),
  namePrincipals: ok(Cluster),

  listAccounts: ok(AccountList),
  createAccount: { status: 201, shape: Account },
  showAccount: ok(Account),
  updateAccount: ok(Account),
  deleteAccount: removed,
  deposit: ok(Account),
  listTransactions: ok(EntryList),
  showAccountUsage: ok(UsageTable),
  showUsage: ok(UsageTable),
  showAccountAccuracy: ok(AccuracyTable),
  showAccuracy: ok(AccuracyTable),
  listHoldsOfAccount: ok(HoldList),
  audit: ok(AuditReport),
  listPartitions: ok(PartitionList),
  showPartition: ok(PartitionModel),
  putPartition: ok(PartitionModel),
  deletePartition: removed,

  showSettings: ok(EffectiveSettings),
  showOpenApi: ok(z.looseObject({ openapi: words })),
} as const satisfies Record<Operation, { readonly status: number; readonly shape: z.ZodMiniType | undefined }>;

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;
/** What a shape says, as it is read: nobody changes an answer. */
export type Told<S extends z.ZodMiniType> = Frozen<z.output<S>>;
/** What one operation answers. */
export type AnswerTo<O extends Operation> = (typeof ANSWERS)[O]['shape'] extends z.ZodMiniType
  ? Told<(typeof ANSWERS)[O]['shape']>
  : undefined;
