// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where AWS credentials come from, and which are current. A background thread refreshes them; a submission only copies them.
 * Sources, in the order of Credentials=auto: environment, shared file and profile, container endpoint, IMDSv2.
 */
#ifndef ASBB_CREDENTIALS_H
#define ASBB_CREDENTIALS_H

#include <stdint.h>

#include "conf.h"
#include "rc.h"
#include "sigv4.h"

#define ASBB_CREDENTIALS_FILE_MAX 65536
#define ASBB_REFRESH_AHEAD_S	600	/* this long before they expire */
#define ASBB_REFRESH_RETRY_S	15	/* after a refresh that failed */
#define ASBB_FETCH_MS		1000	/* at most this long for one answer of IMDS or of a container's endpoint */

struct asbb_credentials_store;

/* Stands in for getenv(), so that only the composition reads the environment. */
typedef const char *asbb_getenv_fn(const char *name);

/*
 * Choose the source. Environment and file are read at once; the network is not asked before asbb_credentials_refresh().
 * Takes the configuration and the environment.
 * Returns NULL with a sentence in error: no such file or profile, a file that others may read, half a key pair.
 */
struct asbb_credentials_store *asbb_credentials_create(const struct asbb_conf *conf, asbb_getenv_fn *env,
						       char error[ASBB_ERROR_MAX]);

/*
 * Forget everything, wiped.
 * Takes NULL too. Cannot fail.
 */
void asbb_credentials_destroy(struct asbb_credentials_store *store);

/*
 * Renew what is due: a file that changed, or what expires within ASBB_REFRESH_AHEAD_S. Cheap if nothing is due. What is
 * current stays current when this fails, even past its end: AWS decides. For the background thread only.
 * Takes the time of day in seconds.
 * Returns ASBB_OK, or ASBB_NO_CREDENTIALS with a sentence in error once for each failed attempt; ASBB_OK with "" if none was due.
 */
enum asbb_rc asbb_credentials_refresh(struct asbb_credentials_store *store, int64_t now_s, char error[ASBB_ERROR_MAX]);

/*
 * Copy the current credentials.
 * Gives a copy, to be wiped by the caller.
 * Returns ASBB_OK, or ASBB_NO_CREDENTIALS if there never were any.
 */
enum asbb_rc asbb_credentials_get(struct asbb_credentials_store *store, struct asbb_credentials *credentials);

/*
 * Say that the API refused them (403), so that the next refresh asks again, at most once in ASBB_REFRESH_RETRY_S.
 * Takes the store. Cannot fail.
 */
void asbb_credentials_distrust(struct asbb_credentials_store *store);

#endif
