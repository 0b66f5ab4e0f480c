import { logTimeMs } from '#cli/shadow-report/log-time';
import { type MicroUsd, parseUsd } from '#domain/money';

/** What the plugin would have done with one job, had it enforced. */
export interface ShadowLine {
  /** As the log has it; null where its log has no times. */
  readonly at: string | null;
  readonly atMs: number | null;
  readonly would: string;
  readonly user: string;
  readonly account: string;
  readonly partition: string;
  readonly cost: MicroUsd;
  readonly hold: MicroUsd;
  /** The API's code, else what became of the call; `-` if there is nothing to say. */
  readonly reason: string;
  readonly message: string;
}

/** Before ours there is slurmctld's time, or what syslog or journald (-o short, short-iso) put there. A job's own words may be in the log
 * too, so our line begins where these end. */
const BEGIN =
  /^(?:\[([^\]]{1,40})\] |([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.,]{8,18}(?:Z|[+-]\d\d:?\d\d)?) \S{1,255} slurmctld(?:\[\d{1,10}\])?: )?(?:[\w./]{1,40}: ){0,3}asbb: shadow /;
const FIELDS =
  /^would=([a-z_]+) user=(\S+) account=(\S+) partition=(\S+) cost=(\S+) hold=(\S+) left=\S+ rc=(\S+) status=\d+ code=(\S+) ms=\d+ message="(.*)"\s*$/;

/**
 * One line of slurmctld's log; `_log_shadow` in slurm-plugin/guard.c writes it.
 * @returns undefined if it is about something else, 'unreadable' if it is ours but torn
 */
export const readShadowLine = (line: string, nowMs: number): ShadowLine | 'unreadable' | undefined => {
  const begin = BEGIN.exec(line);
  if (begin === null) return undefined;
  const fields = FIELDS.exec(line.slice(begin[0].length));
  if (fields === null) return 'unreadable';
  const [, would = '', user = '', account = '', partition = '', cost = '', hold = '', rc = '', code = '', message = ''] = fields;
  try {
    const at = begin[1] ?? begin[2] ?? null;
    return {
      at,
      atMs: at === null ? null : logTimeMs(at, nowMs),
      would,
      user,
      account,
      partition,
      cost: amountOf(cost),
      hold: amountOf(hold),
      reason: reasonOf({ would, rc, code }),
      message,
    };
  } catch {
    return 'unreadable';
  }
};

const amountOf = (text: string): MicroUsd => (text === '-' ? 0n : parseUsd(text));

const reasonOf = ({ would, rc, code }: { would: string; rc: string; code: string }): string => {
  if (code !== '-') return code;
  return would === 'admit' || would === 'pass' ? '-' : rc;
};
