import { Duration, Stack } from 'aws-cdk-lib';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { type EventBus, Rule } from 'aws-cdk-lib/aws-events';
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { Queue, QueueEncryption, RedrivePermission } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { JOB_ENDED, JOB_ENDED_BATCH_SIZE, JOB_ENDED_BUDGET_MS, JOB_ENDED_MAX_RECEIVES, SLURM_SOURCE } from '#contract/events';
import type { Config } from '#lib/config';
import { ServiceFunction } from '#lib/constructs/service-function';

export interface JobEventsProps {
  readonly config: Config;
  readonly table: ITableV2;
  readonly bus: EventBus;
}

/** A record that was begun at the end of the budget is still awaited. */
const TIMEOUT = Duration.millis(JOB_ENDED_BUDGET_MS).plus(Duration.seconds(5));
/** What AWS asks for of a queue before a function, so that no message is delivered again while it is worked on. */
const TIMEOUTS_HIDDEN = 6;
/** The longest that SQS keeps a message: a person has two weeks. */
const DEAD_LETTERS_KEPT = Duration.days(14);
/** Batches that are worked side by side. Runs of one account only wait for each other. */
const MAX_CONCURRENCY = 5;

/**
 * Ended jobs: bus -> rule -> queue -> function. What cannot be booked goes to a dead-letter queue, and from there back by a redrive.
 *
 * The queue is between rule and function because a rule's own dead-letter queue takes what could not be delivered, and not what a
 * function could not do.
 */
export class JobEvents extends Construct {
  readonly function: ServiceFunction;
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { config, table, bus }: JobEventsProps) {
    super(scope, id);
    const queueName = `asbb-${config.stage}-job-ended`;
    const common = { encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true };
    this.deadLetters = new Queue(this, 'DeadLetters', {
      ...common,
      queueName: `${queueName}-dead`,
      retentionPeriod: DEAD_LETTERS_KEPT,
      // The queue names its dead letters, and they name it: one of the two has to be by name.
      redriveAllowPolicy: {
        redrivePermission: RedrivePermission.BY_QUEUE,
        sourceQueues: [Queue.fromQueueArn(this, 'Source', Stack.of(this).formatArn({ service: 'sqs', resource: queueName }))],
      },
    });
    const queue = new Queue(this, 'Queue', {
      ...common,
      queueName,
      retentionPeriod: DEAD_LETTERS_KEPT,
      visibilityTimeout: Duration.seconds(TIMEOUT.toSeconds() * TIMEOUTS_HIDDEN),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: JOB_ENDED_MAX_RECEIVES },
    });
    new Rule(this, 'Rule', {
      description: `asbb ${config.stage}: ended jobs to their queue`,
      eventBus: bus,
      eventPattern: { source: [SLURM_SOURCE], detailType: [JOB_ENDED] },
      targets: [new SqsQueue(queue, { deadLetterQueue: this.deadLetters })],
    });
    this.function = new ServiceFunction(this, 'JobEnded', {
      name: 'job-ended',
      config,
      table,
      entry: 'lambdas/events/job-ended-function.ts',
      description: 'settles ended jobs',
      timeout: TIMEOUT,
    });
    this.function.lambda.addEventSource(
      new SqsEventSource(queue, { batchSize: JOB_ENDED_BATCH_SIZE, reportBatchItemFailures: true, maxConcurrency: MAX_CONCURRENCY }),
    );
  }
}
