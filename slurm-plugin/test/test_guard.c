// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard.h"
#include "http.h"

static struct fixture_server server;
static char folder[256], spool[300], error[ASBB_ERROR_MAX];
static char last_line[2048];
static int lines;
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;

static void _log(void *arg, enum asbb_log_level level, const char *line)
{
	(void)arg;
	(void)level;
	pthread_mutex_lock(&lines_lock);
	assert_null(strpbrk(line, "\r\n\033"));
	if (snprintf(last_line, sizeof(last_line), "%s", line) >= 0)
		lines++;
	pthread_mutex_unlock(&lines_lock);
}

static int _begin_all(void **state)
{
	(void)state;
	unsetenv("AWS_SESSION_TOKEN");
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 1);
	fixture_server_start(&server);
	return 0;
}

static int _end_all(void **state)
{
	(void)state;
	fixture_server_stop(&server);
	return 0;
}

static int _begin(void **state)
{
	(void)state;
	fixture_folder_make(folder);
	fixture_server_get(&server, "/control/health/200", NULL, 0);
	return snprintf(spool, sizeof(spool), "%s/spool", folder) > 0 ? 0 : 1;
}

static int _end(void **state)
{
	(void)state;
	fixture_folder_remove(folder);
	return 0;
}

static struct asbb_guard *_guard(const char *more)
{
	struct asbb_conf conf;
	char text[2048];
	struct asbb_guard *guard;

	assert_true(snprintf(text, sizeof(text),
			     "Endpoint=http://127.0.0.1:%d Cluster=hpc BreakerSeconds=1 TimeoutMs=1000\nSpoolFile=%s\n"
			     "Partition=aws FailMode=closed\nPartition=open FailMode=open\n%s\n",
			     server.port, spool, more) > 0);
	if (asbb_conf_parse(text, strlen(text), "asbb.conf", &conf, error) != ASBB_OK)
		fail_msg("%s", error);
	guard = asbb_guard_create(&conf, _log, NULL, error);
	if (!guard)
		fail_msg("%s", error);
	return guard;
}

static struct asbb_job _job(const char *account, const char *partition)
{
	struct asbb_job job;

	asbb_job_init(&job);
	job.account = account;
	job.partition = partition;
	job.user = "alice";
	job.nodes = 2;
	return job;
}

static struct asbb_decision _check(struct asbb_guard *guard, const char *account, const char *partition)
{
	struct asbb_job job = _job(account, partition);
	struct asbb_decision decision;

	asbb_guard_check(guard, &job, 1440938160, &decision);
	return decision;
}

static json_t *_server_state(void)
{
	static char body[65536];
	json_t *root;

	fixture_server_get(&server, "/state", body, sizeof(body));
	root = json_loads(body, 0, NULL);
	assert_non_null(root);
	return root;
}

static int _calls(void)
{
	json_t *root = _server_state();
	int calls = (int)json_integer_value(json_object_get(root, "calls"));

	json_decref(root);
	return calls;
}

static void an_admitted_job_carries_its_hold(void **state)
{
	struct asbb_guard *guard = _guard("Region=us-east-1");
	struct asbb_decision decision = _check(guard, "physics", "aws,local");
	json_t *root = _server_state(), *last = json_object_get(root, "last"), *job = json_object_get(last, "job");
	const char *authorization = json_string_value(json_object_get(json_object_get(last, "headers"), "authorization"));
	json_int_t deadline_ms = json_integer_value(json_object_get(job, "deadline_ms"));

	(void)state;
	assert_int_equal(decision.action, ASBB_ADMIT);
	assert_int_equal(decision.set_wall_time_minutes, 91);
	assert_string_equal(decision.message, "");
	assert_false(decision.failed_open);
	assert_string_equal(json_string_value(json_object_get(last, "path")), "/api/v1/budget/check");
	assert_string_equal(json_string_value(json_object_get(job, "hold_id")), decision.hold_id);
	assert_string_equal(json_string_value(json_object_get(job, "cluster")), "hpc");
	assert_string_equal(json_string_value(json_object_get(job, "partition")), "aws,local");
	assert_in_range(deadline_ms, 500, 950);
	assert_non_null(strstr(authorization, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/execute-api/aws4_request, "
					      "SignedHeaders=content-type;host;x-amz-date, Signature="));
	json_decref(root);
	asbb_guard_destroy(guard);
}

static void nobody_is_asked_about_other_jobs(void **state)
{
	struct asbb_guard *guard = _guard("ExemptUsers=root,alice");
	struct asbb_guard *strict = _guard("");
	struct asbb_job job = _job("physics", "aws");
	struct asbb_decision decision;
	int calls = _calls();

	(void)state;
	assert_false(asbb_guard_is_guarded(guard, "local", "aws"));
	assert_true(asbb_guard_is_guarded(guard, NULL, "aws"));
	assert_int_equal(_check(guard, "physics", "local").action, ASBB_PASS);
	assert_int_equal(_check(guard, "physics", "aws").action, ASBB_PASS);
	job.is_cron = true;
	asbb_guard_check(strict, &job, 0, &decision);
	assert_int_equal(decision.action, ASBB_REFUSE);
	assert_non_null(strstr(decision.message, "asbb: jobs from scrontab are not admitted"));
	job.is_cron = false;
	job.account = NULL;
	asbb_guard_check(strict, &job, 0, &decision);
	assert_int_equal(decision.action, ASBB_REFUSE);
	assert_string_equal(decision.message, "asbb: this job has no account: name one with --account");
	assert_int_equal(_calls(), calls);
	asbb_guard_destroy(guard);
	asbb_guard_destroy(strict);
}

static void refusals(void **state)
{
	static const struct {
		const char *account, *says;
	} cases[] = {
		{ "poor", "asbb: account poor has $41.20 available;  this job needs $120.00 held [31m ?." },
		{ "unknown", "asbb: there is no account unknown" },
		{ "status400", "asbb: from the gateway" },
		{ "status413", "asbb: from the gateway" },
		{ "status422", "asbb: from the gateway" },
	};
	struct asbb_guard *guard = _guard("BreakerFailures=1000");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		/* Also where FailMode is open: users steer these. */
		struct asbb_decision decision = _check(guard, cases[i].account, "open");

		assert_int_equal(decision.action, ASBB_REFUSE);
		assert_string_equal(decision.message, cases[i].says);
		assert_string_equal(decision.hold_id, "");
		assert_non_null(strstr(last_line, "asbb: refuse user=alice"));
	}
	assert_int_equal(access(spool, F_OK), 0);
	asbb_guard_destroy(guard);
}

static const char *const away[] = {
	"other", "half", "garbage", "big", "redirect", "hangup", "nopart", "status401", "status403", "status404", "status409", "status429",
	"status500", "status502", "status503",
};

static void no_answer_and_closed_is_a_refusal(void **state)
{
	struct asbb_guard *guard = _guard("BreakerFailures=1000");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(away); i++) {
		struct asbb_decision decision = _check(guard, away[i], "aws,open");

		if (decision.action != ASBB_REFUSE || strncmp(decision.message, "asbb: the budget service", 24) != 0)
			fail_msg("%s: %d %s", away[i], (int)decision.action, decision.message);
	}
	asbb_guard_destroy(guard);
}

static void no_answer_and_open_is_an_admission_in_the_spool(void **state)
{
	struct asbb_guard *guard = _guard("BreakerFailures=1000");
	char text[65536], *line = text;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(away); i++) {
		struct asbb_decision decision = _check(guard, away[i], "open,local");

		if (decision.action != ASBB_ADMIT || !decision.failed_open)
			fail_msg("%s: %d %s", away[i], (int)decision.action, decision.message);
		assert_true(fixture_file_read(spool, text, sizeof(text)) > 0);
		assert_non_null(strstr(text, decision.hold_id));
	}
	for (size_t i = 0; i < COUNT_OF(away); i++) {
		json_t *root = json_loads(line, JSON_DISABLE_EOF_CHECK, NULL), *job = json_object_get(root, "job");

		assert_string_equal(json_string_value(json_object_get(root, "time")), "2015-08-30T12:36:00Z");
		assert_string_equal(json_string_value(json_object_get(job, "cluster")), "hpc");
		assert_string_equal(json_string_value(json_object_get(job, "account")), away[i]);
		assert_string_equal(json_string_value(json_object_get(job, "partition")), "open,local");
		json_decref(root);
		line = strchr(line, '\n') + 1;
	}
	assert_string_equal(line, "");
	asbb_guard_destroy(guard);
}

static void a_spool_that_cannot_be_written_is_closed(void **state)
{
	struct asbb_guard *guard = _guard("");
	struct asbb_decision decision;

	(void)state;
	unlink(spool);
	assert_int_equal(symlink("/dev/null", spool), 0);
	decision = _check(guard, "status500", "open");
	assert_int_equal(decision.action, ASBB_REFUSE);
	asbb_guard_destroy(guard);
}

static void a_slow_api_costs_one_deadline_and_then_nothing(void **state)
{
	struct asbb_guard *guard = _guard("");
	int64_t began_ms = asbb_monotonic_ms();
	struct asbb_decision decision = _check(guard, "slow", "aws");
	int calls = _calls();

	(void)state;
	assert_int_equal(decision.action, ASBB_REFUSE);
	assert_int_equal(decision.rc, ASBB_TIMEOUT);
	assert_in_range(asbb_monotonic_ms() - began_ms, 990, 2000);
	/* The breaker is open: nobody waits, nobody is asked, and no submission closes it. */
	fixture_server_get(&server, "/control/health/503", NULL, 0);
	for (int i = 0; i < 100; i++) {
		decision = _check(guard, "physics", "aws");
		assert_int_equal(decision.rc, ASBB_BREAKER_OPEN);
		assert_int_equal(decision.action, ASBB_REFUSE);
	}
	assert_int_equal(_calls(), calls);
	usleep(2500000);
	assert_int_equal(_check(guard, "physics", "aws").rc, ASBB_BREAKER_OPEN);
	/* The probe finds it well again. */
	fixture_server_get(&server, "/control/health/200", NULL, 0);
	for (int i = 0; i < 100 && decision.action != ASBB_ADMIT; i++) {
		usleep(100000);
		decision = _check(guard, "physics", "aws");
	}
	assert_int_equal(decision.action, ASBB_ADMIT);
	asbb_guard_destroy(guard);
}

static void errors_in_a_row_open_the_breaker(void **state)
{
	struct asbb_guard *guard = _guard("");

	(void)state;
	fixture_server_get(&server, "/control/health/503", NULL, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(_check(guard, "status500", "aws").rc, ASBB_UNAVAILABLE);
	assert_int_equal(_check(guard, "physics", "aws").rc, ASBB_BREAKER_OPEN);
	asbb_guard_destroy(guard);
}

static void shadow_mode_asks_for_a_quote_and_admits(void **state)
{
	static const struct {
		const char *account, *says;
	} cases[] = {
		{ "physics", "asbb: shadow would=admit user=alice account=physics partition=open cost=10.00 hold=12.00 left=88.50 rc=ok" },
		{ "poor", "asbb: shadow would=refuse user=alice account=poor partition=open cost=100.00 hold=120.00 left=41.20 rc=denied status=200 code=insufficient_budget" },
		{ "status500", "asbb: shadow would=fail_open user=alice account=status500" },
	};
	struct asbb_guard *guard = _guard("Enforce=no");
	struct asbb_change change;
	struct asbb_decision decision;
	char text[64];
	json_t *root;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		decision = _check(guard, cases[i].account, "open");
		assert_int_equal(decision.action, ASBB_PASS);
		assert_string_equal(decision.message, "");
		assert_int_equal(decision.set_wall_time_minutes, ASBB_UNSET);
		if (!strstr(last_line, cases[i].says))
			fail_msg("%s", last_line);
	}
	root = _server_state();
	assert_string_equal(json_string_value(json_object_get(json_object_get(root, "last"), "path")), "/api/v1/budget/quote");
	assert_null(json_object_get(json_object_get(json_object_get(root, "last"), "job"), "hold_id"));
	json_decref(root);
	assert_int_equal(fixture_file_read(spool, text, sizeof(text)), 0);
	asbb_change_init(&change);
	change.job_id = "7";
	change.nodes = 1000;
	asbb_guard_modify(guard, &change, 0, &decision);
	assert_int_equal(decision.action, ASBB_PASS);
	asbb_guard_destroy(guard);
}

static void a_list_can_lose_its_guarded_partitions(void **state)
{
	struct asbb_guard *guard = _guard("OnRefusal=drop");
	struct asbb_decision decision = _check(guard, "poor", "aws,local");

	(void)state;
	assert_int_equal(decision.action, ASBB_DROP_PARTITIONS);
	assert_string_equal(decision.partitions, "local");
	assert_int_equal(_check(guard, "poor", "aws").action, ASBB_REFUSE);
	/* Also when nobody answers and FailMode is closed. */
	assert_int_equal(_check(guard, "status500", "local,aws").action, ASBB_DROP_PARTITIONS);
	asbb_guard_destroy(guard);
}

static void unknown_accounts_can_be_let_in(void **state)
{
	struct asbb_guard *guard = _guard("UnknownAccount=allow");

	(void)state;
	assert_int_equal(_check(guard, "unknown", "aws").action, ASBB_PASS);
	asbb_guard_destroy(guard);
}

static struct asbb_decision _modify(struct asbb_guard *guard, const char *job_id, int64_t nodes, const char *partition)
{
	struct asbb_change change;
	struct asbb_decision decision;

	asbb_change_init(&change);
	change.job_id = job_id;
	change.user = "alice";
	change.nodes = nodes;
	change.partition = partition;
	asbb_guard_modify(guard, &change, 1440938160, &decision);
	return decision;
}

static void changes(void **state)
{
	static const struct {
		const char *job_id;
		int64_t nodes;
		const char *partition;
		enum asbb_action action;
		const char *path; /* NULL: nobody is asked */
	} cases[] = {
		{ "12", 4, NULL, ASBB_PASS, "/api/v1/jobs/hpc/12/adjust" },
		{ "12_3", 4, NULL, ASBB_PASS, "/api/v1/jobs/hpc/12/adjust" },
		{ "12_[1-3]", 4, NULL, ASBB_PASS, "/api/v1/jobs/hpc/12/adjust" },
		{ "12+2", 4, NULL, ASBB_PASS, "/api/v1/jobs/hpc/14/adjust" },
		{ "12", 400, NULL, ASBB_REFUSE, "/api/v1/jobs/hpc/12/adjust" },
		{ "12", 400, "local", ASBB_PASS, NULL },
		{ "12", 4, "aws,local", ASBB_PASS, "/api/v1/jobs/hpc/12/adjust" },
		{ "404", 4, NULL, ASBB_PASS, "/api/v1/jobs/hpc/404/adjust" },
		{ "404", 4, "aws", ASBB_REFUSE, "/api/v1/jobs/hpc/404/adjust" },
		{ "500", 4, "aws", ASBB_PASS, "/api/v1/jobs/hpc/500/adjust" },
		{ "12", ASBB_UNSET, NULL, ASBB_PASS, NULL },
		{ "x", 4, NULL, ASBB_PASS, NULL },
		{ "../../accounts", 4, "aws", ASBB_REFUSE, NULL },
		{ "99999999999", 4, NULL, ASBB_PASS, NULL },
		{ NULL, 4, "aws", ASBB_REFUSE, NULL },
	};
	struct asbb_guard *guard = _guard("");
	struct asbb_guard *operators = _guard("OperatorUsers=alice");

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int calls = _calls();
		struct asbb_decision decision = _modify(guard, cases[i].job_id, cases[i].nodes, cases[i].partition);
		json_t *root = _server_state(), *last = json_object_get(root, "last");

		if (decision.action != cases[i].action)
			fail_msg("case %zu: %d %s", i, (int)decision.action, decision.message);
		assert_int_equal(_calls(), calls + (cases[i].path ? 1 : 0));
		if (cases[i].path) {
			assert_string_equal(json_string_value(json_object_get(last, "path")), cases[i].path);
			assert_true(json_is_true(json_object_get(json_object_get(last, "job"), "raise_only")));
		}
		json_decref(root);
	}
	assert_int_equal(_modify(operators, "12", 400, NULL).action, ASBB_PASS);
	asbb_guard_destroy(guard);
	asbb_guard_destroy(operators);
}

static void no_credentials_is_no_answer(void **state)
{
	struct asbb_guard *guard;

	(void)state;
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
	guard = _guard("Region=us-east-1 Credentials=imds");
	assert_int_equal(_check(guard, "physics", "aws").rc, ASBB_NO_CREDENTIALS);
	assert_true(_check(guard, "physics", "open").failed_open);
	asbb_guard_destroy(guard);
	unsetenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
}

static void what_the_site_must_mend_first(void **state)
{
	struct asbb_conf conf;
	char text[1024];

	(void)state;
	assert_true(snprintf(text, sizeof(text), "Endpoint=http://127.0.0.1:1\nPartition=a FailMode=open\nSpoolFile=/nowhere/spool") > 0);
	assert_int_equal(asbb_conf_parse(text, strlen(text), "f", &conf, error), ASBB_OK);
	assert_null(asbb_guard_create(&conf, _log, NULL, error));
	assert_non_null(strstr(error, "Cluster="));
	memcpy(conf.cluster, "hpc", 4);
	assert_null(asbb_guard_create(&conf, _log, NULL, error));
	assert_non_null(strstr(error, "SpoolFile /nowhere/spool"));
	memcpy(conf.spool_file, spool, strlen(spool) + 1);
	memcpy(conf.ca_file, "/nowhere/ca", 12);
	assert_null(asbb_guard_create(&conf, _log, NULL, error));
	assert_non_null(strstr(error, "CaFile"));
	conf.ca_file[0] = '\0';
	memcpy(conf.region, "us-east-1", 10);
	conf.credentials = ASBB_CREDENTIALS_FILE;
	memcpy(conf.credentials_file, spool, strlen(spool) + 1);
	fixture_file_write(spool, "[default]\n", 0600);
	assert_null(asbb_guard_create(&conf, _log, NULL, error));
	assert_non_null(strstr(error, "no keys in its profile"));
	asbb_guard_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_admitted_job_carries_its_hold, _begin, _end),
		cmocka_unit_test_setup_teardown(nobody_is_asked_about_other_jobs, _begin, _end),
		cmocka_unit_test_setup_teardown(refusals, _begin, _end),
		cmocka_unit_test_setup_teardown(no_answer_and_closed_is_a_refusal, _begin, _end),
		cmocka_unit_test_setup_teardown(no_answer_and_open_is_an_admission_in_the_spool, _begin, _end),
		cmocka_unit_test_setup_teardown(a_spool_that_cannot_be_written_is_closed, _begin, _end),
		cmocka_unit_test_setup_teardown(a_slow_api_costs_one_deadline_and_then_nothing, _begin, _end),
		cmocka_unit_test_setup_teardown(errors_in_a_row_open_the_breaker, _begin, _end),
		cmocka_unit_test_setup_teardown(shadow_mode_asks_for_a_quote_and_admits, _begin, _end),
		cmocka_unit_test_setup_teardown(a_list_can_lose_its_guarded_partitions, _begin, _end),
		cmocka_unit_test_setup_teardown(unknown_accounts_can_be_let_in, _begin, _end),
		cmocka_unit_test_setup_teardown(changes, _begin, _end),
		cmocka_unit_test_setup_teardown(no_credentials_is_no_answer, _begin, _end),
		cmocka_unit_test_setup_teardown(what_the_site_must_mend_first, _begin, _end),
	};

	return cmocka_run_group_tests_name("guard", tests, _begin_all, _end_all);
}
