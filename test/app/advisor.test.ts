// The advisor, as the use cases see it: what is held, what is said of it, and how long it may take.
import { describe, expect, it } from 'vitest';
import { adjustHold } from '#app/adjust-hold';
import { forceHold } from '#app/force-hold';
import { placeHold } from '#app/place-hold';
import type { Advice, AdvisorQuestion, World } from '#app/ports';
import { quoteJob } from '#app/quote-job';
import { settleRuns } from '#app/settle-runs';
import { parseArraySpec } from '#domain/array-spec';
import { formatUsdPlain } from '#domain/money';
import type { PartitionModel } from '#domain/partition';
import { aJob, aModel, NOON } from '#test/support/builders';
import { aFakeAdvisor, type FakeAdvisor } from '#test/support/fake-advisor';
import { aWorld, columns, type TestWorld } from '#test/support/world';

const HOLD = '6f1c0f5e-0000-4000-8000-00000000cafe';
const DOLLAR = 1_000_000n;
const SILENT: Advice = { believed: false, outcome: 'no answer within 300 ms' };

type Answer = Parameters<typeof aFakeAdvisor>[1];

/** An account of so many dollars, and an advisor. */
const advised = async (
  answer: Answer,
  { dollars = 1_000, models }: { dollars?: number; models?: readonly PartitionModel[] } = {},
): Promise<{ world: TestWorld & World; advisor: FakeAdvisor }> => {
  const world = await aWorld(models);
  await world.open({ limit: BigInt(dollars) * DOLLAR });
  const advisor = aFakeAdvisor(world.clock, answer);
  return { world: { ...world, advisor }, advisor };
};

const place = (world: World, job: Parameters<typeof aJob>[0] = {}, jobScript?: string) =>
  placeHold(world, { job: aJob(job), holdId: HOLD, ...(jobScript === undefined ? {} : { jobScript }) });

/** An honest advisor: so many micro-dollars for each node and second. */
const perNodeSecond =
  (rate: bigint): Answer =>
  ({ nodes, wallTimeSeconds }) =>
    rate * BigInt(nodes * wallTimeSeconds);

describe('a check with an advisor', () => {
  it('holds what the advisor says, with its words and its confidence', async () => {
    const { world } = await advised(() => ({ believed: true, cost: 10n * DOLLAR, recommendation: 'run it at home', confidence: 0.75 }));
    const verdict = await place(world);
    expect(verdict).toMatchObject({
      decision: 'admitted',
      holdAmount: 12n * DOLLAR,
      estimate: {
        ...{ amount: 10n * DOLLAR, source: 'advisor', priceDate: null, instanceTypes: ['c5.18xlarge'], nodes: 1 },
        evidence: { confidencePercent: 75, tried: [] },
      },
      recommendation: 'run it at home',
    });
    expect(columns(await world.account())).toMatchObject({ held: 12n * DOLLAR, available: 988n * DOLLAR });
  });

  it('asks about one task of the job, on as many nodes as it takes in the partition', async () => {
    const { world, advisor } = await advised(() => DOLLAR);
    await place(world, {
      ...{ nodes: 3, ntasks: 100, cpusPerTask: 2, memoryPerCpuMib: 512, gpus: 0, wallTimeSeconds: 5400, qos: 'high' },
      array: parseArraySpec('1-50'),
    });
    expect(advisor.questions).toEqual([
      {
        ...{ account: 'physics', partition: 'aws', region: 'us-east-1', instanceTypes: ['c5.18xlarge'], at: NOON },
        ...{ nodes: 3, cpus: 200, gpus: 0, memoryMib: 34_134, wallTimeSeconds: 5400 },
      },
    ]);
  });

  it.each([
    ['no size', { nodes: 4 }, { nodes: 4, cpus: 4, gpus: 0 }],
    ['all memory of a node', { nodes: 2, memoryMib: 0 }, { nodes: 2, cpus: 2, gpus: 0 }],
    ['memory per node', { nodes: 2, memoryMib: 1024 }, { nodes: 2, cpus: 2, gpus: 0, memoryMib: 1024 }],
    ['CPUs', { nodes: 1, cpus: 36 }, { nodes: 1, cpus: 36, gpus: 0 }],
    ['GPUs per node', { nodes: 2, gpusPerNode: 1 }, { nodes: 2, cpus: 2, gpus: 2 }],
    ['GPUs of the job', { nodes: 2, gpus: 2 }, { nodes: 2, cpus: 2, gpus: 2 }],
  ])('tells the advisor of a job with %s', async (_, job, said) => {
    const { world, advisor } = await advised(() => DOLLAR, { models: [aModel({ instanceTypes: ['p3.2xlarge', 'c5.18xlarge'] })] });
    await place(world, job);
    const { account, partition, region, instanceTypes, at, wallTimeSeconds, ...sizes } = advisor.questions[0] as AdvisorQuestion;
    expect(sizes).toEqual(said);
  });

  it('holds for every task of an array what one was said to cost', async () => {
    const { world } = await advised(() => 2n * DOLLAR);
    expect(await place(world, { array: parseArraySpec('1-50') })).toMatchObject({ estimate: { amount: 100n * DOLLAR } });
  });

  it('asks with the wall time of the partition where the job has none', async () => {
    const { world, advisor } = await advised(() => DOLLAR, { models: [aModel({ defaultWallTimeSeconds: 7200 })] });
    const { wallTimeSeconds: _, ...job } = aJob();
    await placeHold(world, { job, holdId: HOLD });
    expect(advisor.questions).toMatchObject([{ wallTimeSeconds: 7200 }]);
  });

  it('shows the script to the advisor and keeps it nowhere', async () => {
    const { world, advisor } = await advised(() => DOLLAR);
    const { hold } = await place(world, {}, '#!/bin/sh\necho secret-of-curie');
    expect(advisor.questions).toMatchObject([{ jobScript: '#!/bin/sh\necho secret-of-curie' }]);
    const inDecimal = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
    const kept = [hold, await world.table.readHold(HOLD), await world.table.readSpec(HOLD)];
    expect(JSON.stringify(kept, inDecimal)).not.toContain('secret');
  });

  it('answers a repeated request as before, whatever the advisor says by now and whether it sends the script or not', async () => {
    const { world } = await advised((_, index) => (index === 0 ? 10n * DOLLAR : 20n * DOLLAR));
    await place(world, {}, 'one script');
    expect(await place(world, {}, 'another')).toMatchObject({ holdAmount: 12n * DOLLAR, recommendation: null });
    expect(columns(await world.account())).toMatchObject({ available: 988n * DOLLAR });
  });

  it.each<[string, Answer, string]>([
    ['says nothing', () => SILENT, 'no answer within 300 ms'],
    ['says 21 times our price', () => 64_260_000n, 'absurd: $64.26 for what costs $3.06 at our own prices'],
    ['says a 21st of our price', () => 145_714n, 'absurd: $0.145714 for what costs $3.06 at our own prices'],
  ])('holds our own price if the advisor %s, and says so', async (_, answer, outcome) => {
    const { world } = await advised(answer);
    const verdict = await place(world);
    expect(verdict).toMatchObject({
      estimate: {
        ...{ amount: 3_060_000n, source: 'pricing-api' },
        evidence: { confidencePercent: 100, tried: [{ source: 'advisor', outcome }] },
      },
      holdAmount: 3_672_000n,
      recommendation: null,
    });
  });

  it.each([
    ['a job that does not fit', 'does_not_fit', { ...aJob(), memoryMib: 999_999 }],
    ['a job without a wall time', 'no_wall_time', { account: 'physics', partitions: ['aws'], cluster: 'hpc' }],
  ])('is not made of %s, and the refusal is the same', async (_, code, job) => {
    const { world, advisor } = await advised(() => DOLLAR);
    await expect(placeHold(world, { job, holdId: HOLD })).rejects.toMatchObject({ code });
    expect(advisor.questions).toEqual([]);
  });

  it('meets a bug as without an advisor', async () => {
    const { world } = await advised(() => DOLLAR);
    await expect(place(world, { nodes: 1.5 })).rejects.toThrow(RangeError);
  });

  it('asks in each partition of the job, and holds for the dearest', async () => {
    const models = [aModel(), aModel({ partition: 'gpu', instanceTypes: ['p3.2xlarge'] })];
    const { world, advisor } = await advised(({ partition }) => (partition === 'gpu' ? 9n * DOLLAR : SILENT), { models });
    const verdict = await place(world, { partitions: ['aws', 'gpu', 'local'] });
    expect(advisor.questions.map(({ partition }) => partition)).toEqual(['aws', 'gpu']);
    expect(verdict).toMatchObject({ estimate: { partition: 'gpu', amount: 9n * DOLLAR, source: 'advisor', evidence: { tried: [] } } });
  });

  it('locks the price: an adjustment and a run are priced by it, and the advisor is not asked again', async () => {
    const { world, advisor } = await advised(() => 10n * DOLLAR);
    await place(world);
    const longer = await adjustHold(world, { holdId: HOLD, adjustment: { wallTimeSeconds: 7200 }, mode: 'absolute' });
    expect(longer).toMatchObject({ estimate: { amount: 20n * DOLLAR, source: 'advisor' }, holdAmount: 24n * DOLLAR });
    const [run] = await settleRuns(world, {
      holdId: HOLD,
      runs: [{ usage: { elapsedSeconds: 1800, started: true }, final: true, tasks: 1 }],
    });
    expect(run).toMatchObject({ cost: 5n * DOLLAR });
    expect(advisor.questions).toHaveLength(1);
  });

  it('asks again where a job moves to a partition that was not priced', async () => {
    const models = [aModel(), aModel({ partition: 'gpu', instanceTypes: ['p3.2xlarge'], defaultWallTimeSeconds: 60 })];
    const { world, advisor } = await advised(({ partition }) => (partition === 'gpu' ? 7n * DOLLAR : DOLLAR), { models });
    await place(world);
    const moved = await adjustHold(world, { holdId: HOLD, adjustment: { partitions: ['gpu', 'aws'] }, mode: 'absolute' });
    expect(moved).toMatchObject({ estimate: { amount: 7n * DOLLAR, partition: 'gpu' }, holdAmount: 8_400_000n });
    expect(advisor.questions.at(1)).toMatchObject({ partition: 'gpu', wallTimeSeconds: 3600 });
  });
});

describe('a partition that has no price of ours', () => {
  const unknown = { region: 'eu-north-1' };

  it('is priced by the advisor alone', async () => {
    const { world } = await advised(() => 5n * DOLLAR, { models: [aModel(unknown)] });
    expect(await place(world, { nodes: 2 })).toMatchObject({
      estimate: { amount: 5n * DOLLAR, source: 'advisor', nodes: 2, instanceTypes: ['unknown'] },
      holdAmount: 6n * DOLLAR,
    });
  });

  it('is priced however far off that may be, since there is nothing to hold it against', async () => {
    const { world } = await advised(() => 1n, { models: [aModel(unknown)] });
    expect(await place(world)).toMatchObject({ estimate: { amount: 1n } });
  });

  it('has no price without the advisor, and the refusal says what both answered', async () => {
    const { world } = await advised(() => SILENT, { models: [aModel(unknown)] });
    await expect(place(world)).rejects.toMatchObject({
      code: 'no_price',
      message: 'no price is known for c5.18xlarge in eu-north-1, so partition aws cannot be priced (advisor: no answer within 300 ms)',
      details: { partition: 'aws', tried: [{ source: 'advisor', outcome: 'no answer within 300 ms' }] },
    });
  });

  it('takes its flat rate without the advisor, and holds the advisor against it', async () => {
    const models = [aModel({ ...unknown, unpriced: 'flat', flatRatePerNodeHour: 2n * DOLLAR })];
    const silent = await advised(() => SILENT, { models });
    expect(await place(silent.world)).toMatchObject({
      estimate: { amount: 2n * DOLLAR, source: 'flat-rate', evidence: { tried: [SILENT_TRIED] } },
    });
    const absurd = await advised(() => 41n * DOLLAR, { models });
    expect(await place(absurd.world)).toMatchObject({ estimate: { amount: 2n * DOLLAR, source: 'flat-rate' } });
  });

  it('is a bug like any other where its price could not be looked up at all', async () => {
    const { world } = await advised(() => DOLLAR);
    const prices = { ...world.prices, offerOf: () => Promise.reject(new Error('boom')) };
    await expect(place({ ...world, prices })).rejects.toThrow('boom');
  });
});

const SILENT_TRIED = { source: 'advisor', outcome: 'no answer within 300 ms' };

describe('what is offered instead, with an advisor', () => {
  it('is confirmed by it, and then admitted', async () => {
    // A cent for each node and 36 seconds: a node-hour is a dollar.
    const { world, advisor } = await advised(perNodeSecond(278n), { dollars: 12 });
    const verdict = await place(world, { nodes: 4, wallTimeSeconds: 4 * 3600 });
    expect(verdict.refusal).toMatchObject({ code: 'insufficient_budget', offers: { wallTimeSeconds: 149 * 60, nodes: 2 } });
    expect(advisor.questions.slice(1)).toMatchObject([
      { nodes: 4, wallTimeSeconds: 149 * 60 },
      { nodes: 2, wallTimeSeconds: 4 * 3600 },
    ]);
    expect(await place(world, { nodes: 4, wallTimeSeconds: 149 * 60 })).toMatchObject({ decision: 'admitted' });
  });

  it('is left out where the advisor asks more than the straight line: a job of less can cost as much', async () => {
    const { world } = await advised(() => 16n * DOLLAR, { dollars: 12 });
    const verdict = await place(world, { nodes: 4, wallTimeSeconds: 4 * 3600 });
    expect(verdict.refusal).toMatchObject({ code: 'insufficient_budget', offers: {} });
    expect(verdict.message).not.toContain('It fits');
  });

  it('is left out where the advisor confirms only the other', async () => {
    const byTime = await advised(({ wallTimeSeconds }) => BigInt(wallTimeSeconds) * 1112n, { dollars: 12 });
    const verdict = await place(byTime.world, { nodes: 4, wallTimeSeconds: 4 * 3600 });
    expect(verdict.refusal?.offers).toEqual({ wallTimeSeconds: 149 * 60 });
  });

  it('is left out where the advisor says nothing more', async () => {
    const { world } = await advised((_, index) => (index === 0 ? 16n * DOLLAR : SILENT), { dollars: 12 });
    expect((await place(world, { nodes: 4, wallTimeSeconds: 4 * 3600 })).refusal?.offers).toEqual({});
  });

  it('needs no confirmation for fewer tasks of an array, which is the same question', async () => {
    const { world, advisor } = await advised(() => DOLLAR, { dollars: 12 });
    const verdict = await place(world, { wallTimeSeconds: 60, array: parseArraySpec('1-50') });
    expect(verdict.refusal?.offers).toEqual({ arrayTasks: 10 });
    expect(advisor.questions).toHaveLength(1);
  });

  it('needs none where our own prices decide', async () => {
    const { world, advisor } = await advised(() => SILENT, { dollars: 12 });
    const verdict = await place(world, { nodes: 4, wallTimeSeconds: 4 * 3600 });
    expect(verdict.refusal?.offers).toEqual({ wallTimeSeconds: 2940 });
    expect(advisor.questions).toHaveLength(1);
  });

  it('is confirmed in each partition that the advisor prices', async () => {
    const models = [aModel(), aModel({ partition: 'gpu', instanceTypes: ['p3.2xlarge'] })];
    const { world, advisor } = await advised(
      (question, index) => (question.partition === 'gpu' ? SILENT : perNodeSecond(1000n)(question, index)),
      { models, dollars: 20 },
    );
    const verdict = await place(world, { partitions: ['aws', 'gpu'], nodes: 1, wallTimeSeconds: 6 * 3600 });
    // gpu at our own $3.06 an hour decides nothing: aws at $3.60 does.
    expect(verdict.refusal?.offers).toEqual({ wallTimeSeconds: 277 * 60 });
    expect(advisor.questions.map(({ partition }) => partition)).toEqual(['aws', 'gpu', 'aws']);
  });
});

describe('how long an advisor may take', () => {
  const advancing =
    (ms: number, answer: bigint | Advice) =>
    (world: () => TestWorld): Answer =>
    async () => {
      await new Promise(setImmediate); // Whoever else asks now has asked.
      await world().clock.advance(ms);
      return answer;
    };

  const slow = async (ms: number, answer: bigint | Advice, dollars = 1_000) => {
    let world: TestWorld | undefined;
    const made = await advised(
      advancing(ms, answer)(() => world as TestWorld),
      { dollars },
    );
    world = made.world;
    return made;
  };

  it('is 300 ms and one try on a check', async () => {
    const { world, advisor } = await slow(0, SILENT);
    await place(world);
    expect(advisor.patience).toEqual([{ ms: 300, maxTries: 1 }]);
  });

  it('is 300 ms on a check for all questions together, also those about what is offered instead', async () => {
    const { world, advisor } = await slow(120, 16n * DOLLAR, 12);
    await place(world, { nodes: 4, wallTimeSeconds: 4 * 3600 });
    expect(advisor.patience.map(({ ms }) => ms)).toEqual([300, 180, 180]);
  });

  it('is 300 ms on an adjustment, however often the booking is tried again', async () => {
    const models = [aModel(), aModel({ partition: 'gpu', instanceTypes: ['p3.2xlarge'] })];
    const { world, advisor } = await advised(() => SILENT, { models });
    await place(world);
    world.refuseNext({ hold: { stored: null } });
    await adjustHold(world, { holdId: HOLD, adjustment: { partitions: ['gpu'] }, mode: 'absolute' });
    expect(advisor.patience.map(({ ms }) => ms)).toEqual([300, 300, 300]);
  });

  it.each<[string, (world: World) => Promise<unknown>]>([
    ['a quote', (world) => quoteJob(world, aJob(), 'script')],
    ['a forced hold', (world) => forceHold(world, { holdId: HOLD, job: aJob(), reason: 'failed open', jobScript: 'script' })],
  ])('is 5 s and three tries for %s, which shows the script too', async (_, ask) => {
    const { world, advisor } = await slow(0, 10n * DOLLAR);
    const answer = await ask(world);
    expect(advisor.patience).toEqual([{ ms: 5_000, maxTries: 3 }]);
    expect(advisor.questions).toMatchObject([{ jobScript: 'script' }]);
    const held = (answer as { amount?: bigint; holdAmount?: bigint }).amount ?? (answer as { holdAmount: bigint }).holdAmount;
    expect(formatUsdPlain(held)).toBe('12.00');
  });
});
