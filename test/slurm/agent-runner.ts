// The agent as a process, pass by pass, and what its cluster's accounting says the truth is, read and reckoned without its help.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KEYS, REGION } from '#test/slurm/budget';
import { sumOf } from '#test/slurm/endings';
import { must, type Outcome, run } from '#test/slurm/shell';
import type { Testbed } from '#test/slurm/testbed';

const ROOT = join(import.meta.dirname, '../..');
const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
/** So old must a hold be before it may be an orphan. */
export const ORPHAN_AFTER_MS = 5_000;
const MAX_PASSES = 20;
const SQUEUE_AGE_MS = 300;

/** What `asbb agent --once -o json` printed, as far as the tests look at it. */
export interface Pass {
  readonly jobs: number;
  readonly bound: number;
  readonly forced: number;
  readonly extended: number;
  readonly adjusted: number;
  readonly settled: number;
  readonly released: number;
  readonly closed: number;
  readonly keptAside: number;
  readonly problems: readonly string[];
  readonly unknown_accounts: Readonly<Record<string, number>>;
  /** What it said beside. */
  readonly stderr: string;
}

export interface PassOptions {
  /** How far its clock is off: "+200s". */
  readonly clock?: string;
}

export interface AgentRunner {
  readonly stateFile: string;
  /** A whole pass that begins after this call; whoever asks meanwhile shares it. */
  pass(): Promise<Pass>;
  /** No pass runs while this does; `pass` is the agent's, for this work alone. */
  alone<T>(work: (pass: (options?: PassOptions) => Promise<Pass>) => Promise<T>): Promise<T>;
  /** Passes until sacct has runs of these states, nothing of this account is held, and what they cost is used; or too many passes. */
  untilSettled(account: string, states: readonly string[]): Promise<Settled>;
  /** What squeue says of a job, or undefined. */
  stateOf(jobId: string): Promise<string | undefined>;
  loseState(): void;
}

export interface Settled {
  readonly states: readonly string[];
  readonly runs: readonly Accounted[];
  readonly used: bigint;
  readonly owed: bigint;
  /** In dollars. */
  readonly held: number;
}

/** One line of sacct. */
export interface Accounted {
  readonly jobId: string;
  readonly name: string;
  readonly partition: string;
  /** The first word. */
  readonly state: string;
  /** Seconds from its start to its end; null if it never had a node. */
  readonly seconds: bigint | null;
  readonly nodes: bigint;
  readonly tres: string;
}

export const createAgentRunner = (bed: Testbed): AgentRunner => {
  const { folder } = bed.cluster;
  const stateFile = join(folder, 'state/asbb-agent.json');
  const config = join(folder, 'etc/agent.yaml');
  writeFileSync(
    config,
    `api: { endpoint: "${bed.budget.url}", region: ${REGION} }
slurm: { bin_path: /usr/bin }
agent: { asbb_conf: ${folder}/etc/asbb.conf }
budget: { orphan_after: ${ORPHAN_AFTER_MS}ms }
`,
  );
  const once = async ({ clock }: PassOptions = {}): Promise<Pass> => {
    const args = ['--import', 'tsx', join(ROOT, 'cli/asbb.ts'), '--config', config, '-o', 'json', 'agent', '--once', '--state', stateFile];
    const outcome = await run(process.execPath, args, {
      cwd: ROOT,
      env: {
        SLURM_CONF: join(folder, 'etc/slurm.conf'),
        HOME: folder,
        AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
        AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
        AWS_REGION: REGION,
        ...(clock === undefined ? {} : { LD_PRELOAD: FAKETIME, FAKETIME: clock }),
      },
    });
    return passOf(outcome);
  };

  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<Pass> | undefined;
  const queue = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
  const pass = (): Promise<Pass> => {
    next ??= queue(() => {
      next = undefined;
      return once();
    });
    return next;
  };

  let seen: { at: number; states: Promise<Map<string, string>> } | undefined;
  const states = (): Promise<Map<string, string>> => {
    if (seen === undefined || Date.now() - seen.at > SQUEUE_AGE_MS) seen = { at: Date.now(), states: statesIn(bed) };
    return seen.states;
  };

  return {
    stateFile,
    pass,
    alone: (work) => queue(() => work(once)),
    untilSettled: async (account, states) => {
      for (let passes = 1; ; passes += 1) {
        await pass();
        const runs = await runsOf(bed, account);
        const { budget_held: held, budget_used } = await bed.budget.api.request('showAccount', { path: { account } });
        const settled = { states: runs.map(({ state }) => state).sort(), runs, used: microUsd(budget_used), owed: sumOf(runs), held };
        const isSettled = settled.states.join() === [...states].sort().join() && held === 0 && settled.used === settled.owed;
        if (isSettled || passes === MAX_PASSES) return settled;
      }
    },
    stateOf: async (jobId) => (await states()).get(jobId),
    loseState: () => rmSync(stateFile, { force: true }),
  };
};

const passOf = ({ stdout, stderr, code }: Outcome): Pass => {
  try {
    return { ...JSON.parse(stdout), stderr };
  } catch (error) {
    throw new Error(`the agent ended with status ${code}\n${stdout}${stderr}`, { cause: error });
  }
};

const microUsd = (dollars: number): bigint => BigInt(Math.round(dollars * 1e6));

/** Array tasks by "5_2", and all by their own numbers. */
const statesIn = async (bed: Testbed): Promise<Map<string, string>> => {
  const { stdout } = await bed.cluster.asRoot('squeue', ['-h', '-a', '-t', 'all', '-O', 'JobID:|,JobArrayID:|,State:|']);
  return new Map(
    stdout.split('\n').flatMap((line): [string, string][] => {
      const [id = '', arrayId = '', state = ''] = line.split('|');
      return [
        [id, state],
        [arrayId, state],
      ];
    }),
  );
};

const ENDED_STATES = 'BF,CA,CD,DL,F,NF,OOM,PR,RQ,RS,TO';

/** Every row of an account that has ended, as sacct prints it. */
export const runsOf = async (bed: Testbed, account: string): Promise<Accounted[]> => {
  const fields = 'JobIDRaw,JobID,Partition,State,Submit,Start,End,AllocNodes,AllocTRES,NodeList';
  const args = ['-a', '-X', '-D', '-n', '-P', '-A', account, '-S', '2000-01-01', '-E', 'now', '--state', ENDED_STATES, '-o', fields];
  const env = { SLURM_TIME_FORMAT: '%s', TZ: 'UTC' };
  return (await must('sacct', args, { env: { ...env, SLURM_CONF: join(bed.cluster.folder, 'etc/slurm.conf') } }))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [jobId = '', name = '', partition = '', state = '', submit = '', start = '', end = '', nodes = '', tres = '', nodeList = ''] =
        line.split('|');
      const ran = nodeList !== 'None assigned' && nodeList !== '' && /^\d+$/.test(start) && /^\d+$/.test(end);
      // What follows a change of size has the job's first start, and the time of the change as that of its submission.
      const began = Number(submit) > Number(start) ? submit : start;
      const seconds = ran ? BigInt(end) - BigInt(began) : null;
      return { jobId, name, partition, state: state.split(' ')[0] ?? '', seconds, nodes: BigInt(nodes || '0'), tres };
    });
};
