// The id of a forced hold is worked out from its job, so that a lost answer, or a lost state file, forces nothing twice.
import type { Desk } from '#cli/agent/desk';
import type { EpochSeconds } from '#cli/agent/ports';

/** So often a forced hold can have been closed while its job went on. */
export const MAX_FORCED_PER_JOB = 16;

/** @param n a forced hold may have ended although its job goes on: the next one has another number */
export const forcedIdOf = (desk: Desk, job: { readonly submissionId: string; readonly submittedAt: EpochSeconds }, n: number): string =>
  uuidOf(desk.sha256(`asbb forced hold ${desk.settings.cluster}/${job.submissionId}/${job.submittedAt} ${n}`));

/** RFC 9562, version 8: bits of one's own. */
const uuidOf = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;

/** Whether it looks like one of ours: the plugin's are random, of version 4. */
export const isForcedId = (holdId: string): boolean => holdId[14] === '8';
