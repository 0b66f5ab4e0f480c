// ColdFront's allocations as its API gives them (plugin `api`, GET /api/allocations/?allocation_attributes=true), and as sites' own
// plugins do. Each allocation has a project's title, a status, and attributes by name; what they are called is up to the site.
import type { SaidAccount } from '#cli/account-import/read-accounts';
import { usageError } from '#cli/exit';

export interface ColdFrontNames {
  /** Attribute that holds the Slurm account. ColdFront's own default is `slurm_account_name`. */
  readonly accountAttribute: string;
  /** Attribute that holds dollars, where a site has one. */
  readonly budgetAttribute?: string | undefined;
}

interface Allocation {
  readonly at: string;
  readonly project: string | undefined;
  /** Null where the answer was asked for without them. */
  readonly attributes: ReadonlyMap<string, string> | null;
}

/** The states in which users may work. ColdFront's others are asked for, over, refused or unpaid. */
const ACTIVE: ReadonlySet<string> = new Set(['Active', 'Renewal Requested']);
const MEND = "save ColdFront's answer to GET /api/allocations/?allocation_attributes=true";

export const isColdFront = (content: string): boolean => /^\s*[[{]/.test(content);

/**
 * Accounts of the active allocations; those without a Slurm account (storage, software) are passed over.
 * @throws CommandError usage, naming the file and the allocation
 */
export const readColdFront = (file: string, content: string, names: ColdFrontNames): SaidAccount[] => {
  const allocations = rowsOf(file, content).map((row, index) => allocationOf(row, `${file} row ${index + 1}`));
  const active = allocations
    .filter(({ status }) => ACTIVE.has(status))
    .map(({ listed, ...allocation }) => ({ ...allocation, attributes: attributesOf(listed, { at: allocation.at, names }) }));
  if (active.length === 0) throw usageError(`${file}: none of its ${allocations.length} allocations is active (${[...ACTIVE].join(', ')})`);
  if (active.every(({ attributes }) => attributes === null)) throw usageError(`${file}: its allocations have no attributes: ${MEND}`);
  const said = active.flatMap((allocation) => accountOf(allocation, names));
  if (said.length > 0) return said;
  const known = [...new Set(active.flatMap(({ attributes }) => [...(attributes?.keys() ?? [])]))].sort().slice(0, 12).join(', ');
  throw usageError(
    `${file}: no active allocation has an attribute '${names.accountAttribute}' (there are: ${known || 'none'}): name yours with --account-attribute`,
  );
};

const rowsOf = (file: string, content: string): unknown[] => {
  let read: unknown;
  try {
    read = JSON.parse(content);
  } catch (error) {
    throw usageError(`${file}: is not JSON (${(error as Error).message}): ${MEND}`, { cause: error });
  }
  if (Array.isArray(read)) return read;
  if (!isObject(read) || !Array.isArray(read.results)) throw usageError(`${file}: is no list of allocations: ${MEND}`);
  // Half of the accounts would look like all of them.
  if (typeof read.next === 'string')
    throw usageError(`${file}: is one page of several; save the page that 'next' names too, as an array of all`);
  return read.results;
};

const allocationOf = (row: unknown, at: string): Omit<Allocation, 'attributes'> & { readonly status: string; readonly listed: unknown } => {
  if (!isObject(row)) throw usageError(`${at}: is no allocation: ${MEND}`);
  const named = typeof row.id === 'number' ? `${at} (allocation ${row.id})` : at;
  if (typeof row.status !== 'string') throw usageError(`${named}: has no status: ${MEND}`);
  const project = isObject(row.project) ? row.project.title : row.project;
  return {
    at: named,
    project: typeof project === 'string' && project !== '' ? project : undefined,
    status: row.status,
    listed: row.allocation_attributes ?? row.attributes ?? null,
  };
};

/**
 * ColdFront says `allocation_attribute_type`; sites' plugins say `attribute_type` or `name`. What asbb does not use may be there
 * as it likes, several times or without a value.
 */
const attributesOf = (list: unknown, { at, names }: { at: string; names: ColdFrontNames }): ReadonlyMap<string, string> | null => {
  if (list === null) return null;
  if (!Array.isArray(list)) throw usageError(`${at}: its attributes are no list: ${MEND}`);
  const used: readonly unknown[] = [names.accountAttribute, names.budgetAttribute];
  const attributes = new Map<string, string>();
  for (const each of list) {
    const name = isObject(each) ? (each.allocation_attribute_type ?? each.attribute_type ?? each.name) : undefined;
    if (!isObject(each) || typeof name !== 'string') throw usageError(`${at}: an attribute has no name: ${MEND}`);
    const isUsed = used.includes(name);
    if (isUsed && !['string', 'number'].includes(typeof each.value))
      throw usageError(`${at}: its attribute '${name}' has no value: fill it in, in ColdFront`);
    const value = String(each.value).trim();
    const before = attributes.get(name);
    if (isUsed && before !== undefined && before !== value)
      throw usageError(`${at}: has two attributes '${name}', ${before} and ${value}: leave one in ColdFront`);
    attributes.set(name, value);
  }
  return attributes;
};

const accountOf = ({ at, project, attributes }: Allocation, { accountAttribute, budgetAttribute }: ColdFrontNames): SaidAccount[] => {
  const account = attributes?.get(accountAttribute);
  if (account === undefined || account === '') return [];
  const budget = budgetAttribute === undefined ? undefined : attributes?.get(budgetAttribute);
  return [
    { account, at, ...(project === undefined ? {} : { name: project }), ...(budget === undefined || budget === '' ? {} : { budget }) },
  ];
};

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
