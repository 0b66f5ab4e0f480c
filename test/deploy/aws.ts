// What a test asks of the local AWS beside CDK and the API: by the wire of each service, so that no SDK is needed for ten questions.
import { expect } from 'vitest';
import { REGION } from '#test/deploy/ministack';

// biome-ignore lint/suspicious/noExplicitAny: an answer has the shape that its service says
type Answer = any;

/** MiniStack looks at the scope of a signature, and not at the signature. */
export const signedFor = (service: string): Record<string, string> => ({
  authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
});

/** Of each service that speaks JSON: the prefix of its targets, and the version of its JSON. */
const TARGETS = {
  dynamodb: ['DynamoDB_20120810', '1.0'],
  events: ['AWSEvents', '1.1'],
  logs: ['Logs_20140328', '1.1'],
  monitoring: ['GraniteServiceVersion20100801', '1.0'],
  secretsmanager: ['secretsmanager', '1.1'],
  sqs: ['AmazonSQS', '1.0'],
} as const;

/** Of each service that speaks XML: the version of its API. */
const VERSIONS = { cloudformation: '2010-05-15', iam: '2010-05-08', sns: '2010-03-31' } as const;

export type LocalAws = ReturnType<typeof askingAws>;

/** @param url of MiniStack */
export const askingAws = (url: string) => {
  const json = async (service: keyof typeof TARGETS, action: string, body: object = {}): Promise<Answer> => {
    const [prefix, version] = TARGETS[service];
    const headers = { ...signedFor(service), 'x-amz-target': `${prefix}.${action}`, 'content-type': `application/x-amz-json-${version}` };
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    const text = await answer.text();
    expect(`${action} ${answer.status} ${answer.status === 200 ? '' : text}`).toBe(`${action} 200 `);
    return text === '' ? {} : JSON.parse(text);
  };
  /** The texts of all elements of this name in the answer. */
  const xml = async (service: keyof typeof VERSIONS, action: string, element: string): Promise<string[]> => {
    const body = new URLSearchParams({ Action: action, Version: VERSIONS[service], Scope: 'Local' });
    const answer = await fetch(url, { method: 'POST', headers: signedFor(service), body });
    expect(`${action} ${answer.status}`).toBe(`${action} 200`);
    return [...(await answer.text()).matchAll(new RegExp(`<${element}>([^<]*)<`, 'g'))].map(([, text = '']) => text);
  };
  const rest = async (service: 'apigateway' | 'lambda', path: string): Promise<Answer> =>
    (await fetch(`${url}${path}`, { headers: signedFor(service) })).json();
  return { json, xml, rest };
};

/** Settings of each function, by its name. */
export const functionSettings = async ({ rest }: LocalAws): Promise<Record<string, Record<string, string>>> => {
  const { Functions } = await rest('lambda', '/2015-03-31/functions/');
  return Object.fromEntries(
    Functions.map((each: Answer) => [each.FunctionName, { code: each.CodeSha256, ...each.Environment?.Variables }] as const),
  );
};

/** Everything that a deployment may leave behind, one line each. */
export const inventory = async ({ json, xml, rest }: LocalAws): Promise<string[]> => {
  const named = (what: string, names: readonly string[]): string[] => names.map((name) => `${what} ${name}`);
  const buses: string[] = (await json('events', 'ListEventBuses')).EventBuses.map(({ Name }: Answer) => Name);
  const rules = await Promise.all(buses.map((EventBusName) => json('events', 'ListRules', { EventBusName })));
  const mappings = (await rest('lambda', '/2015-03-31/event-source-mappings/')).EventSourceMappings;
  return [
    ...named('table', (await json('dynamodb', 'ListTables')).TableNames),
    ...named('function', Object.keys(await functionSettings({ json, xml, rest }))),
    ...named(
      'event source',
      mappings.map(({ EventSourceArn }: Answer) => EventSourceArn),
    ),
    ...named(
      'log group',
      (await json('logs', 'DescribeLogGroups')).logGroups.map(({ logGroupName }: Answer) => logGroupName),
    ),
    ...named(
      'queue',
      ((await json('sqs', 'ListQueues')).QueueUrls ?? []).map((queue: string) => queue.split('/').at(-1)),
    ),
    ...named('bus', buses),
    ...named(
      'rule',
      rules.flatMap(({ Rules }) => Rules.map(({ Name }: Answer) => Name)),
    ),
    ...named('topic', await xml('sns', 'ListTopics', 'TopicArn')),
    ...named('role', await xml('iam', 'ListRoles', 'RoleName')),
    ...named('policy', await xml('iam', 'ListPolicies', 'PolicyName')),
    ...named(
      'API',
      (await rest('apigateway', '/v2/apis')).items.map(({ name }: Answer) => name),
    ),
    ...named(
      'alarm',
      (await json('monitoring', 'DescribeAlarms')).MetricAlarms.map(({ AlarmName }: Answer) => AlarmName),
    ),
    ...named(
      'dashboard',
      (await json('monitoring', 'ListDashboards')).DashboardEntries.map(({ DashboardName }: Answer) => DashboardName),
    ),
    ...named('stack', await xml('cloudformation', 'DescribeStacks', 'StackName')),
  ].sort();
};

/** Messages of a queue, taken from it. */
export const takeMessages = async ({ json }: LocalAws, QueueUrl: string): Promise<{ Body: string; ReceiptHandle: string }[]> => {
  const taken = [];
  for (;;) {
    const { Messages = [] } = await json('sqs', 'ReceiveMessage', { QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 600 });
    if (Messages.length === 0) return taken;
    for (const message of Messages) {
      taken.push(message);
      await json('sqs', 'DeleteMessage', { QueueUrl, ReceiptHandle: message.ReceiptHandle });
    }
  }
};
