// Who acts for which cluster. IAM says which verbs a caller may use; this says for whose holds.
import type { BudgetStore, Caller, Cluster } from '#app/ports';
import { BudgetError } from '#domain/errors';
import type { Hold } from '#domain/hold';
import type { Instant } from '#domain/ledger';

/** A cluster whose agent was not heard for so long has a stale heartbeat, and others may claim its name. */
export const HEARTBEAT_STALE_MS = 5 * 60 * 1000;

/** Whom nobody binds: the service itself, the owner of the AWS account, and whoever calls `asbb local`. */
export const NOT_BOUND: Caller = { principal: null, cluster: async () => undefined };

/**
 * The cluster that a principal acts for. Two may name the same principal only if both claimed it within one moment, or one of
 * them is gone: then it is the one that is heard, the first by name, or the one that was heard last.
 */
export const actsFor = (clusters: readonly Cluster[], principal: string, now: Instant): Cluster | undefined => {
  const its = clusters.filter(({ principals }) => principals.includes(principal));
  const heard = its.filter((each) => isHeard(each, now)).sort((a, b) => (a.cluster < b.cluster ? -1 : 1));
  return heard[0] ?? its.sort((a, b) => b.lastHeartbeat - a.lastHeartbeat)[0];
};

export const isHeard = ({ lastHeartbeat }: Pick<Cluster, 'lastHeartbeat'>, now: Instant): boolean =>
  now - lastHeartbeat <= HEARTBEAT_STALE_MS;

/** @throws BudgetError not_authorized if the caller acts for another cluster */
export const requireOwn = async (caller: Caller, cluster: string): Promise<void> => {
  const own = await caller.cluster();
  if (own !== undefined && own.cluster !== cluster) throw actsForAnother(String(caller.principal), own.cluster, cluster);
};

export const actsForAnother = (principal: string, own: string, cluster: string): BudgetError =>
  new BudgetError(
    'not_authorized',
    `${principal} acts for cluster ${own}, and so not for ${cluster}: each cluster's head node needs a role of its own`,
    { principal, acts_for: own, cluster },
  );

/**
 * The same store, in which a caller that acts for a cluster finds and changes holds of no other: each is answered
 * `cluster_conflict`, as to whoever names another cluster than the hold's. An agent may well meet such a hold, in a job that was
 * moved here; its right to be here is not in doubt.
 */
export const ownClusterOnly = (store: BudgetStore, caller: Caller): BudgetStore =>
  caller.principal === null
    ? store
    : {
        ...store,
        readHold: async (holdId) => {
          const hold = await store.readHold(holdId);
          if (hold !== undefined) await requireOwnHold(caller, hold);
          return hold;
        },
        commit: async (booking) => {
          if (booking.hold !== undefined) await requireOwnHold(caller, booking.hold.after);
          return store.commit(booking);
        },
      };

const requireOwnHold = async (caller: Caller, { holdId, cluster }: Hold): Promise<void> => {
  const own = await caller.cluster();
  if (own === undefined || own.cluster === cluster) return;
  throw new BudgetError(
    'cluster_conflict',
    `hold ${holdId} belongs to cluster ${cluster}, and ${caller.principal} acts for ${own.cluster}`,
    {
      ...{ hold_id: holdId, cluster, acts_for: own.cluster },
    },
  );
};
