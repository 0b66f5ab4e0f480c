import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ceilMicroUsd, parseAsbxCost } from '#cli/commands/asbx-cost';
import { runReconcile } from '#cli/commands/run-reconcile';
import { aSettlementAnswer, HOLD_ID } from '#test/cli/answers';
import { aContext } from '#test/cli/machine';
import { aFolder } from '#test/support/folders';

const SETTLED = { 'POST /budget/reconcile': { body: aSettlementAnswer() } };

const costFile = (content: string): string => {
  const file = join(aFolder('asbb-asbx-'), 'job-17-asbb-reconciliation.json');
  writeFileSync(file, content);
  return file;
};

const asbx = (actualCost: string): string =>
  `{"job_id": "17", "account": "Proj001", "user_id": "alice", "partition": "aws",\n "actual_cost": ${actualCost}, "compute_cost": 3, "success": true}`;

describe('reconcile by flags', () => {
  it('books a cost against a hold', async () => {
    const { context, machine, asked } = aContext(SETTLED);
    expect(await runReconcile(context, { holdId: HOLD_ID, actualCost: '3.123457', final: true })).toBe(0);
    expect(asked[0]?.body).toEqual({ hold_id: HOLD_ID, actual_cost: 3.123457 });
    expect(machine.out()).toContain('Charged   $3.123457\nReturned  $4.220543\nHold is   settled\n');
  });

  it('books a time against a job', async () => {
    const { context, asked } = aContext(SETTLED);
    const job = { cluster: 'hpc1', jobId: '17', runId: 'hpc1-9', state: 'requeued', final: false, tasks: '2', account: 'PROJ001' };
    await runReconcile(context, { ...job, elapsed: '1-01:00:30' });
    expect(asked[0]?.body).toEqual({
      ...{ cluster: 'hpc1', job_id: '17', run_id: 'hpc1-9', state: 'REQUEUED', final: false, tasks: 2, account: 'proj001' },
      elapsed_seconds: 90_030,
    });
  });

  it.each([
    ['3600', 3600],
    ['00:00:00', 0],
    ['01:30:00', 5400],
    ['05:30', 330],
  ])('reads --elapsed %s as %i s', async (elapsed, seconds) => {
    const { context, asked } = aContext(SETTLED);
    await runReconcile(context, { holdId: HOLD_ID, elapsed });
    expect(asked[0]?.body).toMatchObject({ elapsed_seconds: seconds });
  });

  it.each([
    [{ actualCost: '1' }, 'which job? Name its hold with --hold-id, or it with --cluster and --job-id'],
    [{ jobId: '17', actualCost: '1' }, 'on which cluster was the job? Name it with --cluster'],
    [{ holdId: HOLD_ID }, 'give either --actual-cost or --elapsed'],
    [{ holdId: HOLD_ID, actualCost: '1', elapsed: '1' }, 'give either --actual-cost or --elapsed'],
    [{ holdId: HOLD_ID, actualCost: '-1' }, "--actual-cost '-1': must not be negative"],
    [{ holdId: HOLD_ID, elapsed: 'UNLIMITED' }, "--elapsed 'UNLIMITED': must be seconds, or [D-]HH:MM:SS as sacct prints it"],
    [{ holdId: '17', actualCost: '1' }, expect.stringContaining("--hold-id '17': is no hold id, which is a UUID: see 'asbb hold list")],
  ])('refuses %j before it asks', async (given, message) => {
    const { context, asked } = aContext();
    await expect(runReconcile(context, given)).rejects.toMatchObject({ exitCode: 2, message });
    expect(asked).toEqual([]);
  });
});

describe('reconcile --file', () => {
  it('takes everything from the file but the cluster', async () => {
    const { context, asked } = aContext(SETTLED);
    expect(await runReconcile(context, { file: costFile(asbx('3.1234560000001')), cluster: 'hpc1' })).toBe(0);
    expect(asked[0]?.body).toEqual({
      ...{ account: 'proj001', user: 'alice', partition: 'aws', cluster: 'hpc1', job_id: '17', actual_cost: 3.123457 },
      job_metadata: { compute_cost: 3, success: true },
    });
  });

  it('needs to know the cluster', async () => {
    const file = costFile(asbx('1'));
    await expect(runReconcile(aContext().context, { file })).rejects.toMatchObject({
      exitCode: 2,
      message: `${file} does not say on which cluster job 17 ran: name it with --cluster`,
    });
  });

  it.each([
    ['12.5', 12_500_000n],
    ['12.500000', 12_500_000n],
    ['0', 0n],
    ['-0.0', 0n],
    ['0.000001', 1n],
    ['0.0000010000000000000000000001', 2n],
    ['0.0000000000000000000000000000000000001', 1n],
    ['1e-7', 1n],
    ['1E-400', 1n],
    ['1.5e2', 150_000_000n],
    ['3.3000000000000003', 3_300_001n],
    // A double cannot tell these two apart.
    ['100000000.0000000000000001', 100_000_000_000_001n],
    ['100000000.0000000000000000', 100_000_000_000_000n],
    ['999999999.999999', 999_999_999_999_999n],
  ])('rounds %s up to the micro-dollar', (written, amount) => {
    expect(parseAsbxCost(asbx(written), 'f').actualCost).toBe(amount);
  });

  it.each([
    ['-0.0000000000001', 'f: actual_cost -0.0000000000001 is negative: correct the file'],
    ['-1', 'f: actual_cost -1 is negative: correct the file'],
    [
      '999999999.9999990000001',
      'f: actual_cost 999999999.9999990000001 is more than any job costs ($999,999,999.999999): correct the file',
    ],
    ['1e10', 'f: actual_cost 1e10 is more than any job costs ($999,999,999.999999): correct the file'],
    ['1e99999', 'f: actual_cost 1e99999 is more than any job costs ($999,999,999.999999): correct the file'],
    ['"12.5"', 'f: actual_cost must be a number of dollars'],
    ['null', 'f: actual_cost must be a number of dollars'],
    ['NaN', expect.stringMatching(/^f: is not JSON \(/)],
  ])('refuses a cost of %s', (written, message) => {
    expect(() => parseAsbxCost(asbx(written), 'f')).toThrow(expect.objectContaining({ exitCode: 2, message }));
  });

  it.each([
    ['[]', 'f: must be a JSON object'],
    ['', expect.stringMatching(/^f: is not JSON/)],
    ['{"job_id":"17"}', 'f: actual_cost is missing'],
    ['{"actual_cost":1}', 'f: job_id is missing'],
    ['{"job_id":1.5,"actual_cost":1}', 'f: job_id is no job id'],
    ['{"job_id":"17","actual_cost":1,"account":7}', 'f: account must be text'],
  ])('refuses %s', (content, message) => {
    expect(() => parseAsbxCost(content, 'f')).toThrow(expect.objectContaining({ exitCode: 2, message }));
  });

  it('takes the digits of the right number', () => {
    const tricky = String.raw`{"note":"\"actual_cost\": 9.99", "nested":{"actual_cost":8}, "list":["actual_cost", 7],
      "actual_cost" : 1, "job_id": 17, "act\u0075al_cost"
      :  2.00000000000000000001}`;
    expect(parseAsbxCost(tricky, 'f')).toMatchObject({ jobId: '17', actualCost: 2_000_001n });
  });

  it('knows when a number is beyond all reason', () => {
    expect(ceilMicroUsd('1e999999999999')).toBeUndefined();
    expect(ceilMicroUsd('0e999999999999')).toBe(0n);
    expect(ceilMicroUsd('1e-999999999999')).toBe(1n);
  });
});
