// A thousand at once for the money of five hundred, over HTTP on DynamoDB Local.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GRACE_MS } from '#app/within-deadline';
import { type AccountBody, type Answer, type AuditBody, type RefusalBody, TEN_DOLLARS, type VerdictBody } from '#test/http/api';
import { type Composed, startComposed } from '#test/money/composed';
import { type Attempt, createFaults } from '#test/money/faults';

const CHECKS = 1000;
const AFFORDABLE = 500;
/** $10.00 x 1.2. */
const HOLD = 12;
const ROUNDS = 40;
const PATIENCE_MS = 300_000;
/** Between the look at the clock and the request there are the SDK's serializer and whoever else has the thread. */
const SDK_MS = 100;

type Reply = Answer<VerdictBody & RefusalBody>;
interface Check {
  readonly hold_id: string;
  readonly deadline_ms?: number;
}

let server: Composed;
let account: string;
let count = 0;

beforeAll(async () => {
  server = await startComposed();
  await server.api.put('/partitions/ten', TEN_DOLLARS);
});
afterAll(() => server.stop());
beforeEach(async () => {
  count += 1;
  account = `race-${count}`;
  server.hook((_, send) => send());
  expect((await server.api.post('/accounts', { account, budget_limit: AFFORDABLE * HOLD })).status).toBe(201);
  expect((await server.api.post('/budget/quote', job())).status).toBe(200); // Warm: models and prices are in memory.
});

const job = () => ({ account, partition: 'ten', nodes: 1, wall_time: '01:00:00' });
const checks = (): Check[] => Array.from({ length: CHECKS }, () => ({ hold_id: randomUUID() }));
const waitedMs = new WeakMap<Reply, number>();
const ask = async (check: Check): Promise<Reply> => {
  const sent = performance.now();
  const reply: Reply = await server.api.post('/budget/check', { ...job(), ...check });
  waitedMs.set(reply, performance.now() - sent);
  return reply;
};
const outcomeOf = ({ status, body }: Reply): string => (status === 200 ? (body.code ?? body.decision) : body.error.code);

const tally = (replies: Iterable<Reply>): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const reply of replies) counts[outcomeOf(reply)] = (counts[outcomeOf(reply)] ?? 0) + 1;
  return counts;
};

/** Sends each check until it is answered with yes or no, always under its own id. */
const askAll = async (asked: readonly Check[], afterRound: (replies: Map<Check, Reply>) => Promise<void> = async () => undefined) => {
  const answers = new Map<Check, Reply>();
  const rounds: Record<string, number>[] = [];
  let open = asked;
  while (open.length > 0) {
    expect(rounds.length, JSON.stringify(rounds)).toBeLessThan(ROUNDS);
    const replies = new Map(await Promise.all(open.map(async (check) => [check, await ask(check)] as const)));
    rounds.push(tally(replies.values()));
    await afterRound(replies);
    for (const [check, reply] of replies) if (reply.status === 200) answers.set(check, reply);
    open = open.filter((check) => !answers.has(check)).map(({ hold_id }) => ({ hold_id }));
  }
  return { answers: [...answers.values()], rounds };
};

const expectExactlyAffordable = async (replies: readonly Reply[]) => {
  expect(tally(replies)).toEqual({ admitted: AFFORDABLE, insufficient_budget: CHECKS - AFFORDABLE });
  expect(replies.every(({ body }) => body.available === (body.code === undefined))).toBe(true);
  expect(new Set(replies.flatMap(({ body }) => body.hold_id ?? [])).size).toBe(AFFORDABLE);
  await expectMoneyRight();
};

const expectMoneyRight = async () => {
  const { body } = await server.api.get<AccountBody>(`/accounts/${account}`);
  expect(body).toMatchObject({ budget_limit: 6000, budget_held: 6000, budget_used: 0, budget_available: 0, budget_unconfirmed: 6000 });
  const audit = await server.api.post<AuditBody>('/audit', { account });
  expect(audit.body).toEqual({ accounts: 1, entries: AFFORDABLE + 1, differences: [] });
  expect(server.failures).toEqual([]);
};

/** What says "nothing was changed" must be true: there is no such hold. */
const expectNothingHeld = async (replies: Map<Check, Reply>) => {
  for (const [{ hold_id }, reply] of replies) {
    if (reply.status !== 503 || reply.body.error.code === 'service_unavailable') continue;
    expect(['account_contended', 'deadline_passed']).toContain(reply.body.error.code);
    expect(await server.store.readHold(hold_id), outcomeOf(reply)).toBeUndefined();
    expect((await server.api.get(`/holds/${hold_id}`)).status).toBe(404);
  }
};

/** Contention is not to be told as silence: only a call that was still out a second after its deadline is. */
const expectNoFalseSilence = (replies: Map<Check, Reply>) => {
  for (const [{ deadline_ms = 25_000 }, reply] of replies) {
    if (outcomeOf(reply) === 'service_unavailable') expect(waitedMs.get(reply)).toBeGreaterThanOrEqual(deadline_ms + GRACE_MS);
  }
};

const begunLate = (attempts: readonly Attempt[]) =>
  attempts.filter(({ at, deadline }) => deadline !== undefined && at >= deadline + SDK_MS);

describe('1,000 checks at once against money for exactly 500', () => {
  it('admits exactly 500 and tells every other that the budget is not enough', { timeout: PATIENCE_MS }, async () => {
    await expectExactlyAffordable(await Promise.all(checks().map(ask)));
  });

  it('admits exactly 500 when 30 % of all requests conflict or are throttled, and no attempt begins too late', {
    timeout: PATIENCE_MS,
  }, async () => {
    const faults = createFaults({ refused: 0.3, lost: 0 });
    server.hook(faults.hook);
    const impatient = checks().map((check, i) => ({ ...check, deadline_ms: [300, 1500, 6000, 25_000][i % 4] ?? 300 }));
    const { answers, rounds } = await askAll(impatient, async (replies) => {
      expectNoFalseSilence(replies);
      server.hook((_, send) => send());
      await expectNothingHeld(replies);
      server.hook(faults.hook);
    });
    server.hook((_, send) => send());
    console.log(`30 % refused: ${JSON.stringify(faults.injected)} of ${faults.attempts.length}, rounds ${JSON.stringify(rounds)}`);
    await expectExactlyAffordable(answers);
    expect(Object.keys(rounds[0] ?? {}).some((code) => code === 'account_contended' || code === 'deadline_passed')).toBe(true);
    expect(begunLate(faults.attempts)).toEqual([]);
  });

  it('admits exactly 500 when moreover 10 % of the answers are lost after their transaction was applied', {
    timeout: PATIENCE_MS,
  }, async () => {
    const faults = createFaults({ refused: 0.3, lost: 0.1 });
    server.hook(faults.hook);
    const { answers, rounds } = await askAll(checks(), async (replies) => {
      server.hook((_, send) => send());
      await expectNothingHeld(replies);
      server.hook(faults.hook);
    });
    server.hook((_, send) => send());
    console.log(
      `30 % refused, 10 % lost: ${JSON.stringify(faults.injected)} of ${faults.attempts.length}, rounds ${JSON.stringify(rounds)}`,
    );
    await expectExactlyAffordable(answers);
    expect(faults.injected.lost).toBeGreaterThan(0);
    expect(begunLate(faults.attempts)).toEqual([]);
  });

  it('admits the same 500 when each request is sent three times at once, and the three answers agree', {
    timeout: PATIENCE_MS,
  }, async () => {
    const asked = checks();
    const thrice = await Promise.all(asked.map((check) => Promise.all([1, 2, 3].map(() => askAll([check])))));
    const replies = thrice.map((three) => three.map(({ answers: [reply] }) => reply as Reply));
    for (const [first, ...others] of replies) {
      for (const other of others) expect(memorable(other)).toEqual(memorable(first as Reply));
    }
    await expectExactlyAffordable(replies.map(([first]) => first as Reply));
  });
});

/** All that does not depend on when it was asked. */
const memorable = ({ status, body }: Reply) => ({
  status,
  available: body.available,
  code: body.code,
  hold: body.hold_id,
  amount: body.hold_amount,
});
