// The OpenAPI document: made of the routes, of the shapes that they parse, and of the shapes that they answer with. Made when the
// project is built or tested, never in a function: `npm run openapi` writes it to docs/openapi.json.
import { ANSWERS } from '#contract/answers';
import { EXAMPLES } from '#contract/examples';
import { API_BASE_PATH, MAX_BODY_BYTES, MAX_DEADLINE_MS, MAX_PAGE_SIZE } from '#contract/limits';
import { OPERATIONS, refusalsOf, TAGS } from '#contract/operations';
import { type Operation, ROUTES } from '#contract/routes';
import { VERSION } from '#contract/version';
import { ERROR_STATUS } from '#domain/errors';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { fieldsOf, type JsonSchema, namedSchemas, refTo } from '#http/openapi-schemas';
import type { RouteOf } from '#http/route';
import { submitRoutes } from '#http/submit';

const HANDLERS: Readonly<Record<Operation, RouteOf>> = { ...submitRoutes, ...agentRoutes, ...adminRoutes };

const ABOUT = `A Slurm plugin asks this API before a job may burst to AWS. Money is held for the job, settled when it has ended, and released if it never ran.

- Amounts are US dollars as JSON numbers: at most six decimals, at most 999999999.999999 either way. Times are ISO 8601 in UTC with Z; dates are inclusive, in UTC.
- A refusal for lack of budget is a normal answer: 200 with \`available: false\`.
- Unknown request fields are refused, so that a typo never silently changes what is held; fields that begin with \`x_\` are ignored. Answers may have more fields one day.
- Limits: ${MAX_BODY_BYTES} bytes of body, ${MAX_PAGE_SIZE} rows of a page, ${MAX_DEADLINE_MS} ms until a request is given up.
- Deployed, every route but \`GET /health\` needs IAM (Signature Version 4, service \`execute-api\`). \`asbb local\` takes unsigned requests unless it was started with \`--auth\`.
- API Gateway itself may answer \`{"message"}\`: judge by status; 429 and 5xx are "no answer".`;

/** As AWS writes it: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-authtype.html */
const IAM = { type: 'apiKey', name: 'Authorization', in: 'header', 'x-amazon-apigateway-authtype': 'awsSigv4' };
const IAM_ABOUT = 'AWS Signature Version 4 with service execute-api, for a caller whose IAM policy lets it invoke the route.';

export const openApiDocument = (): JsonSchema => ({
  openapi: '3.1.0',
  info: {
    title: 'asbb: AWS Slurm Bursting Budget',
    version: VERSION,
    description: ABOUT,
    license: { name: 'Apache 2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: API_BASE_PATH, description: 'The host that serves this document.' }],
  security: [{ iam: [] }],
  tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
  paths: pathsOf(Object.keys(ROUTES) as Operation[]),
  components: { securitySchemes: { iam: { ...IAM, description: IAM_ABOUT } }, schemas: namedSchemas() },
});

const pathsOf = (operations: readonly Operation[]): Record<string, JsonSchema> => {
  const paths: Record<string, JsonSchema> = {};
  for (const operation of operations) {
    const { method, path } = ROUTES[operation];
    const below = path.slice(API_BASE_PATH.length);
    paths[below] = { ...paths[below], [method.toLowerCase()]: operationObject(operation) };
  }
  return paths;
};

const operationObject = (operation: Operation): JsonSchema => {
  const { tag, summary, description } = OPERATIONS[operation];
  const { path, query, body } = HANDLERS[operation].shapes;
  const parameters = [
    ...(path === undefined ? [] : fieldsOf(path, operation).map((field) => parameter('path', field))),
    ...(query === undefined ? [] : fieldsOf(query, operation).map((field) => parameter('query', field))),
  ];
  return {
    operationId: operation,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: bodyObject(operation, body) }),
    responses: { ...goodAnswer(operation), ...refusals(operation, body !== undefined) },
    ...(operation === 'health' ? { security: [] } : {}),
  };
};

const parameter = (place: 'path' | 'query', { name, isRequired, schema }: ReturnType<typeof fieldsOf>[number]): JsonSchema => {
  const { description, ...rest } = schema;
  return { name, in: place, required: isRequired, description, schema: rest };
};

const bodyObject = (operation: Operation, shape: NonNullable<RouteOf['shapes']['body']>): JsonSchema => {
  const { request } = EXAMPLES[operation] ?? {};
  return {
    // An empty body is an empty object: fine where no field is needed.
    required: !shape.safeParse({}).success,
    content: { 'application/json': { schema: refTo(shape), ...(request === undefined ? {} : { example: request }) } },
  };
};

const goodAnswer = (operation: Operation): JsonSchema => {
  const { status, shape } = ANSWERS[operation];
  if (shape === undefined) return { [status]: { description: 'Done.' } };
  const schema = operation === 'showOpenApi' ? { type: 'object', description: 'An OpenAPI 3.1 document.' } : refTo(shape);
  const { answers } = EXAMPLES[operation] ?? {};
  const examples = Object.entries(answers ?? {}).map(([name, value]) => [name.replaceAll(' ', '_'), { summary: name, value }]);
  return {
    [status]: {
      description: status === 201 ? 'Made.' : 'As asked.',
      content: { 'application/json': { schema, ...(examples.length === 0 ? {} : { examples: Object.fromEntries(examples) }) } },
    },
  };
};

const REFUSAL = { $ref: '#/components/schemas/Refusal' };
const GATEWAY_MESSAGE = { $ref: '#/components/schemas/GatewayMessage' };
/** Statuses that API Gateway answers with by itself, too. */
const OF_GATEWAY: ReadonlySet<number> = new Set([403, 413, 500, 503]);

const refusals = (operation: Operation, hasBody: boolean): JsonSchema => {
  const codes = refusalsOf(operation, { hasBody });
  const byStatus = new Map<number, string[]>();
  for (const code of codes) byStatus.set(ERROR_STATUS[code], [...(byStatus.get(ERROR_STATUS[code]) ?? []), code]);
  const answered = [...byStatus].map(([status, of]): [number, JsonSchema] => {
    const sorted = [...of].sort();
    const schema = OF_GATEWAY.has(status) ? { anyOf: [REFUSAL, GATEWAY_MESSAGE] } : REFUSAL;
    return [status, { description: `Refused: ${sorted.join(', ')}.`, 'x-asbb-codes': sorted, content: { 'application/json': { schema } } }];
  });
  const throttled: [number, JsonSchema] = [
    429,
    { description: 'API Gateway is asked too often: no answer.', content: { 'application/json': { schema: GATEWAY_MESSAGE } } },
  ];
  return Object.fromEntries([...answered, throttled].sort(([a], [b]) => a - b));
};
