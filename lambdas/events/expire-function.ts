import { createProduction } from '#adapters/production';
import { systemClock } from '#adapters/system';
import { sweep } from '#events/expire';

const services = createProduction();

export const handler = () => sweep(services, systemClock);
