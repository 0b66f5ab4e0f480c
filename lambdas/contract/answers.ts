// The shapes that the API answers with. Handlers are held to them by the compiler, and every answer of a test by zod; the OpenAPI
// document is made of them. Nothing parses an answer on its way out, so no function has them in its bundle.
import * as z from 'zod';
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
  pricing_region: words.nullable(),
  pricing_cache_ttl_seconds: whole,
  advisor_url: words.nullable(),
  default_cluster: words.nullable(),
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
  name: words.nullable(),
  description: words.nullable(),
  ...funds,
  start_date: z.iso.date().nullable(),
  end_date: z.iso.date().nullable(),
  status: z.enum(['active', 'suspended', 'closed']),
  version: whole,
  created_at: instant,
  updated_at: instant,
});

export const Hold = z.strictObject({
  hold_id: words,
  account: words,
  cluster: words,
  user: words.nullable(),
  partition: words,
  state: holdState,
  amount: dollars,
  original_amount: dollars,
  used: dollars,
  tasks: whole,
  tasks_ended: whole,
  wall_time: wallTime,
  nodes: whole,
  job_id: words.nullable(),
  submitted_at: instant.nullable(),
  forced: z.boolean(),
  created_at: instant,
  expires_at: instant,
  closed_at: instant.nullable(),
});

export const LineItem = z.strictObject({ name: words, quantity: z.number(), unit_price: z.number(), amount: dollars });

/** The job as it was held for. */
export const Spec = z.strictObject({
  account: words,
  partition: words,
  user: words.nullable(),
  cluster: words,
  nodes: whole.nullable(),
  min_nodes: whole.nullable(),
  ntasks: whole.nullable(),
  cpus: whole.nullable(),
  cpus_per_task: whole.nullable(),
  gpus: whole.nullable(),
  gpus_per_node: whole.nullable(),
  gpu_type: words.nullable(),
  memory: memory.nullable(),
  memory_per_cpu: memory.nullable(),
  exclusive: z.boolean().nullable(),
  constraint: words.nullable(),
  wall_time: wallTime.nullable(),
  array: words.nullable(),
  het_offset: whole.nullable(),
  qos: words.nullable(),
  job_name: words.nullable(),
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
  elapsed_seconds: whole.nullable(),
  partition: words.nullable(),
  nodes: whole.nullable(),
  state: words.nullable(),
  job_id: words.nullable(),
  user: words.nullable(),
  started_at: instant.nullable(),
  ended_at: instant.nullable(),
  booked_at: instant,
  corrections: z.array(Correction),
});

const page = { cursor: words.exactOptional() };

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
  price_date: words.nullable(),
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
  wall_time: wallTime.exactOptional(),
  nodes: whole.exactOptional(),
  array_tasks: whole.exactOptional(),
});
export const Verdict = z.strictObject({
  available: z.boolean(),
  decision: z.enum(['admitted', 'refused']),
  estimated_cost: dollars,
  hold_amount: dollars,
  hold_id: words.exactOptional(),
  transaction_id: words.exactOptional(),
  expires_at: instant.exactOptional(),
  budget_remaining: dollars,
  message: words,
  recommendation: words.nullable(),
  code: z.enum(['insufficient_budget', 'account_inactive', 'outside_dates', 'limit_exceeded']).exactOptional(),
  shortfall: dollars.exactOptional(),
  fits: Fits.exactOptional(),
  wall_time: wallTime,
  details: z.strictObject({ account: Funds, estimate: Estimate }),
});

export const Settlement = z.strictObject({
  success: z.boolean(),
  transaction_id: words.nullable(),
  run_id: words,
  original_hold: dollars,
  actual_charge: dollars,
  refund_amount: dollars,
  hold_state: holdState.nullable(),
  late: z.boolean(),
  message: words,
});
export const SettlementList = z.strictObject({ results: z.array(Settlement) });

export const Heartbeat = z.strictObject({ cluster: words, stale_at: instant });
export const Cluster = z.strictObject({
  cluster: words,
  agent_version: words.nullable(),
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
  hold_id: words.nullable(),
  job_id: words.nullable(),
  run_id: words.nullable(),
  user: words.nullable(),
  note: words.nullable(),
});
export const EntryList = z.strictObject({ transactions: z.array(Entry), ...page });

const counters = { jobs: whole, used: dollars, held: dollars, node_hours: z.number() };
export const UsageRow = z.strictObject({ key: words.nullable(), ...counters });
export const UsageTotal = z.strictObject(counters);
export const UsageTable = z.strictObject({ rows: z.array(UsageRow), total: UsageTotal, from: words.nullable(), to: words.nullable() });

const comparison = {
  holds: whole,
  estimated: dollars,
  held: dollars,
  used: dollars,
  used_of_estimated: z.number().nullable(),
  used_of_held: z.number().nullable(),
  overran: whole,
  suggested_hold_percentage: z.number().nullable(),
  suggested_risk: z.number().nullable(),
  unspent_holds: whole,
  unspent_held: dollars,
};
export const AccuracyRow = z.strictObject({ key: words.nullable(), ...comparison });
export const AccuracyTotal = z.strictObject(comparison);
export const AccuracyTable = z.strictObject({
  rows: z.array(AccuracyRow),
  total: AccuracyTotal,
  from: words.nullable(),
  to: words.nullable(),
  risk: z.number(),
  min_holds: whole,
});

export const Difference = z.strictObject({
  account: words,
  column: z.enum(['available', 'held', 'used', 'limit', 'unconfirmed', 'entries', 'hold', 'run']),
  hold_id: words.exactOptional(),
  run_id: words.exactOptional(),
  stored: z.number(),
  replayed: z.number(),
  cause: words,
  repaired: z.boolean().exactOptional(),
});
export const AuditReport = z.strictObject({
  accounts: whole,
  entries: whole,
  differences: z.array(Difference),
  not_compared: whole.exactOptional(),
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
  default_wall_time: wallTime.nullable(),
  unpriced: z.enum(['deny', 'flat']),
  flat_rate_per_node_hour: dollars.nullable(),
  write_off_node_failures: z.boolean(),
  features: z.record(z.string(), z.array(words)).nullable(),
  threads_per_core: whole,
  memory_per_node: memory.nullable(),
  source: words,
  price_per_node_hour: dollars.nullable(),
  price_instance_type: words.nullable(),
  price_source: z.enum(priceSources).nullable(),
  price_date: words.nullable(),
  price_age_days: whole.nullable(),
  price_confidence: z.number().nullable(),
});
export const PartitionList = z.strictObject({ partitions: z.array(PartitionModel), ...page });

/** Any refusal. */
export const Refusal = z.strictObject({
  error: z.strictObject({ code: z.enum(ERROR_CODES), message: words, details: z.record(z.string(), z.unknown()).exactOptional() }),
  request_id: words,
});
/** What API Gateway says where no function of ours was asked: clients judge it by its status. */
export const GatewayMessage = z.looseObject({ message: words });

const ok = <S extends z.ZodType>(shape: S) => ({ status: 200, shape }) as const;
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
} as const satisfies Record<Operation, { readonly status: number; readonly shape: z.ZodType | undefined }>;

type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T;
/** What a shape says, as it is read: nobody changes an answer. */
export type Told<S extends z.ZodType> = Frozen<z.output<S>>;
/** What one operation answers. */
export type AnswerTo<O extends Operation> = (typeof ANSWERS)[O]['shape'] extends z.ZodType ? Told<(typeof ANSWERS)[O]['shape']> : undefined;
