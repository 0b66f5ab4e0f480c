// One route: read the request, ask a use case, write the answer. The same in AWS and in `asbb local`.
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda';
import type * as z from 'zod';
import type { PageRequest, Services, World } from '#app/ports';
import { DEFAULT_DEADLINE_MS, MAX_BODY_BYTES } from '#contract/limits';
import { NoFields } from '#contract/requests';
import type { FunctionName, OperationOf } from '#contract/routes';
import { BudgetError } from '#domain/errors';

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown): Answer => ({ status: 201, body });
export const noContent: Answer = { status: 204 };

interface Shapes<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  readonly path?: P;
  readonly query?: Q;
  readonly body?: B;
}

export type RouteHandler = (event: APIGatewayProxyEventV2, context: Context) => Promise<APIGatewayProxyStructuredResultV2>;

/** Builds the handler of a route once its services are known. */
export type RouteOf = (services: Services) => RouteHandler;

/** What one function serves. */
export type RoutesOf<F extends FunctionName> = Readonly<Record<OperationOf<F>, RouteOf>>;

/**
 * A route from its shapes and what it does. `deadline_ms` of the body, where the shape has it, counts from the arrival.
 * @throws BudgetError validation_failed with the path and problem of each field; body_too_large
 */
export const route =
  <P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
    shapes: Shapes<P, Q, B>,
    handle: (request: { path: z.output<P>; query: z.output<Q>; body: z.output<B> }, world: World) => Promise<Answer>,
  ): RouteOf =>
  (services) =>
  async (event) => {
    const request = {
      path: parsed(shapes.path, event.pathParameters ?? {}),
      query: parsed(shapes.query ?? NoFields, event.queryStringParameters ?? {}) as z.output<Q>,
      body: parsed(shapes.body, shapes.body === undefined ? undefined : jsonBody(event)),
    };
    const deadline = event.requestContext.timeEpoch + (deadlineMsOf(request.body) ?? DEFAULT_DEADLINE_MS);
    return written(await handle(request, services.world(deadline)));
  };

export const written = ({ status, body }: Answer): APIGatewayProxyStructuredResultV2 =>
  body === undefined
    ? { statusCode: status }
    : { statusCode: status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };

export const pageOf = (query: { limit: number; cursor?: string | undefined }): PageRequest => ({
  limit: query.limit,
  ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
});

type Compact<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** The same fields without those that are undefined, so that absent stays absent. */
export const compact = <T extends object>(fields: T): Compact<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Compact<T>;

const deadlineMsOf = (body: unknown): number | undefined =>
  typeof body === 'object' && body !== null && 'deadline_ms' in body && typeof body.deadline_ms === 'number' ? body.deadline_ms : undefined;

const MAX_FIELDS_REPORTED = 20;

const parsed = <S extends z.ZodType>(shape: S | undefined, value: unknown): z.output<S> => {
  if (shape === undefined) return undefined as z.output<S>; // No shape: the handler has no such input to look at.
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.slice(0, MAX_FIELDS_REPORTED).flatMap(fieldsOf);
  const [first] = fields;
  throw new BudgetError('validation_failed', first === undefined ? 'the request is not valid' : `${first.path}: ${first.problem}`, {
    fields,
  });
};

const fieldsOf = (issue: z.core.$ZodIssue): { path: string; problem: string }[] => {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [path, key].filter(Boolean).join('.'),
      problem: 'is not a known field: remove it, or begin it with x_',
    }));
  }
  const isMissing = issue.code === 'invalid_type' && issue.input === undefined && /received undefined/.test(issue.message);
  return [{ path: path === '' ? 'body' : path, problem: isMissing ? 'is required' : decapitalised(issue.message) }];
};

const decapitalised = (message: string): string =>
  message.replace(/^Invalid input: /, '').replace(/^[A-Z]/, (letter) => letter.toLowerCase());

/** The body as JSON whatever its content type says: `curl -d` says it is a form. */
const jsonBody = (event: APIGatewayProxyEventV2): unknown => {
  const bytes = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
  if (bytes.length > MAX_BODY_BYTES)
    throw new BudgetError('body_too_large', `the body has ${bytes.length} bytes; at most ${MAX_BODY_BYTES} are taken`);
  if (bytes.length === 0) return {};
  const value = parseJson(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notJson('is not a JSON object');
  return value;
};

const parseJson = (bytes: Buffer): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw notJson(error instanceof SyntaxError ? 'is not JSON' : 'is not UTF-8', { cause: error });
  }
};

const notJson = (problem: string, options?: ErrorOptions): BudgetError =>
  new BudgetError('validation_failed', `body: ${problem}`, { fields: [{ path: 'body', problem }] }, options);
