// Values of slurm.conf and scontrol, which the files of other programs quote.
import { type NodeGroup, type PartitionFacts, type Sharing, wrongIn } from '#cli/partition-import/facts';
import { below, countOf, type Fields, memoryMibOf, textOf } from '#cli/partition-import/fields';
import { parseWallTime } from '#domain/slurm-time';

/** `(null)` is scontrol's word for an empty list. */
export const listOf = (text: string | undefined): string[] =>
  text === undefined || text === '(null)' ? [] : text.split(',').filter((each) => each !== '');

/**
 * What OverSubscribe says of nodes (slurm.conf(5)). With NO, YES and FORCE:1 jobs never share a core unless they ask to, and
 * whether they share a node is not said here. Undefined for what is none of Slurm's words.
 */
export const sharingOf = (overSubscribe: string): Sharing | undefined => {
  const word = overSubscribe.toUpperCase();
  if (word === 'EXCLUSIVE') return 'exclusive';
  if (/^(?:NO|YES(?::\d+)?|FORCE:1)$/.test(word)) return 'cores';
  return /^FORCE(?::\d+)?$/.test(word) ? 'shared' : undefined;
};

/** DefaultTime in seconds. NONE says only that Slurm has no default, and MaxTime is no time that anybody asked for. */
export const defaultTimeOf = (text: string): number | undefined => (/^none$/i.test(text) ? undefined : (parseWallTime(text) ?? undefined));

/** Options of a partition as slurm.conf has them, whoever wrote them down. */
export const partitionOptionsOf = (options: Fields): Pick<PartitionFacts, 'sharing' | 'defaultWallTimeSeconds'> => {
  const overSubscribe = textOf(options, 'OverSubscribe');
  const sharing = overSubscribe === undefined ? undefined : sharingOf(overSubscribe);
  if (overSubscribe !== undefined && sharing === undefined) {
    throw wrongIn(options.file, below(options, 'OverSubscribe').path, "must be one of Slurm's words: EXCLUSIVE, FORCE, YES or NO");
  }
  const time = textOf(options, 'DefaultTime');
  let defaultWallTimeSeconds: number | undefined;
  try {
    defaultWallTimeSeconds = time === undefined ? undefined : defaultTimeOf(time);
  } catch {
    throw wrongIn(options.file, below(options, 'DefaultTime').path, 'must be a time as Slurm writes it, like 2:00:00');
  }
  return {
    ...(sharing === undefined ? {} : { sharing }),
    ...(defaultWallTimeSeconds === undefined ? {} : { defaultWallTimeSeconds }),
  };
};

/** What slurm.conf says of nodes, as JSON or YAML quotes it. */
export const slurmSpecificationsOf = (specifications: Fields): Pick<NodeGroup, 'memoryMib' | 'cpus' | 'threadsPerCore' | 'features'> => {
  const memoryMib = memoryMibOf(specifications, 'RealMemory');
  const cpus = countOf(specifications, 'CPUs');
  const threadsPerCore = countOf(specifications, 'ThreadsPerCore');
  // slurm.conf takes both.
  const features = textOf(specifications, 'Feature') ?? textOf(specifications, 'Features');
  return {
    ...(memoryMib === undefined ? {} : { memoryMib }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(threadsPerCore === undefined ? {} : { threadsPerCore }),
    ...(features === undefined ? {} : { features: features.split(',').filter((each) => each !== '') }),
  };
};
