// What the API was told by the agent, which forces a hold for each live guarded job that has none: so in shadow mode too it knows what
// jobs really cost.
import { type ApiClient, ApiError } from '#cli/api-client';
import { matchLines, type SeenHold, type TimedLine } from '#cli/shadow-report/match';
import { type MicroUsd, parseUsd } from '#domain/money';

export interface AccountView {
  readonly account: string;
  /** Submissions that would have been refused, of those with a time. */
  readonly refused: number;
  /** Of these, jobs that ran and ended, and what they cost. */
  readonly ran: number;
  readonly cost: MicroUsd;
  /** Waiting or running: their cost is not known yet. */
  readonly open: number;
  /** Cancelled before they used anything, or never seen by the agent. */
  readonly never_ran: number;
  readonly unsure: number;
  /** Older holds were not read. */
  readonly is_cut: boolean;
  /** The account as it is now. */
  readonly limit: MicroUsd;
  readonly available: MicroUsd;
  /** Over the window of the log. */
  readonly used: MicroUsd;
  /** What closed holds used of their estimates, 1 being exact; null of none. */
  readonly used_of_estimated: number | null;
}

interface Seen extends SeenHold {
  readonly used: MicroUsd;
  readonly isOpen: boolean;
  readonly ran: boolean;
}

const MAX_ACCOUNTS = 50;
const PAGE = 500;
const MAX_PAGES = 20;
const MINUTE_MS = 60_000;

export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface AgentsView {
  readonly accounts: readonly AccountView[];
  /** Named in the log and not known to the API: nothing was charged to them. */
  readonly unknown: readonly string[];
  /** Accounts with refusals beyond the limit. */
  readonly left_out: number;
}

/**
 * Per account with refusals, most refusals first: at most 50 accounts, each of at most 10,000 holds, newest first.
 * @throws CommandError if the API cannot be asked
 */
export const readAgentsView = async (
  api: ApiClient,
  { lines, fromMs, toMs }: Window & { readonly lines: readonly TimedLine[] },
): Promise<AgentsView> => {
  const refusals = new Map<string, number>();
  for (const { would, account } of lines) if (would === 'refuse') refusals.set(account, (refusals.get(account) ?? 0) + 1);
  const names = [...refusals].sort(([, a], [, b]) => b - a).map(([account]) => account);
  const accounts: AccountView[] = [];
  const unknown: string[] = [];
  for (const account of names.slice(0, MAX_ACCOUNTS)) {
    try {
      const view = await viewOf(api, { account, fromMs, toMs, lines: lines.filter((line) => line.account === account) });
      accounts.push({ ...view, refused: refusals.get(account) ?? 0 });
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'account_not_found') throw error;
      unknown.push(account);
    }
  }
  return { accounts, unknown, left_out: Math.max(0, names.length - MAX_ACCOUNTS) };
};

const viewOf = async (
  api: ApiClient,
  { account, lines, fromMs, toMs }: Window & { readonly account: string; readonly lines: readonly TimedLine[] },
): Promise<Omit<AccountView, 'refused'>> => {
  const path = { account };
  // To the minute, so that the job of the last line is in it.
  const query = { from: new Date(fromMs).toISOString(), to: new Date(toMs + MINUTE_MS).toISOString() };
  const { budget_limit, budget_available } = await api.request('showAccount', { path });
  const usage = await api.request('showAccountUsage', { path, query });
  const accuracy = await api.request('showAccountAccuracy', { path, query });
  const { holds, isCut } = await holdsSince(api, account, fromMs - MINUTE_MS);
  const { holds: matched, unseen, unsure } = matchLines(lines, holds);
  const ran = matched.filter((hold) => hold.ran && !hold.isOpen);
  const open = matched.filter((hold) => hold.isOpen).length;
  return {
    account,
    ran: ran.length,
    cost: ran.reduce((sum, hold) => sum + hold.used, 0n),
    open,
    never_ran: matched.length - ran.length - open + unseen,
    unsure,
    is_cut: isCut,
    limit: parseUsd(budget_limit),
    available: parseUsd(budget_available),
    used: parseUsd(usage.total.used),
    used_of_estimated: accuracy.total.used_of_estimated,
  };
};

const holdsSince = async (api: ApiClient, account: string, sinceMs: number): Promise<{ holds: Seen[]; isCut: boolean }> => {
  const seen: Seen[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await api.request('listHoldsOfAccount', { path: { account }, query: { limit: String(PAGE), cursor } });
    for (const { user, partition, submitted_at, used, state, tasks_ended } of answer.holds)
      if (submitted_at !== null)
        seen.push({
          user,
          partition,
          submittedAtMs: Date.parse(submitted_at),
          used: parseUsd(used),
          isOpen: state === 'open',
          ran: tasks_ended > 0 && used > 0,
        });
    cursor = answer.cursor;
    const last = answer.holds.at(-1);
    // Newest first, and no hold is made before its job is submitted.
    if (cursor === undefined || (last !== undefined && Date.parse(last.created_at) < sinceMs)) return { holds: seen, isCut: false };
  }
  return { holds: seen, isCut: true };
};
