import { createProduction } from '#adapters/production';
import { agentRoutes } from '#http/agent';
import { createHandler } from '#http/handler';

export const handler = createHandler(createProduction(), agentRoutes);
