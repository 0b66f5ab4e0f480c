// The functions' code as it is deployed: small enough, and whole.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, bundled } from '#test/infra/bundle';
import { ofType, PATIENCE_MS, type Synthesised, synthesised } from '#test/infra/synth';

/** All files of a function, in bytes, a twentieth above what they are now: what is added to one is added knowingly. */
const MAX_BYTES = {
  submit: 495_000,
  agent: 515_000,
  admin: 680_000,
  expire: 420_000,
  'job-ended': 480_000,
  stream: 550_000,
  audit: 430_000,
  'price-refresh': 420_000,
  preflight: 435_000,
} as const;
/** What submit reads before it can be asked. A kB is some 0.05 ms of a cold start. */
const MAX_BYTES_AT_ONCE = 390_000;
const MAX_CATALOGUE_BYTES = 40_000;
/** zod/mini; all of zod is three times as much. */
const MAX_ZOD_BYTES = 35_000;
const CATALOGUE = 'the catalogue of prices';

let stacks: Synthesised;
let submit: Bundle;
beforeAll(async () => {
  stacks = synthesised({ bundle: true });
  submit = await bundled({ entry: 'lambdas/http/submit-function.ts' }, join(stacks.folder, 'submit'));
}, PATIENCE_MS);
afterAll(() => rmSync(stacks.folder, { recursive: true }));

/** Name and folder of each function. */
const functions = (): Record<string, string> =>
  Object.fromEntries(
    ofType(stacks, 'AWS::Lambda::Function').map(([, { Properties }]) => [
      Properties.FunctionName.replace('asbb-test-', ''),
      join(stacks.folder, `asset.${Properties.Code.S3Key.replace('.zip', '')}`),
    ]),
  );

/** Code of a folder by the files' names. */
const codeIn = (folder = ''): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder)
      .filter((file) => file.endsWith('.mjs'))
      .map((file) => [file, readFileSync(join(folder, file), 'utf8')]),
  );

/** Of the code but for the names of chunks, which depend on the folder, since their source maps do. */
const digestsOf = (folder = ''): string[] =>
  Object.values(codeIn(folder))
    .map((code) =>
      createHash('sha256')
        .update(code.replace(/-[0-9A-Z]{8}\.mjs/g, '.mjs'))
        .digest('hex'),
    )
    .sort();

const clientsIn = (parts: Bundle['parts']): string[] => [...parts.keys()].filter((part) => part.startsWith('@aws-sdk/client-')).sort();

describe('the bundles', () => {
  it('are each of these, and no other', () => {
    expect(Object.keys(functions()).sort()).toEqual(Object.keys(MAX_BYTES).sort());
    expect(new Set(Object.values(functions())).size).toBe(Object.keys(MAX_BYTES).length);
  });

  it.each(Object.entries(MAX_BYTES))('of %s have at most %i bytes', (name, most) => {
    const folder = functions()[name] ?? '';
    const bytes = Object.keys(codeIn(folder)).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
    process.stdout.write(`bundle ${name}: ${bytes} bytes\n`);
    expect(bytes).toBeGreaterThan(100_000);
    expect(bytes).toBeLessThanOrEqual(most);
  });

  it(`have at most ${MAX_BYTES_AT_ONCE} bytes in submit that a cold start reads, and zod is a small part of them`, () => {
    for (const [part, bytes] of [...submit.parts].slice(0, 12)) process.stdout.write(`  at once in submit: ${bytes} bytes of ${part}\n`);
    process.stdout.write(`at once in submit: ${submit.bytes} bytes, later ${submit.laterBytes}\n`);
    expect(submit.bytes).toBeLessThanOrEqual(MAX_BYTES_AT_ONCE);
    expect(submit.parts.get('zod')).toBeLessThanOrEqual(MAX_ZOD_BYTES);
  });

  it('have the catalogue of prices in submit, for when it is asked', () => {
    expect(submit.laterParts.get(CATALOGUE)).toBeGreaterThan(20_000);
    expect(submit.laterParts.get(CATALOGUE)).toBeLessThanOrEqual(MAX_CATALOGUE_BYTES);
  });

  it('keep the OpenAPI document out of submit', () => {
    expect([...submit.parts.keys(), ...submit.laterParts.keys()].filter((part) => part.startsWith('docs/'))).toEqual([]);
  });

  it('are what the benchmark measures', () => {
    expect(digestsOf(dirname(submit.file))).toEqual(digestsOf(functions().submit));
  });

  it("have no client at once in submit but the table's; those of prices and of a key are read when one is asked for", () => {
    expect(clientsIn(submit.parts)).toEqual(['@aws-sdk/client-dynamodb']);
    expect(clientsIn(submit.laterParts)).toEqual(['@aws-sdk/client-pricing', '@aws-sdk/client-secrets-manager']);
  });

  it.each(Object.keys(MAX_BYTES))('of %s load every file, and have a handler', (name) => {
    const folder = functions()[name] ?? '';
    const env = { PATH: process.env.PATH, AWS_REGION: 'eu-central-1', TABLE_NAME: 'none', EVENT_BUS_NAME: 'none' };
    const program = `for (const file of process.argv.slice(1)) await import(file);
      process.stdout.write(typeof (await import(process.argv[1])).handler)`;
    const files = ['index.mjs', ...Object.keys(codeIn(folder))].map((file) => pathToFileURL(join(folder, file)).href);
    const options = ['--input-type=module', '-e', program, ...files];
    expect(execFileSync(process.execPath, options, { encoding: 'utf8', env })).toBe('function');
  });
});
