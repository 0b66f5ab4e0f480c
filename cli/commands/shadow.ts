import type { Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';

/** `asbb shadow`: what enforcement would do, before it is switched on. */
export const shadowCommand = (shell: Shell): Command =>
  createCommand('shadow', {
    summary: 'What the plugin would have refused, while Enforce=no',
    examples: ['asbb shadow report', 'asbb shadow report /var/log/slurm/slurmctld.log*'],
  }).addCommand(
    createCommand('report', {
      summary: "Sum up, from slurmctld's log, what would have been admitted and refused, by account and reason",
      examples: [
        'asbb shadow report',
        'asbb shadow report /var/log/slurm/slurmctld.log /var/log/slurm/slurmctld.log.1.gz',
        'ssh head cat /var/log/slurm/slurmctld.log | asbb shadow report - -o csv',
      ],
    })
      .argument('[file...]', 'logs of slurmctld, also gzipped; - is standard input (default: /var/log/slurm/slurmctld.log)')
      .action((files: readonly string[], _options: unknown, command: Command) =>
        shell.run(command, async (context) => (await import('#cli/commands/run-shadow')).runShadowReport(context, files)),
      ),
  );
