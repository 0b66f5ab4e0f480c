import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CONFIG_TEMPLATE } from '#cli/config';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, failure, usageError } from '#cli/exit';

/** Write the template; never over somebody's file unless told so. */
export const runConfigInit = async (
  context: Context,
  { output, force = false }: { output?: string; force?: boolean },
): Promise<ExitCode> => {
  if (output === undefined || output === '-') {
    context.print(CONFIG_TEMPLATE);
    return EXIT.ok;
  }
  if (output === '') throw usageError('--output names no file');
  await write(output, force ? 'w' : 'wx');
  context.tell(`wrote ${output}: now say where the API is, as api.endpoint`);
  return EXIT.ok;
};

const write = async (file: string, flag: 'w' | 'wx'): Promise<void> => {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, CONFIG_TEMPLATE, { flag });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    if (code === 'EEXIST') throw failure(`${file} exists: replace it with --force, or name another file`, { cause: error });
    throw failure(`cannot write ${file} (${code})`, { cause: error });
  }
};
