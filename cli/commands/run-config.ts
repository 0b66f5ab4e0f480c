import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { StackError } from '#adapters/stack-outputs';
import { normalEndpoint, regionOf } from '#cli/api-client';
import { CONFIG_TEMPLATE, configFor, loadConfig } from '#cli/config';
import type { Context } from '#cli/context';
import { CommandError, EXIT, type ExitCode, failure, usageError } from '#cli/exit';
import { type Column, printList } from '#cli/render';

export interface ConfigInitOptions {
  readonly output?: string;
  readonly force?: boolean;
  readonly fromStack?: string;
}

/** Write the template, or what a stack makes of it; never over somebody's file unless told so. */
export const runConfigInit = async (context: Context, { output, force = false, fromStack }: ConfigInitOptions): Promise<ExitCode> => {
  if (output === '') throw usageError('--output names no file');
  const content = fromStack === undefined ? CONFIG_TEMPLATE : await contentFrom(context, fromStack);
  if (output === undefined || output === '-') {
    context.print(content);
    return EXIT.ok;
  }
  await write(output, content, force ? 'w' : 'wx');
  context.tell(
    fromStack === undefined ? `wrote ${output}: now say where the API is, as api.endpoint` : `wrote ${output}: try it with 'asbb doctor'`,
  );
  return EXIT.ok;
};

const write = async (file: string, content: string, flag: 'w' | 'wx'): Promise<void> => {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { flag });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    if (code === 'EEXIST') throw failure(`${file} exists: replace it with --force, or name another file`, { cause: error });
    throw failure(`cannot write ${file} (${code})`, { cause: error });
  }
};

/** What is wrong ends the command with a sentence, as it would end every other one. */
export const runConfigValidate = async (context: Context, { file }: { file: string | undefined }): Promise<ExitCode> => {
  if (file === '') throw usageError('the file has no name');
  const { files } = file === undefined ? await context.config() : loadConfig({ explicit: file, usual: [] });
  const rows = files.map((each) => ({ file: each, valid: true }));
  if (files.length > 0 || context.format !== 'table')
    await printList(context, { key: 'files', shape: { file: 'text', valid: 'flag' }, columns: VALIDATED, rows });
  if (files.length === 0) context.tell("there is no configuration, so the defaults hold: write one with 'asbb config init'");
  return EXIT.ok;
};

const VALIDATED: readonly Column<{ file: string; valid: boolean }>[] = [
  { field: 'file', header: 'FILE' },
  { field: 'valid', header: 'VALID' },
];

// --- from a stack -------------------------------------------------------------------------------------------------------

/** As CloudFormation takes it: a name or an ARN. */
const STACK = /^(?:[A-Za-z][A-Za-z0-9-]{0,127}|arn:[\w+=/,.@:-]{1,1000})$/;

const contentFrom = async (context: Context, stack: string): Promise<string> => {
  if (!STACK.test(stack)) throw usageError(`--from-stack '${stack}': must be the name of a stack, like Asbb-prod-Api`);
  const { region, status, outputs } = await context.stackOutputs(stack).catch((error: unknown) => {
    throw isStackError(error) ? sentenceOf(stack, error) : error;
  });
  const endpoint = outputs.get('ApiEndpoint');
  if (endpoint === undefined) throw withoutEndpoint({ stack, region, status, isEmpty: outputs.size === 0 });
  const normal = normalEndpoint(endpoint);
  return configFor({ endpoint: normal, region: regionOf(normal) ?? region, eventBus: outputs.get('EventBusName') });
};

/** By its name: to load its class would be to load its room. */
const isStackError = (error: unknown): error is StackError => error instanceof Error && error.name === 'StackError';

const sentenceOf = (stack: string, error: StackError): CommandError => {
  const where = error.region ?? 'this region';
  const of = { cause: error };
  switch (error.reason) {
    case 'no_stack':
      return failure(
        `there is no stack ${stack} in ${where}: name its region with --region, its account with --profile, or deploy it first`,
        of,
      );
    case 'no_region':
      return usageError(`in which region is the stack ${stack}? Say it with --region or AWS_REGION`, of);
    case 'forbidden':
      return new CommandError(
        EXIT.notAuthorised,
        `may not look at the stack ${stack} in ${where}: let these credentials do cloudformation:DescribeStacks, or name others with --profile (${error.message})`,
        of,
      );
    case 'unauthenticated':
      return new CommandError(
        EXIT.notAuthorised,
        `no AWS credentials that ${where} takes (${error.message}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile`,
        of,
      );
    case 'unreachable':
      return new CommandError(
        EXIT.unreachable,
        `CloudFormation in ${where} does not answer (${error.message}): check the name of the region and the network`,
        of,
      );
    case 'refused':
      return failure(`CloudFormation in ${where} does not show the stack ${stack}: ${error.message}`, of);
  }
};

const withoutEndpoint = ({ stack, region, status, isEmpty }: { stack: string; region: string; status: string; isEmpty: boolean }) => {
  if (status.endsWith('_IN_PROGRESS')) return failure(`the stack ${stack} in ${region} is not ready (${status}): try again when it is`);
  if (!isEmpty) return failure(`the stack ${stack} in ${region} has no output ApiEndpoint: name the one that ends with -Api`);
  return failure(`the stack ${stack} in ${region} has no outputs (${status}): deploy it again, or name the one that ends with -Api`);
};
