// What the agent remembers from one start to the next. Losing it costs a longer look back, and nothing else.
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import * as z from 'zod';
import type { Holds, Sighting, TrackedHold } from '#cli/agent/holds';

const VERSION = 1;
const MAX_STATE_BYTES = 256 * 1024 * 1024;

const sighting = z.tuple([z.string(), z.number(), z.number(), z.string(), z.string(), z.number()]);
const State = z.strictObject({
  v: z.literal(VERSION),
  cluster: z.string(),
  /** Seconds since 1970: runs of jobs that nobody asked about are booked if they ended after this. */
  adoptedAt: z.number(),
  /** Seconds since 1970: every run that ended before this has been seen. */
  watermark: z.number(),
  /** Milliseconds since 1970: without accounting, since when no look was missed. */
  watchedSinceMs: z.number(),
  lastLookMs: z.number(),
  orphans: z.array(z.tuple([z.string(), z.number()])),
  /** Of holds whose jobs were seen: since when they are missed, if they are, and their runs. */
  seen: z.array(z.tuple([z.string(), z.number().nullable(), z.array(sighting)])),
  /** Runs whose rows name no hold: run, the hold that it was booked against, and its end in seconds since 1970. */
  unmarked: z.array(z.tuple([z.string(), z.string(), z.number()])).optional(),
});
export type AgentState = z.output<typeof State>;

export interface StateFile {
  /** Undefined: there is none. One that cannot be used, or is another cluster's, is complained about, and kept when one is written. */
  read(cluster: string): AgentState | undefined;
  /** Written whole or not at all, and only if it says something new. */
  write(state: AgentState): void;
}

export const createStateFile = (path: string, complain: (sentence: string) => void): StateFile => {
  const refusedPath = `${path}.refused`;
  let isRefused = false;
  let written = '';
  return {
    read: (cluster) => {
      const content = contentOf(path);
      if (content === undefined) return undefined;
      const state = parse(content, cluster);
      if (typeof state !== 'string') return state;
      isRefused = true;
      complain(`the state file ${path} ${state}: it is kept as ${refusedPath}, and this agent looks back further instead`);
      return undefined;
    },
    write: (state) => {
      const content = `${JSON.stringify(state)}\n`;
      if (content === written) return;
      // Not when it is read: a dry run leaves everything where it is.
      if (isRefused) renameSync(path, refusedPath);
      isRefused = false;
      writeAtomically(path, content);
      written = content;
    },
  };
};

/** For a dry run: reads, and never writes. */
export const readOnly = ({ read }: StateFile): StateFile => ({ read, write: () => undefined });

/** The state, or what is wrong with it. */
const parse = (content: string, cluster: string): AgentState | string => {
  try {
    const value = JSON.parse(content) as { v?: unknown };
    if (typeof value?.v === 'number' && value.v > VERSION) return `is of a later version of asbb (${value.v})`;
    const state = State.safeParse(value);
    if (!state.success) return 'does not look like one';
    return state.data.cluster === cluster ? state.data : `is of cluster ${state.data.cluster}, and this agent serves ${cluster}`;
  } catch {
    return 'is cut off or no JSON';
  }
};

const contentOf = (path: string): string | undefined => {
  try {
    const bytes = readFileSync(path);
    return bytes.length > MAX_STATE_BYTES ? '' : bytes.toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

/** A reader sees the old content or the new one, also after a crash. */
export const writeAtomically = (path: string, content: string): void => {
  const draft = `${path}.${process.pid}.new`;
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(draft, 'w', 0o640);
  try {
    writeSync(file, content);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
};

/** What the state file keeps of the holds. */
export const seenOf = (holds: Holds): AgentState['seen'] =>
  [...holds.all()]
    .filter(({ wasSeen }) => wasSeen)
    .map(({ holdId, absentSinceMs, sightings }) => [
      holdId,
      absentSinceMs ?? null,
      [...sightings.values()].map(({ jobId, startedAt, nodes, partition, tres, restarts }) => [
        jobId,
        startedAt,
        nodes,
        partition,
        tres,
        restarts,
      ]),
    ]);

/** And back. */
export const remember = (tracked: TrackedHold, [, absentSinceMs, sightings]: AgentState['seen'][number]): void => {
  tracked.wasSeen = true;
  if (absentSinceMs !== null) tracked.absentSinceMs = absentSinceMs;
  for (const [jobId, startedAt, nodes, partition, tres, restarts] of sightings) {
    const seen: Sighting = { jobId, startedAt, nodes, partition, tres, restarts };
    tracked.sightings.set(jobId, seen);
  }
};
