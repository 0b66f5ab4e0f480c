// SPDX-License-Identifier: GPL-2.0-or-later
/* The wire: a job becomes a request's body, an answer becomes a verdict. Knows JSON; knows neither Slurm nor the network. */
#ifndef ASBB_REQUEST_H
#define ASBB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "rc.h"

#define ASBB_BODY_MAX		65536	/* bytes of a request or an answer (the contract's 64 KiB) */
#define ASBB_UUID_SIZE		37	/* 36 characters and the end */
#define ASBB_MESSAGE_MAX	200	/* characters of a sentence for a user */
#define ASBB_CODE_MAX		32
#define ASBB_AMOUNT_SIZE	32
#define ASBB_JOB_NAME_MAX	200	/* bytes of job_name as sent */
#define ASBB_PARTITION_LIST_MAX	1024	/* bytes of "aws,local" */
#define ASBB_JOB_ID_MAX		64	/* bytes of "2232_2" */

#define ASBB_UNSET		(-1)	/* a number that the user did not give */
#define ASBB_UNLIMITED		(-2)	/* wall_time_minutes only: Slurm's INFINITE */

/*
 * A job as it is asked for: a view, so every string belongs to the caller and is NULL if it was not given. Lengths are checked
 * when the body is built. Fields are the contract's. Begin with asbb_job_init().
 */
struct asbb_job {
	const char *account;		/* the user's default account already filled in */
	const char *partition;		/* Slurm's default partition already filled in; may be a list */
	const char *user;		/* the name; the uid in digits if it has none */
	const char *cluster;		/* NULL: the configuration's */
	int64_t nodes;			/* the maximum asked for */
	int64_t min_nodes;
	int64_t ntasks;
	int64_t cpus;			/* totals of the job */
	int64_t cpus_per_task;
	int64_t gpus;
	int64_t gpus_per_node;
	const char *gpu_type;
	int64_t memory_mib;		/* per node; 0 is all of a node */
	int64_t memory_per_cpu_mib;
	bool exclusive;
	const char *constraint;
	int64_t wall_time_minutes;	/* or ASBB_UNSET, ASBB_UNLIMITED */
	const char *array;		/* sbatch's: "1-5%2,9" */
	int64_t het_offset;
	const char *qos;
	const char *job_name;
	const char *job_script;		/* left out of a body that it would make too long */
	bool is_cron;			/* from scrontab; not sent */
};

/* What `scontrol update` asks for: only what it names, in absolute values. Begin with asbb_change_init(). */
struct asbb_change {
	const char *job_id;		/* "2232", "2232_2" */
	const char *user;		/* who asks, by name */
	const char *account;
	const char *partition;
	int64_t wall_time_minutes;	/* or ASBB_UNSET, ASBB_UNLIMITED */
	int64_t nodes;
	int64_t cpus;
	int64_t gpus;
	int64_t memory_mib;
	int64_t memory_per_cpu_mib;
	int64_t tasks;			/* the tasks of an array; not ntasks */
};

/* What an answer says. Strings are "" and numbers ASBB_UNSET where it says nothing. */
struct asbb_verdict {
	int status;			/* HTTP */
	bool available;
	char hold_id[ASBB_UUID_SIZE];
	char message[ASBB_MESSAGE_MAX + 1];	/* printable ASCII, one line, whatever the server sent */
	char code[ASBB_CODE_MAX + 1];
	int64_t wall_time_minutes;	/* what was priced, rounded up */
	char estimated_cost[ASBB_AMOUNT_SIZE];	/* dollars, "12.50" */
	char hold_amount[ASBB_AMOUNT_SIZE];
	char budget_remaining[ASBB_AMOUNT_SIZE];
};

/*
 * Make a job about which nothing is said: no strings, every number ASBB_UNSET.
 * Takes the job to overwrite. Cannot fail.
 */
void asbb_job_init(struct asbb_job *job);

/*
 * Make a change that changes nothing.
 * Takes the change to overwrite. Cannot fail.
 */
void asbb_change_init(struct asbb_change *change);

/*
 * Tell whether a change names a field that costs money.
 * Takes a change; gives false if there is nothing to ask about.
 */
bool asbb_change_is_costly(const struct asbb_change *change);

/*
 * Make a random UUID (version 4) from the kernel's randomness.
 * Gives 36 lower-case characters.
 * Returns ASBB_OK, or ASBB_ERROR with uuid "" if the kernel has no randomness yet.
 */
enum asbb_rc asbb_uuid_make(char uuid[ASBB_UUID_SIZE]);

/*
 * Write the body of POST /budget/check, or of /budget/quote if hold_id is NULL. deadline_ms 0 leaves the deadline out.
 * Takes a job, and a buffer of ASBB_BODY_MAX + 1 bytes; gives text and its length.
 * Returns ASBB_OK; ASBB_INVALID with a sentence for the user in error (a field too long, no account); ASBB_NOMEM.
 */
enum asbb_rc asbb_request_check(const struct asbb_job *job, const char *hold_id, int deadline_ms, char *body, size_t size,
				size_t *len, char error[ASBB_ERROR_MAX]);

/*
 * Write the body of POST /jobs/{cluster}/{job_id}/adjust, with raise_only.
 * Takes a change, and a buffer as above; gives text and its length.
 * Returns as asbb_request_check().
 */
enum asbb_rc asbb_request_adjust(const struct asbb_change *change, int deadline_ms, char *body, size_t size, size_t *len,
				 char error[ASBB_ERROR_MAX]);

/*
 * Write one line of the spool, with its line feed: what a hold that was never placed was for (see spool.h).
 * Takes the job, its hold_id, when it was, and why nobody was asked; gives text and its length.
 * Returns as asbb_request_check().
 */
enum asbb_rc asbb_request_spool(const struct asbb_job *job, const char *hold_id, int64_t now_s, const char *reason, char *line,
				size_t size, size_t *len, char error[ASBB_ERROR_MAX]);

/*
 * Read an answer. hold_id is the one that was asked about: an admission must name it. NULL (quote, adjust) expects none.
 * Takes the status and len bytes of body, which need not end in NUL; gives a verdict, wiped first.
 * Returns ASBB_OK, ASBB_DENIED, ASBB_REJECTED, ASBB_UNAVAILABLE, ASBB_FORBIDDEN, ASBB_BAD_RESPONSE.
 */
enum asbb_rc asbb_answer_read(int status, const char *body, size_t len, const char *hold_id, struct asbb_verdict *verdict);

/*
 * Read Slurm's wall time in any of its forms (minutes, MM:SS, [D-]HH:MM:SS, ...), rounded up to minutes.
 * Takes text; gives minutes, or ASBB_UNLIMITED for 0, UNLIMITED and INFINITE.
 * Returns ASBB_OK, or ASBB_INVALID (also for more than a hundred years).
 */
enum asbb_rc asbb_wall_time_parse(const char *text, int64_t *minutes);

/*
 * Copy text as one line of printable ASCII: control characters become blanks, each other character "?".
 * Takes len bytes of anything; gives at most size - 1 characters and the end.
 * Cannot fail; what does not fit is cut.
 */
void asbb_text_clean(const char *text, size_t len, char *out, size_t size);

#endif
