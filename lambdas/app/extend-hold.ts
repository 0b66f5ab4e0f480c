import { CHANGED, holdBooking, notBefore, untilBooked } from '#app/book';
import type { World } from '#app/ports';
import { readHoldOrThrow } from '#app/read';
import { extend, type Hold } from '#domain/hold';
import type { Instant } from '#domain/ledger';

/**
 * Keep the hold of a job that still waits or runs. The server grants at most one wall time and the reconciliation timeout
 * from now, so that a caller that is wrong about time, or gone tomorrow, cannot keep money for ever.
 * @throws BudgetError hold_not_found, hold_closed
 */
export const extendHold = (world: World, request: { holdId: string; expiresAt: Instant }): Promise<Hold> =>
  untilBooked(world, async () => {
    const hold = await readHoldOrThrow(world.store, request.holdId);
    const at = notBefore(world, hold);
    const latest = at + hold.terms.wallTimeSeconds * 1000 + world.settings.reconciliationTimeoutMs;
    const change = extend(hold, { wanted: request.expiresAt, latest });
    if (change === undefined) return hold;
    const booking = holdBooking(hold, change.hold, [], at);
    return (await world.store.commit(booking)).booked ? booking.hold.after : CHANGED;
  });
