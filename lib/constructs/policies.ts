// Managed policies for those who call: an administrator attaches them to roles and users.
import { Stack, Validations } from 'aws-cdk-lib';
import type { EventBus } from 'aws-cdk-lib/aws-events';
import { ManagedPolicy, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { type Operation, ROUTES } from '#contract/routes';
import type { BudgetApi } from '#lib/constructs/budget-api';

export type Caller = 'plugin' | 'agent' | 'viewer' | 'admin';

/**
 * Who may call what, beside administrators, who may call everything. A new route is in nobody's policy until it has a line here,
 * which the compiler asks for.
 * - plugin: in slurmctld, what a submission and an update need.
 * - agent: on the head node, what tells the API what became of each job.
 * - viewer: whatever is only read.
 */
const CALLERS: Readonly<Record<Operation, readonly Exclude<Caller, 'admin'>[]>> = {
  health: [], // Anybody, unsigned.
  quoteBudget: ['plugin'],
  checkBudget: ['plugin'],
  adjustHold: ['plugin', 'agent'],
  adjustJob: ['plugin'],

  reconcile: ['agent'],
  forceHold: ['agent'],
  bindHold: ['agent'],
  extendHold: ['agent'],
  releaseHold: ['agent'],
  settleRuns: ['agent'],
  correctRun: ['agent'],
  showHold: ['agent', 'viewer'],
  showRun: ['agent', 'viewer'],
  showJob: ['agent', 'viewer'],
  listHoldsOfCluster: ['agent', 'viewer'],
  beatCluster: ['agent'],
  listClusters: ['agent', 'viewer'],

  listAccounts: ['viewer'],
  createAccount: [],
  showAccount: ['viewer'],
  updateAccount: [],
  deleteAccount: [],
  deposit: [],
  listTransactions: ['viewer'],
  listHoldsOfAccount: ['viewer'],
  showAccountUsage: ['viewer'],
  showUsage: ['viewer'],
  showAccountAccuracy: ['viewer'],
  showAccuracy: ['viewer'],
  audit: [],
  listPartitions: ['viewer'],
  showPartition: ['viewer'],
  putPartition: [],
  deletePartition: [],
  namePrincipals: [],

  showSettings: ['agent', 'viewer'],
  showOpenApi: ['agent', 'viewer'],
};

/** A viewer whose role or user has this tag sees the account that it names, and no other. */
export const ACCOUNT_TAG = 'asbb-account';
const ITS_ACCOUNT = `\${aws:PrincipalTag/${ACCOUNT_TAG}}`;
const OF_ONE_ACCOUNT = [
  'showAccount',
  'listTransactions',
  'listHoldsOfAccount',
  'showAccountUsage',
  'showAccountAccuracy',
] as const satisfies readonly Operation[];
/** What a partition costs, and how the service is set and asked, is the same for everybody. */
const OF_NO_ACCOUNT = ['listPartitions', 'showPartition', 'showSettings', 'showOpenApi'] as const satisfies readonly Operation[];

const OPERATIONS = Object.keys(ROUTES) as Operation[];
const callableBy = (caller: Exclude<Caller, 'admin'>): Operation[] => OPERATIONS.filter((operation) => CALLERS[operation].includes(caller));

export interface CallerPoliciesProps {
  readonly stage: string;
  readonly api: BudgetApi;
  /** Where agents may put what they have to tell. */
  readonly bus: EventBus;
}

export class CallerPolicies extends Construct {
  readonly policies: Readonly<Record<Caller, ManagedPolicy>>;

  constructor(scope: Construct, id: string, { stage, api, bus }: CallerPoliciesProps) {
    super(scope, id);
    const invoke = (operations: readonly Operation[], given: { sid: string; conditions?: Record<string, unknown> }) =>
      new PolicyStatement({ actions: ['execute-api:Invoke'], resources: operations.map((operation) => api.arnOf(operation)), ...given });
    const policy = (caller: Caller, description: string, statements: PolicyStatement[]) =>
      new ManagedPolicy(this, capitalised(caller), { description: `asbb ${stage}, ${caller}: ${description}`, statements });

    this.policies = {
      plugin: policy('plugin', 'quote, check and adjust', [invoke(callableBy('plugin'), { sid: 'Submit' })]),
      agent: policy('agent', 'the verbs of holds, heartbeat, and ended jobs on the bus', [
        invoke(callableBy('agent'), { sid: 'Holds' }),
        new PolicyStatement({ sid: 'EndedJobs', actions: ['events:PutEvents'], resources: [bus.eventBusArn] }),
      ]),
      viewer: policy('viewer', `reads everything, or one account where the tag ${ACCOUNT_TAG} names it`, [
        invoke(callableBy('viewer'), { sid: 'All', conditions: { Null: { [`aws:PrincipalTag/${ACCOUNT_TAG}`]: 'true' } } }),
        new PolicyStatement({
          sid: 'OneAccount',
          actions: ['execute-api:Invoke'],
          resources: OF_ONE_ACCOUNT.map((operation) => {
            const { method, path } = ROUTES[operation];
            return api.arnOfPath(method, path.replace('{account}', ITS_ACCOUNT));
          }),
        }),
        invoke(OF_NO_ACCOUNT, { sid: 'OfNoAccount' }),
      ]),
      admin: policy('admin', 'every route', [invoke(OPERATIONS, { sid: 'All' })]),
    };
    const withVariables = OPERATIONS.map((operation) => api.arnOf(operation)).filter((arn) => arn.includes('*'));
    Validations.of(this).acknowledge(
      ...withVariables.map((arn) => ({
        id: `AwsSolutions-IAM5[Resource::${flattened(Stack.of(this).resolve(arn))}]`,
        reason: 'A `*` stands where a path has the id of a hold, job, account or partition, which no policy can know.',
      })),
    );
  }
}

/** An ARN of the template as cdk-nag names it in a finding. */
export const flattened = (value: string | { Ref: string } | { 'Fn::Join': [string, (string | { Ref: string })[]] }): string => {
  if (typeof value === 'string') return value;
  return 'Ref' in value ? `<${value.Ref}>` : value['Fn::Join'][1].map(flattened).join('');
};

const capitalised = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
