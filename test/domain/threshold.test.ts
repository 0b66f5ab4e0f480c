import { describe, expect, it } from 'vitest';
import { crossings } from '#domain/threshold';

/** Dollars as they are read here: [used, held, limit]. */
const columns = ([used, held, limit]: readonly [number, number, number]) => ({
  used: BigInt(used),
  held: BigInt(held),
  limit: BigInt(limit),
});

describe('crossings', () => {
  it.each<[string, [number, number, number], [number, number, number], string[]]>([
    ['nothing moves', [10, 10, 100], [10, 10, 100], []],
    ['below the first', [0, 0, 100], [49, 0, 100], []],
    ['a hold that is placed', [0, 0, 100], [0, 50, 100], ['committed 50']],
    ['exactly at it', [0, 50, 100], [50, 0, 100], ['used 50']],
    ['just below it', [0, 80, 100], [79, 0, 100], ['used 50']],
    ['several at once', [0, 0, 100], [95, 0, 100], ['used 50', 'used 80', 'used 90', 'committed 50', 'committed 80', 'committed 90']],
    ['once only', [50, 0, 100], [51, 0, 100], []],
    ['down', [90, 0, 100], [40, 0, 100], []],
    ['past the limit', [90, 9, 100], [120, 0, 100], ['used 100', 'committed 100']],
    ['a limit that is lowered', [40, 0, 100], [40, 0, 50], ['used 50', 'used 80', 'committed 50', 'committed 80']],
    ['a limit that is raised', [90, 0, 100], [90, 0, 200], []],
    ['and reached again', [90, 0, 200], [100, 0, 200], ['used 50', 'committed 50']],
    ['no limit, and nothing spent', [0, 0, 0], [0, 0, 0], []],
    [
      'no limit, and a cent',
      [0, 0, 0],
      [1, 0, 0],
      ['used 50', 'used 80', 'used 90', 'used 100', 'committed 50', 'committed 80', 'committed 90', 'committed 100'],
    ],
    ['thirds are not rounded', [0, 0, 3], [2, 0, 3], ['used 50', 'committed 50']],
    ['a correction to less than nothing', [5, 0, 10], [-1, 0, 10], []],
  ])('%s', (_, before, after, expected) => {
    expect(crossings(columns(before), columns(after)).map(({ measure, threshold }) => `${measure} ${threshold}`)).toEqual(expected);
  });
});
