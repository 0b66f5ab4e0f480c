// The advisor's client against a real server with every odd case, on the wall's clock where that matters, else on a test's.
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adviceIn } from '#adapters/advisor-wire';
import { createHttpAdvisor, type HttpAdvisorOptions } from '#adapters/http-advisor';
import { fixedKey } from '#adapters/secret-key';
import { createIds, systemClock } from '#adapters/system';
import type { Advisor, AdvisorQuestion } from '#app/ports';
import { NOON } from '#test/support/builders';
import { createFakeClock } from '#test/support/fake-clock';
import { estimating, ODD, type OddName, type StandInAdvisor, saying, startStandInAdvisor } from '#test/support/stand-in-advisor';

const QUESTION: AdvisorQuestion = {
  ...{ account: 'physics', partition: 'aws', nodes: 2, cpus: 144, gpus: 0, wallTimeSeconds: 5400, at: NOON },
  ...{ region: 'us-east-1', instanceTypes: ['c5.18xlarge'] },
};
const CHECK_MS = 300;
/** The machine that tests may be busy, and a timer late. */
const GENEROUS_MS = 700;

let standIn: StandInAdvisor;
beforeEach(async () => {
  standIn = await startStandInAdvisor();
});
afterEach(() => standIn.close());

const client = (given: Partial<HttpAdvisorOptions> = {}): Advisor =>
  createHttpAdvisor({ url: standIn.url, key: fixedKey('the-key'), clock: systemClock, ids: createIds(), ...given });

const check = (advisor: Advisor, question = QUESTION) => advisor.ask(question, { until: systemClock.now() + CHECK_MS, maxTries: 1 });

describe('a question to the advisor', () => {
  it('says what the job asks for, in the words of its API, with our key', async () => {
    await check(client({ url: `${standIn.url}/` }), { ...QUESTION, gpus: 16, memoryMib: 16_384, jobScript: '#!/bin/sh\n' });
    expect(standIn.asked[0]?.headers).toMatchObject({ authorization: 'Bearer the-key', 'content-type': 'application/json' });
    expect(standIn.asked[0]?.body).toEqual({
      ...{ account: 'physics', partition: 'aws', nodes: 2, cpus: 144, gpus: 16, memory: '16G', wall_time: '01:30:00' },
      ...{ job_script: '#!/bin/sh\n', timestamp: '2026-03-14T12:00:00.000Z' },
      metadata: { region: 'us-east-1', instance_types: ['c5.18xlarge'] },
    });
  });

  it('leaves out what the job does not say, and the key where there is none', async () => {
    await check(createHttpAdvisor({ url: standIn.url, clock: systemClock, ids: createIds() }));
    expect(Object.keys(standIn.asked[0]?.body ?? {})).toEqual('account partition nodes cpus wall_time timestamp metadata'.split(' '));
    expect(standIn.asked[0]?.headers).not.toHaveProperty('authorization');
  });
});

describe('an answer', () => {
  it.each([
    ['whole dollars', '10', 10_000_000n],
    ['the shortest decimal, exactly', '0.1', 100_000n],
    ['what a sum of floats leaves behind, rounded up', '48.96000000000001', 48_960_001n],
    ['less than a micro-dollar, rounded up', '1e-9', 1n],
    ['the most that can be held', '999999999.999999', 999_999_999_999_999n],
  ])('is believed that says %s: %s', async (_, text, cost) => {
    standIn.behave(saying(`{"estimated_cost": ${text}}`));
    expect(await check(client())).toEqual({ believed: true, cost, recommendation: null, confidence: null });
  });

  it.each([
    [{ recommendation: 'run it at home' }, 'run it at home'],
    [{ recommendation: ' two\r\nlines\u0000\u001b[31m ' }, 'two lines [31m'],
    [{ recommendation: 'x'.repeat(501) }, 'x'.repeat(500)],
    [{ recommendation: `${'x'.repeat(499)}\u{1F600}` }, 'x'.repeat(499)],
    [{ recommendation: '\u0007' }, null],
    [{ recommendation: { text: 'x' } }, null],
  ])('has words that a terminal can show: %j', async (beside, recommendation) => {
    standIn.behave(estimating(1, beside));
    expect(await check(client())).toMatchObject({ believed: true, recommendation });
  });

  it.each([
    [0.5, 0.5],
    [0, 0],
    [1.7, 1],
    [-3, 0],
    ['high', null],
  ])('has a confidence from 0 to 1: %j is %j', async (confidence, believed) => {
    standIn.behave(estimating(1, { confidence }));
    expect(await check(client())).toMatchObject({ confidence: believed });
  });

  it('is looked at whatever it is, without a fall', () => {
    const cost = fc.oneof(fc.double(), fc.jsonValue());
    const answer = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({ estimated_cost: cost, error: fc.jsonValue() }).map((x) => JSON.stringify(x)),
    );
    fc.assert(
      fc.property(answer, (text) => {
        const advice = adviceIn(text);
        if ('believed' in advice && advice.believed) expect(advice.cost).toBeGreaterThan(0n);
      }),
      { numRuns: 5_000 },
    );
  });
});

/** What is said of each odd case. Absurd costs are believed here: only who knows the price can tell. */
const OUTCOMES: Readonly<Record<Exclude<OddName, 'says an absurdly high cost' | 'says an absurdly low cost'>, string | RegExp>> = {
  'never answers': /^no answer within \d+ ms$/,
  'answers by half and stops': /^no answer within \d+ ms$/,
  'drops the connection': /^no answer \(/,
  'drops the connection in the middle of its answer': /^no answer \(/,
  'is not HTTP': /^no answer \(/,
  'does not know us': 'answered 401: it does not take our key',
  'forbids it': 'answered 403',
  'has no such path': 'answered 404',
  'does not take the job': 'answered 422',
  'has too much to do': 'answered 429',
  fails: 'answered 500',
  'sends us elsewhere': 'answered with a redirect (307)',
  'never ends its answer': 'answered with more than 65536 bytes',
  'answers with a page': 'answered with no JSON object',
  'answers with nothing': 'answered with no JSON object',
  'answers with a list': 'answered with no JSON object',
  'answers with null': 'answered with no JSON object',
  'answers with NaN': 'answered with no JSON object',
  'answers with an error': 'answered with an error',
  'says no cost': 'answered without a number as estimated_cost',
  'says its cost in words': 'answered without a number as estimated_cost',
  'says null': 'answered without a number as estimated_cost',
  'says infinity': 'answered with a cost that is no amount of money',
  'says a negative cost': 'answered with a negative cost',
  'says that it is free': 'answered with a cost of 0',
  'says -0': 'answered with a cost of 0',
  'says too many decimals': 'answered with a cost that is no amount of money',
  'says more money than there is': 'answered with a cost that is too large',
};

describe('an advisor that', () => {
  it.each(Object.entries(OUTCOMES))('%s is not believed, and nobody waits for it longer than for a check', async (name, outcome) => {
    standIn.behave(ODD[name as OddName]);
    const advisor = client();
    const before = performance.now();
    const advice = await check(advisor);
    expect(performance.now() - before).toBeLessThan(CHECK_MS + GENEROUS_MS);
    expect(advice).toEqual({
      believed: false,
      outcome: typeof outcome === 'string' ? outcome : (expect.stringMatching(outcome) as unknown as string),
    });
    expect(standIn.asked).toHaveLength(1);
  });

  it('is down is not believed', async () => {
    const advisor = client();
    await standIn.close();
    expect(await check(advisor)).toEqual({ believed: false, outcome: 'no answer (ECONNREFUSED)' });
  });

  it('has no such name is not believed, nor one whose address is none', async () => {
    expect(await check(client({ url: 'http://advisor.invalid' }))).toMatchObject({ believed: false });
    expect(await check(client({ url: 'advisor' }))).toMatchObject({ believed: false });
  });

  it('cannot be asked, for its key has a line break, is not asked', async () => {
    expect(await check(client({ key: fixedKey('two\nlines') }))).toMatchObject({ believed: false });
    expect(standIn.asked).toEqual([]);
  });
});

describe('the time that a question takes', () => {
  it('is over to the millisecond, however little was answered by then', async () => {
    standIn.behave(ODD['answers by half and stops']);
    const clock = createFakeClock(NOON);
    let isOver = false;
    const asking = client({ clock })
      .ask(QUESTION, { until: NOON + CHECK_MS, maxTries: 1 })
      .finally(() => {
        isOver = true;
      });
    await until(() => standIn.asked.length === 1);
    await clock.advance(299);
    expect(isOver).toBe(false);
    await clock.advance(1);
    expect(await asking).toEqual({ believed: false, outcome: 'no answer within 300 ms' });
  });

  it('is none where none is left', async () => {
    expect(await client().ask(QUESTION, { until: systemClock.now(), maxTries: 3 })).toEqual({
      believed: false,
      outcome: 'not asked: no time is left',
    });
    expect(standIn.asked).toEqual([]);
  });

  it('is no longer than the configuration says', async () => {
    standIn.behave(ODD['never answers']);
    const advice = await client({ timeoutMs: 50 }).ask(QUESTION, { until: systemClock.now() + 5_000, maxTries: 3 });
    expect(advice).toEqual({ believed: false, outcome: 'no answer within 50 ms' });
  });

  it('has the reading of the key in it', async () => {
    const key = { read: () => new Promise<string>(() => undefined), reread: async () => '' };
    const clock = createFakeClock(NOON);
    const asking = client({ key, clock }).ask(QUESTION, { until: NOON + CHECK_MS, maxTries: 1 });
    await clock.advance(CHECK_MS);
    expect(await asking).toEqual({ believed: false, outcome: 'not asked: its key was not read within 300 ms' });
  });
});

describe('trying again', () => {
  const quote = (advisor: Advisor, waitMs = 5_000) => advisor.ask(QUESTION, { until: NOON + waitMs, maxTries: 3 });

  it('helps a quote where the advisor recovers, after pauses with full jitter', async () => {
    standIn.behave((response) =>
      standIn.asked.length < 3 ? saying('', 503)(response, standIn.asked[0] as never) : estimating(2)(response, standIn.asked[0] as never),
    );
    const clock = createFakeClock(NOON);
    const advice = await quote(client({ clock, ids: { random: () => 0.5 } }));
    expect(advice).toMatchObject({ believed: true, cost: 2_000_000n });
    expect(clock.pauses).toEqual([100, 200]);
  });

  it.each<[OddName, number]>([
    ['fails', 3],
    ['has too much to do', 3],
    ['drops the connection', 3],
    ['forbids it', 1],
    ['does not take the job', 1],
    ['sends us elsewhere', 1],
    ['answers with a page', 1],
    ['says a negative cost', 1],
  ])('happens only where it may help: an advisor that %s is asked %d times by a quote', async (name, times) => {
    standIn.behave(ODD[name]);
    expect(await quote(client({ clock: createFakeClock(NOON) }))).toMatchObject({ believed: false });
    expect(standIn.asked).toHaveLength(times);
  });

  it('does not begin where the time would be over', async () => {
    standIn.behave(ODD.fails);
    const clock = createFakeClock(NOON);
    await quote(client({ clock, ids: { random: () => 0.99 } }), 150);
    expect([standIn.asked.length, clock.pauses]).toEqual([1, []]);
  });
});

describe('the breaker', () => {
  const NOT_ASKED = { believed: false, outcome: 'not asked: it did not answer a moment ago' };
  const world = () => {
    const clock = createFakeClock(NOON);
    const advisor = client({ clock });
    return { clock, ask: (waitMs = CHECK_MS) => advisor.ask(QUESTION, { until: clock.now() + waitMs, maxTries: 1 }) };
  };

  it('opens after three failures in a row, for 30 s; then one question decides', async () => {
    const { clock, ask } = world();
    standIn.behave(ODD.fails);
    for (let times = 0; times < 3; times++) expect(await ask()).toMatchObject({ outcome: 'answered 500' });
    expect(await ask()).toEqual(NOT_ASKED);
    await clock.advance(29_999);
    expect(await ask()).toEqual(NOT_ASKED);
    await clock.advance(1);
    expect(await Promise.all([ask(), ask()])).toEqual([{ believed: false, outcome: 'answered 500' }, NOT_ASKED]);
    await clock.advance(30_000);
    standIn.behave(estimating(1));
    expect(await ask()).toMatchObject({ believed: true });
    expect(await Promise.all([ask(), ask()])).toMatchObject([{ believed: true }, { believed: true }]);
  });

  it('opens at the first timeout, since a user waits for each', async () => {
    const { clock, ask } = world();
    standIn.behave(ODD['never answers']);
    const asking = ask();
    await until(() => standIn.asked.length === 1);
    await clock.advance(CHECK_MS);
    await asking;
    expect(await ask()).toEqual(NOT_ASKED);
    expect(standIn.asked).toHaveLength(1);
  });

  it('does not open where there was hardly time to answer', async () => {
    const { clock, ask } = world();
    standIn.behave(ODD['never answers']);
    const asking = ask(40);
    await until(() => standIn.asked.length === 1);
    await clock.advance(40);
    expect(await asking).toMatchObject({ outcome: 'no answer within 40 ms' });
    standIn.behave(estimating(1));
    expect(await ask()).toMatchObject({ believed: true });
  });

  it.each<OddName>(['does not take the job', 'says a negative cost', 'answers with an error'])(
    'stays closed to an advisor that %s: it answers, and of the next job it may say something else',
    async (name) => {
      const { ask } = world();
      standIn.behave(ODD[name]);
      for (let times = 0; times < 5; times++) await ask();
      expect(standIn.asked).toHaveLength(5);
    },
  );

  it('counts failures in a row only', async () => {
    const { ask } = world();
    for (let times = 0; times < 4; times++) {
      standIn.behave(ODD.fails);
      await ask();
      await ask();
      standIn.behave(estimating(1));
      expect(await ask()).toMatchObject({ believed: true });
    }
  });
});

describe('a key that changes', () => {
  it('is read again when the advisor does not take the old one, and the question is asked again', async () => {
    const reread: string[] = [];
    const key = {
      read: async () => 'old',
      reread: async (stale: string) => {
        reread.push(stale);
        return 'new';
      },
    };
    standIn.behave((response, asked) =>
      asked.headers.authorization === 'Bearer new' ? estimating(3)(response, asked) : saying('', 401)(response, asked),
    );
    expect(await check(client({ key }))).toMatchObject({ believed: true, cost: 3_000_000n });
    expect(reread).toEqual(['old']);
  });

  it('is not tried for ever', async () => {
    standIn.behave(ODD['does not know us']);
    let count = 0;
    await check(client({ key: { read: async () => 'old', reread: async () => `new ${++count}` } }));
    expect(standIn.asked).toHaveLength(2);
  });

  it.each<[string, HttpAdvisorOptions['key'] & object]>([
    ['at first', { read: () => Promise.reject(named('AccessDeniedException')), reread: async () => '' }],
    ['after a 401', { read: async () => 'old', reread: () => Promise.reject(named('AccessDeniedException')) }],
  ])('and cannot be read %s is an outcome that names no more than the kind of error', async (_, key) => {
    standIn.behave(ODD['does not know us']);
    expect(await check(client({ key }))).toEqual({
      believed: false,
      outcome: 'not asked: its key could not be read (AccessDeniedException)',
    });
  });
});

const named = (name: string): Error => Object.assign(new Error('arn:aws:iam::111122223333:role/x may not'), { name });

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
};
