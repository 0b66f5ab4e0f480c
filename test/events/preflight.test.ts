// What CloudFormation is told before a deployment changes anything.
import type { CloudFormationCustomResourceEvent } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { answerDeployment, type Preflight } from '#events/preflight';

const URL = 'https://cloudformation.example.org/answer';
const COMMON = {
  StackId: 'arn:aws:cloudformation:eu-central-1:111122223333:stack/Asbb-prod-Api/1',
  RequestId: 'r-1',
  LogicalResourceId: 'Clearance',
  ResponseURL: URL,
  ResourceType: 'Custom::AsbbClearance',
  ServiceToken: 'arn:aws:lambda:eu-central-1:111122223333:function:asbb-prod-preflight',
};
const asked = (type: 'Create' | 'Update' | 'Delete', properties: Record<string, string> = {}): CloudFormationCustomResourceEvent =>
  ({
    ...COMMON,
    RequestType: type,
    ...(type !== 'Create' && { PhysicalResourceId: 'Clearance' }),
    ResourceProperties: { ServiceToken: COMMON.ServiceToken, SchemaVersion: '1', ...properties },
  }) as CloudFormationCustomResourceEvent;

const unlooked = (): Promise<never> => Promise.reject(new Error('nobody was to look'));

/** Everything in order, but for what is given. Time passes by sleeping only. */
const answered = async (event: CloudFormationCustomResourceEvent, given: Partial<Preflight> = {}) => {
  let now = 0;
  const answers: [string, unknown][] = [];
  const failures: string[] = [];
  await answerDeployment(
    {
      table: 'asbb-prod',
      claimSchema: async () => 1,
      hasSecret: unlooked,
      isRollingBack: unlooked,
      put: async (url, body) => {
        answers.push([url, JSON.parse(new TextDecoder().decode(body))]);
      },
      clock: {
        now: () => now,
        sleep: async (ms) => {
          now += ms;
        },
      },
      telemetry: { failed: ({ error }) => failures.push((error as Error).message) },
      ...given,
    },
    event,
  );
  expect(answers).toHaveLength(1);
  const [[url, answer] = []] = answers;
  expect(url).toBe(URL);
  return { answer: answer as { Status: string; Reason?: string }, failures, waited: now };
};

const OTHER_SCHEMA = 'table asbb-prod has schema version 2, this asbb works with 1: use the asbb of that version';

describe('before a deployment', () => {
  it('is content with a table of its own version, and with none yet', async () => {
    for (const version of [1, undefined]) {
      const { answer, failures } = await answered(asked('Create'), { claimSchema: async () => version });
      expect(answer).toEqual({
        Status: 'SUCCESS',
        PhysicalResourceId: 'Clearance',
        StackId: COMMON.StackId,
        RequestId: 'r-1',
        LogicalResourceId: 'Clearance',
      });
      expect(failures).toEqual([]);
    }
  });

  it.each(['Create', 'Update'] as const)('refuses to %s over a table of another version, and logs why', async (type) => {
    const given = { claimSchema: async () => 2, isRollingBack: async () => false };
    const { answer, failures } = await answered(asked(type), given);
    expect(answer).toMatchObject({ Status: 'FAILED', Reason: OTHER_SCHEMA, PhysicalResourceId: 'Clearance' });
    expect(failures).toEqual([`not deployed: ${OTHER_SCHEMA}`]);
  });

  it('refuses where the advisor has no secret, and names it', async () => {
    const looked: string[] = [];
    const hasSecret = async (name: string): Promise<boolean> => looked.push(name) > 1;
    const event = asked('Create', { AdvisorSecret: 'asbb/advisor' });
    expect((await answered(event, { hasSecret })).answer).toMatchObject({
      Status: 'FAILED',
      Reason:
        'there is no secret asbb/advisor here, which asbb:advisor-secret names: make it with aws secretsmanager create-secret --name asbb/advisor first',
    });
    expect((await answered(event, { hasSecret })).answer).toMatchObject({ Status: 'SUCCESS' });
    expect(looked).toEqual(['asbb/advisor', 'asbb/advisor']);
  });

  it('never refuses the way back, so that no stack is left in between', async () => {
    const given = { claimSchema: async () => 2, isRollingBack: async (stack: string) => stack === COMMON.StackId };
    expect((await answered(asked('Update'), given)).answer).toMatchObject({ Status: 'SUCCESS' });
  });

  it('refuses if it cannot tell whether that is the way back', async () => {
    expect((await answered(asked('Update'), { claimSchema: async () => 2 })).answer).toMatchObject({ Status: 'FAILED' });
  });

  it('lets everything be deleted, and looks at nothing', async () => {
    expect((await answered(asked('Delete', { AdvisorSecret: 's' }), { claimSchema: unlooked })).answer.Status).toBe('SUCCESS');
  });

  it('waits for a role that is not known everywhere yet', async () => {
    let tries = 0;
    const claimSchema = async (): Promise<number> => {
      tries += 1;
      if (tries < 4) throw new Error('not authorized to perform: dynamodb:GetItem');
      return 1;
    };
    const { answer, waited } = await answered(asked('Create'), { claimSchema });
    expect([answer.Status, waited]).toEqual(['SUCCESS', 9_000]);
  });

  it.each([
    ['the table', { claimSchema: unlooked }, 'the schema version of table asbb-prod cannot be read: nobody was to look'],
    ['the secret', {}, 'the secret s, which asbb:advisor-secret names, cannot be looked for: nobody was to look'],
  ])('says after half a minute that it cannot look at %s', async (_, given, Reason) => {
    const { answer, waited } = await answered(asked('Create', { AdvisorSecret: 's' }), given);
    expect(answer).toMatchObject({ Status: 'FAILED', Reason });
    expect(waited).toBe(30_000);
  });

  it('keeps its answer within what CloudFormation takes', async () => {
    const claimSchema = () => Promise.reject(new Error('x'.repeat(9_000)));
    expect((await answered(asked('Create'), { claimSchema })).answer.Reason).toHaveLength(1_000);
  });
});
