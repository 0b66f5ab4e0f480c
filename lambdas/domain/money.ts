// Money is bigint micro-USD inside and dollars at the edges; no amount ever passes through float arithmetic.
import { BudgetError } from '#domain/errors';

/** Millionths of a US dollar. */
export type MicroUsd = bigint;

/** $999,999,999.999999: 15 digits, and every decimal of 15 digits survives a double, so a JSON number says exactly what we mean. */
export const MAX_AMOUNT_MICRO_USD = 999_999_999_999_999n;

const USD_DECIMALS = 6;
const MIN_SHOWN_DECIMALS = 2;
const MAX_DECIMAL_LENGTH = 64;

const FACTOR_DECIMALS = 6;
const FACTOR_DENOMINATOR = 1_000_000n;
const MAX_FACTOR_NUMERATOR = 1_000_000n * FACTOR_DENOMINATOR;

const DECIMAL_TEXT = /^-?\d+(?:\.\d+)?$/;
// What String() makes of a finite double: at most 17 digits, with an exponent below 1e-6 and from 1e21 up.
const DECIMAL_OF_NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]\d+)?$/;

/**
 * Read a decimal exactly: `value` x 10^`decimals`.
 *
 * A number counts as its shortest decimal (what `String` prints), which is what its author wrote in JSON. A string is
 * `-?digits[.digits]`, at most 64 characters, without exponent; trailing zeros beyond `decimals` are fine.
 *
 * @throws BudgetError `validation_failed` on anything else, on NaN and infinities, and on more decimals than allowed.
 */
export const parseDecimal = (value: number | string, decimals: number): bigint => {
  const text = String(value);
  const pattern = typeof value === 'number' ? DECIMAL_OF_NUMBER : DECIMAL_TEXT;
  if (text.length > MAX_DECIMAL_LENGTH || !pattern.test(text)) throw notADecimal();
  const mantissa = text.replace(/e.*/, '');
  const [, exponent = '0'] = text.split('e');
  const [, fraction = ''] = mantissa.split('.');
  const digits = BigInt(mantissa.replace('.', ''));
  const shift = decimals - fraction.length + Number(exponent);
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  const surplus = 10n ** BigInt(-shift);
  if (digits % surplus !== 0n) throw tooManyDecimals(decimals);
  return digits / surplus;
};

/**
 * Read dollars: at most six decimals and |amount| <= 999,999,999.999999.
 *
 * @throws BudgetError `validation_failed`
 */
export const parseUsd = (value: number | string): MicroUsd => {
  const amount = parseDecimal(value, USD_DECIMALS);
  if (amount > MAX_AMOUNT_MICRO_USD || amount < -MAX_AMOUNT_MICRO_USD) throw amountTooLarge();
  return amount;
};

/**
 * Dollars as the wire's JSON number: exact up to MAX_AMOUNT_MICRO_USD, never -0, never more than six decimals. Sums beyond that
 * (a report over many accounts) become the nearest double, since refusing to show them would help nobody.
 */
export const toUsd = (amount: MicroUsd): number => Number(formatUsdPlain(amount));

/** Dollars for people, exact: `$1,234.56`, `-$0.50`, `$0.000001`. */
export const formatUsd = (amount: MicroUsd): string => {
  const { sign, dollars, fraction } = parts(amount);
  return `${sign}$${dollars.replace(/\B(?=(?:\d{3})+$)/g, ',')}.${fraction}`;
};

/** Dollars for CSV and for machines, exact: `1234.56`, `-0.50`, `0.000001`. */
export const formatUsdPlain = (amount: MicroUsd): string => {
  const { sign, dollars, fraction } = parts(amount);
  return `${sign}${dollars}.${fraction}`;
};

/** numerator / denominator, rounded towards positive infinity. A denominator that is not positive is a bug: a plain Error. */
export const ceilDiv = (numerator: bigint, denominator: bigint): bigint => {
  if (denominator <= 0n) throw new Error(`ceilDiv by ${denominator}`);
  const quotient = numerator / denominator; // Towards zero, so only a positive remainder still has to go up.
  return numerator % denominator > 0n ? quotient + 1n : quotient;
};

export const minBigint = (a: bigint, b: bigint): bigint => (a < b ? a : b);

export const maxBigint = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** amount x factor, rounded up once: 1.2 x $10.00 is exactly $12.00. */
export const multiplyUp = (amount: MicroUsd, factor: { numerator: bigint; denominator: bigint }): MicroUsd =>
  ceilDiv(amount * factor.numerator, factor.denominator);

/**
 * Read a factor such as `default_hold_percentage` (1.2) exactly: 0 to 1,000,000 with at most six decimals.
 *
 * @throws BudgetError `validation_failed`; also on a negative factor, which would turn a hold into a gift.
 */
export const parseFactor = (value: number | string): { numerator: bigint; denominator: bigint } => {
  const numerator = parseDecimal(value, FACTOR_DECIMALS);
  if (numerator < 0n || numerator > MAX_FACTOR_NUMERATOR) throw factorOutOfRange();
  return { numerator, denominator: FACTOR_DENOMINATOR };
};

const parts = (amount: MicroUsd): { sign: string; dollars: string; fraction: string } => {
  const digits = String(amount < 0n ? -amount : amount).padStart(USD_DECIMALS + 1, '0');
  const fraction = digits.slice(-USD_DECIMALS);
  const rest = fraction.slice(MIN_SHOWN_DECIMALS).replace(/0+$/, '');
  return {
    sign: amount < 0n ? '-' : '',
    dollars: digits.slice(0, -USD_DECIMALS),
    fraction: fraction.slice(0, MIN_SHOWN_DECIMALS) + rest,
  };
};

const notADecimal = () =>
  new BudgetError('validation_failed', 'Write a plain decimal number such as 12.50, without sign +, blanks or commas.');

const tooManyDecimals = (decimals: number) => new BudgetError('validation_failed', `Write the number with at most ${decimals} decimals.`);

const amountTooLarge = () =>
  new BudgetError('validation_failed', 'Write an amount between -999999999.999999 and 999999999.999999 dollars.');

const factorOutOfRange = () => new BudgetError('validation_failed', 'Write a factor between 0 and 1000000, for example 1.2.');
