import { actsFor, actsForAnother, isHeard } from '#app/own-cluster';
import type { Cluster, PageRequest, World } from '#app/ports';
import { BudgetError } from '#domain/errors';

/**
 * Say who acts for a cluster, whoever claimed it; nobody: the next heartbeat claims it anew. For a plugin with a role of its own,
 * and for a role that is about to take another's place.
 * @throws BudgetError cluster_not_found; not_authorized when one of them acts for another cluster that is heard
 */
export const namePrincipals = async (
  { store, clock }: World,
  { cluster, principals }: { cluster: string; principals: readonly string[] },
): Promise<Cluster> => {
  const others = (await allClusters(store)).filter((each) => each.cluster !== cluster && isHeard(each, clock.now()));
  for (const principal of principals) {
    const other = actsFor(others, principal, clock.now());
    if (other !== undefined) throw actsForAnother(principal, other.cluster, cluster);
  }
  const stored = await store.namePrincipals(cluster, principals);
  if (stored !== undefined) return stored;
  throw new BudgetError('cluster_not_found', `no agent of a cluster ${cluster} was ever heard: its first heartbeat makes it known`, {
    cluster,
  });
};

const PAGE_SIZE = 500;

/** As many as there are heads of clusters: each claims one name. */
export const allClusters = async (store: World['store']): Promise<readonly Cluster[]> => {
  const found: Cluster[] = [];
  for (let page: PageRequest | undefined = { limit: PAGE_SIZE }; page !== undefined; ) {
    const { items, cursor }: Awaited<ReturnType<typeof store.listClusters>> = await store.listClusters(page);
    found.push(...items);
    page = cursor === undefined ? undefined : { limit: PAGE_SIZE, cursor };
  }
  return found;
};
