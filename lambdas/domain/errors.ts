// Every refusal the service can give. The list is closed: a code that is not here is a bug, and bugs are plain Errors.

/** Code of a refusal and its HTTP status. Names and statuses are part of the public contract. */
export const ERROR_STATUS = {
  validation_failed: 400,
  not_authorized: 403,
  account_not_found: 404,
  hold_not_found: 404,
  partition_not_found: 404,
  job_not_found: 404,
  run_not_found: 404,
  cluster_not_found: 404,
  route_not_found: 404,
  account_exists: 409,
  account_has_open_holds: 409,
  below_committed: 409,
  hold_conflict: 409,
  hold_closed: 409,
  run_conflict: 409,
  deposit_conflict: 409,
  cluster_conflict: 409,
  version_conflict: 409,
  body_too_large: 413,
  no_price: 422,
  no_wall_time: 422,
  does_not_fit: 422,
  account_contended: 503,
  service_unavailable: 503,
  deadline_passed: 503,
  internal_error: 500,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/**
 * A refusal that the caller can understand and mend.
 *
 * `message` is one sentence that names the mend; `details` is JSON and goes to the caller as it is, so it never holds
 * secrets or a job script.
 */
export class BudgetError extends Error {
  override readonly name = 'BudgetError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details?: Readonly<Record<string, unknown>>,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A value that cannot be read: which field, and what is wrong with it. */
export const invalid = (path: string, problem: string): BudgetError =>
  new BudgetError('validation_failed', `${path}: ${problem}`, { fields: [{ path, problem }] });
