// The trace that `npm start` replays: the figures of a real Slurm cluster's accounting, one line a run.
import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';

export interface TraceRun {
  readonly runId: string;
  readonly elapsedSeconds: number;
  /** Seconds from the first submission of the trace. */
  readonly endedAt: number;
}

export interface Submission {
  readonly id: string;
  readonly account: string;
  readonly user: string;
  readonly partition: string;
  readonly nodes: number;
  readonly wallTimeSeconds: number;
  /** Seconds from the first submission of the trace. */
  readonly submittedAt: number;
  /** One of a plain job, many of an array. */
  readonly runs: readonly TraceRun[];
}

const TRACE = new URL('../../test/fixtures/eagle-trace.csv', import.meta.url);

/** All submissions, in the order of the trace. */
export const readTrace = (): Submission[] => {
  const rows = parse(readFileSync(TRACE), { columns: true, comment: '#' }) as Record<string, string>[];
  const submissions = new Map<string, Submission & { runs: TraceRun[] }>();
  rows.forEach((row, index) => {
    const text = (name: string): string => {
      const value = row[name];
      if (value === undefined) throw new Error(`the trace lacks ${name} in run ${index + 1}`);
      return value;
    };
    const id = text('submission');
    const submission = submissions.get(id) ?? {
      id,
      account: text('account'),
      user: text('user'),
      partition: text('partition'),
      nodes: Number(text('nodes')),
      wallTimeSeconds: Number(text('wall_time_s')),
      submittedAt: Number(text('submitted_s')),
      runs: [],
    };
    const elapsedSeconds = Number(text('elapsed_s'));
    submission.runs.push({ runId: `eagle-${index + 1}`, elapsedSeconds, endedAt: Number(text('started_s')) + elapsedSeconds });
    submissions.set(id, submission);
  });
  return [...submissions.values()];
};
