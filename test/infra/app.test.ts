// The CDK app as the CDK command runs it: what is wrong is said in one sentence, and nothing is written.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const { app, context } = JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8')) as { app: string; context: Record<string, unknown> };

/** As `cdk synth -c ...` would call it, without a proxy, an account or a region. */
const run = (given: Record<string, unknown>) => {
  const outdir = join(mkdtempSync(join(tmpdir(), 'asbb-app-')), 'cdk.out');
  onTestFinished(() => rmSync(join(outdir, '..'), { recursive: true }));
  const [command = '', ...args] = app.split(' ');
  const all = { ...context, ...given, 'aws:cdk:bundling-stacks': [] };
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, CDK_OUTDIR: outdir, CDK_CONTEXT_JSON: JSON.stringify(all) };
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', env });
  return { status, stdout, stderr, written: existsSync(outdir) ? readdirSync(outdir) : [] };
};

describe('the CDK app', () => {
  it('writes both stacks for whatever account and region it is deployed to', () => {
    const { status, stderr, written } = run({ stage: 'dev' });
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
  ])('stops at %s before anything is written', (_, given, sentence) => {
    const { status, stdout, stderr, written } = run(given);
    expect(stderr.startsWith(sentence), stderr).toBe(true);
    expect([status, stdout, written]).toEqual([2, '', []]);
  });
});
