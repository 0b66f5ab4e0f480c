// SPDX-License-Identifier: GPL-2.0-or-later
#include "breaker.h"

void asbb_breaker_init(struct asbb_breaker *breaker, int failures_max, int64_t wait_ms)
{
	breaker->failures_max = failures_max;
	breaker->wait_ms = wait_ms;
	atomic_init(&breaker->open, false);
	atomic_init(&breaker->failures, 0);
	atomic_init(&breaker->probe_at_ms, 0);
}

bool asbb_breaker_allows(struct asbb_breaker *breaker)
{
	return !atomic_load(&breaker->open);
}

static bool _open(struct asbb_breaker *breaker, int64_t now_ms)
{
	/* The time first: whoever sees the breaker open must not see an old one. */
	if (atomic_load(&breaker->open))
		return false;
	atomic_store(&breaker->probe_at_ms, now_ms + breaker->wait_ms);
	return !atomic_exchange(&breaker->open, true);
}

bool asbb_breaker_record(struct asbb_breaker *breaker, enum asbb_rc rc, int64_t now_ms)
{
	switch (rc) {
	case ASBB_OK:
	case ASBB_DENIED:
	case ASBB_REJECTED:
		/* An answer that was under way when the breaker opened does not close it. */
		atomic_store(&breaker->failures, 0);
		return false;
	case ASBB_TIMEOUT:
		return _open(breaker, now_ms);
	case ASBB_UNREACHABLE:
	case ASBB_BAD_RESPONSE:
	case ASBB_UNAVAILABLE:
		if (atomic_fetch_add(&breaker->failures, 1) + 1 >= breaker->failures_max)
			return _open(breaker, now_ms);
		return false;
	case ASBB_INVALID:
	case ASBB_FORBIDDEN:
	case ASBB_NO_CREDENTIALS:
	case ASBB_BREAKER_OPEN:
	case ASBB_NOMEM:
	case ASBB_ERROR:
		break;
	}
	return false;
}

bool asbb_breaker_is_probe_due(struct asbb_breaker *breaker, int64_t now_ms)
{
	return atomic_load(&breaker->open) && now_ms >= atomic_load(&breaker->probe_at_ms);
}

bool asbb_breaker_probed(struct asbb_breaker *breaker, bool answered, int64_t now_ms)
{
	if (!answered) {
		atomic_store(&breaker->probe_at_ms, now_ms + breaker->wait_ms);
		return false;
	}
	atomic_store(&breaker->failures, 0);
	return atomic_exchange(&breaker->open, false);
}
