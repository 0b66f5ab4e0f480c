import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  runAccountCreate,
  runAccountDelete,
  runAccountDeposit,
  runAccountList,
  runAccountShow,
  runAccountUpdate,
  runAccountWithdraw,
} from '#cli/commands/run-account';
import { runUsageAccuracy } from '#cli/commands/run-accuracy';
import { runAudit } from '#cli/commands/run-audit';
import { runClusterList, runClusterSet } from '#cli/commands/run-cluster';
import { runConfigInit } from '#cli/commands/run-config';
import { runDatabaseMigrate, runDatabaseStatus } from '#cli/commands/run-database';
import { runHoldList, runHoldRelease, runHoldShow } from '#cli/commands/run-hold';
import { runPartitionDelete, runPartitionList, runPartitionSet, runPartitionShow } from '#cli/commands/run-partition';
import { runQuote } from '#cli/commands/run-quote';
import { runTransactionsList } from '#cli/commands/run-transactions';
import { runUsageSummary } from '#cli/commands/run-usage';
import { readTime } from '#cli/commands/values';
import { CONFIG_TEMPLATE } from '#cli/config';
import type { TableStatus } from '#cli/context';
import { aHoldAnswer, anAccountAnswer, anEntryAnswer, aPartitionAnswer, aRefusalAnswer, aVerdictAnswer, HOLD_ID } from '#test/cli/answers';
import { AN_ID, type Asked, aContext, NOON } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const folder = (): string => aFolder('asbb-commands-');

const ACCOUNTS = {
  'GET /accounts': {
    body: {
      accounts: [
        anAccountAnswer(),
        anAccountAnswer({
          account: 'zeta',
          name: '=HYPERLINK("http://x"), "quoted"',
          budget_available: -0.5,
          budget_used: 999_999_999.999999,
          status: 'suspended',
          start_date: null,
          end_date: null,
          budget_unconfirmed: 0,
        }),
      ],
    },
  },
};

describe('account list', () => {
  it('is a table for people', async () => {
    const { context, machine } = aContext(ACCOUNTS);
    expect(await runAccountList(context, {})).toBe(0);
    expect(machine.out()).toBe(
      [
        'ACCOUNT  NAME                                  LIMIT                 USED     HELD  AVAILABLE  STATUS     START       END',
        'proj001  Protein folding                   $1,234.56          $100.000000  $14.688  $1,119.872  active     2025-01-01  2025-12-31',
        'zeta     =HYPERLINK("http://x"), "quoted"  $1,234.56  $999,999,999.999999  $14.688     -$0.500  suspended  -           -',
        '',
      ]
        .join('\n')
        .replace('HELD  AVAILABLE', 'HELD   AVAILABLE'),
    );
    expect(machine.err()).toBe('');
  });

  it("is the API's own array as JSON", async () => {
    const { context, machine } = aContext(ACCOUNTS, { output: 'json' });
    await runAccountList(context, {});
    expect(JSON.parse(machine.out())).toEqual(ACCOUNTS['GET /accounts'].body);
    expect(machine.out()).toContain('"budget_used": 999999999.999999');
  });

  it('is RFC 4180 as CSV, with no text that a spreadsheet would run', async () => {
    const { context, machine } = aContext(ACCOUNTS, { output: 'csv' });
    await runAccountList(context, {});
    expect(machine.out().split('\r\n')).toEqual([
      'account,name,description,budget_limit,budget_used,budget_held,budget_available,budget_unconfirmed,start_date,end_date,status,version,created_at,updated_at',
      'proj001,Protein folding,,1234.56,100.00,14.688,1119.872,14.688,2025-01-01,2025-12-31,active,3,2025-01-01T08:00:00.000Z,2025-02-01T08:00:00.000Z',
      `zeta,"'=HYPERLINK(""http://x""), ""quoted""",,1234.56,999999999.999999,14.688,-0.50,0.00,,,suspended,3,2025-01-01T08:00:00.000Z,2025-02-01T08:00:00.000Z`,
      '',
    ]);
  });

  it('follows the cursors, and says when it was cut', async () => {
    const page = ({ query }: Asked) => ({ body: query.cursor ? { accounts: [anAccountAnswer()] } : { accounts: [], cursor: 'next' } });
    const all = aContext({ 'GET /accounts': page }, { output: 'json' });
    await runAccountList(all.context, {});
    expect(JSON.parse(all.machine.out()).accounts).toHaveLength(1);
    expect(all.asked.map(({ query }) => query)).toEqual([{ limit: '500' }, { limit: '500', cursor: 'next' }]);

    const more = { body: { accounts: [anAccountAnswer()], cursor: 'next' } };
    const cut = aContext({ 'GET /accounts': more }, { output: 'json' });
    await runAccountList(cut.context, { limit: '1' });
    expect(JSON.parse(cut.machine.out())).toMatchObject({ cursor: 'next' });
    expect(cut.machine.err()).toBe('asbb: the list was cut after 1 rows: ask for more with --limit\n');
  });

  it('says so when there are none', async () => {
    const { context, machine } = aContext({ 'GET /accounts': { body: { accounts: [] } } });
    await runAccountList(context, {});
    expect(machine.out()).toBe('ACCOUNT  NAME  LIMIT  USED  HELD  AVAILABLE  STATUS  START  END\n');
    expect(machine.err()).toBe("asbb: there are no accounts: open one with 'asbb account create'\n");
  });
});

describe('account', () => {
  it('create sends exact dollars and folds the name', async () => {
    const { context, machine, asked } = aContext({ 'POST /accounts': { status: 201, body: anAccountAnswer() } });
    const given = { account: 'PROJ001', name: 'P', budget: '1000.000001', start: '2025-01-01', end: '2025-12-31' };
    expect(await runAccountCreate(context, given)).toBe(0);
    expect(asked[0]?.body).toEqual({
      account: 'proj001',
      name: 'P',
      budget_limit: 1000.000001,
      start_date: '2025-01-01',
      end_date: '2025-12-31',
    });
    expect(machine.out()).toContain('Held            $14.688 ($14.688 not yet confirmed)\n');
  });

  it.each([
    [{ budget: '1' }, 'which account? Name it with --account'],
    [{ account: 'a', bare: 'b', budget: '1' }, 'two accounts are named, b and a: name one'],
    [{ account: 'a' }, 'how much may it spend? Say it with --budget, for example --budget=1000'],
    [{ account: 'a', budget: '-1' }, "--budget '-1': must not be negative"],
    [{ account: 'a', budget: '1e3' }, "--budget '1e3': write a plain decimal number such as 12.50, without sign +, blanks or commas"],
    [{ account: 'a', budget: '0.0000001' }, "--budget '0.0000001': write the number with at most 6 decimals"],
    [{ account: 'a', budget: '1', start: '2025-02-30' }, "--start '2025-02-30': must be a date like 2026-11-23"],
    [{ account: 'a', budget: '1', start: '2025-02-02', end: '2025-02-01' }, '--end 2025-02-01 is before --start 2025-02-02'],
    [{ account: 'a b', budget: '1' }, expect.stringContaining("account 'a b': must be 1 to 64 letters")],
  ])('create refuses %j before it asks', async (given, message) => {
    const { context, asked } = aContext();
    await expect(runAccountCreate(context, given)).rejects.toMatchObject({ exitCode: 2, message });
    expect(asked).toEqual([]);
  });

  it('show asks for the account, bare or named', async () => {
    const { context, asked } = aContext({ 'GET /accounts/proj001': { body: anAccountAnswer() } });
    await runAccountShow(context, { bare: 'proj001' });
    await runAccountShow(context, { account: 'proj001' });
    expect(asked).toHaveLength(2);
  });

  it('update sends what is said, and null for a date taken away', async () => {
    const { context, asked } = aContext({ 'PATCH /accounts/proj001': { body: anAccountAnswer() } });
    await runAccountUpdate(context, { bare: 'proj001', budget: '5', end: 'none', status: 'suspended', ifVersion: '3' });
    expect(asked[0]?.body).toEqual({ budget_limit: 5, end_date: null, status: 'suspended', if_version: 3 });
    await expect(runAccountUpdate(context, { bare: 'proj001' })).rejects.toMatchObject({ exitCode: 2 });
    await expect(runAccountUpdate(context, { bare: 'proj001', status: 'off' })).rejects.toMatchObject({ exitCode: 2 });
  });

  it.each([
    ['removed', { status: 404, body: { error: { code: 'account_not_found', message: 'none' } } }, 'account proj001 removed\n'],
    ['closed', { body: anAccountAnswer({ status: 'closed' }) }, 'account proj001 closed: its ledger stays\n'],
  ])('delete says when it was %s', async (_, left, words) => {
    const { context, machine } = aContext({ 'DELETE /accounts/proj001': { status: 204 }, 'GET /accounts/proj001': left });
    expect(await runAccountDelete(context, { account: 'proj001' })).toBe(0);
    expect(machine.out()).toBe(words);
  });

  it('deposit makes an id, and says it before it asks', async () => {
    const { context, machine, asked } = aContext({ 'POST /accounts/proj001/deposits': { body: anAccountAnswer() } });
    await runAccountDeposit(context, { bare: 'proj001', amount: '250', note: 'Q1' });
    expect(asked[0]?.body).toEqual({ amount: 250, deposit_id: AN_ID, note: 'Q1' });
    expect(machine.err()).toBe(`asbb: if this is cut short, repeat it with --deposit-id ${AN_ID}, and it is booked once\n`);
  });

  it('withdraw takes the same amount away', async () => {
    const { context, machine, asked } = aContext({ 'POST /accounts/proj001/deposits': { body: anAccountAnswer() } });
    await runAccountWithdraw(context, { bare: 'proj001', amount: '0.5', depositId: 'mine' });
    expect(asked[0]?.body).toEqual({ amount: -0.5, deposit_id: 'mine' });
    expect(machine.err()).toBe('');
    await expect(runAccountWithdraw(context, { bare: 'proj001', amount: '-5' })).rejects.toMatchObject({ exitCode: 2 });
  });

  it('deposit names its id again when nobody answered', async () => {
    const { context } = aContext({ 'POST /accounts/proj001/deposits': { status: 504, body: { message: 'timeout' } } }, { quiet: true });
    await expect(runAccountDeposit(context, { bare: 'proj001', amount: '1' })).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringContaining(`repeat with --deposit-id ${AN_ID}`),
    });
  });
});

describe('quote', () => {
  it('shows the price, its source and what would be left', async () => {
    const { context, machine, asked } = aContext({ 'POST /budget/quote': { body: aVerdictAnswer() } });
    const given = { account: 'proj001', partition: 'aws', nodes: '2-4', time: '1:00:00', gpus: 'a100:8', array: '1-4', exclusive: true };
    expect(await runQuote(context, given)).toBe(0);
    expect(asked[0]?.body).toEqual({
      ...{ account: 'proj001', partition: 'aws', min_nodes: 2, nodes: 4, wall_time: '1:00:00' },
      ...{ gpus: 8, gpu_type: 'a100', array: '1-4', exclusive: true },
    });
    expect(machine.out()).toBe(`Verdict    fits
Account    proj001
Partition  aws
Nodes      4 (c5.18xlarge)
Wall time  01:00:00
Prices     catalogue of 2026-07-20

ITEM       NODE-HOURS  USD PER NODE-HOUR  AMOUNT
instances           4               3.06  $12.24

Estimate        $12.240
Hold            $14.688
Left after it  $985.312
`);
  });

  it('exits 3 when refused, and says why and what fits', async () => {
    const { context, machine } = aContext({ 'POST /budget/quote': { body: aRefusalAnswer() } }, { quiet: true });
    expect(await runQuote(context, { account: 'proj001', partition: 'aws' })).toBe(3);
    expect(machine.err()).toBe(`asbb: ${aRefusalAnswer().message}\n`);
    expect(machine.out()).toContain('Verdict    refused\n');
    expect(machine.out()).toContain(`Available       $10.000
Short by         $4.688
Unconfirmed      $2.000
Would fit with  --time=00:40:00
                --nodes=2
`);
  });

  it('adds the offers where the message had no room for them', async () => {
    const { context, machine } = aContext({ 'POST /budget/quote': { body: { ...aRefusalAnswer(), message: 'too little.' } } });
    await runQuote(context, { account: 'proj001', partition: 'aws' });
    expect(machine.err()).toBe('asbb: too little. It fits with --time=00:40:00 or --nodes=2.\n');
  });

  it('is the verdict itself as JSON, and one row as CSV', async () => {
    const json = aContext({ 'POST /budget/quote': { body: aRefusalAnswer() } }, { output: 'json' });
    expect(await runQuote(json.context, { account: 'proj001', partition: 'aws' })).toBe(3);
    expect(JSON.parse(json.machine.out())).toEqual(aRefusalAnswer());
    const csv = aContext({ 'POST /budget/quote': { body: aVerdictAnswer() } }, { output: 'csv' });
    await runQuote(csv.context, { account: 'proj001', partition: 'aws' });
    expect(csv.machine.out().split('\r\n')).toEqual([
      'decision,estimated_cost,hold_amount,budget_remaining,shortfall,code,nodes,wall_time,instance_types,source,price_date,low,high,fits_wall_time,fits_nodes,fits_array_tasks,message',
      'admitted,12.24,14.688,985.312,,,4,01:00:00,c5.18xlarge,catalogue,2026-07-20,12.24,12.24,,,,"account proj001: $14.688 held, $985.312 left"',
      '',
    ]);
  });

  it('is for the configured cluster unless one is named', async () => {
    const config = join(folder(), 'c.yaml');
    writeFileSync(config, 'slurm: {cluster: hpc1}');
    const { context, asked } = aContext({ 'POST /budget/quote': { body: aVerdictAnswer() } }, { config });
    await runQuote(context, { account: 'a', partition: 'aws' });
    await runQuote(context, { account: 'a', partition: 'aws', cluster: 'hpc2' });
    expect(asked.map(({ body }) => (body as { cluster: string }).cluster)).toEqual(['hpc1', 'hpc2']);
  });

  it.each([
    [{ partition: 'aws' }, 'which account pays? Name it with -A'],
    [{ account: 'a' }, 'which partition is it for? Name it with -p'],
    [{ nodes: '4-2' }, "--nodes '4-2': write the smaller number first"],
    [{ nodes: 'x' }, "--nodes 'x': must be a count like 4, or a range like 2-4"],
    [{ ntasks: '0' }, "--ntasks '0': must be a whole number from 1 to 16777215"],
    [{ time: 'soon' }, expect.stringContaining("--time 'soon': write the wall time as minutes")],
    [{ mem: '1.5G' }, expect.stringContaining("--mem '1.5G': write memory as a whole number")],
    [{ array: '5-1' }, expect.stringContaining("--array '5-1': write the array range 5-1")],
    [{ gpus: 'a100:4', gpusPerNode: 'h100:1' }, 'GPUs of types h100 and a100 are asked for: name one type'],
  ])('refuses %j before it asks', async (given, message) => {
    const { context, asked } = aContext();
    const base = 'account' in given || 'partition' in given ? {} : { account: 'a', partition: 'aws' };
    await expect(runQuote(context, { ...base, ...given })).rejects.toMatchObject({ exitCode: 2, message });
    expect(asked).toEqual([]);
  });
});

describe('hold', () => {
  it('list asks an account or a cluster', async () => {
    const holds = { body: { holds: [aHoldAnswer()] } };
    const { context, machine, asked } = aContext({ 'GET /accounts/proj001/holds': holds, 'GET /holds': holds });
    await runHoldList(context, { account: 'proj001', state: 'open', user: 'alice' });
    await runHoldList(context, { cluster: 'hpc1', unbound: true, limit: '7' });
    expect(asked.map(({ path, query }) => [path, query])).toEqual([
      ['/accounts/proj001/holds', { state: 'open', user: 'alice', limit: '500' }],
      ['/holds', { cluster: 'hpc1', bound: 'false', limit: '7' }],
    ]);
    expect(machine.out()).toContain(`${HOLD_ID}  open   $7.344  $0.00  -    proj001  alice  aws        hpc1     2026-11-23T11:00:00Z`);
  });

  it.each([
    [{}, 'whose holds? Name an account with -A, or a cluster with --cluster'],
    [{ account: 'a', cluster: 'c' }, 'name either an account (-A) or a cluster (--cluster), not both'],
    [{ account: 'a', bound: true }, '--bound and --unbound go with --cluster, not with -A'],
    [{ cluster: 'c', state: 'settled' }, 'of a cluster only open holds are listed: find settled ones with -A'],
    [{ cluster: 'c', bound: true, unbound: true }, 'give --bound or --unbound, or neither for all'],
    [{ account: 'a', state: 'gone' }, "--state 'gone': must be open, settled, released or expired"],
  ])('list refuses %j', async (given, message) => {
    await expect(runHoldList(aContext().context, given)).rejects.toMatchObject({ exitCode: 2, message });
  });

  it('show takes the id as admin_comment has it, and reads all runs', async () => {
    const run = { run_id: 'hpc1-1', state: 'COMPLETED', actual_charge: 1, refund_amount: 2, final: true, ended_at: null };
    const detail = { ...aHoldAnswer(), spec: { nodes: 2, wall_time: '01:00:00', array: null }, line_items: [] };
    const { context, machine, asked } = aContext(
      {
        [`GET /holds/${HOLD_ID}`]: ({ query }) => ({
          body: query.cursor ? { ...detail, runs: [{ ...run, run_id: 'hpc1-2' }] } : { ...detail, runs: [run], cursor: 'c' },
        }),
      },
      { output: 'json' },
    );
    await runHoldShow(context, { id: `asbb:${HOLD_ID.toUpperCase()}` });
    const shown = JSON.parse(machine.out());
    expect(shown.runs.map((one: { run_id: string }) => one.run_id)).toEqual(['hpc1-1', 'hpc1-2']);
    expect(shown).not.toHaveProperty('cursor');
    expect(asked).toHaveLength(2);
  });

  it('show prints the hold, what was asked for, its price and its runs', async () => {
    const runs = [{ run_id: 'hpc1-1', state: 'COMPLETED', actual_charge: 1, refund_amount: 6.344, final: true, ended_at: null }];
    const line_items = [{ name: 'instances', quantity: 2, unit_price: 3.06, amount: 6.12 }];
    const body = { ...aHoldAnswer(), spec: { account: 'proj001', nodes: 2, array: null }, line_items, runs };
    const { context, machine } = aContext({ [`GET /holds/${HOLD_ID}`]: { body } });
    await runHoldShow(context, { id: HOLD_ID });
    expect(machine.out()).toContain(`Held now       $7.344\n`);
    expect(machine.out()).toContain(`\nAsked for\nnodes  2\n\nITEM       NODE-HOURS  USD PER NODE-HOUR  AMOUNT\n`);
    expect(machine.out()).toContain(`RUN     STATE      CHARGED  RETURNED  FINAL  ENDED\nhpc1-1  COMPLETED    $1.00    $6.344  yes    -\n`);
  });

  it('release says why', async () => {
    const { context, asked } = aContext({ [`POST /holds/${HOLD_ID}/release`]: { body: aHoldAnswer({ state: 'released', amount: 0 }) } });
    expect(await runHoldRelease(context, { id: HOLD_ID, reason: 'cancelled' })).toBe(0);
    expect(asked[0]?.body).toEqual({ reason: 'cancelled' });
    await expect(runHoldRelease(context, { id: 'x' })).rejects.toMatchObject({ exitCode: 2 });
  });
});

describe('transactions list', () => {
  it('prints the ledger between two times', async () => {
    const { context, machine, asked } = aContext({
      'GET /accounts/proj001/transactions': {
        body: { transactions: [anEntryAnswer(), anEntryAnswer({ type: 'release', note: 'a\u001b[31m\nb' })] },
      },
    });
    await runTransactionsList(context, { account: 'proj001', from: '2026-01-01', to: '2026-12-01T00:00:00Z' });
    expect(asked[0]?.query).toEqual({ from: '2026-01-01', to: '2026-12-01T00:00:00Z', limit: '500' });
    expect(machine.out()).toBe(
      [
        `TIME                  TYPE     AMOUNT  AVAILABLE    HELD   USED  LIMIT  JOB  USER   HOLD                                  NOTE`,
        `2026-11-23T11:00:00Z  hold     $7.344    -$7.344  $7.344  $0.00  $0.00  -    alice  ${HOLD_ID}  -`,
        `2026-11-23T11:00:00Z  release  $7.344    -$7.344  $7.344  $0.00  $0.00  -    alice  ${HOLD_ID}  a [31m b`,
        '',
      ].join('\n'),
    );
  });

  it.each(['yesterday', '2026-13-01', '2026-01-01T00:00:00+01:00', '2026-02-30T00:00:00Z'])('refuses the time %s', async (from) => {
    await expect(runTransactionsList(aContext().context, { account: 'a', from })).rejects.toMatchObject({ exitCode: 2 });
  });
});

describe('usage accuracy', () => {
  const row = (given: object = {}) => ({
    ...{ key: 'alice', holds: 200, estimated: 12_345.5, held: 14_814.6, used: 9876.4, used_of_estimated: 0.8, used_of_held: 0.6667 },
    ...{ overran: 3, suggested_hold_percentage: 1.05, suggested_risk: 0.045, unspent_holds: 2, unspent_held: 24, ...given },
  });
  const few = { suggested_hold_percentage: null, suggested_risk: null };
  const none = { ...few, holds: 0, estimated: 0, held: 0, used: 0, used_of_estimated: null, used_of_held: null, overran: 0 };
  const { key: _, ...total } = row({ holds: 203 });
  const answer = { rows: [row(), row({ key: null, ...none })], total, from: '2026-11-01', to: '2026-11-24', risk: 0.05, min_holds: 30 };
  const answers = {
    'GET /usage/accuracy': { body: { ...answer, rows: [], total: { ...total, ...none, unspent_holds: 0, unspent_held: 0 } } },
    'GET /accounts/proj001/usage/accuracy': { body: answer },
  };
  const ask = { risk: '5%' };

  it('of one account is by user, says what would have been enough, and what was held for nothing', async () => {
    const { context, machine, asked } = aContext(answers);
    expect(await runUsageAccuracy(context, { account: 'proj001', ...ask })).toBe(0);
    expect(asked[0]).toMatchObject({ path: '/accounts/proj001/usage/accuracy', query: { by: 'user', risk: '0.0500' } });
    expect(machine.out()).toBe(
      [
        'USER       HOLDS   ESTIMATED        HELD       USED  OF HELD  OVER  HOLD x  RISK',
        'alice        200  $12,345.50  $14,814.60  $9,876.40    66.7%     3    1.05  4.5%',
        '(unknown)      0       $0.00       $0.00      $0.00        -     0       -     -',
        'TOTAL        203  $12,345.50  $14,814.60  $9,876.40    66.7%     3    1.05  4.5%',
        '',
      ].join('\n'),
    );
    expect(machine.err()).toBe(
      [
        'asbb: holds closed from 2026-11-01 until before 2026-11-24, UTC, that used something; OVER used more than was held for them',
        'asbb: 2 more used nothing of the $24.00 held for them',
        'asbb: default_hold_percentage 1.05 would not have been enough for 4.5% of 203 holds',
        '',
      ].join('\n'),
    );
  });

  it('suggests nothing of too little, and passes on what is asked for', async () => {
    const { context, machine, asked } = aContext(answers);
    await runUsageAccuracy(context, { user: 'alice', r: 'aws', from: '1101', to: 'today', by: 'month', risk: '0.01' });
    const query = { user: 'alice', partition: 'aws', from: '2026-11-01', to: '2026-11-23', by: 'month', risk: '0.0100' };
    expect(asked[0]?.query).toEqual(query);
    expect(machine.err()).toMatch(/nothing is suggested of fewer than 30 holds, nor where more than 5\.0% cost ten times/);
    expect(machine.err()).not.toContain('more used nothing');
  });

  it('prints the API’s own JSON, and CSV without a total', async () => {
    const json = aContext(answers, { output: 'json' });
    await runUsageAccuracy(json.context, { bare: 'proj001', ...ask });
    expect(JSON.parse(json.machine.out())).toEqual(answer);
    const csv = aContext(answers, { output: 'csv' });
    await runUsageAccuracy(csv.context, { bare: 'proj001', ...ask });
    const [header, first, second] = csv.machine.out().split('\r\n');
    expect(header).toBe(
      'key,holds,estimated,held,used,used_of_estimated,used_of_held,overran,suggested_hold_percentage,suggested_risk,unspent_holds,unspent_held',
    );
    expect(first).toBe('alice,200,12345.50,14814.60,9876.40,0.8,0.6667,3,1.05,0.045,2,24.00');
    expect(second).toBe(',0,0.00,0.00,0.00,,,0,,,2,24.00');
  });

  it.each<[string, RegExp]>([
    ['5', /--risk '5': must be a share of at most 100%, like 5% or 0.05/],
    ['101%', /at most 100%/],
    ['many', /at most 100%/],
    ['0.001%', /hundredths of a percent/],
  ])('refuses a risk of %s', async (risk, message) => {
    await expect(runUsageAccuracy(aContext().context, { risk })).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ['0%', '0.0000'],
    ['100%', '1.0000'],
    ['2.5%', '0.0250'],
    ['1', '1.0000'],
  ])('sends a risk of %s as %s', async (risk, sent) => {
    const { context, asked } = aContext(answers);
    await runUsageAccuracy(context, { risk });
    expect(asked[0]?.query).toMatchObject({ risk: sent });
  });
});

describe('usage summary', () => {
  const row = (key: string | null, given: object = {}) => ({ key, jobs: 2, used: 1234.5, held: 12, node_hours: 3.25, ...given });
  const usage = (...rows: object[]) => ({
    rows,
    total: { jobs: 4, used: 2469, held: 24, node_hours: 6.5 },
    from: '2026-11-01',
    to: '2026-11-24',
  });
  const answers = {
    'GET /usage': { body: usage(row('proj001'), row('proj002')) },
    'GET /accounts/proj001/usage': { body: usage(row('alice'), row(null)) },
  };

  it('of one account is by user, with a total, and says of which days', async () => {
    const { context, machine, asked } = aContext(answers);
    expect(await runUsageSummary(context, { account: 'PROJ001' })).toBe(0);
    expect(asked[0]).toMatchObject({ path: '/accounts/proj001/usage', query: { by: 'user' } });
    expect(machine.out()).toBe(
      [
        'USER       JOBS  NODE-HOURS       USED  HELD NOW',
        'alice         2        3.25  $1,234.50    $12.00',
        '(unknown)     2        3.25  $1,234.50    $12.00',
        'TOTAL         4        6.50  $2,469.00    $24.00',
        '',
      ].join('\n'),
    );
    expect(machine.err()).toBe('asbb: from 2026-11-01 until before 2026-11-24, UTC\n');
  });

  it('of all accounts is by account', async () => {
    const { context, asked } = aContext(answers);
    await runUsageSummary(context, {});
    expect(asked[0]).toMatchObject({ path: '/usage', query: { by: 'account' } });
  });

  it('passes on what is asked for', async () => {
    const { context, asked } = aContext(answers);
    await runUsageSummary(context, { user: 'alice', partition: 'aws', from: 'now-7days', to: '1101', by: 'month' });
    const query = { user: 'alice', partition: 'aws', from: '2026-11-16T12:00:00.000Z', to: '2026-11-01', by: 'month' };
    expect(asked[0]?.query).toEqual(query);
    await runUsageSummary(context, { r: 'gpu' });
    expect(asked[1]?.query).toEqual({ partition: 'gpu', by: 'account' });
  });

  it('prints the API’s own JSON, and CSV without a total', async () => {
    const json = aContext(answers, { output: 'json' });
    await runUsageSummary(json.context, { bare: 'proj001' });
    expect(JSON.parse(json.machine.out())).toEqual(usage(row('alice'), row(null)));
    const csv = aContext(answers, { output: 'csv' });
    await runUsageSummary(csv.context, { bare: 'proj001' });
    expect(csv.machine.out()).toBe('key,jobs,node_hours,used,held\r\nalice,2,3.25,1234.50,12.00\r\n,2,3.25,1234.50,12.00\r\n');
    expect(csv.machine.err()).toBe('');
  });

  it.each<[Parameters<typeof runUsageSummary>[1], RegExp]>([
    [{ by: 'week' }, /--by 'week': must be account, user, partition or month/],
    [{ bare: 'a', account: 'b' }, /two accounts are named, a and b/],
    [{ from: 'yesterday' }, /--from 'yesterday': must be a time as sacct takes it/],
    [{ partition: 'a/b' }, /--partition 'a\/b'/],
  ])('refuses %j', async (options, problem) => {
    await expect(runUsageSummary(aContext().context, options)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(problem),
    });
  });

  it.each([
    ['2026-11-23', '2026-11-23'],
    ['2026-11-23T10:00:00Z', '2026-11-23T10:00:00Z'],
    ['2026-11-23T10:00', '2026-11-23T10:00Z'],
    ['today', '2026-11-23'],
    ['midnight', '2026-11-23'],
    ['0101', '2026-01-01'],
    ['12/31', '2026-12-31'],
    ['123125', '2025-12-31'],
    ['12/31/25', '2025-12-31'],
    ['now', '2026-11-23T12:00:00.000Z'],
    ['now-7days', '2026-11-16T12:00:00.000Z'],
    ['now-1week', '2026-11-16T12:00:00.000Z'],
    ['NOW-36hours', '2026-11-22T00:00:00.000Z'],
    ['now+90', '2026-11-23T12:01:30.000Z'],
    ['now-5minutes', '2026-11-23T11:55:00.000Z'],
  ])('reads the time %s as %s', (value, time) => {
    expect(readTime({ flag: '-S', value, now: NOON })).toBe(time);
  });

  it.each(['1332', '0230', 'now-7moons', 'now-999999999weeks', 'noonish', '12:00', ''])('refuses the time %j', (value) => {
    expect(() => readTime({ flag: '-S', value, now: NOON })).toThrow(/-S '.*': must be/);
  });
});

describe('audit', () => {
  const difference = { account: 'proj001', column: 'held', stored: 5, replayed: 4.5, cause: 'the column was changed beside the ledger' };
  const entries = { account: 'proj001', column: 'entries', stored: 2, replayed: 3, cause: 'the account does not count all entries' };

  it('adds up its pages, and is content', async () => {
    const { context, machine, asked } = aContext({
      'POST /audit': ({ body }) => ({
        body: { accounts: 25, entries: 100, differences: [], ...((body as { cursor?: string }).cursor ? {} : { cursor: 'c' }) },
      }),
    });
    expect(await runAudit(context, { account: 'Proj001' })).toBe(0);
    expect(asked.map(({ body }) => body)).toEqual([{ account: 'proj001' }, { account: 'proj001', cursor: 'c' }]);
    expect(machine.out()).toBe('Accounts     50\nEntries      200\nDifferences  0\n');
  });

  it('exits 1 with every difference', async () => {
    const { context, machine } = aContext({ 'POST /audit': { body: { accounts: 1, entries: 2, differences: [difference, entries] } } });
    expect(await runAudit(context, {})).toBe(1);
    expect(machine.out()).toBe(`Accounts     1
Entries      2
Differences  2

ACCOUNT  COLUMN   STORED  REPLAYED  CAUSE
proj001  held      $5.00     $4.50  the column was changed beside the ledger
proj001  entries       2         3  the account does not count all entries
`);
    expect(machine.err()).toBe(
      "asbb: 2 differences between what is stored and what the ledger says; 'asbb audit --repair' sets the columns of accounts to what it says\n",
    );
  });

  it('is one object as JSON', async () => {
    const { context, machine } = aContext(
      { 'POST /audit': { body: { accounts: 1, entries: 2, differences: [difference] } } },
      { output: 'json' },
    );
    expect(await runAudit(context, {})).toBe(1);
    expect(JSON.parse(machine.out())).toEqual({ accounts: 1, entries: 2, differences: [difference] });
  });

  const run = {
    ...{ account: 'proj001', column: 'run', hold_id: HOLD_ID, run_id: 'hpc-7', stored: 9, replayed: 5 },
    cause: 'the cost of the run was changed beside the ledger, or one of its entries is gone',
  };
  const answered = (differences: readonly object[], more = {}) => ({
    'POST /audit': { body: { accounts: 1, entries: 2, differences, ...more } },
  });
  const MEND =
    "asbb: holds and runs are for a person to mend: compare 'asbb hold show HOLD' with 'asbb transactions list -A ACCOUNT', and put the item " +
    'back from a backup of the table; do not release or correct it before, for that moves money by what is stored\n';

  it('repairs, says what, and exits 0 when nothing is left', async () => {
    const { context, machine, asked } = aContext(answered([{ ...difference, repaired: true }]));
    expect(await runAudit(context, { repair: true })).toBe(0);
    expect(asked.map(({ body }) => body)).toEqual([{ repair: true }]);
    expect(machine.out()).toBe(`Accounts     1
Entries      2
Differences  1

ACCOUNT  COLUMN  STORED  REPLAYED  CAUSE                                     REPAIRED
proj001  held     $5.00     $4.50  the column was changed beside the ledger  yes
`);
    expect(machine.err()).toBe('asbb: 1 difference repaired, 0 not\n');
  });

  it('says of a ledger that has lost entries that the table is to be restored, not repaired', async () => {
    const cause = 'ledger entries are missing';
    const gone = ['limit', 'entries'].map((column) => ({ account: 'proj001', column, stored: 9, replayed: 0, cause, repaired: false }));
    const said =
      'asbb: the ledger of proj001 has lost entries, so its columns are not set to it: restore the table to a moment ' +
      "that has them. To set it to what is left all the same, name it: 'asbb audit --repair -A proj001'\n";
    const looked = aContext(answered(gone));
    expect(await runAudit(looked.context, {})).toBe(1);
    expect(looked.machine.err()).toBe(`asbb: 2 differences between what is stored and what the ledger says\n${said}`);
    const repaired = aContext(answered(gone));
    expect(await runAudit(repaired.context, { repair: true })).toBe(1);
    expect(repaired.machine.err()).toBe(`asbb: 0 differences repaired, 2 not\n${said}`);
    const named = aContext(answered(gone));
    expect(await runAudit(named.context, { repair: true, account: 'proj001' })).toBe(1);
    expect(named.machine.err()).toBe(
      'asbb: 0 differences repaired, 2 not\nasbb: an account was changed while it was repaired: repair again\n',
    );
  });

  it('repairs with nothing to repair', async () => {
    const { context, machine } = aContext(answered([]));
    expect(await runAudit(context, { repair: true })).toBe(0);
    expect(machine.err()).toBe('');
  });

  it.each([
    [
      'a run',
      [
        { ...difference, repaired: true },
        { ...run, repaired: false },
      ],
      `asbb: 1 difference repaired, 1 not\n${MEND}`,
    ],
    [
      'an account that was changed meanwhile',
      [{ ...difference, repaired: false }],
      'asbb: 0 differences repaired, 1 not\nasbb: an account was changed while it was repaired: repair again\n',
    ],
  ])('exits 1, and says how it is mended, when a repair leaves %s', async (_, differences, said) => {
    const { context, machine } = aContext(answered(differences));
    expect(await runAudit(context, { repair: true })).toBe(1);
    expect(machine.err()).toBe(said);
  });

  it('is one object as JSON, with what was repaired', async () => {
    const differences = [{ ...run, repaired: false }];
    const { context, machine } = aContext(answered(differences), { output: 'json' });
    expect(await runAudit(context, { repair: true })).toBe(1);
    expect(JSON.parse(machine.out())).toEqual({ accounts: 1, entries: 2, differences });
  });

  it('is a row a difference as CSV', async () => {
    const { context, machine } = aContext(answered([{ ...difference, repaired: true }, run]), { output: 'csv' });
    expect(await runAudit(context, { repair: true })).toBe(1);
    expect(machine.out().split('\r\n')).toEqual([
      'account,column,hold_id,run_id,stored,replayed,cause,repaired',
      'proj001,held,,,5,4.5,the column was changed beside the ledger,true',
      `proj001,run,${HOLD_ID},hpc-7,9,5,"the cost of the run was changed beside the ledger, or one of its entries is gone",`,
      '',
    ]);
  });

  it('says what it could not compare, and that is no difference', async () => {
    const { context, machine } = aContext(answered([], { not_compared: 2 }));
    expect(await runAudit(context, {})).toBe(0);
    expect(machine.err()).toBe('asbb: 2 holds and runs of a long ledger were too many at once to be compared\n');
  });
});

describe('partition', () => {
  it('list fits into 80 columns, drops what is least needed, and says so', async () => {
    const { context, machine } = aContext({ 'GET /partitions': { body: { partitions: [aPartitionAnswer()] } } }, {}, { columns: 80 });
    await runPartitionList(context, {});
    const lines = machine.out().split('\n');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are escape sequences
    expect(Math.max(...lines.map((line) => [...line.replace(/\u001b\[\d+m/g, '')].length))).toBeLessThanOrEqual(80);
    expect(machine.err()).toMatch(/^asbb: .+ did not fit into 80 columns: see them with '| less -S', -o json or -o csv\n$/);
  });

  it('list shows what a node costs for an hour, who says so and since when', async () => {
    const unpriced = { price_per_node_hour: null, price_instance_type: null, price_source: null, price_date: null, price_age_days: null };
    const partitions = [aPartitionAnswer(), aPartitionAnswer({ partition: 'new', ...unpriced, price_confidence: null })];
    const { context, machine } = aContext({ 'GET /partitions': { body: { partitions } } });
    await runPartitionList(context, {});
    const [head = '', aws = '', unknown = ''] = machine.out().split('\n');
    expect(head).toMatch(/PARTITION +REGION +TYPES +\$\/NODE-HOUR +PRICE FROM +PRICE DATE +DAYS OLD/);
    expect(aws).toMatch(/aws +us-east-1 +c5.18xlarge,c5n.18xlarge +\$2.2132 +pricing-api +2026-11-22 +1 /);
    expect(unknown).toMatch(/new +us-east-1 +c5.18xlarge,c5n.18xlarge +- +- +- +- /);
  });

  it('set sends what the flags say, and no more', async () => {
    const { context, asked } = aContext({ 'PUT /partitions/aws': { body: aPartitionAnswer() } });
    await runPartitionSet(context, {
      ...{ name: 'aws', region: 'us-east-1', types: 'c5.18xlarge,c5n.18xlarge', discountFactor: '0.72', overheadMinutes: '5' },
      ...{ overheadPerNodeHour: '0.01', defaultTime: '1:00:00', threadsPerCore: '1', writeOffNodeFailures: true, memoryPerNode: '180G' },
    });
    expect(asked[0]?.body).toEqual({
      ...{ region: 'us-east-1', instance_types: ['c5.18xlarge', 'c5n.18xlarge'], discount_factor: 0.72, overhead_minutes: 5 },
      ...{
        overhead_per_node_hour: 0.01,
        default_wall_time: '1:00:00',
        threads_per_core: 1,
        write_off_node_failures: true,
        memory_per_node: '180G',
      },
    });
  });

  it.each([
    ['model.yaml', 'region: us-east-1\ninstance_types: [c5.18xlarge]\ndiscount_factor: 0.72\n'],
    ['model.json', '{"region":"us-east-1","instance_types":["c5.18xlarge"],"discount_factor":0.72}'],
  ])('set reads %s', async (name, content) => {
    const file = join(folder(), name);
    writeFileSync(file, content);
    const { context, asked } = aContext({ 'PUT /partitions/aws': { body: aPartitionAnswer() } });
    await runPartitionSet(context, { name: 'aws', file });
    expect(asked[0]?.body).toEqual({ region: 'us-east-1', instance_types: ['c5.18xlarge'], discount_factor: 0.72 });
  });

  it.each([
    [{}, expect.stringContaining('in which region')],
    [{ region: 'us-east-1' }, expect.stringContaining('which instances')],
    [{ region: 'r', types: 't', purchase: 'stolen' }, "--purchase 'stolen': must be on-demand or spot"],
    [{ region: 'r', types: 't', discountFactor: '0' }, "--discount-factor '0': must be a factor from 0.000001 to 10, like 0.72"],
    [{ file: 'x.yaml', region: 'r' }, 'give the model either as --file or as flags, not both'],
    [{ file: '/nonexistent.yaml' }, 'cannot read /nonexistent.yaml (ENOENT)'],
  ])('set refuses %j before it asks', async (given, message) => {
    await expect(runPartitionSet(aContext().context, { name: 'aws', ...given })).rejects.toMatchObject({ exitCode: 2, message });
  });

  it('show and delete', async () => {
    const { context, machine } = aContext({
      'GET /partitions/aws': { body: aPartitionAnswer() },
      'DELETE /partitions/aws': { status: 204 },
    });
    await runPartitionShow(context, { name: 'aws' });
    await runPartitionDelete(context, { name: 'aws' });
    expect(machine.out()).toContain('Instance types            c5.18xlarge,c5n.18xlarge\n');
    expect(machine.out()).toContain('partition aws removed\n');
  });
});

describe('cluster', () => {
  const ROLE = 'arn:aws:iam::111122223333:role/hpc1-agent';
  const hpc1 = { cluster: 'hpc1', agent_version: '0.1.0', last_heartbeat: '2026-11-23T11:59:00.000Z', principals: [ROLE] };

  it('list shows who is heard, and who acts for it', async () => {
    const { context, machine } = aContext({ 'GET /clusters': { body: { clusters: [hpc1] } } });
    expect(await runClusterList(context, {})).toBe(0);
    expect(machine.out()).toMatch(
      /^CLUSTER +AGENT +LAST HEARD +ACTED FOR BY\nhpc1 +0\.1\.0 .+ arn:aws:iam::111122223333:role\/hpc1-agent\n$/,
    );
  });

  it.each([
    [`${ROLE}, arn:aws:iam::111122223333:user/curie`, [ROLE, 'arn:aws:iam::111122223333:user/curie']],
    ['', []],
  ])('set sends whom %j names', async (principals, sent) => {
    const { context, asked, machine } = aContext({ 'PATCH /clusters/hpc1': { body: hpc1 } });
    expect(await runClusterSet(context, { name: 'hpc1', principals })).toBe(0);
    expect(asked[0]?.body).toEqual({ principals: sent });
    expect(machine.out()).toContain(`Acted for by  ${ROLE}\n`);
  });

  it('set refuses what is no name of a cluster', async () => {
    await expect(runClusterSet(aContext().context, { name: 'a/b', principals: '' })).rejects.toMatchObject({ exitCode: 2 });
  });
});

describe('config init', () => {
  it('writes a file, but never over another', async () => {
    const file = join(folder(), 'new', 'config.yaml');
    const { context, machine } = aContext();
    expect(await runConfigInit(context, { output: file })).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe(CONFIG_TEMPLATE);
    expect(machine.out()).toBe('');
    writeFileSync(file, 'mine');
    await expect(runConfigInit(context, { output: file })).rejects.toMatchObject({
      exitCode: 1,
      message: expect.stringContaining('--force'),
    });
    expect(readFileSync(file, 'utf8')).toBe('mine');
    await runConfigInit(context, { output: file, force: true });
    expect(readFileSync(file, 'utf8')).toBe(CONFIG_TEMPLATE);
  });

  it('prints without a file', async () => {
    const { context, machine } = aContext();
    await runConfigInit(context, {});
    expect(machine.out()).toBe(CONFIG_TEMPLATE);
  });
});

describe('database', () => {
  const USABLE: TableStatus = { table: 'asbb', state: 'active', schemaVersion: 1, missingIndexes: [], usable: true };
  const withTable = (status: TableStatus, options = {}) =>
    aContext({}, options, {
      env: { AWS_REGION: 'us-east-1' },
      openTable: async () => ({ status: async () => status, migrate: async () => ({ ...status, created: true }) }),
    });

  it('migrate makes the table', async () => {
    const { context, machine } = withTable(USABLE);
    expect(await runDatabaseMigrate(context)).toBe(0);
    expect(machine.err()).toBe('asbb: table asbb was made\n');
    expect(machine.out()).toContain('Usable           yes\n');
  });

  it.each([
    [
      { state: 'absent', schemaVersion: null, missingIndexes: ['GSI1'] },
      "asbb: there is no table asbb: make it with 'asbb database migrate'\n",
    ],
    [{ schemaVersion: null }, "asbb: table asbb is not ready (active): run 'asbb database migrate'\n"],
    [{ missingIndexes: ['GSI1'], schemaVersion: null }, "asbb: table asbb is not one of asbb's: name another one as database.table\n"],
    [{ schemaVersion: 2 }, 'asbb: table asbb has schema version 2, this asbb works with 1: use the asbb of that version\n'],
  ])('status of %j exits 1 and names the mend', async (given, words) => {
    const { context, machine } = withTable({ ...USABLE, ...given, usable: false }, { output: 'json' });
    expect(await runDatabaseStatus(context)).toBe(1);
    expect(machine.err()).toBe(words);
    expect(JSON.parse(machine.out())).toMatchObject({ usable: false });
  });
});
