import type { Command } from 'commander';
import { accountOption, createCommand, limitOption, type Shell } from '#cli/commands/command';
import type { TransactionsOptions } from '#cli/commands/run-transactions';

/** `asbb transactions`: the ledger. */
export const transactionsCommand = (shell: Shell): Command =>
  createCommand('transactions', {
    summary: 'The ledger: every movement of money, oldest first',
    examples: ['asbb transactions list -A proj001', 'asbb transactions list -A proj001 -S 2025-01-01 -o csv > january.csv'],
  }).addCommand(listCommand(shell));

const listCommand = (shell: Shell): Command =>
  createCommand('list', {
    summary: 'List the ledger entries of an account, oldest first',
    examples: [
      'asbb transactions list -A proj001',
      'asbb transactions list -A proj001 -S 2025-01-01 -E 2025-02-01 -o csv',
      'asbb transactions list -A proj001 -S 2025-01-31T12:00:00Z --json',
    ],
  })
    .argument('[account]', 'Slurm account')
    .addOption(accountOption())
    .option('-S, --from <time>', 'from then on: 2026-11-23, 2026-11-23T15:00:00Z, 1123, today, now-7days (default: all)')
    .option('-E, --to <time>', 'until before then (default: now)')
    .addOption(limitOption())
    .action((bare: string | undefined, options: TransactionsOptions, command: Command) =>
      shell.run(command, async (context) =>
        (await import('#cli/commands/run-transactions')).runTransactionsList(context, { ...options, bare }),
      ),
    );
