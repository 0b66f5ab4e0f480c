// What cannot be booked is written down with its reason, and never thrown away: a person has to look at it.
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** @returns whether it is the first time that this is kept */
export type KeepAside = (what: { readonly reason: string; readonly entry: unknown }) => boolean;

/** One such file and the one before it are kept. */
const MAX_FILE_BYTES = 10 * 1024 * 1024;
/** The same thing is seen again in every pass. */
const MAX_REMEMBERED = 10_000;
const MAX_ENTRY_CHARS = 4_096;

/**
 * Appends a line of JSON, once for each thing, and says so.
 * @returns false if this very thing has been kept before
 */
export const asideIn = (path: string, { complain, now }: { complain: (sentence: string) => void; now: () => number }): KeepAside => {
  const remembered = new Set<string>();
  return ({ reason, entry }) => {
    const text = JSON.stringify(entry) ?? 'null';
    const thing = `${reason} ${text.slice(0, MAX_ENTRY_CHARS)}`;
    if (remembered.has(thing)) return false;
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    remembered.add(thing);
    const kept = text.length > MAX_ENTRY_CHARS ? text.slice(0, MAX_ENTRY_CHARS) : entry;
    mkdirSync(dirname(path), { recursive: true });
    if (sizeOf(path) > MAX_FILE_BYTES) renameSync(path, `${path}.1`);
    appendFileSync(path, `${JSON.stringify({ at: new Date(now()).toISOString(), reason, entry: kept })}\n`, { mode: 0o640 });
    complain(`${reason}; it is kept in ${path}`);
    return true;
  };
};

const sizeOf = (path: string): number => {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
};
