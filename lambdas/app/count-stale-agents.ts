import { LONGEST_KEPT_MS } from '#app/expire-holds';
import { HEARTBEAT_STALE_MS } from '#app/own-cluster';
import type { World } from '#app/ports';

const PAGE_SIZE = 500;

/**
 * Clusters whose agent is not heard. One that has been silent for longer than its holds are kept was taken down, and is nobody's
 * business any more.
 */
export const countStaleAgents = async (world: World): Promise<number> => {
  const now = world.clock.now();
  let stale = 0;
  let cursor: string | undefined;
  do {
    const page = await world.store.listClusters({ limit: PAGE_SIZE, ...(cursor === undefined ? {} : { cursor }) });
    const silencesMs = page.items.map(({ lastHeartbeat }) => now - lastHeartbeat);
    stale += silencesMs.filter((silentMs) => silentMs > HEARTBEAT_STALE_MS && silentMs <= LONGEST_KEPT_MS).length;
    cursor = page.cursor;
  } while (cursor !== undefined);
  return stale;
};
