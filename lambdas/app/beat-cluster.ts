import { actsForAnother, HEARTBEAT_STALE_MS, isHeard } from '#app/own-cluster';
import type { Cluster, Heartbeat, World } from '#app/ports';
import { BudgetError } from '#domain/errors';

/**
 * An agent is alive. Its first heartbeat claims the cluster's name for its uid and its role; both are given up once it was not
 * heard for five minutes, to whoever comes next.
 * @throws BudgetError not_authorized when the caller acts for another cluster that is heard; cluster_conflict when the name
 *   belongs to another uid or to other principals
 */
export const beatCluster = async (
  { store, clock, caller }: World,
  beat: Pick<Heartbeat, 'cluster' | 'clusterUid' | 'agentVersion'>,
): Promise<Cluster> => {
  const now = clock.now();
  const { principal } = caller;
  const { cluster } = beat;
  const own = await caller.cluster();
  if (own !== undefined && own.cluster !== cluster && isHeard(own, now)) throw actsForAnother(String(principal), own.cluster, cluster);

  const stored = await store.beat({ ...beat, principal, lastHeartbeat: now }, now - HEARTBEAT_STALE_MS);
  if (stored.clusterUid !== beat.clusterUid) {
    throw new BudgetError(
      'cluster_conflict',
      `cluster name ${cluster} belongs to another cluster that is running: give this one a name of its own, or wait five minutes if it has taken the other's place`,
      { cluster },
    );
  }
  if (principal !== null && !stored.principals.includes(principal)) {
    throw new BudgetError(
      'cluster_conflict',
      `${stored.principals.join(' and ')} acts for cluster ${cluster}, and so not ${principal}: an administrator can name both with 'asbb cluster set', or wait five minutes if it has taken the other's place`,
      { cluster, principals: stored.principals },
    );
  }
  return stored;
};
