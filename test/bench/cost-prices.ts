// What AWS asks, and what is taken for granted where nothing can be counted here. us-east-1, nothing of any free tier.

import { PRICE_REFRESH_INTERVAL_MS } from '#contract/settings';

export interface Price {
  readonly what: string;
  readonly usd: number;
  /** Of how many of them. */
  readonly per: number;
  /** Where it was read, and the date that page gives for itself; `assumed` if no source was at hand. */
  readonly source: string;
}

const MILLION = 1_000_000;

/** Read on 2026-11-25, in stored copies of these pages. */
export const PRICES = {
  writeUnit: {
    what: 'DynamoDB write request unit',
    usd: 0.625,
    per: MILLION,
    source: 'airbyte.com/data-engineering-resources/dynamodb-pricing, 2025-07-21',
  },
  readUnit: {
    what: 'DynamoDB read request unit',
    usd: 0.125,
    per: MILLION,
    source: 'airbyte.com/data-engineering-resources/dynamodb-pricing, 2025-07-21',
  },
  storedGb: { what: 'DynamoDB storage, GB-month', usd: 0.25, per: 1, source: 'aws.amazon.com/dynamodb/pricing, undated' },
  backedUpGb: { what: 'point-in-time recovery, GB-month', usd: 0.2, per: 1, source: 'finops.com.py/services/dynamodb/backups, undated' },
  streamRead: { what: 'GetRecords of a stream by Lambda', usd: 0, per: 1, source: 'cloudysave.com/aws/services/dynamodb, undated' },
  apiRequest: {
    what: 'HTTP API request',
    usd: 1,
    per: MILLION,
    source: 'awsforengineers.com/blog/aws-api-gateway-pricing-explained, undated',
  },
  invocation: { what: 'Lambda request', usd: 0.2, per: MILLION, source: 'git.mcrn.ar/mariano/lambda_local_runner, 2026-05-11' },
  gbSecond: { what: 'Lambda GB-second, arm64', usd: 13.3334, per: MILLION, source: 'git.mcrn.ar/mariano/lambda_local_runner, 2026-05-11' },
  event: { what: 'EventBridge custom event', usd: 1, per: MILLION, source: 'cloudburn.io/blog/amazon-eventbridge-pricing, 2026-03-13' },
  queueRequest: { what: 'SQS request', usd: 0.4, per: MILLION, source: 'cloudburn.io/blog/amazon-sqs-pricing, 2026-03-14' },
  logGb: { what: 'CloudWatch Logs, GB taken in', usd: 0.5, per: 1, source: 'factualminds.com/blog, CloudWatch, 2026-06-13' },
  logKeptGb: { what: 'CloudWatch Logs, GB-month kept', usd: 0.03, per: 1, source: 'assumed' },
  metric: { what: 'custom metric, month', usd: 0.3, per: 1, source: 'signoz.io/guides/cloudwatch-pricing, 2026-02-15' },
  alarm: { what: 'alarm, month', usd: 0.1, per: 1, source: 'c3x.dev/resources/aws/aws_cloudwatch_metric_alarm, undated' },
  dashboard: { what: 'dashboard, month', usd: 3, per: 1, source: 'factualminds.com/blog, CloudWatch, 2026-06-13' },
  trace: { what: 'X-Ray trace recorded', usd: 5, per: MILLION, source: 'aws.amazon.com/xray/pricing, undated' },
  secret: { what: 'secret, month', usd: 0.4, per: 1, source: 'hivebook.wiki, Secrets Manager, undated' },
  mail: { what: 'SNS mail', usd: 2, per: 100_000, source: 'factualminds.com/blog, SNS, 2026-06-13' },
} as const satisfies Record<string, Price>;

export type PriceName = keyof typeof PRICES;

/** Each is in the document, in the sentence that ASSUMPTIONS makes of it. */
export const ASSUMED = {
  secondsPerMonth: 30 * 24 * 3600,
  memoryGb: 0.5,
  requestMs: 50,
  readerMs: 60,
  sweepMs: 60,
  auditMemoryGb: 1,
  auditMsPerReadUnit: 1,
  auditMaxSeconds: 900,
  platformLogBytes: 600,
  accessLogBytes: 450,
  logMonths: 3,
  passSeconds: 15,
  sweepSeconds: 60,
  refreshSeconds: PRICE_REFRESH_INTERVAL_MS / 1000,
  refreshedTypes: 20,
  refreshMsPerType: 600,
  listAllSeconds: 900,
  readerWindowSeconds: 1,
  readerBatch: 100,
  queuePollers: 5,
  queuePollSeconds: 20,
  alarms: 10,
  dashboards: 1,
  secrets: 1,
  openHours: 4,
  runsPerRequest: 30,
  extendsPerJob: 0.05,
  refusalsPerJob: 0.05,
  tracedShare: 0.05,
} as const;

/** The relative that we compare with: RDS, Fargate and a load balancer, list price of us-east-1. */
export const RELATIVE_USD_PER_MONTH = 58.81;

export const ASSUMPTIONS: readonly string[] = [
  'A month of 30 days, all of its jobs single ones, spread evenly; nothing is throttled, retried or started cold.',
  `Functions of ${ASSUMED.memoryGb * 1024} MB: ${ASSUMED.requestMs} ms a request, ${ASSUMED.readerMs} ms a batch of the stream, ${ASSUMED.sweepMs} ms a sweep. The audit: ${ASSUMED.auditMemoryGb} GB, ${ASSUMED.auditMsPerReadUnit} ms a read unit, and its function ends after ${ASSUMED.auditMaxSeconds} s.`,
  `An agent looks each ${ASSUMED.passSeconds} s (a heartbeat and a list of unbound holds, in which each job is seen once), and lists all bound holds each ${ASSUMED.listAllSeconds / 60} minutes; a job is bound for ${ASSUMED.openHours} hours, so it is listed ${(ASSUMED.openHours * 3600) / ASSUMED.listAllSeconds} times. One cluster.`,
  `Of 100 jobs ${ASSUMED.extendsPerJob * 100} are extended once, and beside them ${ASSUMED.refusalsPerJob * 100} are refused. Jobs end through the API: none comes over the bus.`,
  `The stream's reader waits ${ASSUMED.readerWindowSeconds} s for up to ${ASSUMED.readerBatch} records, takes records of every item, and Lambda reads streams for nothing. Usage of a batch is not merged.`,
  `A sweep each minute and an audit of all ledgers each day. Each ${ASSUMED.refreshSeconds / 3600} hours ${ASSUMED.refreshedTypes} types are asked for anew, in ${ASSUMED.refreshMsPerType} ms each, for which AWS takes nothing. ${ASSUMED.queuePollers} pollers wait ${ASSUMED.queuePollSeconds} s each at the queue of ended jobs.`,
  `Beside the lines that were measured, Lambda writes ${ASSUMED.platformLogBytes} bytes a call and API Gateway ${ASSUMED.accessLogBytes} a request; logs are kept for ${ASSUMED.logMonths} months.`,
  `X-Ray records the first request of each second and ${ASSUMED.tracedShare * 100} % of the rest, for each function: with an even spread that is nearly all of them, so this is an upper bound.`,
  `${ASSUMED.alarms} alarms, ${ASSUMED.dashboards} dashboard, ${ASSUMED.secrets} secret (only with an advisor), a custom metric for each name and dimension that telemetry wrote in the count, for the whole month.`,
  'Transactions bill two units for each item and started KiB, index entries one for each that comes or goes. No data transfer, no taxes, no discounts.',
];
