// Cost files of ASBX (aws-slurm-burst): what a job really cost, dropped into a folder when it has ended. The agent has booked the
// run from sacct by then, or will soon, so a file is a correction of that run. It leaves its folder only when that is done: to
// booked/, or to aside/ for a person to look at. Wherever the agent dies, the next pass makes the same correction under the same
// id, which the API takes for a repetition.
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isFileError, namesIn, readPlainFile, statOrNot } from '#cli/agent/files';
import { isFinalRefusal, isSilence, sentenceOf } from '#cli/agent/refusals';
import type { ApiClient, HoldDetailAnswer } from '#cli/api-client';
import { type AsbxCost, parseAsbxCost } from '#cli/commands/asbx-cost';
import { CommandError, failure, oneLine } from '#cli/exit';
import { MAX_BODY_BYTES, MAX_PAGE_SIZE } from '#contract/limits';
import { toUsd } from '#domain/money';

/** Whoever writes a file is done with it by then, if it is short. */
const SETTLED_AFTER_MS = 2_000;
/** A file whose JSON is cut off is being written, or whoever wrote it has died. */
const GIVEN_UP_AFTER_MS = 60_000;
/** sacct's row may be late by hours, and a spooled hold too; after so long, nobody will bring the run any more. */
const WAITS_AT_MOST_MS = 7 * 24 * 3_600_000;
/** So that a full folder does not keep the agent from its heartbeat. */
const MAX_FILES_PER_PASS = 200;
/** Then files take turns: those that wait for days must not keep the others from being seen. */
const TURN_MS = 15_000;
const MAX_FILES_LISTED = 100_000;
/** A hold has at most one run for each task and requeue. */
const MAX_RUN_PAGES = 200;
const MAX_ID_CHARS = 64;

const FILE_NAME = new RegExp(`^job-(.{1,${MAX_ID_CHARS}})-asbb-reconciliation\\.json$`, 's');
/** A job, or a task of an array. */
const JOB_ID = /^\d{1,10}(?:_\d{1,7})?$/;
const MEND = "mend it and move it back, or book it with 'asbb reconcile --file'";

export interface DrainCostFilesOptions {
  /** Where ASBX writes. */
  readonly folder: string;
  readonly cluster: string;
  readonly api: ApiClient;
  /** The hold of a job, as ASBX names it: `17`, or `17_3` for a task of an array. Undefined: not known, or not yet. */
  readonly holdOfJob: (job: { readonly jobId: string }) => Promise<string | undefined>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Takes one sentence for people. */
  readonly complain: (sentence: string) => void;
}

export interface DrainedCostFiles {
  /** There was nothing to correct: the run is booked at that cost, or the site absorbed it. */
  readonly booked: number;
  readonly corrected: number;
  /** Left in the folder for a later pass. */
  readonly waiting: number;
  readonly keptAside: number;
}

/** Correct the runs that the files in a folder are about, until the end or until nobody answers. */
export const drainCostFiles = async (options: DrainCostFilesOptions, steps: CostFileSteps = costFileSteps): Promise<DrainedCostFiles> => {
  const done = { booked: 0, corrected: 0, waiting: 0, keptAside: 0 };
  let left = 0;
  try {
    const files = steps.list(options.folder);
    left = files.length;
    const holds = rememberLast((holdId) => readHold(options.api, holdId));
    for (const file of turnOf(files, options.now())) {
      done[await drainCostFile(file, { options, steps, holds })] += 1;
      left -= 1;
    }
  } catch (error) {
    const sentence = sentenceOf(error);
    if (!isSilence(error)) options.complain(`cost files in ${options.folder} wait: ${sentence}`);
  }
  return { ...done, waiting: done.waiting + left };
};

/** The oldest first; of more than a pass can take, a part that changes with the time. */
const turnOf = (files: readonly CostFile[], now: number): readonly CostFile[] => {
  if (files.length <= MAX_FILES_PER_PASS) return files;
  const turns = Math.ceil(files.length / MAX_FILES_PER_PASS);
  const first = (Math.floor(now / TURN_MS) % turns) * MAX_FILES_PER_PASS;
  return files.slice(first, first + MAX_FILES_PER_PASS);
};

interface Drain {
  readonly options: DrainCostFilesOptions;
  readonly steps: CostFileSteps;
  readonly holds: (holdId: string) => Promise<HoldWithRuns | undefined>;
}

type Outcome = keyof DrainedCostFiles;
/** What is to become of a file; one that is set aside has a reason. */
type Verdict = Exclude<Outcome, 'keptAside'> | { readonly problem: string };

const drainCostFile = async (file: CostFile, drain: Drain): Promise<Outcome> => {
  const { options, steps } = drain;
  const verdict = await judge(file, drain);
  if (verdict === 'waiting') return 'waiting';
  const to = typeof verdict === 'string' ? 'booked' : 'aside';
  // Written anew meanwhile: what is there now has not been looked at.
  if (steps.move(options.folder, file, to) === 'changed') return 'waiting';
  if (typeof verdict === 'string') return verdict;
  options.complain(oneLine(`${join(options.folder, file.name)}: was moved to aside/, because ${verdict.problem}; ${MEND}`));
  return 'keptAside';
};

const judge = async (file: CostFile, drain: Drain): Promise<Verdict> => {
  const { options, steps } = drain;
  // Clocks of file servers differ, so a file from the near future is young too.
  const ageMs = options.now() - file.modifiedMs;
  if (Math.abs(ageMs) < SETTLED_AFTER_MS) return 'waiting';
  const read = steps.read(join(options.folder, file.name));
  if (read === undefined) return 'waiting';
  if (typeof read !== 'string') return read;
  const content = read.replace(/^\ufeff/, '');
  if (Math.abs(ageMs) < GIVEN_UP_AFTER_MS && !isJson(content)) return 'waiting';
  const cost = costIn(content, file);
  if ('problem' in cost) return cost;
  const correctionId = `asbx-${createHash('sha256').update(read, 'utf8').digest('hex')}`;
  return judgeCost(
    cost,
    { correctionId, isOld: ageMs > WAITS_AT_MOST_MS ? 'old' : 'fresh', note: `actual cost by ASBX, ${file.name}` },
    drain,
  );
};

const isJson = (content: string): boolean => {
  try {
    JSON.parse(content);
    return true;
  } catch {
    return false; // Cut off, or nonsense: time will tell.
  }
};

const costIn = (content: string, { name }: CostFile): AsbxCost | { readonly problem: string } => {
  let cost: AsbxCost;
  try {
    cost = parseAsbxCost(content, name);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { problem: error.message.replace(`${name}: `, '') };
  }
  if (cost.jobId !== FILE_NAME.exec(name)?.[1])
    return { problem: `it is about job ${cost.jobId.slice(0, MAX_ID_CHARS)}, which is not in its name` };
  // A range of tasks, or "25+1" of a heterogeneous job: the runs are booked under the numbers of their own.
  if (!JOB_ID.test(cost.jobId)) return { problem: `${cost.jobId} is not the number of one job: name the job as its SLURM_JOB_ID does` };
  return cost;
};

interface Correction {
  readonly correctionId: string;
  readonly isOld: 'old' | 'fresh';
  readonly note: string;
}

const judgeCost = async (cost: AsbxCost, correction: Correction, { options, holds }: Drain): Promise<Verdict> => {
  const holdId = await options.holdOfJob({ jobId: cost.jobId });
  const hold = holdId === undefined ? undefined : await holds(holdId);
  if (hold === undefined) {
    return correction.isOld === 'old'
      ? { problem: `nobody has known a hold of job ${cost.jobId} for 7 days: was it in a guarded partition?` }
      : 'waiting';
  }
  const stranger = strangerIn(hold, cost, options.cluster);
  if (stranger !== undefined) return { problem: stranger };
  const run = runOf(hold, cost);
  if (run === undefined) return withoutRun(hold, cost, correction);
  if (typeof run === 'string') return { problem: run };
  const isDone = run.corrections.some((each) => each.correction_id === correction.correctionId);
  // A write-off stays one: the site said that it pays for node failures.
  if (isDone || run.written_off > 0 || run.actual_charge === toUsd(cost.actualCost)) return 'booked';
  return correct(options.api, { hold, run, cost, correction });
};

/** Job ids start anew when a cluster is rebuilt, so an old file may bear the number of a new job. */
const strangerIn = (hold: HoldWithRuns, { jobId, account }: AsbxCost, cluster: string): string | undefined => {
  if (hold.cluster !== cluster) return `the hold of job ${jobId} is of cluster ${hold.cluster}, not of ${cluster}`;
  if (account === undefined || account.toLowerCase() === hold.account) return undefined;
  return `it is of account ${account}, but job ${jobId} has a hold of ${hold.account}`;
};

type BookedRun = HoldDetailAnswer['runs'][number];
type HoldWithRuns = HoldDetailAnswer;

/**
 * The run that a file is about: the last final one of its job. A run that is not final is followed by another.
 * @returns undefined if it is not booked (yet), or why nobody can tell which it is
 */
const runOf = ({ hold_id, tasks, runs }: HoldWithRuns, { jobId }: AsbxCost): BookedRun | string | undefined => {
  // All runs of a hold of one task are of one job, however it is called; a row of several tasks is of none of them.
  const final = runs.filter((run) => run.final && run.tasks === 1 && (tasks === 1 || run.job_id === jobId));
  if (final.length > 1 && final.some(({ run_id }) => run_id === hold_id)) {
    return `job ${jobId} was reported by hand, and then its run ${final.find(({ run_id }) => run_id !== hold_id)?.run_id} was booked too: see which of them to correct to 0`;
  }
  const endOf = (run: BookedRun) => run.ended_at ?? run.booked_at;
  return final.toSorted((a, b) => endOf(a).localeCompare(endOf(b)) || a.booked_at.localeCompare(b.booked_at)).at(-1);
};

const withoutRun = (hold: HoldWithRuns, { jobId }: AsbxCost, { isOld }: Correction): Verdict => {
  if (hold.tasks > 1 && hold.state === 'settled') {
    return {
      problem: `all ${hold.tasks} tasks of its array are booked, and none of them as ${jobId}: name the task as its SLURM_JOB_ID does`,
    };
  }
  // As long as the hold is open, its job may still run.
  if (isOld === 'old' && hold.state !== 'open') return { problem: `no run of job ${jobId} was booked for 7 days` };
  return 'waiting';
};

const correct = async (
  api: ApiClient,
  { hold, run, cost, correction }: { hold: HoldWithRuns; run: BookedRun; cost: AsbxCost; correction: Correction },
): Promise<Verdict> => {
  const { correctionId, note } = correction;
  try {
    await api.request('correctRun', {
      path: { hold_id: hold.hold_id, run_id: run.run_id },
      body: { actual_cost: toUsd(cost.actualCost), correction_id: correctionId, note },
    });
    return 'corrected';
  } catch (error) {
    if (!isFinalRefusal(error)) throw error;
    return { problem: `the API refused its correction for good (${error.code}: ${error.message})` };
  }
};

/** A hold with all of its runs; undefined if the API does not know it. */
const readHold = async (api: ApiClient, holdId: string): Promise<HoldWithRuns | undefined> => {
  const runs: BookedRun[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < MAX_RUN_PAGES; page += 1) {
    const answer = await pageOfHold(api, holdId, cursor);
    if (answer === undefined) return undefined;
    runs.push(...answer.runs);
    cursor = answer.cursor;
    if (cursor === undefined) return { ...answer, runs };
  }
  throw failure(`hold ${holdId} has more than ${MAX_RUN_PAGES * MAX_PAGE_SIZE} runs: book the cost of its job by hand`);
};

const pageOfHold = async (api: ApiClient, holdId: string, cursor: string | undefined): Promise<HoldDetailAnswer | undefined> => {
  try {
    return await api.request('showHold', { path: { hold_id: holdId }, query: { limit: String(MAX_PAGE_SIZE), cursor } });
  } catch (error) {
    if (isFinalRefusal(error)) return undefined;
    throw error;
  }
};

/** Tasks of an array end one after another, so the last hold is asked for again and again. */
const rememberLast = <T>(read: (key: string) => Promise<T>): ((key: string) => Promise<T>) => {
  let last: { readonly key: string; readonly value: T } | undefined;
  return async (key) => {
    last = last?.key === key ? last : { key, value: await read(key) };
    return last.value;
  };
};

// --- steps: what is done to files, each of which the agent may not outlive ----------------------------------------------

export interface CostFile {
  readonly name: string;
  readonly modifiedMs: number;
  /** Changes when somebody writes it anew. */
  readonly version: string;
}

/** Tests let the agent die after each of them. */
export interface CostFileSteps {
  /** Files of ASBX's name, the oldest first. */
  list(folder: string): readonly CostFile[];
  /** The content; undefined if the file has gone; what is wrong if it can be no cost file. */
  read(path: string): string | { readonly problem: string } | undefined;
  move(folder: string, file: CostFile, to: 'booked' | 'aside'): 'moved' | 'changed';
}

export const costFileSteps: CostFileSteps = {
  list: (folder) =>
    namesIn(folder)
      .filter((name) => FILE_NAME.test(name))
      .slice(0, MAX_FILES_LISTED)
      .flatMap((name) => fileAt(folder, name) ?? [])
      .sort((a, b) => a.modifiedMs - b.modifiedMs || (a.name < b.name ? -1 : 1)),

  read: (path) => {
    if (statOrNot(path)?.isFile() === false) return { problem: 'it is no plain file' };
    try {
      const content = readPlainFile(path, { maxBytes: MAX_BODY_BYTES, links: 'refuse' });
      if (content === undefined) return { problem: 'it is no plain file' };
      return content.length > MAX_BODY_BYTES ? { problem: `it has more than ${MAX_BODY_BYTES} bytes` } : content.toString('utf8');
    } catch (error) {
      if (isFileError(error) && error.code === 'ENOENT') return undefined;
      throw error;
    }
  },

  move: (folder, file, to) => {
    if (fileAt(folder, file.name)?.version !== file.version) return 'changed';
    const place = join(folder, to);
    mkdirSync(place, { recursive: true });
    // An earlier file of the same job stays as it is: both were true in their time.
    const isFree = statOrNot(join(place, file.name)) === undefined;
    const name = isFree ? file.name : file.name.replace(/\.json$/, `.${Math.trunc(file.modifiedMs)}.json`);
    renameSync(join(folder, file.name), join(place, name));
    return 'moved';
  },
};

const fileAt = (folder: string, name: string): CostFile | undefined => {
  const found = statOrNot(join(folder, name));
  return found === undefined ? undefined : { name, modifiedMs: found.mtimeMs, version: `${found.ino}.${found.size}.${found.mtimeMs}` };
};
