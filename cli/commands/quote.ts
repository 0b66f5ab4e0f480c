import type { Command } from 'commander';
import { accountOption, createCommand, type Shell } from '#cli/commands/command';
import type { QuoteOptions } from '#cli/commands/run-quote';

/** `asbb quote`: will this job fit? */
export const quoteCommand = (shell: Shell): Command =>
  createCommand('quote', {
    summary: 'Price a job without touching money; exits 3 if the budget would refuse it',
    examples: [
      'asbb quote job.sbatch',
      'asbb quote job.sbatch -t 6:00:00   # what the line says counts more than what the script says',
      'asbb quote -A physics -p aws -N 8 -t 6:00:00',
      'asbb quote -A physics -p aws -n 72 -c 2 -t 30 --array 1-100%10',
      'asbb quote -A physics -p gpu -G a100:8 -t 1-00 --json | jq .estimated_cost',
    ],
  })
    .argument('[script]', 'batch script whose #SBATCH lines are read; - is standard input')
    .addOption(accountOption())
    .option('-p, --partition <names>', 'partition, or several: aws,local')
    .option('-N, --nodes <count>', 'nodes, or a range: 2-4')
    .option('-n, --ntasks <count>', 'tasks')
    .option('--ntasks-per-node <count>', 'tasks per node')
    .option('-c, --cpus-per-task <count>', 'CPUs per task')
    .option('--cpus-per-gpu <count>', 'CPUs per GPU')
    .option('-t, --time <limit>', 'wall time, as sbatch takes it')
    .option('-G, --gpus <[type:]count>', 'GPUs of the job')
    .option('--gpus-per-node <[type:]count>', 'GPUs per node')
    .option('--gpus-per-task <[type:]count>', 'GPUs per task')
    .option('--gres <list>', 'GPUs per node, as gpu:[type:]count')
    .option('--mem <size>', 'memory per node: 16G')
    .option('--mem-per-cpu <size>', 'memory per CPU: 2G')
    .option('-C, --constraint <features>', 'features of the nodes')
    .option('-a, --array <indices>', 'indices of an array: 1-100%10')
    .option('--exclusive', 'whole nodes')
    .option('--user <name>', 'for whom')
    .option('--cluster <name>', 'Slurm cluster (default: slurm.cluster of the configuration)')
    .action((script: string | undefined, options: QuoteOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-quote')).runQuote(context, { ...options, script })),
    );
