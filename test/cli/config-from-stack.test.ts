// `asbb config init --from-stack`, against a CloudFormation that exists only here, spoken to over HTTP as AWS speaks.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readStackOutputs } from '#adapters/stack-outputs';
import { runAsbb } from '#cli/commands/program';
import { parseConfig } from '#cli/config';
import { aMachine } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

interface Answer {
  readonly status: number;
  readonly xml: string;
}

let server: Server;
let answer: Answer;
let asked: { body: string; authorization: string }[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      asked.push({ body, authorization: request.headers.authorization ?? '' });
      response.writeHead(answer.status, { 'content-type': 'text/xml' }).end(answer.xml);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
});
afterAll(() => void server.close());
afterEach(() => {
  vi.unstubAllEnvs();
  asked = [];
});

const ENDPOINT = 'https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com';

const aStack = (outputs: Readonly<Record<string, string>>, status = 'CREATE_COMPLETE'): Answer => ({
  status: 200,
  xml: `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>
    <StackName>Asbb-prod-Api</StackName><StackStatus>${status}</StackStatus><CreationTime>2026-11-23T12:00:00Z</CreationTime><Outputs>${Object.entries(
      outputs,
    )
      .map(([key, value]) => `<member><OutputKey>${key}</OutputKey><OutputValue>${value}</OutputValue></member>`)
      .join('')}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
});

const aRefusal = (status: number, code: string, message: string): Answer => ({
  status,
  xml: `<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`,
});

const folder = (): string => aFolder('asbb-stack-');

const init = async (line: string, given: Answer, { endpoint }: { endpoint?: string } = {}) => {
  answer = given;
  const { port } = server.address() as { port: number };
  vi.stubEnv('AWS_ENDPOINT_URL_CLOUDFORMATION', endpoint ?? `http://127.0.0.1:${port}`);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wJalrXUtnFEMI');
  // Nothing of whoever runs the tests.
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION', 'AWS_PROFILE', 'AWS_SESSION_TOKEN']) vi.stubEnv(name, undefined);
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
  const machine = aMachine({ env: {}, readStackOutputs });
  const code = await runAsbb(`config init ${line}`.split(' '), machine);
  return { code, out: machine.out(), err: machine.err() };
};

describe('config init --from-stack', () => {
  it('writes what the stack puts out into the commented template', async () => {
    const file = join(folder(), 'config.yaml');
    const { code, err } = await init(
      `--from-stack Asbb-prod-Api --region eu-west-1 --output ${file}`,
      aStack({ ApiEndpoint: `${ENDPOINT}/`, EventBusName: 'asbb-prod-bus' }),
    );
    expect({ code, err }).toEqual({ code: 0, err: `asbb: wrote ${file}: try it with 'asbb doctor'\n` });
    const content = readFileSync(file, 'utf8');
    expect(content).toContain(
      `  # The output ApiEndpoint of the stack Asbb-<stage>-Api.\n  endpoint: ${ENDPOINT}\n  region: eu-west-1\n\n# The Slurm cluster`,
    );
    expect(content).toContain('\n  # event_bus: asbb-prod-bus\n');
    expect(content).toContain('pricing:\n  # region: us-east-1\n');
    expect(parseConfig(content, file)).toMatchObject({ api: { endpoint: ENDPOINT, region: 'eu-west-1' } });
    expect(asked).toHaveLength(1);
    expect(asked[0]?.body).toContain('Action=DescribeStacks');
    expect(asked[0]?.body).toContain('StackName=Asbb-prod-Api');
    expect(asked[0]?.authorization).toContain('AKIDEXAMPLE');
    expect(asked[0]?.authorization).toContain('/eu-west-1/cloudformation/');
  });

  it('takes the region of the stack for an endpoint that names none', async () => {
    const { out } = await init('--from-stack S --region eu-west-1', aStack({ ApiEndpoint: 'https://budget.example.org' }));
    expect(parseConfig(out, 'f')).toMatchObject({ api: { endpoint: 'https://budget.example.org', region: 'eu-west-1' } });
    expect(out).toContain('  # event_bus: asbb-prod\n');
  });

  it.each<[string, Answer, number, string]>([
    [
      'there is no such stack, or not in this region',
      aRefusal(400, 'ValidationError', 'Stack with id S does not exist'),
      1,
      'there is no stack S in eu-west-1: name its region with --region, its account with --profile, or deploy it first',
    ],
    [
      'it has no outputs',
      aStack({}),
      1,
      'the stack S in eu-west-1 has no outputs (CREATE_COMPLETE): deploy it again, or name the one that ends with -Api',
    ],
    [
      'it is not ready',
      aStack({}, 'CREATE_IN_PROGRESS'),
      1,
      'the stack S in eu-west-1 is not ready (CREATE_IN_PROGRESS): try again when it is',
    ],
    [
      'it is another stack',
      aStack({ TableName: 'asbb' }),
      1,
      'the stack S in eu-west-1 has no output ApiEndpoint: name the one that ends with -Api',
    ],
    [
      'nobody may look',
      aRefusal(403, 'AccessDenied', 'User: x is not authorized'),
      4,
      'may not look at the stack S in eu-west-1: let these credentials do cloudformation:DescribeStacks, or name others with --profile (User: x is not authorized)',
    ],
    [
      'nobody knows the key',
      aRefusal(403, 'InvalidClientTokenId', 'The security token included in the request is invalid'),
      4,
      'no AWS credentials that eu-west-1 takes (The security token included in the request is invalid): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile',
    ],
    ['it is refused otherwise', aRefusal(400, 'ValidationError', 'odd'), 1, 'CloudFormation in eu-west-1 does not show the stack S: odd'],
    [
      'its endpoint is none',
      aStack({ ApiEndpoint: 'nonsense' }),
      2,
      "the endpoint 'nonsense' is no URL: write it like https://host or http://127.0.0.1:8080",
    ],
  ])('says in a sentence that %s', async (_, given, code, sentence) => {
    expect(await init('--from-stack S --region eu-west-1', given)).toEqual({ code, out: '', err: `asbb: ${sentence}\n` });
  });

  it('asks for a region where there is none', async () => {
    const { code, err } = await init('--from-stack S', aStack({}));
    expect({ code, err }).toEqual({ code: 2, err: 'asbb: in which region is the stack S? Say it with --region or AWS_REGION\n' });
  });

  it('says when nobody answers, as in a region that does not exist', async () => {
    const { code, err } = await init('--from-stack S --region eu-nowhere-1', aStack({}), { endpoint: 'http://127.0.0.1:1' });
    expect(code).toBe(5);
    expect(err).toMatch(/^asbb: CloudFormation in eu-nowhere-1 does not answer \(.*\): check the name of the region and the network\n$/);
  });

  it.each(['', '-x', 'a b', 'a_b'])("refuses the name '%s' before anything is asked", async (name) => {
    const machine = aMachine({ env: {} });
    expect(await runAsbb(['config', 'init', `--from-stack=${name}`], machine)).toBe(2);
    expect(machine.err()).toContain('must be the name of a stack, like Asbb-prod-Api');
  });
});
