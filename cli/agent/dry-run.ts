import { OnlyPrinted } from '#cli/agent/desk';
import type { ApiClient } from '#cli/api-client';
import { ROUTES } from '#contract/routes';

/** A request that would have changed something. */
export interface WouldDo {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** An API that answers questions, and of whatever would change something only tells; once, as it would be done once. */
export const onlyPrinting = (api: ApiClient, tell: (would: WouldDo) => void): ApiClient => {
  const told = new Set<string>();
  return {
    endpoint: api.endpoint,
    request: async (operation, request = {}) => {
      const { method, path } = ROUTES[operation];
      if (method === 'GET') return api.request(operation, request);
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => request.path?.[name] ?? '');
      const would = { method, path: filled, body: request.body ?? {} };
      const text = JSON.stringify(would);
      if (!told.has(text)) tell(would);
      told.add(text);
      throw new OnlyPrinted();
    },
  };
};
