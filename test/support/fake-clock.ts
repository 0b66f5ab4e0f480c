import type { Clock } from '#app/ports';
import type { Instant } from '#domain/ledger';

export interface FakeClock extends Clock {
  /** Let time pass, and wake who waited for it. */
  advance(ms: number): Promise<void>;
  /** How long the pauses were that nobody could cut short, in order. */
  readonly pauses: readonly number[];
}

/**
 * Time that passes only when somebody sleeps, or on a test's word. A sleep without a signal is a pause, and over at once: the
 * clock moves on by as much. A sleep with one is a time limit, and waits for the clock to reach it or for its signal.
 */
export const createFakeClock = (start: Instant): FakeClock => {
  let now = start;
  const pauses: number[] = [];
  const limits = new Set<{ until: Instant; wake: () => void }>();

  const advance = async (ms: number): Promise<void> => {
    now += ms;
    for (const limit of limits) if (limit.until <= now) limit.wake();
    await new Promise(setImmediate); // Whoever woke gets to work.
  };

  return {
    now: () => now,
    pauses,
    advance,
    sleep: async (ms, signal) => {
      if (signal === undefined) {
        pauses.push(ms);
        await advance(ms);
        return;
      }
      await new Promise<void>((resolve) => {
        const limit = {
          until: now + ms,
          wake: () => {
            limits.delete(limit);
            resolve();
          },
        };
        limits.add(limit);
        signal.addEventListener('abort', limit.wake, { once: true });
        if (signal.aborted || ms <= 0) limit.wake();
      });
    },
  };
};
