import type { Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';
import type { StatusOptions } from '#cli/commands/run-status';

/** `asbb status`: whether all is well, for people and for monitoring. */
export const statusCommand = (shell: Shell): Command =>
  createCommand('status', {
    summary: 'Whether all is well: the API, the agents, accounts that run out, holds without a job; exit status 1 if not',
    examples: [
      'asbb status',
      'asbb status --json | jq -r \'.checks[] | select(.state != "ok") | .mend\'',
      'asbb status --state /var/lib/asbb/agent.json',
    ],
  })
    .option('--state <file>', "the state file of this machine's agent (default: as for asbb agent)")
    .action((options: StatusOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-status')).runStatus(context, options)),
    );
