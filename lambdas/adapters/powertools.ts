import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Clock, Measurement, Telemetry } from '#app/ports';
import { DIMENSION_OPERATION, METRIC_ANSWERED, METRIC_LATENCY, METRIC_NAMESPACE, METRIC_REFUSED } from '#contract/metrics';

/**
 * Telemetry in CloudWatch: one JSON line a request, and its metrics in the same log (EMF).
 * @param serviceName keeps the deployments of one AWS account apart
 */
export const createPowertoolsTelemetry = (clock: Pick<Clock, 'now'>, serviceName: string): Telemetry => {
  const logger = new Logger({ serviceName });
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE, serviceName });

  const measured = (measurements: readonly Measurement[]): void => {
    for (const { name, value, unit, dimension } of measurements) {
      const one = metrics.singleMetric();
      if (dimension !== undefined) one.addDimension(dimension.name, dimension.value);
      one.addMetric(name, unit === 'seconds' ? MetricUnit.Seconds : MetricUnit.Count, value);
    }
  };

  return {
    measured,
    answered: ({ operation, status, code, arrivedAt, requestId }) => {
      const latencyMs = clock.now() - arrivedAt;
      logger.info('answered', { operation, status, code, latency_ms: latencyMs, request_id: requestId });
      measured([
        { name: code === null ? METRIC_ANSWERED : METRIC_REFUSED, value: 1, dimension: { name: DIMENSION_OPERATION, value: operation } },
      ]);
      const latency = metrics.singleMetric();
      latency.addDimension(DIMENSION_OPERATION, operation);
      latency.addMetric(METRIC_LATENCY, MetricUnit.Milliseconds, latencyMs);
    },
    failed: ({ operation, requestId, error }) => {
      const cause = error instanceof Error ? error : new Error(String(error));
      logger.error('failed', { operation, request_id: requestId, error: cause });
    },
  };
};
