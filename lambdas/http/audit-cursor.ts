// The cursor of an audit: where the list of accounts goes on, and what is known so far of a ledger not read to its end.
//
// It is packed and not signed. Whoever may audit may also repair and deposit; and what a forged cursor made a repair write
// is in the ledger, where the next audit finds it.
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import * as z from 'zod/mini';
import type { Audit } from '#app/audit-accounts';
import type { Walk } from '#app/walk-ledger';
import { invalid } from '#domain/errors';
import { runKey } from '#domain/tally';

type Place = Pick<Audit, 'cursor' | 'walk'>;

/** A cursor that unpacks to more was not made here. */
const MAX_UNPACKED_BYTES = 512 * 1024;

const money = z.pipe(
  z.string().check(z.regex(/^-?\d{1,30}$/)),
  z.transform((digits) => BigInt(digits)),
);
const instant = z.int().check(z.minimum(0));
const name = z.string().check(z.minLength(1), z.maxLength(256));
const place = z.string().check(z.maxLength(4096));
const hold = z.tuple([name, money, money, instant, z.nullable(money)]);
const run = z.tuple([name, name, money, z.boolean()]);
const Packed = z.strictObject({
  cursor: z.optional(place),
  walk: z.optional(
    z.strictObject({
      account: name,
      times: z.tuple([instant, instant, instant, instant]),
      place: z.optional(place),
      columns: z.tuple([money, money, money, money]),
      count: z.int().check(z.minimum(0)),
      holds: z.array(hold),
      runs: z.array(run),
      left: z.int().check(z.minimum(0)),
    }),
  ),
});
type Packed = z.input<typeof Packed>;

/** Undefined: the audit is at its end. */
export const packPlace = ({ cursor, walk }: Place): string | undefined => {
  if (cursor === undefined && walk === undefined) return undefined;
  const place: Packed = { ...(cursor === undefined ? {} : { cursor }), ...(walk === undefined ? {} : { walk: packWalk(walk) }) };
  return deflateRawSync(JSON.stringify(place)).toString('base64url');
};

/** @throws BudgetError validation_failed when it is none of an audit */
export const unpackPlace = (text: string | undefined): Place => {
  if (text === undefined) return {};
  try {
    const json = inflateRawSync(Buffer.from(text, 'base64url'), { maxOutputLength: MAX_UNPACKED_BYTES }).toString();
    const { cursor, walk } = Packed.parse(JSON.parse(json));
    return { ...(cursor === undefined ? {} : { cursor }), ...(walk === undefined ? {} : { walk: unpackWalk(walk) }) };
  } catch (cause) {
    const error = invalid('cursor', 'is none of an audit: begin without a cursor');
    error.cause = cause;
    throw error;
  }
};

const packWalk = ({ account, createdAt, began, from, to, place, tally, left }: Walk): NonNullable<Packed['walk']> => {
  const { available, held, used, limit } = tally.columns;
  return {
    account,
    times: [createdAt, began, from, to],
    ...(place === undefined ? {} : { place }),
    columns: [`${available}`, `${held}`, `${used}`, `${limit}`],
    count: tally.count,
    holds: [...tally.holds].map(([id, each]) => [id, `${each.held}`, `${each.used}`, each.since, orNull(each.summedRuns)]),
    runs: [...tally.runs.values()].map((each) => [each.owner, each.runId, `${each.used}`, each.isBooked]),
    left,
  };
};

const orNull = (amount: bigint | null): string | null => (amount === null ? null : `${amount}`);

const unpackWalk = (packed: NonNullable<z.output<typeof Packed>['walk']>): Walk => {
  const { account, times, place, columns, count, holds, runs, left } = packed;
  const [createdAt, began, from, to] = times;
  const [available, held, used, limit] = columns;
  return {
    ...{ account, createdAt, began, from, to, left },
    ...(place === undefined ? {} : { place }),
    tally: {
      columns: { available, held, used, limit },
      count,
      holds: new Map(holds.map(([id, held, used, since, summedRuns]) => [id, { held, used, since, runs: new Map(), summedRuns }])),
      runs: new Map(runs.map(([owner, runId, used, isBooked]) => [runKey({ owner, runId }), { owner, runId, used, isBooked }])),
    },
  };
};
