import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Alarm, ComparisonOperator, type IMetric, Metric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { Topic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import {
  METRIC_ACCOUNTS_NOT_AUDITED,
  METRIC_AUDIT_DIFFERENCES,
  METRIC_PRICES_NOT_REFRESHED,
  METRIC_STALE_AGENTS,
  METRIC_SWEEPS,
} from '#contract/metrics';
import type { Config } from '#lib/config';
import type { Watched } from '#lib/constructs/watched';

export interface AlarmsProps extends Watched {
  readonly config: Config;
  readonly topic: Topic;
}

const FEW_MINUTES = Duration.minutes(5);
const DAY = Duration.days(1);
/** A request that meets another writer too often is a 503 too, so a single one is nobody's sleep worth. */
const SERVER_ERRORS = 5;
/** Each long enough for two sweeps: metrics come late, so one of them alone says little. */
const PERIODS_WITHOUT_SWEEP = 2;

interface Alert {
  readonly name: string;
  /** What is wrong, and where to look first. */
  readonly description: string;
  readonly metric: IMetric;
  readonly threshold: number;
  /** @default 1 */
  readonly evaluationPeriods?: number;
  /** @default at or above the threshold */
  readonly when?: ComparisonOperator;
  /** @default what is missing is in order */
  readonly missing?: TreatMissingData;
}

/** What a person must look at, each with a sentence that says where to begin. All go to one topic. */
export class Alarms extends Construct {
  readonly all: readonly Alarm[];

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const { config, topic } = props;
    this.all = [...requests(props), ...money(props), ...deadLetters(props)].map(
      ({ name, description, metric, threshold, evaluationPeriods = 1, when, missing }) =>
        new Alarm(this, name, {
          alarmName: `asbb-${config.stage}-${name}`,
          alarmDescription: description,
          metric,
          threshold,
          evaluationPeriods,
          comparisonOperator: when ?? ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
          treatMissingData: missing ?? TreatMissingData.NOT_BREACHING,
        }),
    );
    const action = new SnsAction(topic);
    for (const alarm of this.all) {
      alarm.addAlarmAction(action);
      alarm.addOkAction(action);
    }
  }
}

const requests = ({ api }: AlarmsProps): Alert[] => [
  {
    name: 'server-errors',
    description: `${SERVER_ERRORS} answers with 5xx in five minutes: look for "failed" in the functions' logs.`,
    metric: serverErrorsOf(api, FEW_MINUTES),
    threshold: SERVER_ERRORS,
  },
  {
    name: 'throttles',
    description: 'Lambda refused calls: the account has too few concurrent executions. Ask AWS for more.',
    metric: throttlesOfAccount(FEW_MINUTES),
    threshold: 1,
  },
];

const money = ({ config, functions, measured }: AlarmsProps): Alert[] => {
  const ofSweeps = Duration.minutes(Math.max(FEW_MINUTES.toMinutes(), 2 * config.sweepIntervalMinutes));
  return [
    {
      name: 'sweep-not-running',
      description: 'No sweep ended lately, so money of jobs that never came back stays held: look at the log of expire.',
      metric: measured(METRIC_SWEEPS, { statistic: 'Sum', period: ofSweeps }),
      threshold: 1,
      evaluationPeriods: PERIODS_WITHOUT_SWEEP,
      when: ComparisonOperator.LESS_THAN_THRESHOLD,
      missing: TreatMissingData.BREACHING, // Who does not run says nothing.
    },
    {
      name: 'stale-agent',
      description:
        'An agent is not heard for five minutes: its jobs are not settled, and their holds stay. See `asbb status`, and restart it.',
      metric: measured(METRIC_STALE_AGENTS, { statistic: 'Maximum', period: FEW_MINUTES }),
      threshold: 1,
    },
    {
      name: 'audit-difference',
      description: 'A ledger does not explain what is stored: look for "failed" in the log of audit, then run `asbb audit`.',
      metric: measured(METRIC_AUDIT_DIFFERENCES, { statistic: 'Sum', period: DAY }),
      threshold: 1,
    },
    {
      name: 'audit-incomplete',
      description: 'The daily audit could not look at every account: the log of audit names them. Run `asbb audit` for them.',
      metric: measured(METRIC_ACCOUNTS_NOT_AUDITED, { statistic: 'Sum', period: DAY }),
      threshold: 1,
    },
    {
      name: 'audit-failed',
      description: 'The daily audit did not come to its end: look at the log of audit.',
      metric: functions.audit.metricErrors({ period: DAY, statistic: 'Sum' }),
      threshold: 1,
    },
    {
      name: 'prices-not-refreshed',
      description:
        'For a day no refresh got every price, so submissions are priced with old ones: the log of price-refresh names types and reasons.',
      // Prices live a day and are asked for twice in it: what one refresh does not get, the next one may.
      metric: measured(METRIC_PRICES_NOT_REFRESHED, { statistic: 'Minimum', period: DAY }),
      threshold: 1,
    },
  ];
};

const deadLetters = ({ deadLetters }: AlarmsProps): Alert[] =>
  Object.entries(deadLetters).map(([name, queue]: [string, Queue]) => ({
    name: `${name}-dead-letters`,
    description: `Messages of ${name} could not be worked off: read them, mend what their log lines say, and redrive the queue.`,
    metric: queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum', period: FEW_MINUTES }),
    threshold: 1,
  }));

export const serverErrorsOf = (api: HttpApi, period: Duration): IMetric => api.metricServerError({ statistic: 'Sum', period });

/** Of all functions of the account together: they share what it may run at once. */
export const throttlesOfAccount = (period: Duration): IMetric =>
  new Metric({ namespace: 'AWS/Lambda', metricName: 'Throttles', statistic: 'Sum', period });
