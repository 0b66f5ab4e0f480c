// One route: read the request, ask a use case, write the answer. The same in AWS and in `asbb local`.
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type * as z from 'zod/mini';
import { requireOwn } from '#app/own-cluster';
import type { PageRequest, Services, Telemetry, World } from '#app/ports';
import { NoFields } from '#contract/job-requests';
import { DEFAULT_DEADLINE_MS, MAX_BODY_BYTES } from '#contract/limits';
import { parsed, parsedJson } from '#contract/parse';
import { principalOf } from '#contract/principal';
import type { FunctionName, OperationOf } from '#contract/routes';
import { BudgetError } from '#domain/errors';

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  /** Of an answer about a job: what telemetry learns beside the status. */
  readonly verdict?: NonNullable<Told['verdict']>;
}

type Told = Parameters<Telemetry['answered']>[0];

/** Where a route leaves, with its request, what telemetry is told of it. */
export const VERDICT = Symbol('verdict');
export type WithVerdict = Context & { [VERDICT]?: Told['verdict'] };

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown): Answer => ({ status: 201, body });
export const noContent: Answer = { status: 204 };

interface Shapes<
  P extends z.ZodMiniType = z.ZodMiniType,
  Q extends z.ZodMiniType = z.ZodMiniType,
  B extends z.ZodMiniType = z.ZodMiniType,
> {
  readonly path?: P;
  readonly query?: Q;
  readonly body?: B;
  /** The use case itself says whether the caller may act for the cluster of the path. @default only for its own */
  readonly claims?: true;
}

export type RouteHandler = (event: APIGatewayProxyEventV2, context: Context) => Promise<APIGatewayProxyStructuredResultV2>;

/** Builds the handler of a route once its services are known. The shapes are what it parses, for whoever describes it. */
export type RouteOf = ((services: Services) => RouteHandler) & { readonly shapes: Shapes };

/** What one function serves. */
export type RoutesOf<F extends FunctionName> = Readonly<Record<OperationOf<F>, RouteOf>>;

/**
 * A route from its shapes and what it does. `deadline_ms` of the body, where the shape has it, counts from the arrival.
 * @throws BudgetError validation_failed with the path and problem of each field; body_too_large
 */
export const route = <P extends z.ZodMiniType, Q extends z.ZodMiniType, B extends z.ZodMiniType>(
  shapes: Shapes<P, Q, B>,
  handle: (request: { path: z.output<P>; query: z.output<Q>; body: z.output<B> }, world: World) => Promise<Answer>,
): RouteOf => {
  const withServices =
    (services: Services): RouteHandler =>
    async (event, context) => {
      const request = {
        path: parsedBy(shapes.path, event.pathParameters ?? {}),
        query: parsed(shapes.query ?? NoFields, event.queryStringParameters ?? {}) as z.output<Q>,
        body: parsedBy(shapes.body, shapes.body === undefined ? undefined : jsonBody(event)),
      };
      const deadline = event.requestContext.timeEpoch + (deadlineMsOf(request.body) ?? DEFAULT_DEADLINE_MS);
      const world = services.world(deadline, callerOf(event));
      if (shapes.claims === undefined) for (const cluster of clustersIn(request)) await requireOwn(world.caller, cluster);
      const answer = await handle(request, world);
      (context as WithVerdict)[VERDICT] = answer.verdict;
      return written(answer);
    };
  return Object.assign(withServices, { shapes });
};

export const written = ({ status, body }: Answer): APIGatewayProxyStructuredResultV2 =>
  body === undefined
    ? { statusCode: status }
    : { statusCode: status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };

export const pageOf = (query: { limit: number; cursor?: string | undefined }): PageRequest => ({
  limit: query.limit,
  ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
});

/** Whom API Gateway has let in: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html */
const callerOf = ({ requestContext }: APIGatewayProxyEventV2): string | null => {
  const { authorizer } = requestContext as { authorizer?: { iam?: { userArn?: string | null } } };
  return principalOf(authorizer?.iam?.userArn ?? '');
};

/** Every cluster that a request names, wherever it does: no route can forget to ask whether it is the caller's. */
const clustersIn = (request: { path: unknown; query: unknown; body: unknown }): Set<string> => {
  const { runs } = (request.body ?? {}) as { runs?: readonly unknown[] };
  const parts = [request.path, request.query, request.body, ...(runs ?? [])];
  return new Set(parts.map((part) => (part as { cluster?: string } | undefined)?.cluster).filter((cluster) => cluster !== undefined));
};

const deadlineMsOf = (body: unknown): number | undefined =>
  typeof body === 'object' && body !== null && 'deadline_ms' in body && typeof body.deadline_ms === 'number' ? body.deadline_ms : undefined;

const parsedBy = <S extends z.ZodMiniType>(shape: S | undefined, value: unknown): z.output<S> =>
  shape === undefined ? (undefined as z.output<S>) : parsed(shape, value); // No shape: the handler has no such input to look at.

/** The body as JSON whatever its content type says: `curl -d` says it is a form. */
const jsonBody = (event: APIGatewayProxyEventV2): unknown => {
  const bytes = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > MAX_BODY_BYTES)
    throw new BudgetError('body_too_large', `the body has ${bytes.length} bytes; at most ${MAX_BODY_BYTES} are taken`);
  if (bytes.length === 0) return {};
  return parsedJson(bytes);
};
