// What every part of the agent works with: the API, the clock, where to complain, and what an error means for the work at hand.
import type { GuardConf } from '#cli/agent/guard-conf';
import { type ApiClient, ApiError } from '#cli/api-client';
import { CommandError, EXIT } from '#cli/exit';

export interface Settings {
  readonly cluster: string;
  readonly clusterUid: string;
  /** How old a hold must be before nobody's job can be the reason for it. */
  readonly orphanAfterMs: number;
  readonly agentVersion: string;
}

/** What a pass did, counted. */
export interface Counts {
  bound: number;
  forced: number;
  extended: number;
  adjusted: number;
  settled: number;
  released: number;
  closed: number;
  corrected: number;
  /** Could not be done now, and are tried again by the next pass. */
  postponed: number;
  keptAside: number;
}

export const noCounts = (): Counts => ({
  bound: 0,
  forced: 0,
  extended: 0,
  adjusted: 0,
  settled: 0,
  released: 0,
  closed: 0,
  corrected: 0,
  postponed: 0,
  keptAside: 0,
});

export interface Desk {
  readonly api: ApiClient;
  readonly guard: Pick<GuardConf, 'guards'>;
  readonly settings: Settings;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly sha256: (text: string) => string;
  /** One sentence for the log. */
  readonly complain: (sentence: string) => void;
  /** Something that cannot be booked: written down with its reason, for a person. */
  readonly keepAside: (what: { readonly reason: string; readonly entry: unknown }) => void;
  /** A job of an account that has no cloud budget: counted, and left alone. */
  readonly unknownAccount: (account: string) => void;
  readonly counts: Counts;
}

/** A mutation that --dry-run has only printed. */
export class OnlyPrinted extends Error {
  override readonly name = 'OnlyPrinted';
}

const LATER: ReadonlySet<string | undefined> = new Set(['account_contended', 'deadline_passed', 'service_unavailable', 'internal_error']);

/** Nobody answered, or nobody lets us in: the same would happen to whatever is asked next. */
export const endsThePass = (error: unknown): boolean =>
  error instanceof CommandError && (error.exitCode === EXIT.unreachable || error.exitCode === EXIT.notAuthorised);

/** The API could not do it now; nothing is wrong with the request. */
const isForLater = (error: unknown): boolean => error instanceof ApiError && LATER.has(error.code);

export const codeOf = (error: unknown): string | undefined => (error instanceof ApiError ? error.code : undefined);

/**
 * Do one piece of work. What can only fail again the same way ends the pass; what may succeed later is counted; and what this
 * piece's own `refused` does not take is a bug.
 * @returns undefined if it was not done
 */
export const attempt = async <T>(
  desk: Desk,
  work: () => Promise<T>,
  refused: (code: string, error: ApiError) => Promise<T | undefined> | T | undefined,
): Promise<T | undefined> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof OnlyPrinted) return undefined;
    if (endsThePass(error) || !(error instanceof ApiError)) throw error;
    if (isForLater(error) || error.code === undefined) {
      desk.counts.postponed += 1;
      return undefined;
    }
    return refused(error.code, error);
  }
};

/** Ask, and tell a refusal, which is an answer too, from an API that could not say anything now. */
export const answerOf = async <T extends object>(desk: Desk, work: () => Promise<T>): Promise<T | 'refused' | 'later'> => {
  let outcome: 'refused' | 'later' = 'later';
  const answer = await attempt(desk, work, () => {
    outcome = 'refused';
    return undefined;
  });
  return answer ?? outcome;
};

/** Side by side, but never more than so many: holds of one account conflict with each other. */
export const inParallel = async <T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> => {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next] as T;
      next += 1;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
};
