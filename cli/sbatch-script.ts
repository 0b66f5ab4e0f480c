// What a batch script asks of sbatch: its `#SBATCH` lines, read as sbatch reads them. Source: sbatch(1), and sbatch 22.05 itself.
import { usageError } from '#cli/exit';

/** Options of sbatch that a price depends on, by their long names. */
const PRICED = [
  'account',
  'array',
  'constraint',
  'cpus-per-gpu',
  'cpus-per-task',
  'exclusive',
  'gpus',
  'gpus-per-node',
  'gpus-per-socket',
  'gpus-per-task',
  'gres',
  'mem',
  'mem-per-cpu',
  'mem-per-gpu',
  'nodes',
  'ntasks',
  'ntasks-per-node',
  'partition',
  'sockets-per-node',
  'time',
] as const;
export type PricedOption = (typeof PRICED)[number];
const isPriced = (name: string): name is PricedOption => (PRICED as readonly string[]).includes(name);

/** Their values as typed; of several, the last. An option that needs no value and has none is ''. */
export type ScriptOptions = { readonly [name in PricedOption]?: string };

/** The options are read ahead, because a word is only known to be a value if the option before it is known to take one. */
const TAKES_VALUE = new Set<string>([
  ...PRICED.filter((name) => name !== 'exclusive'),
  ...'acctg-freq batch bb bbf begin chdir cluster-constraint clusters comment container core-spec cores-per-socket cpu-freq'.split(' '),
  ...'deadline delay-boot dependency distribution error exclude export export-file extra-node-info gid gpu-bind gpu-freq'.split(' '),
  ...'gres-flags hint input job-name kill-on-invalid-dep licenses mail-type mail-user mcs-label mem-bind mincpus network'.split(' '),
  ...'nodefile nodelist ntasks-per-core ntasks-per-gpu ntasks-per-socket ntasks-per-tres open-mode output power prefer'.split(' '),
  ...'priority profile qos reservation signal switches thread-spec threads-per-core time-min tmp uid wait-all-nodes wckey wrap'.split(' '),
]);
/** A value of these, if any, follows a `=`. */
const STANDS_ALONE = new Set<string>([
  ...'contiguous exclusive get-user-env help hold ignore-pbs nice no-kill no-requeue overcommit oversubscribe parsable'.split(' '),
  ...'propagate quiet reboot requeue share spread-job test-only usage use-min-nodes verbose version wait'.split(' '),
]);
const LONG_NAMES = [...TAKES_VALUE, ...STANDS_ALONE];

const LONG_OF_SHORT: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{ A: 'account', a: 'array', B: 'extra-node-info', b: 'begin', C: 'constraint', c: 'cpus-per-task', D: 'chdir', d: 'dependency' },
    ...{ e: 'error', F: 'nodefile', G: 'gpus', H: 'hold', h: 'help', i: 'input', J: 'job-name', k: 'no-kill', L: 'licenses' },
    ...{ M: 'clusters', m: 'distribution', N: 'nodes', n: 'ntasks', O: 'overcommit', o: 'output', p: 'partition', Q: 'quiet', q: 'qos' },
    ...{ S: 'core-spec', s: 'oversubscribe', t: 'time', V: 'version', v: 'verbose', W: 'wait', w: 'nodelist', x: 'exclude' },
  }),
);

/** What a component of a heterogeneous job takes over from the one before it, beside names and the like; all else begins anew. */
const INHERITED = ['account', 'array', 'mem', 'time'] as const;

/** sbatch's own limit is slurm.conf's max_script_size, 4 MiB if nobody changed it. */
export const MAX_SCRIPT_BYTES = 4 * 1024 * 1024;

/**
 * Read a batch script. Lines count up to the first command; options that no price depends on, and those that we do not know, are
 * left out.
 *
 * @returns one set of options for each component: one, unless `#SBATCH hetjob` lines separate several.
 * @throws CommandError usage, naming the line, on what sbatch would not take either.
 */
export const readSbatchScript = (script: string): ScriptOptions[] => {
  const components: Word[][] = [[]];
  for (const [index, line] of script.split('\n').entries()) {
    const directive = /^#(?:SBATCH|SLURM)(.*)$/.exec(line.replace(/\r$/, ''))?.[1];
    if (directive === undefined) {
      if (/^\s*(?:#|$)/.test(line)) continue;
      break;
    }
    if (/^\s+(?:het|pack)job(?:\s|$)/i.test(directive)) components.push([]);
    else components.at(-1)?.push(...wordsOf(directive, index + 1));
  }
  const read: ScriptOptions[] = [];
  for (const words of components) {
    const before = read.at(-1) ?? {};
    const inherited = Object.fromEntries(INHERITED.flatMap((name) => (before[name] === undefined ? [] : [[name, before[name]]])));
    read.push({ ...withoutOverriddenMemory(inherited, optionsIn(words)), ...optionsIn(words) });
  }
  return read;
};

interface Word {
  readonly text: string;
  readonly line: number;
}

/** The words of one line: quotes and backslashes as sbatch has them, up to a `#` that is not quoted, or to an empty word. */
const wordsOf = (directive: string, line: number): Word[] => {
  const words: Word[] = [];
  let at = 0;
  while (at < directive.length) {
    while (/\s/.test(directive.charAt(at))) at++;
    if (directive.charAt(at) === ':') throw usageError(`line ${line}: sbatch takes no ':' here: separate components with '#SBATCH hetjob'`);
    const word = wordAt(directive, { at, line });
    if (word.text === '') break;
    words.push({ text: word.text, line });
    at = word.end;
  }
  return words;
};

const wordAt = (directive: string, { at, line }: { at: number; line: number }): { text: string; end: number } => {
  let text = '';
  let quote = '';
  let end = at;
  for (; end < directive.length; end++) {
    const letter = directive.charAt(end);
    if (quote === '' && /[\s#]/.test(letter)) break;
    const next = directive.charAt(end + 1);
    if (letter === '\\' && next !== '' && (quote !== '' || !/\s/.test(next))) {
      text += next;
      end++;
    } else if (letter === quote) quote = '';
    else if (quote === '' && /["']/.test(letter)) quote = letter;
    else if (letter !== '\\') text += letter;
  }
  if (quote !== '') throw usageError(`line ${line}: the quote ${quote} is not closed`);
  // A comment ends the line, also in the middle of a word.
  return { text, end: directive.charAt(end) === '#' ? directive.length : end };
};

/** As getopt_long reads them: `-N4`, `-N 4`, `-HN4`, `--nodes=4`, `--nodes 4`, `--nod 4`. */
const optionsIn = (words: readonly Word[]): ScriptOptions => {
  const options: Partial<Record<PricedOption, string>> = {};
  const left = [...words];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    const read = word.text.startsWith('--') ? readLong : readShort;
    if (!/^-(?:[^-]|-.)/.test(word.text)) {
      throw usageError(`line ${word.line}: sbatch takes no '${word.text}' here: options begin with - or --`);
    }
    for (const { name, value } of read(word, left)) {
      if (isPriced(name)) options[name] = value;
      if (name === 'oversubscribe') delete options.exclusive; // Of the two, the last one counts.
    }
  }
  return options;
};

interface Option {
  readonly name: string;
  readonly value: string;
}

/** `left` are the words behind it: the first of them may be its value, and is then taken away. */
const readLong = ({ text, line }: Word, left: Word[]): Option[] => {
  const [typed = '', given] = splitAtEquals(text.slice(2));
  const name = longNameOf(typed, line);
  if (name === undefined) {
    if (given === undefined) skipValue(left);
    return [];
  }
  return [{ name, value: given ?? (TAKES_VALUE.has(name) ? nextWord(left, `--${name}`, line) : '') }];
};

/** One or several: a letter that takes a value ends the word. */
const readShort = ({ text, line }: Word, left: Word[]): Option[] => {
  const options: Option[] = [];
  for (let at = 1; at < text.length; at++) {
    const name = LONG_OF_SHORT.get(text.charAt(at));
    if (name === undefined) {
      skipValue(left);
      break;
    }
    if (TAKES_VALUE.has(name)) return [...options, { name, value: text.slice(at + 1) || nextWord(left, `-${text.charAt(at)}`, line) }];
    options.push({ name, value: '' });
    if (name === 'no-kill') break; // What follows its letter is its value.
  }
  return options;
};

const nextWord = (left: Word[], option: string, line: number): string => {
  const next = left.shift();
  if (next === undefined) throw usageError(`line ${line}: ${option} needs a value`);
  return next.text;
};

const splitAtEquals = (text: string): [string, string | undefined] => {
  const at = text.indexOf('=');
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
};

/** Any beginning that only one option has will do. Undefined: an option that we do not know. */
const longNameOf = (typed: string, line: number): string | undefined => {
  if (LONG_NAMES.includes(typed)) return typed;
  const candidates = LONG_NAMES.filter((name) => name.startsWith(typed));
  if (candidates.length > 1) throw usageError(`line ${line}: --${typed} could be --${candidates.slice(0, 3).join(' or --')}: write it out`);
  return candidates[0];
};

/** An option that we do not know may take a value; a word without a dash can be nothing else. */
const skipValue = (left: Word[]): void => {
  if (left[0]?.text.startsWith('-') === false) left.shift();
};

/** The three ways to ask for memory replace each other. */
const MEMORY = ['mem', 'mem-per-cpu', 'mem-per-gpu'] as const;
const withoutOverriddenMemory = (under: ScriptOptions, over: ScriptOptions): ScriptOptions => {
  if (MEMORY.every((name) => over[name] === undefined)) return under;
  return Object.fromEntries(Object.entries(under).filter(([name]) => !(MEMORY as readonly string[]).includes(name)));
};

/** sbatch(1), INPUT ENVIRONMENT VARIABLES, as far as a price depends on them. */
const VARIABLES: ReadonlyMap<string, PricedOption> = new Map([
  ['SBATCH_ACCOUNT', 'account'],
  ['SBATCH_ARRAY_INX', 'array'],
  ['SBATCH_CONSTRAINT', 'constraint'],
  ['SBATCH_CPUS_PER_GPU', 'cpus-per-gpu'],
  ['SBATCH_EXCLUSIVE', 'exclusive'],
  ['SBATCH_GPUS', 'gpus'],
  ['SBATCH_GPUS_PER_NODE', 'gpus-per-node'],
  ['SBATCH_GPUS_PER_SOCKET', 'gpus-per-socket'],
  ['SBATCH_GPUS_PER_TASK', 'gpus-per-task'],
  ['SBATCH_GRES', 'gres'],
  ['SBATCH_MEM_PER_CPU', 'mem-per-cpu'],
  ['SBATCH_MEM_PER_GPU', 'mem-per-gpu'],
  ['SBATCH_MEM_PER_NODE', 'mem'],
  ['SBATCH_PARTITION', 'partition'],
  ['SBATCH_TIMELIMIT', 'time'],
]);

/** An option's value, and what to call it where it is wrong: `--time`, `SBATCH_TIMELIMIT`, `job.sh: --time`. */
export interface NamedValue {
  readonly flag: string;
  readonly value: string;
}
export type NamedOptions = { readonly [name in PricedOption]?: NamedValue };

/**
 * Command line over environment over script, as in sbatch: only a script that asks for memory in another way than the
 * environment does is heard before it.
 */
export const mergeOptions = (from: {
  readonly flags: ScriptOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly script: ScriptOptions;
  readonly scriptName: string;
}): NamedOptions => {
  const named = (options: ScriptOptions, before: string): NamedOptions =>
    Object.fromEntries(Object.entries(options).map(([name, value]) => [name, { flag: `${before}--${name}`, value }]));
  const script = named(from.script, `${from.scriptName}: `);
  const flags = named(from.flags, '');
  const asked: NamedOptions = { ...script, ...flags };
  const kinds = MEMORY.filter((kind) => asked[kind] !== undefined);
  const env = Object.fromEntries(
    [...VARIABLES].flatMap(([variable, name]) => {
      const value = from.env[variable];
      const isGiven = value !== undefined && (value !== '' || name === 'exclusive');
      const isOverruled = (MEMORY as readonly string[]).includes(name) && kinds.some((kind) => kind !== name);
      return isGiven && !isOverruled ? [[name, { flag: variable, value }]] : [];
    }),
  );
  return { ...script, ...env, ...flags };
};
