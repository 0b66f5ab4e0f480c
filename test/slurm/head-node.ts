// A head node as its administrator finds it: a Slurm that has never heard of asbb, with jobs in it, and the words that they type.
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Budget, KEYS, startBudget } from '#test/slurm/budget';
import { CLUSTER_NAME, type Cluster, createFolder, startCluster } from '#test/slurm/cluster';
import { type Proxy as RecordingProxy, startProxy } from '#test/slurm/proxy';
import { type Daemon, startDaemon } from '#test/slurm/shell';
import { ROOT, type WalkOptions } from '#test/walkthroughs/walk';

/** What a page says of its reader's machine and deployment. */
export const PAGE = {
  endpoint: 'https://abcdefghij.execute-api.us-east-1.amazonaws.com',
  cluster: 'hpc1',
  user: 'alice',
  region: 'us-east-1',
} as const;

export interface HeadNode {
  readonly cluster: Cluster;
  readonly budget: Budget;
  /** Between all of them and the API. */
  readonly proxy: RecordingProxy;
  /** How a page is walked here. */
  readonly walk: Omit<WalkOptions, 'onCommand'>;
  stop(): Promise<void>;
}

/** @param asbb the built command */
export const startHeadNode = async (asbb: string): Promise<HeadNode> => {
  const folder = await createFolder();
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    const budget = await startBudget(folder);
    stops.push(budget.stop);
    const proxy = await startProxy(budget.url);
    stops.push(proxy.close);
    // In place of the instance's role, for slurmctld and for those that ask as it does.
    process.env.AWS_SHARED_CREDENTIALS_FILE = join(folder, 'etc/credentials');
    stops.push(async () => delete process.env.AWS_SHARED_CREDENTIALS_FILE);
    const cluster = await startCluster({
      folder,
      generation: 'bookworm',
      budgetConf: undefined,
      credentials: `[default]\naws_access_key_id = ${KEYS.accessKeyId}\naws_secret_access_key = ${KEYS.secretAccessKey}\n`,
      more: { cpus: 72, paperNodes: 0, nodes: { 'aws-1': '', 'aws-2': '' }, rewrite: burstsToAws },
    });
    stops.push(cluster.stop);
    const services = createServices({ cluster, asbb, endpoint: proxy.url });
    stops.push(services.stop);
    const [system, stack] = [await listen(services.server), await listen(cloudFormation(proxy.url))];
    stops.push(system.close, stack.close);
    const env = {
      PATH: writeCommands({ folder, asbb, user: cluster.user, system: system.url }),
      SLURM_CONF: join(folder, 'etc/slurm.conf'),
      ASBB_CONFIG: join(folder, 'asbb/config.yaml'),
      AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
      AWS_ENDPOINT_URL_CLOUDFORMATION: stack.url,
      mandir: join(folder, 'man'),
    };
    const places = [
      [PAGE.endpoint, proxy.url],
      ['/etc/parallelcluster/slurm_plugin', join(ROOT, 'test/fixtures/partition-import')],
      ['/etc/systemd/system', join(folder, 'systemd')],
      ['/usr/local/bin', join(folder, 'bin')],
      ['/etc/default', join(folder, 'default')],
      ['/etc/slurm', join(folder, 'etc')],
      ['/etc/asbb/', join(folder, 'asbb/')],
      ['/var/log/slurm', join(folder, 'log')],
      ['/var/lib/asbb', join(folder, 'agent')],
      [PAGE.user, cluster.user.name],
      [PAGE.cluster, CLUSTER_NAME],
    ] as const;
    return { cluster, budget, proxy, walk: { asbb, env, places }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};

/** Partition `aws` gives whole nodes of a type that their feature names, as sites have them; nothing else is like the usual testbed. */
const burstsToAws = (slurmConf: string): string =>
  slurmConf
    .replace(/RealMemory=1024/g, 'RealMemory=140000')
    .replace(/^(NodeName=aws-.*)$/gm, '$1 Features=c5.18xlarge')
    .replace(/^PartitionName=aws .*$/m, 'PartitionName=aws Nodes=aws-[1-2] MaxTime=INFINITE OverSubscribe=EXCLUSIVE')
    .replace(/^(?:PartitionName=aws(?:open|def)|GresTypes|#NodeName).*\n/gm, '');

// --- systemctl, sudo ----------------------------------------------------------------------------------------------------

const createServices = ({ cluster, asbb, endpoint }: { cluster: Cluster; asbb: string; endpoint: string }) => {
  const { folder } = cluster;
  let agent: Daemon | undefined;
  let credentials: Daemon | undefined;
  const verbs: Readonly<Record<string, () => Promise<unknown>>> = {
    'restart slurmctld': async () => {
      await cluster.stopController();
      await cluster.startController();
    },
    // As its unit has it, but looking every second: whoever waits for it is a test.
    'enable --now asbb-agent': async () => {
      mkdirSync(join(folder, 'agent'), { recursive: true });
      agent = startDaemon(process.execPath, [asbb, 'agent', '--interval', '1s'], {
        name: 'asbb agent',
        log: join(folder, 'log/asbb-agent.log'),
        pidFile: join(folder, 'run/asbb-agent.started'),
        env: {
          SLURM_CONF: join(folder, 'etc/slurm.conf'),
          ASBB_CONFIG: join(folder, 'asbb/config.yaml'),
          AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
          AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
          STATE_DIRECTORY: join(folder, 'agent'),
          ASBB_ENDPOINT: endpoint,
          HOME: folder,
        },
      });
    },
    'disable --now asbb-agent': async () => agent?.stop(),
    // What the page's own unit says: its command, its environment, and a folder for its user alone.
    'enable --now asbb-credentials': async () => {
      const unit = readFileSync(join(folder, 'systemd/asbb-credentials.service'), 'utf8');
      const { uid, gid } = cluster.slurm;
      const state = join(folder, 'agent-credentials');
      mkdirSync(state, { mode: 0o700 });
      chownSync(state, uid, gid);
      const [, command = '', args = ''] = /^ExecStart=(\S+) (.*)$/m.exec(unit.replace(/\\\n */g, '')) ?? [];
      const env = Object.fromEntries([...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, key = '', value = '']) => [key, value]));
      const files = { log: join(folder, 'log/asbb-credentials.log'), pidFile: join(folder, 'run/asbb-credentials.started') };
      credentials = startDaemon(command, args.split(' '), { name: 'asbb-credentials', ...files, env, uid, gid });
    },
  };
  const server = createServer(async (request, response) => {
    const verb = decodeURIComponent((request.url ?? '').slice(1));
    try {
      if (verbs[verb] === undefined) throw new Error(`systemctl ${verb} is not played here`);
      await verbs[verb]();
      response.end('');
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  const stop = async (): Promise<void> => {
    await agent?.stop();
    await credentials?.stop();
  };
  return { server, stop };
};

const writeCommands = ({ folder, asbb, user, system }: { folder: string; asbb: string; user: Cluster['user']; system: string }): string => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  const write = (name: string, text: string): void => {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  };
  write('asbb', `#!/bin/sh\nexec '${process.execPath}' '${asbb}' "$@"\n`);
  write(
    'systemctl',
    `#!${process.execPath}\nfetch('${system}/' + encodeURIComponent(process.argv.slice(2).join(' '))).then(async (answer) => {
  process.stderr.write(await answer.text());
  process.exitCode = answer.ok ? 0 : 1;
});\n`,
  );
  // The one user who submits: their home is where they may write.
  write(
    'sudo',
    `#!/bin/sh\ntest "$1 $2" = "-u ${user.name}" || { echo "sudo $* is not played here" >&2; exit 1; }\nshift 2\ncd ${folder}/home
exec setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups "$@"\n`,
  );
  write('aws_signing_helper', SIGNING_HELPER);
  return `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`;
};

/**
 * In place of AWS's aws_signing_helper, which asks AWS: as that one, `update` rewrites the file in place, and each session has a
 * token of its own. Sessions are short here, so that they change while a test looks.
 */
const SIGNING_HELPER = `#!/bin/bash
n=0
case $1 in
update)
  umask 077
  while n=$((n + 1)); do
    printf '[default]\\naws_access_key_id = %s\\naws_secret_access_key = %s\\naws_session_token = update-%s\\n' \\
      '${KEYS.accessKeyId}' '${KEYS.secretAccessKey}' $n >"$AWS_SHARED_CREDENTIALS_FILE"
    sleep 1
  done ;;
credential-process)
  printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"process-%s","Expiration":"%s"}' \\
    '${KEYS.accessKeyId}' '${KEYS.secretAccessKey}' $$ "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)" ;;
*) echo "aws_signing_helper $1 is not played here" >&2; exit 1 ;;
esac
`;

/** What CloudFormation says of the stack, in its own form. */
const cloudFormation = (endpoint: string): Server =>
  createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/xml' }).end(
      `<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member>
<StackName>Asbb-prod-Api</StackName><StackStatus>CREATE_COMPLETE</StackStatus><CreationTime>2026-11-23T12:00:00Z</CreationTime><Outputs>
<member><OutputKey>ApiEndpoint</OutputKey><OutputValue>${endpoint}</OutputValue></member>
</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>`,
    );
  });

const listen = async (server: Server): Promise<{ url: string; close: () => Promise<void> }> => {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
};
