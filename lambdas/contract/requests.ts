// The shapes that the API accepts, and what they become inside. Unknown fields are refused, so that a typo never silently
// changes what is held; fields that begin with x_ are ignored, so that a newer plugin may talk to an older API.
import * as z from 'zod';
import {
  accountName,
  arraySpec,
  clusterName,
  count,
  countFromZero,
  date,
  deadlineMs,
  discountFactorE6,
  flag,
  holdId,
  id,
  instant,
  instantOrDate,
  jobId,
  memory,
  page,
  partitionList,
  partitionName,
  principal,
  runId,
  shareE4,
  text,
  usd,
  usdFromZero,
  userName,
  wallTime,
} from '#contract/fields';
import { MAX_AUDIT_CURSOR_CHARS, MAX_INSTANCE_TYPES, MAX_PRINCIPALS } from '#contract/limits';
import { DEFAULT_RISK_E4 } from '#domain/accuracy';
import { MAX_ARRAY_TASKS } from '#domain/array-spec';
import { MAX_RUNS_PER_BATCH } from '#domain/run';
import { MAX_WALL_TIME_SECONDS } from '#domain/slurm-time';
import { USAGE_KEYS } from '#domain/usage';

/** An object of exactly these fields, beside any that begin with x_. */
export const exactly = <T extends z.core.$ZodLooseShape>(shape: T) =>
  z.preprocess((value) => (isPlainObject(value) ? withoutExtensions(value) : value), z.strictObject(shape));

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const withoutExtensions = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith('x_')));

// Slurm, "Job State Codes": short and long names.
const SLURM_STATES = {
  BF: 'BOOT_FAIL',
  CA: 'CANCELLED',
  CD: 'COMPLETED',
  CG: 'COMPLETING',
  CF: 'CONFIGURING',
  DL: 'DEADLINE',
  F: 'FAILED',
  NF: 'NODE_FAIL',
  OOM: 'OUT_OF_MEMORY',
  PD: 'PENDING',
  PR: 'PREEMPTED',
  RD: 'RESV_DEL_HOLD',
  RF: 'REQUEUE_FED',
  RH: 'REQUEUE_HOLD',
  RQ: 'REQUEUED',
  R: 'RUNNING',
  RS: 'RESIZING',
  RV: 'REVOKED',
  S: 'SUSPENDED',
  SE: 'SPECIAL_EXIT',
  SI: 'SIGNALING',
  SO: 'STAGE_OUT',
  ST: 'STOPPED',
  TO: 'TIMEOUT',
} as const;
const state = z
  .enum([...Object.keys(SLURM_STATES), ...Object.values(SLURM_STATES)], 'must be a state of Slurm, like COMPLETED or CD')
  .transform((name) => (name in SLURM_STATES ? SLURM_STATES[name as keyof typeof SLURM_STATES] : name));

const instances = z
  .array(exactly({ type: id(64), count, purchase: z.enum(['on-demand', 'spot']).optional() }))
  .min(1)
  .max(100);

const jobShape = {
  account: accountName,
  partition: partitionList,
  user: userName.optional(),
  user_id: userName.optional(),
  cluster: clusterName.optional(),
  nodes: count.optional(),
  min_nodes: count.optional(),
  ntasks: count.optional(),
  cpus: count.optional(),
  cpus_per_task: count.optional(),
  gpus: countFromZero.optional(),
  gpus_per_node: countFromZero.optional(),
  gpu_type: text(64).optional(),
  memory: memory.optional(),
  memory_per_cpu: memory.optional(),
  exclusive: z.boolean().optional(),
  constraint: text(512).optional(),
  wall_time: wallTime.optional(),
  array: arraySpec.optional(),
  het_offset: countFromZero.optional(),
  qos: text(64).optional(),
  job_name: text(1024).optional(),
  job_script: z.string().optional(),
};

export const QuoteRequest = exactly({ ...jobShape, deadline_ms: deadlineMs.optional() });
export const CheckRequest = exactly({ ...jobShape, hold_id: holdId.optional(), deadline_ms: deadlineMs.optional() });
export const ForceRequest = exactly({
  ...jobShape,
  hold_id: holdId,
  cluster: clusterName,
  job_id: jobId.optional(),
  submitted_at: instant.optional(),
  reason: text(500),
});
export type JobFields = Omit<z.output<typeof QuoteRequest>, 'deadline_ms'>;

const runShape = {
  run_id: runId.optional(),
  actual_cost: usdFromZero.optional(),
  elapsed_seconds: z.int().min(0).max(MAX_WALL_TIME_SECONDS).optional(),
  partition: partitionName.optional(),
  instances: instances.optional(),
  nodes: count.optional(),
  cpus: count.optional(),
  memory: memory.optional(),
  gpus: countFromZero.optional(),
  submitted_at: instant.optional(),
  started_at: instant.optional(),
  ended_at: instant.optional(),
  state: state.optional(),
  final: z.boolean().optional(),
  tasks: z.int().min(1).max(MAX_ARRAY_TASKS).default(1),
  job_id: jobId.optional(),
  cluster: clusterName.optional(),
  account: accountName.optional(),
  user: userName.optional(),
  user_id: userName.optional(),
  job_metadata: z.record(z.string(), z.unknown()).optional(),
};

const ONE_OF_TWO = 'give either actual_cost or elapsed_seconds';
const hasOneCost = (run: { actual_cost?: unknown; elapsed_seconds?: unknown }) =>
  (run.actual_cost === undefined) !== (run.elapsed_seconds === undefined);
const costProblem = { message: ONE_OF_TWO, path: ['actual_cost'] };

export const Run = exactly(runShape).refine(hasOneCost, costProblem);
export type RunFields = z.output<typeof Run>;
const reconcileShape = { ...runShape, transaction_id: holdId.optional(), hold_id: holdId.optional() };
export const ReconcileRequest = exactly(reconcileShape)
  .refine(hasOneCost, costProblem)
  .refine((run) => run.transaction_id === undefined || run.hold_id === undefined || run.transaction_id === run.hold_id, {
    message: 'is another than hold_id: give one of them',
    path: ['transaction_id'],
  });
export type ReconcileFields = z.output<typeof ReconcileRequest>;
/** What its sender writes. */
export type ReconcileBody = z.input<z.ZodObject<typeof reconcileShape>>;
export const RunsRequest = exactly({ runs: z.array(Run).min(1).max(MAX_RUNS_PER_BATCH) });
/** What the run cost, or what it used, as when it was booked: slurmdbd may say something else of a run later. */
export const CorrectRequest = exactly({
  actual_cost: runShape.actual_cost,
  elapsed_seconds: runShape.elapsed_seconds,
  partition: runShape.partition,
  instances: runShape.instances,
  nodes: runShape.nodes,
  cpus: runShape.cpus,
  memory: runShape.memory,
  gpus: runShape.gpus,
  started_at: runShape.started_at,
  state: runShape.state,
  correction_id: id(128),
  note: text(500),
}).refine(hasOneCost, costProblem);

export const BindRequest = exactly({ cluster: clusterName, job_id: jobId, submitted_at: instant, instances: instances.optional() });
export const ExtendRequest = exactly({ expires_at: instant });
export const ReleaseRequest = exactly({ reason: text(500).optional() });
export const AdjustRequest = exactly({
  wall_time: wallTime.optional(),
  nodes: count.optional(),
  cpus: count.optional(),
  gpus: countFromZero.optional(),
  memory: memory.optional(),
  memory_per_cpu: memory.optional(),
  account: accountName.optional(),
  partition: partitionList.optional(),
  tasks: z.int().min(1).max(MAX_ARRAY_TASKS).optional(),
  raise_only: z.boolean().default(false),
  deadline_ms: deadlineMs.optional(),
});

const words = { name: text(200).optional(), description: text(1000).optional() };
const dates = { start_date: date.nullable().optional(), end_date: date.nullable().optional() };
const datesInOrder = (fields: { start_date?: string | null | undefined; end_date?: string | null | undefined }) =>
  !fields.start_date || !fields.end_date || fields.start_date <= fields.end_date;
const datesProblem = { message: 'is before start_date', path: ['end_date'] };

export const CreateAccountRequest = exactly({ account: accountName, ...words, budget_limit: usdFromZero, ...dates }).refine(
  datesInOrder,
  datesProblem,
);
export const UpdateAccountRequest = exactly({
  ...words,
  ...dates,
  budget_limit: usdFromZero.optional(),
  status: z.enum(['active', 'suspended', 'closed']).optional(),
  if_version: z.int().min(0).optional(),
}).refine(datesInOrder, datesProblem);
export const DepositRequest = exactly({
  amount: usd.refine((amount) => amount !== 0n, 'must not be 0'),
  deposit_id: id(128),
  note: text(500).optional(),
});

export const ClusterRequest = exactly({ cluster_uid: id(128), agent_version: text(64).optional() });
/** Who acts for a cluster, in place of who did so far. */
export const PrincipalsRequest = exactly({
  principals: z
    .array(principal)
    .max(MAX_PRINCIPALS)
    .transform((names) => [...new Set(names)]),
});
export const AuditRequest = exactly({
  account: accountName.optional(),
  cursor: z.string().max(MAX_AUDIT_CURSOR_CHARS).optional(),
  repair: z.boolean().default(false),
});

export const PartitionRequest = exactly({
  partition: partitionName.optional(),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be an AWS region, like us-east-1'),
  instance_types: z
    .array(
      z
        .string()
        .max(64)
        .regex(/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/, 'must be like c5.18xlarge'),
    )
    .max(MAX_INSTANCE_TYPES)
    .transform((types) => [...new Set(types)]),
  purchase: z.enum(['on-demand', 'spot']).default('on-demand'),
  allocation: z.enum(['exclusive', 'shared']).default('exclusive'),
  discount_factor: discountFactorE6.default(1_000_000n),
  overhead_minutes: z.int().min(0).max(1440).default(0),
  overhead_per_node_hour: usdFromZero.default(0n),
  overhead: z.enum(['run', 'site']).default('run'),
  default_wall_time: wallTime.nullable().default(null),
  unpriced: z.enum(['deny', 'flat']).default('deny'),
  flat_rate_per_node_hour: usdFromZero.nullable().default(null),
  write_off_node_failures: z.boolean().default(false),
  features: z
    .record(z.string().max(64), z.array(text(64)).max(64))
    .nullable()
    .default(null),
  threads_per_core: z.int().min(1).max(8).default(2),
  memory_per_node: memory.nullable().default(null),
  source: text(200).default('manual'),
  // What an answer says of today's price beside the model, so that an answer can be given back. Nobody sets a price with it.
  price_per_node_hour: z.unknown().optional(),
  price_instance_type: z.unknown().optional(),
  price_source: z.unknown().optional(),
  price_date: z.unknown().optional(),
  price_age_days: z.unknown().optional(),
  price_confidence: z.unknown().optional(),
})
  .refine((model) => model.instance_types.length > 0 || model.unpriced === 'flat', {
    message: 'may be empty only with unpriced "flat"',
    path: ['instance_types'],
  })
  .refine((model) => model.unpriced === 'deny' || (model.flat_rate_per_node_hour ?? 0n) > 0n, {
    message: 'is required, and greater than 0, with unpriced "flat"',
    path: ['flat_rate_per_node_hour'],
  });
export type PartitionFields = z.output<typeof PartitionRequest>;

export const NoFields = exactly({});
export const PageQuery = exactly(page);
export const TransactionsQuery = exactly({ ...page, from: instantOrDate.optional(), to: instantOrDate.optional() });
/** Usage is kept by day, so a time stands for its whole day. */
const usageFields = {
  from: instantOrDate.optional(),
  to: instantOrDate.optional(),
  by: z.enum(USAGE_KEYS, `must be one of ${USAGE_KEYS.join(', ')}`).default('account'),
  user: userName.optional(),
  partition: partitionName.optional(),
};
export const UsageQuery = exactly(usageFields);
/** `risk`: which share of the holds may overrun what is suggested. */
export const AccuracyQuery = exactly({ ...usageFields, risk: shareE4.default(DEFAULT_RISK_E4) });
const holdState = z.enum(['open', 'settled', 'released', 'expired']);
export const AccountHoldsQuery = exactly({ ...page, state: holdState.optional(), user: userName.optional() });
export const ClusterHoldsQuery = exactly({
  ...page,
  cluster: clusterName,
  bound: flag.optional(),
  created_before: instant.optional(),
  state: z.literal('open', 'only open holds are found by cluster').default('open'),
});
export const HoldPath = exactly({ hold_id: holdId });
export const RunPath = exactly({ hold_id: holdId, run_id: runId });
export const JobPath = exactly({ cluster: clusterName, job_id: jobId });
export const JobQuery = exactly({ submitted_at: instant.optional() });
export const ClusterPath = exactly({ cluster: clusterName });
export const AccountPath = exactly({ account: accountName });
export const PartitionPath = exactly({ partition: partitionName });
