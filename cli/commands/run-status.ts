// The `asbb status` command. What one question does not answer keeps none of the others from being asked.
import { existsSync } from 'node:fs';
import { LONGEST_KEPT_MS } from '#app/expire-holds';
import { HEARTBEAT_STALE_MS } from '#app/own-cluster';
import { findGuardConf, readGuardConf } from '#cli/agent/guard-conf';
import { checkAgentHealth } from '#cli/agent/health-check';
import { healthFileToRead } from '#cli/agent/state-file';
import { type AccountAnswer, type ApiClient, ApiError, readAll } from '#cli/api-client';
import { ageText, type Check, printChecks, well, worthALook, wrong } from '#cli/checks';
import { checkAlarms } from '#cli/commands/status-alarms';
import type { Config } from '#cli/config';
import type { Context } from '#cli/context';
import { CommandError, EXIT, type ExitCode } from '#cli/exit';
import { usdText } from '#cli/render';
import type { AnswerTo } from '#contract/answers';

/** Unbound holds that are read of one cluster, to count the old ones among them. */
const MAX_UNBOUND = 2_000;
const MAX_CLUSTERS = 100;
/** Accounts that are told of one by one; the rest is counted. */
const MAX_ACCOUNTS_TOLD = 20;
const NEARLY_SPENT_PERCENT = 90;

export interface StatusOptions {
  readonly state?: string;
}

type Cluster = AnswerTo<'listClusters'>['clusters'][number];

/** Ask, print, and say by the exit status whether something is wrong. */
export const runStatus = async (context: Context, options: StatusOptions): Promise<ExitCode> => {
  const config = await context.config();
  const api = await context.api(guardedApi(context, config));
  const agent = localAgent(context, {
    options,
    intervalMs: config.agent.intervalMs,
    path: healthFileToRead(context, config, { asked: options.state }),
  });
  const health = await checkHealth(context, api);
  // Whoever did not answer this would not answer the others either, and each would take its time.
  if (health.state === 'fail') return printChecks(context, [health, ...agent]);
  const clusters = await clustersOf(context, api, config.slurm.cluster);
  const accounts = await asked('accounts', async () => accountsOf(api));
  const holds: Check[] = [];
  for (const cluster of clusters.names) {
    holds.push(
      ...(await asked('holds', async () => [await unboundHolds(context, api, { cluster, orphanAfterMs: config.budget.orphanAfterMs })])),
    );
  }
  const alarms = await checkAlarms(context, config.agent.eventBus);
  return printChecks(context, [health, ...clusters.checks, ...accounts, ...holds, ...alarms, ...agent]);
};

/** As `asbb agent` finds it: on a head node asbb.conf may be all that names the API. What is wrong with that file, doctor says. */
const guardedApi = ({ env }: Context, { agent }: Config): { endpoint?: string; region?: string } => {
  const path = agent.asbbConf ?? findGuardConf(env);
  if (!existsSync(path)) return {};
  try {
    const { endpoint, region } = readGuardConf(path);
    return { endpoint, ...(region === undefined ? {} : { region }) };
  } catch (error) {
    if (error instanceof CommandError) return {};
    throw error;
  }
};

/** A role that may not look at something is no fault of the service. */
const asked = async (check: string, look: () => Promise<Check[]>): Promise<Check[]> => {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (error.exitCode === EXIT.notAuthorised && error instanceof ApiError) {
      const mend = 'ask with the role of an administrator or viewer (--profile) to see them';
      return [worthALook({ check, says: 'these credentials may not list them', mend })];
    }
    return [wrong({ check, says: error.message, mend: "look closer with 'asbb doctor'" })];
  }
};

const checkHealth = async (context: Context, api: ApiClient): Promise<Check> => {
  const check = 'api';
  const began = context.now();
  try {
    const { status, version } = await api.request('health');
    const says = `${api.endpoint} answers ${status} in ${context.now() - began} ms, version ${version}`;
    return status === 'ok' ? well({ check, says }) : wrong({ check, says, mend: "look at the service's log" });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return wrong({ check, says: error.message, mend: "find out why with 'asbb doctor'" });
  }
};

const clustersOf = async (
  context: Context,
  api: ApiClient,
  own: string | undefined,
): Promise<{ checks: Check[]; names: readonly string[] }> => {
  const names = new Set(own === undefined ? [] : [own]);
  const checks = await asked('clusters', async () => {
    const { rows, cursor } = await readAll(async (page) => {
      const answer = await api.request('listClusters', { query: page });
      return { rows: answer.clusters, cursor: answer.cursor };
    }, MAX_CLUSTERS);
    for (const { cluster } of rows) names.add(cluster);
    if (rows.length === 0) {
      return [
        worthALook({ check: 'clusters', says: 'no agent was ever heard', mend: "start 'asbb agent' on each head node: see docs/agent.md" }),
      ];
    }
    const told = rows.map((cluster) => checkHeartbeat(cluster, context.now()));
    if (cursor === undefined) return told;
    return [
      ...told,
      worthALook({ check: 'clusters', says: `only the first ${rows.length} were looked at`, mend: 'ask for the rest with GET /clusters' }),
    ];
  });
  return { checks, names: [...names].slice(0, MAX_CLUSTERS) };
};

const checkHeartbeat = ({ cluster, agent_version, last_heartbeat }: Cluster, now: number): Check => {
  const silentMs = now - Date.parse(last_heartbeat);
  const found = { check: 'cluster', subject: cluster, says: `its agent (${agent_version}) was heard ${ageText(silentMs)} ago` };
  if (silentMs <= HEARTBEAT_STALE_MS) return well(found);
  const stale = { ...found, says: `stale: ${found.says}` };
  // The sweep waits no longer for it either, so a cluster that was taken down does not fail for ever.
  if (silentMs > LONGEST_KEPT_MS) return worthALook({ ...stale, mend: 'start its agent again, unless the cluster is gone' });
  return wrong({ ...stale, mend: 'on its head node: systemctl restart asbb-agent; journalctl -u asbb-agent says why it stopped' });
};

const accountsOf = async (api: ApiClient): Promise<Check[]> => {
  const { rows, cursor } = await readAll(async (page) => {
    const answer = await api.request('listAccounts', { query: page });
    return { rows: answer.accounts, cursor: answer.cursor };
  });
  const overdrawn = rows.filter(({ budget_available }) => budget_available < 0).map(overdrawnAccount);
  const nearlySpent = rows.filter(isNearlySpent).map(nearlySpentAccount);
  const told = [...overdrawn, ...nearlySpent].slice(0, MAX_ACCOUNTS_TOLD);
  const untold = overdrawn.length + nearlySpent.length - told.length;
  const counted = `${rows.length}${cursor === undefined ? '' : ' or more'}, ${overdrawn.length} overdrawn, ${nearlySpent.length} above ${NEARLY_SPENT_PERCENT} %`;
  const all = well({ check: 'accounts', says: counted });
  if (untold === 0) return [all, ...told];
  return [
    all,
    ...told,
    worthALook({ check: 'accounts', says: `${untold} more are overdrawn or nearly spent`, mend: "see them with 'asbb account list'" }),
  ];
};

const overdrawnAccount = ({ account, budget_available }: AccountAnswer): Check =>
  wrong({
    check: 'account',
    subject: account,
    says: `overdrawn: ${usdText(budget_available)} available, so it admits no job`,
    mend: `asbb account deposit ${account} --amount=DOLLARS`,
  });

/** What is held may yet come back, but no new job can have it. */
const isNearlySpent = ({ status, budget_limit, budget_available }: AccountAnswer): boolean =>
  status === 'active' &&
  budget_available >= 0 &&
  budget_limit > 0 &&
  spentPercent({ budget_limit, budget_available }) > NEARLY_SPENT_PERCENT;

/** For a threshold only: nothing is booked by it, so floating point does. */
const spentPercent = ({ budget_limit, budget_available }: Pick<AccountAnswer, 'budget_limit' | 'budget_available'>): number =>
  ((budget_limit - budget_available) / budget_limit) * 100;

const nearlySpentAccount = (account: AccountAnswer): Check =>
  worthALook({
    check: 'account',
    subject: account.account,
    says: `${Math.floor(spentPercent(account))} % of ${usdText(account.budget_limit)} is used or held`,
    mend: `asbb account deposit ${account.account} --amount=DOLLARS, if its work is to go on`,
  });

const unboundHolds = async (
  context: Context,
  api: ApiClient,
  { cluster, orphanAfterMs }: { cluster: string; orphanAfterMs: number },
): Promise<Check> => {
  const created_before = new Date(context.now() - orphanAfterMs).toISOString();
  const { rows, cursor } = await readAll(async (page) => {
    const answer = await api.request('listHoldsOfCluster', { query: { cluster, bound: 'false', created_before, ...page } });
    return { rows: answer.holds, cursor: answer.cursor };
  }, MAX_UNBOUND);
  const old = rows.filter(({ created_at }) => context.now() - Date.parse(created_at) > orphanAfterMs);
  const or = cursor === undefined ? '' : ' or more';
  const found = { check: 'holds', subject: cluster };
  if (old.length === 0 && cursor === undefined)
    return well({ ...found, says: `none has been without a job for ${ageText(orphanAfterMs)}` });
  return wrong({
    ...found,
    says: `${old.length}${or} without a job for more than ${ageText(orphanAfterMs)}`,
    mend: `see whether the agent runs there; asbb hold list --cluster ${cluster} --unbound names them`,
  });
};

/** On a machine without an agent there is nothing to say of one, unless its file was named. */
const localAgent = (
  context: Context,
  { options, intervalMs, path }: { options: StatusOptions; intervalMs: number; path: string },
): Check[] => {
  const found = checkAgentHealth(path, { now: context.now(), intervalMs });
  if (found !== undefined) return [found];
  if (options.state === undefined) return [];
  return [wrong({ check: 'agent', says: `there is no ${path}`, mend: `start the agent: asbb agent --state ${options.state}` })];
};
