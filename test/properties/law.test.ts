// The money law after any sequence of operations.
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDynamoBudgets } from '#adapters/dynamo-budgets';
import { createMemoryBudgets } from '#adapters/memory-budgets';
import type { BudgetStore } from '#app/ports';
import { useDynamoDb } from '#test/contract/dynamodb';
import { createClock, createWorld } from '#test/money/world';
import { readMoney, requireLaw, requireUnchanged } from '#test/properties/law';
import { addPartitions, isRefused, lives, type Operation, PLACES } from '#test/properties/operations';

const RUNS_IN_MEMORY = Number(process.env.ASBB_PROPERTY_RUNS ?? 10_000);
const RUNS_ON_DYNAMODB = Math.min(100, RUNS_IN_MEMORY);
const PATIENCE_MS = 600_000;

/** Does all of it, and looks at the money after each step. */
const live = async (store: BudgetStore, operations: readonly Operation[]): Promise<{ done: number; refused: number }> => {
  const clock = createClock();
  const world = createWorld({ store, clock });
  await addPartitions(world);
  const life = { world, clock, asked: new Map() };
  let before = await readMoney(store, PLACES);
  let refused = 0;
  for (const [step, each] of operations.entries()) {
    clock.advance(1);
    try {
      const isNo = await isRefused(each(life));
      const after = await readMoney(store, PLACES);
      if (isNo) requireUnchanged(before, after);
      await requireLaw(world, after);
      refused += isNo ? 1 : 0;
      before = after;
    } catch (cause) {
      throw new Error(`step ${step + 1}, ${each}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  }
  return { done: operations.length - refused, refused };
};

/** fast-check's own report of a failure has the seed, the path and the shortest sequence that fails. */
const hold = async (operations: fc.Arbitrary<Operation[]>, runs: number, newStore: () => Promise<BudgetStore>) => {
  const sum = { done: 0, refused: 0 };
  const property = fc.asyncProperty(operations, async (each) => {
    const { done, refused } = await live(await newStore(), each);
    sum.done += done;
    sum.refused += refused;
  });
  await fc.assert(property, { numRuns: runs, endOnFailure: false });
  return sum;
};

describe('available + held + used = limit, held = open holds, unconfirmed = unbound ones, used = runs, and the ledger agrees', () => {
  it(`after any operations in any order, ${RUNS_IN_MEMORY} times in memory`, { timeout: PATIENCE_MS }, async () => {
    const sum = await hold(lives({ longest: 36 }), RUNS_IN_MEMORY, async () => createMemoryBudgets());
    console.log(`law in memory: ${RUNS_IN_MEMORY} sequences, ${sum.done} operations done, ${sum.refused} refused`);
    expect(sum.done).toBeGreaterThan(sum.refused / 3); // Else most of it would prove nothing.
  });

  describe('on DynamoDB Local', () => {
    const dynamo = useDynamoDb();

    it(`after any operations in any order, ${RUNS_ON_DYNAMODB} times`, { timeout: PATIENCE_MS }, async () => {
      const newStore = async () => createDynamoBudgets({ client: dynamo.document, table: await dynamo.fresh() });
      const sum = await hold(lives({ longest: 7 }), RUNS_ON_DYNAMODB, newStore);
      console.log(`law on DynamoDB Local: ${RUNS_ON_DYNAMODB} sequences, ${sum.done} operations done, ${sum.refused} refused`);
    });
  });
});
