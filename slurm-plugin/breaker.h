// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stops asking an API that does not answer. Opens on the first timeout, because a timeout costs the whole cluster TimeoutMs, or on
 * some other errors in a row. Only a probe closes it, never a submission. Time is told to it. Lock-free.
 */
#ifndef ASBB_BREAKER_H
#define ASBB_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "rc.h"

struct asbb_breaker {
	int failures_max;
	int64_t wait_ms;
	atomic_bool open;
	atomic_int failures;
	atomic_llong probe_at_ms;
};

/*
 * Make a closed breaker.
 * Takes the errors in a row that open it, and the milliseconds between probes. Cannot fail.
 */
void asbb_breaker_init(struct asbb_breaker *breaker, int failures_max, int64_t wait_ms);

/*
 * Tell whether a submission may ask.
 * Takes nothing of the time: however long it was open, only a probe closes it. Cannot fail.
 */
bool asbb_breaker_allows(struct asbb_breaker *breaker);

/*
 * Learn what came of asking. What says nothing about the API's health (403, no credentials) counts neither way.
 * Takes the rc and the monotonic time.
 * Returns true if this opened the breaker, so that one line is logged and not a thousand.
 */
bool asbb_breaker_record(struct asbb_breaker *breaker, enum asbb_rc rc, int64_t now_ms);

/*
 * Tell whether it is time for the background thread to probe.
 * Takes the monotonic time. Cannot fail.
 */
bool asbb_breaker_is_probe_due(struct asbb_breaker *breaker, int64_t now_ms);

/*
 * Learn what came of a probe: an answer closes the breaker, anything else puts the next probe off.
 * Takes whether the API answered, and the monotonic time.
 * Returns true if this closed the breaker.
 */
bool asbb_breaker_probed(struct asbb_breaker *breaker, bool answered, int64_t now_ms);

#endif
