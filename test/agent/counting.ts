// A cluster for counting: it shows what it is given, and counts what it is asked. And a service that counts requests.
import type { AccountedRun, ClusterFacts, QueuedJob, Slurm } from '#cli/agent/ports';
import type { StateFile } from '#cli/agent/state';
import type { ApiClient } from '#cli/api-client';
import type { Operation } from '#contract/routes';
import { createService } from '#test/agent/service';

export const CLUSTER = 'local';

export type Counted = Record<string, number>;

const count = (counted: Counted, what: string): void => {
  counted[what] = (counted[what] ?? 0) + 1;
};

export interface CountingService {
  readonly api: ApiClient;
  readonly now: () => number;
  advance(ms: number): void;
  /** Requests by operation since this was last asked. */
  asked(): Partial<Record<Operation, number>>;
}

/** The service in memory, at a time that stands still. */
export const aCountingService = (startMs: number): CountingService => {
  let now = startMs;
  let counted: Counted = {};
  const service = createService(() => now);
  return {
    api: {
      endpoint: service.api.endpoint,
      request: (operation, request) => {
        count(counted, operation);
        service.requests.length = 0;
        return service.api.request(operation, request);
      },
    },
    now: () => now,
    advance: (ms) => {
      now += ms;
    },
    asked: () => {
      const asked = counted;
      counted = {};
      return asked;
    },
  };
};

export interface CountingSlurm extends Slurm {
  /** Calls by command since this was last asked. */
  called(): Counted;
}

/** What it shows is asked for at each call, so that a test may change it. */
export const aCountingSlurm = (shows: {
  readonly queue: () => Iterable<QueuedJob>;
  readonly ended?: () => Iterable<AccountedRun>;
  readonly facts?: Partial<ClusterFacts>;
}): CountingSlurm => {
  let counted: Counted = {};
  const facts = { clusterName: CLUSTER, hasAccounting: true, minJobAgeSeconds: 300, bootedAt: 0, showsAllJobs: true, ...shows.facts };
  return {
    facts: async () => {
      count(counted, 'scontrol');
      return facts;
    },
    queue: async (onJob) => {
      count(counted, 'squeue');
      for (const job of shows.queue()) onJob(job);
    },
    endedRuns: async ({ from, to }, onRun) => {
      count(counted, 'sacct');
      for (const run of shows.ended?.() ?? []) if (run.endedAt !== null && run.endedAt >= from && run.endedAt < to) onRun(run);
    },
    runsOf: async (ids, onRun) => {
      count(counted, 'sacct -j');
      const wanted = new Set(ids);
      for (const run of shows.ended?.() ?? []) if (wanted.has(run.submissionId)) onRun(run);
    },
    accountingBacklog: async () => {
      count(counted, 'sdiag');
      return 0;
    },
    called: () => {
      const called = counted;
      counted = {};
      return called;
    },
  };
};

/** A state file in memory. */
export const aStateInMemory = (first?: ReturnType<StateFile['read']>): StateFile => {
  let state = first;
  return {
    read: () => state,
    write: (next) => {
      state = next;
    },
  };
};
