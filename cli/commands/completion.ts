import { Argument, type Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';
import { type CompletionShell, completionScript, SHELLS } from '#cli/completion';
import { EXIT } from '#cli/exit';

/** `asbb completion`: what a shell reads to complete the rest of a line. */
export const completionCommand = (shell: Shell): Command =>
  createCommand('completion', {
    summary: 'Print the script that completes asbb in your shell',
    examples: [
      'source <(asbb completion bash)',
      'asbb completion bash | sudo tee /etc/bash_completion.d/asbb',
      'asbb completion zsh > ~/.zfunc/_asbb',
    ],
  })
    .addArgument(new Argument('<shell>', 'your shell').choices(SHELLS))
    .action((name: CompletionShell, _options: object, command: Command) =>
      shell.run(command, async (context) => {
        context.print(completionScript(name, programOf(command)));
        return EXIT.ok;
      }),
    );

const programOf = (command: Command): Command => (command.parent === null ? command : programOf(command.parent));
