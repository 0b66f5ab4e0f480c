// The functions' code as it is deployed: small enough, and whole.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, bundled } from '#test/infra/bundle';
import { ofType, PATIENCE_MS, type Synthesised, synthesised } from '#test/infra/synth';

/** A twentieth above what they have now: what is added to one is added knowingly. Each kB is 0.05 ms of a cold start. */
const MAX_BYTES = {
  submit: 505_000,
  agent: 525_000,
  admin: 690_000,
  expire: 430_000,
  'job-ended': 490_000,
  stream: 570_000,
  audit: 440_000,
  'price-refresh': 430_000,
  preflight: 450_000,
} as const;
/** zod/mini; all of zod is three times as much. */
const MAX_ZOD_BYTES = 35_000;
const MAX_CATALOGUE_BYTES = 40_000;

let stacks: Synthesised;
let submit: Bundle;
beforeAll(async () => {
  stacks = synthesised({ bundle: true });
  submit = await bundled({ entryPoints: ['lambdas/http/submit-function.ts'] }, join(stacks.folder, 'submit'));
}, PATIENCE_MS);
afterAll(() => rmSync(stacks.folder, { recursive: true }));

/** Name and code of each function. */
const functions = (): [string, string][] =>
  ofType(stacks, 'AWS::Lambda::Function').map(([, { Properties }]) => [
    Properties.FunctionName,
    join(stacks.folder, `asset.${Properties.Code.S3Key.replace('.zip', '')}`, 'index.js'),
  ]);

describe('the bundles', () => {
  it.each(Object.entries(MAX_BYTES))('of %s has at most %i bytes', (name, most) => {
    const bytes = statSync(Object.fromEntries(functions())[`asbb-test-${name}`] ?? '').size;
    process.stdout.write(`bundle ${name}: ${bytes} bytes\n`);
    expect(bytes).toBeLessThanOrEqual(most);
  });

  it('are each of these, and no other', () => {
    expect(functions().map(([name]) => name)).toEqual(expect.arrayContaining(Object.keys(MAX_BYTES).map((name) => `asbb-test-${name}`)));
    expect(functions()).toHaveLength(Object.keys(MAX_BYTES).length);
  });

  it('have a small catalogue of prices and a small zod in submit', () => {
    for (const [part, bytes] of [...submit.parts].slice(0, 12)) process.stdout.write(`  in submit: ${bytes} bytes of ${part}\n`);
    expect(submit.parts.get('zod')).toBeLessThanOrEqual(MAX_ZOD_BYTES);
    expect(submit.parts.get('the catalogue of prices')).toBeGreaterThan(20_000);
    expect(submit.parts.get('the catalogue of prices')).toBeLessThanOrEqual(MAX_CATALOGUE_BYTES);
  });

  it('keep the OpenAPI document out of submit', () => {
    expect([...submit.parts.keys()].filter((part) => part.startsWith('docs/'))).toEqual([]);
  });

  it('are what the benchmark measures', () => {
    const file = Object.fromEntries(functions())['asbb-test-submit'] ?? '';
    expect(readFileSync(submit.file, 'utf8')).toBe(readFileSync(file, 'utf8'));
  });

  it('have no client in submit but those of the table, of prices and of a key, which are loaded when one is asked for', () => {
    expect([...submit.parts.keys()].filter((part) => part.startsWith('@aws-sdk/client-')).sort()).toEqual([
      '@aws-sdk/client-dynamodb',
      '@aws-sdk/client-pricing',
      '@aws-sdk/client-secrets-manager',
    ]);
  });

  it.each(Object.keys(MAX_BYTES))('of %s loads, and has a handler', (name) => {
    const file = Object.fromEntries(functions())[`asbb-test-${name}`] ?? '';
    const env = { PATH: process.env.PATH, AWS_REGION: 'eu-central-1', TABLE_NAME: 'none', EVENT_BUS_NAME: 'none' };
    const program = 'process.stdout.write(typeof require(process.argv[1]).handler)';
    expect(execFileSync(process.execPath, ['-e', program, file], { encoding: 'utf8', env })).toBe('function');
  });
});
