import { describe, expect, it } from 'vitest';
import { parseArraySpec } from '#domain/array-spec';
import { admissionMessage, MAX_MESSAGE_LENGTH, offersFor, type Pricing, quoteOf, refusalMessage, termsOf } from '#domain/quote';
import { aJob, anAccount, aPricing, aRate, C5_9XLARGE } from '#test/support/builders';

const LARGEST = 999_999_999_999_999n;
const aws = aRate();
const small = aRate({ partition: 'small', nodeTypes: [C5_9XLARGE] });
const sixHours = aJob({ nodes: 8, wallTimeSeconds: 21_600 });

describe('quoteOf', () => {
  it('holds a fifth more than the estimate: c5.18xlarge x 8 nodes x 6 h', () => {
    const { estimate, holdAmount } = quoteOf(aPricing(aws), sixHours);
    expect(estimate.amount).toBe(146_880_000n);
    expect(holdAmount).toBe(176_256_000n);
  });

  it('rounds what is held up', () => {
    const cheap = aRate({ nodeTypes: [{ ...C5_9XLARGE, priceE10UsdPerHour: 1n }] });
    expect(quoteOf(aPricing(cheap), aJob()).holdAmount).toBe(2n);
  });

  it('prices an array as a whole: three tasks of $0.10', () => {
    const dime = aRate({ nodeTypes: [{ ...C5_9XLARGE, priceE10UsdPerHour: 1_000_000_000n }] });
    const { estimate, holdAmount } = quoteOf(aPricing(dime), aJob({ array: parseArraySpec('1-3') }));
    expect(estimate).toMatchObject({ tasks: 3, amount: 300_000n });
    expect(holdAmount).toBe(360_000n);
  });

  it('prices as many tasks as it is told', () => {
    expect(quoteOf(aPricing(aws), aJob({ array: parseArraySpec('1-3') }), 2).estimate).toMatchObject({ tasks: 2, amount: 6_120_000n });
  });

  it.each([
    ['first', [aws, small]],
    ['last', [small, aws]],
  ])('takes the dearest of the partitions, also when it is %s', (_, rates) => {
    expect(quoteOf(aPricing(...rates), aJob()).estimate).toMatchObject({ partition: 'aws', amount: 3_060_000n });
  });

  it('takes the first of two that cost the same', () => {
    expect(quoteOf(aPricing(aRate({ partition: 'b' }), aws), aJob()).estimate.partition).toBe('b');
  });

  it('leaves out a partition that the job does not fit', () => {
    expect(quoteOf(aPricing(small, aws), aJob({ cpusPerTask: 40 })).estimate.partition).toBe('aws');
    expect(quoteOf(aPricing(aws, small), aJob({ cpusPerTask: 40 })).estimate.partition).toBe('aws');
  });

  it('says why the job does not fit the first, if it fits none', () => {
    expect(() => quoteOf(aPricing(small, aws), aJob({ gpus: 1 }))).toThrow(
      expect.objectContaining({
        code: 'does_not_fit',
        message: 'the job does not fit partition small: c5.9xlarge: 1 GPU, and a node has none',
      }),
    );
  });

  describe('without a wall time', () => {
    const { wallTimeSeconds: _, ...timeless } = aJob();
    const withDefaults = (...defaults: readonly (number | null)[]): Pricing => ({
      ...aPricing(),
      partitions: defaults.map((defaultWallTimeSeconds, index) => ({
        rate: aRate({ partition: `p${index}` }),
        defaultWallTimeSeconds,
      })),
    });

    it('takes the partition’s', () => {
      expect(quoteOf(withDefaults(7200), timeless).estimate).toMatchObject({ wallTimeSeconds: 7200, amount: 6_120_000n });
    });

    it('takes the one of the dearest partition', () => {
      expect(quoteOf(withDefaults(3600, 7200), timeless).estimate).toMatchObject({ partition: 'p1', wallTimeSeconds: 7200 });
    });

    it('is refused where one of the partitions has none', () => {
      expect(() => quoteOf(withDefaults(7200, null), timeless)).toThrow(
        expect.objectContaining({
          code: 'no_wall_time',
          message: 'partition p1 has no default wall time, so the job must name one: add --time',
        }),
      );
    });

    it('does not take the partition’s when the job has one', () => {
      expect(quoteOf(withDefaults(7200), aJob()).estimate.wallTimeSeconds).toBe(3600);
    });
  });

  it('is a bug without partitions', () => {
    expect(() => quoteOf(aPricing(), aJob())).toThrow(new Error('a job is priced in at least one partition'));
  });
});

describe('termsOf', () => {
  it('locks the rates of all partitions, and what the dearest was priced as', () => {
    const pricing = aPricing(small, aws);
    expect(termsOf(pricing, quoteOf(pricing, sixHours))).toStrictEqual({
      rates: [small, aws],
      partition: 'aws',
      nodeType: 'c5.18xlarge',
      nodes: 8,
      nodesE6: 8_000_000n,
      wallTimeSeconds: 21_600,
    });
  });
});

describe('offersFor', () => {
  const offers = (job: ReturnType<typeof aJob>, available: bigint, tasks?: number) => {
    const pricing = aPricing(aws);
    return offersFor(pricing, job, quoteOf(pricing, job, tasks), available);
  };
  const tenTasks = aJob({ array: parseArraySpec('0-9') });

  it.each([
    ['time and nodes', sixHours, 41_200_000n, { wallTimeSeconds: 5040, nodes: 1 }],
    ['exactly what time and nodes cost', sixHours, 44_064_000n, { wallTimeSeconds: 5400, nodes: 2 }],
    ['a micro-dollar less', sixHours, 44_063_999n, { wallTimeSeconds: 5340, nodes: 1 }],
    ['time alone', sixHours, 22_000_000n, { wallTimeSeconds: 2640 }],
    ['nothing for what a minute costs less a micro-dollar', sixHours, 489_599n, {}],
    ['a minute', sixHours, 489_600n, { wallTimeSeconds: 60 }],
    ['nothing for nothing', sixHours, 0n, {}],
    ['nothing for a debt', sixHours, -1n, {}],
    ['one minute less than asked', sixHours, 176_255_999n, { wallTimeSeconds: 21_540, nodes: 7 }],
    ['no more than was asked, whatever there is', aJob({ nodes: 2, wallTimeSeconds: 90 }), 999_000_000n, { wallTimeSeconds: 60, nodes: 1 }],
    ['the fewest nodes that the job needs', aJob({ ...sixHours, cpus: 144 }), 44_064_000n, { wallTimeSeconds: 5400, nodes: 2 }],
    ['nodes where most counts are too few', aJob({ ...sixHours, cpus: 504 }), 160_000_000n, { wallTimeSeconds: 19_560, nodes: 7 }],
    ['no nodes when the job needs more', aJob({ ...sixHours, cpus: 144 }), 41_200_000n, { wallTimeSeconds: 5040 }],
    ['no nodes below the least that it takes', aJob({ ...sixHours, minNodes: 2 }), 41_200_000n, { wallTimeSeconds: 5040 }],
    [
      'fewer nodes where sbatch sends --nodes=8 as 8 to 8',
      aJob({ ...sixHours, minNodes: 8 }),
      41_200_000n,
      { wallTimeSeconds: 5040, nodes: 1 },
    ],
    ['array tasks', tenTasks, 20_000_000n, { wallTimeSeconds: 1920, arrayTasks: 5 }],
    ['exactly what the tasks cost', tenTasks, 18_360_000n, { wallTimeSeconds: 1800, arrayTasks: 5 }],
    ['a micro-dollar less than that', tenTasks, 18_359_999n, { wallTimeSeconds: 1740, arrayTasks: 4 }],
    ['nine of ten tasks', tenTasks, 36_719_999n, { wallTimeSeconds: 3540, arrayTasks: 9 }],
  ])('%s', (_, job, available, expected) => {
    expect(offers(job, available)).toStrictEqual(expected);
  });

  it('are for the tasks that were quoted, not for those that the job once named', () => {
    expect(offers(tenTasks, 3_672_000n, 2)).toStrictEqual({ wallTimeSeconds: 1800, arrayTasks: 1 });
  });

  it('stay within the largest amount, however much there is', () => {
    const vast = aJob({ nodes: 1, wallTimeSeconds: 3_155_760_000, array: parseArraySpec('0-999') });
    // $3.672 an hour: 272,331,154.68 hours of one node cost $999,999,999.98, and a hundred years are 876,600 of them.
    expect(offers(vast, 10n ** 18n)).toStrictEqual({ wallTimeSeconds: 980_392_140, arrayTasks: 310 });
  });

  it('pass on what is wrong with the job itself', () => {
    const pricing = aPricing(aws);
    const { wallTimeSeconds: _, ...timeless } = sixHours;
    expect(() => offersFor(pricing, timeless, quoteOf(pricing, sixHours), 1n)).toThrow(expect.objectContaining({ code: 'no_wall_time' }));
  });
});

describe('refusalMessage', () => {
  const quote = quoteOf(aPricing(aws), sixHours);
  const messageOf = (given: Partial<Parameters<typeof refusalMessage>[0]>) =>
    refusalMessage({ code: 'insufficient_budget', account: anAccount({ available: 41_200_000n }), quote, offers: {}, ...given });

  it.each([
    ['account_inactive', { status: 'suspended' }, 'account physics is suspended: ask its manager to activate it'],
    ['account_inactive', { status: 'closed' }, 'account physics is closed: ask its manager to activate it'],
    [
      'outside_dates',
      { startDate: '2027-01-01', endDate: '2027-12-31' },
      'account physics may be used from 2027-01-01 to 2027-12-31 (UTC): ask its manager for other dates',
    ],
    [
      'outside_dates',
      { startDate: '2027-01-01' },
      'account physics may be used from 2027-01-01 to any day (UTC): ask its manager for other dates',
    ],
    [
      'outside_dates',
      { endDate: '2025-12-31' },
      'account physics may be used from any day to 2025-12-31 (UTC): ask its manager for other dates',
    ],
    ['limit_exceeded', {}, 'this job needs more than $999,999,999.999999 held, the most that one job can ask for'],
    ['insufficient_budget', {}, 'account physics has $400.00 available; this job needs $176.256 held (estimate $146.88).'],
  ] as const)('%s with %o', (code, account, message) => {
    expect(messageOf({ code, account: anAccount(account) })).toBe(message);
  });

  it.each([
    [{ wallTimeSeconds: 5040 }, ' It fits with --time=01:24:00.'],
    [{ nodes: 2 }, ' It fits with --nodes=2.'],
    [{ arrayTasks: 5 }, ' It fits with 5 array tasks.'],
    [{ wallTimeSeconds: 90_000, nodes: 2, arrayTasks: 5 }, ' It fits with --time=1-01:00:00 or --nodes=2 or 5 array tasks.'],
  ])('says what fits: %o', (offers, sentence) => {
    expect(messageOf({ offers })).toBe(`account physics has $41.20 available; this job needs $176.256 held (estimate $146.88).${sentence}`);
  });

  it('says what may return from jobs that were not seen yet', () => {
    const account = anAccount({ available: 41_200_000n, unconfirmed: 12_500_000n });
    expect(messageOf({ account, offers: { nodes: 2 } })).toBe(
      'account physics has $41.20 available; this job needs $176.256 held (estimate $146.88).' +
        ' It fits with --nodes=2. $12.50 held for jobs not yet seen may return.',
    );
  });

  it('leaves out, whole, what is beyond 200 characters', () => {
    const account = anAccount({ account: 'a'.repeat(52), available: 41_200_000n, unconfirmed: 12_500_000n });
    expect(messageOf({ account, offers: { wallTimeSeconds: 5040, nodes: 2 } })).toBe(
      `account ${'a'.repeat(52)} has $41.20 available; this job needs $176.256 held (estimate $146.88).` +
        ' It fits with --time=01:24:00 or --nodes=2.',
    );
  });

  it('fills 200 characters, and not one more', () => {
    const short = (name: number) => anAccount({ account: 'a'.repeat(name), available: 41_200_000n, unconfirmed: 12_500_000n });
    const offers = { wallTimeSeconds: 5040, nodes: 2 };
    expect(messageOf({ account: short(32), offers })).toHaveLength(200);
    expect(messageOf({ account: short(33), offers })).toHaveLength(155);
  });

  const longest = { account: 'a'.repeat(64), available: -LARGEST, unconfirmed: LARGEST };

  it('fits the longest name and the greatest amounts', () => {
    const priced = { ...quote, estimate: { ...quote.estimate, amount: LARGEST }, holdAmount: LARGEST };
    const offers = { wallTimeSeconds: 3_155_759_940, nodes: 16_777_214, arrayTasks: 4_000_000 };
    expect(messageOf({ account: anAccount(longest), quote: priced, offers })).toBe(
      `account ${'a'.repeat(64)} has -$999,999,999.999999 available;` +
        ' this job needs $999,999,999.999999 held (estimate $999,999,999.999999).',
    );
  });

  it.each(['account_inactive', 'outside_dates', 'limit_exceeded', 'insufficient_budget'] as const)(
    'is one line of ASCII of at most 200 characters: %s',
    (code) => {
      const account = anAccount({ ...longest, status: 'suspended', startDate: '2027-01-01', endDate: '2027-12-31' });
      const message = messageOf({ code, account });
      expect(message).toMatch(/^[\x20-\x7e]+$/);
      expect(message.length).toBeLessThanOrEqual(MAX_MESSAGE_LENGTH);
      expect(MAX_MESSAGE_LENGTH).toBe(200);
    },
  );
});

describe('admissionMessage', () => {
  it('says what is held and what is left', () => {
    expect(admissionMessage(anAccount({ available: 388_000_000n }), 12_000_000n)).toBe('account physics: $12.00 held, $388.00 left');
  });
});
