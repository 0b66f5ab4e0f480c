// A service, a simulated cluster with its plugin, and an agent that may die at any moment: what the tests of the agent work with.
import { createHash } from 'node:crypto';
import { type Agent, createAgent, type PassReport } from '#cli/agent/agent';
import type { AgentState, StateFile } from '#cli/agent/state';
import { createService, type TestService } from '#test/agent/service';
import { CLUSTER, createSimulatedSlurm, type JobSpec, type SimulatedSlurm } from '#test/agent/simulated-slurm';
import { TEN_DOLLARS } from '#test/http/api';

export const ORPHAN_AFTER_MS = 120_000;
const START_MS = Date.UTC(2026, 10, 25, 8);
const GUARDED = 'aws';
const USD_PER_NODE_HOUR_MICRO = 10_000_000n;

export interface AgentWorld {
  readonly service: TestService;
  readonly sim: SimulatedSlurm;
  readonly complaints: string[];
  readonly aside: { readonly reason: string; readonly entry: unknown }[];
  nowMs(): number;
  advance(seconds: number): void;
  /** One pass of the agent that is alive. */
  pass(): Promise<PassReport>;
  /** The agent dies; the next pass is another's, with the state that was written last. */
  killAgent(): void;
  loseState(): void;
  /** sbatch: the plugin asks, and Slurm takes the job if it may. Undefined: refused. */
  submit(spec: JobSpec): Promise<string | undefined>;
  /** sbatch --test-only, or a job that Slurm refuses after the plugin. */
  submitInVain(spec: JobSpec): Promise<void>;
  account(name?: string): Promise<{ available: bigint; held: bigint; used: bigint; limit: bigint }>;
  auditDifferences(): Promise<readonly unknown[]>;
  /** What the runs of an account that really were cost, in micro-dollars: whole nodes of aws at $10 an hour, and a minute at least. */
  trueCost(account?: string): bigint;
}

export const createAgentWorld = async (options: { readonly hasAccounting: boolean } = { hasAccounting: true }): Promise<AgentWorld> => {
  let nowMs = START_MS;
  let holdCount = 0;
  let written: AgentState | undefined;
  const service = createService(() => nowMs);
  const sim = createSimulatedSlurm(() => Math.floor(nowMs / 1000), options);
  const complaints: string[] = [];
  const aside: { reason: string; entry: unknown }[] = [];
  await service.api.request('putPartition', { path: { partition: GUARDED }, body: TEN_DOLLARS });
  for (const account of ['physics', 'chem']) await service.api.request('createAccount', { body: { account, budget_limit: 1_000_000 } });

  const state: StateFile = {
    read: () => written,
    write: (next) => {
      written = structuredClone(next);
    },
  };
  const newAgent = (): Agent =>
    createAgent({
      slurm: sim.slurm,
      api: service.api,
      guard: { guards: (partition) => partition.split(',').includes(GUARDED) },
      settings: { clusterUid: 'uid-1', orphanAfterMs: ORPHAN_AFTER_MS, agentVersion: 'test' },
      state,
      drains: {},
      now: () => nowMs,
      sha256: (text) => createHash('sha256').update(text).digest('hex'),
      complain: (sentence) => complaints.push(sentence),
      keepAside: (what) => aside.push(what) > 0,
    });
  let agent = newAgent();

  const check = async ({ account, partition, nodes, limitSeconds, tasks }: JobSpec): Promise<string | undefined> => {
    holdCount += 1;
    const holdId = `00000000-0000-4000-8000-${String(holdCount).padStart(12, '0')}`;
    const wallTime = limitSeconds === null ? {} : { wall_time: `${Math.ceil(limitSeconds / 60)}` };
    const body = {
      account,
      partition,
      nodes,
      cluster: CLUSTER,
      hold_id: holdId,
      ...wallTime,
      ...(tasks === undefined ? {} : { array: `1-${tasks}` }),
    };
    const verdict = await service.api.request('checkBudget', { body });
    return verdict.available ? holdId : undefined;
  };

  return {
    service,
    sim,
    complaints,
    aside,
    nowMs: () => nowMs,
    advance: (seconds) => {
      nowMs += seconds * 1000;
    },
    pass: () => agent.pass(),
    killAgent: () => {
      agent = newAgent();
    },
    loseState: () => {
      written = undefined;
      agent = newAgent();
    },
    submit: async (spec) => {
      if (!spec.partition.split(',').includes(GUARDED)) return sim.submit(spec);
      const holdId = await check(spec);
      return holdId === undefined ? undefined : sim.submit({ ...spec, holdId });
    },
    submitInVain: async (spec) => {
      await check(spec);
    },
    account: async (name = 'physics') => {
      const found = await service.store.readAccount(name);
      if (found === undefined) throw new Error(`there is no account ${name}`);
      const { available, held, used, limit } = found;
      return { available, held, used, limit };
    },
    auditDifferences: async () => (await service.api.request('audit', { body: {} })).differences,
    trueCost: (account = 'physics') =>
      sim.trueRuns.filter((run) => run.account === account && run.partition === GUARDED).reduce((sum, run) => sum + costOf(run), 0n),
  };
};

const costOf = ({ nodes, startedAt, endedAt }: { nodes: number; startedAt: number; endedAt: number }): bigint => {
  const exact = BigInt(nodes) * BigInt(Math.max(60, endedAt - startedAt)) * USD_PER_NODE_HOUR_MICRO;
  return (exact + 3599n) / 3600n;
};

/** A node of aws for half an hour: $6 to hold. */
export const aJobSpec = (given: Partial<JobSpec> = {}): JobSpec => ({
  account: 'physics',
  partition: GUARDED,
  nodes: 1,
  limitSeconds: 1800,
  ...given,
});
