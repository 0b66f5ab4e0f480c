// Waits for a line on stdin, so that many of these try at once; says whether it got the lock, and keeps it until killed.
import { lockDataDirectory } from '#cli/local/data-lock';

const [directory = ''] = process.argv.slice(2);
console.log('ready');
process.stdin.once('data', () => {
  try {
    lockDataDirectory(directory);
    console.log('locked');
  } catch (error) {
    console.log((error as Error).message);
  }
});
