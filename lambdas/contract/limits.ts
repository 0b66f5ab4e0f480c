// Limits of the wire, known to server and clients alike.

export const API_BASE_PATH = '/api/v1';
export const MAX_BODY_BYTES = 64 * 1024;
export const DEFAULT_DEADLINE_MS = 25_000;
export const MIN_DEADLINE_MS = 50;
export const MAX_DEADLINE_MS = 25_000;
export const DEFAULT_PAGE_SIZE = 100;
export const MAX_PAGE_SIZE = 500;
/** What an audit knows of a ledger that it has not read to its end travels in its cursor; a body has room for this beside all else. */
export const MAX_AUDIT_CURSOR_CHARS = 63 * 1024;
/** Slurm keeps counts in 24 bits where it matters: NO_VAL is beyond. */
export const MAX_COUNT = 16_777_215;
export const MAX_PARTITIONS_PER_JOB = 16;
export const MAX_INSTANCE_TYPES = 50;
/** Roles and users that act for one cluster: the agent's, the plugin's, and those that take their places. */
export const MAX_PRINCIPALS = 8;

// EventBridge's own, https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
export const MAX_PUT_ENTRIES = 10;
/**
 * Of all entries of one PutEvents together. AWS announced 1 MB on 2026-01-29, but its API reference still says 256 KB and what
 * stands in for it may hold to that: a run has a few hundred bytes, so the smaller limit costs nothing.
 */
export const MAX_PUT_BYTES = 256 * 1024;
/** What the envelope adds to an entry on its way through bus and queue, where the same limit holds: 300 bytes, rounded up. */
export const PUT_ENTRY_OVERHEAD_BYTES = 512;
