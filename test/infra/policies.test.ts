// Every statement of every policy, written out, and who may call which route as IAM would answer.
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Operation, ROUTES } from '#contract/routes';
import { isAllowed, lineOf, list, type Statement, textOf } from '#test/infra/iam';
import { ACCOUNT, ofType, PATIENCE_MS, REGION, type Synthesised, synthesised } from '#test/infra/synth';

let stacks: Synthesised;
beforeAll(() => {
  stacks = synthesised({ context: { 'asbb:advisor-url': 'https://advisor.example.org', 'asbb:advisor-secret': 'asbb/advisor' } });
}, PATIENCE_MS);
afterAll(() => rmSync(stacks.folder, { recursive: true }));

const API = `arn:aws:execute-api:${REGION}:${ACCOUNT}:<BudgetApi>/$default`;

/** Each policy by the id of what has it, without CDK's hash. */
const policies = (): Map<string, readonly Statement[]> =>
  new Map(
    stacks.all.flatMap(([id, { Properties }]) => {
      const document = Properties.PolicyDocument ?? Properties.AssumeRolePolicyDocument;
      return document === undefined ? [] : [[id.replace(/[0-9A-F]{8}$/, ''), document.Statement as Statement[]] as const];
    }),
  );

const linesOf = (policy: string): string[] =>
  (policies().get(policy) ?? []).map((statement) => lineOf(statement).replaceAll(`${API}/`, '/'));

const TRACES = 'xray:PutTelemetryRecords xray:PutTraceSegments on *';
const PRICES = 'pricing:GetProducts on *';
const keys = (...patterns: string[]): string => `on <Table.Arn> if dynamodb:LeadingKeys ForAllValues:StringLike ${patterns.join(' ')}`;
const writes = (action: string, ...patterns: string[]): string[] => [
  `dynamodb:${action} ${keys(...patterns)}`,
  `dynamodb:${action} on <Table.Arn> if dynamodb:LeadingKeys ForAnyValue:StringLike ${patterns.join(' ')} ` +
    'and dynamodb:EnclosingOperation ForAnyValue:StringEquals TransactWriteItems',
];
const logs = (group: string): string => `logs:CreateLogStream logs:PutLogEvents on <${group}.Arn>`;
const secure = (queue: string): string => `DENY sqs:* on <${queue}.Arn> by * if aws:SecureTransport Bool false`;
const fromTheRule = 'by events.amazonaws.com if aws:SourceArn ArnEquals <JobEventsRule.Arn>';
const STACKS = `arn:aws:cloudformation:${REGION}:${ACCOUNT}:stack`;
const SECRETS = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret`;
const ASSUMED_BY_LAMBDA = ['sts:AssumeRole by lambda.amazonaws.com'];

const STATEMENTS: Readonly<Record<string, readonly string[]>> = {
  PreflightLookRole: ASSUMED_BY_LAMBDA,
  PreflightLookRoleDefaultPolicy: [
    logs('PreflightLookLogs'),
    `dynamodb:GetItem ${keys('CONFIG').replace('<Table.Arn>', `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/asbb-test`)}`,
    ...writes('PutItem', 'CONFIG').map((line) => line.replace('<Table.Arn>', `arn:aws:dynamodb:${REGION}:${ACCOUNT}:table/asbb-test`)),
    TRACES,
    `cloudformation:DescribeStacks on ${STACKS}/Asbb-test-Api/* ${STACKS}/Asbb-test-Data/*`,
    `secretsmanager:DescribeSecret on ${SECRETS}:asbb/advisor ${SECRETS}:asbb/advisor-??????`,
  ],
  BudgetSubmitRole: ASSUMED_BY_LAMBDA,
  BudgetSubmitRoleDefaultPolicy: [
    logs('BudgetSubmitLogs'),
    `dynamodb:GetItem ${keys('ACCOUNT#*', 'HOLD#*', 'PARTITIONS', 'PRICE#*')}`,
    `dynamodb:Query ${keys('JOB#*#*', 'CLUSTERS')}`,
    ...writes('UpdateItem', 'ACCOUNT#*'),
    ...writes('PutItem', 'HOLD#*', 'LEDGER#*#*', 'PRICE#*'),
    TRACES,
    PRICES,
    `secretsmanager:GetSecretValue on ${SECRETS}:asbb/advisor-??????`,
  ],
  BudgetAgentRole: ASSUMED_BY_LAMBDA,
  BudgetAgentRoleDefaultPolicy: [
    logs('BudgetAgentLogs'),
    `dynamodb:GetItem ${keys('ACCOUNT#*', 'HOLD#*', 'PARTITIONS', 'PRICE#*')}`,
    `dynamodb:BatchGetItem ${keys('HOLD#*')}`,
    `dynamodb:Query ${keys('HOLD#*', 'JOB#*#*', 'CLUSTERS')}`,
    ...writes('UpdateItem', 'ACCOUNT#*', 'CLUSTERS'),
    ...writes('PutItem', 'HOLD#*', 'LEDGER#*#*', 'JOB#*#*'),
    'dynamodb:Query on <Table.Arn>/index/GSI3',
    TRACES,
    `secretsmanager:GetSecretValue on arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:asbb/advisor-??????`,
  ],
  BudgetAdminRole: ASSUMED_BY_LAMBDA,
  BudgetAdminRoleDefaultPolicy: [
    logs('BudgetAdminLogs'),
    `dynamodb:GetItem ${keys('ACCOUNT#*', 'HOLD#*', 'PARTITIONS', 'PRICE#*')}`,
    `dynamodb:BatchGetItem ${keys('ACCOUNT#*', 'HOLD#*')}`,
    `dynamodb:Query ${keys('ACCOUNT#*', 'ACCOUNTS', 'LEDGER#*#*', 'USAGE#*#*', 'HOLD#*', 'PARTITIONS', 'CLUSTERS')}`,
    ...writes('UpdateItem', 'ACCOUNT#*', 'CLUSTERS'),
    ...writes('PutItem', 'ACCOUNT#*', 'ACCOUNTS', 'LEDGER#*#*', 'PARTITIONS', 'PRICE#*'),
    ...writes('DeleteItem', 'ACCOUNT#*', 'ACCOUNTS', 'PARTITIONS'),
    'dynamodb:Query on <Table.Arn>/index/GSI1 <Table.Arn>/index/GSI2',
    TRACES,
    PRICES,
  ],
  HoldExpiryExpireRole: ASSUMED_BY_LAMBDA,
  HoldExpiryExpireRoleDefaultPolicy: [
    logs('HoldExpiryExpireLogs'),
    `dynamodb:GetItem ${keys('HOLD#*', 'CLUSTERS')}`,
    `dynamodb:Query ${keys('CLUSTERS')}`,
    ...writes('UpdateItem', 'ACCOUNT#*'),
    ...writes('PutItem', 'HOLD#*', 'LEDGER#*#*'),
    'dynamodb:Query on <Table.Arn>/index/GSI2',
    TRACES,
  ],
  JobEventsJobEndedRole: ASSUMED_BY_LAMBDA,
  JobEventsJobEndedRoleDefaultPolicy: [
    logs('JobEventsJobEndedLogs'),
    `dynamodb:GetItem ${keys('HOLD#*', 'PARTITIONS', 'PRICE#*')}`,
    `dynamodb:Query ${keys('JOB#*#*')}`,
    ...writes('UpdateItem', 'ACCOUNT#*'),
    ...writes('PutItem', 'HOLD#*', 'LEDGER#*#*'),
    TRACES,
    'sqs:ChangeMessageVisibility sqs:DeleteMessage sqs:GetQueueAttributes sqs:GetQueueUrl sqs:ReceiveMessage on <JobEventsQueue.Arn>',
  ],
  StreamEventsStreamRole: ASSUMED_BY_LAMBDA,
  StreamEventsStreamRoleDefaultPolicy: [
    logs('StreamEventsStreamLogs'),
    `dynamodb:GetItem ${keys('ANNOUNCED#*')}`,
    ...writes('UpdateItem', 'USAGE#*#*'),
    ...writes('PutItem', 'COUNTED#*', 'ANNOUNCED#*'),
    TRACES,
    'events:PutEvents on <Bus.Arn>',
    'sns:Publish on <NoticesTopic>',
    'sqs:GetQueueAttributes sqs:GetQueueUrl sqs:SendMessage on <StreamEventsDeadLetters.Arn>',
    'dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams on <Table.StreamArn>',
  ],
  DailyAuditRole: ASSUMED_BY_LAMBDA,
  DailyAuditRoleDefaultPolicy: [
    logs('DailyAuditLogs'),
    `dynamodb:GetItem ${keys('ACCOUNT#*', 'HOLD#*')}`,
    `dynamodb:BatchGetItem ${keys('ACCOUNT#*', 'HOLD#*')}`,
    `dynamodb:Query ${keys('ACCOUNTS', 'LEDGER#*#*', 'HOLD#*')}`,
    'dynamodb:Query on <Table.Arn>/index/GSI1',
    TRACES,
  ],
  PriceRefreshRole: ASSUMED_BY_LAMBDA,
  PriceRefreshRoleDefaultPolicy: [
    logs('PriceRefreshLogs'),
    `dynamodb:Query ${keys('PARTITIONS')}`,
    ...writes('PutItem', 'PRICE#*'),
    TRACES,
    PRICES,
  ],
  JobEventsDeadLettersPolicy: [secure('JobEventsDeadLetters'), `sqs:SendMessage on <JobEventsDeadLetters.Arn> ${fromTheRule}`],
  JobEventsQueuePolicy: [
    secure('JobEventsQueue'),
    `sqs:GetQueueAttributes sqs:GetQueueUrl sqs:SendMessage on <JobEventsQueue.Arn> ${fromTheRule}`,
  ],
  StreamEventsDeadLettersPolicy: [secure('StreamEventsDeadLetters')],
  NoticesTopicPolicy: [
    'DENY sns:Publish on <NoticesTopic> by * if aws:SecureTransport Bool false',
    `sns:Publish on <NoticesTopic> by cloudwatch.amazonaws.com if aws:SourceAccount StringEquals ${ACCOUNT}`,
  ],
  PoliciesPlugin: [
    'execute-api:Invoke on /POST/api/v1/budget/check /POST/api/v1/budget/quote /POST/api/v1/holds/*/adjust /POST/api/v1/jobs/*/*/adjust',
  ],
  PoliciesAgent: [
    'execute-api:Invoke on /GET/api/v1/clusters /GET/api/v1/holds /GET/api/v1/holds/* /GET/api/v1/holds/*/runs/* /GET/api/v1/jobs/*/* /GET/api/v1/openapi.json /GET/api/v1/settings /POST/api/v1/budget/reconcile ' +
      '/POST/api/v1/holds/*/adjust /POST/api/v1/holds/*/bind /POST/api/v1/holds/*/extend /POST/api/v1/holds/*/release ' +
      '/POST/api/v1/holds/*/runs /POST/api/v1/holds/*/runs/*/correct /POST/api/v1/holds/forced /PUT/api/v1/clusters/*',
    'events:PutEvents on <Bus.Arn>',
  ],
  PoliciesViewer: [
    'execute-api:Invoke on /GET/api/v1/accounts /GET/api/v1/accounts/* /GET/api/v1/accounts/*/holds /GET/api/v1/accounts/*/transactions /GET/api/v1/accounts/*/usage /GET/api/v1/accounts/*/usage/accuracy ' +
      '/GET/api/v1/clusters /GET/api/v1/holds /GET/api/v1/holds/* /GET/api/v1/holds/*/runs/* /GET/api/v1/jobs/*/* /GET/api/v1/openapi.json /GET/api/v1/partitions /GET/api/v1/partitions/* /GET/api/v1/settings /GET/api/v1/usage /GET/api/v1/usage/accuracy ' +
      'if aws:PrincipalTag/asbb-account Null true',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IAM
    'execute-api:Invoke on /GET/api/v1/accounts/${aws:PrincipalTag/asbb-account} /GET/api/v1/accounts/${aws:PrincipalTag/asbb-account}/holds ' +
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IAM
      '/GET/api/v1/accounts/${aws:PrincipalTag/asbb-account}/transactions /GET/api/v1/accounts/${aws:PrincipalTag/asbb-account}/usage ' +
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IAM
      '/GET/api/v1/accounts/${aws:PrincipalTag/asbb-account}/usage/accuracy',
    'execute-api:Invoke on /GET/api/v1/openapi.json /GET/api/v1/partitions /GET/api/v1/partitions/* /GET/api/v1/settings',
  ],
  PoliciesAdmin: [
    'execute-api:Invoke on /DELETE/api/v1/accounts/* /DELETE/api/v1/partitions/* ' +
      '/GET/api/v1/accounts /GET/api/v1/accounts/* /GET/api/v1/accounts/*/holds /GET/api/v1/accounts/*/transactions /GET/api/v1/accounts/*/usage /GET/api/v1/accounts/*/usage/accuracy ' +
      '/GET/api/v1/clusters /GET/api/v1/health /GET/api/v1/holds /GET/api/v1/holds/* /GET/api/v1/holds/*/runs/* /GET/api/v1/jobs/*/* ' +
      '/GET/api/v1/openapi.json /GET/api/v1/partitions /GET/api/v1/partitions/* /GET/api/v1/settings /GET/api/v1/usage /GET/api/v1/usage/accuracy /PATCH/api/v1/accounts/* /PATCH/api/v1/clusters/* ' +
      '/POST/api/v1/accounts /POST/api/v1/accounts/*/deposits /POST/api/v1/audit ' +
      '/POST/api/v1/budget/check /POST/api/v1/budget/quote /POST/api/v1/budget/reconcile ' +
      '/POST/api/v1/holds/*/adjust /POST/api/v1/holds/*/bind /POST/api/v1/holds/*/extend /POST/api/v1/holds/*/release ' +
      '/POST/api/v1/holds/*/runs /POST/api/v1/holds/*/runs/*/correct /POST/api/v1/holds/forced /POST/api/v1/jobs/*/*/adjust ' +
      '/PUT/api/v1/clusters/* /PUT/api/v1/partitions/*',
  ],
};

describe('the policies', () => {
  it('are these, and no others', () => {
    expect([...policies().keys()].sort()).toEqual(Object.keys(STATEMENTS).sort());
  });

  it.each(Object.keys(STATEMENTS))('%s says this, and nothing else', (policy) => {
    expect(linesOf(policy)).toEqual(STATEMENTS[policy]);
  });

  it('allow no `*` action, and a `*` resource only to traces and prices, which know no other', () => {
    const allowing = [...policies().values()].flat().filter(({ Effect }) => Effect === 'Allow');
    expect(allowing.flatMap(({ Action }) => list(Action)).filter((action) => String(action).includes('*'))).toEqual([]);
    const everywhere = allowing.filter(({ Resource }) => list(Resource).includes('*')).flatMap(({ Action }) => list(Action));
    expect([...new Set(everywhere)].sort()).toEqual(['pricing:GetProducts', 'xray:PutTelemetryRecords', 'xray:PutTraceSegments']);
  });

  it('let no function change or delete an entry of a ledger', () => {
    const resource = '<Table.Arn>';
    const alone = { 'dynamodb:LeadingKeys': ['LEDGER#physics#2026-11'] };
    const inTransaction = { ...alone, 'dynamodb:EnclosingOperation': ['TransactWriteItems'] };
    const able = (action: string): string[] =>
      [...policies()]
        .filter(([policy]) => policy.endsWith('RoleDefaultPolicy'))
        .filter(([, statements]) => [alone, inTransaction].some((context) => isAllowed(statements, { action, resource, context })))
        .map(([policy]) => policy);
    expect(able('dynamodb:UpdateItem')).toEqual([]);
    expect(able('dynamodb:DeleteItem')).toEqual([]);
    expect(able('dynamodb:BatchWriteItem')).toEqual([]);
    expect(able('dynamodb:PutItem')).toEqual([
      'BudgetSubmitRoleDefaultPolicy',
      'BudgetAgentRoleDefaultPolicy',
      'BudgetAdminRoleDefaultPolicy',
      'HoldExpiryExpireRoleDefaultPolicy',
      'JobEventsJobEndedRoleDefaultPolicy',
    ]);
  });

  it('let API Gateway call the three functions from this API, and each rule its own', () => {
    const permissions = ofType(stacks, 'AWS::Lambda::Permission').map(([, { Properties }]) =>
      [textOf(Properties.FunctionName), Properties.Action, Properties.Principal, textOf(Properties.SourceArn)].join(' '),
    );
    const anyRoute = `arn:aws:execute-api:${REGION}:${ACCOUNT}:<BudgetApi>/*/*/*`;
    expect(permissions.sort()).toEqual([
      `<BudgetAdminFunction.Arn> lambda:InvokeFunction apigateway.amazonaws.com ${anyRoute}`,
      `<BudgetAgentFunction.Arn> lambda:InvokeFunction apigateway.amazonaws.com ${anyRoute}`,
      `<BudgetSubmitFunction.Arn> lambda:InvokeFunction apigateway.amazonaws.com ${anyRoute}`,
      '<DailyAuditFunction.Arn> lambda:InvokeFunction events.amazonaws.com <DailyAuditRule.Arn>',
      '<HoldExpiryExpireFunction.Arn> lambda:InvokeFunction events.amazonaws.com <HoldExpiryRule.Arn>',
      '<PriceRefreshFunction.Arn> lambda:InvokeFunction events.amazonaws.com <PriceRefreshRule.Arn>',
    ]);
  });
});

/** Columns: plugin, agent, viewer, a viewer bound to the account in the path, one bound to another, admin. */
const WHO_MAY: Readonly<Record<Operation, string>> = {
  //                    plugin agent viewer its-own another admin
  health: '             yes    yes   yes    yes     yes     yes',
  quoteBudget: '        yes    no    no     no      no      yes',
  checkBudget: '        yes    no    no     no      no      yes',
  adjustHold: '         yes    yes   no     no      no      yes',
  adjustJob: '          yes    no    no     no      no      yes',
  reconcile: '          no     yes   no     no      no      yes',
  forceHold: '          no     yes   no     no      no      yes',
  bindHold: '           no     yes   no     no      no      yes',
  extendHold: '         no     yes   no     no      no      yes',
  releaseHold: '        no     yes   no     no      no      yes',
  settleRuns: '         no     yes   no     no      no      yes',
  correctRun: '         no     yes   no     no      no      yes',
  showHold: '           no     yes   yes    no      no      yes',
  showRun: '            no     yes   yes    no      no      yes',
  showJob: '            no     yes   yes    no      no      yes',
  listHoldsOfCluster: ' no     yes   yes    no      no      yes',
  beatCluster: '        no     yes   no     no      no      yes',
  listClusters: '       no     yes   yes    no      no      yes',
  listAccounts: '       no     no    yes    no      no      yes',
  createAccount: '      no     no    no     no      no      yes',
  showAccount: '        no     no    yes    yes     no      yes',
  updateAccount: '      no     no    no     no      no      yes',
  deleteAccount: '      no     no    no     no      no      yes',
  deposit: '            no     no    no     no      no      yes',
  listTransactions: '   no     no    yes    yes     no      yes',
  listHoldsOfAccount: ' no     no    yes    yes     no      yes',
  showAccountUsage: '   no     no    yes    yes     no      yes',
  showUsage: '          no     no    yes    no      no      yes',
  showAccountAccuracy: 'no     no    yes    yes     no      yes',
  showAccuracy: '       no     no    yes    no      no      yes',
  audit: '              no     no    no     no      no      yes',
  listPartitions: '     no     no    yes    yes     yes     yes',
  showPartition: '      no     no    yes    yes     yes     yes',
  putPartition: '       no     no    no     no      no      yes',
  deletePartition: '    no     no    no     no      no      yes',
  namePrincipals: '     no     no    no     no      no      yes',
  showSettings: '       no     yes   yes    yes     yes     yes',
  showOpenApi: '        no     yes   yes    yes     yes     yes',
};

const CALLERS = [
  { policy: 'PoliciesPlugin' },
  { policy: 'PoliciesAgent' },
  { policy: 'PoliciesViewer' },
  { policy: 'PoliciesViewer', account: 'physics' },
  { policy: 'PoliciesViewer', account: 'chemistry' },
  { policy: 'PoliciesAdmin' },
] as const satisfies readonly { policy: string; account?: string }[];

/** What stands in a path: ids that are chosen to look like other routes, too. */
const VALUES: readonly Readonly<Record<string, string>>[] = [
  {
    account: 'physics',
    hold_id: 'd3b07384-d9a0-4c9b-8f3e-1a2b3c4d5e6f',
    cluster: 'alpha',
    job_id: '17',
    run_id: 'alpha-99',
    partition: 'aws',
  },
  { account: 'physics', hold_id: 'adjust', cluster: 'holds', job_id: 'adjust', run_id: 'adjust', partition: 'accounts' },
  { account: 'physics', hold_id: 'runs', cluster: 'forced', job_id: 'bind', run_id: 'correct', partition: 'transactions' },
];

const isPublic = (operation: Operation): boolean => {
  const key = `${ROUTES[operation].method} ${ROUTES[operation].path}`;
  const route = ofType(stacks, 'AWS::ApiGatewayV2::Route').find(([, { Properties }]) => Properties.RouteKey === key)?.[1];
  if (route === undefined) throw new Error(`no route ${key} was synthesised`);
  return route.Properties.AuthorizationType === 'NONE';
};

describe('who may call which route', () => {
  it.each(Object.entries(WHO_MAY) as [Operation, string][])('%s: %s', (operation, row) => {
    const { method, path } = ROUTES[operation];
    for (const values of VALUES) {
      const resource = `${API}/${method}${path.replace(/\{([^}]+)\}/g, (_, name: string) => values[name] ?? '')}`;
      const answers = CALLERS.map((caller) => {
        const context = 'account' in caller ? { context: { 'aws:PrincipalTag/asbb-account': [caller.account] } } : {};
        const statements = policies().get(caller.policy) ?? [];
        return isPublic(operation) || isAllowed(statements, { action: 'execute-api:Invoke', resource, ...context }) ? 'yes' : 'no';
      });
      expect(answers).toEqual(row.trim().split(/\s+/));
    }
  });

  it('agents may put events on this bus, and nobody else may', () => {
    const able = CALLERS.map(({ policy }) =>
      isAllowed(policies().get(policy) ?? [], { action: 'events:PutEvents', resource: '<Bus.Arn>' }),
    );
    expect(able).toEqual([false, true, false, false, false, false]);
    expect(isAllowed(policies().get('PoliciesAgent') ?? [], { action: 'events:PutEvents', resource: 'another bus' })).toBe(false);
  });

  it('each managed policy is short enough for IAM, where the names of regions are long too', () => {
    const lengths = [...policies()]
      .filter(([policy]) => policy.startsWith('Policies'))
      .map(([, statements]) => {
        const written = statements.map((statement) => ({ ...statement, Resource: list(statement.Resource).map(textOf) }));
        const document = JSON.stringify({ Version: '2012-10-17', Statement: written });
        return document.replaceAll('<BudgetApi>', 'abcdefghij').replaceAll(REGION, 'ap-southeast-2').length;
      });
    // Without blanks: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    expect(Math.max(...lengths)).toBeLessThan(6_144);
  });
});
