// A file of commands, each followed by what it prints: read for its commands, run, and written anew.
import { readFileSync } from 'node:fs';
import { StackError } from '#adapters/stack-outputs';
import { runAsbb } from '#cli/commands/program';
import type { Machine, TableAdmin, TableStatus } from '#cli/context';
import { SCHEMA_VERSION } from '#contract/table';
import { aMachine } from '#test/cli/machine';
import { createGoldenService, ENDPOINT } from '#test/golden/service';

const PROMPT = '$ ';
const HEADING = '=== ';

/** Headings and commands of a transcript. */
export const scriptOf = (file: string): string[] => {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line.startsWith(PROMPT) || line.startsWith(HEADING));
};

export interface Line {
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
}

/** Words as a shell makes them of quotes and spaces, behind variables for this command alone. */
export const readLine = (line: string): Line => {
  const words = [...line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) => word.replace(/'([^']*)'|"([^"]*)"/g, '$1$2'));
  const at = words.indexOf('asbb');
  const env = Object.fromEntries(words.slice(0, at).map((word) => word.split(/=(.*)/s).slice(0, 2)));
  return { env, argv: words.slice(at + 1) };
};

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A table that is not there before it is made. */
const aTable = (): TableAdmin => {
  const ready: TableStatus = { table: 'asbb', state: 'active', missingIndexes: [], schemaVersion: SCHEMA_VERSION, usable: true };
  let status: TableStatus = { ...ready, state: 'absent', schemaVersion: null, missingIndexes: ['GSI1', 'GSI2', 'GSI3'], usable: false };
  const migrate = () => {
    const created = !status.usable;
    status = ready;
    return { ...status, created };
  };
  return { status: async () => status, migrate: async () => migrate() };
};

/** The only stack that AWS knows of. */
const aStack = async ({ stack }: { stack: string }) => {
  if (stack !== 'Asbb-prod-Api') throw new StackError('no_stack', 'us-east-1', `Stack with id ${stack} does not exist`);
  const endpoint = 'https://a1b2c3.execute-api.us-east-1.amazonaws.com';
  return {
    region: 'us-east-1',
    status: 'CREATE_COMPLETE',
    outputs: new Map([
      ['ApiEndpoint', endpoint],
      ['EventBusName', 'asbb-prod'],
    ]),
  };
};

/** A machine on which nothing is but one service. */
export const aShell = async (given: Partial<Machine> & { columns?: number } = {}): Promise<(line: string | Line) => Promise<Ran>> => {
  const fetch = await createGoldenService();
  const table = aTable();
  let ids = 0;
  return async (line) => {
    const { env, argv } = typeof line === 'string' ? readLine(line) : line;
    const machine = aMachine({
      fetch,
      newId: () => `d0000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`,
      openTable: async () => table,
      readStackOutputs: aStack,
      ...given,
      env: { ASBB_ENDPOINT: ENDPOINT, ASBB_CONF: '/nonexistent/asbb.conf', XDG_STATE_HOME: '/nonexistent', ...env },
    });
    const code = await runAsbb(argv, machine);
    return { code, out: machine.out(), err: machine.err() };
  };
};

/** The same transcript, with what its commands print now. CSV's line ends, CR and LF, are shown as any other. */
export const play = async (script: readonly string[]): Promise<string> => {
  const run = await aShell();
  const parts: string[] = [];
  for (const line of script) {
    if (!line.startsWith(PROMPT)) {
      parts.push(`\n${line}\n`);
      continue;
    }
    const { code, out, err } = await run(line.slice(PROMPT.length));
    const words = err === '' ? '' : err.replace(/^/gm, '2> ').replace(/2> $/, '');
    parts.push(
      `${parts.at(-1)?.startsWith(`\n${HEADING}`) ? '' : '\n'}${line}\n${out.replaceAll('\r\n', '\n')}${words}${code === 0 ? '' : `(exit status ${code})\n`}`,
    );
  }
  return parts.join('').trimStart();
};
