// The shapes that the API accepts beside those of job-requests.ts, and what they become inside.
import * as z from 'zod/mini';
import {
  accountName,
  clusterName,
  count,
  countFromZero,
  date,
  discountFactorE6,
  exactly,
  flag,
  holdId,
  id,
  instant,
  instantOrDate,
  jobId,
  memory,
  page,
  partitionName,
  principal,
  runId,
  shareE4,
  text,
  usd,
  usdFromZero,
  userName,
  wallTime,
  whole,
  withoutRepetition,
} from '#contract/fields';
import { jobShape } from '#contract/job-requests';
import { MAX_AUDIT_CURSOR_CHARS, MAX_INSTANCE_TYPES, MAX_PRINCIPALS } from '#contract/limits';
import { DEFAULT_RISK_E4 } from '#domain/accuracy';
import { MAX_ARRAY_TASKS } from '#domain/array-spec';
import { MAX_RUNS_PER_BATCH } from '#domain/run';
import { MAX_WALL_TIME_SECONDS } from '#domain/slurm-time';
import { USAGE_KEYS } from '#domain/usage';

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
const state = z.pipe(
  z.enum([...Object.keys(SLURM_STATES), ...Object.values(SLURM_STATES)], 'must be a state of Slurm, like COMPLETED or CD'),
  z.transform((name) => (name in SLURM_STATES ? SLURM_STATES[name as keyof typeof SLURM_STATES] : name)),
);

const instances = z
  .array(exactly({ type: id(64), count, purchase: z.optional(z.enum(['on-demand', 'spot'])) }))
  .check(z.minLength(1), z.maxLength(100));

export const ForceRequest = exactly({
  ...jobShape,
  hold_id: holdId,
  cluster: clusterName,
  job_id: z.optional(jobId),
  submitted_at: z.optional(instant),
  reason: text(500),
});

const runShape = {
  run_id: z.optional(runId),
  actual_cost: z.optional(usdFromZero),
  elapsed_seconds: z.optional(whole(0, MAX_WALL_TIME_SECONDS)),
  partition: z.optional(partitionName),
  instances: z.optional(instances),
  nodes: z.optional(count),
  cpus: z.optional(count),
  memory: z.optional(memory),
  gpus: z.optional(countFromZero),
  submitted_at: z.optional(instant),
  started_at: z.optional(instant),
  ended_at: z.optional(instant),
  state: z.optional(state),
  final: z.optional(z.boolean()),
  tasks: z._default(whole(1, MAX_ARRAY_TASKS), 1),
  job_id: z.optional(jobId),
  cluster: z.optional(clusterName),
  account: z.optional(accountName),
  user: z.optional(userName),
  user_id: z.optional(userName),
  job_metadata: z.optional(z.record(z.string(), z.unknown())),
};

const hasOneCost = z.refine<{ actual_cost?: unknown; elapsed_seconds?: unknown }>(
  (run) => (run.actual_cost === undefined) !== (run.elapsed_seconds === undefined),
  { message: 'give either actual_cost or elapsed_seconds', path: ['actual_cost'] },
);

export const Run = exactly(runShape).check(hasOneCost);
export type RunFields = z.output<typeof Run>;
const reconcileShape = { ...runShape, transaction_id: z.optional(holdId), hold_id: z.optional(holdId) };
export const ReconcileRequest = exactly(reconcileShape).check(
  hasOneCost,
  z.refine((run) => run.transaction_id === undefined || run.hold_id === undefined || run.transaction_id === run.hold_id, {
    message: 'is another than hold_id: give one of them',
    path: ['transaction_id'],
  }),
);
export type ReconcileFields = z.output<typeof ReconcileRequest>;
/** What its sender writes. */
export type ReconcileBody = z.input<z.ZodMiniObject<typeof reconcileShape>>;
export const RunsRequest = exactly({ runs: z.array(Run).check(z.minLength(1), z.maxLength(MAX_RUNS_PER_BATCH)) });
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
}).check(hasOneCost);

export const BindRequest = exactly({ cluster: clusterName, job_id: jobId, submitted_at: instant, instances: z.optional(instances) });
export const ExtendRequest = exactly({ expires_at: instant });
export const ReleaseRequest = exactly({ reason: z.optional(text(500)) });

const words = { name: z.optional(text(200)), description: z.optional(text(1000)) };
const dates = { start_date: z.optional(z.nullable(date)), end_date: z.optional(z.nullable(date)) };
const datesInOrder = z.refine<{ start_date?: string | null | undefined; end_date?: string | null | undefined }>(
  (fields) => !fields.start_date || !fields.end_date || fields.start_date <= fields.end_date,
  { message: 'is before start_date', path: ['end_date'] },
);

export const CreateAccountRequest = exactly({ account: accountName, ...words, budget_limit: usdFromZero, ...dates }).check(datesInOrder);
export const UpdateAccountRequest = exactly({
  ...words,
  ...dates,
  budget_limit: z.optional(usdFromZero),
  status: z.optional(z.enum(['active', 'suspended', 'closed'])),
  if_version: z.optional(z.int().check(z.minimum(0))),
}).check(datesInOrder);
export const DepositRequest = exactly({
  amount: usd.check(z.refine((amount) => amount !== 0n, 'must not be 0')),
  deposit_id: id(128),
  note: z.optional(text(500)),
});

export const ClusterRequest = exactly({ cluster_uid: id(128), agent_version: z.optional(text(64)) });
/** Who acts for a cluster, in place of who did so far. */
export const PrincipalsRequest = exactly({
  principals: z.pipe(z.array(principal).check(z.maxLength(MAX_PRINCIPALS)), z.transform(withoutRepetition)),
});
export const AuditRequest = exactly({
  account: z.optional(accountName),
  cursor: z.optional(z.string().check(z.maxLength(MAX_AUDIT_CURSOR_CHARS))),
  repair: z._default(z.boolean(), false),
});

const REGION = /^[a-z]{2}(-[a-z]+)+-\d$/;
const INSTANCE_TYPE = /^[a-z][a-z0-9-]*\.[a-z0-9-]+$/;
const instanceTypes = z.array(z.string().check(z.maxLength(64), z.regex(INSTANCE_TYPE, 'must be like c5.18xlarge')));

const features = z.record(z.string().check(z.maxLength(64)), z.array(text(64)).check(z.maxLength(64)));

export const PartitionRequest = exactly({
  partition: z.optional(partitionName),
  region: z.string().check(z.regex(REGION, 'must be an AWS region, like us-east-1')),
  instance_types: z.pipe(instanceTypes.check(z.maxLength(MAX_INSTANCE_TYPES)), z.transform(withoutRepetition)),
  purchase: z._default(z.enum(['on-demand', 'spot']), 'on-demand'),
  allocation: z._default(z.enum(['exclusive', 'shared']), 'exclusive'),
  discount_factor: z._default(discountFactorE6, 1_000_000n),
  overhead_minutes: z._default(whole(0, 1440), 0),
  overhead_per_node_hour: z._default(usdFromZero, 0n),
  overhead: z._default(z.enum(['run', 'site']), 'run'),
  default_wall_time: z._default(z.nullable(wallTime), null),
  unpriced: z._default(z.enum(['deny', 'flat']), 'deny'),
  flat_rate_per_node_hour: z._default(z.nullable(usdFromZero), null),
  write_off_node_failures: z._default(z.boolean(), false),
  features: z._default(z.nullable(features), null),
  threads_per_core: z._default(whole(1, 8), 2),
  memory_per_node: z._default(z.nullable(memory), null),
  source: z._default(text(200), 'manual'),
  // What an answer says of today's price beside the model, so that an answer can be given back. Nobody sets a price with it.
  price_per_node_hour: z.optional(z.unknown()),
  price_instance_type: z.optional(z.unknown()),
  price_source: z.optional(z.unknown()),
  price_date: z.optional(z.unknown()),
  price_age_days: z.optional(z.unknown()),
  price_confidence: z.optional(z.unknown()),
}).check(
  z.refine((model) => model.instance_types.length > 0 || model.unpriced === 'flat', {
    message: 'may be empty only with unpriced "flat"',
    path: ['instance_types'],
  }),
  z.refine((model) => model.unpriced === 'deny' || (model.flat_rate_per_node_hour ?? 0n) > 0n, {
    message: 'is required, and greater than 0, with unpriced "flat"',
    path: ['flat_rate_per_node_hour'],
  }),
);
export type PartitionFields = z.output<typeof PartitionRequest>;

export const PageQuery = exactly(page);
export const TransactionsQuery = exactly({ ...page, from: z.optional(instantOrDate), to: z.optional(instantOrDate) });
/** Usage is kept by day, so a time stands for its whole day. */
const usageFields = {
  from: z.optional(instantOrDate),
  to: z.optional(instantOrDate),
  by: z._default(z.enum(USAGE_KEYS, `must be one of ${USAGE_KEYS.join(', ')}`), 'account'),
  user: z.optional(userName),
  partition: z.optional(partitionName),
};
export const UsageQuery = exactly(usageFields);
/** `risk`: which share of the holds may overrun what is suggested. */
export const AccuracyQuery = exactly({ ...usageFields, risk: z._default(shareE4, DEFAULT_RISK_E4) });
const holdState = z.enum(['open', 'settled', 'released', 'expired']);
export const AccountHoldsQuery = exactly({ ...page, state: z.optional(holdState), user: z.optional(userName) });
export const ClusterHoldsQuery = exactly({
  ...page,
  cluster: clusterName,
  bound: z.optional(flag),
  created_before: z.optional(instant),
  state: z._default(z.literal('open', 'only open holds are found by cluster'), 'open'),
});
export const RunPath = exactly({ hold_id: holdId, run_id: runId });
export const JobQuery = exactly({ submitted_at: z.optional(instant) });
export const ClusterPath = exactly({ cluster: clusterName });
export const AccountPath = exactly({ account: accountName });
export const PartitionPath = exactly({ partition: partitionName });
