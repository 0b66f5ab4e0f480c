import { allClusters } from '#app/name-principals';
import { actsFor, NOT_BOUND } from '#app/own-cluster';
import type { BudgetStore, Caller, Clock, Cluster } from '#app/ports';
import type { Instant } from '#domain/ledger';

/** Who acts for whom is seen by every process after at most so long: a warm check reads nothing for it. */
const FRESH_MS = 60_000;

/** Callers as the clusters know them, which are remembered for a minute. */
export const createCallers = (clock: Pick<Clock, 'now'>) => {
  let kept: { clusters: readonly Cluster[]; until: Instant } | undefined;
  const clustersBy = async (store: BudgetStore): Promise<readonly Cluster[]> => {
    if (kept === undefined || kept.until <= clock.now()) {
      const clusters = await allClusters(store);
      kept = { clusters: clusters.filter(({ principals }) => principals.length > 0), until: clock.now() + FRESH_MS };
    }
    return kept.clusters;
  };
  return (principal: string | null, store: BudgetStore): Caller =>
    principal === null ? NOT_BOUND : { principal, cluster: async () => actsFor(await clustersBy(store), principal, clock.now()) };
};
