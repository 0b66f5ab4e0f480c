// Every page that needs no Slurm is done as it says. Those that do are in test/slurm/walkthroughs.test.ts.
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startDynamoDbLocal } from '#cli/local/dynamodb-local';
import { aFolder } from '#test/support/folders';
import { siteOfRestore } from '#test/walkthroughs/restore';
import { buildAsbb, freePort, ROOT, walkPage } from '#test/walkthroughs/walk';

/** Blocks that a page may only show: each has its reason beside it, and a new one has to be argued for here. */
const PAGES = [
  { page: 'README.md', notRun: 0, folder: ROOT },
  { page: 'docs/walkthroughs/laptop.md', notRun: 1 },
  { page: 'docs/walkthroughs/researcher.md', notRun: 1 },
  { page: 'docs/walkthroughs/upgrade.md', notRun: 0 },
] as const;

let built: Awaited<ReturnType<typeof buildAsbb>>;
beforeAll(async () => {
  built = await buildAsbb();
});
afterAll(() => built?.remove());

/** The reader's port 8080 is a free one here; `asbb local` learns of it as it would from a reader who uses 8080 for something else. */
const onFreePort = async () => {
  const port = await freePort();
  return {
    places: [
      ['127.0.0.1:8080', `127.0.0.1:${port}`],
      ['localhost:8080', `localhost:${port}`],
    ] as const,
    home: { '.config/asbb/config.yaml': `service: { listen_addr: "127.0.0.1:${port}" }\n` },
  };
};

/** All programs of this machine but one. */
const pathWithoutJava = (): string => {
  const folder = aFolder('asbb-without-java-');
  const taken = new Set(['java']);
  for (const from of [dirname(process.execPath), ...(process.env.PATH ?? '').split(delimiter)].filter((each) => existsSync(each)))
    for (const name of readdirSync(from).filter((each) => !taken.has(each))) {
      taken.add(name);
      symlinkSync(join(from, name), join(folder, name));
    }
  return folder;
};

describe('a reader who does what the page says sees what it shows', () => {
  it.each(PAGES)('$page', async ({ page, notRun, ...options }) => {
    const walked = await walkPage(join(ROOT, page), { asbb: built.asbb, ...options, ...(await onFreePort()) });
    expect(walked.commands).toBeGreaterThan(0);
    expect(walked.notRun.slice(notRun)).toEqual([]);
  });

  it('docs/walkthroughs/laptop.md, also on a machine without Java', async () => {
    const env = { PATH: pathWithoutJava(), JAVA_HOME: '' };
    await walkPage(join(ROOT, 'docs/walkthroughs/laptop.md'), { asbb: built.asbb, env, ...(await onFreePort()) });
  });

  it('every page is walked, here or beside Slurm', () => {
    const walked = [...PAGES.map(({ page }) => page), 'docs/walkthroughs/restore.md', 'docs/walkthroughs/README.md'] as string[];
    const pages = readdirSync(join(ROOT, 'docs/walkthroughs')).map((name) => `docs/walkthroughs/${name}`);
    const besideSlurm = join(ROOT, 'test/slurm/walkthroughs.test.ts');
    const others = existsSync(besideSlurm) ? readFileSync(besideSlurm, 'utf8') : '';
    expect(pages.filter((page) => !walked.includes(page) && !others.includes(basename(page)))).toEqual([]);
  });

  it('docs/walkthroughs/restore.md', async () => {
    const { endpoint, stop } = await startDynamoDbLocal();
    onTestFinished(stop);
    const site = siteOfRestore({ endpoint, port: await freePort(), nowSeconds: Math.trunc(Date.now() / 1000) });
    const walked = await walkPage(join(ROOT, 'docs/walkthroughs/restore.md'), { asbb: built.asbb, ...site });
    expect(walked.commands).toBeGreaterThan(0);
    expect(walked.notRun.slice(5)).toEqual([]);
  });
});
