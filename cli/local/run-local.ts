// The `asbb local` command: what its line and the configuration say, and how long it runs.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Config } from '#cli/config';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, failure, usageError } from '#cli/exit';
import { localPricing } from '#cli/local/pricing';
import { chooseStore, type LocalOptions, type LocalServer, startLocal } from '#cli/local/serve';

const DEFAULT_PORT = 8080;
const LOOPBACK_HOSTS = new Set(['', '127.0.0.1', 'localhost']);

export interface LocalLine {
  readonly port?: number | undefined;
  readonly data?: string | undefined;
  readonly store?: 'dynamodb' | 'memory' | undefined;
  readonly auth?: boolean | undefined;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
}

/** Serve until SIGTERM, SIGINT or the loss of the store. */
export const runLocal = async (context: Context, line: LocalLine): Promise<ExitCode> => {
  const ending = endingSignal();
  const config = await context.config();
  const { server, credentials } = await start(context, line, config);
  try {
    if (line.auth === true && line.accessKey === undefined) tellCredentials(context, credentials);
    context.print(`asbb: listening on ${server.url}\n`);
    const lost = await Promise.race([ending, server.failed.then((lastWords) => ({ lastWords }))]);
    if (lost === undefined) return EXIT.ok;
    context.complain(`the store stopped, so this server stops too: ${lost.lastWords}`);
    return EXIT.failed;
  } finally {
    await server.stop();
  }
};

const start = async (
  context: Context,
  line: LocalLine,
  config: Config,
): Promise<{ server: LocalServer; credentials: LocalOptions['credentials'] }> => {
  const credentials = credentialsOf(line);
  const port = line.port ?? portOf(config.service.listenAddr);
  try {
    const { store, why } = config.database.endpoint === undefined ? chooseStore(line.store) : ({ store: 'dynamodb' } as const);
    if (why !== undefined) context.tell(why);
    const server = await startLocal({
      port,
      store,
      directory: line.data ?? dataFolderOf(context),
      table: config.database.table,
      settings: {
        holdFactor: config.budget.defaultHoldPercentage,
        reconciliationTimeoutMs: config.budget.reconciliationTimeoutMs,
        defaultCluster: config.slurm.cluster ?? 'local',
      },
      ...advisorIn(config),
      pricing: localPricing(config.pricing, { env: context.env, home: context.folders.home }),
      helpers: {
        pricingRegion: config.pricing.region ?? null,
        priceTtlMs: config.pricing.cacheTtlMs,
        advisorUrl: config.advisor.url ?? null,
      },
      folders: context.folders,
      say: context.complain,
      ...(config.database.endpoint === undefined ? {} : { dynamoEndpoint: config.database.endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    });
    return { server, credentials };
  } catch (error) {
    throw failure(error instanceof Error ? error.message : String(error), { cause: error });
  }
};

const advisorIn = ({ advisor }: Config): Pick<LocalOptions, 'advisor'> => {
  const { url, ...rest } = advisor;
  return url === undefined ? {} : { advisor: { url, ...rest } };
};

/** Resolves once somebody asks to stop. Asked twice, the process ends at once; java then ends with it. */
const endingSignal = (): Promise<undefined> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(undefined));
  });

const dataFolderOf = ({ env, folders }: Context): string => {
  const dataHome = env.XDG_DATA_HOME;
  return join(dataHome === undefined || !dataHome.startsWith('/') ? join(folders.home, '.local', 'share') : dataHome, 'asbb', 'local');
};

/** `service.listen_addr` is `host:port`, as in the original; only this machine may be listened on. */
const portOf = (listenAddr: string | undefined): number => {
  if (listenAddr === undefined) return DEFAULT_PORT;
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(listenAddr) ?? [];
  if (port === '' || Number(port) > 65_535) throw usageError(`service.listen_addr: ${listenAddr} is not like 127.0.0.1:8080`);
  if (!LOOPBACK_HOSTS.has(host))
    throw usageError(`service.listen_addr: asbb local listens on 127.0.0.1 only, not on ${host}: deploy the API to share it`);
  return Number(port);
};

const credentialsOf = ({ auth, accessKey, secretKey }: LocalLine): LocalOptions['credentials'] => {
  if ((accessKey === undefined) !== (secretKey === undefined)) throw usageError('--access-key and --secret-key go together');
  if (auth !== true) {
    if (accessKey !== undefined) throw usageError('--access-key and --secret-key need --auth');
    return undefined;
  }
  if (accessKey !== undefined && secretKey !== undefined) return { accessKeyId: accessKey, secretAccessKey: secretKey };
  return { accessKeyId: `LOCAL${randomBytes(8).toString('hex').toUpperCase()}`, secretAccessKey: randomBytes(30).toString('base64url') };
};

const tellCredentials = (context: Context, credentials: LocalOptions['credentials']): void => {
  context.tell('requests must be signed; in the shell that runs asbb:');
  context.tell(`  export AWS_ACCESS_KEY_ID=${credentials?.accessKeyId} AWS_SECRET_ACCESS_KEY=${credentials?.secretAccessKey}`);
};
