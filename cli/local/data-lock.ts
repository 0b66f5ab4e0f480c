// One server per data folder. Node has no flock(), so the lock is a file that is made and replaced atomically.
import { createHash, randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

const LOCK_NAME = 'asbb.lock';
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;
const RETRY_MS = 10;
const MAX_RETRIES = 200;
const MAX_DEPTH = 4;

/** Tells one process from every other, also from a later one that was given the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start in the kernel's ticks since boot; null where there is no /proc. */
  readonly started: string | null;
  /** Of the kernel; null where there is no /proc. */
  readonly boot: string | null;
  readonly host: string;
}

/**
 * Make `directory` (mode 700) and take its lock. A lock whose owner is dead is taken over; of two that try at once, one wins.
 *
 * @throws Error that names the pid of the server which has the folder
 */
export const lockDataDirectory = (directory: string): { release(): void } => {
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  const path = join(directory, LOCK_NAME);
  const content = JSON.stringify({ ...identify(process.pid), nonce: randomUUID() });
  acquire(path, content, 0);
  return { release: () => release(path, content) };
};

/** Identity of a process that runs now. */
export const identify = (pid: number): ProcessIdentity => ({ pid, started: startOf(pid), boot: bootId(), host: hostname() });

/** Whether this very process still runs. One of another host is taken for alive, as nobody here can know. */
export const isAlive = ({ pid, started, boot, host }: ProcessIdentity): boolean => {
  if (host !== hostname()) return true;
  if (boot !== bootId() || !answersSignals(pid)) return false;
  return started === null || started === startOf(pid);
};

/**
 * A lock is a file with its content from the first moment (link, not create and write), and is replaced only by whoever
 * holds the right to replace this one content: a lock of its own, named by the content's hash and taken in the same way.
 * Without that right, a slow process could remove the lock of a fast one that had just replaced the dead owner's.
 */
const acquire = (path: string, content: string, depth: number): void => {
  if (depth > MAX_DEPTH) throw new Error(`${path} was left behind too often: remove it by hand`);
  for (let attempt = 0; attempt < MAX_RETRIES; attempt += 1) {
    if (create(path, content)) return;
    const other = read(path);
    if (other === undefined) continue; // Released between the two looks.
    refuseIfAlive(path, other, depth);
    if (isDead(other) && replace(path, other, content, depth)) return;
    sleep(RETRY_MS); // Somebody else is taking over at this moment: see who it was.
  }
  throw new Error(`${path} does not come to rest: another process keeps taking it`);
};

const create = (path: string, content: string): boolean => {
  const draft = write(path, content);
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw new Error(`cannot lock ${path}: ${messageOf(error)}`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
};

const replace = (path: string, dead: string, content: string, depth: number): boolean => {
  const right = `${path}.${createHash('sha256').update(dead).digest('hex').slice(0, 16)}`;
  acquire(right, content, depth + 1);
  try {
    // From here on nobody else replaces this content, but somebody may have done so before we had the right.
    if (read(path) !== dead) return false;
    renameSync(write(path, content), path);
    return true;
  } finally {
    release(right, content);
  }
};

/** At depth 0 a live owner is final; deeper down it is a competitor who will be done in a moment. */
const refuseIfAlive = (path: string, content: string, depth: number): void => {
  if (depth > 0 || isDead(content)) return;
  const { pid, host } = parse(content) as ProcessIdentity;
  if (host === hostname())
    throw new Error(`the data folder is in use by another asbb local, pid ${pid}: stop it, or choose another --data`);
  throw new Error(`the data folder is in use by an asbb local on host ${host}, pid ${pid}: stop it there, or remove ${path} if it is gone`);
};

/** Content that cannot be read is what a power failure leaves, since a lock is never half written while we run. */
const isDead = (content: string): boolean => {
  const owner = parse(content);
  return owner === undefined || !isAlive(owner);
};

const parse = (content: string): ProcessIdentity | undefined => {
  try {
    const { pid, started, boot, host } = JSON.parse(content) as ProcessIdentity;
    return Number.isSafeInteger(pid) && pid > 0 && typeof host === 'string' ? { pid, started, boot, host } : undefined;
  } catch {
    return undefined; // Not ours to understand: see isDead.
  }
};

const release = (path: string, content: string): void => {
  if (read(path) === content) unlinkSync(path);
};

const write = (path: string, content: string): string => {
  const draft = `${path}.${randomUUID()}.tmp`;
  writeFileSync(draft, content, { mode: FILE_MODE, flag: 'wx' });
  return draft;
};

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new Error(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
};

const answersSignals = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return statOf(pid)?.state !== 'Z'; // A zombie still has a pid, but will never serve again.
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
};

const startOf = (pid: number): string | null => statOf(pid)?.started ?? null;

/** proc(5): the second field is the name in parentheses and may itself hold any character, so count from the last one. */
const statOf = (pid: number): { state: string | undefined; started: string | undefined } | undefined => {
  const STATE = 0;
  const START_TIME = 19;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[STATE], started: fields[START_TIME] };
  } catch {
    return undefined; // No such process, or no /proc on this system.
  }
};

const bootId = (): string | null => {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return null; // No /proc on this system.
  }
};

const sleep = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code;
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
