// As much of IAM as the policies here use, and an error at whatever else: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
import { isDeepStrictEqual } from 'node:util';

export interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Action: string | readonly string[];
  readonly Resource?: unknown;
  readonly Principal?: unknown;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface Request {
  readonly action: string;
  readonly resource: string;
  /** Condition keys, for example `aws:PrincipalTag/asbb-account`. */
  readonly context?: Readonly<Record<string, readonly string[]>>;
}

/** An explicit deny wins; without an allow it is denied. */
export const isAllowed = (statements: readonly Statement[], request: Request): boolean => {
  const applying = statements.filter((statement) => applies(statement, request));
  return applying.length > 0 && applying.every(({ Effect }) => Effect === 'Allow');
};

const applies = (statement: Statement, request: Request): boolean =>
  list(statement.Action).some((pattern) => isLike(String(pattern), request.action)) &&
  list(statement.Resource).some((pattern) => {
    const filled = withVariables(textOf(pattern), request);
    return filled !== undefined && isLike(filled, request.resource);
  }) &&
  Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => holds(operator, request.context?.[key], list(wanted).map(textOf))),
  );

const holds = (operator: string, given: readonly string[] | undefined, wanted: readonly string[]): boolean => {
  switch (operator) {
    case 'Null':
      return (given === undefined) === isDeepStrictEqual(wanted, ['true']);
    case 'ForAllValues:StringLike':
      return (given ?? []).every((value) => wanted.some((pattern) => isLike(pattern, value)));
    case 'ForAnyValue:StringLike':
      return (given ?? []).some((value) => wanted.some((pattern) => isLike(pattern, value)));
    case 'ForAnyValue:StringEquals':
      return (given ?? []).some((value) => wanted.includes(value));
    default:
      throw new Error(`the evaluator does not know the condition operator ${operator}`);
  }
};

/** Undefined: a variable has no value, and then the statement matches nothing. */
const withVariables = (pattern: string, { context }: Request): string | undefined => {
  let known = true;
  const filled = pattern.replace(/\$\{([^}]+)\}/g, (_, key: string) => {
    const value = context?.[key]?.[0];
    known &&= value !== undefined;
    return value ?? '';
  });
  return known ? filled : undefined;
};

const isLike = (pattern: string, value: string): boolean => {
  const expression = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${expression}$`, 's').test(value);
};

export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

/** A value of a template as text: `<Api>` for a reference, `<Queue.Arn>` for an attribute, the name of what another stack exports. */
export const textOf = (value: unknown): string => {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) throw new Error(`a text was expected: ${JSON.stringify(value)}`);
  const [[name, argument] = []] = Object.entries(value);
  switch (name) {
    case 'Ref':
      return `<${short(String(argument))}>`;
    case 'Fn::GetAtt':
      return `<${short((argument as [string, string])[0])}.${(argument as [string, string])[1]}>`;
    case 'Fn::ImportValue':
      return `<${/Table[0-9A-F]{8}(StreamArn|Arn|Ref)/.exec(String(argument))?.[1] === 'StreamArn' ? 'Table.StreamArn' : 'Table.Arn'}>`;
    case 'Fn::Join':
      return (argument as [string, unknown[]])[1].map(textOf).join((argument as [string, unknown[]])[0]);
    default:
      throw new Error(`nobody has said yet how ${name} reads as text`);
  }
};

/** Without the hash that CDK puts behind a logical id. */
const short = (logicalId: string): string => logicalId.replace(/[0-9A-F]{8}$/, '');

/** A statement in one line. */
export const lineOf = ({ Effect, Action, Resource, Principal, Condition }: Statement): string => {
  const parts = [
    Effect === 'Deny' ? 'DENY' : undefined,
    list(Action).join(' '),
    Resource === undefined ? undefined : `on ${list(Resource).map(textOf).sort().join(' ')}`,
    Principal === undefined ? undefined : `by ${principalOf(Principal)}`,
    Condition === undefined ? undefined : `if ${conditionOf(Condition)}`,
  ];
  return parts.filter((part) => part !== undefined).join(' ');
};

const principalOf = (principal: unknown): string =>
  typeof principal === 'string'
    ? principal
    : Object.values(principal as Record<string, unknown>)
        .flatMap(list)
        .map(textOf)
        .join(' ');

const conditionOf = (condition: NonNullable<Statement['Condition']>): string =>
  Object.entries(condition)
    .flatMap(([operator, keys]) => Object.entries(keys).map(([key, values]) => `${key} ${operator} ${list(values).map(textOf).join(' ')}`))
    .join(' and ');
