import type { Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';
import { EXIT } from '#cli/exit';
import { VERSION } from '#contract/version';

/** `asbb version`: the same as `asbb --version`. */
export const versionCommand = (shell: Shell): Command =>
  createCommand('version', { summary: 'Print the version', examples: ['asbb version', 'asbb version --json'] }).action(
    (_options: object, command: Command) =>
      shell.run(command, async ({ format, print }) => {
        print(format === 'json' ? `${JSON.stringify({ version: VERSION })}\n` : `asbb ${VERSION}\n`);
        return EXIT.ok;
      }),
  );
