// From what somebody sent to a shape of the contract, or to a refusal that names each field and its problem.
import type * as z from 'zod/mini';
import en from 'zod/v4/locales/en.js';
import { BudgetError } from '#domain/errors';

const MAX_FIELDS_REPORTED = 20;
/** `zod/mini` knows no language by itself. */
const IN_ENGLISH = { error: en().localeError };

/** @throws BudgetError validation_failed with the path and problem of each field */
export const parsed = <S extends z.ZodMiniType>(shape: S, value: unknown): z.output<S> => {
  const result = shape.safeParse(value, IN_ENGLISH);
  if (result.success) return result.data;
  const fields = result.error.issues.slice(0, MAX_FIELDS_REPORTED).flatMap(fieldsOf);
  const [first] = fields;
  throw new BudgetError('validation_failed', first === undefined ? 'the request is not valid' : `${first.path}: ${first.problem}`, {
    fields,
  });
};

/** @throws BudgetError validation_failed if it is not UTF-8, not JSON, or not an object */
export const parsedJson = (bytes: Uint8Array): Record<string, unknown> => {
  const value = parseJson(bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notJson('is not a JSON object');
  return value as Record<string, unknown>;
};

const parseJson = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw notJson(error instanceof SyntaxError ? 'is not JSON' : 'is not UTF-8', { cause: error });
  }
};

const notJson = (problem: string, options?: ErrorOptions): BudgetError =>
  new BudgetError('validation_failed', `body: ${problem}`, { fields: [{ path: 'body', problem }] }, options);

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
