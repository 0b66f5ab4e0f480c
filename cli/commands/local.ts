import { type Command, InvalidArgumentError, Option } from 'commander';
import { createCommand, type Shell } from '#cli/commands/command';
import type { LocalLine } from '#cli/local/run-local';

const MAX_PORT = 65_535;

/** `asbb local`: the whole service on this machine. */
export const localCommand = (shell: Shell): Command =>
  createCommand('local', {
    summary: 'Run the whole service on this machine, until SIGTERM or SIGINT',
    examples: ['asbb local', 'asbb local --port 0 --store memory', 'asbb local --data ./money --auth --access-key dev --secret-key secret'],
  })
    .option('--port <port>', 'port on 127.0.0.1, 0 for a free one (default: that of service.listen_addr, or 8080)', portOf)
    .option('--data <dir>', 'folder where the money is kept')
    .addOption(
      new Option('--store <store>', 'what keeps it (default: dynamodb where there is a Java for it)').choices(['dynamodb', 'memory']),
    )
    .option('--auth', 'demand signed requests (SigV4)')
    .option('--access-key <key>', 'access key id that signs (with --auth)')
    .option('--secret-key <key>', 'secret key that signs (with --auth)')
    .action((options: LocalLine, command: Command) =>
      shell.run(command, async (context) => (await import('#cli/local/run-local')).runLocal(context, options)),
    );

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= MAX_PORT)) throw new InvalidArgumentError(`It must be from 0 to ${MAX_PORT}.`);
  return port;
}
