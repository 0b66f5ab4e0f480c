// The CDK app as the CDK command runs it: what is wrong is said in one sentence, and nothing is written.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const { app, context } = JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8')) as { app: string; context: Record<string, unknown> };

/** As `cdk synth -c ...` would call it, without a proxy; without a profile either, unless one is given. */
const run = async (given: Record<string, unknown>, profile: Record<string, string> = {}) => {
  const outdir = join(mkdtempSync(join(tmpdir(), 'asbb-app-')), 'cdk.out');
  onTestFinished(() => rmSync(join(outdir, '..'), { recursive: true }));
  const [command = '', ...args] = app.split(' ');
  const all = { ...context, ...given, 'aws:cdk:bundling-stacks': [] };
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, CDK_OUTDIR: outdir, CDK_CONTEXT_JSON: JSON.stringify(all), ...profile };
  const child = spawn(command, args, { cwd: ROOT, env });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [status, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { status, stdout, stderr, written: existsSync(outdir) ? readdirSync(outdir) : [] };
};

describe('the CDK app', () => {
  it('writes both stacks for whatever account and region it is deployed to', async () => {
    const { status, stderr, written } = await run({ stage: 'dev' });
    expect([status, stderr]).toEqual([0, '']);
    expect(written).toEqual(expect.arrayContaining(['Asbb-dev-Data.template.json', 'Asbb-dev-Api.template.json']));
  });

  it.each([
    ['no stage', {}, 'asbb: context key stage is missing: say what to deploy, with -c stage=dev or -c stage=prod\n'],
    ['a wrong stage', { stage: 'Production' }, 'asbb: context key stage is "Production": write a name of at most 16'],
    ['an unknown key', { stage: 'dev', 'asbb:warm': 1 }, 'asbb: context key asbb:warm is unknown: the keys are stage, asbb:region, '],
    [
      'an advisor without its secret',
      { stage: 'dev', 'asbb:advisor-url': 'https://a.example.org' },
      'asbb: context key asbb:advisor-secret is missing',
    ],
  ])('stops at %s before anything is written', async (_, given, sentence) => {
    const { status, stdout, stderr, written } = await run(given);
    expect(stderr.startsWith(sentence), stderr).toBe(true);
    expect([status, stdout, written]).toEqual([2, '', []]);
  });
});

describe('an advisor whose secret', () => {
  const ADVISOR = { stage: 'dev', 'asbb:advisor-url': 'https://a.example.org', 'asbb:advisor-secret': 'asbb/advisor' };

  /** What CDK tells the app of the profile, and a Secrets Manager that refuses everything with this word. */
  const aProfile = async (refusal: string): Promise<Record<string, string>> => {
    const server = createServer((_, response) =>
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify({ __type: refusal })),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return {
      ...{ AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', NODE_OPTIONS: '--no-warnings' },
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      ...{ CDK_DEFAULT_ACCOUNT: '111122223333', CDK_DEFAULT_REGION: 'eu-central-1' },
    };
  };

  it('does not exist stops it before anything is written', async () => {
    expect(await run(ADVISOR, await aProfile('ResourceNotFoundException'))).toEqual({
      status: 2,
      stdout: '',
      stderr:
        "asbb: there is no secret asbb/advisor in eu-central-1: make it with 'aws secretsmanager create-secret --region eu-central-1 --name asbb/advisor --secret-string KEY', or leave out asbb:advisor-url and asbb:advisor-secret\n",
      written: [],
    });
  });

  it('may not be looked at is deployed with, and it is said that nobody looked', async () => {
    const { status, stderr } = await run(ADVISOR, await aProfile('AccessDeniedException'));
    const said = 'asbb: could not see whether secret asbb/advisor exists in eu-central-1 (AccessDeniedException)\n';
    expect([status, stderr]).toEqual([0, said]);
  });

  it('cannot be looked for without credentials is no matter: templates are written without a network', async () => {
    expect(await run(ADVISOR)).toMatchObject({ status: 0, stderr: '' });
  });
});
