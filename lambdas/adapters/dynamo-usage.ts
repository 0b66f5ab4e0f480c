// Usage in the table: a row for each day, user and partition, and a mark for each entry that is part of one.
import type { TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import type { TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb';
import { encodeMark } from '#adapters/dynamo-items';
import type { Requests } from '#adapters/dynamo-requests';
import type { CountedEntry } from '#app/ports';
import { COUNTED_FOR_SECONDS, countedKey, ITEM_VERSION, usageKey } from '#contract/table';
import type { Instant } from '#domain/ledger';
import { mergedUsage, type Usage } from '#domain/usage';

type TransactItem = NonNullable<TransactWriteCommandInput['TransactItems']>[number];

const isNew = 'attribute_not_exists(pk)';

/**
 * Marks and rows in one transaction. Entries whose mark is there already are left out, and the rest is tried again: each round
 * leaves at least one out, so there are no more rounds than entries.
 */
export const countUsage = async (
  transact: Requests['transact'],
  { counted, table, now }: { counted: readonly CountedEntry[]; table: string; now: Instant },
): Promise<void> => {
  let left = counted;
  while (left.length > 0) {
    const cancelled = await transact({ TransactItems: writesOf(left, table, now) });
    if (cancelled === undefined) return;
    left = uncounted(left, cancelled);
  }
};

/** The marks first, in the order of the entries: DynamoDB gives its reasons in the order of the writes. */
const writesOf = (counted: readonly CountedEntry[], table: string, now: Instant): TransactItem[] => [
  ...counted.map(({ entryId }) => ({
    Put: {
      TableName: table,
      Item: encodeMark(countedKey(entryId), { now, forSeconds: COUNTED_FOR_SECONDS }),
      ConditionExpression: isNew,
    },
  })),
  ...mergedUsage(counted.map(({ usage }) => usage)).map((usage) => addTo(usage, table)),
];

const uncounted = (counted: readonly CountedEntry[], cancelled: TransactionCanceledException): CountedEntry[] => {
  const left = counted.filter((_, index) => cancelled.CancellationReasons?.[index]?.Code !== 'ConditionalCheckFailed');
  if (left.length === counted.length) throw cancelled; // Then it was not about the marks, and would be the same for ever.
  return left;
};

const addTo = (usage: Usage, table: string): TransactItem => {
  const { account, user, partition, used, jobs, nodeSeconds } = usage;
  const words = { account, user, partition };
  const given = Object.entries(words).filter(([, value]) => value !== null);
  return {
    Update: {
      TableName: table,
      Key: { ...usageKey(usage) },
      UpdateExpression: `SET v = :v, ${given.map(([name]) => `#${name} = :${name}`).join(', ')} ADD #used :used, jobs :jobs, node_seconds :node_seconds`,
      ExpressionAttributeNames: { '#used': 'used', ...Object.fromEntries(given.map(([name]) => [`#${name}`, name])) },
      ExpressionAttributeValues: {
        ':v': ITEM_VERSION,
        ':used': used,
        ':jobs': jobs,
        ':node_seconds': nodeSeconds,
        ...Object.fromEntries(given.map(([name, value]) => [`:${name}`, value])),
      },
    },
  };
};
