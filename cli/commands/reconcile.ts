import type { Command } from 'commander';
import { accountOption, createCommand, type Shell } from '#cli/commands/command';
import type { ReconcileOptions } from '#cli/commands/run-reconcile';

/** `asbb reconcile`: book what a run really cost. */
export const reconcileCommand = (shell: Shell): Command =>
  createCommand('reconcile', {
    summary: 'Book what one run really cost, and return the rest of its hold',
    examples: [
      'asbb reconcile --hold-id 6f1c0f5e-0000-4000-8000-000000000001 --actual-cost 8.25',
      'asbb reconcile --cluster hpc1 --job-id 1234 --elapsed 01:30:00 --state COMPLETED',
      'asbb reconcile --cluster hpc1 --file job-1234-asbb-reconciliation.json',
    ],
  })
    .option('--hold-id <id>', 'hold of the job')
    .option('--cluster <name>', 'Slurm cluster of the job')
    .option('--job-id <id>', "job id: sacct's JobIDRaw")
    .option('--run-id <id>', 'name of the run: needed for arrays; the same again is the same booking')
    .option('--actual-cost <dollars>', 'what it cost')
    .option('--elapsed <time>', 'how long it ran, as sacct prints it: seconds or [D-]HH:MM:SS')
    .option('--state <state>', "its state, one of Slurm's")
    .option('--no-final', 'another run of the same job follows')
    .option('--tasks <count>', 'how many tasks of an array ended')
    .addOption(accountOption())
    .option('--file <file>', 'cost JSON of ASBX (aws-slurm-burst)')
    .action((options: ReconcileOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-reconcile')).runReconcile(context, options)),
    );
