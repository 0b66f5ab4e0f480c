// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "decide.h"

/* What a user reads where the API gave no sentence of its own. */
static const char TEXT_DENIED[] = "the budget of this account does not allow this job";
static const char TEXT_REJECTED[] = "the budget service did not accept this job";
static const char TEXT_UNKNOWN_ACCOUNT[] = "this account has no cloud budget: ask for one, or name another with --account";
static const char TEXT_SUBMIT_THERE[] = "a job cannot be moved into a guarded partition: cancel it, and submit it there";

static const struct asbb_conf_partition *_find(const struct asbb_conf *conf, const char *name, size_t len)
{
	const struct asbb_conf_partition *all = NULL;

	for (size_t i = 0; i < conf->partition_count; i++) {
		const struct asbb_conf_partition *partition = &conf->partitions[i];

		if (strlen(partition->name) == len && memcmp(partition->name, name, len) == 0)
			return partition;
		if (strcmp(partition->name, "*") == 0)
			all = partition;
	}
	return all;
}

/* Step through a comma list; Slurm skips empty names in it. Returns the next name, or NULL at the end. */
static const char *_next_name(const char **at, size_t *len)
{
	const char *name;

	while (**at == ',')
		(*at)++;
	if (**at == '\0')
		return NULL;
	name = *at;
	*len = strcspn(name, ",");
	*at += *len;
	return name;
}

bool asbb_decide_is_guarded(const struct asbb_conf *conf, const char *partitions, const char *default_partition)
{
	const char *at = partitions && partitions[0] ? partitions : default_partition;
	const char *name;
	size_t len;

	/* No partition at all: Slurm will refuse the job, or know one that we do not; "*" guards that too. */
	if (!at || at[0] == '\0')
		return _find(conf, "", 0) != NULL;
	while ((name = _next_name(&at, &len))) {
		if (_find(conf, name, len))
			return true;
	}
	return false;
}

enum asbb_fail_mode asbb_decide_fail_mode(const struct asbb_conf *conf, const char *partitions)
{
	enum asbb_fail_mode mode = ASBB_FAIL_CLOSED;
	const struct asbb_conf_partition *partition;
	const char *at = partitions ? partitions : "";
	const char *name;
	size_t len;

	while ((name = _next_name(&at, &len))) {
		partition = _find(conf, name, len);
		if (!partition)
			continue;
		if (partition->fail_mode == ASBB_FAIL_CLOSED)
			return ASBB_FAIL_CLOSED;
		mode = partition->fail_mode;
	}
	return mode;
}

static void _append(char *list, const char *name, size_t len)
{
	size_t used;

	if (!list)
		return;
	used = strlen(list);
	if (used)
		list[used++] = ',';
	memcpy(list + used, name, len);
	list[used + len] = '\0';
}

enum asbb_rc asbb_decide_split(const struct asbb_conf *conf, const char *partitions, char *guarded, char *rest)
{
	const char *at = partitions ? partitions : "";
	const char *name;
	size_t len;

	if (guarded)
		guarded[0] = '\0';
	if (rest)
		rest[0] = '\0';
	/* Neither part can be longer than the whole. */
	if (strnlen(at, ASBB_PARTITION_LIST_MAX + 1) > ASBB_PARTITION_LIST_MAX)
		return ASBB_INVALID;
	while ((name = _next_name(&at, &len)))
		_append(_find(conf, name, len) ? guarded : rest, name, len);
	return ASBB_OK;
}

bool asbb_decide_is_listed(const char *list, const char *name)
{
	const char *entry;
	size_t len;

	if (!name || name[0] == '\0')
		return false;
	while ((entry = _next_name(&list, &len))) {
		if (strlen(name) == len && memcmp(entry, name, len) == 0)
			return true;
	}
	return false;
}

static void _begin(struct asbb_decision *decision, enum asbb_rc rc)
{
	memset(decision, 0, sizeof(*decision));
	decision->rc = rc;
	decision->set_wall_time_minutes = ASBB_UNSET;
}

/* A sentence for the user. The API's own may begin with our name already. */
static void _say(struct asbb_decision *decision, const char *sentence, const char *more)
{
	char line[sizeof(decision->message)];
	int n;

	if (strncmp(sentence, "asbb: ", 6) == 0)
		sentence += 6;
	n = snprintf(line, sizeof(line), "asbb: %.*s%.56s", ASBB_MESSAGE_MAX, sentence, more);
	asbb_text_clean(line, n < 0 ? 0 : strlen(line), decision->message, sizeof(decision->message));
}

void asbb_decide_refuse(const struct asbb_conf *conf, const char *partitions, const char *sentence,
			struct asbb_decision *decision)
{
	enum asbb_rc rc = decision->rc;

	_begin(decision, rc);
	decision->action = ASBB_REFUSE;
	if (conf->on_refusal == ASBB_ON_REFUSAL_DROP && partitions &&
	    asbb_decide_split(conf, partitions, NULL, decision->partitions) == ASBB_OK && decision->partitions[0]) {
		decision->action = ASBB_DROP_PARTITIONS;
		_say(decision, sentence, " (submitted without the cloud partitions)");
		return;
	}
	decision->partitions[0] = '\0';
	_say(decision, sentence, "");
}

/*
 * CONTRACT, "What the plugin makes of an answer". The first row that fits holds. Status 0 and code NULL fit any; what is
 * refused is what users steer by what they ask for, so it must never fail open.
 */
enum meaning { ADMIT, REFUSE, UNKNOWN_ACCOUNT, SUBMIT_THERE, FAIL, ALLOW };
static const struct row {
	enum asbb_rc rc;
	int status;
	const char *code;
	enum meaning check;
	enum meaning modify;
} TABLE[] = {
	{ ASBB_OK, 0, NULL, ADMIT, ALLOW },
	{ ASBB_DENIED, 0, NULL, REFUSE, REFUSE },
	{ ASBB_REJECTED, 400, NULL, REFUSE, ALLOW },
	{ ASBB_REJECTED, 413, NULL, REFUSE, ALLOW },
	{ ASBB_REJECTED, 422, NULL, REFUSE, REFUSE },
	{ ASBB_REJECTED, 409, "hold_closed", REFUSE, ALLOW },
	{ ASBB_REJECTED, 409, "hold_conflict", REFUSE, ALLOW },
	{ ASBB_REJECTED, 404, "account_not_found", UNKNOWN_ACCOUNT, ALLOW },
	{ ASBB_REJECTED, 404, "job_not_found", FAIL, SUBMIT_THERE },
	/* The request could not even be built, so nobody was asked; the user steers this too. */
	{ ASBB_INVALID, 0, NULL, REFUSE, REFUSE },
};

static const struct row *_row_of(const struct asbb_outcome *outcome)
{
	static const struct row anything_else = { ASBB_ERROR, 0, NULL, FAIL, ALLOW };

	if (!asbb_rc_is_final(outcome->rc))
		return &anything_else;
	for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++) {
		const struct row *row = &TABLE[i];

		if (row->rc == outcome->rc && (!row->status || row->status == outcome->verdict.status) &&
		    (!row->code || strcmp(row->code, outcome->verdict.code) == 0))
			return row;
	}
	return &anything_else;
}

static const char *_sentence(const struct asbb_outcome *outcome, const char *otherwise)
{
	return outcome->verdict.message[0] ? outcome->verdict.message : otherwise;
}

static const char *_refusal(const struct asbb_outcome *outcome)
{
	return _sentence(outcome, outcome->rc == ASBB_DENIED ? TEXT_DENIED : TEXT_REJECTED);
}

static void _admit(const struct asbb_conf *conf, const struct asbb_job *job, const struct asbb_verdict *verdict,
		   struct asbb_decision *decision)
{
	char text[ASBB_MESSAGE_MAX + 1];
	int n;

	decision->action = ASBB_ADMIT;
	memcpy(decision->hold_id, verdict->hold_id, sizeof(decision->hold_id));
	if (job->wall_time_minutes == ASBB_UNSET || job->wall_time_minutes == ASBB_UNLIMITED || job->wall_time_minutes == 0)
		decision->set_wall_time_minutes = verdict->wall_time_minutes > 0 ? verdict->wall_time_minutes : ASBB_UNSET;
	if (!conf->notify || !verdict->hold_amount[0])
		return;
	n = snprintf(text, sizeof(text), "$%s held for this job", verdict->hold_amount);
	if (n > 0 && (size_t)n < sizeof(text) && verdict->budget_remaining[0])
		n = snprintf(text, sizeof(text), "$%s held for this job; account %.64s has $%s left", verdict->hold_amount,
			     job->account ? job->account : "", verdict->budget_remaining);
	if (n > 0 && (size_t)n < sizeof(text))
		_say(decision, text, "");
}

void asbb_decide_check(const struct asbb_conf *conf, const struct asbb_job *job, const struct asbb_outcome *outcome,
		       struct asbb_decision *decision)
{
	_begin(decision, outcome->rc);
	switch (_row_of(outcome)->check) {
	case ADMIT:
		_admit(conf, job, &outcome->verdict, decision);
		return;
	case REFUSE:
		asbb_decide_refuse(conf, job->partition, _refusal(outcome), decision);
		return;
	case UNKNOWN_ACCOUNT:
		if (conf->unknown_account == ASBB_DENY)
			asbb_decide_refuse(conf, job->partition, _sentence(outcome, TEXT_UNKNOWN_ACCOUNT), decision);
		return;
	case SUBMIT_THERE:
	case ALLOW:
	case FAIL:
		break;
	}
	decision->action = ASBB_FAIL;
}

void asbb_decide_modify(const struct asbb_conf *conf, const struct asbb_change *change, const struct asbb_outcome *outcome,
			struct asbb_decision *decision)
{
	enum meaning meaning = _row_of(outcome)->modify;
	bool moves_in = change->partition && change->partition[0] && asbb_decide_is_guarded(conf, change->partition, NULL);

	_begin(decision, outcome->rc);
	if (meaning == REFUSE)
		asbb_decide_refuse(conf, NULL, _refusal(outcome), decision);
	else if (meaning == SUBMIT_THERE && moves_in)
		asbb_decide_refuse(conf, NULL, TEXT_SUBMIT_THERE, decision);
}
