// The advisor over HTTP. Whatever it does, or does not, is an outcome: who asks goes on with another price.
import { ANALYZE_PATH, adviceIn, MAX_ANSWER_BYTES, questionBody } from '#adapters/advisor-wire';
import { createBreaker, type Ending } from '#adapters/breaker';
import type { Advice, Advisor, AdvisorQuestion, Clock, Ids } from '#app/ports';
import type { Instant } from '#domain/ledger';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_000;
/** A timeout means something only if there was time: a request near its deadline has less, and then its advisor is not to blame. */
const FAIR_WAIT_MS = 250;

/** The bearer key, wherever it is kept. */
export interface AdvisorKey {
  read(): Promise<string>;
  /** After the advisor did not take `stale`: the key as it is now. */
  reread(stale: string): Promise<string>;
}

export interface HttpAdvisorOptions {
  readonly url: string;
  /** Absent: the advisor asks for none. */
  readonly key?: AdvisorKey;
  /** For one try, where whoever asks would wait longer. */
  readonly timeoutMs?: number;
  readonly clock: Clock;
  readonly ids: Pick<Ids, 'random'>;
}

/** One try: what came of it, whether another may do better, and what the breaker makes of it. */
interface Attempt {
  readonly advice: Advice;
  readonly isPassing: boolean;
  readonly ending: Ending;
}

/** @param options where it is, and what it takes. Nothing is connected, and no key is read, before the first question. */
export const createHttpAdvisor = ({ url, key, timeoutMs = Number.POSITIVE_INFINITY, clock, ids }: HttpAdvisorOptions): Advisor => {
  const endpoint = `${url.replace(/\/+$/, '')}${ANALYZE_PATH}`;
  const breaker = createBreaker(clock);

  const tryOnce = async (body: string, until: Instant): Promise<Attempt> => {
    const allowedMs = Math.min(until - clock.now(), timeoutMs);
    if (allowedMs <= 0) return { advice: notBelieved('not asked: no time is left'), isPassing: false, ending: 'answered' };
    if (!breaker.mayTry()) return notAsked;
    const attempt = await within(clock, { ms: allowedMs, fairMs: Math.min(FAIR_WAIT_MS, timeoutMs) }, (under) =>
      exchange({ endpoint, key, body }, under),
    );
    breaker.ended(attempt.ending);
    return attempt;
  };

  return {
    ask: async (question: AdvisorQuestion, { until, maxTries }) => {
      const body = questionBody(question);
      for (let tries = 1; ; tries++) {
        const { advice, isPassing } = await tryOnce(body, until);
        const pauseMs = ids.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** tries);
        if (!isPassing || tries >= maxTries || clock.now() + pauseMs >= until) return advice;
        await clock.sleep(pauseMs);
      }
    },
  };
};

const notBelieved = (outcome: string): Advice => ({ believed: false, outcome });

const notAsked: Attempt = {
  advice: notBelieved('not asked: it did not answer a moment ago'),
  isPassing: false,
  ending: 'answered',
};

const failed = (outcome: string, { isPassing }: { isPassing: boolean }): Attempt => ({
  advice: notBelieved(outcome),
  isPassing,
  ending: 'failed',
});

/** An attempt while it runs: it is to end on the signal, and says when it has sent something. */
interface UnderWay {
  readonly signal: AbortSignal;
  isSent: boolean;
}

/** The attempt, or a timeout as soon as the clock has gone on by so much; then nothing is waited for, whatever it is. */
const within = async (
  clock: Clock,
  { ms, fairMs }: { ms: number; fairMs: number },
  attempt: (underWay: UnderWay) => Promise<Attempt>,
): Promise<Attempt> => {
  const over = new AbortController();
  const settled = new AbortController();
  const underWay: UnderWay = { signal: over.signal, isSent: false };
  const late = clock.sleep(ms, settled.signal).then((): Attempt => {
    // A key takes its time where a process has just started: the next question finds it, so it must not be put off.
    if (!underWay.isSent) return failed(`not asked: its key was not read within ${Math.floor(ms)} ms`, { isPassing: false });
    const timedOut = failed(`no answer within ${Math.floor(ms)} ms`, { isPassing: false });
    return ms < fairMs ? timedOut : { ...timedOut, ending: 'timed out' };
  });
  try {
    return await Promise.race([attempt(underWay), late]);
  } finally {
    settled.abort();
    over.abort();
  }
};

interface Exchange {
  readonly endpoint: string;
  readonly key: AdvisorKey | undefined;
  readonly body: string;
}

const exchange = async (asked: Exchange, underWay: UnderWay): Promise<Attempt> => {
  const first = await keyFrom(() => asked.key?.read());
  if (first instanceof Error) return keyless(first);
  const response = await post(asked, first, underWay);
  if (asked.key === undefined || first === undefined || response instanceof Error || response.status !== 401) return attemptOf(response);
  await drop(response);
  const second = await keyFrom(() => asked.key?.reread(first));
  if (second instanceof Error) return keyless(second);
  return second === first ? keyNotTaken : attemptOf(await post(asked, second, underWay));
};

const keyNotTaken = failed('answered 401: it does not take our key', { isPassing: false });

/** The reason is for the log of whoever reads keys, and not for users. */
const keyless = ({ name }: Error): Attempt => failed(`not asked: its key could not be read (${name})`, { isPassing: true });

const keyFrom = async (read: () => Promise<string> | undefined): Promise<string | undefined | Error> => {
  try {
    return await read();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

const post = async ({ endpoint, body }: Exchange, key: string | undefined, underWay: UnderWay): Promise<Response | Error> => {
  const headers = { 'content-type': 'application/json', accept: 'application/json', ...(key && { authorization: `Bearer ${key}` }) };
  underWay.isSent = true;
  try {
    // Whoever follows a redirect sends key and script to somebody whom no administrator has named.
    return await fetch(endpoint, { method: 'POST', redirect: 'manual', headers, body, signal: underWay.signal });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
};

const attemptOf = async (response: Response | Error): Promise<Attempt> => {
  if (response instanceof Error) return unreachable(response);
  const { status } = response;
  if (!response.ok) {
    await drop(response);
    if (status >= 300 && status < 400) return failed(`answered with a redirect (${status})`, { isPassing: false });
    if (status === 401) return keyNotTaken;
    const aboutTheJob = status === 400 || status === 413 || status === 422;
    return { ...failed(`answered ${status}`, { isPassing: status >= 500 || status === 429 }), ending: aboutTheJob ? 'answered' : 'failed' };
  }
  const text = await boundedText(response);
  if (text instanceof Error) return unreachable(text);
  if (text === undefined) return failed(`answered with more than ${MAX_ANSWER_BYTES} bytes`, { isPassing: false });
  const advice = adviceIn(text);
  return 'unreadable' in advice ? failed(advice.unreadable, { isPassing: false }) : { advice, isPassing: false, ending: 'answered' };
};

/** `fetch failed` says nothing: its cause has the system's word. */
const unreachable = ({ name, cause }: Error): Attempt => {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : name;
  return failed(`no answer (${code})`, { isPassing: true });
};

/** The body, or undefined as soon as it is too long to be read. */
const boundedText = async (response: Response): Promise<string | undefined | Error> => {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > MAX_ANSWER_BYTES) return undefined; // Leaving the loop cancels the rest.
      chunks.push(chunk);
    }
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
  return Buffer.concat(chunks).toString('utf8');
};

/** An unread body keeps its connection. */
const drop = async (response: Response): Promise<void> => {
  try {
    await response.body?.cancel();
  } catch {
    // It has gone by itself.
  }
};
