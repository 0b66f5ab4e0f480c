import type { Clock } from '#app/ports';
import type { Instant } from '#domain/ledger';

/** How long one request may still wait for prices, whoever is asked for them. */
export interface Patience {
  /** Of one question. */
  readonly maxTries: number;
  /** Runs what waits until that instant at most. What waits at the same time is counted once. */
  spend<T>(wait: (until: Instant) => Promise<T>): Promise<T>;
}

/** A user waits at sbatch, and slurmctld with them. */
export const CHECK_PATIENCE_MS = 300;
/** Nobody waits but whoever asked for the price. */
export const QUOTE_PATIENCE_MS = 5_000;
const QUOTE_TRIES = 3;

export const checkPatience = (clock: Pick<Clock, 'now'>): Patience => patienceOf(clock, { waitMs: CHECK_PATIENCE_MS, maxTries: 1 });

export const quotePatience = (clock: Pick<Clock, 'now'>): Patience =>
  patienceOf(clock, { waitMs: QUOTE_PATIENCE_MS, maxTries: QUOTE_TRIES });

const patienceOf = (clock: Pick<Clock, 'now'>, { waitMs, maxTries }: { waitMs: number; maxTries: number }): Patience => {
  let leftMs = waitMs;
  let underWay = 0;
  let since = 0;
  return {
    maxTries,
    spend: async (wait) => {
      if (underWay === 0) since = clock.now();
      underWay++;
      try {
        return await wait(since + leftMs);
      } finally {
        underWay--;
        if (underWay === 0) leftMs -= clock.now() - since;
      }
    },
  };
};
