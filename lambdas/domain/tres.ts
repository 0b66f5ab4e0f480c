// Slurm's lists of trackable resources: what a job was given (sacct's AllocTRES), and which GPUs it asks for (--gres).
import { BudgetError } from '#domain/errors';

const MAX_TEXT_LENGTH = 4_096;
const MAX_COUNT = 16_777_215; // The contract's bound for nodes, cpus and gpus.
const MAX_MEMORY_MIB = 1n << 42n;

const COUNT = /^\d+$/;
const MEMORY = /^\d{1,15}(?:\.\d{1,15})?[KMGTP]?$/i;
const KIB_PER_MIB = 1_024n;
const KIB_PER_UNIT = { K: 1n, '': KIB_PER_MIB, M: KIB_PER_MIB, G: KIB_PER_MIB ** 2n, T: KIB_PER_MIB ** 3n, P: KIB_PER_MIB ** 4n };

// The type is optional and lazy, so that a lone number is the count: `gpu:4`, but `gpu:3090:4` is four of type 3090.
const GPU_REQUEST = /^gpu(?::(\w[\w.+-]*))??(?:[:=](\d+))?$/i;

/** Totals of a job over all its nodes. What the text does not name is absent. */
export interface Tres {
  readonly cpus?: number;
  readonly nodes?: number;
  readonly memoryMib?: number;
  readonly gpus?: number;
  /** Absent if the GPUs are untyped, or of several types. */
  readonly gpuType?: string;
}

export interface GpuRequest {
  readonly gpus: number;
  /** Absent if the GPUs are untyped, or of several types. */
  readonly gpuType?: string;
}

/**
 * Read sacct's AllocTRES: `billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=16G,node=1`. Memory may have decimals (`1.50T`) and is
 * rounded up to MiB. Where Slurm is told to track a GPU type, it lists the same GPUs with and without their type, so the untyped
 * total counts if there is one. Other resources are ignored.
 *
 * @throws BudgetError `validation_failed` if a resource that we know has a value that we cannot read: guessing would misprice a run.
 */
export const parseTres = (text: string): Tres => {
  const tres: { cpus?: number; nodes?: number; memoryMib?: number } = {};
  const typed = new Map<string, number>();
  let untyped: number | undefined;
  for (const entry of entriesOf(text)) {
    const { name, value } = splitAtEquals(entry);
    if (name === 'cpu') tres.cpus = parseCount(value);
    else if (name === 'node') tres.nodes = parseCount(value);
    else if (name === 'mem') tres.memoryMib = parseMemory(value);
    else if (name === 'gres/gpu') untyped = parseCount(value);
    else if (name.startsWith('gres/gpu:')) typed.set(name.slice('gres/gpu:'.length), parseCount(value));
  }
  if (untyped === undefined && typed.size === 0) return tres;
  return { ...tres, gpus: untyped ?? sum([...typed.values()]), ...onlyType([...typed.keys()]) };
};

/**
 * Read the GPUs out of a generic resource request, as in `--gres=gpu:a100:4,lustre:1` or Slurm's own `gres:gpu:2` and `gres/gpu:2`:
 * `gpu[:type][:count]`, count 1 if absent. Other resources are ignored, and a text without gpu asks for none.
 *
 * @throws BudgetError `validation_failed` if the text names gpu in a way that we cannot read: taking it as none would be free GPUs.
 */
export const parseGpuRequest = (text: string): GpuRequest => {
  const requests = entriesOf(text)
    .map((entry) => entry.replace(/^gres[:/]/i, ''))
    .filter((entry) => /^gpu(?:[:=]|$)/i.test(entry))
    .map(parseOneGpuRequest);
  const gpus = sum(requests.map(({ count }) => count));
  if (gpus > MAX_COUNT) throw countTooLarge();
  return { gpus, ...onlyType(requests.map(({ type }) => type)) };
};

/** Entries of a comma list. Slurm skips empty ones; blanks would hide a name from us, so they are refused. */
const entriesOf = (text: string): string[] => {
  if (text.length > MAX_TEXT_LENGTH) throw refused(`Write the resources in at most ${MAX_TEXT_LENGTH} characters.`);
  if (/\s/.test(text)) throw refused('Write the resources as a comma list without blanks.');
  return text.split(',').filter((entry) => entry !== '');
};

const splitAtEquals = (entry: string): { name: string; value: string } => {
  const at = entry.indexOf('=');
  if (at === -1) throw refused('Write allocated resources as name=count, for example cpu=8,mem=16G,node=1.');
  return { name: entry.slice(0, at), value: entry.slice(at + 1) };
};

const parseCount = (text: string): number => {
  if (!COUNT.test(text)) throw refused('Write a count of resources as a whole number, for example cpu=8.');
  const count = Number(text);
  if (count > MAX_COUNT) throw countTooLarge();
  return count;
};

const parseMemory = (text: string): number => {
  if (!MEMORY.test(text))
    throw refused('Write allocated memory as a number with an optional suffix of K, M, G, T or P, for example mem=16G.');
  const unit = text.replace(/[\d.]+/, '').toUpperCase() as keyof typeof KIB_PER_UNIT; // MEMORY lets no other suffix through.
  const [, decimals = ''] = text.replace(/[a-z]/i, '').split('.');
  const kibTimesScale = BigInt(text.replace(/\D/g, '')) * KIB_PER_UNIT[unit];
  const scale = KIB_PER_MIB * 10n ** BigInt(decimals.length);
  const mib = (kibTimesScale + scale - 1n) / scale;
  if (mib > MAX_MEMORY_MIB) throw refused('Write allocated memory of at most 4096P.');
  return Number(mib);
};

const parseOneGpuRequest = (entry: string): { type: string | undefined; count: number } => {
  const match = GPU_REQUEST.exec(entry);
  if (match === null) throw notAGpuRequest();
  const [, type, count] = match;
  if (type !== undefined && count === undefined && !/[a-z]/i.test(type)) throw notAGpuRequest(); // `gpu:1.5` is no type.
  return { type, count: parseCount(count ?? '1') };
};

/** The type, if all GPUs are of one. */
const onlyType = (types: readonly (string | undefined)[]): { gpuType?: string } => {
  const [gpuType, ...others] = new Set(types);
  return gpuType === undefined || others.length > 0 ? {} : { gpuType };
};

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

const refused = (sentence: string) => new BudgetError('validation_failed', sentence);

const notAGpuRequest = () => refused('Write a GPU request as gpu[:type][:count], for example gpu:a100:4.');

const countTooLarge = () => refused(`Write counts of resources of at most ${MAX_COUNT}.`);
