// What every command has in common: the global options, its examples, and that its work is loaded when it runs.
import { Command, Option } from 'commander';
import type { Context, GlobalOptions, OutputFormat } from '#cli/context';
import { type ExitCode, usageError } from '#cli/exit';

const GLOBAL_GROUP = 'Global options:';

/** Runs the work of a command with the context that its line asks for. */
export interface Shell {
  run(command: Command, work: (context: Context) => Promise<ExitCode>): Promise<void>;
}

export interface CommandWords {
  readonly summary: string;
  /** At least one: a help without an example explains little. */
  readonly examples: readonly string[];
}

const examplesByCommand = new WeakMap<Command, readonly string[]>();

/** A command with examples at the end of its help. */
export const createCommand = (name: string, { summary, examples }: CommandWords): Command => {
  const command = new Command(name);
  examplesByCommand.set(command, examples);
  return command.description(summary).addHelpText('after', `\nExamples:\n${examples.map((line) => `  $ ${line}`).join('\n')}`);
};

/** For whoever writes them elsewhere. */
export const examplesOf = (command: Command): readonly string[] => examplesByCommand.get(command) ?? [];

const globalOptions = (): Option[] => [
  new Option('--config <file>', 'read this configuration instead of /etc/asbb/config.yaml and ~/.config/asbb/config.yaml'),
  new Option('--endpoint <url>', 'where the budget API is'),
  new Option('--endpoint-url <url>', 'the same').hideHelp(),
  new Option('--profile <name>', 'AWS profile to sign with'),
  new Option('--region <region>', 'AWS region to sign for'),
  new Option('-o, --output <format>', 'how to print data').choices(['table', 'json', 'csv']),
  new Option('--json', 'the same as -o json'),
  new Option('--quiet', 'no words on stderr but errors'),
  new Option('--no-color', 'no colours'),
];

/**
 * Gives a command and all below it the global options, so that they may stand anywhere on the line. A command that has an
 * option of its own by the same name (`config init --output`) keeps its own.
 */
export const addGlobalOptions = (command: Command): void => {
  const own = new Set(command.options.flatMap(({ short, long }) => [short, long]));
  for (const option of globalOptions()) {
    if (!own.has(option.long)) command.addOption(option.helpGroup(GLOBAL_GROUP));
  }
  command.addHelpOption(new Option('-h, --help', 'show this help').helpGroup(GLOBAL_GROUP));
  command.enablePositionalOptions(); // Each command reads its own part of the line, so that none takes another's option.
  if (command.commands.length > 0) command.helpCommand('help [command]', 'Show the help of a command');
  for (const below of command.commands) addGlobalOptions(below);
};

export const isGlobal = ({ helpGroupHeading }: Option): boolean => helpGroupHeading === GLOBAL_GROUP;

/** The global options of a line, what stands nearer to its end first. */
export const globalsOf = (command: Command): GlobalOptions => {
  const merged: Record<string, unknown> = {};
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const option of at.options.filter(isGlobal)) {
      const name = option.attributeName();
      if (at.getOptionValueSource(name) === 'cli') merged[name] ??= at.getOptionValue(name);
    }
  }
  const { config, endpoint, endpointUrl, profile, region, output, json, quiet, color } = merged as Record<string, string | undefined> & {
    json?: boolean;
    quiet?: boolean;
    color?: boolean;
    output?: OutputFormat;
  };
  return { config, endpoint: endpoint ?? endpointUrl, profile, region, output: json === true ? 'json' : output, quiet, color };
};

/** The one name that a command works on, given bare or as an option. */
export const oneOf = (
  what: string,
  { bare, option, flag }: { bare: string | undefined; option: string | undefined; flag: string },
): string => {
  if (bare !== undefined && option !== undefined && bare !== option) {
    throw usageError(`two ${what}s are named, ${bare} and ${option}: name one`);
  }
  const name = bare ?? option;
  if (name === undefined) throw usageError(`which ${what}? Name it with ${flag}`);
  return name;
};

export const accountOption = (): Option => new Option('-A, --account <name>', 'Slurm account');

export const limitOption = (): Option => new Option('--limit <rows>', 'at most so many rows (default: all, up to 10000)');
