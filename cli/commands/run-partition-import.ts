import { createCatalogue } from '#adapters/catalogue';
import { type ApiClient, type PartitionAnswer, readAll } from '#cli/api-client';
import { readPartitions } from '#cli/commands/values';
import type { Context } from '#cli/context';
import { EXIT, type ExitCode, usageError } from '#cli/exit';
import { textOfFile } from '#cli/files';
import { changeOf, type FieldChange, type PartitionChange } from '#cli/partition-import/difference';
import type { SourceFacts } from '#cli/partition-import/facts';
import { mergeSources, type Said, type TypeSize } from '#cli/partition-import/merge';
import { readSource } from '#cli/partition-import/read-source';
import { type Column, printCsv, printJson, printTable, type Shape } from '#cli/render';

/** As typed: text or absent. */
export interface PartitionImportOptions {
  readonly files: readonly string[];
  readonly region?: string;
  /** Only these. */
  readonly partition?: string;
  readonly dryRun?: boolean;
}

interface Row {
  readonly partition: string;
  readonly field: string;
  readonly old: string;
  readonly new: string;
}

const MAX_FILES = 64;
const MAX_FILE_BYTES = 10 * 1024 * 1024;
/** Sizes of types are the same everywhere, and this region has nearly all of them. */
const REGION_OF_SIZES = 'us-east-1';

const SHAPE: Shape<Row> = { partition: 'text', field: 'text', old: 'text', new: 'text' };
const COLUMNS: readonly Column<Row>[] = [
  { field: 'partition', header: 'PARTITION' },
  { field: 'field', header: 'FIELD' },
  { field: 'old', header: 'OLD', flexible: true },
  { field: 'new', header: 'NEW', flexible: true },
];

/** Models partitions by what their cluster's own files say; only what they say, and only what differs, is changed. */
export const runPartitionImport = async (context: Context, options: PartitionImportOptions): Promise<ExitCode> => {
  const only = options.partition === undefined ? undefined : readPartitions({ flag: '--partition', value: options.partition }).split(',');
  const region = options.region === undefined ? undefined : readRegion(options.region);
  const sources = await readSources(options.files);
  const said = chosen(mergeSources(sources, await sizesOf(sources)), only);
  const api = await context.api();
  const held = await readAll(async (query) => {
    const { partitions, cursor } = await api.request('listPartitions', { query });
    return { rows: partitions, cursor };
  });
  const byName = new Map(held.rows.map((each) => [each.partition, each]));
  const changes = changesOf(context, { said, byName, only, region });
  for (const notice of [...sources.flatMap(({ notices }) => notices), ...changes.flatMap(({ notices }) => notices)]) context.tell(notice);
  if (options.dryRun !== true) await write(context, api, changes);
  await printChanges(context, changes, options.dryRun === true);
  return EXIT.ok;
};

/** One after the other. What was written before an error stays, and is unchanged the next time. */
const write = async (context: Context, api: ApiClient, changes: readonly PartitionChange[]): Promise<void> => {
  for (const { partition, change, model } of changes) {
    if (change === 'unchanged') continue;
    try {
      await api.request('putPartition', { path: { partition }, body: model });
    } catch (error) {
      context.complain(`partition ${partition} was not imported, nor any after it; import again when the cause is mended`);
      throw error;
    }
  }
};

const readRegion = (value: string): string => {
  if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(value)) throw usageError(`--region '${value}': must be an AWS region, like us-east-1`);
  return value;
};

const readSources = async (files: readonly string[]): Promise<SourceFacts[]> => {
  if (files.length > MAX_FILES) throw usageError(`${files.length} files are too many at once: give at most ${MAX_FILES}`);
  const sources: SourceFacts[] = [];
  for (const file of files) sources.push(await readSource({ file, text: await textOfFile(file, MAX_FILE_BYTES) }));
  return sources;
};

const sizesOf = async (sources: readonly SourceFacts[]): Promise<Map<string, TypeSize>> => {
  const listed = sources.flatMap(({ partitions }) => partitions.flatMap(({ groups = [] }) => groups.flatMap(({ types }) => types)));
  const types = new Set([...listed, ...sources.flatMap(({ nodes }) => nodes.flatMap(({ type }) => type ?? []))]);
  const catalogue = createCatalogue();
  const sizes = new Map<string, TypeSize>();
  for (const type of types) {
    const answer = await catalogue.ask({ region: REGION_OF_SIZES, type });
    if (answer.kind === 'offer') sizes.set(type, answer.offer);
  }
  return sizes;
};

const chosen = (said: readonly Said[], only: readonly string[] | undefined): readonly Said[] => {
  if (only === undefined) return said;
  const unknown = only.find((name) => !said.some(({ partition }) => partition === name));
  if (unknown !== undefined) {
    throw usageError(`no file names a partition ${unknown}; there are: ${said.map(({ partition }) => partition).join(', ') || 'none'}`);
  }
  return said.filter(({ partition }) => only.includes(partition));
};

const changesOf = (
  context: Context,
  {
    said,
    byName,
    only,
    region,
  }: {
    said: readonly Said[];
    byName: ReadonlyMap<string, PartitionAnswer>;
    only: readonly string[] | undefined;
    region: string | undefined;
  },
): PartitionChange[] => {
  const today = new Date(context.now()).toISOString().slice(0, 10);
  const settings = { today, ...(region === undefined ? {} : { region }), isNamed: (name: string) => only?.includes(name) === true };
  return said.flatMap((each) => {
    const change = changeOf(each, byName.get(each.partition), settings);
    if (change !== undefined) return [change];
    context.tell(`partition ${each.partition} is left alone: nothing says that its nodes are instances of AWS`);
    return [];
  });
};

const printChanges = async (context: Context, changes: readonly PartitionChange[], isDryRun: boolean): Promise<void> => {
  const rows = changes.flatMap(({ partition, fields }) =>
    fields.map((change): Row => ({ partition, field: change.field, old: valueText(change, 'old'), new: valueText(change, 'new') })),
  );
  if (context.format === 'json') {
    printJson(context, {
      dry_run: isDryRun,
      partitions: changes.map(({ partition, change, fields, model }) => ({ partition, change, fields, model })),
    });
  } else if (context.format === 'csv') await printCsv(context, { shape: SHAPE, rows });
  else if (rows.length > 0) await printTable(context, { shape: SHAPE, columns: COLUMNS, rows });
  context.tell(summaryOf(changes, isDryRun));
};

const valueText = (change: FieldChange, side: 'old' | 'new'): string => {
  const value = change[side];
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.join(',');
  if (typeof value !== 'object') return String(value);
  return Object.entries(value)
    .map(([type, features]) => `${type}=${(features as string[]).join(',')}`)
    .join(' ');
};

const summaryOf = (changes: readonly PartitionChange[], isDryRun: boolean): string => {
  const count = (kind: PartitionChange['change']) => changes.filter(({ change }) => change === kind).length;
  const counts = `${count('new')} new, ${count('changed')} changed, ${count('unchanged')} unchanged`;
  return isDryRun ? `dry run, nothing was changed: ${counts}` : `partitions imported: ${counts}`;
};
