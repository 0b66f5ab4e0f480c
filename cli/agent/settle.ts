// Ended runs, booked against their holds: whose they are, whether they were the last, and in batches.
import { makeFollow } from '#cli/agent/adjust';
import { attempt, type Desk, inParallel } from '#cli/agent/desk';
import { type Holds, submittedAtOf } from '#cli/agent/holds';
import type { EpochSeconds } from '#cli/agent/ports';
import { type EndedRun, isoOf, sightedRunIdOf, type WireRun, wireRunOf } from '#cli/agent/runs';
import { countOfTasks, type Liveness, type Snapshot } from '#cli/agent/snapshot';
import { createWhose, type Owner, type Whose, type WhoseParts } from '#cli/agent/whose';
import type { HoldDetailAnswer, SettlementAnswer } from '#cli/api-client';
import { given } from '#cli/commands/values';
import { BudgetError } from '#domain/errors';
import { MAX_RUNS_PER_BATCH } from '#domain/run';

const HOLDS_AT_ONCE = 8;
/** A job that ends for longer has a node that is lost: it does not come back by itself. */
const ENDING_FOR_SECONDS = 600;
/** Runs that the state file keeps of those whose rows name no hold. */
const MAX_UNMARKED = 1_000;
const DOUBTFUL = 'doubtful';
/** How ids of corrections begin that are made because a row has changed. */
const BY_ROW = 'row.';

/** Which runs have been booked, so that reading them again costs nothing. Losing it costs requests, and no money. */
export interface BookedRuns {
  /** As it is said to be now: slurmdbd may say something else of a run later. */
  has(run: EndedRun): boolean;
  /** Whether it was booked, and Slurm said something else of it then. */
  hasChanged(run: EndedRun): boolean;
  /** The hold that it was booked against last. */
  holdOf(run: EndedRun): string | undefined;
  add(run: EndedRun, holdId: string): void;
  /** Whoever was told of them may have forgotten it, so that they are told again. */
  doubtAll(): void;
  /** What cannot be found again by anything that Slurm says, the latest of it: for the state file. */
  unmarked(): [runId: string, holdId: string, endedAt: EpochSeconds][];
  remember(unmarked: readonly (readonly [runId: string, holdId: string, endedAt: EpochSeconds])[]): void;
  /** The same, as if nobody had been told yet. */
  untold(): BookedRuns;
  /** Runs that no window of sacct will show again. */
  forgetBefore(endedAt: EpochSeconds): void;
}

interface Booked {
  readonly endedAt: EpochSeconds;
  readonly cause: string;
  readonly holdId: string;
  readonly isMarked: boolean;
}

export const createBookedRuns = (): BookedRuns => {
  const known = new Map<string, Booked>();
  const booked: BookedRuns = {
    has: (run) => known.get(run.runId)?.cause === causeOf(run),
    hasChanged: (run) => {
      const cause = known.get(run.runId)?.cause;
      return cause !== undefined && cause !== DOUBTFUL && cause !== causeOf(run);
    },
    holdOf: ({ runId }) => known.get(runId)?.holdId,
    add: (run, holdId) => known.set(run.runId, { endedAt: run.endedAt, cause: causeOf(run), holdId, isMarked: run.holdId !== undefined }),
    doubtAll: () => {
      for (const [runId, each] of known) known.set(runId, { ...each, cause: DOUBTFUL });
    },
    unmarked: () => {
      const found = [...known].flatMap(([runId, { holdId, endedAt, isMarked }]): [string, string, number][] =>
        isMarked ? [] : [[runId, holdId, endedAt]],
      );
      return found.slice(-MAX_UNMARKED);
    },
    remember: (unmarked) => {
      for (const [runId, holdId, endedAt] of unmarked) known.set(runId, { holdId, endedAt, cause: DOUBTFUL, isMarked: false });
    },
    forgetBefore: (limit) => {
      for (const [runId, { endedAt }] of known) if (endedAt < limit) known.delete(runId);
    },
    untold: () => ({ ...booked, has: () => false, hasChanged: () => false }),
  };
  return booked;
};

/** All that the cost of a run comes from. */
const causeOf = ({ startedAt, endedAt, nodes, partition, state, tres }: EndedRun): string =>
  [startedAt, endedAt, nodes, partition, state, tres].join(' ');

/** Where ended runs go: to the API, or as events to a bus, which answers nothing. */
export type SendRuns = (holdId: string, runs: readonly WireRun[]) => Promise<readonly SettlementAnswer[]>;

export interface SettleParts extends WhoseParts {
  readonly snapshot: Snapshot;
  readonly booked: BookedRuns;
  readonly send: SendRuns;
  /** Slurm's own name of this cluster. */
  readonly slurmCluster: string;
}

interface Group extends Owner {
  /** The hold as it is while the group is worked on; undefined if it is closed, or nobody knows it. */
  readonly hold: { readonly holdId: string; account: string; readonly partition: string } | undefined;
  readonly runs: EndedRun[];
}

/**
 * Book these runs.
 * @returns how many have to be looked at again, because nobody can say yet whether they were the last of their job
 */
export const settleRuns = async (desk: Desk, parts: SettleParts, runs: readonly EndedRun[]): Promise<number> => {
  const fresh = runs.filter((run) => !parts.booked.has(run) && isOurs(desk, parts, run));
  const clear = fresh.filter(({ submissionId }) => parts.snapshot.shows(submissionId));
  const found = await groupsOf(desk, parts, clear);
  let left = fresh.length - clear.length + found.left;
  await inParallel(found.groups, HOLDS_AT_ONCE, async (group) => {
    left += await settleGroup(desk, parts, group);
  });
  return left;
};

const isOurs = (desk: Desk, { slurmCluster }: SettleParts, run: EndedRun): boolean => {
  if (run.cluster === slurmCluster || run.cluster === '') return true;
  desk.keepAside({ reason: `run ${run.runId} is of cluster ${run.cluster}, and this agent serves ${slurmCluster}`, entry: run });
  return false;
};

/** One group a hold, in the order of the runs' ends. Runs of which nobody can say now whose they are come back as a count. */
const groupsOf = async (desk: Desk, parts: SettleParts, runs: readonly EndedRun[]): Promise<{ groups: Group[]; left: number }> => {
  const whose = createWhose(desk, parts);
  const owners = new Map<EndedRun, Whose>();
  const find = async (run: EndedRun): Promise<void> => {
    owners.set(run, await whose(run));
  };
  // Those that name their hold first: it is bound then, and found for the others of the same job.
  await inParallel(
    runs.filter(({ holdId }) => holdId !== undefined),
    HOLDS_AT_ONCE,
    find,
  );
  await inParallel(
    runs.filter(({ holdId }) => holdId === undefined),
    HOLDS_AT_ONCE,
    find,
  );
  const groups = new Map<string, Group>();
  let left = 0;
  for (const run of runs.toSorted((a, b) => a.endedAt - b.endedAt || (a.startedAt ?? 0) - (b.startedAt ?? 0))) {
    const owner = owners.get(run);
    if (owner === 'later') left += 1;
    if (owner === undefined || typeof owner === 'string') continue;
    const group = groups.get(owner.holdId);
    if (group === undefined) groups.set(owner.holdId, { ...owner, hold: openHoldOf(owner), runs: [run] });
    else group.runs.push(run);
  }
  return { groups: [...groups.values()], left };
};

const openHoldOf = ({ tracked }: Owner): Group['hold'] =>
  tracked === undefined ? undefined : { holdId: tracked.holdId, account: tracked.account, partition: tracked.partition };

const settleGroup = async (desk: Desk, parts: SettleParts, group: Group): Promise<number> => {
  const lastOfJob = new Map(group.runs.map((run) => [run.jobId, run])); // In the order of their ends, so the last one stays.
  const ready: { run: EndedRun; wire: WireRun }[] = [];
  let left = 0;
  for (const run of group.runs) {
    const liveness = livenessOf(desk, parts, group, run);
    if (liveness === 'ending' || isUnfinished(desk, run)) {
      left += 1;
      continue;
    }
    // Sent again, it would pass for a repetition if it cost by chance what it had cost at first.
    if (parts.booked.hasChanged(run)) {
      left += await correctChanged(desk, parts, run, group.holdId);
      continue;
    }
    const final = liveness === 'gone' && lastOfJob.get(run.jobId) === run;
    const tasks = await tasksOf(desk, parts, group, run);
    const wire = tasks === 0 ? undefined : wireOrAside(desk, run, { final, tasks });
    if (wire === undefined) parts.booked.add(run, group.holdId);
    else ready.push({ run, wire });
  }
  for (const batch of batchesOf(ready)) {
    if (await isWithItsAccount(desk, group, batch)) left += await sendBatch(desk, parts, group, batch);
    else left += batch.length;
  }
  return left;
};

/**
 * slurmdbd may learn of a short job's end before it learns in which partition the job ran. What it never learns it has not
 * learned after `orphan_after` either; and what it says still later is corrected.
 */
const isUnfinished = (desk: Desk, run: EndedRun): boolean =>
  run.startedAt !== null && /^$|,/.test(run.partition) && desk.now() - run.endedAt * 1000 <= desk.settings.orphanAfterMs;

type Batch = readonly { readonly run: EndedRun; readonly wire: WireRun }[];

/** As many as one request takes, and of one account. */
const batchesOf = (ready: Batch): Batch[] => {
  const batches: { run: EndedRun; wire: WireRun }[][] = [];
  for (const one of ready) {
    const last = batches.at(-1);
    const isNext =
      last !== undefined && last.length < MAX_RUNS_PER_BATCH && last[0] !== undefined && payerOf(last[0].run) === payerOf(one.run);
    if (isNext) last.push(one);
    else batches.push([one]);
  }
  return batches;
};

/** A run that never started is paid for by nobody. */
const payerOf = ({ startedAt, account }: EndedRun): string => (startedAt === null ? '' : account);

/** A run is charged to the account of its hold, so a hold whose job was moved has to be moved first. False: it could not be, now. */
const isWithItsAccount = async (desk: Desk, { hold, tracked }: Group, batch: Batch): Promise<boolean> => {
  const account = batch[0] === undefined ? '' : payerOf(batch[0].run);
  if (hold === undefined || account === '' || account === hold.account) return true;
  const followed = await makeFollow(desk, hold, { account });
  if (followed === 'done') {
    hold.account = account;
    if (tracked !== undefined) tracked.account = account;
  }
  return followed !== 'later';
};

/** Whether the job goes on. Its number may be another job's by now. */
const livenessOf = (desk: Desk, { holds, snapshot }: SettleParts, { holdId }: Group, run: EndedRun): Liveness => {
  const submission = snapshot.submissions.get(run.submissionId);
  if (submission === undefined) return 'gone';
  const shown = holds.of(submission)?.holdId;
  if (shown !== undefined && shown !== holdId) return 'gone';
  if (shown === undefined && submittedAtOf(submission.jobs) > run.submittedAt && submission.jobs.every(({ restarts }) => restarts === 0))
    return 'gone';
  const liveness = snapshot.livenessOf(run.submissionId, run.tasks);
  return liveness === 'ending' && desk.now() / 1000 - run.endedAt > ENDING_FOR_SECONDS ? 'gone' : liveness;
};

/**
 * An array that was cancelled while it waited is one row, which names tasks that started or were cancelled earlier, too. Those
 * that are alive, or have ended, are not its own.
 */
const tasksOf = async (desk: Desk, { snapshot }: SettleParts, { holdId }: Group, run: EndedRun): Promise<number> => {
  const named = countOfTasks(run.tasks);
  if (named === 1) return named;
  const hold = await attempt(
    desk,
    () => desk.api.request('showHold', { path: { hold_id: holdId }, query: { limit: '1' } }),
    () => undefined,
  );
  if (hold === undefined) return named;
  const alive = (snapshot.submissions.get(run.submissionId)?.jobs ?? []).reduce((sum, { tasks }) => sum + countOfTasks(tasks), 0);
  return Math.max(0, Math.min(named, hold.tasks - hold.tasks_ended - alive));
};

const wireOrAside = (desk: Desk, run: EndedRun, how: { final: boolean; tasks: number }): ReturnType<typeof wireRunOf> | undefined => {
  try {
    return wireRunOf(desk.settings.cluster, run, how);
  } catch (error) {
    if (!(error instanceof BudgetError)) throw error;
    desk.keepAside({ reason: `run ${run.runId} of job ${run.jobId}: ${error.message}`, entry: run });
    return undefined;
  }
};

/** All or none are booked, so if one is refused, each is tried by itself. */
const sendBatch = async (desk: Desk, parts: SettleParts, group: Group, batch: Batch): Promise<number> => {
  let isDone = false;
  let left = 0;
  await attempt(
    desk,
    async () => {
      const answers = await parts.send(
        group.holdId,
        batch.map(({ wire }) => wire),
      );
      for (const [index, { run }] of batch.entries()) await note(desk, parts, { run, answer: answers[index], holdId: group.holdId });
      isDone = true;
    },
    async (code, error) => {
      isDone = true;
      if (batch.length > 1) {
        for (const one of batch) left += await sendBatch(desk, parts, group, [one]);
        return;
      }
      for (const { run } of batch) {
        if (code === 'run_conflict') {
          left += await correctChanged(desk, parts, run, group.holdId);
          continue;
        }
        parts.booked.add(run, group.holdId);
        if (code === 'account_not_found') desk.unknownAccount(run.account);
        else desk.keepAside({ reason: `run ${run.runId} of job ${run.jobId} was refused: ${error.message}`, entry: run });
      }
    },
  );
  return isDone ? left : batch.length;
};

/**
 * slurmdbd says something else of a run that is booked: it had the end before the beginning, when it was killed; or slurmctld
 * was, and has taken up the job again from what it had saved. What is said last is what is charged.
 * @returns how many have to be looked at again
 */
const correctChanged = async (desk: Desk, { booked }: SettleParts, run: EndedRun, holdId: string): Promise<number> => {
  const wire = wireOrAside(desk, run, { final: true, tasks: 1 });
  if (wire === undefined) {
    booked.add(run, holdId);
    return 0;
  }
  const { elapsed_seconds, started_at, partition, state, nodes, cpus, memory, gpus } = wire;
  const used = given({ elapsed_seconds, started_at, partition, state, nodes, cpus, memory, gpus });
  let isDone = false;
  const id = `${BY_ROW}${desk.sha256(causeOf(run)).slice(0, 32)}`;
  await attempt(
    desk,
    async () => {
      const path = { hold_id: holdId, run_id: run.runId };
      const { corrections } = await desk.api.request('showRun', { path });
      // Whoever knew what it really cost has the last word.
      const isOurs = corrections.every(({ correction_id }) => correction_id.startsWith(BY_ROW));
      const isSaid = corrections.at(-1)?.correction_id.startsWith(id) === true;
      if (isOurs && !isSaid) {
        const correction = { correction_id: `${id}.${corrections.length}`, note: 'Slurm accounts for this run anew' };
        await desk.api.request('correctRun', { path, body: { ...used, ...correction } });
        desk.counts.corrected += 1;
      }
      booked.add(run, holdId);
      isDone = true;
    },
    (code, error) => {
      if (code === 'run_not_found') return; // It is on its way, on a bus.
      booked.add(run, holdId);
      isDone = true;
      desk.keepAside({ reason: `run ${run.runId} has changed, and could not be corrected: ${error.message}`, entry: run });
    },
  );
  return isDone ? 0 : 1;
};

const note = async (
  desk: Desk,
  { booked, holds }: SettleParts,
  { run, answer, holdId }: { run: EndedRun; answer: SettlementAnswer | undefined; holdId: string },
): Promise<void> => {
  booked.add(run, holdId);
  desk.counts.settled += 1;
  const tracked = holds.get(holdId);
  if (tracked !== undefined && (tracked.sightings.get(run.jobId)?.startedAt ?? Number.POSITIVE_INFINITY) <= run.endedAt)
    tracked.sightings.delete(run.jobId);
  if (answer === undefined) return; // An event: nobody has answered yet.
  // Null: the run was booked before anybody held for it, and the hold may be there by now.
  if (answer.hold_state !== 'open' && answer.hold_state !== null) holds.forget(holdId);
  // The list of holds lags behind a bind, or the agent that asked for it died before its answer: somebody must close this one.
  if (answer.hold_state === 'open' && tracked === undefined) await trackFound(desk, holds, holdId);
  if (answer.late && answer.actual_charge > 0) await mendLate(desk, { run, holdId });
};

const trackFound = async (desk: Desk, holds: Holds, holdId: string): Promise<void> => {
  const hold = await attempt(
    desk,
    () => desk.api.request('showHold', { path: { hold_id: holdId }, query: { limit: '1' } }),
    () => undefined,
  );
  if (hold !== undefined) holds.track(hold);
};

/**
 * A run that came late may have been booked before under another name: by a person, whose report of a hold's only run has the
 * hold's id, or by this agent, when the row of a run that it had seen was long in coming. It must be charged once.
 */
const mendLate = async (desk: Desk, { run, holdId }: { run: EndedRun; holdId: string }): Promise<void> => {
  const detail = await attempt(
    desk,
    () => desk.api.request('showHold', { path: { hold_id: holdId }, query: { limit: '500' } }),
    () => undefined,
  );
  const runs = detail?.runs ?? [];
  const correct = async (runId: string, why: string): Promise<void> => {
    await attempt(
      desk,
      async () => {
        await desk.api.request('correctRun', {
          path: { hold_id: holdId, run_id: runId },
          body: { actual_cost: 0, correction_id: `agent.${run.runId}`.slice(0, 128), note: why },
        });
        desk.counts.corrected += 1;
      },
      (_, error) => desk.keepAside({ reason: `run ${runId} is booked twice, and could not be corrected: ${error.message}`, entry: run }),
    );
  };
  const byHand = runs.find(({ run_id, booked_at }) => run_id === holdId && booked_at >= isoOf(run.endedAt));
  if (byHand !== undefined) return correct(run.runId, `reported by hand before, as run ${holdId}`);
  const standIn = sightedRunIdOf(desk.settings.cluster, run);
  if (standIn !== run.runId && isCharged(runs, standIn)) await correct(standIn, `accounted for by run ${run.runId}`);
};

const isCharged = (runs: HoldDetailAnswer['runs'], runId: string): boolean =>
  runs.some(({ run_id, actual_charge }) => run_id === runId && actual_charge > 0);
