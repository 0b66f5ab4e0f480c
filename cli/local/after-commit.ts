// The table's stream without AWS: what was booked is followed as soon as it is committed, and what a crash left out is caught up
// from the ledger at the next start.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { countUsage } from '#app/count-usage';
import { type BudgetStore, type Change, type Clock, type Page, type PageRequest, StoreUnavailable, type World } from '#app/ports';
import { STREAM_BATCH_SIZE } from '#contract/events';
import type { Entry, Instant } from '#domain/ledger';
import { usageOf } from '#domain/usage';

const PAGE_SIZE = 500;
/** What was dated just before may not be followed yet; and the clock of this machine may have been set back. */
const MARGIN_MS = 3_600_000;

export interface FollowerOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** @returns the place of the first change that failed */
  readonly follow: (changes: readonly Change[]) => Promise<number | undefined>;
  /** Counts all that the ledger has since then, whether it was followed or not. */
  readonly catchUp: (from: Instant) => Promise<unknown>;
  readonly progress: Progress;
  readonly say: (line: string) => void;
}

/** Until when all is followed. */
export interface Progress {
  read(): Instant;
  write(at: Instant): void;
}

export interface CommitFollower {
  /** The same store, whose bookings are followed before they are answered: so usage is never behind what somebody was told. */
  through(store: BudgetStore): BudgetStore;
  /** Catches up with what is missing, if anything is, and notes how far all is followed. Once at start, and then every minute. */
  keep(): Promise<void>;
}

export const createCommitFollower = ({ clock, follow, catchUp, progress, say }: FollowerOptions): CommitFollower => {
  /** From when on something may not be followed; undefined if all is. */
  let missingFrom: Instant | undefined = progress.read();
  const isMissing = (from: Instant): void => {
    missingFrom = Math.min(missingFrom ?? from, from);
  };

  let waiting: { readonly change: Change; readonly done: () => void }[] = [];
  let isWorking = false;
  const workOff = async (): Promise<void> => {
    if (isWorking) return;
    isWorking = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, STREAM_BATCH_SIZE);
      waiting = waiting.slice(STREAM_BATCH_SIZE);
      const since = clock.now();
      const failedAt = await follow(batch.map(({ change }) => change)).catch(() => 0);
      if (failedAt !== undefined) isMissing(since);
      for (const { done } of batch) done();
    }
    isWorking = false;
  };
  /** One batch at a time: side by side they would only meet on the same rows. */
  const followed = async (entries: readonly Entry[]): Promise<void> => {
    const all = entries.map((entry) => new Promise<void>((done) => waiting.push({ change: { kind: 'entry', entry }, done })));
    void workOff();
    await Promise.all(all);
  };

  return {
    through: (store) => ({
      ...store,
      commit: async (booking) => {
        try {
          const outcome = await store.commit(booking);
          // Nobody listens to events here, so what adds nothing to usage needs no following.
          const entries = booking.entries.filter((entry) => usageOf(entry).length > 0);
          if (outcome.booked && entries.length > 0) await followed(entries);
          return outcome;
        } catch (error) {
          if (error instanceof StoreUnavailable) isMissing(clock.now()); // It may have been booked all the same.
          throw error;
        }
      },
    }),

    keep: async () => {
      const at = clock.now();
      const from = missingFrom;
      missingFrom = undefined;
      try {
        if (from !== undefined) await catchUp(from - MARGIN_MS);
        if (missingFrom === undefined) progress.write(at);
      } catch (error) {
        isMissing(from ?? at);
        say(`usage is not up to date, and is tried again in a minute: ${error instanceof Error ? error.message : error}`);
      }
    },
  };
};

/** Count every entry of every ledger since `from`. Those that are counted already change nothing. */
export const countLedgers = async (world: World, from: Instant): Promise<void> => {
  const { store } = world;
  const to = world.clock.now() + MARGIN_MS;
  for await (const accounts of pagesOf((page) => store.listAccounts(page))) {
    for (const { account, createdAt } of accounts) {
      const time = { from: Math.max(from, createdAt), to };
      for await (const entries of pagesOf((page) => store.listEntries({ account, ...time }, page))) await countUsage(world, entries);
    }
  }
};

async function* pagesOf<T>(list: (page: PageRequest) => Promise<Page<T>>): AsyncGenerator<readonly T[]> {
  let cursor: string | undefined;
  do {
    const page = await list({ limit: PAGE_SIZE, ...(cursor === undefined ? {} : { cursor }) });
    yield page.items;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** In a small file beside the data. Losing it costs a look at the whole ledger, because nothing there forgets what was counted. */
export const progressIn = (directory: string): Progress => {
  const file = join(directory, 'usage-counted-until');
  return {
    read: () => {
      try {
        return Date.parse(readFileSync(file, 'utf8').trim()) || 0;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
        throw error;
      }
    },
    write: (at) => {
      writeFileSync(`${file}.new`, `${new Date(at).toISOString()}\n`);
      renameSync(`${file}.new`, file);
    },
  };
};

/** Where there is no folder. A table of somebody else's may forget after two days what was counted, so the last day is looked at. */
export const progressOfLastDay = (clock: Pick<Clock, 'now'>): Progress => ({
  read: () => clock.now() - 24 * 3_600_000,
  write: () => undefined,
});
