// Usage in the table: a row for each day, user and partition, and a mark for each entry that is part of one.
import type { TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import type { TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb';
import { type Item, type Reader, reader } from '#adapters/dynamo-attributes';
import { encodeMark } from '#adapters/dynamo-items';
import type { Requests } from '#adapters/dynamo-requests';
import type { CountedEntry } from '#app/ports';
import { COUNTED_FOR_SECONDS, countedKey, ITEM_VERSION, usageKey } from '#contract/table';
import type { Closed } from '#domain/accuracy';
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
  ...mergedUsage(counted.flatMap(({ usage }) => usage)).map((usage) => addTo(usage, table)),
];

const uncounted = (counted: readonly CountedEntry[], cancelled: TransactionCanceledException): CountedEntry[] => {
  const left = counted.filter((_, index) => cancelled.CancellationReasons?.[index]?.Code !== 'ConditionalCheckFailed');
  if (left.length === counted.length) throw cancelled; // Then it was not about the marks, and would be the same for ever.
  return left;
};

const addTo = (usage: Usage, table: string): TransactItem => {
  const { account, user, partition } = usage;
  const numbers = Object.entries(usageNumbers(usage));
  const words = { account, user, partition };
  const given = Object.entries(words).filter(([, value]) => value !== null);
  return {
    Update: {
      TableName: table,
      Key: { ...usageKey(usage) },
      UpdateExpression: `SET v = :v, ${given.map(([name]) => `#${name} = :${name}`).join(', ')} ADD ${numbers.map(([name]) => `#${name} :${name}`).join(', ')}`,
      ExpressionAttributeNames: Object.fromEntries([...given, ...numbers].map(([name]) => [`#${name}`, name])),
      ExpressionAttributeValues: {
        ':v': ITEM_VERSION,
        ...Object.fromEntries([...given, ...numbers].map(([name, value]) => [`:${name}`, value])),
      },
    },
  };
};

export const decodeUsage = (stored: Item): Usage => {
  const of = reader(stored);
  return {
    account: of.text('account'),
    day: of.text('sk').slice(0, 'yyyy-mm-dd'.length),
    user: of.textOrNull('user'),
    partition: of.textOrNull('partition'),
    used: of.integer('used'),
    jobs: of.number('jobs'),
    nodeSeconds: of.number('node_seconds'),
    ...(of.has(CLOSED_HOLDS) ? { closed: decodeClosed(of) } : {}),
  };
};

/** What is added to of a usage row, by attribute. */
const usageNumbers = ({ used, jobs, nodeSeconds, closed }: Usage): Record<string, bigint | number> => ({
  used,
  jobs,
  node_seconds: nodeSeconds,
  ...(closed && closedNumbers(closed)),
});

const CLOSED_HOLDS = 'closed_holds';
/** Before the bound: a row has as many of these attributes as its holds are spread over. */
const WITHIN = 'within_';

const closedNumbers = (closed: Closed): Record<string, bigint | number> => ({
  [CLOSED_HOLDS]: closed.holds,
  closed_estimate: closed.estimate,
  closed_held: closed.held,
  closed_used: closed.used,
  closed_overran: closed.overran,
  unspent_holds: closed.unspent,
  unspent_held: closed.unspentHeld,
  ...Object.fromEntries(Object.entries(closed.within).map(([bound, holds]) => [`${WITHIN}${bound}`, holds])),
});

const decodeClosed = (of: Reader): Closed => ({
  holds: of.number(CLOSED_HOLDS),
  estimate: of.integer('closed_estimate'),
  held: of.integer('closed_held'),
  used: of.integer('closed_used'),
  overran: of.number('closed_overran'),
  within: Object.fromEntries(
    Object.keys(of.all())
      .filter((name) => name.startsWith(WITHIN) && of.number(name) !== 0)
      .map((name) => [name.slice(WITHIN.length), of.number(name)]),
  ),
  unspent: of.number('unspent_holds'),
  unspentHeld: of.integer('unspent_held'),
});
