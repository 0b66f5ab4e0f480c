import { CHANGED, closing, holdBooking, holdEntry, notBefore, untilBooked } from '#app/book';
import type { World } from '#app/ports';
import { readHoldOrThrow } from '#app/read';
import { type Hold, release } from '#domain/hold';

/**
 * Give back what is left of a hold, on somebody's word that its job will not run (again). Releasing again changes nothing.
 * @throws BudgetError hold_not_found, or hold_closed if it was settled or has expired
 */
export const releaseHold = (world: World, request: { holdId: string; reason?: string }): Promise<Hold> =>
  untilBooked(world, async () => {
    const hold = await readHoldOrThrow(world.store, request.holdId);
    const at = notBefore(world, hold);
    const change = release(hold, at);
    if (change === undefined) return hold;
    const { amount } = hold;
    const released = holdEntry(world, hold, { type: 'release', amount, movement: change.movement, at, note: request.reason ?? null });
    const entry = { ...released, ...closing(hold, change.hold) };
    const booking = holdBooking(hold, change.hold, [entry], at);
    return (await world.store.commit(booking)).booked ? booking.hold.after : CHANGED;
  });
