// Drains the plugin's spool: jobs that it let in without an answer, each of which still needs its hold. The plugin writes it
// (slurm-plugin/spool.c), and slurm-plugin/README.md has its protocol. Nothing is lost wherever the agent dies, since a line is
// done only once it is booked or set aside, and booking twice is harmless: the line brings its hold's id.
import { isUtf8 } from 'node:buffer';
import { execFile } from 'node:child_process';
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { isFileError, namesIn, statOrNot } from '#cli/agent/files';
import { isFinalRefusal, isSilence, sentenceOf } from '#cli/agent/refusals';
import { type ApiClient, ApiError } from '#cli/api-client';
import { failure, oneLine } from '#cli/exit';
import { MAX_BODY_BYTES } from '#contract/limits';

/** The plugin's longest line: a request, and what it writes around it (slurm-plugin/guard.c, LINE_MAX_BYTES). */
const MAX_LINE_BYTES = MAX_BODY_BYTES + 512;
const CHUNK_BYTES = 64 * 1024;
/** So that a long spool does not keep the agent from its heartbeat: the rest is for the next pass. */
const MAX_LINES_PER_PASS = 1_000;
/** A writer holds the lock for one write and one fsync. */
const LOCK_TIMEOUT_S = 5;
/** Then somebody has to look at what is there before more is set aside. */
const MAX_ASIDE_BYTES = 64 * 1024 * 1024;
const MAX_REASON_CHARS = 200;
const SHOWN_CHARS = 80;
const FILE_MODE = 0o600;
const NEWLINE = 0x0a;
/** First byte of a line that is done. One byte is written whole or not at all; and ACK is in no JSON, and in no torn block. */
const DONE = 0x06;

/** An admission without an answer, as the plugin wrote it down. */
export interface SpooledHold {
  /** When the job was let in, ISO 8601. */
  readonly time: string;
  readonly holdId: string;
  /** Why there was no answer: a word of the plugin's, like `timeout`. */
  readonly reason: string;
  /** What would have been sent to /budget/check. */
  readonly job: SpooledJob;
}

export interface SpooledJob {
  readonly account: string;
  readonly partition: string;
  readonly cluster: string;
  readonly [field: string]: unknown;
}

export interface DrainSpoolOptions {
  readonly spoolFile: string;
  /** Rejects with a CommandError: a refusal that is final sets the line aside, anything else is for later. */
  readonly book: (entry: SpooledHold) => Promise<void>;
  /** Takes one sentence for people. */
  readonly complain: (sentence: string) => void;
}

export interface DrainedSpool {
  readonly booked: number;
  /** Lines that went to `<spoolFile>.aside` with their reasons. */
  readonly keptAside: number;
  /** Lines that are left for the next pass. */
  readonly waiting: number;
}

/** Book what the plugin spooled, in its order, until the end or until nobody answers. */
export const drainSpool = async (options: DrainSpoolOptions, steps: SpoolSteps = spoolSteps): Promise<DrainedSpool> => {
  const done = { booked: 0, keptAside: 0 };
  try {
    for (const taken of filesOf(options.spoolFile, steps)) {
      await steps.awaitWriters(taken);
      if ((await drainFile(taken, { options, steps, done })) === 'later') break;
    }
  } catch (error) {
    const sentence = sentenceOf(error);
    if (!isSilence(error)) options.complain(`the spool ${options.spoolFile} waits: ${sentence}`);
  }
  return { ...done, waiting: countWaiting(options.spoolFile, steps) };
};

/** Books one entry as a forced hold. A hold that is closed already had its life: its run was settled, or it expired. */
export const bookSpooled =
  (api: ApiClient) =>
  async ({ job, holdId, reason }: SpooledHold): Promise<void> => {
    const { cluster } = job;
    try {
      await api.request('forceHold', { body: { ...job, hold_id: holdId, cluster, reason: `let in without an answer: ${reason}` } });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'hold_closed')) throw error;
    }
  };

/**
 * What agents that died left behind, then the spool itself. It is renamed only when the others are done, so the order is kept
 * and no two files can meet in one name; and once a pass, since the plugin gives up on a file that is renamed all the time.
 */
function* filesOf(spoolFile: string, steps: SpoolSteps): Generator<string> {
  yield* steps.findTaken(spoolFile);
  const taken = steps.take(spoolFile);
  if (taken !== undefined) yield taken;
}

interface Drain {
  readonly options: DrainSpoolOptions;
  readonly steps: SpoolSteps;
  readonly done: { booked: number; keptAside: number };
}

const drainFile = async (path: string, drain: Drain): Promise<'empty' | 'later'> => {
  const { steps, done } = drain;
  const file = steps.open(path);
  try {
    for (const line of steps.lines(file)) {
      if (done.booked + done.keptAside >= MAX_LINES_PER_PASS) return 'later';
      await drainLine(file, line, drain);
    }
  } finally {
    steps.close(file);
  }
  steps.remove(path);
  return 'empty';
};

const drainLine = async (file: number, line: SpoolLine, { options, steps, done }: Drain): Promise<void> => {
  const problem = await problemOf(line, options.book);
  if (problem === undefined) {
    // Not synced: after a power cut it is booked again, and its hold is there.
    steps.markDone(file, line.at);
    done.booked += 1;
    return;
  }
  const aside = `${options.spoolFile}.aside`;
  steps.setAside(aside, asideRecord(line, problem));
  steps.markDone(file, line.at);
  steps.sync(file);
  done.keptAside += 1;
  const shown = oneLine(line.bytes.toString('utf8')).slice(0, SHOWN_CHARS);
  options.complain(
    `${options.spoolFile}: a line was set aside in ${aside}, because ${problem}; mend it and append it to the spool: ${shown}`,
  );
};

/**
 * Book a line.
 * @returns why it never will be, or undefined once it is
 * @throws what `book` threw if it may go well later
 */
const problemOf = async (line: SpoolLine, book: DrainSpoolOptions['book']): Promise<string | undefined> => {
  const entry = line.isWhole === 'whole' ? entryOf(line.bytes) : `it is longer than ${MAX_LINE_BYTES} bytes`;
  if (typeof entry === 'string') return entry;
  try {
    await book(entry);
    return undefined;
  } catch (error) {
    if (!isFinalRefusal(error)) throw error;
    return `the API refused it for good (${error.code}: ${error.message})`;
  }
};

const HOLD_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The entry of a line, or what is wrong with it. What the job's fields may be is the API's to say. */
const entryOf = (bytes: Buffer): SpooledHold | string => {
  const record = isUtf8(bytes) ? parsedObject(bytes.toString('utf8')) : undefined;
  if (record === undefined) return 'it is no JSON object, as if it were cut off';
  const { time, hold_id: holdId, reason, job } = record;
  if (typeof time !== 'string' || Number.isNaN(Date.parse(time))) return 'its time is none';
  if (typeof holdId !== 'string' || !HOLD_ID.test(holdId)) return 'its hold_id is no UUID';
  if (typeof reason !== 'string' || reason.length > MAX_REASON_CHARS) return 'its reason is no short text';
  if (!isJob(job)) return 'its job does not name account, partition and cluster';
  return { time, holdId: holdId.toLowerCase(), reason, job };
};

const parsedObject = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // Whatever it is, it is no entry.
  }
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

const isJob = (job: unknown): job is SpooledJob =>
  isObject(job) && [job.account, job.partition, job.cluster].every((name) => typeof name === 'string' && name !== '');

/** One line of the aside file. What is not text is kept whatever it is. */
const asideRecord = ({ bytes }: SpoolLine, problem: string): string => {
  const line = isUtf8(bytes) ? { line: bytes.toString('utf8') } : { line_base64: bytes.toString('base64') };
  return `${JSON.stringify({ reason: problem, ...line })}\n`;
};

const countWaiting = (spoolFile: string, steps: SpoolSteps): number => {
  let lines = 0;
  for (const path of [...steps.findTaken(spoolFile), spoolFile]) lines += countLines(path, steps);
  return lines;
};

/** A file that is not there, or cannot be read, counts for none: why it waits was complained about. */
const countLines = (path: string, steps: SpoolSteps): number => {
  try {
    const file = steps.open(path);
    try {
      let lines = 0;
      for (const _ of steps.lines(file)) lines += 1;
      return lines;
    } finally {
      steps.close(file);
    }
  } catch (error) {
    sentenceOf(error); // A bug goes on its way.
    return 0;
  }
};

// --- steps: what is done to files, each of which the agent may not outlive ----------------------------------------------

/** A line that is not done yet. */
export interface SpoolLine {
  /** Offset of its first byte. */
  readonly at: number;
  /** Without its line feed. */
  readonly bytes: Buffer;
  /** `piece`: of a line that is longer than any of the plugin's. */
  readonly isWhole: 'whole' | 'piece';
}

/** Tests let the agent die after each of them. */
export interface SpoolSteps {
  /** Spools that were renamed and not finished. */
  findTaken(spoolFile: string): readonly string[];
  /** Renames the spool, if there is something in it. */
  take(spoolFile: string): string | undefined;
  /** Resolves when nobody can write to a renamed spool any more. */
  awaitWriters(taken: string): Promise<void>;
  open(taken: string): number;
  lines(file: number): Iterable<SpoolLine>;
  markDone(file: number, at: number): void;
  sync(file: number): void;
  /** Appends a record and has it on disk; the same record again is not repeated. */
  setAside(aside: string, record: string): void;
  close(file: number): void;
  remove(taken: string): void;
}

export const spoolSteps: SpoolSteps = {
  findTaken: (spoolFile) => {
    const prefix = `${basename(spoolFile)}.taken.`;
    const isTaken = (name: string) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length));
    const folder = dirname(spoolFile);
    return namesIn(folder)
      .filter(isTaken)
      .sort()
      .map((name) => join(folder, name));
  },

  take: (spoolFile) => {
    const found = statOrNot(spoolFile);
    // The plugin makes an empty one at its start.
    if (found === undefined || (found.isFile() && found.size === 0)) return undefined;
    if (!found.isFile()) throw failure('it is no plain file: remove it, and the plugin makes a new one');
    // With the pid, so that an `agent --once` by hand, beside the service, cannot rename onto the other's file.
    const taken = `${spoolFile}.taken.${process.pid}`;
    renameSync(spoolFile, taken);
    return taken;
  },

  /**
   * A writer that opened the file by its old name may be in the middle of a line: it holds the lock. One that comes later sees
   * under the lock that the name has gone, and turns to the new file. So it is enough to have had the lock once. Node has no
   * flock(), hence util-linux's command; it also opens for writing where NFS wants that.
   */
  awaitWriters: async (taken) => {
    try {
      await promisify(execFile)('flock', ['-x', '-w', String(LOCK_TIMEOUT_S), taken, 'true'], { timeout: (LOCK_TIMEOUT_S + 1) * 1_000 });
    } catch (error) {
      if (isFileError(error)) throw failure('the command flock cannot be run: install util-linux', { cause: error });
      throw failure(`${taken} is locked by another process for more than ${LOCK_TIMEOUT_S} s`, { cause: error });
    }
  },

  open: (taken) => {
    const file = openSync(taken, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (fstatSync(file).isFile()) return file;
    closeSync(file);
    throw failure(`${taken} is no plain file: remove it`);
  },

  lines: (file) => unfinishedLines(file),

  markDone: (file, at) => {
    writeSync(file, Buffer.of(DONE), 0, 1, at);
  },

  sync: fdatasyncSync,

  setAside: (aside, record) => {
    const file = openSync(aside, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW, FILE_MODE);
    try {
      appendOnce(file, aside, record);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    syncFolder(dirname(aside));
  },

  close: closeSync,

  remove: (taken) => rmSync(taken, { force: true }),
};

/** Lines of a file that nobody writes to, without blank ones and those that are done; what is overlong comes in pieces. */
function* unfinishedLines(file: number): Generator<SpoolLine> {
  const { size } = fstatSync(file);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let rest = Buffer.alloc(0);
  let start = 0;
  for (let read = 0; read < size; ) {
    const n = readSync(file, chunk, 0, CHUNK_BYTES, read);
    if (n === 0) break;
    read += n;
    rest = Buffer.concat([rest, chunk.subarray(0, n)]);
    for (let piece = nextPiece(rest, read >= size); piece !== undefined; piece = nextPiece(rest, read >= size)) {
      const bytes = rest.subarray(0, piece.bytes);
      if (!isDoneOrBlank(bytes)) yield { at: start, bytes: Buffer.from(bytes), isWhole: piece.isWhole };
      start += piece.bytes + piece.feed;
      rest = rest.subarray(piece.bytes + piece.feed);
    }
  }
}

/** How far the next line reaches, or a piece of one; undefined if more must be read to know. */
const nextPiece = (rest: Buffer, isEnd: boolean): (Pick<SpoolLine, 'isWhole'> & { bytes: number; feed: number }) | undefined => {
  const end = rest.indexOf(NEWLINE);
  if (end !== -1 && end <= MAX_LINE_BYTES) return { bytes: end, feed: 1, isWhole: 'whole' };
  if (rest.length > MAX_LINE_BYTES) return { bytes: MAX_LINE_BYTES, feed: 0, isWhole: 'piece' };
  return isEnd && rest.length > 0 ? { bytes: rest.length, feed: 0, isWhole: 'whole' } : undefined;
};

const isDoneOrBlank = (bytes: Buffer): boolean =>
  bytes[0] === DONE || bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);

/** Whoever died between setting aside and marking comes by again with the same record. */
const appendOnce = (file: number, aside: string, record: string): void => {
  const bytes = Buffer.from(record);
  const { size } = fstatSync(file);
  const tail = Buffer.alloc(Math.min(size, bytes.length));
  readSync(file, tail, 0, tail.length, size - tail.length);
  if (tail.equals(bytes)) return;
  if (size + bytes.length > MAX_ASIDE_BYTES) throw failure(`${aside} is full: look at what is in it, and move it away`);
  // Whoever died in the middle of a record must not take ours along.
  const isTorn = tail.length > 0 && tail[tail.length - 1] !== NEWLINE;
  writeFileSync(file, isTorn ? Buffer.concat([Buffer.of(NEWLINE), bytes]) : bytes);
};

/** A new file's name is not on disk before its folder is. */
const syncFolder = (folder: string): void => {
  const file = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
};
