import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, Billing, ProjectionType, StreamViewType, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import { TABLE } from '#contract/table';

export interface BudgetTableProps {
  /** A table that has to be replaced cannot keep its name, so a change that would leave the money behind fails instead. */
  readonly tableName: string;
  /** Whether the table goes when its stack goes. */
  readonly disposable: boolean;
}

/** The table of contract/table.ts: all money, and its history. */
export class BudgetTable extends Construct {
  readonly table: TableV2;

  constructor(scope: Construct, id: string, { tableName, disposable }: BudgetTableProps) {
    super(scope, id);
    const text = (name: string) => ({ name, type: AttributeType.STRING });
    this.table = new TableV2(this, 'Table', {
      tableName,
      partitionKey: text(TABLE.partitionKey),
      sortKey: text(TABLE.sortKey),
      globalSecondaryIndexes: TABLE.indexes.map(({ indexName, partitionKey, sortKey, projectionType }) => ({
        indexName,
        partitionKey: text(partitionKey),
        sortKey: text(sortKey),
        projectionType: ProjectionType[projectionType],
      })),
      billing: Billing.onDemand(),
      dynamoStream: StreamViewType[TABLE.streamViewType],
      timeToLiveAttribute: TABLE.timeToLiveAttribute,
      encryption: TableEncryptionV2.dynamoOwnedKey(), // The other kinds are billed for each request.
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: !disposable,
      removalPolicy: disposable ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN,
    });
  }
}
