// The `asbb doctor` command: what can keep asbb from working, from here to the API, and on a head node in Slurm. It changes nothing.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type HeadNode, lookAtHeadNode, lookAtService } from '#cli/agent/head-node-checks';
import { type ApiClient, ApiError, type Credentials, createApiClient, isLoopback } from '#cli/api-client';
import { callerIdentity } from '#cli/caller-identity';
import { ageText, type Check, printChecks, well, worthALook, wrong } from '#cli/checks';
import type { Config } from '#cli/config';
import type { ApiPlace, Context } from '#cli/context';
import { CommandError, type ExitCode } from '#cli/exit';

/** One request to the API. Whoever waits longer waits in vain: sbatch waits less. */
const REQUEST_TIMEOUT_MS = 5_000;
/** The SDK asks one place after another. */
const CREDENTIALS_TIMEOUT_MS = 10_000;
const MAX_SKEW_MS = 5 * 60_000; // AWS refuses signatures that are further away than this.
const NOTABLE_SKEW_MS = 30_000;
/** There is no such account, so that nothing but the permission is asked for. */
const NOBODY = 'asbb-doctor-asks';

export interface DoctorOptions {
  readonly state?: string;
}

/** Look, print, and fail if anything would keep asbb from working. */
export const runDoctor = async (context: Context, options: DoctorOptions): Promise<ExitCode> => {
  const configured = await lookAtConfig(context);
  if (configured.config === undefined) return printChecks(context, [configured.check]);
  const { config } = configured;
  const hasSlurm = existsSync(join(config.slurm.binPath, 'scontrol'));
  const headNode = hasSlurm ? await lookAtHeadNode(context, { config, state: options.state }) : undefined;
  const service = await lookAtApi(context, { config, headNode });
  return printChecks(context, [configured.check, ...service, ...(headNode?.checks ?? [])]);
};

const lookAtConfig = async (context: Context): Promise<{ check: Check; config?: Config }> => {
  const check = 'configuration';
  try {
    const config = await context.config();
    if (config.files.length > 0) return { config, check: well({ check, says: `read from ${config.files.join(', ')}` }) };
    const mend = 'asbb config init --from-stack Asbb-prod-Api --output ~/.config/asbb/config.yaml, unless flags and environment say all';
    return { config, check: worthALook({ check, says: 'there is none, so defaults are used', mend }) };
  } catch (error) {
    return { check: wrong({ check, says: sentenceOf(error), mend: "correct that line; 'asbb config init' prints one with every key" }) };
  }
};

/** Whatever is a sentence for users; a bug stays one. */
const sentenceOf = (error: unknown): string => {
  if (error instanceof CommandError) return error.message;
  throw error;
};

// --- the API ------------------------------------------------------------------------------------------------------------

const lookAtApi = async (context: Context, { config, headNode }: { config: Config; headNode: HeadNode | undefined }): Promise<Check[]> => {
  const usual = { endpoint: headNode?.guard?.endpoint, region: headNode?.guard?.region, timeoutMs: REQUEST_TIMEOUT_MS };
  let place: ApiPlace;
  try {
    place = await context.apiPlace(usual);
  } catch (error) {
    const mend = 'asbb config init --from-stack Asbb-prod-Api --output ~/.config/asbb/config.yaml, or give --endpoint and --region';
    return [wrong({ check: 'endpoint', says: sentenceOf(error), mend })];
  }
  const api = await context.api(usual);
  const [reached, who] = await Promise.all([lookAtHealth(context, place.endpoint), lookAtCredentials(context, place)]);
  const canAsk = [...reached, ...who].every(({ state, check }) => state !== 'fail' || check === 'clock');
  if (!canAsk) return [...reached, ...who];
  const may = await lookAtPermissions(api, { config, headNode });
  return [...reached, ...who, ...may, ...(headNode === undefined ? [] : await lookAtService(api, headNode))];
};

/** Without a signature, as health takes it: what credentials lack is not the endpoint's fault. */
const lookAtHealth = async ({ fetch, now }: Context, endpoint: string): Promise<Check[]> => {
  const check = 'endpoint';
  const api = createApiClient({ endpoint, fetch, now, timeoutMs: REQUEST_TIMEOUT_MS });
  const began = now();
  try {
    const { time, version } = await api.request('health');
    const ended = now();
    return [
      well({ check, says: `${api.endpoint} answers in ${ended - began} ms, version ${version}` }),
      checkClock(Date.parse(time), { now: began + (ended - began) / 2 }),
    ];
  } catch (error) {
    const mend = 'check the endpoint (output ApiEndpoint of the stack), name service, proxy and security groups';
    return [wrong({ check, says: sentenceOf(error), mend })];
  }
};

const checkClock = (theirs: number, { now }: { now: number }): Check => {
  const check = 'clock';
  const skewMs = now - theirs;
  const mend = 'set the clock: systemctl enable --now chronyd, and see chronyc tracking';
  if (Number.isNaN(skewMs))
    return worthALook({ check, says: 'the API does not say what time it is', mend: 'is this endpoint an asbb API?' });
  const says = `${ageText(Math.abs(skewMs))} ${skewMs < 0 ? 'behind' : 'ahead of'} the API`;
  if (Math.abs(skewMs) >= MAX_SKEW_MS) return wrong({ check, says: `${says}: AWS refuses what is signed so`, mend });
  if (Math.abs(skewMs) >= NOTABLE_SKEW_MS) return worthALook({ check, says, mend });
  return well({ check, says });
};

const lookAtCredentials = async (context: Context, { endpoint, region, credentials }: ApiPlace): Promise<Check[]> => {
  const check = 'credentials';
  if (region === undefined || credentials === undefined)
    return [well({ check, says: 'none are needed: requests to this machine are not signed' })];
  const mend = 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with --profile, or give the instance a role';
  let key: string;
  try {
    key = (await within(CREDENTIALS_TIMEOUT_MS, credentials())).accessKeyId;
  } catch (error) {
    // Whatever a provider throws: it is a file, a process, a service somewhere that failed.
    return [wrong({ check, says: `none were found (${error instanceof Error ? error.message : String(error)})`, mend })];
  }
  const found = `access key ${key.slice(0, 4)}...${key.slice(-4)}`;
  // The keys of a server on this machine are its own, and AWS knows nothing of them.
  if (isLoopback(endpoint)) return [well({ check, says: `${found}, for region ${region}` })];
  return [await whose(context, { region, credentials, found })];
};

const whose = async (
  { env, fetch, now }: Context,
  { region, credentials, found }: { region: string; credentials: Credentials; found: string },
): Promise<Check> => {
  const check = 'credentials';
  try {
    return well({ check, says: `${found}, ${await callerIdentity({ region, credentials }, { env, fetch, now })}` });
  } catch (error) {
    const says = `${found}; STS does not say whose it is (${error instanceof Error ? error.message : String(error)})`;
    return worthALook({ check, says, mend: 'aws sts get-caller-identity says more; without a way to STS, the permissions below count' });
  }
};

/** @throws Error if it takes longer */
const within = async <T>(ms: number, promise: Promise<T>): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

// --- what these credentials may do --------------------------------------------------------------------------------------

interface Role {
  readonly name: string;
  readonly verb: string;
  /** What a head node needs. */
  readonly isForHeadNode: boolean;
  readonly policy: string;
  readonly ask: () => Promise<unknown>;
}

const lookAtPermissions = (api: ApiClient, { config, headNode }: { config: Config; headNode: HeadNode | undefined }): Promise<Check[]> => {
  const cluster = headNode?.cluster ?? config.slurm.cluster;
  const partition = headNode?.guard?.partitions.find((name) => name !== '*') ?? 'aws';
  const job = { account: NOBODY, partition, nodes: 1, wall_time: '00:01:00', ...(cluster === undefined ? {} : { cluster }) };
  const roles: readonly Role[] = [
    { name: 'plugin', verb: 'quote', isForHeadNode: true, policy: 'PluginPolicyArn', ask: () => api.request('quoteBudget', { body: job }) },
    {
      name: 'agent',
      verb: 'list holds',
      isForHeadNode: true,
      policy: 'AgentPolicyArn',
      ask: () => api.request('listHoldsOfCluster', { query: { cluster: cluster ?? NOBODY, limit: '1' } }),
    },
    {
      name: 'admin',
      verb: 'list accounts',
      isForHeadNode: false,
      policy: 'AdminPolicyArn or ViewerPolicyArn',
      ask: () => api.request('listAccounts', { query: { limit: '1' } }),
    },
  ];
  return Promise.all(roles.map((role) => checkPermission(role, headNode === undefined ? 'elsewhere' : 'head node')));
};

const checkPermission = async ({ name, verb, isForHeadNode, policy, ask }: Role, where: 'head node' | 'elsewhere'): Promise<Check> => {
  const found = { check: 'permission', subject: name };
  const mend = `attach the stack's ${policy}`;
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof ApiError))
      return wrong({ ...found, says: sentenceOf(error), mend: 'try again; if it stays, look at the service' });
    const isRefused = error.status === 401 || error.status === 403;
    if (isRefused && !isForHeadNode && where === 'head node')
      return well({ ...found, says: `may not ${verb}, which a head node does not need` });
    if (isRefused && where === 'head node') return wrong({ ...found, says: `may not ${verb}: ${error.message}`, mend });
    if (isRefused) return worthALook({ ...found, says: `may not ${verb}`, mend: `${mend}, if these credentials are for that` });
    if (error.status >= 500) return wrong({ ...found, says: error.message, mend: "try again; if it stays, look at the service's log" });
  }
  // Any other refusal is about what was asked, as that there is no such account: so it may be asked.
  return well({ ...found, says: `may ${verb}` });
};
