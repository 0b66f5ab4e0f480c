import { CHANGED, closing, notBefore, untilBooked } from '#app/book';
import type { AccountChange, Booking, World } from '#app/ports';
import { type Charge, chargeOf, type RunReport } from '#app/settle-runs';
import { BudgetError, invalid } from '#domain/errors';
import type { Hold } from '#domain/hold';
import { type Entry, spendAvailable } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';
import { type BookedRun, MAX_CORRECTIONS } from '#domain/run';

interface Correction {
  readonly holdId: string;
  readonly runId: string;
  readonly correctionId: string;
  readonly note: string;
}
/** What the run cost, or what it used: that is priced as when it was booked. */
export type CorrectRequest = Correction & ({ readonly actualCost: MicroUsd } | { readonly report: RunReport });

/**
 * Mend the cost of a booked run with one more entry; nothing is rewritten in the ledger. The same correction again changes
 * nothing.
 * @throws BudgetError run_not_found, or run_conflict for a correction id that was used with another cost
 */
export const correctRun = (world: World, request: CorrectRequest): Promise<BookedRun> =>
  untilBooked(world, async () => {
    const { holdId, runId, correctionId } = request;
    const run = await world.store.readRun({ owner: holdId, runId });
    if (run === undefined) throw new BudgetError('run_not_found', `hold ${holdId} has no run ${runId}`, { hold_id: holdId, run_id: runId });
    const earlier = run.corrections.find((each) => each.correctionId === correctionId);
    // The price of what was used may have changed since: the correction was made at the first.
    if (earlier !== undefined && ('report' in request || earlier.cost === request.actualCost)) return run;
    if (earlier !== undefined) {
      throw new BudgetError(
        'run_conflict',
        `correction ${correctionId} of run ${runId} was made with another cost: use a new correction_id`,
        { run_id: runId },
      );
    }
    if (run.corrections.length >= MAX_CORRECTIONS)
      throw invalid('correction_id', `run ${runId} was corrected ${MAX_CORRECTIONS} times, the most that is kept`);
    const hold = await world.store.readHold(holdId);
    const charge: Partial<Charge> & Pick<Charge, 'cost'> =
      'report' in request ? await chargeOf(world, request.report, hold) : { cost: request.actualCost };
    const after = { ...run, ...charge, corrections: [...run.corrections, { correctionId, cost: charge.cost }] };
    const booking = bookingOf(world, { run, after, charge, hold, note: request.note });
    return (await world.store.commit(booking)).booked ? after : CHANGED;
  });

const bookingOf = (
  world: World,
  what: { run: BookedRun; after: BookedRun; charge: Partial<Charge>; hold: Hold | undefined; note: string },
): Booking => {
  const { run, after, charge, hold, note } = what;
  const at = notBefore(world, { createdAt: run.bookedAt });
  const difference = after.cost - run.cost;
  const movement = spendAvailable(difference);
  const entry: Entry = {
    entryId: world.ids.entryId(at),
    at,
    account: run.account,
    type: 'correction',
    amount: difference,
    movement,
    holdId: hold?.holdId ?? null,
    jobId: run.jobId,
    runId: run.runId,
    user: run.user,
    note,
    ...(run.holdState === null ? { owner: run.owner } : {}),
    ...(run.partition === null ? {} : { partition: run.partition }),
    ...nodeSecondsMended(run, charge),
  };
  const runs = [{ before: run, after }];
  const account: AccountChange = { account: run.account, movement, unconfirmed: 0n, entries: 1, require: { kind: 'fact' }, at };
  if (hold === undefined) return { accounts: [account], entries: [entry], runs };
  // The hold may have moved to another account since; the run stays with the one that was charged for it.
  const mended = { ...hold, used: hold.used + difference, version: hold.version + 1 };
  return { accounts: [account], entries: [{ ...entry, ...closing(hold, mended) }], hold: { before: hold, after: mended }, runs };
};

/** A run that was booked before anybody kept what it had stays without: a difference to nothing would not be what it had either. */
const nodeSecondsMended = ({ nodeSeconds: before }: BookedRun, { nodeSeconds: now }: Partial<Charge>): Pick<Entry, 'nodeSeconds'> =>
  before === undefined || now === undefined || now === before ? {} : { nodeSeconds: now - before };
