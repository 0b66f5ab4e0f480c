import { describe, expect, it } from 'vitest';
import { principalOf } from '#contract/principal';

describe('a principal', () => {
  it.each([
    ['a role, whatever its session', 'arn:aws:sts::111122223333:assumed-role/head-node/i-0123456789abcdef0', 'role/head-node'],
    ['a role of Roles Anywhere', 'arn:aws:sts::111122223333:assumed-role/head-node/0a1b2c', 'role/head-node'],
    ['a role as IAM writes it', 'arn:aws:iam::111122223333:role/head-node', 'role/head-node'],
    ['a role without its path', 'arn:aws:iam::111122223333:role/parallelcluster/hpc/head-node', 'role/head-node'],
    ['a user', 'arn:aws:iam::111122223333:user/curie', 'user/curie'],
    ['a user without its path', 'arn:aws:iam::111122223333:user/physics/curie', 'user/curie'],
    ['a federated user', 'arn:aws:sts::111122223333:federated-user/curie', 'federated-user/curie'],
  ])('is %s', (_, arn, principal) => {
    expect(principalOf(arn)).toBe(`arn:aws:iam::111122223333:${principal}`);
    expect(principalOf(arn.replace('aws', 'aws-us-gov'))).toBe(`arn:aws-us-gov:iam::111122223333:${principal}`);
  });

  it.each([
    ['the owner of the account', 'arn:aws:iam::111122223333:root'],
    ['a policy', 'arn:aws:iam::111122223333:policy/head-node'],
    ['a session at IAM', 'arn:aws:iam::111122223333:assumed-role/head-node/session'],
    ['a role at STS', 'arn:aws:sts::111122223333:role/head-node'],
    ['a role without a name', 'arn:aws:iam::111122223333:role/'],
    ['a path without a name', 'arn:aws:iam::111122223333:role/path/'],
    ['a role with a newline', 'arn:aws:iam::111122223333:role/head\nnode'],
    ['nothing', ''],
  ])('is not %s', (_, arn) => {
    expect(principalOf(arn)).toBeNull();
  });
});
