// Settings that a deployment may change, and what they are otherwise.

/** How much more than the estimate is held, as a decimal. */
export const DEFAULT_HOLD_PERCENTAGE = '1.2';
/** How long after its wall time a hold that nobody settles stays. */
export const DEFAULT_RECONCILIATION_TIMEOUT_SECONDS = 24 * 3600;
export const SWEEP_INTERVAL_MS = 60_000;
