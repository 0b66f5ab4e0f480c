// sbatch's --array: which task indices a job array has, and how many of them may run at once.
import { BudgetError } from '#domain/errors';

/** Highest task index that we read. Slurm's MaxArraySize cannot exceed 4000001, and the highest index is one less. */
export const MAX_ARRAY_INDEX = 4_000_000;

/** Index 0 counts too. */
export const MAX_ARRAY_TASKS = MAX_ARRAY_INDEX + 1;

const MAX_TEXT_LENGTH = 65_536;
const MAX_THROTTLE = 4_294_967_295; // Slurm keeps it in 32 bits.
// Overlapping stepped ranges can only be counted by visiting their indices; this bounds the visits of one hostile text.
const MAX_STEPPED_INDICES = 8_000_000;

const RANGE = /^(\d+)(?:-(\d+)(?::(\d+))?)?$/;
const COUNT = /^\d+$/;

/** Indices `first`, `first + step`, ... up to `last` at most. A single index has `first` = `last` and step 1. */
interface ArrayRange {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

export interface ArraySpec {
  readonly ranges: readonly ArrayRange[];
  /**
   * How many tasks may run at once (`%4`).
   * @default no limit
   */
  readonly throttle?: number;
}

/**
 * Read the text of sbatch's `--array`, such as `1-5:2,9%4`: indices, ranges with an optional step, and one throttle at the end.
 * Whatever this accepts, `countTasks` can count.
 *
 * @throws BudgetError `validation_failed` on anything else, indices above MAX_ARRAY_INDEX, ranges upside down, step or throttle 0.
 */
export const parseArraySpec = (text: string): ArraySpec => {
  if (text.length > MAX_TEXT_LENGTH) throw refused(`Write the array in at most ${MAX_TEXT_LENGTH} characters.`);
  const percent = text.indexOf('%');
  if (percent === -1) return { ranges: parseRanges(text) };
  return { ranges: parseRanges(text.slice(0, percent)), throttle: parseThrottle(text.slice(percent + 1)) };
};

/** Print an array as `--array` takes it; `parseArraySpec` reads it back unchanged. */
export const formatArraySpec = (spec: ArraySpec): string => {
  const ranges = spec.ranges.map(formatRange).join(',');
  return spec.throttle === undefined ? ranges : `${ranges}%${spec.throttle}`;
};

/**
 * Number of distinct task indices. An index that two ranges name is one task, because Slurm keeps the array as a bitmap.
 *
 * @throws BudgetError `validation_failed` if the stepped ranges are too many to count; never for what `parseArraySpec` returned.
 */
export const countTasks = (spec: ArraySpec): number => {
  const ranges = spec.ranges.map(endOnLastIndex);
  const intervals = makeDisjoint(ranges.filter(isInterval));
  const inIntervals = intervals.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  return inIntervals + countBeside(intervals, distinctStepped(ranges));
};

const parseRanges = (text: string): ArrayRange[] => {
  const ranges = text.split(',').map(parseRange);
  distinctStepped(ranges.map(endOnLastIndex)); // Refuses here what could not be counted later.
  return ranges;
};

const parseRange = (text: string): ArrayRange => {
  const match = RANGE.exec(text);
  if (match === null) throw notAnArray();
  const first = Number(match[1]);
  const last = Number(match[2] ?? first);
  const step = Number(match[3] ?? 1);
  if (Math.max(first, last, step) > MAX_ARRAY_INDEX) throw refused(`Write array indices and steps of at most ${MAX_ARRAY_INDEX}.`);
  if (first > last) throw refused(`Write the array range ${first}-${last} with its smaller index first.`);
  if (step === 0) throw refused('Write an array step of at least 1.');
  return { first, last, step: first === last ? 1 : step };
};

const parseThrottle = (text: string): number => {
  if (!COUNT.test(text)) throw notAnArray();
  const throttle = Number(text);
  if (throttle < 1 || throttle > MAX_THROTTLE) throw refused(`Write an array throttle (after %) between 1 and ${MAX_THROTTLE}.`);
  return throttle;
};

const formatRange = ({ first, last, step }: ArrayRange): string => {
  if (first === last) return `${first}`;
  return step === 1 ? `${first}-${last}` : `${first}-${last}:${step}`;
};

/** `0-10:4` names 0, 4 and 8, so it ends on 8; equal sets then look equal. */
const endOnLastIndex = ({ first, last, step }: ArrayRange): ArrayRange => ({ first, last: last - ((last - first) % step), step });

const isInterval = ({ first, last, step }: ArrayRange): boolean => step === 1 || first === last;

/** The same indices in ascending intervals that do not overlap. */
const makeDisjoint = (intervals: readonly ArrayRange[]): ArrayRange[] => {
  const disjoint: ArrayRange[] = [];
  let next = 0; // The lowest index that no earlier interval can hold.
  for (const { first, last } of intervals.toSorted((a, b) => a.first - b.first)) {
    if (last < next) continue;
    disjoint.push({ first: Math.max(first, next), last, step: 1 });
    next = last + 1;
  }
  return disjoint;
};

/** The ranges that have to be counted index by index, each once. */
const distinctStepped = (ranges: readonly ArrayRange[]): ArrayRange[] => {
  const stepped = [...new Map(ranges.filter((range) => !isInterval(range)).map((range) => [formatRange(range), range])).values()];
  const indices = stepped.reduce((sum, { first, last, step }) => sum + (last - first) / step + 1, 0);
  if (indices > MAX_STEPPED_INDICES) throw refused('Write the array with fewer or shorter stepped ranges (first-last:step).');
  return stepped;
};

/** Number of distinct indices of `stepped` outside of `intervals`. */
const countBeside = (intervals: readonly ArrayRange[], stepped: readonly ArrayRange[]): number => {
  const highest = stepped.reduce((max, { last }) => Math.max(max, last), -1);
  const seen = new Uint8Array(highest + 1);
  for (const { first, last } of intervals) seen.fill(1, first, last + 1);
  let count = 0;
  for (const { first, last, step } of stepped) {
    for (let index = first; index <= last; index += step) {
      if (seen[index] === 1) continue;
      seen[index] = 1;
      count += 1;
    }
  }
  return count;
};

const refused = (sentence: string) => new BudgetError('validation_failed', sentence);

const notAnArray = () =>
  refused('Write the array as sbatch takes it, for example 1-5:2,9%4: indices and ranges, the throttle last, no blanks, no brackets.');
