// Names of the metrics, for those who count, and for graphs and alarms. Each has the dimension `service`, the deployment.

export const METRIC_NAMESPACE = 'asbb';
export const DIMENSION_SERVICE = 'service';

// Of requests, by operation.
export const METRIC_ANSWERED = 'Answered';
/** Refused with an error. A job that may not run is an answer like any other. */
export const METRIC_REFUSED = 'Refused';
export const METRIC_LATENCY = 'Latency';
export const DIMENSION_OPERATION = 'operation';

// From the sweep, each time that it has run: a gap is a sweep that does not.
export const METRIC_SWEEPS = 'Sweeps';
/** Clusters whose agent is not heard, though it was within the last week. */
export const METRIC_STALE_AGENTS = 'StaleAgents';

// From the daily audit, each time that it has run.
export const METRIC_AUDIT_DIFFERENCES = 'AuditDifferences';
/** Accounts that it could not look at; those that it had no time for count as one. */
export const METRIC_ACCOUNTS_NOT_AUDITED = 'AccountsNotAudited';
