import { readFile } from 'node:fs/promises';
import type { SettlementAnswer } from '#cli/api-client';
import { parseAsbxCost } from '#cli/commands/asbx-cost';
import { given, ifGiven, inFlags, readAccount, readCount, readElapsed, readHoldId, readId, readUsdFromZero } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, usageError } from '#cli/exit';
import { printSheet, type Shape } from '#cli/render';
import { MAX_BODY_BYTES } from '#contract/limits';
import { MAX_ARRAY_TASKS } from '#domain/array-spec';
import { toUsd } from '#domain/money';

/** As typed: text or absent. */
export interface ReconcileOptions {
  readonly holdId?: string;
  readonly cluster?: string;
  readonly jobId?: string;
  readonly runId?: string;
  readonly actualCost?: string;
  readonly elapsed?: string;
  readonly state?: string;
  /** False only with --no-final; otherwise the state says. */
  readonly final?: boolean;
  readonly tasks?: string;
  readonly account?: string;
  readonly file?: string;
}

const SHAPE: Shape<SettlementAnswer> = {
  transaction_id: 'text',
  run_id: 'text',
  original_hold: 'usd',
  actual_charge: 'usd',
  refund_amount: 'usd',
  hold_state: 'state',
  late: 'flag',
  message: 'text',
};

const LABELS = [
  ['transaction_id', 'Hold'],
  ['run_id', 'Run'],
  ['original_hold', 'Was held'],
  ['actual_charge', 'Charged'],
  ['refund_amount', 'Returned'],
  ['hold_state', 'Hold is'],
  ['late', 'Late'],
  ['message', 'Message'],
] as const;

/** Book one run. */
export const runReconcile = async (context: Context, options: ReconcileOptions): Promise<ExitCode> => {
  const body = options.file === undefined ? fromFlags(options) : await fromFile({ ...options, file: options.file }, context);
  const cluster = body.cluster ?? (body.job_id === undefined ? undefined : (await context.config()).slurm.cluster);
  if (body.hold_id === undefined && cluster === undefined) throw usageError('on which cluster was the job? Name it with --cluster');
  const api = await context.api();
  const settled = await api
    .request('reconcile', { body: { ...body, ...given({ cluster }) } })
    .catch(inFlags({ run_id: '--run-id', tasks: '--tasks', state: '--state' }));
  await printSheet(context, { shape: SHAPE, labels: LABELS, value: settled });
  return EXIT.ok;
};

interface RunBody {
  readonly hold_id?: string;
  readonly cluster?: string;
  readonly job_id?: string;
  readonly [field: string]: unknown;
}

const fromFlags = (options: ReconcileOptions): RunBody => {
  const { holdId, jobId, actualCost, elapsed } = options;
  if (holdId === undefined && jobId === undefined)
    throw usageError('which job? Name its hold with --hold-id, or it with --cluster and --job-id');
  if ((actualCost === undefined) === (elapsed === undefined)) throw usageError('give either --actual-cost or --elapsed');
  return {
    ...identityIn(options),
    ...given({
      actual_cost: ifGiven('--actual-cost', actualCost, (typed) => toUsd(readUsdFromZero(typed))),
      elapsed_seconds: ifGiven('--elapsed', elapsed, readElapsed),
    }),
  };
};

/** What flags say of a run, beside its cost. */
const identityIn = (options: ReconcileOptions): RunBody =>
  given({
    hold_id: ifGiven('--hold-id', options.holdId, readHoldId),
    cluster: ifGiven('--cluster', options.cluster, readId),
    job_id: ifGiven('--job-id', options.jobId, readId),
    run_id: options.runId,
    state: options.state?.toUpperCase(),
    final: options.final === false ? false : undefined,
    tasks: ifGiven('--tasks', options.tasks, (typed) => readCount({ ...typed, most: MAX_ARRAY_TASKS })),
    account: ifGiven('--account', options.account, readAccount),
  });

const fromFile = async (options: ReconcileOptions & { file: string }, context: Context): Promise<RunBody> => {
  const { file, actualCost, elapsed } = options;
  if (actualCost !== undefined || elapsed !== undefined)
    throw usageError('the cost is in the file: leave --actual-cost and --elapsed away');
  const cost = parseAsbxCost(await contentOf(file), file);
  if (options.jobId !== undefined && options.jobId !== cost.jobId)
    throw usageError(`${file} is of job ${cost.jobId}, not of ${options.jobId}`);
  const cluster = options.cluster ?? (await context.config()).slurm.cluster;
  // ASBX does not write it, and job ids are only unique on one cluster.
  if (cluster === undefined) throw usageError(`${file} does not say on which cluster job ${cost.jobId} ran: name it with --cluster`);
  return {
    ...given({ account: ifGiven(`${file}: account`, cost.account, readAccount), user: cost.user, partition: cost.partition }),
    ...identityIn({ ...options, cluster }),
    job_id: readId({ flag: `${file}: job_id`, value: cost.jobId }),
    actual_cost: toUsd(cost.actualCost),
    ...(Object.keys(cost.metadata).length === 0 ? {} : { job_metadata: cost.metadata }),
  };
};

const contentOf = async (file: string): Promise<string> => {
  const content = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw usageError(`cannot read ${file} (${error.code ?? error.message})`, { cause: error });
  });
  if (content.length > MAX_BODY_BYTES) throw usageError(`${file} is no cost file: it has more than ${MAX_BODY_BYTES} characters`);
  return content.replace(/^\ufeff/, '');
};
