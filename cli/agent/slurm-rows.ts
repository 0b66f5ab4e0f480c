// What squeue and sacct print, line by line. Users choose none of the columns that are asked for but the account, and Slurm lets
// no bar stand in that; root may put one into admin_comment, so that column is the last.
import type { AccountedRun, EpochSeconds, QueuedJob, TaskSet } from '#cli/agent/ports';
import { parseArraySpec } from '#domain/array-spec';
import { BudgetError } from '#domain/errors';
import { parseWallTime } from '#domain/slurm-time';

/** Without a width, squeue prints a field as long as it is; what follows the colon ends it. */
export const SQUEUE_FORMAT = [
  'JobID',
  'JobArrayID',
  'Account',
  'UserName',
  'Partition',
  'State',
  'NumNodes',
  'MaxNodes',
  'NumCPUs',
  'TimeLimit',
  'SubmitTime',
  'StartTime',
  'EndTime',
  'RestartCnt',
  'tres-alloc',
  'NodeList',
  'admin_comment',
]
  .map((field) => `${field}:|`)
  .join(',');
const SQUEUE_COLUMNS = 17;

export const SACCT_FORMAT =
  'DBIndex,JobIDRaw,JobID,Cluster,User,Account,Partition,State,Submit,Start,End,ElapsedRaw,AllocNodes,AllocTRES,NodeList,AdminComment';
const SACCT_COLUMNS = 16;

/** Slurm, "Job State Codes": those after which a run is over. RQ and RS are there because -D shows each run of a job. */
export const ENDED_STATES = 'CD,CA,F,TO,NF,OOM,PR,DL,BF,RQ,RS';

/** A line that says something else than it should. */
export class BadLine extends Error {
  override readonly name = 'BadLine';
}

/** Whose line this is, where the line as a whole makes no sense. A number that no bar follows may have been cut off. */
export const submissionIdIn = (source: 'squeue' | 'sacct', line: string): string | undefined => {
  const [jobId = '', arrayId = '', rest] = line.split('|').slice(source === 'squeue' ? 0 : 1);
  if (rest === undefined || !/^\d{1,20}$/.test(jobId)) return undefined;
  return /^(\d{1,20})_/.exec(arrayId)?.[1] ?? (/^\d{1,20}(?:\+\d+)?$/.test(arrayId) ? jobId : undefined);
};

type Five = [string, string, string, string, string];
type Sixteen = [...Five, ...Five, ...Five, string];

/** @throws BadLine */
export const parseQueuedJob = (line: string): QueuedJob => {
  const columns = columnsOf(line, SQUEUE_COLUMNS + 1); // The last one ends with a bar, too.
  const [
    jobId,
    arrayId,
    account,
    user,
    partition,
    state,
    nodes,
    maxNodes,
    cpus,
    limit,
    submitted,
    started,
    ended,
    restarts,
    tres,
    nodeList,
  ] = columns.slice(0, 16) as Sixteen;
  return {
    jobId: numberOf('JobID', jobId),
    ...submissionOf(jobId, arrayId),
    account: textOf(account).toLowerCase(),
    user: textOf(user),
    partition: textOf(partition),
    state: stateOf(state),
    nodes: countOf('NumNodes', nodes),
    maxNodes: countOf('MaxNodes', maxNodes),
    cpus: countOf('NumCPUs', cpus),
    timeLimitSeconds: limitOf(limit),
    submittedAt: required('SubmitTime', timeOf('SubmitTime', submitted)),
    startedAt: timeOf('StartTime', started),
    endedAt: timeOf('EndTime', ended),
    restarts: countOf('RestartCnt', restarts),
    tres: textOf(tres),
    nodeList: textOf(nodeList),
    ...holdIn(columns[SQUEUE_COLUMNS - 1] as string),
  };
};

/** @throws BadLine */
export const parseAccountedRun = (line: string): AccountedRun => {
  const columns = columnsOf(line, SACCT_COLUMNS);
  const [dbIndex, jobId, arrayId, cluster, user, account, partition, state, submitted, started, ended, , nodes, tres, nodeList] =
    columns as [string, string, string, string, string, string, string, string, string, string, string, string, string, string, string];
  const endedAt = timeOf('End', ended);
  // A job that was cancelled while it waited has a start in some versions, but never had a node.
  const hadNodes = countOf('AllocNodes', nodes) > 0 && nodeList !== 'None assigned';
  const startedAt = hadNodes ? timeOf('Start', started) : null;
  // A clock was set back: what it cost is not to be seen, and it was not nothing.
  if (startedAt !== null && endedAt !== null && endedAt < startedAt) throw new BadLine(`ends (${ended}) before it starts (${started})`);
  const run = {
    dbIndex: numberOf('DBIndex', dbIndex),
    jobId: numberOf('JobIDRaw', jobId),
    ...submissionOf(jobId, arrayId),
    cluster,
    user,
    account: account.toLowerCase(),
    partition,
    state: stateOf(state),
    submittedAt: required('Submit', timeOf('Submit', submitted)),
    startedAt,
    endedAt,
    nodes: hadNodes ? countOf('AllocNodes', nodes) : 0,
    tres,
    ...holdIn(columns[SACCT_COLUMNS - 1] as string),
  };
  return { ...run, startedAt: begunAt(run) };
};

/** After a change of size, a row has the start of the job's first row, and the time of the change as that of its submission. */
const begunAt = ({ startedAt, submittedAt }: Pick<AccountedRun, 'startedAt' | 'submittedAt'>): EpochSeconds | null =>
  startedAt === null ? null : Math.max(startedAt, submittedAt);

const HOLD_MARK = /(?:^|\s)asbb:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=\s|$)/gi;

/** The plugin appends its mark to what stands there already, so the last one is its own. */
const holdIn = (comment: string): { holdId?: string } => {
  const last = [...comment.matchAll(HOLD_MARK)].at(-1)?.[1];
  return last === undefined ? {} : { holdId: last.toLowerCase() };
};

/** The last column keeps its bars. */
const columnsOf = (line: string, count: number): string[] => {
  const columns = line.split('|');
  if (columns.length < count) throw new BadLine(`has ${columns.length} columns instead of ${count}`);
  if (columns.length === count) return columns;
  const surplus = columns.length - count;
  const last = count === SACCT_COLUMNS ? count - 1 : count - 2;
  return [...columns.slice(0, last), columns.slice(last, last + surplus + 1).join('|'), ...columns.slice(last + surplus + 1)];
};

/**
 * "4"; "5_1" and "5_[2-4%2]" of an array; "6+1" of a het job, whose components have numbers and holds of their own.
 */
const submissionOf = (jobId: string, arrayId: string): { submissionId: string; tasks?: TaskSet } => {
  const at = arrayId.indexOf('_');
  if (at === -1) return { submissionId: jobId };
  return { submissionId: numberOf('JobID', arrayId.slice(0, at)), tasks: tasksOf(arrayId.slice(at + 1)) };
};

const tasksOf = (text: string): TaskSet => {
  const list = text.replace(/^\[|\]$/g, '');
  if (list.includes('...')) return 'unknown';
  try {
    return parseArraySpec(list).ranges;
  } catch (error) {
    if (error instanceof BudgetError) throw new BadLine(`has tasks '${text}', which are none of an array`, { cause: error });
    throw error;
  }
};

const numberOf = (column: string, text: string): string => {
  if (!/^\d{1,20}$/.test(text)) throw new BadLine(`has ${column} '${text}', which is no number`);
  return text;
};

const COUNT_SUFFIXES: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2 };

/** squeue shortens large counts ("16K"), and prints a range or nothing where there is no count. */
const countOf = (column: string, text: string): number => {
  if (text === '' || text === 'N/A') return 0;
  const match = /^(?:\d+-)?(\d{1,10})([KM]?)$/.exec(text);
  if (match === null) throw new BadLine(`has ${column} '${text}', which is no count`);
  return Number(match[1]) * (COUNT_SUFFIXES[match[2] ?? ''] as number);
};

/** The last second of the year 9999: what follows has no date in ISO 8601. */
const LATEST = 253_402_300_799;

const timeOf = (column: string, text: string): EpochSeconds | null => {
  if (text === '' || text === 'N/A' || text === 'None' || text === 'Unknown' || text === 'NONE' || text === '0') return null;
  if (!/^\d{1,12}$/.test(text) || Number(text) > LATEST)
    throw new BadLine(`has ${column} '${text}', which is no time in seconds since 1970`);
  return Number(text);
};

const required = (column: string, time: EpochSeconds | null): EpochSeconds => {
  if (time === null) throw new BadLine(`has no ${column}`);
  return time;
};

const textOf = (text: string): string => (text === 'N/A' || text === '(null)' || text === '(none)' ? '' : text);

/** "CANCELLED by 1001" */
const stateOf = (text: string): string => {
  const [name = ''] = text.split(' ');
  if (!/^[A-Z_]+$/.test(name)) throw new BadLine(`has State '${text}', which is no state of Slurm`);
  return name;
};

/** Null where Slurm has none: UNLIMITED, NOT_SET, Partition_Limit. */
const limitOf = (text: string): number | null => {
  try {
    return parseWallTime(text);
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    if (/^[A-Za-z_/]*$/.test(text)) return null;
    throw new BadLine(`has TimeLimit '${text}', which is no time`, { cause: error });
  }
};
