// What `asbb doctor` looks at on a head node: the plugin in Slurm, asbb.conf, the agent, and whether each can have its credentials.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { HEARTBEAT_STALE_MS } from '#app/own-cluster';
import { isFileError, readPlainFile } from '#cli/agent/files';
import { findGuardConf, type GuardConf, readGuardConf } from '#cli/agent/guard-conf';
import { checkAgentHealth } from '#cli/agent/health-check';
import { SlurmSilent } from '#cli/agent/ports';
import { readSlurmConfig, showsAllJobs, slurmUidIn } from '#cli/agent/slurm-commands';
import { healthFileToRead } from '#cli/agent/state-file';
import { type ApiClient, ApiError, isLoopback, readAll } from '#cli/api-client';
import { ageText, type Check, well, worthALook, wrong } from '#cli/checks';
import type { Config } from '#cli/config';
import type { Context } from '#cli/context';
import { CommandError } from '#cli/exit';

const SLURM_TIMEOUT_MS = 10_000;
/** The metadata service is in the same machine; where it is not, nobody refuses the connection. */
const IMDS_TIMEOUT_MS = 1_000;
const IMDS = 'http://169.254.169.254';
const MAX_SPOOL_READ_BYTES = 64 * 1024;
const PLUGIN = 'job_submit_budget.so';

type SlurmConfig = ReadonlyMap<string, string>;

export interface HeadNode {
  readonly checks: readonly Check[];
  readonly guard: GuardConf | undefined;
  /** As the plugin calls it. */
  readonly cluster: string | undefined;
}

/** Everything but what has to be asked of the API. */
export const lookAtHeadNode = async (
  context: Context,
  { config, state }: { readonly config: Config; readonly state: string | undefined },
): Promise<HeadNode> => {
  const { check, slurm } = await lookAtSlurm(context, config);
  const guarded = lookAtGuard(config.agent.asbbConf ?? findGuardConf(context.env, pathIn(slurm)));
  const { guard } = guarded;
  const cluster = guard?.cluster ?? slurm?.get('ClusterName');
  return {
    guard,
    cluster,
    checks: [
      check,
      ...(slurm === undefined ? [] : [...lookAtPlugin(slurm), lookAtEnforcement(slurm), lookAtPrivacy(slurm)]),
      guarded.check,
      ...checkClusterName(config.slurm.cluster, cluster),
      ...(await lookAtCredentials(context, guard, slurm)),
      lookAtAgent(context, config, state),
      ...(guard?.spoolFile === undefined ? [] : [lookAtSpool(guard.spoolFile, context.now())]),
    ],
  };
};

const pathIn = (slurm: SlurmConfig | undefined): { slurmConf?: string } => {
  const slurmConf = slurm?.get('SLURM_CONF');
  return slurmConf === undefined ? {} : { slurmConf };
};

// --- Slurm --------------------------------------------------------------------------------------------------------------

const lookAtSlurm = async ({ env }: Context, { slurm }: Config): Promise<{ check: Check; slurm?: SlurmConfig }> => {
  const check = 'slurm';
  try {
    const read = await readSlurmConfig({ binPath: slurm.binPath, env, timeoutMs: Math.min(SLURM_TIMEOUT_MS, slurm.timeoutMs) });
    return { slurm: read, check: well({ check, says: `slurmctld of ${read.get('ClusterName') ?? 'a nameless cluster'} answers` }) };
  } catch (error) {
    if (!(error instanceof SlurmSilent)) throw error;
    return { check: wrong({ check, says: error.message, mend: 'start slurmctld, or say where its commands are with slurm.bin_path' }) };
  }
};

const lookAtPlugin = (slurm: SlurmConfig): Check[] => {
  const check = 'plugin';
  const plugins = listIn(slurm, 'JobSubmitPlugins', ',');
  const folders = listIn(slurm, 'PluginDir', ':');
  const isThere = folders.some((folder) => existsSync(join(folder, PLUGIN)));
  const inFolder = isThere
    ? well({ check, says: `${PLUGIN} is in PluginDir` })
    : wrong({
        check,
        says: `there is no ${PLUGIN} in ${folders.join(':') || 'PluginDir'}`,
        mend: "build and install it: 'make install' in slurm-plugin, against this Slurm's headers",
      });
  if (!plugins.includes('budget')) {
    const mend = 'add budget at the end of JobSubmitPlugins in slurm.conf, and restart slurmctld';
    return [wrong({ check, says: `JobSubmitPlugins is ${plugins.join(',') || 'empty'}: no job is checked`, mend }), inFolder];
  }
  if (plugins.at(-1) === 'budget') return [well({ check, says: 'budget is in JobSubmitPlugins' }), inFolder];
  const mend = 'make it the last one: what comes behind may change a job after it was priced';
  return [worthALook({ check, says: `JobSubmitPlugins is ${plugins.join(',')}`, mend }), inFolder];
};

const listIn = (slurm: SlurmConfig, key: string, separator: string): string[] =>
  (slurm.get(key) ?? '')
    .split(separator)
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== '(null)');

/** slurm.conf(5): each of these sets associations too. */
const ENFORCES_ASSOCIATIONS = new Set(['associations', 'limits', 'safe', 'qos', 'wckeys', 'all']);

const lookAtEnforcement = (slurm: SlurmConfig): Check => {
  const check = 'enforcement';
  const enforced = listIn(slurm, 'AccountingStorageEnforce', ',').map((word) => word.toLowerCase());
  const says = `AccountingStorageEnforce is ${enforced.join(',') || 'none'}`;
  if (enforced.some((word) => ENFORCES_ASSOCIATIONS.has(word))) return well({ check, says });
  const hasAccounting = slurm.get('AccountingStorageType') === 'accounting_storage/slurmdbd';
  const found = { check, says: `${says}: any user may name any account, and spend its money` };
  if (hasAccounting) return wrong({ ...found, mend: 'set AccountingStorageEnforce=associations in slurm.conf, and restart slurmctld' });
  return worthALook({ ...found, mend: 'only slurmdbd knows who belongs to which account: set one up if your users are not to be trusted' });
};

const lookAtPrivacy = (slurm: SlurmConfig): Check => {
  const check = 'privacy';
  const says = `PrivateData is ${listIn(slurm, 'PrivateData', ',').join(',') || 'none'}`;
  if (showsAllJobs(slurm, ownUid())) return well({ check, says: `${says}, and this user sees all jobs` });
  const mend = `run the agent (and this) as SlurmUser, ${slurm.get('SlurmUser') ?? 'slurm'}, or as root`;
  return worthALook({ check, says: `${says}: this user (${ownUid()}) does not see the jobs of others`, mend });
};

const ownUid = (): number => process.getuid?.() ?? 0;

// --- asbb.conf ----------------------------------------------------------------------------------------------------------

const lookAtGuard = (path: string): { check: Check; guard?: GuardConf } => {
  const check = 'asbb.conf';
  try {
    const guard = readGuardConf(path);
    const says = `${path} guards ${guard.partitions.join(', ')}`;
    if (guard.enforce === 'yes') return { guard, check: well({ check, says }) };
    return {
      guard,
      check: worthALook({ check, says: `${says}, but refuses nothing`, mend: 'set Enforce=yes when the shadow mode has shown enough' }),
    };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const mend = 'write it beside slurm.conf (slurm-plugin/asbb.conf.example), readable for SlurmUser, or name it as agent.asbb_conf';
    return { check: wrong({ check, says: error.message, mend }) };
  }
};

/** Holds are found by this name: under two of them, the agent would look after none. */
const checkClusterName = (configured: string | undefined, plugin: string | undefined): Check[] => {
  if (configured === undefined || plugin === undefined || configured === plugin) return [];
  return [
    wrong({
      check: 'cluster',
      says: `the plugin's cluster is ${plugin}, and slurm.cluster of the configuration is ${configured}`,
      mend: `set slurm.cluster to ${plugin}, or take it out`,
    }),
  ];
};

// --- credentials of the plugin ------------------------------------------------------------------------------------------

const lookAtCredentials = async (context: Context, guard: GuardConf | undefined, slurm: SlurmConfig | undefined): Promise<Check[]> => {
  if (guard === undefined || guard.region === undefined || isLoopback(guard.endpoint)) return [];
  const kind = guard.credentials.toLowerCase();
  if (kind.startsWith('file:')) return [lookAtCredentialsFile(guard.credentials.slice('file:'.length), slurm)];
  if (kind !== 'imds' && kind !== 'auto') return [];
  return [await lookAtImds(context, { kind, slurm })];
};

const lookAtCredentialsFile = (path: string, slurm: SlurmConfig | undefined): Check => {
  const check = 'plugin credentials';
  const slurmUid = slurm === undefined ? Number.NaN : slurmUidIn(slurm);
  const user = slurm?.get('SlurmUser') ?? 'SlurmUser';
  try {
    const { uid, mode } = statSync(path);
    const isForOthers = (mode & 0o007) !== 0;
    if (isForOthers)
      return worthALook({
        check,
        says: `anybody on this machine may read ${path}`,
        mend: `chown ${user.replace(/\(.*/, '')} ${path} && chmod 600 ${path}`,
      });
    // Groups and access lists may let it all the same, so this is a hint.
    if (uid === slurmUid || slurmUid === 0) return well({ check, says: `${path} belongs to ${user}` });
    return worthALook({
      check,
      says: `${path} belongs to user ${uid}, and slurmctld runs as ${user}`,
      mend: `see that slurmctld can: sudo -u ${user.replace(/\(.*/, '')} cat ${path} >/dev/null`,
    });
  } catch (error) {
    if (!isFileError(error)) throw error;
    if (error.code === 'ENOENT')
      return wrong({ check, says: `there is no ${path}`, mend: 'write it, or change Credentials= in asbb.conf' });
    return worthALook({ check, says: `${path} cannot be seen by this user (${error.code})`, mend: 'ask as SlurmUser, or as root' });
  }
};

const lookAtImds = async (
  { env, fetch }: Context,
  { kind, slurm }: { kind: 'imds' | 'auto'; slurm: SlurmConfig | undefined },
): Promise<Check> => {
  const check = 'imds';
  const base = env.AWS_EC2_METADATA_SERVICE_ENDPOINT || IMDS;
  const user = `user ${ownUid()}`;
  const isSlurmUser = slurm !== undefined && slurmUidIn(slurm) === ownUid();
  const problem = await imdsProblem(fetch, base);
  if (problem === undefined) {
    if (isSlurmUser) return well({ check, says: `the metadata service answers ${user}, who is SlurmUser` });
    return well({
      check,
      says: `the metadata service answers ${user}; 'sudo -u ${(slurm?.get('SlurmUser') ?? 'slurm').replace(/\(.*/, '')} asbb doctor' asks as slurmctld does`,
    });
  }
  const found = { check, says: `the metadata service does not answer ${user} (${problem})` };
  const mend =
    'on ParallelCluster: imds-access.sh --allow slurm; else enable instance metadata, or name other credentials with Credentials= in asbb.conf';
  // With auto the plugin looks into environment and files before it comes here.
  return kind === 'imds' && isSlurmUser ? wrong({ ...found, mend }) : worthALook({ ...found, mend });
};

/** A session is begun and not used: no secret is read. */
const imdsProblem = async (fetch: Context['fetch'], base: string): Promise<string | undefined> => {
  try {
    const { status } = await fetch(`${base.replace(/\/$/, '')}/latest/api/token`, {
      method: 'PUT',
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '60' },
      redirect: 'manual',
      signal: AbortSignal.timeout(IMDS_TIMEOUT_MS),
    });
    return status === 200 ? undefined : `status ${status}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error.name === 'TimeoutError') return `nothing within ${IMDS_TIMEOUT_MS / 1000} s`;
    return (error.cause as { code?: string } | undefined)?.code ?? error.message;
  }
};

// --- agent and spool ----------------------------------------------------------------------------------------------------

const lookAtAgent = (context: Context, config: Config, state: string | undefined): Check => {
  const path = healthFileToRead(context, config, { asked: state });
  const found = checkAgentHealth(path, { now: context.now(), intervalMs: config.agent.intervalMs });
  const mend = 'systemctl enable --now asbb-agent; if it runs, name its state file with --state or agent.state_file';
  return found ?? wrong({ check: 'agent', says: `there is no ${path}: no agent runs here`, mend });
};

/** The agent takes the whole file away in each pass, so what is in it is young. */
const lookAtSpool = (path: string, now: number): Check => {
  const check = 'spool';
  const mend = 'see why the agent does not drain it: journalctl -u asbb-agent';
  try {
    const { size } = statSync(path);
    if (size === 0) return well({ check, says: `${path} is empty` });
    const oldest = oldestIn(readPlainFile(path, { maxBytes: MAX_SPOOL_READ_BYTES, links: 'follow' })?.toString('utf8') ?? '');
    const says = `${size} bytes wait in ${path}, the oldest for ${oldest === undefined ? 'an unknown time' : ageText(now - oldest)}`;
    if (oldest !== undefined && now - oldest <= HEARTBEAT_STALE_MS) return well({ check, says });
    return wrong({ check, says, mend });
  } catch (error) {
    if (!isFileError(error)) throw error;
    if (error.code === 'ENOENT') return well({ check, says: `nothing is in ${path}` });
    return worthALook({ check, says: `${path} cannot be read (${error.code})`, mend: 'ask as SlurmUser, or as root' });
  }
};

/** When its first line was written. */
const oldestIn = (content: string): number | undefined => {
  try {
    const at = Date.parse(String((JSON.parse(content.split('\n', 1)[0] ?? '') as { time?: unknown }).time));
    return Number.isNaN(at) ? undefined : at;
  } catch {
    return undefined; // Its age is then unknown, and the agent says what is wrong with the line.
  }
};

// --- what the API knows of this head node -------------------------------------------------------------------------------

/** @param headNode as it was looked at. A partition without a model is priced by nobody, so its jobs are refused. */
export const lookAtService = async (api: ApiClient, { guard }: HeadNode): Promise<Check[]> => {
  const check = 'partitions';
  const named = guard?.partitions.filter((name) => name !== '*') ?? [];
  if (guard === undefined) return [];
  if (named.length === 0) return [well({ check, says: 'all are guarded (Partition=*): those that the API does not know are refused' })];
  let known: Set<string>;
  try {
    const { rows } = await readAll(async (page) => {
      const answer = await api.request('listPartitions', { query: page });
      return { rows: answer.partitions, cursor: answer.cursor };
    });
    known = new Set(rows.map(({ partition }) => partition));
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (error instanceof ApiError && error.status === 403) {
      return [worthALook({ check, says: 'these credentials may not list them', mend: "ask an administrator for 'asbb partition list'" })];
    }
    return [wrong({ check, says: error.message, mend: 'try again; if it stays, look at the service' })];
  }
  const unknown = named.filter((name) => !known.has(name));
  if (unknown.length === 0) return [well({ check, says: `the API can price ${named.join(', ')}` })];
  return unknown.map((subject) =>
    wrong({
      check,
      subject,
      says: 'the API does not know what stands behind it',
      mend: `an administrator: asbb partition set ${subject} --help`,
    }),
  );
};
