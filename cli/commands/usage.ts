import type { Command } from 'commander';
import { accountOption, createCommand, type Shell } from '#cli/commands/command';
import type { UsageOptions } from '#cli/commands/run-usage';

/** `asbb usage`: what runs cost. */
export const usageCommand = (shell: Shell): Command =>
  createCommand('usage', {
    summary: 'What ended jobs cost, and what is held now',
    examples: ['asbb usage summary -A proj001', 'asbb usage summary --by month -S 2025-01-01'],
  }).addCommand(summaryCommand(shell));

const summaryCommand = (shell: Shell): Command =>
  createCommand('summary', {
    summary: 'Sum up what ended jobs cost, by account, user, partition or month; whole days, UTC',
    examples: [
      'asbb usage summary -A proj001',
      'asbb usage summary -A proj001 --by month -S 2025-01-01 -E 2026-01-01 -o csv',
      'asbb usage summary --by partition -S now-7days',
      'asbb usage summary -u alice --json',
    ],
  })
    .argument('[account]', 'Slurm account')
    .addOption(accountOption())
    .option('-u, --user <name>', 'jobs of this user only')
    .option('-p, --partition <name>', 'jobs that ran in this partition only')
    .option('-r <name>', 'the same, as sacct writes it')
    .option('-S, --from <time>', 'from this day on: 2026-11-23, 1123, today, now-7days (default: all)')
    .option('-E, --to <time>', 'until before this day (default: now)')
    .option('--by <what>', 'account, user, partition or month (default: user of one account, else account)')
    .action((bare: string | undefined, options: UsageOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-usage')).runUsageSummary(context, { ...options, bare })),
    );
