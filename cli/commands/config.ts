import type { Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';
import type { ConfigInitOptions } from '#cli/commands/run-config';

/** `asbb config`: the client's own YAML. */
export const configCommand = (shell: Shell): Command =>
  createCommand('config', {
    summary: "The client's configuration",
    examples: ['asbb config init --output ~/.config/asbb/config.yaml', 'asbb config validate', 'asbb config show'],
  })
    .addCommand(initCommand(shell))
    .addCommand(validateCommand(shell))
    .addCommand(showCommand(shell));

const initCommand = (shell: Shell): Command =>
  createCommand('init', {
    summary: 'Write a configuration with every key, its default and what it is for',
    examples: [
      'asbb config init --output ~/.config/asbb/config.yaml',
      'asbb config init --from-stack Asbb-prod-Api --region us-east-1 --output ~/.config/asbb/config.yaml',
      'asbb config init | sudo tee /etc/asbb/config.yaml',
    ],
  })
    // Here it is a file to write, as in the original design, and not a format.
    .option('-o, --output <file>', 'the file to write (default: stdout)')
    .option('--from-stack <stack>', 'fill in what this CloudFormation stack puts out, like Asbb-prod-Api')
    .option('--force', 'replace a file that is there')
    .action((options: ConfigInitOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-config')).runConfigInit(context, options)),
    );

const validateCommand = (shell: Shell): Command =>
  createCommand('validate', {
    summary: 'Read the configuration, and name the first thing that is wrong in it and its mend; asks nobody',
    examples: ['asbb config validate', 'asbb config validate ./config.yaml'],
  })
    .argument('[file]', 'the file to read (default: what every command reads)')
    .action((file: string | undefined, _options: object, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-config')).runConfigValidate(context, { file })),
    );

const showCommand = (shell: Shell): Command =>
  createCommand('show', {
    summary: 'What holds here and where it was said, and how the service is set',
    examples: ['asbb config show', 'asbb config show -o json'],
  }).action((_options: object, command: Command) =>
    shell.run(command, async (context) => (await import('#cli/commands/run-config-show')).runConfigShow(context)),
  );
