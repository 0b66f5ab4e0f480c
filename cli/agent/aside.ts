// What cannot be booked is written down with its reason, and never thrown away: a person has to look at it.
import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Desk } from '#cli/agent/desk';

/** One such file and the one before it are kept. */
const MAX_FILE_BYTES = 10 * 1024 * 1024;
/** The same thing is seen again in every pass. */
const MAX_REMEMBERED = 10_000;
const MAX_ENTRY_CHARS = 4_096;

/** Appends a line of JSON, once for each thing, and says so. */
export const asideIn = (
  path: string,
  { complain, now }: { complain: (sentence: string) => void; now: () => number },
): Desk['keepAside'] => {
  const remembered = new Set<string>();
  return ({ reason, entry }) => {
    const written = JSON.stringify({ reason, entry }).slice(0, MAX_ENTRY_CHARS);
    if (remembered.has(written)) return;
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    remembered.add(written);
    mkdirSync(dirname(path), { recursive: true });
    if (sizeOf(path) > MAX_FILE_BYTES) renameSync(path, `${path}.1`);
    appendFileSync(path, `${JSON.stringify({ at: new Date(now()).toISOString(), what: written })}\n`, { mode: 0o640 });
    complain(`${reason}; it is kept in ${path}`);
  };
};

const sizeOf = (path: string): number => {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
};
