// The alarms of a deployment, as CloudWatch has them now.
import type { CloudWatchClientConfig } from '@aws-sdk/client-cloudwatch';

const MAX_TRIES = 2;
const CONNECT_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** What one answer holds. A deployment has a dozen. */
const MAX_ALARMS = 100;

export interface AlarmPlace {
  /** What their names begin with. */
  readonly prefix: string;
  /** @default as the SDK finds it */
  readonly region?: string;
  /** @default as the SDK finds them */
  readonly credentials?: NonNullable<CloudWatchClientConfig['credentials']>;
}

export interface Alarm {
  readonly name: string;
  /** CloudWatch's word: OK, ALARM or INSUFFICIENT_DATA. */
  readonly state: string;
  /** Since when it is in that state, in milliseconds since 1970. */
  readonly since: number;
  readonly description: string;
}

/** The client is loaded here, since no other command needs it. Throws what the SDK throws. */
export const readAlarms = async ({ prefix, ...where }: AlarmPlace): Promise<Alarm[]> => {
  const { CloudWatchClient, DescribeAlarmsCommand } = await import('@aws-sdk/client-cloudwatch');
  const client = new CloudWatchClient({
    ...where,
    maxAttempts: MAX_TRIES,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, throwOnRequestTimeout: true },
  });
  try {
    const { MetricAlarms = [] } = await client.send(new DescribeAlarmsCommand({ AlarmNamePrefix: prefix, MaxRecords: MAX_ALARMS }));
    return MetricAlarms.map(({ AlarmName, StateValue, StateUpdatedTimestamp, AlarmDescription }) => ({
      name: AlarmName ?? '',
      state: StateValue ?? 'INSUFFICIENT_DATA',
      since: StateUpdatedTimestamp?.getTime() ?? 0,
      description: AlarmDescription ?? '',
    }));
  } finally {
    client.destroy();
  }
};
