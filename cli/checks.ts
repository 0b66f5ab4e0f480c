// What `asbb status` and `asbb doctor` find: one line for each thing looked at, and for what is not well the sentence that mends it.
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, oneLine } from '#cli/exit';
import { inLines } from '#cli/fit';
import { painters, printCsv, printJson, type Shape } from '#cli/render';

/** `warn`: worth a look, but the guard works. Only a `fail` makes the command fail. */
export type CheckState = 'ok' | 'warn' | 'fail';

export interface Check {
  /** What kind of thing was looked at, in a word or two. */
  readonly check: string;
  /** Which one, where there are several. */
  readonly subject: string | null;
  readonly state: CheckState;
  readonly says: string;
  /** Null where all is well. */
  readonly mend: string | null;
}

const SHAPE: Shape<Check> = { check: 'text', subject: 'text', state: 'state', says: 'text', mend: 'text' };

interface Found {
  readonly check: string;
  readonly subject?: string | undefined;
  readonly says: string;
}

export const well = ({ check, subject, says }: Found): Check => ({ check, subject: subject ?? null, state: 'ok', says, mend: null });

export const worthALook = ({ check, subject, says, mend }: Found & { mend: string }): Check => ({
  check,
  subject: subject ?? null,
  state: 'warn',
  says,
  mend,
});

export const wrong = (found: Found & { mend: string }): Check => ({ ...worthALook(found), state: 'fail' });

/** Print them as the line asked for it. @returns failed if one of them is a `fail` */
export const printChecks = async (context: Context, checks: readonly Check[]): Promise<ExitCode> => {
  if (context.format === 'json') printJson(context, { ok: exitOf(checks) === EXIT.ok, checks });
  else if (context.format === 'csv') await printCsv(context, { shape: SHAPE, rows: checks });
  else await printLines(context, checks);
  return exitOf(checks);
};

const exitOf = (checks: readonly Check[]): ExitCode => (checks.some(({ state }) => state === 'fail') ? EXIT.failed : EXIT.ok);

/** `fail`, and two blanks. */
const STATE_WIDTH = 6;

/** No table: a mend is a sentence, and half a sentence mends nothing. It begins far left, so that most commands stay in one line. */
const printLines = async (context: Context, checks: readonly Check[]): Promise<void> => {
  const paint = await painters(context);
  const { width } = context.look;
  const names = checks.map(({ check, subject }) => oneLine(subject === null ? check : `${check} ${subject}`));
  const widest = Math.max(0, ...names.map((name) => name.length));
  for (const [i, { state, says, mend }] of checks.entries()) {
    const shown = state === 'ok' ? paint.good('ok  ') : paint.bad(state);
    const said = inLines(oneLine(says), { width, indent: STATE_WIDTH + widest + 2 });
    context.print(`${shown}  ${(names[i] ?? '').padEnd(widest)}  ${said}\n`);
    if (mend === null) continue;
    const mended = inLines(oneLine(mend), { width, indent: STATE_WIDTH + 3 });
    context.print(`${' '.repeat(STATE_WIDTH)}${paint.faint(`-> ${mended}`)}\n`);
  }
};

/** How long ago, for people: `40 s`, `12 min`, `3 h`, `5 d`. */
export const ageText = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 2 * 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
};
