// Cluster, API and the proxy between them, and the words in which the tests speak of them.
import { join } from 'node:path';
import type { HoldDetailAnswer } from '#cli/api-client';
import { type Budget, KEYS, REGION, startBudget } from '#test/slurm/budget';
import { type Cluster, createFolder, type MoreOfSlurm, startCluster } from '#test/slurm/cluster';
import type { Generation } from '#test/slurm/install';
import { PASS, type Proxy as RecordingProxy, startProxy } from '#test/slurm/proxy';
import { eventually, type Outcome } from '#test/slurm/shell';

export interface Testbed {
  readonly cluster: Cluster;
  readonly budget: Budget;
  readonly proxy: RecordingProxy;
  /** The lines of asbb.conf that every test starts from; `changes` replace those of the same key, undefined removes one. */
  conf(changes?: Readonly<Record<string, string | undefined>>): string;
  /** Restart slurmctld with these changes to asbb.conf. */
  restartWith(changes?: Readonly<Record<string, string | undefined>>): Promise<void>;
  /** sbatch as the ordinary user; held, so that nothing happens to the job unless a test wants it. */
  submit(...args: string[]): Promise<Outcome>;
  /** The fields of `scontrol show job`. */
  job(jobId: string): Promise<Record<string, string>>;
  /** The hold that a job's admin_comment names. */
  holdOf(jobId: string): Promise<HoldDetailAnswer>;
  /** What the account holds now, in dollars. */
  held(account?: string): Promise<number>;
  /** The API is there again, and the plugin has noticed. */
  recover(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestbedOptions {
  readonly more?: MoreOfSlurm;
  /** Guarded partitions beside the usual ones; they fail closed. */
  readonly guarded?: readonly string[];
  /** Of asbb.conf, in every configuration that the test writes. */
  readonly settings?: Readonly<Record<string, string>>;
  /** YAML of the service. */
  readonly serviceConfig?: string;
}

export const startTestbed = async (generation: Generation = 'bookworm', options: TestbedOptions = {}): Promise<Testbed> => {
  const { more, guarded = [], settings = {}, serviceConfig } = options;
  const folder = await createFolder();
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const budget = await startBudget(folder, serviceConfig);
    stops.push(budget.stop);
    const proxy = await startProxy(budget.url);
    stops.push(proxy.close);
    const conf = (changes: Readonly<Record<string, string | undefined>> = {}): string =>
      budgetConf({ folder, url: proxy.url, guarded, changes: { ...settings, ...changes } });
    const credentials = `[default]\naws_access_key_id = ${KEYS.accessKeyId}\naws_secret_access_key = ${KEYS.secretAccessKey}\n`;
    const cluster = await startCluster({ folder, generation, budgetConf: conf(), credentials, ...(more === undefined ? {} : { more }) });
    stops.push(cluster.stop);
    return { ...words({ cluster, budget, proxy, conf }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
};

const budgetConf = ({
  folder,
  url,
  guarded,
  changes,
}: {
  folder: string;
  url: string;
  guarded: readonly string[];
  changes: Readonly<Record<string, string | undefined>>;
}): string => {
  const lines = {
    Endpoint: url,
    Region: REGION,
    Credentials: `file:${join(folder, 'etc/credentials')}`,
    SpoolFile: join(folder, 'state/asbb.spool'),
    TimeoutMs: '1500',
    BreakerSeconds: '1',
    ...changes,
  };
  const partitions = [
    'aws FailMode=closed',
    'awsopen FailMode=open',
    'awsdef FailMode=closed',
    ...guarded.map((name) => `${name} FailMode=closed`),
  ];
  return [
    ...Object.entries(lines).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`])),
    ...partitions.map((partition) => `Partition=${partition}`),
    '',
  ].join('\n');
};

const words = ({ cluster, budget, proxy, conf }: Pick<Testbed, 'cluster' | 'budget' | 'proxy' | 'conf'>): Omit<Testbed, 'stop'> => {
  const submit = (...args: string[]): Promise<Outcome> => cluster.run('sbatch', ['--hold', ...args, '--wrap', 'true']);
  const job = async (jobId: string): Promise<Record<string, string>> => {
    const { stdout } = await cluster.asRoot('scontrol', ['show', 'job', '-o', jobId]);
    return Object.fromEntries(
      [...stdout.matchAll(/(\w[\w/:]*)=(.*?)(?= \w[\w/:]*=|\s*$)/gm)].map(([, key = '', value = '']) => [key, value.trim()]),
    );
  };
  return {
    cluster,
    budget,
    proxy,
    conf,
    restartWith: async (changes) => {
      await cluster.stopController();
      cluster.writeBudgetConf(conf(changes));
      await cluster.startController();
    },
    submit,
    job,
    holdOf: async (jobId) => {
      const { AdminComment = '' } = await job(jobId);
      const holdId = /(?:^| )asbb:([0-9a-f-]{36})$/.exec(AdminComment)?.[1];
      if (holdId === undefined) throw new Error(`job ${jobId} names no hold in its admin_comment '${AdminComment}'`);
      return budget.hold(holdId);
    },
    held: async (account = 'physics') => (await budget.api.request('showAccount', { path: { account } })).budget_held,
    recover: async () => {
      proxy.behave(PASS);
      await eventually(
        'the plugin asks the API again',
        async () => (await submit('-A', 'physics', '-p', 'aws', '-N', '1', '-t', '1')).code === 0,
      );
      await cluster.run('scancel', ['--user', cluster.user.name]);
    },
  };
};

/** The id that sbatch printed. */
export const idOf = ({ stdout, stderr }: Outcome): string => {
  const id = /^Submitted batch job (\d+)$/m.exec(stdout)?.[1];
  if (id === undefined) throw new Error(`no job was submitted: ${stdout}${stderr}`);
  return id;
};
