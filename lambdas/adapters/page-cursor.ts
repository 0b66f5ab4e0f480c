// Cursors of the budget stores: which list they belong to, and the place after which that list goes on.
import type { PageRequest } from '#app/ports';
import { type BudgetError, invalid } from '#domain/errors';

const MAX_CURSOR_CHARS = 2_048;

/** Place in a list of names or ids. Keys are bounded, so what no key can hold is no place either. */
export const NAME_PLACE = /^.{1,200}$/su;
/** Place in a list of holds: when it was created, and its id. */
export const HOLD_PLACE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z#[\x21-\x7e]{1,128}$/;
/** Place among the usage of a month: a day, a user and a partition. */
export const USAGE_PLACE = /^\d{4}-\d\d-\d\d#.{0,200}$/su;
/** Place in a ledger: a month, and an entry of it or nothing for its beginning. */
export const ENTRY_PLACE = /^\d{4}-(?:0[1-9]|1[0-2])#[\x21-\x7e]{0,64}$/;

/**
 * Where a page begins. The cursor names its list, so that a cursor of one account's list is refused by another's; it holds
 * no key, so that even a forged one can only choose a place within the list that was asked for.
 *
 * @param place what a place in this list looks like.
 * @returns the place after which the page begins, or undefined at the list's beginning
 * @throws BudgetError `validation_failed` when the cursor is broken or of another list
 */
export const placeAfter = ({ limit, cursor }: PageRequest, list: readonly string[], place: RegExp): string | undefined => {
  if (!Number.isSafeInteger(limit) || limit < 1) throw new Error(`a page of ${limit} rows: whoever asks has checked the limit`);
  if (cursor === undefined) return undefined;
  const [after, ...from] = read(cursor);
  if (after === undefined || JSON.stringify(from) !== JSON.stringify(list) || !place.test(after)) throw broken();
  return after;
};

/** The cursor of the page that begins after `place`. */
export const cursorAfter = (list: readonly string[], place: string): string =>
  Buffer.from(JSON.stringify([place, ...list])).toString('base64url');

const read = (cursor: string): string[] => {
  if (cursor.length > MAX_CURSOR_CHARS) throw broken();
  const words = parse(Buffer.from(cursor, 'base64url').toString());
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) throw broken();
  return words;
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw broken(cause);
  }
};

const broken = (cause?: unknown): BudgetError => {
  const error = invalid('cursor', 'is none of this list: ask for its first page, without a cursor');
  if (cause !== undefined) error.cause = cause;
  return error;
};
