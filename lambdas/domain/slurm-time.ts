// Wall time: seconds inside, Slurm's format at the edges.
import { BudgetError } from '#domain/errors';

/** 100 years of 365.25 days. Slurm allows 4294967294 minutes; a century is longer than any cluster and keeps every price finite. */
export const MAX_WALL_TIME_SECONDS = 3_155_760_000;

const MAX_TEXT_LENGTH = 32;
const SECONDS_PER_MINUTE = 60;
const SECONDS_PER_HOUR = 3_600;
const SECONDS_PER_DAY = 86_400;
const SECONDS_PER_PART = [SECONDS_PER_DAY, SECONDS_PER_HOUR, SECONDS_PER_MINUTE, 1];

const NO_LIMIT = /^(?:unlimited|infinite|-1)$/i;

// Every form that sbatch's man page lists under --time, and how it completes to D-HH:MM:SS. One number alone is minutes.
const FORMS: readonly [RegExp, string][] = [
  [/^\d+$/, '0-0:$&:0'],
  [/^\d+:\d+$/, '0-0:$&'],
  [/^\d+:\d+:\d+$/, '0-$&'],
  [/^\d+-\d+$/, '$&:0:0'],
  [/^\d+-\d+:\d+$/, '$&:0'],
  [/^\d+-\d+:\d+:\d+$/, '$&'],
];

/**
 * Read a wall time in any of Slurm's forms, in seconds. As in Slurm the parts are not range-checked: `90:00` is 90 minutes.
 *
 * @returns null for no wall time: zero in any form, `UNLIMITED`, `INFINITE`, `-1`.
 * @throws BudgetError `validation_failed` on anything else, and on more than MAX_WALL_TIME_SECONDS.
 */
export const parseWallTime = (text: string): number | null => {
  if (NO_LIMIT.test(text)) return null;
  const form = FORMS.find(([pattern]) => pattern.test(text));
  if (text.length > MAX_TEXT_LENGTH || form === undefined) throw notAWallTime();
  const parts = text.replace(...form).split(/[-:]/);
  const seconds = SECONDS_PER_PART.reduce((sum, perPart, i) => sum + perPart * Number(parts[i]), 0);
  if (seconds > MAX_WALL_TIME_SECONDS) throw tooLong();
  return seconds === 0 ? null : seconds;
};

/** Print seconds as Slurm does, `[D-]HH:MM:SS`. Anything but a whole number of seconds from 0 up is a bug: a plain Error. */
export const formatWallTime = (seconds: number): string => {
  if (!Number.isSafeInteger(seconds) || seconds < 0) throw new Error(`not a wall time in whole seconds: ${seconds}`);
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  const clock = [
    Math.floor((seconds % SECONDS_PER_DAY) / SECONDS_PER_HOUR),
    Math.floor((seconds % SECONDS_PER_HOUR) / SECONDS_PER_MINUTE),
    seconds % SECONDS_PER_MINUTE,
  ];
  const time = clock.map((part) => String(part).padStart(2, '0')).join(':');
  return days === 0 ? time : `${days}-${time}`;
};

const notAWallTime = () =>
  new BudgetError(
    'validation_failed',
    'Write the wall time as minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS, or as UNLIMITED for none.',
  );

const tooLong = () =>
  new BudgetError(
    'validation_failed',
    'Write a wall time (minutes, HH:MM:SS, D-HH:MM:SS, ...) of at most 36525-00:00:00, a hundred years.',
  );
