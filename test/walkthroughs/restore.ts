// What the page about a restored table has beside it: a DynamoDB, and a Slurm that says what it is told to.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accountedLine, aFakeSlurm, queueLine } from '#test/agent/fake-slurm';
import { aFolder } from '#test/support/folders';

const holdOf = (n: number): string => `asbb:00000000-0000-4000-8000-00000000000${n}`;

/**
 * Jobs 4701 to 4703 run at the point in time that is restored. Until the table is damaged, 4701 ends after half an hour, 4704 begins
 * and runs, 4705 begins and ends within 20 minutes. All have a node for an hour.
 * @param nowSeconds since 1970
 */
export const siteOfRestore = ({ endpoint, port, nowSeconds }: { endpoint: string; port: number; nowSeconds: number }) => {
  const folder = aFolder('asbb-restore-');
  const { binPath } = aFakeSlurm(folder);
  mkdirSync(join(folder, 'state'));
  const begin = nowSeconds - 3000;
  const running = (n: number) => queueLine({ id: `470${n}`, submitted: begin, started: begin, comment: holdOf(n) });
  const ended = (n: number, seconds: number) =>
    accountedLine({ id: `470${n}`, index: n, submitted: begin, started: begin, ended: begin + seconds, comment: holdOf(n) });
  const config = (table: string) =>
    `database: { endpoint: "${endpoint}", table: ${table} }\nslurm: { bin_path: ${binPath} }\nagent: { asbb_conf: ${folder}/asbb.conf, state_file: ${folder}/agent.json }\n`;
  return {
    env: { ASBB_DYNAMODB: endpoint, SLURM: binPath },
    places: [
      ['/var/lib/asbb', folder],
      ['127.0.0.1:8080', `127.0.0.1:${port}`],
    ] as const,
    home: {
      '.config/asbb/config.yaml': `service: { listen_addr: "127.0.0.1:${port}" }\n${config('asbb-prod')}`,
      'restored.yaml': `service: { listen_addr: "127.0.0.1:${port}" }\n${config('asbb-prod-restored')}`,
      'asbb.conf': `Endpoint=http://127.0.0.1:${port}\nRegion=us-east-1\nCluster=local\nPartition=aws FailMode=closed\n`,
      'before.squeue': [1, 2, 3].map(running).join(''),
      'between.squeue': [1, 2, 3, 4, 5].map(running).join(''),
      'after.squeue': [2, 3, 4].map(running).join(''),
      'after.sacct': `${ended(1, 1800)}${ended(5, 1200)}`,
    },
  };
};
