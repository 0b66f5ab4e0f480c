// Every verb of a hold after every other, for a hold of one task and for an array: what comes of it.
import { describe, expect, it } from 'vitest';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import { adjustHold } from '#app/adjust-hold';
import { bindHold } from '#app/bind-hold';
import { correctRun } from '#app/correct-run';
import { expireHolds } from '#app/expire-holds';
import { extendHold } from '#app/extend-hold';
import { forceHold } from '#app/force-hold';
import { placeHold } from '#app/place-hold';
import type { World } from '#app/ports';
import { releaseHold } from '#app/release-hold';
import { settleRuns } from '#app/settle-runs';
import { BudgetError } from '#domain/errors';
import type { HoldState } from '#domain/hold';
import { aJob, createClock, createWorld, NOON, type TestClock, tenDollars, USD } from '#test/money/world';
import { readMoney, requireLaw, requireUnchanged } from '#test/properties/law';

const HOLD_ID = '6f1c0f5e-0000-4000-8000-00000000cafe';
const PLACES = { accounts: ['physics'], holdIds: [HOLD_ID], owners: [] };
const TASKS = 3;
const HOUR_MS = 3_600_000;
const LONGER_THAN_ANY_HOLD_MS = 60 * HOUR_MS;

interface Stage {
  readonly world: World;
  readonly clock: TestClock;
  readonly array: boolean;
  /** How often something was settled: each run has an id of its own. */
  runs: number;
}

const jobOf = ({ array }: Stage) => aJob(array ? { array: { ranges: [{ first: 1, last: TASKS, step: 1 }] } } : {});
const settle = (stage: Stage, report: { final: boolean; tasks: number }) => {
  stage.runs += 1;
  return settleRuns(stage.world, { holdId: HOLD_ID, runs: [{ runId: `run-${stage.runs}`, actualCost: 5n * USD, ...report }] });
};

const VERBS = {
  place: (stage) => placeHold(stage.world, { job: jobOf(stage), holdId: HOLD_ID }),
  force: (stage) => forceHold(stage.world, { job: jobOf(stage), holdId: HOLD_ID, reason: 'adopted' }),
  bind: ({ world }) => bindHold(world, { holdId: HOLD_ID, cluster: 'local', jobId: '4711', submittedAt: NOON }),
  adjust: ({ world }) => adjustHold(world, { holdId: HOLD_ID, adjustment: { nodes: 2 }, mode: 'absolute' }),
  extend: ({ world, clock }) => extendHold(world, { holdId: HOLD_ID, expiresAt: clock.now() + 1000 * HOUR_MS }),
  release: ({ world }) => releaseHold(world, { holdId: HOLD_ID, reason: 'cancelled' }),
  'settle a run that is not the last': (stage) => settle(stage, { final: false, tasks: 1 }),
  'settle a final run': (stage) => settle(stage, { final: true, tasks: 1 }),
  'settle all tasks': (stage) => settle(stage, { final: true, tasks: TASKS }),
  'settle the first run again': ({ world }) =>
    settleRuns(world, { holdId: HOLD_ID, runs: [{ runId: 'run-1', actualCost: 5n * USD, final: true, tasks: 1 }] }),
  correct: ({ world }) => correctRun(world, { holdId: HOLD_ID, runId: 'run-1', actualCost: 8n * USD, correctionId: 'c1', note: 'credit' }),
  expire: ({ world, clock }) => {
    clock.advance(LONGER_THAN_ANY_HOLD_MS);
    return expireHolds(world);
  },
} as const satisfies Record<string, (stage: Stage) => Promise<unknown>>;
type Verb = keyof typeof VERBS;
const verbs = Object.keys(VERBS) as Verb[];

/** What each verb makes of an open hold whose runs so far were `runs`. */
const OF_OPEN: Record<Verb, (was: { array: boolean; ended: number; runs: number }) => HoldState> = {
  place: () => 'open',
  force: () => 'open',
  bind: () => 'open',
  adjust: () => 'open',
  extend: () => 'open',
  release: () => 'released',
  'settle a run that is not the last': () => 'open',
  'settle a final run': ({ array, ended }) => (array && ended + 1 < TASKS ? 'open' : 'settled'),
  'settle all tasks': () => 'settled',
  // If it is the first, it is a final run like any other.
  'settle the first run again': ({ array, runs }) => (array || runs > 0 ? 'open' : 'settled'),
  correct: () => 'open',
  expire: () => 'expired',
};

/** What each verb says to a hold that is closed; `null`: it succeeds, and the hold stays as it was. */
const OF_CLOSED: Record<Verb, 'hold_closed' | null> = {
  place: 'hold_closed',
  force: 'hold_closed',
  bind: 'hold_closed',
  adjust: 'hold_closed',
  extend: 'hold_closed',
  release: 'hold_closed', // But after a release it is the same answer again.
  'settle a run that is not the last': null,
  'settle a final run': null,
  'settle all tasks': null,
  'settle the first run again': null,
  correct: null,
  expire: null,
};

const MOVES_MONEY_OF_CLOSED = new Set<Verb>(['settle a run that is not the last', 'settle a final run', 'settle all tasks']);

const stageOf = async (array: boolean): Promise<Stage> => {
  const clock = createClock();
  const world = createWorld({ store: createMemoryBudgets(), clock });
  await tenDollars(world);
  const stage = { world, clock, array, runs: 0 };
  await VERBS.place(stage);
  return stage;
};

const moneyOf = ({ world }: Stage) => readMoney(world.store, PLACES);

/** Does the verb, and looks whether state, refusal and money are what they must be. */
const act = async (stage: Stage, verb: Verb): Promise<void> => {
  stage.clock.advance(1);
  const before = await moneyOf(stage);
  const was = before.holds[0];
  if (was === undefined) throw new Error('every stage begins with a hold');
  const isFirstRun = before.runs.every(({ runId }) => runId !== 'run-1');
  const refusal = await VERBS[verb](stage).then(
    () => null,
    (error: unknown) => (error instanceof BudgetError ? error.code : Promise.reject(error)),
  );
  if (verb === 'settle the first run again' && stage.runs === 0) stage.runs = 1;
  const after = await moneyOf(stage);

  const expected =
    verb === 'correct' && isFirstRun
      ? 'run_not_found'
      : was.state === 'open' || (verb === 'release' && was.state === 'released')
        ? null
        : OF_CLOSED[verb];
  expect(refusal, `${verb} of a hold that is ${was.state}`).toBe(expected);
  const state = was.state !== 'open' ? was.state : OF_OPEN[verb]({ array: stage.array, ended: was.tasksEnded, runs: before.runs.length });
  expect(after.holds[0]?.state, `after ${verb} of a hold that was ${was.state}`).toBe(state);
  if (refusal !== null) requireUnchanged(before, after);
  if (was.state !== 'open' && MOVES_MONEY_OF_CLOSED.has(verb)) expect(after.runs.at(-1)).toMatchObject({ late: true, cost: 5n * USD });
  await requireLaw(stage.world, after);
};

describe.each([
  { kind: 'one task', array: false },
  { kind: 'an array', array: true },
])('a hold of $kind', ({ array }) => {
  describe.each(verbs)('after %s', (first) => {
    it.each(verbs)('obeys %s as the design says, and the money law holds', async (second) => {
      const stage = await stageOf(array);
      await act(stage, first);
      await act(stage, second);
    });
  });

  it('keeps the law and the states through every three verbs', { timeout: 60_000 }, async () => {
    for (const first of verbs) {
      for (const second of verbs) {
        for (const third of verbs) {
          const stage = await stageOf(array);
          for (const verb of [first, second, third]) await act(stage, verb);
        }
      }
    }
  });
});

describe('a forced hold', () => {
  it.each(verbs)('that overdrew its account obeys %s all the same', async (verb) => {
    const clock = createClock();
    const world = createWorld({ store: createMemoryBudgets(), clock });
    await tenDollars(world);
    const stage = { world, clock, array: false, runs: 0 };
    await forceHold(world, { job: aJob({ nodes: 100 }), holdId: HOLD_ID, reason: 'nobody asked' });
    expect((await moneyOf(stage)).accounts[0]).toMatchObject({ available: -200n * USD, held: 1200n * USD });
    if (verb === 'place') {
      // Another request than the one that was forced.
      await expect(placeHold(world, { job: aJob(), holdId: HOLD_ID })).rejects.toMatchObject({ code: 'hold_conflict' });
    } else if (verb !== 'adjust') await act(stage, verb);
    else {
      await VERBS.adjust(stage); // Two nodes instead of a hundred: lowering is never refused.
      expect((await moneyOf(stage)).accounts[0]).toMatchObject({ available: 976n * USD, held: 24n * USD });
    }
    await requireLaw(world, await moneyOf(stage));
  });
});
