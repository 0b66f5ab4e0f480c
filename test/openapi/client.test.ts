// What strangers make of docs/openapi.json: one says whether it is OpenAPI 3.1, another makes a client of it, and that client works.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, temporaryFolder } from '#test/http/api';
import { pythonPrograms } from '#test/support/python-packages';

const ROOT = join(import.meta.dirname, '../..');
const DOCUMENT = join(ROOT, 'docs/openapi.json');
/** Of these versions: another generator may want other words. */
const PACKAGES = ['openapi-python-client==0.29.1', 'openapi-spec-validator==0.9.0'] as const;
/** On a busy machine. */
const INSTALL_MS = 600_000;
const PATIENCE_MS = 180_000;

const run = promisify(execFile);
const folder = temporaryFolder();
afterAll(() => folder.remove());

let bin: string;
beforeAll(() => {
  const found = pythonPrograms(PACKAGES);
  if (found === undefined) throw new Error(`this test needs Python 3 with venv and pip, and ${PACKAGES.join(' and ')} from PyPI`);
  bin = found;
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
});
