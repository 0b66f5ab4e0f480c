import type { Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';

/** `asbb shadow`: what enforcement would do, before it is switched on. */
export const shadowCommand = (shell: Shell): Command =>
  createCommand('shadow', {
    summary: 'What the plugin would have refused, while Enforce=no',
    examples: ['asbb shadow report', 'asbb shadow report /var/log/slurm/slurmctld.log*'],
  }).addCommand(
    createCommand('report', {
      summary: "What would have been refused, from slurmctld's log, and what it really cost, from the API",
      examples: [
        'asbb shadow report',
        'asbb shadow report /var/log/slurm/slurmctld.log /var/log/slurm/slurmctld.log.1.gz',
        'journalctl -u slurmctld -o short-iso | asbb shadow report -',
        'ssh head cat /var/log/slurm/slurmctld.log | asbb shadow report - -o csv',
      ],
    })
      .argument(
        '[file...]',
        'logs of slurmctld, or of syslog or journald with its lines, also gzipped; - is standard input (default: /var/log/slurm/slurmctld.log)',
      )
      .option('--log-only', 'ask no API what became of the jobs')
      .action((files: readonly string[], options: { logOnly?: boolean }, command: Command) =>
        shell.run(command, async (context) => (await import('#cli/commands/run-shadow')).runShadowReport(context, files, options)),
      ),
  );
