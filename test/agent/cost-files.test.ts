import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { costFileSteps, type DrainedCostFiles, drainCostFiles } from '#cli/agent/cost-files';
import { type ApiClient, ApiError } from '#cli/api-client';
import { CommandError, EXIT } from '#cli/exit';
import { ACCOUNT, aKiller, CLUSTER, Killed, useApi } from '#test/agent/api';
import { aFolder } from '#test/support/folders';

const folder = aFolder('asbb-cost-files-');
const api = useApi();

const MINUTE_S = 60;
const WEEK_S = 7 * 24 * 3_600;
const NOTHING: DrainedCostFiles = { booked: 0, corrected: 0, waiting: 0, keptAside: 0 };

let count = 0;
const nextId = (): string => `c05f0000-0000-4000-8000-${String(++count).padStart(12, '0')}`;

/** An open hold of $12 for one node-hour, or of $12 a task. */
const aHold = async (job: { array?: string; account?: string } = {}): Promise<string> => {
  const holdId = nextId();
  await api().request('forceHold', {
    body: {
      hold_id: holdId,
      account: ACCOUNT,
      partition: 'aws',
      cluster: CLUSTER,
      nodes: 1,
      wall_time: '01:00:00',
      reason: 'test',
      ...job,
    },
  });
  return holdId;
};

const book = (holdId: string, run: object) =>
  api().request('settleRuns', { path: { hold_id: holdId }, body: { runs: [{ actual_cost: 5, ...run }] } });
const runsOf = async (holdId: string) => (await api().request('showHold', { path: { hold_id: holdId } })).runs;
const chargesOf = async (holdId: string) => Object.fromEntries((await runsOf(holdId)).map((run) => [run.run_id, run.actual_charge]));

/** As ASBX writes it. */
const asbx = (jobId: string, given: object = {}): string =>
  JSON.stringify({
    job_id: jobId,
    account: ACCOUNT,
    user_id: 'alice',
    partition: 'aws',
    actual_cost: 3.1234561,
    compute_cost: 3,
    success: true,
    ...given,
  });

interface Dropped {
  readonly content?: string;
  readonly ageS?: number;
  readonly name?: string;
}

/** A folder of ASBX's, and an agent that knows which hold a job has. */
const aCostFolder = (holds: Readonly<Record<string, string>> = {}) => {
  count += 1;
  const place = join(folder, `costs-${count}`);
  mkdirSync(place);
  const complaints: string[] = [];
  const filesBelow = (name: string) => (existsSync(join(place, name)) ? readdirSync(join(place, name)).sort() : []);
  return {
    folder: place,
    complaints,
    drop: (jobId: string, { content = asbx(jobId), ageS = 10, name = `job-${jobId}-asbb-reconciliation.json` }: Dropped = {}) => {
      const path = join(place, name);
      writeFileSync(path, content);
      const at = Date.now() / 1000 - ageS;
      utimesSync(path, at, at);
      return path;
    },
    left: () =>
      readdirSync(place)
        .filter((name) => name.endsWith('.json'))
        .sort(),
    booked: () => filesBelow('booked'),
    aside: () => filesBelow('aside'),
    options: (client: ApiClient = api()) => ({
      folder: place,
      cluster: CLUSTER,
      api: client,
      holdOfJob: async ({ jobId }: { jobId: string }) => holds[jobId],
      now: Date.now,
      complain: (sentence: string) => void complaints.push(sentence),
    }),
  };
};

const FILE = 'job-17-asbb-reconciliation.json';

describe('a cost file of a job whose run is booked', () => {
  it('corrects the run, rounded up to the micro-dollar, and goes to booked/', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'hpc-1', job_id: '17' });
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 1 });
    expect(await chargesOf(holdId)).toEqual({ 'hpc-1': 3.123457 });
    expect({ left: place.left(), booked: place.booked(), complaints: place.complaints }).toEqual({
      left: [],
      booked: [FILE],
      complaints: [],
    });
    const { transactions } = await api().request('listTransactions', { path: { account: ACCOUNT }, query: { limit: '500' } });
    expect(transactions.at(-1)).toMatchObject({
      type: 'correction',
      amount: -1.876543,
      run_id: 'hpc-1',
      note: `actual cost by ASBX, ${FILE}`,
    });
  });

  it('at that very cost is booked already', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'hpc-1', actual_cost: 3.123457 });
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, booked: 1 });
    expect((await runsOf(holdId))[0]?.corrections).toEqual([]);
    expect(place.booked()).toEqual([FILE]);
  });

  it('is followed by another file of the same job, and both are kept', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'hpc-1' });
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    await drainCostFiles(place.options());
    place.drop('17', { content: asbx('17', { actual_cost: 4 }) });
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 1 });
    expect(await chargesOf(holdId)).toEqual({ 'hpc-1': 4 });
    expect(place.booked()).toHaveLength(2);
  });

  it('comes again after somebody mended the run by hand: theirs stands', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'hpc-1' });
    const place = aCostFolder({ 17: holdId });
    const content = readFileSync(place.drop('17'), 'utf8');
    await drainCostFiles(place.options());
    const body = { actual_cost: 1, correction_id: 'by-hand', note: 'credit' };
    await api().request('correctRun', { path: { hold_id: holdId, run_id: 'hpc-1' }, body });
    place.drop('17', { content });
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, booked: 1 });
    expect(await chargesOf(holdId)).toEqual({ 'hpc-1': 1 });
  });

  it('with the name of the account as its user typed it, and a byte order mark', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'hpc-1' });
    const place = aCostFolder({ 17: holdId });
    place.drop('17', { content: `\ufeff${asbx('17', { account: 'Physics' })}` });
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 1 });
  });

  it('from far ahead of its time is no reason to wait for that time', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'hpc-1' });
    const place = aCostFolder({ 17: holdId });
    place.drop('17', { ageS: -WEEK_S });
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 1 });
  });

  it('charges nothing for what the site has absorbed', async () => {
    await api().request('putPartition', {
      path: { partition: 'absorbed' },
      body: { region: 'us-east-1', instance_types: [], unpriced: 'flat', flat_rate_per_node_hour: 10, write_off_node_failures: true },
    });
    const holdId = nextId();
    const job = { account: ACCOUNT, partition: 'absorbed', cluster: CLUSTER, nodes: 1, wall_time: '60', reason: 'test' };
    await api().request('forceHold', { body: { ...job, hold_id: holdId } });
    await book(holdId, { run_id: 'hpc-1', state: 'NODE_FAIL' });
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, booked: 1 });
    expect(await chargesOf(holdId)).toEqual({ 'hpc-1': 0 });
  });
});

describe('which run a file is about', () => {
  const REQUEUED = { run_id: 'r1', job_id: '17', final: false, state: 'REQUEUED', ended_at: '2026-01-01T01:00:00Z' };
  it.each<[name: string, array: string | undefined, runs: object[], jobId: string, changed: string]>([
    ['the only one', undefined, [{ run_id: 'r1', job_id: '17' }], '17', 'r1'],
    ['the only one, whose job nobody named', undefined, [{ run_id: 'r1' }], '17', 'r1'],
    ['the one that somebody reported by hand', undefined, [{}], '17', 'HOLD'],
    [
      'the final one of a requeued job',
      undefined,
      [REQUEUED, { run_id: 'r2', job_id: '17', ended_at: '2026-01-01T02:00:00Z' }],
      '17',
      'r2',
    ],
    [
      'the last final one, whatever came first',
      undefined,
      [
        { run_id: 'r1', ended_at: '2026-01-01T02:00:00Z' },
        { run_id: 'r2', ended_at: '2026-01-01T01:00:00Z' },
      ],
      '17',
      'r1',
    ],
    [
      'that of the task',
      '1-2',
      [
        { run_id: 'r1', job_id: '18' },
        { run_id: 'r2', job_id: '17' },
      ],
      '18',
      'r1',
    ],
    ['that of the task while others run', '1-3', [{ run_id: 'r1', job_id: '18' }], '18', 'r1'],
    [
      'that of the task, not of those that were cancelled with it',
      '1-3',
      [
        { run_id: 'r1', job_id: '17' },
        { run_id: 'r2', job_id: '17', tasks: 2, actual_cost: 0 },
      ],
      '17',
      'r1',
    ],
    ['that of the only task of an array', '3', [{ run_id: 'r1', job_id: '17' }], '17_3', 'r1'],
    ['a late one', undefined, ['release', { run_id: 'r1' }] as object[], '17', 'r1'],
  ])('%s', async (_name, array, runs, jobId, changed) => {
    const holdId = await aHold(array === undefined ? {} : { array });
    for (const run of runs) {
      if (typeof run === 'string') await api().request('releaseHold', { path: { hold_id: holdId }, body: {} });
      else await book(holdId, run);
    }
    const before = await chargesOf(holdId);
    const place = aCostFolder({ [jobId]: holdId });
    place.drop(jobId);
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 1 });
    expect(await chargesOf(holdId)).toEqual({ ...before, [changed === 'HOLD' ? holdId : changed]: 3.123457 });
  });
});

describe('a file waits', () => {
  const REQUEUED = { run_id: 'r1', job_id: '17', final: false, state: 'REQUEUED' };
  it.each<[name: string, hold: object | undefined, runs: object[], file: Dropped]>([
    ['while it is younger than two seconds', {}, [{ run_id: 'r1' }], { ageS: 1 }],
    ['while the clock of its server is a second ahead', {}, [{ run_id: 'r1' }], { ageS: -1 }],
    ['while it may be half written', {}, [{ run_id: 'r1' }], { content: asbx('17').slice(0, 50), ageS: 50 }],
    ['while it is empty, and may be filled', {}, [{ run_id: 'r1' }], { content: '', ageS: 50 }],
    ['while its server is ahead, and it may be half written', {}, [{ run_id: 'r1' }], { content: asbx('17').slice(0, 50), ageS: -50 }],
    ['while no hold is known', undefined, [], {}],
    ['while no hold is known, for a week', undefined, [], { ageS: WEEK_S - MINUTE_S }],
    ['while no run is booked', {}, [], {}],
    ['while no run is booked, and its job may still run', {}, [], { ageS: WEEK_S + MINUTE_S }],
    ['while its job was requeued', {}, [REQUEUED], {}],
    ['while only other tasks have ended', { array: '1-2' }, [{ run_id: 'r1', job_id: '18' }], {}],
  ])('%s', async (_name, hold, runs, file) => {
    const holdId = hold === undefined ? undefined : await aHold(hold);
    for (const run of runs) await book(holdId ?? '', run);
    const place = aCostFolder(holdId === undefined ? {} : { 17: holdId });
    place.drop('17', file);
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, waiting: 1 });
    expect({ left: place.left(), complaints: place.complaints }).toEqual({ left: [FILE], complaints: [] });
  });

  it('until the run is booked', async () => {
    const holdId = await aHold();
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    await drainCostFiles(place.options());
    await book(holdId, { run_id: 'r1' });
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 1 });
  });

  it.each([
    ['an id that the API does not know', nextId()],
    ['no id at all', 'nonsense'],
  ])('if its hold is %s', async (_name, holdId) => {
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, waiting: 1 });
    expect(place.complaints).toEqual([]);
  });
});

describe('a file is set aside, with a sentence', () => {
  const old = { ageS: WEEK_S + MINUTE_S };
  it.each<[name: string, hold: object | undefined, runs: object[], file: Dropped & { jobId?: string }, sentence: RegExp]>([
    ['if it is not JSON', {}, [], { content: 'hello', ageS: 61 }, /is not JSON/],
    ['if it is cut off for good', {}, [], { content: asbx('17').slice(0, 50), ageS: 61 }, /is not JSON/],
    ['if it is empty for good', {}, [], { content: '', ageS: 61 }, /is not JSON/],
    ['if it is cut off, and from far ahead of its time', {}, [], { content: asbx('17').slice(0, 50), ageS: -WEEK_S }, /is not JSON/],
    ['if it is no object', {}, [], { content: '[]' }, /must be a JSON object/],
    ['if its cost is negative', {}, [], { content: asbx('17', { actual_cost: -1 }) }, /actual_cost -1 is negative: correct the file/],
    [
      'if its cost is absurd',
      {},
      [],
      { content: asbx('17', { actual_cost: 1e12 }) },
      /actual_cost 1000000000000 is more than any job costs/,
    ],
    ['if its cost is none', {}, [], { content: asbx('17', { actual_cost: 'much' }) }, /actual_cost must be a number of dollars/],
    ['if another job is in it', {}, [], { content: asbx('18') }, /it is about job 18, which is not in its name/],
    ['if it is about several tasks', {}, [], { jobId: '17_[1-3]' }, /17_\[1-3\] is not the number of one job/],
    ['if it is about a component of a heterogeneous job', {}, [], { jobId: '25+1' }, /25\+1 is not the number of one job/],
    ['if it is longer than any', {}, [], { content: ' '.repeat(65_537) }, /it has more than 65536 bytes/],
    ['if no hold was known for a week', undefined, [], old, /nobody has known a hold of job 17 for 7 days/],
    ['if no run was booked for a week, and the hold has ended', {}, ['release' as never], old, /no run of job 17 was booked for 7 days/],
    [
      'if nobody can tell the task',
      { array: '1-2' },
      [{ run_id: 'r1', job_id: '20', tasks: 2 }],
      { jobId: '17_2' },
      /all 2 tasks of its array are booked, and none of them as 17_2/,
    ],
    [
      'if another account is in it',
      {},
      [],
      { content: asbx('17', { account: 'chemistry' }) },
      /it is of account chemistry, but job 17 has a hold of physics/,
    ],
    [
      'if the run was reported by hand as well',
      {},
      [{}, { run_id: 'hpc-9' }],
      {},
      /job 17 was reported by hand, and then its run hpc-9 was booked too/,
    ],
  ])('%s', async (_name, hold, runs, { jobId = '17', ...file }, sentence) => {
    const holdId = hold === undefined ? undefined : await aHold(hold);
    for (const run of runs) {
      if (typeof run === 'string') await api().request('releaseHold', { path: { hold_id: holdId ?? '' }, body: {} });
      else await book(holdId ?? '', run);
    }
    const before = holdId === undefined ? {} : await chargesOf(holdId);
    const place = aCostFolder(holdId === undefined ? {} : { [jobId]: holdId });
    const path = place.drop(jobId, file);
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, keptAside: 1 });
    expect({ left: place.left(), aside: place.aside().length }).toEqual({ left: [], aside: 1 });
    expect(place.complaints).toEqual([expect.stringMatching(sentence)]);
    expect(place.complaints[0]).toContain(`${path}: was moved to aside/, because `);
    expect(place.complaints[0]).toContain("mend it and move it back, or book it with 'asbb reconcile --file'");
    expect(holdId === undefined ? {} : await chargesOf(holdId)).toEqual(before);
    expect(await drainCostFiles(place.options())).toEqual(NOTHING); // And nobody hears of it again.
    expect(place.complaints).toHaveLength(1);
  });

  it('if its hold is of another cluster', async () => {
    const place = aCostFolder({ 17: await aHold() });
    place.drop('17');
    expect(await drainCostFiles({ ...place.options(), cluster: 'other' })).toEqual({ ...NOTHING, keptAside: 1 });
    expect(place.complaints[0]).toContain('the hold of job 17 is of cluster local, not of other');
  });

  it('if the API refuses the correction for good', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'r1' });
    for (let n = 0; n < 50; n += 1) {
      const body = { actual_cost: n, correction_id: `c${n}`, note: 'test' };
      await api().request('correctRun', { path: { hold_id: holdId, run_id: 'r1' }, body });
    }
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, keptAside: 1 });
    expect(place.complaints[0]).toContain('because the API refused its correction for good (validation_failed: ');
  });

  it.each([
    ['a link', (path: string) => symlinkSync('/etc/passwd', path)],
    ['a folder', (path: string) => mkdirSync(path)],
    ['a FIFO', (path: string) => execFileSync('mkfifo', [path])],
  ])('if it is %s', async (_name, make) => {
    const place = aCostFolder();
    make(join(place.folder, FILE));
    const options = { ...place.options(), now: () => Date.now() + 10_000 };
    expect(await drainCostFiles(options)).toEqual({ ...NOTHING, keptAside: 1 });
    expect(place.complaints).toEqual([expect.stringContaining('because it is no plain file')]);
  });

  it('and the others are booked', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'r1' });
    const place = aCostFolder({ 18: holdId });
    place.drop('17', { content: asbx('17', { actual_cost: -1 }), ageS: 20 });
    place.drop('18');
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 1, keptAside: 1 });
  });
});

describe('a folder', () => {
  it('that is not there yet has no files', async () => {
    const place = aCostFolder();
    rmSync(place.folder, { recursive: true });
    expect(await drainCostFiles(place.options())).toEqual(NOTHING);
  });

  it('may have other things in it', async () => {
    const place = aCostFolder();
    for (const name of [
      'job-17.json',
      'job--asbb-reconciliation.json',
      'job-17-asbb-reconciliation.json.tmp',
      '.job-17-asbb-reconciliation.json',
      `job-${'1'.repeat(65)}-asbb-reconciliation.json`,
    ]) {
      place.drop('17', { name });
    }
    expect(await drainCostFiles(place.options())).toEqual(NOTHING);
  });

  it('is read from the oldest file on', async () => {
    const place = aCostFolder();
    const asked: string[] = [];
    for (const [jobId, ageS] of [
      ['1', 10],
      ['2', 30],
      ['3', 20],
    ] as const)
      place.drop(jobId, { ageS });
    const holdOfJob = async ({ jobId }: { jobId: string }) => void asked.push(jobId);
    await drainCostFiles({ ...place.options(), holdOfJob });
    expect(asked).toEqual(['2', '3', '1']);
  });

  it('with more files than a pass takes lets them take turns, so that none is starved by those that wait', async () => {
    const place = aCostFolder();
    const seen = new Set<string>();
    for (let n = 0; n < 450; n += 1) place.drop(String(n));
    const start = Date.now();
    for (let pass = 0; pass < 3; pass += 1) {
      let asked = 0;
      const holdOfJob = async ({ jobId }: { jobId: string }) => {
        asked += 1;
        seen.add(jobId);
        return undefined;
      };
      expect(await drainCostFiles({ ...place.options(), holdOfJob, now: () => start + pass * 15_000 })).toEqual({
        ...NOTHING,
        waiting: 450,
      });
      expect(asked).toBeLessThanOrEqual(200);
    }
    expect(seen.size).toBe(450);
  });

  it('with the tasks of one array asks for their hold once', async () => {
    const holdId = await aHold({ array: '1-5' });
    const jobIds = ['21', '22', '23', '24', '25'];
    for (const jobId of jobIds) await book(holdId, { run_id: `r${jobId}`, job_id: jobId });
    const place = aCostFolder(Object.fromEntries(jobIds.map((jobId) => [jobId, holdId])));
    for (const jobId of jobIds) place.drop(jobId);
    const asked: string[] = [];
    const client: ApiClient = {
      ...api(),
      request: (operation, request) => {
        asked.push(operation);
        return api().request(operation, request);
      },
    };
    expect(await drainCostFiles(place.options(client))).toEqual({ ...NOTHING, corrected: 5 });
    expect(asked).toEqual(['showHold', ...jobIds.map(() => 'correctRun')]);
    expect(Object.values(await chargesOf(holdId))).toEqual(jobIds.map(() => 3.123457));
  });

  it('whose hold has many runs is read to the last page', async () => {
    const holdId = await aHold({ array: '1-520' });
    for (let first = 0; first < 520; first += 40) {
      const runs = Array.from({ length: 40 }, (_, n) => ({ run_id: `r${first + n}`, job_id: `${1000 + first + n}`, actual_cost: 0.01 }));
      await api().request('settleRuns', { path: { hold_id: holdId }, body: { runs } });
    }
    const jobIds = ['1000', '1519'];
    const place = aCostFolder(Object.fromEntries(jobIds.map((jobId) => [jobId, holdId])));
    for (const jobId of jobIds) place.drop(jobId);
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 2 });
  });
});

/** An API that refuses one operation. */
const refusing = (operation: string, error: () => Error): ApiClient => ({
  ...api(),
  request: async (asked, request) => {
    if (asked === operation) throw error();
    return api().request(asked, request);
  },
});
const silence = () => new CommandError(EXIT.unreachable, 'cannot reach http://127.0.0.1:1: connection refused');

describe('when nothing can be booked now', () => {
  it.each([
    ['nobody answers who is asked for the hold', 'showHold', silence, []],
    ['nobody answers to the correction', 'correctRun', silence, []],
    [
      'the account is contended',
      'correctRun',
      () => new ApiError(503, 'account_contended', EXIT.failed, 'contended'),
      [/wait: contended$/],
    ],
    ['the credentials are wrong', 'showHold', () => new ApiError(403, 'not_authorized', EXIT.notAuthorised, 'no'), [/wait: no$/]],
    ['the endpoint is somebody else', 'showHold', () => new ApiError(404, undefined, EXIT.failed, 'who?'), [/wait: who\?$/]],
  ] as const)('because %s, everything waits', async (_name, operation, error, complaints) => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'r1' });
    const place = aCostFolder({ 17: holdId, 18: holdId, 19: holdId });
    for (const jobId of ['17', '18', '19']) place.drop(jobId);
    expect(await drainCostFiles(place.options(refusing(operation, error)))).toEqual({ ...NOTHING, waiting: 3 });
    expect(place.left()).toHaveLength(3);
    expect(place.complaints).toEqual(complaints.map((sentence) => expect.stringMatching(sentence)));
  });

  it('because nobody tells the hold, everything waits', async () => {
    const place = aCostFolder();
    place.drop('17');
    const holdOfJob = async () => {
      throw silence();
    };
    expect(await drainCostFiles({ ...place.options(), holdOfJob })).toEqual({ ...NOTHING, waiting: 1 });
  });

  it('because the folder cannot be written, it is corrected once, and somebody is told', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'r1' });
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    writeFileSync(join(place.folder, 'booked'), ''); // Root may write anywhere, but not make a folder of a file.
    for (let pass = 0; pass < 2; pass += 1) expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, waiting: 1 });
    expect(place.complaints[0]).toMatch(/^cost files in .* wait: EEXIST/);
    expect((await runsOf(holdId))[0]?.corrections).toHaveLength(1);
  });

  it('a bug is no reason to wait', async () => {
    const place = aCostFolder();
    place.drop('17');
    const holdOfJob = async () => {
      throw new TypeError('a bug');
    };
    await expect(drainCostFiles({ ...place.options(), holdOfJob })).rejects.toThrow('a bug');
  });
});

describe('a file that is written anew while it is booked', () => {
  it('is looked at again, and its last word stands', async () => {
    const holdId = await aHold();
    await book(holdId, { run_id: 'r1' });
    const place = aCostFolder({ 17: holdId });
    place.drop('17');
    const client: ApiClient = {
      ...api(),
      request: async (operation, request) => {
        if (operation === 'correctRun') place.drop('17', { content: asbx('17', { actual_cost: 7.5 }), ageS: 5 });
        return api().request(operation, request);
      },
    };
    expect(await drainCostFiles(place.options(client))).toEqual({ ...NOTHING, waiting: 1 });
    expect(await drainCostFiles(place.options())).toEqual({ ...NOTHING, corrected: 1 });
    expect(await chargesOf(holdId)).toEqual({ r1: 7.5 });
  });
});

describe('an agent that dies', () => {
  it('after any step leaves the next pass all there is to do, and no run is corrected twice', async () => {
    let deaths = 0;
    for (let step = 1; ; step += 1) {
      const [first, second] = [await aHold(), await aHold()];
      await book(first, { run_id: 'r1' });
      await book(second, { run_id: 'r2' });
      const place = aCostFolder({ 17: first, 19: second });
      place.drop('17', { ageS: 30 });
      place.drop('18', { content: asbx('18', { actual_cost: -1 }), ageS: 20 });
      place.drop('19', { ageS: 10 });
      const killer = aKiller(step);
      const options = place.options({ ...api(), request: killer.mortal(api().request) as ApiClient['request'] });
      const isDead = await drainCostFiles(options, killer.mortals(costFileSteps)).then(
        () => false,
        (error: unknown) => {
          if (error instanceof Killed) return true;
          throw error;
        },
      );
      await drainCostFiles(place.options());
      expect({ ...(await chargesOf(first)), ...(await chargesOf(second)) }).toEqual({ r1: 3.123457, r2: 3.123457 });
      expect([...(await runsOf(first)), ...(await runsOf(second))].map((run) => run.corrections.length)).toEqual([1, 1]);
      expect({ left: place.left(), booked: place.booked(), aside: place.aside() }).toEqual({
        left: [],
        booked: [FILE, 'job-19-asbb-reconciliation.json'],
        aside: ['job-18-asbb-reconciliation.json'],
      });
      if (!isDead) break;
      deaths += 1;
    }
    expect(deaths).toBe(11); // list; read, show, correct, move; read, move; read, show, correct, move.
    expect((await api().request('audit', { body: {} })).differences).toEqual([]);
  });
});
