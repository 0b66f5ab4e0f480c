// What `scontrol show node`, `show partition` and `show config` print, in many lines or in one each (-o), one after the other in
// one file or in several. Read from Slurm 22.05, 24.11 and 26.05.
import {
  type Content,
  isSurelyInstanceType,
  type NodeFacts,
  type PartitionFacts,
  type SourceFacts,
  wrongIn,
} from '#cli/partition-import/facts';
import { defaultTimeOf, listOf, sharingOf } from '#cli/partition-import/slurm-words';
import { parseMemoryMib } from '#domain/memory';

const RECORD = /^(NodeName|PartitionName)=\S/;
const CONFIG = /^Configuration data as of /;
/** What people wrote, which may hold anything, even words like `Partitions=`. On a line of its own, or at the end of a record. */
const WORDS = ['Reason', 'Comment', 'Extra'] as const;

interface Reading {
  readonly line: number;
  readonly kind: 'NodeName' | 'PartitionName';
  readonly values: ReadonlyMap<string, string>;
}

export const isScontrol = (text: string): boolean => /^(?:(?:NodeName|PartitionName)=\S|Configuration data as of )/m.test(text);

/** @throws CommandError usage, naming file and line */
export const readScontrol = ({ file, text }: Content): SourceFacts => {
  const { records, selectType } = recordsOf(text, file);
  return {
    ...{ file, format: 'scontrol', notices: [] },
    nodes: records.filter(({ kind }) => kind === 'NodeName').map((record) => nodeOf(record, file)),
    partitions: records.filter(({ kind }) => kind === 'PartitionName').map((record) => partitionOf(record, file)),
    ...(selectType === undefined ? {} : { selectType }),
  };
};

const recordsOf = (text: string, file: string): { records: Reading[]; selectType: string | undefined } => {
  const records: Reading[] = [];
  let selectType: string | undefined;
  let inConfig = false;
  let values: Map<string, string> | undefined;
  for (const [index, written] of text.split('\n').entries()) {
    const line = written.replace(/\r$/, '');
    const kind = RECORD.exec(line)?.[1] as Reading['kind'] | undefined;
    if (kind !== undefined) {
      values = new Map();
      inConfig = false;
      records.push({ line: index + 1, kind, values });
    } else if (CONFIG.test(line)) {
      inConfig = true;
      values = undefined;
    } else if (line.trim() === '') {
      continue; // Slurm 24.11 has one within a node whose instance type is known.
    } else if (inConfig) {
      selectType = /^SelectType\s*=\s*(\S+)/.exec(line)?.[1] ?? selectType;
      continue;
    } else if (values === undefined || !/^\s/.test(line)) {
      throw wrongIn(file, index + 1, "is no line of 'scontrol show node', 'show partition' or 'show config'");
    }
    if (values !== undefined) readLine(line.trim(), values);
  }
  return { records, selectType };
};

const readLine = (line: string, values: Map<string, string>): void => {
  const from = line.search(/(?:^| )(?:Reason|Comment|Extra)=/);
  const head = from === -1 ? line : line.slice(0, from);
  for (const [, key = '', value = ''] of head.matchAll(/(?:^|\s)([A-Za-z][\w/]*)=(\S*)/g)) {
    if (!values.has(key)) values.set(key, value);
  }
  if (from === -1) return;
  let words = ` ${line.slice(from).trim()}`;
  // In one line these come behind the words; nothing but them can end it.
  const instance = /(?: InstanceId=\S*)? InstanceType=(\S*)(?: ReservationName=\S*)?$/.exec(words);
  if (instance !== null) {
    values.set('InstanceType', instance[1] ?? '');
    words = words.slice(0, instance.index);
  }
  for (const word of WORDS) {
    const said = new RegExp(` ${word}=(.*?)(?= (?:${WORDS.slice(WORDS.indexOf(word) + 1).join('|') || '$^'})=|$)`).exec(words);
    if (said !== null && !values.has(word)) values.set(word, said[1] ?? '');
  }
};

const nodeOf = ({ values, line }: Reading, file: string): NodeFacts => {
  const name = values.get('NodeName') ?? '';
  const features = values.get('AvailableFeatures');
  if (features === undefined || !values.has('RealMemory')) throw unlikeScontrol({ file, line, what: 'node', name });
  const type = typeOf(values, { file, line, name });
  const cpus = numberOf(values.get('CPUTot'));
  return {
    name,
    partitions: listOf(values.get('Partitions')),
    features: listOf(features),
    ...(type === undefined ? {} : { type }),
    ...memoryOf(values.get('RealMemory')),
    ...(cpus === undefined ? {} : { cpus }),
    ...threadsOf(values),
  };
};

/**
 * The instance type, where a field says it: InstanceType= (Slurm from 23.11 on, of the instance that is there now), a feature that
 * can be nothing else (ParallelCluster's), or a comment.
 */
const typeOf = (
  values: ReadonlyMap<string, string>,
  { file, line, name }: { file: string; line: number; name: string },
): string | undefined => {
  const said = [values.get('InstanceType') ?? '', wordOf(values.get('Extra')), wordOf(values.get('Comment'))].find(isSurelyInstanceType);
  if (said !== undefined) return said;
  const features = listOf(values.get('AvailableFeatures')).filter(isSurelyInstanceType);
  if (features.length > 1) {
    throw wrongIn(file, line, `node ${name} has the features ${features.join(' and ')}: one node is of one instance type`);
  }
  return features[0];
};

/** `c5.large`, `instance_type=c5.large ...`, `{"InstanceType": "c5.large"}`: a type alone, or under its name. */
const wordOf = (text = ''): string =>
  isSurelyInstanceType(text.trim()) ? text.trim() : (/\binstance[_ -]?type["']?\s*[=:]\s*["']?([a-z0-9.-]+)/i.exec(text)?.[1] ?? '');

const memoryOf = (text: string | undefined): { memoryMib?: number } => {
  if (text === undefined || !/^\d+[KMGTP]?$/i.test(text)) return {};
  const memoryMib = parseMemoryMib(text);
  return memoryMib <= 1 ? {} : { memoryMib }; // 1 is Slurm's default: nobody said.
};

/** A node whose only written size is CPUs= has one core per socket and one thread per core on record, whatever it really has. */
const threadsOf = (values: ReadonlyMap<string, string>): { threadsPerCore?: number } => {
  const threadsPerCore = numberOf(values.get('ThreadsPerCore'));
  const isWritten = threadsPerCore !== undefined && (threadsPerCore > 1 || (numberOf(values.get('CoresPerSocket')) ?? 1) > 1);
  return isWritten ? { threadsPerCore } : {};
};

const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,8}$/.test(text) && text !== '0' ? Number(text) : undefined;

const partitionOf = ({ values, line }: Reading, file: string): PartitionFacts => {
  const partition = values.get('PartitionName') ?? '';
  const overSubscribe = values.get('OverSubscribe');
  const time = values.get('DefaultTime');
  if (overSubscribe === undefined || time === undefined) throw unlikeScontrol({ file, line, what: 'partition', name: partition });
  // Slurm 26.05 says Exclusive=NODE, and OverSubscribe=NO beside it, for what slurm.conf calls OverSubscribe=EXCLUSIVE.
  const sharing = values.get('Exclusive') === 'NODE' ? 'exclusive' : sharingOf(overSubscribe);
  const defaultWallTimeSeconds = timeOf(time, { file, line });
  return {
    partition,
    ...(sharing === undefined ? {} : { sharing }),
    ...(defaultWallTimeSeconds === undefined ? {} : { defaultWallTimeSeconds }),
  };
};

const timeOf = (time: string, { file, line }: { file: string; line: number }): number | undefined => {
  try {
    return defaultTimeOf(time);
  } catch {
    throw wrongIn(file, line, 'DefaultTime must be a time as Slurm writes it, like 2:00:00');
  }
};

const unlikeScontrol = ({ file, line, what, name }: { file: string; line: number; what: 'node' | 'partition'; name: string }) =>
  wrongIn(
    file,
    line,
    `${what} ${name} is not as 'scontrol show ${what}' prints it: give its output, whole, and not slurm.conf or a part of it`,
  );
