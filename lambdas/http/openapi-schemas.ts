// JSON Schema of the shapes in the contract, each property with what the glossary says of it.
import * as z from 'zod/mini';
import * as answers from '#contract/answers';
import { accountName, arraySpec, flag, instant, page, shareE4, usd, usdFromZero, wallTime } from '#contract/fields';
import { GLOSSARY } from '#contract/glossary';
import * as jobRequests from '#contract/job-requests';
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '#contract/limits';
import * as requests from '#contract/requests';

export type JsonSchema = { [key: string]: unknown };
type Io = 'input' | 'output';

const MAX_DOLLARS = 999_999_999.999999;

/** What a transform checks is beyond zod's own words for it; and in a query everything is text, which no client should see. */
const IN_OTHER_WORDS: ReadonlyMap<unknown, JsonSchema> = new Map<unknown, JsonSchema>([
  [usd, { type: 'number', minimum: -MAX_DOLLARS, maximum: MAX_DOLLARS }],
  [usdFromZero, { type: 'number', minimum: 0, maximum: MAX_DOLLARS }],
  [accountName, { type: 'string', pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$' }],
  [wallTime, { type: 'string', pattern: '^([0-9]+(:[0-9]+){0,2}|[0-9]+-[0-9]+(:[0-9]+){0,2}|UNLIMITED|INFINITE)$', maxLength: 64 }],
  [arraySpec, { type: 'string', pattern: '^[0-9]+(-[0-9]+(:[0-9]+)?)?(,[0-9]+(-[0-9]+(:[0-9]+)?)?)*(%[0-9]+)?$' }],
  // Not `format: date-time`: a generated client would write an offset, and only Z is taken.
  [
    instant,
    { type: 'string', pattern: '^2[01][0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\\.[0-9]+)?Z$' },
  ],
  [shareE4, { type: 'string', pattern: '^(0(\\.[0-9]{1,4})?|1(\\.0{1,4})?)$' }],
  [page.limit, { type: 'integer', minimum: 1, maximum: MAX_PAGE_SIZE, default: DEFAULT_PAGE_SIZE }],
  [flag, { type: 'boolean' }],
]);

const isShape = (value: unknown): value is z.ZodMiniType => value instanceof z.ZodMiniType;
const ofQueryOrPath = /(Query|Path)$|^NoFields$/;

const named = (module: object, isWanted: (name: string) => boolean): [string, z.ZodMiniType][] =>
  Object.entries(module).filter((entry): entry is [string, z.ZodMiniType] => isShape(entry[1]) && isWanted(entry[0]));

const NAMED: Readonly<Record<Io, readonly [string, z.ZodMiniType][]>> = {
  input: named({ ...jobRequests, ...requests }, (name) => !ofQueryOrPath.test(name)),
  output: named(answers, () => true),
};
const NAME_OF = new Map(Object.values(NAMED).flatMap((shapes) => shapes.map(([name, shape]) => [shape, name] as const)));

/** Where the document has this shape. */
export const refTo = (shape: z.ZodMiniType): JsonSchema => {
  const name = NAME_OF.get(shape);
  if (name === undefined) throw new Error('a body or an answer needs an exported shape, so that the document can name it');
  return { $ref: `#/components/schemas/${name}` };
};

/** Every named shape, of requests and answers. */
export const namedSchemas = (): Record<string, JsonSchema> => ({ ...schemasOf('input'), ...schemasOf('output') });

const schemasOf = (io: Io): Record<string, JsonSchema> => {
  const registry = z.registry<{ id: string }>();
  for (const [id, shape] of NAMED[io]) registry.add(shape, { id });
  const { schemas } = z.toJSONSchema(registry, { ...optionsOf(io), uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, explained(tidy(schema as JsonSchema, io), [name])]));
};

/** Of a query or a path: each field by its name. */
export const fieldsOf = (shape: z.ZodMiniType, name: string): { name: string; isRequired: boolean; schema: JsonSchema }[] => {
  const schema = tidy(z.toJSONSchema(shape, optionsOf('input')) as JsonSchema, 'input');
  const required = (schema.required ?? []) as string[];
  const fields = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>);
  return fields.map(([field, of]) => ({ name: field, isRequired: required.includes(field), schema: explainedField(of, [name, field]) }));
};

const optionsOf = (io: Io) => ({
  io,
  unrepresentable: 'any' as const,
  override: ({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: JsonSchema }) => {
    const { def } = zodSchema._zod;
    // Money and factors alike are millionths inside.
    if (def.type === 'default' && typeof def.defaultValue === 'bigint') jsonSchema.default = Number(def.defaultValue) / 1e6;
    const words = IN_OTHER_WORDS.get(zodSchema);
    if (words === undefined) return;
    for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
    Object.assign(jsonSchema, words);
  },
});

const isObject = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Zod's own caution says nothing to a reader. What begins with x_ is let in with a request; an answer may have more one day. */
const tidy = (schema: JsonSchema, io: Io): JsonSchema => {
  const { $schema: _, $id: __, id: ___, ...rest } = schema;
  if (rest.minimum === Number.MIN_SAFE_INTEGER) delete rest.minimum;
  if (rest.maximum === Number.MAX_SAFE_INTEGER) delete rest.maximum;
  if (rest.format === 'date' || rest.format === 'date-time') delete rest.pattern;
  if (rest.additionalProperties === false) {
    delete rest.additionalProperties;
    if (io === 'input') Object.assign(rest, { patternProperties: { '^x_': {} }, additionalProperties: false });
  }
  return Object.fromEntries(
    Object.entries(rest).map(([key, value]) => {
      if (key === 'properties' && isObject(value))
        return [key, Object.fromEntries(Object.entries(value).map(([name, of]) => [name, tidy(of as JsonSchema, io)]))];
      if (Array.isArray(value)) return [key, value.map((item) => (isObject(item) ? tidy(item, io) : item))];
      return [key, isObject(value) && key !== 'default' ? tidy(value, io) : value];
    }),
  );
};

const explained = (schema: JsonSchema, path: readonly string[]): JsonSchema => {
  if (isObject(schema.items)) return { ...schema, items: explained(schema.items, path) };
  if (!isObject(schema.properties)) return schema;
  const properties = Object.entries(schema.properties).map(([name, of]) => [name, explainedField(of as JsonSchema, [...path, name])]);
  return { ...schema, properties: Object.fromEntries(properties) };
};

const explainedField = (schema: JsonSchema, path: readonly string[]): JsonSchema => {
  const meaning = GLOSSARY[path.join('.')] ?? GLOSSARY[`${path[0]}.${path.at(-1)}`] ?? GLOSSARY[path.at(-1) ?? ''];
  if (meaning === undefined) throw new Error(`${path.join('.')} has no meaning: say it in lambdas/contract/glossary.ts`);
  const { says, example } = meaning;
  return { description: says, ...explained(schema, path), ...(example === undefined || '$ref' in schema ? {} : { examples: [example] }) };
};
