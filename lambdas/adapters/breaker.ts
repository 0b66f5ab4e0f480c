import type { Clock } from '#app/ports';

export const MAX_FAILURES_IN_A_ROW = 3;
export const OPEN_MS = 30_000;

/** How a try ended. A timeout has cost a user all the time there is, so one is enough. */
export type Ending = 'answered' | 'failed' | 'timed out';

export interface Breaker {
  /** Whether to try now. Who may try must say how it ended. */
  mayTry(): boolean;
  ended(how: Ending): void;
}

/** Opens after three failures in a row or the first timeout, for 30 s; then one try decides. Its state is this process's. */
export const createBreaker = (clock: Pick<Clock, 'now'>): Breaker => {
  let failures = 0;
  let openUntil: number | undefined;
  let isOnTrial = false;
  return {
    mayTry: () => {
      if (openUntil === undefined) return true;
      if (isOnTrial || clock.now() < openUntil) return false;
      isOnTrial = true;
      return true;
    },
    ended: (how) => {
      const wasOnTrial = isOnTrial;
      isOnTrial = false;
      if (how === 'answered') {
        failures = 0;
        openUntil = undefined;
        return;
      }
      failures++;
      if (wasOnTrial || how === 'timed out' || failures >= MAX_FAILURES_IN_A_ROW) openUntil = clock.now() + OPEN_MS;
    },
  };
};
