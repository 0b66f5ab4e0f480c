import { describe, expect, it } from 'vitest';
import { priceThreeWays } from '#cli/demo/three-ways';
import { readTrace, type Submission } from '#cli/demo/trace';

const cents = (amount: bigint): bigint => (amount + 5_000n) / 10_000n;

describe('the trace of NREL’s Eagle, on whole c5.18xlarge nodes', () => {
  it('costs what sums of unrounded products say: as requested, held, and really used with and without the minimum of a minute', () => {
    const { requested, held, used, usedWithoutMinimum, belowMinimum } = priceThreeWays(readTrace(), 3.06);
    expect({
      requested: cents(requested),
      held: cents(held),
      used: cents(used),
      usedWithoutMinimum: cents(usedWithoutMinimum),
      belowMinimum,
    }).toStrictEqual({
      requested: 26_097_236n,
      held: 31_316_683n,
      used: 7_090_556n,
      usedWithoutMinimum: 7_086_392n,
      belowMinimum: 36,
    });
  });

  it('is priced submission by submission and run by run: ten tasks of two nodes that asked for an hour and ran half a minute', () => {
    const runs = Array.from({ length: 10 }, (_, i) => ({ runId: `eagle-${i}`, elapsedSeconds: 30, endedAt: 30 }));
    const array: Submission = { id: '1', account: 'a', user: 'u', partition: 'p', nodes: 2, wallTimeSeconds: 3600, submittedAt: 0, runs };
    expect(priceThreeWays([array], 3.06)).toStrictEqual({
      requested: 61_200_000n, // 10 x 2 x 1 h x 3.06
      held: 73_440_000n, // 1.2 times that
      used: 1_020_000n, // 10 x 2 x 60 s / 3600 x 3.06
      usedWithoutMinimum: 510_000n, // 10 x 2 x 30 s / 3600 x 3.06
      belowMinimum: 10,
    });
  });
});
