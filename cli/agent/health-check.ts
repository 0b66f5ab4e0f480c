// What the agent's health file says, as somebody else reads it.

import { HEARTBEAT_STALE_MS } from '#app/own-cluster';
import { isFileError, readPlainFile } from '#cli/agent/files';
import { ageText, type Check, well, wrong } from '#cli/checks';

const MAX_HEALTH_BYTES = 256 * 1024;
const CHECK = 'agent';
const LOOK = 'see why with: journalctl -u asbb-agent';

interface Health {
  readonly at?: unknown;
  readonly version?: unknown;
  readonly problem?: unknown;
  readonly failures_in_a_row?: unknown;
  readonly last_pass?: { readonly problems?: unknown } | null;
}

/** @returns undefined if there is no such file: no agent has run here */
export const checkAgentHealth = (
  path: string,
  { now, intervalMs }: { readonly now: number; readonly intervalMs: number },
): Check | undefined => {
  const health = healthIn(path);
  if (health === undefined || 'check' in health) return health;
  const at = Date.parse(String(health.at));
  if (Number.isNaN(at)) return unreadable(path, 'is no health file');
  const age = ageText(now - at);
  if (now - at > HEARTBEAT_STALE_MS + intervalMs) {
    return wrong({ check: CHECK, says: `it last wrote ${path} ${age} ago`, mend: `start it: systemctl restart asbb-agent; ${LOOK}` });
  }
  if (typeof health.problem === 'string') {
    return wrong({ check: CHECK, says: `${String(health.failures_in_a_row)} passes failed in a row: ${health.problem}`, mend: LOOK });
  }
  const problems = Array.isArray(health.last_pass?.problems) ? health.last_pass.problems : [];
  if (problems.length === 0) return well({ check: CHECK, says: `version ${String(health.version)}, its last pass was ${age} ago` });
  const more = problems.length === 1 ? '' : ` (and ${problems.length - 1} more)`;
  return wrong({ check: CHECK, says: `its last pass, ${age} ago, had a problem: ${String(problems[0])}${more}`, mend: LOOK });
};

const healthIn = (path: string): Health | Check | undefined => {
  try {
    const content = readPlainFile(path, { maxBytes: MAX_HEALTH_BYTES, links: 'follow' });
    if (content === undefined) return unreadable(path, 'is not a file');
    const value = JSON.parse(content.toString('utf8')) as unknown;
    return typeof value === 'object' && value !== null ? (value as Health) : unreadable(path, 'is no health file');
  } catch (error) {
    if (error instanceof SyntaxError) return unreadable(path, 'is no JSON');
    if (!isFileError(error)) throw error;
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    return wrong({ check: CHECK, says: `${path} cannot be read (${error.code})`, mend: "ask as the agent's user, or as root" });
  }
};

const unreadable = (path: string, problem: string): Check =>
  wrong({ check: CHECK, says: `${path} ${problem}`, mend: 'name the state file of the agent with --state, or restart the agent' });
