// From options of sbatch to the job that the plugin would ask for: sbatch changes some of them before slurmctld sees the job.
import {
  ifGiven,
  readAccount,
  readArray,
  readCount,
  readGpus,
  readMemory,
  readNodes,
  readPartitions,
  readWallTime,
} from '#cli/commands/values';
import { usageError } from '#cli/exit';
import type { NamedOptions, NamedValue, PricedOption } from '#cli/sbatch-script';

/** The fields of the wire. */
export interface QuotedJob {
  readonly account: string;
  readonly partition: string;
  readonly nodes?: number;
  readonly min_nodes?: number;
  readonly ntasks?: number;
  readonly cpus?: number;
  readonly cpus_per_task?: number;
  readonly gpus?: number;
  readonly gpus_per_node?: number;
  readonly gpu_type?: string;
  readonly memory?: string;
  readonly memory_per_cpu?: string;
  readonly exclusive?: boolean;
  readonly constraint?: string;
  readonly wall_time?: string;
  readonly array?: string;
}

/** @throws CommandError usage, which names the option */
export const quotedJob = (options: NamedOptions): QuotedJob => {
  if (options.account === undefined) throw usageError('which account pays? Name it with -A');
  if (options.partition === undefined) throw usageError('which partition is it for? Name it with -p');
  const job = {
    account: readAccount(options.account),
    partition: readPartitions(options.partition),
    ...sizeOf(options),
    wall_time: ifNamed(options.time, readWallTime),
    ...memoryOf(options),
    constraint: options.constraint?.value,
    array: ifNamed(options.array, readArray),
    exclusive: options.exclusive === undefined ? undefined : true,
  };
  return Object.fromEntries(Object.entries(job).filter(([, value]) => value !== undefined)) as unknown as QuotedJob;
};

const ifNamed = <T>(named: NamedValue | undefined, read: (given: NamedValue) => T): T | undefined =>
  named === undefined ? undefined : ifGiven(named.flag, named.value, read);

/** Nodes, tasks, CPUs and GPUs. */
const sizeOf = (options: NamedOptions) => {
  const count = (name: PricedOption): number | undefined => ifNamed(options[name], readCount);
  const asked = ifNamed(options.nodes, readNodes) ?? {};
  const perNode = count('ntasks-per-node');
  const ntasks = count('ntasks') ?? impliedTasks(asked, perNode);
  const cpusPerTask = count('cpus-per-task');
  const nodes = nodesOf({ asked, ntasks, perNode });
  const gpus = gpusOf(options, ntasks);
  const cpusPerGpu = count('cpus-per-gpu') ?? 0;
  const forGpus = cpusPerGpu * Math.max(gpus.gpus ?? 0, (gpus.gpus_per_node ?? 0) * (nodes.nodes ?? 1));
  // Without -n, sbatch reckons with one task a node.
  const forNodes = ntasks === undefined && nodes.nodes !== undefined && isExact(asked) ? nodes.nodes * (cpusPerTask ?? 1) : 0;
  const cpus = Math.max(forGpus, cpusPerTask === undefined ? 0 : forNodes);
  return { ...nodes, ntasks, cpus_per_task: cpusPerTask, cpus: cpus > 1 ? cpus : undefined, ...gpus };
};

type Nodes = { readonly nodes?: number; readonly min_nodes?: number };
const isExact = ({ nodes, min_nodes }: Nodes): boolean => min_nodes === undefined || min_nodes === nodes;

/** `--ntasks-per-node` makes tasks where nobody named them, unless the nodes are a range. */
const impliedTasks = (asked: Nodes, perNode: number | undefined): number | undefined =>
  perNode !== undefined && isExact(asked) ? (asked.nodes ?? 1) * perNode : undefined;

/** No more nodes than tasks ("can't run 2 processes on 4 nodes, setting nnodes to 2"), and as many as hold the tasks per node. */
const nodesOf = ({ asked, ntasks, perNode }: { asked: Nodes; ntasks: number | undefined; perNode: number | undefined }): Nodes => {
  const { nodes, min_nodes } = asked;
  if (nodes === undefined) return ntasks === undefined || perNode === undefined ? {} : { nodes: Math.ceil(ntasks / perNode) };
  const most = Math.min(nodes, ntasks ?? nodes);
  return min_nodes === undefined ? { nodes: most } : { min_nodes: Math.min(min_nodes, most), nodes: most };
};

/** Each way to ask for GPUs is a lower bound, as in the plugin. */
const gpusOf = (options: NamedOptions, ntasks: number | undefined): Pick<QuotedJob, 'gpus' | 'gpus_per_node' | 'gpu_type'> => {
  const job = ifNamed(options.gpus, readGpus);
  const node = ifNamed(options['gpus-per-node'], readGpus);
  const gres = ifNamed(options.gres, readGres);
  const socket = ifNamed(options['gpus-per-socket'], readGpus);
  const task = ifNamed(options['gpus-per-task'], readGpus);
  const sockets = ifNamed(options['sockets-per-node'], readCount) ?? 1;
  const [type, other] = new Set([gres, node, job, task, socket].flatMap((each) => each?.type ?? []));
  if (other !== undefined) throw usageError(`GPUs of types ${type} and ${other} are asked for: name one type`);
  const total = mostOf(job?.count, task === undefined ? undefined : task.count * (ntasks ?? 1));
  const perNode = mostOf(gres?.count, node?.count, socket === undefined ? undefined : socket.count * sockets);
  return {
    ...(total === undefined ? {} : { gpus: total }),
    ...(perNode === undefined ? {} : { gpus_per_node: perNode }),
    ...(type === undefined ? {} : { gpu_type: type }),
  };
};

const mostOf = (...counts: readonly (number | undefined)[]): number | undefined => {
  const given = counts.filter((count) => count !== undefined);
  return given.length === 0 ? undefined : Math.max(...given);
};

/** Other resources than GPUs have no price. */
const readGres = (gres: NamedValue): { count: number; type?: string } | undefined => {
  const gpus = gres.value
    .split(',')
    .map((entry) => entry.replace(/^gres[:/]/, ''))
    .filter((entry) => /^gpu(?:[:=]|$)/i.test(entry));
  return gpus.length === 0 ? undefined : readGpus({ flag: gres.flag, value: gpus.join(',') });
};

/** Per node or per CPU; `--mem-per-cpu=0` is all of a node, as `--mem=0` is. */
const memoryOf = (options: NamedOptions): Pick<QuotedJob, 'memory' | 'memory_per_cpu'> => {
  const { mem } = options;
  const perCpu = options['mem-per-cpu'];
  const others = [mem, perCpu, options['mem-per-gpu']].filter((each) => each !== undefined);
  if (others.length > 1) throw usageError(`${others.map(({ flag }) => flag).join(' and ')} exclude each other: give one of them`);
  if (mem !== undefined) return { memory: readMemory(mem) };
  if (perCpu === undefined) return {};
  const size = readMemory(perCpu);
  return /^0+[a-z]?$/i.test(size) ? { memory: '0' } : { memory_per_cpu: size };
};
