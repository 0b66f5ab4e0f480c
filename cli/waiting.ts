// Says on a terminal that somebody is waited for, once a command has waited for a second; and leaves no trace of it.
import type { Output } from '#cli/context';

const PATIENCE_MS = 1_000;
const FRAME_MS = 120;
const FRAMES = ['-', '\\', '|', '/'] as const;
const CLEAR_LINE = '\r\u001b[K';

/** The same fetch. Several at once, or one after the other, are one wait. */
export const withWaiting = (ask: typeof fetch, terminal: Pick<Output, 'write'>): typeof fetch => {
  let pending = 0;
  let answered = 0;
  let patience: 'asleep' | 'awake' | 'over' = 'asleep';
  let spinning: NodeJS.Timeout | undefined;
  let rest: NodeJS.Timeout | undefined;

  const spin = (): void => {
    let frame = 0;
    const draw = (): void => {
      const requests = answered === 0 ? '' : ` (${answered} requests answered)`;
      terminal.write(`${CLEAR_LINE}asbb: waiting for the API${requests} ${FRAMES[frame % FRAMES.length]}`);
      frame += 1;
    };
    draw();
    spinning = setInterval(draw, FRAME_MS);
    spinning.unref();
  };
  const wake = (): void => {
    patience = 'awake';
    setTimeout(() => {
      patience = 'over';
      if (pending > 0) spin();
    }, PATIENCE_MS).unref();
  };
  const began = (): void => {
    pending += 1;
    clearTimeout(rest);
    if (patience === 'asleep') wake();
    else if (patience === 'over' && spinning === undefined) spin();
  };
  const ended = (): void => {
    pending -= 1;
    answered += 1;
    if (pending > 0) return;
    // Whoever comes back later, as an agent does, is a new wait.
    rest = setTimeout(() => {
      patience = 'asleep';
      answered = 0;
    }, PATIENCE_MS).unref();
    if (spinning === undefined) return;
    clearInterval(spinning);
    spinning = undefined;
    terminal.write(CLEAR_LINE);
  };
  return async (...request) => {
    began();
    try {
      return await ask(...request);
    } finally {
      ended();
    }
  };
};
