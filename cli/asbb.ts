#!/usr/bin/env -S npx tsx
// The command `asbb`. What it does is in commands/; here it meets the process.
import { runAsbb } from '#cli/commands/program';
import { processMachine } from '#cli/context';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(); // The reader has seen enough, as in `asbb account list | head`.
    throw error;
  });
}

// Not process.exit: it would cut off what is still on its way through a pipe.
process.exitCode = await runAsbb(process.argv.slice(2), processMachine());
