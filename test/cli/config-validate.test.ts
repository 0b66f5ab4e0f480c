import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runAsbb } from '#cli/commands/program';
import { aMachine } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const folder = aFolder('asbb-validate-');
afterAll(() => rmSync(folder, { recursive: true }));

const validate = async (content: string | undefined, ...args: string[]) => {
  const file = join(folder, 'config.yaml');
  if (content !== undefined) writeFileSync(file, content);
  const machine = aMachine({ configFiles: content === undefined ? [] : [file] });
  const code = await runAsbb(['config', 'validate', ...args], machine);
  return { code, out: machine.out(), err: machine.err(), file };
};

describe('config validate', () => {
  it('names the files that it has read, and asks nobody', async () => {
    const { code, out, err, file } = await validate('api: {endpoint: https://api.example.org}\n');
    expect({ code, out, err }).toEqual({ code: 0, out: `FILE${' '.repeat(file.length - 4)}  VALID\n${file}  yes\n`, err: '' });
  });

  it('reads a file that is named, and no other', async () => {
    const { code, out } = await validate('nonsense: 1\n', join(import.meta.dirname, 'machine.ts')).catch(() => ({ code: -1, out: '' }));
    expect({ code, out }).toEqual({ code: 2, out: '' });
    const { file } = await validate('slurm: {cluster: hpc}\n');
    expect(JSON.parse((await validate('slurm: {cluster: hpc}\n', file, '--json')).out)).toEqual({ files: [{ file, valid: true }] });
  });

  it('says so where there is none', async () => {
    expect(await validate(undefined)).toMatchObject({
      code: 0,
      err: "asbb: there is no configuration, so the defaults hold: write one with 'asbb config init'\n",
    });
  });

  it.each([
    ['database: {dsn: postgres://x}\n', /config\.yaml: 'database\.dsn' is of the original design: .*database\.table/],
    ['database: {driver: postgres}\n', /'database\.driver' is of the original design: there is no choice of a database/],
    ['api: {endpont: x}\n', /unknown key 'api\.endpont': the keys of api are endpoint, region/],
    ['budget: {orphan_after: soon}\n', /'budget\.orphan_after' must be a duration like 24h/],
    ['api: [\n', /config\.yaml line \d+: is not YAML/],
  ])('names what is wrong in %j, and exits 2', async (content, sentence) => {
    const { code, out, err } = await validate(content);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(sentence);
  });
});
