import type { Command } from 'commander';
import { createCommand, limitOption, type Shell } from '#cli/commands/command';

const work = () => import('#cli/commands/run-cluster');

/** `asbb cluster`: who acts for which Slurm cluster. */
export const clusterCommand = (shell: Shell): Command =>
  createCommand('cluster', {
    summary: 'Clusters: whose agents are heard, and which roles act for them',
    examples: ['asbb cluster list', 'asbb cluster set hpc1 --principals arn:aws:iam::111122223333:role/hpc1-head-node'],
  })
    .addCommand(listCommand(shell))
    .addCommand(setCommand(shell));

const listCommand = (shell: Shell): Command =>
  createCommand('list', { summary: 'List all clusters', examples: ['asbb cluster list', 'asbb cluster list --json'] })
    .addOption(limitOption())
    .action((options: { limit?: string }, command: Command) =>
      shell.run(command, async (context) => (await work()).runClusterList(context, options)),
    );

const setCommand = (shell: Shell): Command =>
  createCommand('set', {
    summary: 'Say which roles and users act for a cluster, in place of those that did; they then act for no other',
    examples: [
      'asbb cluster set hpc1 --principals arn:aws:iam::111122223333:role/hpc1-agent,arn:aws:iam::111122223333:role/hpc1-plugin',
      "asbb cluster set hpc1 --principals ''",
    ],
  })
    .argument('<name>', 'cluster')
    .requiredOption('--principals <arns>', 'ARNs of roles or users, with commas between; none: the next heartbeat claims the cluster')
    .action((name: string, options: { principals: string }, command: Command) =>
      shell.run(command, async (context) => (await work()).runClusterSet(context, { ...options, name })),
    );
