// Memory: MiB inside, Slurm's `16G` at the edges.
import { BudgetError } from '#domain/errors';

/** 4 EiB: far beyond any node, and its count of KiB is still a safe integer, so rounding up is exact. */
export const MAX_MEMORY_MIB = 2 ** 42;

const MAX_TEXT_LENGTH = 32;
const MEMORY = /^\d+[KMGTP]?$/i;
const MIB_PER_UNIT = { K: 1 / 1024, '': 1, M: 1, G: 1024, T: 1024 ** 2, P: 1024 ** 3 };
const LARGEST_UNIT_FIRST = ['P', 'T', 'G'] as const;

/**
 * Read a memory size as sbatch's `--mem` does, in MiB rounded up: `16G`, `16000M`, `16384` and 16384 (MiB). The suffix is one of
 * K, M, G, T, P in either case. 0 is allowed: for Slurm it means all memory of the node.
 *
 * @throws BudgetError `validation_failed` on decimals, other suffixes, and more than MAX_MEMORY_MIB.
 */
export const parseMemoryMib = (value: string | number): number => {
  const text = String(value);
  if (text.length > MAX_TEXT_LENGTH || !MEMORY.test(text)) throw notAMemorySize();
  const unit = text.replace(/\d+/, '').toUpperCase() as keyof typeof MIB_PER_UNIT; // MEMORY lets no other suffix through.
  const mib = Math.ceil(Number.parseInt(text, 10) * MIB_PER_UNIT[unit]);
  if (mib > MAX_MEMORY_MIB) throw tooMuch();
  return mib;
};

/**
 * Print MiB in the largest unit that is exact: `16G`, `16000M`, `0M`. Anything but a whole number from 0 up is a bug: a plain Error.
 */
export const formatMemory = (mib: number): string => {
  if (!Number.isSafeInteger(mib) || mib < 0) throw new Error(`not a memory size in whole MiB: ${mib}`);
  const unit = LARGEST_UNIT_FIRST.find((letter) => mib > 0 && mib % MIB_PER_UNIT[letter] === 0) ?? 'M';
  return `${mib / MIB_PER_UNIT[unit]}${unit}`;
};

const notAMemorySize = () =>
  new BudgetError('validation_failed', 'Write memory as a whole number of MiB, or with one suffix of K, M, G, T or P, for example 16G.');

const tooMuch = () => new BudgetError('validation_failed', 'Write a memory size of at most 4096P.');
