import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { runShadowReport } from '#cli/commands/run-shadow';
import type { GlobalOptions } from '#cli/context';
import { readShadowLine } from '#cli/shadow-report/shadow-line';
import { createTally } from '#cli/shadow-report/tally';
import { aContext } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const shadow = ({
  would = 'refuse',
  account = 'physics',
  cost = '12.5',
  rc = 'OK',
  code = 'insufficient_budget',
  at = '10:00:00.000',
} = {}) =>
  `[2026-11-23T${at}] asbb: shadow would=${would} user=alice account=${account} partition=aws cost=${cost} hold=${cost} left=3 rc=${rc} status=200 code=${code} ms=12 message="short of "money""`;

const LOG = [
  '[2026-11-23T09:00:00.000] sched: Allocate JobId=7',
  shadow(),
  shadow({ at: '11:30:00.000', cost: '0.000001' }),
  shadow({ would: 'admit', code: '-', account: 'chem', cost: '3' }),
  shadow({ would: 'fail_closed', code: '-', rc: 'TIMEOUT', cost: '-' }),
  '[2026-11-23T12:00:00.000] asbb: shadow would=refuse user=alice acc',
  '',
].join('\n');

const report = async (files: readonly string[], options: GlobalOptions = {}, given: Parameters<typeof aContext>[2] = {}) => {
  const { context, machine } = aContext({}, options, given);
  const code = await runShadowReport(context, files);
  return { code, out: machine.out(), err: machine.err() };
};

const file = (name: string, content: string | Buffer): string => {
  const path = join(aFolder('asbb-shadow-'), name);
  writeFileSync(path, content);
  return path;
};

describe('a line of slurmctld', () => {
  it.each([
    ['with a time', shadow(), 'refuse'],
    ['without a time', shadow().slice(26), 'refuse'],
    ["behind a plugin's name", shadow().replace('asbb:', 'job_submit/budget: asbb:'), 'refuse'],
  ])('is read %s', (_, line, would) => {
    expect(readShadowLine(line)).toMatchObject({ would, account: 'physics', cost: 12_500_000n, message: 'short of "money"' });
  });

  it.each([
    ['another line', '[x] sched: done'],
    ['a job whose name looks like ours', `[2026-11-23T10:00:00.000] JobId=7 Name=${shadow().slice(26)}`],
  ])('is passed over: %s', (_, line) => expect(readShadowLine(line)).toBeUndefined());

  it.each([
    ['torn', shadow().slice(0, 90)],
    ['of no amount', shadow({ cost: 'much' })],
  ])('is counted as unreadable when %s', (_, line) => expect(readShadowLine(line)).toBe('unreadable'));
});

describe('asbb shadow report', () => {
  it('sums jobs up by account and reason, for people, at 80 columns', async () => {
    const { code, out, err } = await report([file('slurmctld.log', LOG)], {}, { columns: 80, env: { NO_COLOR: '1' } });
    expect(code).toBe(0);
    expect(out).toMatchInlineSnapshot(`
      "ACCOUNT  WOULD        REASON               JOBS        COST        HOLD
      chem     admit        -                       1   $3.000000   $3.000000
      physics  fail_closed  TIMEOUT                 1           -           -
      physics  refuse       insufficient_budget     2  $12.500001  $12.500001
      "
    `);
    expect(err).toMatchInlineSnapshot(`
      "asbb: 2 of 4 jobs would have been refused, 2026-11-23T10:00:00.000 to 2026-11-23T11:30:00.000; nothing is held in shadow mode, so enforced it may be more
      asbb: the API did not answer for 1 job: mend that before you enforce ('asbb doctor')
      asbb: 1 line of shadow mode not counted, because torn
      asbb: alice physics aws $12.50: short of "money"
      asbb: alice physics aws $0.000001: short of "money"
      "
    `);
  });

  it('reads gzipped logs and standard input as it reads files', async () => {
    const plain = await report([file('a.log', LOG)], { output: 'json' });
    const stdin = async function* () {
      for (const byte of LOG) yield byte; // The worst cut there is.
    };
    expect((await report([file('a.log.1.gz', gzipSync(LOG))], { output: 'json' })).out).toBe(plain.out);
    expect((await report(['-'], { output: 'json' }, { stdin })).out).toBe(plain.out);
    expect(JSON.parse(plain.out)).toMatchObject({
      jobs: 4,
      refused: 2,
      unanswered: 1,
      unreadable: 1,
      examples: [{ cost: 12.5 }, { cost: 0.000001 }],
    });
  });

  it('prints CSV with exact amounts', async () => {
    const { out } = await report([file('a.log', LOG)], { output: 'csv' });
    expect(out.split('\r\n')).toContain('physics,refuse,insufficient_budget,2,12.500001,12.500001');
  });

  it('says so when a log has no line of shadow mode', async () => {
    expect((await report([file('a.log', 'other\n')])).err).toContain('is Enforce=no in asbb.conf');
  });

  it.each([
    ['missing', '/nowhere/slurmctld.log'],
    ['missing and gzipped', '/nowhere/a.gz'],
    ['no gzip', file('b.gz', 'plain')],
  ])('names a log that is %s, and the mend', async (_, path) => {
    await expect(report([path])).rejects.toThrow(`cannot read ${path}`);
  });

  it('sums up as one what is behind the limit of rows', () => {
    const tally = createTally(2);
    for (let i = 0; i < 9; i += 1) tally.add(readShadowLine(shadow({ account: `a${i}` })) ?? 'unreadable');
    expect(tally.sum().rows.map(({ account, jobs }) => [account, jobs])).toEqual([
      ['(others)', 7],
      ['a0', 1],
      ['a1', 1],
    ]);
    expect(tally.sum().examples).toHaveLength(5);
  });
});
