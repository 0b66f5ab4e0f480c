import { Stack } from 'aws-cdk-lib';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import type { Config } from '#lib/config';

export interface NoticesProps {
  readonly config: Config;
}

/** The topic for whatever a person should read. */
export class Notices extends Construct {
  readonly topic: Topic;

  constructor(scope: Construct, id: string, { config }: NoticesProps) {
    super(scope, id);
    // Not encrypted with a key of AWS's own: CloudWatch could not publish to it, and there is no money or name of a user in it.
    this.topic = new Topic(this, 'Topic', {
      topicName: `asbb-${config.stage}-notices`,
      displayName: `asbb ${config.stage}`,
      enforceSSL: true,
    });
    // A topic with any policy has lost the one that let its account publish.
    this.topic.grantPublish(
      new ServicePrincipal('cloudwatch.amazonaws.com', { conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(this).account } } }),
    );
    if (config.alarmEmail !== undefined) this.topic.addSubscription(new EmailSubscription(config.alarmEmail));
  }
}
