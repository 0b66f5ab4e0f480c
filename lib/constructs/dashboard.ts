import { Duration, Stack } from 'aws-cdk-lib';
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard as CloudWatchDashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  PeriodOverride,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import {
  DIMENSION_OPERATION,
  METRIC_ACCOUNTS_NOT_AUDITED,
  METRIC_ANSWERED,
  METRIC_AUDIT_DIFFERENCES,
  METRIC_LATENCY,
  METRIC_REFUSED,
  METRIC_STALE_AGENTS,
  METRIC_SWEEPS,
} from '#contract/metrics';
import type { Operation } from '#contract/routes';
import type { Config } from '#lib/config';
import { serverErrorsOf, throttlesOfAccount } from '#lib/constructs/alarms';
import type { Watched } from '#lib/constructs/watched';

export interface DashboardProps extends Watched {
  readonly config: Config;
  readonly alarms: readonly Alarm[];
}

const PERIOD = Duration.minutes(5);
const DAY = Duration.days(1);
const WIDTH = 24;
const HEIGHT = 6;
/** What a user at sbatch waits for. */
const WAITED_FOR = ['checkBudget', 'quoteBudget', 'adjustJob'] as const satisfies readonly Operation[];
const OF_AGENTS = ['settleRuns', 'bindHold', 'extendHold', 'releaseHold'] as const satisfies readonly Operation[];

/** Three questions, one row each: is it up, is it fast, is money leaking. */
export class Dashboard extends Construct {
  readonly url: string;

  constructor(scope: Construct, id: string, props: DashboardProps) {
    super(scope, id);
    const dashboardName = `asbb-${props.config.stage}`;
    new CloudWatchDashboard(this, 'Dashboard', {
      dashboardName,
      periodOverride: PeriodOverride.INHERIT,
      widgets: [
        [new AlarmStatusWidget({ title: 'Alarms', alarms: [...props.alarms], width: WIDTH, height: 3 })],
        [question('Is it up?')],
        isItUp(props),
        [question('Is it fast?')],
        isItFast(props),
        [question('Is money leaking?')],
        isMoneyLeaking(props),
      ],
    });
    const { region } = Stack.of(this);
    this.url = `https://${region}.console.aws.amazon.com/cloudwatch/home?region=${region}#dashboards/dashboard/${dashboardName}`;
  }
}

const question = (text: string): IWidget => new TextWidget({ markdown: `## ${text}`, width: WIDTH, height: 1 });

/** Four in a row. */
const graph = (title: string, metrics: readonly IMetric[]): IWidget =>
  new GraphWidget({ title, left: [...metrics], width: WIDTH / 4, height: HEIGHT });

const isItUp = ({ api, functions, measured }: DashboardProps): IWidget[] => [
  graph('Requests', [api.metricCount({ statistic: 'Sum', period: PERIOD, label: 'all' })]),
  graph('Answers with 4xx and 5xx', [
    api.metricClientError({ statistic: 'Sum', period: PERIOD, label: '4xx' }),
    serverErrorsOf(api, PERIOD),
  ]),
  graph(
    'Checks answered, and refused with an error',
    [METRIC_ANSWERED, METRIC_REFUSED].map((name) =>
      measured(name, { statistic: 'Sum', period: PERIOD, dimension: { name: DIMENSION_OPERATION, value: 'checkBudget' }, label: name }),
    ),
  ),
  graph('Functions: errors and throttles', [
    ...Object.entries(functions).map(([name, each]) => each.metricErrors({ statistic: 'Sum', period: PERIOD, label: name })),
    throttlesOfAccount(PERIOD),
  ]),
];

const isItFast = ({ api, functions, measured }: DashboardProps): IWidget[] => {
  const latency = (operation: Operation, statistic: string) =>
    measured(METRIC_LATENCY, {
      statistic,
      period: PERIOD,
      dimension: { name: DIMENSION_OPERATION, value: operation },
      label: `${operation} ${statistic}`,
    });
  return [
    graph(
      'While a user waits, ms',
      WAITED_FOR.flatMap((operation) => ['p50', 'p99'].map((statistic) => latency(operation, statistic))),
    ),
    graph(
      'Agents, ms',
      OF_AGENTS.map((operation) => latency(operation, 'p99')),
    ),
    graph(
      'As clients see it, ms',
      ['p50', 'p99'].map((statistic) => api.metricLatency({ statistic, period: PERIOD, label: statistic })),
    ),
    graph('Functions at once', [
      functions.submit.metric('ConcurrentExecutions', { statistic: 'Maximum', period: PERIOD, label: 'submit' }),
      functions.agent.metric('ConcurrentExecutions', { statistic: 'Maximum', period: PERIOD, label: 'agent' }),
    ]),
  ];
};

const isMoneyLeaking = ({ deadLetters, measured }: DashboardProps): IWidget[] => [
  graph('Sweeps', [measured(METRIC_SWEEPS, { statistic: 'Sum', period: PERIOD, label: 'sweeps' })]),
  graph('Agents that are not heard', [measured(METRIC_STALE_AGENTS, { statistic: 'Maximum', period: PERIOD, label: 'agents' })]),
  graph(
    'Dead letters',
    Object.entries(deadLetters).map(([name, queue]) =>
      queue.metricApproximateNumberOfMessagesVisible({ statistic: 'Maximum', period: PERIOD, label: name }),
    ),
  ),
  graph(
    'Daily audit: differences, and accounts it could not look at',
    [METRIC_AUDIT_DIFFERENCES, METRIC_ACCOUNTS_NOT_AUDITED].map((name) => measured(name, { statistic: 'Sum', period: DAY, label: name })),
  ),
];
