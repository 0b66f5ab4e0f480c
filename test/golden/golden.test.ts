// Every command of the contract, as it answers in one and the same world: transcripts beside this file, written anew with
// `npx vitest run test/golden --update`. A new case is a new line `$ asbb ...` in one of them.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { play, scriptOf } from '#test/golden/transcript';

const FILES = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'));

describe('what is printed', () => {
  it.each(FILES)('is as in %s', async (name) => {
    const file = join(import.meta.dirname, name);
    await expect(await play(scriptOf(file))).toMatchFileSnapshot(file);
  });
});
