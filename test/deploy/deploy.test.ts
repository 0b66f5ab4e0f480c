// The real `cdk bootstrap` and `cdk deploy` into a local AWS, and the deployed bundles through its API Gateway, its bus, queues,
// rules and streams.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { THRESHOLD_CROSSED } from '#contract/events';
import { shardOf, timedHold } from '#contract/table';
import { takeMessages } from '#test/deploy/aws';
import { missingForMiniStack } from '#test/deploy/ministack';
import { anHour, bootstrapped, DEPLOYING_MS, deployedStage, STAGE, type Stage, TEN_DOLLARS } from '#test/deploy/stage';

const TABLE = 'asbb-dev';
const BUS = 'asbb-dev';
/** A rule of a minute fires after a full minute, and MiniStack looks for those that are due every ten seconds. */
const SWEPT_WITHIN_MS = 120_000;
const SOON = { timeout: 60_000, interval: 500 };

const missing = missingForMiniStack();
if (missing !== undefined) process.stdout.write(`deploy: skipped, it needs ${missing}\n`);

let stage: Stage;
let told: string;
const heard: { 'detail-type': string; detail: { event_id: string; account: string; hold_id?: string } }[] = [];
let overdue: string;

beforeAll(async () => {
  if (missing !== undefined) return;
  stage = await deployedStage(await bootstrapped());
  told = await subscribe();
  expect((await ask('PUT', '/partitions/ten', TEN_DOLLARS)).status).toBe(200);
  overdue = await placeOverdueHold();
}, DEPLOYING_MS);
afterAll(() => stage?.ministack.stop());

const ask: Stage['ask'] = (...request) => stage.ask(...request);
const endpoint = (): string => stage.ministack.endpointOf(stage.outputs.ApiEndpoint ?? '');
const aConfig = (text: string): string => {
  const file = join(mkdtempSync(join(tmpdir(), 'asbb-deploy-')), 'config.yaml');
  writeFileSync(file, text);
  onTestFinished(() => rmSync(dirname(file), { recursive: true }));
  return file;
};
const create = async (account: string, budget_limit: number): Promise<void> =>
  expect((await ask('POST', '/accounts', { account, budget_limit })).status).toBe(201);
const place = async (account: string, nodes = 1): Promise<string> => {
  const hold_id = randomUUID();
  expect((await ask('POST', '/budget/check', { ...anHour(account), nodes, hold_id })).body).toMatchObject({ available: true });
  return hold_id;
};
const settle = async (hold_id: string, actual_cost: number): Promise<void> =>
  expect((await ask('POST', '/budget/reconcile', { hold_id, run_id: `run-of-${hold_id}`, actual_cost })).status).toBe(200);
const stateOf = async (hold: string): Promise<unknown> => (await ask('GET', `/holds/${hold}`)).body.state;
const columnsOf = async (account: string) => (await ask('GET', `/accounts/${account}`)).body;

/** A queue of our own behind the bus: all that the service tells. */
const subscribe = async (): Promise<string> => {
  const { QueueUrl } = await stage.aws.json('sqs', 'CreateQueue', { QueueName: 'told' });
  await stage.aws.json('events', 'PutRule', { Name: 'told', EventBusName: BUS, EventPattern: '{"source":["asbb"]}' });
  const target = { Id: 'told', Arn: 'arn:aws:sqs:us-east-1:000000000000:told' };
  await stage.aws.json('events', 'PutTargets', { Rule: 'told', EventBusName: BUS, Targets: [target] });
  return QueueUrl;
};

const hear = async (): Promise<void> => {
  for (const { Body } of await takeMessages(stage.aws, told)) heard.push(JSON.parse(Body));
};

/** No hold may be shorter than an hour, so its end is written back, in the item and in the index that the sweep looks at. */
const placeOverdueHold = async (): Promise<string> => {
  await create('geology', 50);
  const hold = await place('geology');
  const ended = Date.now() - 60_000;
  await stage.aws.json('dynamodb', 'UpdateItem', {
    TableName: TABLE,
    Key: { pk: { S: `HOLD#${hold}` }, sk: { S: 'HOLD' } },
    UpdateExpression: 'SET expires_at = :ended, gsi2sk = :key',
    ConditionExpression: 'gsi2pk = :shard',
    ExpressionAttributeValues: {
      ':ended': { N: String(ended) },
      ':key': { S: timedHold(ended, hold) },
      ':shard': { S: `OPEN#${shardOf(hold)}` },
    },
  });
  return hold;
};

const putJobEnded = async (detail: object): Promise<void> => {
  const entry = { EventBusName: BUS, Source: 'asbb.slurm', DetailType: 'Slurm Job Ended', Detail: JSON.stringify(detail) };
  expect(await stage.aws.json('events', 'PutEvents', { Entries: [entry] })).toMatchObject({ FailedEntryCount: 0 });
};

describe.skipIf(missing !== undefined)('a deployed stage', () => {
  it('gives out what clients are configured with', () => {
    expect(stage.outputs).toMatchObject({ TableName: TABLE, EventBusName: BUS });
  });

  it('says that it is there, to whoever asks, and nothing else without a signature', async () => {
    const api = `${endpoint()}/api/v1`;
    const health = await fetch(`${api}/health`);
    expect([health.status, await health.json()]).toMatchObject([200, { status: 'ok' }]);
    expect((await fetch(`${api}/accounts`)).status).toBe(403);
    expect((await ask('GET', '/accounts')).status).toBe(200);
  });

  it('has marked its table with the version of its schema', async () => {
    const Key = { pk: { S: 'CONFIG' }, sk: { S: 'SCHEMA' } };
    expect((await stage.aws.json('dynamodb', 'GetItem', { TableName: TABLE, Key })).Item).toMatchObject({ schema_version: { N: '1' } });
  });

  it('holds money for a job, refuses one that is too dear, and settles the first at its real cost', async () => {
    await create('physics', 100);
    const job = { ...anHour('physics'), hold_id: randomUUID() };
    expect((await ask('POST', '/budget/check', job)).body).toMatchObject({ available: true, hold_amount: 12 });
    const refused = await ask('POST', '/budget/check', { ...job, hold_id: randomUUID(), nodes: 100 });
    expect(refused).toMatchObject({ status: 200, body: { available: false, code: 'insufficient_budget' } });
    const run = { hold_id: job.hold_id, run_id: 'alpha-1', actual_cost: 7.000001 };
    expect((await ask('POST', '/budget/reconcile', run)).body).toMatchObject({
      success: true,
      refund_amount: 4.999999,
      hold_state: 'settled',
    });
    expect(await columnsOf('physics')).toMatchObject({
      budget_limit: 100,
      budget_used: 7.000001,
      budget_held: 0,
      budget_available: 92.999999,
    });
  });

  it('settles a job whose end is put on the bus, once, though it is put there twice', async () => {
    const hold_id = await place('physics');
    for (let twice = 0; twice < 2; twice += 1) await putJobEnded({ hold_id, run_id: 'alpha-2', actual_cost: 4 });
    await expect.poll(() => stateOf(hold_id), SOON).toBe('settled');
    expect(await columnsOf('physics')).toMatchObject({ budget_used: 11.000001, budget_held: 0 });
  });

  it('keeps ended jobs that it cannot book in the dead letters, and books them when they are redriven', { timeout: 120_000 }, async () => {
    const [{ QueueUrl: queue }, { QueueUrl: dead }] = await Promise.all(
      ['asbb-dev-job-ended', 'asbb-dev-job-ended-dead'].map((QueueName) => stage.aws.json('sqs', 'GetQueueUrl', { QueueName })),
    );
    // Five deliveries, and each hidden for three minutes, would take a quarter of an hour.
    await stage.aws.json('sqs', 'SetQueueAttributes', { QueueUrl: queue, Attributes: { VisibilityTimeout: '1' } });
    const hold_id = await place('physics');
    await putJobEnded({ hold_id, run_id: 'alpha-3', actual_cost: 'five' });
    await putJobEnded({ account: 'chemistry', cluster: 'alpha', job_id: '4', run_id: 'alpha-4', actual_cost: 2.345678 });
    const letters: { Body: string }[] = [];
    await expect
      .poll(async () => letters.push(...(await takeMessages(stage.aws, dead))) > 0 && letters.length, { ...SOON, timeout: 90_000 })
      .toBe(2);
    expect([await stateOf(hold_id), (await ask('GET', '/accounts/chemistry')).status]).toEqual(['open', 404]);

    // MiniStack has no StartMessageMoveTask: a letter goes back as docs/deploy.md has it for one that is corrected.
    await create('chemistry', 10);
    for (const { Body } of letters)
      await stage.aws.json('sqs', 'SendMessage', { QueueUrl: queue, MessageBody: Body.replace('"five"', '5.5') });
    await expect.poll(() => stateOf(hold_id), SOON).toBe('settled');
    expect(await columnsOf('physics')).toMatchObject({ budget_used: 16.500001, budget_held: 0 });
    await expect.poll(async () => (await columnsOf('chemistry')).budget_used, SOON).toBe(2.345678);
    expect(await takeMessages(stage.aws, dead)).toEqual([]);
  });

  it('returns the money of an overdue hold, by the rule of its sweep', { timeout: SWEPT_WITHIN_MS + 10_000 }, async () => {
    await expect.poll(() => stateOf(overdue), { timeout: SWEPT_WITHIN_MS, interval: 1_000 }).toBe('expired');
    expect(await columnsOf('geology')).toMatchObject({ budget_used: 0, budget_held: 0, budget_available: 50 });
  });

  it('tells of each hold and of each threshold once, however often it is crossed', { timeout: 120_000 }, async () => {
    await create('biology', 100);
    const holds = [await place('biology', 5)];
    expect((await ask('POST', `/holds/${holds[0]}/release`, {})).status).toBe(200);
    for (const cost of [30.5, 24.5]) {
      const hold = await place('biology', 5); // Committed: 60, then 90.5, each time past 50 again.
      await settle(hold, cost);
      holds.push(hold);
    }
    const of = (account: string) => heard.filter(({ detail }) => detail.account === account);
    const closed = () => of('biology').filter(({ 'detail-type': type }) => ['Hold Settled', 'Hold Released'].includes(type)).length;
    await expect.poll(() => hear().then(closed), SOON).toBe(3);
    await expect.poll(() => hear().then(() => of('geology').length), SOON).toBe(2);

    const crossed = heard.filter(({ 'detail-type': type }) => type === THRESHOLD_CROSSED).map(({ detail }) => detail.event_id);
    expect(crossed.filter((id) => id.startsWith('biology')).sort()).toEqual([
      'biology.committed.50.100000000',
      'biology.committed.80.100000000',
      'biology.committed.90.100000000',
      'biology.used.50.100000000',
    ]);
    const types = of('biology').flatMap(({ 'detail-type': type, detail }) => (detail.hold_id === undefined ? [] : [type]));
    expect(types.sort()).toEqual(['Hold Placed', 'Hold Placed', 'Hold Placed', 'Hold Released', 'Hold Settled', 'Hold Settled']);
    expect(of('geology').map(({ 'detail-type': type, detail }) => [type, detail.hold_id])).toEqual([
      ['Hold Placed', overdue],
      ['Hold Expired', overdue],
    ]);
    const ids = heard.map(({ detail }) => detail.event_id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('counts usage as the ledger has it, to the micro-dollar, for every account', { timeout: 90_000 }, async () => {
    const used = { biology: 55, chemistry: 2.345678, geology: 0, physics: 16.500001 };
    for (const [account, expected] of Object.entries(used)) {
      await expect.poll(async () => (await ask('GET', `/accounts/${account}/usage`)).body.total, SOON).toMatchObject({ used: expected });
      expect([account, await sumOfLedger(account)]).toEqual([account, expected]);
      expect(await columnsOf(account)).toMatchObject({ budget_used: expected, budget_held: 0 });
    }
    const { body } = await ask('POST', '/audit', {});
    expect(body).toMatchObject({ differences: [] });
  });

  it('is told of by `asbb status`: the API, its agent, the sweep and the alarms', { timeout: 60_000 }, async () => {
    expect((await ask('PUT', '/clusters/alpha', { cluster_uid: 'u', agent_version: '0.1.0' })).status).toBe(200);
    const said = await stage.ministack.asbb('status', '--endpoint', endpoint(), '--config', aConfig('agent:\n  event_bus: asbb-dev\n'));
    const { checks } = JSON.parse(said) as { checks: { check: string; subject: string | null; state: string; says: string }[] };
    const lines = checks.map(({ check, subject, state, says }) => `${state} ${subject ?? check}: ${says}`);
    expect(lines[0]).toMatch(/^ok api: .* answers ok in \d+ ms/);
    expect(lines).toContainEqual(expect.stringMatching(/^ok alpha: its agent \(0\.1\.0\) was heard \d+ s ago$/));
    expect(lines).toContainEqual(expect.stringMatching(/^ok alarms: 10, \d ringing$/));
    expect(lines).toContainEqual(
      expect.stringMatching(/^(ok sweep: has been running|warn sweep: nothing is known|fail sweep-not-running)/),
    );
  });

  it(
    'does not differ from what was deployed',
    async () => {
      expect(await stage.ministack.cdk('diff', '--all', ...STAGE)).toContain('Number of stacks with differences: 0');
    },
    DEPLOYING_MS,
  );
});

/** What all entries of an account say was used, in dollars: added as whole micro-dollars. */
const sumOfLedger = async (account: string): Promise<number> => {
  const { transactions } = (await ask('GET', `/accounts/${account}/transactions`)).body as { transactions: { used_delta: number }[] };
  expect(transactions.length).toBeGreaterThan(0);
  return transactions.reduce((sum, { used_delta }) => sum + Math.round(used_delta * 1e6), 0) / 1e6;
};
