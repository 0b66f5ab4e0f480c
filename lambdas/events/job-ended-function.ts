import type { SQSEvent } from 'aws-lambda';
import { createProduction } from '#adapters/production';
import { systemClock } from '#adapters/system';
import { settleEndedJobs } from '#events/job-ended';

const services = createProduction();

export const handler = (batch: SQSEvent) => settleEndedJobs(services, systemClock, batch);
