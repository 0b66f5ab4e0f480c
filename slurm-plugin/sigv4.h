// SPDX-License-Identifier: GPL-2.0-or-later
/* AWS Signature Version 4: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html. Paths only, no query; the body is at hand. */
#ifndef ASBB_SIGV4_H
#define ASBB_SIGV4_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "rc.h"

#define ASBB_ACCESS_KEY_MAX	128
#define ASBB_SECRET_KEY_MAX	128
#define ASBB_SESSION_TOKEN_MAX	4096	/* AWS names no bound; tokens of roles are below 2 kB */
#define ASBB_SIGV4_HEADERS_MAX	8
#define ASBB_AUTHORIZATION_MAX	768
#define ASBB_AMZ_DATE_SIZE	17	/* 20150830T123600Z */

struct asbb_credentials {
	char access_key[ASBB_ACCESS_KEY_MAX + 1];
	char secret_key[ASBB_SECRET_KEY_MAX + 1];
	char session_token[ASBB_SESSION_TOKEN_MAX + 1];	/* "" for a user's own keys */
};

/* A header to be signed beside host, x-amz-date and x-amz-security-token. Names are lower case. */
struct asbb_sigv4_header {
	const char *name;
	const char *value;
};

struct asbb_sigv4_request {
	const char *method;
	const char *host;	/* as the Host header has it */
	const char *path;	/* as it is sent; begins with a slash */
	const struct asbb_sigv4_header *headers;	/* at most ASBB_SIGV4_HEADERS_MAX */
	size_t header_count;
	const char *body;
	size_t body_len;
	int64_t now_s;
};

/* Signs for one region and service. Keeps the day's signing key: deriving it is four of the five HMACs. Thread-safe. */
struct asbb_signer {
	char region[ASBB_NAME_MAX + 1];
	char service[ASBB_NAME_MAX + 1];
	pthread_mutex_t lock;
	char day[9];
	char secret_key[ASBB_SECRET_KEY_MAX + 1];
	unsigned char key[32];
};

/*
 * Make a signer.
 * Takes a region and a service, cut at ASBB_NAME_MAX.
 * Returns ASBB_OK or ASBB_ERROR.
 */
enum asbb_rc asbb_signer_init(struct asbb_signer *signer, const char *region, const char *service);

/*
 * Wipe the key and free what the signer holds.
 * Takes a signer that was made. Cannot fail.
 */
void asbb_signer_wipe(struct asbb_signer *signer);

/*
 * Sign a request.
 * Takes the request and credentials; gives the values of the headers x-amz-date and Authorization.
 * Returns ASBB_OK; ASBB_INVALID for a request that is too long or has no slash; ASBB_ERROR if libcrypto fails.
 */
enum asbb_rc asbb_sigv4_sign(struct asbb_signer *signer, const struct asbb_credentials *credentials,
			     const struct asbb_sigv4_request *request, char amz_date[ASBB_AMZ_DATE_SIZE],
			     char authorization[ASBB_AUTHORIZATION_MAX]);

#endif
