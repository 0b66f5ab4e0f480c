// What a change of the table is worth telling of, outside: events for the bus, and words for people.
import type { Change } from '#app/ports';
import type { HoldEventDetail, ThresholdCrossedDetail } from '#contract/event-shapes';
import { BUDGET_SOURCE, type BusEvent, HOLD_EXPIRED, HOLD_PLACED, HOLD_RELEASED, HOLD_SETTLED, THRESHOLD_CROSSED } from '#contract/events';
import type { Account } from '#domain/account';
import type { Hold, HoldState } from '#domain/hold';
import type { Instant } from '#domain/ledger';
import { formatUsd, toUsd } from '#domain/money';
import { type Crossing, crossings, type Measure, measured } from '#domain/threshold';

export interface Announcement {
  readonly event: BusEvent & { readonly detail: { readonly event_id: string } };
  /** Told once for all time, by its event_id, and not once for each time that it happens. */
  readonly once: boolean;
  readonly mail?: { readonly subject: string; readonly text: string };
}

export const announcementsOf = (change: Change): Announcement[] => {
  switch (change.kind) {
    case 'entry':
      return [];
    case 'hold':
      return ofHold(change.before, change.after);
    case 'account':
      return ofAccount(change.before, change.after);
  }
};

const CLOSED: Readonly<Record<Exclude<HoldState, 'open'>, string>> = {
  settled: HOLD_SETTLED,
  released: HOLD_RELEASED,
  expired: HOLD_EXPIRED,
};

/** A hold is placed once and closed once; what happens in between, and late, is in the ledger. */
const ofHold = (before: Hold | undefined, after: Hold): Announcement[] => {
  const detailType =
    before === undefined ? HOLD_PLACED : after.state === 'open' || before.state !== 'open' ? undefined : CLOSED[after.state];
  if (detailType === undefined) return [];
  return [{ event: { source: BUDGET_SOURCE, detailType, detail: holdDetail(before, after) }, once: false }];
};

const holdDetail = (before: Hold | undefined, hold: Hold): HoldEventDetail => ({
  event_id: `${hold.holdId}.${hold.version}`,
  hold_id: hold.holdId,
  account: hold.account,
  cluster: hold.cluster,
  user: hold.user,
  partition: hold.partition,
  state: hold.state,
  amount: toUsd(hold.amount),
  amount_before: toUsd(before?.amount ?? 0n),
  original_amount: toUsd(hold.originalAmount),
  used: toUsd(hold.used),
  tasks: hold.tasks,
  tasks_ended: hold.tasksEnded,
  job_id: hold.jobId,
  submitted_at: isoOrNull(hold.submittedAt),
  forced: hold.forced,
  created_at: iso(hold.createdAt),
  expires_at: iso(hold.expiresAt),
  closed_at: isoOrNull(hold.closedAt),
});

/** Each threshold is an event; people hear of the highest one only. */
const ofAccount = (before: Account, after: Account): Announcement[] => {
  const crossed = crossings(before, after);
  return crossed.map((crossing) => {
    const isHighest = crossed.every(({ measure, threshold }) => measure !== crossing.measure || threshold <= crossing.threshold);
    return {
      event: { source: BUDGET_SOURCE, detailType: THRESHOLD_CROSSED, detail: crossingDetail(after, crossing) },
      once: true,
      ...(isHighest ? { mail: mailOf(after, crossing) } : {}),
    };
  });
};

/** The limit is part of the id, so that another limit arms the threshold again; holds that come and go do not. */
const crossingDetail = (account: Account, { measure, threshold }: Crossing): ThresholdCrossedDetail => ({
  event_id: `${account.account}.${measure}.${threshold}.${account.limit}`,
  account: account.account,
  measure,
  threshold,
  budget_limit: toUsd(account.limit),
  budget_used: toUsd(account.used),
  budget_held: toUsd(account.held),
  budget_available: toUsd(account.available),
  at: iso(account.updatedAt),
});

const WORDS: Readonly<Record<Measure, string>> = { used: 'used', committed: 'used or held' };

/** An account's name has at most 64 characters, and a subject of SNS at most 100. */
const mailOf = (account: Account, { measure, threshold }: Crossing): NonNullable<Announcement['mail']> => ({
  subject: `asbb: ${account.account}: ${threshold}% ${WORDS[measure]}`,
  text:
    `Account ${account.account}: ${formatUsd(measured(account, measure))} of ${formatUsd(account.limit)} ${WORDS[measure]}, ` +
    `so ${threshold}% is reached. Used ${formatUsd(account.used)}, held ${formatUsd(account.held)}, available ${formatUsd(account.available)}. ` +
    'Jobs that need more than is available are refused; a new limit is set with `asbb account update`.',
});

const iso = (at: Instant): string => new Date(at).toISOString();
const isoOrNull = (at: Instant | null): string | null => (at === null ? null : iso(at));
