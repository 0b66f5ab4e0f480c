import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import type { Clock, Telemetry } from '#app/ports';

/** Telemetry in CloudWatch: one JSON line a request, and its metrics in the same log (EMF). */
export const createPowertoolsTelemetry = (clock: Pick<Clock, 'now'>): Telemetry => {
  const logger = new Logger({ serviceName: 'asbb' });
  const metrics = new Metrics({ namespace: 'asbb', serviceName: 'asbb' });
  return {
    answered: ({ operation, status, code, arrivedAt, requestId }) => {
      const latencyMs = clock.now() - arrivedAt;
      logger.info('answered', { operation, status, code, latency_ms: latencyMs, request_id: requestId });
      const one = metrics.singleMetric();
      one.addDimension('operation', operation);
      one.addMetric(code === null ? 'Answered' : 'Refused', MetricUnit.Count, 1);
      const latency = metrics.singleMetric();
      latency.addDimension('operation', operation);
      latency.addMetric('Latency', MetricUnit.Milliseconds, latencyMs);
    },
    failed: ({ operation, requestId, error }) => {
      const cause = error instanceof Error ? error : new Error(String(error));
      logger.error('failed', { operation, request_id: requestId, error: cause });
    },
  };
};
