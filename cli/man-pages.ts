// Manual pages, made from the command line itself: one for asbb, and one for each of its commands with all that is below it.
import type { Command, Option } from 'commander';
import { examplesOf, isGlobal } from '#cli/commands/command';

/** A page of section 1: what it is called, and its text in roff's man macros. */
export interface ManPage {
  readonly name: string;
  readonly roff: string;
}

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['ASBB_CONFIG', 'The configuration to read, as --config.'],
  ['ASBB_ENDPOINT', 'Where the budget API is, as --endpoint.'],
  ['AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID, ...', 'Credentials and region, as every AWS tool reads them.'],
  ['ASBB_DYNAMODB_LOCAL', "For asbb local: the folder of Amazon's DynamoDB Local, which keeps its money from one start to the next."],
  ['NO_COLOR', 'No colours, if it is set.'],
];

const EXITS: readonly (readonly [string, string])[] = [
  ['0', 'Done.'],
  ['1', 'It failed; a sentence on stderr says why.'],
  ['2', 'The line or the configuration is wrong; nothing was asked.'],
  ['3', 'The budget refuses.'],
  ['4', 'Not authorised, or no credentials.'],
  ['5', 'The API does not answer.'],
];

const FILES: readonly (readonly [string, string])[] = [
  ['/etc/asbb/config.yaml', "The machine's configuration."],
  ['~/.config/asbb/config.yaml', "The user's, read over it."],
];

/** All pages of the command. */
export const manPagesOf = (program: Command): ManPage[] => [
  pageOf(program, program),
  ...program.commands.map((each) => pageOf(each, program)),
];

const pageOf = (command: Command, program: Command): ManPage => {
  const isProgram = command === program;
  const name = isProgram ? command.name() : `${program.name()}-${command.name()}`;
  const others = [program, ...program.commands].filter((each) => each !== command);
  const lines = [
    `.TH ${name.toUpperCase()} 1 "" "asbb" "User Commands"`,
    '.SH NAME',
    `${text(name)} \\- ${text(lowered(command.description()))}`,
    '.SH SYNOPSIS',
    ...(isProgram ? ['asbb COMMAND [options]'] : synopsesOf(command)).flatMap((line) => ['.nf', `.B ${text(line)}`, '.fi']),
    '.SH DESCRIPTION',
    ...(isProgram ? program.commands.flatMap((each) => item(`asbb ${each.name()}`, each.description())) : describe(command)),
    '.SH GLOBAL OPTIONS',
    ...visible(program)
      .filter(isGlobal)
      .flatMap((option) => item(option.flags, option.description)),
    '.SH EXIT STATUS',
    ...EXITS.flatMap(([code, words]) => item(code, words)),
    '.SH ENVIRONMENT',
    ...ENVIRONMENT.flatMap(([variable, words]) => item(variable, words)),
    '.SH FILES',
    ...FILES.flatMap(([file, words]) => item(file, words)),
    '.SH SEE ALSO',
    `${others.map((each) => `.BR ${text(each === program ? 'asbb' : `asbb-${each.name()}`)} (1)`).join(' ,\n')}`,
    '',
  ];
  return { name: `${name}.1`, roff: lines.join('\n') };
};

const visible = (command: Command): readonly Option[] => command.createHelp().visibleOptions(command);

/** Leaves have one line each; a command above them has theirs. */
const synopsesOf = (command: Command): string[] =>
  command.commands.length === 0 ? [`${pathOf(command)} ${command.usage()}`] : command.commands.flatMap(synopsesOf);

const pathOf = (command: Command): string => (command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`);

/** What a command is for, its own options and its examples, and the same of all below it. */
const describe = (command: Command): string[] => [
  '.PP',
  `${text(command.description())}.`,
  ...visible(command)
    .filter((option) => !isGlobal(option))
    .flatMap((option) => item(option.flags, option.description)),
  '.PP',
  'For example:',
  ...examplesOf(command).flatMap((line) => ['.PP', '.nf', `\\&    ${text(line)}`, '.fi']),
  ...command.commands.flatMap((below) => [`.SS ${text(pathOf(below))}`, ...describe(below)]),
];

const item = (term: string, words: string): string[] => ['.TP', `.B ${text(term)}`, text(words)];

/** But not `AWS`. */
const lowered = (words: string): string => (/^[A-Z][a-z]/.test(words) ? `${words.charAt(0).toLowerCase()}${words.slice(1)}` : words);

/** As it stands, whatever roff would make of it: no line begins with its control characters, no backslash or hyphen is its own. */
const text = (words: string): string => {
  const escaped = words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replaceAll('`', '\\(ga');
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
};
