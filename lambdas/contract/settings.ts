// Settings that a deployment may change, and what they are otherwise.

/** How much more than the estimate is held, as a decimal. */
export const DEFAULT_HOLD_PERCENTAGE = '1.2';
/** How long after its wall time a hold that nobody settles stays. */
export const DEFAULT_RECONCILIATION_TIMEOUT_SECONDS = 24 * 3600;
export const SWEEP_INTERVAL_MS = 60_000;
/** An audit of all accounts begins no new portion after it. A portion may last as long as a request, so a function's timeout is longer. */
export const AUDIT_BUDGET_MS = 14 * 60_000;
/** How long a price is believed without asking again. */
export const PRICE_TTL_MS = 24 * 3_600_000;
/** EC2 prices of every region are asked of one of three endpoints. */
export const PRICING_REGIONS = ['us-east-1', 'eu-central-1', 'ap-south-1'] as const;
