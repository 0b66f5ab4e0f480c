const YEARLESS = /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d$/;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;
const DAY_MS = 86_400_000;

/**
 * When a log says something was: ISO 8601 as slurmctld and journald write it, or syslog's `Nov 25 14:00:00`. Without a zone it is
 * this machine's, as the log is best read where it was written; without a year, the latest that is not ahead.
 * @returns milliseconds since 1970, or null if it is no time
 */
export const logTimeMs = (text: string, nowMs: number): number | null => {
  if (ISO.test(text)) return orNull(Date.parse(text.replace(',', '.').replace(/([+-]\d\d)(\d\d)$/, '$1:$2')));
  if (!YEARLESS.test(text)) return null;
  const year = new Date(nowMs).getFullYear();
  const thisYear = Date.parse(`${text} ${year}`);
  return orNull(thisYear > nowMs + DAY_MS ? Date.parse(`${text} ${year - 1}`) : thisYear);
};

const orNull = (ms: number): number | null => (Number.isNaN(ms) ? null : ms);
