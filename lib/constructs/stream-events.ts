import { Duration, Validations } from 'aws-cdk-lib';
import type { ITable, ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import type { EventBus } from 'aws-cdk-lib/aws-events';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { DynamoEventSource, SqsDlq } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Topic } from 'aws-cdk-lib/aws-sns';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { STREAM_BATCH_SIZE } from '#contract/events';
import type { Config } from '#lib/config';
import { ServiceFunction } from '#lib/constructs/service-function';

export interface StreamEventsProps {
  readonly config: Config;
  readonly table: ITableV2;
  /** Where events go out. */
  readonly bus: EventBus;
  /** Where a person hears of a budget that crosses a threshold. */
  readonly topic: Topic;
}

const TIMEOUT = Duration.seconds(30);
/** A thin stream waits so long for company, and no event is later for a person. */
const BATCHING_WINDOW = Duration.seconds(1);
/** A record that fails holds up its shard, so after these tries it goes to the queue of those that failed. */
const RETRIES = 10;
/** The stream itself forgets after a day. */
const MAX_RECORD_AGE = Duration.hours(12);
const DEAD_LETTERS_KEPT = Duration.days(14);

/** Events out, and usage, from the table's stream: what was committed is told, and nothing else. */
export class StreamEvents extends Construct {
  readonly function: ServiceFunction;
  /** Holds where in the stream the failed records are, and not the records. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { config, table, bus, topic }: StreamEventsProps) {
    super(scope, id);
    this.deadLetters = new Queue(this, 'DeadLetters', {
      queueName: `asbb-${config.stage}-stream-dead`,
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: DEAD_LETTERS_KEPT,
    });
    Validations.of(this.deadLetters).acknowledge({ id: 'AwsSolutions-SQS3', reason: 'It is itself where failed records go.' });
    this.function = new ServiceFunction(this, 'Stream', {
      name: 'stream',
      config,
      table,
      entry: 'lambdas/events/stream-function.ts',
      description: 'events and usage from the stream of the table',
      timeout: TIMEOUT,
      environment: { EVENT_BUS_NAME: bus.eventBusName, THRESHOLD_TOPIC_ARN: topic.topicArn },
    });
    this.function.role.addToPolicy(new PolicyStatement({ sid: 'EventsOut', actions: ['events:PutEvents'], resources: [bus.eventBusArn] }));
    this.function.role.addToPolicy(new PolicyStatement({ sid: 'Thresholds', actions: ['sns:Publish'], resources: [topic.topicArn] }));
    this.function.lambda.addEventSource(
      new DynamoEventSource(table as ITable, {
        startingPosition: StartingPosition.TRIM_HORIZON, // The first deployment misses nothing.
        batchSize: STREAM_BATCH_SIZE,
        maxBatchingWindow: BATCHING_WINDOW,
        bisectBatchOnError: true,
        reportBatchItemFailures: true,
        retryAttempts: RETRIES,
        maxRecordAge: MAX_RECORD_AGE,
        onFailure: new SqsDlq(this.deadLetters),
      }),
    );
  }
}
