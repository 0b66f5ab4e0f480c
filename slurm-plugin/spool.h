// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What was let in without an answer (FailMode=open), for the agent to turn into forced holds. Append-only, on storage that both
 * controllers share. One JSON object a line:
 * {"time":"2026-01-31T12:00:00Z","hold_id":UUID,"reason":"timeout","job":{...as for POST /budget/check, cluster included}}
 * A reader takes it over so: rename it, then flock() it, then read whole lines until the end, then remove it.
 */
#ifndef ASBB_SPOOL_H
#define ASBB_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "rc.h"

#define ASBB_SPOOL_MAX	16777216	/* bytes; beyond it nobody has drained for some 30,000 jobs */
#define ASBB_SPOOL_LOCK_MS 200		/* at most this long for the lock, however often the file is replaced */
#define ASBB_SPOOL_LINE_S 1	/* at most this long for other threads of ours, in seconds */

/*
 * Append one line and have it on disk (fsync) before returning. Thread-safe. The file is made with mode 600 if it is not there; a symbolic
 * link, another's file, one that others may write, or more than max bytes are refused.
 * Takes whole lines that end in a line feed.
 * Returns ASBB_OK, or ASBB_ERROR with a sentence in error; nothing is left of a line that failed.
 */
enum asbb_rc asbb_spool_append(const char *path, size_t max, const char *text, size_t len, char error[ASBB_ERROR_MAX]);

/*
 * Tell whether the spool could be written: opens and locks it as an append would, and writes nothing.
 * Takes the path; makes the file if it is not there.
 * Returns ASBB_OK, or ASBB_ERROR with a sentence in error.
 */
enum asbb_rc asbb_spool_check(const char *path, char error[ASBB_ERROR_MAX]);

#endif
