import type { Command } from 'commander';
import { accountOption, createCommand, type Shell } from '#cli/commands/command';
import type { AccuracyOptions } from '#cli/commands/run-accuracy';
import type { UsageOptions } from '#cli/commands/run-usage';

/** `asbb usage`: what runs cost, and how well that was estimated. */
export const usageCommand = (shell: Shell): Command =>
  createCommand('usage', {
    summary: 'What ended jobs cost, and what is held now',
    examples: ['asbb usage summary -A proj001', 'asbb usage summary --by month -S 2025-01-01', 'asbb usage accuracy'],
  })
    .addCommand(summaryCommand(shell))
    .addCommand(accuracyCommand(shell));

const FROM = ['-S, --from <time>', 'from this day on: 2026-11-23, 1123, today, now-7days (default: all)'] as const;
const TO = ['-E, --to <time>', 'until before this day (default: now)'] as const;
const BY = ['--by <what>', 'account, user, partition or month (default: user of one account, else account)'] as const;

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
    .option(...FROM)
    .option(...TO)
    .option(...BY)
    .action((bare: string | undefined, options: UsageOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-usage')).runUsageSummary(context, { ...options, bare })),
    );

const accuracyCommand = (shell: Shell): Command =>
  createCommand('accuracy', {
    summary: 'Compare what was estimated and held with what was used, of holds that were closed; and say what to hold instead',
    examples: [
      'asbb usage accuracy',
      'asbb usage accuracy -A proj001 -S now-90days',
      'asbb usage accuracy --by partition --risk 1%',
      'asbb usage accuracy --by month -o csv',
    ],
  })
    .argument('[account]', 'Slurm account')
    .addOption(accountOption())
    .option('-u, --user <name>', 'holds for jobs of this user only')
    .option('-p, --partition <name>', 'holds that were priced for this partition only')
    .option('-r <name>', 'the same, as sacct writes it')
    .option(...FROM)
    .option(...TO)
    .option(...BY)
    .option('--risk <share>', 'how many of the holds may cost more than what is suggested: 5% or 0.05', '5%')
    .action((bare: string | undefined, options: AccuracyOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-accuracy')).runUsageAccuracy(context, { ...options, bare })),
    );
