import type { Command } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';
import type { DoctorOptions } from '#cli/commands/run-doctor';

/** `asbb doctor`: why it does not work. */
export const doctorCommand = (shell: Shell): Command =>
  createCommand('doctor', {
    summary: 'Look for what keeps asbb from working: configuration, endpoint, credentials, clock, permissions and, on a head node, Slurm',
    examples: ['asbb doctor', 'sudo -u slurm asbb doctor', 'asbb doctor --json | jq -r \'.checks[] | select(.state == "fail") | .mend\''],
  })
    .option('--state <file>', "the state file of this machine's agent (default: as for asbb agent)")
    .action((options: DoctorOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-doctor')).runDoctor(context, options)),
    );
