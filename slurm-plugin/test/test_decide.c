// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "decide.h"

static struct asbb_conf _conf(void)
{
	struct asbb_conf conf = {
		.partitions = { { "aws", ASBB_FAIL_OPEN }, { "gpu", ASBB_FAIL_CLOSED } },
		.partition_count = 2,
		.enforce = true,
	};

	return conf;
}

static struct asbb_conf _conf_all(void)
{
	struct asbb_conf conf = _conf();

	conf.partitions[conf.partition_count++] = (struct asbb_conf_partition){ "*", ASBB_FAIL_OPEN };
	return conf;
}

static void which_jobs_are_guarded(void **state)
{
	static const struct {
		const char *list, *otherwise;
		bool named, all;
	} cases[] = {
		{ "aws", NULL, true, true },	   { "local", NULL, false, true },   { "local,aws", NULL, true, true },
		{ "local,aw", NULL, false, true }, { "awss", NULL, false, true },    { "AWS", NULL, false, true },
		{ NULL, "aws", true, true },	   { "", "aws", true, true },	     { NULL, "local", false, true },
		{ NULL, NULL, false, true },	   { "local", "aws", false, true },  { ",aws", NULL, true, true },
		{ ",", NULL, false, false },	   { "a,,b,gpu,", NULL, true, true },
	};
	struct asbb_conf named = _conf(), all = _conf_all();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		if (asbb_decide_is_guarded(&named, cases[i].list, cases[i].otherwise) != cases[i].named ||
		    asbb_decide_is_guarded(&all, cases[i].list, cases[i].otherwise) != cases[i].all)
			fail_msg("case %zu", i);
	}
}

static void closed_wins_in_a_list(void **state)
{
	struct asbb_conf conf = _conf(), all = _conf_all();

	(void)state;
	assert_int_equal(asbb_decide_fail_mode(&conf, "aws"), ASBB_FAIL_OPEN);
	assert_int_equal(asbb_decide_fail_mode(&conf, "gpu"), ASBB_FAIL_CLOSED);
	assert_int_equal(asbb_decide_fail_mode(&conf, "aws,local"), ASBB_FAIL_OPEN);
	assert_int_equal(asbb_decide_fail_mode(&conf, "aws,gpu"), ASBB_FAIL_CLOSED);
	assert_int_equal(asbb_decide_fail_mode(&conf, "gpu,aws"), ASBB_FAIL_CLOSED);
	assert_int_equal(asbb_decide_fail_mode(&conf, NULL), ASBB_FAIL_CLOSED);
	assert_int_equal(asbb_decide_fail_mode(&all, "local"), ASBB_FAIL_OPEN);
	assert_int_equal(asbb_decide_fail_mode(&all, "local,gpu"), ASBB_FAIL_CLOSED);
}

static void lists_are_split(void **state)
{
	static char longest[ASBB_PARTITION_LIST_MAX + 2];
	char guarded[ASBB_PARTITION_LIST_MAX + 1], rest[ASBB_PARTITION_LIST_MAX + 1];
	struct asbb_conf conf = _conf();

	(void)state;
	assert_int_equal(asbb_decide_split(&conf, "a,aws,,b,gpu", guarded, rest), ASBB_OK);
	assert_string_equal(guarded, "aws,gpu");
	assert_string_equal(rest, "a,b");
	memset(longest, 'x', ASBB_PARTITION_LIST_MAX);
	assert_int_equal(asbb_decide_split(&conf, longest, guarded, rest), ASBB_OK);
	assert_string_equal(rest, longest);
	longest[ASBB_PARTITION_LIST_MAX] = 'x';
	assert_int_equal(asbb_decide_split(&conf, longest, guarded, rest), ASBB_INVALID);
}

static void names_in_lists(void **state)
{
	(void)state;
	assert_true(asbb_decide_is_listed("root,alice", "alice"));
	assert_false(asbb_decide_is_listed("root,alice", "ali"));
	assert_false(asbb_decide_is_listed("root,alice", "alice2"));
	assert_false(asbb_decide_is_listed("", "root"));
	assert_false(asbb_decide_is_listed("root", ""));
	assert_false(asbb_decide_is_listed("root", NULL));
}

/* CONTRACT, "What the plugin makes of an answer". */
static void the_table(void **state)
{
	static const struct {
		enum asbb_rc rc;
		int status;
		const char *code;
		enum asbb_action check, modify;
	} cases[] = {
		{ ASBB_OK, 200, "", ASBB_ADMIT, ASBB_PASS },
		{ ASBB_DENIED, 200, "insufficient_budget", ASBB_REFUSE, ASBB_REFUSE },
		{ ASBB_DENIED, 200, "something_new", ASBB_REFUSE, ASBB_REFUSE },
		{ ASBB_REJECTED, 400, "validation_failed", ASBB_REFUSE, ASBB_PASS },
		{ ASBB_REJECTED, 400, "", ASBB_REFUSE, ASBB_PASS },
		{ ASBB_REJECTED, 413, "body_too_large", ASBB_REFUSE, ASBB_PASS },
		{ ASBB_REJECTED, 409, "hold_closed", ASBB_REFUSE, ASBB_PASS },
		{ ASBB_REJECTED, 409, "hold_conflict", ASBB_REFUSE, ASBB_PASS },
		{ ASBB_REJECTED, 409, "cluster_conflict", ASBB_FAIL, ASBB_PASS },
		{ ASBB_REJECTED, 409, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_REJECTED, 422, "no_price", ASBB_REFUSE, ASBB_REFUSE },
		{ ASBB_REJECTED, 422, "", ASBB_REFUSE, ASBB_REFUSE },
		{ ASBB_REJECTED, 404, "account_not_found", ASBB_REFUSE, ASBB_PASS },
		{ ASBB_REJECTED, 404, "partition_not_found", ASBB_FAIL, ASBB_PASS },
		{ ASBB_REJECTED, 404, "route_not_found", ASBB_FAIL, ASBB_PASS },
		{ ASBB_REJECTED, 404, "job_not_found", ASBB_FAIL, ASBB_REFUSE },
		{ ASBB_REJECTED, 404, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_REJECTED, 401, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_REJECTED, 418, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_FORBIDDEN, 403, "not_authorized", ASBB_FAIL, ASBB_PASS },
		{ ASBB_UNAVAILABLE, 429, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_UNAVAILABLE, 302, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_UNAVAILABLE, 500, "internal_error", ASBB_FAIL, ASBB_PASS },
		{ ASBB_UNAVAILABLE, 503, "account_contended", ASBB_FAIL, ASBB_PASS },
		{ ASBB_BAD_RESPONSE, 200, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_TIMEOUT, 0, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_UNREACHABLE, 0, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_BREAKER_OPEN, 0, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_NO_CREDENTIALS, 0, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_NOMEM, 0, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_ERROR, 0, "", ASBB_FAIL, ASBB_PASS },
		{ ASBB_INVALID, 0, "", ASBB_REFUSE, ASBB_REFUSE },
	};
	struct asbb_conf conf = _conf();
	struct asbb_job job;
	struct asbb_change change;

	(void)state;
	asbb_job_init(&job);
	job.partition = "aws,local";
	asbb_change_init(&change);
	change.partition = "gpu";
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct asbb_outcome outcome = { .rc = cases[i].rc, .verdict = { .status = cases[i].status } };
		struct asbb_decision decision;

		memcpy(outcome.verdict.code, cases[i].code, strlen(cases[i].code) + 1);
		asbb_decide_check(&conf, &job, &outcome, &decision);
		if (decision.action != cases[i].check)
			fail_msg("check, case %zu: %d", i, (int)decision.action);
		assert_int_equal(decision.rc, cases[i].rc);
		if (decision.action == ASBB_REFUSE)
			assert_int_equal(strncmp(decision.message, "asbb: ", 6), 0);
		asbb_decide_modify(&conf, &change, &outcome, &decision);
		if (decision.action != cases[i].modify)
			fail_msg("modify, case %zu: %d", i, (int)decision.action);
	}
}

static void an_admission_names_its_hold_and_sets_an_unset_time(void **state)
{
	static const struct {
		int64_t asked, priced, set;
	} cases[] = {
		{ ASBB_UNSET, 91, 91 }, { ASBB_UNLIMITED, 91, 91 },	       { 0, 91, 91 },
		{ 60, 91, ASBB_UNSET }, { ASBB_UNSET, ASBB_UNSET, ASBB_UNSET }, { ASBB_UNSET, ASBB_UNLIMITED, ASBB_UNSET },
	};
	struct asbb_conf conf = _conf();
	struct asbb_outcome outcome = {
		.rc = ASBB_OK,
		.verdict = { .hold_id = "00000000-0000-4000-8000-000000000001", .hold_amount = "12.00", .budget_remaining = "88.00" },
	};
	struct asbb_decision decision;
	struct asbb_job job;

	(void)state;
	asbb_job_init(&job);
	job.partition = "aws";
	job.account = "physics";
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		job.wall_time_minutes = cases[i].asked;
		outcome.verdict.wall_time_minutes = cases[i].priced;
		asbb_decide_check(&conf, &job, &outcome, &decision);
		assert_int_equal(decision.set_wall_time_minutes, cases[i].set);
		assert_string_equal(decision.hold_id, "00000000-0000-4000-8000-000000000001");
		assert_string_equal(decision.message, "");
	}
	conf.notify = true;
	asbb_decide_check(&conf, &job, &outcome, &decision);
	assert_string_equal(decision.message, "asbb: $12.00 held for this job; account physics has $88.00 left");
	outcome.verdict.budget_remaining[0] = '\0';
	asbb_decide_check(&conf, &job, &outcome, &decision);
	assert_string_equal(decision.message, "asbb: $12.00 held for this job");
}

static void a_refusal_drops_partitions_only_where_some_are_left(void **state)
{
	struct asbb_conf conf = _conf();
	struct asbb_outcome outcome = { .rc = ASBB_DENIED, .verdict = { .status = 200, .message = "asbb: too dear" } };
	struct asbb_decision decision;
	struct asbb_change change;
	struct asbb_job job;

	(void)state;
	asbb_job_init(&job);
	job.partition = "aws,local,gpu,debug";
	asbb_decide_check(&conf, &job, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_REFUSE);
	assert_string_equal(decision.partitions, "");
	assert_string_equal(decision.message, "asbb: too dear");
	conf.on_refusal = ASBB_ON_REFUSAL_DROP;
	asbb_decide_check(&conf, &job, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_DROP_PARTITIONS);
	assert_string_equal(decision.partitions, "local,debug");
	assert_string_equal(decision.message, "asbb: too dear (submitted without the cloud partitions)");
	job.partition = "aws,gpu";
	asbb_decide_check(&conf, &job, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_REFUSE);
	/* A change is never half made. */
	asbb_change_init(&change);
	change.partition = "aws,local";
	asbb_decide_modify(&conf, &change, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_REFUSE);
}

static void an_unknown_account_is_the_sites_choice(void **state)
{
	struct asbb_conf conf = _conf();
	struct asbb_outcome outcome = { .rc = ASBB_REJECTED, .verdict = { .status = 404, .code = "account_not_found" } };
	struct asbb_decision decision;
	struct asbb_job job;

	(void)state;
	asbb_job_init(&job);
	job.partition = "aws";
	asbb_decide_check(&conf, &job, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_REFUSE);
	assert_string_equal(decision.message, "asbb: this account has no cloud budget: ask for one, or name another with --account");
	conf.unknown_account = ASBB_ALLOW;
	asbb_decide_check(&conf, &job, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_PASS);
	assert_string_equal(decision.hold_id, "");
}

static void a_move_into_a_guarded_partition_is_refused_for_unknown_jobs_only_there(void **state)
{
	struct asbb_conf conf = _conf();
	struct asbb_outcome outcome = { .rc = ASBB_REJECTED, .verdict = { .status = 404, .code = "job_not_found" } };
	struct asbb_decision decision;
	struct asbb_change change;

	(void)state;
	asbb_change_init(&change);
	asbb_decide_modify(&conf, &change, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_PASS);
	change.partition = "local";
	asbb_decide_modify(&conf, &change, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_PASS);
	change.partition = "local,aws";
	asbb_decide_modify(&conf, &change, &outcome, &decision);
	assert_int_equal(decision.action, ASBB_REFUSE);
	assert_string_equal(decision.message, "asbb: a job cannot be moved into a guarded partition: cancel it, and submit it there");
}

static void the_longest_sentence_fits(void **state)
{
	struct asbb_conf conf = _conf();
	struct asbb_outcome outcome = { .rc = ASBB_DENIED };
	struct asbb_decision decision;
	struct asbb_job job;

	(void)state;
	memset(outcome.verdict.message, 'm', ASBB_MESSAGE_MAX);
	asbb_job_init(&job);
	job.partition = "aws,local";
	conf.on_refusal = ASBB_ON_REFUSAL_DROP;
	asbb_decide_check(&conf, &job, &outcome, &decision);
	assert_int_equal(strlen(decision.message), 6 + ASBB_MESSAGE_MAX + strlen(" (submitted without the cloud partitions)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_jobs_are_guarded),
		cmocka_unit_test(closed_wins_in_a_list),
		cmocka_unit_test(lists_are_split),
		cmocka_unit_test(names_in_lists),
		cmocka_unit_test(the_table),
		cmocka_unit_test(an_admission_names_its_hold_and_sets_an_unset_time),
		cmocka_unit_test(a_refusal_drops_partitions_only_where_some_are_left),
		cmocka_unit_test(an_unknown_account_is_the_sites_choice),
		cmocka_unit_test(a_move_into_a_guarded_partition_is_refused_for_unknown_jobs_only_there),
		cmocka_unit_test(the_longest_sentence_fits),
	};

	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
