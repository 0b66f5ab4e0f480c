import { createProduction } from '#adapters/production';
import { systemClock } from '#adapters/system';
import { refresh } from '#events/price-refresh';

const services = createProduction();

export const handler = () => refresh(services, systemClock);
