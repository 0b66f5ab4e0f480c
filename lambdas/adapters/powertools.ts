import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Clock, Measurement, Telemetry } from '#app/ports';
import {
  DIMENSION_CODE,
  DIMENSION_OPERATION,
  DIMENSION_SOURCE,
  METRIC_ANSWERED,
  METRIC_FAILED,
  METRIC_JOBS_ADMITTED,
  METRIC_JOBS_PRICED,
  METRIC_JOBS_REFUSED,
  METRIC_LATENCY,
  METRIC_NAMESPACE,
  METRIC_REFUSED,
} from '#contract/metrics';

/** Operations that let a job in or not, so that a refusal of theirs is a user who was told no. */
const CHECKS: ReadonlySet<string> = new Set(['checkBudget']);

/**
 * Telemetry in CloudWatch: one JSON line a request, and its metrics in the same log (EMF).
 * @param serviceName keeps the deployments of one AWS account apart
 */
export const createPowertoolsTelemetry = (clock: Pick<Clock, 'now'>, serviceName: string): Telemetry => {
  const logger = new Logger({ serviceName });
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE, serviceName });

  /** One line of the log: it has room for several metrics of the same dimension, and each line is paid for. */
  const publish = (dimension: Measurement['dimension'], values: readonly Measured[]): void => {
    if (dimension !== undefined) metrics.addDimension(dimension.name, dimension.value);
    for (const [name, unit, value] of values) metrics.addMetric(name, unit, value);
    metrics.publishStoredMetrics();
  };

  const measured = (measurements: readonly Measurement[]): void => {
    for (const { name, value, unit, dimension } of measurements)
      publish(dimension, [[name, unit === 'seconds' ? MetricUnit.Seconds : MetricUnit.Count, value]]);
  };

  return {
    measured,
    answered: ({ operation, status, code, arrivedAt, requestId, verdict }) => {
      const latencyMs = clock.now() - arrivedAt;
      logger.info('answered', { operation, status, code: verdict?.code ?? code, latency_ms: latencyMs, request_id: requestId });
      publish({ name: DIMENSION_OPERATION, value: operation }, [
        [code === null ? METRIC_ANSWERED : METRIC_REFUSED, MetricUnit.Count, 1],
        [METRIC_LATENCY, MetricUnit.Milliseconds, latencyMs],
      ]);
      if (CHECKS.has(operation)) measured(checkMeasurements(verdict, code));
    },
    failed: ({ operation, requestId, error }) => {
      const cause = error instanceof Error ? error : new Error(String(error));
      logger.error('failed', { operation, request_id: requestId, error: cause });
      measured([{ name: METRIC_FAILED, value: 1, dimension: { name: DIMENSION_OPERATION, value: operation } }]);
    },
  };
};

type Measured = readonly [name: string, unit: (typeof MetricUnit)[keyof typeof MetricUnit], value: number];
type Verdict = NonNullable<Parameters<Telemetry['answered']>[0]['verdict']>;

const checkMeasurements = (verdict: Verdict | undefined, code: string | null): Measurement[] => {
  const refusal = verdict?.code ?? code;
  const decided: Measurement =
    refusal === null
      ? { name: METRIC_JOBS_ADMITTED, value: 1 }
      : { name: METRIC_JOBS_REFUSED, value: 1, dimension: { name: DIMENSION_CODE, value: refusal } };
  if (verdict === undefined) return [decided];
  return [decided, { name: METRIC_JOBS_PRICED, value: 1, dimension: { name: DIMENSION_SOURCE, value: verdict.priceSource } }];
};
