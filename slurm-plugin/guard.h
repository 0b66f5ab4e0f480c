// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The whole plugin but for Slurm: asks the API about jobs, keeps credentials fresh, and gives up in time. This is all that
 * job_submit_budget.c calls, beside asbb_conf_load(), asbb_job_init() and asbb_change_init(). Thread-safe.
 */
#ifndef ASBB_GUARD_H
#define ASBB_GUARD_H

#include <stdint.h>

#include "conf.h"
#include "decide.h"
#include "request.h"

struct asbb_guard;

enum asbb_log_level { ASBB_LOG_ERROR, ASBB_LOG_INFO, ASBB_LOG_DEBUG };

/* Called from any thread with one line of printable ASCII, without a line feed. Must not call back into the guard. */
typedef void asbb_log_fn(void *arg, enum asbb_log_level level, const char *line);

/*
 * Build a guard and start its one background thread, which resolves the endpoint's name, refreshes credentials and probes
 * an API that went silent. conf is copied; its cluster must be set. Waits at most ASBB_GUARD_START_MS for the first round.
 * Returns NULL with a sentence in error if the site must mend something first: CaFile, SpoolFile, credentials.
 */
#define ASBB_GUARD_START_MS 3000
struct asbb_guard *asbb_guard_create(const struct asbb_conf *conf, asbb_log_fn *log, void *log_arg, char error[ASBB_ERROR_MAX]);

/*
 * Stop the background thread and free everything. No other call may be under way.
 * Takes NULL too. May wait for a name server that does not answer.
 */
void asbb_guard_destroy(struct asbb_guard *guard);

/*
 * Tell whether a job must be asked about, before anything about it is worked out. No lock, no allocation.
 * Takes a partition list of any length; NULL or "" means default_partition (NULL if there is none).
 */
bool asbb_guard_is_guarded(const struct asbb_guard *guard, const char *partitions, const char *default_partition);

/*
 * Decide about a submission. now_s is the time of day in seconds since 1970. Returns within TimeoutMs.
 * Takes a job whose partition and account have Slurm's defaults filled in; an unguarded one passes.
 * Gives ASBB_PASS, ASBB_ADMIT, ASBB_REFUSE or ASBB_DROP_PARTITIONS. Cannot fail: what goes wrong is in the decision.
 */
void asbb_guard_check(struct asbb_guard *guard, const struct asbb_job *job, int64_t now_s, struct asbb_decision *decision);

/*
 * Decide about a change of a job. now_s as above. Returns within TimeoutMs.
 * Takes a change; one that names no field that costs money passes at once, as do OperatorUsers.
 * Gives ASBB_PASS or ASBB_REFUSE. Cannot fail.
 */
void asbb_guard_modify(struct asbb_guard *guard, const struct asbb_change *change, int64_t now_s,
		       struct asbb_decision *decision);

#endif
