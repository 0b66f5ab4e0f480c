// Requests to the table as IAM sees them: an action, a resource, and the partition keys.

export interface TableRequest {
  readonly action: string;
  readonly index: string | undefined;
  readonly partitionKeys: readonly string[];
  /** Of a write in a transaction: the keys of all its writes. */
  readonly transactionKeys?: readonly string[];
}

type Attributes = Readonly<Record<string, { readonly S?: string }>>;

/** What one call of the client asks permission for. The body is as it goes over the wire. */
export const requestsIn = (operation: string, body: Readonly<Record<string, unknown>>): TableRequest[] => {
  const one = (action: string, attributes: unknown): TableRequest => ({
    action: `dynamodb:${action}`,
    index: undefined,
    partitionKeys: [(attributes as Attributes).pk?.S ?? ''],
  });
  switch (operation) {
    case 'GetItem':
    case 'DeleteItem':
    case 'UpdateItem':
      return [one(operation, body.Key)];
    case 'PutItem':
      return [one(operation, body.Item)];
    case 'Query': {
      const values = body.ExpressionAttributeValues as Attributes;
      return [{ action: 'dynamodb:Query', index: body.IndexName as string | undefined, partitionKeys: [values[':partition']?.S ?? ''] }];
    }
    case 'BatchGetItem': {
      const tables = Object.values(body.RequestItems as Record<string, { Keys: readonly Attributes[] }>);
      return [
        {
          action: 'dynamodb:BatchGetItem',
          index: undefined,
          partitionKeys: tables.flatMap(({ Keys }) => Keys.map(({ pk }) => pk?.S ?? '')),
        },
      ];
    }
    case 'TransactWriteItems': {
      const writes = (body.TransactItems as readonly Record<string, { Key?: Attributes; Item?: Attributes }>[]).flatMap((item) =>
        Object.entries(item).map(([kind, { Key, Item }]) =>
          one(kind === 'ConditionCheck' ? 'ConditionCheckItem' : `${kind}Item`, Key ?? Item),
        ),
      );
      const transactionKeys = writes.flatMap(({ partitionKeys }) => partitionKeys);
      return writes.map((write) => ({ ...write, transactionKeys }));
    }
    default:
      throw new Error(`nobody has said yet what ${operation} needs`);
  }
};
