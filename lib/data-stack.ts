// What must outlive everything else: the table.
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';
import { type Config, DISPOSABLE_STAGE } from '#lib/config';
import { BudgetTable } from '#lib/constructs/budget-table';
import { Clearance, Preflight } from '#lib/constructs/preflight';

export interface DataStackProps extends StackProps {
  readonly config: Config;
}

export class DataStack extends Stack {
  readonly table: TableV2;
  readonly preflight: Preflight;

  constructor(scope: Construct, id: string, { config, ...props }: DataStackProps) {
    const disposable = config.stage === DISPOSABLE_STAGE;
    super(scope, id, { description: `asbb ${config.stage}: the table with all money`, terminationProtection: !disposable, ...props });
    const tableName = `asbb-${config.stage}`;
    const budget = new BudgetTable(this, 'Budget', { tableName, disposable });
    this.table = budget.table;
    this.preflight = new Preflight(this, 'Preflight', { config, tableName: config.restored?.tableName ?? tableName });
    new Clearance(this, 'Clearance', { config, preflight: this.preflight.function.lambda }).before(budget);
    new CfnOutput(this, 'TableName', { value: this.table.tableName });
    // The API's stack still reads these while it is on its way to a restored table, or back.
    if (config.restored)
      for (const value of [this.table.tableName, this.table.tableArn, this.table.tableStreamArn]) this.exportValue(value);
  }
}
