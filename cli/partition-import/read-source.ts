// Which format a file has is told by its content; its name is only shown.
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
  const value = /^\s*[{[]/.test(text) ? parseJson({ file, text }) : await parseYaml({ file, text });
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
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw wrongIn(file, lineOf(message, text), `is not JSON (${message})`);
  }
};

/** V8 names a position, but not in every message. */
const lineOf = (message: string, text: string): number | undefined => {
  if (message.startsWith('Unexpected end')) return text.split('\n').length;
  const position = /at position (\d+)/.exec(message)?.[1];
  return position === undefined ? undefined : text.slice(0, Number(position)).split('\n').length;
};

const parseYaml = async ({ file, text }: Content): Promise<unknown> => {
  const { parse, YAMLParseError } = await import('yaml');
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    throw wrongIn(file, line, `is not YAML (${reason}), and none of ${KNOWN}`);
  }
};
