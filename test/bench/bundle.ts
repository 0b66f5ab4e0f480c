// What a cold start loads: the size of each function, what is in submit, and how long its modules take to load against the bare
// SDK clients that it uses.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { medianOf, type Section } from '#test/bench/measure';
import { bundled } from '#test/infra/bundle';

const ROOT = join(import.meta.dirname, '../..');
const RUNS = 41;
const PARTS_SHOWN = 8;
const FUNCTIONS = {
  submit: 'lambdas/http/submit-function.ts',
  agent: 'lambdas/http/agent-function.ts',
  admin: 'lambdas/http/admin-function.ts',
  expire: 'lambdas/events/expire-function.ts',
  'job-ended': 'lambdas/events/job-ended-function.ts',
  stream: 'lambdas/events/stream-function.ts',
  audit: 'lambdas/events/audit-function.ts',
  'price-refresh': 'lambdas/events/price-refresh-function.ts',
  preflight: 'lambdas/events/preflight-function.ts',
} as const;

/** The same clients and commands as the store of submit, and nothing else. */
const BARE = `
import { DynamoDBClient, TransactionCanceledException, ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { BatchGetCommand, DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
const client = DynamoDBDocumentClient.from(new DynamoDBClient({ maxAttempts: 1 }));
export const handler = [client, BatchGetCommand, DeleteCommand, GetCommand, PutCommand, QueryCommand, TransactWriteCommand, TransactionCanceledException, ConditionalCheckFailedException];
`;

export const benchBundle = async (): Promise<Section> => {
  const folder = mkdtempSync(join(tmpdir(), 'asbb-bundle-'));
  try {
    const bare = await bundled({ stdin: { contents: BARE, resolveDir: ROOT, loader: 'ts' } }, join(folder, 'bare'));
    const functions = await Promise.all(
      Object.entries(FUNCTIONS).map(async ([name, entry]) => [name, await bundled({ entryPoints: [entry] }, join(folder, name))] as const),
    );
    const submit = functions.find(([name]) => name === 'submit')?.[1];
    if (submit === undefined) throw new Error('submit was not bundled');
    const times = { bare: [] as number[], submit: [] as number[], mapped: [] as number[] };
    for (let run = 0; run < RUNS; run++) {
      times.bare.push(loadMs(bare.file));
      times.submit.push(loadMs(submit.file));
      times.mapped.push(loadMs(submit.file, '--enable-source-maps'));
    }
    const [bareMs, submitMs, mappedMs] = [medianOf(times.bare), medianOf(times.submit), medianOf(times.mapped)];
    return {
      title: 'Bundles of the functions',
      notes: [
        `Modules of submit load in ${submitMs.toFixed(0)} ms of CPU, the bare SDK clients that it uses in ${bareMs.toFixed(0)} ms: ratio ${(submitMs / bareMs).toFixed(2)}, medians of ${RUNS} processes in turn; the aim is at most 1.3. With source maps on, as deployed: ${mappedMs.toFixed(0)} ms.`,
        `In submit, kB: ${[...submit.parts]
          .slice(0, PARTS_SHOWN)
          .map(([part, bytes]) => `${part} ${(bytes / 1000).toFixed(0)}`)
          .join(', ')}.`,
      ],
      head: ['', 'kB'],
      rows: [['bare SDK clients', bare] as const, ...functions].map(([name, { bytes }]) => [name, (bytes / 1000).toFixed(1)]),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/**
 * CPU time of a process of its own, so that nothing is loaded yet and other work on the machine counts little. Garbage
 * collection and compilation beside the main thread are in it.
 */
const loadMs = (file: string, ...options: string[]): number => {
  const program = `const from = process.cpuUsage(); require(process.argv[1]); const { user, system } = process.cpuUsage(from);
    process.stdout.write(String((user + system) / 1000))`;
  const env = { PATH: process.env.PATH, AWS_REGION: 'eu-central-1', AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' };
  return Number(execFileSync(process.execPath, [...options, '-e', program, file], { encoding: 'utf8', env }));
};
