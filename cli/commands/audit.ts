import type { Command } from 'commander';
import { accountOption, createCommand, type Shell } from '#cli/commands/command';
import type { AuditOptions } from '#cli/commands/run-audit';

/** `asbb audit`: does the ledger explain what is stored? */
export const auditCommand = (shell: Shell): Command =>
  auditAs(shell, 'audit', 'Replay the ledger and compare; exits 1 if anything differs');

/** `asbb recover`: the name that the original design had for it. */
export const recoverCommand = (shell: Shell): Command => auditAs(shell, 'recover', "The same as 'audit'");

const auditAs = (shell: Shell, name: string, summary: string): Command =>
  createCommand(name, {
    summary,
    examples: [`asbb ${name}`, `asbb ${name} -A proj001`, `asbb ${name} --repair`, `asbb ${name} --json | jq .differences`],
  })
    .addOption(accountOption())
    .option('--repair', 'set the columns of accounts to what the ledger says, and record it in the ledger')
    .action((options: AuditOptions, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/commands/run-audit')).runAudit(context, options)),
    );
