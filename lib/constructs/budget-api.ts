import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway';
import { HttpApi, HttpMethod, HttpNoneAuthorizer, HttpStage, LogGroupLogDestination } from 'aws-cdk-lib/aws-apigatewayv2';
import { HttpIamAuthorizer } from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Alias, type IFunction, type IVersion } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { type FunctionName, type Operation, ROUTES } from '#contract/routes';
import type { Config } from '#lib/config';
import { letAskForPrices, mayReadSecret, ServiceFunction } from '#lib/constructs/service-function';

export interface BudgetApiProps {
  readonly config: Config;
  readonly table: ITableV2;
}

/** Anybody may ask whether somebody is here. */
export const PUBLIC: ReadonlySet<Operation> = new Set<Operation>(['health']);

/** Longer than a request's deadline with the second that a transaction under way is waited for, shorter than API Gateway's 30 s. */
const TIMEOUT = Duration.seconds(29);
/** A user waits at sbatch, and CPU comes with memory. */
const SUBMIT_MEMORY_MIB = 1024;

/** The HTTP API: each route of contract/routes.ts, signed by IAM, before one of three functions. */
export class BudgetApi extends Construct {
  readonly api: HttpApi;
  readonly functions: Readonly<Record<FunctionName, ServiceFunction>>;
  readonly accessLog: LogGroup;

  constructor(scope: Construct, id: string, { config, table }: BudgetApiProps) {
    super(scope, id);
    const common = { config, table, timeout: TIMEOUT };
    this.functions = {
      submit: new ServiceFunction(this, 'Submit', {
        ...common,
        name: 'submit',
        entry: 'lambdas/http/submit-function.ts',
        description: 'quote, check and adjust, while a user waits',
        memoryMib: SUBMIT_MEMORY_MIB,
        mapsErrors: false,
        environment: { PRICING_REGION: config.pricingRegion, ...advisorEnvironment(config) },
      }),
      agent: new ServiceFunction(this, 'Agent', {
        ...common,
        name: 'agent',
        entry: 'lambdas/http/agent-function.ts',
        description: 'the verbs of holds, for agents',
        environment: advisorEnvironment(config),
      }),
      admin: new ServiceFunction(this, 'Admin', {
        ...common,
        name: 'admin',
        entry: 'lambdas/http/admin-function.ts',
        description: 'accounts, partitions and the audit',
        environment: {
          PRICING_REGION: config.pricingRegion,
          SWEEP_INTERVAL_SECONDS: String(config.sweepIntervalMinutes * 60),
          ...advisorEnvironment(config), // To be shown: it may not read the key, and asks nobody.
        },
      }),
    };
    for (const name of ['submit', 'admin'] as const) letAskForPrices(this.functions[name]);
    // Those that price a job: a check or a quote, and a forced hold.
    if (config.advisor)
      for (const { role } of [this.functions.submit, this.functions.agent])
        role.addToPolicy(mayReadSecret(this, config.advisor.secretName));
    this.api = this.createApi(config);
    this.accessLog = this.createStage(config);
  }

  private createApi(config: Config): HttpApi {
    const api = new HttpApi(this, 'Api', {
      apiName: `asbb-${config.stage}`,
      description: `asbb ${config.stage}: the budget API`,
      defaultAuthorizer: new HttpIamAuthorizer(),
      createDefaultStage: false,
    });
    const integrationOf = (name: FunctionName): HttpLambdaIntegration =>
      new HttpLambdaIntegration(name, name === 'submit' ? this.warmSubmit(config) : this.functions[name].lambda, {
        scopePermissionToRoute: false, // One permission for the API, and not one for each route.
      });
    const integrations = { submit: integrationOf('submit'), agent: integrationOf('agent'), admin: integrationOf('admin') };
    for (const [operation, { method, path, servedBy }] of Object.entries(ROUTES) as [Operation, (typeof ROUTES)[Operation]][]) {
      const [route] = api.addRoutes({
        path,
        methods: [HttpMethod[method]],
        integration: integrations[servedBy],
        ...(PUBLIC.has(operation) && { authorizer: new HttpNoneAuthorizer() }),
      });
      if (PUBLIC.has(operation) && route)
        Validations.of(route).acknowledge({
          id: 'AwsSolutions-APIG4',
          reason: 'GET /health says only that somebody is here, and its version.',
        });
    }
    return api;
  }

  /** Without warm instances there is no version to keep, and a deployment is one step shorter. */
  private warmSubmit(config: Config): IFunction {
    const { lambda } = this.functions.submit;
    if (config.warmInstances === 0) return lambda;
    // CDK's classes and its interfaces differ in whether a property is absent or undefined.
    const version = lambda.currentVersion as IVersion;
    return new Alias(this, 'Warm', { aliasName: 'warm', version, provisionedConcurrentExecutions: config.warmInstances }) as IFunction;
  }

  private createStage(config: Config): LogGroup {
    const accessLog = new LogGroup(this, 'AccessLog', {
      logGroupName: `/asbb/${config.stage}/access`,
      retention: config.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    new HttpStage(this, 'Stage', {
      httpApi: this.api,
      stageName: '$default',
      autoDeploy: true,
      accessLogSettings: { destination: new LogGroupLogDestination(accessLog), format: AccessLogFormat.custom(ACCESS_LOG) },
    });
    return accessLog;
  }

  /** As a client's `endpoint`: without a path. */
  get endpoint(): string {
    return this.api.apiEndpoint;
  }

  /** The ARN that a caller's policy names for a route; each variable of its path is a `*`. */
  arnOf(operation: Operation): string {
    const { method, path } = ROUTES[operation];
    return this.arnOfPath(method, path.replace(/\{[^}]+\}/g, '*'));
  }

  arnOfPath(method: string, path: string): string {
    const { region, account, partition } = Stack.of(this);
    return `arn:${partition}:execute-api:${region}:${account}:${this.api.apiId}/$default/${method}${path}`;
  }
}

/** Who asked for what, and what came of it. No headers: they are signed. */
const ACCESS_LOG = JSON.stringify({
  at: '$context.requestTime',
  request_id: '$context.requestId',
  caller: '$context.identity.userArn',
  source_ip: '$context.identity.sourceIp',
  route: '$context.routeKey',
  path: '$context.path',
  status: '$context.status',
  bytes: '$context.responseLength',
  latency_ms: '$context.responseLatency',
  authorizer_error: '$context.authorizer.error',
  integration_error: '$context.integrationErrorMessage',
});

const advisorEnvironment = ({ advisor }: Config): Record<string, string> =>
  advisor === undefined ? {} : { ADVISOR_URL: advisor.url, ADVISOR_SECRET_NAME: advisor.secretName };
