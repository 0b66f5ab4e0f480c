// Single fields of the wire: what is accepted, and what it becomes inside; and the objects that they are sent in.
//
// `zod/mini`, here and wherever a function reads shapes: plain functions in place of methods, so that only those in use are
// bundled, and loading it and making the shapes takes a quarter of the time. A submission waits for that when its function starts cold.
import * as z from 'zod/mini';
import { DEFAULT_PAGE_SIZE, MAX_COUNT, MAX_DEADLINE_MS, MAX_PAGE_SIZE, MAX_PARTITIONS_PER_JOB, MIN_DEADLINE_MS } from '#contract/limits';
import { principalOf } from '#contract/principal';
import { parseAccountName } from '#domain/account';
import { parseArraySpec } from '#domain/array-spec';
import { BudgetError } from '#domain/errors';
import { parseMemoryMib } from '#domain/memory';
import { parseDecimal, parseUsd } from '#domain/money';
import { parseWallTime } from '#domain/slurm-time';

/** What a domain parser makes of a value; its refusal becomes the field's problem. */
const through = <T, Out>(parse: (value: T) => Out) =>
  z.transform((value: T, { issues }): Out => {
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      issues.push({ code: 'custom', message: error.message.replace(/^\w+: /, ''), input: value });
      return z.NEVER;
    }
  });

export const withoutRepetition = <T>(values: readonly T[]): T[] => [...new Set(values)];

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here
const NO_CONTROL_CHARACTERS = /^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$/;
/** Text as people write it: no control characters, so that no log, terminal or CSV is led astray. */
export const text = (longest: number) =>
  z.string().check(z.maxLength(longest), z.regex(NO_CONTROL_CHARACTERS, 'must not have control characters'));

const UNRESERVED = /^[A-Za-z0-9._~-]+$/;
/** An id that needs no escaping in a path (RFC 3986, unreserved characters). */
export const id = (longest: number) =>
  z.string().check(z.minLength(1), z.maxLength(longest), z.regex(UNRESERVED, 'must be of letters, digits and . _ ~ -'));

export const accountName = z.pipe(z.string().check(z.maxLength(1024)), through(parseAccountName));
export const clusterName = id(64);
export const jobId = id(64);
export const runId = id(128);
export const partitionName = id(64);
export const userName = text(128).check(z.minLength(1));

const UUID = /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/;
export const holdId = z.pipe(
  z.string().check(z.regex(UUID, 'must be a UUID')),
  z.transform((uuid) => uuid.toLowerCase()),
);

/** Dollars as a JSON number, exactly as written: at most six decimals. */
const dollars = through((amount: number) => parseUsd(amount));
export const usd = z.pipe(z.number(), dollars);
export const usdFromZero = z.pipe(z.number().check(z.minimum(0)), dollars);

/** What part of the list price is paid, in millionths. 0 would be a silent $0. */
export const discountFactorE6 = z.pipe(
  z.number().check(z.gt(0), z.maximum(10)),
  through((factor: number) => parseDecimal(factor, 6)),
);

/** A share from 0 to 1, in ten-thousandths, written in a query. */
export const shareE4 = z.pipe(
  z
    .pipe(
      z.string(),
      through((share: string) => parseDecimal(share, 4)),
    )
    .check(z.refine((units) => units >= 0n && units <= 10_000n, 'must be a share from 0 to 1, like 0.05')),
  z.transform(Number),
);

/** A whole number between two that may be given. */
export const whole = (least: number, most: number) => z.int().check(z.minimum(least), z.maximum(most));

export const count = whole(1, MAX_COUNT);
export const countFromZero = whole(0, MAX_COUNT);

/** Undefined where Slurm means "no limit". */
export const wallTime = z.pipe(z.string().check(z.maxLength(64)), through(parseWallTime));
export const memory = z.pipe(
  z.union([z.string().check(z.maxLength(64)), z.number()], 'must be like "16G", "16000M", or a number of MiB'),
  through(parseMemoryMib),
);
export const arraySpec = z.pipe(z.string(), through(parseArraySpec));

/** One partition, or several as sbatch takes them: "aws,local". */
export const partitionList = z.pipe(
  z.pipe(
    z.pipe(
      z.string().check(z.maxLength(1024)),
      z.transform((list) => list.split(',')),
    ),
    z.array(partitionName).check(z.minLength(1), z.maxLength(MAX_PARTITIONS_PER_JOB)),
  ),
  z.transform(withoutRepetition),
);

const FIRST_YEAR_MS = Date.UTC(2000, 0, 1);
const LAST_YEAR_MS = Date.UTC(2200, 0, 1);
/** ISO 8601, UTC, with Z: milliseconds inside. */
export const instant = z
  .pipe(
    z.iso.datetime({ message: 'must be an ISO 8601 time in UTC, like 2026-11-23T15:00:00Z' }),
    z.transform((iso) => Date.parse(iso)),
  )
  .check(z.refine((ms) => ms >= FIRST_YEAR_MS && ms < LAST_YEAR_MS, 'must be between the years 2000 and 2200'));
export const date = z.iso.date('must be a date, like 2026-11-23');
/** A time, or the first instant of a date. */
export const instantOrDate = z.union(
  [
    instant,
    z.pipe(
      date,
      z.transform((day) => Date.parse(`${day}T00:00:00Z`)),
    ),
  ],
  'must be an ISO 8601 time in UTC or a date',
);

/** A role or user, without its path: names are unique in an account, and a session of a role does not tell its path. */
export const principal = z.pipe(
  z.string().check(z.maxLength(2048)),
  z.transform((arn, { issues }): string => {
    const known = principalOf(arn);
    if (known !== null) return known;
    const message = 'must be the ARN of a role or user, like arn:aws:iam::111122223333:role/head-node';
    issues.push({ code: 'custom', message, input: arn });
    return z.NEVER;
  }),
);

export const deadlineMs = whole(MIN_DEADLINE_MS, MAX_DEADLINE_MS);

const pageSize = z.pipe(z.pipe(z.string().check(z.regex(/^\d{1,4}$/, 'must be a number')), z.transform(Number)), whole(1, MAX_PAGE_SIZE));
/** Query fields that every list takes. */
export const page = {
  limit: z._default(pageSize, DEFAULT_PAGE_SIZE),
  cursor: z.optional(z.string().check(z.minLength(1), z.maxLength(2048))),
};
export const flag = z.pipe(
  z.enum(['true', 'false']),
  z.transform((word) => word === 'true'),
);

/**
 * An object of exactly these fields, beside any that begin with x_. Unknown fields are refused, so that a typo never silently
 * changes what is held; fields that begin with x_ are ignored, so that a newer plugin may talk to an older API.
 */
export const exactly = <T extends z.core.$ZodLooseShape>(shape: T) =>
  z.pipe(
    z.transform((value) => (isPlainObject(value) ? withoutExtensions(value) : value)),
    z.strictObject(shape),
  );

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const withoutExtensions = (value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([name]) => !name.startsWith('x_')));
