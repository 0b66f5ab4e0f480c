import { readAll } from '#cli/api-client';
import { inFlags, readId, readLimit } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode } from '#cli/exit';
import { type Column, printList, printSheet, type Shape } from '#cli/render';
import type { AnswerTo } from '#contract/answers';

type ClusterAnswer = AnswerTo<'namePrincipals'>;

const SHAPE: Shape<ClusterAnswer> = { cluster: 'text', agent_version: 'text', last_heartbeat: 'time', principals: 'list' };

const COLUMNS: readonly Column<ClusterAnswer>[] = [
  { field: 'cluster', header: 'CLUSTER' },
  { field: 'agent_version', header: 'AGENT', dispensable: 1 },
  { field: 'last_heartbeat', header: 'LAST HEARD' },
  { field: 'principals', header: 'ACTED FOR BY', flexible: true },
];

const LABELS = [
  ['cluster', 'Cluster'],
  ['agent_version', 'Agent'],
  ['last_heartbeat', 'Last heard'],
  ['principals', 'Acted for by'],
] as const;

export const runClusterList = async (context: Context, options: { limit?: string }): Promise<ExitCode> => {
  const limit = readLimit(options.limit);
  const api = await context.api();
  const listed = await readAll(async (query) => {
    const { clusters, cursor } = await api.request('listClusters', { query });
    return { rows: clusters, cursor };
  }, limit);
  await printList(context, {
    key: 'clusters',
    begin: "each is known once its 'asbb agent' runs",
    shape: SHAPE,
    columns: COLUMNS,
    ...listed,
  });
  return EXIT.ok;
};

export const runClusterSet = async (context: Context, { name, principals }: { name: string; principals: string }): Promise<ExitCode> => {
  const cluster = readId({ flag: 'cluster', value: name });
  const arns = principals.split(',').flatMap((arn) => arn.trim() || []);
  const api = await context.api();
  const value = await api
    .request('namePrincipals', { path: { cluster }, body: { principals: arns } })
    .catch(inFlags({ principals: '--principals' }));
  await printSheet(context, { shape: SHAPE, labels: LABELS, value });
  return EXIT.ok;
};
