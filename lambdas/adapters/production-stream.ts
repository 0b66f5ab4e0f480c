// What the function behind the table's stream is made of, apart from production.ts: the others carry no client of bus and topic.
import { changeOf } from '#adapters/dynamo-stream';
import { createEventPublisher } from '#adapters/event-publisher';
import { createProduction } from '#adapters/production';
import { createTopic } from '#adapters/sns-topic';
import { systemClock } from '#adapters/system';

type Environment = Readonly<Record<string, string | undefined>>;

/** @param environment as production.ts has it, EVENT_BUS_NAME, and THRESHOLD_TOPIC_ARN where somebody wants mails */
export const createStreamProduction = (environment: Environment = process.env) => {
  const { EVENT_BUS_NAME: bus, THRESHOLD_TOPIC_ARN: topicArn } = environment;
  if (bus === undefined || bus === '') throw new Error('EVENT_BUS_NAME must name the bus that events are put on');
  return {
    services: createProduction(environment),
    clock: systemClock,
    changeOf,
    bus: createEventPublisher({ bus }),
    ...(topicArn === undefined || topicArn === '' ? {} : { topic: createTopic({ topicArn }) }),
  };
};
