import { describe, expect, it } from 'vitest';
import { BudgetError, ERROR_STATUS, invalid } from '#domain/errors';

describe('ERROR_STATUS', () => {
  it('is the closed list of refusals, each with the HTTP status of the contract', () => {
    expect(ERROR_STATUS).toStrictEqual({
      validation_failed: 400,
      not_authorized: 403,
      account_not_found: 404,
      hold_not_found: 404,
      partition_not_found: 404,
      job_not_found: 404,
      run_not_found: 404,
      cluster_not_found: 404,
      route_not_found: 404,
      account_exists: 409,
      account_has_open_holds: 409,
      below_committed: 409,
      hold_conflict: 409,
      hold_closed: 409,
      run_conflict: 409,
      deposit_conflict: 409,
      cluster_conflict: 409,
      version_conflict: 409,
      body_too_large: 413,
      no_price: 422,
      no_wall_time: 422,
      does_not_fit: 422,
      account_contended: 503,
      service_unavailable: 503,
      deadline_passed: 503,
      internal_error: 500,
    });
  });
});

describe('BudgetError', () => {
  it('carries a code, a sentence, details and a cause', () => {
    const cause = new Error('socket hang up');
    const error = new BudgetError('account_contended', 'send it again', { account: 'physics' }, { cause });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'BudgetError',
      code: 'account_contended',
      message: 'send it again',
      details: { account: 'physics' },
      cause,
    });
  });

  it('needs neither details nor cause', () => {
    const error = new BudgetError('no_price', 'no price is known');
    expect(error.details).toBeUndefined();
    expect(error.cause).toBeUndefined();
  });
});

describe('invalid', () => {
  it('names the field in the sentence and in the details', () => {
    expect(invalid('end_date', 'is before the start date')).toMatchObject({
      code: 'validation_failed',
      message: 'end_date: is before the start date',
      details: { fields: [{ path: 'end_date', problem: 'is before the start date' }] },
    });
  });
});
