// From routes to a Lambda handler: routing, refusals as answers, and one line of telemetry for each request.
import middy, { type MiddlewareObj } from '@middy/core';
import httpRouter from '@middy/http-router';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type { Services } from '#app/ports';
import { type Operation, ROUTES } from '#contract/routes';
import { BudgetError, ERROR_STATUS } from '#domain/errors';
import { type RouteHandler, type RouteOf, VERDICT, type WithVerdict, written } from '#http/route';

export type ApiHandler = (event: APIGatewayProxyEventV2, context: Context) => Promise<APIGatewayProxyStructuredResultV2>;

/** The handler of one function, or of all of them together in `asbb local`. */
export const createHandler = (services: Services, routes: Readonly<Partial<Record<Operation, RouteOf>>>): ApiHandler => {
  const operations = Object.keys(routes) as Operation[];
  const router = httpRouter<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>({
    routes: operations.map((operation) => {
      const { method, path, servedBy } = ROUTES[operation];
      return {
        method,
        path,
        handler: named(operation, (routes[operation] as RouteOf)(servedBy === 'admin' ? unbound(services) : services)),
      };
    }),
    notFoundResponse: ({ method, path }) => {
      throw new BudgetError('route_not_found', `there is no ${method} ${path} here`);
    },
  });
  const handler = middy<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>().use(answering(services)).handler(router);
  return (event, context) => handler(event, context) as Promise<APIGatewayProxyStructuredResultV2>;
};

/** Whoever may use an administrator's verbs uses them for every cluster, also with the role of a head node. */
const unbound = (services: Services): Services => ({ ...services, world: (deadline) => services.world(deadline) });

const OPERATION = Symbol('operation');
type Named = Context & { [OPERATION]?: Operation };

/** Leaves the operation's name with the request, for telemetry. */
const named =
  (operation: Operation, handle: RouteHandler): RouteHandler =>
  (event, context) => {
    (context as Named)[OPERATION] = operation;
    return handle(event, context);
  };

/** Refusals become their answer; anything else is a bug, of which the caller learns nothing but the request's id. */
const answering = ({ telemetry }: Services): MiddlewareObj<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Error, Context> => {
  const told = (event: APIGatewayProxyEventV2, context: Context, status: number, code: string | null) => {
    const { requestId, timeEpoch } = event.requestContext;
    const verdict = (context as WithVerdict)[VERDICT];
    telemetry.answered({
      operation: operationIn(context),
      status,
      code,
      arrivedAt: timeEpoch,
      requestId,
      ...(verdict === undefined ? {} : { verdict }),
    });
  };
  return {
    after: ({ event, context, response }) => told(event, context, response?.statusCode ?? 200, null),
    onError: (request) => {
      const { event, context, error } = request;
      const { requestId } = event.requestContext;
      const refusal =
        error instanceof BudgetError
          ? error
          : new BudgetError('internal_error', 'something went wrong here: ask the administrator to look for this request_id');
      if (refusal !== error) telemetry.failed({ operation: operationIn(context), requestId, error });
      const { code, message, details } = refusal;
      request.response = written({
        status: ERROR_STATUS[code],
        body: { error: { code, message, ...(details === undefined ? {} : { details }) }, request_id: requestId },
      });
      told(event, context, ERROR_STATUS[code], code);
    },
  };
};

const operationIn = (context: Context): string => (context as Named)[OPERATION] ?? 'none';
