// Which of the agent's holds are the jobs of which lines. The plugin's line has no job id, as Slurm gives one only afterwards; both know
// account, user, partition and the time, so a match is sure only where nothing else can be meant.
import type { ShadowLine } from '#cli/shadow-report/shadow-line';

export type TimedLine = ShadowLine & { readonly atMs: number };

export interface SeenHold {
  readonly user: string | null;
  readonly partition: string;
  readonly submittedAtMs: number;
}

export interface Matched<H> {
  /** Jobs of lines that would have been refused. */
  readonly holds: readonly H[];
  /** Refused lines of which the agent saw no job. */
  readonly unseen: number;
  /** Refused lines beside others of the same user, account and moment, so that it cannot be told whose job is whose. */
  readonly unsure: number;
}

/** Slurm's submit time is in whole seconds, and is taken after the plugin has answered. */
const BEFORE_MS = 1_000;
const AFTER_MS = 5_000;
/** Of one user in one burst; more are called unsure. */
const MAX_BURST = 2_000;

/** Of one account. `lines` are all that the plugin asked about, admitted or not: any of them may be whose job a hold is. */
export const matchLines = <H extends SeenHold>(lines: readonly TimedLine[], holds: readonly H[]): Matched<H> => {
  const total = { holds: [] as H[], unseen: 0, unsure: 0 };
  for (const user of new Set(lines.map((line) => line.user))) {
    const ofUser = lines.filter((line) => line.user === user).sort((a, b) => a.atMs - b.atMs);
    const candidates = holds.filter((hold) => hold.user === user).sort((a, b) => a.submittedAtMs - b.submittedAtMs);
    for (const burst of bursts(ofUser)) {
      const refused = burst.filter(isRefused).length;
      if (refused === 0) continue;
      const found = burst.length > MAX_BURST ? undefined : candidates.filter((hold) => burst.some((line) => mayBe(line, hold)));
      // Whichever is whose: all of them would have been refused.
      if (found !== undefined && refused === burst.length && found.length <= refused) {
        total.holds.push(...found);
        total.unseen += refused - found.length;
      } else if (found?.length === 0) total.unseen += refused;
      else total.unsure += refused;
    }
  }
  return total;
};

const isRefused = ({ would }: ShadowLine): boolean => would === 'refuse';

const mayBe = (line: TimedLine, { partition, submittedAtMs }: SeenHold): boolean =>
  submittedAtMs > line.atMs - BEFORE_MS &&
  submittedAtMs <= line.atMs + AFTER_MS &&
  partition.split(',').some((name) => line.partition.split(',').includes(name));

/** Lines so close to each other that one hold may be of either. */
const bursts = (sorted: readonly TimedLine[]): TimedLine[][] => {
  const all: TimedLine[][] = [];
  for (const line of sorted) {
    const last = all.at(-1);
    const before = last?.at(-1);
    if (last !== undefined && before !== undefined && line.atMs - before.atMs <= BEFORE_MS + AFTER_MS) last.push(line);
    else all.push([line]);
  }
  return all;
};
