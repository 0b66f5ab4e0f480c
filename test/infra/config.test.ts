// What a cloud administrator may write, and the sentence that each mistake gets.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, readConfig, SETTING_KEYS } from '#lib/config';

const ROOT = join(import.meta.dirname, '../..');

const problemOf = (context: Record<string, unknown>): string => {
  try {
    readConfig(context);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'taken';
};

describe('the configuration of a deployment', () => {
  it('has a value for everything but the stage', () => {
    expect(readConfig({ stage: 'prod' })).toEqual({
      stage: 'prod',
      logRetentionDays: 90,
      sweepIntervalMinutes: 1,
      warmInstances: 0,
      holdPercentage: '1.2',
      reconciliationTimeoutSeconds: 86_400,
      pricingRegion: 'us-east-1',
    });
  });

  it('takes every setting, as text from the command line and as a number from cdk.json', () => {
    const context = {
      stage: 'a-b2',
      'asbb:region': 'eu-central-1',
      'asbb:alarm-email': 'ops@example.org',
      'asbb:log-retention-days': '30',
      'asbb:sweep-interval-minutes': 5,
      'asbb:warm-instances': '2',
      'asbb:hold-percentage': 1.05,
      'asbb:reconciliation-timeout-hours': '48',
      'asbb:advisor-url': 'https://advisor.example.org/base',
      'asbb:advisor-secret': 'asbb/advisor-key',
      'asbb:pricing-region': 'eu-central-1',
      'asbb:restored-stream': 'arn:aws:dynamodb:eu-central-1:111122223333:table/asbb-a.restored/stream/2026-11-25T02:30:00.000',
    };
    expect(readConfig(context)).toEqual({
      stage: 'a-b2',
      region: 'eu-central-1',
      alarmEmail: 'ops@example.org',
      logRetentionDays: 30,
      sweepIntervalMinutes: 5,
      warmInstances: 2,
      holdPercentage: '1.05',
      reconciliationTimeoutSeconds: 172_800,
      advisor: { url: 'https://advisor.example.org/base', secretName: 'asbb/advisor-key' },
      pricingRegion: 'eu-central-1',
      restored: {
        tableName: 'asbb-a.restored',
        streamArn: 'arn:aws:dynamodb:eu-central-1:111122223333:table/asbb-a.restored/stream/2026-11-25T02:30:00.000',
      },
    });
    expect(Object.keys(context).filter((key) => key !== 'stage')).toEqual(SETTING_KEYS);
  });

  it.each([
    [{}, 'context key stage is missing: say what to deploy, with -c stage=dev or -c stage=prod'],
    [{ stage: 'Prod' }, 'context key stage is "Prod": write a name of at most 16 lower-case letters'],
    [{ stage: '9lives' }, 'context key stage is "9lives"'],
    [{ stage: 'a-name-of-17-char' }, 'context key stage is "a-name-of-17-char"'],
    [{ stage: '' }, 'context key stage is ""'],
    [{ stage: 7 }, 'context key stage is 7'],
    [{ stage: 'dev', 'alarm-email': 'ops@example.org' }, 'context key alarm-email is unknown: write asbb:alarm-email'],
    [{ stage: 'dev', 'asbb:alarm-mail': 'ops@example.org' }, 'context key asbb:alarm-mail is unknown: the keys are stage, asbb:region, '],
    [{ stage: 'dev', Stage: 'prod' }, 'context key Stage is unknown'],
    [{ stage: 'dev', 'asbb:region': 'Frankfurt' }, 'context key asbb:region is "Frankfurt": write an AWS region, like eu-central-1'],
    [{ stage: 'dev', 'asbb:alarm-email': 'ops' }, 'context key asbb:alarm-email is "ops": write one e-mail address'],
    [{ stage: 'dev', 'asbb:alarm-email': 'a@b.de,c@d.de' }, 'write one e-mail address'],
    [
      { stage: 'dev', 'asbb:log-retention-days': '31' },
      'context key asbb:log-retention-days is "31": CloudWatch keeps logs for one of 1, 3, ',
    ],
    [{ stage: 'dev', 'asbb:sweep-interval-minutes': '0' }, 'context key asbb:sweep-interval-minutes is "0": write whole minutes, 1 to 60'],
    [{ stage: 'dev', 'asbb:sweep-interval-minutes': 1.5 }, 'context key asbb:sweep-interval-minutes is 1.5'],
    [{ stage: 'dev', 'asbb:warm-instances': '-1' }, 'context key asbb:warm-instances is "-1": write 0 to 100'],
    [{ stage: 'dev', 'asbb:hold-percentage': '120' }, 'context key asbb:hold-percentage is "120": write a factor above 0 and at most 10'],
    [{ stage: 'dev', 'asbb:hold-percentage': '0' }, 'context key asbb:hold-percentage is "0"'],
    [{ stage: 'dev', 'asbb:hold-percentage': true }, 'context key asbb:hold-percentage is true'],
    [
      { stage: 'dev', 'asbb:reconciliation-timeout-hours': '1d' },
      'context key asbb:reconciliation-timeout-hours is "1d": write whole hours',
    ],
    [
      { stage: 'dev', 'asbb:advisor-url': 'https://a.example.org' },
      'context key asbb:advisor-secret is missing beside asbb:advisor-url: write the name of the secret',
    ],
    [{ stage: 'dev', 'asbb:advisor-secret': 'key' }, 'context key asbb:advisor-url is missing beside asbb:advisor-secret'],
    [
      { stage: 'dev', 'asbb:advisor-url': 'http://a.example.org', 'asbb:advisor-secret': 'key' },
      'context key asbb:advisor-url is "http://a.example.org": write the advisor\'s address, beginning with https://',
    ],
    [
      { stage: 'dev', 'asbb:restored-stream': 'arn:aws:dynamodb:eu-central-1:111122223333:table/asbb-restored' },
      'write the LatestStreamArn of the restored table',
    ],
    [
      {
        stage: 'dev',
        'asbb:region': 'us-east-1',
        'asbb:restored-stream': 'arn:aws:dynamodb:eu-central-1:111122223333:table/asbb-restored/stream/2026-11-25T02:30:00.000',
      },
      'asbb:restored-stream is of eu-central-1, and asbb:region is us-east-1: restore the table in that region',
    ],
    [{ stage: 'dev', 'asbb:pricing-region': 'eu-west-1' }, 'AWS answers for prices in us-east-1, eu-central-1, ap-south-1 only'],
  ])('refuses %j', (context, sentence) => {
    expect(problemOf(context)).toContain(sentence);
  });

  it('leaves the keys of CDK alone, those of cdk.json too', () => {
    const { context } = JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8')) as { context: Record<string, unknown> };
    const ofCdk = {
      ...context,
      'aws:cdk:bundling-stacks': [],
      'aws:cdk:enable-path-metadata': true,
      'availability-zones:account=111122223333:region=eu-central-1': [],
    };
    expect(problemOf({ stage: 'dev', ...ofCdk })).toBe('taken');
  });

  it('is described in docs/deploy.md, key by key', () => {
    const table = readFileSync(join(ROOT, 'docs/deploy.md'), 'utf8');
    expect(['stage', ...SETTING_KEYS].filter((key) => !table.includes(`| \`${key}\` |`))).toEqual([]);
  });
});
