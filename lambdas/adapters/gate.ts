import { type BudgetStore, type Clock, StoreContended } from '#app/ports';
import type { Instant } from '#domain/ledger';

/**
 * Fewer than the client has sockets. Calls beyond wait here and not in the client, whose timeouts would take the wait for
 * DynamoDB's silence: of a thousand checks at once, hundreds would be lost answers.
 */
const MAX_CALLS_AT_ONCE = 40;

export interface Gate {
  /**
   * Takes a place, in the order of arrival; whoever has one leaves it again.
   * @throws StoreContended if there was none before `deadline`: then nothing was sent
   */
  enter(clock: Clock, deadline: Instant): Promise<void>;
  leave(): void;
}

export const createGate = (places = MAX_CALLS_AT_ONCE): Gate => {
  let free = places;
  const waiting = new Set<() => void>();

  const leave = (): void => {
    const [next] = waiting;
    if (next === undefined) free += 1;
    else next(); // The place goes on to whoever waits longest, so nobody can slip in between.
  };

  const enter = async (clock: Clock, deadline: Instant): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return;
    }
    const called = new AbortController();
    const call = () => {
      waiting.delete(call);
      called.abort();
    };
    waiting.add(call);
    await clock.sleep(deadline - clock.now(), called.signal);
    if (called.signal.aborted && clock.now() < deadline) return;
    if (called.signal.aborted) leave();
    waiting.delete(call);
    throw new StoreContended('too many calls at once: this one was not begun before its deadline');
  };

  return { enter, leave };
};

/** The same store for one request, each of whose calls needs a place. */
export const throughGate = (store: BudgetStore, gate: Gate, { clock, deadline }: { clock: Clock; deadline: Instant }): BudgetStore => {
  const gated = async (call: () => Promise<unknown>): Promise<unknown> => {
    await gate.enter(clock, deadline);
    try {
      return await call();
    } finally {
      gate.leave();
    }
  };
  const methods = Object.entries(store).map(([name, method]) => [name, (...args: unknown[]) => gated(() => method(...args))]);
  return Object.fromEntries(methods) as BudgetStore; // Same names, same arguments, same results: only the time differs.
};
