// Scripts for TAB, made from the command line itself: whole tables, so that a TAB starts no process.
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh'] as const;
export type CompletionShell = (typeof SHELLS)[number];

/** One command of the line, and what may follow it. */
interface Place {
  /** As typed: `asbb account list`. */
  readonly path: string;
  /** Commands below it, and words that its argument may be, each with what it is. */
  readonly words: readonly (readonly [string, string])[];
  readonly options: readonly Option[];
}

/** What stands after an option: one of its choices, a file, or something that only the user knows. */
type ValueKind = readonly string[] | 'file' | 'any' | 'none';

/** The script that a shell reads to complete `asbb`. */
export const completionScript = (shell: CompletionShell, program: Command): string => {
  const places = placesOf(program);
  return shell === 'bash' ? bashScript(places) : zshScript(places);
};

const placesOf = (command: Command, above = ''): Place[] => {
  const path = `${above}${command.name()}`;
  const options = command.createHelp().visibleOptions(command);
  const words = [
    ...command.commands.map((below) => [below.name(), below.description()] as const),
    ...command.registeredArguments.flatMap(({ argChoices, description }) => (argChoices ?? []).map((word) => [word, description] as const)),
  ];
  return [{ path, words, options: [...options] }, ...command.commands.flatMap((below) => placesOf(below, `${path} `))];
};

const namesOf = ({ short, long }: Option): string[] => [short, long].flatMap((name) => name ?? []);

const valueKindOf = ({ argChoices, flags, required, optional }: Option): ValueKind => {
  if (!required && !optional) return 'none';
  if (argChoices !== undefined) return argChoices;
  return /<(?:file|folder|dir)>/.test(flags) ? 'file' : 'any';
};

/** The lines of a `case` over "path option", one for each thing that may follow. */
const valueCases = (places: readonly Place[], then: (kind: Exclude<ValueKind, 'none'>) => string): string[] => {
  const byAction = new Map<string, string[]>();
  for (const { path, options } of places)
    for (const option of options) {
      const kind = valueKindOf(option);
      if (kind === 'none') continue;
      const action = then(kind);
      byAction.set(action, [...(byAction.get(action) ?? []), ...namesOf(option).map((name) => `'${path} ${name}'`)]);
    }
  return [...byAction].map(([action, patterns]) => `    ${patterns.join('|')}) ${action} ;;`);
};

const pathPatterns = (places: readonly Place[]): string =>
  places
    .slice(1)
    .map(({ path }) => `'${path}'`)
    .join('|');

const bashScript = (places: readonly Place[]): string => `# bash completion for asbb, made by 'asbb completion bash'
_asbb() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} place=asbb words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$place \${COMP_WORDS[i]}" in
      ${pathPatterns(places)}) place="$place \${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$place $previous" in
${valueCases(places, (kind) => (kind === 'any' ? 'return' : `COMPREPLY=($(compgen ${kind === 'file' ? '-f' : `-W '${kind.join(' ')}'`} -- "$current")); return`)).join('\n')}
  esac
  case "$place" in
${places.map(({ path, words, options }) => `    '${path}') words='${[...words.map(([name]) => name), ...options.flatMap(namesOf)].join(' ')}' ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _asbb asbb
`;

const zshScript = (places: readonly Place[]): string => `#compdef asbb
# zsh completion for asbb, made by 'asbb completion zsh'
_asbb() {
  local place=asbb i
  local -a commands options
  for ((i = 2; i < CURRENT; i++)); do
    case "$place $words[i]" in
      ${pathPatterns(places)}) place="$place $words[i]" ;;
    esac
  done
  case "$place $words[CURRENT-1]" in
${valueCases(places, (kind) => (kind === 'any' ? 'return 1' : kind === 'file' ? '_files; return' : `compadd -- ${kind.join(' ')}; return`)).join('\n')}
  esac
  case "$place" in
${places.map(({ path, words, options }) => `    '${path}')\n      commands=(${described(words)})\n      options=(${described(options.flatMap((option) => namesOf(option).map((name) => [name, option.description] as const)))}) ;;`).join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then _describe -o option options; else _describe command commands || _files; fi
}
if [ "$funcstack[1]" = _asbb ]; then _asbb "$@"; else compdef _asbb asbb; fi
`;

/** zsh's \`name:what it is\`, in quotes of its own. */
const described = (pairs: readonly (readonly [string, string])[]): string =>
  pairs.map(([name, words]) => `'${name}:${words.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`).join(' ');
