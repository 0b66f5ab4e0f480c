import { ArnFormat, type Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Function as LambdaFunction, LoggingFormat, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { bundledCode } from '#lib/bundling';
import type { Config } from '#lib/config';
import { type NamedTable, type ServiceFunctionName, TABLE_ACCESS, tableStatements } from '#lib/constructs/table-access';
import { serviceName } from '#lib/constructs/watched';

export interface ServiceFunctionProps {
  readonly name: ServiceFunctionName;
  readonly config: Config;
  readonly table: NamedTable;
  /** Of the handler's file, from the root of the repository. */
  readonly entry: string;
  readonly description: string;
  readonly timeout: Duration;
  /** @default 512. CPU comes with memory. */
  readonly memoryMib?: number;
  /** Beside what every function has. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Whether it works with money, and so is told how much is held and for how long.
   * @default true
   */
  readonly booksMoney?: boolean;
  /**
   * Whether the stack of an error names lines of the source. Node reads the map for that at each cold start, which takes 8 ms.
   * @default true
   */
  readonly mapsErrors?: boolean;
  /**
   * Whether Lambda itself calls again when a call failed that nobody waits for.
   * @default Lambda's own, two times
   */
  readonly retryAttempts?: number;
}

const DEFAULT_MEMORY_MIB = 512;

/** A function of the service, with a log of its own and a role that may do to the table what the function does, and nothing else. */
export class ServiceFunction extends Construct {
  readonly lambda: LambdaFunction;
  readonly role: Role;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, props: ServiceFunctionProps) {
    super(scope, id);
    const { name, config, table } = props;
    this.logGroup = new LogGroup(this, 'Logs', {
      logGroupName: `/asbb/${config.stage}/${name}`,
      retention: config.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY, // What must be kept is in the ledger.
    });
    this.role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `asbb ${config.stage}: ${name}`,
    });
    for (const statement of [this.mayLog(), ...tableStatements(table, TABLE_ACCESS[name])]) this.role.addToPolicy(statement);
    this.lambda = new LambdaFunction(this, 'Function', {
      functionName: `asbb-${config.stage}-${name}`,
      description: `asbb ${config.stage}: ${props.description}`,
      code: bundledCode(props.entry),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_22_X,
      architecture: Architecture.ARM_64,
      memorySize: props.memoryMib ?? DEFAULT_MEMORY_MIB,
      timeout: props.timeout,
      role: this.role,
      logGroup: this.logGroup,
      loggingFormat: LoggingFormat.JSON,
      tracing: Tracing.ACTIVE,
      environment: {
        TABLE_NAME: table.tableName,
        SERVICE_NAME: serviceName(config.stage),
        ...(props.booksMoney !== false && moneySettings(config)),
        ...(props.mapsErrors !== false && { NODE_OPTIONS: '--enable-source-maps' }),
        ...props.environment,
      },
      ...(props.retryAttempts === undefined ? {} : { retryAttempts: props.retryAttempts }),
    });
    Validations.of(this).acknowledge(
      {
        id: 'AwsSolutions-IAM5[Resource::*]',
        reason: 'Traces and prices: xray:PutTraceSegments, xray:PutTelemetryRecords and pricing:GetProducts know no resource.',
      },
      { id: 'AwsSolutions-L1', reason: 'Node 22 is what the versions of the SDK and of middy here are made for, and AWS supports it.' },
    );
  }

  private mayLog(): PolicyStatement {
    // Streams are in the group's ARN with `:*`, which the group's own ARN ends with.
    return new PolicyStatement({
      sid: 'Log',
      actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      resources: [this.logGroup.logGroupArn],
    });
  }
}

const moneySettings = (config: Config): Record<string, string> => ({
  HOLD_PERCENTAGE: config.holdPercentage,
  RECONCILIATION_TIMEOUT_SECONDS: String(config.reconciliationTimeoutSeconds),
});

/** Lets a function ask AWS what instances cost. */
export const letAskForPrices = ({ role }: ServiceFunction): void => {
  role.addToPolicy(new PolicyStatement({ sid: 'Prices', actions: ['pricing:GetProducts'], resources: ['*'] }));
};

/** Allows a function to read the one secret of this name, of which only it knows the key. */
export const mayReadSecret = (scope: Construct, secretName: string): PolicyStatement =>
  new PolicyStatement({
    sid: 'AdvisorKey',
    actions: ['secretsmanager:GetSecretValue'],
    // Secrets Manager adds a hyphen and six characters to a name.
    resources: [secretArn(scope, `${secretName}-??????`)],
  });

/** Allows a function to see whether there is a secret of this name. One that is not there has no characters added to its name. */
export const maySeeSecret = (scope: Construct, secretName: string): PolicyStatement =>
  new PolicyStatement({
    sid: 'AdvisorSecret',
    actions: ['secretsmanager:DescribeSecret'],
    resources: [secretArn(scope, secretName), secretArn(scope, `${secretName}-??????`)],
  });

const secretArn = (scope: Construct, resourceName: string): string =>
  Stack.of(scope).formatArn({ service: 'secretsmanager', resource: 'secret', resourceName, arnFormat: ArnFormat.COLON_RESOURCE_NAME });
