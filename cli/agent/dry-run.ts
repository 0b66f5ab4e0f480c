import { OnlyPrinted } from '#cli/agent/desk';
import type { ApiClient } from '#cli/api-client';
import { ROUTES } from '#contract/routes';

/** An API that answers questions, and of whatever would change something only says so. */
export const onlyPrinting = (api: ApiClient, print: (text: string) => void): ApiClient => ({
  endpoint: api.endpoint,
  request: async (operation, request = {}) => {
    const { method, path } = ROUTES[operation];
    if (method === 'GET') return api.request(operation, request);
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => request.path?.[name] ?? '');
    print(`would ${method} ${filled} ${JSON.stringify(request.body ?? {})}\n`);
    throw new OnlyPrinted();
  },
});
