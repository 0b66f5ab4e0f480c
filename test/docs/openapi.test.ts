// docs/openapi.json: what the code makes, whole, and true of every route.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type * as z from 'zod/mini';
import { ANSWERS } from '#contract/answers';
import { EXAMPLES } from '#contract/examples';
import { type Operation, ROUTES } from '#contract/routes';
import { adminRoutes } from '#http/admin';
import { agentRoutes } from '#http/agent';
import { openApiDocument } from '#http/openapi';
import { submitRoutes } from '#http/submit';

const FILE = join(import.meta.dirname, '../../docs/openapi.json');
const HANDLERS = { ...submitRoutes, ...agentRoutes, ...adminRoutes };
const OPERATIONS = Object.keys(ROUTES) as Operation[];

interface Described {
  readonly operationId: string;
  readonly security?: unknown[];
  readonly parameters?: { name: string; in: string; description?: string }[];
  readonly responses: Record<string, { description?: string }>;
}
const document = openApiDocument();
const paths = document.paths as Record<string, Record<string, Described>>;
const described = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

/** Every schema with properties, at any depth, by where it stands. */
const schemasWithProperties = (value: unknown, at: string): [string, Record<string, { description?: string }>][] => {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'properties' in value && !at.endsWith('/properties') ? [[at, value.properties] as [string, never]] : [];
  return [...own, ...Object.entries(value).flatMap(([key, below]) => schemasWithProperties(below, `${at}/${key}`))];
};

describe('docs/openapi.json', () => {
  it("is what the code makes ('npm run openapi' writes it)", async () => {
    await expect(`${JSON.stringify(document, undefined, 2)}\n`).toMatchFileSnapshot(FILE);
  });

  it('has every route, and no other', () => {
    const routes = OPERATIONS.map((operation) => `${operation}: ${ROUTES[operation].method} ${ROUTES[operation].path}`);
    expect(described.map(({ path, method, operation }) => `${operation.operationId}: ${method} /api/v1${path}`).sort()).toEqual(
      routes.sort(),
    );
  });

  it('names each variable of a path, and says what it is', () => {
    for (const { path, operation } of described) {
      const variables = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map(({ name }) => name);
      expect(named, path).toEqual(variables);
    }
  });

  it('asks for a signature everywhere but at health', () => {
    expect(document.security).toEqual([{ iam: [] }]);
    expect(described.filter(({ operation }) => operation.security !== undefined).map(({ operation }) => operation.operationId)).toEqual([
      'health',
    ]);
  });

  it('says what each field and each parameter means', () => {
    const { schemas } = document.components as { schemas: Record<string, unknown> };
    const objects = schemasWithProperties(schemas, '');
    expect(objects.length).toBeGreaterThan(40);
    const mute = objects.flatMap(([at, properties]) =>
      Object.entries(properties).flatMap(([name, { description }]) => (description === undefined ? [`${at} ${name}`] : [])),
    );
    expect(mute).toEqual([]);
    const parameters = described.flatMap(({ operation }) => operation.parameters ?? []);
    expect(parameters.filter(({ description }) => description === undefined)).toEqual([]);
  });

  it.each(Object.keys(EXAMPLES) as Operation[])('has examples of %s that its shapes take', (operation) => {
    const { request, answers } = EXAMPLES[operation] ?? {};
    if (request !== undefined) expect(HANDLERS[operation].shapes.body?.safeParse(request)).toMatchObject({ success: true });
    const shape: z.ZodMiniType | undefined = ANSWERS[operation].shape;
    for (const answer of Object.values(answers ?? {})) expect(shape?.safeParse(answer)).toMatchObject({ success: true });
  });

  it('has an example for every body', () => {
    const without = OPERATIONS.filter(
      (operation) => HANDLERS[operation].shapes.body !== undefined && EXAMPLES[operation]?.request === undefined,
    );
    expect(without).toEqual([]);
  });
});
