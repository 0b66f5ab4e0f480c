import { createProduction } from '#adapters/production';
import { createHandler } from '#http/handler';
import { submitRoutes } from '#http/submit';

export const handler = createHandler(createProduction(), submitRoutes);
