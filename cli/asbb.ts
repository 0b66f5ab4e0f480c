// The command `asbb`. What it does is in commands/; here it meets the process.
import { writeSync } from 'node:fs';
import { runAsbb } from '#cli/commands/program';
import { processMachine } from '#cli/context';
import { EXIT } from '#cli/exit';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(); // The reader has seen enough, as in `asbb account list | head`.
    exitUnwritten(error);
  });
}

/** A full disk, most likely: whoever reads the output must not take what is there for all of it. */
function exitUnwritten(error: NodeJS.ErrnoException): never {
  try {
    writeSync(2, `asbb: cannot write the output: ${error.code === 'ENOSPC' ? 'no space left on the device' : error.message}\n`);
  } catch {
    // Nor can this be said.
  }
  process.exit(EXIT.failed);
}

// The SDK's word about Node 22 is for whoever updates the packages, not for whoever asks what a job costs.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

// Not process.exit: it would cut off what is still on its way through a pipe.
try {
  process.exitCode = await runAsbb(process.argv.slice(2), processMachine());
} catch (error) {
  if ((error as NodeJS.ErrnoException).syscall !== 'write') throw error;
  exitUnwritten(error as NodeJS.ErrnoException);
}
