// The `asbb agent` command: how its parts are put together, how often it looks, and what it says meanwhile.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type Agent, createAgent, type Drains, type PassReport, sendTo } from '#cli/agent/agent';
import { asideIn, type KeepAside } from '#cli/agent/aside';
import { onlyPrinting, type WouldDo } from '#cli/agent/dry-run';
import { findGuardConf, type GuardConf, readGuardConf } from '#cli/agent/guard-conf';
import { createHealthFile, wireReportOf } from '#cli/agent/health';
import { SlurmSilent } from '#cli/agent/ports';
import type { SendRuns } from '#cli/agent/settle';
import { createSlurmCommands } from '#cli/agent/slurm-commands';
import { createStateFile, readOnly } from '#cli/agent/state';
import type { ApiClient } from '#cli/api-client';
import { type Config, parseDuration } from '#cli/config';
import type { Context } from '#cli/context';
import { CommandError, EXIT, type ExitCode, failure, usageError } from '#cli/exit';
import { printJson, printPairs } from '#cli/render';
import { jobEnded } from '#contract/events';
import { VERSION } from '#contract/version';

const SHORTEST_INTERVAL_MS = 1_000;
/** While nobody answers, it asks less and less often, but at least so often. */
const LONGEST_WAIT_MS = 5 * 60_000;
/** The same complaint is made again after so long. */
const REPEAT_AFTER_MS = 60 * 60_000;
const MAX_COMPLAINTS = 1_000;
/** A pass that was begun is given so long; whatever it leaves, the next start does. */
const STOP_GRACE_MS = 10_000;

export interface AgentOptions {
  readonly once?: boolean;
  readonly interval?: string;
  readonly state?: string;
  readonly dryRun?: boolean;
}

/** Look again and again, or once. */
export const runAgent = async (context: Context, options: AgentOptions): Promise<ExitCode> => {
  const config = await context.config();
  const intervalMs = intervalOf(options, config);
  const guard = guardOf(context, config);
  const api = await context.api({ endpoint: guard?.endpoint, region: guard?.region });
  const complain = withoutRepeats(context);
  const stateFile = options.state ?? config.agent.stateFile ?? join(stateFolderOf(context), 'agent.json');
  const would: WouldDo[] = [];
  const agent = agentOf(context, { options, config, guard, api, complain, stateFile, tellWould: wouldTeller(context, would) });
  const health = createHealthFile(`${stateFile}.health`, context.now);
  // Nothing is done, so looking again would only say the same again.
  if (options.dryRun === true) return once(context, agent, { would });
  if (options.once === true) return once(context, agent, { health });
  return loop(context, { agent, health, intervalMs, complain });
};

interface Parts {
  readonly options: AgentOptions;
  readonly config: Config;
  readonly guard: GuardConf | undefined;
  readonly api: ApiClient;
  readonly complain: (sentence: string) => void;
  readonly stateFile: string;
  readonly tellWould: (would: WouldDo) => void;
}

/** People read it as it comes; programs get it in the report. */
const wouldTeller =
  (context: Context, would: WouldDo[]): Parts['tellWould'] =>
  (each) => {
    if (context.format === 'table') context.print(`would ${each.method} ${each.path} ${JSON.stringify(each.body)}\n`);
    else would.push(each);
  };

const agentOf = (context: Context, { options, config, guard, api: real, complain, stateFile, tellWould }: Parts): Agent => {
  const isDry = options.dryRun === true;
  const api = isDry ? onlyPrinting(real, tellWould) : real;
  const state = createStateFile(stateFile, complain);
  const cluster = config.slurm.cluster ?? guard?.cluster;
  const aside = asideIn(`${stateFile}.aside`, { complain, now: context.now });
  return createAgent({
    slurm: createSlurmCommands({ ...config.slurm, env: context.env, uid: process.getuid?.() ?? 0 }),
    api,
    guard: guard ?? { guards: () => false },
    settings: {
      ...(cluster === undefined ? {} : { cluster }),
      clusterUid: clusterUid(),
      orphanAfterMs: config.budget.orphanAfterMs,
      agentVersion: VERSION,
    },
    state: isDry ? readOnly(state) : state,
    drains: isDry ? {} : drainsOf({ config, guard, complain, now: context.now }),
    send: config.agent.eventBus === undefined || isDry ? sendTo(api) : sendToBus(config.agent.eventBus),
    now: context.now,
    sha256,
    complain,
    keepAside: isDry ? onlySaid(complain) : aside,
  });
};

/** For a dry run. */
const onlySaid =
  (complain: (sentence: string) => void): KeepAside =>
  ({ reason }) => {
    complain(reason);
    return true;
  };

const drainsOf = ({
  config,
  guard,
  complain,
  now,
}: {
  config: Config;
  guard: GuardConf | undefined;
  complain: (sentence: string) => void;
  now: () => number;
}): Drains => {
  const spoolFile = guard?.spoolFile;
  const folder = config.agent.costFiles;
  return {
    ...(spoolFile === undefined
      ? {}
      : {
          spool: async (desk) => {
            const { bookSpooled, drainSpool } = await import('#cli/agent/spool');
            const drained = await drainSpool({ spoolFile, book: bookSpooled(desk.api), complain });
            desk.counts.forced += drained.booked;
            desk.counts.keptAside += drained.keptAside;
            desk.counts.postponed += drained.waiting;
          },
        }),
    ...(folder === undefined
      ? {}
      : {
          costFiles: async (desk, holdOfJob) => {
            const { drainCostFiles } = await import('#cli/agent/cost-files');
            const drained = await drainCostFiles({ folder, cluster: desk.settings.cluster, api: desk.api, holdOfJob, now, complain });
            desk.counts.corrected += drained.corrected;
            desk.counts.keptAside += drained.keptAside;
          },
        }),
  };
};

/** Put ended runs on a bus. Nobody answers: a hold that stays open all the same is settled with the API itself, later. */
const sendToBus = (bus: string): SendRuns => {
  let publisher: Promise<import('#adapters/event-publisher').EventPublisher> | undefined;
  return async (holdId, runs) => {
    publisher ??= import('#adapters/event-publisher').then(({ createEventPublisher }) => createEventPublisher({ bus }));
    const { failed } = await (await publisher).put(runs.map((run) => jobEnded({ ...run, hold_id: holdId })));
    const [first] = failed;
    if (first !== undefined)
      throw new CommandError(EXIT.unreachable, `the bus ${bus} did not take ${failed.length} ended runs: ${first.message}`);
    return [];
  };
};

// --- how often ----------------------------------------------------------------------------------------------------------

const once = async (
  context: Context,
  agent: Agent,
  { health, would }: { health?: ReturnType<typeof createHealthFile>; would?: readonly WouldDo[] },
): Promise<ExitCode> => {
  const report = await agent.pass().catch((error: unknown) => {
    if (error instanceof Error) health?.failed(error.message);
    throw error instanceof SlurmSilent ? failure(`Slurm does not answer: ${error.message}`, { cause: error }) : error;
  });
  health?.passed(report);
  await printReport(context, report, would);
  for (const problem of report.problems) context.complain(problem);
  return report.problems.length === 0 ? EXIT.ok : EXIT.failed;
};

const loop = async (
  context: Context,
  {
    agent,
    health,
    intervalMs,
    complain,
  }: { agent: Agent; health: ReturnType<typeof createHealthFile>; intervalMs: number; complain: (sentence: string) => void },
): Promise<ExitCode> => {
  const stop = stopSignal();
  let failures = 0;
  context.tell(`the agent looks every ${intervalMs / 1000} s`);
  while (!stop.isAsked()) {
    const began = context.now();
    const passed = pass(agent).then(({ report, problem }) => {
      if (report !== undefined) {
        health.passed(report);
        if (failures > 0) context.complain('Slurm and the API answer again');
        failures = 0;
        for (const each of report.problems) complain(each);
        const done = doneIn(report);
        if (done !== '') context.tell(done);
        return;
      }
      failures += 1;
      health.failed(problem ?? '');
      if (failures === 1) context.complain(`${problem}; this agent goes on trying, and says so only once`);
    });
    await Promise.race([passed, stop.after(STOP_GRACE_MS)]);
    const wait = failures === 0 ? intervalMs : Math.min(LONGEST_WAIT_MS, Math.max(intervalMs, intervalMs * 2 ** (failures - 1)));
    await stop.or(Math.max(0, began + wait - context.now()));
  }
  return EXIT.ok;
};

/** A bug ends the agent, and its supervisor starts it anew; what only failed this time does not. */
const pass = async (agent: Agent): Promise<{ report?: PassReport; problem?: string }> => {
  try {
    return { report: await agent.pass() };
  } catch (error) {
    if (error instanceof CommandError || error instanceof SlurmSilent) return { problem: error.message };
    throw error;
  }
};

const stopSignal = () => {
  let asked = false;
  let wake: () => void = () => undefined;
  const signal = new Promise<void>((resolve) => {
    wake = resolve;
  });
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => {
      asked = true;
      wake();
    });
  const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms).unref());
  return {
    isAsked: () => asked,
    /** So long, or until somebody asks. */
    or: (ms: number) => Promise.race([signal, new Promise<void>((done) => setTimeout(done, ms))]),
    /** So long after somebody has asked. */
    after: (ms: number) => signal.then(() => sleep(ms)),
  };
};

const intervalOf = (options: AgentOptions, config: Config): number => {
  if (options.interval === undefined) return Math.max(SHORTEST_INTERVAL_MS, config.agent.intervalMs);
  const ms = parseDuration(options.interval);
  if (ms === undefined || ms < SHORTEST_INTERVAL_MS)
    throw usageError(`--interval '${options.interval}': must be a duration of at least a second, like 15s or 1m`);
  return ms;
};

// --- what it says -------------------------------------------------------------------------------------------------------

const LABELS: Readonly<Record<keyof PassReport['counts'], string>> = {
  bound: 'bound',
  forced: 'forced',
  extended: 'extended',
  adjusted: 'adjusted',
  settled: 'settled',
  released: 'released',
  closed: 'closed',
  corrected: 'corrected',
  postponed: 'postponed',
  keptAside: 'kept aside',
};

const doneIn = ({ counts }: PassReport): string =>
  Object.entries(LABELS)
    .filter(([name]) => counts[name as keyof typeof counts] > 0)
    .map(([name, label]) => `${label} ${counts[name as keyof typeof counts]}`)
    .join(', ');

const printReport = async (context: Context, report: PassReport, would: readonly WouldDo[] | undefined): Promise<void> => {
  if (context.format !== 'table') {
    printJson(context, { ...wireReportOf(report), ...(would === undefined ? {} : { would }) });
    return;
  }
  const unknown = Object.entries(report.unknownAccounts).map(([account, jobs]) => `${account} (${jobs})`);
  await printPairs(context, [
    ['Cluster', report.cluster],
    ['Jobs in the queue', String(report.jobs)],
    ['Open holds', String(report.holds)],
    ['Done', doneIn(report) || 'nothing was to be done'],
    ...(unknown.length === 0 ? [] : ([['Accounts without a budget', unknown.join(', ')]] as [string, string][])),
  ]);
};

/** A complaint that is made in every pass is worth one line an hour. */
const withoutRepeats = (context: Context): ((sentence: string) => void) => {
  const said = new Map<string, number>();
  return (sentence) => {
    const before = said.get(sentence);
    if (before !== undefined && context.now() - before < REPEAT_AFTER_MS) return;
    if (said.size >= MAX_COMPLAINTS) said.clear();
    said.set(sentence, context.now());
    context.complain(sentence);
  };
};

// --- where --------------------------------------------------------------------------------------------------------------

const guardOf = (context: Context, config: Config): GuardConf | undefined => {
  const path = config.agent.asbbConf ?? findGuardConf(context.env);
  if (config.agent.asbbConf !== undefined || existsSync(path)) return readGuardConf(path);
  context.tell('no asbb.conf was found, so jobs without a hold are let be: name it as agent.asbb_conf or ASBB_CONF to hold for them');
  return undefined;
};

/** systemd names one; root has a place of its own; anybody else a folder at home. */
const stateFolderOf = ({ env, folders }: Context): string => {
  const [ofService] = (env.STATE_DIRECTORY ?? '').split(':'); // systemd.exec(5)
  if (ofService?.startsWith('/') === true) return ofService;
  if (process.getuid?.() === 0) return '/var/lib/asbb';
  const stateHome = env.XDG_STATE_HOME;
  return join(stateHome?.startsWith('/') === true ? stateHome : join(folders.home, '.local', 'state'), 'asbb');
};

/** Two clusters of one name are told apart by the machines that they are looked after from. */
const clusterUid = (): string => sha256(`asbb cluster of ${machineId()}`).slice(0, 32);

const machineId = (): string => {
  try {
    return readFileSync('/etc/machine-id', 'utf8').trim() || hostname();
  } catch {
    return hostname();
  }
};

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
