// docs/walkthroughs/restore.md on a local AWS: the API is pointed at a table that was restored to a point in time, and back.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForMiniStack } from '#test/deploy/ministack';
import { anHour, bootstrapped, DEPLOYING_MS, deploy, deployedStage, type Stage, TEN_DOLLARS } from '#test/deploy/stage';

const OWN = 'asbb-dev';
const RESTORED = 'asbb-dev-restored';
const SOON = { timeout: 60_000, interval: 500 };

const missing = missingForMiniStack();
if (missing !== undefined) process.stdout.write(`deploy: skipped, it needs ${missing}\n`);

let stage: Stage;
let held: string;

beforeAll(async () => {
  if (missing !== undefined) return;
  stage = await deployedStage(await bootstrapped());
  expect((await ask('PUT', '/partitions/ten', TEN_DOLLARS)).status).toBe(200);
  expect((await ask('POST', '/accounts', { account: 'physics', budget_limit: 100 })).status).toBe(201);
  held = await place();
}, DEPLOYING_MS);
afterAll(() => stage?.ministack.stop());

const ask: Stage['ask'] = (...request) => stage.ask(...request);
const place = async (): Promise<string> => {
  const hold_id = randomUUID();
  expect((await ask('POST', '/budget/check', { ...anHour('physics'), hold_id })).body).toMatchObject({ available: true });
  return hold_id;
};
const columns = async () => (await ask('GET', '/accounts/physics')).body;
const countOf = async (table: string): Promise<number> =>
  (await stage.aws.json('dynamodb', 'Scan', { TableName: table, Select: 'COUNT' })).Count;

describe.skipIf(missing !== undefined)('a restored table', () => {
  it('is served once its stream is named, its money is whole, and the own table is left alone', { timeout: DEPLOYING_MS }, async () => {
    const point = Math.trunc(Date.now() / 1000);
    await stage.aws.json('dynamodb', 'RestoreTableToPointInTime', {
      SourceTableName: OWN,
      TargetTableName: RESTORED,
      RestoreDateTime: point,
    });
    const StreamSpecification = { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' };
    await stage.aws.json('dynamodb', 'UpdateTable', { TableName: RESTORED, StreamSpecification });
    await place(); // After the point: the restored table does not know of it.
    expect(await columns()).toMatchObject({ budget_held: 24 });
    const before = await countOf(OWN);

    const { Table } = await stage.aws.json('dynamodb', 'DescribeTable', { TableName: RESTORED });
    await deploy(stage.ministack, `asbb:restored-stream=${Table.LatestStreamArn}`);

    expect(await columns()).toMatchObject({ budget_limit: 100, budget_held: 12, budget_available: 88 });
    expect((await ask('POST', '/audit', {})).body).toMatchObject({ accounts: 1, differences: [] });
    const settled = await ask('POST', '/budget/reconcile', { hold_id: held, run_id: 'run-1', actual_cost: 7 });
    expect(settled).toMatchObject({ status: 200 });
    expect(await columns()).toMatchObject({ budget_held: 0, budget_used: 7 });
    // Usage is counted from the restored table's own stream.
    const used = async () => JSON.stringify((await ask('GET', '/accounts/physics/usage')).body);
    await expect.poll(used, SOON).toContain('"used":7');
    expect(await countOf(OWN)).toBe(before);
  });

  it('is left again by leaving the setting out', { timeout: DEPLOYING_MS }, async () => {
    await deploy(stage.ministack);
    expect(await columns()).toMatchObject({ budget_held: 24, budget_used: 0 });
  });
});
