// SPDX-License-Identifier: GPL-2.0-or-later
/* What came of an attempt. Below ASBB_NO_ANSWER the word is final; from there on nobody told us, and FailMode decides. */
#ifndef ASBB_RC_H
#define ASBB_RC_H

#include <stdbool.h>

enum asbb_rc {
	ASBB_OK = 0,		/* done; of an answer: available */
	ASBB_DENIED,		/* the API answered, and the answer is no */
	ASBB_REJECTED,		/* the API answered that it cannot serve this request: 4xx but for 403, 408, 425 and 429 */
	ASBB_INVALID,		/* what we were given cannot be used, so nobody was asked */
	ASBB_TIMEOUT = 100,	/* from here on we got no answer */
	ASBB_UNREACHABLE,
	ASBB_BAD_RESPONSE,	/* an answer that we cannot read, or do not believe */
	ASBB_UNAVAILABLE,	/* the API answered 5xx, 429, 3xx: not now */
	ASBB_FORBIDDEN,		/* 403: our credentials, or what they allow */
	ASBB_NO_CREDENTIALS,
	ASBB_BREAKER_OPEN,	/* not asked, because the API did not answer of late */
	ASBB_NOMEM,
	ASBB_ERROR,		/* anything else; the value that rc starts with */
};

#define ASBB_NO_ANSWER ASBB_TIMEOUT

static inline bool asbb_rc_is_final(enum asbb_rc rc)
{
	return rc < ASBB_NO_ANSWER;
}

/*
 * Name an rc in one word, for logs and the spool ("timeout", "unreachable", ...).
 * Takes any value; gives a constant string, never NULL.
 */
const char *asbb_rc_name(enum asbb_rc rc);

#endif
