import { createHash } from 'node:crypto';
import { CustomResource, Duration, Lazy, Stack, Validations } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { CfnFunction, type IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import { SCHEMA_VERSION, TABLE } from '#contract/table';
import { type Config, stackNames } from '#lib/config';
import { flattened } from '#lib/constructs/policies';
import { maySeeSecret, ServiceFunction } from '#lib/constructs/service-function';

export interface PreflightProps {
  readonly config: Config;
  /** Of a table that need not be there yet. */
  readonly tableName: string;
}

/** Longer than all tries of lambdas/events/preflight.ts, with what the last ones may wait for an answer. */
const TIMEOUT = Duration.minutes(2);
/** CloudFormation gives up then, should nobody have answered. */
const ANSWERED_WITHIN = Duration.minutes(5);

/**
 * The function that looks before a deployment changes anything, and stops it with a sentence: a table of another schema version,
 * a secret that is not there. It names the table instead of referring to it, because the table waits for it.
 */
export class Preflight extends Construct {
  readonly function: ServiceFunction;

  constructor(scope: Construct, id: string, { config, tableName }: PreflightProps) {
    super(scope, id);
    this.function = new ServiceFunction(this, 'Look', {
      name: 'preflight',
      config,
      table: { tableName, tableArn: Stack.of(this).formatArn({ service: 'dynamodb', resource: 'table', resourceName: tableName }) },
      entry: 'lambdas/events/preflight-function.ts',
      description: 'looks before a deployment changes anything',
      timeout: TIMEOUT,
      booksMoney: false,
    });
    const stacks = Object.values(stackNames(config)).map(
      (name) => `${Stack.of(this).formatArn({ service: 'cloudformation', resource: 'stack', resourceName: name })}/*`,
    );
    this.function.role.addToPolicy(
      new PolicyStatement({ sid: 'OnTheWayBack', actions: ['cloudformation:DescribeStacks'], resources: stacks }),
    );
    Validations.of(this).acknowledge(
      ...stacks.map((arn) => ({
        id: `AwsSolutions-IAM5[Resource::${flattened(Stack.of(this).resolve(arn))}]`,
        reason: 'CloudFormation puts an id behind the name of a stack, which nobody knows before there is one.',
      })),
    );
    if (config.advisor) this.function.role.addToPolicy(maySeeSecret(this, config.advisor.secretName));
  }
}

export interface ClearanceProps {
  readonly config: Config;
  /** Of Preflight. */
  readonly preflight: IFunction;
}

/**
 * Where a stack waits for Preflight's word: whatever else is in the stack when it is synthesised changes after it, if at all.
 *
 * CloudFormation asks again whenever a property differs. So one of them stands for all functions of the stack, their code and
 * their settings, and the others for the table.
 */
export class Clearance extends Construct {
  constructor(scope: Construct, id: string, { config, preflight }: ClearanceProps) {
    super(scope, id);
    new CustomResource(this, 'Clearance', {
      resourceType: 'Custom::AsbbClearance',
      serviceToken: preflight.functionArn,
      serviceTimeout: ANSWERED_WITHIN,
      properties: {
        SchemaVersion: SCHEMA_VERSION,
        Table: digestOf(TABLE),
        Functions: Lazy.string({ produce: () => digestOf(functionsIn(Stack.of(this))) }),
        ...(config.advisor && { AdvisorSecret: config.advisor.secretName }),
      },
    });
  }

  /** Let these wait for it. */
  before(...constructs: readonly Construct[]): void {
    for (const construct of constructs) construct.node.addDependency(this);
  }
}

const functionsIn = (stack: Stack): unknown[] =>
  stack.node
    .findAll()
    .filter((construct) => construct instanceof CfnFunction)
    .map(({ code, environment }) => stack.resolve([code, environment]));

const digestOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
