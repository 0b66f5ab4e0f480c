// Which format a file has is told by its content; its name is only shown.
import { parse, YAMLParseError } from 'yaml'; // Not lazily: bundled, `import('yaml')` has no names, since it is CommonJS.
import { type Content, type SourceFacts, wrongIn } from '#cli/partition-import/facts';
import { isObject } from '#cli/partition-import/fields';
import { isAsbx, isPartitionsJson, readAsbx, readPartitionsJson } from '#cli/partition-import/node-groups';
import { isClusterConfig, isFleetConfig, readClusterConfig, readFleetConfig } from '#cli/partition-import/parallelcluster';
import { isScontrol, readScontrol } from '#cli/partition-import/scontrol';

const KNOWN =
  "ParallelCluster's fleet-config.json or cluster configuration, partitions.json of aws-plugin-for-slurm, ASBX's YAML, or what scontrol show node, partition or config prints";

/** @throws CommandError usage, naming the file and, where it is known, the line or the field */
export const readSource = async (content: Content): Promise<SourceFacts> => {
  const { file } = content;
  const text = content.text.replace(/^\ufeff/, '');
  if (text.trim() === '') throw wrongIn(file, undefined, 'is empty');
  if (isScontrol(text)) return readScontrol({ file, text });
  const value = /^\s*[{[]/.test(text) ? parseJson({ file, text }) : parseYaml({ file, text });
  if (isObject(value)) {
    if (isPartitionsJson(value)) return readPartitionsJson(value, content);
    if (isAsbx(value)) return readAsbx(value, content);
    if (isClusterConfig(value)) return readClusterConfig(value, content);
    if (isFleetConfig(value)) return readFleetConfig(value, content);
    if (Array.isArray(value.nodes) || Array.isArray(value.partitions)) {
      throw wrongIn(file, undefined, "is scontrol's JSON, which changes with each version: give its text, without --json");
    }
  }
  throw wrongIn(file, undefined, `is none of ${KNOWN}`);
};

const parseJson = ({ file, text }: Content): unknown => {
  const problem = problemOf(text);
  if (problem === undefined) return JSON.parse(text);
  throw wrongIn(file, lineOf(text), `is not JSON (${problem})`);
};

const problemOf = (text: string): string | undefined => {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

/** The first line that no further line could mend. Not every message of V8's has a position, and no token goes over a line's end. */
const lineOf = (text: string): number => {
  const lines = text.split('\n');
  let [good, bad] = [0, lines.length];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    const prefix = lines.slice(0, middle).join('\n').trimEnd();
    if (isOnlyUnfinished(prefix)) good = middle;
    else bad = middle;
  }
  return bad;
};

const isOnlyUnfinished = (text: string): boolean => {
  const problem = problemOf(text);
  return problem === undefined || problem.startsWith('Unexpected end') || Number(/at position (\d+)/.exec(problem)?.[1]) >= text.length;
};

const parseYaml = ({ file, text }: Content): unknown => {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    throw wrongIn(file, line, `is not YAML (${reason}), and none of ${KNOWN}`);
  }
};
