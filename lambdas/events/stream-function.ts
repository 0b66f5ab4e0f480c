import type { DynamoDBStreamEvent } from 'aws-lambda';
import { createStreamProduction } from '#adapters/production-stream';
import { followStream } from '#events/stream';

const follower = createStreamProduction();

export const handler = (batch: DynamoDBStreamEvent) => followStream(follower, batch);
