import { requireCluster } from '#app/bind-hold';
import { CHANGED, closing, holdBooking, holdEntry, notBefore, untilBooked } from '#app/book';
import { QUOTE_PATIENCE_MS } from '#app/patience';
import type { World } from '#app/ports';
import { rateNow } from '#app/price-partitions';
import { accountNotFound, readJobLinkOrThrow } from '#app/read';
import { BudgetError, invalid } from '#domain/errors';
import type { Rate } from '#domain/estimate';
import { type Hold, type Settled, settle } from '#domain/hold';
import { type Entry, type Instant, spendAvailable } from '#domain/ledger';
import type { MicroUsd } from '#domain/money';
import { type BookedRun, isNodeFailure, isRestartedState, nodeSecondsOf, type RunUsage, repeats, runCost } from '#domain/run';

/** What somebody reports of one run. Either `actualCost` or `usage` is there. */
export interface RunReport {
  /** Defaults to the hold's id where the hold has one task. */
  readonly runId?: string;
  readonly actualCost?: MicroUsd;
  readonly usage?: RunUsage;
  /** Said beside an actual cost: for usage, since it costs nothing more. */
  readonly nodes?: number;
  readonly partition?: string;
  readonly state?: string;
  /** Defaults to what the state says: after REQUEUED and RESIZING another run follows. */
  readonly final?: boolean;
  readonly tasks: number;
  readonly startedAt?: Instant;
  readonly endedAt?: Instant;
  readonly jobId?: string;
  readonly user?: string;
}

export interface SettleRequest {
  readonly holdId?: string;
  readonly job?: { readonly cluster: string; readonly jobId: string; readonly submittedAt?: Instant };
  readonly cluster?: string;
  /** Whom to charge when nobody knows the hold. */
  readonly account?: string;
  readonly runs: readonly RunReport[];
}

/**
 * Book ended runs against their hold: all of them or none. A run that was booked before at the same cost answers as then.
 *
 * Nothing here can be refused for lack of money, nor because the hold is closed: AWS has charged already, so the cost is
 * booked late. An unknown hold is booked late too if the report names an account.
 * @returns one booked run per report, in their order
 * @throws BudgetError hold_not_found, job_not_found, cluster_conflict, run_conflict (which names the run), validation_failed
 */
export const settleRuns = async (world: World, request: SettleRequest): Promise<BookedRun[]> => {
  const target = request.holdId === undefined ? await targetOfJob(world, request) : { holdId: request.holdId, owner: request.holdId };
  return untilBooked(world, async () => {
    const hold = target.holdId === undefined ? undefined : await world.store.readHold(target.holdId);
    if (hold === undefined) return bookDraft(world, await draftWithoutHold(world, request, target));
    requireCluster(hold, request.cluster);
    const draft = await draftOf(world, hold, request.runs);
    return bookDraft(world, draft, await bookedEarlier(world, draft, target));
  });
};

/** Under which name the runs are booked, and the hold of that name if there should be one. */
interface Target {
  readonly holdId?: string;
  readonly owner: string;
  /** Where runs of this job may be that came before anybody had bound it. */
  readonly earlierOwner?: string;
}

/** One report, as it would be booked, with its ledger entry. */
interface Draft {
  readonly hold: Hold | undefined;
  readonly owner: string;
  readonly account: string;
  readonly reports: readonly Priced[];
}

interface Priced {
  readonly report: RunReport;
  readonly runId: string;
  readonly cost: MicroUsd;
  readonly nodeSeconds: number;
  /** What was reported, in short: where no price is locked, the same report may cost another amount tomorrow. */
  readonly reported: string;
}

const targetOfJob = async (world: World, { job, account }: SettleRequest): Promise<Target> => {
  if (job === undefined) throw invalid('hold_id', 'name the hold: hold_id, transaction_id, or cluster and job_id');
  const link = await readJobLinkOrThrow(world.store, job).catch((error: unknown) => {
    if (account !== undefined && error instanceof BudgetError && error.code === 'job_not_found') return undefined;
    throw error;
  });
  const ownerWithoutHold = `job.${job.cluster}.${job.jobId}`;
  if (link === undefined) return { owner: ownerWithoutHold };
  return { holdId: link.holdId, owner: link.holdId, ...(account === undefined ? {} : { earlierOwner: ownerWithoutHold }) };
};

/**
 * A report that names an account was booked late, under its job's name, if it came before the job was bound. Coming again
 * afterwards, it finds the hold, under which nobody has seen it: without this look it would be charged twice.
 */
const bookedEarlier = async (world: World, { reports }: Draft, { earlierOwner }: Target): Promise<Map<string, BookedRun>> => {
  if (earlierOwner === undefined) return new Map();
  const runs = await Promise.all(reports.map(({ runId }) => world.store.readRun({ owner: earlierOwner, runId })));
  return new Map(runs.flatMap((run) => (run === undefined ? [] : [[run.runId, run]])));
};

const draftOf = async (world: World, hold: Hold, runs: readonly RunReport[]): Promise<Draft> => ({
  hold,
  owner: hold.holdId,
  account: hold.account,
  reports: await Promise.all(
    runs.map(async (report) => ({
      report,
      runId: runIdOf(report, hold),
      ...(await chargeOfReport(world, report, hold)),
      reported: reportedOf(world, report),
    })),
  ),
});

const draftWithoutHold = async (world: World, { account, runs }: SettleRequest, { holdId, owner }: Target): Promise<Draft> => {
  if (account === undefined)
    throw new BudgetError('hold_not_found', `there is no hold ${holdId}; name the account to book the run late`, { hold_id: holdId });
  const reports = runs.map(async (report) => {
    const runId = report.runId ?? holdId;
    if (runId === undefined) throw invalid('run_id', 'is required for a run whose hold is not known');
    return { report, runId, ...(await chargeWithoutHold(world, report)), reported: reportedOf(world, report) };
  });
  return { hold: undefined, owner, account, reports: await Promise.all(reports) };
};

const runIdOf = (report: RunReport, hold: Hold): string => {
  if (report.runId !== undefined) return report.runId;
  if (hold.tasks === 1) return hold.holdId;
  throw invalid('run_id', 'is required for a run of an array, whose hold has many');
};

/** What a run costs, and what it had. */
export type Charge = Pick<Priced, 'cost' | 'nodeSeconds'>;

/** What a run is charged for what it really used: nothing, if the site writes it off. */
export const chargeOf = async (world: World, report: RunReport, hold: Hold | undefined): Promise<Charge> => {
  if (hold === undefined) return chargeWithoutHold(world, report);
  const charge = await chargeOfReport(world, report, hold);
  return isWrittenOff(report, hold) ? { ...charge, cost: 0n } : charge;
};

/** At the prices locked in the hold, wherever they cover the partition that the run was in. */
const chargeOfReport = async (world: World, report: RunReport, hold: Hold): Promise<Charge> => {
  if (report.actualCost !== undefined)
    return { cost: report.actualCost, nodeSeconds: nodeSecondsOf(undefined, toldOf(report), hold.terms) };
  const usage = usageOf(report);
  const partition = report.partition ?? hold.terms.partition;
  const locked = hold.terms.rates.find((rate) => rate.partition === partition);
  const rate = locked ?? (await currentRate(world, partition).catch((error: unknown) => heldRate(hold, error)));
  return chargedAt(rate, usage, hold.terms);
};

/** AWS has charged for the run whether a price is known today or not, so it is booked at what its job was held for. */
const heldRate = (hold: Hold, error: unknown): Rate => {
  const held = hold.terms.rates.find((rate) => rate.partition === hold.terms.partition);
  if (held !== undefined && error instanceof BudgetError && error.code === 'no_price') return held;
  throw error;
};

const DIGEST_CHARS = 16;

/** A digest of all that a cost is worked out from. */
const reportedOf = (world: World, { actualCost, usage, partition }: RunReport): string =>
  world.ids.sha256(JSON.stringify([actualCost?.toString() ?? null, usage ?? null, partition ?? null])).slice(0, DIGEST_CHARS);

const chargeWithoutHold = async (world: World, report: RunReport): Promise<Charge> => {
  if (report.actualCost !== undefined) return { cost: report.actualCost, nodeSeconds: nodeSecondsOf(undefined, toldOf(report), ONE_NODE) };
  const usage = usageOf(report);
  if (usage.elapsedSeconds === 0 && !usage.started) return { cost: 0n, nodeSeconds: 0 }; // Wherever it was to run, and on whatever: it never did.
  if (report.partition === undefined) throw invalid('partition', 'is required to price a run whose hold is not known');
  const rate = await currentRate(world, report.partition);
  if (rate !== undefined && usage.nodes === undefined && usage.instances === undefined)
    throw invalid('nodes', 'is required to price a run whose hold is not known');
  return chargedAt(rate, usage, ONE_NODE);
};

/** What a run has at least, where nobody says how it was priced. */
const ONE_NODE = { nodeType: '', nodes: 1, nodesE6: 1_000_000n };

/** Without a rate nobody guards the run's partition, so it costs the budget nothing. */
const chargedAt = (rate: Rate | undefined, usage: RunUsage, priced: typeof ONE_NODE): Charge => ({
  cost: rate === undefined ? 0n : runCost(rate, withPricedTypes(rate, usage), priced),
  nodeSeconds: nodeSecondsOf(rate, usage, priced),
});

/** Of a run whose cost was reported nobody has to say how long it took, and on how many nodes. */
const toldOf = ({ nodes, startedAt, endedAt }: RunReport): RunUsage => ({
  elapsedSeconds: startedAt === undefined || endedAt === undefined ? 0 : Math.max(0, Math.ceil((endedAt - startedAt) / 1000)),
  started: true,
  ...(nodes === undefined ? {} : { nodes }),
});

const usageOf = (report: RunReport): RunUsage => {
  if (report.usage === undefined) throw new Error('a report has a cost or a usage: the contract demands it');
  return report.usage;
};

/** Undefined: nobody guards that partition, so a run in it costs the budget nothing. */
const currentRate = async (world: World, partition: string): Promise<Rate | undefined> => {
  const model = await world.store.readPartition(partition);
  return model === undefined ? undefined : (await rateNow(world.prices, model, { patienceMs: QUOTE_PATIENCE_MS })).rate;
};

/** A type that was not priced is charged as the held one: a guess, but never $0, and the run must be booked. */
const withPricedTypes = (rate: Rate, usage: RunUsage): RunUsage => {
  const { instances, ...rest } = usage;
  const known = instances?.every(({ type }) => rate.nodeTypes.some((each) => each.type === type)) ?? false;
  if (instances === undefined || known) return usage;
  return { ...rest, nodes: instances.reduce((sum, { count }) => sum + count, 0) };
};

/** Book what is not booked yet. Each failed condition comes back with what is stored, so a repetition costs no extra read. */
const bookDraft = async (world: World, draft: Draft, booked = new Map<string, BookedRun>()): Promise<BookedRun[] | typeof CHANGED> => {
  for (;;) {
    const { booking, answers } = compose(world, draft, booked);
    if (booking.runs.length === 0) return answers;
    const outcome = await world.store.commit(booking);
    if (outcome.booked) return answers;
    const repeated = outcome.refusal.runs.flatMap(({ stored }) => (stored === null ? [] : [stored]));
    if (repeated.length === 0) {
      if (draft.hold === undefined) throw accountNotFound(draft.account);
      return CHANGED;
    }
    for (const stored of repeated) booked.set(stored.runId, stored);
  }
};

const repeatedOrThrow = (booked: BookedRun, report: Pick<Priced, 'cost' | 'reported'>): BookedRun => {
  if (repeats(booked, report)) return booked;
  throw new BudgetError('run_conflict', `run ${booked.runId} is booked at another cost: mend it with a correction`, {
    run_id: booked.runId,
  });
};

/**
 * The booking of the draft's runs beside those that are booked already, each run settled on what the one before left; and
 * the answers to all of its reports once that is written.
 */
const compose = (world: World, draft: Draft, booked: ReadonlyMap<string, BookedRun>) => {
  const at = draft.hold === undefined ? world.clock.now() : notBefore(world, draft.hold);
  const fresh = new Map<string, BookedRun>();
  const answers: BookedRun[] = [];
  const entries: Entry[] = [];
  let hold = draft.hold;
  for (const priced of draft.reports) {
    const { report, runId, cost } = priced;
    const earlier = booked.get(runId) ?? fresh.get(runId);
    if (earlier !== undefined) {
      answers.push(repeatedOrThrow(earlier, priced));
      continue;
    }
    const settled = hold === undefined ? lateWithoutHold(cost) : settleReport(hold, report, cost, at);
    const run = bookedRun(draft, { ...priced, settled, at });
    fresh.set(runId, run);
    answers.push(run);
    const entry = entryOf(world, draft, run, settled);
    entries.push(hold === undefined || settled.hold === undefined ? entry : { ...entry, ...closing(hold, settled.hold) });
    hold = settled.hold;
  }
  const booking = hold === undefined ? bookingWithoutHold(draft.account, entries, at) : holdBooking(draft.hold, hold, entries, at);
  return { booking: { ...booking, runs: [...fresh.values()].map((after) => ({ after })) }, answers };
};

type SettledOrLate = Omit<Settled, 'hold'> & { readonly hold?: Hold };

const settleReport = (hold: Hold, report: RunReport, cost: MicroUsd, at: Instant): SettledOrLate => {
  return settle(
    hold,
    {
      cost,
      final: report.final ?? !isRestartedState(report.state ?? null),
      writtenOff: isWrittenOff(report, hold),
      tasks: report.tasks,
    },
    at,
  );
};

const isWrittenOff = ({ state, partition: name }: RunReport, { terms }: Hold): boolean => {
  const rate = terms.rates.find(({ partition }) => partition === (name ?? terms.partition));
  return isNodeFailure(state ?? null) && (rate?.writeOffNodeFailures ?? false);
};

const lateWithoutHold = (cost: MicroUsd): SettledOrLate => ({
  movement: spendAvailable(cost),
  type: 'late_settle',
  share: 0n,
  refund: 0n,
  late: true,
});

const bookedRun = (
  draft: Draft,
  { report, runId, cost, nodeSeconds, reported, settled, at }: Priced & { settled: SettledOrLate; at: Instant },
): BookedRun => {
  const isWrittenOff = settled.type === 'write_off';
  return {
    owner: draft.owner,
    runId,
    account: draft.account,
    jobId: report.jobId ?? draft.hold?.jobId ?? null,
    user: report.user ?? draft.hold?.user ?? null,
    bookedCost: cost,
    reported,
    cost: isWrittenOff ? 0n : cost,
    writtenOff: isWrittenOff ? cost : 0n,
    share: settled.share,
    refund: settled.refund,
    holdState: settled.hold?.state ?? null,
    late: settled.late,
    final: report.final ?? !isRestartedState(report.state ?? null),
    tasks: report.tasks,
    elapsedSeconds: report.usage?.elapsedSeconds ?? null,
    partition: report.partition ?? draft.hold?.terms.partition ?? null,
    nodes: report.usage?.nodes ?? report.nodes ?? null,
    nodeSeconds,
    state: report.state ?? null,
    startedAt: report.startedAt ?? null,
    endedAt: report.endedAt ?? null,
    bookedAt: at,
    corrections: [],
  };
};

const entryOf = (world: World, draft: Draft, run: BookedRun, settled: SettledOrLate): Entry => {
  const what = { type: settled.type, amount: run.bookedCost, movement: settled.movement, at: run.bookedAt, runId: run.runId };
  const words = {
    jobId: run.jobId,
    user: run.user,
    note: run.state,
    ...(run.partition === null ? {} : { partition: run.partition }),
    ...(run.nodeSeconds ? { nodeSeconds: run.nodeSeconds } : {}),
  };
  if (draft.hold !== undefined) return { ...holdEntry(world, draft.hold, what), ...words };
  return { ...what, ...words, entryId: world.ids.entryId(what.at), account: draft.account, holdId: null, owner: run.owner };
};

const bookingWithoutHold = (account: string, entries: readonly Entry[], at: Instant) => ({
  accounts: [
    {
      account,
      movement: spendAvailable(entries.reduce((sum, { movement }) => sum + movement.used, 0n)),
      unconfirmed: 0n,
      entries: entries.length,
      require: { kind: 'fact' as const },
      at,
    },
  ],
  entries,
});
