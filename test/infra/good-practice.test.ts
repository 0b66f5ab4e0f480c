// AWS's own list of good practice, and what CloudFormation takes.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack, Validations } from 'aws-cdk-lib';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { PATIENCE_MS, type Synthesised, synthesised } from '#test/infra/synth';
import { pythonPrograms } from '#test/support/python-packages';

/** All that can be asked for, so that nothing is left out. */
const EVERYTHING = {
  'asbb:alarm-email': 'ops@example.org',
  'asbb:warm-instances': 1,
  'asbb:advisor-url': 'https://advisor.example.org',
  'asbb:advisor-secret': 'asbb/advisor',
};

let stacks: Synthesised;
beforeAll(() => {
  stacks = synthesised({ context: EVERYTHING, nag: true });
}, PATIENCE_MS);
afterAll(() => rmSync(stacks.folder, { recursive: true }));

interface Report {
  readonly pluginReports: readonly { readonly pluginName: string; readonly violations?: readonly { readonly ruleName: string }[] }[];
}

const findingsIn = (folder: string): string[] => {
  const { pluginReports } = JSON.parse(readFileSync(join(folder, 'validation-report.json'), 'utf8')) as Report;
  return pluginReports.flatMap(({ violations = [] }) => violations.map(({ ruleName }) => ruleName));
};

/** Rule and reason, once for each place that is excepted. */
const acknowledged = (): [string, string][] =>
  stacks.app.node
    .findAll()
    .flatMap((construct) =>
      construct.node.metadata
        .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
        .flatMap(({ data }) => Object.entries(data as Record<string, string>)),
    );

describe('cdk-nag, AwsSolutions', () => {
  it('looks, and would find a queue that takes messages in the clear', () => {
    const folder = mkdtempSync(join(tmpdir(), 'asbb-nag-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const app = new App({ outdir: folder });
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    new Queue(new Stack(app, 'Bad'), 'Queue');
    expect(() => app.synth()).toThrow('AwsSolutions-SQS4');
    expect(findingsIn(folder)).toContain('AwsSolutions-SQS4');
  });

  it('finds nothing without a reason', () => {
    expect(findingsIn(stacks.folder)).toEqual([]);
  });

  it('is excepted from for these reasons, and no others', () => {
    const exceptions = acknowledged().map(([rule, reason]) => `${rule.replace(/^annotation::/i, '').replace(/\[.*/, '')}: ${reason}`);
    process.stdout.write(
      `cdk-nag: no finding; ${exceptions.length} exceptions, for these reasons:\n  ${[...new Set(exceptions)].join('\n  ')}\n`,
    );
    expect([...new Set(exceptions)].sort()).toEqual([
      'AwsSolutions-APIG4: GET /health says only that somebody is here, and its version.',
      'AwsSolutions-IAM5: A `*` stands where a path has the id of a hold, job, account or partition, which no policy can know.',
      'AwsSolutions-IAM5: CloudFormation puts an id behind the name of a stack, which nobody knows before there is one.',
      'AwsSolutions-IAM5: Traces and prices: xray:PutTraceSegments, xray:PutTelemetryRecords and pricing:GetProducts know no resource.',
      'AwsSolutions-L1: Node 22 is what the versions of the SDK and of middy here are made for, and AWS supports it.',
      'AwsSolutions-SQS3: It is itself where failed records go.',
    ]);
  });
});

const CFN_LINT = 'cfn-lint==1.58.0';
/**
 * - W3005: CDK lets each function wait for its role in words, though its property says so already.
 * - W6001: the API's stack repeats the table's name, so that clients need to know one stack only.
 */
const IGNORED = ['W3005', 'W6001'];

describe('cfn-lint', () => {
  it('finds nothing in the templates', ({ skip }) => {
    const programs = pythonPrograms([CFN_LINT]);
    if (programs === undefined) {
      process.stdout.write(`cfn-lint: skipped, it needs Python 3 with venv and pip, and ${CFN_LINT} from PyPI\n`);
      return skip();
    }
    const templates = ['Data', 'Api'].map((which) => join(stacks.folder, `Asbb-test-${which}.template.json`));
    const { stdout, status } = spawnSync(join(programs, 'cfn-lint'), ['-i', ...IGNORED, '-t', ...templates], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });
});
