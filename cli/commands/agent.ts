import type { Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';
import type { AgentOptions } from '#cli/commands/run-agent';

/** `asbb agent`: tells the API what became of each job. */
export const agentCommand = (shell: Shell): Command =>
  createCommand('agent', {
    summary: 'On the head node: bind, extend, settle and release holds as squeue and sacct say, until SIGTERM or SIGINT',
    examples: [
      'asbb agent',
      'asbb agent --once',
      'asbb agent --once --dry-run',
      'asbb agent --interval 30s --state /var/lib/asbb/agent.json',
    ],
  })
    .option('--once', 'look once, print what was done, and end')
    .option('--interval <duration>', 'how often to look (default: agent.interval, or 15s)')
    .option('--state <file>', 'what it remembers from one start to the next (default: agent.state_file)')
    .option('--dry-run', 'look once, print what it would do, and do nothing')
    .action((options: AgentOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-agent')).runAgent(context, options)),
    );
