import { Duration } from 'aws-cdk-lib';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Construct } from 'constructs';
import type { Config } from '#lib/config';
import { ServiceFunction } from '#lib/constructs/service-function';

export interface HoldExpiryProps {
  readonly config: Config;
  readonly table: ITableV2;
}

/** Longer than a sweep's own budget and the second that a transaction under way is waited for. */
const TIMEOUT = Duration.minutes(1);

/**
 * Returns money from holds whose jobs never came back.
 *
 * DynamoDB TTL is not used: it deletes late, and it deletes the hold without giving the money back.
 */
export class HoldExpiry extends Construct {
  readonly function: ServiceFunction;

  constructor(scope: Construct, id: string, { config, table }: HoldExpiryProps) {
    super(scope, id);
    this.function = new ServiceFunction(this, 'Expire', {
      name: 'expire',
      config,
      table,
      entry: 'lambdas/events/expire-function.ts',
      description: 'the sweep over overdue holds',
      timeout: TIMEOUT,
      retryAttempts: 0, // The next sweep does what this one left.
    });
    new Rule(this, 'Rule', {
      description: `asbb ${config.stage}: sweep overdue holds`,
      schedule: Schedule.rate(Duration.minutes(config.sweepIntervalMinutes)),
      targets: [new LambdaFunction(this.function.lambda, { retryAttempts: 0 })],
    });
  }
}
