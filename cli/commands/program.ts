// The whole command line: which commands there are, and how each ends.
import { type Command, CommanderError } from 'commander';
import { accountCommand } from '#cli/commands/account';
import { agentCommand } from '#cli/commands/agent';
import { auditCommand, recoverCommand } from '#cli/commands/audit';
import { clusterCommand } from '#cli/commands/cluster';
import { addGlobalOptions, createCommand, globalsOf, type Shell } from '#cli/commands/command';
import { completionCommand } from '#cli/commands/completion';
import { configCommand } from '#cli/commands/config';
import { databaseCommand } from '#cli/commands/database';
import { doctorCommand } from '#cli/commands/doctor';
import { holdCommand } from '#cli/commands/hold';
import { localCommand } from '#cli/commands/local';
import { partitionCommand } from '#cli/commands/partition';
import { quoteCommand } from '#cli/commands/quote';
import { reconcileCommand } from '#cli/commands/reconcile';
import { shadowCommand } from '#cli/commands/shadow';
import { statusCommand } from '#cli/commands/status';
import { transactionsCommand } from '#cli/commands/transactions';
import { usageCommand } from '#cli/commands/usage';
import { versionCommand } from '#cli/commands/version';
import { createContext, endingOf, type Machine, sayOn } from '#cli/context';
import { EXIT, type ExitCode } from '#cli/exit';
import { VERSION } from '#contract/version';

/** The commander program; nothing runs before `parseAsync`. */
export const buildProgram = (shell: Shell): Command => {
  const program = createCommand('asbb', {
    summary: 'AWS Slurm Bursting Budget: a gate in front of the money that a Slurm cluster spends on AWS',
    examples: ['asbb local', 'asbb account create --account=proj001 --budget=1000', 'asbb quote -A proj001 -p aws -N 2 -t 1:00:00'],
  })
    .version(`asbb ${VERSION}`, '-V, --version', 'print the version')
    .addCommand(accountCommand(shell))
    .addCommand(quoteCommand(shell))
    .addCommand(holdCommand(shell))
    .addCommand(transactionsCommand(shell))
    .addCommand(usageCommand(shell))
    .addCommand(shadowCommand(shell))
    .addCommand(reconcileCommand(shell))
    .addCommand(auditCommand(shell))
    .addCommand(recoverCommand(shell))
    .addCommand(agentCommand(shell))
    .addCommand(statusCommand(shell))
    .addCommand(doctorCommand(shell))
    .addCommand(partitionCommand(shell))
    .addCommand(clusterCommand(shell))
    .addCommand(configCommand(shell))
    .addCommand(databaseCommand(shell))
    .addCommand(localCommand(shell))
    .addCommand(completionCommand(shell))
    .addCommand(versionCommand(shell));
  addGlobalOptions(program);
  return program;
};

/**
 * Run one line.
 * @param argv what follows the program's name
 */
export const runAsbb = async (argv: readonly string[], machine: Machine): Promise<ExitCode> => {
  let code: ExitCode = EXIT.ok;
  let blamed = 'asbb';
  const program = buildProgram({
    run: async (command, work) => {
      code = await work(createContext(machine, globalsOf(command)));
    },
  });
  speakThrough(program, machine, (command) => {
    blamed = pathOf(command);
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return endOfParsing(error, machine, blamed);
    const { exitCode, sentence } = endingOf(error);
    sayOn(machine, sentence);
    return exitCode;
  }
};

/** Help goes where commander sends it; errors are told once, by us. */
const speakThrough = (command: Command, machine: Machine, blame: (command: Command) => void): void => {
  command.exitOverride().configureOutput({
    writeOut: machine.stdout.write,
    writeErr: machine.stderr.write,
    outputError: () => blame(command),
    getOutHelpWidth: () => machine.stdout.columns ?? 0, // 0 is commander's word for its own default, 80.
    getErrHelpWidth: () => machine.stderr.columns ?? 0,
  });
  for (const below of command.commands) speakThrough(below, machine, blame);
};

const endOfParsing = (error: CommanderError, machine: Machine, blamed: string): ExitCode => {
  if (error.exitCode === 0) return EXIT.ok; // --help, --version.
  if (error.code !== 'commander.help') sayOn(machine, `${error.message.replace(/^error: |\.$/g, '')}; see '${blamed} --help'`);
  return EXIT.usage;
};

const pathOf = (command: Command): string => (command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`);
