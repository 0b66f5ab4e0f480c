// The figures of the catalogue as text that is short enough to travel with every function: a line for each family of types.
//
//   c5 large 0.085 2 4;12xlarge 2.04 48 96        size, dollars an hour, vCPUs, memory in GiB
//   g5 48xlarge 16.288 192 768 8                   and GPUs
//   hpc7a 12xlarge 7.2 24/24 768                  physical cores where they are not half of the vCPUs
//   c1 medium 0.13 2/2 1740M                      memory in MiB where it is no whole GiB
import { parseDecimal } from '#domain/money';
import type { InstanceOffer } from '#domain/partition';

export type Figures = Pick<InstanceOffer, 'type' | 'priceE10UsdPerHour' | 'vcpus' | 'physicalCores' | 'memoryMib' | 'gpus'>;

/** The figures of one region, all of one source and one date. */
export interface CatalogueRegion {
  readonly region: string;
  /** `YYYY-MM-DD`; null where the source gives none. */
  readonly priceDate: string | null;
  readonly priceSource: string;
  readonly sizeSource: string;
  readonly figures: string;
}

const USD_DECIMALS = 10;
const MIB_PER_GIB = 1024;

export const parseFigures = (text: string): Figures[] =>
  text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [family = '', rest = ''] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)];
      return rest.split(';').map((figures) => figuresOf(family, figures, line));
    });

const figuresOf = (family: string, text: string, line: string): Figures => {
  const [, size, usd, vcpus, cores, memory, inMib, gpus] = /^([\w-]+) ([\d.]+) (\d+)(?:\/(\d+))? (\d+)(M?)(?: (\d+))?$/.exec(text) ?? [];
  if (size === undefined || usd === undefined) throw new Error(`the catalogue has a broken line: ${line}`);
  return {
    type: `${family}.${size}`,
    priceE10UsdPerHour: parseDecimal(usd, USD_DECIMALS),
    vcpus: Number(vcpus),
    physicalCores: cores === undefined ? Number(vcpus) / 2 : Number(cores),
    memoryMib: Number(memory) * (inMib === 'M' ? 1 : MIB_PER_GIB),
    gpus: Number(gpus ?? 0),
  };
};

/** What parseFigures reads, by family and size. */
export const formatFigures = (figures: readonly Figures[]): string => {
  const families = new Map<string, string[]>();
  for (const each of [...figures].sort((a, b) => (a.type < b.type ? -1 : 1))) {
    const [family = '', size = ''] = each.type.split('.');
    families.set(family, [...(families.get(family) ?? []), `${size} ${textOf(each)}`]);
  }
  return [...families].map(([family, sizes]) => `${family} ${sizes.join(';')}`).join('\n');
};

const textOf = ({ priceE10UsdPerHour, vcpus, physicalCores, memoryMib, gpus }: Figures): string => {
  const digits = String(priceE10UsdPerHour).padStart(USD_DECIMALS + 1, '0');
  const usd = `${digits.slice(0, -USD_DECIMALS)}.${digits.slice(-USD_DECIMALS)}`.replace(/\.?0+$/, '');
  const cores = physicalCores * 2 === vcpus ? '' : `/${physicalCores}`;
  const memory = memoryMib % MIB_PER_GIB === 0 ? String(memoryMib / MIB_PER_GIB) : `${memoryMib}M`;
  return `${usd} ${vcpus}${cores} ${memory}${gpus === 0 ? '' : ` ${gpus}`}`;
};
