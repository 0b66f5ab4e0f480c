// What stops a deployment before anything changes, what a changed setting changes, and what is left when a stage goes.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askingAws, functionSettings, inventory } from '#test/deploy/aws';
import { type MiniStack, missingForMiniStack } from '#test/deploy/ministack';
import { anHour, bootstrapped, DEPLOYING_MS, deploy, deployedStage, refused, STAGE, type Stage, TEN_DOLLARS } from '#test/deploy/stage';

const TABLE = 'asbb-dev';
const ADVISOR = ['asbb:advisor-url=https://advisor.example.org', 'asbb:advisor-secret=asbb/advisor'] as const;

const missing = missingForMiniStack();
if (missing !== undefined) process.stdout.write(`deploy: skipped, it needs ${missing}\n`);

let ministack: MiniStack;
let stage: Stage;
let before: string[];

beforeAll(async () => {
  if (missing !== undefined) return;
  ministack = await bootstrapped();
  before = await inventory(askingAws(ministack.url));
  stage = await deployedStage(ministack);
  expect((await stage.ask('PUT', '/partitions/ten', TEN_DOLLARS)).status).toBe(200);
  expect((await stage.ask('POST', '/accounts', { account: 'physics', budget_limit: 100 })).status).toBe(201);
}, DEPLOYING_MS);
afterAll(() => ministack?.stop());

const holdAmount = async (): Promise<unknown> =>
  (await stage.ask('POST', '/budget/check', { ...anHour('physics'), hold_id: randomUUID() })).body.hold_amount;

const writeSchemaVersion = (version: number): Promise<unknown> => {
  const Item = { pk: { S: 'CONFIG' }, sk: { S: 'SCHEMA' }, v: { N: '1' }, schema_version: { N: String(version) } };
  return stage.aws.json('dynamodb', 'PutItem', { TableName: TABLE, Item });
};

/** Neither a function nor a stack differs, and each stack may be deployed again. */
const unchangedBy = async (work: () => Promise<void>): Promise<void> => {
  const settings = await functionSettings(stage.aws);
  const all = await inventory(stage.aws);
  await work();
  expect(await functionSettings(stage.aws)).toEqual(settings);
  expect(await inventory(stage.aws)).toEqual(all);
  const states = await stage.aws.xml('cloudformation', 'DescribeStacks', 'StackStatus');
  expect(states.filter((state) => !/^(CREATE|UPDATE|UPDATE_ROLLBACK)_COMPLETE$/.test(state))).toEqual([]);
};

describe.skipIf(missing !== undefined)('a deployment stops with a sentence before anything changes', () => {
  it.each([
    ['no stage', [], 'asbb: context key stage is missing: say what to deploy, with -c stage=dev or -c stage=prod'],
    ['a wrong stage', ['-c', 'stage=Production'], 'asbb: context key stage is "Production": write a name of at most 16'],
    ['an unknown key', ['-c', 'stage=dev', '-c', 'asbb:warm=1'], 'asbb: context key asbb:warm is unknown: the keys are stage, '],
    [
      'half an advisor',
      ['-c', 'stage=dev', '-c', `${ADVISOR[0]}`],
      'asbb: context key asbb:advisor-secret is missing beside asbb:advisor-url',
    ],
  ])('for %s', { timeout: DEPLOYING_MS }, (_, context, sentence) =>
    unchangedBy(async () => {
      expect(await refused(ministack.npm('run', 'deploy', '--', ...context))).toContain(sentence);
      expect(await refused(ministack.cdk('deploy', '--all', ...context))).toContain(sentence);
    }),
  );

  it('for an advisor whose secret is not there', { timeout: DEPLOYING_MS }, () =>
    unchangedBy(async () => {
      const said = await refused(deploy(ministack, ...ADVISOR));
      expect(said).toContain('there is no secret asbb/advisor here, which asbb:advisor-secret names');
    }),
  );

  it('for a table of another schema version', { timeout: DEPLOYING_MS }, async () => {
    await writeSchemaVersion(2);
    await unchangedBy(async () => {
      const said = await refused(deploy(ministack, 'asbb:hold-percentage=1.5'));
      expect(said).toContain('table asbb-dev has schema version 2, this asbb works with 1: use the asbb of that version');
    });
    await writeSchemaVersion(1);
  });
});

describe.skipIf(missing !== undefined)('a deployed stage', () => {
  it('is updated in place by a changed setting: functions change, and the table is not touched', { timeout: DEPLOYING_MS }, async () => {
    const table = async () => (await stage.aws.json('dynamodb', 'DescribeTable', { TableName: TABLE })).Table;
    const { TableId, CreationDateTime, LatestStreamArn } = await table();
    expect(await holdAmount()).toBe(12);
    const names = await inventory(stage.aws);

    const diff = await ministack.cdk('diff', '--all', ...STAGE, '-c', 'asbb:hold-percentage=1.5');
    const changes = [...diff.matchAll(/^\[([-+~])\] (\S+)/gm)].map(([, how, type]) => `${how} ${type}`);
    expect([...new Set(changes)].sort()).toEqual(['~ AWS::Lambda::Function', '~ Custom::AsbbClearance']);
    await deploy(ministack, 'asbb:hold-percentage=1.5');

    expect(await holdAmount()).toBe(15);
    expect((await stage.ask('GET', '/accounts/physics')).body).toMatchObject({ budget_limit: 100, budget_held: 27 });
    expect(await table()).toMatchObject({ TableId, CreationDateTime, LatestStreamArn });
    expect(await inventory(stage.aws)).toEqual(names);
  });

  it('is given its advisor once the secret is there', { timeout: DEPLOYING_MS }, async () => {
    await stage.aws.json('secretsmanager', 'CreateSecret', { Name: 'asbb/advisor', SecretString: 'key' });
    await deploy(ministack, ...ADVISOR);
    const settings = await functionSettings(stage.aws);
    expect(settings['asbb-dev-submit']).toMatchObject({ ADVISOR_SECRET_NAME: 'asbb/advisor', HOLD_PERCENTAGE: '1.2' });
    expect(JSON.stringify(settings)).not.toContain('"key"');
  });

  it('leaves nothing when it is destroyed', { timeout: DEPLOYING_MS }, async () => {
    expect((await inventory(stage.aws)).filter((line) => /asbb/i.test(line)).length).toBeGreaterThan(50);
    await ministack.cdk('destroy', '--all', '--force', ...STAGE);
    expect(await inventory(stage.aws)).toEqual(before);
  });
});
