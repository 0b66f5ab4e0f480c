// What strangers make of docs/openapi.json: one says whether it is OpenAPI 3.1, another makes a client of it, and that client works; a third asks
// for all that it promises and all that it forbids.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, temporaryFolder } from '#test/http/api';
import { pythonPrograms } from '#test/support/python-packages';

const ROOT = join(import.meta.dirname, '../..');
const DOCUMENT = join(ROOT, 'docs/openapi.json');
/** Of these versions: another generator may want other words. */
const PACKAGES = ['openapi-python-client==0.29.1', 'openapi-spec-validator==0.9.0'] as const;
const FUZZER = ['schemathesis==4.32.5'] as const;
/** What is so on purpose: the ledger of a closed account can still be read, an unknown method is `route_not_found` as in API Gateway, and
 * some rules (two fields of which one is given, a cursor of this list) are beyond a schema. */
const NOT_ASKED = 'ignored_auth,unsupported_method,use_after_free,positive_data_acceptance';
const EXAMPLES = '12';
/** On a busy machine. */
const INSTALL_MS = 600_000;
const PATIENCE_MS = 180_000;

const run = promisify(execFile);
const folder = temporaryFolder();
afterAll(() => folder.remove());

const programs = (packages: readonly [string, ...string[]]): string => {
  const found = pythonPrograms(packages);
  if (found === undefined) throw new Error(`this test needs Python 3 with venv and pip, and ${packages.join(' and ')} from PyPI`);
  return found;
};

let bin: string;
let fuzzerBin: string;
beforeAll(() => {
  bin = programs(PACKAGES);
  fuzzerBin = programs(FUZZER);
}, INSTALL_MS);

describe('docs/openapi.json', { timeout: PATIENCE_MS }, () => {
  it('is OpenAPI 3.1', async () => {
    const { stdout } = await run(join(bin, 'openapi-spec-validator'), ['--schema', '3.1', DOCUMENT]);
    expect(stdout).toContain(`${DOCUMENT}: OK`);
  });

  it('makes a client that opens an account, has a job admitted, settled and refused, and reads lists and usage', async () => {
    const client = join(folder.path, 'asbb_client');
    const made = await run(join(bin, 'openapi-python-client'), [
      ...['generate', '--path', DOCUMENT, '--meta', 'none', '--output-path', client, '--fail-on-warning'],
      ...['--config', join(import.meta.dirname, 'generator.yaml')],
    ]);
    expect(`${made.stdout}${made.stderr}`).not.toMatch(/warning|error/i);
    const { server, stop } = await startApi(folder.path, { store: 'memory' });
    try {
      const { stdout } = await run(join(bin, 'python'), [join(import.meta.dirname, 'round-trip.py'), server.url], {
        env: { ...process.env, PYTHONPATH: folder.path },
      });
      expect(stdout.trim().split('\n')).toHaveLength(30);
    } finally {
      await stop();
    }
  });

  it('is kept to the letter, whatever schemathesis asks: no 500, no undocumented answer, nothing forbidden taken', async () => {
    const document = join(folder.path, 'unsigned.json');
    writeFileSync(document, JSON.stringify(withoutSecurity(JSON.parse(readFileSync(DOCUMENT, 'utf8')))));
    const { server, stop } = await startApi(folder.path, { store: 'memory' });
    try {
      const { stdout } = await run(
        join(fuzzerBin, 'schemathesis'),
        [
          ...[
            '--config-file',
            join(import.meta.dirname, 'schemathesis.toml'),
            'run',
            document,
            '--url',
            `${server.url}/api/v1`,
            '--phases',
            'examples,coverage,fuzzing',
            '--exclude-checks',
            NOT_ASKED,
          ],
          ...['--generation-deterministic', '--max-examples', EXAMPLES, '--continue-on-failure', '--no-color'],
        ],
        { cwd: folder.path, maxBuffer: 1 << 26 },
      ).catch((failed: { stdout?: string }) => ({ stdout: failed.stdout || String(failed) }));
      expect(stdout).not.toContain('= FAILURES =');
      expect(stdout).toMatch(/Tested: 38/);
      expect(Number(/(\d+) generated/.exec(stdout)?.[1])).toBeGreaterThan(1_000);
    } finally {
      await stop();
    }
  });
});

/** `asbb local` takes unsigned requests, and the document speaks of a deployment. */
const withoutSecurity = ({ security: _, components, paths, ...rest }: OpenApi): OpenApi => ({
  ...rest,
  components: { schemas: components.schemas },
  paths: Object.fromEntries(
    Object.entries(paths).map(([path, operations]) => [
      path,
      Object.fromEntries(Object.entries(operations).map(([method, { security: __, ...operation }]) => [method, operation])),
    ]),
  ),
});

interface OpenApi {
  readonly security?: unknown;
  readonly components: Readonly<Record<string, unknown>>;
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: unknown }>>>>;
}
