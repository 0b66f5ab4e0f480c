// Callers as IAM names them: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html

/**
 * The role or user behind an ARN, as `arn:aws:iam::ACCOUNT:role/NAME`: whatever session a role is used in, it is the same one.
 * Null for the owner of the account, whom nothing binds, and for whatever else is no role or user.
 */
export const principalOf = (arn: string): string | null => {
  const [, partition, service, account, kind, rest = ''] =
    /^arn:(aws[a-z-]*):(iam|sts)::(\d{12}):(role|user|assumed-role|federated-user)\/([\w+=,.@/-]+)$/.exec(arn) ?? [];
  const parts = rest.split('/');
  const name = kind === 'assumed-role' ? parts[0] : parts.at(-1);
  if (kind === undefined || !name || (service === 'sts') !== (kind === 'assumed-role' || kind === 'federated-user')) return null;
  return `arn:${partition}:iam::${account}:${kind === 'assumed-role' ? 'role' : kind}/${name}`;
};
