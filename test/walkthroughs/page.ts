/**
 * A page of docs, read as what its reader would type and see. `walkPage` (walk.ts) does it all in one real bash.
 *
 * What the reader sees, and the test runs:
 *
 *   ```console            A terminal. A line that begins with `$ ` (or `# `, as root) is a command; what follows, up to the next
 *   $ asbb account list   command, is what it prints: stdout and stderr, as a terminal 80 columns wide shows them.
 *   ACCOUNT  ...          `...` in a line stands for any text, `...` alone for any lines, also for none. Nothing else is let through.
 *   ```                   A command ends where bash ends it: a line with `\` at its end, a heredoc or an open quote goes on in
 *                         the next line, with or without the `> ` that bash shows.
 *
 * State, folder, variables, aliases and background jobs last from block to block. A command that ends with `&` is waited for until
 * it has printed what is shown. It must end with status 0, unless its block says otherwise.
 *
 * What only the test sees are HTML comments, each on lines of its own:
 *
 *   <!-- fails: 3 -->           of the block that follows, the commands that end with another status than 0 are these, in this order (`3, 1`)
 *   <!-- soon: 60 -->           each command of the block that follows is repeated until it prints what is shown, at most for 60 s
 *   <!-- patience: 120 -->      a command of the block that follows may take 120 s (otherwise 30)
 *   <!-- not run: reason -->    the block that follows is only shown. Such blocks are counted
 *   <!-- file: ~/config.yaml -->  the block that follows, of any language but console, is written to this file
 *   <!-- run: command -->       commands that are not shown, on one or several lines. The first that fails ends the walk; what they print is of no account
 *
 * A comment that is none of these is an error, and so are one without its block and a console block in which nothing is typed.
 *
 * Places: a page names the places that its reader has, and a test has others. `places` of the walk's options gives pairs of both.
 * Where the page says the one, the other is typed; where the other is printed, the page's is read. The test's home folder reads as
 * ~. Nothing else is replaced.
 */

export interface Command {
  readonly kind: 'command';
  /** Of the page, from 1. */
  readonly line: number;
  /** As typed, without prompts. */
  readonly typed: string;
  /** What it is to print. */
  readonly shown: readonly { readonly line: number; readonly text: string }[];
  readonly soonMs?: number;
  readonly patienceMs?: number;
}

export type Step =
  | { readonly kind: 'block'; readonly line: number; readonly commands: readonly Command[]; readonly fails: readonly number[] }
  | { readonly kind: 'hidden'; readonly line: number; readonly typed: string }
  | { readonly kind: 'file'; readonly line: number; readonly path: string; readonly text: string };

export interface Page {
  readonly steps: readonly Step[];
  /** Blocks that are only shown, and why. */
  readonly notRun: readonly { readonly line: number; readonly reason: string }[];
}

interface Fence {
  readonly line: number;
  readonly language: string;
  readonly lines: readonly string[];
}

/** What comments say of the block that comes next. */
type Notes = ReadonlyMap<string, { readonly line: number; readonly value: string }>;

const NOTES = new Set(['fails', 'soon', 'patience', 'not run', 'file']);
const PROMPT = /^[$#] /;

/** @throws Error naming the line of the page, if it is not as described above */
export const readPage = (text: string): Page => {
  const steps: Step[] = [];
  const notRun: Page['notRun'][number][] = [];
  let notes = new Map<string, { line: number; value: string }>();
  for (const part of partsOf(text)) {
    if ('comment' in part) {
      const { line, comment } = part;
      const [, name = '', value = ''] = /^([a-z ]+?)\s*:\s*(.*)$/s.exec(comment) ?? [];
      if (name === 'run') steps.push({ kind: 'hidden', line, typed: value });
      else if (NOTES.has(name) && value !== '') notes.set(name, { line, value });
      else throw new Error(`line ${line}: <!-- ${comment} --> is no comment that a walkthrough knows`);
      continue;
    }
    const reason = notes.get('not run')?.value;
    if (reason !== undefined) notRun.push({ line: part.line, reason });
    else steps.push(...stepsOf(part, notes));
    notes = new Map();
  }
  for (const [name, { line }] of notes) throw new Error(`line ${line}: no block follows <!-- ${name} -->`);
  return { steps, notRun };
};

const stepsOf = (fence: Fence, notes: Notes): Step[] => {
  const { line, language, lines } = fence;
  const file = notes.get('file');
  if (language !== 'console') {
    if (file !== undefined) return [{ kind: 'file', line, path: file.value, text: `${lines.join('\n')}\n` }];
    for (const [name, note] of notes) throw new Error(`line ${note.line}: <!-- ${name} --> is of a console block, and ${language} follows`);
    return [];
  }
  if (file !== undefined) throw new Error(`line ${file.line}: a console block is no file`);
  const [soonMs, patienceMs] = [secondsIn(notes, 'soon'), secondsIn(notes, 'patience')];
  const commands = commandsIn(fence).map((command) => ({
    ...command,
    ...(soonMs === undefined ? {} : { soonMs }),
    ...(patienceMs === undefined ? {} : { patienceMs }),
  }));
  return [{ kind: 'block', line, commands, fails: statusesIn(notes) }];
};

const secondsIn = (notes: Notes, name: string): number | undefined => {
  const note = notes.get(name);
  if (note === undefined) return undefined;
  if (!/^\d+$/.test(note.value)) throw new Error(`line ${note.line}: ${name} wants a number of seconds`);
  return Number(note.value) * 1000;
};

const statusesIn = (notes: Notes): number[] => {
  const note = notes.get('fails');
  if (note === undefined) return [];
  const statuses = note.value.split(',').map((each) => Number(each.trim()));
  if (statuses.some((status) => !(Number.isInteger(status) && status > 0 && status < 256)))
    throw new Error(`line ${note.line}: fails wants the statuses, as in 3, 1`);
  return statuses;
};

/** Fenced blocks and comments, in the page's order. */
const partsOf = (text: string): (Fence | { line: number; comment: string })[] => {
  const parts: ReturnType<typeof partsOf> = [];
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const start = at;
    const [, indent = '', ticks, language = ''] = /^( *)(```+)(\S*)/.exec(lines[at] ?? '') ?? [];
    if (ticks !== undefined) {
      do at += 1;
      while (at < lines.length && lines[at]?.trim() !== ticks);
      if (at === lines.length) throw new Error(`line ${start + 1}: this block does not end`);
      const inside = lines.slice(start + 1, at).map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
      parts.push({ line: start + 1, language, lines: inside });
    } else if (/^\s*<!--/.test(lines[at] ?? '')) {
      while (at < lines.length && !lines[at]?.trimEnd().endsWith('-->')) at += 1;
      if (at === lines.length) throw new Error(`line ${start + 1}: this comment does not end`);
      const whole = lines
        .slice(start, at + 1)
        .join('\n')
        .trim();
      parts.push({ line: start + 1, comment: whole.slice('<!--'.length, -'-->'.length).trim() });
    }
  }
  return parts;
};

const commandsIn = ({ line: fenceLine, lines }: Fence): Command[] => {
  const commands: { kind: 'command'; line: number; typed: string; shown: { line: number; text: string }[] }[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = fenceLine + 1 + at;
    const text = lines[at] ?? '';
    if (PROMPT.test(text)) {
      let typed = text.slice(2);
      while (isUnfinished(typed)) {
        at += 1;
        if (at === lines.length) throw new Error(`line ${line}: this command does not end`);
        typed += `\n${(lines[at] ?? '').replace(/^> /, '')}`;
      }
      commands.push({ kind: 'command', line, typed, shown: [] });
      continue;
    }
    const command = commands.at(-1);
    if (command === undefined) throw new Error(`line ${line}: nothing was typed yet that prints this`);
    command.shown.push({ line, text: text.trimEnd() });
  }
  if (commands.length === 0) throw new Error(`line ${fenceLine}: nothing is typed in this console block`);
  return commands.map((command) => ({ ...command, shown: withoutBlankEnd(command.shown) }));
};

/** A blank line before the next command is the page's, and not the command's. */
const withoutBlankEnd = <T extends { text: string }>(shown: readonly T[]): readonly T[] =>
  shown.slice(0, shown.findLastIndex(({ text }) => text !== '') + 1);

/** As far as pages need it: a backslash at the end, a heredoc, an open quote. */
const isUnfinished = (typed: string): boolean => {
  if (/(^|[^\\])(\\\\)*\\$/.test(typed)) return true;
  const [, word] = /<<-?\s*["']?(\w+)/.exec(typed) ?? [];
  if (word !== undefined) return !typed.split('\n').slice(1).includes(word);
  return hasOpenQuote(typed);
};

const hasOpenQuote = (typed: string): boolean => {
  let open = '';
  for (let at = 0; at < typed.length; at += 1) {
    const letter = typed[at] ?? '';
    if (letter === '\\' && open !== "'") at += 1;
    else if (open === letter) open = '';
    else if (open === '' && (letter === '"' || letter === "'")) open = letter;
  }
  return open !== '';
};
