// The clock on the wall and real randomness.
import { createHash, randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicFactory } from 'ulid';
import type { Clock, Ids } from '#app/ports';

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await sleep(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      if (!signal?.aborted) throw error; // Being woken early is what the signal is for.
    }
  },
};

export const createIds = (): Ids => {
  const ulid = monotonicFactory();
  return {
    holdId: () => randomUUID(),
    entryId: (at) => ulid(at),
    sha256: (text) => createHash('sha256').update(text, 'utf8').digest('hex'),
    random: () => randomInt(2 ** 32) / 2 ** 32,
  };
};
