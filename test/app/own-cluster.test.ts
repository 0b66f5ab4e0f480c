import { describe, expect, it } from 'vitest';
import { beatCluster } from '#app/beat-cluster';
import { allClusters, namePrincipals } from '#app/name-principals';
import { actsFor, HEARTBEAT_STALE_MS, NOT_BOUND, ownClusterOnly, requireOwn } from '#app/own-cluster';
import type { Caller, Cluster } from '#app/ports';
import { NOON } from '#test/support/builders';
import { aPlacedHold, aWorld, type TestWorld } from '#test/support/world';

const ROLE = 'arn:aws:iam::111122223333:role/head-node';
const OTHER = 'arn:aws:iam::111122223333:role/other';

const aCluster = (given: Partial<Cluster>): Cluster => ({
  ...{ cluster: 'alpha', clusterUid: 'u', agentVersion: null, lastHeartbeat: NOON, principals: [ROLE] },
  ...given,
});
/** As the composition root makes one, but without its memory. */
const callerIn = (world: TestWorld, principal: string): Caller => ({
  principal,
  cluster: async () => actsFor(await allClusters(world.table), principal, world.clock.now()),
});
const beatBy = (world: TestWorld, principal: string | null, cluster: string, clusterUid = 'u') =>
  beatCluster(
    { ...world, caller: principal === null ? NOT_BOUND : callerIn(world, principal) },
    { cluster, clusterUid, agentVersion: '1.0' },
  );

describe('the cluster that a principal acts for', () => {
  const goneSince = (ms: number) => NOON - HEARTBEAT_STALE_MS - ms;
  it.each<[string, Cluster[], string | undefined]>([
    ['is none that does not know it', [aCluster({ principals: [OTHER] }), aCluster({ principals: [] })], undefined],
    ['is the one that claimed it', [aCluster({ cluster: 'a', principals: [OTHER] }), aCluster({ cluster: 'b' })], 'b'],
    ['stays the same when its agent is gone', [aCluster({ cluster: 'b', lastHeartbeat: 0 })], 'b'],
    ['is the one that is heard', [aCluster({ cluster: 'a', lastHeartbeat: goneSince(1) }), aCluster({ cluster: 'b' })], 'b'],
    ['is the first by name of two', [aCluster({ cluster: 'b' }), aCluster({ cluster: 'a' }), aCluster({ cluster: 'c' })], 'a'],
    [
      'is the last that was heard, if none is',
      [aCluster({ cluster: 'a', lastHeartbeat: goneSince(2) }), aCluster({ cluster: 'b', lastHeartbeat: goneSince(1) })],
      'b',
    ],
  ])('%s', (_, clusters, expected) => {
    expect(actsFor(clusters, ROLE, NOON)?.cluster).toBe(expected);
  });
});

describe('a heartbeat', () => {
  it('claims the name for the role that sends it', async () => {
    const world = await aWorld();
    expect(await beatBy(world, ROLE, 'alpha')).toMatchObject({ cluster: 'alpha', principals: [ROLE], lastHeartbeat: NOON });
    await expect(requireOwn(callerIn(world, ROLE), 'alpha')).resolves.toBeUndefined();
    await expect(requireOwn(callerIn(world, ROLE), 'beta')).rejects.toMatchObject({
      code: 'not_authorized',
      message: `${ROLE} acts for cluster alpha, and so not for beta: each cluster's head node needs a role of its own`,
      details: { principal: ROLE, acts_for: 'alpha', cluster: 'beta' },
    });
    await expect(requireOwn(callerIn(world, OTHER), 'beta')).resolves.toBeUndefined();
  });

  it('is refused to another role while the cluster is heard, and taken as soon as it is not', async () => {
    const world = await aWorld();
    await beatBy(world, ROLE, 'alpha');
    world.clock.advance(HEARTBEAT_STALE_MS);
    await expect(beatBy(world, OTHER, 'alpha')).rejects.toMatchObject({
      code: 'cluster_conflict',
      message: expect.stringMatching(`^${ROLE} acts for cluster alpha, and so not ${OTHER}: an administrator can name both`),
      details: { cluster: 'alpha', principals: [ROLE] },
    });
    world.clock.advance(1);
    expect(await beatBy(world, OTHER, 'alpha')).toMatchObject({ principals: [OTHER] });
    await expect(beatBy(world, ROLE, 'alpha')).rejects.toMatchObject({ code: 'cluster_conflict' });
  });

  it('is refused to another uid while the cluster is heard', async () => {
    const world = await aWorld();
    await beatBy(world, null, 'alpha');
    await expect(beatBy(world, null, 'alpha', 'rebuilt')).rejects.toMatchObject({ code: 'cluster_conflict' });
  });

  it('of a second cluster by the same role is refused, until the first is not heard any more: then it was renamed', async () => {
    const world = await aWorld();
    await beatBy(world, ROLE, 'alpha');
    world.clock.advance(HEARTBEAT_STALE_MS);
    await expect(beatBy(world, ROLE, 'beta')).rejects.toMatchObject({ code: 'not_authorized', details: { acts_for: 'alpha' } });
    world.clock.advance(1);
    expect(await beatBy(world, ROLE, 'beta')).toMatchObject({ cluster: 'beta', principals: [ROLE] });
    await expect(requireOwn(callerIn(world, ROLE), 'alpha')).rejects.toMatchObject({ details: { acts_for: 'beta' } });
  });
});

describe('an administrator', () => {
  it('names who acts for a cluster, and then each of them may', async () => {
    const world = await aWorld();
    await beatBy(world, ROLE, 'alpha');
    expect(await namePrincipals(world, { cluster: 'alpha', principals: [ROLE, OTHER] })).toMatchObject({ principals: [ROLE, OTHER] });
    expect(await beatBy(world, OTHER, 'alpha')).toMatchObject({ principals: [ROLE, OTHER] });
    await expect(requireOwn(callerIn(world, OTHER), 'beta')).rejects.toMatchObject({ code: 'not_authorized' });
  });

  it('cannot give a role two clusters, but the one that is not heard any more', async () => {
    const world = await aWorld();
    await beatBy(world, ROLE, 'alpha');
    await beatBy(world, OTHER, 'beta');
    const both = namePrincipals(world, { cluster: 'alpha', principals: [ROLE, OTHER] });
    await expect(both).rejects.toMatchObject({ code: 'not_authorized', details: { principal: OTHER, acts_for: 'beta' } });
    world.clock.advance(HEARTBEAT_STALE_MS + 1);
    expect(await namePrincipals(world, { cluster: 'alpha', principals: [ROLE, OTHER] })).toMatchObject({ principals: [ROLE, OTHER] });
  });

  it('hears that a cluster is not known', async () => {
    const world = await aWorld();
    await expect(namePrincipals(world, { cluster: 'alpha', principals: [ROLE] })).rejects.toMatchObject({ code: 'cluster_not_found' });
  });

  it('sees more clusters than fit on a page', async () => {
    const world = await aWorld();
    const names = Array.from({ length: 501 }, (_, i) => `c${String(i).padStart(3, '0')}`);
    for (const cluster of names)
      await world.table.beat({ cluster, clusterUid: 'u', agentVersion: null, lastHeartbeat: NOON, principal: null }, 0);
    expect((await allClusters(world.table)).map(({ cluster }) => cluster)).toEqual(names);
  });
});

describe('the store of a caller that acts for a cluster', () => {
  it('finds and changes no hold of another', async () => {
    const world = await aWorld();
    await world.open({ limit: 1_000_000_000n });
    const hold = await aPlacedHold(world);
    const ownStore = ownClusterOnly(world.store, callerIn(world, ROLE));
    expect(await ownStore.readHold(hold.holdId)).toEqual(hold); // Bound to nothing yet.

    await beatBy(world, ROLE, 'alpha');
    const denied = { code: 'cluster_conflict', details: { hold_id: hold.holdId, acts_for: 'alpha', cluster: hold.cluster } };
    await expect(ownStore.readHold(hold.holdId)).rejects.toMatchObject(denied);
    await expect(ownStore.commit({ accounts: [], entries: [], hold: { before: hold, after: hold } })).rejects.toMatchObject(denied);
    expect(await ownStore.readHold('another')).toBeUndefined();
    expect(await ownStore.commit({ accounts: [], entries: [], deposit: { account: 'physics', depositId: 'd', amount: 1n } })).toEqual({
      booked: true,
    });
  });

  it('is the whole store for a caller that nobody binds', async () => {
    const world = await aWorld();
    expect(ownClusterOnly(world.store, NOT_BOUND)).toBe(world.store);
    expect(await NOT_BOUND.cluster()).toBeUndefined();
  });
});
