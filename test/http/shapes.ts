// Every answer that a test sees is what the OpenAPI document says, or the test fails: so the document cannot rot.
import type * as z from 'zod/mini';
import { ANSWERS, Refusal } from '#contract/answers';
import { refusalsOf } from '#contract/operations';
import { type Operation, ROUTES } from '#contract/routes';
import { ERROR_STATUS, type ErrorCode } from '#domain/errors';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { submitRoutes } from '#http/submit';

const HANDLERS = { ...submitRoutes, ...agentRoutes, ...adminRoutes };

/** Those with fewer variables first: `/holds/forced` is no hold. */
const PATTERNS = (Object.keys(ROUTES) as Operation[])
  .map((operation) => {
    const { method, path } = ROUTES[operation];
    return {
      operation,
      method,
      variables: path.split('{').length,
      pattern: new RegExp(`^${path.replace('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
    };
  })
  .sort((a, b) => a.variables - b.variables);

const operationOf = (method: string, target: string): Operation | undefined => {
  const [path = ''] = target.split('?');
  return PATTERNS.find((route) => route.method === method && route.pattern.test(path))?.operation;
};

export interface Seen {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly body: unknown;
}

/** How an answer is not what the document says of its route, or undefined. */
export const strays = ({ method, target, status, body }: Seen): string | undefined => {
  if (!target.startsWith('/api/v1/')) return undefined; // A bus, or nothing of ours.
  const where = `${method} ${target} answered ${status} ${JSON.stringify(body)}`;
  const operation = operationOf(method, target);
  if (status < 400) {
    if (operation === undefined) return `${where}: there is no such route`;
    const { status: good, shape }: { status: number; shape: z.ZodMiniType | undefined } = ANSWERS[operation];
    if (status !== good) return `${where}: ${operation} answers ${good}`;
    return shape === undefined ? (body === undefined ? undefined : `${where}: ${operation} has no body`) : problemOf(shape, body, where);
  }
  const problem = problemOf(Refusal, body, where);
  if (problem !== undefined || operation === undefined) return problem;
  const { code } = (body as { error: { code: ErrorCode } }).error;
  if (ERROR_STATUS[code] !== status) return `${where}: ${code} is ${ERROR_STATUS[code]}`;
  const known = refusalsOf(operation, { hasBody: HANDLERS[operation].shapes.body !== undefined });
  // Of a path with a strange variable the router may make none of ours.
  return known.includes(code) || code === 'route_not_found'
    ? undefined
    : `${where}: lambdas/contract/operations.ts does not name it for ${operation}`;
};

const problemOf = (shape: z.ZodMiniType, body: unknown, where: string): string | undefined => {
  const { error } = shape.safeParse(body);
  const [issue] = error?.issues ?? [];
  return issue === undefined ? undefined : `${where}: lambdas/contract/answers.ts says otherwise: ${issue.path.join('.')} ${issue.message}`;
};
