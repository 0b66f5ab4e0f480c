import type { CloudFormationCustomResourceEvent } from 'aws-lambda';
import { createPreflightProduction } from '#adapters/production-preflight';
import { answerDeployment } from '#events/preflight';

const preflight = createPreflightProduction();

export const handler = (event: CloudFormationCustomResourceEvent) => answerDeployment(preflight, event);
