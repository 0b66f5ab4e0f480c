// Single fields of the wire: what is accepted, and what it becomes inside.
import * as z from 'zod';
import { DEFAULT_PAGE_SIZE, MAX_COUNT, MAX_DEADLINE_MS, MAX_PAGE_SIZE, MAX_PARTITIONS_PER_JOB, MIN_DEADLINE_MS } from '#contract/limits';
import { principalOf } from '#contract/principal';
import { parseAccountName } from '#domain/account';
import { parseArraySpec } from '#domain/array-spec';
import { BudgetError } from '#domain/errors';
import { parseMemoryMib } from '#domain/memory';
import { parseDecimal, parseUsd } from '#domain/money';
import { parseWallTime } from '#domain/slurm-time';

/** Runs a domain parser; its refusal becomes the field's problem. */
const through =
  <T, Out>(parse: (value: T) => Out) =>
  (value: T, context: z.RefinementCtx): Out => {
    try {
      return parse(value);
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      context.addIssue({ code: 'custom', message: error.message.replace(/^\w+: /, '') });
      return z.NEVER;
    }
  };

/** Text as people write it: no control characters, so that no log, terminal or CSV is led astray. */
export const text = (longest: number) =>
  z
    .string()
    .max(longest)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here
    .regex(/^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$/, 'must not have control characters');

const UNRESERVED = /^[A-Za-z0-9._~-]+$/;
/** An id that needs no escaping in a path (RFC 3986, unreserved characters). */
export const id = (longest: number) => z.string().min(1).max(longest).regex(UNRESERVED, 'must be of letters, digits and . _ ~ -');

export const accountName = z.string().max(1024).transform(through(parseAccountName));
export const clusterName = id(64);
export const jobId = id(64);
export const runId = id(128);
export const partitionName = id(64);
export const userName = text(128).min(1);

export const holdId = z
  .string()
  .regex(/^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/, 'must be a UUID')
  .transform((uuid) => uuid.toLowerCase());

/** Dollars as a JSON number, exactly as written: at most six decimals. */
export const usd = z.number().transform(through(parseUsd));
export const usdFromZero = z.number().min(0).transform(through(parseUsd));

/** What part of the list price is paid, in millionths. 0 would be a silent $0. */
export const discountFactorE6 = z
  .number()
  .gt(0)
  .max(10)
  .transform(through((factor: number) => parseDecimal(factor, 6)));

/** A share from 0 to 1, in ten-thousandths, written in a query. */
export const shareE4 = z
  .string()
  .transform(through((share: string) => parseDecimal(share, 4)))
  .refine((units) => units >= 0n && units <= 10_000n, 'must be a share from 0 to 1, like 0.05')
  .transform(Number);

export const count = z.int().min(1).max(MAX_COUNT);
export const countFromZero = z.int().min(0).max(MAX_COUNT);

/** Undefined where Slurm means "no limit". */
export const wallTime = z.string().max(64).transform(through(parseWallTime));
export const memory = z
  .union([z.string().max(64), z.number()], 'must be like "16G", "16000M", or a number of MiB')
  .transform(through(parseMemoryMib));
export const arraySpec = z.string().transform(through(parseArraySpec));

/** One partition, or several as sbatch takes them: "aws,local". */
export const partitionList = z
  .string()
  .max(1024)
  .transform((list) => list.split(','))
  .pipe(z.array(partitionName).min(1).max(MAX_PARTITIONS_PER_JOB))
  .transform((names) => [...new Set(names)]);

const FIRST_YEAR_MS = Date.UTC(2000, 0, 1);
const LAST_YEAR_MS = Date.UTC(2200, 0, 1);
/** ISO 8601, UTC, with Z: milliseconds inside. */
export const instant = z.iso
  .datetime({ message: 'must be an ISO 8601 time in UTC, like 2026-11-23T15:00:00Z' })
  .transform((iso) => Date.parse(iso))
  .refine((ms) => ms >= FIRST_YEAR_MS && ms < LAST_YEAR_MS, 'must be between the years 2000 and 2200');
export const date = z.iso.date('must be a date, like 2026-11-23');
/** A time, or the first instant of a date. */
export const instantOrDate = z.union(
  [instant, date.transform((day) => Date.parse(`${day}T00:00:00Z`))],
  'must be an ISO 8601 time in UTC or a date',
);

/** A role or user, without its path: names are unique in an account, and a session of a role does not tell its path. */
export const principal = z
  .string()
  .max(2048)
  .transform((arn, context): string => {
    const known = principalOf(arn);
    if (known !== null) return known;
    context.addIssue({ code: 'custom', message: 'must be the ARN of a role or user, like arn:aws:iam::111122223333:role/head-node' });
    return z.NEVER;
  });

export const deadlineMs = z.int().min(MIN_DEADLINE_MS).max(MAX_DEADLINE_MS);

const pageSize = z
  .string()
  .regex(/^\d{1,4}$/, 'must be a number')
  .transform(Number)
  .pipe(z.int().min(1).max(MAX_PAGE_SIZE));
/** Query fields that every list takes. */
export const page = { limit: pageSize.default(DEFAULT_PAGE_SIZE), cursor: z.string().min(1).max(2048).optional() };
export const flag = z.enum(['true', 'false']).transform((word) => word === 'true');
