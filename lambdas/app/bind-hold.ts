import { CHANGED, holdBooking, holdEntry, notBefore, untilBooked } from '#app/book';
import type { World } from '#app/ports';
import { readHoldOrThrow } from '#app/read';
import { BudgetError } from '#domain/errors';
import { costOf, wholeNodes } from '#domain/estimate';
import { bind, type Change, type Hold, reprice } from '#domain/hold';
import type { Instant } from '#domain/ledger';
import { type MicroUsd, multiplyUp } from '#domain/money';

export interface BindRequest {
  readonly holdId: string;
  readonly cluster: string;
  readonly jobId: string;
  readonly submittedAt: Instant;
  /** The nodes that Slurm really gave the job, if it has them already. */
  readonly instances?: readonly { readonly type: string; readonly count: number }[];
}

/**
 * Say which job a hold is for. From then on the job is found by cluster, id and submission time, and the hold is confirmed.
 * With `instances`, the hold comes down to what those nodes may cost; it never goes up.
 * @throws BudgetError hold_not_found, hold_closed, cluster_conflict, or hold_conflict when the hold has another job or the
 *   job another open hold
 */
export const bindHold = (world: World, request: BindRequest): Promise<Hold> =>
  untilBooked(world, async () => {
    const hold = await readHoldOrThrow(world.store, request.holdId);
    requireCluster(hold, request.cluster);
    const bound = bind(hold, request);
    const known = bound?.hold ?? hold;
    const lowered = request.instances === undefined ? undefined : loweredTo(world, known, request.instances);
    if (bound === undefined && lowered === undefined) return hold;

    const at = notBefore(world, hold);
    const entries =
      lowered === undefined
        ? []
        : [
            holdEntry(world, known, {
              type: 'adjust',
              amount: lowered.movement.held,
              movement: lowered.movement,
              at,
              note: 'nodes allocated',
            }),
          ];
    const replaces = await replaceableLink(world, request);
    const booking = {
      ...holdBooking(hold, lowered?.hold ?? known, entries, at),
      jobLink: {
        link: { cluster: request.cluster, jobId: request.jobId, submittedAt: request.submittedAt, holdId: hold.holdId },
        ...replaces,
      },
    };
    const outcome = await world.store.commit(booking);
    return outcome.booked ? booking.hold.after : CHANGED;
  });

/** A hold's verbs are for its own cluster: job ids of different clusters mean nothing to each other. */
export const requireCluster = (hold: Hold, cluster: string | undefined): void => {
  if (cluster === undefined || cluster === hold.cluster) return;
  throw new BudgetError('cluster_conflict', `hold ${hold.holdId} belongs to cluster ${hold.cluster}, not to ${cluster}`, {
    cluster: hold.cluster,
  });
};

/** A job whose hold is closed may be bound to a new one; a job with an open hold keeps it. */
export const replaceableLink = async (
  world: World,
  job: { holdId: string; cluster: string; jobId: string; submittedAt: Instant },
): Promise<{ replaces?: string }> => {
  const link = await world.store.readJobLink(job);
  if (link === undefined || link.submittedAt !== job.submittedAt || link.holdId === job.holdId) return {};
  const other = await world.store.readHold(link.holdId);
  if (other?.state === 'open') {
    throw new BudgetError('hold_conflict', `job ${job.jobId} of cluster ${job.cluster} has the open hold ${other.holdId}`, {
      hold_id: other.holdId,
    });
  }
  return { replaces: link.holdId };
};

const loweredTo = (world: World, hold: Hold, instances: readonly { type: string; count: number }[]): Change | undefined => {
  if (hold.tasks !== 1) return undefined; // The nodes of one task say nothing about those of the others.
  const rate = hold.terms.rates.find(({ partition }) => partition === hold.terms.partition);
  let cost: MicroUsd = 0n;
  for (const { type, count } of instances) {
    const nodeType = rate?.nodeTypes.find((each) => each.type === type);
    if (rate === undefined || nodeType === undefined) return undefined; // No locked price: then the amount stays, which is never too low.
    cost += costOf(rate, { nodeType, nodes: wholeNodes(count), seconds: hold.terms.wallTimeSeconds }).amount;
  }
  const amount = multiplyUp(cost, world.settings.holdFactor);
  return amount < hold.amount ? reprice(hold, { amount, estimate: cost }) : undefined;
};
