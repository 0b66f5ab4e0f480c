// What real DynamoDB does and DynamoDB Local never does: conflicts, throttling, answers that are lost.
import { ProvisionedThroughputExceededException, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import type { Hook, StoreRequest } from '#test/money/composed';

export interface Attempt {
  readonly operation: string;
  readonly at: number;
  readonly deadline: number | undefined;
}

export interface Faults {
  readonly attempts: readonly Attempt[];
  readonly injected: { before: number; after: number; lost: number };
  readonly hook: Hook;
}

const $metadata = {};

/**
 * A share of all requests ends in a conflict or is throttled: half of them before they are sent, half after DynamoDB has
 * looked at them and written nothing. Of another share the answer is lost after it was applied.
 */
export const createFaults = ({ refused, lost }: { refused: number; lost: number }, seed = 20_261_123): Faults => {
  const attempts: Attempt[] = [];
  const injected = { before: 0, after: 0, lost: 0 };
  const dice = createDice(seed);
  const hook: Hook = async (request, send) => {
    attempts.push({ operation: request.operation, at: Date.now(), deadline: request.deadline });
    const thrown = dice();
    if (thrown < refused / 2) {
      injected.before += 1;
      throw refusalOf(request);
    }
    if (thrown < refused) {
      injected.after += 1;
      await send(request.operation === 'TransactWriteItems' ? withoutEffect(request.body) : undefined).catch(() => undefined);
      throw refusalOf(request);
    }
    const answer = await send();
    if (thrown >= refused + lost) return answer;
    injected.lost += 1;
    throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
  };
  return { attempts, injected, hook };
};

/** mulberry32: faults come in the same order in each run. */
const createDice = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

const refusalOf = ({ operation, body }: StoreRequest): Error => {
  if (operation !== 'TransactWriteItems') return new ProvisionedThroughputExceededException({ message: 'slow down', $metadata });
  const [, ...others] = body.TransactItems as readonly unknown[];
  const reasons = [{ Code: 'TransactionConflict' }, ...others.map(() => ({ Code: 'None' }))];
  return new TransactionCanceledException({ message: 'conflict', CancellationReasons: reasons, $metadata });
};

/** The same transaction with one condition more, which nothing meets; and without its token, which is for the real one. */
const withoutEffect = ({ ClientRequestToken: _, ...body }: StoreRequest['body']): StoreRequest['body'] => {
  const items = body.TransactItems as readonly { Put?: { TableName: string }; Update?: { TableName: string } }[];
  const TableName = items[0]?.Update?.TableName ?? items[0]?.Put?.TableName;
  const Key = { pk: { S: 'NOBODY' }, sk: { S: 'NOBODY' } };
  return { ...body, TransactItems: [...items, { ConditionCheck: { TableName, Key, ConditionExpression: 'attribute_exists(pk)' } }] };
};
