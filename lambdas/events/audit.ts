// The daily audit of every account. It tells, and mends nothing: what a difference means is for a person to say.
import { type Audited, auditAccounts } from '#app/audit-accounts';
import type { Clock, Services, World } from '#app/ports';
import type { Walk } from '#app/walk-ledger';
import { DEFAULT_DEADLINE_MS, MAX_PAGE_SIZE } from '#contract/limits';
import { METRIC_ACCOUNTS_NOT_AUDITED, METRIC_AUDIT_DIFFERENCES } from '#contract/metrics';
import { AUDIT_BUDGET_MS } from '#contract/settings';
import { BudgetError } from '#domain/errors';
import { formatUsd } from '#domain/money';

export interface AuditReport {
  /** Accounts whose ledgers were read to their end. */
  readonly accounts: number;
  readonly differences: number;
  /** Accounts that could not be looked at, each told with its reason. */
  readonly failed: number;
  /** Whether there was time for all of them. */
  readonly finished: boolean;
}

/** Audit all accounts, one after the other, within the time that a function has. Each difference is told, and their number measured. */
export const auditAll = async (services: Services, clock: Pick<Clock, 'now'>): Promise<AuditReport> => {
  const until = clock.now() + AUDIT_BUDGET_MS;
  const sum = { accounts: 0, differences: 0, failed: 0, finished: true };
  // One portion of reading gets what a request gets: the store's retries end with it.
  const aWorld = (): World => services.world(clock.now() + DEFAULT_DEADLINE_MS);
  let cursor: string | undefined;
  do {
    const page = await aWorld().store.listAccounts({ limit: MAX_PAGE_SIZE, ...(cursor === undefined ? {} : { cursor }) });
    for (const { account } of page.items) {
      const outcome = await auditOne(services, { account, aWorld, hasTime: () => clock.now() < until });
      if (outcome === 'no time') return tell(services, { ...sum, finished: false }, account);
      if (outcome === 'gone') continue;
      if (outcome === 'failed') sum.failed += 1;
      else {
        sum.accounts += 1;
        sum.differences += outcome.length;
      }
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return tell(services, sum);
};

type Outcome = readonly Audited[] | 'gone' | 'failed' | 'no time';

/** An account that is too busy, or whose ledger cannot be read, keeps no other from its audit. */
const auditOne = async (
  { telemetry }: Services,
  { account, aWorld, hasTime }: { account: string; aWorld: () => World; hasTime: () => boolean },
): Promise<Outcome> => {
  try {
    for (let walk: Walk | undefined; hasTime(); ) {
      const audit = await auditAccounts(aWorld(), {
        account,
        page: { limit: 1 },
        mode: 'compare',
        ...(walk === undefined ? {} : { walk }),
      });
      walk = audit.walk;
      if (walk !== undefined) continue; // Its ledger is longer than one portion.
      for (const difference of audit.differences) telemetry.failed({ ...AUDIT, error: new Error(sentenceOf(difference)) });
      return audit.differences;
    }
    return 'no time';
  } catch (error) {
    if (error instanceof BudgetError && error.code === 'account_not_found') return 'gone';
    telemetry.failed({ ...AUDIT, error: new Error(`account ${account} was not audited`, { cause: error }) });
    return 'failed';
  }
};

const AUDIT = { operation: 'audit', requestId: 'none' } as const;

const tell = ({ telemetry }: Services, report: AuditReport, next?: string): AuditReport => {
  telemetry.measured([
    { name: METRIC_AUDIT_DIFFERENCES, value: report.differences },
    // Nobody counted the accounts behind the one that there was no time for: it stands for all of them.
    { name: METRIC_ACCOUNTS_NOT_AUDITED, value: report.failed + (report.finished ? 0 : 1) },
  ]);
  if (next !== undefined) {
    const sentence = `the audit had no time for account ${next} and those after it: audit them with \`asbb audit\``;
    telemetry.failed({ ...AUDIT, error: new Error(sentence) });
  }
  return report;
};

const sentenceOf = ({ account, column, holdId, runId, stored, replayed, cause }: Audited): string => {
  const amount = (value: bigint): string => (column === 'entries' ? String(value) : formatUsd(value));
  const where = [column, ...(runId === undefined ? [] : [runId]), ...(holdId === undefined ? [] : [`of hold ${holdId}`])].join(' ');
  return `account ${account}, ${where}: ${amount(stored)} is stored, its ledger says ${amount(replayed)}: ${cause}`;
};
