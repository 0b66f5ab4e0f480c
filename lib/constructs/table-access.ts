// What each function does to the table, in the words of IAM: an action, and the partition keys that it may be done to.
//
// A transaction is authorised by the actions in it: each Put needs PutItem, each Update UpdateItem, each Delete DeleteItem.
// test/infra/table-access.test.ts holds what the functions really send against these lines.
import type { TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  ACCOUNT_DIRECTORY,
  accountKey,
  announcedKey,
  CLUSTER_DIRECTORY,
  countedKey,
  HOLDS_OF_ACCOUNT,
  holdKey,
  type IndexName,
  jobPartition,
  ledgerMonth,
  OPEN_HOLDS_BY_EXPIRY,
  OPEN_HOLDS_OF_CLUSTER,
  PARTITION_DIRECTORY,
  pricePartition,
  SCHEMA_KEY,
  usageMonth,
} from '#contract/table';

const ACCOUNT = accountKey('*').pk;
const HOLD = holdKey('*').pk;
const LEDGER = ledgerMonth({ account: '*', month: '*' });
const COUNTED = countedKey('*').pk;
const ANNOUNCED = announcedKey('*').pk;
const USAGE = usageMonth({ account: '*', month: '*' });
const PRICE = pricePartition('*');
const JOB = jobPartition({ cluster: '*', jobId: '*' });

export type ServiceFunctionName =
  | 'submit'
  | 'agent'
  | 'admin'
  | 'expire'
  | 'job-ended'
  | 'stream'
  | 'audit'
  | 'price-refresh'
  | 'preflight';

type ItemAction = 'GetItem' | 'BatchGetItem' | 'Query' | 'PutItem' | 'UpdateItem' | 'DeleteItem';

export interface Access extends Readonly<Partial<Record<ItemAction, readonly string[]>>> {
  /** Indexes that are queried. They hold keys only. */
  readonly indexes?: readonly IndexName[];
}

/** Whatever books: the account's columns change, the hold and its runs are put, and the entry is put. No entry is ever changed. */
const BOOKING = { UpdateItem: [ACCOUNT], PutItem: [HOLD, LEDGER] } as const;

export const TABLE_ACCESS: Readonly<Record<ServiceFunctionName, Access>> = {
  submit: {
    GetItem: [ACCOUNT, HOLD, PARTITION_DIRECTORY, PRICE],
    Query: [JOB, CLUSTER_DIRECTORY],
    UpdateItem: BOOKING.UpdateItem,
    PutItem: [...BOOKING.PutItem, PRICE],
  },
  agent: {
    GetItem: [ACCOUNT, HOLD, PARTITION_DIRECTORY, PRICE],
    BatchGetItem: [HOLD],
    Query: [HOLD, JOB, CLUSTER_DIRECTORY],
    indexes: [OPEN_HOLDS_OF_CLUSTER],
    UpdateItem: [...BOOKING.UpdateItem, CLUSTER_DIRECTORY],
    PutItem: [...BOOKING.PutItem, JOB],
  },
  admin: {
    GetItem: [ACCOUNT, HOLD, PARTITION_DIRECTORY, PRICE],
    BatchGetItem: [ACCOUNT, HOLD],
    Query: [ACCOUNT, ACCOUNT_DIRECTORY, LEDGER, USAGE, HOLD, PARTITION_DIRECTORY, CLUSTER_DIRECTORY],
    indexes: [HOLDS_OF_ACCOUNT, OPEN_HOLDS_BY_EXPIRY],
    UpdateItem: [ACCOUNT, CLUSTER_DIRECTORY],
    PutItem: [ACCOUNT, ACCOUNT_DIRECTORY, LEDGER, PARTITION_DIRECTORY, PRICE],
    DeleteItem: [ACCOUNT, ACCOUNT_DIRECTORY, PARTITION_DIRECTORY],
  },
  expire: { GetItem: [HOLD, CLUSTER_DIRECTORY], Query: [CLUSTER_DIRECTORY], indexes: [OPEN_HOLDS_BY_EXPIRY], ...BOOKING },
  'job-ended': { GetItem: [HOLD, PARTITION_DIRECTORY, PRICE], Query: [JOB], ...BOOKING },
  stream: { GetItem: [ANNOUNCED], UpdateItem: [USAGE], PutItem: [COUNTED, ANNOUNCED] },
  audit: {
    GetItem: [ACCOUNT, HOLD],
    BatchGetItem: [ACCOUNT, HOLD],
    Query: [ACCOUNT_DIRECTORY, LEDGER, HOLD],
    indexes: [HOLDS_OF_ACCOUNT],
  },
  'price-refresh': { Query: [PARTITION_DIRECTORY], PutItem: [PRICE] },
  preflight: { GetItem: [SCHEMA_KEY.pk], PutItem: [SCHEMA_KEY.pk] },
};

/** As far as a policy names a table: it may be by name, before there is one. */
export type NamedTable = Pick<TableV2, 'tableArn' | 'tableName'>;

const WRITES: ReadonlySet<string> = new Set<ItemAction>(['PutItem', 'UpdateItem', 'DeleteItem']);

/**
 * One statement for each action, one more for each write in a transaction, and one for the indexes.
 *
 * AWS does not say whether `dynamodb:LeadingKeys` of a write in a transaction is the key of that write, those of all writes, or
 * absent. The first statement allows the write in the first case and the last; the second in the first case, where it adds
 * nothing, and where all keys are there.
 */
export const tableStatements = (table: NamedTable, { indexes, ...actions }: Access): PolicyStatement[] => [
  ...Object.entries(actions).flatMap(([action, keys]) => {
    const statement = (sid: string, conditions: Record<string, Record<string, readonly string[]>>): PolicyStatement =>
      new PolicyStatement({ sid, actions: [`dynamodb:${action}`], resources: [table.tableArn], conditions });
    return [
      statement(action, { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [...keys] } }),
      ...(WRITES.has(action)
        ? [
            statement(`${action}InTransaction`, {
              'ForAnyValue:StringLike': { 'dynamodb:LeadingKeys': [...keys] },
              'ForAnyValue:StringEquals': { 'dynamodb:EnclosingOperation': ['TransactWriteItems'] },
            }),
          ]
        : []),
    ];
  }),
  ...(indexes === undefined
    ? []
    : [
        new PolicyStatement({
          sid: 'QueryIndex',
          actions: ['dynamodb:Query'],
          resources: indexes.map((index) => `${table.tableArn}/index/${index}`),
        }),
      ]),
];
