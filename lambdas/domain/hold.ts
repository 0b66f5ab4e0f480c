// A hold: money set aside for one submission. Every change of its state is a pure function here, with the money it moves.
import { dateOf } from '#domain/account';
import { BudgetError } from '#domain/errors';
import type { Rate } from '#domain/estimate';
import {
  type ClosedHold,
  type EntryType,
  holdMore,
  type Instant,
  type Movement,
  NOTHING,
  settleShare,
  spendAvailable,
} from '#domain/ledger';
import { type MicroUsd, maxBigint, minBigint } from '#domain/money';

export type HoldState = 'open' | 'settled' | 'released' | 'expired';

/** What the hold was priced as: prices locked by partition, and the nodes of one task. */
export interface Terms {
  readonly rates: readonly Rate[];
  /** The partition and node type that were held for, the dearest that the job may get. */
  readonly partition: string;
  readonly nodeType: string;
  readonly nodes: number;
  readonly nodesE6: bigint;
  readonly wallTimeSeconds: number;
}

/** What a hold's estimate was, kept until it can be compared with what its runs cost. */
export interface Priced {
  /** Of all its tasks: of those that ended as it was then, of the others as last priced. */
  readonly estimate: MicroUsd;
  /** The part of `estimate` for tasks that have not ended. */
  readonly estimateLeft: MicroUsd;
  /** All that was held for it: of the tasks that ended their shares, of the others what they were last given. */
  readonly held: MicroUsd;
}

export interface Hold {
  readonly holdId: string;
  readonly account: string;
  readonly cluster: string;
  readonly user: string | null;
  /** As the user asked for it; a list stays a list. */
  readonly partition: string;
  readonly state: HoldState;
  /** What is held now: the sum of these over an account's open holds is its `held`. Zero once closed. */
  readonly amount: MicroUsd;
  readonly originalAmount: MicroUsd;
  /** Sum of the costs of its runs. */
  readonly used: MicroUsd;
  readonly tasks: number;
  readonly tasksEnded: number;
  /** Not null once the hold is bound. */
  readonly jobId: string | null;
  readonly submittedAt: Instant | null;
  readonly forced: boolean;
  readonly createdAt: Instant;
  readonly expiresAt: Instant;
  readonly closedAt: Instant | null;
  /** SHA-256 of the canonical request. Never changed, also not by adjust. */
  readonly fingerprint: string;
  readonly terms: Terms;
  /** Absent of a hold that is older than this field. */
  readonly priced?: Priced;
  /** Counts writes; every write is conditional on it. */
  readonly version: number;
}

/** A change of a hold and the money it moves, written together or not at all. */
export interface Change {
  readonly hold: Hold;
  readonly movement: Movement;
}

export interface EndedRun {
  readonly cost: MicroUsd;
  /** No later run of the same job or task will come: its share of the hold may go. */
  readonly final: boolean;
  /** The site absorbs the cost. */
  readonly writtenOff: boolean;
  /** How many tasks ended: an array cancelled while pending is one record of many. */
  readonly tasks: number;
}

export interface Settled extends Change {
  readonly type: Extract<EntryType, 'settle' | 'late_settle' | 'write_off'>;
  /** The ended tasks' part of the hold; 0 when late. */
  readonly share: MicroUsd;
  /** What went back to available. */
  readonly refund: MicroUsd;
  readonly late: boolean;
}

export const isBound = (hold: Hold): boolean => hold.jobId !== null;

/** The part of an account's held money that no job was seen for yet. */
export const unconfirmedOf = (hold: Hold): MicroUsd => (hold.state === 'open' && !isBound(hold) ? hold.amount : 0n);

/**
 * The share of k of the tasks left: floor(remaining / left) task by task, in one step. The remainder of the division falls
 * to the tasks that end last, so the shares of all tasks add up to the hold whatever their order.
 */
export const shareOf = (hold: Hold, tasks: number): MicroUsd => {
  const left = BigInt(hold.tasks - hold.tasksEnded);
  const ending = minBigint(BigInt(tasks), left);
  if (left === 0n) return 0n;
  const each = hold.amount / left;
  const withoutExtra = left - (hold.amount % left);
  return ending * each + maxBigint(0n, ending - withoutExtra);
};

/**
 * Book one run against its hold. The cost may exceed the share: AWS has already charged for it, so refusing to record it
 * would make the ledger wrong. `available` may go negative, and then the account admits no more work until topped up.
 */
export const settle = (hold: Hold, run: EndedRun, now: Instant): Settled => {
  const cost = run.writtenOff ? 0n : run.cost;
  const spent = { ...hold, used: hold.used + cost };
  switch (hold.state) {
    case 'open': {
      const type = run.writtenOff ? 'write_off' : 'settle';
      if (!run.final) return { hold: spent, movement: spendAvailable(cost), type, share: 0n, refund: 0n, late: false };
      const share = shareOf(hold, run.tasks);
      const tasksEnded = Math.min(hold.tasks, hold.tasksEnded + run.tasks);
      const rest = { ...spent, ...withoutEnded(hold, tasksEnded), amount: hold.amount - share, tasksEnded };
      const ended = tasksEnded === hold.tasks ? close(rest, 'settled', now) : rest;
      return { hold: ended, movement: settleShare({ share, cost }), type, share, refund: maxBigint(0n, share - cost), late: false };
    }
    case 'settled':
    case 'released':
    case 'expired': // A late settle: the hold's money has already gone home.
      return {
        hold: spent,
        movement: spendAvailable(cost),
        type: run.writtenOff ? 'write_off' : 'late_settle',
        share: 0n,
        refund: 0n,
        late: true,
      };
  }
};

/** Give the rest back on somebody's word. Undefined: it was released before. */
export const release = (hold: Hold, now: Instant): Change | undefined => {
  if (hold.state === 'released') return undefined;
  return giveBack(requireOpen(hold), 'released', now);
};

/**
 * Give the rest back because nobody called in time. Undefined: it is closed already, or its time is not up.
 *
 * Running twice, or at once, or on an index that lags, is therefore safe.
 */
export const expire = (hold: Hold, now: Instant): Change | undefined =>
  hold.state === 'open' && hold.expiresAt <= now ? giveBack(hold, 'expired', now) : undefined;

/** Tasks that are left alike cost alike, so what ended takes its part of the estimate with it, rounded down. */
const withoutEnded = ({ priced, tasks, tasksEnded }: Hold, endedNow: number): Pick<Hold, 'priced'> => {
  if (priced === undefined) return {};
  const left = BigInt(tasks - tasksEnded);
  return { priced: { ...priced, estimateLeft: left === 0n ? 0n : (priced.estimateLeft * BigInt(tasks - endedNow)) / left } };
};

/**
 * Hold another amount from now on, for what is left of the hold. The caller has made sure that a raise can be paid.
 * @param to the amount, and the estimate that it comes from
 */
export const reprice = (hold: Hold, to: { amount: MicroUsd; estimate: MicroUsd }): Change => {
  const { amount, priced } = requireOpen(hold);
  const more = to.amount - amount;
  return { hold: { ...hold, amount: to.amount, ...(priced && { priced: pricedAnew(priced, { ...to, more }) }) }, movement: holdMore(more) };
};

const pricedAnew = (priced: Priced, { estimate, more }: { estimate: MicroUsd; more: MicroUsd }): Priced => ({
  estimate: priced.estimate - priced.estimateLeft + estimate,
  estimateLeft: estimate,
  held: priced.held + more,
});

/** What the entry of a change has to say of a hold that it closed, or that was closed and has used more or less since. */
export const closedBy = (before: Hold, after: Hold): ClosedHold | undefined => {
  const { account, user, terms, priced, closedAt, used } = after;
  if (priced === undefined || closedAt === null) return undefined;
  const usedBefore = before.state === 'open' ? null : before.used;
  if (used === usedBefore) return undefined;
  const { estimate, held } = priced;
  return { account, user, partition: terms.partition, day: dateOf(closedAt), estimate, held, used, usedBefore };
};

/** The hold's job became known. A later submission time of the same job is a requeue. Undefined: nothing new. */
export const bind = (hold: Hold, job: { jobId: string; submittedAt: Instant }): Change | undefined => {
  requireOpen(hold);
  if (hold.jobId !== null && hold.jobId !== job.jobId) {
    throw new BudgetError('hold_conflict', `hold ${hold.holdId} is bound to job ${hold.jobId}, so it cannot be bound to job ${job.jobId}`);
  }
  const submittedAt = Math.max(hold.submittedAt ?? job.submittedAt, job.submittedAt);
  if (hold.jobId === job.jobId && hold.submittedAt === submittedAt) return undefined;
  return { hold: { ...hold, jobId: job.jobId, submittedAt }, movement: NOTHING };
};

/** Later expiry for a job that still waits or runs, at most `latest`; never an earlier one. Undefined: nothing changes. */
export const extend = (hold: Hold, time: { wanted: Instant; latest: Instant }): Change | undefined => {
  const expiresAt = Math.max(requireOpen(hold).expiresAt, Math.min(time.wanted, time.latest));
  return expiresAt === hold.expiresAt ? undefined : { hold: { ...hold, expiresAt }, movement: NOTHING };
};

/** A verb that needs money still set aside cannot work on a closed hold, and a closed hold never reopens. */
export const requireOpen = (hold: Hold): Hold => {
  if (hold.state === 'open') return hold;
  throw new BudgetError('hold_closed', `hold ${hold.holdId} is ${hold.state} and does not reopen: place a new one under a new hold_id`, {
    state: hold.state,
  });
};

const giveBack = (hold: Hold, state: 'released' | 'expired', now: Instant): Change => ({
  hold: close({ ...hold, amount: 0n }, state, now),
  movement: holdMore(-hold.amount),
});

const close = (hold: Hold, state: Exclude<HoldState, 'open'>, now: Instant): Hold => ({ ...hold, state, closedAt: now });
