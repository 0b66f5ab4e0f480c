// What is deployed: the table and how it is kept, the routes and who signs, the functions, the queues, the outputs.
import { rmSync } from 'node:fs';
import { Stack } from 'aws-cdk-lib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { JOB_ENDED_BUDGET_MS } from '#contract/events';
import { ROUTES } from '#contract/routes';
import { textOf } from '#test/infra/iam';
import { ofType, PATIENCE_MS, type Resource, type Synthesised, synthesised } from '#test/infra/synth';

let prod: Synthesised;
let dev: Synthesised;
beforeAll(() => {
  prod = synthesised({ context: { stage: 'prod' } });
  dev = synthesised({
    context: {
      stage: 'dev',
      'asbb:region': 'eu-west-1',
      'asbb:alarm-email': 'ops@example.org',
      'asbb:log-retention-days': 14,
      'asbb:sweep-interval-minutes': 3,
      'asbb:warm-instances': 2,
      'asbb:hold-percentage': '1.5',
      'asbb:reconciliation-timeout-hours': 12,
      'asbb:advisor-url': 'https://advisor.example.org',
      'asbb:advisor-secret': 'asbb/advisor',
      'asbb:pricing-region': 'eu-central-1',
    },
  });
}, PATIENCE_MS);
afterAll(() => {
  for (const { folder } of [prod, dev]) rmSync(folder, { recursive: true });
});

const only = (stacks: Synthesised, type: string): Resource => {
  const found = ofType(stacks, type);
  expect(found).toHaveLength(1);
  return (found[0] as [string, Resource])[1];
};
const propertiesOf = (stacks: Synthesised, type: string) => ofType(stacks, type).map(([, { Properties }]) => Properties);
const functionsOf = (stacks: Synthesised) => propertiesOf(stacks, 'AWS::Lambda::Function');

describe('the table', () => {
  it('is as the contract says: keys, three indexes of keys only, paid by request, streamed, with TTL for markers', () => {
    const { Properties: table } = only(prod, 'AWS::DynamoDB::GlobalTable');
    const keys = (partition: string, sort: string) => [
      { AttributeName: partition, KeyType: 'HASH' },
      { AttributeName: sort, KeyType: 'RANGE' },
    ];
    expect(table).toMatchObject({
      TableName: 'asbb-prod',
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: keys('pk', 'sk'),
      StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
      TimeToLiveSpecification: { AttributeName: 'ttl', Enabled: true },
      SSESpecification: { SSEEnabled: false }, // Encrypted all the same, by a key of DynamoDB's own.
    });
    expect(table.GlobalSecondaryIndexes).toEqual(
      ['1', '2', '3'].map((n) => ({
        IndexName: `GSI${n}`,
        KeySchema: keys(`gsi${n}pk`, `gsi${n}sk`),
        Projection: { ProjectionType: 'KEYS_ONLY' },
      })),
    );
  });

  it.each([
    ['prod', () => prod, { protected: true, policy: 'Retain' }],
    ['dev', () => dev, { protected: false, policy: 'Delete' }],
  ] as const)('of stage %s can be restored to any second, and is kept as its stage asks', (_, stacks, expected) => {
    const { Properties, DeletionPolicy, UpdateReplacePolicy } = only(stacks(), 'AWS::DynamoDB::GlobalTable');
    expect(Properties.Replicas).toHaveLength(1);
    expect(Properties.Replicas[0]).toMatchObject({
      DeletionProtectionEnabled: expected.protected,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    });
    expect([DeletionPolicy, UpdateReplacePolicy]).toEqual([expected.policy, expected.policy]);
  });
});

describe('the API', () => {
  it('has each route of the contract once, signed by IAM, but for health', () => {
    const routes = propertiesOf(prod, 'AWS::ApiGatewayV2::Route').map(({ RouteKey, AuthorizationType }) => [RouteKey, AuthorizationType]);
    const expected = Object.values(ROUTES).map(({ method, path }) => [`${method} ${path}`, path === '/api/v1/health' ? 'NONE' : 'AWS_IAM']);
    expect(routes.sort()).toEqual(expected.sort());
  });

  it('brings each route to the function that serves it', () => {
    const integrations = new Map(
      ofType(prod, 'AWS::ApiGatewayV2::Integration').map(([id, { Properties }]) => [id, textOf(Properties.IntegrationUri)]),
    );
    const servedBy = propertiesOf(prod, 'AWS::ApiGatewayV2::Route').map(({ RouteKey, Target }) => {
      const id = [...integrations.keys()].find((each) => JSON.stringify(Target).includes(each)) ?? '';
      return [RouteKey, integrations.get(id)];
    });
    const named = { submit: '<BudgetSubmitFunction.Arn>', agent: '<BudgetAgentFunction.Arn>', admin: '<BudgetAdminFunction.Arn>' };
    expect(servedBy.sort()).toEqual(
      Object.values(ROUTES)
        .map((route) => [`${route.method} ${route.path}`, named[route.servedBy]])
        .sort(),
    );
  });

  it('keeps instances of submit warm only where that was asked for', () => {
    expect(ofType(prod, 'AWS::Lambda::Alias')).toEqual([]);
    const { Properties } = only(dev, 'AWS::Lambda::Alias');
    expect(Properties).toMatchObject({ Name: 'warm', ProvisionedConcurrencyConfig: { ProvisionedConcurrentExecutions: 2 } });
    expect(textOf(Properties.FunctionName)).toBe('<BudgetSubmitFunction>');
  });
});

describe('each function', () => {
  it('runs on Node 22 on arm64, traced, with JSON logs in a group of its own that ends, and without reserved concurrency', () => {
    const names = functionsOf(prod).map((each) => {
      expect(each).toMatchObject({
        Runtime: 'nodejs22.x',
        Architectures: ['arm64'],
        TracingConfig: { Mode: 'Active' },
        LoggingConfig: { LogFormat: 'JSON' },
      });
      expect(each).not.toHaveProperty('ReservedConcurrentExecutions');
      return [each.FunctionName, each.Timeout, each.MemorySize];
    });
    expect(names).toEqual([
      ['asbb-prod-preflight', 120, 512],
      ['asbb-prod-submit', 29, 1024],
      ['asbb-prod-agent', 29, 512],
      ['asbb-prod-admin', 29, 512],
      ['asbb-prod-expire', 60, 512],
      ['asbb-prod-job-ended', 30, 512],
      ['asbb-prod-stream', 30, 512],
      ['asbb-prod-audit', 900, 1024],
      ['asbb-prod-price-refresh', 600, 512],
    ]);
    const groups = propertiesOf(prod, 'AWS::Logs::LogGroup').map(({ LogGroupName, RetentionInDays }) => [LogGroupName, RetentionInDays]);
    expect(groups.sort()).toEqual(
      ['access', 'admin', 'agent', 'audit', 'expire', 'job-ended', 'preflight', 'price-refresh', 'stream', 'submit'].map((name) => [
        `/asbb/prod/${name}`,
        90,
      ]),
    );
  });

  it('is told what the deployment was told', () => {
    const of = (stacks: Synthesised, name: string) =>
      functionsOf(stacks).find(({ FunctionName }) => FunctionName.endsWith(name)).Environment.Variables;
    const { TABLE_NAME, ...common } = of(dev, 'agent');
    expect(textOf(TABLE_NAME)).toMatch(/Table/);
    expect(common).toEqual({
      SERVICE_NAME: 'asbb-dev',
      HOLD_PERCENTAGE: '1.5',
      RECONCILIATION_TIMEOUT_SECONDS: '43200',
      NODE_OPTIONS: '--enable-source-maps',
      ADVISOR_URL: 'https://advisor.example.org',
      ADVISOR_SECRET_NAME: 'asbb/advisor',
    });
    // It shows the address, and asks nobody.
    expect(of(dev, 'admin')).toMatchObject({ ADVISOR_URL: 'https://advisor.example.org' });
    expect(of(dev, 'submit')).toMatchObject({
      PRICING_REGION: 'eu-central-1',
      ADVISOR_URL: 'https://advisor.example.org',
      ADVISOR_SECRET_NAME: 'asbb/advisor',
    });
    for (const name of ['admin', 'price-refresh']) expect(of(dev, name)).toMatchObject({ PRICING_REGION: 'eu-central-1' });
    expect(of(prod, 'submit')).not.toHaveProperty('ADVISOR_URL');
    expect(of(prod, 'submit')).not.toHaveProperty('NODE_OPTIONS');
    expect(propertiesOf(dev, 'AWS::Logs::LogGroup').map(({ RetentionInDays }) => RetentionInDays)).toEqual(Array(10).fill(14));
  });
});

describe('what runs by itself', () => {
  it('sweeps at the interval, audits once a day, refreshes prices before they are a day old, and repeats none of them', () => {
    const schedules = (stacks: Synthesised) =>
      propertiesOf(stacks, 'AWS::Events::Rule').flatMap(({ ScheduleExpression }) => ScheduleExpression ?? []);
    expect(schedules(prod)).toEqual(['rate(1 minute)', 'rate(1 day)', 'rate(12 hours)']);
    expect(schedules(dev)).toEqual(['rate(3 minutes)', 'rate(1 day)', 'rate(12 hours)']);
    expect(propertiesOf(prod, 'AWS::Lambda::EventInvokeConfig').map(({ MaximumRetryAttempts }) => MaximumRetryAttempts)).toEqual([0, 0, 0]);
  });

  it('brings ended jobs from the bus to their queue, and what cannot be booked to the dead letters', () => {
    const rule = propertiesOf(prod, 'AWS::Events::Rule').find(({ EventPattern }) => EventPattern !== undefined);
    expect(rule.EventPattern).toEqual({ source: ['asbb.slurm'], 'detail-type': ['Slurm Job Ended'] });
    expect(
      rule.Targets.map(({ Arn, DeadLetterConfig }: { Arn: unknown; DeadLetterConfig: { Arn: unknown } }) => [
        textOf(Arn),
        textOf(DeadLetterConfig.Arn),
      ]),
    ).toEqual([['<JobEventsQueue.Arn>', '<JobEventsDeadLetters.Arn>']]);
    const queues = new Map(propertiesOf(prod, 'AWS::SQS::Queue').map((queue) => [queue.QueueName, queue]));
    const queue = queues.get('asbb-prod-job-ended');
    expect(queue).toMatchObject({ SqsManagedSseEnabled: true, RedrivePolicy: { maxReceiveCount: 5 } });
    const jobEnded = functionsOf(prod).find(({ FunctionName }) => FunctionName === 'asbb-prod-job-ended');
    expect(jobEnded.Timeout * 1000).toBeGreaterThan(JOB_ENDED_BUDGET_MS);
    expect(queue.VisibilityTimeout).toBeGreaterThanOrEqual(6 * jobEnded.Timeout);
    const dead = queues.get('asbb-prod-job-ended-dead');
    expect(dead).toMatchObject({ MessageRetentionPeriod: 1_209_600, RedriveAllowPolicy: { redrivePermission: 'byQueue' } });
    expect(dead.RedriveAllowPolicy.sourceQueueArns.map(textOf)).toEqual(['arn:aws:sqs:eu-central-1:111122223333:asbb-prod-job-ended']);
  });

  it('reads queue and stream in batches that may fail in part', () => {
    const [jobs, stream] = propertiesOf(prod, 'AWS::Lambda::EventSourceMapping');
    expect(jobs).toMatchObject({
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      ScalingConfig: { MaximumConcurrency: 5 },
    });
    expect(stream).toMatchObject({
      BatchSize: 100,
      BisectBatchOnFunctionError: true,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      MaximumRetryAttempts: 10,
      MaximumRecordAgeInSeconds: 43_200,
      StartingPosition: 'TRIM_HORIZON',
    });
    expect(textOf(stream.DestinationConfig.OnFailure.Destination)).toBe('<StreamEventsDeadLetters.Arn>');
  });
});

describe('before anything changes', () => {
  const clearances = (stacks: Synthesised) => ofType(stacks, 'Custom::AsbbClearance');
  const isUpstream = (id: string): boolean => /^(Preflight|Clearance)/.test(id);

  it('each stack asks the preflight, and everything else in it waits for the answer', () => {
    expect(clearances(prod)).toHaveLength(2);
    for (const { Resources } of [prod.data, prod.api]) {
      const [clearance] = Object.entries(Resources).find(([, { Type }]) => Type === 'Custom::AsbbClearance') ?? [''];
      const others = Object.entries(Resources).filter(([id]) => !isUpstream(id));
      expect(others.length).toBeGreaterThan(0);
      expect(others.filter(([, { DependsOn = [] }]) => !DependsOn.includes(clearance)).map(([id]) => id)).toEqual([]);
    }
    const [[, ofData], [, ofApi]] = clearances(prod) as [[string, Resource], [string, Resource]];
    expect(textOf(ofData.Properties.ServiceToken)).toBe('<PreflightLookFunction.Arn>');
    expect(JSON.stringify(ofApi.Properties.ServiceToken)).toContain('PreflightLookFunction');
    expect(ofApi.Properties).toMatchObject({ SchemaVersion: 1, ServiceTimeout: '300' });
  });

  it('asks again where a setting changes a function, and tells of the secret that has to be there', () => {
    const other = synthesised({ context: { stage: 'prod', 'asbb:hold-percentage': '1.3' } });
    rmSync(other.folder, { recursive: true });
    const [[, data], [, api]] = clearances(prod) as [[string, Resource], [string, Resource]];
    const [[, otherData], [, otherApi]] = clearances(other) as [[string, Resource], [string, Resource]];
    expect(otherData.Properties.Functions).toBe(data.Properties.Functions);
    expect(otherApi.Properties.Functions).not.toBe(api.Properties.Functions);
    expect(clearances(prod).map(([, { Properties }]) => Properties.AdvisorSecret)).toEqual([undefined, undefined]);
    expect(clearances(dev).map(([, { Properties }]) => Properties.AdvisorSecret)).toEqual(['asbb/advisor', 'asbb/advisor']);
  });
});

describe('a restored table', () => {
  const RESTORED = 'asbb-prod-restored';
  const stream = `arn:aws:dynamodb:eu-central-1:111122223333:table/${RESTORED}/stream/2026-11-25T02:30:00.000`;
  let restored: Synthesised;
  beforeAll(() => {
    restored = synthesised({ context: { stage: 'prod', 'asbb:restored-stream': stream } });
  }, PATIENCE_MS);
  afterAll(() => rmSync(restored.folder, { recursive: true }));

  it('is served by every function instead of the own one, and followed', () => {
    const tables = functionsOf(restored).map(({ Environment }) => textOf(Environment.Variables.TABLE_NAME));
    expect(tables.length).toBeGreaterThan(8);
    expect([...new Set(tables)]).toEqual([RESTORED]);
    expect(JSON.stringify(restored.api)).not.toContain('BudgetTable');
    expect(propertiesOf(restored, 'AWS::Lambda::EventSourceMapping').map(({ EventSourceArn }) => EventSourceArn)).toContain(stream);
    expect(restored.api.Outputs.TableName?.Value).toBe(RESTORED);
  });

  it('leaves the own table as it is, and what the stack of the API took from it until now', () => {
    expect(only(restored, 'AWS::DynamoDB::GlobalTable')).toEqual(only(prod, 'AWS::DynamoDB::GlobalTable'));
    expect(Object.keys(restored.data.Outputs).sort()).toEqual(Object.keys(prod.data.Outputs).sort());
  });
});

describe('watching', () => {
  it('has an alarm for each of these, and all of them tell the topic', () => {
    const alarms = propertiesOf(prod, 'AWS::CloudWatch::Alarm');
    expect(alarms.map(({ AlarmName }) => AlarmName)).toEqual([
      'asbb-prod-server-errors',
      'asbb-prod-throttles',
      'asbb-prod-sweep-not-running',
      'asbb-prod-stale-agent',
      'asbb-prod-audit-difference',
      'asbb-prod-audit-incomplete',
      'asbb-prod-audit-failed',
      'asbb-prod-prices-not-refreshed',
      'asbb-prod-job-ended-dead-letters',
      'asbb-prod-stream-dead-letters',
    ]);
    for (const { AlarmActions, OKActions } of alarms)
      expect([...AlarmActions, ...OKActions].map(textOf)).toEqual(['<NoticesTopic>', '<NoticesTopic>']);
    const sweep = alarms.find(({ AlarmName }) => AlarmName === 'asbb-prod-sweep-not-running');
    expect(sweep).toMatchObject({ TreatMissingData: 'breaching', ComparisonOperator: 'LessThanThreshold', Threshold: 1 });
  });

  it('rings for prices only when no refresh of a day got them all', () => {
    const alarms = propertiesOf(prod, 'AWS::CloudWatch::Alarm');
    expect(alarms.find(({ AlarmName }) => AlarmName === 'asbb-prod-prices-not-refreshed')).toMatchObject({
      Namespace: 'asbb',
      MetricName: 'PricesNotRefreshed',
      Dimensions: [{ Name: 'service', Value: 'asbb-prod' }],
      Statistic: 'Minimum',
      Period: 24 * 3600,
      EvaluationPeriods: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      Threshold: 1,
      TreatMissingData: 'notBreaching',
    });
  });

  it('sends mail only where an address was given', () => {
    expect(ofType(prod, 'AWS::SNS::Subscription')).toEqual([]);
    expect(only(dev, 'AWS::SNS::Subscription').Properties).toMatchObject({ Protocol: 'email', Endpoint: 'ops@example.org' });
  });

  it('has a dashboard that asks three questions', () => {
    const body = JSON.stringify(only(prod, 'AWS::CloudWatch::Dashboard').Properties.DashboardBody);
    expect([...body.matchAll(/## ([^"\\]+)/g)].map(([, question]) => question)).toEqual(['Is it up?', 'Is it fast?', 'Is money leaking?']);
  });
});

describe('the stacks', () => {
  it('give what clients are configured with', () => {
    expect(Object.keys(prod.data.Outputs)).toContain('TableName');
    expect(Object.keys(prod.api.Outputs)).toEqual([
      'ApiEndpoint',
      'TableName',
      'PluginPolicyArn',
      'AgentPolicyArn',
      'AdminPolicyArn',
      'ViewerPolicyArn',
      'EventBusName',
      'AlarmTopicArn',
      'DashboardUrl',
      'LogGroups',
    ]);
    expect(textOf(prod.api.Outputs.DashboardUrl?.Value)).toBe(
      'https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#dashboards/dashboard/asbb-prod',
    );
    expect(textOf(dev.api.Outputs.DashboardUrl?.Value)).toContain('region=eu-west-1');
  });

  it('are protected from being destroyed, but those of dev', () => {
    const isProtected = ({ app }: Synthesised) =>
      app.node.findAll().flatMap((each) => (each instanceof Stack ? [each.terminationProtection] : []));
    expect(isProtected(prod)).toEqual([true, true]);
    expect(isProtected(dev)).toEqual([false, false]);
  });

  it('change nothing but what was set', () => {
    const again = synthesised({ context: { stage: 'prod' } });
    rmSync(again.folder, { recursive: true });
    expect(again.api).toEqual(prod.api);
    expect(again.data).toEqual(prod.data);
    const other = synthesised({ context: { stage: 'prod', 'asbb:hold-percentage': '1.3' } });
    rmSync(other.folder, { recursive: true });
    expect(other.data).toEqual(prod.data);
  });
});
