import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bookSpooled, drainSpool, type SpooledHold, spoolSteps } from '#cli/agent/spool';
import { ApiError } from '#cli/api-client';
import { CommandError, EXIT, failure } from '#cli/exit';
import { ACCOUNT, aKiller, CLUSTER, Killed, useApi } from '#test/agent/api';
import { aFolder } from '#test/support/folders';

const PLUGIN = join(import.meta.dirname, '../../slurm-plugin');
const folder = aFolder('asbb-spool-');

const holdId = (n: number): string => `0e5cf4d2-0000-4000-8000-${String(n).padStart(12, '0')}`;
const job = (given: object = {}) => ({
  account: ACCOUNT,
  partition: 'aws',
  user: 'alice',
  cluster: CLUSTER,
  nodes: 1,
  wall_time: '01:00:00',
  ...given,
});
/** As the plugin writes it (slurm-plugin/request.c, asbb_request_spool). */
const record = (n: number, given: object = {}) => ({
  time: '2026-01-31T12:00:00Z',
  hold_id: holdId(n),
  reason: 'timeout',
  job: job(),
  ...given,
});
const line = (n: number, given: object = {}): string => `${JSON.stringify(record(n, given))}\n`;

let count = 0;
/** A spool in a folder of its own. */
const aSpool = (content?: string | Buffer) => {
  count += 1;
  const place = join(folder, `spool-${count}`);
  mkdirSync(place);
  const spoolFile = join(place, 'asbb.spool');
  if (content !== undefined) writeFileSync(spoolFile, content, { mode: 0o600 });
  const aside = `${spoolFile}.aside`;
  return {
    spoolFile,
    aside,
    files: () => readdirSync(place).sort(),
    kept: () =>
      existsSync(aside)
        ? readFileSync(aside, 'utf8')
            .split('\n')
            .filter(Boolean)
            .map((text) => JSON.parse(text) as { reason: string; line?: string; line_base64?: string })
        : [],
  };
};

/** Books in memory; `refuse` may throw for an entry. */
const aBook = (refuse: (entry: SpooledHold) => void = () => undefined) => {
  const booked: string[] = [];
  const complaints: string[] = [];
  const book = async (entry: SpooledHold): Promise<void> => {
    refuse(entry);
    booked.push(entry.holdId);
  };
  return { booked, complaints, book, complain: (sentence: string) => void complaints.push(sentence) };
};

const refusal = (status: number, code?: string) =>
  new ApiError(status, code, status === 403 ? EXIT.notAuthorised : EXIT.failed, `the API said ${status}`);
const silence = () => new CommandError(EXIT.unreachable, 'cannot reach http://127.0.0.1:1: connection refused');

describe('what the plugin spooled', () => {
  it('is booked in its order, and the spool is gone', async () => {
    const spool = aSpool(line(1) + line(2) + line(3));
    const world = aBook();
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 3, keptAside: 0, waiting: 0 });
    expect(world).toMatchObject({ booked: [holdId(1), holdId(2), holdId(3)], complaints: [] });
    expect(spool.files()).toEqual([]);
  });

  it('comes to the booker as it was written', async () => {
    const entries: SpooledHold[] = [];
    const spool = aSpool(line(1, { hold_id: holdId(1).toUpperCase() }));
    await drainSpool({ ...spool, book: async (entry) => void entries.push(entry), complain: () => undefined });
    expect(entries).toEqual([{ time: '2026-01-31T12:00:00Z', holdId: holdId(1), reason: 'timeout', job: job() }]);
  });

  it.each([
    ['nothing', undefined, []],
    ['an empty file, as the plugin makes it at its start', '', ['asbb.spool']],
  ])('is %s: nothing is done', async (_name, content, files) => {
    const spool = aSpool(content);
    expect(await drainSpool({ ...spool, ...aBook() })).toEqual({ booked: 0, keptAside: 0, waiting: 0 });
    expect(spool.files()).toEqual(files);
  });

  it('may be in a folder that is not there', async () => {
    expect(await drainSpool({ spoolFile: join(folder, 'nowhere/asbb.spool'), ...aBook() })).toEqual({
      booked: 0,
      keptAside: 0,
      waiting: 0,
    });
  });

  it('is taken over a thousand lines at a time, so that a pass ends', async () => {
    const spool = aSpool(Array.from({ length: 2_500 }, (_, n) => line(n)).join(''));
    const world = aBook();
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 1000, keptAside: 0, waiting: 1500 });
    appendFileSync(spool.spoolFile, line(2_500)); // It must not take the place of what is left.
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 1000, keptAside: 0, waiting: 501 });
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 501, keptAside: 0, waiting: 0 });
    expect(world.booked).toEqual(Array.from({ length: 2_501 }, (_, n) => holdId(n)));
  });
});

describe('a line that never will be booked', () => {
  const whole = line(2);
  it.each([
    ['cut in half', `${whole.slice(0, 60)}\n`, /^it is no JSON object, as if it were cut off$/],
    ['cut in half at the end of the file', whole.slice(0, 60), /^it is no JSON object/],
    ['no JSON', 'hello\n', /^it is no JSON object/],
    ['no object', '[]\n', /^it is no JSON object/],
    ['no text', Buffer.from([0xff, 0xfe, 0x0a]), /^it is no JSON object/],
    ['without a time', line(2, { time: undefined }), /^its time is none$/],
    ['with a time that is none', line(2, { time: 'yesterday' }), /^its time is none$/],
    ['without a hold', line(2, { hold_id: undefined }), /^its hold_id is no UUID$/],
    ['with a hold that is none', line(2, { hold_id: '17' }), /^its hold_id is no UUID$/],
    ['without a reason', line(2, { reason: 1 }), /^its reason is no short text$/],
    ['with a long reason', line(2, { reason: 'x'.repeat(201) }), /^its reason is no short text$/],
    ['without a job', line(2, { job: null }), /^its job does not name account, partition and cluster$/],
    ['without a cluster', line(2, { job: job({ cluster: undefined }) }), /^its job does not name/],
    ['longer than any', `${'x'.repeat(66_100)}\n`, /^it is longer than 66048 bytes$/],
  ])('(%s) is set aside, and the others are booked', async (_name, bad, reason) => {
    const isLast = !bad.toString().endsWith('\n');
    const spool = aSpool(Buffer.concat([Buffer.from(line(1)), Buffer.from(bad as string), ...(isLast ? [] : [Buffer.from(line(3))])]));
    const world = aBook();
    const pieces = bad.length > 66_048 ? 2 : 1;
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: isLast ? 1 : 2, keptAside: pieces, waiting: 0 });
    expect(world.booked).toEqual(isLast ? [holdId(1)] : [holdId(1), holdId(3)]);
    expect(spool.files()).toEqual(['asbb.spool.aside']);
    expect(statSync(spool.aside).mode & 0o777).toBe(0o600);
    const kept = spool.kept();
    expect(kept[0]?.reason).toMatch(reason);
    const bytes = kept.map((each) => (each.line === undefined ? Buffer.from(each.line_base64 ?? '', 'base64') : Buffer.from(each.line)));
    const written = Buffer.from(bad as string);
    expect(Buffer.concat(bytes)).toEqual(isLast ? written : written.subarray(0, -1));
    expect(world.complaints).toHaveLength(pieces);
    expect(world.complaints[0]).toContain(`${spool.spoolFile}: a line was set aside in ${spool.aside}, because `);
    expect(world.complaints[0]).not.toMatch(/\n/);
  });

  it.each([
    [400, 'validation_failed'],
    [404, 'account_not_found'],
    [404, 'partition_not_found'],
    [409, 'hold_closed'],
    [409, 'cluster_conflict'],
    [413, 'body_too_large'],
    [422, 'no_wall_time'],
  ])('(the API says %i %s) is set aside, and the others are booked', async (status, code) => {
    const spool = aSpool(line(1) + line(2) + line(3));
    const world = aBook((entry) => {
      if (entry.holdId === holdId(2)) throw refusal(status, code);
    });
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 2, keptAside: 1, waiting: 0 });
    expect(world.booked).toEqual([holdId(1), holdId(3)]);
    expect(spool.kept()).toEqual([{ reason: `the API refused it for good (${code}: the API said ${status})`, line: line(2).trim() }]);
  });

  it('can be appended to the spool again once it is mended', async () => {
    const spool = aSpool(line(1));
    await drainSpool({
      ...spool,
      ...aBook(() => {
        throw refusal(404, 'account_not_found');
      }),
    });
    writeFileSync(spool.spoolFile, `${spool.kept()[0]?.line}\n`);
    const world = aBook();
    expect(await drainSpool({ ...spool, ...world })).toMatchObject({ booked: 1 });
  });

  it('does not fill the disk: then all waits', async () => {
    const spool = aSpool('hello\n');
    writeFileSync(spool.aside, '');
    execFileSync('truncate', ['-s', '64M', spool.aside]);
    const world = aBook();
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 0, keptAside: 0, waiting: 1 });
    expect(world.complaints).toEqual([
      `the spool ${spool.spoolFile} waits: ${spool.aside} is full: look at what is in it, and move it away`,
    ]);
  });

  it('follows no link out of the folder', async () => {
    const spool = aSpool('hello\n');
    const elsewhere = join(folder, 'elsewhere');
    symlinkSync(elsewhere, spool.aside);
    const world = aBook();
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 0, keptAside: 0, waiting: 1 });
    expect(world.complaints).toEqual([expect.stringMatching(/waits: ELOOP/)]);
    expect(existsSync(elsewhere)).toBe(false);
  });

  it('stands on a line of its own, whoever died before', async () => {
    const spool = aSpool('hello\n');
    writeFileSync(spool.aside, '{"reason":"torn');
    await drainSpool({ ...spool, ...aBook() });
    expect(readFileSync(spool.aside, 'utf8')).toBe(
      '{"reason":"torn\n{"reason":"it is no JSON object, as if it were cut off","line":"hello"}\n',
    );
  });
});

describe('when it cannot be booked now', () => {
  it.each([
    ['nobody answers', silence, []],
    ['the account is contended', () => refusal(503, 'account_contended'), [/waits: the API said 503$/]],
    ['the API has an error', () => refusal(500, 'internal_error'), [/waits: the API said 500$/]],
    ['the gateway is busy', () => refusal(429), [/waits: the API said 429$/]],
    ['the credentials are wrong', () => refusal(403, 'not_authorized'), [/waits: the API said 403$/]],
    ['the endpoint is somebody else', () => refusal(404), [/waits: the API said 404$/]],
    ['the route is not there yet', () => refusal(404, 'route_not_found'), [/waits: the API said 404$/]],
    ['the answer is no JSON', () => failure('answered without JSON'), [/waits: answered without JSON$/]],
  ])('because %s, it waits, and nothing behind it is asked for', async (_name, error, complaints) => {
    const spool = aSpool(line(1) + line(2) + line(3));
    let asked = 0;
    const world = aBook((entry) => {
      asked += 1;
      if (entry.holdId === holdId(2)) throw error();
    });
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 1, keptAside: 0, waiting: 2 });
    expect(asked).toBe(2);
    expect(world.complaints).toEqual(complaints.map((sentence) => expect.stringMatching(sentence)));
    appendFileSync(spool.spoolFile, line(4)); // The plugin goes on.
    const later = aBook();
    expect(await drainSpool({ ...spool, ...later })).toEqual({ booked: 3, keptAside: 0, waiting: 0 });
    expect(later.booked).toEqual([holdId(2), holdId(3), holdId(4)]);
    expect(spool.files()).toEqual([]);
  });

  it('counts what the plugin writes meanwhile', async () => {
    const spool = aSpool(line(1));
    const world = aBook(() => {
      throw silence();
    });
    await drainSpool({ ...spool, ...world });
    appendFileSync(spool.spoolFile, line(2) + line(3));
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 0, keptAside: 0, waiting: 3 });
  });

  it('a bug is no reason to wait', async () => {
    const spool = aSpool(line(1));
    const world = aBook(() => {
      throw new TypeError('a bug');
    });
    await expect(drainSpool({ ...spool, ...world })).rejects.toThrow('a bug');
    expect(await drainSpool({ ...spool, ...aBook() })).toMatchObject({ booked: 1 });
  });

  it('because there is a folder of its name, somebody is told', async () => {
    const spool = aSpool();
    mkdirSync(spool.spoolFile);
    const world = aBook();
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 0, keptAside: 0, waiting: 0 });
    expect(world.complaints).toEqual([
      `the spool ${spool.spoolFile} waits: it is no plain file: remove it, and the plugin makes a new one`,
    ]);
  });
});

describe('a writer that has the file open', () => {
  it('is waited for', async () => {
    const spool = aSpool(line(1));
    // It got its lock before the rename, and writes after it.
    const script = `exec 9>>"$1"; flock 9; echo locked; sleep 0.5; printf '%s' "$2" >&9`;
    const writer = spawn('sh', ['-c', script, 'writer', spool.spoolFile, line(2)]);
    await new Promise((locked) => writer.stdout.once('data', locked));
    const world = aBook();
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 2, keptAside: 0, waiting: 0 });
    expect(world.booked).toEqual([holdId(1), holdId(2)]);
  });

  it('is not waited for without end', async () => {
    const spool = aSpool(line(1));
    const writer = spawn('sh', ['-c', `exec 9>>"$1"; flock 9; echo locked; exec sleep 30`, 'writer', spool.spoolFile]);
    await new Promise((locked) => writer.stdout.once('data', locked));
    const world = aBook();
    const { waiting, booked } = await drainSpool({ ...spool, ...world });
    writer.kill();
    expect({ waiting, booked }).toEqual({ waiting: 1, booked: 0 });
    expect(world.complaints).toEqual([expect.stringMatching(/asbb\.spool\.taken\.\d+ is locked by another process for more than 5 s$/)]);
  });
});

const hasCompiler = spawnSync('gcc', ['--version']).status === 0;

describe.skipIf(!hasCompiler)('the plugin itself', () => {
  const WRITERS = 4;
  const ROUNDS = 20;
  const LINES_PER_ROUND = 20;
  const LINES = ROUNDS * LINES_PER_ROUND;
  it('loses no line to a reader that drains all the time', { timeout: 60_000 }, async () => {
    const program = join(folder, 'append-spool');
    execFileSync('gcc', ['-std=gnu11', `-I${PLUGIN}`, '-o', program, join(import.meta.dirname, 'append-spool.c'), join(PLUGIN, 'spool.c')]);
    const spool = aSpool();
    const world = aBook();
    const writers = Array.from({ length: WRITERS }, () => spawn(program, [spool.spoolFile], { stdio: ['pipe', 'inherit', 'inherit'] }));
    const codes = writers.map((writer) => new Promise((ended) => writer.once('exit', ended)));
    let renames = 0;
    const take: typeof spoolSteps.take = (spoolFile) => {
      const taken = spoolSteps.take(spoolFile);
      renames += taken === undefined ? 0 : 1;
      return taken;
    };
    // In rounds, so that there are renames in between however fast the disk is; within a round all write while it is drained.
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [w, { stdin }] of writers.entries())
        stdin.write(Array.from({ length: LINES_PER_ROUND }, (_, n) => line(w * LINES + round * LINES_PER_ROUND + n)).join(''));
      const before = world.booked.length;
      while (world.booked.length === before) {
        await drainSpool({ ...spool, ...world }, { ...spoolSteps, take });
        await new Promise((pass) => setTimeout(pass, 1));
      }
    }
    for (const { stdin } of writers) stdin.end();
    expect(await Promise.all(codes)).toEqual([0, 0, 0, 0]);
    // A pass takes a thousand lines: with two, nothing is left.
    for (let pass = 0; pass < 2; pass += 1) await drainSpool({ ...spool, ...world });
    expect(renames).toBeGreaterThan(3);
    expect([...world.booked].sort()).toEqual(Array.from({ length: WRITERS * LINES }, (_, n) => holdId(n)));
    expect(spool.kept()).toEqual([]);
  });
});

describe('an agent that dies', () => {
  const CONTENT = `${line(1)}hello\n${line(2)}\n${line(3).slice(0, 50)}\n${line(4)}`;
  const expectAllRight = (spool: ReturnType<typeof aSpool>, booked: readonly string[]) => {
    expect([...new Set(booked)]).toEqual([holdId(1), holdId(2), holdId(4)]);
    expect(spool.kept().map((each) => each.line)).toEqual(['hello', line(3).slice(0, 50)]);
    expect(spool.files()).toEqual(['asbb.spool.aside']);
  };

  /** How many steps a whole pass has, so that each is died after. */
  const stepsOfOnePass = async (): Promise<number> => {
    const killer = aKiller(0);
    const world = aBook();
    const spool = aSpool(CONTENT);
    await drainSpool({ ...spool, ...world, book: killer.mortal(world.book) }, killer.mortals(spoolSteps));
    expectAllRight(spool, world.booked);
    return killer.steps();
  };

  it('after any step leaves the next pass all there is to do', async () => {
    const steps = await stepsOfOnePass();
    expect(steps).toBeGreaterThan(15);
    for (let step = 1; step <= steps; step += 1) {
      const killer = aKiller(step);
      const spool = aSpool(CONTENT);
      const world = aBook();
      await expect(drainSpool({ ...spool, ...world, book: killer.mortal(world.book) }, killer.mortals(spoolSteps))).rejects.toThrow(Killed);
      await drainSpool({ ...spool, ...world });
      expectAllRight(spool, world.booked);
    }
  });

  it('again and again comes to an end', async () => {
    const spool = aSpool(CONTENT);
    const world = aBook();
    // Far enough to finish one line each time: find, take, wait, open, lines, book, mark.
    for (let life = 0; life < 20; life += 1) {
      const killer = aKiller(8);
      await drainSpool({ ...spool, ...world, book: killer.mortal(world.book) }, killer.mortals(spoolSteps)).catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error;
      });
    }
    expectAllRight(spool, world.booked);
  });

  it('and an older one, with another pid, leaves its file first', async () => {
    const spool = aSpool(line(1));
    renameSync(spool.spoolFile, `${spool.spoolFile}.taken.1`);
    writeFileSync(spool.spoolFile, line(2));
    writeFileSync(`${spool.spoolFile}.taken.1x`, 'not ours\n');
    const world = aBook();
    expect(await drainSpool({ ...spool, ...world })).toEqual({ booked: 2, keptAside: 0, waiting: 0 });
    expect(world.booked).toEqual([holdId(1), holdId(2)]);
    expect(spool.files()).toEqual(['asbb.spool.taken.1x']);
  });
});

describe('booked at the API', () => {
  const api = useApi();
  const drain = (spool: ReturnType<typeof aSpool>, complaints: string[] = []) =>
    drainSpool({ ...spool, book: bookSpooled(api()), complain: (sentence) => complaints.push(sentence) });

  it('is a forced hold under the id that the job carries', async () => {
    await drain(aSpool(line(101)));
    expect(await api().request('showHold', { path: { hold_id: holdId(101) } })).toMatchObject({
      ...{ account: ACCOUNT, cluster: CLUSTER, user: 'alice', partition: 'aws', state: 'open', amount: 12, forced: true },
    });
    const { transactions } = await api().request('listTransactions', { path: { account: ACCOUNT } });
    expect(transactions.at(-1)).toMatchObject({ type: 'forced_hold', note: 'let in without an answer: timeout' });
  });

  it('twice holds once, also when it was settled meanwhile', async () => {
    const held = async () => (await api().request('showAccount', { path: { account: ACCOUNT } })).budget_held;
    const before = await held();
    await drain(aSpool(line(102)));
    await drain(aSpool(line(102)));
    expect(await held()).toBe(before + 12);
    await api().request('reconcile', { body: { hold_id: holdId(102), actual_cost: 1 } });
    expect(await drain(aSpool(line(102)))).toEqual({ booked: 1, keptAside: 0, waiting: 0 });
    expect(await held()).toBe(before);
  });

  it('is set aside if the account has no budget, and the rest goes on', async () => {
    const complaints: string[] = [];
    const spool = aSpool(line(103, { job: job({ account: 'nobody' }) }) + line(104, { job: job({ nodes: -1 }) }) + line(105));
    expect(await drain(spool, complaints)).toEqual({ booked: 1, keptAside: 2, waiting: 0 });
    expect(complaints).toEqual([expect.stringContaining('account_not_found'), expect.stringContaining('validation_failed')]);
  });

  it('survives a death after any step with one hold for each line', async () => {
    const CONTENT = `${line(111)}hello\n${line(112)}`;
    for (let step = 1; step <= 14; step += 1) {
      const killer = aKiller(step);
      const spool = aSpool(CONTENT);
      const options = { ...spool, complain: () => undefined };
      const mortal = drainSpool({ ...options, book: killer.mortal(bookSpooled(api())) }, killer.mortals(spoolSteps));
      await expect(mortal).rejects.toThrow(Killed);
      await drainSpool({ ...options, book: bookSpooled(api()) });
      expect(spool.files()).toEqual(['asbb.spool.aside']);
    }
    const { transactions } = await api().request('listTransactions', { path: { account: ACCOUNT }, query: { limit: '500' } });
    const forced = transactions.filter(({ hold_id }) => hold_id === holdId(111) || hold_id === holdId(112));
    expect(forced.map(({ type, hold_id }) => ({ type, hold_id }))).toEqual([
      { type: 'forced_hold', hold_id: holdId(111) },
      { type: 'forced_hold', hold_id: holdId(112) },
    ]);
    expect((await api().request('audit', { body: {} })).differences).toEqual([]);
  });
});
