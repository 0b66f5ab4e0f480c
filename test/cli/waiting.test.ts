import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runAsbb } from '#cli/commands/program';
import { withWaiting } from '#cli/waiting';
import { anAccountAnswer } from '#test/cli/answers';
import { aMachine } from '#test/cli/machine';

// What is loaded when it is needed takes real time.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] }));
afterEach(() => void vi.useRealTimers());

const CLEAR = '\r\u001b[K';
/** Answers after so long. */
const slowly =
  (ms: number, body: unknown = {}): typeof fetch =>
  () =>
    new Promise((answer) => setTimeout(() => answer(new Response(JSON.stringify(body))), ms));
const aTerminal = () => {
  const pieces: string[] = [];
  return { write: (piece: string) => void pieces.push(piece), shown: () => pieces.join('') };
};

describe('waiting', () => {
  it('is not mentioned within the first second', async () => {
    const terminal = aTerminal();
    const answer = withWaiting(slowly(900), terminal)('http://x');
    await vi.advanceTimersByTimeAsync(5_000);
    await answer;
    expect(terminal.shown()).toBe('');
  });

  it('is shown after it, moves, and leaves no trace', async () => {
    const terminal = aTerminal();
    const answer = withWaiting(slowly(1_250), terminal)('http://x');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(terminal.shown()).toBe(`${CLEAR}asbb: waiting for the API -`);
    await vi.advanceTimersByTimeAsync(5_000);
    await answer;
    expect(terminal.shown()).toBe(
      `${CLEAR}asbb: waiting for the API -${CLEAR}asbb: waiting for the API \\${CLEAR}asbb: waiting for the API |${CLEAR}`,
    );
  });

  it('of many short requests is one wait, and says how far it is', async () => {
    const terminal = aTerminal();
    const ask = withWaiting(slowly(400), terminal);
    const all = (async () => {
      for (let page = 0; page < 4; page += 1) await ask('http://x');
    })();
    await vi.advanceTimersByTimeAsync(3_000);
    await all;
    expect(terminal.shown()).toContain('asbb: waiting for the API (2 requests answered) -');
    expect(terminal.shown()).toContain('asbb: waiting for the API (3 requests answered) -');
    expect(terminal.shown().endsWith(CLEAR)).toBe(true);
  });

  it('begins anew after a pause', async () => {
    const terminal = aTerminal();
    const ask = withWaiting(slowly(400), terminal);
    const all = (async () => {
      for (let pass = 0; pass < 4; pass += 1) {
        await ask('http://x');
        await new Promise((wake) => setTimeout(wake, 2_000));
      }
    })();
    await vi.advanceTimersByTimeAsync(12_000);
    await all;
    expect(terminal.shown()).toBe('');
  });

  it('ends where nobody answers, too', async () => {
    const terminal = aTerminal();
    const failing = withWaiting(
      () => new Promise((_, fail) => setTimeout(() => fail(new TypeError('fetch failed')), 1_500)),
      terminal,
    )('http://x');
    const refused = expect(failing).rejects.toThrow('fetch failed');
    await vi.advanceTimersByTimeAsync(2_000);
    await refused;
    expect(terminal.shown().endsWith(CLEAR)).toBe(true);
  });

  it.each([
    ['on a terminal', { isTerminal: true }, {}, [], true],
    ['not on a pipe', { isTerminal: false }, {}, [], false],
    ['not with --quiet', { isTerminal: true }, {}, ['--quiet'], false],
    ['not on a terminal that takes nothing back', { isTerminal: true }, { TERM: 'dumb' }, [], false],
  ])('is shown %s', async (_, kind, env, args, isShown) => {
    const machine = aMachine({
      fetch: slowly(1_500, { accounts: [anAccountAnswer()] }),
      env: { ASBB_ENDPOINT: 'http://127.0.0.1:8080', ...env },
    });
    const ending = runAsbb(['account', 'list', ...args], { ...machine, stderr: { ...machine.stderr, ...kind } });
    let isOver = false;
    void ending.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      await new Promise(setImmediate);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(await ending).toBe(0);
    expect(machine.err().includes('waiting for the API')).toBe(isShown);
    expect(machine.out()).toContain('proj001');
  });
});
