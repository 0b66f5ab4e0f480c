import { Duration } from 'aws-cdk-lib';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { Construct } from 'constructs';
import type { Config } from '#lib/config';
import { ServiceFunction } from '#lib/constructs/service-function';

export interface DailyAuditProps {
  readonly config: Config;
  readonly table: ITableV2;
}

/** Lambda's longest, and more than AUDIT_BUDGET_MS with one portion begun at its end. */
const TIMEOUT = Duration.minutes(15);
/** It unpacks ledgers for minutes, so CPU is worth more than the smaller price. */
const MEMORY_MIB = 1024;

/** Replays every account's ledger once a day, and tells of each column, hold and run that it does not explain. */
export class DailyAudit extends Construct {
  readonly function: ServiceFunction;

  constructor(scope: Construct, id: string, { config, table }: DailyAuditProps) {
    super(scope, id);
    this.function = new ServiceFunction(this, 'Audit', {
      name: 'audit',
      config,
      table,
      entry: 'lambdas/events/audit-function.ts',
      description: 'the daily audit of all accounts',
      timeout: TIMEOUT,
      memoryMib: MEMORY_MIB,
      retryAttempts: 0, // A second one would find the same.
    });
    new Rule(this, 'Rule', {
      description: `asbb ${config.stage}: audit all accounts`,
      schedule: Schedule.rate(Duration.days(1)),
      targets: [new LambdaFunction(this.function.lambda, { retryAttempts: 0 })],
    });
  }
}
