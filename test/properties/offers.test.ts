// The law of counter-offers: what a refusal says would fit is admitted when it is submitted, and a little more is not.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkPatience } from '#app/patience';
import { placeHold } from '#app/place-hold';
import { pricingOf } from '#app/price-partitions';
import type { Verdict } from '#app/verdict';
import type { ArraySpec } from '#domain/array-spec';
import { BudgetError } from '#domain/errors';
import type { Job } from '#domain/job';
import type { PartitionModel } from '#domain/partition';
import { type Offers, quoteOf } from '#domain/quote';
import { aModel } from '#test/support/builders';
import { aWorld, type TestWorld } from '#test/support/world';

const RUNS = Number(process.env.ASBB_PROPERTY_RUNS ?? 10_000);
const MINUTE = 60;
const MONTH = 30 * 24 * 60 * MINUTE;

const PARTITIONS: readonly PartitionModel[] = [
  aModel(),
  aModel({ partition: 'cores', threadsPerCore: 1, discountFactorE6: 333_333n, overheadMinutes: 7, overheadPerNodeHour: 12_345n }),
  aModel({ partition: 'mixed', instanceTypes: ['c5.9xlarge', 'c5.18xlarge', 'p3.2xlarge'], defaultWallTimeSeconds: 5 * MINUTE + 1 }),
  aModel({ partition: 'shared', instanceTypes: ['c5.9xlarge', 'c5.18xlarge'], allocation: 'shared', overheadMinutes: 3 }),
  aModel({ partition: 'gpus', instanceTypes: ['p3.2xlarge'], allocation: 'shared', memoryPerNodeMib: 60_000 }),
  aModel({ partition: 'flat', instanceTypes: [], unpriced: 'flat', flatRatePerNodeHour: 1_234_567n, defaultWallTimeSeconds: MONTH }),
];

const few = fc.integer({ min: 1, max: 12 });
const many = fc.oneof(few, fc.integer({ min: 1, max: 2_000 }));
const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const tasksAsArray = (tasks: number): ArraySpec => ({ ranges: [{ first: 0, last: tasks - 1, step: 1 }] });

const partitions = fc.subarray(
  PARTITIONS.map(({ partition }) => partition),
  { minLength: 1, maxLength: 2 },
);
/** As the plugin sends it: a plain `--nodes=8` is 8 to 8, a range is its ends, and from the API nodes may stand alone. */
const nodes = fc.oneof(
  fc.constant({}),
  many.map((most) => ({ nodes: most })),
  many.map((most) => ({ nodes: most, minNodes: most })),
  fc.tuple(few, few).map(([a, b]) => ({ nodes: Math.max(a, b), minNodes: Math.min(a, b) })),
);
const wallTime = fc.oneof(
  fc.constant({}),
  fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: MONTH })).map((wallTimeSeconds) => ({ wallTimeSeconds })),
);
const size = fc.record({
  ntasks: option(many),
  cpus: option(many),
  cpusPerTask: option(few),
  gpus: option(fc.integer({ min: 0, max: 9 })),
  gpusPerNode: option(fc.integer({ min: 0, max: 1 })),
  gpuType: option(fc.constantFrom('v100', 'a100', 'big')),
  memoryMib: option(fc.integer({ min: 0, max: 80_000 })),
  memoryPerCpuMib: option(fc.integer({ min: 0, max: 8_000 })),
  exclusive: option(fc.boolean()),
  array: option(many.map(tasksAsArray)),
});
const job = fc.tuple(partitions, nodes, wallTime, size).map(([where, count, time, rest]): Omit<Job, 'account'> => {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return { partitions: where, cluster: 'hpc', ...count, ...time, ...given };
});
/** What the account has, of what the job needs: never enough. */
const budgetPpm = fc.oneof(fc.integer({ min: 0, max: 999_999 }), fc.constantFrom(0, 1, 999_999));

type Asked = Omit<Job, 'account'>;
interface Case {
  readonly world: TestWorld;
  readonly budget: bigint;
}

let accounts = 0;
/** Submits to an account of its own that has exactly the budget. */
const submit = async ({ world, budget }: Case, asked: Asked): Promise<Verdict> => {
  accounts += 1;
  const account = `a${accounts}`;
  await world.open({ account, limit: budget });
  return placeHold(world, { job: { ...asked, account }, holdId: undefined });
};

/** What `--time=...`, `--nodes=...` and `--array=...` make of the job. Who named a range of nodes needs its least. */
const CHANGES: Readonly<Record<keyof Offers, (asked: Asked, n: number) => Asked>> = {
  wallTimeSeconds: (asked, wallTimeSeconds) => ({ ...asked, wallTimeSeconds }),
  nodes: (asked, count) => ({ ...asked, nodes: count, ...(asked.minNodes === asked.nodes ? { minNodes: count } : {}) }),
  arrayTasks: (asked, tasks) => ({ ...asked, array: tasksAsArray(tasks) }),
};
const STEPS: Readonly<Record<keyof Offers, number>> = { wallTimeSeconds: MINUTE, nodes: 1, arrayTasks: 1 };
const KINDS = Object.keys(CHANGES) as (keyof Offers)[];

/** Refused for money; or it does not fit, which only fewer nodes make of a job that fitted. */
const isRefused = async (each: Case, kind: keyof Offers, asked: Asked): Promise<boolean> => {
  try {
    const { decision, refusal } = await submit(each, asked);
    return decision === 'refused' && (refusal?.code === 'insufficient_budget' || refusal?.code === 'limit_exceeded');
  } catch (error) {
    if (kind === 'nodes' && error instanceof BudgetError && error.code === 'does_not_fit') return true;
    throw error;
  }
};

const needed = async (world: TestWorld, asked: Asked): Promise<bigint | undefined> => {
  try {
    const whole = { ...asked, account: '' };
    return quoteOf(await pricingOf(world, whole, { patience: checkPatience(world.clock) }), whole).holdAmount;
  } catch (error) {
    if (error instanceof BudgetError && (error.code === 'does_not_fit' || error.code === 'no_wall_time')) return undefined;
    throw error;
  }
};

describe('a counter-offer', () => {
  it(`is admitted, and a minute, node or task more is refused: ${RUNS} jobs and budgets`, async () => {
    const counts = { wallTimeSeconds: 0, nodes: 0, arrayTasks: 0, none: 0 };
    let world = await aWorld(PARTITIONS);
    await fc.assert(
      fc.asyncProperty(job, budgetPpm, async (asked, ppm) => {
        // Fresh now and then, so that the accounts do not pile up.
        if (accounts % 5_000 === 0) world = await aWorld(PARTITIONS);
        const whole = await needed(world, asked);
        fc.pre(whole !== undefined);
        const each: Case = { world, budget: (whole * BigInt(ppm)) / 1_000_000n };
        const { decision, refusal } = await submit(each, asked);
        expect(decision).toBe('refused');
        const offers = refusal?.offers ?? {};
        if (Object.keys(offers).length === 0) counts.none += 1;
        for (const kind of KINDS) {
          const offer = offers[kind];
          if (offer !== undefined) {
            counts[kind] += 1;
            expect((await submit(each, CHANGES[kind](asked, offer))).decision).toBe('admitted');
          }
          if (offer === undefined && kind === 'arrayTasks' && asked.array === undefined) continue; // There is nothing to have less of.
          expect(await isRefused(each, kind, CHANGES[kind](asked, (offer ?? 0) + STEPS[kind]))).toBe(true);
        }
      }),
      { numRuns: RUNS },
    );
    // Else the law would hold of nothing.
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(RUNS / 50);
  });
});
