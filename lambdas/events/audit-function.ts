import { createProduction } from '#adapters/production';
import { systemClock } from '#adapters/system';
import { auditAll } from '#events/audit';

const services = createProduction();

export const handler = () => auditAll(services, systemClock);
