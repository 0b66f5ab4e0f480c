// What alarms and dashboard look at.
import type { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { DIMENSION_SERVICE, METRIC_NAMESPACE } from '#contract/metrics';
import type { Config } from '#lib/config';
import type { ServiceFunctionName } from '#lib/constructs/table-access';

export interface Watched {
  readonly api: HttpApi;
  /** Those that serve. */
  readonly functions: Readonly<Record<Exclude<ServiceFunctionName, 'preflight'>, LambdaFunction>>;
  /** Queues of what could not be worked off, by what it was. */
  readonly deadLetters: Readonly<Record<string, Queue>>;
  readonly measured: Measured;
}

/** A metric of contract/metrics.ts, of this deployment. */
export type Measured = (
  name: string,
  given: { statistic: string; period: Duration; dimension?: { name: string; value: string }; label?: string },
) => Metric;

export const measuredBy =
  ({ stage }: Config): Measured =>
  (metricName, { statistic, period, dimension, label }) =>
    new Metric({
      namespace: METRIC_NAMESPACE,
      metricName,
      dimensionsMap: { [DIMENSION_SERVICE]: serviceName(stage), ...(dimension && { [dimension.name]: dimension.value }) },
      statistic,
      period,
      ...(label === undefined ? {} : { label }),
    });

/** Under this name a deployment's functions write their logs and metrics. */
export const serviceName = (stage: string): string => `asbb-${stage}`;
