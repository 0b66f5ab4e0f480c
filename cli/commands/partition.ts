import type { Command } from 'commander';
import { createCommand, limitOption, type Shell } from '#cli/commands/command';
import type { PartitionSetOptions } from '#cli/commands/run-partition';
import type { PartitionImportOptions } from '#cli/commands/run-partition-import';

const work = () => import('#cli/commands/run-partition');

/** `asbb partition`: what a node of a Slurm partition is, and so what it costs. */
export const partitionCommand = (shell: Shell): Command =>
  createCommand('partition', {
    summary: 'Partitions: which instances are behind them, and so what they cost',
    examples: ['asbb partition list', 'asbb partition set aws --region us-east-1 --types c5.18xlarge,c5n.18xlarge'],
  })
    .addCommand(listCommand(shell))
    .addCommand(showCommand(shell))
    .addCommand(setCommand(shell))
    .addCommand(deleteCommand(shell))
    .addCommand(importCommand(shell));

const listCommand = (shell: Shell): Command =>
  createCommand('list', { summary: 'List all partitions', examples: ['asbb partition list', 'asbb partition list -o csv'] })
    .addOption(limitOption())
    .action((options: { limit?: string }, command: Command) =>
      shell.run(command, async (context) => (await work()).runPartitionList(context, options)),
    );

const showCommand = (shell: Shell): Command =>
  createCommand('show', {
    summary: 'Show one partition',
    examples: ['asbb partition show aws', 'asbb partition show aws --json > aws.json'],
  })
    .argument('<name>', 'partition')
    .action((name: string, _options: object, command: Command) =>
      shell.run(command, async (context) => (await work()).runPartitionShow(context, { name })),
    );

const setCommand = (shell: Shell): Command =>
  createCommand('set', {
    summary: 'Say what a partition is; what is not said has its default',
    examples: [
      'asbb partition set aws --region us-east-1 --types c5.18xlarge,c5n.18xlarge',
      'asbb partition set spot --region us-east-1 --types c5.18xlarge --purchase spot --overhead-minutes 5 --default-time 1:00:00',
      'asbb partition set lab --region us-east-1 --unpriced flat --flat-rate 2.50',
      'asbb partition set aws --file aws.yaml',
    ],
  })
    .argument('<name>', 'partition')
    .option('--region <region>', 'AWS region of its nodes')
    .option('--types <types>', 'instance types, with commas between')
    .option('--purchase <how>', 'on-demand or spot')
    .option('--allocation <how>', 'exclusive (whole nodes) or shared')
    .option('--discount-factor <factor>', 'what part of the list price is paid: 0.72')
    .option('--overhead-minutes <minutes>', 'boot and idle tail of each node')
    .option('--overhead-per-node-hour <dollars>', 'disks, network and so on')
    .option('--overhead <who>', 'who pays it: run or site')
    .option('--default-time <limit>', 'wall time of a job that names none')
    .option('--unpriced <policy>', 'without a price: deny or flat')
    .option('--flat-rate <dollars>', 'per node hour, with --unpriced flat')
    .option('--threads-per-core <count>', '1 without hyper-threads')
    .option('--memory-per-node <size>', 'if less than the instance has: 180G')
    .option('--write-off-node-failures', 'the site pays runs that a failing node ended')
    .option('--file <file>', 'all of it from JSON or YAML, with the names of the API')
    .action((name: string, options: PartitionSetOptions, command: Command) =>
      shell.run(command, async (context) => (await work()).runPartitionSet(context, { ...options, name })),
    );

const deleteCommand = (shell: Shell): Command =>
  createCommand('delete', { summary: 'Forget a partition', examples: ['asbb partition delete aws'] })
    .argument('<name>', 'partition')
    .action((name: string, _options: object, command: Command) =>
      shell.run(command, async (context) => (await work()).runPartitionDelete(context, { name })),
    );

const importCommand = (shell: Shell): Command =>
  createCommand('import', {
    summary: "Model partitions by their cluster's own files; what these do not say stays as it is",
    examples: [
      'asbb partition import fleet-config.json --region us-east-1 --dry-run',
      'asbb partition import partitions.json',
      'asbb partition import fleet-config.json <(scontrol show node) <(scontrol show partition) <(scontrol show config)',
    ],
  })
    .argument('<files...>', 'fleet-config.json, cluster configuration, partitions.json, ASBX YAML, output of scontrol show')
    .option('--region <region>', 'AWS region of partitions for which no file says it')
    .option('--partition <names>', 'only these, with commas between')
    .option('--dry-run', 'show what would change, and change nothing')
    .action((files: string[], options: Omit<PartitionImportOptions, 'files'>, command: Command) =>
      shell.run(command, async (context) =>
        (await import('#cli/commands/run-partition-import')).runPartitionImport(context, { ...options, files }),
      ),
    );
