// SPDX-License-Identifier: GPL-2.0-or-later
/* asbb.conf: what the administrator says. Parsed once, when the plugin is loaded; read-only from then on. */
#ifndef ASBB_CONF_H
#define ASBB_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "rc.h"

#define ASBB_CONF_FILE_MAX	65536	/* bytes of asbb.conf */
#define ASBB_CONF_LINE_MAX	2048	/* bytes of one line */
#define ASBB_CONF_PARTITIONS_MAX 64	/* lines Partition= */
#define ASBB_CONF_USERS_MAX	1024	/* bytes of a list of users */
#define ASBB_NAME_MAX		64	/* bytes of a partition's, cluster's, region's name */
#define ASBB_ENDPOINT_MAX	512	/* bytes of a URL */
#define ASBB_PATH_MAX		1024	/* bytes of a file's path */
#define ASBB_ERROR_MAX		512	/* bytes of a sentence that says what is wrong and how to mend it */

enum asbb_fail_mode { ASBB_FAIL_CLOSED = 0, ASBB_FAIL_OPEN };
enum asbb_on_refusal { ASBB_ON_REFUSAL_REFUSE = 0, ASBB_ON_REFUSAL_DROP };
enum asbb_policy { ASBB_DENY = 0, ASBB_ALLOW };
enum asbb_credentials_source {
	ASBB_CREDENTIALS_AUTO = 0,
	ASBB_CREDENTIALS_ENV,
	ASBB_CREDENTIALS_FILE,
	ASBB_CREDENTIALS_IMDS,
	ASBB_CREDENTIALS_ECS,
};

struct asbb_conf_partition {
	char name[ASBB_NAME_MAX + 1];	/* "*" guards all that have no line of their own */
	enum asbb_fail_mode fail_mode;
};

struct asbb_conf {
	char endpoint[ASBB_ENDPOINT_MAX + 1];	/* scheme://host[:port][/stage], without a slash or /api/v1 at its end */
	char host[ASBB_ENDPOINT_MAX + 1];	/* as the Host header has it, with the port if it is not the scheme's own */
	char path[ASBB_ENDPOINT_MAX + 1];	/* what stands before /api/v1: "" or "/stage" */
	char region[ASBB_NAME_MAX + 1];	/* "": requests are not signed (a local server over http) */
	char cluster[ASBB_NAME_MAX + 1];	/* "": the caller fills in Slurm's ClusterName before asbb_guard_create() */
	int timeout_ms;
	int connect_timeout_ms;
	struct asbb_conf_partition partitions[ASBB_CONF_PARTITIONS_MAX];
	size_t partition_count;
	bool enforce;				/* false: shadow mode */
	bool notify;
	enum asbb_on_refusal on_refusal;
	int breaker_failures;
	int breaker_seconds;
	enum asbb_credentials_source credentials;
	char credentials_file[ASBB_PATH_MAX + 1];	/* of Credentials=file:PATH, else "" */
	char ca_file[ASBB_PATH_MAX + 1];
	char spool_file[ASBB_PATH_MAX + 1];
	int max_connections;
	char exempt_users[ASBB_CONF_USERS_MAX + 1];	/* "alice,bob" */
	char operator_users[ASBB_CONF_USERS_MAX + 1];
	enum asbb_policy unknown_account;
	enum asbb_policy cron_jobs;
	bool allow_http;
};

/*
 * Read a configuration out of a buffer. Pure: touches no file.
 * Takes the text, and the file's name for its sentences; gives a whole conf.
 * Returns ASBB_OK, or ASBB_INVALID with a sentence in error: "NAME:LINE: what is wrong, and the mend".
 */
enum asbb_rc asbb_conf_parse(const char *text, size_t len, const char *name, struct asbb_conf *conf,
			     char error[ASBB_ERROR_MAX]);

/*
 * Read the configuration file at path: a regular file of at most ASBB_CONF_FILE_MAX bytes.
 * Takes the path; gives a whole conf.
 * Returns as asbb_conf_parse(); also ASBB_INVALID, with a sentence, for a file that cannot be read.
 */
enum asbb_rc asbb_conf_load(const char *path, struct asbb_conf *conf, char error[ASBB_ERROR_MAX]);

#endif
