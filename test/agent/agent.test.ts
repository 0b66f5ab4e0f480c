// What one pass after the other does to the money, on a simulated cluster. Real clusters are asked in test/slurm.
import { beforeEach, describe, expect, it } from 'vitest';
import { noConnection } from '#test/agent/service';
import { CLUSTER, MIN_JOB_AGE_SECONDS } from '#test/agent/simulated-slurm';
import { type AgentWorld, aJobSpec, createAgentWorld, ORPHAN_AFTER_MS } from '#test/agent/world';

const ORPHAN_AFTER_SECONDS = ORPHAN_AFTER_MS / 1000;

let world: AgentWorld;
beforeEach(async () => {
  world = await createAgentWorld();
  await world.pass();
});

/** Everything that ended is charged, nothing is held, and the ledger says the same. */
const expectSettled = async (account = 'physics'): Promise<void> => {
  const columns = await world.account(account);
  expect({ ...columns, limit: 0n }).toEqual({
    available: columns.limit - world.trueCost(account),
    held: 0n,
    used: world.trueCost(account),
    limit: 0n,
  });
  expect(await world.auditDifferences()).toEqual([]);
  expect(world.aside).toEqual([]);
};

const submitted = async (...given: Parameters<typeof aJobSpec>): Promise<string> => {
  const jobId = await world.submit(aJobSpec(...given));
  if (jobId === undefined) throw new Error('the job was refused');
  return jobId;
};

const passes = async (count: number, seconds = 15): Promise<void> => {
  for (let pass = 0; pass < count; pass++) {
    world.advance(seconds);
    await world.pass();
  }
};

describe('a job that the plugin let in', () => {
  it('is bound at the first look, once', async () => {
    const jobId = await submitted();
    expect((await world.pass()).counts).toMatchObject({ bound: 1 });
    expect(await world.service.store.readJobLink({ cluster: CLUSTER, jobId })).toMatchObject({ jobId });
    expect((await world.pass()).counts).toMatchObject({ bound: 0, forced: 0 });
  });

  it('is settled at its real time in the pass after its end', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 100);
    world.sim.end(jobId, 'COMPLETED');
    expect((await world.pass()).counts).toMatchObject({ settled: 1 });
    expect((await world.account()).used).toBe(555_556n); // 200 of 3600 s at $10.
    await expectSettled();
  });

  it('is settled though it ran between two looks', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    world.advance(5);
    world.sim.end(jobId, 'FAILED');
    await world.pass();
    await expectSettled();
  });

  it('costs nothing if it was cancelled while it waited', async () => {
    const jobId = await submitted();
    await passes(2);
    world.sim.cancelWaiting(jobId);
    await passes(1);
    expect((await world.account()).used).toBe(0n);
    await expectSettled();
  });

  it('keeps its hold whole from run to run, and is charged for each', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 100);
    world.sim.requeue(jobId);
    await world.pass();
    expect(await world.account()).toMatchObject({ held: 6_000_000n, used: 555_556n });
    world.advance(30);
    world.sim.start(jobId);
    await passes(1, 300);
    world.sim.requeue(jobId, 'PREEMPTED');
    await world.pass();
    world.sim.cancelWaiting(jobId);
    await passes(1);
    await expectSettled();
  });

  it('that ran in an unguarded partition of its list costs nothing', async () => {
    const jobId = await submitted({ partition: 'local,aws' });
    world.sim.start(jobId);
    await passes(1);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    expect((await world.account()).used).toBe(0n);
    await expectSettled();
  });

  it('is booked once slurmdbd knows in which partition of its list it ran, which may be after its end', async () => {
    const jobId = await submitted({ partition: 'local,aws' });
    world.sim.start(jobId);
    world.sim.end(jobId, 'COMPLETED');
    world.sim.rewritePartition(jobId, 'local,aws');
    await passes(2);
    expect((await world.account()).held).toBeGreaterThan(0n);
    world.sim.rewritePartition(jobId, 'local');
    await passes(1);
    expect((await world.account()).used).toBe(0n);
    await expectSettled();
  });

  it.each(['before it starts', 'while it runs'])('is still found after its admin_comment was overwritten %s', async (when) => {
    const jobId = await submitted();
    await world.pass();
    if (when === 'before it starts') world.sim.overwriteComment(jobId);
    world.sim.start(jobId);
    await passes(1);
    world.sim.overwriteComment(jobId);
    world.advance(60);
    world.sim.end(jobId, 'COMPLETED');
    const { counts } = await world.pass();
    expect(counts).toMatchObject({ settled: 1, forced: 0 });
    await expectSettled();
  });

  it('whose run the API cannot book now keeps its hold until it can', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 100);
    world.sim.end(jobId, 'COMPLETED');
    const busy = { error: { code: 'account_contended', message: 'try again' }, request_id: 'test' };
    world.service.around(async ({ body }, serve) =>
      body.includes('"elapsed_seconds"') ? new Response(JSON.stringify(busy), { status: 503 }) : serve(),
    );
    await passes(6, ORPHAN_AFTER_SECONDS);
    expect(await world.account()).toMatchObject({ held: 6_000_000n, used: 0n });
    world.service.around((_, serve) => serve());
    await passes(6, ORPHAN_AFTER_SECONDS);
    await expectSettled();
  });

  it('is settled though its row comes an hour late', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(1);
    world.sim.accounting.isUp = false;
    world.sim.end(jobId, 'COMPLETED');
    await passes(20, 180);
    expect(await world.account()).toMatchObject({ held: 6_000_000n, used: 0n });
    world.sim.accounting.isUp = true;
    await passes(2, 600);
    await expectSettled();
  });
});

describe('an array', () => {
  it('is settled task by task', async () => {
    const jobId = await submitted({ tasks: 4 });
    world.sim.start(jobId);
    world.sim.start(jobId);
    await passes(1, 60);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    expect((await world.account()).held).toBe(18_000_000n);
    world.sim.end(jobId, 'FAILED');
    world.sim.start(jobId);
    world.sim.start(jobId);
    await passes(1, 200);
    world.sim.end(jobId, 'TIMEOUT');
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    await expectSettled();
  });

  it('of which waiting tasks were cancelled one by one, which leave no row, gives their money back in the end', async () => {
    const jobId = await submitted({ tasks: 4 });
    await world.pass();
    world.sim.cancelWaitingTask(jobId);
    world.sim.cancelWaitingTask(jobId);
    world.sim.start(jobId);
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    expect((await world.account()).held).toBe(12_000_000n);
    await passes(2, ORPHAN_AFTER_SECONDS);
    await expectSettled();
  });

  it('whose rest the API could not give back just now has it back in the next pass', async () => {
    const jobId = await submitted({ tasks: 4 });
    await world.pass();
    world.sim.cancelWaitingTask(jobId);
    for (const _ of [1, 2, 3]) world.sim.start(jobId);
    await passes(1, 100);
    for (const _ of [1, 2, 3]) world.sim.end(jobId, 'COMPLETED');
    const busy = { error: { code: 'account_contended', message: 'try again' }, request_id: 'test' };
    world.service.around(async ({ body }, serve) =>
      body.includes('-rest.') ? new Response(JSON.stringify(busy), { status: 503 }) : serve(),
    );
    await passes(4, ORPHAN_AFTER_SECONDS);
    expect((await world.account()).held).toBe(6_000_000n);
    world.service.around((_, serve) => serve());
    await passes(1, 1);
    await expectSettled();
  });

  it('whose hold was missing in the list of holds is closed all the same', async () => {
    const jobId = await submitted({ tasks: 3 });
    await world.pass();
    world.sim.cancelWaitingTask(jobId);
    for (const _ of [1, 2]) world.sim.start(jobId);
    await passes(1);
    for (const _ of [1, 2]) world.sim.end(jobId, 'COMPLETED');
    world.killAgent();
    world.service.around(async ({ path, method }, serve) =>
      method === 'GET' && path === '/holds' ? new Response(JSON.stringify({ holds: [] })) : serve(),
    );
    await passes(1);
    world.service.around((_, serve) => serve());
    expect((await world.account()).held).toBe(6_000_000n);
    await passes(3, ORPHAN_AFTER_SECONDS);
    await expectSettled();
  });

  it('of which a task was cancelled before anybody had held for it is closed all the same', async () => {
    const holdId = '00000000-0000-4000-8000-00000000abcd';
    const jobId = world.sim.submit({ ...aJobSpec({ tasks: 2 }), holdId }); // The plugin failed open, and spooled it.
    world.sim.start(jobId);
    world.sim.cancelWaiting(jobId);
    const busy = { error: { code: 'service_unavailable', message: 'try again' }, request_id: 'test' };
    world.service.around(async ({ path }, serve) =>
      path === '/holds/forced' ? new Response(JSON.stringify(busy), { status: 503 }) : serve(),
    );
    await passes(1);
    world.service.around((_, serve) => serve());
    const body = { hold_id: holdId, account: 'physics', partition: 'aws', nodes: 1, wall_time: '30', cluster: CLUSTER, array: '1-2' };
    await world.service.api.request('forceHold', { body: { ...body, reason: 'the API was away' } });
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    world.killAgent(); // The next one books both runs again.
    await passes(4, ORPHAN_AFTER_SECONDS);
    await expectSettled();
  });

  it('of which the waiting rest was cancelled at once is one record of many tasks', async () => {
    const jobId = await submitted({ tasks: 5 });
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.cancelWaiting(jobId);
    await passes(1);
    expect((await world.account()).held).toBe(6_000_000n);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    await expectSettled();
  });

  it('whose task is requeued keeps that share', async () => {
    const jobId = await submitted({ tasks: 2 });
    world.sim.start(jobId);
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.requeue(jobId);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    expect((await world.account()).held).toBe(6_000_000n);
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    await expectSettled();
  });
});

describe('a hold without a job', () => {
  it('is released in the second look after orphan_after, and not before', async () => {
    await world.submitInVain(aJobSpec());
    await passes(2, ORPHAN_AFTER_SECONDS / 2 - 1);
    expect((await world.account()).held).toBe(6_000_000n);
    world.advance(3);
    expect((await world.pass()).counts).toMatchObject({ released: 1 });
    await expectSettled();
  });

  it('is not released by the first look of an agent, however old it is', async () => {
    await world.submitInVain(aJobSpec());
    world.loseState();
    world.advance(3600);
    expect((await world.pass()).counts.released).toBe(0);
    expect((await world.pass()).counts.released).toBe(1);
  });

  it.each<[string, (slurm: AgentWorld['sim']) => void]>([
    ['squeue failed', ({ failing }) => failing.add('squeue')],
    ['sacct failed', ({ failing }) => failing.add('sacct')],
    ['sdiag failed', ({ failing }) => failing.add('sdiag')],
    ['scontrol failed', ({ failing }) => failing.add('scontrol')],
    [
      'slurmdbd is away',
      ({ accounting }) => {
        accounting.isUp = false;
      },
    ],
    ['slurmctld has just started', (sim) => sim.crash()],
  ])('is kept while %s', async (_, disturb) => {
    await world.submitInVain(aJobSpec());
    await passes(2, 30);
    world.advance(ORPHAN_AFTER_SECONDS);
    disturb(world.sim);
    expect((await world.pass()).counts.released).toBe(0);
    expect((await world.account()).held).toBe(6_000_000n);
    world.sim.failing.clear();
    world.sim.accounting.isUp = true;
    await passes(2, ORPHAN_AFTER_SECONDS);
    await expectSettled();
  });
});

describe('a job without a hold', () => {
  it('in a guarded partition gets a forced one, the same one however often the agent begins anew', async () => {
    const jobId = world.sim.submit(aJobSpec());
    expect((await world.pass()).counts).toMatchObject({ forced: 1 });
    expect((await world.account()).held).toBe(6_000_000n);
    world.loseState();
    expect((await world.pass()).counts).toMatchObject({ forced: 0 });
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    await expectSettled();
  });

  it('that ran and ended between two looks is charged all the same', async () => {
    const jobId = world.sim.submit(aJobSpec());
    world.sim.start(jobId);
    world.advance(30);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    expect((await world.account()).used).toBe(166_667n);
    await expectSettled();
  });

  it('elsewhere is let be', async () => {
    world.sim.submit(aJobSpec({ partition: 'local' }));
    expect((await world.pass()).counts).toMatchObject({ forced: 0, bound: 0 });
  });

  it('of an account that has no budget is counted in every pass, and asked about again only later', async () => {
    world.sim.submit(aJobSpec({ account: 'nobudget' }));
    expect((await world.pass()).unknownAccounts).toEqual({ nobudget: 1 });
    const before = world.service.requests.length;
    expect((await world.pass()).unknownAccounts).toEqual({ nobudget: 1 });
    expect(world.service.requests.slice(before).filter((line) => line.includes('forced'))).toEqual([]);
  });

  it('and with a hold that was released by hand gets another', async () => {
    const jobId = await submitted();
    await world.pass();
    const [hold] = (await world.service.api.request('listHoldsOfCluster', { query: { cluster: CLUSTER } })).holds;
    await world.service.api.request('releaseHold', { path: { hold_id: hold?.hold_id ?? '' }, body: {} });
    world.killAgent();
    await passes(1);
    expect((await world.account()).held).toBe(6_000_000n);
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    await expectSettled();
  });
});

describe('a change that Slurm allowed', () => {
  it('of the time limit is followed, up and down', async () => {
    const jobId = await submitted();
    await world.pass();
    world.sim.change(jobId, { limitSeconds: 3600 });
    await world.pass();
    expect((await world.account()).held).toBe(12_000_000n);
    world.sim.change(jobId, { limitSeconds: 900 });
    await world.pass();
    expect((await world.account()).held).toBe(3_000_000n);
    expect((await world.pass()).counts.adjusted).toBe(0);
  });

  it('beyond the budget overdraws the account, since Slurm has let it happen', async () => {
    const jobId = await submitted();
    await world.pass();
    world.sim.change(jobId, { limitSeconds: 3600 * 24 * 365 * 50 });
    await world.pass();
    const { available, held } = await world.account();
    expect(held).toBe(5_256_000_000_000n);
    expect(available).toBe(-4_256_000_000_000n);
  });

  it('of the account moves the hold', async () => {
    const jobId = await submitted();
    await world.pass();
    world.sim.change(jobId, { account: 'chem' });
    await world.pass();
    expect((await world.account()).held).toBe(0n);
    expect((await world.account('chem')).held).toBe(6_000_000n);
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    await expectSettled('chem');
  });
});

describe('a job that waits for long', () => {
  it('keeps its hold for a month by an extension every twelve hours', async () => {
    const jobId = await submitted();
    let extended = 0;
    for (let hour = 0; hour < 24 * 30; hour += 1) {
      world.advance(3600);
      extended += (await world.pass()).counts.extended;
      await world.service.sweep();
    }
    expect((await world.account()).held).toBe(6_000_000n);
    expect(extended).toBeGreaterThanOrEqual(50);
    expect(extended).toBeLessThanOrEqual(62);
    world.sim.start(jobId);
    world.advance(60);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    await expectSettled();
  });
});

describe('slurmctld that was killed', () => {
  it('before it saved a waiting job forgets it: its hold is closed at nothing', async () => {
    await submitted();
    await world.pass();
    world.sim.crash();
    await passes(1);
    expect((await world.account()).held).toBe(6_000_000n);
    await passes(3, ORPHAN_AFTER_SECONDS);
    expect(await world.account()).toMatchObject({ held: 0n, used: 0n });
    expect(await world.auditDifferences()).toEqual([]);
  });

  it('again and again: its holds are closed in the pass after its word counts', async () => {
    await submitted();
    await world.pass();
    world.sim.crash();
    for (let kills = 0; kills < 6; kills++) {
      await passes(7, 15);
      world.sim.crash();
    }
    await passes(ORPHAN_AFTER_SECONDS / 15 - 1, 15);
    expect((await world.account()).held).toBe(6_000_000n);
    await passes(2, 15);
    expect((await world.account()).held).toBe(0n);
  });

  it('before it saved a running job: it is charged until it was missed', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 100);
    world.sim.crash();
    await passes(1, 15);
    world.killAgent();
    await passes(3, ORPHAN_AFTER_SECONDS);
    expect(await world.account()).toMatchObject({ held: 0n, used: 597_223n }); // 215 s.
    expect(await world.auditDifferences()).toEqual([]);
  });

  it('and gave its number to another job: each has its own hold', async () => {
    await submitted();
    await world.pass();
    world.sim.crash();
    world.advance(60);
    const second = await submitted({ nodes: 3 });
    await passes(4, ORPHAN_AFTER_SECONDS);
    expect((await world.account()).held).toBe(18_000_000n);
    world.sim.start(second);
    await passes(1, 100);
    world.sim.end(second, 'COMPLETED');
    await passes(1);
    await expectSettled();
  });
});

describe('a run that Slurm accounts for anew', () => {
  it('is charged at what is said last, in any order of deaths', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    // A slurmdbd that was killed may have the end before the beginning.
    world.sim.accountAnew(jobId, { nodes: 0, tres: '', partition: '', startedAt: null });
    await world.pass();
    world.sim.accountAnew(jobId, { nodes: 1, tres: 'cpu=1,node=1', partition: 'aws', startedAt: world.nowMs() / 1000 - 100 });
    expect((await world.pass()).counts).toMatchObject({ corrected: 1 });
    world.killAgent();
    await passes(2);
    await expectSettled();
  });

  it('is charged at what is said last, also when that is what was said first', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    await world.pass();
    const endedAt = world.nowMs() / 1000;
    world.sim.accountAnew(jobId, { endedAt: endedAt + 50 });
    await passes(1, 60);
    expect((await world.account()).used).toBe(416_667n); // 150 s.
    world.sim.accountAnew(jobId, { endedAt });
    await passes(1);
    expect((await world.account()).used).toBe(277_778n);
    world.sim.accountAnew(jobId, { endedAt: endedAt + 50 });
    await passes(1);
    expect((await world.account()).used).toBe(416_667n);
    world.sim.accountAnew(jobId, { endedAt });
    await passes(1);
    await expectSettled();
  });

  it('stays at what somebody knew it to have cost', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    await world.pass();
    const hold = await world.service.store.readJobLink({ cluster: CLUSTER, jobId });
    const [run] = (await world.service.api.request('showHold', { path: { hold_id: hold?.holdId ?? '' } })).runs;
    await world.service.api.request('correctRun', {
      path: { hold_id: hold?.holdId ?? '', run_id: run?.run_id ?? '' },
      body: { actual_cost: 0.07, correction_id: 'bill-3', note: 'as on the bill' },
    });
    world.sim.accountAnew(jobId, { endedAt: world.nowMs() / 1000 + 30 });
    await passes(2, 60);
    expect(await world.account()).toMatchObject({ used: 70_000n, held: 0n });
    expect(world.aside).toEqual([]);
  });

  it('because the job was taken up again after its end is charged once, and its second hold is given back', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    await world.pass();
    world.sim.revive(jobId);
    await passes(1, 100);
    expect((await world.account()).held).toBe(6_000_000n);
    world.sim.end(jobId, 'NODE_FAIL');
    world.killAgent();
    await passes(3, ORPHAN_AFTER_SECONDS);
    expect((await world.account()).used).toBe(555_556n); // 200 s.
    await expectSettled();
  });

  it.each(['whose mark was overwritten', 'that nobody has asked about'])(
    'of a job %s is charged once, by another agent too',
    async (which) => {
      const jobId = which === 'whose mark was overwritten' ? await submitted() : world.sim.submit(aJobSpec());
      world.sim.start(jobId);
      await passes(1, 100);
      world.sim.overwriteComment(jobId);
      world.sim.end(jobId, 'COMPLETED');
      await world.pass();
      world.sim.revive(jobId);
      await passes(1, 100);
      world.killAgent();
      world.sim.end(jobId, 'NODE_FAIL');
      await passes(3, ORPHAN_AFTER_SECONDS);
      await expectSettled();
    },
  );

  it('is told again when the API was away, in case it has come back without its last words', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    await world.pass();
    let isAway = true;
    world.service.around((_, serve) =>
      isAway ? Promise.reject(new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') })) : serve(),
    );
    await expect(world.pass()).rejects.toThrow();
    isAway = false;
    const before = world.service.requests.length;
    await passes(2);
    expect(world.service.requests.slice(before).filter((request) => request.endsWith('/runs'))).toHaveLength(1);
    await expectSettled();
  });
});

describe('a run that was reported by hand', () => {
  it('before the agent saw it is charged once', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    const [hold] = (await world.service.api.request('listHoldsOfCluster', { query: { cluster: CLUSTER } })).holds;
    world.advance(5);
    await world.service.api.request('reconcile', { body: { hold_id: hold?.hold_id, actual_cost: 0.5 } });
    const { counts } = await world.pass();
    expect(counts).toMatchObject({ corrected: 1 });
    expect(await world.account()).toMatchObject({ used: 500_000n, held: 0n });
    await passes(2);
    expect(await world.account()).toMatchObject({ used: 500_000n, held: 0n });
  });
});

describe('without slurmdbd', () => {
  beforeEach(async () => {
    world = await createAgentWorld({ hasAccounting: false });
    await world.pass();
  });

  it('a job is settled from what squeue remembers of it', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 100);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    await expectSettled();
    await passes(2);
    await expectSettled();
  });

  it('a requeued run is charged until its job was submitted anew', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 100);
    world.sim.requeue(jobId);
    await passes(1, 10);
    expect(await world.account()).toMatchObject({ held: 6_000_000n, used: 555_556n }); // 200 s.
    world.sim.start(jobId);
    await passes(1, 60);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1);
    expect(await world.account()).toMatchObject({ held: 0n, used: 555_556n + 166_667n });
    expect(await world.auditDifferences()).toEqual([]);
  });

  it('a requeued run is booked by a later pass if the API is away when it is noticed', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 100);
    world.sim.requeue(jobId);
    world.advance(10);
    world.service.around(async ({ path }, serve) => (path.endsWith('/runs') ? noConnection() : serve()));
    await expect(world.pass()).rejects.toThrow();
    world.service.around((_, serve) => serve());
    world.killAgent(); // What only it remembered is gone.
    await passes(1, 10);
    expect(await world.account()).toMatchObject({ held: 6_000_000n, used: 555_556n });
  });

  it('a run is charged, though its job was requeued and cancelled before the next look', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 100);
    world.sim.requeue(jobId);
    world.advance(5);
    world.sim.cancelWaiting(jobId);
    await passes(2, 10);
    expect(await world.account()).toMatchObject({ held: 0n, used: 555_556n });
  });

  it('a job that waited, and was missed after a gap, may have run: its hold is left to expire', async () => {
    const jobId = await submitted();
    await passes(2, 15);
    world.sim.start(jobId);
    world.advance(60);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1, 2 * 3600);
    await passes(4, ORPHAN_AFTER_SECONDS);
    expect(await world.account()).toMatchObject({ held: 6_000_000n, used: 0n });
  });

  it('a job that ran, and was missed after a gap, is charged no longer than its limit', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(2, 15);
    world.advance(60);
    world.sim.end(jobId, 'COMPLETED');
    await passes(1, 2 * 3600);
    await passes(4, ORPHAN_AFTER_SECONDS);
    expect(await world.account()).toMatchObject({ held: 0n, used: 5_000_000n }); // Half an hour.
  });

  it('an orphan is released if every look followed the one before within the memory of squeue', async () => {
    await world.submitInVain(aJobSpec());
    await passes(3, ORPHAN_AFTER_SECONDS / 2);
    await expectSettled();
  });

  it('an orphan is left to expire if looks were missed', async () => {
    await world.submitInVain(aJobSpec());
    world.advance(MIN_JOB_AGE_SECONDS + 1);
    await passes(4, 60);
    expect((await world.account()).held).toBe(6_000_000n);
  });

  it('a run whose end nobody saw is charged until it was missed', async () => {
    const jobId = await submitted();
    world.sim.start(jobId);
    await passes(1, 100);
    world.sim.end(jobId, 'COMPLETED');
    world.advance(MIN_JOB_AGE_SECONDS + 100);
    await passes(1, 100);
    await passes(3, ORPHAN_AFTER_SECONDS);
    expect(await world.account()).toMatchObject({ held: 0n, used: 1_666_667n }); // 600 s.
    expect(await world.auditDifferences()).toEqual([]);
  });
});
