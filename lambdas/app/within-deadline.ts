// A store that tries again while the request has time, and says exactly what is known when it has not.
import { type BudgetStore, type Clock, type Ids, StoreContended, StoreUnavailable } from '#app/ports';
import { BudgetError } from '#domain/errors';
import type { Instant } from '#domain/ledger';

/** How long a call in flight at the deadline is awaited: it may have moved money, and then the caller should hear it. */
export const GRACE_MS = 1000;
/** A store that does not answer is asked this often; one that is only busy, until the deadline. */
export const MAX_UNANSWERED_TRIES = 3;
const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

/** After an unclear answer to one of these, money may have moved. */
const WRITES: ReadonlySet<string> = new Set<keyof BudgetStore>(['commit', 'createAccount', 'removeAccount']);

export interface Deadline {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly deadline: Instant;
  /** Hears of each attempt that failed. @default nobody does */
  readonly retried?: (kind: 'contended' | 'unanswered') => void;
}

/**
 * The same store for one request: contention and lost answers are retried with full jitter, no attempt is begun at or after
 * `deadline`, and the refusals are exact: `account_contended` and `deadline_passed` mean that this request wrote nothing,
 * `service_unavailable` that it may have.
 */
export const withinDeadline = (store: BudgetStore, { clock, ids, deadline, retried = () => undefined }: Deadline): BudgetStore => {
  let contended = false;
  let uncertain = false;

  const outOfTime = (cause: unknown): BudgetError => {
    if (uncertain) return unavailable(cause);
    if (contended) {
      return new BudgetError(
        'account_contended',
        'too many requests for this account at once; nothing was changed, send it again',
        undefined,
        {
          cause,
        },
      );
    }
    return new BudgetError('deadline_passed', 'the time allowed for this request ran out; nothing was changed, send it again', undefined, {
      cause,
    });
  };

  const pauseAfter = async (tries: number, cause: unknown): Promise<void> => {
    const pauseMs = ids.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries);
    if (clock.now() + pauseMs >= deadline) throw outOfTime(cause);
    await clock.sleep(pauseMs);
  };

  const attempts = async (name: string, call: () => Promise<unknown>): Promise<unknown> => {
    for (let tries = 1, unanswered = 0, cause: unknown; ; tries++) {
      if (clock.now() >= deadline) throw outOfTime(cause);
      try {
        return await orGiveUp(clock, deadline + GRACE_MS, call());
      } catch (error) {
        if (error instanceof StoreContended) {
          contended = true;
          retried('contended');
        } else if (error instanceof StoreUnavailable) {
          uncertain ||= WRITES.has(name);
          unanswered++;
          retried('unanswered');
          if (unanswered >= MAX_UNANSWERED_TRIES) throw unavailable(error);
        } else throw error;
        cause = error;
      }
      await pauseAfter(tries, cause);
    }
  };

  const methods = Object.entries(store).map(([name, method]) => [name, (...args: unknown[]) => attempts(name, () => method(...args))]);
  return Object.fromEntries(methods) as BudgetStore; // Same names, same arguments, same results: only the time differs.
};

const unavailable = (cause: unknown): BudgetError => {
  const reason = cause instanceof StoreUnavailable && cause.message !== '' ? `: ${cause.message}` : '';
  return new BudgetError('service_unavailable', `the budget table does not answer${reason}; send it again with the same ids`, undefined, {
    cause,
  });
};

/** The call's result, or StoreUnavailable once the clock reaches `end`. */
const orGiveUp = async (clock: Clock, end: Instant, call: Promise<unknown>): Promise<unknown> => {
  const answered = new AbortController();
  const late = clock.sleep(end - clock.now(), answered.signal).then(() => {
    if (!answered.signal.aborted)
      throw new BudgetError('service_unavailable', 'the budget table did not answer in time; send it again with the same ids');
  });
  try {
    return await Promise.race([call, late.then(() => call)]);
  } finally {
    answered.abort();
  }
};
