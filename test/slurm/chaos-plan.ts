// What a run of chaos will do, and when: all of it drawn from a seed before anything begins, so that a seed can be run again.

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export const createRandom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

export const VICTIMS = ['slurmctld', 'slurmdbd', 'agent', 'api', 'dynamodb'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface Kill {
  readonly atMs: number;
  readonly victim: Victim;
  /** How long nobody starts it again. */
  readonly downMs: number;
}

/** What is done to a job later. `{id}` stands for its number. */
export interface Later {
  readonly afterMs: number;
  readonly by: 'user' | 'root';
  readonly command: string;
  readonly args: readonly string[];
}

export interface Submission {
  readonly atMs: number;
  readonly kind: Kind;
  readonly args: readonly string[];
  /** What the job does, in shell. */
  readonly script: string;
  readonly later: readonly Later[];
}

export interface Plan {
  readonly seed: number;
  readonly durationMs: number;
  readonly submissions: readonly Submission[];
  readonly kills: readonly Kill[];
}

/** By weight, in thousandths. */
const KINDS = {
  sleep: 280,
  fail: 60,
  array: 80,
  'cancel pending': 60,
  'cancel running': 60,
  requeue: 60,
  requeuehold: 40,
  'too large': 50,
  'refused by slurm': 40,
  unguarded: 50,
  list: 60,
  'test only': 40,
  het: 40,
  overwritten: 40,
  modified: 30,
  timeout: 4,
  stays: 20,
} as const;
export type Kind = keyof typeof KINDS;

export const GUARDED = ['aws', 'awsopen', 'awsdef'] as const;
export const ACCOUNTS = ['physics', 'chem'] as const;

/** Kills follow each other by so much, more or less; all victims once before any comes again. */
const KILL_EVERY_MS = 7_000;
const LONGEST_DOWN_MS = 4_000;

export const planOf = (seed: number, { jobs, durationMs }: { jobs: number; durationMs: number }): Plan => {
  const dice = createDice(createRandom(seed));
  const submissions = Array.from({ length: jobs }, () => submissionOf(dice, dice.below(durationMs)));
  return { seed, durationMs, submissions: submissions.toSorted((a, b) => a.atMs - b.atMs), kills: killsOf(dice, durationMs) };
};

interface Dice {
  /** A whole number from 0 to below `limit`. */
  below(limit: number): number;
  between(from: number, to: number): number;
  of<T>(items: readonly T[]): T;
}

const createDice = (random: () => number): Dice => {
  const below = (limit: number): number => Math.floor(random() * limit);
  return {
    below,
    between: (from, to) => from + below(to - from + 1),
    of: (items) => items[below(items.length)] as (typeof items)[number],
  };
};

const killsOf = (dice: Dice, durationMs: number): Kill[] => {
  const kills: Kill[] = [];
  let hat: Victim[] = [];
  for (let atMs = dice.below(KILL_EVERY_MS); atMs < durationMs; atMs += dice.between(KILL_EVERY_MS / 4, (KILL_EVERY_MS * 7) / 4)) {
    if (hat.length === 0) hat = [...VICTIMS];
    const [victim] = hat.splice(dice.below(hat.length), 1) as [Victim];
    kills.push({ atMs, victim, downMs: dice.below(LONGEST_DOWN_MS) });
  }
  return kills;
};

const kindOf = (dice: Dice): Kind => {
  const kinds = Object.entries(KINDS) as [Kind, number][];
  let at = dice.below(kinds.reduce((sum, [, weight]) => sum + weight, 0));
  for (const [kind, weight] of kinds) {
    if (at < weight) return kind;
    at -= weight;
  }
  return 'sleep';
};

const submissionOf = (dice: Dice, atMs: number): Submission => {
  const kind = kindOf(dice);
  const common = ['-J', kind, '--mem=5', '-n', '1', '-N', '1'];
  const guarded = ['-p', dice.of([...GUARDED, 'awsopen']), '-A', dice.of(ACCOUNTS), '-t', String(dice.between(2, 9))];
  const sleep = (seconds: number) => `sleep ${seconds}`;
  const short = sleep(dice.between(0, 3));
  const later = (fromMs: number, toMs: number, by: Later['by'], command: string, ...args: string[]): Later => ({
    afterMs: dice.between(fromMs, toMs),
    by,
    command,
    args,
  });
  const job = (args: readonly string[], script: string, ...laters: Later[]): Submission => ({
    atMs,
    kind,
    args: [...common, ...args],
    script,
    later: laters,
  });
  switch (kind) {
    case 'sleep':
      return job(guarded, short);
    case 'fail':
      return job(guarded, `${short}; exit 3`);
    case 'array': {
      const last = dice.between(2, 5);
      const cancel = later(0, 3000, 'user', 'scancel', `{id}_${dice.between(0, last)}`);
      return job([...guarded, `--array=0-${last}`], short, ...(dice.below(2) === 0 ? [cancel] : []));
    }
    case 'cancel pending':
      return job([...guarded, '--hold'], short, later(0, 4000, 'user', 'scancel', '{id}'));
    case 'cancel running':
      return job(guarded, sleep(60), later(1000, 6000, 'user', 'scancel', '{id}'));
    case 'requeue':
      return job(guarded, sleep(6), later(2000, 5000, 'root', 'scontrol', 'requeue', '{id}'));
    case 'requeuehold':
      return job(
        guarded,
        sleep(6),
        later(2000, 5000, 'root', 'scontrol', 'requeuehold', '{id}'),
        later(1000, 4000, 'root', 'scontrol', 'release', '{id}'),
      );
    case 'too large':
      // Where it would be let in without an answer, it would wait for nodes that are down, and all others behind it.
      return job([...guarded, '-p', 'aws', '-N', '40', '-t', '10-0'], short);
    case 'refused by slurm':
      return job([...guarded, '--mem=900G'], short);
    case 'unguarded':
      return job(['-p', 'local', '-A', dice.of(ACCOUNTS)], short);
    case 'list':
      return job([...guarded, '-p', dice.of(['aws,local', 'local,awsopen', 'awsdef,aws'])], short);
    case 'test only':
      return job([...guarded, '--test-only'], short);
    case 'het':
      // On the one node that there is, its components would wait for each other, and all others for them: so it never begins.
      return job(
        [...guarded, '--hold', ':', ...common, '-p', dice.of(GUARDED), '-A', dice.of(ACCOUNTS), '-t', '3'],
        short,
        later(0, 4000, 'user', 'scancel', '{id}'),
      );
    case 'overwritten':
      return job(guarded, sleep(5), later(500, 2500, 'root', 'scontrol', 'update', 'job={id}', 'admincomment=somebody was here'));
    case 'modified':
      return job(
        [...guarded, '--hold'],
        short,
        later(0, 2000, 'user', 'scontrol', 'update', 'job={id}', `timelimit=${dice.between(1, 30)}`),
        later(0, 2000, 'user', 'scontrol', 'release', '{id}'),
      );
    case 'timeout':
      return job([...guarded, '-t', '1'], sleep(600));
    case 'stays':
      return dice.below(2) === 0 ? job([...guarded, '-t', '30'], sleep(1200)) : job([...guarded, '--hold'], short);
  }
};
