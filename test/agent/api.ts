// The real handlers over a store in memory, asked through the real client; and deaths at any step.
import { afterAll, beforeAll } from 'vitest';
import { type ApiClient, createApiClient } from '#cli/api-client';
import { SETTINGS, startApi, TEN_DOLLARS, temporaryFolder } from '#test/http/api';

export const CLUSTER = 'local';
export const ACCOUNT = 'physics';

/** An API for one test file, with an account of $1000 and a partition `aws` at $10 a node-hour. */
export const useApi = (): (() => ApiClient) => {
  const folder = temporaryFolder();
  let api: ApiClient;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const started = await startApi(folder.path, { store: 'memory', settings: SETTINGS });
    stop = started.stop;
    api = createApiClient({ endpoint: started.server.url, fetch, now: Date.now });
    await api.request('putPartition', { path: { partition: 'aws' }, body: TEN_DOLLARS });
    await api.request('createAccount', { body: { account: ACCOUNT, budget_limit: 1000 } });
  });
  afterAll(async () => {
    await stop();
    folder.remove();
  });
  return () => api;
};

/** An end like kill -9: whatever the code under test does about errors, it must not take this for one. */
export class Killed extends Error {}

/** Counts steps, and kills whoever has done the n-th; 0 kills nobody. */
export const aKiller = (atStep: number) => {
  let done = 0;
  const afterwards = <T>(result: T): T => {
    done += 1;
    if (done === atStep) throw new Killed(`killed after step ${atStep}`);
    return result;
  };
  const mortal = <A extends unknown[], R>(step: (...args: A) => R): ((...args: A) => R) => {
    return (...args) => {
      const result = step(...args);
      return (result instanceof Promise ? result.then(afterwards) : afterwards(result)) as R;
    };
  };
  return {
    /** The same function, but whoever calls it may not live to see its result. */
    mortal,
    /** An object of such functions. */
    mortals: <T extends object>(steps: T): T =>
      Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, mortal(step as (...args: unknown[]) => unknown)])) as T,
    steps: () => done,
  };
};
