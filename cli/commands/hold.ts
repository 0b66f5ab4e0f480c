import type { Command } from 'commander';
import { accountOption, createCommand, limitOption, type Shell } from '#cli/commands/command';
import type { HoldListOptions } from '#cli/commands/run-hold';

const work = () => import('#cli/commands/run-hold');

/** `asbb hold`: money set aside for jobs. */
export const holdCommand = (shell: Shell): Command =>
  createCommand('hold', {
    summary: 'Holds: money set aside for jobs',
    examples: ['asbb hold list -A proj001 --state open', 'asbb hold show 6f1c0f5e-0000-4000-8000-000000000001'],
  })
    .addCommand(listCommand(shell))
    .addCommand(showCommand(shell))
    .addCommand(releaseCommand(shell));

const listCommand = (shell: Shell): Command =>
  createCommand('list', {
    summary: 'List the holds of an account, or the open ones of a cluster; newest first',
    examples: [
      'asbb hold list -A proj001',
      'asbb hold list -A proj001 --state open --user alice',
      'asbb hold list --cluster hpc1 --unbound',
    ],
  })
    .addOption(accountOption())
    .option('--cluster <name>', 'open holds of this Slurm cluster')
    .option('--state <state>', 'open, settled, released or expired')
    .option('--user <name>', 'of this user (with -A)')
    .option('--bound', 'with a job (with --cluster)')
    .option('--unbound', 'without a job (with --cluster)')
    .addOption(limitOption())
    .action((options: HoldListOptions, command: Command) =>
      shell.run(command, async (context) => (await work()).runHoldList(context, options)),
    );

const showCommand = (shell: Shell): Command =>
  createCommand('show', {
    summary: 'Show a hold, what it was asked and priced for, and its runs',
    examples: ['asbb hold show 6f1c0f5e-0000-4000-8000-000000000001', 'asbb hold show 6f1c0f5e-0000-4000-8000-000000000001 --json'],
  })
    .argument('<id>', "hold id, as in the job's admin_comment")
    .action((id: string, _options: object, command: Command) =>
      shell.run(command, async (context) => (await work()).runHoldShow(context, { id })),
    );

const releaseCommand = (shell: Shell): Command =>
  createCommand('release', {
    summary: 'Give the money of a hold back, because its job will not run',
    examples: ['asbb hold release 6f1c0f5e-0000-4000-8000-000000000001 --reason "cancelled before it ran"'],
  })
    .argument('<id>', "hold id, as in the job's admin_comment")
    .option('--reason <text>', 'why, for the ledger')
    .action((id: string, options: { reason?: string }, command: Command) =>
      shell.run(command, async (context) => (await work()).runHoldRelease(context, { id, ...options })),
    );
