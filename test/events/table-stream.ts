// The stream of a table in DynamoDB Local, read to its end as Lambda's poller would. Its API is four requests of JSON, so it
// takes no client of its own: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html
import { DescribeTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { DynamoDBRecord } from 'aws-lambda';

const MAX_REQUESTS = 10_000;

export interface StreamPlace {
  readonly base: DynamoDBClient;
  readonly endpoint: string;
}

export const readStream = async ({ base, endpoint }: StreamPlace, table: string): Promise<DynamoDBRecord[]> => {
  const { Table } = await base.send(new DescribeTableCommand({ TableName: table }));
  const StreamArn = Table?.LatestStreamArn;
  const ask = <T>(operation: string, body: object): Promise<T> => streamRequest<T>(endpoint, operation, body);
  const { StreamDescription } = await ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', { StreamArn });
  const records: DynamoDBRecord[] = [];
  for (const { ShardId } of StreamDescription.Shards) {
    const first = await ask<{ ShardIterator: string }>('GetShardIterator', { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' });
    let iterator: string | undefined = first.ShardIterator;
    for (let requests = 0; iterator !== undefined && requests < MAX_REQUESTS; requests += 1) {
      const page: { Records: DynamoDBRecord[]; NextShardIterator?: string } = await ask('GetRecords', { ShardIterator: iterator });
      records.push(...page.Records);
      if (page.Records.length === 0) break; // An open shard has no end, only nothing new.
      iterator = page.NextShardIterator;
    }
  }
  return records;
};

const streamRequest = async <T>(endpoint: string, operation: string, body: object): Promise<T> => {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `DynamoDBStreams_20120810.${operation}`,
      // DynamoDB Local looks at key and region, which choose the database, and at no signature.
      authorization: 'AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
    },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${operation}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
};
