import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTopic } from '#adapters/sns-topic';

let server: Server;
let endpoint: string;
let asked: URLSearchParams[];
let status: number;

beforeEach(async () => {
  [asked, status] = [[], 200];
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    asked.push(new URLSearchParams(Buffer.concat(chunks).toString()));
    response.writeHead(status, { 'content-type': 'text/xml' });
    const error =
      '<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code><Message>Topic does not exist</Message></Error></ErrorResponse>';
    const answer = '<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>';
    response.end(status === 200 ? answer : error);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const topic = () =>
  createTopic({
    topicArn: 'arn:aws:sns:us-east-1:111122223333:asbb',
    region: 'us-east-1',
    endpoint,
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  });

describe('createTopic', () => {
  it('publishes subject and text', async () => {
    await topic().publish({ subject: 'asbb: physics: 80% used', text: 'Account physics: 80% is reached.' });
    expect(Object.fromEntries(asked[0] ?? [])).toMatchObject({
      Action: 'Publish',
      TopicArn: 'arn:aws:sns:us-east-1:111122223333:asbb',
      Subject: 'asbb: physics: 80% used',
      Message: 'Account physics: 80% is reached.',
    });
  });

  it('says what SNS says when it does not', async () => {
    status = 404;
    await expect(topic().publish({ subject: 's', text: 't' })).rejects.toThrow('Topic does not exist');
  });
});
