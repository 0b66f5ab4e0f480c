// Names of the metrics, for those who count, and for graphs and alarms. Each has the dimension `service`, the deployment.

export const METRIC_NAMESPACE = 'asbb';
export const DIMENSION_SERVICE = 'service';

// Of requests, by operation.
export const METRIC_ANSWERED = 'Answered';
/** Refused with an error. A job that may not run is an answer like any other: see METRIC_JOBS_REFUSED. */
export const METRIC_REFUSED = 'Refused';
export const METRIC_LATENCY = 'Latency';
/** Bugs, and records that could not be worked off. */
export const METRIC_FAILED = 'Failed';
export const DIMENSION_OPERATION = 'operation';

// Of checks.
export const METRIC_JOBS_ADMITTED = 'JobsAdmitted';
/** By code: the contract's codes of a refused verdict, and of errors that refuse a job. */
export const METRIC_JOBS_REFUSED = 'JobsRefused';
export const DIMENSION_CODE = 'code';
/** By source: where the price of a job came from. */
export const METRIC_JOBS_PRICED = 'JobsPriced';
export const DIMENSION_SOURCE = 'source';

// Of the table, by kind: `contended` means that another writer was faster, `unanswered` that nobody knows.
export const METRIC_STORE_RETRIES = 'StoreRetries';
export const DIMENSION_KIND = 'kind';

// From the table's stream: what was committed, at least once.
export const METRIC_HOLDS_PLACED = 'HoldsPlaced';
export const METRIC_HOLDS_SETTLED = 'HoldsSettled';
export const METRIC_HOLDS_RELEASED = 'HoldsReleased';
export const METRIC_HOLDS_EXPIRED = 'HoldsExpired';
export const METRIC_RUNS_SETTLED = 'RunsSettled';
/** Runs whose hold had ended, or was never there. */
export const METRIC_RUNS_LATE = 'RunsLate';
/** Runs that cost more than their share of the hold. */
export const METRIC_RUNS_OVER_SHARE = 'RunsOverShare';
export const METRIC_THRESHOLDS_CROSSED = 'ThresholdsCrossed';

// From the sweep, each time that it has run: a gap is a sweep that does not.
export const METRIC_SWEEPS = 'Sweeps';
/** Seconds; 0 if none is overdue. */
export const METRIC_OLDEST_OVERDUE_AGE = 'OldestOverdueHoldAge';
/** Clusters whose agent is not heard, though it was within the last week. */
export const METRIC_STALE_AGENTS = 'StaleAgents';

// From the daily audit, each time that it has run.
export const METRIC_AUDIT_DIFFERENCES = 'AuditDifferences';
/** Accounts that it could not look at; those that it had no time for count as one. */
export const METRIC_ACCOUNTS_NOT_AUDITED = 'AccountsNotAudited';

// From the refresh of prices, each time that it has run: types whose kept price stays as it was.
export const METRIC_PRICES_NOT_REFRESHED = 'PricesNotRefreshed';
