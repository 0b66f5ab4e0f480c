// SPDX-License-Identifier: GPL-2.0-or-later
/* What to do about a job. Pure: it is told what came of asking, and does not know who was asked, or how. */
#ifndef ASBB_DECIDE_H
#define ASBB_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"
#include "rc.h"
#include "request.h"

enum asbb_action {
	ASBB_PASS = 0,		/* not our business: leave the job as it is */
	ASBB_ADMIT,		/* let it in, and write hold_id into its admin_comment */
	ASBB_REFUSE,		/* say message, and turn it away */
	ASBB_DROP_PARTITIONS,	/* say message, set the job's partition to partitions, let it in */
	ASBB_FAIL,		/* between decide and guard only: nobody answered, so FailMode decides */
};

struct asbb_decision {
	enum asbb_action action;
	enum asbb_rc rc;			/* what came of asking; ASBB_OK if nobody had to be asked */
	char hold_id[ASBB_UUID_SIZE];		/* with ASBB_ADMIT, else "" */
	bool failed_open;			/* admitted without an answer; the hold is in the spool */
	int64_t set_wall_time_minutes;		/* the job had none: set its time_limit to this; else ASBB_UNSET */
	char partitions[ASBB_PARTITION_LIST_MAX + 1];	/* with ASBB_DROP_PARTITIONS, else "" */
	char message[ASBB_MESSAGE_MAX + 64];	/* "asbb: ...", one line of printable ASCII for the user, or "" */
};

/* What came of asking. */
struct asbb_outcome {
	enum asbb_rc rc;
	struct asbb_verdict verdict;	/* wiped if there was no answer */
};

/*
 * Tell whether a job of this partition list is guarded. Takes a list of any length; NULL or "" means default_partition, which
 * may be NULL. Gives true if any partition of it has a line in the configuration, or if there is a line for "*".
 * Costs no allocation and no lock: most jobs end here.
 */
bool asbb_decide_is_guarded(const struct asbb_conf *conf, const char *partitions, const char *default_partition);

/*
 * Tell which FailMode holds for a partition list: closed if any guarded partition of it is closed.
 * Takes a list with at least one guarded partition.
 */
enum asbb_fail_mode asbb_decide_fail_mode(const struct asbb_conf *conf, const char *partitions);

/*
 * Split a list into its guarded partitions and the rest, each again a list, in order.
 * Takes buffers of ASBB_PARTITION_LIST_MAX + 1 bytes; either may be NULL.
 * Returns ASBB_OK, or ASBB_INVALID if the list is longer than that.
 */
enum asbb_rc asbb_decide_split(const struct asbb_conf *conf, const char *partitions, char *guarded, char *rest);

/*
 * Tell whether a name stands in a comma list (ExemptUsers, OperatorUsers).
 * Takes NULL for a name that is not known: that stands in no list.
 */
bool asbb_decide_is_listed(const char *list, const char *name);

/*
 * The contract's table, for a submission. Takes the partition list as submitted, the job, and what came of asking.
 * Gives ASBB_PASS, ASBB_ADMIT, ASBB_REFUSE, ASBB_DROP_PARTITIONS, or ASBB_FAIL, which FailMode decides.
 * Cannot fail.
 */
void asbb_decide_check(const struct asbb_conf *conf, const struct asbb_job *job, const struct asbb_outcome *outcome,
		       struct asbb_decision *decision);

/*
 * The contract's table, for a change of a job. Takes the change and what came of asking.
 * Gives ASBB_PASS or ASBB_REFUSE; no answer is ASBB_PASS, because the agent corrects.
 * Cannot fail.
 */
void asbb_decide_modify(const struct asbb_conf *conf, const struct asbb_change *change, const struct asbb_outcome *outcome,
			struct asbb_decision *decision);

/*
 * Refuse a job, or strip its guarded partitions if OnRefusal=drop and others are left.
 * Takes the partition list as submitted (NULL: never strip), and a sentence without "asbb: ".
 * Cannot fail.
 */
void asbb_decide_refuse(const struct asbb_conf *conf, const char *partitions, const char *sentence,
			struct asbb_decision *decision);

#endif
