// Stands in for what only AWS can do: node copy-table.mjs FROM TO copies all items of one table at ASBB_DYNAMODB into another, which
// is there already. With `--without PREFIX ...` it takes items of FROM away instead: those whose partition key begins so.
const MAX_BATCH = 25;

const ask = async (action, body) => {
  const headers = {
    'content-type': 'application/x-amz-json-1.0',
    'x-amz-target': `DynamoDB_20120810.${action}`,
    authorization: 'AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
  };
  const answer = await fetch(process.env.ASBB_DYNAMODB, { method: 'POST', headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${action}: ${await answer.text()}`);
  return answer.json();
};

const write = async (table, requests) => {
  for (let at = 0; at < requests.length; at += MAX_BATCH)
    await ask('BatchWriteItem', { RequestItems: { [table]: requests.slice(at, at + MAX_BATCH) } });
};

const [from, ...rest] = process.argv.slice(2);
const { Items, LastEvaluatedKey } = await ask('Scan', { TableName: from, ConsistentRead: true });
if (LastEvaluatedKey !== undefined) throw new Error(`${from} is too large for this`);
if (rest[0] === '--without') {
  const gone = Items.filter(({ pk }) => rest.slice(1).some((prefix) => pk.S.startsWith(prefix)));
  await write(
    from,
    gone.map(({ pk, sk }) => ({ DeleteRequest: { Key: { pk, sk } } })),
  );
} else {
  const [to, ...keys] = rest;
  // Only these partition keys, if any are given.
  const wanted = Items.filter(({ pk }) => keys.length === 0 || keys.includes(pk.S));
  await write(
    to,
    wanted.map((Item) => ({ PutRequest: { Item } })),
  );
}
