// SPDX-License-Identifier: GPL-2.0-or-later
#include "fixture.h"

#include <stdio.h>
#include <string.h>

#include "request.h"

#define ID "0e5cf4d2-4f0c-4d2f-9c55-4e4c2c6b0b1a"

static char body[ASBB_BODY_MAX + 1], error[ASBB_ERROR_MAX];
static size_t len;

static struct asbb_job _job(void)
{
	struct asbb_job job;

	asbb_job_init(&job);
	job.account = "Physics";
	job.partition = "aws,local";
	return job;
}

static enum asbb_rc _check(const struct asbb_job *job)
{
	return asbb_request_check(job, ID, 1400, body, sizeof(body), &len, error);
}

static void a_job_says_only_what_its_user_said(void **state)
{
	struct asbb_job job = _job();

	(void)state;
	assert_int_equal(_check(&job), ASBB_OK);
	assert_string_equal(body, "{\"account\":\"Physics\",\"partition\":\"aws,local\",\"hold_id\":\"" ID "\",\"deadline_ms\":1400}");
	assert_int_equal(len, strlen(body));
	assert_int_equal(asbb_request_check(&job, NULL, 0, body, sizeof(body), &len, error), ASBB_OK);
	assert_string_equal(body, "{\"account\":\"Physics\",\"partition\":\"aws,local\"}");
}

static void a_job_says_all_that_its_user_said(void **state)
{
	struct asbb_job job = {
		.account = "physics", .partition = "aws", .user = "alice", .cluster = "hpc", .nodes = 4, .min_nodes = 2, .ntasks = 8,
		.cpus = 16, .cpus_per_task = 2, .gpus = 0, .gpus_per_node = 4, .gpu_type = "a100", .memory_mib = 16384,
		.memory_per_cpu_mib = 0, .exclusive = true, .constraint = "c5|c6", .wall_time_minutes = 1501, .array = "1-5%2,9",
		.het_offset = 1, .qos = "high", .job_name = "run", .job_script = "#!/bin/sh\n",
	};

	(void)state;
	assert_int_equal(asbb_request_check(&job, NULL, 0, body, sizeof(body), &len, error), ASBB_OK);
	assert_string_equal(body, "{\"account\":\"physics\",\"partition\":\"aws\",\"user\":\"alice\",\"cluster\":\"hpc\",\"nodes\":4,\"min_nodes\":2,"
				  "\"ntasks\":8,\"cpus\":16,\"cpus_per_task\":2,\"gpus\":0,\"gpus_per_node\":4,\"gpu_type\":\"a100\","
				  "\"memory\":16384,\"memory_per_cpu\":0,\"exclusive\":true,\"constraint\":\"c5|c6\","
				  "\"wall_time\":\"1-01:01:00\",\"array\":\"1-5%2,9\",\"het_offset\":1,\"qos\":\"high\",\"job_name\":\"run\","
				  "\"job_script\":\"#!/bin/sh\\n\"}");
	job.is_cron = true; /* is no field */
	assert_int_equal(asbb_request_check(&job, NULL, 0, body, sizeof(body), &len, error), ASBB_OK);
	assert_null(strstr(body, "cron"));
}

static void wall_times_as_slurm_writes_them(void **state)
{
	static const struct {
		int64_t minutes;
		const char *text;
	} cases[] = {
		{ 1, "\"00:01:00\"" },	      { 90, "\"01:30:00\"" },	     { 1439, "\"23:59:00\"" },
		{ 1440, "\"1-00:00:00\"" },   { 4294967294LL, "\"2982616-04:14:00\"" }, { ASBB_UNLIMITED, "\"UNLIMITED\"" },
		{ 0, "\"UNLIMITED\"" },
	};
	struct asbb_job job = _job();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		job.wall_time_minutes = cases[i].minutes;
		assert_int_equal(_check(&job), ASBB_OK);
		if (!strstr(body, cases[i].text))
			fail_msg("%lld: %s", (long long)cases[i].minutes, body);
	}
}

static void job_names_arrive_whole_cut_or_mended(void **state)
{
	static const struct {
		const char *name, *text;
	} cases[] = {
		{ "say \"hi\"\n\tback\\slash", "\"say \\\"hi\\\"\\n\\tback\\\\slash\"" },
		{ "r\xC3\xA9sum\xC3\xA9", "\"r\xC3\xA9sum\xC3\xA9\"" },
		{ "bad \xFF\xC3 end", "\"bad \xEF\xBF\xBD\xEF\xBF\xBD end\"" },
		{ "over\xC0\xAFlong \xED\xA0\x80", "\"over\xEF\xBF\xBD\xEF\xBF\xBDlong \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
		{ "bell \x07 del \x7F", "\"bell \xEF\xBF\xBD del \xEF\xBF\xBD\"" },
		{ "cut \xF0\x9F\x98", "\"cut \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
	};
	struct asbb_job job = _job();
	char name[300], *from, *to;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		job.job_name = cases[i].name;
		assert_int_equal(_check(&job), ASBB_OK);
		if (!strstr(body, cases[i].text))
			fail_msg("case %zu: %s", i, body);
	}
	/* 199 bytes and a character of two: the character goes. */
	memset(name, 'n', sizeof(name));
	memcpy(name + 199, "\xC3\xA9", 3);
	job.job_name = name;
	assert_int_equal(_check(&job), ASBB_OK);
	from = strstr(body, "nnn");
	to = strchr(from, '"');
	assert_int_equal(to - from, 199);
	memset(name, 'n', sizeof(name) - 1);
	name[299] = '\0';
	assert_int_equal(_check(&job), ASBB_OK);
	from = strstr(body, "nnn");
	to = strchr(from, '"');
	assert_int_equal(to - from, 200);
}

static void what_is_too_long_is_said_and_not_cut(void **state)
{
	static char text[40000];
	struct asbb_job job;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	job = _job();
	job.constraint = text;
	assert_int_equal(_check(&job), ASBB_INVALID);
	assert_string_equal(error, "the constraint of this job is longer than 512 bytes");
	assert_string_equal(body, "");
	job = _job();
	job.array = text;
	assert_int_equal(_check(&job), ASBB_INVALID);
	job = _job();
	job.account = NULL;
	assert_int_equal(_check(&job), ASBB_INVALID);
	assert_string_equal(error, "this job has no account: name one with --account");
	job = _job();
	assert_int_equal(asbb_request_check(&job, ID, 0, body, 40, &len, error), ASBB_INVALID);
	assert_int_equal(asbb_request_check(&job, ID, 0, body, 0, &len, error), ASBB_INVALID);
}

static void a_script_that_does_not_fit_is_left_out(void **state)
{
	static char script[ASBB_BODY_MAX];
	struct asbb_job job = _job();

	(void)state;
	memset(script, '\1', sizeof(script) - 1);
	job.job_script = script;
	assert_int_equal(_check(&job), ASBB_OK);
	assert_null(strstr(body, "job_script"));
	script[10000] = '\0';
	assert_int_equal(_check(&job), ASBB_OK);
	assert_non_null(strstr(body, "job_script"));
	assert_true(len <= ASBB_BODY_MAX);
}

static void a_change_says_what_it_changes(void **state)
{
	struct asbb_change change;

	(void)state;
	asbb_change_init(&change);
	assert_false(asbb_change_is_costly(&change));
	assert_int_equal(asbb_request_adjust(&change, 0, body, sizeof(body), &len, error), ASBB_OK);
	assert_string_equal(body, "{\"raise_only\":true}");
	change = (struct asbb_change){ .account = "a", .partition = "aws", .wall_time_minutes = 120, .nodes = 4, .cpus = 8, .gpus = 0,
				       .memory_mib = 1, .memory_per_cpu_mib = 2, .tasks = 3 };
	assert_true(asbb_change_is_costly(&change));
	assert_int_equal(asbb_request_adjust(&change, 1400, body, sizeof(body), &len, error), ASBB_OK);
	assert_string_equal(body, "{\"account\":\"a\",\"partition\":\"aws\",\"wall_time\":\"02:00:00\",\"nodes\":4,\"cpus\":8,\"gpus\":0,"
				  "\"memory\":1,\"memory_per_cpu\":2,\"tasks\":3,\"raise_only\":true,\"deadline_ms\":1400}");
	asbb_change_init(&change);
	change.gpus = 0;
	assert_true(asbb_change_is_costly(&change));
}

static void a_line_of_the_spool(void **state)
{
	struct asbb_job job = _job();

	(void)state;
	job.job_name = "two\nlines";
	assert_int_equal(asbb_request_spool(&job, ID, 1440938160, "timeout", body, sizeof(body), &len, error), ASBB_OK);
	assert_string_equal(body, "{\"time\":\"2015-08-30T12:36:00Z\",\"hold_id\":\"" ID "\",\"reason\":\"timeout\",\"job\":{"
				  "\"account\":\"Physics\",\"partition\":\"aws,local\",\"job_name\":\"two\\nlines\"}}\n");
	assert_int_equal(len, strlen(body));
	job.account = "";
	assert_int_equal(asbb_request_spool(&job, ID, 0, "timeout", body, sizeof(body), &len, error), ASBB_INVALID);
}

static void answers(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum asbb_rc rc;
	} cases[] = {
		{ 200, "{\"available\":true,\"hold_id\":\"" ID "\"}", ASBB_OK },
		{ 200, "{\"available\":true,\"hold_id\":\"0E5CF4D2-4f0c-4d2f-9c55-4e4c2c6b0b1a\",\"new\":[1]}", ASBB_OK },
		{ 200, "{\"available\":false}", ASBB_DENIED },
		{ 200, "{\"available\":false,\"message\":null,\"code\":null,\"wall_time\":null,\"hold_amount\":null}", ASBB_DENIED },
		{ 200, "{\"available\":true}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":true,\"hold_id\":\"1e5cf4d2-4f0c-4d2f-9c55-4e4c2c6b0b1a\"}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":false,\"hold_id\":\"1e5cf4d2-4f0c-4d2f-9c55-4e4c2c6b0b1a\"}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":true,\"hold_id\":\"0e5cf4d2\"}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":true,\"hold_id\":7}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":\"true\",\"hold_id\":\"" ID "\"}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":1}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":null}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":false,\"message\":1}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":false,\"code\":[]}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":false,\"hold_amount\":\"12\"}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":false,\"hold_amount\":1e9}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":false,\"wall_time\":\"soon\"}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":false,\"wall_time\":5}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":true,\"available\":false}", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":true,\"hold_id\":\"" ID "\"", ASBB_BAD_RESPONSE },
		{ 200, "{\"available\":true,\"hold_id\":\"" ID "\"} x", ASBB_BAD_RESPONSE },
		{ 200, "[true]", ASBB_BAD_RESPONSE },
		{ 200, "", ASBB_BAD_RESPONSE },
		{ 200, "<html>", ASBB_BAD_RESPONSE },
		{ 200, "{\"message\":\"\\u0000\",\"available\":false}", ASBB_BAD_RESPONSE },
		{ 201, "{\"available\":true,\"hold_id\":\"" ID "\"}", ASBB_BAD_RESPONSE },
		{ 204, "", ASBB_BAD_RESPONSE },
		{ 0, "", ASBB_BAD_RESPONSE },
		{ 999, "", ASBB_BAD_RESPONSE },
		{ 302, "", ASBB_UNAVAILABLE },
		{ 400, "{}", ASBB_REJECTED },
		{ 404, "<html>", ASBB_REJECTED },
		{ 403, "{\"message\":\"Forbidden\"}", ASBB_FORBIDDEN },
		{ 408, "", ASBB_UNAVAILABLE },
		{ 425, "", ASBB_UNAVAILABLE },
		{ 429, "{\"message\":\"Too Many Requests\"}", ASBB_UNAVAILABLE },
		{ 500, "{}", ASBB_UNAVAILABLE },
		{ 503, "", ASBB_UNAVAILABLE },
	};
	struct asbb_verdict verdict;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		enum asbb_rc rc = asbb_answer_read(cases[i].status, cases[i].body, strlen(cases[i].body), ID, &verdict);

		if (rc != cases[i].rc)
			fail_msg("case %zu is %s: %s", i, asbb_rc_name(rc), cases[i].body);
		assert_int_equal(verdict.status, cases[i].status);
		assert_true(verdict.available == (rc == ASBB_OK));
	}
}

static void a_verdict_is_read_whole(void **state)
{
	static const char text[] =
		"{\"available\":false,\"message\":\"account \\u20ac has\\r\\n\\u001b[31m$41.20\\u007f\",\"code\":\"insufficient_budget\","
		"\"wall_time\":\"1-06:00:01\",\"estimated_cost\":100,\"hold_amount\":120.000001,\"budget_remaining\":-0.5}";
	static const char error_text[] = "{\"error\":{\"code\":\"no_price\",\"message\":\"nothing\\nis priced\"},\"request_id\":\"r\"}";
	static const char gateway_text[] = "{\"message\":\"Request Too Long\"}";
	static const char odd_text[] = "{\"error\":{\"code\":5,\"message\":{}}}";
	struct asbb_verdict verdict;

	(void)state;
	assert_int_equal(asbb_answer_read(200, text, strlen(text), ID, &verdict), ASBB_DENIED);
	assert_string_equal(verdict.message, "account ? has   [31m$41.20 ");
	assert_string_equal(verdict.code, "insufficient_budget");
	assert_int_equal(verdict.wall_time_minutes, 1801);
	assert_string_equal(verdict.estimated_cost, "100.00");
	assert_string_equal(verdict.hold_amount, "120.000001");
	assert_string_equal(verdict.budget_remaining, "-0.50");
	assert_int_equal(asbb_answer_read(422, error_text, strlen(error_text), ID, &verdict), ASBB_REJECTED);
	assert_string_equal(verdict.code, "no_price");
	assert_string_equal(verdict.message, "nothing is priced");
	assert_int_equal(asbb_answer_read(413, gateway_text, strlen(gateway_text), ID, &verdict), ASBB_REJECTED);
	assert_string_equal(verdict.message, "Request Too Long");
	assert_string_equal(verdict.code, "");
	assert_int_equal(asbb_answer_read(400, odd_text, strlen(odd_text), ID, &verdict), ASBB_REJECTED);
	assert_string_equal(verdict.message, "");
}

static void a_message_is_cut_at_200(void **state)
{
	static char text[1000] = "{\"available\":false,\"message\":\"";
	struct asbb_verdict verdict;

	(void)state;
	memset(text + strlen(text), 'm', 500);
	memcpy(text + strlen(text), "\"}", 3);
	assert_int_equal(asbb_answer_read(200, text, strlen(text), NULL, &verdict), ASBB_DENIED);
	assert_int_equal(strlen(verdict.message), 200);
}

/* sbatch(1), --time. */
static void wall_times(void **state)
{
	static const struct {
		const char *text;
		enum asbb_rc rc;
		int64_t minutes;
	} cases[] = {
		{ "90", ASBB_OK, 90 },		  { "90:00", ASBB_OK, 90 },	 { "1:30:00", ASBB_OK, 90 },
		{ "01:30:01", ASBB_OK, 91 },	  { "0:01", ASBB_OK, 1 },	 { "1-2", ASBB_OK, 1560 },
		{ "1-2:3", ASBB_OK, 1563 },	  { "1-2:3:4", ASBB_OK, 1564 },	 { "0", ASBB_OK, ASBB_UNLIMITED },
		{ "0-0", ASBB_OK, ASBB_UNLIMITED }, { "UNLIMITED", ASBB_OK, ASBB_UNLIMITED }, { "infinite", ASBB_OK, ASBB_UNLIMITED },
		{ "-1", ASBB_OK, ASBB_UNLIMITED }, { "", ASBB_INVALID, 0 },	 { ":", ASBB_INVALID, 0 },
		{ "1:", ASBB_INVALID, 0 },	  { "1-", ASBB_INVALID, 0 },	 { "1-2-3", ASBB_INVALID, 0 },
		{ "1:2-3", ASBB_INVALID, 0 },	  { "1:2:3:4", ASBB_INVALID, 0 }, { "1-2:3:4:5", ASBB_INVALID, 0 },
		{ " 1", ASBB_INVALID, 0 },	  { "1h", ASBB_INVALID, 0 },	 { "36525-00:00:00", ASBB_OK, 52596000 },
		{ "36525-00:00:01", ASBB_INVALID, 0 }, { "999999999999", ASBB_INVALID, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int64_t minutes;
		enum asbb_rc rc = asbb_wall_time_parse(cases[i].text, &minutes);

		if (rc != cases[i].rc || (rc == ASBB_OK && minutes != cases[i].minutes))
			fail_msg("\"%s\" is %s, %lld", cases[i].text, asbb_rc_name(rc), (long long)minutes);
	}
}

static void uuids_are_random_and_version_4(void **state)
{
	char a[ASBB_UUID_SIZE], b[ASBB_UUID_SIZE];

	(void)state;
	assert_int_equal(asbb_uuid_make(a), ASBB_OK);
	assert_int_equal(asbb_uuid_make(b), ASBB_OK);
	assert_string_not_equal(a, b);
	assert_int_equal(strlen(a), 36);
	assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
	assert_int_equal(a[14], '4');
	assert_non_null(strchr("89ab", a[19]));
}

static void every_rc_has_a_name(void **state)
{
	(void)state;
	for (int rc = -1; rc < 120; rc++)
		assert_true(asbb_rc_name((enum asbb_rc)rc)[0] != '\0');
	assert_true(asbb_rc_is_final(ASBB_INVALID));
	assert_false(asbb_rc_is_final(ASBB_TIMEOUT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_says_only_what_its_user_said),
		cmocka_unit_test(a_job_says_all_that_its_user_said),
		cmocka_unit_test(wall_times_as_slurm_writes_them),
		cmocka_unit_test(job_names_arrive_whole_cut_or_mended),
		cmocka_unit_test(what_is_too_long_is_said_and_not_cut),
		cmocka_unit_test(a_script_that_does_not_fit_is_left_out),
		cmocka_unit_test(a_change_says_what_it_changes),
		cmocka_unit_test(a_line_of_the_spool),
		cmocka_unit_test(answers),
		cmocka_unit_test(a_verdict_is_read_whole),
		cmocka_unit_test(a_message_is_cut_at_200),
		cmocka_unit_test(wall_times),
		cmocka_unit_test(uuids_are_random_and_version_4),
		cmocka_unit_test(every_rc_has_a_name),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
