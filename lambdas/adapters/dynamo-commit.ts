// One booking as one transaction, and a cancelled transaction as the refusal of that booking.
import { createHash } from 'node:crypto';
import type { TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import type { TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb';
import { fromAttributes, type Item } from '#adapters/dynamo-attributes';
import {
  decodeAccount,
  decodeDeposit,
  decodeHold,
  decodeJobLink,
  decodeRun,
  encodeAccount,
  encodeDeposit,
  encodeDirectoryRow,
  encodeEntry,
  encodeHold,
  encodeJobLink,
  encodeRun,
  encodeSpec,
} from '#adapters/dynamo-items';
import type { AccountChange, Booking, ProfileChange, Refusal } from '#app/ports';
import { accountDirectoryKey, accountKey, type Key } from '#contract/table';
import type { Account } from '#domain/account';
import type { Entry } from '#domain/ledger';
import { MAX_AMOUNT_MICRO_USD } from '#domain/money';

type TransactItem = NonNullable<TransactWriteCommandInput['TransactItems']>[number];

/** DynamoDB reports one cancellation reason per write, in order: this order is a contract between writesOf and refusalOf. */
const WRITE_ORDER = ['account', 'hold', 'jobLink', 'deposit', 'run', 'spec', 'entry'] as const;

/** One write of a booking, with what it takes to say afterwards which part it was. */
export interface Write {
  readonly part: (typeof WRITE_ORDER)[number];
  readonly id: string;
  readonly item: TransactItem;
}

const exists = 'attribute_exists(pk)';
const isNew = 'attribute_not_exists(pk)';

// Condition expressions cannot add attributes together, so `available` is stored, not derived.
const canPay = 'available >= :needed';
const isActive = '#status = :active';
const hasBegun = '(attribute_not_exists(start_date) OR start_date <= :today)';
const hasNotEnded = '(attribute_not_exists(end_date) OR end_date >= :today)';
const limitStaysSmall = '#limit <= :highest_limit';
const isAsRead = 'version = :read_version';
const holdsNothing = 'held = :zero';
const usedNothing = '#used = :zero';
const nothingBookedButOpening = 'entry_count <= :one';
const limitIsAsRead = '#limit = :read_limit';

const correctionsAreAsRead = 'size(corrections) = :read_corrections';
const isOfThisHold = 'hold_id = :hold_id';
const isOfReplacedHold = 'hold_id = :replaced';

/** All writes of a booking, in WRITE_ORDER. */
export const writesOf = (booking: Booking, table: string): Write[] => {
  const { hold, jobLink, deposit } = booking;
  const byPart: Record<Write['part'], Write[]> = {
    account: booking.accounts.map((change) => ({ part: 'account', id: change.account, item: updateOf(change, table) })),
    hold: hold ? [{ part: 'hold', id: hold.after.holdId, item: holdPut(hold, table) }] : [],
    jobLink: jobLink ? [{ part: 'jobLink', id: jobLink.link.jobId, item: jobLinkPut(jobLink, table) }] : [],
    deposit: deposit ? [{ part: 'deposit', id: deposit.depositId, item: putNew(encodeDeposit(deposit), table) }] : [],
    run: (booking.runs ?? []).map((run) => ({ part: 'run', id: run.after.runId, item: runPut(run, table) })),
    // No condition of its own: it is as new, or as old, as its hold.
    spec: hold?.spec
      ? [{ part: 'spec', id: hold.after.holdId, item: put(encodeSpec({ holdId: hold.after.holdId, spec: hold.spec }), table) }]
      : [],
    entry: booking.entries.map((entry) => ({ part: 'entry', id: entry.entryId, item: putNew(encodeEntry(entry), table) })),
  };
  return WRITE_ORDER.flatMap((part) => byPart[part]);
};

/** Why a transaction of these writes was cancelled: each part whose condition failed, as it is stored. */
export const refusalOf = (writes: readonly Write[], cancelled: TransactionCanceledException): Refusal => {
  const failed = writes.flatMap(({ part, id }, index) => {
    const reason = cancelled.CancellationReasons?.[index];
    return reason?.Code === 'ConditionalCheckFailed' ? [{ part, id, stored: reason.Item ? fromAttributes(reason.Item) : null }] : [];
  });
  const of = <T>(part: Write['part'], decode: (item: Item) => T) =>
    failed.filter((each) => each.part === part).map(({ id, stored }) => ({ id, stored: stored === null ? null : decode(stored) }));
  const [hold] = of('hold', decodeHold);
  const [jobLink] = of('jobLink', decodeJobLink);
  const [deposit] = of('deposit', decodeDeposit);
  return {
    accounts: of('account', decodeAccount).map(({ id, stored }) => ({ account: id, stored })),
    runs: of('run', decodeRun).map(({ id, stored }) => ({ runId: id, stored })),
    ...(hold && { hold: { stored: hold.stored } }),
    ...(jobLink && { jobLink: { stored: jobLink.stored } }),
    ...(deposit && { deposit: { stored: deposit.stored } }),
  };
};

/**
 * The transaction of some writes. With an entry it carries a token, so that the same booking again within ten minutes, after
 * an answer that was lost, is the same transaction to DynamoDB. The token is the first entry's id and a digest of all
 * writes: an entry id that is used again for other writes is another transaction, and not a mismatch. Without an entry the
 * SDK makes a token for each attempt, and the hold's version says whether it was written before.
 */
export const transactionOf = (items: readonly TransactItem[], firstEntry: Entry | undefined): TransactWriteCommandInput => ({
  TransactItems: [...items],
  ...(firstEntry && { ClientRequestToken: tokenOf(firstEntry.entryId, items) }),
});

const MAX_TOKEN_CHARS = 36;
const DIGEST_CHARS = 9;

const tokenOf = (entryId: string, items: readonly TransactItem[]): string => {
  const text = JSON.stringify(items, (_, value) => (typeof value === 'bigint' ? `${value}n` : value));
  const digest = createHash('sha256').update(text).digest('hex').slice(0, DIGEST_CHARS);
  return `${entryId.slice(0, MAX_TOKEN_CHARS - DIGEST_CHARS - 1)}-${digest}`;
};

/** The writes of a new account; the first is the one that a taken name refuses. */
export const birthOf = ({ account, opening, table }: { account: Account; opening: Entry | undefined; table: string }): TransactItem[] => [
  putNew(encodeAccount(account), table),
  put(encodeDirectoryRow(account.account), table),
  ...(opening ? [putNew(encodeEntry(opening), table)] : []),
];

/**
 * The writes that remove an account; the first is the one that any booking since its opening refuses.
 * @param deposits of the account, at most one. It goes too: were it left, the next account of this name would take a deposit
 *   of the same id for a repetition, and the money would be lost.
 */
export const removalOf = ({
  account,
  deposits,
  closing,
  table,
}: {
  account: Account;
  deposits: readonly Key[];
  closing: Entry | undefined;
  table: string;
}): TransactItem[] => [
  {
    Delete: {
      TableName: table,
      Key: { ...accountKey(account.account) },
      ConditionExpression: [nothingBookedButOpening, holdsNothing, usedNothing, limitIsAsRead].join(' AND '),
      ExpressionAttributeNames: { '#used': 'used', '#limit': 'limit' },
      ExpressionAttributeValues: { ':zero': 0n, ':one': 1, ':read_limit': account.limit },
    },
  },
  { Delete: { TableName: table, Key: { ...accountDirectoryKey(account.account) } } },
  ...deposits.map((Key) => ({ Delete: { TableName: table, Key: { ...Key } } })),
  ...(closing ? [putNew(encodeEntry(closing), table)] : []),
];

interface Condition {
  readonly clauses: readonly string[];
  readonly names?: Record<string, string>;
  readonly values?: Item;
}

const updateOf = (change: AccountChange, table: string): TransactItem => {
  const { movement, profile } = change;
  const required = requirementOf(change);
  const asked = profileCondition(profile);
  const changed = profileUpdate(profile);
  const adds = ['available :available', 'held :held', '#used :used', '#limit :limit', 'unconfirmed :unconfirmed', 'entry_count :entries'];
  return {
    Update: {
      TableName: table,
      Key: { ...accountKey(change.account) },
      UpdateExpression: [
        `SET ${['updated_at = :at', ...changed.sets].join(', ')}`,
        `ADD ${[...adds, ...changed.adds].join(', ')}`,
        ...(changed.removes.length > 0 ? [`REMOVE ${changed.removes.join(', ')}`] : []),
      ].join(' '),
      ConditionExpression: [exists, ...required.clauses, ...asked.clauses].join(' AND '),
      ExpressionAttributeNames: { '#used': 'used', '#limit': 'limit', ...required.names, ...changed.names },
      ExpressionAttributeValues: {
        ':at': change.at,
        ':available': movement.available,
        ':held': movement.held,
        ':used': movement.used,
        ':limit': movement.limit,
        ':unconfirmed': change.unconfirmed,
        ':entries': change.entries,
        ...required.values,
        ...asked.values,
        ...changed.values,
      },
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    },
  };
};

const requirementOf = ({ require, movement }: AccountChange): Condition => {
  const needed = { ':needed': -movement.available };
  switch (require.kind) {
    case 'fact':
      return { clauses: [] };
    case 'demand':
      return {
        clauses: [isActive, hasBegun, hasNotEnded, canPay],
        names: { '#status': 'status' },
        values: { ...needed, ':active': 'active', ':today': require.today },
      };
    case 'withdraw':
      return { clauses: [canPay], values: needed };
    case 'deposit':
      return { clauses: [limitStaysSmall], values: { ':highest_limit': MAX_AMOUNT_MICRO_USD - movement.limit } };
  }
};

const profileCondition = (profile: ProfileChange | undefined): Condition => {
  const read = profile?.ifVersion;
  const closes = profile?.set.status === 'closed';
  return {
    clauses: [...(read === undefined ? [] : [isAsRead]), ...(closes ? [holdsNothing] : [])],
    values: { ...(read === undefined ? {} : { ':read_version': read }), ...(closes ? { ':zero': 0n } : {}) },
  };
};

/** Attribute of each word that an administrator may change. */
const PROFILE_ATTRIBUTES = {
  name: 'name',
  description: 'description',
  startDate: 'start_date',
  endDate: 'end_date',
  status: 'status',
} as const satisfies Record<keyof ProfileChange['set'], string>;

interface Update {
  readonly sets: readonly string[];
  readonly adds: readonly string[];
  readonly removes: readonly string[];
  readonly names: Record<string, string>;
  readonly values: Item;
}

const profileUpdate = (profile: ProfileChange | undefined): Update => {
  if (profile === undefined) return { sets: [], adds: [], removes: [], names: {}, values: {} };
  const words = Object.entries(PROFILE_ATTRIBUTES).map(([field, attribute]) => ({
    attribute,
    value: profile.set[field as keyof typeof PROFILE_ATTRIBUTES],
  }));
  const written = words.filter(({ value }) => value !== undefined && value !== null);
  const removed = words.filter(({ value }) => value === null);
  return {
    sets: written.map(({ attribute }) => `#${attribute} = :set_${attribute}`),
    adds: ['version :one'],
    removes: removed.map(({ attribute }) => `#${attribute}`),
    names: Object.fromEntries([...written, ...removed].map(({ attribute }) => [`#${attribute}`, attribute])),
    values: { ':one': 1, ...Object.fromEntries(written.map(({ attribute, value }) => [`:set_${attribute}`, value])) },
  };
};

const holdPut = ({ before, after }: NonNullable<Booking['hold']>, table: string): TransactItem =>
  before === undefined
    ? putNew(encodeHold(after), table)
    : putIf({ clauses: [isAsRead], values: { ':read_version': before.version } }, encodeHold(after), table);

const runPut = ({ before, after }: NonNullable<Booking['runs']>[number], table: string): TransactItem =>
  before === undefined
    ? putNew(encodeRun(after), table)
    : putIf({ clauses: [correctionsAreAsRead], values: { ':read_corrections': before.corrections.length } }, encodeRun(after), table);

const jobLinkPut = ({ link, replaces }: NonNullable<Booking['jobLink']>, table: string): TransactItem => {
  const clauses = [isNew, isOfThisHold, ...(replaces === undefined ? [] : [isOfReplacedHold])];
  const values = { ':hold_id': link.holdId, ...(replaces === undefined ? {} : { ':replaced': replaces }) };
  return putIf({ clauses: [clauses.join(' OR ')], values }, encodeJobLink(link), table);
};

const put = (item: Item, table: string): TransactItem => ({ Put: { TableName: table, Item: item } });

const putNew = (item: Item, table: string): TransactItem => putIf({ clauses: [isNew] }, item, table);

const putIf = ({ clauses, values }: Condition, item: Item, table: string): TransactItem => ({
  Put: {
    TableName: table,
    Item: item,
    ConditionExpression: clauses.join(' AND '),
    ...(values && { ExpressionAttributeValues: values }),
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  },
});
