// Which GPUs an instance type has, so that `--gpus=a100:8` is priced on the types that carry an A100.

/** By EC2 instance family. Source: EC2 DescribeInstanceTypes (GpuInfo), as recorded in moto 34d6cad5 (2026-08-02, Apache-2.0). */
const MODEL_BY_FAMILY: ReadonlyMap<string, string> = new Map([
  ['g4ad', 'v520'],
  ['g4dn', 't4'],
  ['g5', 'a10g'],
  ['g5g', 't4g'],
  ['g6', 'l4'],
  ['g6e', 'l40s'],
  ['gr6', 'l4'],
  ['p3dn', 'v100'],
  ['p4d', 'a100'],
  ['p4de', 'a100'],
  ['p5', 'h100'],
  ['p5en', 'h200'],
  ['p6-b200', 'b200'],
  ['p6-b300', 'b300'],
]);
const MODELS: ReadonlySet<string> = new Set(MODEL_BY_FAMILY.values());

/** The model that a Slurm GPU type names. Sites choose these names, so it is one word among others: `a100`, `nvidia_a100-sxm4-40gb`. */
const modelNamedBy = (gpuType: string): string | undefined =>
  gpuType
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .find((word) => MODELS.has(word));

/**
 * The model of a type's GPUs if they are surely not what the job asks for. A name that says no model (`volta`, `big`) rules out
 * nothing, and neither does a family that we do not know: Slurm knows what such a name means, and a dearer type is never too little.
 */
export const otherGpuModel = (type: string, gpuType: string | undefined): string | undefined => {
  if (gpuType === undefined) return undefined;
  const model = MODEL_BY_FAMILY.get(type.replace(/\..*$/, ''));
  const wanted = modelNamedBy(gpuType);
  return model === undefined || wanted === undefined || model === wanted ? undefined : model;
};
