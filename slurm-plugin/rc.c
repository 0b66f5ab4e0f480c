// SPDX-License-Identifier: GPL-2.0-or-later
#include "rc.h"

const char *asbb_rc_name(enum asbb_rc rc)
{
	switch (rc) {
	case ASBB_OK:
		return "ok";
	case ASBB_DENIED:
		return "denied";
	case ASBB_REJECTED:
		return "rejected";
	case ASBB_INVALID:
		return "invalid";
	case ASBB_TIMEOUT:
		return "timeout";
	case ASBB_UNREACHABLE:
		return "unreachable";
	case ASBB_BAD_RESPONSE:
		return "bad_response";
	case ASBB_UNAVAILABLE:
		return "unavailable";
	case ASBB_FORBIDDEN:
		return "forbidden";
	case ASBB_NO_CREDENTIALS:
		return "no_credentials";
	case ASBB_BREAKER_OPEN:
		return "breaker_open";
	case ASBB_NOMEM:
		return "no_memory";
	case ASBB_ERROR:
		break;
	}
	return "error";
}
