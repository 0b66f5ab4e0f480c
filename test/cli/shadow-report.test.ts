import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { runShadowReport } from '#cli/commands/run-shadow';
import type { GlobalOptions } from '#cli/context';
import { CommandError } from '#cli/exit';
import { logTimeMs } from '#cli/shadow-report/log-time';
import { readShadowLine } from '#cli/shadow-report/shadow-line';
import { createTally } from '#cli/shadow-report/tally';
import { createService } from '#test/agent/service';
import { aContext, NOON } from '#test/cli/machine';
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
  const code = await runShadowReport(context, files, { logOnly: true });
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
    ["of syslog's", `Nov 23 10:00:00 head slurmctld[123]: ${shadow().slice(26)}`, 'refuse'],
    ["of journald's, in ISO 8601", `2026-11-23T10:00:00+0000 head slurmctld[123]: ${shadow().slice(26)}`, 'refuse'],
    ["of rsyslog's, in ISO 8601", `2026-11-23T10:00:00.123456+00:00 head slurmctld[123]: ${shadow().slice(26)}`, 'refuse'],
    ["behind a plugin's name", shadow().replace('asbb:', 'job_submit/budget: asbb:'), 'refuse'],
  ])('is read %s', (_, line, would) => {
    expect(readShadowLine(line, NOON)).toMatchObject({ would, account: 'physics', cost: 12_500_000n, message: 'short of "money"' });
  });

  it.each([
    ['another line', '[x] sched: done'],
    ["another program's word", `Nov 23 10:00:00 head sshd[1]: ${shadow().slice(26)}`],
    ['a job whose name looks like ours', `[2026-11-23T10:00:00.000] JobId=7 Name=${shadow().slice(26)}`],
  ])('is passed over: %s', (_, line) => expect(readShadowLine(line, NOON)).toBeUndefined());

  it.each([
    ['torn', shadow().slice(0, 90)],
    ['of no amount', shadow({ cost: 'much' })],
  ])('is counted as unreadable when %s', (_, line) => expect(readShadowLine(line, NOON)).toBe('unreadable'));
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
    for (let i = 0; i < 9; i += 1) tally.add(readShadowLine(shadow({ account: `a${i}` }), NOON) ?? 'unreadable');
    expect(tally.sum().rows.map(({ account, jobs }) => [account, jobs])).toEqual([
      ['(others)', 7],
      ['a0', 1],
      ['a1', 1],
    ]);
    expect(tally.sum().examples).toHaveLength(5);
  });
});

describe('what the agent saw', () => {
  const line = (at: string, over: Parameters<typeof shadow>[0] = {}) => shadow({ at, ...over });

  const seen = async (lines: readonly string[], options: GlobalOptions = {}) => {
    const { context, machine } = aContext({}, options, { columns: 100, env: { NO_COLOR: '1' } });
    const service = createService(() => NOON);
    const { api } = service;
    await api.request('createAccount', { body: { account: 'physics', budget_limit: 5 } });
    await api.request('putPartition', {
      path: { partition: 'aws' },
      body: { region: 'us-east-1', instance_types: [], unpriced: 'flat', flat_rate_per_node_hour: 10 },
    });
    let jobs = 0;
    /** As the agent does it with a live guarded job that has no hold. */
    const live = async (time: string, user = 'alice'): Promise<string> => {
      jobs += 1;
      const hold = `00000000-0000-4000-8000-00000000000${jobs}`;
      const job = { account: 'physics', partition: 'aws', user, nodes: 1, wall_time: '1:00:00', cluster: 'local' };
      const submitted_at = new Date(`2026-11-23T${time}`).toISOString();
      await api.request('forceHold', { body: { ...job, hold_id: hold, job_id: String(jobs), submitted_at, reason: 'shadow' } });
      return hold;
    };
    const ends = (hold: string, cost: number) =>
      api.request('settleRuns', { path: { hold_id: hold }, body: { runs: [{ run_id: `r-${hold}`, actual_cost: cost }] } });
    const path = file('s.log', `${lines.join('\n')}\n`);
    const printed = async (reach = async () => api) => {
      const code = await runShadowReport({ ...context, api: reach }, [path]);
      return { code, out: machine.out(), err: machine.err() };
    };
    return { live, ends, printed, service };
  };

  it('says which of the refused ran, what they cost, and what the account used in all', async () => {
    const { live, ends, printed } = await seen([line('10:00:00.900'), line('10:10:00.000'), line('10:20:00.000')]);
    await ends(await live('10:00:01'), 8.25);
    await live('10:10:00');
    await ends(await live('10:40:00'), 1);
    const { code, out, err } = await printed();
    expect(code).toBe(0);
    expect(out).toContain('physics        3    1  $8.25     1          1       0');
    expect(err).toContain(
      'of 3 that would have been refused, 1 ran and cost $8.25, 1 wait or run, 1 never ran or were never seen by the agent',
    );
  });

  it('sums up a burst of refused ones, whichever is whose, and claims nothing of one among admitted ones', async () => {
    const burst = await seen([line('10:00:00.100'), line('10:00:00.200')]);
    await burst.ends(await burst.live('10:00:00'), 2);
    await burst.ends(await burst.live('10:00:00'), 3);
    expect((await burst.printed()).err).toContain('2 ran and cost $5.00');
    const mixed = await seen([line('10:00:00.100'), line('10:00:00.200', { would: 'admit', code: '-' })]);
    await mixed.ends(await mixed.live('10:00:00'), 2);
    const { err } = await mixed.printed();
    expect(err).toContain('0 ran and cost $0.00');
    expect(err).toContain('1 were submitted beside others of their user: the log has no job ids');
  });

  it('takes no other user for the one of the line', async () => {
    const { live, ends, printed } = await seen([line('10:00:00.000')]);
    await ends(await live('10:00:00', 'bob'), 2);
    expect((await printed()).err).toContain('0 ran and cost $0.00, 0 wait or run, 1 never ran');
  });

  it('is in the JSON too, as numbers', async () => {
    const { live, ends, printed } = await seen([line('10:00:00.000'), line('11:00:00.000', { account: 'nobody' })], { output: 'json' });
    await ends(await live('10:00:00'), 8.25);
    expect(JSON.parse((await printed()).out).agents_view).toMatchObject({
      accounts: [{ account: 'physics', refused: 1, ran: 1, cost: 8.25, limit: 5, available: -3.25, is_cut: false }],
      unknown: ['nobody'],
      left_out: 0,
      missing: null,
    });
  });

  it('shows what the account used on these days, how good its estimates were, and that older holds were not read', async () => {
    const page = { holds: [], cursor: 'more' };
    const { context, machine, asked } = aContext(
      {
        'GET /accounts/physics': { body: { budget_limit: 500, budget_available: 20 } },
        'GET /accounts/physics/usage': { body: { total: { used: 480 } } },
        'GET /accounts/physics/usage/accuracy': { body: { total: { used_of_estimated: 0.312 } } },
        'GET /accounts/physics/holds': { body: page },
      },
      {},
      { columns: 80, env: { NO_COLOR: '1', ASBB_ENDPOINT: 'http://127.0.0.1:8080' } },
    );
    await runShadowReport(context, [file('s.log', `${line('10:00:00.000')}\n`)]);
    expect(machine.out()).toMatch(/physics +1 +0 +\$0\.00 +0 .*\$480\.00 +\$500\.00/);
    expect(machine.err()).toContain('physics: jobs used 31% of their estimates');
    expect(machine.err()).toContain('of physics only the newest holds were read');
    expect(asked.filter(({ path }) => path.endsWith('/holds'))).toHaveLength(20);
  });

  it('is missing with its reason where the API is not reached, and the log is still summed up', async () => {
    const { printed } = await seen([line('10:00:00.000')]);
    const { code, out, err } = await printed(async () => {
      throw new CommandError(5, 'cannot reach http://x: connection refused');
    });
    expect(code).toBe(0);
    expect(out).toContain('insufficient_budget');
    expect(err).toContain('this is the log alone; what became of these jobs is not known: cannot reach http://x');
  });

  it('reads no more than accounts, their usage and pages of their holds', async () => {
    const { printed, service } = await seen([line('10:00:00.000'), line('10:30:00.000')]);
    const before = service.requests.length;
    await printed();
    expect(service.requests.slice(before)).toHaveLength(4);
  });
});

describe('the time of a line', () => {
  it('without a year is the latest that is not ahead', () => {
    const june = new Date(2026, 5, 1).getTime();
    expect(logTimeMs('Nov 25 14:00:00', june)).toBe(new Date(2025, 10, 25, 14).getTime());
    expect(logTimeMs('May  3 14:00:00', june)).toBe(new Date(2026, 4, 3, 14).getTime());
  });

  it.each([['0x1234'], ['12345'], ['Nov 25 14:00:00.123'], ['2026-11-25']])('is null if it is none: %s', (text) => {
    expect(logTimeMs(text, NOON)).toBeNull();
  });
});
