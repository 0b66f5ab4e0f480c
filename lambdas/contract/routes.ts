// Every route once: which function serves it, for API Gateway, for `asbb local` and for whoever writes policies.
import { API_BASE_PATH } from '#contract/limits';

export type FunctionName = 'submit' | 'agent' | 'admin';
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface Route {
  readonly method: Method;
  readonly path: string;
  /** Which of the three functions serves it: submit is hot and small, agent has the hold verbs, admin all else. */
  readonly servedBy: FunctionName;
}

const at = <F extends FunctionName>(servedBy: F, method: Method, path: string): Route & { readonly servedBy: F } => ({
  servedBy,
  method,
  path: `${API_BASE_PATH}${path}`,
});

export const ROUTES = {
  health: at('submit', 'GET', '/health'),
  quoteBudget: at('submit', 'POST', '/budget/quote'),
  checkBudget: at('submit', 'POST', '/budget/check'),
  adjustHold: at('submit', 'POST', '/holds/{hold_id}/adjust'),
  adjustJob: at('submit', 'POST', '/jobs/{cluster}/{job_id}/adjust'),

  reconcile: at('agent', 'POST', '/budget/reconcile'),
  forceHold: at('agent', 'POST', '/holds/forced'),
  bindHold: at('agent', 'POST', '/holds/{hold_id}/bind'),
  extendHold: at('agent', 'POST', '/holds/{hold_id}/extend'),
  releaseHold: at('agent', 'POST', '/holds/{hold_id}/release'),
  settleRuns: at('agent', 'POST', '/holds/{hold_id}/runs'),
  showRun: at('agent', 'GET', '/holds/{hold_id}/runs/{run_id}'),
  correctRun: at('agent', 'POST', '/holds/{hold_id}/runs/{run_id}/correct'),
  showHold: at('agent', 'GET', '/holds/{hold_id}'),
  showJob: at('agent', 'GET', '/jobs/{cluster}/{job_id}'),
  listHoldsOfCluster: at('agent', 'GET', '/holds'),
  beatCluster: at('agent', 'PUT', '/clusters/{cluster}'),
  listClusters: at('agent', 'GET', '/clusters'),

  listAccounts: at('admin', 'GET', '/accounts'),
  createAccount: at('admin', 'POST', '/accounts'),
  showAccount: at('admin', 'GET', '/accounts/{account}'),
  updateAccount: at('admin', 'PATCH', '/accounts/{account}'),
  deleteAccount: at('admin', 'DELETE', '/accounts/{account}'),
  deposit: at('admin', 'POST', '/accounts/{account}/deposits'),
  listTransactions: at('admin', 'GET', '/accounts/{account}/transactions'),
  showAccountUsage: at('admin', 'GET', '/accounts/{account}/usage'),
  showUsage: at('admin', 'GET', '/usage'),
  showAccountAccuracy: at('admin', 'GET', '/accounts/{account}/usage/accuracy'),
  showAccuracy: at('admin', 'GET', '/usage/accuracy'),
  listHoldsOfAccount: at('admin', 'GET', '/accounts/{account}/holds'),
  audit: at('admin', 'POST', '/audit'),
  listPartitions: at('admin', 'GET', '/partitions'),
  showPartition: at('admin', 'GET', '/partitions/{partition}'),
  putPartition: at('admin', 'PUT', '/partitions/{partition}'),
  deletePartition: at('admin', 'DELETE', '/partitions/{partition}'),
  namePrincipals: at('admin', 'PATCH', '/clusters/{cluster}'),

  showSettings: at('admin', 'GET', '/settings'),
  showOpenApi: at('admin', 'GET', '/openapi.json'),
} as const satisfies Record<string, Route>;

export type Operation = keyof typeof ROUTES;

/** The operations that one function serves. */
export type OperationOf<F extends FunctionName> = { [K in Operation]: (typeof ROUTES)[K]['servedBy'] extends F ? K : never }[Operation];
