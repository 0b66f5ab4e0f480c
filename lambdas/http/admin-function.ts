import { createProduction } from '#adapters/production';
import { adminRoutes } from '#http/admin';
import { createHandler } from '#http/handler';

export const handler = createHandler(createProduction(), adminRoutes);
