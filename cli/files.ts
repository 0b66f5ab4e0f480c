// Files that people name on the command line.
import { open } from 'node:fs/promises';
import { usageError } from '#cli/exit';

/** Whole, or not at all. What a shell makes of `<(scontrol show node)` is a pipe, whose length nobody knows beforehand. */
export const textOfFile = async (file: string, maxBytes: number): Promise<string> => {
  try {
    const handle = await open(file);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of handle.createReadStream()) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > maxBytes) break;
    }
    if (length <= maxBytes) return Buffer.concat(chunks).toString('utf8');
  } catch (error) {
    throw usageError(`cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? error})`, { cause: error });
  }
  throw usageError(`${file} has more than ${maxBytes / 1024 / 1024} MiB: give a part of it`);
};
