// The command `asbb`. What it does is in commands/; here it meets the process.
import { runAsbb } from '#cli/commands/program';
import { processMachine } from '#cli/context';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(); // The reader has seen enough, as in `asbb account list | head`.
    throw error;
  });
}

// The SDK's word about Node 22 is for whoever updates the packages, not for whoever asks what a job costs.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

// Not process.exit: it would cut off what is still on its way through a pipe.
process.exitCode = await runAsbb(process.argv.slice(2), processMachine());
