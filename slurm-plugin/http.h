// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HTTP within a deadline, over a few connections that are kept alive (a new TLS handle costs some 33 ms, a kept one 0.15 ms).
 * Knows nothing of budgets. A connection, and the buffers in it, are allocated once.
 */
#ifndef ASBB_HTTP_H
#define ASBB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "rc.h"
#include "request.h"

#define ASBB_HTTP_HEADERS_MAX	8
#define ASBB_HTTP_HEADER_BYTES_MAX 32768	/* of an answer */
#define ASBB_HTTP_ADDRESSES_MAX	8

struct asbb_http;
struct asbb_connection;

struct asbb_http_options {
	int connections;
	int connect_timeout_ms;
	const char *ca_file;	/* NULL or "": the system's */
	/*
	 * "host[:port]" of the one URL prefix that will be called, or NULL. Its name is then looked up by
	 * asbb_http_resolve() only: a libcurl that waits for a name server may wait past its timeout.
	 */
	const char *pinned_host;
	bool is_https;		/* of the pinned host: its port, if it names none */
};

struct asbb_http_request {
	const char *method;	/* GET, POST, PUT */
	const char *url;
	const char *const *headers;	/* "name: value", at most ASBB_HTTP_HEADERS_MAX */
	size_t header_count;
	const char *body;	/* of POST and PUT */
	size_t body_len;
};

struct asbb_http_answer {
	int status;
	const char *body;	/* in the connection: read it before asbb_http_give(); ends in NUL behind len bytes */
	size_t len;
	long connects;		/* connections that were made for this call: 0 if one was kept alive */
};

/*
 * The monotonic clock, in milliseconds. Deadlines are points on it.
 * Cannot fail.
 */
int64_t asbb_monotonic_ms(void);

/*
 * Make a pool. Calls curl_global_init(), so make it before other threads run.
 * Takes options, copied.
 * Returns NULL with a sentence in error: CaFile cannot be read, no memory.
 */
struct asbb_http *asbb_http_create(const struct asbb_http_options *options, char error[ASBB_ERROR_MAX]);

/*
 * Close all connections. None may be taken.
 * Takes NULL too. Cannot fail.
 */
void asbb_http_destroy(struct asbb_http *http);

/*
 * Look up the pinned host's name and hand its addresses to all connections. May take as long as name servers take, so only the
 * background thread calls it. Does nothing without a pinned host, or if that is an address.
 * Returns ASBB_OK, or ASBB_UNREACHABLE with the former addresses kept.
 */
enum asbb_rc asbb_http_resolve(struct asbb_http *http);

/*
 * Take a connection, the one used last first, waiting until deadline_ms at most.
 * Gives a connection to be given back with asbb_http_give().
 * Returns NULL if none became free in time.
 */
struct asbb_connection *asbb_http_take(struct asbb_http *http, int64_t deadline_ms);

/*
 * Give a connection back.
 * Takes what asbb_http_take() gave. Cannot fail.
 */
void asbb_http_give(struct asbb_http *http, struct asbb_connection *connection);

/*
 * The connection's own buffer for a request's body: ASBB_BODY_MAX + 1 bytes.
 * Takes a connection that was taken. Cannot fail.
 */
char *asbb_connection_buffer(struct asbb_connection *connection);

/*
 * Send a request and wait for the whole answer, until deadline_ms at most. No redirect is followed. A kept-alive connection that
 * was dead before any byte of an answer is replaced once.
 * Takes a connection and a request; gives an answer, whatever its status.
 * Returns ASBB_OK, ASBB_TIMEOUT, ASBB_UNREACHABLE, ASBB_BAD_RESPONSE (half a body, too long, no HTTP), ASBB_NOMEM, ASBB_ERROR.
 */
enum asbb_rc asbb_http_call(struct asbb_http *http, struct asbb_connection *connection, const struct asbb_http_request *request,
			    int64_t deadline_ms, struct asbb_http_answer *answer);

#endif
