// The real `cdk bootstrap` and `cdk deploy` into a local AWS, and the deployed bundles through its API Gateway.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT, type MiniStack, missingForMiniStack, REGION, startMiniStack } from '#test/deploy/ministack';

const DEPLOYING_MS = 900_000;
const STAGE = ['-c', 'stage=dev'] as const;

const missing = missingForMiniStack();
if (missing !== undefined) process.stdout.write(`deploy: skipped, it needs ${missing}\n`);

let aws: MiniStack;
let api: string;
let said: string;

beforeAll(async () => {
  if (missing !== undefined) return;
  aws = await startMiniStack();
  await aws.cdk('bootstrap', `aws://${ACCOUNT}/${REGION}`, ...STAGE);
  said = await aws.cdk('deploy', '--all', '--require-approval', 'never', ...STAGE);
  api = `${aws.endpointOf(outputsIn(said).ApiEndpoint ?? '')}/api/v1`;
}, DEPLOYING_MS);
afterAll(() => aws?.stop());

const outputsIn = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^Asbb-dev-Api\.(\w+) = (.*)$/gm)].map(([, name = '', value = '']) => [name, value]));

const ask = async (method: string, path: string, body?: object): Promise<{ status: number; body: Record<string, unknown> }> => {
  const options = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const answer = await fetch(`${api}${path}`, { method, ...options });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
};

describe.skipIf(missing !== undefined)('a deployed stage', () => {
  it('gives out what clients are configured with', () => {
    expect(outputsIn(said)).toMatchObject({ TableName: 'asbb-dev', EventBusName: 'asbb-dev' });
  });

  it('says that it is there', async () => {
    expect(await ask('GET', '/health')).toMatchObject({ status: 200, body: { status: 'ok' } });
  });

  it('holds money for a job, refuses one that is too dear, and settles the first at its real cost', async () => {
    const partition = { region: 'us-east-1', instance_types: [], unpriced: 'flat', flat_rate_per_node_hour: 10 };
    expect((await ask('PUT', '/partitions/ten', partition)).status).toBe(200);
    expect((await ask('POST', '/accounts', { account: 'physics', budget_limit: 100 })).status).toBe(201);
    const job = { account: 'physics', partition: 'ten', cluster: 'alpha', wall_time: '1:00:00', hold_id: randomUUID() };
    expect((await ask('POST', '/budget/check', { ...job, nodes: 1 })).body).toMatchObject({ available: true, hold_amount: 12 });
    const refused = await ask('POST', '/budget/check', { ...job, hold_id: randomUUID(), nodes: 100 });
    expect(refused).toMatchObject({ status: 200, body: { available: false, code: 'insufficient_budget' } });
    const run = { hold_id: job.hold_id, run_id: 'alpha-1', actual_cost: 7 };
    expect((await ask('POST', '/budget/reconcile', run)).body).toMatchObject({ success: true, refund_amount: 5, hold_state: 'settled' });
    const { body } = await ask('GET', '/accounts/physics');
    expect(body).toMatchObject({ budget_limit: 100, budget_used: 7, budget_held: 0, budget_available: 93 });
  });

  it('settles a job whose end is put on the bus', async () => {
    const hold_id = randomUUID();
    const job = { account: 'physics', partition: 'ten', cluster: 'alpha', wall_time: '1:00:00', nodes: 1, hold_id };
    expect((await ask('POST', '/budget/check', job)).body).toMatchObject({ available: true });
    await putEvent({ hold_id, run_id: 'alpha-2', actual_cost: 4 });
    await expect.poll(async () => (await ask('GET', `/holds/${hold_id}`)).body.state, { timeout: 60_000, interval: 500 }).toBe('settled');
    expect((await ask('GET', '/accounts/physics')).body).toMatchObject({ budget_used: 11, budget_held: 0 });
  });

  it(
    'does not differ from what was deployed',
    async () => {
      expect(await aws.cdk('diff', '--all', ...STAGE)).toContain('Number of stacks with differences: 0');
    },
    DEPLOYING_MS,
  );

  // `cdk destroy` names a stack by its ARN, which MiniStack does not find, so CloudFormation is asked by name.
  it('leaves no function and no table when its stacks are deleted', async () => {
    expect(await functionNames()).toHaveLength(7);
    await deleteStack('Asbb-dev-Api');
    await expect.poll(functionNames, { timeout: 30_000 }).toEqual([]);
    await deleteStack('Asbb-dev-Data');
    await expect.poll(tableNames, { timeout: 30_000 }).toEqual([]);
  });
});

/** MiniStack looks at the scope of a signature, and not at the signature. */
const signedFor = (service: string): Record<string, string> => ({
  authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
});

const putEvent = async (detail: object): Promise<void> => {
  const headers = { ...signedFor('events'), 'x-amz-target': 'AWSEvents.PutEvents', 'content-type': 'application/x-amz-json-1.1' };
  const entry = { EventBusName: 'asbb-dev', Source: 'asbb.slurm', DetailType: 'Slurm Job Ended', Detail: JSON.stringify(detail) };
  const answer = await fetch(aws.url, { method: 'POST', headers, body: JSON.stringify({ Entries: [entry] }) });
  expect(await answer.json()).toMatchObject({ FailedEntryCount: 0 });
};

const deleteStack = async (StackName: string): Promise<void> => {
  const body = new URLSearchParams({ Action: 'DeleteStack', Version: '2010-05-15', StackName });
  expect((await fetch(aws.url, { method: 'POST', headers: signedFor('cloudformation'), body })).status).toBe(200);
};

const functionNames = async (): Promise<string[]> => {
  const answer = await fetch(`${aws.url}/2015-03-31/functions/`, { headers: signedFor('lambda') });
  const { Functions } = (await answer.json()) as { Functions: { FunctionName: string }[] };
  return Functions.map(({ FunctionName }) => FunctionName);
};

const tableNames = async (): Promise<string[]> => {
  const headers = {
    ...signedFor('dynamodb'),
    'x-amz-target': 'DynamoDB_20120810.ListTables',
    'content-type': 'application/x-amz-json-1.0',
  };
  const answer = await fetch(aws.url, { method: 'POST', headers, body: '{}' });
  return ((await answer.json()) as { TableNames: string[] }).TableNames;
};
