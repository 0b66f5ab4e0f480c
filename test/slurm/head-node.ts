// A head node as its administrator finds it: a Slurm that has never heard of asbb, with jobs in it, and the words that they type.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Budget, KEYS, startBudget } from '#test/slurm/budget';
import { CLUSTER_NAME, type Cluster, createFolder, startCluster } from '#test/slurm/cluster';
import { type Daemon, startDaemon } from '#test/slurm/shell';
import type { WalkOptions } from '#test/walkthroughs/walk';

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
    const services = createServices({ cluster, asbb, endpoint: budget.url });
    stops.push(services.stop);
    const [system, stack] = [await listen(services.server), await listen(cloudFormation(budget.url))];
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
      [PAGE.endpoint, budget.url],
      ['/etc/slurm', join(folder, 'etc')],
      ['/etc/asbb/', join(folder, 'asbb/')],
      ['/var/log/slurm', join(folder, 'log')],
      ['/var/lib/asbb', join(folder, 'agent')],
      [PAGE.user, cluster.user.name],
      [PAGE.cluster, CLUSTER_NAME],
    ] as const;
    return { cluster, budget, walk: { asbb, env, places }, stop };
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
  return { server, stop: async () => agent?.stop() };
};

const writeCommands = ({
  folder,
  asbb,
  user,
  system,
}: {
  folder: string;
  asbb: string;
  user: Cluster['user'];
  system: string;
}): string => {
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
  return `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`;
};

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
