// What the agent's readers of files have in common: others write these files, so nothing about them is taken for granted.
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readSync, type Stats } from 'node:fs';

/** A system call that failed, as node:fs tells it. */
export const isFileError = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && 'syscall' in error;

/** A folder that is not there has nothing in it. */
export const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isFileError(error) && error.code === 'ENOENT') return [];
    throw error;
  }
};

/** Of the name itself, not of what a link leads to. */
export const statOrNot = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });

/**
 * Read a plain file, but of a long one only a byte more than `maxBytes`, so that its reader sees that it is too long.
 * @returns undefined for a folder, a FIFO and the like
 * @throws the error of the system call that failed
 */
export const readPlainFile = (path: string, { maxBytes, links }: { maxBytes: number; links: 'follow' | 'refuse' }): Buffer | undefined => {
  // Without NONBLOCK, a FIFO would hold the agent up.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | (links === 'refuse' ? constants.O_NOFOLLOW : 0));
  try {
    if (!fstatSync(file).isFile()) return undefined;
    const content = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (let n = 1; n > 0 && length < content.length; length += n) n = readSync(file, content, length, content.length - length, null);
    return content.subarray(0, length);
  } finally {
    closeSync(file);
  }
};
