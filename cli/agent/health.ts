// A small file that says how the agent is: for monitoring, and for `asbb doctor`.
import type { PassReport } from '#cli/agent/agent';
import { writeAtomically } from '#cli/agent/state';
import { VERSION } from '#contract/version';

/** A report in the words of the wire, for programs. */
export const wireReportOf = ({ counts: { keptAside, ...counts }, unknownAccounts, watermark, ...report }: PassReport) => ({
  ...report,
  watermark: new Date(watermark * 1000).toISOString(),
  ...counts,
  kept_aside: keptAside,
  unknown_accounts: unknownAccounts,
});

/** Writes the file after each pass. */
export const createHealthFile = (path: string, now: () => number) => {
  let passes = 0;
  let failures = 0;
  let last: PassReport | undefined;
  let lastPassAt: string | null = null;
  const write = (problem: string | null): void => {
    const health = {
      ok: problem === null && (last?.problems.length ?? 0) === 0,
      at: new Date(now()).toISOString(),
      version: VERSION,
      passes,
      failures_in_a_row: failures,
      problem,
      last_pass_at: lastPassAt,
      last_pass: last === undefined ? null : wireReportOf(last),
    };
    writeAtomically(path, `${JSON.stringify(health, null, 2)}\n`);
  };
  return {
    passed: (report: PassReport): void => {
      passes += 1;
      failures = 0;
      last = report;
      lastPassAt = new Date(now()).toISOString();
      write(null);
    },
    failed: (problem: string): void => {
      failures += 1;
      write(problem);
    },
  };
};
