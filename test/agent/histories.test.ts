// Random lives of a cluster: jobs of every kind come and go while slurmctld, slurmdbd, the agent and the API fail in turn. At the end
// the account has paid for what really ran, once, and nothing is held.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { noConnection } from '#test/agent/service';
import { type AgentWorld, aJobSpec, createAgentWorld, ORPHAN_AFTER_MS } from '#test/agent/world';

const RUNS = Number(process.env.ASBB_PROPERTY_RUNS ?? 300);
const ORPHAN_AFTER_SECONDS = ORPHAN_AFTER_MS / 1000;
const MAX_CLOSING_PASSES = 40;

/** What may happen next; `pick` chooses among the jobs there are. */
type Step = (world: AgentWorld, submitted: string[], pick: number) => Promise<unknown> | unknown;

const chosen = (submitted: readonly string[], pick: number): string => submitted[pick % Math.max(1, submitted.length)] ?? 'none';

const submit =
  (given: (pick: number) => Parameters<typeof aJobSpec>[0]): Step =>
  async (world, submitted, pick) => {
    const jobId = await world.submit(aJobSpec(given(pick))).catch(() => undefined); // The API is away: the plugin refuses.
    if (jobId !== undefined) submitted.push(jobId);
  };

/** The agent's own misfortunes end its pass, and the next one goes on. */
const pass = async (world: AgentWorld): Promise<void> => {
  await world.pass().catch((error: unknown) => {
    if (!(error instanceof Error) || !/cannot reach|SlurmSilent|failed|away/.test(`${error.name} ${error.message}`)) throw error;
  });
};

/** The API takes this many requests, and then dies in the middle of one: before it did anything, or before it could answer. */
const dieAfter = (count: number, when: 'before' | 'after') => {
  let left = count;
  return async (_: unknown, serve: () => Promise<Response>): Promise<Response> => {
    left -= 1;
    if (left > 0) return serve();
    if (left === 0 && when === 'after') await serve();
    return noConnection();
  };
};

const STEPS: Readonly<Record<string, Step>> = {
  job: submit((pick) => ({ nodes: 1 + (pick % 3) })),
  array: submit((pick) => ({ tasks: 2 + (pick % 5) })),
  list: submit((pick) => ({ partition: pick % 2 === 0 ? 'local,aws' : 'aws,local' })),
  unguarded: submit(() => ({ partition: 'local' })),
  unasked: (world, submitted) => submitted.push(world.sim.submit(aJobSpec())),
  inVain: (world) => world.submitInVain(aJobSpec()).catch(() => undefined),
  start: (world, submitted, pick) => world.sim.start(chosen(submitted, pick)),
  startMore: (world, submitted, pick) => world.sim.start(chosen(submitted, pick + 1)),
  complete: (world, submitted, pick) => world.sim.end(chosen(submitted, pick), 'COMPLETED'),
  fail: (world, submitted, pick) => world.sim.end(chosen(submitted, pick), 'TIMEOUT'),
  requeue: (world, submitted, pick) => world.sim.requeue(chosen(submitted, pick)),
  preempt: (world, submitted, pick) => world.sim.requeue(chosen(submitted, pick), 'PREEMPTED'),
  cancel: (world, submitted, pick) => world.sim.cancelWaiting(chosen(submitted, pick)),
  cancelTask: (world, submitted, pick) => world.sim.cancelWaitingTask(chosen(submitted, pick)),
  limit: (world, submitted, pick) => world.sim.change(chosen(submitted, pick), { limitSeconds: 600 + 60 * (pick % 50) }),
  // The agent sees it before the job ends.
  account: async (world, submitted, pick) => {
    world.sim.change(chosen(submitted, pick), { account: pick % 2 === 0 ? 'chem' : 'physics' });
    await pass(world);
  },
  overwrite: (world, submitted, pick) => world.sim.overwriteComment(chosen(submitted, pick)),
  pass,
  passAgain: pass,
  killAgent: (world) => world.killAgent(),
  loseState: (world) => world.loseState(),
  killAgentInMidPass: async (world, _, pick) => {
    world.service.around(dieAfter(1 + (pick % 12), pick % 2 === 0 ? 'before' : 'after'));
    await pass(world);
    world.service.around((__, serve) => serve());
    world.killAgent();
  },
  apiAway: (world) => world.service.around(noConnection),
  apiBack: (world) => world.service.around((_, serve) => serve()),
  dbdAway: (world) => {
    world.sim.accounting.isUp = false;
  },
  dbdBack: (world) => {
    world.sim.accounting.isUp = true;
  },
  squeueFails: (world) => world.sim.failing.add('squeue'),
  slurmWell: (world) => world.sim.failing.clear(),
  save: (world) => world.sim.save(),
  wait: (world, _, pick) => world.advance(pick % 400),
};

/** Steps that only happen to clusters whose slurmctld is killed before it saved its state. */
const CRASH: Readonly<Record<string, Step>> = { crash: (world) => world.sim.crash() };

const history = (steps: Readonly<Record<string, Step>>) =>
  fc.array(fc.record({ name: fc.constantFrom(...Object.keys(steps)), pick: fc.nat(1000) }), { minLength: 10, maxLength: 80 });

const live = async (world: AgentWorld, steps: Readonly<Record<string, Step>>, lived: readonly { name: string; pick: number }[]) => {
  const submitted: string[] = [];
  for (const { name, pick } of lived) {
    world.advance(1 + (pick % 20));
    await steps[name]?.(world, submitted, pick);
  }
  world.service.around((_, serve) => serve());
  world.sim.failing.clear();
  world.sim.accounting.isUp = true;
};

/** Everything ends, and the agent has its time. */
const close = async (world: AgentWorld): Promise<number> => {
  await world.pass();
  for (const jobId of world.sim.live()) {
    for (let more = true; more; ) {
      world.advance(7);
      more = world.sim.end(jobId, 'COMPLETED') || world.sim.cancelWaiting(jobId);
    }
  }
  for (let passes = 1; passes <= MAX_CLOSING_PASSES; passes++) {
    world.advance(ORPHAN_AFTER_SECONDS / 2);
    await world.pass();
    const held = (await world.account()).held;
    if (held === 0n && passes >= 4) return passes;
  }
  return MAX_CLOSING_PASSES + 1;
};

describe('after any life of a cluster', () => {
  it('each run is charged once, at what it cost, and nothing is held', async () => {
    await fc.assert(
      fc.asyncProperty(history(STEPS), async (lived) => {
        const world = await createAgentWorld();
        await world.pass();
        await live(world, STEPS, lived);
        await close(world);
        const { available, held, used, limit } = await world.account();
        expect({ held, used }).toEqual({ held: 0n, used: world.trueCost() });
        expect(available).toBe(limit - used);
        expect(await world.auditDifferences()).toEqual([]);
        expect(world.aside).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  }, 600_000);

  it('in which slurmctld forgets jobs, what it forgot is charged for as long as it was seen, and nothing is held', async () => {
    const steps = { ...STEPS, ...CRASH };
    await fc.assert(
      fc.asyncProperty(history(steps), async (lived) => {
        const world = await createAgentWorld();
        await world.pass();
        await live(world, steps, lived);
        await close(world);
        const { available, held, used, limit } = await world.account();
        expect(held).toBe(0n);
        expect(available).toBe(limit - used);
        expect(used).toBeGreaterThanOrEqual(world.trueCost());
        if (world.sim.forgottenRuns.length === 0) expect(used).toBe(world.trueCost());
        expect(await world.auditDifferences()).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  }, 600_000);
});
